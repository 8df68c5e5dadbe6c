"""Owns what customers are predicted to be worth: how much those who have bought will spend in the days that follow.

BG/NBD says how often they will buy, Gamma-Gamma for how much (lifetime.py has both, with their sources). The same models,
fitted without the last days, are held against what these brought, and the answer says how far off they were.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.sql_tree import with_ctes
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.customers import (
    GROUP,
    USERS,
    folded,
    numbers,
    property_of_users,
    sampled,
    signals_of,
    user_days,
)
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.lifetime import Amounts, Purchases, fit_amounts, fit_purchases
from wenshu.tools.insight.plot import Plot
from wenshu.tools.wording import Wording

WEEK = 7.0  # days; the models' unit of time
MOST_CUSTOMERS = 60_000  # that are read; more are sampled
FEWEST_CUSTOMERS, FEWEST_REPEATING = 200, 100
FIFTHS = 5
NEAR, FAR = 0.10, 0.25  # share that the test may be off for high, for medium confidence
RELATED = 0.3  # correlation of how often with how much, from which on Gamma-Gamma's assumption is in doubt
TIERS = (
    Text("top 20%", "前20%"), Text("20–40%", "20–40%"), Text("40–60%", "40–60%"), Text("60–80%", "60–80%"), Text("last 20%", "后20%"),
)  # fmt: skip
METHOD = Method(
    name=Text("Predicted: BG/NBD and Gamma-Gamma", "预测：BG/NBD 与 Gamma-Gamma 模型"),
    told=Text(
        "How often each customer will buy follows from how often and how recently they bought (BG/NBD), how much from what they spent a time (Gamma-Gamma); both fitted by maximum likelihood to all customers. Purchases of one day count once.",
        "根据每位客户的购买次数与最近一次购买预测未来购买次数（BG/NBD），根据历次金额预测单次金额（Gamma-Gamma），均以极大似然法在全部客户上拟合；同日购买合并为一次。",
    ),
    assumptions=(
        Text("Customers go on as customers like them did: no new sale, price or competitor.", "客户的行为与以往同类客户一致，不考虑新的促销、价格或竞争。"),
        Text("How much a customer spends a time does not depend on how often they buy.", "单次消费金额与购买频率无关。"),
        Text("Amounts are not discounted.", "金额未折现。"),
    ),
    source="Fader, Hardie & Lee 2005 (Marketing Science 24:275–284); Fader & Hardie 2013 (Gamma-Gamma)",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Hold what one customer did up to a day, times in weeks, and what they did in the days that followed."""

    repeats: float
    recency: float
    age: float
    repeat_spent: float
    later: float
    later_spent: float
    group: Cell = None

    @property
    def mean(self) -> float:
        return self.repeat_spent / self.repeats if self.repeats else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Hold what is expected of one customer."""

    alive: float
    purchases: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Hold both models, fitted to the same customers."""

    purchases: Purchases
    amounts: Amounts

    def of(self, customers: Sequence[Customer], days: int) -> list[Forecast]:
        repeats, recency, age = ([getattr(c, name) for c in customers] for name in ("repeats", "recency", "age"))
        often = self.purchases.expected(days / WEEK, repeats, recency, age)
        worth = self.amounts.expected(repeats, [c.mean for c in customers])
        alive = self.purchases.alive(repeats, recency, age)
        return [Forecast(alive=a, purchases=p, value=p * w) for a, p, w in zip(alive.tolist(), often.tolist(), worth.tolist(), strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Hold what models fitted without the last days expected of these, and what these brought."""

    purchases: float
    bought: float
    value: float
    spent: float

    @property
    def off(self) -> float:
        return self.value / self.spent - 1.0 if self.spent else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedValue:
    """Ask what customers will spend in the `days` that follow the last day, in all or `by` a property of theirs."""

    name: ClassVar[str] = "predicted_value"
    label: ClassVar[Text] = Text("Predicted lifetime value", "预测LTV")

    days: int = 90
    by: str | None = None
    filters: Filter | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Reading what customers bought", "读取客户购买记录")
        model, end = inquiry.model, inquiry.as_of
        value = signals_of(model).value
        by = property_of_users(model, self.by) if self.by else None
        total = inquiry.ask(Query(metrics=(value,), dimensions=(by.name,) if by else (), filters=self.filters))
        customers, share = self._customers(inquiry, value, end, 0)
        _check_enough(customers)
        yield Text("Fitting how often and for how much they buy", "拟合购买频率与金额模型")
        models = fitted(customers)
        inquiry.pause()
        yield Text("Testing the method on the days before", "用此前的日子检验方法")
        tested = self._test(inquiry, value, end)
        return Telling(
            asked=self, inquiry=inquiry, unit=model.metric(value).unit, by=total.table.column(by.name) if by else None, customers=customers,
            forecasts=models.of(customers, self.days), models=models, tested=tested, share=share,
        ).insight()  # fmt: skip

    def _customers(self, inquiry: Inquiry, value: str, cut: date, later: int) -> tuple[list[Customer], float]:
        """Return the customers up to a day, or a sample of them, and the share of all that they are."""
        users = self._users(inquiry, value, cut, later)
        (count,) = inquiry.select(folded(users, f"SELECT COUNT(*) AS customers FROM {USERS}"), numbers("customers")).table.rows[0]
        names = ["repeats", "recency", "age", "repeat_spent", "later", "later_spent", *([GROUP] if self.by else [])]
        statement = sampled(self._users(inquiry, value, cut, later), names, MOST_CUSTOMERS)
        rows = inquiry.select(statement, numbers(*names), max_rows=MOST_CUSTOMERS).table.rows
        share = len(rows) / count if isinstance(count, int) and count else 1.0
        return [_customer(row) for row in rows], share

    def _users(self, inquiry: Inquiry, value: str, cut: date, later: int) -> exp.Select:
        until = cut + timedelta(days=later)
        days = user_days(inquiry, value, DateRange(min(inquiry.layer.coverage.start, until), until), self.filters, self.by)
        day = f"DATE '{cut.isoformat()}'"
        group = f", MAX({GROUP}) AS {GROUP}" if self.by else ""
        text = f"""
            SELECT user_id{group}, COUNT(*) FILTER (WHERE day <= {day}) - 1 AS repeats,
              DATE_DIFF('day', MIN(day), MAX(day) FILTER (WHERE day <= {day})) AS recency, DATE_DIFF('day', MIN(day), {day}) AS age,
              COALESCE(SUM(amount) FILTER (WHERE day <= {day}), 0) - COALESCE(ARG_MIN(amount, day), 0) AS repeat_spent,
              COUNT(*) FILTER (WHERE day > {day}) AS later, COALESCE(SUM(amount) FILTER (WHERE day > {day}), 0) AS later_spent
            FROM purchase_days_of_users GROUP BY user_id HAVING MIN(day) <= {day}"""
        tree = sqlglot.parse_one(text, dialect="duckdb")
        assert isinstance(tree, exp.Select)
        return with_ctes(tree, [("purchase_days_of_users", days)])

    def _test(self, inquiry: Inquiry, value: str, end: date) -> Tested | None:
        """Return how the method would have done; None where the days before the last ones are too few."""
        cut = end - timedelta(days=self.days)
        if (cut - inquiry.layer.coverage.start).days < self.days:
            return None
        customers, _ = self._customers(inquiry, value, cut, self.days)
        try:
            _check_enough(customers)
        except QueryError:
            return None
        expected = fitted(customers).of(customers, self.days)
        return Tested(
            purchases=sum(f.purchases for f in expected), bought=sum(c.later for c in customers),
            value=sum(f.value for f in expected), spent=sum(c.later_spent for c in customers),
        )  # fmt: skip


def fitted(customers: Sequence[Customer]) -> Models:
    """Return both models, fitted to customers."""
    alike = Counter((c.repeats, c.recency, c.age) for c in customers)
    repeats, recency, age = zip(*alike, strict=True)
    amounts = fit_amounts([c.repeats for c in customers], [c.mean for c in customers])
    return Models(purchases=fit_purchases(repeats, recency, age, list(alike.values())), amounts=amounts)


def _customer(row: tuple[Cell, ...]) -> Customer:
    repeats, recency, age, repeat_spent, later, later_spent = (float(cell) if isinstance(cell, int | float) else 0.0 for cell in row[:6])
    return Customer(
        repeats=repeats, recency=recency / WEEK, age=age / WEEK, repeat_spent=max(repeat_spent, 0.0), later=later, later_spent=later_spent,
        group=row[6] if len(row) > 6 else None,
    )  # fmt: skip


def _check_enough(customers: Sequence[Customer]) -> None:
    repeating = sum(c.repeats > 0 and c.repeat_spent > 0 for c in customers)
    if len(customers) < FEWEST_CUSTOMERS or repeating < FEWEST_REPEATING:
        raise QueryError(
            "too_thin",
            Text(f"There are {len(customers):,} customers, {repeating:,} of whom bought again: too few to predict from.", f"共 {len(customers):,} 位客户，其中 {repeating:,} 位复购，数量太少，无法预测。"),
            Text(f"It takes {FEWEST_CUSTOMERS} customers and {FEWEST_REPEATING} who bought again; ask about a larger group.", f"至少需要 {FEWEST_CUSTOMERS} 位客户、{FEWEST_REPEATING} 位复购客户，请扩大范围。"),
        )  # fmt: skip


# Telling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Hold all that was found, to be put into words, a table and a picture."""

    asked: PredictedValue
    inquiry: Inquiry
    unit: str | None
    by: Column | None
    customers: Sequence[Customer]
    forecasts: Sequence[Forecast]
    models: Models
    tested: Tested | None
    share: float

    @property
    def value(self) -> float:
        return sum(f.value for f in self.forecasts) / self.share

    @property
    def count(self) -> int:
        return round(len(self.customers) / self.share)

    def insight(self) -> Insight:
        table = self._table()
        first = table.columns[0]
        days = self.asked.days
        return Insight(
            title=Text(f"Predicted value of customers, next {days} days", f"客户未来 {days} 天预测价值"),
            headline=in_both(self._headline),
            findings=tuple(in_both(say) for say in self._findings(table)),
            table=table,
            plot=Plot(kind="bar", x=first.name, y=("predicted_per_customer",), reason=Text("Groups by what a customer is predicted to be worth: bars.", "按客户预测价值比较各组：柱状图。")),
            method=METHOD,
            confidence=confidence_in(self.tested, days),
            caveats=tuple(self._caveats()),
            evidence=self.inquiry.evidence,
            period=DateRange(self.inquiry.layer.coverage.start, self.inquiry.as_of),
            follow_ups=tuple(self._follow_ups()),
        )  # fmt: skip

    def _headline(self, w: Wording) -> str:
        days, each = self.asked.days, w.value(self.value / self.count, self.unit)
        return w.say(
            f"**Predicted**: the {self.count:,} customers so far will spend {w.value(self.value, self.unit)} in the next {days} days, **{each} each**.",
            f"**预测**：现有 {self.count:,} 位客户未来 {days} 天将消费 {w.value(self.value, self.unit)}，**人均 {each}**。",
        )

    def _findings(self, table: ResultTable) -> Iterator[Any]:
        ranked = sorted((f.value for f in self.forecasts), reverse=True)
        top = sum(ranked[: max(1, len(ranked) // FIFTHS)]) / (sum(ranked) or 1.0)
        alive = sum(f.alive for f in self.forecasts) / len(self.forecasts)
        purchases = sum(f.purchases for f in self.forecasts) / len(self.forecasts)
        yield lambda w: w.say(
            f"The 20% worth most make up **{w.value(top, '%')}** of it.", f"价值最高的 20% 客户占其中的 **{w.value(top, '%')}**。",
        )  # fmt: skip
        if self.by is not None and len(table.rows) > 1:
            best, worst = table.rows[0], table.rows[-1]
            by = self.by
            yield lambda w: w.say(
                f"{w.name((by,), best[:1])} customers are predicted to be worth most, {w.value(best[4], self.unit)} each; {w.name((by,), worst[:1])} least, {w.value(worst[4], self.unit)}.",
                f"{w.name((by,), best[:1])}客户预测价值最高，人均 {w.value(best[4], self.unit)}；{w.name((by,), worst[:1])}最低，人均 {w.value(worst[4], self.unit)}。",
            )
        yield lambda w: w.say(
            f"{w.value(alive, '%')} of customers are expected not to have left for good; a customer makes {purchases:.2f} purchases in that time on average.",
            f"预计 {w.value(alive, '%')} 的客户尚未流失；期间人均购买 {purchases:.2f} 次。",
        )
        fit, worth = self.models.purchases, self.models.amounts
        yield lambda w: w.say(
            f"The fit, times in weeks: r {fit.r:.3f}, α {fit.alpha:.3f}, a {fit.a:.3f}, b {fit.b:.3f}; p {worth.p:.2f}, q {worth.q:.2f}, γ {worth.gamma:.2f}.",
            f"拟合参数（时间单位为周）：r {fit.r:.3f}、α {fit.alpha:.3f}、a {fit.a:.3f}、b {fit.b:.3f}；p {worth.p:.2f}、q {worth.q:.2f}、γ {worth.gamma:.2f}。",
        )

    def _caveats(self) -> Iterator[Text]:
        yield Text("A prediction, not what has been.", "这是预测值，并非已发生的数据。")
        yield Text("Only customers who have bought by now are in it.", "仅包含已有购买的客户。")
        if self.share < 1:
            yield Text(f"From a sample of {len(self.customers):,} of {self.count:,} customers, scaled up.", f"由 {self.count:,} 位客户中抽样 {len(self.customers):,} 位推算。")
        related = _correlation([(c.repeats, c.mean) for c in self.customers if c.repeats and c.mean])
        if abs(related) >= RELATED:
            yield Text(
                f"How often and how much go together (correlation {related:.2f}), which Gamma-Gamma takes them not to.",
                f"购买频率与单次金额相关（相关系数 {related:.2f}），与 Gamma-Gamma 的假设不符。",
            )

    def _table(self) -> ResultTable:
        each = list(zip(self.customers, self.forecasts, strict=True))
        parts: list[tuple[Cell, list[tuple[Customer, Forecast]]]]
        if self.by is not None:
            groups: dict[Cell, list[tuple[Customer, Forecast]]] = {}
            for customer, forecast in each:
                groups.setdefault(customer.group, []).append((customer, forecast))
            parts = sorted(groups.items(), key=lambda item: (-sum(f.value for _, f in item[1]) / len(item[1]), str(item[0])))
            first = self.by
        else:
            each.sort(key=lambda pair: -pair[1].value)
            parts = [(tier.en, each[len(each) * i // FIFTHS : len(each) * (i + 1) // FIFTHS]) for i, tier in enumerate(TIERS)]
            first = Column(name="value_tier", role="dimension", type="string", label=Text("customers by predicted value", "按预测价值分层"), value_labels=tuple((tier.en, tier) for tier in TIERS))
        return ResultTable(columns=(first, *_columns(self.unit)), rows=tuple((key, *self._row(part)) for key, part in parts if part))

    def _row(self, part: Sequence[tuple[Customer, Forecast]]) -> tuple[Cell, ...]:
        value = sum(f.value for _, f in part)
        mean = [sum(getattr(f, name) for _, f in part) / len(part) for name in ("alive", "purchases")]
        return round(len(part) / self.share), mean[0], round(mean[1], 4), round(value / len(part), 2), round(value / self.share, 2), value / self.share / (self.value or 1.0)

    def _follow_ups(self) -> Iterator[Text]:
        owner = next(dataset for dataset in self.inquiry.model.datasets if dataset.entity)
        named = [d for d in owner.dimensions if d.type == "string" and 2 <= len(d.values) and not d.pii and d.name != self.asked.by]
        for dimension in named[:2]:
            yield Text(f"predicted LTV by {dimension.label.en}", f"各{dimension.label.zh}的预测LTV")


def confidence_in(tested: Tested | None, days: int) -> Confidence:
    """Return how sure a prediction is by how far off it would have been."""
    if tested is None:
        return Confidence(level="low", why=Text("There are too few days to test the method on.", "历史太短，无法检验。"))
    level = "high" if abs(tested.off) <= NEAR else "medium" if abs(tested.off) <= FAR else "low"
    return Confidence(level=level, why=in_both(lambda w: w.say(  # type: ignore[arg-type]
        f"Fitted without the last {days} days, it expected {tested.purchases:,.0f} purchases of these, and there were {tested.bought:,.0f}; of the amount it was off by {w.value(tested.off, '%', signed=True)}.",
        f"不含最近 {days} 天重新拟合后，预测这段时间购买 {tested.purchases:,.0f} 次，实际 {tested.bought:,.0f} 次；金额偏差 {w.value(tested.off, '%', signed=True)}。",
    )))  # fmt: skip


def _columns(unit: str | None) -> tuple[Column, ...]:
    def number(name: str, label: Text, unit: str | None = None, *, additive: bool = False) -> Column:
        return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)

    return (
        number("customers", Text("customers", "客户数"), additive=True),
        number("probability_alive", Text("predicted not to have left", "预测尚未流失"), "%"),
        number("predicted_purchases", Text("predicted purchases per customer", "预测人均购买次数")),
        number("predicted_per_customer", Text("predicted value per customer", "预测人均价值"), unit),
        number("predicted_value", Text("predicted value", "预测总价值"), unit, additive=True),
        Column(name="predicted_share", role="share", type="number", label=Text("share of predicted value", "占预测总价值"), unit="%", metric="predicted_value"),
    )


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    from statistics import StatisticsError, correlation

    try:
        return correlation(*zip(*pairs, strict=True))
    except (StatisticsError, TypeError):
        return 0.0
