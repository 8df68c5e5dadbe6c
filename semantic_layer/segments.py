"""Owns segments: properties of a user computed from what the user did, as a dataset with one row a user.

A segment joins to the users like any other dataset, so that every metric can be split and filtered by it.
RFM follows Hughes (1994) with quantile scores; the tiers are the eight of high and low against the mean score.
"""

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Relationship
from wenshu.semantic_layer.text import Synonyms, Text

TIERS: dict[str, tuple[str, str]] = {  # tier: its name in Chinese, and H or L of recency, frequency and amount
    "champions": ("重要价值客户", "HHH"),
    "promising big spenders": ("重要发展客户", "HLH"),
    "loyal at risk": ("重要保持客户", "LHH"),
    "big spenders slipping away": ("重要挽留客户", "LLH"),
    "loyal low spenders": ("一般价值客户", "HHL"),
    "new or occasional": ("一般发展客户", "HLL"),
    "fading regulars": ("一般保持客户", "LHL"),
    "hibernating": ("一般挽留客户", "LLL"),
}
# Columns called the_… and the table the_rows stand for parts of the model.
SQL = """
WITH spending AS (
  SELECT the_user AS user_id, DATE_DIFF('day', CAST(MAX(the_time) AS DATE), as_of) AS recency, COUNT(*) AS frequency, CAST(COALESCE(SUM(the_value), 0) AS DOUBLE) AS monetary
  FROM the_rows WHERE the_condition AND the_user IS NOT NULL AND the_time >= as_of - the_days AND the_time < as_of + 1 GROUP BY 1
), cutoffs AS (
  SELECT QUANTILE_CONT(-recency, the_quantiles) AS r, QUANTILE_CONT(frequency, the_quantiles) AS f, QUANTILE_CONT(monetary, the_quantiles) AS m FROM spending
), scored AS (
  SELECT spending.*, the_r_score AS r_score, the_f_score AS f_score, the_m_score AS m_score FROM spending CROSS JOIN cutoffs
), means AS (
  SELECT AVG(r_score) AS r, AVG(f_score) AS f, AVG(m_score) AS m FROM scored
), levels AS (
  SELECT scored.*, 4 * CAST(r_score >= means.r AS INT) + 2 * CAST(f_score >= means.f AS INT) + CAST(m_score >= means.m AS INT) AS level
  FROM scored CROSS JOIN means
)
SELECT user_id, recency, frequency, monetary, r_score, f_score, m_score, the_tier AS tier FROM levels
"""
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
NUMBERS = {
    "recency": (Text("days since the last purchase", "距上次购买天数"), "day"),
    "frequency": (Text("purchases in the RFM window", "RFM窗口内购买次数"), None),
    "monetary": (Text("amount in the RFM window", "RFM窗口内购买金额"), None),
    "r_score": (Text("R score", "R分"), None),
    "f_score": (Text("F score", "F分"), None),
    "m_score": (Text("M score", "M分"), None),
}


def rfm_segment(
    name: str, spec: s.RfmSpec, *, of: m.Aggregate, value: m.Aggregate, datasets: tuple[Dataset, ...], relationships: tuple[Relationship, ...],
) -> tuple[Dataset, Relationship]:  # fmt: skip
    """Return the segment as a dataset of one row a user, and how users join to it.

    Raises `QueryError` where the rows of `of` belong to no user or have no time of their own.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    rows = by_name[of.dataset]
    owner = next((r for r in relationships if r.many == rows.name and by_name[r.one].entity), None)
    time = of.time or rows.time
    foreign = _is_foreign(rows, of.where, value.where, value.expr, time)
    if owner is None or time is None or value.dataset != of.dataset or of.filters or value.filters or foreign:
        raise QueryError(
            "invalid_segment",
            Text(
                f"the rows of {rows.name} have no user or no time, or {of.name} and {value.name} need other datasets",
                f"{rows.name} 的记录没有用户或时间，或 {of.name}、{value.name} 用到了其他数据集",
            ),
            Text(
                "Use metrics of one dataset that has a time and joins to the users, without filters.",
                "请使用同一数据集中带时间且关联用户、不含筛选的指标。",
            ),
        )
    tier = exp.Case(this=exp.column("level"))
    for key, (_, level) in TIERS.items():
        number = sum(bit for bit, mark in zip((4, 2, 1), level, strict=True) if mark == "H")
        tier = tier.when(exp.Literal.number(number), exp.Literal.string(key))
    shares = (f"{i / spec.quantiles:.15g}" for i in range(1, spec.quantiles))
    quantiles = exp.Array(expressions=list(map(exp.Literal.number, shares)))
    amount = value.expr or exp.Literal.number(1)
    if value.where is not None:
        amount = exp.Case().when(value.where.copy(), amount.copy())
    source: exp.Expr = (
        exp.table_(rows.source, alias=rows.name) if isinstance(rows.source, str) else rows.source.subquery(rows.name)
    )
    tree = sqlglot.parse_one(SQL, dialect="duckdb")
    filled = {
        "user": exp.column(owner.many_columns[0]), "time": time, "value": amount,
        "condition": of.where or exp.true(), "days": exp.Literal.number(spec.window - 1), "quantiles": quantiles, "tier": tier,
        "r_score": _score("-recency", "r", spec.quantiles), "f_score": _score("frequency", "f", spec.quantiles),
        "m_score": _score("monetary", "m", spec.quantiles),
    }  # fmt: skip

    tree = _filled(tree, filled, source)
    assert isinstance(tree, exp.Query)
    dataset = Dataset(
        name=name, source=tree, label=_label(spec.label, Text("RFM", "RFM")), primary_key=("user_id",), is_segment=True,
        dimensions=(_tier_dimension(name, spec), *(_number_dimension(name, key) for key in NUMBERS)),
    )  # fmt: skip
    link = Relationship(many=owner.one, one=name, many_columns=owner.one_columns, one_columns=("user_id",))
    return dataset, link


def _is_foreign(rows: Dataset, *parts: exp.Expr | None) -> bool:
    """Say whether one of the parts names a column of another dataset, which the segment's SELECT does not join."""
    named = (column for part in parts if part is not None for column in part.find_all(exp.Column))
    return any(column.table not in ("", rows.name) for column in named)


def _score(value: str, cutoff: str, quantiles: int) -> exp.Expr:
    """Return 1 + how many of the cutoffs a value exceeds."""
    column: exp.Expr = exp.column(value.removeprefix("-"))
    compared = exp.Neg(this=column) if value.startswith("-") else column
    score: exp.Expr = exp.Literal.number(1)
    for place in range(1, quantiles):
        bound = exp.Bracket(this=exp.column(cutoff, table="cutoffs"), expressions=[exp.Literal.number(place - 1)])
        score = exp.Add(this=score, expression=exp.cast(exp.GT(this=compared.copy(), expression=bound), "INT"))
    return score


def _filled(tree: exp.Expr, parts: dict[str, exp.Expr], rows: exp.Expr) -> exp.Expr:
    """Return a template with the parts of the model put in."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name.startswith("the_"):
            part = parts[node.name.removeprefix("the_")].copy()
            return exp.paren(part, copy=False) if isinstance(part, exp.Connector) else part
        return rows if isinstance(node, exp.Table) and node.name == "the_rows" else node

    return tree.transform(fill)


def activity_segment(
    name: str, spec: s.ActivitySpec, *, of: m.Aggregate, start: m.Aggregate, datasets: tuple[Dataset, ...], relationships: tuple[Relationship, ...],
) -> tuple[Dataset, Relationship]:  # fmt: skip
    """Return the stage of every user as of the last day as a dataset of one row a user, and how users join to it.

    Raises `QueryError` where the rows of `of` belong to no user or have no time of their own.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    rows, users = by_name[of.dataset], by_name[start.dataset]
    owner = next((r for r in relationships if r.many == rows.name and r.one == users.name), None)
    time, entered = of.time or rows.time, start.time or users.time
    foreign = _is_foreign(rows, of.where, time) or bool(of.filters or start.filters)
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
    source: exp.Expr = (
        exp.table_(rows.source, alias=rows.name) if isinstance(rows.source, str) else rows.source.subquery(rows.name)
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
    filled = _filled(tree, parts, source)
    assert isinstance(filled, exp.Query)
    values = tuple(
        DimensionValue(
            value=stage,
            label=label,
            synonyms=_words(spec.stages[stage].synonyms) if stage in spec.stages else Synonyms(),
        )
        for stage, label in ACTIVITY_STAGES.items()
    )
    groups = tuple(
        (_label(group.label, Text(key, key)), _words(group.synonyms), tuple(group.values))
        for key, group in spec.groups.items()
    )
    stages = Dimension(
        name=f"{name}_stage", dataset=name, expr=exp.column("stage"), type="string", values=values, groups=groups, ordered=True, indexed=True,
        label=_label(spec.label, Text(f"activity stage (last {spec.days} days)", f"活跃阶段（近{spec.days}天）")), synonyms=_words(spec.synonyms),
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
        name=name, source=filled, label=_label(spec.label, Text("activity stage", "活跃阶段")), primary_key=("user_id",), is_segment=True, dimensions=(stages, days),
    )  # fmt: skip
    return dataset, Relationship(
        many=users.name, one=name, many_columns=users.primary_key[:1], one_columns=("user_id",)
    )


def _tier_dimension(name: str, spec: s.RfmSpec) -> Dimension:
    values = []
    for key, (zh, _) in TIERS.items():
        tier = spec.tiers.get(key, s.TierSpec())
        values.append(
            DimensionValue(value=key, label=_label(tier.label, Text(key, zh)), synonyms=_words(tier.synonyms))
        )
    groups = tuple(
        (_label(group.label, Text(key, key)), _words(group.synonyms), tuple(group.values))
        for key, group in spec.groups.items()
    )
    return Dimension(
        name=f"{name}_tier", dataset=name, expr=exp.column("tier"), type="string", label=_label(spec.label, Text("RFM tier", "RFM层级")),
        synonyms=_words(spec.synonyms), values=tuple(values), groups=groups, ordered=True, indexed=True,
        description=Text(
            f"Tier by recency, frequency and amount over the {spec.window} days up to the last day of the data: high or low against the mean score.",
            f"按截至数据最后一天的近 {spec.window} 天内的最近购买、次数与金额打分，与平均分比较得出的层级。",
        ),
    )  # fmt: skip


def _number_dimension(name: str, key: str) -> Dimension:
    label, unit = NUMBERS[key]
    return Dimension(
        name=f"{name}_{key}" if key in ("recency", "frequency", "monetary") else key,
        dataset=name,
        expr=exp.column(key),
        type="number",
        label=label,
        unit=unit,
    )


def _label(spec: s.TextSpec | None, default: Text) -> Text:
    return Text(spec.en, spec.zh) if spec else default


def _words(spec: s.SynonymsSpec) -> Synonyms:
    return Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))
