"""Owns where a model keeps campaigns: what they are called, whom they reached, and which metrics speak of them. Runs nothing."""

from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Derived, Ratio
from wenshu.semantic_layer.model import Dimension, Model, Relationship
from wenshu.semantic_layer.text import same

NAMED = ("campaign", "promotion", "活动", "营销", "推广")
CAME = ("channel", "source", "渠道", "来源")


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDesign:
    """Hold the dimension that names campaigns, the rows of who was touched and of what was bought, and the metrics.

    `value` and `orders` are the amount and the number of what was bought, `metrics` those that are only of campaigns.
    """

    campaign: Dimension
    touches: Aggregate
    value: Aggregate | None
    orders: Aggregate | None
    metrics: tuple[str, ...]

    def metric(self, *words: str) -> str | None:
        """Return the campaign metric whose name holds one of the words, the first word first."""
        return next((name for word in words for name in self.metrics if word in name), None)


def campaign_design(model: Model) -> CampaignDesign | None:
    """Return where campaigns are kept: a dataset called so that rows of users with a time, and perhaps orders, belong to."""
    for dataset in model.datasets:
        words = f"{dataset.name} {dataset.label.en} {dataset.label.zh}".lower()
        names = [d for d in dataset.dimensions if d.type == "string" and not d.pii and any(w in f"{d.name} {d.label.zh}".lower() for w in NAMED)]
        if not names or not any(word in words for word in NAMED):
            continue
        touching = [r for r in model.relationships if r.one == dataset.name and _is_of_touches(model, r)]
        if touching:
            touched = touching[0].many
            rows = Aggregate(name="touches", label=same("touches"), aggregation=Aggregation.COUNT, dataset=touched)
            bought = _bought(model, dataset.name, touched)
            metrics = tuple(m.name for m in model.metrics if _is_of_campaigns(model, m.name, dataset.name, touched))
            return CampaignDesign(campaign=names[0], touches=rows, value=bought[0], orders=bought[1], metrics=metrics)
    return None


def _is_of_touches(model: Model, r: Relationship) -> bool:
    """Say whether rows with a time reach users and are nothing else: no money is summed over them, no event is counted."""
    dataset = model.dataset_by_name[r.many]
    entities = {other.name for other in model.datasets if other.entity}
    owned = any(other.many == r.many and other.one in entities for other in model.relationships)
    named = any(word in f"{dataset.name} {dataset.label.en} {dataset.label.zh}".lower() for word in ("touch", "reach", "send", "sent", "触达", "发送", "推送"))
    return dataset.time is not None and owned and named


def _bought(model: Model, campaigns: str, touched: str) -> tuple[Aggregate | None, Aggregate | None]:
    """Return the first sum of money, and the first count, of the rows of users that belong to a campaign but are no touches."""
    many = {r.many for r in model.relationships if r.one == campaigns and r.many != touched}
    sums = [m for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.SUM and m.dataset in many and m.unit]
    if not sums:
        return None, None
    counts = [m for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and m.dataset == sums[0].dataset and m.where == sums[0].where]
    return sums[0], counts[0] if counts else None


def _is_of_campaigns(model: Model, name: str, campaigns: str, touched: str) -> bool:
    """Say whether a metric is of campaigns alone: of them, of touches, or of rows kept for having one."""
    metric = model.metric(name)
    if not isinstance(metric, Aggregate | Ratio | Derived):
        return False
    keys = {column for r in model.relationships if r.one == campaigns for column in r.many_columns}
    return all(
        leaf.dataset in (campaigns, touched) or (leaf.where is not None and any(c.name in keys for c in leaf.where.find_all(exp.Column)))
        for leaf in model.leaves(name)
    )


def can_be_split(model: Model, names: tuple[str, ...], dimension: str) -> tuple[str, ...]:
    """Return the metrics that can be grouped by a dimension."""
    binder, out = Binder(model, date.min), []
    for name in names:
        try:
            for leaf in model.leaves(name):
                binder.dimension(dimension, leaf)
            out.append(name)
        except QueryError:
            continue
    return tuple(out)
