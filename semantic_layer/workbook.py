"""Owns reading Excel workbooks (.xlsx) that people bring: the first sheet with a table, as text. The only module that knows openpyxl."""

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from wenshu.semantic_layer import file_errors
from wenshu.semantic_layer.errors import FileError
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.text_file import SAMPLE_ROWS, TextTable, first_row, has_headers

CHUNK = 1 << 20
MERGE = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
NO_VALUE = re.compile(rb"</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>|</(?:\w+:)?c>)")
MOST_MERGES = 10_000
Area = tuple[int, int, int, int]  # first row, first column, last row, last column; from 0


def workbook_table(path: Path, name: str, folder: Path) -> TextTable:
    """Write the first sheet that holds a table as text. Raises `FileError`."""
    try:
        _check_archive(path, name)
        return _read(path, name, folder)
    except FileError:
        raise
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, EOFError,
            ParseError, RuntimeError, AssertionError) as problem:  # fmt: skip
        raise file_errors.broken(name, "Excel") from problem  # what openpyxl raises for a damaged part is of every kind


def _check_archive(path: Path, name: str) -> None:
    """Refuse what unpacks to more than fits, before anything is unpacked, and documents that define entities."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        names = {part.filename for part in parts}
        if "xl/workbook.xml" not in names and not any(part.startswith("xl/") for part in names):
            raise file_errors.unknown(name, Text("a ZIP archive", "ZIP 压缩包"))
        if "xl/workbook.bin" in names:
            raise file_errors.unknown(name, Text("a binary workbook (.xlsb)", "二进制工作簿（.xlsb）"))
        if any(part.flag_bits & 1 for part in parts):
            raise file_errors.encrypted(name)
        size, packed = sum(part.file_size for part in parts), max(path.stat().st_size, 1)
        texts = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
        bomb = size > 50_000_000 and size > packed * file_errors.MOST_TIMES_PACKED
        if size > file_errors.MOST_UNPACKED or texts > file_errors.MOST_SHARED_TEXT or bomb or len(parts) > 10_000:
            most = f"{file_errors.MOST_UNPACKED / 1e6:,.0f} MB"
            raise file_errors.too_large(
                name, Text(f"{size / 1e6:,.0f} MB once unpacked", f"解压后为 {size / 1e6:,.0f} MB"), Text(most, most)
            )
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as file:
                    if b"<!DOCTYPE" in file.read(4096):
                        raise file_errors.broken(name, "Excel")


def _read(path: Path, name: str, folder: Path) -> TextTable:
    from openpyxl import load_workbook

    with path.open("rb") as file:  # of a path, openpyxl would judge the ending
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or list(book.worksheets)
            for sheet in sheets:
                sheet.reset_dimensions()  # the size a file states is often wrong
                if any(
                    any(cell not in (None, "") for cell in row)
                    for row in sheet.iter_rows(max_row=SAMPLE_ROWS, values_only=True)
                ):
                    others = [other.title for other in sheets if other is not sheet]
                    return _table(sheet, path, name, folder, others)
        finally:
            book.close()
    raise file_errors.empty(name)


def _table(sheet: Any, path: Path, name: str, folder: Path, others: Sequence[str]) -> TextTable:
    merges, no_value = _merges(path, sheet)
    head = [[_text(cell) for cell in row] for row in sheet.iter_rows(max_row=SAMPLE_ROWS, values_only=True)]
    head = [row for row in head] or [[""]]
    start = first_row(head)
    filled = list(_filled(iter(head), merges, lambda area: area[0] >= start))
    deep = max((area[2] for area in merges if area[0] == start and area[3] > area[1]), default=start)
    deep = start + 1 if deep == start and any(area[0] == start and area[3] > area[1] for area in merges) else deep
    width = max((i + 1 for row in filled[start:] for i, cell in enumerate(row) if cell), default=1)
    if width > file_errors.MOST_COLUMNS:
        raise file_errors.too_large(name, Text(f"{width:,} columns", f"{width:,} 列"), Text(f"{file_errors.MOST_COLUMNS}", f"{file_errors.MOST_COLUMNS} 列"))  # fmt: skip
    findings = [Text(f"{name}: the sheet “{sheet.title}” was read.", f"{name}：读取的是工作表“{sheet.title}”。")]
    if others:
        left = ", ".join(others[:5])
        findings.append(Text(f"{name}: other sheets were left out ({left}).", f"{name}：其他工作表未读取（{left}）。"))
    if merges:
        findings.append(
            Text(f"{name}: merged cells were filled with their value.", f"{name}：合并单元格已按其内容填充。")
        )
    if no_value:
        findings.append(Text(f"{name}: {no_value:,} formulas hold no computed value and are empty; open the file in Excel, save it and bring it again.",
                             f"{name}：有 {no_value:,} 个公式没有保存计算结果，按空值处理；请用 Excel 打开并保存后重新上传。"))  # fmt: skip
    if start < len(filled) and not has_headers(filled[start], filled[start + 1 : start + 50]):
        headers, first = [""] * width, start
        findings.append(Text(f"{name} has no headers; its columns are numbered.", f"{name} 没有列名，各列按顺序编号。"))
    else:
        rows = [row + [""] * (width - len(row)) for row in filled[start : deep + 1]]
        headers = [" ".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*rows, strict=True)]
        headers, first = [header[:1000] for header in headers[:width]], deep + 1
    local = folder / f"{len(list(folder.iterdir()))}.csv"
    percents = _percents(sheet, first)
    with local.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        whole = ([_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
        count = 0
        for i, row in enumerate(_filled(whole, merges, lambda area: area[0] >= start)):
            if i >= first and any(row):
                writer.writerow((row + [""] * (width - len(row)))[:width])
                count += 1
    if not count:
        raise file_errors.no_rows(name)
    return TextTable(
        path=local, delimiter=",", skip=0, headers=tuple(headers), findings=tuple(findings), percents=percents
    )


def _merges(path: Path, sheet: Any) -> tuple[list[Area], int]:
    """Return the merged areas of a sheet, and how many of its formulas hold no value; neither is kept by a streaming read."""
    areas: list[Area] = []
    no_value = 0
    with zipfile.ZipFile(path) as archive, archive.open(sheet._worksheet_path) as part:
        rest = b""
        while chunk := part.read(CHUNK):
            text = rest + chunk
            cut = text.rfind(b"<c ") if b"<c " in text[-4096:] else text.rfind(b"<mergeCell ")
            cut = cut if cut > len(text) - 4096 else len(text)
            now, rest = text[:cut], text[cut:]
            areas += map(_area, MERGE.findall(now))
            no_value += len(NO_VALUE.findall(now))
        areas += map(_area, MERGE.findall(rest))
        no_value += len(NO_VALUE.findall(rest))
    return sorted(areas)[:MOST_MERGES], no_value


def _area(found: tuple[bytes, bytes, bytes, bytes]) -> Area:
    from openpyxl.utils import column_index_from_string

    left, top, right, bottom = (part.decode() for part in found)
    return int(top) - 1, column_index_from_string(left) - 1, int(bottom) - 1, column_index_from_string(right) - 1


def _filled(rows: Iterator[list[str]], merges: Sequence[Area], wanted: Any) -> Iterator[list[str]]:
    """Yield the rows with every cell of a wanted merged area holding the area's value."""
    waiting = [area for area in merges if wanted(area)]
    open_areas: list[tuple[Area, str]] = []
    for i, row in enumerate(rows):
        while waiting and waiting[0][0] == i:
            area = waiting.pop(0)
            open_areas.append((area, row[area[1]] if area[1] < len(row) else ""))
        open_areas = [(area, value) for area, value in open_areas if area[2] >= i]
        for (_, left, _, right), value in open_areas:
            right = min(right, file_errors.MOST_COLUMNS)
            row += [""] * (right + 1 - len(row))
            row[left : right + 1] = [value] * (right + 1 - left)
        yield row


def _percents(sheet: Any, first: int) -> frozenset[int]:
    """Return the columns whose first values are shown as percentages."""
    found = set()
    for row in sheet.iter_rows(min_row=first + 1, max_row=first + 20):
        found |= {
            i for i, cell in enumerate(row) if cell.value is not None and "%" in str(getattr(cell, "number_format", ""))
        }
    return frozenset(found)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case str():
            return "" if re.fullmatch(r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!)", value) else value.strip()
    return str(value)
