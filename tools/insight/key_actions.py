"""Owns which first actions go with staying, or with buying again: counted per user, held alike by channel, never called a cause.

A landmark analysis (Anderson, Cain & Gelber 1983, J. Clin. Oncol. 1:710–719): what users did in the first hours against what
they did only after them. Differences are Mantel–Haenszel's (strata.py), the words key_actions_told.py's.
"""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations
from typing import ClassVar

from sqlglot import exp

from wenshu.semantic_layer.conditions import literal
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, LastEvent, Paths, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.user_rows import moment_of
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.key_actions_told import Candidate, Landmark, insight_of_actions
from wenshu.tools.insight.significance import holm
from wenshu.tools.insight.strata import Association, Cell, association
from wenshu.tools.insight.user_statement import HAPPENED, UserRows, plain_columns, real, user_rows

FIRST_HOURS = 24
TIMES = (1, 2, 3, 4, 5)  # how often an action may be asked to have been done
MOST_ACTIONS, MOST_COMBINED, MOST_STRATA, MOST_VISITS = 24, 4, 12, 4
COVERAGE = (0.02, 0.95)  # share of users who do something, outside which little is to be gained by it
PRESENCE = 0.8  # correlation with the number of visits, from which on an action only says that somebody is there
FEWEST = 200  # users, below which nothing is looked for

COHORT = """
SELECT user_id, min(happened_at) AS started_at, CAST(min(happened_at) AS DATE) AS started_on, min(stratum) AS stratum
FROM start_rows GROUP BY user_id
"""
FIRST_COHORT = "SELECT user_id, happened_at AS started_at, CAST(happened_at AS DATE) AS started_on, stratum FROM start_rows QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY happened_at, row_key) = 1"
ACTIVE = """
SELECT a.user_id, max(CAST(CAST(a.happened_at AS DATE) - c.started_on BETWEEN :low AND :high AND a.happened_at >= c.started_at + :hours * INTERVAL '1' HOUR AS INTEGER)) AS outcome,
    max(CAST(a.happened_at > c.started_at AND a.happened_at < c.started_at + :hours * INTERVAL '1' HOUR AS INTEGER)) AS early
FROM outcome_rows AS a JOIN cohort AS c ON c.user_id = a.user_id
WHERE a.happened_at >= c.started_at AND (CAST(a.happened_at AS DATE) - c.started_on BETWEEN :low AND :high OR a.happened_at < c.started_at + :hours * INTERVAL '1' HOUR)
GROUP BY 1
"""
DONE = """
SELECT e.user_id, least(bit_count(bit_or(1 << CAST(date_diff('hour', c.started_at, e.happened_at) AS INTEGER))), :most) AS visits, {counts}
FROM action_rows AS e JOIN cohort AS c ON c.user_id = e.user_id
WHERE e.happened_at >= c.started_at AND e.happened_at < c.started_at + :hours * INTERVAL '1' HOUR
GROUP BY 1
"""
PER_USER = """
SELECT c.stratum, coalesce(d.visits, 0) AS visits, coalesce(o.outcome, 0) AS outcome, {counts}
FROM cohort AS c LEFT JOIN done AS d ON d.user_id = c.user_id LEFT JOIN outcomes AS o ON o.user_id = c.user_id
WHERE c.started_on BETWEEN :first AND :last{early}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyActions:
    """Ask which actions of the first hours go with an outcome: `outcome` is a metric of retention or of repurchase.

    `period` keeps those who started in it, `filters` some of them; `by` is the dimension within whose values users are compared.
    """

    name: ClassVar[str] = "key_actions"
    label: ClassVar[Text] = Text("Key actions", "关键行为")

    outcome: str
    filters: Filter | None = None
    period: DateRange | None = None
    by: str | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Counting what users did first", "统计用户的首日行为")
        model, rows = inquiry.model, user_rows(inquiry)
        metric = model.metric(self.outcome)
        actions = action_dimension(model)
        if actions is None or not isinstance(metric, Retention | RepurchaseWithin):
            raise _not_here(metric.label)
        strata = self.by or stratum_dimension(inquiry)
        rows.permit(self.outcome, dimensions=(actions.qualified, *((strata,) if strata else ())), filters=self.filters)
        values = tuple(inquiry.layer.profile.values.get(actions.qualified, ()))[:MOST_ACTIONS] or tuple(str(v.value) for v in actions.values)
        landmark = _landmark(inquiry, self.outcome, self.period)
        source = _Source(rows, landmark, actions, strata, self.filters)
        singles = source.thresholds(values)
        if singles.users < FEWEST:
            raise _too_few(singles.users)
        yield Text("Comparing users within channels", "在同渠道用户之间对比")
        found = list(_candidates(singles))
        tried = len(found)
        best = _strongest(found)
        several: list[Candidate] = []
        if len(best) > 1:
            yield Text("Looking at several actions together", "查看多个行为的组合")
            sums = source.together(tuple(each.actions[0] for each in best))
            several = list(_candidates(sums))
            tried += len(several)
        chances = holm([each.found.chance for each in (*found, *several)])
        every = [replace(each, corrected=chance) for each, chance in zip((*found, *several), chances, strict=True)]
        return insight_of_actions(inquiry, landmark, actions, strata, _ranked(every), tried=tried, users=singles.users, rate=singles.rate, filters=self.filters)


def action_dimension(model: Model) -> Dimension | None:
    """Return the dimension that says what users did: the one of paths or last events, else one called so."""
    for metric in model.metrics:
        if isinstance(metric, Paths | LastEvent):
            found = [d for d in model.dimensions if metric.dimension in (d.name, d.qualified)]
            if found:
                return found[0]
    named = ("event", "action", "event_name", "event_type", "行为", "事件", "动作")
    return next((d for d in model.dimensions if d.type == "string" and ({d.name, d.label.en, d.label.zh} & set(named))), None)


def stratum_dimension(inquiry: Inquiry) -> str | None:
    """Return the property of users within which they are compared: how they came, else the first with few values."""
    model, values = inquiry.model, inquiry.layer.profile.values
    entities = {dataset.name for dataset in model.datasets if dataset.entity}
    own = [
        d for d in model.dimensions
        if d.dataset in entities and d.type == "string" and not d.pii and not d.bands and 2 <= (len(values.get(d.qualified, ())) or len(d.values)) <= MOST_STRATA
    ]  # fmt: skip
    came = [d for d in own if any(word in f"{d.name} {d.label.en} {d.label.zh}".lower() for word in ("channel", "source", "渠道", "来源"))]
    return next((d.qualified for d in (*came, *own)), None)


def outcomes_of(model: Model) -> tuple[str, ...]:
    """Return the metrics that first actions can be held against: retention from a user's start, repurchase."""
    return tuple(m.name for m in model.metrics if isinstance(m, RepurchaseWithin) or (isinstance(m, Retention) and m.first and m.step is Grain.DAY and not m.hours))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Hold, by candidate (actions, times) and stratum, how many did it and came to the outcome; and all users."""

    users: int
    outcomes: int
    cells: Mapping[tuple[tuple[str, ...], int], Sequence[Cell]]

    @property
    def rate(self) -> float:
        return self.outcomes / self.users if self.users else 0.0


@dataclass(frozen=True, slots=True)
class _Source:
    """Ask the data for users by what they did first and what became of them."""

    rows: UserRows
    landmark: Landmark
    actions: Dimension
    strata: str | None
    filters: Filter | None

    def thresholds(self, values: Sequence[str]) -> _Counts:
        """Count users by stratum and by how often they did each action, in one statement."""
        names = [f"action_{at}" for at in range(len(values))]
        wanted = [(at, times) for at in range(len(values)) for times in TIMES]
        counted = ", ".join(
            f"count_if(action_{at} >= {times}) AS did_{at}_{times}, count_if(action_{at} >= {times} AND outcome = 1) AS got_{at}_{times}" for at, times in wanted
        )
        sums = ", ".join(f"sum({name}) AS sum_{name}, sum({name} * {name}) AS squares_{name}" for name in names)
        sql = f"SELECT stratum, visits, count(*) AS users, count_if(outcome = 1) AS outcomes, {sums}, {counted} FROM per_user GROUP BY 1, 2"
        added = [f"{kind}_{name}" for name in names for kind in ("sum", "squares")]
        columns = plain_columns("stratum", "visits", "users", "outcomes", *added, *(f"{kind}_{at}_{times}" for at, times in wanted for kind in ("did", "got")))
        table = self.rows.inquiry.select(self.rows.statement(sql, self._parts(values, names)), columns).table
        cells: dict[tuple[tuple[str, ...], int], list[Cell]] = {}
        present = {at for at in range(len(values)) if _goes_with_visits([(row[1], row[2], *row[4 + 2 * at : 6 + 2 * at]) for row in table.rows])}
        for row in table.rows:
            users, outcomes = (int(real(cell)) for cell in row[2:4])
            counts = [int(real(cell)) for cell in row[4 + len(added) :]]
            for (at, times), did, got in zip(wanted, counts[::2], counts[1::2], strict=True):
                if at in present:
                    continue
                cells.setdefault(((values[at],), times), []).append(Cell(got, did, outcomes - got, users - did))
        return _Counts(sum(int(real(row[2])) for row in table.rows), sum(int(real(row[3])) for row in table.rows), cells)

    def together(self, values: Sequence[str]) -> _Counts:
        """Count users by stratum and by how often they did any of several actions, for all sums of two and more."""
        names = [f"action_{at}" for at in range(len(values))]
        most = TIMES[-1]
        capped = ", ".join(f"least({name}, {most}) AS {name}" for name in names)
        sql = f"SELECT stratum, visits, {capped}, count(*) AS users, count_if(outcome = 1) AS outcomes FROM per_user GROUP BY ALL"
        columns = plain_columns("stratum", "visits", *names, "users", "outcomes")
        rows_at_most = (MOST_STRATA + 1) * (MOST_VISITS + 1) * (most + 1) ** len(values)
        table = self.rows.inquiry.select(self.rows.statement(sql, self._parts(values, names)), columns, max_rows=rows_at_most).table
        cells: dict[tuple[tuple[str, ...], int], Sequence[Cell]] = {}
        for size in range(2, len(values) + 1):
            for chosen in combinations(range(len(values)), size):
                for times in TIMES:
                    if times >= 2:
                        cells[tuple(values[at] for at in chosen), times] = _summed(table.rows, chosen, times)
        return _Counts(sum(int(real(row[-2])) for row in table.rows), sum(int(real(row[-1])) for row in table.rows), cells)

    def _parts(self, values: Sequence[str], names: Sequence[str]) -> dict[str, exp.Query]:
        rows, mark = self.rows, self.landmark
        extra = (self.strata,) if self.strata else ()
        entity = rows.inquiry.model.dataset_by_name[mark.start.dataset].entity is not None
        until = None if not entity else DateRange(mark.period.start, mark.period.end)
        start = rows.of(mark.start, HAPPENED, dimensions=extra, period=until, filters=self.filters, keyed=not entity)
        if self.strata:
            start.expressions[-1].set("alias", exp.to_identifier("stratum"))
        else:
            start.select(exp.alias_(exp.Literal.string(""), "stratum"), copy=False)
        since = DateRange(mark.period.start, rows.inquiry.as_of)
        done = Aggregate(name="actions", label=self.actions.label, aggregation=mark.back.aggregation, dataset=self.actions.dataset)
        action = rows.of(done, {"happened_at": moment_of}, dimensions=(self.actions.qualified,), period=since)
        action.expressions[-1].set("alias", exp.to_identifier("action"))
        counts = ", ".join(f"count_if(e.action = :{name}) AS {name}" for name in names)
        kept = ", ".join(f"coalesce(d.{name}, 0) AS {name}" for name in names)
        early = " AND coalesce(o.early, 0) = 0" if mark.leaves_early else ""
        high = mark.high
        return {
            "start_rows": start,
            "cohort": rows.statement(COHORT if entity else FIRST_COHORT, {}),
            "outcome_rows": rows.of(mark.back, HAPPENED, period=since),
            "outcomes": rows.statement(ACTIVE, {}, low=mark.low, high=high, hours=FIRST_HOURS),
            "action_rows": action,
            "done": rows.statement(DONE.format(counts=counts), {}, hours=FIRST_HOURS, most=MOST_VISITS, **{n: literal(v) for n, v in zip(names, values, strict=True)}),
            "per_user": rows.statement(PER_USER.format(counts=kept, early=early), {}, first=mark.period.start, last=mark.period.end),
        }


def _goes_with_visits(rows: Sequence[Sequence[object]]) -> bool:
    """Say whether how often users do something is how often they are there; rows hold visits, users, and the sums of it."""
    users = visits = squares = total = crossed = own = 0.0
    for row in rows:
        there, count, done, done_squares = (real(cell) for cell in row)  # type: ignore[arg-type]
        users, visits, squares = users + count, visits + there * count, squares + there**2 * count
        total, crossed, own = total + done, crossed + there * done, own + done_squares
    if not users:
        return False
    spread = (squares / users - (visits / users) ** 2) * (own / users - (total / users) ** 2)
    return spread > 0 and crossed / users - visits * total / users**2 > PRESENCE * math.sqrt(spread)


def _summed(rows: Sequence[Sequence[object]], chosen: Sequence[int], times: int) -> Sequence[Cell]:
    """Return the cells, by stratum, of doing any of the chosen actions so many times together."""
    strata: dict[object, list[int]] = {}
    for stratum, visits, *counts in rows:
        *done, users, outcomes = (int(real(cell)) for cell in counts)  # type: ignore[arg-type]
        cell = strata.setdefault((stratum, visits), [0, 0, 0, 0])
        at = 0 if sum(done[place] for place in chosen) >= times else 2
        cell[at] += outcomes
        cell[at + 1] += users
    return [Cell(*cell) for cell in strata.values()]


def _landmark(inquiry: Inquiry, spec: str, period: DateRange | None) -> Landmark:
    """Return who starts when, and what counts as the outcome; those whose days are not over are left out."""
    model, coverage, metric = inquiry.model, inquiry.layer.coverage, inquiry.model.metric(spec)
    assert isinstance(metric, Retention | RepurchaseWithin)
    if isinstance(metric, RepurchaseWithin):
        start = back = model.metric_by_name[metric.of]
        low, high = 0, metric.days
    else:
        start, back = model.metric_by_name[metric.start], model.metric_by_name[metric.back]
        low, high = metric.low, metric.high if metric.high is not None else 100_000
        if metric.step is not Grain.DAY or low < 2:
            raise QueryError(
                "too_early",
                Text("The outcome must come after the first day: first actions can only go with what happens later.", "结果必须发生在首日之后，才能与首日行为对比。"),
                Text("Ask about day-2 retention or later.", "请询问第 2 日及之后的留存。"),
            )  # fmt: skip
    assert isinstance(start, Aggregate) and isinstance(back, Aggregate), "the loader lets behavioural metrics refer to aggregates only"
    last = inquiry.as_of - timedelta(days=high if high < 100_000 else low)
    wanted = period or DateRange(coverage.start, inquiry.as_of)
    if min(wanted.end, last) < wanted.start:
        raise QueryError(
            "not_over",
            Text("The days to look at are not over for anyone who started then.", "这段时间开始的用户都还没有满观察天数。"),
            Text(f"Ask about users who started up to {last}.", f"请询问 {last} 及之前开始的用户。"),
        )
    return Landmark(start=start, back=back, low=low, high=high, period=DateRange(wanted.start, min(wanted.end, last)), leaves_early=isinstance(metric, RepurchaseWithin), spec=spec, metric=metric)


def _candidates(counts: _Counts) -> Iterator[Candidate]:
    for (actions, times), cells in counts.cells.items():
        found: Association | None = association(cells)
        if found is not None and COVERAGE[0] <= found.coverage <= COVERAGE[1]:
            users = sum(cell.with_all for cell in cells)
            yield Candidate(actions=actions, times=times, users=users, found=found, corrected=1.0)


def _strongest(found: Sequence[Candidate]) -> list[Candidate]:
    """Return the actions that go most surely with the outcome, each with its best number of times."""
    best: dict[str, Candidate] = {}
    for each in found:
        name = each.actions[0]
        if each.found.z > 2 and (name not in best or each.found.z > best[name].found.z):
            best[name] = each
    return sorted(best.values(), key=lambda each: -each.found.z)[:MOST_COMBINED]


def _ranked(found: Sequence[Candidate]) -> list[Candidate]:
    """Return the best number of times of each action or sum, the surest first; a sum only where it says more than its parts."""
    best: dict[tuple[str, ...], Candidate] = {}
    for each in found:
        if each.actions not in best or abs(each.found.z) > abs(best[each.actions].found.z):
            best[each.actions] = each
    alone = [each for each in best.values() if len(each.actions) == 1]
    sums = sorted((each for each in best.values() if len(each.actions) > 1), key=lambda each: -each.found.z)
    kept = [each for each in sums[:1] if all(each.found.z > abs(other.found.z) for other in alone)]
    return sorted((*kept, *alone), key=lambda each: -each.found.z)


def _not_here(label: Text) -> QueryError:
    return QueryError(
        "no_first_actions",
        Text(f"First actions cannot be held against {label.en} in this data.", f"这份数据无法把首日行为与{label.zh}对比。"),
        Text("It takes events of users by name, and retention from their start or repurchase.", "需要带事件名的用户行为数据，以及从开始算起的留存或复购指标。"),
    )  # fmt: skip


def _too_few(users: int) -> QueryError:
    return QueryError(
        "too_thin",
        Text(f"Only {users:,} users' days are over; {FEWEST} are needed to compare first actions.", f"观察天数已满的用户只有 {users:,} 人，至少需要 {FEWEST} 人才能比较首日行为。"),
        Text("Take a longer period or fewer filters.", "请选择更长的时间段或减少筛选条件。"),
    )  # fmt: skip
