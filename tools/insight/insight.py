"""Owns what an analysis is and what it finds: the Insight, one answer with its table, picture, method and evidence.

Knows no single analysis; `analyses.py` lists them. Words are Markdown in both languages, names from the data escaped.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

from sqlglot import exp

from wenshu.semantic_layer.cancellation import is_cancelled
from wenshu.semantic_layer.engine import failure
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.layer import MAX_ROWS, SemanticLayer
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query, filter_to_json, query_to_json
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.plot import Plot
from wenshu.tools.query import QueryResult, run_query
from wenshu.tools.wording import Wording

Sureness = Literal["high", "medium", "low"]
SURENESS = {"high": Text("high", "高"), "medium": Text("medium", "中"), "low": Text("low", "低")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Say how it was found: a name, one sentence, what must hold for it to be right, and where the method is from."""

    name: Text
    told: Text
    assumptions: tuple[Text, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Say how sure the finding is, and why: a sentence with its numbers."""

    level: Sureness
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementResult:
    """Hold what a statement of an analysis's own gave, where no semantic query can say it."""

    sql: str
    table: ResultTable
    sources: tuple[str, ...]


Evidence = QueryResult | StatementResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """Hold what an analysis found, complete enough to be shown, checked and asked on from.

    `headline` answers in one sentence, `findings` say what stands out. `plot` says how the table is drawn, None where no
    picture helps. `query` is what a follow-up question changes; `period` and `compared` are what the receipt dates.
    """

    title: Text
    headline: Text
    findings: tuple[Text, ...] = ()
    table: ResultTable
    plot: Plot | None = None
    method: Method
    confidence: Confidence | None = None
    caveats: tuple[Text, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    query: Query | None = None
    period: DateRange | None = None
    compared: DateRange | None = None
    follow_ups: tuple[Text, ...] = ()


class Inquiry:
    """Ask the data for one analysis, under the asker's rights, and keep each statement that ran as evidence.

    `today` takes the place of the model's `as_of`.
    """

    def __init__(self, layer: SemanticLayer, today: date | None = None) -> None:
        self.layer = layer
        self.today = today
        self._evidence: list[Evidence] = []

    @property
    def model(self) -> Model:
        return self.layer.model

    @property
    def as_of(self) -> date:
        return self.layer.as_of(self.today)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(self._evidence)

    def ask(self, query: Query, *, max_rows: int = MAX_ROWS) -> QueryResult:
        """Run a semantic query. Raises `QueryError` where it cannot be answered and `EngineError` where the database fails."""
        self.pause()
        result = run_query(self.layer, query, today=self.today, max_rows=max_rows)
        self._evidence.append(result)
        return result

    def tree(self, query: Query) -> exp.Query:
        """Return the SQL tree of a semantic query, to stand as a subquery in a statement for `select`."""
        return self.layer.tree(query, today=self.today)

    def select(self, statement: exp.Query, columns: tuple[Column, ...], *, max_rows: int = MAX_ROWS) -> StatementResult:
        """Guard and run a statement of the analysis's own, with the asker's policies woven in; `columns` say what comes back."""
        self.pause()
        guarded, table = self.layer.select(statement, columns, max_rows=max_rows)
        result = StatementResult(sql=guarded.sql, table=table, sources=guarded.tables)
        self._evidence.append(result)
        return result

    def pause(self) -> None:
        """Give up, with `EngineError` of code `cancelled`, where nobody waits any more; long computations call it, too."""
        if is_cancelled():
            raise failure("cancelled")


Run = Generator[Text, None, Insight]


class Analysis(Protocol):
    """A question that takes more than one query: a frozen request that can be run. `name` is stable and for programs.

    `run` yields what it is about to do, for people who wait, and returns what it found. The same request over the same
    data finds the same. It raises `QueryError` for what cannot be asked so.
    """

    name: ClassVar[str]
    label: ClassVar[Text]

    def run(self, inquiry: Inquiry) -> Run: ...


def find(layer: SemanticLayer, analysis: Analysis, *, today: date | None = None) -> Insight:
    """Run an analysis to its end, for those who watch no steps."""
    run = analysis.run(Inquiry(layer, today))
    while True:
        try:
            next(run)
        except StopIteration as end:
            found: Insight = end.value
            return found


def request_to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis and what was asked of it as JSON values, leaving out what is not set."""
    given = {field.name: _plain(getattr(analysis, field.name)) for field in fields(analysis)}  # type: ignore[arg-type]
    return {"name": analysis.name} | {key: value for key, value in given.items() if value not in (None, [], "", False)}


def _plain(value: Any) -> Any:
    match value:
        case Query():
            return query_to_json(value)
        case DateRange():
            return {"start": value.start.isoformat(), "end": value.end.isoformat()}
        case date():
            return value.isoformat()
        case StrEnum():
            return str(value)
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return filter_to_json(value) if isinstance(value, Filter) else value


def in_both(say: Callable[[Wording], str]) -> Text:
    """Return one sentence in both languages, each worded by `say`; names and values come from its `Wording`, escaped.

    >>> in_both(lambda words: words.say(f"up {words.value(0.5, '%')}", f"上升 {words.value(0.5, '%')}"))
    Text(en='up 50.0%', zh='上升 50.0%')
    """
    return Text(say(Wording("en")), say(Wording("zh")))


def library_missing(module: str) -> EngineError:
    """Return the error for an analysis whose library is not installed: catch `ImportError` and raise it."""
    return EngineError(
        "insight_missing",
        Text(f"This analysis needs {module}, which is not installed.", f"该分析需要 {module}，当前未安装。"),
        Text('Install it with pip install "wenshu[insight]".', '请运行 pip install "wenshu[insight]" 安装。'),
    )
