"""Owns the JSON that the command line exchanges with programs: questions and queries in, answers and failures out.

Knows no option. One line of a batch that fails leaves the others alone.
"""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from wenshu.assistant.question import Question
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.console import ANSWERED, EXIT_CODES, USAGE, complain, explained, write_json
from wenshu.ui.json_lines import UsageError, json_lines, parse_json

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.semantic_layer.layer import SemanticLayer

Json = dict[str, Any]
Respond = Callable[[Json], Json]

ASIDES = ("id", "user", "today", "conversation")  # what a line may say beside its query


def answer_lines(
    file: str,
    key: str | None,
    language_for: Callable[[str], Language],
    answering: Callable[[], Respond],
    failure: Callable[[WenshuError, Language], Json],
) -> NoReturn:
    """Write one JSON object for each line of a file, in order, and leave.

    `key` is what each line must hold as a text; `answering` opens what answers them. The exit code says how the run
    went and not each line: 0, or 2 where a line is not what it must be, or 5 where nothing could be opened.
    """
    lines = list(json_lines(file, key))
    code, broken = ANSWERED, None
    try:
        respond = answering()
    except WenshuError as error:
        broken, code = error, EXIT_CODES[error.status]
    for ordinal, (_, item) in enumerate(lines, start=1):
        known: Json = {} if isinstance(item, UsageError) else item
        language = language_for(str(known.get(key) if key else ""))
        try:
            if isinstance(item, UsageError):
                complain(item, language)
                code = USAGE
                raise item
            if broken is not None:
                raise broken
            out = respond(item)
        except Exception as error:
            out = failure(explained(error), language)
        if "id" in out:
            out["id"] = known.get("id", str(ordinal))
        write_json(out)
    raise typer.Exit(code)


def question_of(item: Json, language: Language, user: str | None) -> Question:
    """Return the question of a line; `user` asks where the line names nobody."""
    conversation, asker = item.get("conversation"), item.get("user", user)
    return Question(
        text=item["text"],
        language=language,
        today=day_of(item),
        conversation=None if conversation is None else str(conversation),
        user=None if asker is None else str(asker),
    )


def day_of(item: Json) -> date | None:
    """Return the day that a line gives as `today`."""
    text = item.get("today")
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        raise QueryError(
            "invalid_date",
            Text(f"{str(text)[:40]!r} is not a date.", f"{str(text)[:40]!r} 不是有效日期。"),
            Text("Give today as YYYY-MM-DD.", "请按 YYYY-MM-DD 填写 today。"),
        ) from None


def query_of(text: str) -> Any:
    """Return the JSON of a semantic query."""
    try:
        return parse_json(text)
    except ValueError:
        raise QueryError(
            "invalid_query",
            Text("The query is not JSON.", "查询不是有效的 JSON。"),
            Text('Write e.g. {"metrics": ["gmv"]}.', '例如 {"metrics": ["gmv"]}。'),
        ) from None


def body_of(item: Json) -> Any:
    """Return the query of a line: what stands under `query`, or the line itself."""
    return item.get("query", {key: value for key, value in item.items() if key not in ASIDES})


def compiled_sql(layer: "SemanticLayer", body: Any, today: date | None) -> str:
    """Return the SQL of a semantic query."""
    from wenshu.semantic_layer.query import query_from_json

    return layer.compile(query_from_json(body), today=today).sql


def run_query(layer: "SemanticLayer", body: Any, today: date | None, language: Language) -> Json:
    """Return the answer to a semantic query, without prose."""
    from wenshu.assistant.assistant import answer_query
    from wenshu.semantic_layer.query import query_from_json

    return _without_text(answer_query(layer, query_from_json(body), today=today, language=language))


def failure(error: WenshuError, language: Language) -> Json:
    """Return the answer that says why there is none."""
    from wenshu.assistant.answer import answer_to_json

    return answer_to_json(_failed(error, language))


def query_failure(error: WenshuError, language: Language) -> Json:
    """Return why there is no answer to a semantic query."""
    return _without_text(_failed(error, language))


def _failed(error: WenshuError, language: Language) -> "Answer":
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import failed

    return failed(Answer(id="1", status="error", language=language), error)


def _without_text(answer: "Answer") -> Json:
    from wenshu.assistant.answer import answer_to_json

    out = answer_to_json(answer)
    del out["text"]
    return out
