"""Owns the audit log: one line of JSON for each answer, appended to a file beside the data, never in the database that is asked.

Whoever may read the log may read questions and the values in them, so the file is its owner's only, and values can be left out.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text
from wenshu.ui.settings import AuditSettings

Json = dict[str, Any]

STOPPED = "stopped"
OUTCOMES = ("answered", "clarify", "refused", "error", STOPPED)
MOST_QUESTION = 2_000  # characters of a question or name that are written down
MOST_SQL = 40_000
REDACTED = "?"
VALUE_KEYS = ("value", "values", "high")
TOKEN = re.compile(r"""("(?:[^"]|"")*")|'(?:[^']|'')*'|(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b""")

NOT_WRITTEN = Text(
    "This answer could not be written to the audit log; whoever runs this service should see to its disk.",
    "这次回答未能写入审计日志，请维护人员检查磁盘。",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Say who asked what at which door, what came of it, and what ran: `policy` is the fingerprint of what the asker may see."""

    door: str
    question: str
    outcome: str
    user: str | None = None
    conversation: str | None = None
    language: str | None = None
    code: str | None = None
    query: Json | None = None
    sql: str | None = None
    policy: str = ""
    rows: int | None = None
    ms: float = 0.0


class AuditLog:
    """Append entries to a file, and put it aside when it is full; several threads and processes may write to one log.

    Each line is whole, or absent: a line that cannot be written completely is taken back. `clock` gives the time that is written down.
    """

    def __init__(self, settings: AuditSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self._clock = clock

    def write(self, entry: Entry) -> Text | None:
        """Write an entry; where that fails return the warning that goes with the answer, or raise `EngineError` if the log is required."""
        if self.settings.path is None and not self.settings.required:
            return None
        try:
            if self.settings.path is None:
                raise OSError("there is no log")
            self._append(self.settings.path, self._line(entry))
        except OSError:
            if self.settings.required:
                raise EngineError(
                    "audit_not_written",
                    Text(
                        "The answer is held back, as it could not be written to the audit log.",
                        "由于无法写入审计日志，回答未予返回。",
                    ),
                    Text(
                        "See that the folder of the audit log can be written to and its disk has room.",
                        "请检查审计日志所在的文件夹是否可写、磁盘是否有空间。",
                    ),
                ) from None
            return NOT_WRITTEN
        return None

    def _line(self, entry: Entry) -> bytes:
        hide = self.settings.redacted
        question = f"[{len(entry.question)} characters]" if hide else entry.question[:MOST_QUESTION]
        written = {
            "time": self._clock().astimezone(UTC).isoformat(timespec="milliseconds"),
            "user": entry.user and entry.user[:MOST_QUESTION],
            "door": entry.door,
            "conversation": entry.conversation and entry.conversation[:MOST_QUESTION],
            "language": entry.language,
            "question": question,
            "outcome": entry.outcome,
            "code": entry.code,
            "query": without_values(entry.query) if hide else entry.query,
            "sql": entry.sql and (sql_without_values(entry.sql) if hide else entry.sql)[:MOST_SQL],
            "policy": entry.policy,
            "rows": entry.rows,
            "ms": round(entry.ms, 1),
        }
        return json.dumps(written, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def _append(self, path: Path, line: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.with_name(f"{path.name}.lock")):
            if path.exists() and path.stat().st_size + len(line) > self.settings.file_bytes:
                self._put_aside(path)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":  # a line that a power cut left half
                    line = b"\n" + line
                try:
                    if os.write(file, line) != len(line):
                        raise OSError("no room for the whole line")
                except OSError:
                    os.ftruncate(file, size)
                    raise
            finally:
                os.close(file)

    def _put_aside(self, path: Path) -> None:
        """Give the full file the next number, and remove the oldest where there are too many."""
        aside = _put_aside_before(path)
        path.rename(path.with_name(f"{path.stem}-{_number(aside[-1]) + 1 if aside else 1:06}{path.suffix}"))
        for old in aside[: max(0, len(aside) + 2 - self.settings.files)]:
            old.unlink(missing_ok=True)


def read_entries(path: Path) -> Iterator[Json]:
    """Yield the entries of a log, the oldest first; what is no entry is passed over."""
    for file in (*_put_aside_before(path), path):
        with suppress(FileNotFoundError), file.open("rb") as lines:
            for line in lines:
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and "outcome" in entry:
                        yield entry


def without_values(query: Any) -> Any:
    """Return a query's JSON with a mark in the place of the values it filters by.

    >>> without_values({"metrics": ["gmv"], "filters": {"dimension": "city", "op": "=", "values": ["Lyon"]}})
    {'metrics': ['gmv'], 'filters': {'dimension': 'city', 'op': '=', 'values': '?'}}
    """
    if isinstance(query, dict):
        return {key: REDACTED if key in VALUE_KEYS else without_values(part) for key, part in query.items()}
    return [without_values(part) for part in query] if isinstance(query, list) else query


def sql_without_values(sql: str) -> str:
    """Return a statement with a mark in the place of its texts and numbers.

    >>> sql_without_values('''SELECT "it's 1", t1.c2 FROM t WHERE city = 'l''Aquila' AND n > 3.5''')
    'SELECT "it\\'s 1", t1.c2 FROM t WHERE city = ? AND n > ?'
    """
    return TOKEN.sub(lambda found: found[1] or REDACTED, sql)


def _put_aside_before(path: Path) -> list[Path]:
    found = [aside for aside in path.parent.glob(f"{path.stem}-*{path.suffix}") if _number(aside) >= 0]
    return sorted(found, key=_number)


def _number(aside: Path) -> int:
    number = aside.stem.rsplit("-", 1)[-1]
    return int(number) if number.isascii() and number.isdigit() else -1


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that other threads and processes wait for; it ends with the process that holds it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
