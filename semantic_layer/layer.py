"""Owns the semantic layer as others use it: a query in, a compiled statement and a result table out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlglot import exp

from wenshu.semantic_layer.behaviour_keys import (
    FUNNEL_STEP,
    LAST_EVENT,
    PATH,
    PERIOD_NUMBER,
    BehaviourKey,
    count_columns,
    path_label,
)
from wenshu.semantic_layer.compiler import OTHERS, compile_query
from wenshu.semantic_layer.engine import Engine, RawResult
from wenshu.semantic_layer.errors import EngineError, GuardError, QueryError
from wenshu.semantic_layer.grant import Grant, granted, permit, with_values
from wenshu.semantic_layer.guard import GuardedStatement, guard
from wenshu.semantic_layer.learnt_segment import Learnt
from wenshu.semantic_layer.metric_sql import is_rate
from wenshu.semantic_layer.metrics import Aggregate, Funnel, LastEvent, Metric, Paths, Retention
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.periods import DateRange, Grain, buckets
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.profile import (
    MOST_VALUES,
    DataProfile,
    coverage_query,
    profile_path,
    read_profile,
    unmatched_query,
    values_query,
    write_profile,
)
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.refusals import sql_not_allowed, user_needed
from wenshu.semantic_layer.resolver import ResolvedQuery, resolve
from wenshu.semantic_layer.result_cache import BoundedCache
from wenshu.semantic_layer.sql_tree import named, select_from
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text, same
from wenshu.semantic_layer.time_parts import TimePart

MAX_ROWS = 10_000
GRAIN_LABELS = {
    Grain.HOUR: Text("hour", "小时"), Grain.DAY: Text("day", "日期"), Grain.WEEK: Text("week", "周"),
    Grain.MONTH: Text("month", "月份"), Grain.QUARTER: Text("quarter", "季度"), Grain.YEAR: Text("year", "年份"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledQuery:
    """Hold a query with the one guarded statement that answers it, the columns that come back, and the segments learnt for it."""

    resolved: ResolvedQuery
    statement: GuardedStatement
    columns: tuple[Column, ...]
    learnt: tuple[Learnt, ...] = ()

    @property
    def sql(self) -> str:
        return self.statement.sql


class SemanticLayer:
    """Answer semantic queries over one model and one engine.

    `clock` gives the current date, for a model whose `as_of` is `today`; `folder` keeps what is known of the data
    between runs, None keeps nothing. Over a model with policies it answers nobody before `for_user` says who asks.
    """

    def __init__(
        self, model: Model, engine: Engine, *, clock: Callable[[], date], folder: Path | None = None, grant: Grant | None = None,
        results: BoundedCache[RawResult] | None = None, lessons: BoundedCache[Learnt] | None = None,
    ) -> None:  # fmt: skip
        self._whole = model
        self._grant = grant
        self._model = grant.model if grant else model
        self.engine = engine
        self._clock = clock
        self._folder = folder
        self._results = results or BoundedCache[RawResult]()
        self._lessons = lessons or BoundedCache[Learnt](entries=200)
        self._compiled = BoundedCache[CompiledQuery](entries=200)

    def for_user(self, principal: Principal) -> "SemanticLayer":
        """Return the layer as a person may see it: every statement, whoever wrote it, reads that person's rows and columns.

        Raises `QueryError` where the person's role has no policy. A model without policies is open to everybody.
        """
        if not self.has_policies:
            return self
        grant = granted(self._whole, principal)
        return SemanticLayer(
            self._whole, self.engine, clock=self._clock, folder=self._folder, grant=grant, results=self._results, lessons=self._lessons
        )

    @property
    def has_policies(self) -> bool:
        """Say whether people have different rights here; where not, the model is open to everybody."""
        return bool(self._whole.policies)

    @property
    def policy_fingerprint(self) -> str:
        """Return a word that is the same for all who may see the same, empty where the model is open to everybody."""
        return self._grant.fingerprint if self._grant else ""

    @cached_property
    def model(self) -> Model:
        """Return the model as the asker may see it: without what is withheld, and with no value that only hidden rows have."""
        return with_values(self._model, self.profile.values) if self._restricts_rows else self._model

    @property
    def _restricts_rows(self) -> bool:
        return self._grant is not None and bool(self._grant.rows)

    def _check_user(self) -> None:
        if self.has_policies and self._grant is None:
            raise user_needed()

    @cached_property
    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return the tables the model reads, each with its columns and their types; personal columns are left out."""
        schema = self.engine.schema()
        wanted = {table for dataset in self._model.datasets for table in dataset.tables}
        missing = wanted - set(schema)
        if missing:
            names = ", ".join(sorted(missing))
            raise EngineError(
                "table_missing",
                Text(
                    f"The database has no table {names}, which the model “{self._model.name}” reads.",
                    f"数据库中没有模型“{self._model.name}”所需的表：{names}。",
                ),
                Text(
                    "Use the database that belongs to this model, or build it with `wenshu data build`.",
                    "请使用与该模型对应的数据库，或用 `wenshu data build` 生成。",
                ),
            )
        return {name: schema[name] for name in sorted(wanted)}

    @cached_property
    def profile(self) -> DataProfile:
        """Return the dates the data cover and the values people name, from the folder where they are kept or the data."""
        self._check_user()
        version = f"{self.engine.data_version()} {self.policy_fingerprint}"
        path = profile_path(self._folder, self._model, version) if self._folder else None
        kept = read_profile(path) if path else None
        if kept is not None:
            return kept
        profile = self._compute_profile()
        if path:
            write_profile(path, profile)
        return profile

    def _compute_profile(self) -> DataProfile:
        coverage: dict[str, DateRange] = {}
        if (days := coverage_query(self._model)) is not None:
            for name, first, last in self.engine.run(self.guarded(days), max_rows=len(self._model.datasets)).rows:
                if isinstance(first, date) and isinstance(last, date):
                    coverage[str(name)] = DateRange(first, last)
        values: dict[str, list[str]] = {}
        if (listed := values_query(self._model, listed=self._restricts_rows)) is not None:
            most = (MOST_VALUES + 1) * len(self._model.dimensions)
            for name, value in self.engine.run(self.guarded(listed), max_rows=most).rows:
                values.setdefault(str(name), []).append(str(value))
        bounded = {name: tuple(sorted(found)) for name, found in values.items() if len(found) <= MOST_VALUES}
        complete: list[str] = []
        if (unmatched := unmatched_query(self._model)) is not None:
            most = len(self._model.relationships)
            found = self.engine.run(self.guarded(unmatched), max_rows=most).rows
            complete = [str(name) for name, rows in found if rows == 0]
        return DataProfile(coverage=coverage, values=bounded, complete=frozenset(complete))

    @property
    def coverage(self) -> DateRange:
        """Return the first and the last day of the data, over all datasets that have a time; where none has, no period applies."""
        if not self._model.has_dates:
            return DateRange(day := self._clock(), day)
        return self.profile.whole

    def as_of(self, today: date | None = None) -> date:
        """Return the last complete day the model may speak of; `today` takes its place."""
        if today is not None:
            return today
        match self._model.as_of:
            case "latest":
                return self.coverage.end
            case "today":
                return self._clock()
            case day:
                return date.fromisoformat(day)

    def compile(self, query: Query, *, today: date | None = None) -> CompiledQuery:
        """Resolve, compile and guard a query; runs nothing but the look-up of the dates covered.

        Raises `NotLearnt` where it uses a segment that is yet to be learnt.
        """
        asked = (self.engine.data_version(), repr(query), today, self._clock())  # by its text, as 1, 1.0 and True are equal
        if (kept := self._compiled.get(asked)) is None:
            kept = self._compile(query, today)
            self._compiled.put(asked, kept)
        return kept

    def _compile(self, query: Query, today: date | None) -> CompiledQuery:
        permit(query, self._model)
        as_of = self.as_of(today)
        coverage = self.coverage
        if as_of < coverage.start:
            raise QueryError(
                "outside_data",
                Text(
                    f"The data begin on {coverage.start}, after {as_of}.",
                    f"数据从 {coverage.start} 开始，晚于 {as_of}。",
                ),
                Text(f"The data cover {coverage}.", f"数据覆盖 {coverage}。"),
            )
        learnt = self._learnt(as_of)
        taught = {one.dataset.name: one.dataset for one in learnt}
        datasets = tuple(taught.get(dataset.name, dataset) for dataset in self._model.datasets)
        resolved = resolve(
            query,
            replace(self._model, datasets=datasets) if taught else self._model,
            as_of=as_of,
            coverage=DateRange(coverage.start, max(min(as_of, coverage.end), coverage.start)),
            by_dataset=self.profile.coverage,
            complete=self.profile.complete,
        )
        statement = self.guarded(compile_query(resolved))
        used = tuple(one for one in learnt if one.dataset.name in resolved.segments)
        return CompiledQuery(resolved=resolved, statement=statement, columns=_columns(resolved), learnt=used)

    def keep_learnt(self, learnt: Learnt, as_of: date) -> None:
        """Keep a segment that was learnt as of a day, for all who may see the same, while the data stay as they are."""
        self._lessons.put(self._lesson(learnt.dataset.name, as_of), learnt)

    def _learnt(self, as_of: date) -> tuple[Learnt, ...]:
        names = (dataset.name for dataset in self._model.datasets if dataset.lesson is not None)
        found = (self._lessons.get(self._lesson(name, as_of)) for name in names)
        return tuple(one for one in found if one is not None)

    def _lesson(self, name: str, as_of: date) -> tuple[str, str, str, date]:
        return self.engine.data_version(), self.policy_fingerprint, name, as_of

    def run(self, compiled: CompiledQuery, *, max_rows: int = MAX_ROWS) -> ResultTable:
        """Run a compiled query and return its table; one that ran before on the same data, for the same rights, is not run again."""
        raw, rows = self._fetch(compiled.statement, max_rows)
        return ResultTable(
            columns=_with_paths_named(compiled, rows), rows=rows, incomplete=_incomplete(compiled.resolved),
            truncated=raw.truncated, elapsed=raw.elapsed,
        )  # fmt: skip

    def _fetch(self, statement: GuardedStatement, max_rows: int) -> tuple[RawResult, tuple[tuple[Cell, ...], ...]]:
        asked = (self.policy_fingerprint, statement.sql, max_rows, self._clock())
        raw = self._results.get((self.engine.data_version(), *asked))
        if raw is None:
            raw = self.engine.run(statement, max_rows=max_rows)
            self._results.put((raw.data_version, *asked), replace(raw, elapsed=0.0), len(raw.rows) * len(raw.columns))
        return raw, tuple(tuple(plain_cell(cell) for cell in row) for row in raw.rows)

    def tree(self, query: Query, *, today: date | None = None) -> exp.Query:
        """Return the SQL tree of a query, for a statement of `select` to read from; it has not passed the guard."""
        return compile_query(self.compile(query, today=today).resolved)

    def select(
        self, statement: exp.Query, columns: tuple[Column, ...], *, max_rows: int = MAX_ROWS
    ) -> tuple[GuardedStatement, ResultTable]:
        """Guard and run a statement of a tool's own, for what no query can say, under the same rights; `columns` give it meaning."""
        guarded = self.guarded(statement)
        raw, rows = self._fetch(guarded, max_rows)
        return guarded, ResultTable(columns=columns, rows=rows, truncated=raw.truncated, elapsed=raw.elapsed)

    def list_size(self, compiled: CompiledQuery) -> int:
        """Return how many rows a list has without its limit."""
        listed = compile_query(compiled.resolved)
        for part in ("limit", "order"):
            listed.set(part, None)
        counted = select_from(listed.subquery("listed"), [named(exp.Count(this=exp.Star()), "listed_rows")])
        ((number,),) = self.engine.run(self.guarded(counted), max_rows=1).rows
        return number if isinstance(number, int) else 0

    def sql(self, text: str, *, max_rows: int = MAX_ROWS) -> tuple[GuardedStatement, ResultTable]:
        """Guard and run one read-only statement written by a person; its columns have no meaning but their names."""
        statement = self.check(text, max_rows=max_rows)
        raw = self.engine.run(statement, max_rows=max_rows, by_hand=True)
        rows = tuple(tuple(plain_cell(cell) for cell in row) for row in raw.rows)
        numeric = ("INT", "DEC", "DOUBLE", "FLOAT", "REAL")
        columns = tuple(
            Column(name=name, role="metric" if any(n in kind for n in numeric) else "dimension", type="number" if any(n in kind for n in numeric) else "string", label=Text(name, name))
            for name, kind in zip(raw.columns, raw.types, strict=True)
        )  # fmt: skip
        return statement, ResultTable(columns=columns, rows=rows, truncated=raw.truncated, elapsed=raw.elapsed)

    def check(self, text: str, *, max_rows: int | None = None) -> GuardedStatement:
        """Guard one statement written by a person against the model's tables, without their personal columns."""
        self._check_user()
        if self._grant is not None and not self._grant.sql:
            raise sql_not_allowed()
        unseen = self._grant.unseen if self._grant else {}
        if absent := {f"{table}.{name}" for table, names in unseen.items() for name in names - self.tables[table].keys()}:
            raise self._column_missing(same(", ".join(sorted(absent))))
        visible = self.readable()
        return guard(text, tables=visible, sources=self._sources(visible), max_rows=max_rows)

    def readable(self) -> dict[str, list[str]]:
        """Return the columns by table that a statement written by hand may name."""
        hidden = personal_columns(self._model)
        unseen = self._grant.unseen if self._grant else {}
        return {
            table: [c for c in columns if c not in hidden.get(table, ()) and c not in unseen.get(table, ())]
            for table, columns in self.tables.items()
        }

    def guarded(self, statement: str | exp.Query) -> GuardedStatement:
        """Guard a statement of our own over all columns; where one is refused, it is the database that does not fit the model."""
        self._check_user()
        try:
            return guard(statement, tables=self.tables, sources=self._own_sources)
        except GuardError as error:
            if error.code != "sql_column":
                raise
            raise self._column_missing(error.message) from None

    def _column_missing(self, which: Text) -> EngineError:
        return EngineError(
            "column_missing",
            Text(
                f"The database lacks a column that the model “{self._model.name}” names. {which.en}",
                f"数据库缺少模型“{self._model.name}”所需的列。{which.zh}",
            ),
            Text(
                "Mend the model file or the database; `wenshu model check FILE --db DB` lists what is missing.",
                "请修正模型文件或数据库；`wenshu model check FILE --db DB` 会列出缺少的内容。",
            ),
        )

    @cached_property
    def _own_sources(self) -> Mapping[str, exp.Query]:
        return self._sources(self.tables)

    def _sources(self, tables: Mapping[str, Iterable[str]]) -> Mapping[str, exp.Query]:
        return self._grant.sources(tables) if self._grant else {}


def personal_columns(model: Model) -> dict[str, set[str]]:
    """Return by table the columns that personal dimensions read."""
    found: dict[str, set[str]] = {}
    for dataset in model.datasets:
        read = (column.name for d in dataset.dimensions if d.pii for column in d.expr.find_all(exp.Column))
        names = {behind for name in read for behind in dataset.columns_behind(name)}
        for table in dataset.tables if names else ():
            found.setdefault(table, set()).update(names)
    return found


def plain_cell(cell: Any) -> Cell:
    """Return an engine's value as a plain one: decimals as floats, midnight timestamps as they are, odd types as text."""
    match cell:
        case None | bool() | int() | str():
            return cell
        case float():
            return cell if cell == cell and abs(cell) != float("inf") else None
        case Decimal():
            return float(cell)
        case datetime():
            return cell
        case date():
            return cell
        case _:
            return str(cell)


def _incomplete(resolved: ResolvedQuery) -> tuple[date, ...]:
    """Return the first days of the buckets that the period cuts short."""
    if resolved.grain is None or resolved.grain is Grain.HOUR:
        return ()
    whole = buckets(resolved.period, resolved.grain)
    return tuple(b.start for b in whole if b.start < resolved.period.start or b.end > resolved.period.end)


def _columns(resolved: ResolvedQuery) -> tuple[Column, ...]:
    out: list[Column] = []
    for name, key in resolved.keys:
        match key:
            case Grain():
                out.append(
                    Column(
                        name=name,
                        role="time",
                        type="time" if key is Grain.HOUR else "date",
                        label=GRAIN_LABELS[key],
                        grain=key,
                    )
                )
            case BehaviourKey():
                funnel = next((m for m in resolved.metrics if isinstance(m, Funnel)), None)
                names = funnel.stages if funnel and name == FUNNEL_STEP else key.values
                lost = next((m for m in resolved.metrics if isinstance(m, LastEvent)), None)
                names = lost.values if lost and name == LAST_EVENT else names
                unit = _period_unit(resolved) if name == PERIOD_NUMBER else None
                out.append(
                    Column(name=name, role="dimension", type=key.type, label=key.label, unit=unit, value_labels=names)
                )
            case TimePart():
                out.append(Column(name=name, role="dimension", type=key.type, label=key.label, value_labels=key.values))
            case Dimension():
                kind = "string" if resolved.query.others else key.type  # the row of the others has no number
                labels: tuple[tuple[Cell, Text], ...] = tuple((value.value, value.label) for value in key.values)
                if resolved.query.others:
                    labels = (*labels, (OTHERS, Text("others", "其他")))
                out.append(
                    Column(
                        name=name, role="dimension", type=kind, label=key.label, unit=key.unit, value_labels=labels
                    )
                )
    for metric in resolved.metrics:
        out.extend(_metric_columns(metric, resolved))
    return tuple(out)


def _with_paths_named(compiled: CompiledQuery, rows: tuple[tuple[Cell, ...], ...]) -> tuple[Column, ...]:
    """Return the columns with the labels of the paths that the rows hold."""
    paths = next((m for m in compiled.resolved.metrics if isinstance(m, Paths)), None)
    at = next((i for i, column in enumerate(compiled.columns) if column.name == PATH), None)
    if paths is None or at is None:
        return compiled.columns
    labels = tuple((row[at], path_label(str(row[at]), dict(paths.values))) for row in rows)
    named = replace(compiled.columns[at], value_labels=tuple(dict.fromkeys(labels)))
    return (*compiled.columns[:at], named, *compiled.columns[at + 1 :])


def _period_unit(resolved: ResolvedQuery) -> str:
    """Return the length of the periods after entry: the retention's step, days for a lifetime value."""
    steps = (str(metric.step) for metric in resolved.metrics if isinstance(metric, Retention))
    return next(steps, "day")


def _metric_columns(metric: Metric, resolved: ResolvedQuery) -> list[Column]:
    additive = isinstance(metric, Aggregate) and metric.additive and not resolved.overlapping
    label, name = metric.label, metric.name
    out = [
        Column(name=name, role="metric", type="number", label=label, unit=metric.unit, additive=additive, metric=name)
    ]
    if resolved.compared is not None:
        before = Text(f"{label.en}, compared period", f"{label.zh}（对比期）")
        out.append(
            Column(
                name=f"{name}_previous",
                role="comparison",
                type="number",
                label=before,
                unit=metric.unit,
                additive=additive,
                metric=name,
            )
        )
        change = Text(f"{label.en}, change", f"{label.zh}变化")
        out.append(
            Column(
                name=f"{name}_change",
                role="change",
                type="number",
                label=change,
                unit="pp" if is_rate(metric) else "%",
                metric=name,
            )
        )
    if resolved.query.share is not None:
        share = Text(f"{label.en}, share", f"{label.zh}占比")
        out.append(Column(name=f"{name}_share", role="share", type="number", label=share, unit="%", metric=name))
    for count in count_columns(metric, by_step=FUNNEL_STEP in resolved.query.dimensions):
        label = Text(f"{metric.label.en}: {count.label.en}", f"{metric.label.zh}：{count.label.zh}")
        out.append(
            Column(
                name=f"{name}_{count.suffix}", role="count", type="number", label=label, unit=count.unit, metric=name
            )
        )
    return out
