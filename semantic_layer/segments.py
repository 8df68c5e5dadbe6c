"""Owns which segment a model file asks for: the checks they share, and the module that builds each type."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, assert_never

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.activity_segment import ACTIVITY_STAGES, activity_segment
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.learnt_segment import chance_segment, cluster_segment
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.own_segment import band_segment, filter_segment
from wenshu.semantic_layer.query import filter_from_json
from wenshu.semantic_layer.rfm_segment import TIERS, rfm_segment
from wenshu.semantic_layer.segment_parts import Segment
from wenshu.semantic_layer.spec_reader import AGGREGATES, Path_, SpecReader
from wenshu.semantic_layer.text import Text


class SegmentBuilder(SpecReader):
    """Turn the segments of a well-shaped spec into datasets, collecting what they get wrong."""

    def segment(self, name: str, spec: Any, model: Model) -> Segment | None:
        """Return a segment over the model so far, segments above it in the file included."""
        path: Path_ = ("segments", name)
        if name in self.spec.datasets:
            message = Text(f"“{name}” is a dataset too", f"“{name}”与数据集重名")
            self.mistake(path, message, Text("Choose another name.", "请换一个名称。"))
        try:
            built = self._built(name, spec, model, path)
        except QueryError as error:
            self.mistake(path, error.message, error.hint)
            return None
        return built and (replace(built[0], made_of=tuple(dict.fromkeys(_made_of(spec)))), built[1])

    def _built(self, name: str, spec: Any, model: Model, path: Path_) -> Segment | None:
        match spec:
            case s.RfmSpec():
                self._check_names(spec.tiers, TIERS, (*path, "tiers"))
                self._check_groups(spec.groups, TIERS, path)
                of, value = self._aggregates(spec, ("of", "value"), model, path, ("count", "sum"))
                if of is None or value is None:
                    return None
                return rfm_segment(
                    name, spec, of=of, value=value, datasets=model.datasets, relationships=model.relationships
                )
            case s.ActivitySpec():
                self._check_groups(spec.groups, ACTIVITY_STAGES, path)
                of, start = self._aggregates(spec, ("of", "start"), model, path, AGGREGATES)
                if of is None or start is None:
                    return None
                return activity_segment(
                    name, spec, of=of, start=start, datasets=model.datasets, relationships=model.relationships
                )
            case s.BandSegmentSpec():
                self._check_name(name, path)
                if not self.known(spec.of, self.spec.metrics, (*path, "of"), Text("metric", "指标")) or self.mistakes:
                    return None
                found = band_segment(name, spec, model, filter_from_json(spec.filters) if spec.filters else None)
                self._check_groups(spec.groups, [str(v.value) for v in found[0].dimensions[0].values], path)
                return found
            case s.ChanceSegmentSpec() | s.ClusterSegmentSpec():
                return self._learnt(name, spec, model, path)
            case s.FilterSegmentSpec():
                self._check_name(name, path)
                return None if self.mistakes else filter_segment(name, spec, model, filter_from_json(spec.filters))
        assert_never(spec)

    def _learnt(self, name: str, spec: s.ChanceSegmentSpec | s.ClusterSegmentSpec, model: Model, path: Path_) -> Segment | None:
        self._check_name(name, path)
        of, value = self._aggregates(spec, ("of", "value"), model, path, AGGREGATES)
        if of is None or value is None:
            return None
        if isinstance(spec, s.ClusterSegmentSpec):
            return cluster_segment(name, spec, of=of, value=value, model=model)
        found = chance_segment(name, spec, of=of, value=value, model=model)
        values = [str(v.value) for v in found[0].dimensions[0].values]
        self._check_names(spec.values, values, (*path, "values"))
        self._check_groups(spec.groups, values, path)
        return found

    def _check_name(self, name: str, path: Path_) -> None:
        """Note a segment whose dimension has the name of another dimension or of a metric."""
        self.check_reserved(name, path)
        if name in self.spec.metrics or any(name in dataset.dimensions for dataset in self.spec.datasets.values()):
            message = Text(f"“{name}” is a dimension or a metric too", f"“{name}”与维度或指标重名")
            self.mistake(path, message, Text("Choose another name.", "请换一个名称。"))

    def _check_names(self, names: Any, known: Any, path: Path_) -> None:
        for key in names:
            self.known(key, known, (*path, key), Text("tier", "层级"))

    def _check_groups(self, groups: dict[str, s.GroupSpec], known: Any, path: Path_) -> None:
        for key, group in groups.items():
            self._check_names(group.values, known, (*path, "groups", key))

    def _aggregates(
        self, spec: Any, keys: tuple[str, str], model: Model, path: Path_, types: tuple[str, ...]
    ) -> tuple[m.Aggregate | None, m.Aggregate | None]:
        """Return the metrics that two keys name, None where one does not fit."""
        fits = [self.refers_to(spec, key, path, types) for key in keys]
        first, second = (model.metric_by_name.get(getattr(spec, key)) for key in keys)
        if not all(fits) or not isinstance(first, m.Aggregate) or not isinstance(second, m.Aggregate):
            return None, None
        return first, second


def _made_of(spec: Any) -> Iterator[str]:
    """Yield the names of the metrics and dimensions that a segment's spec, or a filter in it, is written with."""
    match spec:
        case s.RfmSpec() | s.ChanceSegmentSpec() | s.ClusterSegmentSpec():
            yield from (spec.of, spec.value)
        case s.ActivitySpec():
            yield from (spec.of, spec.start)
        case s.BandSegmentSpec():
            yield spec.of
            yield from _made_of(spec.filters)
        case s.FilterSegmentSpec():
            yield from _made_of(spec.filters)
        case list():
            for part in spec:
                yield from _made_of(part)
        case dict():
            for key, part in spec.items():
                if key in ("metric", "dimension"):
                    yield metric_spec(str(part))[0]
                else:
                    yield from _made_of(part)
