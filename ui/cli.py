"""Owns the command line: commands, options, exit codes and what goes to standard output. Presentation only.

Everything heavy is imported by the command that needs it, so that `wenshu ask` starts fast.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenshu.semantic_layer.errors import EngineError, WenshuError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import chart_file, console
from wenshu.ui.console import ANSWERED, EXIT_CODES, FAILED, USAGE, reported, write, write_json
from wenshu.ui.exchange import (
    Respond,
    answer_lines,
    body_of,
    compiled_sql,
    day_of,
    failure,
    query_failure,
    query_of,
    question_of,
    run_query,
)
from wenshu.ui.json_lines import UsageError, json_lines, read_text

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.question import Question
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.ui.terminal import StatusLine


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


class DataSet(StrEnum):
    SHOP = "shop"
    CDNOW = "cdnow"
    JOURNEY = "journey"


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
BatchOption = Annotated[str | None, typer.Option("--batch", help="A file with one JSON object a line; - reads stdin.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Readable text, or JSON for programs.")]
PlannerOption = Annotated[PlannerName, typer.Option("--planner", help="Who plans: rules needs no network.")]
LangOption = Annotated[Lang, typer.Option("--lang", help="auto: the question's language, else the locale's.")]
PortOption = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Without it 7860, or a free one.")]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; whatever goes wrong is a message and an exit code, never a traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    console.run(lambda: app(given, prog_name="wenshu", standalone_mode=False), " ".join(given))


@app.callback()
def common() -> None:
    """Hold what every command has; `--help` lists them."""


@app.command()
def version() -> None:
    """Print the version. 显示版本。"""
    from importlib.metadata import version as installed

    write(installed("wenshu"))


@app.command()
def ask(
    words: Annotated[list[str] | None, typer.Argument(metavar="QUESTION", help="In Chinese or English.")] = None,
    batch: BatchOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    lang: LangOption = Lang.AUTO,
    user: UserOption = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="Write the chart to this .png or .svg file.")] = None,
    format: FormatOption = Format.TEXT,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that ran, too.")] = False,
) -> None:
    """Answer one question, or one a line of a file. 回答一个问题。"""
    from wenshu.assistant.answer import answer_to_json
    from wenshu.assistant.question import Question

    if bool(words) == (batch is not None):
        raise _usage("Give one question, or --batch FILE.", "请给出一个问题，或用 --batch 指定文件。")
    if chart is not None and (batch is not None or chart.suffix.lower() not in chart_file.ENDINGS):
        raise _usage(
            "--chart takes one question and a .png or .svg file.", "--chart 用于单个问题，文件须为 .png 或 .svg。"
        )
    if batch is not None:

        def answering() -> Respond:
            assistant = _assistant(model, db, planner, _language(lang))
            return lambda item: answer_to_json(assistant.ask(question_of(item, _language(lang, item["text"]), user)))

        answer_lines(batch, "text", partial(_language, lang), answering, failure)
    text = console.readable(" ".join(words or ()))
    language = _language(lang, text)
    with reported(language, failure if format is Format.JSON else None):
        if chart is not None:
            chart_file.check_writable(chart)
        assistant = _assistant(model, db, planner, language)
        answer = _watched(assistant, Question(text=text, language=language, user=user), language)
        path = chart_file.write_chart(answer, chart) if chart else None
        if format is Format.JSON:
            write_json(answer_to_json(answer, chart_path=path))
        else:
            _write_answer(answer, path, sql)
    raise typer.Exit(_exit_code(answer))


@app.command()
def query(
    file: Annotated[str | None, typer.Argument(help="A JSON file with one semantic query; - reads stdin.")] = None,
    batch: BatchOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    lang: LangOption = Lang.AUTO,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Compile and run one semantic query given as JSON. 运行一个 JSON 语义查询。"""
    if (file is None) == (batch is None):
        raise _usage("Give one file, or --batch FILE.", "请给出一个文件，或用 --batch 指定文件。")
    language = _language(lang)
    if batch is not None:

        def answering() -> Respond:
            layer = _layer(model, db, language)
            if explain:
                return lambda item: {"id": "", "sql": compiled_sql(layer, body_of(item), day_of(item))}
            return lambda item: run_query(layer, body_of(item), day_of(item), language)

        answer_lines(batch, None, partial(_language, lang), answering, query_failure)
    with reported(language, None if explain else query_failure):
        body = query_of(read_text(file or ""))
        layer = _layer(model, db, language)
        if explain:
            write(compiled_sql(layer, body, None))
        else:
            write_json(run_query(layer, body, None, language))


@app.command("check-sql")
def check_sql(
    batch: Annotated[str, typer.Option("--batch", help="A file with one {“sql”: …} a line; - reads stdin.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Say of each statement whether it may run; run nothing. 检查 SQL 是否允许执行。"""
    language = _language(lang)
    with reported(language):
        layer = _layer(model, db, language)

    def respond(item: dict[str, Any]) -> dict[str, Any]:
        layer.check(item["sql"])
        return {"ok": True, "code": None, "message": None}

    def refusal(error: WenshuError, language: Language) -> dict[str, Any]:
        return {"ok": False, "code": error.code, "message": error.message.in_(language)}

    answer_lines(batch, "sql", partial(_language, lang), lambda: respond, refusal)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Guard, run and print one read-only query. 运行一条只读 SQL。"""
    from wenshu.assistant.answer import table_to_json

    language = _language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        guarded, table = _layer(model, db, language).sql(console.readable(statement))
        if format is Format.JSON:
            write_json({"status": "answered", **table_to_json(table, language), "sql": guarded.sql, "problem": None})
        else:
            from wenshu.ui.terminal import raw_lines

            write(*raw_lines(table, language))


@app.command()
def metrics(model: ModelOption = "shop", lang: LangOption = Lang.AUTO, format: FormatOption = Format.TEXT) -> None:
    """List metrics and dimensions with their definitions. 列出指标与维度及其定义。"""
    from wenshu.semantic_layer.describe import catalogue
    from wenshu.semantic_layer.loader import load_model
    from wenshu.ui.terminal import catalogue_lines

    language = _language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        listed = catalogue(load_model(model), language)
        if format is Format.JSON:
            write_json(listed)
        else:
            write(*catalogue_lines(listed, language))


@app.command("eval")
def evaluate(
    file: Annotated[str, typer.Argument(help="Questions with gold_sql, one JSON object a line.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Measure answers against gold SQL, by topic and language. 评测问题集。"""
    from wenshu.assistant.evaluation import evaluate as verdicts
    from wenshu.assistant.evaluation import summarise
    from wenshu.ui.terminal import report_lines, verdict_line

    language = _language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        for _, item in json_lines(file, "text"):
            if isinstance(item, UsageError):
                raise item
        found = []
        for verdict in verdicts(_assistant(model, db, planner, language), Path(file)):
            found.append(verdict)
            if format is Format.TEXT and not verdict.right:
                write(verdict_line(verdict, language))
        if format is Format.JSON:
            write_json(summarise(found))
        else:
            write(*report_lines(summarise(found), language))


@app.command()
def chat(
    port: PortOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Serve the chat page on this machine. 打开聊天页面。"""
    language = _language(lang)
    with reported(language):
        _serve(_assistant(model, db, planner, language), port)


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the chat page at the end.")] = True,
    port: PortOption = None,
) -> None:
    """Build the demo data, answer one question, then serve the chat page. 演示。"""
    from wenshu.assistant.question import Question
    from wenshu.ui.workspace import home

    language = _language(Lang.AUTO, DEMO_QUESTION)
    with reported(language):
        assistant = _assistant("shop", None, PlannerName.AUTO, language)
        write(f'$ wenshu ask "{DEMO_QUESTION}"', "")
        answer = _watched(assistant, Question(text=DEMO_QUESTION, language=language), language)
        _write_answer(answer, chart_file.write_chart(answer, home() / "demo-chart.png"))
        if serve:
            _serve(assistant, port)
    raise typer.Exit(_exit_code(answer))


@data_app.command("build")
def data_build(
    name: Annotated[DataSet, typer.Argument(help="Which data set.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; without it the data folder's.")] = None,
    users: Annotated[int | None, typer.Option(min=1, max=20_000_000, help="How many users the shop has.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Another seed makes other data.")] = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Write a demo database. 生成一个演示数据库。"""
    from wenshu.ui.workspace import build, database_of

    language = _language(lang)
    if name is not DataSet.SHOP and (users is not None or seed is not None):
        raise _usage(
            "--users and --seed are for the generated shop only.", "--users 与 --seed 仅用于生成的 shop 数据。"
        )
    with reported(language), _status(language) as status:
        target = out or database_of(name)
        build(name, target, users=users, seed=seed, progress=status.progress)
        write(f"{target} ({target.stat().st_size / 1e6:,.1f} MB)")


@model_app.command("check")
def model_check(
    path: Annotated[str, typer.Argument(help="A model file.")],
    db: Annotated[
        Path | None, typer.Option("--db", help="See that its tables and columns are in this database.")
    ] = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Read a model file and report every mistake with line and fix. 检查模型文件。"""
    from wenshu.semantic_layer.loader import load_model

    language = _language(lang)
    code = ANSWERED
    with reported(language):
        loaded = load_model(path)
        if db is not None:
            from wenshu.ui.workspace import misfits

            for problem, names in misfits(_layer(path, db, language)).items():
                write(f"{problem.in_(language)} ({', '.join(names)})")
                code = FAILED
        counts = (len(loaded.datasets), len(loaded.dimensions), len(loaded.metrics))
        shape = Text("{}: {} datasets, {} dimensions, {} metrics.", "{}：{} 个数据集，{} 个维度，{} 个指标。")
        write(shape.in_(language).format(loaded.name, *counts))
    raise typer.Exit(code)


@model_app.command("schema")
def model_schema() -> None:
    """Print the JSON Schema of model files, for editors. 输出模型文件的 JSON Schema。"""
    from wenshu.semantic_layer.spec import model_json_schema

    write(json.dumps(model_json_schema(), ensure_ascii=False, indent=2))


# what the commands share ----------------------------------------------------------------------------------------------


def _language(lang: Lang, text: str = "") -> Language:
    match lang:
        case Lang.ZH:
            return "zh"
        case Lang.EN:
            return "en"
        case Lang.AUTO:
            return console.language_for(text)


def _usage(en: str, zh: str) -> UsageError:
    return UsageError("usage", Text(en, zh), Text("--help tells more.", "用法说明见 --help。"))


@contextmanager
def _status(language: Language) -> Iterator["StatusLine"]:
    """Yield the line that shows what takes its time, and wipe it away at the end."""
    from wenshu.ui.terminal import StatusLine

    status = StatusLine(language)
    try:
        yield status
    finally:
        status.clear()


def _layer(model: str, db: Path | None, language: Language) -> "SemanticLayer":
    from wenshu.ui.workspace import open_layer

    with _status(language) as status:
        return open_layer(model, db, progress=status.progress)


def _assistant(model: str, db: Path | None, planner: PlannerName, language: Language) -> "Assistant":
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.rules import RulesPlanner

    if planner is PlannerName.LLM:
        raise EngineError(
            "planner_unavailable",
            Text("This version has no LLM planner.", "此版本没有大模型（LLM）规划器。"),
            Text("Use --planner rules.", "请使用 --planner rules。"),
        )
    layer = _layer(model, db, language)
    return Assistant(layer, RulesPlanner(layer))


def _watched(assistant: "Assistant", question: "Question", language: Language) -> "Answer":
    """Answer a question and show the stages on a terminal meanwhile."""
    from wenshu.assistant.answer import Answer

    with _status(language) as status:
        for step in assistant.stream(question):
            if isinstance(step, Answer):
                return step
            status.show(step.text)
    raise AssertionError("the stream ends with the answer")


def _exit_code(answer: "Answer") -> int:
    if answer.problem is not None and answer.problem.code == "empty_question":
        return USAGE
    return EXIT_CODES[answer.status]


def _write_answer(answer: "Answer", chart: Path | None, sql: bool = False) -> None:
    from wenshu.ui.terminal import shown

    if answer.status == "error" and answer.problem is not None:
        console.complain_in_words(answer.problem.message, answer.problem.hint)
    else:
        write(*shown(answer, chart, sql=sql))


def _serve(assistant: "Assistant", port: int | None) -> None:
    from wenshu.ui.gradio_app import serve

    serve(
        assistant,
        port=port,
        on_ready=lambda address: write(f"\n问数 Wenshu: {address}   (Ctrl-C to stop 按 Ctrl-C 退出)"),
        on_notice=lambda text: print(f"{text.en} {text.zh}", file=sys.stderr),
    )


if __name__ == "__main__":
    main()
