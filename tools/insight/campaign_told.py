"""Owns how campaigns are told, tabled and drawn. Finds nothing itself: every number is handed to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import WEEKDAYS
from wenshu.tools.insight.campaign_design import CampaignDesign
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.strata import Standardised
from wenshu.tools.wording import Wording, escape_markdown

SHOWN = 0.05
MOST_TOLD = 5

METHOD = Method(
    name=Text("Campaign review", "活动复盘"),
    told=Text(
        "Attributed figures are those of orders that carry the campaign. Beside them, users touched are compared with users not touched of the same channel, active days in the 30 days before, time since the last visit, past orders and recent purchase, over the same days; the others are weighted to be made up like those touched.",
        "归因数据取带有该活动标识的订单。另将被触达用户与未触达用户按渠道、此前 30 天活跃天数、距上次来访时间、历史订单数和近期是否购买分层，在同一时间段内对比，并把未触达用户加权到与触达用户构成相同。",
    ),
    assumptions=(
        Text("Who was touched was chosen by somebody: what the strata do not hold alike may explain a difference.", "触达对象并非随机：分层未覆盖的差别也可能造成差异。"),
        Text("Orders without the campaign's mark may have come from it, and marked ones might have come anyway.", "未带标识的订单可能也来自该活动，带标识的订单也可能本来就会发生。"),
    ),
    source="Imbens 2004 (Rev. Econ. Stat. 86:4–29), effect on the treated by subclassification; Cochran 1968 (Biometrics 24:295–313)",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """Hold the users touched against equals not touched: what each spent in the period, and how many of them bought."""

    touched: int
    others: int
    spent: Standardised
    bought: Standardised
    period: DateRange
    strata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """Hold the hour or weekday with the best rate, and how often chance makes the slots differ so; of touches or of buying."""

    part: Text
    slot: int
    is_weekday: bool
    rate: float
    usual: float
    users: int
    chance: float
    metric: str
    of_buying: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Hold everything about the campaigns asked for: their metrics by row, and of a single one its equals and hours."""

    design: CampaignDesign
    table: ResultTable
    rows: tuple[tuple[Cell, ...], ...]
    against: Against | None
    best: tuple[Best, ...]
    query: Query


def insight_of_campaigns(inquiry: Inquiry, review: Review) -> Insight:
    """Return the insight: one campaign in full, or all of them ranked by what they paid back."""
    model, design = inquiry.model, review.design
    paid = _paying(model, design)
    rows = sorted(review.rows, key=lambda row: -_number(row, review.table, paid)) if paid else list(review.rows)
    one = len(rows) == 1
    table = ResultTable(columns=tuple(replace(c, additive=False) if c.role == "metric" and len(rows) == 1 else c for c in review.table.columns), rows=tuple(rows))

    def teller(w: Wording) -> _Teller:
        return _Teller(w, model, review, {c.name: c for c in review.table.columns})

    return Insight(
        title=in_both(lambda w: w.say(f"Campaign {escape_markdown(str(rows[0][0]))}", f"活动复盘：{escape_markdown(str(rows[0][0]))}")) if one else Text("Campaigns", "活动复盘"),
        headline=in_both(lambda w: teller(w).headline(rows[0]) if one else teller(w).ranking(rows, paid)),
        findings=tuple(in_both(lambda w, say=say: getattr(teller(w), say[0])(*say[1:])) for say in _findings(review, rows, one=one)),  # type: ignore[misc]
        table=table,
        plot=None if one or not paid else Plot(kind="bar", x=design.campaign.name, y=(metric_column(paid),), reason=Text("Campaigns by what they paid back.", "按回报比较各活动。")),
        method=METHOD,
        confidence=_confidence(review, one=one),
        evidence=inquiry.evidence,
        query=review.query,
        period=review.query.period,
        follow_ups=_follow_ups(rows, one=one),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Teller:
    w: Wording
    model: Model
    review: Review
    columns: Mapping[str, Column]

    def cell(self, row: tuple[Cell, ...], name: str | None) -> str | None:
        if name is None or (at := metric_column(name)) not in self.columns:
            return None
        value = row[self.review.table.index(at)]
        return None if value is None else self.w.value(value, self.columns[at].unit)

    def parts(self, row: tuple[Cell, ...], told: str | None = None) -> str:
        """Return every metric of a campaign with its name, in the model's order, but one that was told."""
        shown = []
        for name, column in self.columns.items():
            if column.role == "metric" and name != (told and metric_column(told)) and (value := self.cell(row, name)) is not None:
                shown.append(f"{self.w.label(column)} {value}")
        return self.w.say(", ", "，").join(shown)

    def headline(self, row: tuple[Cell, ...]) -> str:
        w, name = self.w, escape_markdown(str(row[0]))
        paid = _paying(self.model, self.review.design)
        back = _number(row, self.review.table, paid) if paid else None
        unit = self.columns[metric_column(paid)].unit if paid else None
        verdict = ""
        if back is not None and paid:
            even = 0.0 if _is_net(self.model, paid) else 1.0
            kept = back >= even
            label = escape_markdown(self.model.metric(paid).label.in_(w.language))
            verdict = w.say(
                f"**{name} {'paid back' if kept else 'did not pay back'}**: {label} {w.value(back, unit)}. ",
                f"**{name}{'收回了成本' if kept else '没有收回成本'}**：{label} {w.value(back, unit)}。",
            )
        return verdict + w.opening(self.parts(row, paid)) + w.say(".", "。")

    def ranking(self, rows: list[tuple[Cell, ...]], paid: str | None) -> str:
        w = self.w
        if paid is None:
            return w.say(f"{len(rows)} campaigns.", f"共 {len(rows)} 个活动。")
        label = escape_markdown(self.model.metric(paid).label.in_(w.language))
        known = [row for row in rows if self.cell(row, paid) is not None]
        even = 0.0 if _is_net(self.model, paid) else 1.0
        back = sum(_number(row, self.review.table, paid) >= even for row in known)
        if not known:
            return w.say(f"{len(rows)} campaigns, none with a cost.", f"共 {len(rows)} 个活动，均无成本数据。")
        first, last = known[0], known[-1]
        best, worst = (escape_markdown(str(row[0])) for row in (first, last))
        if len(known) == 1:
            return w.say(f"**{best}**: {label} {self.cell(first, paid)}.", f"**{best}**：{label} {self.cell(first, paid)}。")
        return w.say(
            f"**{best}** paid back most: {label} {self.cell(first, paid)}; least did {worst} ({self.cell(last, paid)}). {back} of {len(known)} campaigns covered their cost.",
            f"回报最高的是 **{best}**：{label} {self.cell(first, paid)}；最低的是 {worst}（{self.cell(last, paid)}）。{len(known)} 个活动中有 {back} 个收回成本。",
        )

    def each(self, row: tuple[Cell, ...]) -> str:
        return f"**{escape_markdown(str(row[0]))}**{self.w.say(': ', '：')}{self.parts(row)}{self.w.say('.', '。')}"

    def against(self) -> str:
        found, w = self.review.against, self.w
        if found is None:
            return w.say(
                "No comparable users were left untouched over days that can be told apart, so what would have been bought anyway is not known.",
                "没有可比的未触达用户（或活动时间过长、触达过少），无法估计不做活动时会发生的购买。",
            )
        value = self.review.design.value
        unit, label = (value.unit, escape_markdown(value.label.in_(w.language))) if value else (None, "")
        spent, bought = found.spent, found.bought
        sure = w.say(
            "more than chance gives" if spent.chance < SHOWN else "a difference in spend is not shown",
            "差异超出偶然" if spent.chance < SHOWN else "花费差异尚不能判断",
        )
        total = spent.difference * found.touched * spent.matched
        return w.say(
            f"Against {found.others:,} equals not touched, {found.period}: {w.value(bought.mean, '%')} of those touched bought against {w.value(bought.other_mean, '%')} "
            f"({w.value(bought.difference, 'pp', signed=True)}, 95 % interval {w.value(bought.low, 'pp', signed=True)} to {w.value(bought.high, 'pp', signed=True)}); {label} per user {w.value(spent.mean, unit)} against {w.value(spent.other_mean, unit)}, "
            f"{w.value(spent.difference, unit, signed=True)} ({w.value(spent.low, unit, signed=True)} to {w.value(spent.high, unit, signed=True)}), {sure}. Over {found.touched:,} users that would be {w.value(total, unit, signed=True)}.",
            f"与 {found.others:,} 名未触达的同类用户相比（{found.period}）：触达用户的购买比例 {w.value(bought.mean, '%')} 对 {w.value(bought.other_mean, '%')}"
            f"（{w.value(bought.difference, 'pp', signed=True)}，95% 区间 {w.value(bought.low, 'pp', signed=True)} 至 {w.value(bought.high, 'pp', signed=True)}）；人均{label} {w.value(spent.mean, unit)} 对 {w.value(spent.other_mean, unit)}，"
            f"差 {w.value(spent.difference, unit, signed=True)}（{w.value(spent.low, unit, signed=True)} 至 {w.value(spent.high, unit, signed=True)}），{sure}。按 {found.touched:,} 名触达用户折算约 {w.value(total, unit, signed=True)}。",
        )

    def chosen(self) -> str:
        return self.w.say(
            "This compares like with like only in what was known before; those touched were chosen by somebody, so a held-out random group would be the proof.",
            "以上仅在事前已知的特征上可比；触达对象并非随机选取，要证实效果，应预留随机对照组。",
        )

    def best(self, at: int) -> str:
        best, w = self.review.best[at], self.w
        label = escape_markdown(self.model.metric(best.metric).label.in_(w.language))
        slot = WEEKDAYS[best.slot - 1].in_(w.language) if best.is_weekday else f"{best.slot:02d}:00–{best.slot:02d}:59"
        rate, usual = w.value(best.rate, "%"), w.value(best.usual, "%")
        if best.of_buying and best.chance < SHOWN / 2:
            return w.say(
                f"Users buy most readily on {slot}: {label} {rate} against {usual}." if best.is_weekday else f"Users buy most readily at **{slot}**: {label} {rate} against {usual} over all hours.",
                f"用户最愿意购买的{best.part.zh}：**{slot}**，{label} {rate}，各{best.part.zh}整体 {usual}。",
            )
        if best.chance < SHOWN / 2:
            return w.say(
                f"Best {best.part.en} to send: **{slot}**, {label} {rate} against {usual} overall ({best.users:,} messages).",
                f"最佳发送{best.part.zh}：**{slot}**，{label} {rate}，整体 {usual}（{best.users:,} 次触达）。",
            )
        return w.say(
            f"By {best.part.en} the {label} differs no more than chance gives; the highest is {slot} with {rate} against {usual} overall.",
            f"{label}在不同{best.part.zh}之间的差异未超出偶然；最高为 {slot} 的 {rate}，整体 {usual}。",
        )


def _findings(review: Review, rows: list[tuple[Cell, ...]], *, one: bool) -> Iterator[tuple[object, ...]]:
    if one:
        yield ("against",)
        if review.against is not None:
            yield ("chosen",)
    else:
        shown = rows if len(rows) <= MOST_TOLD else [*rows[: MOST_TOLD - 1], rows[-1]]
        for row in shown:
            yield "each", row
    for at in range(len(review.best)):
        yield "best", at


def _confidence(review: Review, *, one: bool) -> Confidence | None:
    if not one or review.against is None:
        return None
    matched = f"{review.against.spent.matched:.0%}"
    return Confidence(
        level="medium" if review.against.spent.chance < SHOWN else "low",
        why=Text(f"{matched} of those touched have equals who were not; nobody was left out at random.", f"{matched} 的触达用户有未触达的同类可比；但没有随机预留的对照组。"),
    )


def _follow_ups(rows: list[tuple[Cell, ...]], *, one: bool) -> tuple[Text, ...]:
    if one:
        return (Text("recap all campaigns", "复盘所有活动"),)
    return tuple(Text(f"recap {row[0]}", f"复盘{row[0]}") for row in rows[:2])


def _paying(model: Model, design: CampaignDesign) -> str | None:
    """Return the metric that says whether a campaign paid: net of its cost over it, else what came in over it."""
    return design.metric("roi") or design.metric("roas")


def _is_net(model: Model, name: str) -> bool:
    return "roi" in name


def _number(row: tuple[Cell, ...], table: ResultTable, name: str | None) -> float:
    value = row[table.index(metric_column(name))] if name else None
    return float(value) if isinstance(value, int | float) else float("-inf")
