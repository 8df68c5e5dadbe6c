"""Owns the JSON that the command line exchanges with programs: questions and queries in, answers and failures out.

Knows no option. One line of a batch that fails leaves the others alone.
"""

import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from wenshu.assistant.question import Question
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.console import ANSWERED, EXIT_CODES, USAGE, complain, explained, write_json
from wenshu.ui.json_lines import UsageError, json_lines, parse_json

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.semantic_layer.guard import GuardedStatement
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.semantic_layer.query import Query
    from wenshu.semantic_layer.table import ResultTable
    from wenshu.ui.reception import Ran, Reception

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
    conversation = item.get("conversation")
    return Question(
        text=item["text"],
        language=language,
        today=day_of(item),
        conversation=None if conversation is None else str(conversation),
        user=user_of(item, user),
    )


def user_of(item: Json, user: str | None) -> str | None:
    """Return who asks in a line: whom it names, else `user`."""
    asker = item.get("user", user)
    return None if asker is None else str(asker)


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
    from wenshu.tools.query import compile_learnt

    return compile_learnt(layer, query_from_json(body), today=today).sql


def run_query(
    reception: "Reception", user: str | None, body: Any, today: date | None, language: Language
) -> Json:
    """Return the answer to a person's semantic query, without prose."""
    from wenshu.assistant.assistant import answer_query
    from wenshu.semantic_layer.query import query_from_json
    from wenshu.ui.reception import Ran

    def work(layer: "SemanticLayer") -> "Ran[Json]":
        out = _without_text(answer_query(layer, query_from_json(body), today=today, language=language))
        return Ran(result=out, sql=out["sql"], rows=len(out["rows"]), query=out["query"])

    return reception.run(json.dumps(body, ensure_ascii=False), user, language, work)


def export(reception: "Reception", user: str | None, query: "Query", path: "Path", language: Language) -> None:
    """Write all rows of a person's query to a CSV file and say on standard error how many."""
    from wenshu.semantic_layer.query import query_to_json
    from wenshu.ui.csv_file import all_rows, write_csv
    from wenshu.ui.reception import Ran

    asked = query_to_json(query)

    def work(layer: "SemanticLayer") -> "Ran[ResultTable]":
        table = all_rows(layer, query)
        return Ran(result=table, sql=layer.compile(query).sql, rows=len(table.rows), query=asked)

    table = reception.run(f"--csv {json.dumps(asked, ensure_ascii=False)}", user, language, work)
    print(write_csv(table, path, language).in_(language), file=sys.stderr)


def run_sql(
    reception: "Reception", user: str | None, statement: str, language: Language
) -> "tuple[GuardedStatement, ResultTable]":
    """Return a person's statement as it ran, and its rows."""
    from wenshu.ui.reception import Ran

    def work(layer: "SemanticLayer") -> "Ran[tuple[GuardedStatement, ResultTable]]":
        guarded, table = layer.sql(statement)
        return Ran(result=(guarded, table), sql=guarded.sql, rows=len(table.rows))

    return reception.run(statement, user, language, work)


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
