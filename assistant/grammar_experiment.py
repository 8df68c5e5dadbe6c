"""Owns the questions about experiments: which group is better, is the difference significant, did it work. Computes nothing."""

import re
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from wenshu.assistant.linker import Target
from wenshu.assistant.planner import Clarification, Investigation, Refusal
from wenshu.assistant.reading import ValueFilter
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dimension
from wenshu.semantic_layer.query import Filter, both
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.experiment import Experiment, default_metrics, testable
from wenshu.tools.insight.outcomes import not_testable
from wenshu.tools.insight.trial_design import TrialDesign, design_of, designs_of

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked

MOST_OFFERED = 6
RETENTION = re.compile("retention|retained|留存", re.IGNORECASE)


def read_experiment(asked: "Asked") -> Investigation | Clarification | Refusal | None:
    """实验X哪个组更好, did the new checkout win, A/B测试结果显著吗, is retention_7 by version significant."""
    design = _design(asked)
    if design is None:
        return None
    reading = asked.reading
    _claim_nouns(asked, design)
    filters: Filter | None = None
    for item in reading.filters:
        try:
            filters = both(filters, asked.settler.filter(Binder(asked.model, date.min), [design.rows], item))
        except QueryError:
            return _which(asked, design)
    left = [word for word in reading.unclaimed() if not any(word in item for item in _texts(reading.filters))]
    if left and design.trials is not None and not _names_trial(asked, design):
        return _which(asked, design)
    apart = [name for name in reading.dimensions if name not in _own_names(design)]
    if apart and design.trials is not None and not _names_trial(asked, design) and not _nouns(asked, design):
        return None  # which brand is winning
    if apart:
        raise QueryError(
            "not_by_group",
            Text("An experiment is compared as a whole here, not by further groups.", "实验目前整体对比，不再按其他维度拆分。"),
            Text("Keep one group by a filter, such as only iOS users.", "可以加一个筛选条件，例如只看 iOS 用户。"),
        )
    period = reading.periods[0].period if reading.periods else None
    analysis = Experiment(groups=design.groups.qualified, metrics=_metrics(asked, design), filters=filters, period=period)
    return Investigation(analysis=analysis)


def read_experiment_named(asked: "Asked") -> Investigation | Clarification | Refusal | None:
    """新手引导改版效果怎么样, did 首页推荐算法 work: words that call for a verdict only beside an experiment."""
    design = _design(asked)
    if design is None or design.trials is None or asked.names_metric or not _names_trial(asked, design):
        return None
    return read_experiment(asked)


def read_retention_of_group(asked: "Asked") -> Investigation | Clarification | Refusal | None:
    """gate_40 retention: retention of one group of an experiment, where the data have several columns of it."""
    design = _design(asked)
    if design is None or asked.names_metric or not any(set(item.dimensions) & _own_names(design) for item in asked.reading.filters):
        return None
    found = read_experiment(asked)
    if not isinstance(found, Investigation) or not isinstance(found.analysis, Experiment):
        return found
    names = (name for name in default_metrics(asked.model, design) if RETENTION.search(asked.model.metric(name).label.en))
    return replace(found, analysis=replace(found.analysis, metrics=tuple(names)))


def _design(asked: "Asked") -> TrialDesign | None:
    """Return the groups that the question names, or those that the model has."""
    model, reading = asked.model, asked.reading
    designs = designs_of(model, asked.values)
    named = {name for item in reading.filters for name in item.dimensions} | set(reading.dimensions)
    for design in designs:
        if named & _own_names(design):
            return design
    if designs:
        return designs[0]
    for dimension in model.dimensions:
        if dimension.name in named or dimension.qualified in named:
            design = design_of(model, dimension, asked.values)
            if _is_of_rows(asked, design):
                return design
    return None


def _is_of_rows(asked: "Asked", design: TrialDesign) -> bool:
    """Say whether a dimension that nobody calls a variant has few values, and a metric named is of its own rows."""
    metrics = [target.name for targets in asked.reading.metrics for target in targets]
    return 2 <= len(design.values) <= 5 and any(testable(asked.model, design, name) for name in metrics)


def _own_names(design: TrialDesign) -> set[str]:
    own: tuple[Dimension, ...] = (design.groups, *((design.trials,) if design.trials else ()))
    return {name for dimension in own for name in (dimension.name, dimension.qualified)}


def _claim_nouns(asked: "Asked", design: TrialDesign) -> None:
    """Take the words for experiments and groups as said: they name what is looked at anyway."""
    asked.reading.claim(*_nouns(asked, design))


def _nouns(asked: "Asked", design: TrialDesign) -> tuple[int, ...]:
    names = _own_names(design) | {design.dataset} | ({design.trials.dataset} if design.trials else set())
    return tuple(i for i, m in enumerate(asked.reading.mentions) if any(target.name in names for target in m.of("dimension", "dataset")))


def _names_trial(asked: "Asked", design: TrialDesign) -> bool:
    assert design.trials is not None
    return any(design.trials.qualified in item.dimensions for item in asked.reading.filters)


def _texts(filters: list[ValueFilter]) -> tuple[str, ...]:
    return tuple(str(target.value) for item in filters for targets in item.mentions for target in targets)


def _metrics(asked: "Asked", design: TrialDesign) -> tuple[str, ...]:
    """Return the metrics named, of each word's readings the first that groups can be compared by; sizes are told anyway."""
    names: list[str] = []
    for targets in asked.reading.metrics:
        found = next((t.name for t in targets if testable(asked.model, design, t.name)), None)
        if found is not None:
            names.append(found)
        elif not _is_size(asked, design, targets):
            raise not_testable(asked.model.metric(targets[0].name).label)
    return tuple(dict.fromkeys(names))


def _is_size(asked: "Asked", design: TrialDesign, targets: tuple[Target, ...]) -> bool:
    return any(leaf.dataset == design.dataset for target in targets for leaf in asked.model.leaves(target.name))


def _which(asked: "Asked", design: TrialDesign) -> Clarification | None:
    """Ask back which experiment is meant, with those there are."""
    if design.trials is None:
        return None
    names = tuple(asked.values.get(design.trials.qualified, ()))[:MOST_OFFERED]
    if not names:
        return None
    chinese = any("\u4e00" <= letter <= "\u9fff" for letter in asked.reading.linked.text)
    return Clarification(
        code="which_experiment",
        prompt=Text("Which experiment do you mean?", "您指的是哪个实验？"),
        options=tuple(f"{name}哪个组更好" if chinese else f"which group is better in {name}" for name in names),
    )
