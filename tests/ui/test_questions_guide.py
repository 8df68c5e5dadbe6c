"""Asks every question that the guides for business users promise an answer to."""

import re
from pathlib import Path

import pytest

from wenshu.assistant.question import Question

DOCS = Path(__file__).parents[2] / "docs"
PROMISED = [
    pytest.param(question, language, id=f"{language}-{question}")
    for name, language in (("questions.md", "en"), ("questions.zh.md", "zh"))
    for question in re.findall(r"^\|[^|]+\| `(.+)` \|$", DOCS.joinpath(name).read_text("utf-8"), re.MULTILINE)
]


def test_both_guides_promise_the_same_number_of_questions() -> None:
    assert [each.values[1] for each in PROMISED].count("en") == [each.values[1] for each in PROMISED].count("zh") > 10


@pytest.mark.parametrize(("question", "language"), PROMISED)
def test_a_promised_question_is_answered(assistant, question, language) -> None:
    answer = assistant.ask(Question(text=question))
    assert (answer.status, answer.language) == ("answered", language)
