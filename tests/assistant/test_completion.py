"""Completion: what a text begun may become, in either language, and what is never offered."""

from collections.abc import Callable

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.completion import MOST
from wenshu.assistant.planner import Plan
from wenshu.assistant.question import Question, language_of
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer


@pytest.fixture(scope="module")
def assistant(layer_of: Callable[[str], SemanticLayer]) -> Assistant:
    layer = layer_of("shop")
    return Assistant(layer, RulesPlanner(layer))


@pytest.mark.parametrize(
    ("typed", "language", "offered", "kind"),
    [
        ("成交", "zh", "成交额", "metric"),
        ("9月各城", "zh", "城市", "dimension"),
        ("9月抖", "zh", "抖音", "value"),
        ("9月各渠道的新增用", "en", "新增用户数", "metric"),
        ("上個月各渠道的銷", "zh", "销售额", "metric"),
        ("GMV by ch", "en", "channel", "dimension"),
        ("gmv in chengd", "en", "Chengdu", "value"),
        ("new u", "en", "new users", "metric"),
        ("618大", "zh", "618大促 2026", "value"),
        ("GMV", "zh", "上个月各渠道的成交额", "question"),
    ],
)
def test_what_begins_like_a_name_becomes_it(assistant: Assistant, typed: str, language, offered: str, kind: str):
    found = assistant.complete(typed, language)
    assert len(found) <= MOST
    assert (offered, kind) in {(completion.text, completion.kind) for completion in found}


def test_a_name_takes_the_place_of_what_was_typed_of_it(assistant: Assistant):
    name = next(c for c in assistant.complete("9月各城", "zh") if c.text == "城市")
    assert "9月各城"[: name.start] + name.text == "9月各城市"


@pytest.mark.parametrize("typed", ["", " ", "的", "x", "zzzz"])
def test_nothing_is_offered_where_nothing_is_begun(assistant: Assistant, typed: str):
    assert assistant.complete(typed, "en") == ()


def test_nothing_personal_is_offered(assistant: Assistant):
    words = {word for d in assistant.model.dimensions if d.pii for word in (d.label.en, d.label.zh, *d.synonyms)}
    assert words
    for word in words:
        for language in ("zh", "en"):
            for length in range(1, len(word) + 1):
                assert not words & {c.text for c in assistant.complete(word[:length], language)}


def test_every_whole_question_offered_can_be_answered(assistant: Assistant):
    for typed, language in (("成交额", "zh"), ("复购", "zh"), ("refund", "en"), ("new users", "en")):
        asked = [c.text for c in assistant.complete(typed, language) if c.kind == "question"]
        assert asked
        for text in asked:
            assert isinstance(assistant.planner.plan(Question(text=text), language_of(text), None), Plan), text
