"""Owns what an operator sets through the environment: the limits of queries and the audit log. docs/operations.md tells of each."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.worker import EngineSettings

T = TypeVar("T")

MOST_WORKERS = 4  # without a setting; DuckDB uses every core for one query too
SHARE = 60  # per cent of the machine's memory that all workers may hold together
OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Say where the audit log is (None: there is none), what it may not say and what happens where it cannot be written."""

    path: Path | None
    redacted: bool = False
    required: bool = False
    file_bytes: int = 10_000_000
    files: int = 50


def engine_settings(environment: Mapping[str, str] = os.environ) -> EngineSettings:
    """Return the limits of queries; `EngineError` with code `invalid_setting` names one that is none."""
    usual = EngineSettings()
    workers = _read(environment, "WENSHU_WORKERS", min(MOST_WORKERS, os.cpu_count() or 1), _count)
    spill = environment.get("WENSHU_SPILL") or None
    return EngineSettings(
        workers=workers,
        memory=_read(environment, "WENSHU_MEMORY", f"{max(1, SHARE // workers)}%", _size),
        threads=_read(environment, "WENSHU_THREADS", None, _count),
        seconds=_read(environment, "WENSHU_SECONDS", usual.seconds, _seconds),
        sql_seconds=_read(environment, "WENSHU_SQL_SECONDS", usual.sql_seconds, _seconds),
        spill=str(Path(spill).expanduser().absolute()) if spill else None,
        spill_size=_read(environment, "WENSHU_SPILL_SIZE", usual.spill_size, _size),
    )


def audit_settings(home: Path | None, environment: Mapping[str, str] = os.environ) -> AuditSettings:
    """Return what is set of the audit log, which is kept in the data folder `home` unless it is set to be elsewhere."""
    chosen = environment.get("WENSHU_AUDIT", "")
    if chosen.lower() == OFF:
        path = None
    elif chosen:
        path = Path(chosen).expanduser().absolute()
    else:
        path = home / "audit" / "audit.jsonl" if home else None
    return AuditSettings(
        path=path,
        redacted=_read(environment, "WENSHU_AUDIT_REDACT", False, _switch),
        required=_read(environment, "WENSHU_AUDIT_REQUIRED", False, _switch),
        file_bytes=_read(environment, "WENSHU_AUDIT_FILE_MB", 10, _count) * 1_000_000,
        files=_read(environment, "WENSHU_AUDIT_FILES", 50, _count),
    )


def _read(environment: Mapping[str, str], name: str, usual: T, read: Callable[[str], T]) -> T:
    text = environment.get(name, "").strip()
    if not text:
        return usual
    try:
        return read(text)
    except ValueError as error:
        raise EngineError(
            "invalid_setting",
            Text(f"{name} cannot be “{text}”.", f"{name} 不能设为“{text}”。"),
            Text(f"Give it {error}, or nothing.", f"请设为 {error}，或不设置。"),
        ) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise ValueError("2")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ValueError("30")
    return seconds


def _size(text: str) -> str:
    number = text.rstrip("%KMGTiBkmgtb ")
    unit = text[len(number) :].strip().upper()
    if unit not in ("%", "KB", "MB", "GB", "TB", "KIB", "MIB", "GIB", "TIB") or not number.replace(".", "", 1).isdigit():
        raise ValueError("8GB")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in ("0", "1", "no", "yes", "off", "on"):
        raise ValueError("1")
    return text.lower() in ("1", "yes", "on")
