"""Owns why a number changed: two periods, or two groups, split into parts that add up, and the part that made the difference.

The calendar is looked at first, then how the number usually moves, then which parts moved unlike the rest
(decomposition.py has the formulas and their sources). Words are drivers_told.py's.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import ClassVar, Literal

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_sql import is_rate as is_percentage
from wenshu.semantic_layer.periods import Compare, DateRange, bucket, calendar_grain
from wenshu.semantic_layer.query import Op, Query, Where
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.calendar_causes import Calendar, calendar_causes
from wenshu.tools.insight.drivers_told import Change, insight_of_change
from wenshu.tools.insight.history import earlier_values, usual_change
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.search import Scope, Searched, search
from wenshu.tools.insight.split import Side, Sides, adds_over_time, dimensions_of, fetch_whole, is_splittable, siblings
from wenshu.tools.query import QueryResult

LONGER = 3  # periods more, for how large each part usually is


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """Ask why the metric of `query` changed against what it is compared with.

    `by` are the dimensions to look at, every fitting one where none is named. `between` is a dimension and two of its
    values: why the first differs from the second. `direction` is where the asker takes the number to have gone.
    """

    name: ClassVar[str] = "drivers"
    label: ClassVar[Text] = Text("Why it changed", "变化归因")

    query: Query
    by: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    direction: Literal["up", "down"] | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Comparing the two sides", "对比前后两侧")
        model, metric = inquiry.model, self.query.metrics[0]
        if not is_splittable(model, metric):
            label = model.metric(metric).label
            raise QueryError(
                "not_splittable",
                Text(f"{label.en} is neither a sum nor a rate of sums: no parts of its change add up.", f"{label.zh}既不是合计也不是合计之比，变化无法拆成可相加的部分。"),
                Text(f"Ask for {label.en} by group against the period before instead.", f"可以改问{label.zh}的分组环比。"),
            )  # fmt: skip
        total = inquiry.ask(self.query)
        sides = self._sides(inquiry, total)
        part = fetch_whole(inquiry, sides)
        if part.before.value is None or part.now.value is None:
            raise _nothing_there(model.metric(metric).label)
        change = Change(metric=metric, part=part, now=total.period, before=total.compared, between=self.between)
        calendar, usual = Calendar(), None
        if total.compared is not None:
            yield Text("Looking at the calendar and at earlier periods", "查看日历因素与历史波动")
            calendar = calendar_causes(inquiry, self.query, total.period, total.compared)
            values = earlier_values(inquiry, self.query, total.period, total.compared)
            percentage = is_percentage(model.metric(metric))
            usual = usual_change(values, relative=not percentage)
        size = change.size(percentage=is_percentage(model.metric(metric)))
        unusual = usual is not None and usual.is_beyond(size)
        yield Text("Splitting the change by each dimension", "按各维度拆分变化")
        searched = self._search(inquiry, sides, unusual=unusual)
        return insight_of_change(
            inquiry, self.query, total, change, searched, calendar=calendar, usual=usual, direction=self.direction
        )

    def _sides(self, inquiry: Inquiry, total: QueryResult) -> Sides:
        plain = replace(self.query, compare=None, to_date=None, period=None)
        if self.between:
            name, *values = self.between
            first, second = (Where(dimension=name, op=Op.EQ, values=(value,)) for value in values)
            period = total.period
            return Sides(query=plain, now=Side(period=period, where=first), before=Side(period=period, where=second))
        assert total.compared is not None
        usual = None
        if adds_over_time(inquiry.model, self.query.metrics[0]) and total.compared.end < total.period.start:
            usual = _longer(total.compared, inquiry.layer.coverage.start)
        return Sides(query=plain, now=Side(period=total.period), before=Side(period=total.compared), usual=usual)

    def _search(self, inquiry: Inquiry, sides: Sides, *, unusual: bool) -> Searched:
        """Search the metric's own dimensions, then those that only a metric of the same name has: categories of item sales."""
        own = dimensions_of(inquiry, sides.metric)
        if self.by:
            return search(inquiry, [self._named(inquiry, sides)], only=self.by, unusual=unusual)
        left_out = self.between[:1]
        scopes = [Scope(sides=sides, by=_but(own, left_out), within=_but(own, left_out))]
        for sibling in siblings(inquiry.model, sides.metric):
            every = dimensions_of(inquiry, sibling)
            seen = {name for scope in scopes for name in scope.by}
            if new := tuple(name for name in every if name not in seen):
                scopes.append(Scope(sides=sides.of(sibling), by=new, within=_but(every, left_out)))
        return search(inquiry, scopes, unusual=unusual)

    def _named(self, inquiry: Inquiry, sides: Sides) -> Scope:
        """Return the scope of the dimensions that the question names, of the first metric of that name that has them."""
        problem: QueryError | None = None
        for metric in (sides.metric, *siblings(inquiry.model, sides.metric)):
            try:
                for name in self.by:
                    inquiry.layer.compile(replace(sides.of(metric).query, period=sides.now.period, dimensions=(name,)), today=inquiry.today)
                every = dimensions_of(inquiry, metric)
                return Scope(sides=sides.of(metric), by=tuple(dict.fromkeys((*self.by, *every))), within=self.by)
            except QueryError as error:
                problem = problem or error
        assert problem is not None
        raise problem


def drivers_of(query: Query, *, direction: Literal["up", "down"] | None = None, between: tuple[str, ...] = ()) -> Drivers:
    """Return the analysis of a query's first metric: its dimensions are looked at, its rows and their order do not matter."""
    compare = None if between else query.compare or Compare.PREVIOUS
    plain = Query(metrics=query.metrics[:1], period=query.period, to_date=query.to_date, filters=query.filters, compare=compare)
    return Drivers(query=plain, by=query.dimensions, between=between, direction=direction)


def _longer(before: DateRange, first: date) -> DateRange:
    """Return the time up to the end of `before` that holds up to three more of its kind, whole ones."""
    start, grain = before.start, calendar_grain(before)
    for _ in range(LONGER):
        day = start - timedelta(days=1)
        earlier = bucket(day, grain).start if grain else start - timedelta(days=before.days)
        if earlier < first:
            break
        start = earlier
    return DateRange(start, before.end)


def _but(names: tuple[str, ...], left_out: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in left_out)


def _nothing_there(label: Text) -> QueryError:
    return QueryError(
        "nothing_to_compare",
        Text(f"There is no {label.en} on one of the two sides.", f"对比的两侧之一没有{label.zh}数据。"),
        Text("Name two periods that both have data.", "请选择都有数据的两个时间段。"),
    )


