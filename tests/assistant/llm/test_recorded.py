"""Replays what a real model of 1.5 billion parameters said: what runs of it is right, and what is wrong is asked back or refused.

`recorded.jsonl` holds the questions, the replies in the order of the calls, and the outcome that each must have;
`benchmarks/language_model.py --record` asks the questions anew.
"""

import json
from pathlib import Path

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.auto import AutoPlanner
from wenshu.assistant.llm import Endpoint
from wenshu.assistant.llm_planner import LlmPlanner
from wenshu.assistant.narrator import Narrator
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.query import query_to_json

LINES = [json.loads(line) for line in (Path(__file__).parent / "recorded.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("line", LINES, ids=[line["text"] for line in LINES])
def test_what_a_real_model_said(script, settings_of, layer_of, line):
    layer = layer_of("shop")
    script.says(*line["replies"])
    endpoint = Endpoint(settings_of(confirm=True, prose=line.get("prose", False)))
    assistant = Assistant(layer, AutoPlanner(LlmPlanner(RulesPlanner(layer), endpoint)), Narrator(layer, endpoint))
    answer = assistant.ask(Question(text=line["text"]))
    assert len(script.requests) == len(line["replies"])
    assert answer.status == line["status"], answer.problem
    if answer.status == "answered":
        query = query_to_json(answer.query)
        assert {key: query.get(key) for key in line["query"]} == line["query"]
        assert answer.receipt.planner == "llm"
    if line.get("prose"):
        assert any(character.isdigit() for character in answer.text)
        assert not any(wrong in answer.text for wrong in line.get("untold", ()))
    for option in line.get("options", ()):
        assert option in answer.options
