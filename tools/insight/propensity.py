"""Owns who will leave and who will buy again: each user's probability, learnt from how users like them went on before.

The behaviour of users up to past days is held against what they did in the days after (customers.py); the model learnt
from the earlier days is tested on the later ones, then learnt again from all of them (learning.py has the methods'
sources). Users are scored where they are, in the database, and leave it as groups.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.learnt_segment import EDGES, LIKELY
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.table import Cell
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.customers import (
    FEATURE,
    GROUP,
    USERS,
    Behaviour,
    folded,
    numbers,
    property_of_users,
    sampled,
    signals_of,
)
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.learning import Chance, area_under_curve, calibration, learn_chance
from wenshu.tools.insight.propensity_told import Event, Held, Scored, Share, insight_of_scores

MOST_LEARNT = 12_000  # users read for each of the days learnt from
FEWEST_USERS, FEWEST_EITHER = 300, 60
MOST_PARTS = 2_000  # groups by bands
WHO = {  # those of whom it is asked, up to the day {cut}
    "churn": "COUNT(*) FILTER (WHERE NOT bought AND day <= {cut} AND day > {cut} - 30) > 0",
    "repurchase": "COUNT(*) FILTER (WHERE bought AND day <= {cut} AND day > {cut} - 180) > 0",
}
OUTCOME = {"churn": "NOT active_later", "repurchase": "bought_later"}
READING = Text("Reading how users went on before", "读取用户此前的后续行为")


@dataclass(frozen=True, slots=True)
class Past:
    """Hold what users had done up to a past day, and of whom it came true in the days after."""

    rows: Sequence[Sequence[float]]
    outcomes: Sequence[bool]

    def __add__(self, other: "Past") -> "Past":
        return Past([*self.rows, *other.rows], [*self.outcomes, *other.outcomes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """Ask how likely users are to leave (`churn`) or to buy again (`repurchase`) within `days`, in all or `by` a property."""

    name: ClassVar[str] = "propensity"
    label: ClassVar[Text] = Text("Predicted probability", "概率预测")

    event: Event
    days: int = 30
    by: str | None = None
    filters: Filter | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield READING
        model = inquiry.model
        signals = signals_of(model, self.event)
        by = property_of_users(model, self.by) if self.by else None
        asked = tuple(dict.fromkeys((signals.activity, signals.value)))
        total = inquiry.ask(Query(metrics=asked, dimensions=(by.name,) if by else (), filters=self.filters))
        behaviour = Behaviour(inquiry=inquiry, signals=signals, filters=self.filters, by=by.name if by else None)
        chance, held = yield from learnt_from(behaviour, self.event, self.days)
        yield Text("Scoring every user", "为每位用户打分")
        shares = self._scored(behaviour, chance)
        return insight_of_scores(inquiry, Scored(
            event=self.event, days=self.days, chance=chance, held=held, shares=shares, filters=self.filters,
            by=total.table.column(by.name) if by else None, money=model.metric(signals.value).unit,
        ))  # fmt: skip

    def _scored(self, behaviour: Behaviour, chance: Chance) -> tuple[Share, ...]:
        """Return all users of the last day by band and group, with the sums that means are made of."""
        users = behaviour.users(behaviour.inquiry.as_of, who=WHO[self.event])
        sums = [f"SUM(LN(1 + {name})) AS log_{name}" for name in FEATURE] + [f"SUM({name}) AS {name}" for name in FEATURE]
        band = " + ".join(f"CAST(chance >= {edge} AS INT)" for edge in EDGES)
        group = GROUP if self.by else "NULL"
        text = (
            f"SELECT {band} AS band, {group} AS part, COUNT(*) AS users, SUM(chance) AS chances, {', '.join(sums)}"
            f" FROM (SELECT *, {chance_sql(chance)} AS chance FROM {USERS}) AS scored GROUP BY 1, 2 ORDER BY 1, 2"
        )
        columns = numbers("band", "part", "users", "chances", *(f"log_{name}" for name in FEATURE), *FEATURE)
        rows = behaviour.inquiry.select(folded(users, text), columns, max_rows=MOST_PARTS).table.rows
        n = len(FEATURE)
        shares = (
            Share(
                band=int(_number(row[0])), part=row[1], users=int(_number(row[2])), chances=_number(row[3]),
                logs=tuple(map(_number, row[4 : 4 + n])), sums=tuple(map(_number, row[4 + n :])),
            ) for row in rows
        )  # fmt: skip
        return tuple(shares)


def learnt_from(behaviour: Behaviour, event: Event, days: int) -> Generator[Text, None, tuple[Chance, Held]]:
    """Yield what is being done; return how the event goes with behaviour, learnt from two past days, and how well the later was told.

    Raises `QueryError` where there is too little to learn from, or nothing to be learnt.
    """
    end = behaviour.inquiry.as_of
    earlier = _past(behaviour, event, days, end - timedelta(days=2 * days))
    yield Text("Reading the days to test on", "读取用于检验的日子")
    later = _past(behaviour, event, days, end - timedelta(days=days))
    for past in (earlier, later):
        _check_enough(past, days)
    yield Text("Learning, and testing on days it has not seen", "训练，并在未见过的日子上检验")
    held = _held_out(earlier, later)
    behaviour.inquiry.pause()
    return learn_chance((both := earlier + later).rows, both.outcomes), held


def _past(behaviour: Behaviour, event: Event, days: int, cut: date) -> Past:
    users = behaviour.users(cut, who=WHO[event], later=days)
    statement = sampled(users, [*FEATURE, f"CAST({OUTCOME[event]} AS INT) AS came_true"], MOST_LEARNT)
    rows = behaviour.inquiry.select(statement, numbers(*FEATURE, "came_true"), max_rows=MOST_LEARNT).table.rows
    read = [[_number(cell) for cell in row] for row in rows]
    return Past([row[:-1] for row in read], [bool(row[-1]) for row in read])


def _held_out(earlier: Past, later: Past) -> Held:
    """Return how well the later days were told by what the earlier ones teach."""
    learnt = learn_chance(earlier.rows, earlier.outcomes)
    chances = [learnt.of(row) for row in later.rows]
    area, error = area_under_curve(chances, later.outcomes)
    held = Held(
        area=area, error=error, users=len(chances), expected=sum(chances) / len(chances),
        came=sum(later.outcomes) / len(chances), bands=tuple(calibration(chances, later.outcomes, EDGES)),
    )  # fmt: skip
    if area - 2 * error <= 0.5:
        raise QueryError(
            "no_signal",
            Text(f"What users did does not tell who will: tested, the area under the curve is {area:.2f}, and 0.5 is chance.", f"用户行为无法区分谁会发生：检验的 AUC 为 {area:.2f}，0.5 即为随机。"),
            Text("Ask for the rate by group instead.", "可以改问分组的比率。"),
        )  # fmt: skip
    return held


def _check_enough(past: Past, days: int) -> None:
    true, count = sum(past.outcomes), len(past.outcomes)
    if count < FEWEST_USERS or min(true, count - true) < FEWEST_EITHER:
        raise QueryError(
            "too_thin",
            Text(f"There is too little to learn from: {count:,} users up to a past day, {true:,} of whom did.", f"可学习的数据太少：截至过去某日有 {count:,} 位用户，其中 {true:,} 位发生。"),
            Text(
                f"It takes {FEWEST_USERS} users, {FEWEST_EITHER} who did and {FEWEST_EITHER} who did not, at two days {days} days apart; ask about a larger group.",
                f"至少需要 {FEWEST_USERS} 位用户，发生与未发生各 {FEWEST_EITHER} 位，且相隔 {days} 天的两个时点都满足；请扩大范围。",
            ),
        )  # fmt: skip


def chance_sql(chance: Chance) -> str:
    """Return a user's chance as SQL over the features."""
    terms = (f"({weight:.12g}) * LN(1 + {name})" for name, weight in zip(FEATURE, chance.weights, strict=True))
    odds = f"({chance.intercept:.12g}) + {' + '.join(terms)}"
    return f"1 / (1 + EXP(-GREATEST(-500, LEAST(500, {odds}))))"


def reason_sql(chance: Chance) -> str:
    """Return, as SQL over the features and the chance, the feature that adds most to a likely user's chance.

    One that weighs against what it goes with, beside others that say the same, is no reason.
    """
    parts = zip(FEATURE, chance.weights, chance.means, chance.gaps, strict=True)
    added = {name: f"({weight:.12g}) * (LN(1 + {name}) - ({mean:.12g}))" for name, weight, mean, gap in parts if weight * gap > 0}
    most = f"GREATEST({', '.join(('0', *added.values()))})"
    named = " ".join(f"WHEN {sql} THEN '{name}'" for name, sql in added.items())
    return f"CASE WHEN chance >= {EDGES[LIKELY - 1]} THEN CASE {most} WHEN 0 THEN NULL {named} END END"


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0
