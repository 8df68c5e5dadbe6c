"""Owns the activity segment: the stage of every user by activity in the last days and in those before."""

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Relationship
from wenshu.semantic_layer.segment_parts import Segment, filled_template, groups_of, is_foreign, label_of, words_of
from wenshu.semantic_layer.text import Synonyms, Text

ACTIVITY_STAGES = {
    "new": Text("new", "新用户（近期注册且活跃）"),
    "returning": Text("returning", "持续活跃用户"),
    "resurrecting": Text("resurrecting", "回流用户"),
    "dormant": Text("dormant", "流失用户"),
    "inactive": Text("inactive longer", "长期未活跃用户"),
}
ACTIVITY_SQL = """
WITH last_activity AS (
  SELECT the_user AS user_id, MAX(CAST(the_time AS DATE)) AS last_on, MAX(CASE WHEN the_time < as_of + 1 - the_now THEN CAST(the_time AS DATE) END) AS earlier_on
  FROM the_rows WHERE the_condition AND the_time < as_of + 1 GROUP BY 1
), windows AS (
  SELECT the_key AS user_id, CAST(the_entered AS DATE) > as_of - the_now AS is_new, DATE_DIFF('day', last_on, as_of) AS days_since,
    COALESCE(last_on > as_of - the_now, FALSE) AS is_active, COALESCE(earlier_on > as_of - the_before, FALSE) AS was_active
  FROM the_users LEFT JOIN last_activity ON the_key = last_activity.user_id
)
SELECT user_id, days_since, CASE WHEN is_active AND is_new THEN 'new' WHEN is_active AND was_active THEN 'returning'
  WHEN is_active THEN 'resurrecting' WHEN was_active THEN 'dormant' ELSE 'inactive' END AS stage
FROM windows
"""


def activity_segment(
    name: str, spec: s.ActivitySpec, *, of: m.Aggregate, start: m.Aggregate, datasets: tuple[Dataset, ...], relationships: tuple[Relationship, ...],
) -> Segment:  # fmt: skip
    """Return the stage of every user as of the last day as a dataset of one row a user, and how users join to it.

    Raises `QueryError` where the rows of `of` belong to no user or have no time of their own.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    rows, users = by_name[of.dataset], by_name[start.dataset]
    owner = next((r for r in relationships if r.many == rows.name and r.one == users.name), None)
    time, entered = of.time or rows.time, start.time or users.time
    foreign = is_foreign(rows, of.where, time) or bool(of.filters or start.filters)
    if (
        owner is None
        or time is None
        or entered is None
        or not users.entity
        or not isinstance(users.source, str)
        or foreign
    ):
        raise QueryError(
            "invalid_segment",
            Text(
                f"the rows of {rows.name} or {users.name} have no user or no time",
                f"{rows.name} 或 {users.name} 的记录没有用户或时间",
            ),
            Text(
                "Use activity that joins to the users, and a start metric of the users.",
                "请使用关联用户的活跃指标，以及用户数据集的起始指标。",
            ),
        )
    parts: dict[str, exp.Expr] = {
        "user": exp.column(owner.many_columns[0]), "time": time, "condition": of.where or exp.true(), "key": exp.column(users.primary_key[0], table="users"),
        "entered": exp.column(entered.name, table="users") if isinstance(entered, exp.Column) else entered,
        "now": exp.Literal.number(spec.days), "before": exp.Literal.number(2 * spec.days),
    }  # fmt: skip
    tree = sqlglot.parse_one(ACTIVITY_SQL, dialect="duckdb")
    for table in tree.find_all(exp.Table):
        if table.name == "the_users":
            table.replace(exp.table_(users.source, alias="users"))
    filled = filled_template(tree, parts, rows)
    assert isinstance(filled, exp.Query)
    values = tuple(
        DimensionValue(
            value=stage,
            label=label,
            synonyms=words_of(spec.stages[stage].synonyms) if stage in spec.stages else Synonyms(),
        )
        for stage, label in ACTIVITY_STAGES.items()
    )
    stages = Dimension(
        name=f"{name}_stage", dataset=name, expr=exp.column("stage"), type="string", values=values, groups=groups_of(spec.groups), ordered=True, indexed=True,
        label=label_of(spec.label, Text(f"activity stage (last {spec.days} days)", f"活跃阶段（近{spec.days}天）")), synonyms=words_of(spec.synonyms),
        description=Text(
            f"By activity in the last {spec.days} days and the {spec.days} days before, as of the last day of the data.",
            f"按截至数据最后一天的近 {spec.days} 天与再之前 {spec.days} 天的活跃情况划分。",
        ),
    )  # fmt: skip
    days = Dimension(
        name=f"{name}_days_since", dataset=name, expr=exp.column("days_since"), type="number", unit="day",
        label=Text("days since last active", "距上次活跃天数"), synonyms=Synonyms(en=("days inactive",), zh=("未活跃天数",)),
    )  # fmt: skip
    dataset = Dataset(
        name=name, source=filled, label=label_of(spec.label, Text("activity stage", "活跃阶段")), primary_key=("user_id",), is_segment=True, dimensions=(stages, days),
    )  # fmt: skip
    return dataset, Relationship(
        many=users.name, one=name, many_columns=users.primary_key[:1], one_columns=("user_id",)
    )
