"""Owns the RFM segment: how recently, how often and for how much a user bought, as scores and a tier.

RFM follows Hughes (1994) with quantile scores; the tiers are the eight of high and low against the mean score.
"""

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Relationship
from wenshu.semantic_layer.segment_parts import (
    Segment,
    filled_template,
    groups_of,
    is_foreign,
    label_of,
    score_of,
    words_of,
)
from wenshu.semantic_layer.text import Text

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
SELECT user_id, recency, frequency, monetary, r_score, f_score, m_score, level FROM levels
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
) -> Segment:  # fmt: skip
    """Return the segment as a dataset of one row a user, and how users join to it.

    Raises `QueryError` where the rows of `of` belong to no user or have no time of their own.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    rows = by_name[of.dataset]
    owner = next((r for r in relationships if r.many == rows.name and by_name[r.one].entity), None)
    time = of.time or rows.time
    foreign = is_foreign(rows, of.where, value.where, value.expr, time)
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
    shares = (f"{i / spec.quantiles:.15g}" for i in range(1, spec.quantiles))
    quantiles = exp.Array(expressions=list(map(exp.Literal.number, shares)))
    amount = value.expr or exp.Literal.number(1)
    if value.where is not None and value.where != of.where:
        amount = exp.Case().when(value.where.copy(), amount.copy())
    tree = sqlglot.parse_one(SQL, dialect="duckdb")
    filled = {
        "user": exp.column(owner.many_columns[0]), "time": time, "value": amount,
        "condition": of.where or exp.true(), "days": exp.Literal.number(spec.window - 1), "quantiles": quantiles,
        "r_score": score_of("-recency", "r", spec.quantiles), "f_score": score_of("frequency", "f", spec.quantiles),
        "m_score": score_of("monetary", "m", spec.quantiles),
    }  # fmt: skip

    tree = filled_template(tree, filled, rows)
    assert isinstance(tree, exp.Query)
    dataset = Dataset(
        name=name, source=tree, label=label_of(spec.label, Text("RFM", "RFM")), primary_key=("user_id",), is_segment=True,
        dimensions=(_tier_dimension(name, spec), *(_number_dimension(name, key) for key in NUMBERS)),
    )  # fmt: skip
    link = Relationship(many=owner.one, one=name, many_columns=owner.one_columns, one_columns=("user_id",))
    return dataset, link


def _tier_dimension(name: str, spec: s.RfmSpec) -> Dimension:
    values, named_level = [], exp.Case(this=exp.column("level"))  # a join carries the number, which is shorter
    for key, (zh, level) in TIERS.items():
        number = sum(bit for bit, mark in zip((4, 2, 1), level, strict=True) if mark == "H")
        named_level = named_level.when(exp.Literal.number(number), exp.Literal.string(key))
        tier = spec.tiers.get(key, s.TierSpec())
        values.append(
            DimensionValue(value=key, label=label_of(tier.label, Text(key, zh)), synonyms=words_of(tier.synonyms))
        )
    return Dimension(
        name=f"{name}_tier", dataset=name, expr=named_level, type="string", label=label_of(spec.label, Text("RFM tier", "RFM层级")),
        synonyms=words_of(spec.synonyms), values=tuple(values), groups=groups_of(spec.groups), ordered=True, indexed=True,
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
