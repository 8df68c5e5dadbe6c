"""Owns what the commands share: their options, and opening what they work on. Knows no command."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import console
from wenshu.ui.json_lines import UsageError

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.llm import Endpoint
    from wenshu.assistant.planner import Planner
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.semantic_layer.model import Model
    from wenshu.ui.reception import Reception
    from wenshu.ui.terminal import StatusLine
    from wenshu.ui.users import Visitors


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
UserOption = Annotated[str | None, typer.Option("--user", help="Who asks, by the name in the users file.")]
UsersOption = Annotated[
    Path | None, typer.Option("--users", help="Users with their roles; else WENSHU_USERS, or users.yml in WENSHU_HOME.")
]
UserHeaderOption = Annotated[
    str | None,
    typer.Option("--user-header", envvar="WENSHU_USER_HEADER", help="The header in which a trusted proxy names who asks."),
]
LoginOption = Annotated[
    bool, typer.Option("--login", envvar="WENSHU_LOGIN", help="Ask people for the name and password of the users file.")
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option("--proxy", envvar="WENSHU_PROXIES", help="The address of a trusted proxy; 127.0.0.1 without one."),
]
BatchOption = Annotated[str | None, typer.Option("--batch", help="A file with one JSON object a line; - reads stdin.")]
CsvOption = Annotated[Path | None, typer.Option("--csv", help="Write all rows to this CSV file, for spreadsheets.")]
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


def layer_of(
    model: str, db: Path | None, language: Language, user: str | None = None, users: Path | None = None
) -> "SemanticLayer":
    """Open a model over its database as `user` may see it."""
    return visitors_of(model, db, PlannerName.RULES, language, users).layer(user)


def assistant_of(
    model: str, db: Path | None, planner: PlannerName, language: Language, user: str | None = None, users: Path | None = None
) -> "Assistant":  # fmt: skip
    """Return the assistant that answers `user`."""
    return visitors_of(model, db, planner, language, users).assistant(user)


def visitors_of(
    model: str, db: Path | None, planner: PlannerName, language: Language, users: Path | None = None
) -> "Visitors":
    """Open a model over its database for everybody in the users file, who is nobody where the model is open to all."""
    from wenshu.semantic_layer.loader import load_model

    endpoint = None if planner is PlannerName.RULES else endpoint_of(planner)
    return _visitors(model, load_model(model), db, planner, endpoint, language, users)


def reception_of(
    model: str, db: Path | None, planner: PlannerName, language: Language, users: Path | None = None, *, door: str
) -> "Reception":
    """Open the same for a door where people ask: what is answered goes into the audit log, and what changes is opened anew."""
    from wenshu.semantic_layer.loader import load_model
    from wenshu.ui.reception import Reception, Source
    from wenshu.ui.workspace import account, audit_log, files_version

    endpoint = None if planner is PlannerName.RULES else endpoint_of(planner, prose=door != "eval")
    source = Source(
        load=lambda: load_model(model),
        open=lambda loaded: _visitors(model, loaded, db, planner, endpoint, language, users),
        version=lambda: files_version(model, users),
    )
    return Reception(source, audit_log(), door=door, account=account(), on_notice=_notice)


def _notice(text: Text) -> None:
    print(text.en, text.zh, file=sys.stderr)


def _visitors(
    model: str, loaded: "Model", db: Path | None, planner: PlannerName, endpoint: "Endpoint | None", language: Language, users: Path | None
) -> "Visitors":  # fmt: skip
    from wenshu.ui.users import Users, Visitors, read_users
    from wenshu.ui.workspace import home, open_layer

    known = read_users(users, home=home) if loaded.policies or users else Users(people={})  # before anything is opened
    with status_line(language) as status:
        layer = open_layer(model, db, progress=status.progress, loaded=loaded)
    return Visitors(layer, known, lambda each: _assistant(each, planner, endpoint))


def _assistant(layer: "SemanticLayer", planner: PlannerName, endpoint: "Endpoint | None") -> "Assistant":
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.template_planner import TemplatePlanner
    from wenshu.ui.workspace import templates_of

    narrator = None
    if endpoint is not None and endpoint.settings.prose:
        from wenshu.assistant.narrator import Narrator

        narrator = Narrator(layer, endpoint)
    planned = TemplatePlanner(_planner(layer, planner, endpoint), templates_of(layer.model, layer.policy_fingerprint), layer)
    return Assistant(layer, planned, narrator)


def _planner(layer: "SemanticLayer", planner: PlannerName, endpoint: "Endpoint | None") -> "Planner":
    from wenshu.assistant.rules import RulesPlanner

    rules = RulesPlanner(layer)
    if endpoint is None:
        return rules
    from wenshu.assistant.auto import AutoPlanner
    from wenshu.assistant.llm_planner import LlmPlanner

    if endpoint.settings.mode == "agent":
        from wenshu.assistant.agent import AgentPlanner

        llm: LlmPlanner = AgentPlanner(rules, endpoint)
    else:
        llm = LlmPlanner(rules, endpoint)
    return llm if planner is PlannerName.LLM else AutoPlanner(llm)


def endpoint_of(planner: PlannerName, *, prose: bool = True) -> "Endpoint | None":
    """Return the language model that the environment names, or None where `auto` does without; `prose` lets it explain results.

    Raises `PlannerError` with code `planner_unavailable` where `llm` is asked for and there is none.
    """
    from importlib.util import find_spec

    from wenshu.assistant.llm_settings import settings_from

    settings = settings_from(os.environ)
    if settings is not None and find_spec("langchain") and find_spec("langchain_openai"):
        from wenshu.assistant.llm import Endpoint

        return Endpoint(replace(settings, prose=settings.prose and prose))
    if planner is PlannerName.AUTO:
        return None
    if settings is None:
        raise PlannerError(
            "planner_unavailable",
            Text("No language model is configured.", "尚未配置大模型。"),
            Text(
                "Set WENSHU_MODEL, and OPENAI_BASE_URL or OPENAI_API_KEY (docs/llm.md tells how), or use --planner rules.",
                "请设置 WENSHU_MODEL 以及 OPENAI_BASE_URL 或 OPENAI_API_KEY（说明见 docs/llm.md），或使用 --planner rules。",
            ),
        )
    raise PlannerError(
        "planner_unavailable",
        Text("The language model's libraries are not installed.", "尚未安装大模型所需的库。"),
        Text('Run pip install "wenshu[llm]", or use --planner rules.', '请运行 pip install "wenshu[llm]"，或使用 --planner rules。'),
    )
