"""Owns the groups that users fall into by what they do: K-means on recency, frequency, activity and spending.

learning.py finds the groups and how sure they are (its docstring has the sources); users are put into them in the
database, and leave it as groups. A group is described by what sets it apart from the average user.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.customers import (
    FEATURE,
    USERS,
    Behaviour,
    Feature,
    by_segment,
    feature_said,
    folded,
    numbers,
    sampled,
    signals_of,
)
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.learning import Groups, learn_groups
from wenshu.tools.insight.plot import Plot
from wenshu.tools.wording import Wording

GROUPED_BY = ("days_inactive", "active_days_90", "actions_30", "purchase_days", "spent", "age")
WHO = "COUNT(*) FILTER (WHERE NOT bought AND day <= {cut} AND day > {cut} - 90) > 0"
MOST_LEARNT, FEWEST_USERS, MOST_GROUPS = 8_000, 200, 12
APART = 0.3  # deviations from the average user, from which on a feature describes a group
CLEAR, WEAK = 0.5, 0.25  # silhouettes of structures that are reasonable and weak (Kaufman and Rousseeuw, 1990)
STABLE, SHAKY = 0.9, 0.7  # adjusted Rand index
METHOD = Method(
    name=Text("K-means on standardised behaviour", "标准化行为的 K-means 聚类"),
    told=Text(
        "Users active in the last 90 days are grouped by days since last active, active days, actions, days with a purchase, amount spent and days since first seen, each as ln(1 + value) and standardised; where no number is asked for, it is the most groups whose silhouette is within 0.05 of the best.",
        "对近 90 天活跃用户，按距上次活跃天数、活跃天数、行为次数、购买天数、累计消费、距首次出现天数聚类，各取 ln(1+值) 并标准化；未指定组数时，取轮廓系数与最高值相差不超过 0.05 的最多组数。",
    ),
    assumptions=(
        Text("Groups are a way to see users, not a law: there are always users between two of them.", "分群是一种观察方式，组与组之间总有过渡用户。"),
    ),
    source="Lloyd 1982; Rousseeuw 1987 (silhouette); Hubert & Arabie 1985 (adjusted Rand index)",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Hold one group: its users, the mean of each feature, and how far its centre lies from the average user."""

    users: int
    means: tuple[float, ...]
    centre: tuple[float, ...]

    def traits(self) -> list[Text]:
        """Return what sets it apart, the farthest first; the middling group has none."""
        ranked = sorted(zip(GROUPED_BY, self.centre, strict=True), key=lambda item: -abs(item[1]))
        found = [FEATURE[name].high if far > 0 else FEATURE[name].low for name, far in ranked if abs(far) >= APART]
        return found[:2] or [Text("near the average", "接近平均")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Ask into which groups users fall by their behaviour: as many as fit best, or `number`."""

    name: ClassVar[str] = "clusters"
    label: ClassVar[Text] = Text("User groups", "用户聚类")

    number: int | None = None
    filters: Filter | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        if self.number is not None and not 2 <= self.number <= MOST_GROUPS:
            raise QueryError(
                "invalid_number",
                Text(f"Users cannot be put into {self.number} groups.", f"不能把用户分成 {self.number} 组。"),
                Text(f"Ask for 2 to {MOST_GROUPS} groups, or name no number.", f"请给出 2 到 {MOST_GROUPS} 组，或不指定组数。"),
            )
        yield Text("Reading what users do", "读取用户行为")
        signals = signals_of(inquiry.model, "clusters")
        inquiry.ask(Query(metrics=tuple(dict.fromkeys((signals.activity, signals.value))), filters=self.filters))
        behaviour = Behaviour(inquiry=inquiry, signals=signals, filters=self.filters)
        groups, clusters = yield from found_in(behaviour, self.number)
        return _insight(inquiry, groups, clusters, inquiry.model.metric(signals.value).unit)


def found_in(behaviour: Behaviour, number: int | None) -> Generator[Text, None, tuple[Groups, list[Cluster]]]:
    """Yield what is being done; return the groups that users fall into, and all users by group, the largest first.

    Raises `QueryError` where there are too few users.
    """
    inquiry = behaviour.inquiry
    users = behaviour.users(inquiry.as_of, who=WHO, features=GROUPED_BY)
    table = inquiry.select(sampled(users, GROUPED_BY, MOST_LEARNT), numbers(*GROUPED_BY), max_rows=MOST_LEARNT).table
    rows = [[_number(cell) for cell in row] for row in table.rows]
    if len(rows) < FEWEST_USERS:
        raise QueryError(
            "too_thin",
            Text(f"{len(rows):,} users were active in the last 90 days: too few to group.", f"近 90 天仅有 {len(rows):,} 位活跃用户，数量太少，无法聚类。"),
            Text(f"It takes {FEWEST_USERS}; ask about a larger group.", f"至少需要 {FEWEST_USERS} 位，请扩大范围。"),
        )
    yield Text("Trying numbers of groups", "尝试不同的组数")
    groups = learn_groups(rows, number)
    inquiry.pause()
    yield Text("Putting every user into a group", "为每位用户归组")
    return groups, _assigned(behaviour, groups)


def _assigned(behaviour: Behaviour, groups: Groups) -> list[Cluster]:
    """Return all users by the nearest centre, the largest group first."""
    inquiry = behaviour.inquiry
    users = behaviour.users(inquiry.as_of, who=WHO, features=GROUPED_BY)
    sums = ", ".join(f"SUM({name}) AS {name}" for name in GROUPED_BY)
    nearest = nearest_sql(groups, [str(i) for i in range(len(groups.centres))])
    text = f"SELECT {nearest} AS place, COUNT(*) AS users, {sums} FROM ({with_distances(groups)}) AS placed GROUP BY 1 ORDER BY 1"
    rows = inquiry.select(folded(users, text), numbers("place", "users", *GROUPED_BY)).table.rows
    found = []
    for place, count, *totals in rows:
        users_there = int(_number(count))
        means = tuple(_number(total) / users_there for total in totals)
        found.append(Cluster(users=users_there, means=means, centre=groups.centres[int(_number(place))]))
    return sorted(found, key=lambda cluster: (-cluster.users, cluster.means))


def with_distances(groups: Groups) -> str:
    """Return a SELECT of the users, their features and their distances from the centres."""
    distances = ", ".join(f"{distance} AS d{i}" for i, distance in enumerate(distances_sql(groups)))
    return f"SELECT *, {distances} FROM {USERS}"


def nearest_sql(groups: Groups, names: Sequence[str]) -> str:
    """Return the name of the nearest centre as SQL over the distances, by the order of the centres."""
    least = ", ".join(f"d{i}" for i in range(len(groups.centres)))
    return f"CASE {' '.join(f'WHEN d{i} = LEAST({least}) THEN {name}' for i, name in enumerate(names))} END"


def distances_sql(groups: Groups) -> Iterator[str]:
    """Yield a user's squared distance from each centre as SQL over the features."""
    for centre in groups.centres:
        terms = (
            f"POW((LN(1 + {name}) - ({mean:.12g})) / {scale:.12g} - ({at:.12g}), 2)"
            for name, mean, scale, at in zip(GROUPED_BY, groups.means, groups.scales, centre, strict=True)
        )
        yield " + ".join(terms)


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


# Telling -------------------------------------------------------------------------------------------------------------


def _insight(inquiry: Inquiry, groups: Groups, clusters: Sequence[Cluster], money: str | None) -> Insight:
    names = [cluster_named(i, cluster) for i, cluster in enumerate(clusters)]
    return Insight(
        title=Text("Groups of users by behaviour", "按行为划分的用户群"),
        headline=in_both(lambda w: _headline(w, names, clusters)),
        findings=tuple(in_both(say) for say in _findings(names, clusters, money)),
        table=_table(names, clusters, money),
        plot=Plot(kind="bar", x="cluster", y=("users",), reason=Text("Sizes of the groups: bars.", "各群人数：柱状图。")),
        method=METHOD,
        confidence=confidence_of(groups),
        caveats=tuple(_usable(inquiry)),
        evidence=inquiry.evidence,
        period=DateRange(inquiry.layer.coverage.start, inquiry.as_of),
        follow_ups=(*by_segment(inquiry.model, "clusters", signals_of(inquiry.model, "clusters").value), Text("cluster users into 3 groups", "把用户聚成3类"), Text("churn probability in the next 30 days", "未来30天的流失概率")),
    )  # fmt: skip


def _usable(inquiry: Inquiry) -> Iterator[Text]:
    """Yield that the groups cannot be filtered by, where the model has no segment of them."""
    if not any(dataset.lesson and dataset.lesson.kind == "clusters" for dataset in inquiry.model.datasets):
        yield Text("Groups are found anew in each answer and cannot be filtered by in other questions.", "分群在每次回答中重新计算，不能作为其他问题的筛选条件。")


def _headline(w: Wording, names: Sequence[Text], clusters: Sequence[Cluster]) -> str:
    total = sum(cluster.users for cluster in clusters)
    listed = [w.noted(name.in_(w.language), w.value(c.users / total, "%")) for name, c in zip(names, clusters, strict=True)]
    return w.say(
        f"The {total:,} users active in the last 90 days fall into **{len(clusters)} groups**: {'; '.join(listed)}.",
        f"近 90 天活跃的 {total:,} 位用户可分为 **{len(clusters)} 群**：{'；'.join(listed)}。",
    )


def cluster_named(place: int, cluster: Cluster) -> Text:
    letter, traits = chr(ord("A") + place), cluster.traits()
    return Text(f"{letter} · {', '.join(t.en for t in traits)}", f"{letter} · {'、'.join(t.zh for t in traits)}")


def _findings(names: Sequence[Text], clusters: Sequence[Cluster], money: str | None) -> Iterator[Callable[[Wording], str]]:
    total = sum(cluster.users for cluster in clusters)
    average = [sum(c.means[i] * c.users for c in clusters) / total for i in range(len(GROUPED_BY))]
    spent = GROUPED_BY.index("spent")
    for name, cluster in zip(names, clusters, strict=True):
        ranked = sorted(range(len(GROUPED_BY)), key=lambda i, c=cluster: -abs(c.centre[i]))[:3]  # type: ignore[misc]
        told: list[tuple[Feature, float, float]] = [(FEATURE[GROUPED_BY[i]], cluster.means[i], average[i]) for i in ranked]
        worth = cluster.means[spent] * cluster.users / (average[spent] * total or 1.0)

        def say(w: Wording, name: Text = name, cluster: Cluster = cluster, told: list[tuple[Feature, float, float]] = told, worth: float = worth) -> str:
            en = ", ".join(f"{f.label.en} {feature_said(w, f, here, money)} (average {feature_said(w, f, there, money)})" for f, here, there in told)
            zh = "，".join(f"{f.label.zh} {feature_said(w, f, here, money)}（平均 {feature_said(w, f, there, money)}）" for f, here, there in told)
            return w.say(
                f"**{name.en}**: {cluster.users:,} users with {w.value(worth, '%')} of all spending; {en}.",
                f"**{name.zh}**：{cluster.users:,} 位用户，占全部消费的 {w.value(worth, '%')}；{zh}。",
            )

        yield say


def _table(names: Sequence[Text], clusters: Sequence[Cluster], money: str | None) -> ResultTable:
    def number(name: str, label: Text, unit: str | None = None, *, additive: bool = False) -> Column:
        return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)

    total = sum(cluster.users for cluster in clusters)
    first = Column(name="cluster", role="dimension", type="string", label=Text("group", "用户群"), value_labels=tuple((name.en, name) for name in names))
    share = Column(name="users_share", role="share", type="number", label=Text("share of users", "用户占比"), unit="%", metric="users")
    means = (number(f.name, f.label, money if f.unit == "money" else None) for f in (FEATURE[name] for name in GROUPED_BY))
    rows: list[tuple[Cell, ...]] = [
        (name.en, cluster.users, cluster.users / total, *(round(mean, 1) for mean in cluster.means))
        for name, cluster in zip(names, clusters, strict=True)
    ]
    return ResultTable(columns=(first, number("users", Text("users", "用户数"), additive=True), share, *means), rows=tuple(rows))


def confidence_of(groups: Groups) -> Confidence:
    apart = 2 if groups.silhouette >= CLEAR else 1 if groups.silhouette >= WEAK else 0
    stable = 2 if groups.stability >= STABLE else 1 if groups.stability >= SHAKY else 0
    return Confidence(level=("low", "medium", "high")[min(apart, stable)], why=Text(
        f"Silhouette {groups.silhouette:.2f} ({CLEAR} and more: clear groups, below {WEAK}: hardly any); from other starting points the same users fall together (adjusted Rand index {groups.stability:.2f} of 1).",
        f"轮廓系数 {groups.silhouette:.2f}（不低于 {CLEAR} 表示分群清晰，低于 {WEAK} 表示几乎没有结构）；更换初始点后的一致性（调整兰德指数）为 {groups.stability:.2f}（满分 1）。",
    ))  # fmt: skip
