"""Owns how answers look in a terminal: text, an aligned table, the receipt, a progress line. Knows nothing of options."""

import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from wenshu.assistant.answer import Answer, Receipt
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language
from wenshu.ui.present import shown_table

MOST_ROWS = 30
ESCAPES = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~$&])")
WORDS = {
    "definition": ("Definition", "口径"), "period": ("Period", "时间"), "compared": ("Compared with", "对比期"), "filters": ("Filters", "筛选"),
    "caveats": ("Note", "说明"), "assumptions": ("Read as", "理解"), "options": ("You could ask", "可以这样问"), "follow_ups": ("Next", "接着问"),
    "chart": ("Chart", "图表"), "more": ("more rows", "行未显示"),
}  # fmt: skip


def answer_lines(answer: Answer, chart: Path | None) -> Iterator[str]:
    """Yield an answer line by line."""
    language = answer.language
    yield ESCAPES.sub(r"\1", answer.text).replace("**", "")
    if answer.table is not None and answer.table.rows and len(answer.table.columns) > 1:
        yield ""
        yield from table_lines(answer.table, language)
    yield ""
    if answer.receipt is not None:
        yield from _receipt_lines(answer.receipt, language)
    if chart is not None:
        yield f"{_word('chart', language)}: {chart}"
    for key, entries in (("options", answer.options), ("follow_ups", answer.follow_ups)):
        if entries:
            yield f"{_word(key, language)}: {' | '.join(entries)}"


def table_lines(table: ResultTable, language: Language) -> Iterator[str]:
    """Yield a table as aligned columns; Chinese characters are two wide."""
    grid = shown_table(table, language)
    rows = [[cell.text for cell in row] for row in grid.rows[:MOST_ROWS]]
    widths = [max(map(_width, column)) for column in zip(grid.headers, *rows, strict=True)]
    yield "  ".join(_padded(text, width, False) for text, width in zip(grid.headers, widths, strict=True)).rstrip()
    yield "  ".join("-" * width for width in widths)
    for row in rows:
        numeric = [column.type == "number" for column in table.columns]
        yield "  ".join(
            _padded(text, width, right) for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
    if len(grid.rows) > MOST_ROWS:
        yield f"… {len(grid.rows) - MOST_ROWS:,} {_word('more', language)}"


def _receipt_lines(receipt: Receipt, language: Language) -> Iterator[str]:
    for definition in receipt.definitions:
        yield f"{_word('definition', language)}: {definition.label} = {definition.definition}"
    if receipt.period:
        yield f"{_word('period', language)}: {receipt.period.label}"
    if receipt.compared_period:
        yield f"{_word('compared', language)}: {receipt.compared_period.label}"
    for key, entries in (
        ("filters", receipt.filters),
        ("assumptions", receipt.assumptions),
        ("caveats", receipt.caveats),
    ):
        if entries:
            yield f"{_word(key, language)}: {'; '.join(entries)}"


def show_progress(step: str, fraction: float) -> None:
    """Draw one progress line on standard error; a new step overwrites it, the end completes it."""
    if not sys.stderr.isatty():
        if fraction in (0.0, 1.0):
            print(f"{step} {fraction:.0%}", file=sys.stderr, flush=True)
        return
    filled = round(fraction * 30)
    end = "\n" if fraction >= 1 and step == "done" else ""
    print(f"\r{'█' * filled}{'░' * (30 - filled)} {fraction:>4.0%} {step:<24}", end=end, file=sys.stderr, flush=True)


def _word(key: str, language: Language) -> str:
    return WORDS[key][language == "zh"]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
