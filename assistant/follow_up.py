"""Owns follow-up questions: whether one changes the query before, and the query that results."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property

from wenshu.assistant.kept_filters import adds_value, is_lifted, joined, parts_of
from wenshu.assistant.linker import Target
from wenshu.assistant.moved_periods import moved
from wenshu.assistant.people import everyone, newcomers, people
from wenshu.assistant.reading import Reading, ValueFilter
from wenshu.assistant.rebound import renumbered, with_number_before
from wenshu.assistant.settle import Settler
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Compare, DateRange
from wenshu.semantic_layer.query import Filter, Op, Order, Query, Share, UsersWith, Where, both, filters_of
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS


class FollowUp:
    """Read questions as changes of the query before; `values` are those found in the data, by qualified dimension."""

    def __init__(self, model: Model, settler: Settler, values: Mapping[str, tuple[str, ...]]) -> None:
        self.model, self.settler, self.values = model, settler, values

    def edits(self, reading: Reading) -> bool:
        """Say whether a question that names a metric changes the one before rather than opening a new subject."""
        if reading.has_word("switch", "add", "they") or reading.unfiltered:
            return True
        if (reading.order or reading.limit) and not (
            reading.dimensions or reading.periods or reading.filters or reading.grain
        ):
            return True
        if reading.share and not (
            reading.filters or reading.dimensions or reading.grain or reading.hours or reading.weekdays
        ):
            return True  # 占GMV多少: of what was asked before
        if not self._names_number(reading) or self._keeps_rows(reading):
            return True
        own = all(m.of("metric") or m.is_filler for m in reading.mentions) and not reading.linked.unknown
        if own and not reading.has_word("altogether", "how_many"):
            return True  # a metric and no other word
        return reading.has_word("so") and not reading.periods and not reading.dimensions

    def _keeps_rows(self, reading: Reading) -> bool:
        """Say whether only some rows are kept, named by their values and what they are: iOS orders only."""
        if not reading.has_word("only") or not reading.filters or reading.periods or reading.dimensions or reading.users_with:
            return False
        return all(any(m.of("metric") == targets and m.of("dataset") for m in reading.mentions) for targets in reading.metrics)

    def _take_part(self, previous: Query, reading: Reading) -> None:
        """Read 新客呢, and for new customers?, after a number that counts no people as whose rows are meant."""
        if self._keeps_rows(reading):
            reading.metrics.clear()
            return
        counted = {*people(self.model), *newcomers(self.model), everyone(self.model)}
        named = {name.partition("[")[0] for name in previous.metrics}
        if not reading.has_word("so") or reading.has_word("switch", "add") or len(reading.metrics) != 1 or named & counted:
            return
        mention = next((m for m in reading.mentions if m.of("metric") == reading.metrics[0] and m.of("value")), None)
        if mention is not None and any(target.name in counted for target in mention.of("metric")):
            reading.metrics.clear()
            reading.filters.append(ValueFilter(mentions=(mention.of("value"),)))

    def _names_number(self, reading: Reading) -> bool:
        """Say whether what is asked for is named, rather than only how much it is (深圳是多少)."""
        return bool(reading.metrics or reading.users_with or reading.steps or reading.nouns)

    def has_content(self, reading: Reading) -> bool:
        """Say whether a question without a metric asks for anything at all."""
        return bool(
            reading.asks_for_number or reading.days or reading.mode or reading.unsplit or reading.unfiltered or reading.uncompared or reading.dimensions or reading.dropped or reading.widened or reading.hours or reading.filters or reading.numbers or reading.periods or reading.grain or reading.parts or reading.weekdays
            or reading.compare or reading.share or reading.superlative or reading.order or reading.limit or reading.trend
            or reading.has_word("growth")
        )  # fmt: skip

    def edit(self, previous: Query, reading: Reading, as_of: date) -> tuple[Query, tuple[Text, ...]]:
        """Change the query before by what the question says; the rest is taken over and said."""
        self._move(previous, reading, as_of)
        self._take_part(previous, reading)
        if reading.unfiltered:
            reading.metrics.clear()  # all users
        if reading.versus and len(reading.periods) == 1 and not reading.metrics and previous.period is not None:
            reading.periods.insert(0, _phrase_of(previous))  # 比8月呢: what was asked before, against August
        kept_metrics = tuple(self._with_siblings(renumbered(name, reading, self.model)) for name in previous.metrics)
        named = reading.asks_for_number and self._names_number(reading)
        told_metrics = self.settler.named_metrics(reading) if named else []
        metrics = tuple(with_number_before(targets, previous, self.model) for targets in told_metrics) or kept_metrics
        ranked_by = next((t.name for targets in metrics for t in targets if t.name in previous.metrics), None)
        if reading.asks_for_number and reading.order and ranked_by:
            metrics = (self._with_siblings(ranked_by), *(m for m in kept_metrics if m[0].name != ranked_by))
        if reading.asks_for_number and reading.has_word("add"):
            metrics = (*kept_metrics, *metrics)
        own_keys = (*TIME_PARTS, *BEHAVIOUR_KEYS)
        inherited = tuple(
            name for name in previous.dimensions
            if not (reading.dimensions or reading.unsplit) and name not in (*own_keys, *reading.dropped)
        )
        parts = () if reading.unfiltered == "all" else parts_of(previous.filters)
        old = [part for part in parts if isinstance(part, Where) and not is_lifted(part, reading, self.model, self._known)]
        of_users = [part for part in parts if not isinstance(part, Where) and not reading.unfiltered]
        settled = self.settler.settle(
            reading, (*inherited, *(where.dimension for where in old if where.dimension not in TIME_PARTS)), metrics
        )
        dated = bool(reading.periods)
        if not dated and previous.period is not None:
            reading.periods.append(_phrase_of(previous))
        of_groups = reading.versus and not dated and reading.compare is None and bool(reading.dimensions)  # 男女对比
        told, assumptions = self.settler.query(reading, settled, as_of)
        filters = joined(told.filters, old, reading, self._known)
        replaced = {where.dimension for where in (*filters_of(told.filters), *filters_of(filters))}
        for where in reversed(old):
            if where.dimension not in replaced and not self._is_other_place(where, told.filters):
                filters = both(where, filters)
        if not reading.users_with:
            for part in of_users:
                filters = both(filters, _moved(part, previous, told.period) if dated else part)
        share = told.share or previous.share
        if told.share is not None and isinstance(told.share.where, Where):
            reading.dropped.append(told.share.where.dimension)  # 手机数码占多少: of all categories together
        of_itself = bool(reading.metrics) and told.metrics == previous.metrics  # 占首单用户的多少: of that very number
        if told.share == Share() and not told.dimensions and not told.grain and filters is not None and (not inherited or of_itself):
            share, filters = Share(where=filters), None
        elif told.share is None and previous.share == Share() and (chosen := _part_of_groups(told.filters, previous)) is not None:
            share, filters = Share(where=chosen), None  # 手机数码呢 after 各品类占比
            rest: tuple[Filter, ...] = (*(where for where in old if where.dimension != chosen.dimension), *of_users)
            for kept in rest:
                filters = both(filters, kept)
        dimensions = told.dimensions if reading.dimensions or reading.parts else tuple(
            name for name in previous.dimensions
            if name not in reading.dropped and not reading.unsplit and not (name in replaced and not adds_value(reading) and not any(item.joined or item.negated for item in reading.filters))
        )  # fmt: skip
        period, to_date = (told.period, told.to_date) if reading.periods else (previous.period, previous.to_date)
        order = _as_ranked(told.order, previous, reading) or self._order_kept(previous, told, dimensions)
        if reading.uncompared:
            order = tuple(replace(item, by=item.by.removesuffix("_change")) for item in order)
        if previous.period is None and of_users and all(self._is_undated(name) for name in told.metrics):
            period, to_date = None, None  # the period is that of the condition on users
        own_grain = any(target.grain for target in settled.metrics)
        grain = told.grain or (None if reading.unsplit or reading.parts or own_grain else previous.grain)
        if told.share is None and share == Share() and not dimensions and not grain:
            share = None  # 不分渠道了: there are no groups left that have shares
        keys = (*dimensions, str(grain))
        per = told.per or (() if reading.dimensions else tuple(name for name in previous.per if name in keys))
        compare = (told.compare if not of_groups else None) or (previous.compare if not dated or not isinstance(previous.compare, DateRange) else None)
        keeps_limit = bool(dimensions or grain) and not (reading.dimensions or reading.unsplit or reading.widened)
        query = replace(
            told, dimensions=dimensions, per=per, grain=grain, period=period, to_date=to_date, filters=filters,
            compare=compare if not reading.uncompared else None,
            share=share, order=order, limit=told.limit or (previous.limit if keeps_limit else None),
            conditions=told.conditions or (previous.conditions if told.metrics == previous.metrics else ()),
        )  # fmt: skip
        return query, (*assumptions, *self.taken_over(previous, query, named=bool(reading.metrics), dated=dated))

    def _order_kept(self, previous: Query, told: Query, dimensions: tuple[str, ...]) -> tuple[Order, ...]:
        """Return the order of the rows before, by what is asked for now where it was by what was asked for then."""
        if told.metrics == previous.metrics:
            return previous.order if dimensions or told.grain or previous.grain else ()
        columns = {metric_column(name) for name in previous.metrics}
        ranked = [order for order in previous.order if order.by in columns]
        return tuple(replace(order, by=metric_column(told.metrics[0])) for order in ranked[:1] if dimensions and told.metrics)

    def moves(self, previous: Query, reading: Reading, as_of: date) -> Reading:
        """Return a question that says no more than where the period before is moved to as only that, any other as it is."""
        if (period := moved(previous, reading.linked.text, as_of)) is None:
            return reading
        phrase = TimePhrase(start=0, end=0, text="", period=period)
        return Reading(linked=replace(reading.linked, mentions=(), unknown=()), model=self.model, periods=[phrase])

    def _move(self, previous: Query, reading: Reading, as_of: date) -> None:
        """Read 前一周, the week before, as before the period asked about last."""
        for i, phrase in enumerate(reading.periods):
            if phrase.text and (period := moved(previous, phrase.text, as_of)) is not None:
                reading.periods[i] = replace(phrase, period=period, to_date=None)
                if reading.versus and period == moved(previous, "before that", as_of):
                    reading.compare, reading.periods = Compare.PREVIOUS, []  # compared with the week before

    def _is_other_place(self, where: Where, filters: Filter | None) -> bool:
        """Say whether a new filter is on another dimension that has the old one's values too (北京 as province and city)."""
        return any(set(where.values) <= self._known.get(new.dimension, set()) for new in filters_of(filters))

    @cached_property
    def _known(self) -> dict[str, set[object]]:
        """Return the values of each dimension by its name."""
        known: dict[str, set[object]] = {}
        for dimension in self.model.dimensions:
            values = {value.value for value in dimension.values} | set(self.values.get(dimension.qualified, ()))
            known.setdefault(dimension.name, set()).update(values)
        return known

    def _is_undated(self, name: str) -> bool:
        metric = self.model.metric(name)
        return isinstance(metric, Aggregate) and metric.undated

    def _with_siblings(self, name: str) -> tuple[Target, ...]:
        """Return a metric and those that go by one of its words, for where it does not have what is asked next."""
        base = name.partition("[")[0]
        metric = self.model.metric_by_name[base]
        words = {metric.label.en, metric.label.zh, *metric.synonyms}
        alike = (m.name for m in self.model.metrics if m.name != base and words & {m.label.en, m.label.zh, *m.synonyms})
        return (Target("metric", name), *(Target("metric", other) for other in alike))

    def taken_over(self, previous: Query, query: Query, *, named: bool = False, dated: bool = False) -> tuple[Text, ...]:
        """Say what of the query before is kept, other than metrics or a period that the question has `named` or `dated`."""
        kept: list[Text] = []
        if not named:
            kept.extend(self.model.metric(name).label for name in query.metrics)
        if not dated and query.period is not None:
            kept.append(Text(str(query.period), str(query.period)))
        binder = Binder(self.model, date.min)
        for where in filters_of(query.filters):
            if where in filters_of(previous.filters) and where.dimension not in ("weekday", "hour_of_day", "day_type"):
                label = binder.candidates(where.dimension)[0].label
                shown = "/".join(str(value) for value in where.values)
                kept.append(Text(f"{label.en} {where.op} {shown}", f"{label.zh} {where.op} {shown}"))
        if not kept:
            return ()
        said = Text(
            f"Taken over from the question before: {'; '.join(t.en for t in kept)}.",
            f"沿用上一问：{'；'.join(t.zh for t in kept)}。",
        )
        return (said,)


def _moved(part: Filter, previous: Query, period: DateRange | None) -> Filter:
    """Return a condition on users over another period, where its own was the only one or the same as the question's."""
    if isinstance(part, UsersWith) and isinstance(part.period, DateRange) and previous.period in (None, part.period):
        return replace(part, period=period)
    return part


def _as_ranked(order: tuple[Order, ...], previous: Query, reading: Reading) -> tuple[Order, ...]:
    """Return the order asked for, by the change or share that ranked the rows before where it names nothing: top 3 only."""
    by = previous.order[0].by if len(order) == len(previous.order) == 1 and not reading.metrics else ""
    derived = bool(by) and by in (f"{order[0].by}_change", f"{order[0].by}_share")
    return (replace(order[0], by=by),) if derived else order


def _part_of_groups(filters: Filter | None, previous: Query) -> Where | None:
    """Return a new filter that keeps some of the groups whose shares were asked for, where it is the only one."""
    wheres = [part for part in parts_of(filters) if isinstance(part, Where)]
    kept = len(wheres) == 1 and wheres[0].dimension in previous.dimensions and wheres[0].op in (Op.EQ, Op.IN)
    return wheres[0] if kept else None


def _phrase_of(query: Query) -> TimePhrase:
    """Return the period of the query before as if the question had named it."""
    return TimePhrase(start=0, end=0, text="", period=query.period, to_date=query.to_date)
