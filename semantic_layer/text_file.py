"""Owns reading delimited text that people bring: its encoding, delimiter, title lines and headers. Knows nothing of what columns mean."""

import codecs
import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wenshu.semantic_layer import file_errors
from wenshu.semantic_layer.text import Text

CHUNK = 1 << 20
SAMPLE_BYTES, SAMPLE_ROWS = 1 << 19, 300
DELIMITERS = (",", "\t", ";", "|")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
VALUE = re.compile(
    r"[-+]?[¥￥$€£]?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?%?|\d{4}[-/.年]\d{1,2}([-/.月]\d{1,2}日?)?([ T].*)?|[^@\s]+@[^@\s]+\.\w+|true|false",
    re.IGNORECASE,
)
YEAR = re.compile(r"(19|20)\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """Point at a table as UTF-8 text: where its rows begin, how they are divided, and its headers as written."""

    path: Path
    delimiter: str
    skip: int
    headers: tuple[str, ...]
    findings: tuple[Text, ...] = ()
    percents: frozenset[int] = frozenset()


def text_table(path: Path, name: str, folder: Path) -> TextTable:
    """Read what there is to know of a delimited file; one in another encoding is written to `folder` as UTF-8."""
    encoding = encoding_of(path, name)
    with path.open("r", encoding=encoding, errors="ignore", newline="") as file:
        sample = file.read(SAMPLE_BYTES)
    if not sample.strip(" \t\r\n,;\ufeff\0"):
        raise file_errors.empty(name)
    if re.match(r"\s*<(!doctype|html|\?xml|table|head|body|meta)", sample, re.IGNORECASE):
        raise file_errors.unknown(name, Text("a web page (HTML or XML)", "网页（HTML 或 XML）"))
    findings = []
    old_lines = "\n" not in sample and "\r" in sample
    local = folder / f"{len(list(folder.iterdir()))}.csv"
    if encoding != "utf-8" or old_lines:
        _rewrite(path, encoding, local)
        if encoding not in ("utf-8", "utf-8-sig"):
            findings.append(
                Text(f"{name} was read as {encoding.upper()} text.", f"{name} 按 {encoding.upper()} 编码读取。")
            )
    else:
        os.symlink(path.resolve(), local)  # a name of its own: brackets and stars in a file's name would be a pattern
    sample = re.sub(r"\r\n?", "\n", sample)
    lines = sample.split("\n")
    lines = lines[:-1] if len(sample) >= SAMPLE_BYTES - 1 and len(lines) > 1 else lines
    announced = re.fullmatch(r"sep=(.)", lines[0].strip())
    delimiter = announced[1] if announced else delimiter_of(lines)
    rows, ends = _rows(lines, delimiter)
    start = first_row(rows, 1 if announced else 0)
    header = rows[start]
    width = max(len(header), _usual_width(rows[start:]))
    if width > file_errors.MOST_COLUMNS:
        raise file_errors.too_large(name, Text(f"{width:,} columns", f"{width:,} 列"), _columns())
    if titles := [row for row in rows[:start] if any(row)]:
        findings.append(_skipped(name, titles))
    if has_headers(header, rows[start + 1 : start + 50]):
        if not any(any(row) for row in rows[start + 1 :]):
            raise file_errors.no_rows(name)
        skip, headers = ends[start], [*header, *[""] * (width - len(header))]
    else:
        skip, headers = (ends[start - 1] if start else 0), [""] * width
        findings.append(Text(f"{name} has no headers; its columns are numbered.", f"{name} 没有列名，各列按顺序编号。"))
    return TextTable(path=local, delimiter=delimiter, skip=skip, headers=tuple(headers), findings=tuple(findings))


def encoding_of(path: Path, name: str) -> str:
    """Return the encoding that the whole file can be read in. Raises `FileError`."""
    with path.open("rb") as file:
        head = file.read(CHUNK)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return _readable(path, (encoding,), name)
    if (zeros := head.count(b"\0")) > len(head) // 5:
        return _readable(path, ("utf-16-be" if head[0::2].count(0) > zeros // 2 else "utf-16-le",), name)
    if zeros:
        raise file_errors.unknown(name, Text("not text but binary data", "二进制数据而非文本"))
    return _readable(path, ("utf-8", "gb18030"), name)


def _readable(path: Path, encodings: Sequence[str], name: str) -> str:
    for encoding in encodings:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            return encoding
        except UnicodeDecodeError:
            continue
    raise file_errors.encoding(name)


def _rewrite(path: Path, encoding: str, local: Path) -> None:
    with path.open("r", encoding=encoding, newline=None) as old, local.open("w", encoding="utf-8", newline="\n") as new:
        while chunk := old.read(CHUNK):
            new.write(chunk)


def delimiter_of(lines: Sequence[str]) -> str:
    """Return what divides the lines most evenly into the most fields; a comma where nothing does.

    >>> delimiter_of(["a;b;c", "1,5;2;3", "2,5;4;5"])
    ';'
    """

    def evenness(delimiter: str) -> tuple[float, int]:
        rows, _ = _rows(lines, delimiter)
        widths = Counter(len(row) for row in rows if any(row))
        [(width, often)] = widths.most_common(1) or [(1, 0)]
        return (round(often / max(sum(widths.values()), 1), 1), width) if width > 1 else (0.0, 1)

    return max(DELIMITERS, key=evenness)


def _rows(lines: Sequence[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the first rows, and after how many lines each ends."""
    rows: list[list[str]] = []
    ends: list[int] = []
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    try:
        for row in reader:
            rows.append([cell.strip().strip("\ufeff") for cell in row])
            ends.append(reader.line_num)
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:  # a field without an end
        pass
    return rows or [[""]], ends or [0]


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    widths = Counter(len(row) for row in rows if any(row))
    return widths.most_common(1)[0][0] if widths else 1


def first_row(rows: Sequence[Sequence[str]], start: int = 0) -> int:
    """Return where the table begins, below titles and empty lines: its first row with more than one filled cell, if its rows have."""
    wide = _usual_width(rows[start:]) > 1
    filled = [sum(1 for cell in row if cell) for row in rows]
    below = (i for i in range(start, len(rows)) if filled[i] > (1 if wide else 0))
    return next(below, next((i for i in range(start, len(rows)) if filled[i]), start))


def has_headers(header: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Say whether a table's first row names its columns rather than holding values like those below it.

    >>> has_headers(["city", "2024", "2025"], [["Wuhan", "1.5", "3"]]), has_headers(["Wuhan", "1.5", "3"], [["Xi'an", "4", "2"]])
    (True, False)
    """
    filled = [(i, cell) for i, cell in enumerate(header) if cell]
    years = {
        i
        for i, cell in filled
        if YEAR.fullmatch(cell) and not any(i < len(row) and YEAR.fullmatch(row[i]) for row in below)
    }
    values = [i for i, cell in filled if i not in years and VALUE.fullmatch(cell)]
    return len(values) * 3 <= len(filled)


def _skipped(name: str, titles: Sequence[Sequence[str]]) -> Text:
    title = " ".join(cell for cell in titles[0] if cell)[:40]
    return Text(
        f"{name}: lines above the table were left out (“{title}”).", f"{name}：表格上方的说明行未计入（“{title}”）。"
    )


def _columns() -> Text:
    return Text(f"{file_errors.MOST_COLUMNS} columns", f"{file_errors.MOST_COLUMNS} 列")
