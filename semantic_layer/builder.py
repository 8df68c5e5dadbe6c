"""Owns turning the checked shape of a model file into a `Model`, collecting what its names and expressions get wrong."""

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.metric_builder import MetricBuilder
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Model, Relationship
from wenshu.semantic_layer.policy_builder import PolicyBuilder
from wenshu.semantic_layer.segment_parts import band_values, groups_of
from wenshu.semantic_layer.segments import SegmentBuilder
from wenshu.semantic_layer.spec_reader import Path_, SpecReader, one_tree
from wenshu.semantic_layer.text import Synonyms, Text

MOST_INDEXED = ("string",)  # the types whose values people name in questions


class Builder(SpecReader):
    """Turn a well-shaped spec into a model, collecting what its names and expressions get wrong."""

    def build(self) -> Model | None:
        spec = self.spec
        metric_builder = MetricBuilder(spec, self.lines, self.mistakes)
        segments = SegmentBuilder(spec, self.lines, self.mistakes)
        datasets = tuple(self.dataset(name, item) for name, item in spec.datasets.items())
        relationships = tuple(r for i, item in enumerate(spec.relationships) if (r := self.relationship(i, item)))
        metrics = tuple(built for name, item in spec.metrics.items() if (built := metric_builder.metric(name, item)))
        for name, item in spec.segments.items():
            so_far = Model(
                name=spec.name, label=self.label(spec.label, spec.name), timezone=spec.timezone, as_of=spec.as_of,
                currency=spec.currency, datasets=datasets, relationships=relationships, metrics=metrics,
            )  # fmt: skip
            if (segment := segments.segment(name, item, so_far)) is not None:
                datasets, relationships = (*datasets, segment[0]), (*relationships, segment[1])
        metric_builder.check_cycles()
        policies = PolicyBuilder(spec, self.lines, self.mistakes).policies(datasets, relationships, metrics)
        for i, name in enumerate(spec.headline):
            self.known(name, spec.metrics, ("headline", i), Text("metric", "指标"))
        if self.mistakes:
            return None
        return Model(
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
            policies=policies,
            raw_sql=spec.raw_sql,
        )

    def dataset(self, name: str, spec: s.DatasetSpec) -> Dataset:
        path: Path_ = ("datasets", name)
        source: str | exp.Query = spec.source
        file = None
        if spec.source.split(None, 1)[0].upper() in ("SELECT", "WITH"):
            try:
                tree = one_tree(spec.source)
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
        return Dataset(
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

    def dimension(self, dataset: str, name: str, spec: s.DimensionSpec) -> Dimension:
        path: Path_ = ("datasets", dataset, "dimensions", name)
        self.check_reserved(name, path)
        values = tuple(
            DimensionValue(
                value=value,
                label=self.label(item.label if item else None, str(value)),
                synonyms=self.words(item.synonyms) if item else Synonyms(),
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
            values = values or band_values(bands, spec.bands.unit)
        known = {str(value): value for value in spec.values}
        for key, group in spec.groups.items():
            for value in group.values:
                self.known(value, known, (*path, "groups", key, "values"), Text("value of this dimension", "该维度的取值"))
        indexed = spec.index if spec.index is not None else (spec.type in MOST_INDEXED and not spec.pii and not bands)
        return Dimension(
            name=name,
            dataset=dataset,
            expr=expr,
            type="string" if bands else spec.type,
            label=self.label(spec.label, name),
            synonyms=self.words(spec.synonyms),
            values=values,
            groups=groups_of(spec.groups),
            ordered=spec.ordered or bool(bands),
            pii=spec.pii,
            indexed=indexed and not spec.pii,
            unit=spec.unit,
            bands=bands,
            description=self.description(spec.description),
        )

    def relationship(self, i: int, spec: s.RelationshipSpec) -> Relationship | None:
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
        return Relationship(many=spec.from_, one=spec.to, many_columns=tuple(on), one_columns=one_columns)
