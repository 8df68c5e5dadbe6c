"""Owns the command that writes a report. Presentation only."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import check_writable
from wenshu.ui.cli_options import (
    DbOption,
    Lang,
    LangOption,
    ModelOption,
    PlannerName,
    PlannerOption,
    UserOption,
    UsersOption,
    reception_of,
    reply_language,
    status_line,
    usage,
)
from wenshu.ui.console import reported, write

WRITTEN = Text("Written to {}", "已写入 {}")


def report(
    name: Annotated[str, typer.Argument(help="Which report.")] = "weekly",
    week: Annotated[
        str | None, typer.Option("--week", help="A week such as 2026-W43; without it the last complete one.")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="Another period, in words: last month, 上个月.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The .html, .md or .pdf file; else Markdown is printed.")
    ] = None,
    template: Annotated[Path | None, typer.Option("--template", help="A file with a report of your own.")] = None,
    show_template: Annotated[
        bool, typer.Option("--show-template", help="Print the report's template, to copy and edit.")
    ] = False,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.RULES,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Write the weekly growth report, or that of another period. 生成周报。"""
    from wenshu.assistant.report_templates import read_reports, report_template
    from wenshu.ui.reports import ENDINGS, Document, documents, write_document
    from wenshu.ui.workspace import reports_of

    if week is not None and period is not None:
        raise usage("Give one of --week and --period.", "--week 与 --period 只能给出一个。")
    if output is not None and output.suffix.lower() not in ENDINGS:
        raise usage("--output takes a .html, .md or .pdf file.", "--output 的文件须为 .html、.md 或 .pdf。")
    language = reply_language(lang, period or "")
    with reported(language):
        if output is not None:
            check_writable(output)
        if show_template:
            from wenshu.semantic_layer.loader import load_model

            write(report_template(name, reports_of(load_model(model).name)).text.rstrip("\n"))
            return
        own = read_reports(template) if template else None
        reception = reception_of(model, db, planner, language, users, door="report")
        assistant = reception.assistant(user)
        known = own or reports_of(assistant.model.name)
        chosen = next(iter(own.values())) if own and name not in own else report_template(name, known)
        with status_line(language) as status:
            for news in documents(
                chosen, reception, assistant, period=week or period, language=language, user=user, made=datetime.now()
            ):
                if isinstance(news, Document):
                    document = news
                else:
                    status.show(news.text)
            if output is not None:
                write_document(document, output)
        write(document.markdown.rstrip("\n") if output is None else WRITTEN.in_(language).format(output))
