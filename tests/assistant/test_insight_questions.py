"""Questions that call for an analysis: the right one answers, about the right metric, and says what is in the data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer

ROWS = yaml.safe_load((Path(__file__).parent / "insight_questions.yml").read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=[row["ask"] for row in ROWS])
def test_the_analysis_answers(row: dict[str, Any], layer_of: Callable[[str], SemanticLayer]):
    layer = layer_of(row.get("model", "shop"))
    assistant = Assistant(layer, RulesPlanner(layer))
    for text in (*row.get("before", ()), row["ask"]):
        answer = assistant.ask(Question(text=text, conversation="one"))
    assert answer.status == row.get("status", "answered"), answer.text
    assert (answer.analysis.name if answer.analysis else None) == row.get("analysis")
    if "metric" in row:
        assert answer.query is not None and answer.query.metrics[0] == row["metric"]
    assert not [words for words in row.get("says", ()) if words not in answer.text], answer.text
    assert not [words for words in row.get("not", ()) if words in answer.text], answer.text
