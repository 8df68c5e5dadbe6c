"""Owns what people see of an Answer: neutral blocks, their Markdown, the table as shown and as CSV.

Pure: knows nothing of Gradio, HTML or Slack. Names found in the data are data, so every door escapes what it prints.
"""

import csv
import io
import re
from dataclasses import dataclass
from datetime import date
from typing import Literal, assert_never

from wenshu.assistant.answer import Answer
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import Chart
from wenshu.tools.counts import header, shown_columns
from wenshu.tools.number_format import CURRENCY_SIGNS, NO_DATA, format_number
from wenshu.tools.wording import bucket_label, escape_markdown
from wenshu.ui.csv_file import harmless
from wenshu.ui.receipt_card import COLON as COLON
from wenshu.ui.receipt_card import ReceiptCard as ReceiptCard
from wenshu.ui.receipt_card import receipt_card

MAX_SHOWN_ROWS = 200
LONGEST_LINE = 2_000

YES_NO = {True: Text("yes", "是"), False: Text("no", "否")}
CUT_SHORT = Text("* This period is not complete yet.", "* 该时段尚不完整。")
SHOWN_ROWS = Text(
    "The first {} of {} rows; the CSV file has all of them.", "显示前 {} 行，共 {} 行；CSV 文件包含全部。"
)
TRUNCATED = Text("There are more rows than were fetched.", "结果还有更多行，未全部取回。")
WHICH = Text("Which one do you mean?", "您想问的是哪一个？")
NEXT = Text("Ask next", "接着问")
WHOLE_REPORT = Text("The whole weekly report, with causes, retention and receipts", "完整周报（含变化原因、留存与口径）")


@dataclass(frozen=True, slots=True)
class Span:
    """Hold a stretch of words in one style."""

    text: str
    style: Literal["plain", "strong", "code"] = "plain"


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Say something."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Bullets:
    """List findings."""

    items: tuple[Spans, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Say why there is no answer, and the next step."""

    status: Literal["refused", "error"]
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """Show one number large, with its change, what it was before and the counts it is made of.

    `direction` tells which way it went.
    """

    label: str
    value: str
    change: str = ""
    before: str = ""
    direction: Literal["up", "down", "flat"] | None = None
    counts: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """Show the numbers of a one-row answer."""

    figures: tuple[KeyFigure, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Ask the door to draw a chart, with its words for those who cannot see it."""

    chart: Chart
    table: ResultTable
    alt_text: str


@dataclass(frozen=True, slots=True)
class ShownCell:
    """Hold a cell as people read it, and what it sorts by (None goes last)."""

    text: str
    sort: str | int | float | None


@dataclass(frozen=True, slots=True)
class Grid:
    """Show the first rows of a table; `numeric` tells which columns hold numbers."""

    headers: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    row_count: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """Offer questions to ask with one click."""

    kind: Literal["options", "follow_ups"]
    title: str
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportOffer:
    """Point to the whole report, of which an answer is the beginning: `period` names it, `command` writes it."""

    text: str
    period: str
    command: str


Block = Paragraph | Bullets | Notice | KeyFigures | Picture | Grid | ReceiptCard | Choices | ReportOffer


def present(answer: Answer) -> tuple[Block, ...]:
    """Return what a door shows of an answer, from top to bottom, in the answer's language."""
    language, table = answer.language, answer.table
    blocks: list[Block] = []
    if answer.problem and answer.status in ("refused", "error"):
        status: Literal["refused", "error"] = "refused" if answer.status == "refused" else "error"
        blocks.append(Notice(status, answer.problem.message, answer.problem.hint))
    else:
        blocks += _prose(answer.text)
        if not blocks and answer.problem:
            blocks.append(Paragraph((Span(answer.problem.message),)))
    if answer.options:
        blocks.append(Choices("options", "" if blocks else WHICH.in_(language), answer.options))
    if table and table.rows:
        if figures := key_figures(table, language):
            blocks.append(figures)
        elif answer.chart and answer.chart.kind not in ("number", "table"):
            blocks.append(Picture(answer.chart, table, answer.chart.alt_text))
        if not figures:
            blocks.append(shown_table(table, language))
    if answer.receipt:
        blocks.append(receipt_card(answer.receipt, answer.sql, language))
    if answer.report:
        blocks.append(ReportOffer(WHOLE_REPORT.in_(language), answer.report, f"wenshu report --period {answer.report}"))
    if answer.follow_ups:
        blocks.append(Choices("follow_ups", NEXT.in_(language), answer.follow_ups))
    return tuple(blocks)


def to_markdown(blocks: tuple[Block, ...]) -> str:
    """Return the blocks as Markdown, every word of it escaped; a picture is told by its alt text."""
    return "\n\n".join(part for part in map(_block_to_markdown, blocks) if part)


def shown_table(table: ResultTable, language: Language) -> Grid:
    """Return the table's first rows as people read them, in their language; the counts that say nothing stay out."""
    shown, columns = table.rows[:MAX_SHOWN_ROWS], shown_columns(table)
    notes = []
    if any(_is_cut_short(table, column, row) for row in shown for column in table.columns):
        notes.append(CUT_SHORT.in_(language))
    if len(shown) < len(table.rows):
        notes.append(SHOWN_ROWS.in_(language).format(len(shown), len(table.rows)))
    if table.truncated:
        notes.append(TRUNCATED.in_(language))
    return Grid(
        headers=tuple(header(table, column, language) for column in columns),
        numeric=tuple(_is_measure(column) for column in columns),
        rows=tuple(
            tuple(
                ShownCell(
                    _shown_cell(table, column, row, language),
                    _sort_key(column, row[table.index(column.name)], language),
                )
                for column in columns
            )
            for row in shown
        ),
        row_count=len(table.rows),
        notes=tuple(notes),
    )


def to_csv(table: ResultTable, language: Language) -> bytes:
    """Return the whole table as CSV with raw values: rates as fractions, ISO dates, empty cells for no data.

    UTF-8 with a byte order mark, so that Excel reads Chinese; a text that a spreadsheet would run as a formula gets an
    apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([harmless(_csv_label(column, language)) for column in table.columns])
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue().encode("utf-8-sig")


def file_name(question: str, suffix: str) -> str:
    """Return a file name made of the question's words, safe on every system.

    >>> file_name("GMV by channel, last month?", "csv"), file_name("../../", "png")
    ('wenshu_GMV_by_channel_last_month.csv', 'wenshu.png')
    """
    words = re.findall(r"\w+", question)
    stem = "_".join(["wenshu", *words])[:60].rstrip("_")
    return f"{stem}.{suffix}"


def _prose(text: str) -> list[Block]:
    """Read the answer's Markdown: paragraphs, bullets, bold and code; whatever else it holds stays plain words."""
    blocks: list[Block] = []
    items: list[Spans] = []
    lines: list[str] = []

    def close() -> None:
        if lines:
            blocks.append(Paragraph(_spans(" ".join(lines))))
            lines.clear()
        if items:
            blocks.append(Bullets(tuple(items)))
            items.clear()

    for line in map(str.strip, text.splitlines()):
        if bullet := re.match(r"[-*+•]\s+(.*)", line):
            if lines:
                close()
            items.append(_spans(bullet[1]))
        elif not line:
            close()
        else:
            if items:
                close()
            lines.append(line)
    close()
    return blocks


_INLINE = re.compile(r"\*\*(?P<strong>(?:\\.|[^*\\])+)\*\*|`(?P<code>[^`]+)`|(?P<plain>(?:\\.|[^*`\\])+|.)", re.DOTALL)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def _spans(text: str) -> Spans:
    spans: list[Span] = []
    for found in _INLINE.finditer(text):
        if found["strong"]:
            spans.append(Span(_ESCAPED.sub(r"\1", found["strong"]), "strong"))
        elif found["code"]:
            spans.append(Span(found["code"], "code"))
        else:
            plain = _ESCAPED.sub(r"\1", found["plain"])
            if spans and spans[-1].style == "plain":
                plain = spans.pop().text + plain
            spans.append(Span(plain))
    return tuple(spans)


def key_figures(table: ResultTable, language: Language) -> KeyFigures | None:
    """Return the numbers of a table that is one row of measures: each metric with its change and the value before."""
    if len(table.rows) != 1 or not all(map(_is_measure, table.columns)):
        return None
    (row,) = table.rows
    figures = []
    for column in table.columns:
        if column.role in ("comparison", "change", "count") and column.metric:
            continue
        beside = {other.role: other for other in table.columns if other.metric == column.name}
        change, before = beside.get("change"), beside.get("comparison")
        figures.append(
            KeyFigure(
                label=column.label.in_(language),
                value=_shown_cell(table, column, row, language),
                change=_shown_cell(table, change, row, language) if change else "",
                before=_shown_cell(table, before, row, language) if before else "",
                direction=_direction(row[table.index(change.name)]) if change else None,
                counts=_counts(table, column, row, language),
            )
        )
    return KeyFigures(tuple(figures)) if figures else None


def _counts(table: ResultTable, metric: Column, row: tuple[Cell, ...], language: Language) -> str:
    """Return the counts beside a metric, each under its short name."""
    beside = [column for column in shown_columns(table) if column.role == "count" and column.metric == metric.name]
    return " · ".join(
        f"{header(table, column, language)} {_shown_cell(table, column, row, language)}" for column in beside
    )


def _direction(change: Cell) -> Literal["up", "down", "flat"] | None:
    if not isinstance(change, int | float):
        return None
    return "up" if change > 0 else "down" if change < 0 else "flat"


def _is_measure(column: Column) -> bool:
    return column.role not in ("dimension", "time")


def _is_cut_short(table: ResultTable, column: Column, row: tuple[Cell, ...]) -> bool:
    return column.role == "time" and row[table.index(column.name)] in table.incomplete


def _shown_cell(table: ResultTable, column: Column, row: tuple[Cell, ...], language: Language) -> str:
    cell = row[table.index(column.name)]
    if isinstance(cell, bool):
        return YES_NO[cell].in_(language)
    if isinstance(cell, date):
        mark = " *" if _is_cut_short(table, column, row) else ""
        return bucket_label(cell, column.grain, language) + mark
    if _is_measure(column):
        if cell is None:
            return NO_DATA[language]
        if isinstance(cell, int | float):
            return format_number(cell, column.unit, language, signed=column.role == "change")
    return column.shown(cell, language)


def _sort_key(column: Column, cell: Cell, language: Language) -> str | int | float | None:
    if isinstance(cell, date):
        return cell.isoformat()
    if cell is None or isinstance(cell, int | float):
        return cell
    return column.shown(cell, language)


def _csv_label(column: Column, language: Language) -> str:
    label = column.label.in_(language)
    return f"{label} ({column.unit})" if column.unit in CURRENCY_SIGNS else label


def _csv_cell(cell: Cell) -> str | int | float | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, date):
        return cell.isoformat()
    return harmless(cell) if isinstance(cell, str) else cell


def spans_to_markdown(spans: Spans) -> str:
    """Return styled words as Markdown, escaped."""
    wraps = {"plain": "{}", "strong": "**{}**", "code": "`{}`"}
    return "".join(
        wraps[span.style].format(span.text.replace("`", "'") if span.style == "code" else _escape_within(span.text))
        for span in spans
    )


def _escaped(text: str) -> str:
    return escape_markdown(text, LONGEST_LINE)


def _escape_within(text: str) -> str:
    """Escape a stretch of a line, whose outer blanks count."""
    lead, tail = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return f"{lead}{_escaped(text)}{tail}" if text.strip() else " "


def _block_to_markdown(block: Block) -> str:
    match block:
        case Paragraph():
            return spans_to_markdown(block.spans)
        case Bullets():
            return "\n".join(f"- {spans_to_markdown(item)}" for item in block.items)
        case Notice():
            return "\n\n".join(_escaped(words) for words in (block.message, block.hint) if words)
        case KeyFigures():
            return "\n".join(map(_figure_to_markdown, block.figures))
        case Picture():
            return _escaped(block.alt_text)
        case Grid():
            return _grid_to_markdown(block)
        case ReceiptCard():
            lines = [f"**{_escaped(block.title)}**", ""]
            lines += [f"- {_escaped(label)}: {_escaped('; '.join(said))}" for label, said in block.entries]
            if block.sql:
                fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", block.sql))])
                lines += ["", f"{fence}sql", block.sql, fence]
            return "\n".join(lines)
        case ReportOffer():
            return f"{_escaped(block.text)}: `{block.command}`"
        case Choices():
            asked = "\n".join(f"- {_escaped(question)}" for question in block.questions)
            return f"{_escaped(block.title)}\n\n{asked}".strip()
        case _:
            assert_never(block)


def _figure_to_markdown(figure: KeyFigure) -> str:
    beside = ", ".join(_escaped(text) for text in (figure.change, figure.before, figure.counts) if text)
    return f"- {_escaped(figure.label)}: **{_escaped(figure.value)}**" + (f" ({beside})" if beside else "")


def _grid_to_markdown(grid: Grid) -> str:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cells)} |"

    head = line([_escaped(label) for label in grid.headers])
    rule = line(["---:" if numeric else "---" for numeric in grid.numeric])
    rows = [line([_escaped(cell.text) for cell in row]) for row in grid.rows]
    return "\n".join([head, rule, *rows, *(f"\n{_escaped(note)}" for note in grid.notes)])
