"""Owns row filters and masks as SQL: which rows of a table a role may see, and the query that stands in the table's place.

A filter on one dataset reaches every dataset that joins many-to-one to it: the orders of users who are hidden are hidden too. Knows
nothing of people; attributes are placeholders until they are filled in.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp

from wenshu.semantic_layer.model import Dataset, Relationship
from wenshu.semantic_layer.policy import Policy

# The planner of the database may run a reader's conditions before a filter, and an error or a slow function would then tell of
# hidden rows. It moves nothing across a LIMIT, so this one, which cuts nothing off, is a fence.
FENCE = 9_223_372_036_854_775_807


def uncovered(policy: Policy, datasets: Sequence[Dataset], relationships: Sequence[Relationship]) -> tuple[str, ...]:
    """Return the tables whose rows no filter of the policy reaches and that it does not share either."""
    tables = dict.fromkeys(table for dataset in datasets for table in dataset.tables)
    reach = _Reach(policy, datasets, relationships)
    return tuple(t for t in tables if policy.rows and t not in reach.shared and not reach.conditions(t, t, ()))


def row_condition(
    policy: Policy, table: str, datasets: Sequence[Dataset], relationships: Sequence[Relationship]
) -> exp.Expr | None:
    """Return the condition that keeps the rows of a table which the policy allows, or None where all are."""
    reach = _Reach(policy, datasets, relationships)
    if not policy.rows or table in reach.shared:
        return None
    return exp.and_(*reach.conditions(table, table, ()) or [exp.false()], copy=False)


class _Reach:
    """Follow the filters of one policy through the relationships of a model."""

    def __init__(self, policy: Policy, datasets: Sequence[Dataset], relationships: Sequence[Relationship]) -> None:
        self._rows, self._relationships = policy.rows, relationships
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._source = {dataset.name: table for dataset in datasets if (table := dataset.scanned)}
        self.shared = {self._source.get(name, name) for name in policy.shared}

    def conditions(self, table: str, alias: str, above: tuple[str, ...]) -> list[exp.Expr]:
        """Return what must hold of a row of `table`, read as `alias` inside the tables `above` it."""
        if table in self.shared:
            return []
        here = {name for name, source in self._source.items() if source == table}
        found = [of_table(row.condition, alias) for row in self._rows if row.dataset in here]
        for r in self._relationships:
            one = self._source.get(r.one)
            if r.many not in here or one is None or one in (*above, table):
                continue
            inner = "visible_" + r.one
            while inner in (*above, table, alias):
                inner += "_"
            if further := self.conditions(one, inner, (*above, table, alias)):
                keys = []
                for a, b in zip(r.many_columns, r.one_columns, strict=True):
                    many, other = self._datasets[r.many].passed_on(a), self._datasets[r.one].passed_on(b)
                    if many is not None and other is not None:
                        keys.append(exp.EQ(this=_column(other, inner), expression=_column(many, alias)))
                if len(keys) < len(r.many_columns):
                    continue  # joined by what is computed: nothing is known of the table's rows
                related = exp.select("1").from_(exp.alias_(_table(one), inner, table=True), copy=False)
                found.append(exp.Exists(this=related.where(*keys, *further, copy=False)))
        return found


def source_query(
    table: str, columns: Iterable[str], condition: exp.Expr | None, masks: Mapping[str, exp.Expr]
) -> exp.Select:
    """Return the query that stands in a table's place: its allowed columns, masked where they are to be, and allowed rows."""
    shown = [
        exp.alias_(of_table(masks[name], table), name, quoted=True) if name in masks else _column(name, table)
        for name in columns
    ]
    query = exp.select(*shown).from_(_table(table), copy=False)
    if condition is None:
        return query
    return query.where(condition.copy(), copy=False).limit(FENCE, copy=False)


def of_table(expression: exp.Expr, table: str) -> exp.Expr:
    """Return a copy of an expression over a table's columns, each qualified by it."""

    def qualified(node: exp.Expr) -> exp.Expr:
        return _column(node.name, table) if isinstance(node, exp.Column) else node

    return expression.copy().transform(qualified, copy=False)


def _column(name: str, table: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
