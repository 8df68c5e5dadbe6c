"""Owns what the segments share: their place in the model, templates of SQL filled with parts of it, scores, words.

A segment is a dataset of one row a user that joins to the users, so that every metric can be split and filtered by it.
Its SELECT names the reserved columns where it depends on dates: `as_of`, `period_start`, `period_end`.
"""

from collections.abc import Mapping

from sqlglot import exp

from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Dataset, DimensionValue, Model, Relationship
from wenshu.semantic_layer.text import Synonyms, Text

Segment = tuple[Dataset, Relationship]
Groups = tuple[tuple[Text, Synonyms, tuple[str, ...]], ...]


def is_foreign(rows: Dataset, *parts: exp.Expr | None) -> bool:
    """Say whether one of the parts names a column of another dataset, which the segment's SELECT does not join."""
    named = (column for part in parts if part is not None for column in part.find_all(exp.Column))
    return any(column.table not in ("", rows.name) for column in named)


def score_of(value: str, cutoff: str, quantiles: int) -> exp.Expr:
    """Return 1 + how many of the cutoffs a value exceeds."""
    column: exp.Expr = exp.column(value.removeprefix("-"))
    compared = exp.Neg(this=column) if value.startswith("-") else column
    score: exp.Expr = exp.Literal.number(1)
    for place in range(1, quantiles):
        bound = exp.Bracket(this=exp.column(cutoff, table="cutoffs"), expressions=[exp.Literal.number(place - 1)])
        score = exp.Add(this=score, expression=exp.cast(exp.GT(this=compared.copy(), expression=bound), "INT"))
    return score


def filled_template(tree: exp.Expr, parts: dict[str, exp.Expr], rows: Dataset) -> exp.Expr:
    """Return a template with the parts of the model put in: columns called the_… and the table the_rows."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name.startswith("the_"):
            part = parts[node.name.removeprefix("the_")].copy()
            return exp.paren(part, copy=False) if isinstance(part, exp.Connector) else part
        return relation_of(rows) if isinstance(node, exp.Table) and node.name == "the_rows" else node

    return tree.transform(fill)


def relation_of(dataset: Dataset) -> exp.Expr:
    """Return what stands for a dataset in a FROM, under its name."""
    if isinstance(dataset.source, str):
        return exp.table_(dataset.source, alias=dataset.name)
    return dataset.source.subquery(dataset.name)


def users_of(model: Model) -> Dataset:
    """Return the dataset whose rows are the users; raises `QueryError` where the model has none."""
    users = next((dataset for dataset in model.datasets if dataset.entity), None)
    if users is None or not users.primary_key:
        raise QueryError(
            "invalid_segment",
            Text("no dataset is of users", "没有用户数据集"),
            Text("Give the users' dataset an entity and a primary_key.", "请为用户数据集设置 entity 和 primary_key。"),
        )
    return users


def groups_of(spec: Mapping[str, s.GroupSpec]) -> Groups:
    """Return the names that stand for several values together."""
    return tuple(
        (label_of(group.label, Text(key, key)), words_of(group.synonyms), tuple(group.values)) for key, group in spec.items()
    )  # fmt: skip


def label_of(spec: s.TextSpec | None, default: Text) -> Text:
    return Text(spec.en, spec.zh) if spec else default


def words_of(spec: s.SynonymsSpec) -> Synonyms:
    return Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))


def band_values(bands: tuple[float, ...], unit: s.TextSpec) -> tuple[DimensionValue, ...]:
    """Name the bands: under the first bound, from each bound to just below the next, and the last and over.

    >>> [value.value for value in band_values((18, 25), s.TextSpec(en="", zh="岁"))]
    ['under 18', '18–24', '25 and over']
    """
    names = [Text(f"under {bands[0]:g}", f"{bands[0]:g}{unit.zh}以下")]
    whole = all(float(bound).is_integer() for bound in bands)
    for low, high in zip(bands, bands[1:], strict=False):
        top = f"{high - 1:g}" if whole else f"<{high:g}"
        names.append(Text(f"{low:g}–{top}", f"{low:g}–{top}{unit.zh}"))
    names.append(Text(f"{bands[-1]:g} and over", f"{bands[-1]:g}{unit.zh}及以上"))
    return tuple(DimensionValue(value=name.en, label=name) for name in names)
