"""Owns the questions that look back on campaigns: how a campaign did, which paid back, what to send when. Computes nothing."""

from datetime import date
from typing import TYPE_CHECKING

from wenshu.assistant.planner import Investigation
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.query import Op, Where
from wenshu.semantic_layer.text import Text, same
from wenshu.tools.insight.campaign import CampaignReview, no_campaigns
from wenshu.tools.insight.campaign_design import CampaignDesign, campaign_design

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked


def read_campaign(asked: "Asked") -> Investigation | None:
    """618大促 2026复盘, campaign review, recap of the SMS campaigns."""
    reading, design = asked.reading, campaign_design(asked.model)
    if design is None:
        if reading.asks_for_number:
            return None
        raise no_campaigns()
    if reading.asks_which and not reading.filters and (reading.superlative or reading.has_word("quality", "effective")):
        return None  # 哪个活动效果最好: by which number?
    own = {design.campaign.name, design.campaign.qualified, design.campaign.dataset, design.touches.dataset}
    reading.claim(*(i for i, m in enumerate(reading.mentions) if any(target.name in own for target in m.of("dimension", "dataset"))))
    leaf = Aggregate(name="campaigns", label=same("campaigns"), aggregation=Aggregation.COUNT, dataset=design.campaign.dataset)
    campaign: str | None = None
    kind: Where | None = None
    for item in reading.filters:
        where = asked.settler.filter(Binder(asked.model, date.min), [leaf], item)
        if where.dimension in own and where.op is Op.EQ:
            campaign = str(where.values[0])
        elif kind is None:
            kind = where
        else:
            raise QueryError(
                "too_many_filters",
                Text("A campaign review takes one filter beside a campaign's name.", "活动复盘除活动名称外只支持一个筛选条件。"),
                Text("Leave one of the conditions out.", "请去掉其中一个条件。"),
            )
    period = reading.periods[0].period if reading.periods and campaign is None else None
    return Investigation(analysis=CampaignReview(campaign=campaign, kind=kind if campaign is None else None, period=period))


def read_campaign_named(asked: "Asked") -> Investigation | None:
    """618大促 2026效果怎么样, did 沉睡唤醒短信 work: words that call for a review only beside a campaign."""
    design = campaign_design(asked.model)
    if design is None or asked.names_metric or not _names_campaigns(asked, design):
        return None
    return read_campaign(asked)


def _names_campaigns(asked: "Asked", design: CampaignDesign) -> bool:
    names = {name for item in asked.reading.filters for name in item.dimensions}
    own = {d.qualified for d in asked.model.dimensions if d.dataset == design.campaign.dataset}
    nouns = any(target.name in (design.campaign.dataset, design.campaign.name) for m in asked.reading.mentions for target in m.of("dimension", "dataset"))
    return design.campaign.qualified in names or (bool(names) and names <= own) or (nouns and not names)
