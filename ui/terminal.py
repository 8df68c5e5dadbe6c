"""Owns how answers and lists look in a terminal: plain text, aligned tables, a progress line. Knows nothing of options."""

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

from wenshu.assistant.answer import Answer
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.present import (
    COLON,
    Block,
    Bullets,
    Choices,
    Grid,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    ReceiptCard,
    ReportOffer,
    Spans,
    present,
    shown_table,
)

MOST_ROWS = 30
WIDEST_CELL = 48
BAR = 30
UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # they move the cursor or turn the line

CHART = Text("Chart", "图表")
MORE_ROWS = Text("… {:,} more rows", "…… 还有 {:,} 行")
BUILDING = Text("Building demo data", "正在生成演示数据")
HEADINGS = {
    "metrics": Text("Metrics", "指标"),
    "dimensions": Text("Dimensions", "维度"),
    "segments": Text("Segments", "人群"),
    "by_topic": Text("By topic", "按主题"),
    "by_language": Text("By language", "按语言"),
}
COUNTED = Text("{right} of {questions} right, {wrong} wrong", "{questions} 题答对 {right} 题，答错 {wrong} 题")
ALL = Text("All", "全部")
PER_QUESTION = Text("{seconds:.2f} seconds and {tokens:,.0f} tokens a question", "平均每题 {seconds:.2f} 秒、{tokens:,.0f} 个 token")
VERDICTS = {True: Text("wrong", "答错"), False: Text("missed", "未答")}


def shown(answer: Answer, chart: Path | None = None, *, sql: bool = False) -> Iterator[str]:
    """Yield an answer line by line, as the page shows it from top to bottom; `chart` is where its picture was written."""
    previous: type[Block] | None = None
    for block in present(answer):
        lines = [_harmless(line) for line in _block_lines(block, answer, sql)]
        if isinstance(block, Picture) and chart is not None:
            lines = [f"{CHART.in_(answer.language)}{COLON.in_(answer.language)}{chart}"]
        if lines:
            if previous is not None:
                yield ""
            yield from lines
            previous = type(block)


def table_lines(table: ResultTable, language: Language) -> Iterator[str]:
    """Yield a table's first rows as aligned columns; Chinese characters are two wide."""
    grid = shown_table(replace(table, rows=table.rows[:MOST_ROWS]), language)
    head = [_cell(label) for label in grid.headers]
    rows = [[_cell(cell.text) for cell in row] for row in grid.rows]
    yield from aligned([head, *rows], grid.numeric, ruled=True)
    if len(table.rows) > MOST_ROWS:
        yield MORE_ROWS.in_(language).format(len(table.rows) - MOST_ROWS)
    yield from grid.notes


def raw_lines(table: ResultTable, language: Language) -> Iterator[str]:
    """Yield the first rows of a table as the database gave them: its columns have no meaning but their names."""
    rows = [["NULL" if cell is None else _cell(str(cell)) for cell in row] for row in table.rows[:MOST_ROWS]]
    right = [column.type == "number" for column in table.columns]
    yield from aligned([[_cell(column.name) for column in table.columns], *rows], right, ruled=True)
    if len(table.rows) > MOST_ROWS:
        yield MORE_ROWS.in_(language).format(len(table.rows) - MOST_ROWS)


def catalogue_lines(listed: dict[str, Any], language: Language) -> Iterator[str]:
    """Yield what a model can be asked, section by section; a segment is a dimension of users that is computed."""
    segments = [entry for entry in listed["dimensions"] if entry["name"] in listed["segments"]]
    dimensions = [entry for entry in listed["dimensions"] if entry not in segments]
    sections = {"metrics": listed["metrics"], "dimensions": dimensions, "segments": segments}
    for number, (section, entries) in enumerate((name, found) for name, found in sections.items() if found):
        yield from [""] * bool(number)
        yield HEADINGS[section].in_(language)
        rows = [[entry["name"], entry["label"], entry["definition"]] for entry in entries]
        yield from (f"  {_harmless(line)}" for line in aligned(rows, (False, False, False)))


def verdict_line(verdict: Any, language: Language) -> str:
    """Return a question that was not answered right, and why."""
    word = VERDICTS[verdict.wrong].in_(language)
    return _harmless(f"{word} {verdict.id} [{verdict.topic}/{verdict.language}] {verdict.text} — {verdict.reason}")


def report_lines(report: dict[str, Any], language: Language) -> Iterator[str]:
    """Yield how many questions were answered right: by topic, by language and all."""
    counted = COUNTED.in_(language)
    for section in ("by_topic", "by_language"):
        yield f"\n{HEADINGS[section].in_(language)}"
        rows = [[name or "—", counted.format(**counts)] for name, counts in report[section].items()]
        yield from (f"  {_harmless(line)}" for line in aligned(rows, (False, False)))
    yield f"\n{ALL.in_(language)}{COLON.in_(language)}{counted.format(**report)} ({report['accuracy']:.1%})"
    yield PER_QUESTION.in_(language).format(**report)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[bool], *, ruled: bool = False) -> Iterator[str]:
    """Yield rows of texts as columns of one width each; `right` says which are aligned right, `ruled` underlines the first.

    >>> list(aligned([["渠道", "n"], ["douyin", "12"]], [False, True]))
    ['渠道     n', 'douyin  12']
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = zip(row, widths, right, strict=True)
        yield "  ".join(_padded(text, size, is_right) for text, size, is_right in cells).rstrip()
        if ruled and number == 0:
            yield "  ".join("─" * size for size in widths)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> width("GMV"), width("成交额")
    (3, 6)
    """
    return sum(_character_width(char) for char in text)


class StatusLine:
    """Show on a terminal what takes its time, on one line that vanishes; elsewhere show nothing."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._on = sys.stderr is not None and sys.stderr.isatty()
        self._shown = False

    def progress(self, step: str, fraction: float) -> None:
        """Draw how far the demo data are."""
        if fraction >= 1:
            return self.clear()
        filled = round(fraction * BAR)
        words = f"{BUILDING.in_(self._language)} {'█' * filled}{'░' * (BAR - filled)} {fraction:>4.0%}  {step}"
        self.show(Text(words, words))

    def show(self, words: Text) -> None:
        if self._on:
            print(f"\r\x1b[K{words.in_(self._language)} ", end="", file=sys.stderr, flush=True)
            self._shown = True

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


def _block_lines(block: Block, answer: Answer, sql: bool) -> Iterator[str]:
    language = answer.language
    colon = COLON.in_(language)
    match block:
        case Paragraph():
            yield _words(block.spans)
        case Bullets():
            yield from (f"• {_words(item)}" for item in block.items)
        case Notice():
            yield from (words for words in (block.message, block.hint) if words)
        case KeyFigures():
            if len(block.figures) > 1:  # a single figure is in the sentence already
                rows = [[f.label, f.value, f.change, f"({f.before})" if f.before else ""] for f in block.figures]
                yield from aligned(rows, (False, True, True, False))
        case Picture():
            pass
        case Grid():
            if answer.table is not None:
                yield from table_lines(answer.table, language)
        case ReceiptCard():
            yield block.title
            for label, said in block.entries:
                yield from (f"  {label}{colon}{line}" for line in said)
            if sql and block.sql:
                yield from ("", *block.sql.splitlines())
        case ReportOffer():
            yield f"{block.text}{colon}{block.command}"
        case Choices():
            if block.title:
                yield f"{block.title}{colon}".rstrip()
            yield from (f"  {question}" for question in block.questions)
        case _:
            assert_never(block)


def _words(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def _cell(text: str) -> str:
    """Return a cell on one line, cut where it is very long."""
    text = _harmless(text.replace("\n", " "))
    if width(text) <= WIDEST_CELL:
        return text
    text = text[:WIDEST_CELL]
    while width(text) >= WIDEST_CELL:
        text = text[:-1]
    return f"{text}…"


def _harmless(line: str) -> str:
    """Return a line whose characters do not steer the terminal: the data and the question may hold any."""
    return UNSAFE.sub("\ufffd", line)


def _character_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _padded(text: str, size: int, right: bool) -> str:
    space = " " * (size - width(text))
    return space + text if right else text + space
