"""Owns the command that reads the audit log. Presentation only."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.audit import OUTCOMES, read_entries
from wenshu.ui.cli_options import Format, FormatOption, Lang, LangOption, reply_language, usage
from wenshu.ui.console import reported, write, write_json
from wenshu.ui.json_lines import UsageError

OUTCOME_LABELS = {
    "answered": Text("answered", "已回答"),
    "clarify": Text("asked back", "已反问"),
    "refused": Text("refused", "已拒绝"),
    "error": Text("failed", "出错"),
    "stopped": Text("stopped", "已停止"),
}
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def audit(
    user: Annotated[str | None, typer.Option("--user", help="Only what this user asked.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help=f"Only what ended so: {', '.join(OUTCOMES)}.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only from then on: a date, a moment (UTC), or 24h, 7d, 2w ago.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="The last so many; 0 is all.")] = 50,
    file: Annotated[Path | None, typer.Option("--file", help="A log elsewhere than where this program writes.")] = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Read the audit log: who asked what, and what came of it. 查看审计日志。"""
    from wenshu.ui.workspace import audit_log

    language = reply_language(lang)
    if outcome is not None and outcome not in OUTCOMES:
        raise usage(f"--outcome is one of {', '.join(OUTCOMES)}.", f"--outcome 可选：{'、'.join(OUTCOMES)}。")
    start = _moment(since, datetime.now(UTC)) if since else None
    with reported(language):
        path = file or audit_log().settings.path
        if path is None:
            raise EngineError(
                "no_audit_log",
                Text("The audit log is turned off.", "审计日志已关闭。"),
                Text("Unset WENSHU_AUDIT, or name a log with --file.", "请取消设置 WENSHU_AUDIT，或用 --file 指定日志。"),
            )
        try:
            chosen = deque(_chosen(path, user, outcome, start), maxlen=limit or None)
        except OSError:
            raise EngineError(
                "audit_unreadable",
                Text(f"The audit log {path} cannot be read.", f"无法读取审计日志 {path}。"),
                Text("Ask whoever runs this service; it is their file.", "请联系本服务的维护人员。"),
            ) from None
        for entry in chosen:
            if format is Format.JSON:
                write_json(entry)
            else:
                write(*_lines(entry, language))
        if not chosen and format is Format.TEXT:
            write(Text("Nothing is written there.", "没有符合条件的记录。").in_(language))


def _chosen(path: Path, user: str | None, outcome: str | None, start: datetime | None) -> Iterator[dict[str, Any]]:
    for entry in read_entries(path):
        if user is not None and entry.get("user") != user or outcome is not None and entry.get("outcome") != outcome:
            continue
        if start is None or _time_of(entry) >= start:
            yield entry


def _time_of(entry: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(entry["time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def _moment(text: str, now: datetime) -> datetime:
    """Return the moment that `--since` means.

    >>> str(_moment("7d", datetime(2026, 3, 8, tzinfo=UTC))), str(_moment("2026-03-01", datetime.now(UTC)))
    ('2026-03-01 00:00:00+00:00', '2026-03-01 00:00:00+00:00')
    """
    count, unit = text[:-1], text[-1:].lower()
    try:
        if unit in UNITS and count.isascii() and count.isdigit():
            return now - int(count) * UNITS[unit]
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = Text(f"“{text[:40]}” is no moment.", f"“{text[:40]}”不是有效的时间。")
        raise UsageError("usage", message, Text("Write e.g. 2026-03-01 or 7d.", "例如 2026-03-01 或 7d。")) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lines(entry: dict[str, Any], language: Language) -> Iterator[str]:
    """Yield an entry as people read it: when, who, what came of it; then what was asked."""
    outcome = OUTCOME_LABELS.get(str(entry.get("outcome")), Text("?", "?")).in_(language)
    code = f" ({entry['code']})" if entry.get("code") else ""
    rows = Text("{} rows", "{} 行").in_(language).format(entry["rows"]) if entry.get("rows") is not None else ""
    when = str(entry.get("time"))[:19].replace("T", " ")
    shown = (when, str(entry.get("user") or "-"), str(entry.get("door")), f"{outcome}{code}", rows, f"{entry.get('ms')} ms")
    yield "  ".join(filter(None, (_plain(part) for part in shown)))
    yield f"    {_plain(str(entry.get('question')))}"


def _plain(text: str) -> str:
    """Return a text that may come from anybody as one line that moves no cursor."""
    return "".join(char if char.isprintable() else " " for char in text)
