"""Owns turning the checked shape of a model file into a `Model`, collecting what its names and expressions get wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import model as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter, filter_from_json, filters_of
from wenshu.semantic_layer.segments import ACTIVITY_STAGES, TIERS, activity_segment, rfm_segment
from wenshu.semantic_layer.text import Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS

AGGREGATES = ("count", "count_distinct", "sum", "average", "min", "max", "median")
UNDATED = "none"  # the `time` of a metric that no period applies to
MOST_INDEXED = ("string",)  # the types whose values people name in questions
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Say what is wrong where in a model file, and how to mend it."""

    line: int
    message: Text
    fix: Text


def _one_tree(text: str) -> exp.Expr:
    """Parse text that holds one statement or expression; ParseError where it holds another number of them."""
    [tree, *more] = sqlglot.parse(text, dialect="duckdb")
    if tree is None or more:
        raise sqlglot.ParseError("one expression was expected")
    return tree


def line_of(path: Path_, lines: dict[Path_, int]) -> int:
    """Return the line of the longest known prefix of `path`, passing over the tags pydantic puts into it."""
    known: Path_ = ()
    for part in path:
        if (*known, part) in lines:
            known = (*known, part)
    return lines.get(known, 1)


class Builder:
    """Turn a well-shaped spec into a model, collecting what its names and expressions get wrong."""

    def __init__(self, spec: s.ModelSpec, lines: dict[Path_, int], mistakes: list[Mistake]) -> None:
        self.spec, self.lines, self.mistakes = spec, lines, mistakes

    def build(self) -> m.Model | None:
        spec = self.spec
        datasets = tuple(self.dataset(name, item) for name, item in spec.datasets.items())
        relationships = tuple(r for i, item in enumerate(spec.relationships) if (r := self.relationship(i, item)))
        metrics = tuple(built for name, item in spec.metrics.items() if (built := self.metric(name, item)))
        for name, item in spec.segments.items():
            if (segment := self.segment(name, item, datasets, relationships, metrics)) is not None:
                datasets, relationships = (*datasets, segment[0]), (*relationships, segment[1])
        self.check_cycles()
        for i, name in enumerate(spec.headline):
            self.known(name, spec.metrics, ("headline", i), Text("metric", "指标"))
        if self.mistakes:
            return None
        return m.Model(
            name=spec.name,
            label=self.label(spec.label, spec.name),
            timezone=spec.timezone,
            as_of=spec.as_of,
            currency=spec.currency,
            datasets=datasets,
            relationships=relationships,
            metrics=metrics,
            headline=tuple(spec.headline),
            examples=tuple(Text(item.en, item.zh) for item in spec.examples),
            absent=tuple((Text(item.label.en, item.label.zh), self.words(item.synonyms)) for item in spec.absent),
        )

    # what every part needs

    def mistake(self, path: Path_, message: Text, fix: Text) -> None:
        self.mistakes.append(Mistake(line_of(path, self.lines), message, fix))

    def known(self, name: str, names: Iterable[str], path: Path_, kind: Text) -> bool:
        if name in names:
            return True
        hint = did_you_mean(name, names)
        self.mistake(path, Text(f"there is no {kind.en} “{name}”", f"没有名为“{name}”的{kind.zh}"),
                     hint if hint.en else Text(f"Define it or name another {kind.en}.", f"请定义它，或改用其他{kind.zh}。"))  # fmt: skip
        return False

    def label(self, text: s.TextSpec | None, name: str) -> Text:
        return Text(text.en, text.zh) if text else same(name.replace("_", " "))

    def words(self, spec: s.SynonymsSpec) -> m.Synonyms:
        return m.Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))

    def description(self, spec: s.TextSpec | None) -> Text | None:
        return Text(spec.en, spec.zh) if spec else None

    def expression(self, text: str, path: Path_) -> exp.Expr:
        """Parse an expression; one that is not valid SQL is a mistake and stands as NULL."""
        try:
            tree = _one_tree(text)
            if isinstance(tree, exp.Command | exp.Alias) or tree.find(exp.Query, exp.AggFunc):
                raise sqlglot.ParseError("an expression over columns was expected")
        except (sqlglot.ParseError, sqlglot.TokenError, RecursionError):
            self.mistake(path, Text(f"“{text[:60]}” is not an SQL expression over columns", f"“{text[:60]}”不是有效的列表达式"),
                         Text("Write it as in a SELECT list, without aggregates.", "请按 SELECT 列表的写法书写，不含聚合函数。"))  # fmt: skip
            return exp.null()
        for column in tree.find_all(exp.Column):
            if column.table and column.table not in self.spec.datasets:
                self.known(column.table, self.spec.datasets, path, Text("dataset", "数据集"))
        return tree

    # the parts

    def dataset(self, name: str, spec: s.DatasetSpec) -> m.Dataset:
        path: Path_ = ("datasets", name)
        source: str | exp.Query = spec.source
        file = None
        if spec.source.split(None, 1)[0].upper() in ("SELECT", "WITH"):
            try:
                tree = _one_tree(spec.source)
            except (sqlglot.ParseError, sqlglot.TokenError):
                tree = exp.null()
            if isinstance(tree, exp.Query):
                source = tree
            else:
                self.mistake((*path, "source"), Text("the source is not one SELECT", "source 不是一条 SELECT"),
                             Text("Write one SELECT, or a table's name.", "请写一条 SELECT，或一个表名。"))  # fmt: skip
        elif any(mark in spec.source for mark in ("*", "/", ".parquet", ".csv")):
            source, file = name, spec.source
        dimensions = tuple(
            self.dimension(name, key, item or s.DimensionSpec()) for key, item in spec.dimensions.items()
        )
        return m.Dataset(
            name=name,
            source=source,
            file=file,
            label=self.label(spec.label, name),
            synonyms=self.words(spec.synonyms),
            primary_key=tuple(spec.primary_key),
            entity=spec.entity,
            time=self.expression(spec.time, (*path, "time")) if spec.time else None,
            dimensions=dimensions,
        )

    def dimension(self, dataset: str, name: str, spec: s.DimensionSpec) -> m.Dimension:
        path: Path_ = ("datasets", dataset, "dimensions", name)
        self.check_reserved(name, path)
        values = tuple(
            m.DimensionValue(
                value=value,
                label=self.label(item.label if item else None, str(value)),
                synonyms=self.words(item.synonyms) if item else m.Synonyms(),
            )
            for value, item in spec.values.items()
        )
        expr: exp.Expr = self.expression(spec.expr, (*path, "expr")) if spec.expr else exp.column(name)
        bands: tuple[float, ...] = ()
        if spec.bands:
            siblings = self.spec.datasets[dataset].dimensions
            if self.known(
                spec.bands.of, siblings, (*path, "bands", "of"), Text("dimension of this dataset", "该数据集的维度")
            ):
                sibling = siblings[spec.bands.of] or s.DimensionSpec()
                expr = self.expression(sibling.expr, (*path, "bands")) if sibling.expr else exp.column(spec.bands.of)
            bands = tuple(spec.bands.from_)
            values = values or _band_values(bands, spec.bands.unit)
        indexed = spec.index if spec.index is not None else (spec.type in MOST_INDEXED and not spec.pii and not bands)
        return m.Dimension(
            name=name,
            dataset=dataset,
            expr=expr,
            type="string" if bands else spec.type,
            label=self.label(spec.label, name),
            synonyms=self.words(spec.synonyms),
            values=values,
            ordered=spec.ordered or bool(bands),
            pii=spec.pii,
            indexed=indexed and not spec.pii,
            unit=spec.unit,
            bands=bands,
            description=self.description(spec.description),
        )

    def segment(
        self, name: str, spec: s.RfmSpec | s.ActivitySpec, datasets: tuple[m.Dataset, ...],
        relationships: tuple[m.Relationship, ...], metrics: tuple[m.Metric, ...],
    ) -> tuple[m.Dataset, m.Relationship] | None:  # fmt: skip
        path: Path_ = ("segments", name)
        other = "value" if isinstance(spec, s.RfmSpec) else "start"
        types = ("count", "sum") if isinstance(spec, s.RfmSpec) else AGGREGATES
        fits = [self.refers_to(spec, key, path, types) for key in ("of", other)]
        if name in self.spec.datasets:
            message = Text(f"“{name}” is a dataset too", f"“{name}”与数据集重名")
            self.mistake(path, message, Text("Choose another name.", "请换一个名称。"))
        known = TIERS if isinstance(spec, s.RfmSpec) else ACTIVITY_STAGES
        for key in spec.tiers if isinstance(spec, s.RfmSpec) else ():
            self.known(key, known, (*path, "tiers", key), Text("tier", "层级"))
        for key, group in spec.groups.items():
            for tier in group.values:
                self.known(tier, known, (*path, "groups", key), Text("tier", "层级"))
        by_name = {metric.name: metric for metric in metrics}
        of, second = by_name.get(spec.of), by_name.get(getattr(spec, other))
        if not all(fits) or not isinstance(of, m.Aggregate) or not isinstance(second, m.Aggregate):
            return None
        try:
            if isinstance(spec, s.RfmSpec):
                return rfm_segment(name, spec, of=of, value=second, datasets=datasets, relationships=relationships)
            return activity_segment(name, spec, of=of, start=second, datasets=datasets, relationships=relationships)
        except QueryError as error:
            self.mistake(path, error.message, error.hint)
            return None

    def relationship(self, i: int, spec: s.RelationshipSpec) -> m.Relationship | None:
        path: Path_ = ("relationships", i)
        kind = Text("dataset", "数据集")
        known = [
            self.known(name, self.spec.datasets, (*path, key), kind)
            for key, name in (("from", spec.from_), ("to", spec.to))
        ]
        if not all(known):
            return None
        on = {spec.on: spec.on} if isinstance(spec.on, str) else spec.on
        one_columns = tuple(on.values())
        if set(one_columns) != set(self.spec.datasets[spec.to].primary_key):
            key = ", ".join(self.spec.datasets[spec.to].primary_key) or "—"
            self.mistake(path, Text(f"{spec.to} is joined by {', '.join(one_columns)}, but its primary key is {key}",
                                    f"与 {spec.to} 的关联使用了 {'、'.join(one_columns)}，但其主键是 {key}"),
                         Text("Join to the primary key of the one side, so that no row is doubled.", "请关联到“一”方的主键，以免行被重复。"))  # fmt: skip
        return m.Relationship(many=spec.from_, one=spec.to, many_columns=tuple(on), one_columns=one_columns)

    def check_reserved(self, name: str, path: Path_) -> None:
        if name in TIME_PARTS or name in set(Grain):
            self.mistake(
                path,
                Text(f"“{name}” is a reserved name", f"“{name}”是保留名称"),
                Text("Choose another name.", "请换一个名称。"),
            )

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
            "description": self.description(spec.description),
            "filters": self.filters(spec.filters, (*path, "filters")),
        }
        metric_kind = Text("metric", "指标")
        match spec:
            case s.CountSpec() | s.AggregateSpec():
                if not self.known(spec.dataset, self.spec.datasets, (*path, "dataset"), Text("dataset", "数据集")):
                    return None
                parse: Callable[[str], exp.Expr | None] = lambda key: (  # noqa: E731
                    self.expression(getattr(spec, key), (*path, key)) if getattr(spec, key, None) else None
                )
                return m.Aggregate(
                    **common, aggregation=m.Aggregation(spec.type), dataset=spec.dataset,
                    expr=parse("expr"), where=parse("where"), time=parse("time") if spec.time != UNDATED else None,
                    undated=spec.time == UNDATED,
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

    def refers_to(self, spec: Any, key: str, path: Path_, types: tuple[str, ...] = AGGREGATES) -> bool:
        """Say whether a key names a metric of one of the types, and note the mistake where it does not."""
        name = getattr(spec, key)
        if not self.known(name, self.spec.metrics, (*path, key), Text("metric", "指标")):
            return False
        found = self.spec.metrics[name].type
        if found not in types:
            self.mistake((*path, key), Text(f"“{name}” is of type {found}, which does not fit “{key}”", f"“{name}”的类型为 {found}，不能用于“{key}”"),
                         Text(f"Name a metric of type {', '.join(types)}.", f"请改用以下类型的指标：{'、'.join(types)}。"))  # fmt: skip
        return found in types

    def behaviour(self, spec: Any, common: dict[str, Any], path: Path_) -> m.Metric | None:
        rate = common | {"unit": "%"}
        match spec:
            case s.RetentionSpec():
                back = "return_"
                fits = [self.refers_to(spec, key, path) for key in ("start", back)]
                mode, low, high = _retention_window(spec)
                return m.Retention(
                    **rate, start=spec.start, back=spec.return_, low=low, high=high, mode=mode, step=Grain(spec.unit),
                    first=spec.cohort == "first", hours=spec.window == "hours",
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
                    m.LifetimeValue(**common, start=spec.start, value=spec.value, days=spec.days) if all(fits) else None
                )
            case s.LifecycleSpec():
                fits = [self.refers_to(spec, key, path) for key in ("start", "of")]
                return m.Lifecycle(**common, start=spec.start, of=spec.of, stage=spec.stage) if all(fits) else None
            case s.AverageOverSpec():
                fit = self.refers_to(spec, "metric", path, ("count", "count_distinct", "sum"))
                return m.AverageOver(**common, metric=spec.metric, over=Grain(spec.over)) if fit else None
            case s.FunnelSpec():
                return self.funnel(spec, rate, path)
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
        return m.Funnel(**common, steps=m.named_apart(steps), days=spec.within, choices=choices)

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


def _band_values(bands: tuple[float, ...], unit: s.TextSpec) -> tuple[m.DimensionValue, ...]:
    """Name the bands: under the first bound, from each bound to just below the next, and the last and over.

    >>> [value.value for value in _band_values((18, 25), s.TextSpec(en="", zh="岁"))]
    ['under 18', '18–24', '25 and over']
    """
    names = [Text(f"under {bands[0]:g}", f"{bands[0]:g}{unit.zh}以下")]
    whole = all(float(bound).is_integer() for bound in bands)
    for low, high in zip(bands, bands[1:], strict=False):
        top = f"{high - 1:g}" if whole else f"<{high:g}"
        names.append(Text(f"{low:g}–{top}", f"{low:g}–{top}{unit.zh}"))
    names.append(Text(f"{bands[-1]:g} and over", f"{bands[-1]:g}{unit.zh}及以上"))
    return tuple(m.DimensionValue(value=name.en, label=name) for name in names)
