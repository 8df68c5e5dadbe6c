"""Owns what a reply makes of a question asked back: it chooses among those offered, or names the metric that was missing."""

import re
from collections.abc import Callable
from dataclasses import replace

from wenshu.assistant.planner import Outcome, Plan
from wenshu.assistant.question import Offer, Question, normalise
from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text

ORDINALS = ("一1a", "二2b", "三3c", "四4d")
NUMBERED = re.compile(r"(?:选|要|看|就|第|option|number|no\.?|#)?\s*([一二三四1-4a-d])\s*(?:个|项|种|号)?")
NAMED = {
    "first": 0, "former": 0, "前者": 0, "前一个": 0, "前面那个": 0, "上面那个": 0, "second": 1, "third": 2, "fourth": 3,
    "last": -1, "latter": -1, "后者": -1, "最后一个": -1, "后一个": -1, "后面那个": -1, "下面那个": -1,
}  # fmt: skip
ALL = frozenset("both all 都要 都看 全要 全看 全都要 两个都看 两个都要 两个 全部 都 两者 两者都要 两者都看 三个都看 三个都要 所有".split())
AROUND = re.compile(
    r"^(?:(?:我|就|那就?|想|要|选|看|按照?|用|是|指|说的是|please|i|mean|want|the|by|show|me|give|let's|see|it's|go|with)\s*)+"
    r"|(?:[\s,]*(?:吧|的|啊|呢|哈|那个|这个|来看|看|来排|来算|one|ones|of|them|please|thanks))+$"
)
ENDS = " \t?.!,;:。,!?、；：，？！"  # noqa: RUF001


def replied(
    question: Question, offer: Offer | None, plan: Callable[[str], Outcome], previous: Query | None = None
) -> Outcome | None:
    """Return the outcome of what a reply makes of the question asked back, None where it is a question of its own.

    A metric named alone is a change of the query before, if there is one: GMV in September – thanks – orders?
    """
    if offer is None:
        return None
    named = _core(question.text)
    if taken := chosen(question.text, offer.options, by_words=offer.code != "not_understood"):
        outcomes = [plan(text) for text in taken]
        if previous is not None and named == normalise(taken[0]) and all(_is_bare(outcome) for outcome in outcomes):
            return None
        return _all_in_one(outcomes, taken)
    alone = plan(named) if offer.code == "no_metric" else None
    if isinstance(alone, Plan) and _is_bare(alone):
        whole = f"{offer.asked.rstrip(ENDS)} {named}"
        outcome = plan(whole)
        if isinstance(outcome, Plan) and outcome.query != alone.query:  # what was asked says something besides
            return _all_in_one([outcome], (whole,))
    return None


def _is_bare(outcome: Outcome) -> bool:
    """Say whether a metric is asked for and nothing besides."""
    return isinstance(outcome, Plan) and outcome.query == Query(metrics=outcome.query.metrics)


def _all_in_one(outcomes: list[Outcome], asked: tuple[str, ...]) -> Outcome:
    """Return one plan with the metrics of all, or the first outcome alone where they ask for more than other metrics."""
    first = outcomes[0]
    if not isinstance(first, Plan):
        return first
    queries = [_overall(outcome.query) for outcome in outcomes if isinstance(outcome, Plan)]
    query, read = first.query, asked[0]
    if 1 < len(queries) == len([q for q in queries if replace(q, metrics=queries[0].metrics) == queries[0]]):
        query = replace(queries[0], metrics=tuple(dict.fromkeys(name for q in queries for name in q.metrics)))
        read = " / ".join(asked)
    said = Text(f"Read as: {read}", f"理解为：{read}")
    return replace(first, query=query, assumptions=(said, *first.assumptions))


def _overall(query: Query) -> Query:
    """Return a query without the rows that only its own metric has, such as the steps of a funnel."""
    return replace(query, dimensions=tuple(name for name in query.dimensions if name not in BEHAVIOUR_KEYS))


def chosen(reply: str, offered: tuple[str, ...], *, by_words: bool) -> tuple[str, ...]:
    """Return the questions that a reply chooses among those offered, nothing where it is a question of its own.

    >>> offers = ("上个月的注册到支付转化率", "上个月的支付转化率")
    >>> chosen("第二个", offers, by_words=True), chosen("支付转化率吧", offers, by_words=True)
    (('上个月的支付转化率',), ('上个月的支付转化率',))
    >>> len(chosen("两个都看", offers, by_words=True)), chosen("上周的订单数", offers, by_words=True)
    (2, ())
    """
    words, core = normalise(reply).strip(ENDS), _core(reply)
    if words in ALL or core in ALL:
        return offered
    at = NAMED.get(core, NAMED.get(words))
    if at is None and (numbered := NUMBERED.fullmatch(words) or NUMBERED.fullmatch(core)):
        at = next(i for i, marks in enumerate(ORDINALS) if numbered[1] in marks)
    if at is not None:
        return offered[at : at + 1 or None] if at < len(offered) else ()
    if not by_words or len(core) < 2:
        return ()
    holding = sorted((len(option), option) for option in offered if core in normalise(option))
    alone = len(holding) == 1 or (len(holding) > 1 and holding[0][0] < holding[1][0])
    return (holding[0][1],) if holding and alone else ()


def _core(reply: str) -> str:
    """Return a reply without the words around what it names.

    >>> _core("我要支付转化率吧"), _core("by AOV, please")
    ('支付转化率', 'aov')
    """
    words = normalise(reply).strip(ENDS)
    return AROUND.sub("", words).strip(ENDS) or words
