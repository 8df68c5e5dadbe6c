"""Owns segments: properties of a user computed from what the user did, as a dataset with one row a user.

A segment joins to the users like any other dataset, so that every metric can be split and filtered by it.
RFM follows Hughes (1994) with quantile scores; the tiers are the eight of high and low against the mean score.
"""

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import model as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
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
  SELECT the_user AS user_id, DATE_DIFF('day', CAST(MAX(the_time) AS DATE), as_of) AS recency, COUNT(*) AS frequency, CAST(SUM(the_value) AS DOUBLE) AS monetary
  FROM the_rows WHERE the_condition AND the_time >= as_of - the_days AND the_time < as_of + 1 GROUP BY 1
), cutoffs AS (
  SELECT QUANTILE_CONT(-recency, the_quantiles) AS r, QUANTILE_CONT(frequency, the_quantiles) AS f, QUANTILE_CONT(monetary, the_quantiles) AS m FROM spending
), scored AS (
  SELECT spending.*, 1 + LEN(LIST_FILTER(cutoffs.r, LAMBDA x: -recency > x)) AS r_score,
    1 + LEN(LIST_FILTER(cutoffs.f, LAMBDA x: frequency > x)) AS f_score, 1 + LEN(LIST_FILTER(cutoffs.m, LAMBDA x: monetary > x)) AS m_score
  FROM spending CROSS JOIN cutoffs
), levels AS (
  SELECT *, CASE WHEN r_score >= AVG(r_score) OVER () THEN 'H' ELSE 'L' END || CASE WHEN f_score >= AVG(f_score) OVER () THEN 'H' ELSE 'L' END
    || CASE WHEN m_score >= AVG(m_score) OVER () THEN 'H' ELSE 'L' END AS level FROM scored
)
SELECT user_id, recency, frequency, monetary, r_score, f_score, m_score, the_tier AS tier FROM levels
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
    name: str, spec: s.RfmSpec, *, of: m.Aggregate, value: m.Aggregate, datasets: tuple[m.Dataset, ...], relationships: tuple[m.Relationship, ...],
) -> tuple[m.Dataset, m.Relationship]:  # fmt: skip
    """Return the segment as a dataset of one row a user, and how users join to it.

    Raises `QueryError` where the rows of `of` belong to no user or have no time of their own.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    rows = by_name[of.dataset]
    owner = next((r for r in relationships if r.many == rows.name and by_name[r.one].entity), None)
    time = of.time or rows.time
    if owner is None or time is None or value.dataset != of.dataset:
        raise QueryError(
            "invalid_segment",
            Text(
                f"the rows of {rows.name} have no user or no time, or {value.name} is of another dataset",
                f"{rows.name} 的记录没有用户或时间，或 {value.name} 属于其他数据集",
            ),
            Text(
                "Use metrics of one dataset that has a time and joins to the users.",
                "请使用同一数据集中带时间且关联用户的指标。",
            ),
        )
    tier = exp.Case(this=exp.column("level"))
    for key, (_, level) in TIERS.items():
        tier = tier.when(exp.Literal.string(level), exp.Literal.string(key))
    step = 1 / spec.quantiles
    quantiles = exp.Array(expressions=[exp.Literal.number(f"{step * i:.4g}") for i in range(1, spec.quantiles)])
    source: exp.Expression = (
        exp.table_(rows.source, alias=rows.name) if isinstance(rows.source, str) else rows.source.subquery(rows.name)
    )
    tree = sqlglot.parse_one(SQL, dialect="duckdb")
    filled = {
        "user": exp.column(owner.many_columns[0]), "time": time, "value": value.expr or exp.Literal.number(1),
        "condition": of.where or exp.true(), "days": exp.Literal.number(spec.window - 1), "quantiles": quantiles, "tier": tier,
    }  # fmt: skip

    def fill(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and node.name.removeprefix("the_") in filled:
            return filled[node.name.removeprefix("the_")].copy()
        return source if isinstance(node, exp.Table) and node.name == "the_rows" else node

    tree = tree.transform(fill)
    assert isinstance(tree, exp.Query)
    dataset = m.Dataset(
        name=name, source=tree, label=_label(spec.label, Text("RFM", "RFM")), primary_key=("user_id",), is_segment=True,
        dimensions=(_tier_dimension(name, spec), *(_number_dimension(name, key) for key in NUMBERS)),
    )  # fmt: skip
    link = m.Relationship(many=owner.one, one=name, many_columns=owner.one_columns, one_columns=("user_id",))
    return dataset, link


def _tier_dimension(name: str, spec: s.RfmSpec) -> m.Dimension:
    values = []
    for key, (zh, _) in TIERS.items():
        tier = spec.tiers.get(key, s.TierSpec())
        values.append(
            m.DimensionValue(value=key, label=_label(tier.label, Text(key, zh)), synonyms=_words(tier.synonyms))
        )
    groups = tuple(
        (_label(group.label, Text(key, key)), _words(group.synonyms), tuple(group.values))
        for key, group in spec.groups.items()
    )
    return m.Dimension(
        name=f"{name}_tier", dataset=name, expr=exp.column("tier"), type="string", label=_label(spec.label, Text("RFM tier", "RFM层级")),
        synonyms=_words(spec.synonyms), values=tuple(values), groups=groups, ordered=True, indexed=True,
        description=Text(
            f"Tier by recency, frequency and amount over the {spec.window} days up to the last day of the data: high or low against the mean score.",
            f"按截至数据最后一天的近 {spec.window} 天内的最近购买、次数与金额打分，与平均分比较得出的层级。",
        ),
    )  # fmt: skip


def _number_dimension(name: str, key: str) -> m.Dimension:
    label, unit = NUMBERS[key]
    return m.Dimension(
        name=f"{name}_{key}" if key in ("recency", "frequency", "monetary") else key,
        dataset=name,
        expr=exp.column(key),
        type="number",
        label=label,
        unit=unit,
    )


def _label(spec: s.TextSpec | None, default: Text) -> Text:
    return Text(spec.en, spec.zh) if spec else default


def _words(spec: s.SynonymsSpec) -> m.Synonyms:
    return m.Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))
