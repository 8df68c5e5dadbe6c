"""Owns what the commands share: their options, and opening what they work on. Knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import console
from wenshu.ui.json_lines import UsageError

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.ui.terminal import StatusLine


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class PlannerName(StrEnum):
    RULES = "rules"
    LLM = "llm"
    AUTO = "auto"


class Lang(StrEnum):
    ZH = "zh"
    EN = "en"
    AUTO = "auto"


class DataSet(StrEnum):
    SHOP = "shop"
    CDNOW = "cdnow"
    JOURNEY = "journey"


ModelOption = Annotated[str, typer.Option("--model", help="shop, cdnow, journey or the path of a model file.")]
DbOption = Annotated[
    Path | None, typer.Option("--db", help="DuckDB file; without it the demo database is used, and built if missing.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Who asks.")]
BatchOption = Annotated[str | None, typer.Option("--batch", help="A file with one JSON object a line; - reads stdin.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Readable text, or JSON for programs.")]
PlannerOption = Annotated[PlannerName, typer.Option("--planner", help="Who plans: rules needs no network.")]
LangOption = Annotated[Lang, typer.Option("--lang", help="auto: the question's language, else the locale's.")]
PortOption = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Without it 7860, or a free one.")]


def reply_language(lang: Lang, text: str = "") -> Language:
    match lang:
        case Lang.ZH:
            return "zh"
        case Lang.EN:
            return "en"
        case Lang.AUTO:
            return console.language_for(text)


def usage(en: str, zh: str) -> UsageError:
    return UsageError("usage", Text(en, zh), Text("--help tells more.", "用法说明见 --help。"))


@contextmanager
def status_line(language: Language) -> Iterator["StatusLine"]:
    """Yield the line that shows what takes its time, and wipe it away at the end."""
    from wenshu.ui.terminal import StatusLine

    status = StatusLine(language)
    try:
        yield status
    finally:
        status.clear()


def layer_of(model: str, db: Path | None, language: Language) -> "SemanticLayer":
    from wenshu.ui.workspace import open_layer

    with status_line(language) as status:
        return open_layer(model, db, progress=status.progress)


def assistant_of(model: str, db: Path | None, planner: PlannerName, language: Language) -> "Assistant":
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.rules import RulesPlanner

    if planner is PlannerName.LLM:
        raise EngineError(
            "planner_unavailable",
            Text("This version has no LLM planner.", "此版本没有大模型（LLM）规划器。"),
            Text("Use --planner rules.", "请使用 --planner rules。"),
        )
    layer = layer_of(model, db, language)
    return Assistant(layer, RulesPlanner(layer))
