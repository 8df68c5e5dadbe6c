"""Owns how what is bought together is told, tabled and drawn. Finds nothing itself: every number is handed to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.association import RATE, Baskets, Rule
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.query import QueryResult
from wenshu.tools.wording import Wording

MOST_ROWS, MOST_NEAREST, MOST_TOLD = 20, 5, 3
MANY = 30  # baskets together, from which on a finding is called sure
METHOD = Method(
    name=Text("Association rules", "关联规则"),
    told=Text(
        f"Support is the share of baskets with all of the items, confidence the share of those with the first that have the other, too, lift how many times that is its share of all baskets. Only what chance does not give is a finding: baskets of the same sizes filled at random, false discovery rate {RATE:.0%}.",
        f"支持度为同时包含各项的购物篮占比，置信度为含前项的购物篮中也含后项的比例，提升度为置信度与后项总体占比之比。与同样大小、随机装填的购物篮相比超出偶然（误报率 {RATE:.0%}）才算发现。",
    ),
    assumptions=(
        Text("Bought together does not mean that one is bought because of the other.", "一起购买不等于因果。"),
        Text("Baskets are independent of each other; sales and bundles of a few days are not told apart.", "购物篮相互独立，未区分短期促销与套装。"),
    ),
    source="Agrawal, Imieliński & Swami 1993 (SIGMOD); Brin et al. 1997 (lift); Benjamini & Hochberg 1995",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Hold all that was found: the rules that rest on enough baskets, and those of them that chance does not give."""

    total: QueryResult
    baskets: Baskets
    fewest: int
    rules: tuple[Rule[Cell], ...]
    sure: tuple[Rule[Cell], ...]
    possible: int
    of_given: int
    given: tuple[str, ...]
    of: Literal["order", "user"]
    by: Column
    size: int

    @property
    def shown(self) -> tuple[Rule[Cell], ...]:
        """Return the rules to list: the findings, or what comes nearest where there are none."""
        nearest = sorted(self.rules, key=lambda rule: (-rule.strength, -rule.together, str(rule.then)))
        return self.sure[:MOST_ROWS] or tuple(nearest[:MOST_NEAREST])

    def counted(self, w: Wording, count: int) -> str:
        return w.say(f"{count:,} {self.of}{'' if count == 1 else 's'}", f"{count:,} {'笔订单' if self.of == 'order' else '位用户'}")

    def named(self, w: Wording, key: Cell) -> str:
        return w.name((self.by,), (key,))

    def given_named(self, w: Wording) -> str:
        return w.names([w.name((replace(self.by, value_labels=()),), (value,)) for value in self.given])

    def sides(self, w: Wording, rule: Rule[Cell]) -> tuple[str, str]:
        return w.names([self.named(w, item) for item in rule.given]), self.named(w, rule.then)


def insight_of_baskets(inquiry: Inquiry, found: Found) -> Insight:
    """Return the insight: what goes together most, how often, and how many times chance that is."""
    table = _table(found)
    x = "goes_with" if found.given else "items"
    return Insight(
        title=in_both(lambda w: _title(w, found)),
        headline=in_both(lambda w: _headline(w, found)),
        findings=tuple(in_both(say) for say in _findings(found)),
        table=table,
        plot=Plot(kind="bar", x=x, y=("lift",), reason=Text("What goes together by lift: bars.", "按提升度比较组合：柱状图。")) if 1 < len(table.rows) <= MOST_ROWS else None,
        method=METHOD,
        confidence=_confidence(found),
        caveats=tuple(_caveats(found)),
        evidence=inquiry.evidence,
        period=found.total.period if found.total.dated else None,
        follow_ups=tuple(_follow_ups(found)),
    )  # fmt: skip


def _title(w: Wording, found: Found) -> str:
    label = w.label(found.by)
    if found.given:
        title = w.say(f"What goes with {found.given_named(w)}", f"与{found.given_named(w)}一起买的{label}")
    else:
        title = w.say(f"Bought together, by {label}", f"经常一起购买的{label}")
    return title if found.sure else w.noted(title, w.say("may be chance", "可能出于偶然"))


def _headline(w: Wording, found: Found) -> str:
    if not found.sure:
        baskets, label = found.counted(w, found.baskets.count), w.label(found.by)
        if found.given:
            what = found.given_named(w)
            return w.say(f"**Nothing goes with {what} more than chance gives** in {baskets}.", f"在 {baskets}中，**没有与{what}一起购买超出偶然的{label}**。")
        return w.say(f"**No {label} goes with another more than chance gives** in {baskets}.", f"在 {baskets}中，**没有超出偶然的{label}组合**。")
    rule = found.sure[0]
    given, then = found.sides(w, rule)
    if found.given and found.possible == 1:
        given = found.given_named(w)
        return w.say(
            f"**{given} and {then} go together**: {found.counted(w, rule.together)} with both, {rule.lift:.1f} times what independent purchases give.",
            f"**{given}与{then}确实常一起购买**：{found.counted(w, rule.together)}同时有两者，是相互独立时的 {rule.lift:.1f} 倍。",
        )
    if found.given:
        given = found.given_named(w)
        return w.say(
            f"**{then}** goes with {given} most: {w.value(rule.confidence, '%')} of the {found.counted(w, rule.of_given)} with {given} have it, {rule.lift:.1f} times its share of all.",
            f"与{given}一起买得最突出的是 **{then}**：含{given}的 {found.counted(w, rule.of_given)}中 {w.value(rule.confidence, '%')} 也买了它，是总体占比的 {rule.lift:.1f} 倍。",
        )
    return w.say(
        f"**{given} and {then}** go together most: {found.counted(w, rule.together)} with all of them, {rule.lift:.1f} times what independent purchases give.",
        f"**{given}与{then}** 最常连带：{found.counted(w, rule.together)}都有，是相互独立时的 {rule.lift:.1f} 倍。",
    )


def _findings(found: Found) -> Iterator[Callable[[Wording], str]]:
    for rule in found.sure[:MOST_TOLD]:
        yield lambda w, rule=rule: _rule_said(w, found, rule)  # type: ignore[misc]
    if len(found.sure) > MOST_TOLD:
        more = len(found.sure) - MOST_TOLD
        yield lambda w: w.say(f"{more:,} more go together beyond chance.", f"另有 {more:,} 个组合超出偶然。")
    yield lambda w: w.say(
        f"{found.counted(w, found.baskets.count)} were looked at; only what at least {found.fewest:,} of them hold is counted (minimum support {w.value(found.fewest / found.baskets.count, '%')}).",
        f"共分析 {found.counted(w, found.baskets.count)}，只统计至少出现 {found.fewest:,} 次的组合（最小支持度 {w.value(found.fewest / found.baskets.count, '%')}）。",
    )


def _rule_said(w: Wording, found: Found, rule: Rule[Cell]) -> str:
    given, then = found.sides(w, rule)
    if found.given:
        given = found.given_named(w)
    support, confidence, usual = (w.value(share, "%") for share in (rule.support, rule.confidence, rule.usual))
    return w.say(
        f"**{given} → {then}**: {found.counted(w, rule.together)} (support {support}), confidence {confidence} where its share of all is {usual}, lift {rule.lift:.1f}; chance gives about {rule.expected:.1f}.",
        f"**{given} → {then}**：{found.counted(w, rule.together)}（支持度 {support}），置信度 {confidence}，总体占比 {usual}，提升度 {rule.lift:.1f}；偶然约有 {rule.expected:.1f}。",
    )


def _confidence(found: Found) -> Confidence:
    tested = f"{found.possible:,}"
    if not found.sure:
        return Confidence(level="medium", why=Text(
            f"{tested} combinations could be; what is rarer than {found.fewest:,} baskets would not be noticed.", f"可能的组合有 {tested} 个；少于 {found.fewest:,} 次的组合不会被发现。",
        ))  # fmt: skip
    rule = found.sure[0]
    odds = f"{rule.chance:.0e}" if rule.chance > 1e-300 else "1e-300"
    return Confidence(level="high" if rule.together >= MANY else "medium", why=Text(
        f"Chance gives so many together with probability below {odds}, {tested} combinations were possible, and of those told {RATE:.0%} are expected to be chance.",
        f"偶然出现这么多次的概率低于 {odds}；可能的组合有 {tested} 个，所列组合中预期 {RATE:.0%} 出于偶然。",
    ))  # fmt: skip


def _caveats(found: Found) -> Iterator[Text]:
    if found.of == "user":
        yield Text("All that a user bought in the period counts as together, in one order or in several.", "用户在期间内购买的全部商品视为一起购买，不限于同一订单。")
    if not found.sure and found.rules:
        yield Text("What is listed comes nearest, and may be chance.", "所列组合最接近，但可能出于偶然。")


def _table(found: Found) -> ResultTable:
    def number(name: str, label: Text, unit: str | None = None, *, additive: bool = False) -> Column:
        return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)

    numbers = (
        number("together", Text("together", "同时出现"), additive=True), number("support", Text("support", "支持度"), "%"),
        number("confidence", Text("confidence", "置信度"), "%"), number("usual", Text("share of all", "总体占比"), "%"), number("lift", Text("lift", "提升度")),
        number("expected", Text("by chance", "偶然期望")),
    )  # fmt: skip
    en, zh = Wording("en"), Wording("zh")
    rows, names = [], []
    for rule in found.shown:
        shown = [(_plain(found, rule, w)) for w in (en, zh)]
        key: Cell = rule.then if found.given else shown[0]
        names.append((key, Text(*shown)))
        rows.append((key, rule.together, rule.support, rule.confidence, rule.usual, round(rule.lift, 2), round(rule.expected, 1)))
    if found.given:
        first = replace(found.by, name="goes_with")
    else:
        first = Column(name="items", role="dimension", type="string", label=found.by.label, value_labels=tuple(names))
    return ResultTable(columns=(first, *numbers), rows=tuple(rows))


def _plain(found: Found, rule: Rule[Cell], w: Wording) -> str:
    """Return a rule as a name: A + B → C, as the data write them."""
    given = " + ".join(found.by.shown(item, w.language) for item in rule.given)
    return f"{given} → {found.by.shown(rule.then, w.language)}"


def _follow_ups(found: Found) -> Iterator[Text]:
    if found.sure and not found.given:
        item = found.sure[0].given[0]
        yield Text(f"what goes with {found.by.shown(item, 'en')}", f"买{found.by.shown(item, 'zh')}的还会买什么")
    yield Text(f"bought together by users, by {found.by.label.en}", f"用户经常一起买哪些{found.by.label.zh}") if found.of == "order" and not found.given else Text(
        f"bought together by {found.by.label.en}", f"哪些{found.by.label.zh}经常一起买"
    )
