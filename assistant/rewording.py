"""Owns reading a question that a language model put into plain words: the rules read it, and only what the question's own
words leave open may be new in it. Knows nothing of prompts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wenshu.assistant.evidence import Evidence
from wenshu.assistant.naming import names_users
from wenshu.assistant.people import everyone, newcomers, people
from wenshu.assistant.plan_check import uncovered, users_with
from wenshu.assistant.planner import Plan
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Op, Query, filters_of
from wenshu.semantic_layer.text import Text

LONGEST = 300  # characters
LEAD = 2
LISTED = {Op.EQ: Op.IN, Op.NE: Op.NOT_IN}


def plain_question(reply: str) -> str:
    """Return the question in a reply that may have quotes or words after it.

    >>> plain_question(' “GMV of last month”\\nThis asks for …')
    'GMV of last month'
    """
    lines = reply.strip().splitlines()
    return lines[0].strip(" \t\"'“”「」`")[:LONGEST] if lines else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reworded:
    """Hold a question in other words, what the rules read in them, and how many of the words left over that explains."""

    words: str
    plan: Plan
    explains: int


def read_as(plan: Plan, words: str, evidence: Evidence, said: Evidence) -> Reworded | None:
    """Return the rules' reading of a question in other words, None where these ask for more or less than the question's own.

    `said` is what the other words support. Dates, numbers, comparisons and what is left out must be the question's, and
    groups set beside each other by what their people do are not so without them; each word left over may bring one metric,
    group or value.
    """
    old, new = evidence.reading, said.reading
    same = old.compare == new.compare and old.limit == new.limit and old.grain == new.grain and new.share <= old.share
    dates = set(said.periods.values()) <= set(evidence.periods.values()) and set(said.numbers) <= set(evidence.numbers)
    if not same or not dates or _left_out(said) != _left_out(evidence):
        return None
    if plan.query.dimensions and names_users(old) and not names_users(new) and not _counts_people(plan.query, old.model):
        return None
    explains = len(list(news(plan.query, evidence)))
    if any(uncovered(plan.query, evidence)) or explains > len(evidence.leftover):
        return None
    label = next((text for text, period in evidence.periods.items() if period == plan.query.period), plan.period_label)
    told = Text(f"The language model put the question as “{words}”.", f"大模型将问题改述为“{words}”。")
    plan = replace(plan, assumptions=(told, *plan.assumptions), period_label=label)
    return Reworded(words=words, plan=plan, explains=explains)


def agreed_on(found: Sequence[Reworded], leftover: int, tried: int) -> tuple[tuple[Reworded, ...], int]:
    """Return the most readings that ask for the same, and by how many they, or others to come, fall short of being sure.

    They must be two ahead of all others, and three where they do not explain each of the words left over. Those that
    explain none count only where no other explains any, and against all that was tried: what falls out every time.
    """
    telling = [one for one in found if one.explains]
    alike = (tuple(other for other in telling or found if same_request(one.plan.query, other.plan.query)) for one in telling or found)
    agreed = max(alike, key=len, default=())
    lead = LEAD if agreed and agreed[0].explains == leftover else LEAD + 1
    short = lead - (2 * len(agreed) - (len(telling) if telling else tried))
    return agreed, short if telling else min(short, lead)


def _counts_people(query: Query, model: Model) -> bool:
    counted = {*people(model), *newcomers(model), everyone(model)}
    return any(leaf.name in counted for name in query.metrics for leaf in model.leaves(name))


def _left_out(evidence: Evidence) -> set[str]:
    return {str(target.value) for item in evidence.reading.filters if item.negated for targets in item.mentions for target in targets}


def news(query: Query, evidence: Evidence) -> Iterator[str]:
    """Yield what a query has that the question's own words do not support: metrics, values, groups without new values."""
    known = {metric_spec(name)[0] for name in evidence.metrics}
    yield from (name for name in query.metrics if metric_spec(name)[0] not in known)
    values = {str(value) for _, value in evidence.values}
    fresh = [(_bare(where.dimension), str(value)) for where in filters_of(query.filters) for value in where.values]
    fresh = [pair for pair in dict.fromkeys(fresh) if pair[1] not in values]
    yield from (value for _, value in fresh)
    groups = {_bare(name) for name in evidence.dimensions} | {_bare(name) for name, _ in evidence.values} | {name for name, _ in fresh}
    yield from (name for name in query.dimensions if _bare(name) not in groups)


def same_request(one: Query, other: Query) -> bool:
    """Say whether two queries ask for the same, whatever the order of its parts; 北京 the city is 北京 the province here."""
    return _request(one) == _request(other)


def _request(query: Query) -> tuple[object, ...]:
    kept = frozenset((LISTED.get(where.op, where.op), str(value)) for where in filters_of(query.filters) for value in where.values)
    users = frozenset(map(str, users_with(query.filters)))
    return frozenset(query.metrics), frozenset(map(_bare, query.dimensions)), kept, users, query.grain, query.period


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
