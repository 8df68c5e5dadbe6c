"""Owns running a semantic query as a tool: the table with everything its receipt says. Knows nothing of words or charts."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import date

from wenshu.semantic_layer.compiler import DEFAULT_LIST_LIMIT
from wenshu.semantic_layer.describe import condition_phrase, filter_phrases, query_definitions, segment_definitions
from wenshu.semantic_layer.errors import NotLearnt
from wenshu.semantic_layer.layer import MAX_ROWS, CompiledQuery, SemanticLayer
from wenshu.semantic_layer.learnt_segment import Learnt
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """Hold a query's table and how it came about; `complete` says that its rows are all the groups there are, `dated` that a period applies;
    `learnt` holds the segments that it uses which the data taught."""

    query: Query
    table: ResultTable
    sql: str
    period: DateRange
    compared: DateRange | None
    definitions: tuple[tuple[str, Text, Text], ...]
    filters: tuple[Text, ...]
    sources: tuple[str, ...]
    caveats: tuple[Text, ...]
    complete: bool
    dated: bool
    learnt: tuple[Learnt, ...] = ()


def learning(layer: SemanticLayer, query: Query, *, today: date | None = None) -> Generator[Text, None, CompiledQuery]:
    """Yield what is being learnt for the segments that a query uses, where any is yet to be; return the query compiled.

    Raises `QueryError` where it cannot be answered, or the data are too thin to learn from.
    """
    while True:
        try:
            return layer.compile(query, today=today)
        except NotLearnt as missing:
            from wenshu.tools.insight.learnt_segments import learn_segment  # which asks queries itself

            yield from learn_segment(layer, missing.dataset, today)


def compile_learnt(layer: SemanticLayer, query: Query, *, today: date | None = None) -> CompiledQuery:
    """Compile a query, once the segments that it uses are learnt."""
    run = learning(layer, query, today=today)
    while True:
        try:
            next(run)
        except StopIteration as end:
            compiled: CompiledQuery = end.value
            return compiled


def run_query(
    layer: SemanticLayer, query: Query, *, today: date | None = None, max_rows: int = MAX_ROWS
) -> QueryResult:
    """Compile and run a semantic query.

    Raises `QueryError` where it cannot be answered and `EngineError` where the database fails.
    """
    compiled = compile_learnt(layer, query, today=today)
    table = layer.run(compiled, max_rows=max_rows)
    resolved = compiled.resolved
    caveats = [*resolved.caveats, *(one.caveat for one in compiled.learnt)]
    if table.incomplete:
        days = "、".join(str(day) for day in table.incomplete)
        caveats.append(
            Text(
                f"Not whole: the {resolved.grain} starting {days.replace('、', ', ')}.",
                f"不完整的时间段（起始日）：{days}。",
            )
        )
    if table.truncated:
        caveats.append(
            Text(f"Only the first {len(table.rows):,} rows are shown.", f"仅显示前 {len(table.rows):,} 行。")
        )
    cut = not query.metrics and query.limit is None and len(table.rows) >= DEFAULT_LIST_LIMIT
    if cut:
        whole, shown = f"{layer.list_size(compiled):,}", f"{len(table.rows):,}"
        caveats.append(Text(f"{whole} rows in all; the first {shown} are listed.", f"共 {whole} 行，列出前 {shown} 行。"))
    share = resolved.query.share
    part = filter_phrases(share.where, resolved.model) if share and share.where else ()
    return QueryResult(
        query=resolved.query,
        table=table,
        sql=compiled.sql,
        period=resolved.period,
        compared=resolved.compared,
        definitions=(
            *query_definitions(resolved.metrics, resolved.model),
            *segment_definitions(resolved.query, resolved.model, resolved.as_of, resolved.period),
        ),
        filters=(
            *filter_phrases(resolved.query.filters, resolved.model),
            *(Text(f"the part: {p.en}", f"占比部分：{p.zh}") for p in part),
            *(condition_phrase(condition, layer.model) for condition in resolved.query.conditions),
        ),
        sources=compiled.statement.tables,
        caveats=tuple(caveats),
        learnt=compiled.learnt,
        dated=bool(resolved.query.metrics or resolved.query.period) and layer.model.has_dates,
        complete=not (resolved.query.limit or resolved.query.conditions or table.truncated or cut),
    )
