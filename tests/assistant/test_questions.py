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
PARTS = 6  # of a long file, which run side by side


def part_of(path: Path, part: int, target: Path) -> Path:
    """Write every sixth question of a file, conversations whole, to another one."""
    lines = path.read_text("utf-8").splitlines()
    topics = [item.get("conversation") or item["id"] for item in map(json.loads, lines)]
    number = {topic: i % PARTS for i, topic in enumerate(dict.fromkeys(topics))}
    target.write_text("\n".join(line for line, topic in zip(lines, topics, strict=True) if number[topic] == part), "utf-8")
    return target


@pytest.mark.parametrize(("model", "part"), [*(("shop", part) for part in range(PARTS)), ("cdnow", None), ("journey", None)])
def test_questions_are_answered_right(model: str, part: int | None, layer_of: Callable[[str], SemanticLayer], tmp_path: Path):
    layer, path = layer_of(model), QUESTIONS / f"{model}.jsonl"
    if part is not None:
        path = part_of(path, part, tmp_path / "part.jsonl")
    verdicts = tuple(evaluate(Assistant(layer, RulesPlanner(layer)), path))
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
