"""Owns how probabilities of users are told, tabled and drawn. Finds nothing itself: every number is handed to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from wenshu.semantic_layer.learnt_segment import BANDS, LIKELY, MEANT, OF, PROBABILITY
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.customers import FEATURES, Feature, by_segment, feature_said, signals_of
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.learning import Chance
from wenshu.tools.insight.plot import Plot
from wenshu.tools.wording import Wording

TELLING, FAIR = 0.75, 0.65  # area under the curve for high, for medium confidence
CALIBRATED, ROUGH = 0.15, 0.35  # share that the expected number may be off
MOST_REASONS, FEWEST_TOLD = 3, 50  # the smallest group that is called highest or lowest
Event = Literal["churn", "repurchase"]
SHOWN = ("days_inactive", "active_days_30", "days_unbought", "purchase_days")  # features averaged in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Hold how the model did on days it had not seen; `bands` are users, mean chance and share that came true."""

    area: float
    error: float
    users: int
    expected: float
    came: float
    bands: tuple[tuple[int, float, float], ...]

    @property
    def off(self) -> float:
        return abs(self.expected / self.came - 1.0) if self.came else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Hold users of one band and group as sums: of their chances, and of their features as they are and as logarithms."""

    band: int
    part: Cell
    users: int
    chances: float
    logs: tuple[float, ...]
    sums: tuple[float, ...]


def together(shares: Sequence[Share]) -> Share:
    """Return several shares as one."""
    return Share(
        band=shares[0].band, part=shares[0].part, users=sum(s.users for s in shares), chances=sum(s.chances for s in shares),
        logs=tuple(map(sum, zip(*(s.logs for s in shares), strict=True))), sums=tuple(map(sum, zip(*(s.sums for s in shares), strict=True))),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Hold a feature that sets likely users apart: how much it adds to their log-odds, and its means there and elsewhere."""

    feature: Feature
    weight: float
    likely: float
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Hold all that was found about an event."""

    event: Event
    days: int
    chance: Chance
    held: Held
    shares: tuple[Share, ...]
    by: Column | None
    money: str | None
    filters: Filter | None

    @property
    def whole(self) -> Share:
        return together(self.shares)

    @property
    def likely(self) -> int:
        return sum(share.users for share in self.shares if share.band >= LIKELY)

    def reasons(self) -> list[Reason]:
        """Return what sets users above one half apart from the rest, or the higher bands from the lower where none or all are."""
        bands = sorted({share.band for share in self.shares})
        if len(bands) < 2:
            return []
        edge = LIKELY if bands[0] < LIKELY <= bands[-1] else bands[-1]
        high = together([share for share in self.shares if share.band >= edge])
        low = together([share for share in self.shares if share.band < edge])
        found = []
        for i, (feature, weight) in enumerate(zip(FEATURES, self.chance.weights, strict=True)):
            added = weight * (high.logs[i] / high.users - low.logs[i] / low.users)
            found.append(Reason(feature=feature, weight=added, likely=high.sums[i] / high.users, others=low.sums[i] / low.users))
        return sorted((reason for reason in found if reason.weight > 0), key=lambda reason: -reason.weight)[:MOST_REASONS]


def insight_of_scores(inquiry: Inquiry, scored: Scored) -> Insight:
    """Return the insight: how many, how sure, why, and who."""
    label, band_table = PROBABILITY[scored.event], scored.by is None
    table = _bands(scored) if band_table else _groups(scored)
    y = "users" if band_table else "chance"
    return Insight(
        title=Text(f"Predicted {label.en}, next {scored.days} days", f"未来 {scored.days} 天{label.zh}（预测）"),
        headline=in_both(lambda w: _headline(w, scored)),
        findings=tuple(in_both(say) for say in _findings(scored, table)),
        table=table,
        plot=Plot(kind="bar", x=table.columns[0].name, y=(y,), reason=Text("Users by predicted probability: bars.", "按预测概率比较用户：柱状图。")),
        method=method_of(scored.event, scored.days),
        confidence=confidence_of(scored.held),
        caveats=(
            Text("A prediction, not what has been; no one user's future is certain.", "这是预测值，并非已发生的数据，个体结果不确定。"),
            Text("What goes with it need not cause it: try a measure on some and compare.", "相关不等于因果，可对部分用户试行措施并对比。"),
            *_thin(scored),
        ),
        evidence=inquiry.evidence,
        period=DateRange(inquiry.layer.coverage.start, inquiry.as_of),
        follow_ups=tuple(_follow_ups(inquiry, scored)),
    )  # fmt: skip


def method_of(event: Event, days: int) -> Method:
    label, meant = PROBABILITY[event], MEANT[event]
    return Method(
        name=Text("Predicted: logistic regression", "预测：逻辑回归"),
        told=Text(
            f"The {label.en} is that of {meant.en.format(n=days)}, for {OF[event].en}. It is learnt from how users with like recency, frequency and spending went on after days {2 * days} and {days} days ago.",
            f"{label.zh}指{meant.zh.format(n=days)}的概率，对象为{OF[event].zh}。根据 {2 * days} 天前与 {days} 天前的用户（最近一次、频率、金额等行为）之后的表现学习。",
        ),
        assumptions=(Text("Users go on as users like them did in the days before.", "用户的后续表现与此前同类用户一致。"),),
        source="Hastie, Tibshirani & Friedman 2009, section 4.4; AUC: Hanley & McNeil 1982 (Radiology 143:29–36)",
    )  # fmt: skip


def _headline(w: Wording, scored: Scored) -> str:
    whole, label = scored.whole, MEANT[scored.event]
    count, share, likely = round(whole.chances), w.value(whole.chances / whole.users, "%"), scored.likely
    high = w.say("at high risk or above" if scored.event == "churn" else "likely or above", "属于高风险及以上" if scored.event == "churn" else "属于较可能及以上")
    return w.say(
        f"**Predicted**: of {whole.users:,} {OF[scored.event].en}, about **{count:,} ({share})** will have {label.en.format(n=scored.days)}; {likely:,} are {high} (probability of 50% or more).",
        f"**预测**：{whole.users:,} 位{OF[scored.event].zh}中，约 **{count:,} 位（{share}）**预计{label.zh.format(n=scored.days)}；{likely:,} 位{high}（概率不低于 50%）。",
    )


def _findings(scored: Scored, table: ResultTable) -> Iterator[Callable[[Wording], str]]:
    reasons = scored.reasons()
    if reasons:
        yield lambda w: w.say(
            f"What sets the likelier ones apart: {'; '.join(_reason_said(w, r, scored.money) for r in reasons)}.",
            f"概率较高的用户的主要特征：{'；'.join(_reason_said(w, r, scored.money) for r in reasons)}。",
        )
    large = [row for row in table.rows if scored.by is not None and isinstance(row[1], int) and row[1] >= FEWEST_TOLD]
    if scored.by is not None and len(large) > 1:
        first, last, by, label = large[0], large[-1], scored.by, PROBABILITY[scored.event]
        yield lambda w: w.say(
            f"{w.opening(label.en)} is highest for {w.name((by,), first[:1])}, {w.value(first[2], '%')}, and lowest for {w.name((by,), last[:1])}, {w.value(last[2], '%')}.",
            f"{label.zh}最高的是{w.name((by,), first[:1])}（{w.value(first[2], '%')}），最低的是{w.name((by,), last[:1])}（{w.value(last[2], '%')}）。",
        )


def _reason_said(w: Wording, reason: Reason, money: str | None) -> str:
    likely, others = (feature_said(w, reason.feature, value, money) for value in (reason.likely, reason.others))
    label = reason.feature.label.in_(w.language)
    return w.say(f"{label} {likely} (others {others})", f"{label} {likely}（其余 {others}）")


def confidence_of(held: Held) -> Confidence:
    telling = 2 if held.area >= TELLING else 1 if held.area >= FAIR else 0
    calibrated = 2 if held.off <= CALIBRATED else 1 if held.off <= ROUGH else 0
    level = ("low", "medium", "high")[min(telling, calibrated)]
    low, high = max(0.0, held.area - 1.96 * held.error), min(1.0, held.area + 1.96 * held.error)
    return Confidence(level=level, why=in_both(lambda w: w.say(  # type: ignore[arg-type]
        f"Tested on later days it had not seen ({held.users:,} users): AUC {held.area:.2f} ({low:.2f}–{high:.2f}; 0.5 is chance), {w.value(held.expected, '%')} expected and {w.value(held.came, '%')} came true.",
        f"在未见过的后续日子上检验（{held.users:,} 位用户）：AUC {held.area:.2f}（{low:.2f}–{high:.2f}，0.5 为随机），预测 {w.value(held.expected, '%')}，实际 {w.value(held.came, '%')}。",
    )))  # fmt: skip


def _thin(scored: Scored) -> Iterator[Text]:
    if scored.held.off > ROUGH:
        yield Text("Tested, the expected number was far off: trust the order of users more than the numbers.", "检验时总量偏差较大：用户间的高低排序比数值更可信。")


# Table ---------------------------------------------------------------------------------------------------------------


def _bands(scored: Scored) -> ResultTable:
    bands = [label for _, label in BANDS[scored.event]]
    first = Column(name="band", role="dimension", type="string", label=PROBABILITY[scored.event], value_labels=tuple((b.en, b) for b in bands))
    columns = (
        first, _number("users", Text("users", "用户数"), additive=True),
        Column(name="users_share", role="share", type="number", label=Text("share of users", "用户占比"), unit="%", metric="users"),
        _number("chance", Text("predicted", "预测概率"), "%"), _number("tested", Text("test: predicted", "检验：预测"), "%"),
        _number("came", Text("test: came true", "检验：实际"), "%"), *(_number(f.name, f.label) for f in FEATURES if f.name in SHOWN),
    )  # fmt: skip
    rows = []
    for i in reversed(range(len(bands))):
        shares = [share for share in scored.shares if share.band == i]
        count, tested, came = scored.held.bands[i]
        test = (tested, came) if count else (None, None)
        if shares:
            one = together(shares)
            means = (round(total / one.users, 1) for feature, total in zip(FEATURES, one.sums, strict=True) if feature.name in SHOWN)
            rows.append((bands[i].en, one.users, one.users / scored.whole.users, one.chances / one.users, *test, *means))
        else:
            rows.append((bands[i].en, 0, 0.0, None, *test, *(None for _ in SHOWN)))
    return ResultTable(columns=columns, rows=tuple(rows))


def _groups(scored: Scored) -> ResultTable:
    assert scored.by is not None
    parts: dict[Cell, list[Share]] = {}
    for share in scored.shares:
        parts.setdefault(share.part, []).append(share)
    columns = (
        scored.by, _number("users", Text("users", "用户数"), additive=True), _number("chance", PROBABILITY[scored.event], "%"),
        _number("expected", Text("expected users", "预计人数"), additive=True),
        _number("likely", Text("users at 50% or more", "概率不低于50%的用户数"), additive=True),
    )  # fmt: skip
    rows: list[tuple[Cell, int, float, int, int]] = []
    for part, shares in parts.items():
        one, likely = together(shares), sum(share.users for share in shares if share.band >= LIKELY)
        rows.append((part, one.users, one.chances / one.users, round(one.chances), likely))
    rows.sort(key=lambda row: (-row[2], str(row[0])))
    return ResultTable(columns=columns, rows=tuple(rows))


def _number(name: str, label: Text, unit: str | None = None, *, additive: bool = False) -> Column:
    return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)


def _follow_ups(inquiry: Inquiry, scored: Scored) -> Iterator[Text]:
    yield from by_segment(inquiry.model, scored.event, signals_of(inquiry.model, scored.event).value)
    owner = next(dataset for dataset in inquiry.model.datasets if dataset.entity)
    label = PROBABILITY[scored.event]
    named = [d for d in owner.dimensions if d.type == "string" and 2 <= len(d.values) and not d.pii]
    for dimension in [d for d in named if scored.by is None or d.name != scored.by.name][:1]:
        yield Text(f"{label.en} by {dimension.label.en}", f"各{dimension.label.zh}的{label.zh}")
    other = PROBABILITY["repurchase" if scored.event == "churn" else "churn"]
    yield Text(f"{other.en} in the next {scored.days} days", f"未来{scored.days}天的{other.zh}")
