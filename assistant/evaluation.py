"""Owns measuring answers against gold SQL: which questions of a file are answered right, by topic and language."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import permutations
from pathlib import Path
from time import perf_counter
from typing import Any

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.layer import plain_cell
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text

TOLERANCE = 0.005
MOST_ROWS = 20_000
EXPECTED_STATUS = {"answer": "answered", "clarify": "clarify", "refuse": "refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Hold how one question came out: right, wrong (a wrong number or an answer that should not be), or other."""

    id: str
    topic: str
    language: str
    text: str
    outcome: str
    right: bool
    wrong: bool
    reason: str
    seconds: float = 0.0
    tokens: int = 0
    planner: str = "rules"


def evaluate(
    assistant: Assistant, path: Path, ask: Callable[[Question], Answer] | None = None
) -> Iterator[Verdict]:
    """Ask every question of a file, in order, of `assistant` or through `ask`, and yield its verdict.

    Raises `ModelError` with code `invalid_questions` where a line is not a question.
    """
    for item in _questions(path):
        started = perf_counter()
        answer = (ask or assistant.ask)(Question(text=item["text"], conversation=item.get("conversation")))
        seconds = perf_counter() - started
        use = answer.receipt.llm if answer.receipt else None
        right, reason = _judge(assistant, item, answer)
        asked = EXPECTED_STATUS.get(item.get("expect", "answer"), "answered")
        yield Verdict(
            id=str(item.get("id", "")),
            topic=item.get("topic", ""),
            language=item.get("lang", answer.language),
            text=item["text"],
            outcome=answer.status,
            right=right,
            wrong=not right
            and answer.status == "answered"
            and (item.get("gold_sql") is not None or asked != "answered"),
            reason=reason,
            seconds=seconds,
            tokens=use.prompt_tokens + use.completion_tokens if use else 0,
            planner=answer.receipt.planner if answer.receipt else assistant.planner.name,
        )


def _questions(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line.strip():
            try:
                item = json.loads(line)
                item["text"]
            except (ValueError, TypeError, KeyError):
                raise ModelError(
                    "invalid_questions",
                    Text(
                        f"Line {number} of {path.name} is not a question.",
                        f"{path.name} 第 {number} 行不是有效的问题。",
                    ),
                    Text(
                        'Write one JSON object with at least "text" a line.', "每行应为一个至少含有 text 的 JSON 对象。"
                    ),
                ) from None
            yield item


def _judge(assistant: Assistant, item: dict[str, Any], answer: Answer) -> tuple[bool, str]:
    expected = EXPECTED_STATUS.get(item.get("expect", "answer"), "answered")
    if expected == "clarify" and item.get("overview_ok") and answer.status == "answered":
        return answer.table is not None and len(answer.table.with_role("metric")) > 1, "overview"
    if answer.status != expected:
        problem = f": {answer.problem.code}: {answer.problem.message}" if answer.problem else ""
        return False, f"{answer.status} instead of {expected}{problem}"
    golds = [sql for sql in (item.get("gold_sql"), *item.get("alt_sql", ())) if sql]
    if expected != "answered" or not golds:
        return True, ""
    if answer.table is None:
        return False, "no table"
    reasons = []
    for sql in golds:
        statement = assistant.layer.guarded(sql)
        gold = assistant.layer.engine.run(statement, max_rows=MOST_ROWS)
        rows = [tuple(plain_cell(cell) for cell in row) for row in gold.rows]
        reason = difference(rows, answer.table, ordered=bool(item.get("ordered")))
        if not reason:
            return True, ""
        reasons.append(reason)
    return False, reasons[0]


def difference(gold: list[tuple[Any, ...]], table: ResultTable, *, ordered: bool) -> str:
    """Return why a table does not hold the gold rows, or an empty text where every gold column stands among its columns.

    Numbers agree within 0.5 %, dates as the period's first day, a dimension's labels and raw values alike.
    """
    if len(gold) != len(table.rows):
        return f"{len(table.rows)} rows instead of {len(gold)}"
    if not gold:
        return ""
    width = len(gold[0])
    if width > len(table.columns):
        return f"{len(table.columns)} columns instead of {width}"
    fits = [[j for j in range(len(table.columns)) if _column_fits(gold, i, table, j)] for i in range(width)]
    for i, columns in enumerate(fits):
        if not columns:
            return f"gold column {i + 1} stands in no column of the answer: {[row[i] for row in gold[:3]]}"
    for choice in _choices(fits):
        if _rows_fit(gold, table, choice) and (not ordered or _in_order(gold, table, choice)):
            return ""
    return "the rows differ"


def _choices(fits: list[list[int]]) -> Iterable[tuple[int, ...]]:
    if len(fits) <= 4:
        width = 1 + max(j for columns in fits for j in columns)
        return (c for c in permutations(range(width), len(fits)) if all(j in fits[i] for i, j in enumerate(c)))
    return [tuple(columns[0] for columns in fits)]


def _forms(value: Any, column: Column) -> set[Any]:
    """Return what a cell may be called: its raw value and its labels."""
    if value is None:
        return {None, "unknown", "未知"}
    out = {_plain(value)}
    for raw, label in column.value_labels:
        if raw == value:
            out |= {label.en, label.zh}
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _same(gold: Any, value: Any, column: Column) -> bool:
    gold = _plain(gold)
    if isinstance(gold, int | float) and isinstance(value, int | float):
        return abs(gold - value) <= TOLERANCE * max(abs(gold), abs(value)) + 1e-9
    return any(
        gold == form or (isinstance(gold, str) and isinstance(form, str) and gold.lower() == form.lower())
        for form in _forms(value, column)
    )


def _column_fits(gold: list[tuple[Any, ...]], i: int, table: ResultTable, j: int) -> bool:
    """Say whether a column holds the gold column's values, in whatever order."""
    column, wanted, cells = table.columns[j], [row[i] for row in gold], [row[j] for row in table.rows]
    if all(isinstance(value, int | float | None) for value in (*wanted, *cells)):
        pairs = zip(sorted(wanted, key=_sort_key), sorted(cells, key=_sort_key), strict=True)
        return all(_same(value, cell, column) for value, cell in pairs)
    return _pairs_up(wanted, cells, lambda value, cell: _same(value, cell, column))


def _in_order(gold: list[tuple[Any, ...]], table: ResultTable, columns: tuple[int, ...]) -> bool:
    """Say whether some column of numbers stands in the gold order, so that rows tied in it may change places."""
    numeric = [i for i in range(len(gold[0])) if all(isinstance(row[i], int | float | None) for row in gold)]
    in_place = (all(_same(g[i], r[columns[i]], table.columns[columns[i]]) for g, r in zip(gold, table.rows, strict=True)) for i in numeric)
    return not numeric or any(in_place)


def _sort_key(value: Any) -> tuple[bool, float]:
    return (value is None, value or 0.0)


def _pairs_up(wanted: list[Any], found: list[Any], same: Callable[[Any, Any], bool]) -> bool:
    left = list(found)
    for value in wanted:
        match = next((k for k, cell in enumerate(left) if same(value, cell)), None)
        if match is None:
            return False
        left.pop(match)
    return True


def _rows_fit(gold: list[tuple[Any, ...]], table: ResultTable, columns: tuple[int, ...]) -> bool:
    def same(wanted: tuple[Any, ...], row: tuple[Any, ...]) -> bool:
        return all(_same(value, row[j], table.columns[j]) for value, j in zip(wanted, columns, strict=True))

    return _pairs_up(list(gold), list(table.rows), same)


def summarise(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Return counts of right and wrong answers: all, by topic and by language."""
    found = tuple(verdicts)

    def counts(some: Iterable[Verdict]) -> dict[str, Any]:
        listed = tuple(some)
        return {"questions": len(listed), "right": sum(v.right for v in listed), "wrong": sum(v.wrong for v in listed)}

    def mean(numbers: Iterable[float]) -> float:
        listed = tuple(numbers)
        return sum(listed) / len(listed) if listed else 0.0

    def grouped(key: Callable[[Verdict], str]) -> dict[str, Any]:
        return {name: counts(v for v in found if key(v) == name) for name in dict.fromkeys(map(key, found))}

    total = counts(found)
    accuracy = total["right"] / total["questions"] if found else 0.0
    return total | {
        "accuracy": accuracy,
        "asked": sum(v.outcome == "clarify" for v in found),
        "seconds": mean(v.seconds for v in found),
        "tokens": mean(v.tokens for v in found),
        "by_planner": {name: sum(v.planner == name for v in found) for name in dict.fromkeys(v.planner for v in found)},
        "by_topic": grouped(lambda v: v.topic),
        "by_language": grouped(lambda v: v.language),
    }
