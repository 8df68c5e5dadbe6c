"""Owns the command line: commands, options, exit codes and what goes to standard output. Presentation only.

Everything heavy is imported by the command that needs it, so that `wenshu ask` starts fast.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.text import Language
from wenshu.semantic_layer.whole_file import check_writable
from wenshu.ui import chart_file, console
from wenshu.ui.cli_audit import audit
from wenshu.ui.cli_feedback import feedback_app
from wenshu.ui.cli_files import data_app, model_app
from wenshu.ui.cli_options import (
    BatchOption,
    CsvOption,
    DbOption,
    Format,
    FormatOption,
    Lang,
    LangOption,
    LoginOption,
    ModelOption,
    PlannerName,
    PlannerOption,
    PortOption,
    ProxyOption,
    UserHeaderOption,
    UserOption,
    UsersOption,
    layer_of,
    reception_of,
    reply_language,
    status_line,
    usage,
    visitors_of,
)
from wenshu.ui.cli_password import password
from wenshu.ui.cli_report import report
from wenshu.ui.cli_schedule import schedule_app
from wenshu.ui.cli_slack import slack
from wenshu.ui.cli_templates import templates_app
from wenshu.ui.console import EXIT_CODES, USAGE, reported, write, write_json
from wenshu.ui.exchange import (
    Respond,
    answer_lines,
    body_of,
    compiled_sql,
    day_of,
    export,
    failure,
    query_failure,
    query_of,
    question_of,
    run_query,
    run_sql,
    user_of,
)
from wenshu.ui.json_lines import UsageError, json_lines, read_text

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.question import Question
    from wenshu.ui.reception import Reception
    from wenshu.ui.users import Users


DEMO_QUESTION = "上个月各渠道的成交额"


app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="Wenshu 问数: ask about users, retention and purchases in Chinese or English. 用中文或英文询问用户、留存与购买数据。",
)  # fmt: skip
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.add_typer(templates_app, name="templates")
app.add_typer(feedback_app, name="feedback")
app.add_typer(schedule_app, name="schedule")
app.command("audit")(audit)
app.command("slack")(slack)
app.command("password")(password)
app.command("report")(report)


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
    users: UsersOption = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="Write the chart to this .png or .svg file.")] = None,
    csv: CsvOption = None,
    format: FormatOption = Format.TEXT,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that ran, too.")] = False,
) -> None:
    """Answer one question, or one a line of a file. 回答一个问题。"""
    from wenshu.assistant.answer import answer_to_json
    from wenshu.assistant.question import Question

    if bool(words) == (batch is not None):
        raise usage("Give one question, or --batch FILE.", "请给出一个问题，或用 --batch 指定文件。")
    if chart is not None and (batch is not None or chart.suffix.lower() not in chart_file.ENDINGS):
        raise usage(
            "--chart takes one question and a .png or .svg file.", "--chart 用于单个问题，文件须为 .png 或 .svg。"
        )
    if csv is not None and batch is not None:
        raise usage("--csv takes one question.", "--csv 用于单个问题。")
    if batch is not None:

        def answering() -> Respond:
            reception = reception_of(model, db, planner, reply_language(lang), users, door="ask")
            return lambda item: answer_to_json(
                reception.ask(question_of(item, reply_language(lang, item["text"]), user))
            )

        answer_lines(batch, "text", partial(reply_language, lang), answering, failure)
    text = console.readable(" ".join(words or ()))
    language = reply_language(lang, text)
    with reported(language, failure if format is Format.JSON else None):
        if chart is not None:
            check_writable(chart)
        if csv is not None:
            check_writable(csv)
        reception = reception_of(model, db, planner, language, users, door="ask")
        answer = _watched(reception, Question(text=text, language=language, user=user), language)
        path = chart_file.write_chart(answer, chart) if chart else None
        if csv is not None and answer.query is not None:
            export(reception, user, answer.query, csv, language)
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
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    csv: CsvOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Compile and run one semantic query given as JSON. 运行一个 JSON 语义查询。"""
    if (file is None) == (batch is None):
        raise usage("Give one file, or --batch FILE.", "请给出一个文件，或用 --batch 指定文件。")
    if csv is not None and (batch is not None or explain):
        raise usage("--csv takes one query that runs.", "--csv 用于运行单个查询。")
    language = reply_language(lang)
    if batch is not None:

        def answering() -> Respond:
            reception = reception_of(model, db, PlannerName.RULES, language, users, door="query")

            def respond(item: dict[str, Any]) -> dict[str, Any]:
                body, today, asker = body_of(item), day_of(item), user_of(item, user)
                if explain:
                    return {"id": "", "sql": compiled_sql(reception.layer(asker), body, today)}
                return run_query(reception, asker, body, today, language)

            return respond

        answer_lines(batch, None, partial(reply_language, lang), answering, query_failure)
    with reported(language, None if explain else query_failure):
        body = query_of(read_text(file or ""))
        if explain:
            write(compiled_sql(layer_of(model, db, language, user, users), body, None))
        else:
            reception = reception_of(model, db, PlannerName.RULES, language, users, door="query")
            from wenshu.semantic_layer.query import query_from_json

            if csv is not None:
                check_writable(csv)
            out = run_query(reception, user, body, None, language)
            if csv is not None:
                export(reception, user, query_from_json(body), csv, language)
            write_json(out)


@app.command("check-sql")
def check_sql(
    batch: Annotated[str, typer.Option("--batch", help="A file with one {“sql”: …} a line; - reads stdin.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Say of each statement whether it may run; run nothing. 检查 SQL 是否允许执行。"""
    language = reply_language(lang)
    with reported(language):
        visitors = visitors_of(model, db, PlannerName.RULES, language, users)

    def respond(item: dict[str, Any]) -> dict[str, Any]:
        visitors.layer(user_of(item, user)).check(item["sql"])
        return {"ok": True, "code": None, "message": None}

    def refusal(error: WenshuError, language: Language) -> dict[str, Any]:
        return {"ok": False, "code": error.code, "message": error.message.in_(language)}

    answer_lines(batch, "sql", partial(reply_language, lang), lambda: respond, refusal)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Guard, run and print one read-only query. 运行一条只读 SQL。"""
    from wenshu.assistant.answer import table_to_json

    language = reply_language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        reception = reception_of(model, db, PlannerName.RULES, language, users, door="sql")
        guarded, table = run_sql(reception, user, console.readable(statement), language)
        if format is Format.JSON:
            write_json({"status": "answered", **table_to_json(table, language), "sql": guarded.sql, "problem": None})
        else:
            from wenshu.ui.terminal import raw_lines

            write(*raw_lines(table, language))


@app.command()
def metrics(
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """List metrics and dimensions with their definitions. 列出指标与维度及其定义。"""
    from wenshu.semantic_layer.describe import catalogue
    from wenshu.semantic_layer.loader import load_model
    from wenshu.ui.terminal import catalogue_lines

    language = reply_language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        loaded = load_model(model)
        if loaded.policies:  # the values of what a person may see are looked up in the data
            loaded = layer_of(model, db, language, user, users).model
        listed = catalogue(loaded, language)
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
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Measure answers against gold SQL, by topic and language. 评测问题集。"""
    from wenshu.assistant.evaluation import evaluate as verdicts
    from wenshu.assistant.evaluation import summarise
    from wenshu.ui.terminal import report_lines, verdict_line

    language = reply_language(lang)
    with reported(language, query_failure if format is Format.JSON else None):
        for _, item in json_lines(file, "text"):
            if isinstance(item, UsageError):
                raise item
        found = []
        reception = reception_of(model, db, planner, language, users, door="eval")
        for verdict in verdicts(reception.assistant(user), Path(file), lambda q: reception.ask(replace(q, user=user))):
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
    user: UserOption = None,
    users: UsersOption = None,
    user_header: UserHeaderOption = None,
    login: LoginOption = False,
    proxy: ProxyOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Serve the chat page on this machine. 打开聊天页面。"""
    from wenshu.ui.entrance import LOCAL_PEERS
    from wenshu.ui.workspace import users_with_passwords

    if sum((bool(user), bool(user_header), login)) > 1:
        raise usage("Give one of --user, --user-header and --login.", "--user、--user-header 与 --login 只能给出一个。")
    language = reply_language(lang)
    with reported(language):
        reception = reception_of(model, db, planner, language, users, door="chat")
        if user_header is None and not login:
            reception.assistant(user)  # one who may see nothing learns it now and not on the page
        peers = tuple(proxy or LOCAL_PEERS)
        signing_in = users_with_passwords(users) if login else None
        _serve(reception, port, lambda own, data: reception_of(str(own), data, planner, language, door="chat"), signing_in=signing_in, user=user, header=user_header, peers=peers)


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the chat page at the end.")] = True,
    port: PortOption = None,
) -> None:
    """Build the demo data, answer one question, then serve the chat page. 演示。"""
    from wenshu.assistant.question import Question
    from wenshu.ui.workspace import home

    language = reply_language(Lang.AUTO, DEMO_QUESTION)
    with reported(language):
        reception = reception_of("shop", None, PlannerName.AUTO, language, door="demo")
        write(f'$ wenshu ask "{DEMO_QUESTION}"', "")
        answer = _watched(reception, Question(text=DEMO_QUESTION, language=language), language)
        _write_answer(answer, chart_file.write_chart(answer, home() / "demo-chart.png"))
        if serve:
            _serve(reception, port, lambda model, db: reception_of(str(model), db, PlannerName.AUTO, language, door="demo"))
    raise typer.Exit(_exit_code(answer))


def _watched(reception: "Reception", question: "Question", language: Language) -> "Answer":
    """Answer a question and show the stages on a terminal meanwhile."""
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.planner import SAY

    with status_line(language) as status:
        for step in reception.stream(question):
            if isinstance(step, Answer):
                return step
            if step.key != SAY:
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


def _serve(
    reception: "Reception", port: int | None, own: "Callable[[Path, Path], Reception]", signing_in: "Callable[[], Users] | None" = None, **who: Any
) -> None:  # fmt: skip
    """Serve the page; `own` opens a model that somebody brought and its database, `signing_in` tells who may by a password."""
    from wenshu.ui.entrance import Entrance
    from wenshu.ui.gradio_app import serve
    from wenshu.ui.workspace import history, own_models

    kept = history()
    if signing_in is not None:
        from wenshu.ui.login import SignIns

        who["sign_ins"] = SignIns(signing_in, kept.store)
    serve(
        Entrance(assistant_for=reception.assistant, answers=reception.stream, carries=reception.carry_out, **who),
        port=port,
        on_ready=lambda address: write(f"\n问数 Wenshu: {address}   (Ctrl-C to stop 按 Ctrl-C 退出)"),
        on_notice=lambda text: print(f"{text.en} {text.zh}", file=sys.stderr),
        history=kept,
        own=own_models(kept.store, own),
    )


if __name__ == "__main__":
    main()
