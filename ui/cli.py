"""Owns the command line: options, exit codes and what goes to standard output. Presentation only.

Everything heavy is imported by the command that needs it, so that `wenshu ask` starts fast.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenshu.semantic_layer.errors import EngineError, QueryError, WenshuError
from wenshu.semantic_layer.text import Language, Text

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.semantic_layer.layer import SemanticLayer

ANSWERED, USAGE, CLARIFY, REFUSED, FAILED = 0, 2, 3, 4, 5
EXIT_CODES = {"answered": ANSWERED, "clarify": CLARIFY, "refused": REFUSED, "error": FAILED}
DEMO_QUESTION = "上个月各渠道的成交额"


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


app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="Wenshu 问数: ask about users, retention and purchases in Chinese or English. 用中文或英文询问用户、留存与购买数据。",
)  # fmt: skip
data_app = typer.Typer(no_args_is_help=True, help="Build the demo databases. 生成演示数据。")
model_app = typer.Typer(no_args_is_help=True, help="Check model files. 检查模型文件。")
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")

ModelOption = Annotated[str, typer.Option("--model", help="shop, cdnow, journey or the path of a model file.")]
DbOption = Annotated[
    Path | None, typer.Option("--db", help="DuckDB file; without it the demo database is used, and built if missing.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Who asks.")]
BatchOption = Annotated[Path | None, typer.Option("--batch", help="A file with one JSON object a line.")]
FormatOption = Annotated[Format, typer.Option("--format", help="text or json.")]
PlannerOption = Annotated[PlannerName, typer.Option("--planner", help="Who plans: rules needs no network.")]


def main() -> None:
    """Run the command line; an error a person can act on is a message and an exit code, never a traceback."""
    try:
        app()
    except WenshuError as error:
        _complain(error, "en")
        raise SystemExit(EXIT_CODES[error.status]) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(ANSWERED) from None


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question, in Chinese or English.")] = None,
    batch: BatchOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    lang: Annotated[Lang, typer.Option("--lang", help="The answer's language; auto follows the question.")] = Lang.AUTO,
    user: UserOption = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="Write the chart to this PNG or SVG file.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Answer one question, or one a line of a file. 回答一个问题。"""
    from wenshu.assistant.question import Question

    if (question is None) == (batch is None):
        raise typer.BadParameter("give one question, or --batch FILE")
    assistant = _assistant(model, db, planner, lang, question or "", format)
    if batch is not None:
        for item in _json_lines(batch):
            answer = _ask_item(assistant, item, lang, user)
            _print_json(answer)
        return
    answer = assistant.ask(Question(text=question or "", language=lang.value, user=user))
    path = _draw(answer, chart) if chart else None
    if format is Format.JSON:
        from wenshu.assistant.answer import answer_to_json

        _print_json(answer_to_json(answer, chart_path=path))
    else:
        _print_answer(answer, path)
    raise typer.Exit(_exit_code(answer))


@app.command()
def query(
    file: Annotated[
        str | None, typer.Argument(help="A JSON file with one semantic query; “-” reads standard input.")
    ] = None,
    batch: BatchOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Compile and run one semantic query given as JSON. 运行一个 JSON 语义查询。"""
    if (file is None) == (batch is None):
        raise typer.BadParameter("give one file, or --batch FILE")
    layer = _layer(model, db)
    if batch is not None:
        for item in _json_lines(batch):
            body = item.get("query") or {
                key: value for key, value in item.items() if key not in ("id", "user", "today", "conversation")
            }
            out, _ = _run_query(layer, body, _day(item.get("today")), explain)
            _print_json({"id": item.get("id")} | out if isinstance(out, dict) else {"id": item.get("id"), "sql": out})
        return
    text = sys.stdin.read() if file == "-" else _read(Path(file or ""))
    try:
        body = json.loads(text)
    except ValueError:
        raise QueryError(
            "invalid_query", Text("The query is not JSON.", "查询不是有效的 JSON。"), Text('Expected e.g. {"metrics": ["gmv"]}.', '例如 {"metrics": ["gmv"]}。')
        ) from None  # fmt: skip
    out, code = _run_query(layer, body, None, explain)
    if isinstance(out, str):
        typer.echo(out)
    else:
        _print_json(out)
    raise typer.Exit(code)


@app.command("check-sql")
def check_sql(
    batch: Annotated[Path, typer.Option("--batch", help="A file with one {“sql”: …} a line.")],
    model: ModelOption = "shop",
    db: DbOption = None,
) -> None:
    """Say of each statement whether it may run; run nothing. 检查 SQL 是否允许执行。"""
    layer = _layer(model, db)
    for item in _json_lines(batch):
        try:
            layer.check(str(item.get("sql", "")))
            _print_json({"ok": True, "code": None, "message": None})
        except WenshuError as error:
            _print_json({"ok": False, "code": error.code, "message": error.message.en})


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Guard, run and print one read-only query. 运行一条只读 SQL。"""
    from wenshu.assistant.answer import table_to_json

    guarded, table = _layer(model, db).sql(statement)
    if format is Format.JSON:
        _print_json({"status": "answered", **table_to_json(table, "en"), "sql": guarded.sql})
    else:
        _print_table(table, "en")


@app.command()
def metrics(
    model: ModelOption = "shop",
    lang: Annotated[Lang, typer.Option("--lang")] = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """List metrics and dimensions with their definitions. 列出指标与维度及其定义。"""
    from wenshu.semantic_layer.describe import catalogue
    from wenshu.semantic_layer.loader import load_model

    language: Language = "zh" if lang is Lang.ZH else "en"
    listed = catalogue(load_model(model), language)
    if format is Format.JSON:
        _print_json(listed)
        return
    for section, entries in listed.items():
        if isinstance(entries, list):
            typer.echo(f"\n{section}")
            for entry in entries:
                typer.echo(f"  {entry['name']:<22} {entry['label']} — {entry['definition']}")


@app.command("eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help="Questions with gold_sql, one JSON object a line.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Measure answers against gold SQL, by topic and language. 评测问题集。"""
    from wenshu.assistant.evaluation import evaluate as verdicts
    from wenshu.assistant.evaluation import summarise

    _read(file)
    found = tuple(verdicts(_assistant(model, db, planner, Lang.EN, "", Format.TEXT), file))
    if format is Format.JSON:
        _print_json(summarise(found))
        return
    for verdict in found:
        if not verdict.right:
            typer.echo(
                f"{'WRONG' if verdict.wrong else 'MISS '} {verdict.id} [{verdict.topic}/{verdict.language}] {verdict.text} — {verdict.reason}"
            )
    report = summarise(found)
    for section in ("by_topic", "by_language"):
        for name, counts in report[section].items():
            typer.echo(f"{name:<16} {counts['right']:>4} of {counts['questions']:<4} right, {counts['wrong']} wrong")
    typer.echo(
        f"all              {report['right']:>4} of {report['questions']:<4} right ({report['accuracy']:.1%}), {report['wrong']} wrong"
    )


@app.command()
def chat(
    port: Annotated[int | None, typer.Option("--port", help="The port; without it 7860, or a free one.")] = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
) -> None:
    """Serve the chat page on this machine. 打开聊天页面。"""
    _serve(_assistant(model, db, planner, Lang.AUTO, "", Format.TEXT), port)


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the chat page at the end.")] = True,
    port: Annotated[int | None, typer.Option("--port")] = None,
) -> None:
    """Build the demo data, answer one question, then serve the chat page. 演示。"""
    from wenshu.assistant.question import Question
    from wenshu.ui.workspace import home

    assistant = _assistant("shop", None, PlannerName.AUTO, Lang.AUTO, DEMO_QUESTION, Format.TEXT)
    typer.echo(f"? {DEMO_QUESTION}\n")
    answer = assistant.ask(Question(text=DEMO_QUESTION))
    path = home() / "demo-chart.png"
    _print_answer(answer, _draw(answer, path))
    if serve:
        _serve(assistant, port)
    raise typer.Exit(_exit_code(answer))


@data_app.command("build")
def data_build(
    name: Annotated[str, typer.Argument(help="shop, cdnow or journey.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; without it the data folder's.")] = None,
    users: Annotated[int | None, typer.Option("--users", min=1, help="How many users the shop has.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed makes other data.")] = None,
) -> None:
    """Write a demo database. 生成一个演示数据库。"""
    from wenshu.ui.workspace import build, database_of

    if name != "shop" and (users is not None or seed is not None):
        raise typer.BadParameter("--users and --seed are for the generated shop only")
    target = out or database_of(name)
    build(name, target, users=users, seed=seed, progress=_progress())
    typer.echo(f"{target} ({target.stat().st_size / 1e6:,.0f} MB)")


@model_app.command("check")
def model_check(path: Annotated[str, typer.Argument(help="A model file.")]) -> None:
    """Read a model file and report every mistake with line and fix. 检查模型文件。"""
    from wenshu.semantic_layer.loader import load_model

    loaded = load_model(path)
    typer.echo(
        f"{loaded.name}: {len(loaded.datasets)} datasets, {len(loaded.dimensions)} dimensions, {len(loaded.metrics)} metrics"
    )


@model_app.command("schema")
def model_schema() -> None:
    """Print the JSON Schema of model files, for editors. 输出模型文件的 JSON Schema。"""
    from wenshu.semantic_layer.spec import model_json_schema

    typer.echo(json.dumps(model_json_schema(), ensure_ascii=False, indent=2))


# what the commands share ----------------------------------------------------------------------------------------------


def _layer(model: str, db: Path | None) -> "SemanticLayer":
    from wenshu.ui.workspace import open_layer

    return open_layer(model, db, progress=_progress())


def _assistant(
    model: str, db: Path | None, planner: PlannerName, lang: Lang, question: str, format: Format
) -> "Assistant":
    """Open an assistant; where that fails, say so in the asker's language and in the format asked for."""
    from wenshu.assistant.answer import Answer, answer_to_json
    from wenshu.assistant.assistant import Assistant, failed
    from wenshu.assistant.question import language_of
    from wenshu.assistant.rules import RulesPlanner

    language: Language = language_of(question) if lang is Lang.AUTO else "zh" if lang is Lang.ZH else "en"
    try:
        if planner is PlannerName.LLM:
            raise EngineError(
                "planner_unavailable",
                Text("This version has no LLM planner.", "此版本没有 LLM 规划器。"),
                Text("Use --planner rules.", "请使用 --planner rules。"),
            )
        layer = _layer(model, db)
        return Assistant(layer, RulesPlanner(layer))
    except WenshuError as error:
        if format is Format.JSON:
            _print_json(answer_to_json(failed(Answer(id="1", status="error", language=language), error)))
        else:
            _complain(error, language)
        raise typer.Exit(EXIT_CODES[error.status]) from None


def _ask_item(assistant: "Assistant", item: dict[str, Any], lang: Lang, user: str | None) -> dict[str, Any]:
    from dataclasses import replace

    from wenshu.assistant.answer import Answer, answer_to_json
    from wenshu.assistant.assistant import failed
    from wenshu.assistant.question import Question, language_of

    text = str(item.get("text", ""))
    try:
        question = Question(
            text=text, language=lang.value, today=_day(item.get("today")), conversation=item.get("conversation"), user=item.get("user", user),
        )  # fmt: skip
        answer = assistant.ask(question)
    except WenshuError as error:
        answer = failed(Answer(id="", status="error", language=language_of(text)), error)
    return answer_to_json(replace(answer, id=str(item["id"])) if "id" in item else answer)


def _run_query(
    layer: "SemanticLayer", body: Any, today: date | None, explain: bool
) -> tuple[dict[str, Any] | str, int]:
    from wenshu.assistant.answer import Answer, answer_to_json
    from wenshu.assistant.assistant import answer_query, failed
    from wenshu.semantic_layer.query import query_from_json

    try:
        asked = query_from_json(body)
        if explain:
            return layer.compile(asked, today=today).sql, ANSWERED
        answer = answer_query(layer, asked, today=today)
    except WenshuError as error:
        answer = failed(Answer(id="1", status="error", language="en"), error)
    out = answer_to_json(answer)
    out.pop("text")
    return out, _exit_code(answer)


def _day(text: Any) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise QueryError(
            "invalid_date", Text(f"{str(text)[:40]!r} is not a date.", f"{str(text)[:40]!r} 不是有效日期。"), Text("Give it as YYYY-MM-DD.", "请按 YYYY-MM-DD 填写。")
        ) from None  # fmt: skip


def _exit_code(answer: "Answer") -> int:
    if answer.problem is not None and answer.problem.code == "empty_question":
        return USAGE
    return EXIT_CODES[answer.status]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"the file {path} cannot be read as text") from None


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError:
            item = None
        if not isinstance(item, dict):
            raise typer.BadParameter(f"line {number} of {path.name} is not a JSON object")
        yield item


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def _complain(error: WenshuError, language: Language) -> None:
    typer.echo(f"{error.message.in_(language)}\n{error.hint.in_(language)}".rstrip(), err=True)


def _print_answer(answer: "Answer", chart: Path | None) -> None:
    from wenshu.ui.terminal import answer_lines

    typer.echo("\n".join(answer_lines(answer, chart)))


def _print_table(table: Any, language: Language) -> None:
    from wenshu.ui.terminal import table_lines

    typer.echo("\n".join(table_lines(table, language)))


def _draw(answer: "Answer", path: Path) -> Path | None:
    """Write an answer's chart; nothing where it has none."""
    if answer.chart is None or answer.table is None:
        return None
    from wenshu.tools.render import render_chart

    image = render_chart(
        answer.chart, answer.table, language=answer.language, format="svg" if path.suffix == ".svg" else "png"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    except OSError:
        raise EngineError(
            "chart_not_written", Text(f"The chart cannot be written to {path}.", f"图表无法写入 {path}。"), Text("Choose another file.", "请换一个文件。")
        ) from None  # fmt: skip
    return path


def _progress() -> Any:
    """Return a progress display on standard error."""
    from wenshu.ui.terminal import show_progress

    return show_progress


def _serve(assistant: "Assistant", port: int | None) -> None:
    from wenshu.ui.gradio_app import serve

    serve(assistant, port=port, on_ready=lambda address: typer.echo(f"\n问数 Wenshu: {address}   (Ctrl-C to stop 按 Ctrl-C 退出)"),
          on_notice=lambda text: typer.echo(f"{text.en} {text.zh}", err=True))  # fmt: skip


if __name__ == "__main__":
    main()
