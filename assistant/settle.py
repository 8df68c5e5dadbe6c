"""Owns settling a reading: which of the things a word may mean fits everything else asked, as one semantic query.

The noun beside a value decides its dimension, then what is counted, then the fewest joins; of several metrics the
first that has every dimension and filter wins, in the order of the model file. Nothing is guessed that fits nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product

from sqlglot import exp

from wenshu.assistant.linker import Target
from wenshu.assistant.people import everyone, people, subject
from wenshu.assistant.reading import Reading, UserCondition, ValueFilter
from wenshu.assistant.settle_times import times
from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS, PERIOD_NUMBER
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Funnel, Retention
from wenshu.semantic_layer.model import PERIOD_END, PERIOD_START, Model
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, bucket_start
from wenshu.semantic_layer.query import Condition, Filter, LastDays, Op, Order, Query, Share, UsersWith, Where, both
from wenshu.semantic_layer.text import Text

SO_FAR = {Grain.DAY: "今天", Grain.WEEK: "本周", Grain.MONTH: "本月", Grain.QUARTER: "本季度", Grain.YEAR: "今年"}
FIRST_PEOPLE = 10  # of users ranked where no number was said


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Hold the metrics chosen for the words of a question, and its filters as the model knows them."""

    metrics: tuple[Target, ...]
    filters: tuple[Where, ...]


class Settler:
    """Settle readings over one model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def settle(
        self, reading: Reading, inherited: tuple[str, ...], metrics: tuple[tuple[Target, ...], ...] | None = None
    ) -> Settled:
        """Choose, among the metrics that the words may mean, the first that have every dimension and filter asked for.

        Raises the `QueryError` of the first choice where none fits.
        """
        names = [
            *inherited,
            *reading.dimensions,
            *(name for name, _ in reading.dated),
            *(n.dimension for n in reading.numbers if n.dimension),
        ]
        own = [condition.period for condition in reading.users_with if condition.period is not None]
        if len(reading.periods) == 1 and any(
            condition.op is Op.EQ and not condition.value for condition in reading.users_with
        ):
            own = reading.periods  # who did nothing in a period is counted among all users
        if reading.users_with and any(len(targets) > 1 and self._is_people(targets) for targets in reading.metrics):
            own = reading.periods  # the period is the condition's
        dated = bool([p for p in reading.periods if p not in own] or reading.grain or reading.trend)
        problem: QueryError | None = None
        named = metrics if metrics is not None else self.named_metrics(reading)
        if dated and len(reading.periods) == 1 and reading.periods[0].is_open:
            named = [self._so_far(targets) for targets in named]
        for choice in product(*named):
            if dated and len(choice) == 1 and self._is_undated(choice[0]) and self._has_other(reading, choice[0]):
                continue  # of several readings, one that the period applies to
            try:
                filters = self._fit(choice, names, reading.filters)
                return Settled(metrics=tuple(dict.fromkeys(choice)), filters=filters)
            except QueryError as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def named_metrics(self, reading: Reading) -> list[tuple[Target, ...]]:
        """Return the metrics named: a funnel with the steps and the window said, users where only users are asked for."""
        named = list(reading.metrics)
        funnels = [metric for metric in self.model.metrics if isinstance(metric, Funnel)]
        if funnels and (reading.steps or reading.window or reading.step_order):
            said = [f"steps={'>'.join(reading.steps)}"] if reading.steps else []
            said += [reading.window] if reading.window else []
            said += [f"order={reading.step_order}"] if reading.step_order else []
            funnel = (Target("metric", f"{funnels[0].name}[{','.join(said)}]"),)
            named = [targets for targets in named if not any(_base(t) == funnels[0].name for t in targets)]
            named.append(funnel)
        if not named and reading.asks_how_many and (rows := self._rows_filtered(reading)) is not None:
            named = [(rows,)]
        if not named and (
            reading.users_with
            or reading.asks_how_many
            or (reading.asks_which_group and reading.filters)
            or self.is_about_people(reading)
        ):
            named = [()]
        return [
            self._people(reading, targets) if not targets or self._is_people(targets) else targets for targets in named
        ]

    def _rows_filtered(self, reading: Reading) -> Target | None:
        """Return the metric that counts the things that all filters are of, where they are no users (退款的有多少: orders)."""
        if reading.users_with or reading.dated or reading.nouns or not reading.filters:
            return None
        owners = {dataset.name for dataset in self.model.datasets if dataset.entity or dataset.is_segment}
        of = [{name.rpartition(".")[0] for name in item.dimensions} for item in reading.filters]
        common = set.intersection(*of)
        if any(datasets & owners for datasets in of) or len(common) != 1 or any(True for _ in self._doers(reading)):
            return None
        counts = (m.name for m in self.model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and m.dataset in common)
        return next((Target("metric", name) for name in counts), None)

    def is_about_people(self, reading: Reading) -> bool:
        """Say whether groups of users are named, or their make-up asked for, so that they are what is counted."""
        segments = {dataset.name for dataset in self.model.datasets if dataset.is_segment}
        users = {dataset.name for dataset in self.model.datasets if dataset.entity}
        of = {d.rpartition(".")[0] for item in reading.filters for d in item.dimensions}
        compared = {number.dimension for number in reading.numbers}
        of |= {d.dataset for d in self.model.dimensions if d.name in compared}
        grouped = {d.dataset for d in self.model.dimensions if d.name in reading.dimensions}
        learnt = {dataset.name for dataset in self.model.datasets if dataset.lesson}
        named = of | grouped
        asks_for_all = bool(grouped & learnt) or (reading.share and bool(named))
        return bool(of & segments and of <= users | segments) or (asks_for_all and named <= users | segments)

    def counts_anyone(self, targets: tuple[Target, ...]) -> bool:
        """Say whether a word counts people without saying which (人数): who they are is for the other words to say."""
        return self._is_people(targets)

    def _is_people(self, targets: tuple[Target, ...]) -> bool:
        return any(target.name == everyone(self.model) for target in targets)

    def _people(self, reading: Reading, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Return what “how many users” may count: those of the rows that the question speaks of first, then as the words say."""
        denied = {
            leaf.dataset for condition in reading.users_with
            if condition.op is Op.EQ and not condition.value and condition.period is None
            for target in condition.metric for leaf in self.model.leaves(target.name)
        }  # fmt: skip
        nouns = (noun for noun in dict.fromkeys(reading.nouns) if noun not in denied)
        spoken = [*(name for noun in nouns for name in people(self.model, noun)), *self._doers(reading)]
        all_users = everyone(self.model)
        usual = [t.name for t in targets] + [name for name in people(self.model)]
        if all_users is not None and not spoken and (reading.users_with or not targets):
            usual.insert(0, all_users)
        return tuple(Target("metric", name) for name in dict.fromkeys((*spoken, *usual)))

    def _doers(self, reading: Reading) -> Iterator[str]:
        """Yield who did what the dataset of a filter or a group is made from, where that has a row for each of them (老客: buyers)."""
        named = {name.rpartition(".")[0] for item in reading.filters for name in item.dimensions}
        named |= {d.dataset for d in self.model.dimensions if d.name in reading.dimensions}
        for dataset in self.model.datasets:
            if dataset.name in named and not isinstance(dataset.source, str) and not dataset.is_segment and any(people(self.model, dataset.name)):
                yield from (name for made in self.model.datasets if made.source in dataset.tables for name in people(self.model, made.name))

    def _so_far(self, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Put those who had come by a day before all users there are: 截至8月底一共多少用户."""
        if not targets or not self._is_undated(targets[0]):
            return targets
        (all_of,) = self.model.leaves(targets[0].name)
        dated = (m for m in self.model.metrics if isinstance(m, Aggregate) and not m.undated and m.where is None)
        same = (m.name for m in dated if (m.dataset, m.aggregation, m.expr) == (all_of.dataset, all_of.aggregation, all_of.expr))
        return (*(Target("metric", name) for name in same), *targets)

    def _is_undated(self, target: Target) -> bool:
        metric = self.model.metric(target.name)
        return isinstance(metric, Aggregate) and metric.undated

    def _has_other(self, reading: Reading, target: Target) -> bool:
        return any(target in targets and len(targets) > 1 for targets in reading.metrics)

    def _fit(
        self, metrics: Iterable[Target], dimensions: Iterable[str], filters: Iterable[ValueFilter]
    ) -> tuple[Where, ...]:
        binder = Binder(self.model, date.min)
        leaves = [leaf for target in metrics for leaf in self.model.leaves(target.name)]
        dimensions = tuple(dimensions)
        filters = (replace(item, noun=item.noun or _on_table(item, dimensions)) for item in filters)
        for name in dimensions:
            for leaf in leaves:
                if name not in BEHAVIOUR_KEYS:
                    binder.dimension(name, leaf)
        return tuple(self.filter(binder, leaves, item) for item in filters)

    def filter(self, binder: Binder, leaves: list[Aggregate], item: ValueFilter) -> Where:
        """Return a filter on the dimension that the value belongs to: the noun beside it settles, then what is counted."""
        problem: QueryError | None = None
        for qualified in sorted(item.dimensions, key=lambda name: self._distance(binder, leaves, name, item.noun)):
            name = binder.canonical(qualified)
            bare = qualified.rpartition(".")[2]
            shared = sum(1 for d in self.model.dimensions if d.name == bare) > 1
            try:
                for leaf in leaves:
                    binder.dimension(bare if shared else name, leaf)
            except QueryError as error:
                problem = problem or error
                continue
            values = item.values(qualified)
            many = len(values) > 1
            op = (Op.NOT_IN if many else Op.NE) if item.negated else (Op.IN if many else Op.EQ)
            return Where(dimension=bare if shared else name, op=op, values=values)
        if problem is None:
            raise QueryError(
                "ambiguous_values", Text("The values named belong to different dimensions.", "所列的值属于不同的维度。"),
                Text("Name values of one dimension.", "请列出同一维度的值。"),
            )  # fmt: skip
        raise problem

    def _distance(self, binder: Binder, leaves: list[Aggregate], qualified: str, noun: str | None) -> tuple[int, int]:
        """Return how far a dimension is from what the words say: named beside, of the thing counted, own, by joins."""
        dataset, _, name = qualified.rpartition(".")
        if noun in (name, dataset):
            return (0, 0)
        if not leaves:
            return (1, 0)
        if dataset == subject(self.model, leaves[0]):
            return (1, 0)
        paths = [binder.path(leaf.dataset, dataset) for leaf in leaves]
        return (2, sum(len(path) if path is not None else 99 for path in paths))

    # building the query

    def query(self, reading: Reading, settled: Settled, as_of: date) -> tuple[Query, tuple[Text, ...]]:
        """Return the query a settled reading asks for, and the readings taken where the words allow another."""
        assumptions: list[Text] = list(self._said_of(reading, settled))
        metrics = tuple(target.name for target in settled.metrics)
        self._check_periods(reading, settled)
        period, to_date, compared, grain = times(reading, settled.metrics, as_of)
        if isinstance(compared, Compare) and period is None and grain is None:
            to_date = Grain.YEAR if compared is Compare.YEAR else reading.pace or Grain.MONTH
            period = DateRange(bucket_start(as_of, to_date), as_of)
            assumptions.append(Text(f"No period named: this {to_date} so far.", f"未指定时间段：{SO_FAR.get(to_date, '本月')}至今。"))
        dimensions = list(dict.fromkeys([*reading.parts, *reading.dimensions]))
        if reading.own_key and not any(_base(t) in dimensions for t in settled.metrics):
            metrics = tuple(self._curved(name) if reading.own_key == PERIOD_NUMBER else name for name in metrics)
            if reading.own_key == PERIOD_NUMBER or not (reading.dimensions or compared):
                dimensions.append(reading.own_key)
        # "the share of sign-ups active on day 30" names a rate already
        shared = reading.share and not all(self.model.metric(name).unit == "%" for name in metrics)
        filters: Filter | None = None
        for condition in reading.users_with:
            filters = both(filters, self._users_with(condition, period))
        among = not (reading.dimensions or reading.parts or settled.filters or reading.grain)
        if shared and filters is not None and (among or (reading.shares_part and not settled.filters)):
            shared_users, filters = Share(where=filters), None  # the share of the top 20% of users
        else:
            shared_users = None
        if reading.users_with and (all(self._is_undated(target) for target in settled.metrics) or self._denies_itself(reading, settled)):
            period, to_date = None, None
        share: Share | None = shared_users
        merged = self._merged(settled.filters, reading.filters)
        for where, item in merged:
            if item.joined and not item.negated and where.dimension not in dimensions and not shared:
                if self._add_up(reading, item, metrics):
                    assumptions.append(_together(where))
                else:
                    dimensions.append(where.dimension)  # values side by side
            part = where is merged[-1][0] and not item.negated
            if shared and item.joined and not item.negated and not reading.dimensions and reading.has_word("severally"):
                dimensions += [where.dimension] if where.dimension not in dimensions else []  # 男生女生各占多少
            elif shared and share is None and part and (not reading.dimensions or reading.shares_part):
                share = Share(where=where)
            else:
                filters = both(filters, where)
        for name, phrase in reading.dated:
            if phrase.period is not None:
                filters = both(
                    filters, Where(dimension=name, op=Op.BETWEEN, values=(phrase.period.start, phrase.period.end))
                )
        clock: list[Where] = []
        if reading.weekdays and "day_type" not in dimensions:
            clock.append(Where(dimension="weekday", op=Op.IN, values=tuple(sorted(reading.weekdays))))
        if reading.hours:
            clock.append(Where(dimension="hour_of_day", op=Op.BETWEEN, values=reading.hours))
        for where in clock:
            if shared and share is None and not dimensions and not grain:
                share = Share(where=where)
            else:
                filters = both(filters, where)
        for number in reading.numbers:
            if number.dimension and self._defines(metrics, number.dimension):
                continue  # "差评率（1-2星占比）" says what the metric means
            if number.dimension and isinstance(number.value, float | int):
                values = (_whole(number.value),) if number.high is None else (_whole(number.value), _whole(number.high))
                where = Where(dimension=number.dimension, op=number.op, values=values)
                if shared and share is None:
                    share = Share(where=where)
                else:
                    filters = both(filters, where)
        if shared and share is None:
            share = Share()
        conditions = tuple(
            Condition(
                metric=metric_column(self._named(number.metric, metrics)),
                op=number.op,
                value=number.value,
                high=number.high,
            )
            for number in reading.numbers
            if number.metric
        )
        if conditions and not dimensions and not grain and (noun := self._noun_dimension(reading)):
            dimensions.append(noun)  # campaigns with a negative ROI
        if conditions and not dimensions and not grain:
            raise QueryError(
                "no_dimension",
                Text(
                    "The condition needs groups that it chooses among, such as cities or months.",
                    "该条件需要有可供筛选的分组，例如城市或月份。",
                ),
                Text("Say which: “cities with GMV over 1 million”.", "请说明分组，例如“成交额超过100万的城市”。"),
            )
        self._rank_by_merit(reading, metrics)
        order = self._order(reading, metrics, compared=compared is not None, shared=share is not None)
        if (
            (reading.superlative or reading.limit)
            and not dimensions
            and not grain
            and (noun := self._noun_dimension(reading))
        ):
            dimensions.append(noun)
            if reading.limit is None and self._asks_who(reading):
                reading.limit = FIRST_PEOPLE
                assumptions.append(Text(f"Shown: the first {FIRST_PEOPLE}.", f"只列出前 {FIRST_PEOPLE} 名。"))
        return (
            Query(
                metrics=metrics, dimensions=tuple(dimensions), grain=grain, period=period, to_date=to_date, filters=filters, conditions=conditions,
                compare=compared, share=share, order=order, limit=reading.limit or (1 if reading.per else None),
                per=tuple(reading.per), others=reading.others,
            ),
            tuple(assumptions),
        )  # fmt: skip

    def _add_up(self, reading: Reading, item: ValueFilter, metrics: tuple[str, ...]) -> bool:
        """Say whether values joined by “and” only say whose amounts are counted, all together (orders from Beijing and Shanghai)."""
        apart = reading.versus or reading.compare or reading.superlative or reading.order or reading.grain or reading.trend
        if apart or len(reading.filters) + len(reading.users_with) < 2 and not item.attributive:
            return False
        if reading.has_word("severally", "versus", "which", "who", "growth", "rank", "more", "by", "each_of"):
            return False
        return all(isinstance(self.model.metric(name), Aggregate) and self.model.metric(name).unit != "%" for name in metrics)

    def _denies_itself(self, reading: Reading, settled: Settled) -> bool:
        """Say whether users are counted by what they are said not to have done in the period, so that they did it at another time."""
        counted = {leaf.dataset for target in settled.metrics for leaf in self.model.leaves(target.name)}
        return len(reading.periods) == 1 and any(
            condition.op is Op.EQ and not condition.value and not condition.where and condition.period in (None, reading.periods[0])
            and {leaf.dataset for target in condition.metric for leaf in self.model.leaves(target.name)} == counted
            for condition in reading.users_with
        )  # fmt: skip

    def _check_periods(self, reading: Reading, settled: Settled) -> None:
        """Refuse parts that differ by period, such as new and existing users, where the question names none."""
        names = {*reading.dimensions, *(where.dimension for where in settled.filters)}
        for dimension in self.model.dimensions:
            relative = any(column.name in (PERIOD_START, PERIOD_END) for column in dimension.expr.find_all(exp.Column))
            if relative and dimension.name in names and not reading.periods:
                label = dimension.label
                raise QueryError(
                    "no_period",
                    Text(
                        f"{label.en} differs by period, and none is named.",
                        f"{label.zh}按时间段区分，但问题没有给出时间段。",
                    ),
                    Text("Name one, such as last month.", "请给出时间段，例如“上个月”。"),
                )

    def _merged(self, wheres: tuple[Where, ...], items: list[ValueFilter]) -> list[tuple[Where, ValueFilter]]:
        """Return the filters with those that keep values of one dimension put together: both are asked about, side by side."""
        out: list[tuple[Where, ValueFilter]] = []
        for where, item in zip(wheres, items, strict=True):
            same = next((i for i, (w, it) in enumerate(out) if w.dimension == where.dimension and not it.negated), None)
            if same is None or item.negated:
                out.append((where, item))
            else:
                values = tuple(dict.fromkeys((*out[same][0].values, *where.values)))
                out[same] = (replace(where, op=Op.IN, values=values), replace(item, joined=True))
        return out

    def _users_with(self, condition: UserCondition, period: DateRange | None) -> UsersWith:
        """Return a condition on a user's own metric, over its own period or the question's."""
        own = LastDays(days=None) if condition.ever else condition.period.period if condition.period is not None else period
        named = [t.name for t in condition.metric if isinstance(self.model.metric(t.name), Aggregate)]
        name, where = self._with_rows(condition, tuple(named) or (condition.metric[0].name,))
        where = both(where, condition.rows) if condition.rows is not None else where
        return UsersWith(metric=name, op=condition.op, value=condition.value, period=own, where=where)

    def _with_rows(self, condition: UserCondition, names: tuple[str, ...]) -> tuple[str, Filter | None]:
        """Return the first of the metrics that has what its rows are filtered by, and that filter."""
        problem: QueryError | None = None
        for name in names:
            binder, where = Binder(self.model, date.min), None
            try:
                for item in condition.where:
                    where = both(where, self.filter(binder, list(self.model.leaves(name)), item))
                return name, where
            except QueryError as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _defines(self, metrics: tuple[str, ...], dimension: str) -> bool:
        """Say whether a metric's own condition is about this dimension already."""
        columns = {c.name for d in self.model.dimensions if d.name == dimension for c in d.expr.find_all(exp.Column)}
        wheres = [leaf.where for name in metrics for leaf in self.model.leaves(name) if leaf.where is not None]
        return any(column.name in columns for where in wheres for column in where.find_all(exp.Column))

    def _curved(self, name: str) -> str:
        """Return a retention whose curve runs to day 30 where no day was said."""
        metric = self.model.metric(name)
        return f"{name}[n=30]" if isinstance(metric, Retention) and "[" not in name else name

    def _asks_who(self, reading: Reading) -> bool:
        """Say whether single users are ranked (who spent the most), not a number of users."""
        counted = {target.name for targets in reading.metrics for target in targets} & set(people(self.model))
        return bool(reading.superlative) and not counted and reading.has_word("who", "which") and (
            reading.has_word("who") or any(self.model.dataset_by_name[noun].entity for noun in reading.nouns)
        )

    def _noun_dimension(self, reading: Reading) -> str | None:
        """Return the dimension that names the things a noun stands for (products: the product's name, users: their key)."""
        someone = [d.name for d in self.model.datasets if d.entity] if self._asks_who(reading) else []
        for noun in dict.fromkeys((*reading.nouns, *someone)):
            dataset = self.model.dataset_by_name[noun]
            key = next((d.name for d in dataset.dimensions if (d.name,) == dataset.primary_key), None)
            if dataset.entity and key and (reading.limit or self._asks_who(reading)):
                return key
            for dimension in self.model.dataset_by_name[noun].dimensions:
                if (
                    dimension.type == "string"
                    and dimension.indexed
                    and not dimension.values
                    and noun.startswith(dimension.name[:4])
                ):
                    return dimension.name
        return None

    def _named(self, candidates: tuple[Target, ...], metrics: tuple[str, ...]) -> str:
        return next((target.name for target in candidates if target.name in metrics), metrics[0])

    def _rank_by_merit(self, reading: Reading, metrics: tuple[str, ...]) -> None:
        """Turn the best and the worst of a metric of which less is better into the end of the ranking they mean."""
        if reading.by_merit and self.model.metric(metrics[0]).better == "lower":
            reading.superlative = "least" if reading.superlative == "most" else "most"
            reading.by_merit = False

    def _order(self, reading: Reading, metrics: tuple[str, ...], *, compared: bool, shared: bool) -> tuple[Order, ...]:
        if reading.order is None and reading.superlative is None:
            return ()
        first = metric_column(metrics[0])
        by = f"{first}_change" if compared and reading.has_word("growth") else f"{first}_share" if shared else first
        ascending = reading.order == "ascending" or (reading.order is None and reading.superlative == "least")
        return (Order(by=by, descending=not ascending),)

    def _said_of(self, reading: Reading, settled: Settled) -> Iterator[Text]:
        """Name each reading taken where a word could mean another metric."""
        for target in settled.metrics:
            for candidates in reading.metrics:
                if target in candidates and target != candidates[0]:
                    taken = self.model.metric(target.name).label
                    passed = self.model.metric(candidates[0].name).label
                    yield Text(
                        f"Read as {taken.en}: {passed.en} does not have what is asked for.",
                        f"按“{taken.zh}”计算：“{passed.zh}”不支持所问的拆分或筛选。",
                    )


def _on_table(item: ValueFilter, dimensions: tuple[str, ...]) -> str | None:
    """Return the dimension that has the values and is broken down by, which they are then meant of (by device, exclude web)."""
    return next((name for name in dimensions if any(name in (d, d.rpartition(".")[2]) for d in item.dimensions)), None)


def _together(where: Where) -> Text:
    """Say that several values are counted together."""
    shown = [str(value) for value in where.values]
    return Text(f"{' and '.join(shown)} together; ask “by {where.dimension}” for each.", f"{'、'.join(shown)}合计；可继续问“分别是多少”。")


def _base(target: Target) -> str:
    return target.name.partition("[")[0]


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


