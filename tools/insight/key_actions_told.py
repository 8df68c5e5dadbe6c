"""Owns how key actions are told, tabled and drawn: as an association, with the experiment that would test it. Finds nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Dimension
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.significance import Moments, needed_users
from wenshu.tools.insight.strata import Association
from wenshu.tools.wording import Wording, escape_markdown

SHOWN = 0.01  # corrected chance
WORTH = 1.25  # times as likely, from which on an association is worth telling as one
SURELY = 1.15  # times as likely at the lower end of the 95 % interval: keener users do a little more of everything
MOST_TOLD, MOST_ROWS = 4, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """Hold who starts when and what counts as the outcome (the metric as asked, `spec`), `low` to `high` days later; `leaves_early` drops who came to it early."""

    start: Aggregate
    back: Aggregate
    low: int
    high: int
    period: DateRange
    leaves_early: bool
    spec: str
    metric: Retention | RepurchaseWithin


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Hold one thing users may do first: any of some actions, so many times together; and how it goes with the outcome."""

    actions: tuple[str, ...]
    times: int
    users: int
    found: Association
    corrected: float

    @property
    def is_key(self) -> bool:
        return self.corrected < SHOWN and self.found.ratio >= WORTH and self.found.ratio_low >= SURELY


@dataclass(frozen=True, slots=True)
class _Teller:
    w: Wording
    actions: Dimension
    outcome: str
    strata: str | None

    def action(self, each: Candidate) -> str:
        """Return what was done: search at least 2 times."""
        labels = {str(v.value): v.label for v in self.actions.values}
        names = [escape_markdown(labels[name].in_(self.w.language) if name in labels else name) for name in each.actions]
        if len(names) > 1:
            joined = self.w.say(" or ", "或").join(names)
            return self.w.say(f"at least {each.times} of {joined} together", f"{joined}合计至少 {each.times} 次")
        times = "once" if each.times == 1 else f"{each.times} times"
        return self.w.say(f"{names[0]} at least {times}", f"{names[0]}至少 {each.times} 次")

    def rates(self, each: Candidate) -> str:
        w, found = self.w, each.found
        did, others = w.value(found.with_rate, "%"), w.value(found.without_rate, "%")
        change, low, high = (w.value(number, "pp", signed=True) for number in (found.difference, found.low, found.high))
        within = w.say(f"within the same {self.strata} and as many visits", f"在相同{self.strata}、相同来访次数内") if self.strata else w.say("among users with as many visits", "在相同来访次数内")
        ratio = f"{found.ratio:.2f}"
        return w.say(
            f"{did} against {others} of the others; {within}, {ratio} times as likely, {change} (95 % interval {low} to {high}); {w.value(found.coverage, '%')} of users do it",
            f"{did}，其余用户为 {others}；{within}为 {ratio} 倍，{change}（95% 区间 {low} 至 {high}）；{w.value(found.coverage, '%')} 的用户做到",
        )

    def headline(self, ranked: Sequence[Candidate]) -> str:
        w = self.w
        if not ranked or not ranked[0].is_key:
            return w.say(
                f"No first action stands out: none goes with {self.outcome} at least {WORTH:g} times as often beyond chance.",
                f"没有突出的关键行为：没有哪个首日行为能让{self.outcome}达到其余用户的 {WORTH:g} 倍且超出偶然。",
            )
        return w.say(
            f"What goes most surely with {self.outcome} is **{self.action(ranked[0])}** in the first 24 hours: {self.rates(ranked[0])}.",
            f"与{self.outcome}关联最强的是首 24 小时内**{self.action(ranked[0])}**：{self.rates(ranked[0])}。",
        )

    def next(self, each: Candidate) -> str:
        return self.w.opening(self.w.say(f"{self.action(each)}: {self.rates(each)}.", f"{self.action(each)}：{self.rates(each)}。"))

    def trial(self, each: Candidate) -> str:
        """Tell the experiment that would show whether it is a cause."""
        w, found = self.w, each.found
        base = found.without_rate * (1 - found.coverage) + found.with_rate * found.coverage
        effect = found.difference * (1 - found.coverage) / 4
        needed = needed_users(Moments(users=1, x=base), "rate", effect)
        return w.say(
            f"This is an association: keener users do more and stay longer. To test it, lead a random half of new users to {self.action(each)} on the first day and compare {self.outcome}; if one in four of those who would not have done it follows and all of the difference is caused by it, that is {w.value(effect, 'pp', signed=True)}, which takes about {needed:,} users a group.",
            f"这是关联而非因果：更积极的用户本来就做得更多、留得更久。要验证，可随机引导一半新用户在首日{self.action(each)}，再对比{self.outcome}；若原本不会这样做的用户中有四分之一被带动、且差异全部由此产生，则预期提升 {w.value(effect, 'pp', signed=True)}，每组约需 {needed:,} 人。",
        )


def insight_of_actions(
    inquiry: Inquiry, landmark: Landmark, actions: Dimension, strata: str | None, ranked: Sequence[Candidate], *, tried: int,
    users: int, rate: float, filters: Filter | None,
) -> Insight:  # fmt: skip
    """Return the insight: the action that goes most surely with the outcome, the next ones, and what would test it."""
    model = inquiry.model
    by = model.dimension_by_qualified_name[strata].label if strata else None
    label = landmark.metric.label
    key = [each for each in ranked if each.is_key]

    def teller(w: Wording) -> _Teller:
        return _Teller(w, actions, escape_markdown(label.in_(w.language)), escape_markdown(by.in_(w.language)) if by else None)

    findings = [in_both(lambda w, each=each: teller(w).next(each)) for each in key[1:MOST_TOLD]]  # type: ignore[misc]
    if not key and ranked and ranked[0].corrected < SHOWN:
        findings.append(in_both(lambda w: w.say("The strongest, though small: ", "最强的（但幅度较小）：") + teller(w).next(ranked[0])))
    findings.append(in_both(lambda w: w.say(
        f"Looked at: {users:,} users, {w.value(rate, '%')} of whom came to it, and {tried} things they may have done.",
        f"共查看 {users:,} 名用户（其中 {w.value(rate, '%')} 达成）和 {tried} 种行为条件。",
    )))  # fmt: skip
    if key:
        findings.append(in_both(lambda w: teller(w).trial(key[0])))
    return Insight(
        title=in_both(lambda w: w.say(f"First-day actions and {teller(w).outcome}", f"首日行为与{teller(w).outcome}")),
        headline=in_both(lambda w: teller(w).headline(ranked)),
        findings=tuple(findings),
        table=_table(landmark, ranked[:MOST_ROWS], teller),
        plot=Plot(kind="intervals", x="action", y=("difference", "low", "high"), reason=Text("How much more of those who did it came to the outcome, with 95 % intervals.", "做到者比其余用户高多少，及其 95% 区间。")),
        method=_method(by),
        confidence=_confidence(key, tried),
        caveats=tuple(_caveats(landmark)),
        evidence=inquiry.evidence,
        query=_query(inquiry, landmark, filters),
        period=landmark.period,
        follow_ups=(Text(f"{label.en} by month", f"按月看{label.zh}"),) if _query(inquiry, landmark, filters) else (),
    )  # fmt: skip


def _method(by: Text | None) -> Method:
    within = Text("within groups of as many visits on that day", "在当日来访次数相同的组内")
    if by:
        within = Text(f"within groups of the same {by.en} and as many visits on that day", f"在{by.zh}与当日来访次数相同的组内")
    return Method(
        name=Text("First actions against what came later", "首日行为与后续结果的关联"),
        told=Text(
            f"Users who did something in the first 24 hours are compared with those who did not, {within.en} (Mantel–Haenszel); the number of times is the one that separates best; several actions are added up where that says more; chances are corrected for everything tried (Holm). Visits are the hours in which a user did anything; an action that only says that somebody is there is left out.",
            f"把首 24 小时内做过某行为的用户与没有做的用户{within.zh}比较（Mantel–Haenszel）；次数取区分度最好的；多个行为合计更有说服力时才合计；p 值按全部尝试校正（Holm）。来访次数指当日有行为的小时数；仅表示“来了”的行为不参与比较。",
        ),
        assumptions=(
            Text("An association, not a cause: those who do more may have been keener from the start.", "关联不等于因果：做得更多的用户可能本来就更积极。"),
            Text("The number of times was chosen on these users, so the size is somewhat flattering.", "次数阈值在同一批用户上选出，效果大小略偏乐观。"),
        ),
        source="Mantel & Haenszel 1959 (JNCI 22:719–748); Greenland & Robins 1985 (Biometrics 41:55–68); Anderson, Cain & Gelber 1983 (J. Clin. Oncol. 1:710–719); Holm 1979",
    )  # fmt: skip


def _confidence(key: Sequence[Candidate], tried: int) -> Confidence:
    if not key:
        return Confidence(level="medium", why=Text(f"{tried} things were tried, and none stood out.", f"共尝试 {tried} 种条件，均不突出。"))
    chance = "< 0.001" if key[0].corrected < 0.001 else f"= {key[0].corrected:.2g}"
    return Confidence(
        level="medium",
        why=Text(f"That they go together is beyond chance (p {chance} after correcting for {tried} things tried); that one causes the other is not shown.", f"两者的关联超出偶然（按 {tried} 种尝试校正后 p {chance}）；但是否有因果尚未证明。"),
    )  # fmt: skip


def _caveats(landmark: Landmark) -> Iterator[Text]:
    yield Text(f"Users who started after {landmark.period.end} are left out: their days are not over.", f"{landmark.period.end} 之后开始的用户观察天数未满，不计入。")
    if landmark.leaves_early:
        yield Text("Users who bought again within the first 24 hours are left out: what they did then did not come before.", "首 24 小时内已再次购买的用户不计入，因为其行为并非发生在结果之前。")


def _table(landmark: Landmark, ranked: Sequence[Candidate], teller: object) -> ResultTable:
    assert callable(teller)
    metric = metric_column(landmark.spec)
    texts = [in_both(lambda w, each=each: teller(w).action(each)) for each in ranked]  # type: ignore[misc]

    def number(name: str, role: str, en: str, zh: str, unit: str | None) -> Column:
        return Column(name=name, role=role, type="number", label=Text(en, zh), unit=unit, metric=None if role in ("metric", "count") else metric)  # type: ignore[arg-type]

    columns = (
        Column(name="action", role="dimension", type="string", label=Text("in the first 24 hours", "首 24 小时内"), value_labels=tuple((text.en, text) for text in texts)),
        Column(name="users", role="count", type="number", label=Text("users who did", "做到的用户"), additive=False),
        number("coverage", "share", "share of users", "覆盖率", "%"),
        Column(name=metric, role="metric", type="number", label=landmark.metric.label, unit="%", metric=metric),
        number("others", "comparison", "of the others", "其余用户", "%"),
        number("difference", "change", "difference within strata", "同层差异", "pp"),
        number("low", "change", "from", "区间下限", "pp"), number("high", "change", "to", "区间上限", "pp"),
        number("lift", "comparison", "times as likely", "倍数", None), number("p_holm", "comparison", "p (Holm)", "p 值（Holm 校正）", None),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (text.en, each.users, each.found.coverage, each.found.with_rate, each.found.without_rate, each.found.difference, each.found.low, each.found.high, round(each.found.ratio, 3), round(each.corrected, 6))
        for text, each in zip(texts, ranked, strict=True)
    ]  # fmt: skip
    return ResultTable(columns=columns, rows=tuple(rows))


def _query(inquiry: Inquiry, landmark: Landmark, filters: Filter | None) -> Query | None:
    query = Query(metrics=(landmark.spec,), filters=filters, period=landmark.period)
    try:
        inquiry.layer.compile(query, today=inquiry.today)
    except QueryError:
        return None
    return query
