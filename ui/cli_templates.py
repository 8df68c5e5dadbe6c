"""Owns the commands about saved questions: list, run, save and remove them. Presentation only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.ui.cli_options import (
    DbOption,
    Format,
    FormatOption,
    Lang,
    LangOption,
    ModelOption,
    PlannerName,
    UserOption,
    UsersOption,
    layer_of,
    reception_of,
    reply_language,
)
from wenshu.ui.console import EXIT_CODES, complain, reported, write, write_json

if TYPE_CHECKING:
    from wenshu.assistant.template_files import Templates
    from wenshu.assistant.templates import Template

templates_app = typer.Typer(no_args_is_help=True, help="Saved questions. 已保存的问题模板。")
NameArgument = Annotated[str, typer.Argument(help="The template's name.")]


@templates_app.command("list")
def templates_list(
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the saved questions by category. 列出问题模板。"""
    from wenshu.assistant.templates import CATEGORIES

    language = reply_language(lang)
    with reported(language):
        templates = _templates(model, db, user, users, language)
        found = sorted(templates.all, key=lambda template: template.category)
        for problem in templates.errors:
            complain(problem, language)
        if format is Format.JSON:
            write_json({"templates": [_listed(template, language) for template in found]})
            return
        category = ""
        for template in found:
            if template.category != category:
                category = template.category
                write("", CATEGORIES.get(category, same(category)).in_(language))
            write(f"  {template.name:<24} {template.asked({}, language)}")


@templates_app.command("run")
def templates_run(
    name: NameArgument,
    values: Annotated[list[str] | None, typer.Option("--set", help="A parameter, e.g. period=2026-09.")] = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """Run a saved question. 运行问题模板。"""
    from wenshu.assistant.answer import answer_to_json
    from wenshu.assistant.question import Question
    from wenshu.ui.terminal import shown
    from wenshu.ui.workspace import templates_of

    language = reply_language(lang, " ".join(values or ()))
    with reported(language):
        given = dict(_pair(item) for item in values or ())
        reception = reception_of(model, db, PlannerName.RULES, language, users, door="templates")
        assistant = reception.assistant(user)
        template = templates_of(assistant.model, assistant.layer.policy_fingerprint).get(name)
        filled = template.filled(given, assistant.model, as_of=assistant.layer.as_of(), language=language)
        question = Question(text=template.asked(given, language), language=language, user=user)
        answer = reception.answer_plan(question, filled.plan())
        if format is Format.JSON:
            write_json(answer_to_json(answer))
        else:
            write(f"{question.text}", "", *shown(answer, None))
    raise typer.Exit(EXIT_CODES[answer.status])


@templates_app.command("save")
def templates_save(
    name: NameArgument,
    question: Annotated[str, typer.Option("--question", help="The question to save.")],
    title: Annotated[str | None, typer.Option("--title", help="How it is listed.")] = None,
    category: Annotated[str, typer.Option("--category", help="Under which heading.")] = "other",
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Save a question as a template; its period becomes a parameter. 保存问题模板。"""
    from wenshu.assistant.question import Question
    from wenshu.assistant.templates import template_of
    from wenshu.ui.workspace import templates_of

    language = reply_language(lang, question)
    with reported(language):
        reception = reception_of(model, db, PlannerName.RULES, language, users, door="templates")
        assistant = reception.assistant(user)
        answer = reception.ask(Question(text=question, language=language, user=user))
        if answer.query is None:
            problem = answer.problem
            raise QueryError(
                "not_answered",
                Text("Only a question that is answered can be saved.", "只有能够回答的问题才能保存。"),
                Text(problem.message, problem.message) if problem else Text("", ""),
            )
        template = template_of(
            name, answer.query, question=question, title=title or question, as_of=assistant.layer.as_of(),
            language=language, category=category,
        )  # fmt: skip
        write(str(templates_of(assistant.model, assistant.layer.policy_fingerprint).save(template)))


@templates_app.command("remove")
def templates_remove(
    name: NameArgument,
    model: ModelOption = "shop",
    db: DbOption = None,
    user: UserOption = None,
    users: UsersOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Remove a saved question of your own. 删除问题模板。"""
    language = reply_language(lang)
    with reported(language):
        _templates(model, db, user, users, language).delete(name)


def _templates(
    model: str, db: Path | None, user: str | None, users: Path | None, language: Language
) -> "Templates":
    """Return the saved questions that a person may see; without policies no database is opened for it."""
    from wenshu.semantic_layer.loader import load_model
    from wenshu.ui.workspace import templates_of

    loaded = load_model(model)
    if not loaded.policies:
        return templates_of(loaded)
    layer = layer_of(model, db, language, user, users)
    return templates_of(layer.model, layer.policy_fingerprint)


def _listed(template: "Template", language: Language) -> dict[str, Any]:
    return {
        "name": template.name,
        "title": template.title.in_(language),
        "description": template.description.in_(language),
        "category": template.category,
        "question": template.question.in_(language),
        "parameters": {p.name: {"type": p.type, "default": p.default.in_(language)} for p in template.parameters},
        "query": dict(template.query),
        "built_in": template.built_in,
    }


def _pair(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals:
        message = Text(f"“{item[:60]}” is not name=value.", f"“{item[:60]}”不是 名称=值 的形式。")
        raise QueryError(
            "invalid_parameter", message, Text("Write e.g. --set period=2026-09.", "例如 --set period=上周。")
        )
    return key.strip(), value.strip()
