"""Owns segments that are learnt from the data: what a model file says of them, and what stands in their place until they are.

Users likely to leave or to buy again, in bands of their probability, and groups of users who do alike. Knows no statistics:
tools/insight/learnt_segments.py learns, under the asker's rights, and gives back the SELECT that puts every user in place.
"""

from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Lesson, Model, Relationship
from wenshu.semantic_layer.segment_parts import Segment, groups_of, label_of, relation_of, users_of, words_of
from wenshu.semantic_layer.sql_tree import named, select_from
from wenshu.semantic_layer.text import Text

EDGES = (0.2, 0.5, 0.8)  # between the bands of probability
LIKELY = 2  # the first band above one half
BANDS: dict[str, tuple[tuple[str, Text], ...]] = {
    "churn": (
        ("low", Text("low risk (<20%)", "低风险（<20%）")), ("medium", Text("medium risk (20–50%)", "中风险（20–50%）")),
        ("high", Text("high risk (50–80%)", "高风险（50–80%）")), ("very high", Text("very high risk (≥80%)", "极高风险（≥80%）")),
    ),
    "repurchase": (
        ("unlikely", Text("unlikely (<20%)", "可能性低（<20%）")), ("possible", Text("possible (20–50%)", "可能（20–50%）")),
        ("likely", Text("likely (50–80%)", "较可能（50–80%）")), ("very likely", Text("very likely (≥80%)", "很可能（≥80%）")),
    ),
}  # fmt: skip
APART = "not scored"  # the value of users of whom the question is not asked, so that the groups add up to all
WHO_IS_APART = {
    "churn": Text("inactive for 30 days (not scored)", "近30天未活跃（不评分）"),
    "repurchase": Text("no purchase for 180 days (not scored)", "近180天未购买（不评分）"),
    "clusters": Text("inactive for 90 days (in no cluster)", "近90天未活跃（不分群）"),
}
MEANT = {
    "churn": Text("no activity in the next {n} days", "未来 {n} 天没有任何活跃"),
    "repurchase": Text("a purchase in the next {n} days", "未来 {n} 天有购买"),
}
OF = {
    "churn": Text("users active in the last 30 days", "近 30 天活跃用户"),
    "repurchase": Text("users who bought in the last 180 days", "近 180 天购买用户"),
}
PROBABILITY = {"churn": Text("churn probability", "流失概率"), "repurchase": Text("repurchase probability", "复购概率")}
LABEL = {
    "churn": Text("churn risk band", "流失风险档"), "repurchase": Text("repurchase chance band", "复购概率档"),
    "clusters": Text("customer cluster", "聚类客群"),
}  # fmt: skip
USUAL_CLUSTERS = 6  # the most that are looked for where no number is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Hold a segment that has been learnt: its dataset as it scores users as of a day, how it was learnt, and what was read.

    `caveat` is for every answer that uses it; `steps` are the statements with their numbers of rows.
    """

    dataset: Dataset
    caveat: Text
    method: Text
    told: Text
    assumptions: tuple[Text, ...]
    source: str
    steps: tuple[tuple[str, int], ...]


def chance_segment(name: str, spec: s.ChanceSegmentSpec, *, of: m.Aggregate, value: m.Aggregate, model: Model) -> Segment:
    """Return the bands of a probability that is to be learnt. Raises `QueryError` where users have no days of activity."""
    lesson = Lesson(kind=spec.event, activity=of.name, value=value.name, days=spec.days)
    values = tuple(
        DimensionValue(value=key, label=label_of(part.label, label), synonyms=words_of(part.synonyms))
        for key, label in (*BANDS[spec.event], (APART, WHO_IS_APART[spec.event]))
        for part in (spec.values.get(key, s.TierSpec()),)
    )
    label, meant, who = label_of(spec.label, LABEL[spec.event]), MEANT[spec.event], OF[spec.event]
    told = Text(
        f"The probability of {meant.en.format(n=spec.days)}, learnt from how users went on before and told of {who.en}, in bands.",
        f"{meant.zh.format(n=spec.days)}的概率（根据用户此前的后续表现学习），对象为{who.zh}，分档。",
    )
    dataset = f"{name}_of_users"
    band = Dimension(
        name=name, dataset=dataset, expr=exp.column("band"), type="string", label=label, synonyms=words_of(spec.synonyms), values=values,
        groups=groups_of(spec.groups), ordered=True, description=told,
    )  # fmt: skip
    chance = Dimension(
        name=f"{name}_probability", dataset=dataset, expr=exp.column("chance"), type="number", unit="%",
        label=PROBABILITY[spec.event], description=told,
    )  # fmt: skip
    reason = Dimension(
        name=f"{name}_reason", dataset=dataset, expr=exp.column("reason"), type="string",
        label=Text(f"{label.en}: main reason", f"{label.zh}：主要原因"),
        description=Text("For those at 50% or more: what adds most to it, held against the average user.", "概率不低于 50% 的用户：与平均用户相比推高最多的因素。"),
    )  # fmt: skip
    return _segment(dataset, lesson, (band, chance, reason), of, value, model)


def cluster_segment(name: str, spec: s.ClusterSegmentSpec, *, of: m.Aggregate, value: m.Aggregate, model: Model) -> Segment:
    """Return groups of users that are to be learnt, called by letters, the largest first. Raises as `chance_segment` does."""
    lesson = Lesson(kind="clusters", activity=of.name, value=value.name, number=spec.number)
    letters = [chr(ord("A") + i) for i in range(spec.number or USUAL_CLUSTERS)]
    values = (
        *(DimensionValue(value=letter, label=Text(f"cluster {letter}", f"客群{letter}")) for letter in letters),
        DimensionValue(value=APART, label=WHO_IS_APART["clusters"]),
    )
    told = Text(
        "Groups of users active in the last 90 days who do alike, found from recency, frequency, activity and spending.",
        "近 90 天活跃用户中行为相近的群体，根据最近活跃、频率、活跃度与消费聚类得出。",
    )
    dataset = f"{name}_of_users"
    cluster = Dimension(
        name=name, dataset=dataset, expr=exp.column("cluster"), type="string", label=label_of(spec.label, LABEL["clusters"]),
        synonyms=words_of(spec.synonyms), values=values, ordered=True, description=told,
    )  # fmt: skip
    return _segment(dataset, lesson, (cluster,), of, value, model)


def _segment(
    name: str, lesson: Lesson, dimensions: tuple[Dimension, ...], of: m.Aggregate, value: m.Aggregate, model: Model
) -> Segment:  # fmt: skip
    users = users_of(model)
    for metric in (of, value):
        _check_days_of_users(metric, users, model)
    key = exp.column(users.primary_key[0], table=users.name)
    columns = [named(key, "user_id"), *(named(exp.null(), d.expr.name) for d in dimensions)]
    blank = select_from(relation_of(users), columns).group_by(key.copy(), copy=False)
    label = dimensions[0].label
    dataset = Dataset(
        name=name, source=blank, label=Text(f"{label.en} of users", f"用户的{label.zh}"), primary_key=("user_id",), is_segment=True,
        dimensions=dimensions, lesson=lesson,
    )  # fmt: skip
    return dataset, Relationship(many=users.name, one=name, many_columns=users.primary_key[:1], one_columns=("user_id",))


def _check_days_of_users(metric: m.Aggregate, users: Dataset, model: Model) -> None:
    rows = model.dataset_by_name[metric.dataset]
    owned = rows.name == users.name or Binder(model, date.min).path(rows.name, users.name) is not None
    if not owned or metric.undated or (metric.time or rows.time) is None:
        raise QueryError(
            "invalid_segment",
            Text(f"the rows of {metric.name} have no user or no time", f"{metric.name} 的记录没有用户或时间"),
            Text("Use metrics of what users did, with a time.", "请使用带时间的用户行为指标。"),
        )

