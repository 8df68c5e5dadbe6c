"""The grammar: rows of data for each rule, what is refused or asked back, follow-ups, and that the form does not matter."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml

from wenshu.assistant.planner import Outcome, Plan
from wenshu.assistant.question import Question, language_of, normalise
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.timephrases import find_time_phrases
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.query import Query, query_to_json

ROWS = yaml.safe_load((Path(__file__).parent / "rules.yml").read_text("utf-8"))
QUESTIONS = Path(__file__).parents[1] / "questions" / "shop.jsonl"
LEAST_ALIKE = 0.95


@pytest.fixture(scope="module")
def planner(layer_of: Callable[[str], SemanticLayer]) -> RulesPlanner:
    return RulesPlanner(layer_of("shop"))


def plan(planner: RulesPlanner, text: str, previous: Query | None = None) -> Outcome:
    return planner.plan(Question(text=text), language_of(text), previous)


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{rule}: {row['ask']}") for rule, rows in ROWS["rules"].items() for row in rows]
)
def test_rule(planner: RulesPlanner, row: dict):
    outcome = plan(planner, row["ask"])
    assert isinstance(outcome, Plan), outcome
    assert query_to_json(outcome.query) == row["query"]


@pytest.mark.parametrize("row", ROWS["outcomes"], ids=lambda row: row["ask"])
def test_what_is_no_plan(planner: RulesPlanner, row: dict):
    outcome = plan(planner, row["ask"])
    assert f"{type(outcome).__name__.lower()}:{getattr(outcome, 'code', '')}" == row["outcome"]


@pytest.mark.parametrize("turns", ROWS["conversations"], ids=lambda turns: turns[0]["ask"])
def test_conversation(planner: RulesPlanner, turns: list[dict]):
    previous = None
    for turn in turns:
        outcome = plan(planner, turn["ask"], previous)
        assert isinstance(outcome, Plan), (turn["ask"], outcome)
        assert query_to_json(outcome.query) == turn["query"], turn["ask"]
        previous = outcome.query


def test_a_slip_is_said(planner: RulesPlanner):
    outcome = plan(planner, "GMV by chanel in September")
    assert isinstance(outcome, Plan)
    assert outcome.assumptions[0].en == "Read “chanel” as “channel”."


@pytest.mark.parametrize(
    ("slipped", "meant"),
    [
        ("9月付购率按渠道", "9月复购率按渠道"),
        ("三季度各成市订单数、退款率", "三季度各城市订单数、退款率"),
        ("9月留存绿是多少", "9月留存率是多少"),
        ("复购购率按城市", "复购率按城市"),
        ("留率存按渠道", "留存率按渠道"),
        ("新增拥护数", "新增用户数"),
        ("repruchase rate in Q2 2026 by city", "repurchase rate in Q2 2026 by city"),
    ],
)
def test_a_slip_by_sound_place_or_letter(planner: RulesPlanner, slipped: str, meant: str):
    outcome, right = plan(planner, slipped), plan(planner, meant)
    assert isinstance(outcome, Plan) and isinstance(right, Plan)
    assert outcome.query == right.query and outcome.assumptions


@pytest.mark.parametrize("text", ["GMV by ctiy in September", "How hooked were users in August?", "用户满意程度是多少", "9月停留时间", "沈阳9月的GMV"])
def test_a_short_or_unclear_slip_is_asked_back(planner: RulesPlanner, text: str):
    assert not isinstance(plan(planner, text), Plan)


def wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def spaced(text: str) -> str:
    if language_of(text) == "en":
        return text.replace(" ", "  ")
    return re.sub(r"(?<=[一-鿿])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[一-鿿])", " ", text)


def polite(text: str) -> str:
    return f"请帮我看一下{text}，谢谢" if language_of(text) == "zh" else f"please show me {text}"


def asked(text: str) -> str:
    return text.rstrip("？?。.") + ("？" if language_of(text) == "zh" else "?")


def time_elsewhere(text: str) -> str:
    """Move the one period of a Chinese question to its other end."""
    phrases = find_time_phrases(normalise(text), as_of=date(2026, 10, 31), language=language_of(text))
    periods = [phrase for phrase in phrases if phrase.period is not None]
    if len(periods) != 1 or language_of(text) == "en":
        return text
    period = periods[0]
    words, rest = text[period.start : period.end], (text[: period.start] + text[period.end :]).strip(" ，,")
    return f"{rest}，{words}" if period.start < len(text) / 2 else f"{words}{rest}"


FORMS: tuple[Callable[[str], str], ...] = (wide, spaced, polite, asked, time_elsewhere, str.upper, str.lower)


def questions() -> Iterator[str]:
    for line in QUESTIONS.read_text("utf-8").splitlines():
        item = json.loads(line)
        if item["expect"] == "answer" and "conversation" not in item:
            yield item["text"]


def test_the_form_of_a_question_does_not_matter(planner: RulesPlanner):
    alike = unlike = 0
    for text in questions():
        outcome = plan(planner, text)
        if not isinstance(outcome, Plan):
            continue
        for form in FORMS:
            if (other := form(text)) != text:
                again = plan(planner, other)
                if isinstance(again, Plan) and again.query == outcome.query:
                    alike += 1
                else:
                    unlike += 1
                    print(f"{form.__name__}: {other}")
    assert alike >= LEAST_ALIKE * (alike + unlike), (alike, unlike)


def test_planning_is_deterministic(planner: RulesPlanner):
    for text in list(questions())[:40]:
        assert plan(planner, text) == plan(planner, text)
