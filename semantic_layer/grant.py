"""Owns what one person may see of a model: the policies of the role bound to the person's attributes, and the model that is left.

Whatever cannot be told for sure is withheld: a role without policy, a missing attribute, a metric made of one that is withheld.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.metrics import Metric
from wenshu.semantic_layer.model import AS_OF, PERIOD_END, PERIOD_START, Dataset, Dimension, Model
from wenshu.semantic_layer.policy import Attribute, Policy, Principal
from wenshu.semantic_layer.policy_sql import row_condition, source_query
from wenshu.semantic_layer.profile import is_stored
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.refusals import not_allowed
from wenshu.semantic_layer.text import Text

# Where a metric's name can stand too and means something else: `orders` is a dataset and a metric.
RESERVED = (AS_OF, PERIOD_START, PERIOD_END)
NO_METRICS = frozenset({"name", "dataset", "dimension", "unit", "synonyms", "label", "description", "at_grain", "at_number", "better", "values"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Hold what one person may see: the model without what is withheld, and for each table its rows and columns.

    `rows` are the conditions of restricted tables, `unseen` the columns that a person's own SQL may not read either, `masks` what
    is shown in the place of columns. `fingerprint` is the same for everybody who may see the same.
    """

    model: Model
    rows: Mapping[str, exp.Expr]
    unseen: Mapping[str, frozenset[str]]
    masks: Mapping[str, Mapping[str, exp.Expr]]
    sql: bool
    fingerprint: str

    def sources(self, tables: Mapping[str, Iterable[str]]) -> dict[str, exp.Query]:
        """Return the queries that stand in the place of tables, of the columns given."""
        touched = {*self.rows, *self.masks} & set(tables)
        return {t: source_query(t, tables[t], self.rows.get(t), self.masks.get(t, {})) for t in sorted(touched)}


def granted(model: Model, principal: Principal) -> Grant:
    """Bind the policies of a person's role.

    Raises `QueryError` with code `no_policy` where the role has none, `user_attribute` where an attribute that they need is
    missing or of the wrong kind.
    """
    policies = [policy for policy in model.policies if principal.role in policy.roles]
    if not policies:
        raise QueryError(
            "no_policy",
            Text("Nothing is open to your role.", "您的角色没有任何数据权限。"),
            Text("Ask whoever keeps the model file for a policy.", "请联系模型文件的维护者开通权限。"),
        )
    attributes = {"name": principal.name, **principal.attributes}
    rows: dict[str, exp.Expr] = {}
    for table in dict.fromkeys(table for dataset in model.datasets for table in dataset.tables):
        found = [row_condition(policy, table, model.datasets, model.relationships) for policy in policies]
        if kept := [_filled(condition, attributes) for condition in found if condition is not None]:
            rows[table] = exp.and_(*kept, copy=False)
    masks: dict[str, dict[str, exp.Expr]] = {}
    for mask in (mask for policy in policies for mask in policy.masks):
        shown = masks.setdefault(_table(model, mask.dataset), {})
        if shown.setdefault(mask.column, mask.shown) != mask.shown:
            raise _clash(f"{mask.dataset}.{mask.dimension}")
    hidden = {pair for policy in policies for pair in policy.hidden}
    visible = _visible(model, policies, hidden, masks)
    unseen = _unseen(visible, hidden)
    sql = all(policy.sql for policy in policies)
    return Grant(
        model=visible, rows=rows, unseen=unseen, masks=masks, sql=sql,
        fingerprint=_fingerprint(visible, rows, unseen, masks, sql),
    )  # fmt: skip


def permit(query: Query, model: Model) -> None:
    """Refuse a query that names what is withheld, in whatever place."""
    name = withheld_in(query, model)
    if name is not None:
        raise not_allowed(name, [metric.label for metric in model.metrics[:6]])


def withheld_in(asked: Any, model: Model) -> str | None:
    """Return the first metric or dimension that is withheld among the names in a query or its JSON, or None."""
    metrics = {metric.name for metric in model.withheld_metrics}
    open_names = {metric.name for metric in model.metrics} | {d.name for d in model.dimensions}
    dimensions = {d.qualified for d in model.withheld_dimensions} | {d.name for d in model.withheld_dimensions} - open_names
    named = (metric_spec(word)[0] for word in _words(asked))
    return next((name for name in named if name in metrics or name in dimensions), None)


def policy_columns(model: Model) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (roles, table, column) for every column of a table that a policy names."""
    dimensions = model.dimension_by_qualified_name
    for policy in model.policies:
        named = [(mask.dataset, mask.column) for mask in policy.masks]
        named += [(r.dataset, c.name) for r in policy.rows for c in r.condition.find_all(exp.Column)]
        named += [pair for pair in policy.hidden if ".".join(pair) not in dimensions]
        for dataset, column in named:
            if table := _table(model, dataset):
                yield policy.roles, table, column


def with_values(model: Model, values: Mapping[str, Collection[str]]) -> Model:
    """Return a model whose listed values are those found in the rows a person may see."""
    datasets = []
    for dataset in model.datasets:
        kept = []
        for dimension in dataset.dimensions:
            if is_stored(dimension, dataset):
                found = {value.lower() for value in values.get(dimension.qualified, ())}
                here = tuple(value for value in dimension.values if str(value.value).lower() in found)
                dimension = replace(dimension, values=here)
            kept.append(dimension)
        datasets.append(replace(dataset, dimensions=tuple(kept)))
    return replace(model, datasets=tuple(datasets))


def _filled(condition: exp.Expr, attributes: Mapping[str, Attribute]) -> exp.Expr:
    """Return a condition with the person's attributes in the place of its placeholders."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.In) and isinstance(node.args.get("field"), exp.Placeholder | exp.Parameter):
            listed = _attribute(node.args["field"].name, attributes)
            values = listed if isinstance(listed, tuple) else (listed,)
            return exp.In(this=node.this, expressions=[exp.convert(value) for value in values])
        if not isinstance(node, exp.Placeholder | exp.Parameter):
            return node
        value = _attribute(node.name, attributes)
        if isinstance(value, tuple):
            raise _unusable(node.name)
        return exp.convert(value)

    return condition.copy().transform(fill, copy=False)


def _attribute(name: str, attributes: Mapping[str, Attribute]) -> Attribute:
    value = attributes.get(name)
    if value is None or value == () or value == "" or value != value:
        raise _unusable(name)
    return value


def _visible(
    model: Model, policies: list[Policy], hidden: Collection[tuple[str, str]], masks: Mapping[str, Mapping[str, exp.Expr]]
) -> Model:  # fmt: skip
    """Return the model with what a role may ask for, and the rest withheld."""
    barred = {name for policy in policies for name in policy.withheld}
    barred |= {metric.name for metric in model.metrics if _reads(metric, model, hidden, masks)}
    while more := {m.name for m in model.metrics if m.name not in barred and barred & set(_words(m, NO_METRICS))}:
        barred |= more
    for policy in policies:
        if policy.metrics is not None:
            barred |= {metric.name for metric in model.metrics} - set(policy.metrics)
    gone = {*hidden, *_made_of(barred, model)}
    datasets, withheld = [], []
    for dataset in model.datasets:
        shown = []
        for dimension in dataset.dimensions:
            if (dataset.name, dimension.name) in gone:
                withheld.append(replace(dimension, indexed=False))
            elif _is_masked(dimension, dataset, masks):
                shown.append(replace(dimension, pii=False, indexed=False, values=()))
            else:
                shown.append(dimension)
        datasets.append(replace(dataset, dimensions=tuple(shown)))
    return replace(
        model,
        datasets=tuple(datasets),
        metrics=tuple(metric for metric in model.metrics if metric.name not in barred),
        headline=tuple(name for name in model.headline if name not in barred),
        withheld_metrics=tuple(metric for metric in model.metrics if metric.name in barred),
        withheld_dimensions=tuple(withheld),
    )


def _made_of(barred: set[str], model: Model) -> set[tuple[str, str]]:
    """Return the dimensions of segments that are made of barred metrics, or of other such segments."""
    found: set[tuple[str, str]] = set()
    for dataset in model.datasets:  # a segment stands after those that it is made of
        names = barred | {name for other, bare in found for name in (bare, f"{other}.{bare}")}
        if names & set(dataset.made_of):
            found |= {(dataset.name, dimension.name) for dimension in dataset.dimensions}
    return found


def _reads(
    metric: Metric, model: Model, hidden: Collection[tuple[str, str]], masks: Mapping[str, Mapping[str, exp.Expr]]
) -> bool:
    """Say whether a metric shows the values of a hidden dimension, or computes with a masked column."""
    dimension = getattr(metric, "dimension", None)
    if isinstance(dimension, str) and any(dimension in (name, f"{dataset}.{name}") for dataset, name in hidden):
        return True
    dataset = getattr(metric, "dataset", "")
    for column in (c for part in _trees(metric) for c in part.find_all(exp.Column)):
        owner = model.dataset_by_name.get(column.table or dataset)
        if owner and isinstance(owner.source, str) and column.name in masks.get(owner.source, {}):
            return True
    return False


def _is_masked(dimension: Dimension, dataset: Dataset, masks: Mapping[str, Mapping[str, exp.Expr]]) -> bool:
    masked = masks.get(dataset.source, {}) if isinstance(dataset.source, str) else {}
    return isinstance(dimension.expr, exp.Column) and dimension.expr.name in masked


def _unseen(model: Model, hidden: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return by table the columns of what is hidden, which a person's own SQL may not read."""
    withheld = {(d.dataset, d.name): d for d in model.withheld_dimensions}
    found: dict[str, set[str]] = {}
    for dataset, name in hidden:
        expr = withheld[dataset, name].expr if (dataset, name) in withheld else exp.column(name)
        for column in expr.find_all(exp.Column):
            owner = model.dataset_by_name[column.table or dataset]
            if column.name not in RESERVED and owner.scanned:
                found.setdefault(owner.scanned, set()).update(owner.columns_behind(column.name))
    return {table: frozenset(columns) for table, columns in found.items()}


def _table(model: Model, dataset: str) -> str:
    source = model.dataset_by_name[dataset].source
    return source if isinstance(source, str) else ""


def _words(node: Any, but: frozenset[str] = frozenset({"values", "value"})) -> Iterator[str]:
    """Yield every text in a value and the values it holds, leaving out the fields named."""
    match node:
        case str():
            yield node
        case tuple() | list():
            for item in node:
                yield from _words(item, but)
        case dict():
            for key, item in node.items():
                if key not in but:
                    yield from _words(item, but)
        case _ if is_dataclass(node):
            for field in fields(node):
                if field.name not in but:
                    yield from _words(getattr(node, field.name), but)


def _trees(node: Any) -> Iterator[exp.Expr]:
    match node:
        case exp.Expr():
            yield node
        case tuple():
            for item in node:
                yield from _trees(item)
        case _ if is_dataclass(node):
            for field in fields(node):
                yield from _trees(getattr(node, field.name))


def _fingerprint(
    model: Model, rows: Mapping[str, exp.Expr], unseen: Mapping[str, frozenset[str]],
    masks: Mapping[str, Mapping[str, exp.Expr]], sql: bool,
) -> str:  # fmt: skip
    said = [
        model.name,
        str(sql),
        *sorted(f"rows {table} {condition.sql('duckdb')}" for table, condition in rows.items()),
        *sorted(f"unseen {table} {column}" for table, columns in unseen.items() for column in columns),
        *sorted(f"mask {t} {c} {shown.sql('duckdb')}" for t, columns in masks.items() for c, shown in columns.items()),
        *sorted(f"metric {metric.name}" for metric in model.withheld_metrics),
        *sorted(f"dimension {dimension.qualified}" for dimension in model.withheld_dimensions),
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:24]


def _unusable(name: str) -> QueryError:
    return QueryError(
        "user_attribute",
        Text(f"Your rights depend on your “{name}”, which is missing or of the wrong kind.", f"您的权限取决于“{name}”，但该属性缺失或格式不对。"),
        Text("Ask whoever keeps the list of users to set it.", "请联系用户名单的维护者补充该属性。"),
    )  # fmt: skip


def _clash(name: str) -> QueryError:
    return QueryError(
        "policy_clash",
        Text(f"Two policies of your role mask “{name}” differently.", f"您的角色有两条策略对“{name}”的遮盖方式不同。"),
        Text("Ask whoever keeps the model file to mend it.", "请联系模型文件的维护者修改。"),
    )
