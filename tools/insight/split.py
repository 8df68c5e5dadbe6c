"""Owns fetching a metric's parts on the two sides of a comparison, each as sums that can be added up again.

Knows which metrics can be split: sums and counts, and one of them over another. Judges nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlglot import exp

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    AverageOver,
    Cumulative,
    Funnel,
    Lifecycle,
    LifetimeValue,
    Metric,
    PeriodReturn,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import PERIOD_END, PERIOD_START, Dimension, Model
from wenshu.semantic_layer.periods import DateRange, Grain, bucket, calendar_grain
from wenshu.semantic_layer.query import Filter, Query, both
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.tools.insight.decomposition import Amount, Part
from wenshu.tools.insight.insight import Inquiry

MOST_PARTS = 60  # of a dimension that nobody named
MOST_TOGETHER, MOST_CELLS, MOST_ROWS = 4, 3_000, 60_000  # dimensions asked for at once, and their combinations
UNKNOWN_PARTS = 400  # of a dimension whose values are not known beforehand
Key = tuple[Cell, ...]
Read = Callable[[tuple[Cell, ...]], Amount | None]
Cells = dict[Key, dict[str, Amount]]  # by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Hold one side of a comparison: a period, and a filter where groups are compared."""

    period: DateRange
    where: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Hold what is compared: a query of one metric without period, and two sides of it.

    `usual` is a longer time up to the side before, which tells better how large each part usually is.
    """

    query: Query
    now: Side
    before: Side
    usual: DateRange | None = None

    @property
    def metric(self) -> str:
        return self.query.metrics[0]

    def of(self, metric: str) -> "Sides":
        """Return the same sides of another metric."""
        return replace(self, query=replace(self.query, metrics=(metric,)))

    @property
    def grain(self) -> Grain | None:
        """Return the grain of which both sides are buckets next to each other, so that one query has them all."""
        grain = calendar_grain(self.now.period)
        if grain is None or self.now.where != self.before.where or calendar_grain(self.before.period) != grain:
            return None
        now, before = (side.period for side in (self.now, self.before))
        adjoining = bucket(now.start, grain) == now and bucket(now.start - timedelta(days=1), grain) == before
        whole = self.usual is None or bucket(self.usual.start, grain).start == self.usual.start
        return grain if adjoining and whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Hold a whole's parts by a dimension, and the same parts against their usual size; keys are raw values."""

    sides: Sides
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    judged: tuple[Part, ...]

    @property
    def by(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def fetch_whole(inquiry: Inquiry, sides: Sides, where: Filter | None = None) -> Part:
    """Return both sides undivided; `where` keeps some rows only."""
    return _split(sides, (), _fetch_cells(inquiry, sides, (), where)[1]).parts[0]


def fetch(inquiry: Inquiry, sides: Sides, by: Sequence[str], where: Filter | None = None) -> Iterator[Split]:
    """Yield the split by each dimension, several from one statement; one that the metric does not have is left out."""
    for pack in _packs(inquiry, sides.metric, by):
        try:
            columns, cells = _fetch_cells(inquiry, sides, pack, where)
        except QueryError:
            if len(pack) > 1:
                for name in pack:
                    yield from fetch(inquiry, sides, (name,), where)
            continue
        for at, column in enumerate(columns):
            yield _split(sides, (column,), _margin(cells, at))


def _split(sides: Sides, columns: tuple[Column, ...], cells: Cells) -> Split:
    nothing = Amount(0.0, 0.0 if any(a.base is not None for found in cells.values() for a in found.values()) else None)

    def part(key: Key, then: str) -> Part:
        found = cells.get(key, {})
        return Part(key, found.get(then, nothing), found.get("now", nothing))

    keys = [key for key, found in cells.items() if "now" in found or "before" in found] or ([()] if not columns else [])
    parts = tuple(part(key, "before") for key in keys)
    return Split(sides=sides, columns=columns, parts=parts, judged=tuple(part(key, "usual") for key in cells) if sides.usual else parts)


def _margin(cells: Cells, at: int) -> Cells:
    """Return the cells of one dimension, with the others added up."""
    out: Cells = {}
    for key, found in cells.items():
        margin = out.setdefault((key[at],), {})
        for side, amount in found.items():
            margin[side] = margin[side] + amount if side in margin else amount
    return out


def _packs(inquiry: Inquiry, name: str, by: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield dimensions to be asked for together: combinations are few, and their values add up to each one's.

    Values of users' own properties add up whatever is counted, as a user has one combination; those of rows do where
    every row counts once.
    """
    model, values = inquiry.model, inquiry.layer.profile.values
    entities = {dataset.name for dataset in model.datasets if dataset.entity}
    pack: list[str] = []
    cells = 1
    for of_users in (True, False):
        for dimension_name in by:
            dimension = next((d for d in model.dimensions if dimension_name in (d.name, d.qualified)), None)
            own = dimension is not None and dimension.dataset in entities
            if own is not of_users:
                continue
            known = max(len(values.get(dimension.qualified, ())), len(dimension.values)) if dimension else 0
            size = (known or UNKNOWN_PARTS) + 1
            together = own or adds_up_by_row(model, name)
            if pack and (not together or len(pack) == MOST_TOGETHER or cells * size > MOST_CELLS):
                yield tuple(pack)
                pack, cells = [], 1
            pack.append(dimension_name)
            cells *= size
        if pack:
            yield tuple(pack)
            pack, cells = [], 1


def _fetch_cells(
    inquiry: Inquiry, sides: Sides, by: Sequence[str], where: Filter | None
) -> tuple[tuple[Column, ...], Cells]:
    """Run the sides by dimensions: as buckets of one query where they are, else one query each."""
    cells: Cells = {}
    columns: tuple[Column, ...] = ()
    grain = sides.grain
    if grain is not None:
        first = sides.usual.start if sides.usual else sides.before.period.start
        period = DateRange(first, sides.now.period.end)
        columns, rows = _amounts(inquiry, replace(sides.query, period=period, grain=grain, filters=both(sides.query.filters, sides.now.where)), by, where)
        for day, key, amount in rows:
            for name in _sides_of(day, sides):
                _add(cells, key, name, amount)
        return columns, cells
    asked = [("now", sides.now), ("before", sides.before)]
    asked += [("usual", Side(period=sides.usual))] if sides.usual else []
    for name, side in asked:
        query = replace(sides.query, period=side.period, filters=both(sides.query.filters, side.where))
        columns, rows = _amounts(inquiry, query, by, where)
        for _, key, amount in rows:
            _add(cells, key, name, amount)
    return columns, cells


def _sides_of(day: date | None, sides: Sides) -> Iterator[str]:
    if day is not None and day >= sides.now.period.start:
        yield "now"
        return
    if day is not None and day >= sides.before.period.start:
        yield "before"
    if sides.usual:
        yield "usual"


def _add(cells: Cells, key: Key, side: str, amount: Amount) -> None:
    found = cells.setdefault(key, {})
    found[side] = found[side] + amount if side in found else amount


# What can be split ---------------------------------------------------------------------------------------------------


def is_splittable(model: Model, name: str) -> bool:
    """Say whether parts of a metric can be put together again: a median's or a derived number's cannot."""
    metric = model.metric(name)
    if isinstance(metric, Ratio):
        return all(is_sum(model.metric(each), model) for each in (metric.numerator, metric.denominator))
    rates = (Retention, Repurchase, RepurchaseWithin, PeriodReturn, LifetimeValue, Funnel)
    return is_sum(metric, model) or isinstance(metric, rates) or _count_beside(metric, model) is not None


def adds_over_time(model: Model, name: str) -> bool:
    """Say whether a longer period is its shorter ones together, so that a part's usual size can be read from it."""
    metric = model.metric(name)
    if isinstance(metric, Ratio):
        return all(adds_over_time(model, each) for each in (metric.numerator, metric.denominator))
    if isinstance(metric, Aggregate):
        return metric.additive or metric.aggregation is Aggregation.AVERAGE
    return isinstance(metric, Retention | RepurchaseWithin | LifetimeValue)


def adds_up_by_row(model: Model, name: str) -> bool:
    """Say whether a metric adds up over any groups of rows: no user or thing is counted once for several."""
    metric = model.metric(name)
    if isinstance(metric, Ratio):
        return all(adds_up_by_row(model, each) for each in (metric.numerator, metric.denominator))
    return isinstance(metric, Aggregate) and (metric.additive or metric.aggregation is Aggregation.AVERAGE)


def is_sum(metric: Metric, model: Model) -> bool:
    """Say whether the values of disjoint groups of rows, or of users, add up."""
    if isinstance(metric, Cumulative | AverageOver):
        return is_sum(model.metric(metric.metric), model)
    return isinstance(metric, Lifecycle) or (isinstance(metric, Aggregate) and metric.zero_if_empty)


def _count_beside(metric: Metric, model: Model) -> str | None:
    """Return the metric that counts the rows of which another is the mean."""
    if not isinstance(metric, Aggregate) or metric.aggregation is not Aggregation.AVERAGE:
        return None
    return next((
        m.name for m in model.metrics
        if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and (m.dataset, m.where, m.time, m.filters) == (metric.dataset, metric.where, metric.time, metric.filters)
    ), None)  # fmt: skip


def _amounts(
    inquiry: Inquiry, side: Query, by: Sequence[str], where: Filter | None
) -> tuple[tuple[Column, ...], list[tuple[date | None, Key, Amount]]]:
    """Run a query by dimensions and read its amounts, each with its bucket where it has a grain."""
    metric = inquiry.model.metric(side.metrics[0])
    names, filters = side.metrics, both(side.filters, where)
    if isinstance(metric, Ratio):
        names, filters = (metric.numerator, metric.denominator), both(filters, metric.filters)
    elif isinstance(metric, Cumulative):
        names = (metric.metric,)
    elif (count := _count_beside(metric, inquiry.model)) is not None:
        names = (*names, count)
    asked = replace(side, metrics=tuple(dict.fromkeys(names)), dimensions=tuple(by), filters=filters, compare=None)
    table = inquiry.ask(asked, max_rows=MOST_ROWS).table
    read = _reader(table, metric, tuple(metric_column(name) for name in names))
    places = [table.index(name) for name in by]
    time = table.index(str(side.grain)) if side.grain else None
    rows: list[tuple[date | None, Key, Amount]] = []
    for row in table.rows:
        day = row[time] if time is not None else None
        if (amount := read(row)) is not None:
            rows.append((day if isinstance(day, date) else None, tuple(row[place] for place in places), amount))
    return tuple(table.column(name) for name in by), rows


def _reader(table: ResultTable, metric: Metric, names: tuple[str, ...]) -> Read:
    """Return how a row's amount is read: its sum, or the counts that its rate is made of."""
    index = {column.name: at for at, column in enumerate(table.columns)}

    def cell(row: tuple[Cell, ...], name: str) -> float:
        value = row[index[name]]
        return float(value) if isinstance(value, int | float) else 0.0

    def read(row: tuple[Cell, ...]) -> Amount | None:
        def count(suffix: str) -> float:
            return cell(row, f"{names[0]}_{suffix}")

        match metric:
            case Retention():
                return Amount(count("retained"), count("cohort"))
            case RepurchaseWithin():
                return Amount(count("repeat_users"), count("cohort"))
            case LifetimeValue():
                return Amount(cell(row, names[0]) * count("cohort"), count("cohort"))
            case Repurchase():
                return Amount(count("repeat_users"), count("users"))
            case PeriodReturn():
                back = count("users_back")
                return Amount(count("users_before") - back if metric.lost else back, count("users_before"))
            case Funnel() if FUNNEL_STEP in index:
                place = count("place")
                if place == 1:
                    return Amount(0.0, count("converted"))
                return Amount(count("converted"), 0.0) if place == len(metric.steps) else None
            case Funnel():
                return Amount(count("converted"), count("entered"))
            case Ratio():
                return Amount(cell(row, names[0]), cell(row, names[-1]))
            case _ if len(names) == 2:  # a mean, and what it is over
                return Amount(cell(row, names[0]) * cell(row, names[1]), cell(row, names[1]))
            case _:
                return Amount(cell(row, names[0]))

    return read


# What it can be split by ---------------------------------------------------------------------------------------------


def dimensions_of(inquiry: Inquiry, name: str) -> tuple[str, ...]:
    """Return the dimensions worth looking at: properties with few values, of the things counted or of whom they belong to.

    Segments and users' own numbers are left out: they are computed from the outcome that they would explain. So are, for
    what counts people, properties of what they did, which one person has several of, where people have properties.
    """
    model, values = inquiry.model, inquiry.layer.profile.values
    binder, leaves = Binder(model, date.min), model.leaves(name)
    names: list[str] = []
    of_people: list[str] = []
    for dimension in model.dimensions:
        known = len(values.get(dimension.qualified, ())) or len(dimension.values)
        few = dimension.type in ("string", "boolean") and 2 <= known <= MOST_PARTS
        if dimension.pii or not few or dimension.name in names or _is_of_outcome(model, dimension):
            continue
        if _comes_and_goes(model, dimension) and dimension.dataset not in {leaf.dataset for leaf in leaves}:
            continue
        try:
            for leaf in leaves:
                binder.dimension(dimension.name, leaf)
        except QueryError:
            continue
        names.append(dimension.name)
        if model.dataset_by_name[dimension.dataset].entity:
            of_people.append(dimension.name)
    return tuple(of_people if of_people and _counts_people(model, name) else names)


def _counts_people(model: Model, name: str) -> bool:
    """Say whether a metric counts whoever did something, however often, so that one may be in several groups of rows."""
    metric = model.metric(name)
    if isinstance(metric, Ratio):
        return any(_counts_people(model, each) for each in (metric.numerator, metric.denominator))
    if isinstance(metric, AverageOver):
        return _counts_people(model, metric.metric)
    distinct = isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT_DISTINCT
    return distinct or isinstance(metric, Repurchase | PeriodReturn | Lifecycle)


def _is_of_outcome(model: Model, dimension: Dimension) -> bool:
    """Say whether a dimension is made from what happened in the period, or bands a row's own number."""
    dataset = model.dataset_by_name[dimension.dataset]
    trees = [dimension.expr, *([] if isinstance(dataset.source, str) else [dataset.source])]
    relative = any(column.name in (PERIOD_START, PERIOD_END) for tree in trees for column in tree.find_all(exp.Column))
    return dataset.is_segment or relative or (bool(dimension.bands) and not dataset.entity)


def _comes_and_goes(model: Model, dimension: Dimension) -> bool:
    """Say whether a dimension belongs to things with a time of their own, such as campaigns, that end as others begin."""
    dataset = model.dataset_by_name[dimension.dataset]
    return dataset.time is not None and not dataset.entity


def siblings(model: Model, name: str) -> tuple[str, ...]:
    """Return the sums or rates that people call by the same words and in the same unit: item sales for GMV."""
    own = model.metric(name)
    words = {own.label.en, own.label.zh, *own.synonyms}
    return tuple(
        m.name for m in model.metrics
        if m.name != own.name and m.unit == own.unit and words & {m.label.en, m.label.zh, *m.synonyms} and is_splittable(model, m.name)
    )  # fmt: skip
