"""Owns the Answer, the one neutral form in which every door receives what was found, and its JSON contract."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wenshu.assistant.ledger import LlmUse
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import Query, query_to_json
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import Chart

if TYPE_CHECKING:
    from wenshu.tools.dataframe import DataFrame
    from wenshu.tools.render import Figure

Status = Literal["answered", "clarify", "refused", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Say what one metric, dimension or segment means, in the answer's language."""

    name: str
    label: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Hold the dates an answer speaks of, both included, and how they are called."""

    start: date
    end: date
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptStep:
    """Show one step of an answer that took several: the query, or none where a language model wrote the SQL itself."""

    query: Query | None
    sql: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodNote:
    """Say how an analysis found what it says, in the answer's language."""

    name: str
    told: str
    assumptions: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisNote:
    """Name the analysis that answered, for programs: what was asked of it, as JSON values, and how sure it is."""

    name: str
    label: str
    request: dict[str, Any]
    confidence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Show how a number came about, in the answer's language; `elapsed_ms` is the whole question's time.

    `verified` is the title of the saved question that a person vouches for; `method` is an analysis's. `llm` says what a language model was sent
    and took; `steps` are there where more than one query ran, or one that is not `governed`: SQL that a language model
    wrote, whose columns the model file gives no meaning.
    """

    definitions: tuple[Definition, ...] = ()
    period: Period | None = None
    compared_period: Period | None = None
    filters: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    verified: str | None = None
    planner: str = "rules"
    elapsed_ms: float = 0.0
    llm: LlmUse | None = None
    steps: tuple[ReceiptStep, ...] = ()
    governed: bool = True
    method: MethodNote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Say why there is no answer: a stable code, what happened and the next step."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold everything a door shows: text, table, chart, receipt, options, problem and follow-ups.

    `text` is Markdown without links or images: the answer's sentence first, one paragraph or list item a finding.
    `report` names the period whose whole report there is, where that was asked for.
    """

    id: str
    status: Status
    language: Language
    text: str = ""
    query: Query | None = None
    table: ResultTable | None = None
    sql: str | None = None
    chart: Chart | None = None
    receipt: Receipt | None = None
    options: tuple[str, ...] = ()
    problem: Problem | None = None
    follow_ups: tuple[str, ...] = ()
    analysis: AnalysisNote | None = None
    report: str | None = None

    def dataframe(self, *, labels: bool = False) -> "DataFrame":
        """Return the table as a pandas DataFrame, with names and raw values or, with `labels`, as people read them.

        Without a table it is empty.
        """
        from wenshu.tools.dataframe import to_dataframe

        return to_dataframe(self.table or ResultTable(columns=(), rows=()), self.language if labels else None)

    def figure(self, *, dark: bool = False) -> "Figure":
        """Return the chart as a matplotlib Figure, which a notebook shows; raises `QueryError` where there is none."""
        from wenshu.tools.render import draw_figure

        if self.chart is None or self.table is None or not self.table.rows or self.chart.kind == "table":
            raise QueryError("no_chart", Text("This answer has no chart.", "这个回答没有图。"))
        return draw_figure(self.chart, self.table, language=self.language, dark=dark)


def table_to_json(table: ResultTable | None, language: Language) -> dict[str, Any]:
    """Return a table's columns and rows as JSON values."""
    return {
        "columns": [_column_to_json(column, language) for column in table.columns] if table else [],
        "rows": [[_cell_to_json(cell) for cell in row] for row in table.rows] if table else [],
        "truncated": table.truncated if table else False,
    }


def answer_to_json(answer: Answer, *, chart_path: Path | None = None) -> dict[str, Any]:
    """Return the answer as the JSON object that other programs read."""
    return {
        "id": answer.id,
        "status": answer.status,
        "language": answer.language,
        "text": answer.text,
        "query": answer.query and query_to_json(answer.query),
        "analysis": answer.analysis
        and {
            "name": answer.analysis.name,
            "label": answer.analysis.label,
            "request": answer.analysis.request,
            "confidence": answer.analysis.confidence,
        },
        **table_to_json(answer.table, answer.language),
        "sql": answer.sql,
        "chart": answer.chart
        and {
            "kind": answer.chart.kind,
            "path": str(chart_path) if chart_path else None,
            "title": answer.chart.title,
            "alt_text": answer.chart.alt_text,
            "reason": answer.chart.reason,
        },
        "receipt": answer.receipt and _receipt_to_json(answer.receipt),
        "options": list(answer.options),
        "problem": answer.problem
        and {"code": answer.problem.code, "message": answer.problem.message, "hint": answer.problem.hint},
        "follow_ups": list(answer.follow_ups),
        "report": answer.report,
    }


def _column_to_json(column: Column, language: Language) -> dict[str, Any]:
    # The contract's roles have no "share": a share is one more metric column.
    role = "metric" if column.role == "share" else column.role
    return {"name": column.name, "role": role, "label": column.label.in_(language), "unit": column.unit}


def _cell_to_json(cell: Cell) -> Any:
    return cell.isoformat() if isinstance(cell, date) else cell


def _receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    return {
        "definitions": [{"name": d.name, "label": d.label, "definition": d.definition} for d in receipt.definitions],
        "period": receipt.period and _period_to_json(receipt.period),
        "compared_period": receipt.compared_period and _period_to_json(receipt.compared_period),
        "filters": list(receipt.filters),
        "sources": list(receipt.sources),
        "caveats": list(receipt.caveats),
        "assumptions": list(receipt.assumptions),
        "verified": receipt.verified,
        "planner": receipt.planner,
        "elapsed_ms": round(receipt.elapsed_ms, 1),
        "llm": receipt.llm and _use_to_json(receipt.llm),
        "steps": [
            {"query": step.query and query_to_json(step.query), "sql": step.sql, "rows": step.rows}
            for step in receipt.steps
        ],
        "governed": receipt.governed,
        "method": receipt.method
        and {
            "name": receipt.method.name,
            "told": receipt.method.told,
            "assumptions": list(receipt.method.assumptions),
            "source": receipt.method.source,
        },
    }


def _use_to_json(use: LlmUse) -> dict[str, Any]:
    return {
        "model": use.model,
        "calls": use.calls,
        "prompt_tokens": use.prompt_tokens,
        "completion_tokens": use.completion_tokens,
        "seconds": round(use.seconds, 2),
        "cost": use.cost,
        "sent": list(use.sent),
    }


def _period_to_json(period: Period) -> dict[str, str]:
    return {"start": period.start.isoformat(), "end": period.end.isoformat(), "label": period.label}
