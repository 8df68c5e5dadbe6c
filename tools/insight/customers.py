"""Owns what each customer did, as statements: one row a user and day, and one row a user of their behaviour up to a day.

Which metrics tell it is read from the model: what its churn or lifecycle counts as activity, what its LTV sums as value.
The statements read no user's identity out: samples come without their ids, scores as groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Lifecycle, LifetimeValue, PeriodReturn
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.sql_tree import with_ctes
from wenshu.semantic_layer.table import Column
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Inquiry
from wenshu.tools.wording import Wording

DAYS, USERS = "days_of_users", "behaviour_of_users"  # CTEs
GROUP = "group_of_user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Name the metrics that tell what customers do: being active, and what they spend."""

    activity: str
    value: str


def signals_of(model: Model, kind: str | None = None) -> Signals:
    """Return the model's own, those of its segment of a kind where it has one to learn; raises `QueryError` where it has nothing that customers spend."""
    lessons = (dataset.lesson for dataset in model.datasets if dataset.lesson and dataset.lesson.kind == kind)
    if lesson := next((one for one in lessons if {one.activity, one.value} <= _visible(model)), None):
        return Signals(activity=lesson.activity, value=lesson.value)
    named = [m.value for m in model.metrics if isinstance(m, LifetimeValue)]
    named += [m.name for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.SUM and m.unit == model.currency]
    value = next((name for name in named if name in _visible(model)), None)
    if value is None or not any(dataset.entity for dataset in model.datasets):
        raise QueryError(
            "no_customers",
            Text("The model does not say what customers spend.", "模型没有说明客户的消费。"),
            Text("It needs a dataset of users and an amount that is summed; an LTV metric names it.", "需要用户数据集与可合计的金额，LTV 指标会指明它。"),
        )
    lost = [m.of for m in model.metrics if isinstance(m, PeriodReturn) and m.lost]
    lost += [m.of for m in model.metrics if isinstance(m, Lifecycle)]
    return Signals(activity=next((name for name in lost if name in _visible(model)), value), value=value)


def _visible(model: Model) -> set[str]:
    return {metric.name for metric in model.metrics}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Hold one number of a user's behaviour: how it is computed up to the day `{cut}`, and what it is called."""

    name: str
    sql: str
    label: Text
    unit: str | None = None
    high: Text
    low: Text


def _days(bought: bool, last: int | None = None) -> str:
    since = f" AND day > {{cut}} - {last}" if last else ""
    return f"FILTER (WHERE {'' if bought else 'NOT '}bought AND day <= {{cut}}{since})"


FEATURES = (
    Feature(
        name="days_inactive", sql=f"DATE_DIFF('day', MAX(day) {_days(False)}, {{cut}})", unit="day",
        label=Text("days since last active", "距上次活跃天数"), high=Text("long inactive", "久未活跃"), low=Text("recently active", "近期活跃"),
    ),
    Feature(
        name="active_days_7", sql=f"COUNT(*) {_days(False, 7)}", label=Text("active days of the last 7", "近7天活跃天数"),
        high=Text("active this week", "本周活跃"), low=Text("hardly there this week", "本周少来"),
    ),
    Feature(
        name="active_days_30", sql=f"COUNT(*) {_days(False, 30)}", label=Text("active days of the last 30", "近30天活跃天数"),
        high=Text("there often", "经常来"), low=Text("seldom there", "很少来"),
    ),
    Feature(
        name="active_days_90", sql=f"COUNT(*) {_days(False, 90)}", label=Text("active days of the last 90", "近90天活跃天数"),
        high=Text("there for months", "长期活跃"), low=Text("few days in months", "长期少来"),
    ),
    Feature(
        name="actions_30", sql=f"COALESCE(SUM(actions) {_days(False, 30)}, 0)", label=Text("actions of the last 30 days", "近30天行为次数"),
        high=Text("very active", "行为多"), low=Text("few actions", "行为少"),
    ),
    Feature(
        name="age", sql="DATE_DIFF('day', MIN(day) FILTER (WHERE day <= {cut}), {cut})", unit="day",
        label=Text("days since first seen", "距首次出现天数"), high=Text("with us long", "老用户"), low=Text("new", "新用户"),
    ),
    Feature(
        name="purchase_days", sql=f"COUNT(*) {_days(True)}", label=Text("days with a purchase", "购买天数"),
        high=Text("frequent buyers", "购买频繁"), low=Text("hardly buy", "很少购买"),
    ),
    Feature(
        name="purchase_days_90", sql=f"COUNT(*) {_days(True, 90)}", label=Text("days with a purchase of the last 90", "近90天购买天数"),
        high=Text("buying now", "近期在买"), low=Text("not buying now", "近期不买"),
    ),
    Feature(
        name="days_unbought", sql=f"COALESCE(DATE_DIFF('day', MAX(day) {_days(True)}, {{cut}}), DATE_DIFF('day', MIN(day) FILTER (WHERE day <= {{cut}}), {{cut}}) + 30)",
        unit="day", label=Text("days since last purchase", "距上次购买天数"), high=Text("long without a purchase", "久未购买"), low=Text("bought lately", "近期购买过"),
    ),
    Feature(
        name="spent", sql=f"COALESCE(SUM(spent) {_days(True)}, 0)", unit="money", label=Text("spent so far", "累计消费"),
        high=Text("big spenders", "高消费"), low=Text("low spenders", "低消费"),
    ),
)  # fmt: skip
FEATURE = {feature.name: feature for feature in FEATURES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Make statements of the users of one inquiry: `filters` keep some, `by` names a property of theirs to group by."""

    inquiry: Inquiry
    signals: Signals
    filters: Filter | None = None
    by: str | None = None

    def users(self, cut: date, *, who: str, later: int = 0, features: Sequence[str] = tuple(FEATURE)) -> exp.Select:
        """Return each user's behaviour up to the day `cut`, of those for whom the condition `who` holds.

        Columns are the features and, of the `later` days that follow, `active_later` and `bought_later`.
        """
        day = f"DATE '{cut.isoformat()}'"
        columns = [f"({FEATURE[name].sql}) AS {name}" for name in features]
        for name, bought in (("active_later", "NOT bought"), ("bought_later", "bought")):
            columns.append(f"(COUNT(*) FILTER (WHERE {bought} AND day > {{cut}} AND day <= {{cut}} + {later}) > 0) AS {name}")
        group = f", MAX({GROUP}) AS {GROUP}" if self.by else ""
        text = f"SELECT user_id{group}, {', '.join(columns)} FROM {DAYS} GROUP BY user_id HAVING {who}"
        return with_ctes(_parsed(text.replace("{cut}", day)), [(DAYS, self._days(cut + timedelta(days=later)))])

    def _days(self, until: date) -> exp.Query:
        """Return what users did by day: active, or bought."""
        period = DateRange(min(self.inquiry.layer.coverage.start, until), until)
        active = user_days(self.inquiry, self.signals.activity, period, self.filters, self.by)
        bought = user_days(self.inquiry, self.signals.value, period, self.filters, self.by)
        group = f", {GROUP}" if self.by else ""
        text = (
            f"SELECT user_id, day, FALSE AS bought, actions, 0 AS spent{group} FROM the_active"
            f" UNION ALL SELECT user_id, day, TRUE AS bought, 0 AS actions, amount AS spent{group} FROM the_bought"
        )
        tree = sqlglot.parse_one(text, dialect="duckdb")
        for table in list(tree.find_all(exp.Table)):
            table.replace((active if table.name == "the_active" else bought).subquery(table.name))
        assert isinstance(tree, exp.Query)
        return tree


def user_days(inquiry: Inquiry, metric: str, period: DateRange, filters: Filter | None, by: str | None = None) -> exp.Select:
    """Return user_id, day, actions (the rows) and amount (the metric) of each user and day with any; `by` is a property of users."""
    binder = Binder(inquiry.model, inquiry.as_of, inquiry.layer.profile.complete)
    binder.period, binder.data_start = period, inquiry.layer.coverage.start
    source = binder.source((binder.leaf(metric),), (by,) if by else (), Grain.DAY, period, filters, by_user=True)
    ((_, amount),) = source.aggregates
    keys = tuple((GROUP if name == by else name, key) for name, key in source.keys)
    return source_select(replace(source, keys=keys, aggregates=(("actions", exp.Count(this=exp.Star())), ("amount", amount))))


def sampled(users: exp.Select, columns: Sequence[str], most: int) -> exp.Select:
    """Return the columns of at most so many users, the same every time, without their ids."""
    text = f"SELECT {', '.join(columns)} FROM {USERS} ORDER BY HASH(user_id) LIMIT {most}"
    return with_ctes(_parsed(text), [(USERS, users)])


def folded(users: exp.Select, text: str) -> exp.Select:
    """Return a statement over the users, who are its table `behaviour_of_users`."""
    return with_ctes(_parsed(text), [(USERS, users)])


def _parsed(text: str) -> exp.Select:
    tree = sqlglot.parse_one(text, dialect="duckdb")
    assert isinstance(tree, exp.Select)
    return tree


def numbers(*names: str) -> tuple[Column, ...]:
    """Return columns of plain numbers, for statements whose rows are read by the analysis alone."""
    return tuple(Column(name=name, role="metric", type="number", label=Text(name, name)) for name in names)


def property_of_users(model: Model, name: str) -> Dimension:
    """Return a property that users have one value of; raises `QueryError` for those of orders or visits."""
    owners = {dataset.name for dataset in model.datasets if dataset.entity}
    found = [d for d in model.dimensions if name in (d.name, d.qualified)]
    fitting = next((d for d in found if d.dataset in owners and not d.pii), None)
    if fitting is None:
        label = found[0].label if found else Text(name, name)
        raise QueryError(
            "not_of_users",
            Text(f"{label.en} is no property of users: one user may have several.", f"{label.zh}不是用户属性，同一用户可能有多个取值。"),
            Text("Group by a property of users, such as where they came from.", "请按用户属性分组，例如来源渠道。"),
        )
    return fitting


def by_segment(model: Model, kind: str, value: str) -> Iterator[Text]:
    """Yield the question that splits what is spent by the model's segment of a kind, where it has one to learn."""
    for dataset in model.datasets:
        groups = next((d for d in dataset.dimensions if d.expr.name in ("band", "cluster")), None)
        if groups is not None and dataset.lesson and dataset.lesson.kind == kind:
            metric, label = model.metric(value).label, groups.label
            yield Text(f"{metric.en} by {label.en}", f"各{label.zh}的{metric.zh}")


def feature_said(w: Wording, feature: Feature, value: float, money: str | None) -> str:
    """Return a mean of a feature: money with its currency, other numbers with one decimal place."""
    return w.value(round(value), money) if feature.unit == "money" else f"{value:,.1f}"
