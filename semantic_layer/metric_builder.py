"""Owns turning the metrics of a model file into metric types, collecting what their names and expressions get wrong."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import WINDOWS, named_apart, window_of
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter, filter_from_json, filters_of
from wenshu.semantic_layer.spec_reader import Path_, SpecReader
from wenshu.semantic_layer.text import Text

UNDATED = "none"  # the `time` of a metric that no period applies to


class MetricBuilder(SpecReader):
    """Turn the metrics of a well-shaped spec into metric types."""

    def metric(self, name: str, spec: Any) -> m.Metric | None:
        path: Path_ = ("metrics", name)
        self.check_reserved(name, path)
        if any(name in dataset.dimensions for dataset in self.spec.datasets.values()):
            self.mistake(
                path,
                Text(f"“{name}” is a dimension too", f"“{name}”与维度重名"),
                Text("Rename one, as both may be columns of one result.", "请将其一改名，因为两者可能是同一结果的列。"),
            )
        common: dict[str, Any] = {
            "name": name,
            "label": self.label(spec.label, name),
            "synonyms": self.words(spec.synonyms),
            "at_grain": tuple((Grain(grain), self.words(words)) for grain, words in spec.at_grain.items()),
            "at_number": tuple((number, self.words(words)) for number, words in spec.at_number.items()),
            "unit": spec.unit,
            "better": spec.better,
            "description": self.description(spec.description),
            "filters": self.filters(spec.filters, (*path, "filters")),
        }
        metric_kind = Text("metric", "指标")
        match spec:
            case s.PercentileSpec(of=str(of)):
                fit = self.refers_to(spec, "of", path)
                return m.UserPercentile(**common, of=of, percent=spec.percent) if fit else None
            case s.CountSpec() | s.AggregateSpec() | s.PercentileSpec():
                dataset = spec.dataset or ""
                if not self.known(dataset, self.spec.datasets, (*path, "dataset"), Text("dataset", "数据集")):
                    return None
                parse: Callable[[str], exp.Expr | None] = lambda key: (  # noqa: E731
                    self.expression(getattr(spec, key), (*path, key)) if getattr(spec, key, None) else None
                )
                return m.Aggregate(
                    **common, aggregation=m.Aggregation(spec.type), dataset=dataset,
                    expr=parse("expr"), where=parse("where"), time=parse("time") if spec.time != UNDATED else None,
                    undated=spec.time == UNDATED, percent=getattr(spec, "percent", None),
                )  # fmt: skip
            case s.RatioSpec():
                for key in ("numerator", "denominator"):
                    self.known(getattr(spec, key), self.spec.metrics, (*path, key), metric_kind)
                return m.Ratio(**common, numerator=spec.numerator, denominator=spec.denominator)
            case s.DerivedSpec():
                tree = self.expression(spec.expr, (*path, "expr"))
                inputs = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
                if not inputs:
                    self.mistake((*path, "expr"), Text("no metric is named", "没有引用任何指标"),
                                 Text("Compute it from metrics, by their names.", "请用指标名称书写计算式。"))  # fmt: skip
                for input_name in inputs:
                    self.known(input_name, self.spec.metrics, (*path, "expr"), metric_kind)
                return m.Derived(**common, expr=tree, inputs=inputs)
            case s.CumulativeSpec():
                self.refers_to(spec, "metric", path, ("count", "sum"))
                return m.Cumulative(**common, metric=spec.metric)
            case _:
                return self.behaviour(spec, common, path)

    def behaviour(self, spec: Any, common: dict[str, Any], path: Path_) -> m.Metric | None:
        rate = common | {"unit": "%"}
        match spec:
            case s.RetentionSpec():
                back = "return_"
                fits = [self.refers_to(spec, key, path) for key in ("start", back)]
                mode, low, high = _retention_window(spec)
                return m.Retention(
                    **rate, start=spec.start, back=spec.return_, low=low, high=high, mode=mode, step=Grain(spec.unit),
                    first=spec.cohort == "first", hours=spec.window == "hours", times=spec.times,
                ) if all(fits) else None  # fmt: skip
            case s.RepurchaseSpec():
                return m.Repurchase(**rate, of=spec.of, times=spec.times) if self.refers_to(spec, "of", path) else None
            case s.RepurchaseWithinSpec():
                return (
                    m.RepurchaseWithin(**rate, of=spec.of, days=spec.days) if self.refers_to(spec, "of", path) else None
                )
            case s.PeriodReturnSpec():
                return m.PeriodReturn(**rate, of=spec.of, lost=spec.lost) if self.refers_to(spec, "of", path) else None
            case s.IntervalSpec():
                return m.Interval(**common | {"unit": "day"}, of=spec.of) if self.refers_to(spec, "of", path) else None
            case s.LifetimeValueSpec():
                fits = [self.refers_to(spec, "start", path), self.refers_to(spec, "value", path, ("sum", "count"))]
                return (
                    m.LifetimeValue(
                        **common, start=spec.start, value=spec.value, days=spec.days, first=spec.cohort == "first"
                    ) if all(fits) else None
                )
            case s.LifecycleSpec():
                fits = [self.refers_to(spec, key, path) for key in ("start", "of")]
                return m.Lifecycle(**common, start=spec.start, of=spec.of, stage=spec.stage) if all(fits) else None
            case s.AverageOverSpec():
                fit = self.refers_to(spec, "metric", path, ("count", "count_distinct", "sum"))
                return m.AverageOver(**common, metric=spec.metric, over=Grain(spec.over)) if fit else None
            case s.FunnelSpec():
                return self.funnel(spec, rate, path)
            case s.PathSpec() | s.LastEventSpec():
                return self.by_event(spec, common, path)
        return None

    def funnel(self, spec: s.FunnelSpec, common: dict[str, Any], path: Path_) -> m.Metric | None:
        choices = self.value_steps(spec.dimension, path) if spec.dimension else ()
        by_name = {step.name: step for step in choices}
        steps = []
        for i, item in enumerate(spec.steps):
            if isinstance(item, str):
                if self.known(item, by_name, (*path, "steps", i), Text("step", "步骤")):
                    steps.append(by_name[item])
            elif self.known(item.dataset, self.spec.datasets, (*path, "steps", i), Text("dataset", "数据集")):
                label = self.label(item.label, item.name)
                where = self.expression(item.where, (*path, "steps", i)) if item.where else None
                rows = m.Aggregate(
                    name=item.name, label=label, aggregation=m.Aggregation.COUNT, dataset=item.dataset, where=where
                )
                steps.append(m.FunnelStep(name=item.name, label=label, rows=rows))
        if len(steps) < len(spec.steps):
            return None
        within = window_of(str(spec.within))
        if within is None:
            self.mistake((*path, "within"), Text(f"“{spec.within}” is no window", f"“{spec.within}”不是有效的时间窗口"), WINDOWS)
            return None
        return m.Funnel(**common, steps=named_apart(steps), within=within, order=spec.order, choices=choices)

    def by_event(self, spec: s.PathSpec | s.LastEventSpec, common: dict[str, Any], path: Path_) -> m.Metric | None:
        values = tuple((step.name, step.label) for step in self.value_steps(spec.dimension, path))
        if not self.refers_to(spec, "of", path):
            return None
        if isinstance(spec, s.LastEventSpec):
            return m.LastEvent(**common, of=spec.of, dimension=spec.dimension, days=spec.days, values=values)
        for key, value in (("from", spec.from_), ("to", spec.to)):
            if value is not None and values:
                self.known(value, dict(values), (*path, key), Text("step", "步骤"))
        return m.Paths(
            **common, of=spec.of, dimension=spec.dimension, steps=spec.steps, gap=spec.gap, start=spec.from_, end=spec.to,
            values=values,
        )  # fmt: skip

    def value_steps(self, dimension: str, path: Path_) -> tuple[m.FunnelStep, ...]:
        """Return one step for each value that the model lists of a dimension, such as the names of events."""
        dataset, _, name = dimension.rpartition(".")
        known = [f"{d}.{key}" for d, item in self.spec.datasets.items() for key in item.dimensions]
        if not self.known(dimension, known, (*path, "dimension"), Text("dimension", "维度")):
            return ()
        spec = self.spec.datasets[dataset].dimensions[name] or s.DimensionSpec()
        column = self.expression(spec.expr, path) if spec.expr else exp.column(name)
        steps = []
        for value, item in spec.values.items():
            label = self.label(item.label if item else None, str(value))
            where = exp.EQ(this=column.copy(), expression=exp.Literal.string(str(value)))
            rows = m.Aggregate(
                name=str(value), label=label, aggregation=m.Aggregation.COUNT, dataset=dataset, where=where
            )
            steps.append(m.FunnelStep(name=str(value), label=label, rows=rows))
        return tuple(steps)

    def filters(self, data: Any, path: Path_) -> Filter | None:
        if data is None:
            return None
        try:
            tree = filter_from_json(data)
        except QueryError as error:
            self.mistake(path, error.message, error.hint)
            return None
        names = {key for dataset in self.spec.datasets.values() for key in dataset.dimensions}
        for where in filters_of(tree):
            self.known(where.dimension.rpartition(".")[2], names, path, Text("dimension", "维度"))
        return tree

    def check_cycles(self) -> None:
        def inputs(name: str) -> tuple[str, ...]:
            match self.spec.metrics.get(name):
                case s.RatioSpec(numerator=numerator, denominator=denominator):
                    return (numerator, denominator)
                case s.CumulativeSpec(metric=metric):
                    return (metric,)
                case s.DerivedSpec(expr=expr):
                    tree = self.expression(expr, ("metrics", name, "expr"))
                    return tuple(column.name for column in tree.find_all(exp.Column))
            return ()

        def reaches_itself(name: str, trail: tuple[str, ...]) -> bool:
            return name in trail or any(reaches_itself(item, (*trail, name)) for item in inputs(name))

        for name in self.spec.metrics:
            if inputs(name) and reaches_itself(name, ()):
                self.mistake(("metrics", name), Text(f"metric “{name}” is computed from itself", f"指标“{name}”的计算引用了自身"),
                             Text("Break the circle.", "请消除循环引用。"))  # fmt: skip


def _retention_window(spec: s.RetentionSpec) -> tuple[m.RetentionMode, int, int | None]:
    """Return the mode and the first and the last unit after entry that count as a return; None: any later one."""
    if spec.on is not None:
        return "on", spec.on, spec.on
    if spec.on_or_after is not None:
        return "on_or_after", spec.on_or_after, None
    if spec.within is not None:
        return "within", 1, spec.within
    assert spec.bracket is not None
    return "within", *spec.bracket
