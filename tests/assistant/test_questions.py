"""Questions as people write them, each with an independent hand-written query: how many are answered right, and wrong.

The files in tests/questions are asked in order; a conversation's lines follow each other. A clarification where an
answer was wanted is a miss, an answer with other numbers than the gold query's is wrong, which is far worse.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.evaluation import evaluate, summarise
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer

QUESTIONS = Path(__file__).parents[1] / "questions"
LEAST_RIGHT, MOST_WRONG = 0.97, 0.01


@pytest.mark.parametrize("model", ["shop", "cdnow", "journey"])
def test_questions_are_answered_right(model: str, layer_of: Callable[[str], SemanticLayer]):
    layer = layer_of(model)
    verdicts = tuple(evaluate(Assistant(layer, RulesPlanner(layer)), QUESTIONS / f"{model}.jsonl"))
    found = summarise(verdicts)
    for verdict in verdicts:
        if not verdict.right:
            print(
                f"{'wrong' if verdict.wrong else 'missed'} {verdict.id} [{verdict.topic}] {verdict.text} — {verdict.reason}"
            )
    assert found["right"] >= LEAST_RIGHT * found["questions"], found
    assert found["wrong"] <= MOST_WRONG * found["questions"], found


def test_the_files_hold_questions_of_every_kind():
    items = [json.loads(line) for path in QUESTIONS.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert {item["expect"] for item in items} == {"answer", "clarify", "refuse"}
    assert {item["lang"] for item in items} == {"zh", "en"}
    assert all(item["gold_sql"] for item in items if item["expect"] == "answer" and item["topic"] != "conversation")
