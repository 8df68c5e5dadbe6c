"""Owns how the result of an experiment is told, tabled and drawn: the split first, then what is shown and what is not.

Never says that something has no effect: what was not shown may be there, and how large it may be is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.significance import Difference, Kind, Moments, interval, needed_users
from wenshu.tools.insight.trial_design import TrialDesign
from wenshu.tools.wording import Wording, escape_markdown

BROKEN, DOUBTFUL = 0.001, 0.01  # chance of a split, below which it is called so (Fabijan et al. 2019)
SHOWN, SURE = 0.05, 0.01  # corrected chance of a difference
MOST_TOLD = 9

METHOD = Method(
    name=Text("Test of an experiment", "实验检验"),
    told=Text(
        "Users are counted in the group they were first assigned to and by what they did from that moment on. The sizes of the groups are tested first (chi-square against equal parts); then shares by the two-proportion z-test with Newcombe's interval, means by Welch's t-test, ratios by the delta method; chances are corrected for several comparisons (Holm).",
        "用户按分组时刻起的行为计入其所在组。先检验样本比例（卡方，对照等比例分流），再检验指标：比率用两比例 z 检验与 Newcombe 区间，均值用 Welch t 检验，比值用 delta 方法；多个比较的 p 值经 Holm 校正。",
    ),
    assumptions=(
        Text("Users were assigned at random in equal parts; where other parts were meant, the split test does not apply.", "用户按等比例随机分组；若计划的比例不同，则样本比例检验不适用。"),
        Text("Users do not influence each other, and the result is read once, not day by day until it suits.", "用户之间互不影响，且结果只在结束时查看一次，而非反复查看直到显著。"),
    ),
    source="Welch 1947 (Biometrika 34:28–35); Newcombe 1998 (Stat. Med. 17:873–890); Holm 1979 (Scand. J. Stat. 6:65–70); Fabijan et al. 2019 (KDD), sample ratio; Deng et al. 2018 (KDD), delta method",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Hold how many users an experiment has in each group, the control first, and how often chance splits so unevenly."""

    trial: str
    sizes: Mapping[str, int]
    chi: float
    chance: float

    @property
    def is_broken(self) -> bool:
        return self.chance < BROKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Hold a group against the control by one metric; `corrected` is the chance corrected for all comparisons made."""

    trial: str
    metric: str
    kind: Kind
    control: str
    variant: str
    base: Moments
    treated: Moments
    difference: Difference
    corrected: float

    @property
    def is_shown(self) -> bool:
        return self.corrected < SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Hold everything that was found, to be told.

    `missing_in` are the broken splits' worst values: trial, dimension, value and the sizes there.
    """

    splits: tuple[Split, ...]
    comparisons: tuple[Comparison, ...]
    mixed: int
    filters: Filter | None
    period: DateRange | None
    missing_in: tuple[tuple[str, str, str, dict[str, int]], ...]
    per_row: bool

    def of(self, trial: str) -> list[Comparison]:
        own = [each for each in self.comparisons if each.trial == trial]
        return sorted(own, key=lambda each: (each.corrected, each.difference.chance))

    def split(self, trial: str) -> Split:
        return next(split for split in self.splits if split.trial == trial)


def insight_of_experiment(inquiry: Inquiry, design: TrialDesign, found: Found) -> Insight:
    """Return the insight: one experiment in full, or several with what each shows."""
    trials = [split.trial for split in found.splits if found.of(split.trial)]
    ordered = sorted(trials, key=lambda trial: (found.split(trial).is_broken, found.of(trial)[0].corrected))
    shown = found.of(ordered[0])[0]

    def teller(w: Wording) -> _Teller:
        return _Teller(w, inquiry.model, design, found)

    table = _table(inquiry.model, design, found, ordered, shown.metric)
    several = len(ordered) > 1
    return Insight(
        title=in_both(lambda w: w.say(f"Experiments: {teller(w).metric(shown.metric)}", f"实验结果：{teller(w).metric(shown.metric)}")) if several else in_both(lambda w: teller(w).metric(shown.metric)) if not design.trials else in_both(lambda w: w.say(f"Experiment {escape_markdown(ordered[0])}: {teller(w).metric(shown.metric)}", f"实验 {escape_markdown(ordered[0])}：{teller(w).metric(shown.metric)}")),
        headline=in_both(lambda w: teller(w).of_several(ordered) if several else teller(w).headline(ordered[0])),
        findings=tuple(in_both(lambda w, say=say: getattr(teller(w), say[0])(*say[1:])) for say in _findings(found, ordered)),  # type: ignore[misc]
        table=table,
        plot=_plot(design, shown.metric, several=several),
        method=METHOD,
        confidence=_confidence(found, ordered),
        caveats=tuple(_caveats(found)),
        evidence=inquiry.evidence,
        query=_query(inquiry, design, found, shown.metric),
        period=found.period,
        follow_ups=tuple(_follow_ups(found, ordered, design)),
    )  # fmt: skip


# Sentences -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Teller:
    w: Wording
    model: Model
    design: TrialDesign
    found: Found

    def group(self, value: str) -> str:
        for each in self.design.groups.values:
            if str(each.value) == value:
                return escape_markdown(each.label.in_(self.w.language))
        return escape_markdown(value)

    def metric(self, spec: str) -> str:
        return escape_markdown(outcome_label(self.model, spec).in_(self.w.language))

    def sizes(self, sizes: Mapping[str, int]) -> str:
        return self.w.say(", ", "、").join(f"{self.group(name)} {size:,}" for name, size in sizes.items())

    def split(self, trial: str) -> str:
        """Tell the sample ratio, before any result."""
        split, w = self.found.split(trial), self.w
        test = w.say(f"chi-square {split.chi:.2f}, {_p(split.chance)}", f"卡方 {split.chi:.2f}，{_p(split.chance)}")
        sizes = self.sizes(split.sizes)
        if split.is_broken:
            return w.say(
                f"**The split is broken** (sample-ratio mismatch): {sizes}; {test}. No difference below can be trusted until the cause is found",
                f"**分流异常（样本比例失衡）**：{sizes}；{test}。在查明原因之前，下面的差异都不可信",
            )
        if split.chance < DOUBTFUL:
            return w.say(
                f"Sample ratio first: {sizes}; {test}. That is uneven for equal parts, so check how users were assigned",
                f"先看样本比例：{sizes}；{test}。与等比例分流有偏差，建议核对分流过程",
            )
        return w.say(f"Sample ratio as meant: {sizes}; {test}", f"样本比例正常：{sizes}；{test}")

    def headline(self, trial: str) -> str:
        stop = self.w.say(". ", "。")
        return f"{self.split(trial)}{stop}{self.verdict(self.found.of(trial)[0])}{stop.strip()}"

    def of_several(self, trials: list[str]) -> str:
        w, found = self.w, self.found
        broken = [trial for trial in trials if found.split(trial).is_broken]
        fine = [trial for trial in trials if trial not in broken]
        shown = [trial for trial in fine if any(each.is_shown for each in found.of(trial))]
        told = []
        if broken:
            names = w.names([escape_markdown(each) for each in broken], 5)
            told.append(w.say(f"The split of {names} is broken, so its result cannot be trusted", f"{names}的分流异常，结果不可信"))
        if shown:
            names = w.names([escape_markdown(each) for each in shown], 5)
            told.append(w.say(f"a difference is shown in {names}", f"{names}显示出显著差异"))
        if rest := [trial for trial in fine if trial not in shown]:
            names = w.names([escape_markdown(each) for each in rest], 5)
            told.append(w.say(f"none is shown so far in {names}", f"{names}尚未显示出显著差异"))
        return w.opening(w.say("; ", "；").join(told)) + w.say(".", "。")

    def trial(self, trial: str) -> str:
        head = f"**{escape_markdown(trial)}**{self.w.say(': ', '：')}"
        return head + self.headline(trial)

    def verdict(self, each: Comparison) -> str:
        """Tell one comparison: shown to be better or worse, or not shown, with how far it may go."""
        w, metric = self.w, self.model.metric(each.metric)
        unit = outcome_unit(self.model, each.metric, each.kind)
        value, base = w.value(each.treated.value, unit), w.value(each.base.value, unit)
        change = _change(w, each.difference.value, unit)
        low, high = (_change(w, end, unit) for end in (each.difference.low, each.difference.high))
        detail = w.say(
            f"{value} against {base}, {change} (95 % interval {low} to {high}; {self.chance(each)})",
            f"{value} 对 {base}，差 {change}（95% 区间 {low} 至 {high}；{self.chance(each)}）",
        )
        name, better = self.metric(each.metric), (each.difference.value > 0) == (metric.better == "higher")
        group, control = self.group(each.variant), self.group(each.control)
        if each.is_shown:
            return w.say(
                f"**{group} does {'better' if better else 'worse'} than {control}** in {name}: {detail}",
                f"**{group}在{name}上{'优于' if better else '差于'}{control}**：{detail}",
            )
        reach = w.value(each.difference.detectable, "pp" if unit == "%" else unit)
        return w.say(
            f"**No difference is shown** between {group} and {control} in {name}: {detail}. Groups of this size show a difference of {reach} four times in five; smaller ones may be there",
            f"**尚不能判断**{group}与{control}在{name}上有差异：{detail}。以目前的样本，差异达到 {reach} 时才有八成把握检出，更小的差异仍可能存在",
        )

    def chance(self, each: Comparison) -> str:
        if len(self.found.comparisons) < 2:
            return _p(each.difference.chance)
        corrected = _p(each.corrected).removeprefix("p ").removeprefix("= ")
        return _p(each.difference.chance) + self.w.say(f", {corrected} after Holm's correction", f"，Holm 校正后 {corrected}")

    def comparison(self, at: int) -> str:
        return self.verdict(self.found.comparisons[at]) + self.w.say(".", "。")

    def sample(self, at: int) -> str:
        """Tell how many users a difference as large as the one seen would take."""
        each, w = self.found.comparisons[at], self.w
        relative = w.value(abs(each.difference.value), "pp" if outcome_unit(self.model, each.metric, each.kind) == "%" else outcome_unit(self.model, each.metric, each.kind))
        needed = needed_users(each.base, each.kind, each.difference.value)
        return w.say(
            f"To show a difference as small as the {relative} seen in {self.metric(each.metric)}, each group would need about {needed:,} users (now {each.base.users:,} and {each.treated.users:,}).",
            f"若要检出{self.metric(each.metric)}上所见的 {relative} 差异，每组约需 {needed:,} 人（目前 {each.base.users:,} 和 {each.treated.users:,} 人）。",
        )

    def missing(self, at: int) -> str:
        trial, dimension, value, sizes = self.found.missing_in[at]
        found, w = self.model.dimension_by_qualified_name[dimension], self.w
        label = next((v.label.in_(w.language) for v in found.values if str(v.value) == value), value)
        name = escape_markdown(label)
        return w.say(
            f"The split is most uneven where {escape_markdown(found.label.en)} is {name}: {self.sizes(sizes)}. Look there for users who were never recorded.",
            f"失衡主要出现在{escape_markdown(found.label.zh)}为{name}的用户：{self.sizes(sizes)}，请先排查这部分用户的分流与上报。",
        )


def outcome_label(model: Model, spec: str) -> Text:
    """Return what a metric is called per user: GMV per assigned user; rates and means keep their name."""
    metric = model.metric(spec)
    if isinstance(metric, Aggregate) and metric.additive:
        return Text(f"{metric.label.en} per user", f"人均{metric.label.zh}")
    if isinstance(metric, Aggregate) and metric.aggregation.value == "count_distinct":
        return Text(f"share of users counted in {metric.label.en}", f"{metric.label.zh}占比")
    return metric.label


def outcome_unit(model: Model, spec: str, kind: Kind) -> str | None:
    metric = model.metric(spec)
    return "%" if kind == "rate" or metric.unit == "%" else metric.unit


def _change(w: Wording, value: float, unit: str | None) -> str:
    return w.value(value, "pp" if unit == "%" else unit, signed=True)


def _p(chance: float) -> str:
    return "p < 0.001" if chance < 0.001 else f"p = {chance:.2g}" if chance < 0.1 else f"p = {chance:.2f}"


def _findings(found: Found, ordered: list[str]) -> Iterator[tuple[object, ...]]:
    if len(ordered) > 1:
        for trial in ordered[:MOST_TOLD]:
            yield "trial", trial
    else:
        for each in found.of(ordered[0])[1:MOST_TOLD]:
            yield "comparison", found.comparisons.index(each)
    for at in range(len(found.missing_in)):
        yield "missing", at
    if len(ordered) == 1:
        first = found.of(ordered[0])[0]
        if not first.is_shown and first.difference.value:
            yield "sample", found.comparisons.index(first)


def _confidence(found: Found, ordered: list[str]) -> Confidence | None:
    if len(ordered) > 1:
        return None
    split, first = found.split(ordered[0]), found.of(ordered[0])[0]
    count = len(found.comparisons)
    if split.is_broken:
        return Confidence(level="low", why=Text("The groups are not what was meant to be compared.", "各组已不是原计划要比较的人群。"))
    if first.is_shown:
        sure = first.corrected < SURE and split.chance >= DOUBTFUL
        return Confidence(
            level="high" if sure else "medium",
            why=Text(f"Were there no difference, chance would show one this large with {_p(first.corrected)}, corrected for {count} comparison{'s' if count > 1 else ''}.", f"若无差异，偶然出现这样大差异的概率 {_p(first.corrected)}（已按 {count} 个比较校正）。"),
        )  # fmt: skip
    return Confidence(level="low", why=Text("The interval holds differences in both directions.", "区间同时包含正负两个方向的差异。"))


def _caveats(found: Found) -> Iterator[Text]:
    if found.mixed:
        yield Text(f"{found.mixed:,} users who were in several groups of one experiment are left out.", f"同一实验中被分到多个组的 {found.mixed:,} 名用户已剔除。")
    if not found.per_row:
        yield Text("Users whose days after assignment are not over are left out.", "分组后观察天数未满的用户不计入。")


def _follow_ups(found: Found, ordered: list[str], design: TrialDesign) -> Iterator[Text]:
    if not design.trials:
        return
    for trial in [split.trial for split in found.splits if len(ordered) > 1][:3]:
        yield Text(f"which group is better in {trial}", f"{trial}哪个组更好")
    if len(ordered) == 1:
        yield Text("which experiments are significant", "哪些实验显著")


# Table ---------------------------------------------------------------------------------------------------------------


def _table(model: Model, design: TrialDesign, found: Found, trials: list[str], shown: str) -> ResultTable:
    """Return a row a group: its users, the metric shown with its intervals and chance, and the other metrics' values."""
    own = [each for each in found.comparisons if each.metric == shown]
    kind = own[0].kind
    others = [spec for spec in dict.fromkeys(each.metric for each in found.comparisons) if spec != shown]
    value = replace(_metric_column(model, shown, kind), label=outcome_label(model, shown))
    rows = [row for trial in trials for row in _rows(found, trial, shown, others)]
    if len(trials) < 2:
        rows = [row[1:] for row in rows]

    def beside(name: str, role: str, en: str, zh: str, unit: str | None) -> Column:
        return Column(name=name, role=role, type="number", label=Text(en, zh), unit=unit, metric=value.name)  # type: ignore[arg-type]

    unit = "pp" if value.unit == "%" else value.unit
    columns = (
        *([_key(design.trials.name, design.trials.label)] if design.trials and len(trials) > 1 else []),
        replace(_key(design.groups.name, design.groups.label), value_labels=tuple((str(v.value), v.label) for v in design.groups.values)),
        Column(name="users", role="count", type="number", label=Text("rows", "行数") if found.per_row and not model.dataset_by_name[design.dataset].entity else Text("users", "人数"), additive=True),
        value,
        beside("low", "comparison", "from", "区间下限", value.unit), beside("high", "comparison", "to", "区间上限", value.unit),
        beside("difference", "change", "difference", "差异", unit),
        beside("difference_low", "change", "difference from", "差异下限", unit), beside("difference_high", "change", "difference to", "差异上限", unit),
        beside("p", "comparison", "p", "p 值", None), beside("p_holm", "comparison", "p (Holm)", "p 值（Holm 校正）", None),
        *(replace(_metric_column(model, spec, next(c.kind for c in found.comparisons if c.metric == spec)), label=outcome_label(model, spec)) for spec in others),
    )  # fmt: skip
    return ResultTable(columns=columns, rows=tuple(rows))


def _rows(found: Found, trial: str, shown: str, others: list[str]) -> Iterator[tuple[Cell, ...]]:
    own = {each.variant: each for each in found.comparisons if each.trial == trial and each.metric == shown}
    for at, (group, users) in enumerate(found.split(trial).sizes.items()):
        each = own.get(group) or next(iter(own.values()), None)
        if each is None:
            continue
        moments = each.base if at == 0 else each.treated
        low, high = interval(moments, each.kind)
        tested: tuple[Cell, ...] = (None,) * 5
        if at:
            tested = (each.difference.value, each.difference.low, each.difference.high, round(each.difference.chance, 6), round(each.corrected, 6))
        yield (trial, group, users, moments.value, low, high, *tested, *(_value(found, trial, group, spec, at == 0) for spec in others))


def _value(found: Found, trial: str, group: str, spec: str, is_control: bool) -> Cell:
    for each in found.comparisons:
        if (each.trial, each.metric) == (trial, spec) and (is_control or each.variant == group):
            return (each.base if is_control else each.treated).value
    return None


def _key(name: str, label: Text) -> Column:
    return Column(name=name, role="dimension", type="string", label=label)


def _metric_column(model: Model, spec: str, kind: Kind) -> Column:
    unit = outcome_unit(model, spec, kind)
    return Column(name=metric_column(spec), role="metric", type="number", label=model.metric(spec).label, unit=unit, metric=metric_column(spec))


def _plot(design: TrialDesign, metric: str, *, several: bool) -> Plot:
    if several and design.trials:
        return Plot(kind="intervals", x=design.trials.name, y=("difference", "difference_low", "difference_high"), reason=Text("Differences from the control with their 95 % intervals.", "与对照组的差异及其 95% 区间。"))
    return Plot(kind="intervals", x=design.groups.name, y=(metric_column(metric), "low", "high"), reason=Text("Each group with its 95 % interval.", "各组取值及其 95% 区间。"))


def _query(inquiry: Inquiry, design: TrialDesign, found: Found, metric: str) -> Query | None:
    """Return the query by group that a follow-up changes, where there is one."""
    query = Query(metrics=(metric,), dimensions=(design.groups.name,), period=found.period, filters=found.filters)
    try:
        inquiry.layer.compile(query, today=inquiry.today)
    except QueryError:
        return None
    return query
