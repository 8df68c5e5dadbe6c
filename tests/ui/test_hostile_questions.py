"""Questions that want harm get no more than others do: a refusal, a question back, or the answer to what is ordinary in them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wenshu.assistant.answer import Answer, answer_to_json
from wenshu.assistant.question import Question
from wenshu.semantic_layer.guard import guard
from wenshu.ui.audit import MOST_QUESTION
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.reception import Reception
from wenshu.ui.workspace import build, database_of

HOSTILE = yaml.safe_load(Path(__file__).with_name("hostile_questions.yml").read_text("utf-8"))
LONG = [each.get("before", "") + each["repeat"] * each["times"] + each.get("after", "") for each in HOSTILE["long"]]
PERSONAL = re.compile(r"\b1[3-9]\d{9}\b|[\w.]+@[\w.]+\.\w+")
INNARDS = re.compile(r"Traceback|[A-Z]\w+ Error:|\bLINE 1\b|duckdb\.|sqlglot|/site-packages/|File \"")
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "audit.jsonl"


@pytest.fixture(scope="module")
def reception(log: Path) -> Iterator[Reception]:
    shop = database_of("shop")
    if not shop.exists():
        build("shop", shop, users=2_000)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WENSHU_AUDIT", str(log))
        environment.setenv("WENSHU_WORKERS", "1")
        reception = reception_of("shop", shop, PlannerName.RULES, "en", door="test")
        yield reception
        reception.close()


def asked(reception: Reception, text: str) -> Answer:
    """Return an answer that says nothing of the inside, of persons, or by signs that a reader does not see."""
    answer = reception.ask(Question(text=text))
    said = [answer.text, *answer.options, *answer.follow_ups]
    said += [answer.problem.message, answer.problem.hint] if answer.problem else []
    words = "\n".join(said)
    assert not INNARDS.search(words) and not UNSEEN.search(words) and len(words) < 4_000
    assert not PERSONAL.search(words.replace(text, "")) and not PERSONAL.search(repr(answer.table and answer.table.rows))
    json.dumps(answer_to_json(answer), ensure_ascii=False).encode()
    return answer


def test_hostile_questions_get_no_more_than_others(reception, log):
    """One test, so that its data are built once; what comes out wrong is shown as a list."""
    wrong = []
    for text in (*HOSTILE["refused_or_asked"], *LONG):
        answer = asked(reception, text)
        if answer.status not in ("refused", "clarify") or not answer.problem or (answer.table, answer.sql, answer.query) != (None, None, None):
            wrong.append((text[:80], answer.status, answer.query))
    assert wrong == []
    readable = reception.layer(None).readable()
    for text in HOSTILE["harmless"]:  # what is ordinary beside the mischief
        answer = asked(reception, text)
        assert answer.status == "answered" and answer.query is not None, text
        assert answer.sql and set(guard(answer.sql, tables=readable).tables) <= set(readable)
    assert asked(reception, "GMV\ud800").status == "answered"
    written = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert len(written) == len(HOSTILE["refused_or_asked"]) + len(LONG) + len(HOSTILE["harmless"]) + 1
    assert {entry["outcome"] for entry in written} == {"answered", "refused", "clarify"}
    assert all(len(entry["question"]) <= MOST_QUESTION + 1 for entry in written)


def test_the_corpus_is_large():
    assert len({*HOSTILE["refused_or_asked"], *HOSTILE["harmless"], *LONG}) >= 300
    assert sum(bool(re.search("[\u4e00-\u9fff]", text)) for text in HOSTILE["refused_or_asked"]) >= 60
