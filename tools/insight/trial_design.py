"""Owns where a model keeps who is in which group of an experiment: the dimension of groups, and the one of experiments.

Found by what things are called and how many values they have, so that uploaded data works unprepared. Runs nothing.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.model import Dataset, Dimension, Model
from wenshu.semantic_layer.text import same

STRONG = frozenset("variant variants variation arm treatment abtest ab experimentgroup testgroup 组别 实验组 实验分组 变体".split())
WEAK = frozenset("group groups version bucket test condition assignment 分组 版本 组".split())  # only as the whole name
CONTROL = frozenset("control controls baseline base old original off default a c ctrl 0 false no 对照 对照组 基准组 原版 旧版 a组".split())
TRIAL = frozenset("experiment experiments test tests trial trials 实验 ab实验 测试".split())
MOST_GROUPS = 5
WORD = re.compile(r"[a-z]+|\d+|[\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDesign:
    """Hold the dimension that names the groups, that of experiments where there are several, and whose rows they are of.

    """

    groups: Dimension
    trials: Dimension | None
    rows: Aggregate
    values: tuple[str, ...] = ()

    @property
    def dataset(self) -> str:
        return self.groups.dataset

    @property
    def keys(self) -> tuple[str, ...]:
        return (*((self.trials.qualified,) if self.trials else ()), self.groups.qualified)


def designs_of(model: Model, values: Mapping[str, Collection[str]]) -> tuple[TrialDesign, ...]:
    """Return where groups of experiments are kept, those that are called so most plainly first."""
    return tuple(design for _, design in sorted(_designs(model, values), key=lambda item: item[0]))


def design_of(model: Model, dimension: Dimension, values: Mapping[str, Collection[str]]) -> TrialDesign:
    """Return the design whose groups are the values of a dimension that somebody names."""
    dataset = model.dataset_by_name[dimension.dataset]
    found = tuple(values.get(dimension.qualified, ())) or tuple(str(each.value) for each in dimension.values)
    rows = Aggregate(name="assignments", label=same("assignments"), aggregation=Aggregation.COUNT, dataset=dataset.name)
    return TrialDesign(groups=dimension, trials=_trials(model, dataset), rows=rows, values=found)


def _designs(model: Model, values: Mapping[str, Collection[str]]) -> Iterator[tuple[int, TrialDesign]]:
    for dimension in model.dimensions:
        known = len(values.get(dimension.qualified, ())) or len(dimension.values)
        grouped = dimension.type == "boolean" or 2 <= known <= MOST_GROUPS
        plain = _plainness(dimension)
        if plain is not None and grouped and not dimension.pii and not model.dataset_by_name[dimension.dataset].is_segment:
            yield plain, design_of(model, dimension, values)


def _plainness(dimension: Dimension) -> int | None:
    """Return 0 where a dimension is called a variant, 1 where its whole name may mean one, None where it does not."""
    for name in (dimension.name, dimension.label.en, dimension.label.zh):
        words = WORD.findall(name.lower())
        if STRONG & {*words, "".join(words)}:
            return 0
        if words and (len(words) == 1 and words[0] in WEAK):
            return 1
    return None


def _trials(model: Model, dataset: Dataset) -> Dimension | None:
    """Return the dimension that names experiments: of the same rows, or of what each row belongs to."""
    binder = Binder(model, date.min)
    for dimension in model.dimensions:
        words = {*WORD.findall(dimension.name.lower()), *WORD.findall(dimension.label.zh)}
        if dimension.type == "string" and words & TRIAL and len(words) <= 3 and not (words & STRONG):
            if binder.path(dataset.name, dimension.dataset) is not None:
                return dimension
    return None


def is_control(dimension: Dimension, value: str) -> bool:
    """Say whether a group is called what others are compared with."""
    labels = [text for each in dimension.values if str(each.value) == value for text in (each.label.en, each.label.zh)]
    return any(name.strip().lower() in CONTROL or bool(set(WORD.findall(name.lower())) & {"control", "baseline", "对照组"}) for name in (value, *labels))


def control_of(dimension: Dimension, groups: Sequence[str]) -> str:
    """Return the group that others are compared with: the one called so, else the first by name."""
    return next((value for value in sorted(groups) if is_control(dimension, value)), min(groups))


