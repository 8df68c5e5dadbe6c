"""Owns which table or column a name of a statement means, by DuckDB's rules of scope. Knows nothing of engines or policies.

A common table expression is visible to its later siblings and to the body it stands before, not to itself; a subquery sees the tables
of the queries around it; WHERE, GROUP BY and the like see the names that SELECT gives. A name that means nothing allowed is refused.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlglot import exp

from wenshu.semantic_layer.errors import GuardError, did_you_mean
from wenshu.semantic_layer.functions import CALLED_BARE
from wenshu.semantic_layer.text import Text

FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
UNNAMED = "()"  # stands among a source's columns for those that only DuckDB's own wording names, such as "count_star()"
SERIES = frozenset({"range", "generate_series", "unnest"})

Columns = frozenset[str]
NO_SOURCES: Mapping[str, exp.Query] = MappingProxyType({})
PLACED = frozenset({"this", "db", "catalog", "alias", "joins", "sample"})  # what a table's place may hold beside its name


def fold(name: str) -> str:
    """Return `name` as DuckDB compares it: without the case of ASCII letters."""
    return name.translate(FOLD)


def quoted(name: str) -> str:
    """Return `name` cut to a length fit for a message."""
    return f"“{name if len(name) <= 60 else name[:60] + '…'}”"


def narrow_to(
    tables: Mapping[str, Collection[str]], tree: exp.Query, sources: Mapping[str, exp.Query] = NO_SOURCES
) -> tuple[str, ...]:
    """Check every table and column that `tree` names, and return the tables it reads, in order of appearance.

    Where a query takes all columns of a table, `tree` is changed to take those of `tables`; where it reads a table that has a
    query in `sources`, to read that. Raises GuardError at the first name that is not allowed.
    """
    names = _NameCheck(tables, sources)
    names.query(tree, {}, None)
    names.narrow()
    return tuple(names.read)


@dataclass(slots=True)
class Scope:
    """Hold what one query sees: common table expressions, sources with their columns, and names it gives itself."""

    ctes: Mapping[str, Columns]
    outer: "Scope | None" = None
    sources: dict[str, Columns] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    tables: list[exp.Table] = field(default_factory=list)

    def chain(self) -> "Iterable[Scope]":
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.outer

    def source(self, name: str) -> Columns | None:
        return next((scope.sources[name] for scope in self.chain() if name in scope.sources), None)

    def knows(self, name: str, is_quoted: bool = False) -> bool:
        if is_quoted and name in self.words:
            return True
        for scope in self.chain():
            if name in scope.words and name not in CALLED_BARE:
                return True
            for columns in scope.sources.values():
                if name in columns or (UNNAMED in columns and not name.isidentifier()):
                    return True
        return False

    def add(self, name: str, columns: Columns) -> None:
        self.sources[name] = self.sources.get(name, frozenset()) | columns

    def columns(self) -> Columns:
        return frozenset[str]().union(*self.sources.values())


class _NameCheck:
    def __init__(self, tables: Mapping[str, Collection[str]], sources: Mapping[str, exp.Query]) -> None:
        self._names = {fold(name): name for name in tables}
        self._columns = {fold(name): frozenset(map(fold, columns)) for name, columns in tables.items()}
        self._written = tables
        self._sources = sources
        self._whole: dict[int, exp.Table] = {}
        self.read: dict[str, None] = {}

    def narrow(self) -> None:
        """Put a query in the place of every table that has one, or of which all columns are taken."""
        for table in self._whole.values():
            name = self._names.get(fold(table.name))
            if name is None:
                continue
            if more := {key for key, value in table.args.items() if value} - PLACED:
                raise _not_plain(min(more))
            alias, joins, sample = (table.args.get(part) for part in ("alias", "joins", "sample"))
            source = self._sources.get(name)
            if source is None:
                inner = exp.Table(this=table.this.copy(), db=table.args.get("db"))
                source = exp.select(*(exp.column(column, quoted=True) for column in self._written[name])).from_(inner)
            named = alias.copy() if alias else exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
            table.replace(exp.Subquery(this=source.copy(), alias=named, joins=joins, sample=sample))

    def _takes_all(self, tables: Iterable[exp.Table]) -> None:
        """Note tables that a query is to stand in the place of."""
        self._whole.update((id(table), table) for table in tables)

    def query(self, node: exp.Expr, ctes: Mapping[str, Columns], outer: Scope | None) -> Columns:
        ctes = self._with(node.args.get("with_"), ctes, outer)
        scope = Scope(ctes=ctes, outer=outer)
        match node:
            case exp.Select():
                for item in (node.args.get("from_"), *(node.args.get("joins") or ())):
                    if item:
                        self._source(item.this, scope)
                self._join_conditions(node, scope)
                scope.words.update(fold(item.alias) for item in node.expressions if isinstance(item, exp.Alias))
                self._expressions(node, scope, but=("with_", "from_", "joins"))
                if any(item.is_star for item in node.expressions):
                    self._takes_all(scope.tables)
                return self._output(node, scope)
            case exp.SetOperation():
                left, right = self.query(node.this, ctes, outer), self.query(node.expression, ctes, outer)
                scope.add("", left | right if node.args.get("by_name") else left)
                self._expressions(node, scope, but=("with_", "this", "expression"))
            case exp.Subquery(this=exp.Table() as table):
                self._source(table, scope)
                self._takes_all(scope.tables)
                self._expressions(node, scope, but=("with_", "this", "joins", "alias"))
            case exp.Subquery():
                scope.add("", self.query(node.this, ctes, outer))
                self._expressions(node, scope, but=("with_", "this", "joins", "alias"))
            case exp.Values():
                self._expressions(node, scope, but=("alias",))
                widest = max(
                    (len(row.expressions) for row in node.expressions if isinstance(row, exp.Tuple)), default=1
                )
                scope.add("", frozenset(f"col{index}" for index in range(widest)))
            case _:
                raise _not_a_table(node)
        return scope.columns()

    def _with(self, node: exp.Expr | None, ctes: Mapping[str, Columns], outer: Scope | None) -> Mapping[str, Columns]:
        for cte in node.expressions if node else ():
            name = fold(cte.alias)
            if name in self._columns:
                raise GuardError(
                    "sql_cte_shadows",
                    Text(
                        f"WITH {quoted(cte.alias)} takes the name of a table.",
                        f"WITH {quoted(cte.alias)} 占用了数据表的名称。",
                    ),
                    Text("Give that part of the statement another name.", "请给这一部分另取一个名称。"),
                )
            ctes = {**ctes, name: self.query(cte.this, ctes, outer) | _aliases(cte)}
        return ctes

    def _source(self, node: exp.Expr, scope: Scope) -> None:
        """Add the table, subquery or series `node` to what `scope` sees, and whatever is joined to it in the same parentheses."""
        inner = node.this if isinstance(node, exp.Lateral) else node
        name = fold(node.alias_or_name)
        match inner:
            case exp.Table(this=exp.Identifier()):
                scope.add(name, self._table(inner, scope) | _aliases(node))
                self._takes_all([inner] if _aliases(node) else [])
            case exp.Table(this=exp.GenerateSeries()) | exp.Unnest() | exp.Explode() | exp.GenerateSeries():
                self._expressions(inner, scope, but=("alias", "joins"))
                number = inner.args.get("offset")  # the column that WITH ORDINALITY adds
                own = {fold(node.alias), fold(number.name) if isinstance(number, exp.Identifier) else "ordinality"}
                scope.add(fold(node.alias), SERIES | _aliases(node) | own)
            case exp.Subquery(this=exp.Table() as table):
                grouped = Scope(ctes=scope.ctes, outer=scope)
                self._source(table, grouped)
                scope.tables += grouped.tables
                self._takes_all(grouped.tables if _aliases(node) else [])
                if node.alias:
                    scope.add(name, grouped.columns() | _aliases(node))
                else:
                    scope.sources.update(grouped.sources)
            case exp.Query() | exp.Values():
                scope.add(name, self.query(inner, scope.ctes, scope) | _aliases(node))
            case _:
                raise _not_a_table(inner)
        for join in inner.args.get("joins") or ():
            self._source(join.this, scope)
        self._join_conditions(inner, scope)

    def _join_conditions(self, node: exp.Expr, scope: Scope) -> None:
        for join in node.args.get("joins") or ():
            self._takes_all(scope.tables if join.method == "NATURAL" or join.args.get("using") else [])
            for name in join.args.get("using") or ():
                if not scope.knows(fold(name.name)):
                    raise self._unknown_column(name.name, scope)
            self._expressions(join, scope, but=("this", "using"))

    def _table(self, node: exp.Table, scope: Scope) -> Columns:
        name, place = fold(node.name), (fold(node.catalog), fold(node.db))
        if place == ("", "") and name in scope.ctes:
            return scope.ctes[name]
        if place not in (("", ""), ("", "main")) or name not in self._columns:
            whole = ".".join(part.name for part in node.parts)
            raise GuardError(
                "sql_table",
                Text(f"There is no table {quoted(whole)} that may be read.", f"没有可以读取的数据表{quoted(whole)}。"),
                _suggest(node.name, self._names.values(), Text("Tables", "可用的表")),
            )
        self.read[self._names[name]] = None
        if self._names[name] in self._sources:
            self._takes_all([node])
        scope.tables.append(node)
        return self._columns[name]

    def _expressions(self, node: exp.Expr, scope: Scope, but: tuple[str, ...] = ()) -> None:
        """Check the columns and subqueries below `node`, leaving out the arguments named in `but`."""
        for key, value in node.args.items():
            if value and key not in but:
                for child in value if isinstance(value, list) else (value,):
                    if isinstance(child, exp.Expr):
                        self._expression(child, scope)

    def _expression(self, node: exp.Expr, scope: Scope) -> None:
        match node:
            case exp.Column():
                self._column(node, scope)
            case exp.Query() | exp.Values():
                self.query(node, scope.ctes, scope)
            case exp.Table() | exp.Lateral():
                raise _not_a_table(node)
            case exp.Columns():
                for each in scope.chain():
                    self._takes_all(each.tables)
                self._expressions(node.this, scope, but=("rename",))
            case exp.Lambda():
                words = {fold(word.name) for word in node.expressions}
                self._expression(node.this, Scope(ctes=scope.ctes, outer=scope, words=words))
            case exp.Comprehension():
                self._expression(node.args["iterator"], scope)
                inside = Scope(ctes=scope.ctes, outer=scope, words={fold(node.expression.name)})
                self._expressions(node, inside, but=("iterator", "expression"))
            case exp.PropertyEQ():
                self._expression(node.expression, scope)
            case _:
                self._expressions(node, scope)

    def _column(self, node: exp.Column, scope: Scope) -> None:
        names = [fold(part.name) for part in node.parts]
        if len(names) > 2 and names[0] == "main" and scope.source(names[1]) is not None:
            names = names[1:]
            node.set("catalog" if len(names) > 2 else "db", None)
        columns = scope.source(names[0]) if len(names) > 1 else None
        if isinstance(node.this, exp.Star):
            is_struct = scope.source(names[0]) is None and scope.knows(names[0])
            if len(names) != 2 or not (names[0] in scope.sources or is_struct):
                raise self._unknown_column(".".join(names), scope)
            self._expressions(node.this, scope, but=("rename",))
        elif columns is not None:
            if names[1] not in columns and not (UNNAMED in columns and not names[1].isidentifier()):
                raise self._unknown_column(node.parts[-1].name, scope, columns)
        elif not scope.knows(names[0], is_quoted=isinstance(node.this, exp.Identifier) and node.this.quoted):
            raise self._unknown_column(node.parts[0].name, scope)

    def _output(self, select: exp.Select, scope: Scope) -> Columns:
        """Return the names of the columns that `select` gives."""
        names: set[str] = set()
        for item in select.expressions:
            star = item.this if isinstance(item, exp.Column | exp.Columns) else item
            if isinstance(star, exp.Star):
                columns = scope.columns() if not isinstance(item, exp.Column) else scope.source(fold(item.table)) or frozenset()
                left_out = {fold(column.name) for column in star.args.get("except_") or ()}
                names |= (columns - left_out) | {fold(renamed.alias) for renamed in star.args.get("rename") or ()}
            elif isinstance(item, (exp.Alias, exp.Column, exp.Dot)):
                names.add(fold(item.alias or item.name))
            else:
                names.add(UNNAMED)
        return frozenset(names)

    def _unknown_column(self, name: str, scope: Scope, columns: Columns | None = None) -> GuardError:
        if columns is None and scope.source(fold(name)) is not None:
            return GuardError(
                "sql_column",
                Text(f"{quoted(name)} stands for a whole row.", f"{quoted(name)}在这里指一整行。"),
                Text(
                    "Name the columns you need, or write a star in SELECT.",
                    "请写出需要的列，或者在 SELECT 中使用星号。",
                ),
            )
        seen = columns if columns is not None else frozenset[str]().union(*(each.columns() for each in scope.chain()))
        written = {fold(column): column for table in self._written.values() for column in table}
        return GuardError(
            "sql_column",
            Text(f"There is no column {quoted(name)} here that may be read.", f"这里没有可以读取的列{quoted(name)}。"),
            _suggest(
                name, [written.get(column, column) for column in sorted(seen - {UNNAMED})], Text("Columns", "可用的列")
            ),
        )


def _aliases(node: exp.Expr) -> Columns:
    alias = node.args.get("alias")
    columns = alias.args.get("columns") or () if isinstance(alias, exp.TableAlias) else ()
    return frozenset(fold(column.name) for column in columns)


def _suggest(name: str, known: Collection[str], label: Text) -> Text:
    """Return near names, or else the known ones."""
    meant = did_you_mean(name, known)
    if meant.en:
        return meant
    most = sorted(known)[:20] or ["–"]
    return Text(f"{label.en}: {', '.join(most)}.", f"{label.zh}：{'、'.join(most)}。")


def _not_a_table(node: exp.Expr) -> GuardError:
    what = node.this if isinstance(node, (exp.Table, exp.Lateral)) else node
    name = what.name if isinstance(what, exp.Anonymous) else type(what).__name__
    return GuardError(
        "sql_function",
        Text(f"{quoted(name)} may not stand in the place of a table.", f"{quoted(name)}不能用在数据表的位置。"),
        Text(
            "Read a table, a subquery, or one of range(), generate_series() and unnest().",
            "请读取数据表、子查询，或者使用 range()、generate_series()、unnest()。",
        ),
    )


def _not_plain(part: str) -> GuardError:
    return GuardError(
        "sql_node",
        Text(f"{quoted(part.upper())} may not be written after a table.", f"数据表之后不能使用{quoted(part.upper())}。"),
        Text("Name the table alone, or with an alias.", "请只写表名，或加上别名。"),
    )
