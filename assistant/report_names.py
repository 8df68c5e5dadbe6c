"""Owns what a model has for the names that a report's queries leave open: its headline, its retention, how users came, what is sold.

Found as the rest of the program finds them: by the model's headline, by the types of its metrics, by what dimensions are called.
What a role may not see is found too, so that a report can say that it leaves it out; asking for it is refused as ever.
"""

from collections.abc import Iterator
from datetime import date

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    Funnel,
    Lifecycle,
    Metric,
    Paths,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.campaign_design import CAME, campaign_design, can_be_split
from wenshu.tools.insight.trial_design import TrialDesign, designs_of

MOST_GROUPS = 30
SOLD = ("product", "item", "sku", "商品", "产品", "category", "品类", "类目", "department", "brand", "品牌")

Name = str | tuple[str, ...]


def names_of(layer: SemanticLayer) -> dict[str, Name]:
    """Return the names that a report of this model may use, by slot; what the model does not have is not there."""
    model = layer.model
    headline = tuple(name for name in _headline(model) if _runs(layer, name))
    found: dict[str, Name] = (
        {"headline": headline, "daily": tuple(name for name in headline if _is_daily(model.metric(name)))}
        if headline
        else {}
    )
    if headline:
        found["main"] = headline[0]
    return found | dict(_of_users(model)) | dict(_of_groups(layer, headline)) | dict(_of_trials(layer))


def label_of(model: Model, name: str) -> Text:
    """Return how people call a metric or dimension."""
    if metric_spec(name)[0] in model.metric_by_name:
        return model.metric(name).label
    known = model.dimension_by_qualified_name.get(name)
    return known.label if known else Binder(model, date.min).candidates(name)[0].label


def _headline(model: Model) -> Iterator[str]:
    """Yield the headline's metrics and after them the first ratio of two of them, such as the average order value."""
    names = model.headline or tuple(metric.name for metric in model.metrics[:4])
    plain = [name for name in names if _is_one_dated_number(model, model.metric(name))]
    ratios = (
        m.name
        for m in model.metrics
        if isinstance(m, Ratio) and {m.numerator, m.denominator} <= set(plain) and m.name not in plain
    )
    yield from dict.fromkeys((*plain, *list(ratios)[:1]))


def _is_one_dated_number(model: Model, metric: Metric) -> bool:
    if isinstance(metric, Funnel | Paths) or (isinstance(metric, Lifecycle) and metric.stage is None):
        return False
    leaves = model.leaves_of(metric)
    return all(
        not leaf.undated and not (leaf.time is None and model.dataset_by_name[leaf.dataset].time is None)
        for leaf in leaves
    )


def _runs(layer: SemanticLayer, name: str) -> bool:
    try:
        layer.compile(Query(metrics=(name,)))
    except QueryError:
        return False
    return True


def _is_daily(metric: Metric) -> bool:
    """Say whether odd days of a metric mean something by themselves: an amount per order follows its two parts."""
    return not isinstance(metric, Ratio) or metric.unit == "%"


def _of_users(model: Model) -> Iterator[tuple[str, Name]]:
    """Yield what says of users how many came, came back, bought again and went through."""
    every = (*model.metrics, *model.withheld_metrics)
    back = next((m for m in every if isinstance(m, Retention) and m.first and m.mode == "on" and not m.hours), None)
    if back is not None:
        by_day = back.step in (Grain.DAY, Grain.HOUR)
        yield "retention", f"{back.name}[n={max(back.low, 7 if by_day else 5)}]"
        yield "cohort_step", str(Grain.WEEK if by_day else Grain.MONTH)
        yield "new", back.start
    again = next((m for kind in (RepurchaseWithin, Repurchase) for m in every if isinstance(m, kind)), None)
    if again is not None:
        yield "repurchase", again.name
    funnel = next((m for m in every if isinstance(m, Funnel)), None)
    if funnel is not None:
        yield "funnel", funnel.name


def _of_groups(layer: SemanticLayer, headline: tuple[str, ...]) -> Iterator[tuple[str, Name]]:
    """Yield how users came, or the first group that the main number has, and what is sold."""
    model, values = layer.model, layer.profile.values
    few = [
        d
        for d in model.dimensions
        if d.type == "string"
        and not d.pii
        and not d.bands
        and 2 <= (len(values.get(d.qualified, ())) or len(d.values)) <= MOST_GROUPS
    ]
    channel = next((d.qualified for d in few if _came(d) and can_be_split(model, headline[:1], d.qualified)), None)
    if channel is None:
        plain = (d.qualified for d in few if not model.dataset_by_name[d.dataset].is_segment)
        channel = next((name for name in plain if can_be_split(model, headline[:1], name)), None)
    if channel is not None:
        yield "channel", channel
    sums = tuple(
        m.name
        for m in model.metrics
        if isinstance(m, Aggregate) and m.aggregation is Aggregation.SUM and m.unit and not m.undated
    )
    for dimension in sorted(filter(_is_sold, model.dimensions), key=_how_fine):
        if dimension.qualified != channel and (split := can_be_split(model, sums, dimension.qualified)):
            yield "product", dimension.qualified
            yield "sales", split[0]
            return


def _of_trials(layer: SemanticLayer) -> Iterator[tuple[str, Name]]:
    """Yield the experiments with the count of those who were assigned to them, and a metric of campaigns."""
    model = layer.model
    design = trials_of(layer)
    if design is not None and design.trials is not None:
        counts = (m for m in model.metrics if isinstance(m, Aggregate) and m.dataset == design.dataset)
        assigned = next((m for m in counts if m.aggregation is Aggregation.COUNT_DISTINCT), None)
        if assigned is not None:
            yield "assigned", assigned.name
            yield "experiment", design.trials.qualified
    campaigns = campaign_design(model)
    if campaigns is not None and campaigns.metrics:
        yield "campaigns", campaigns.metrics[0]


def trials_of(layer: SemanticLayer) -> TrialDesign | None:
    """Return where experiments are kept, best with their names."""
    designs = designs_of(layer.model, layer.profile.values)
    return next((design for design in designs if design.trials is not None), next(iter(designs), None))


def _came(dimension: Dimension) -> bool:
    return any(word in f"{dimension.name} {dimension.label.en} {dimension.label.zh}".lower() for word in CAME)


def _is_sold(dimension: Dimension) -> bool:
    is_name = dimension.type == "string" and not dimension.pii and not dimension.name.endswith("_id")
    return is_name and any(
        word in (dimension.name.lower(), dimension.label.zh, dimension.label.en.lower()) for word in SOLD
    )


def _how_fine(dimension: Dimension) -> int:
    words = (dimension.name.lower(), dimension.label.zh, dimension.label.en.lower())
    return min(SOLD.index(word) for word in words if word in SOLD)
