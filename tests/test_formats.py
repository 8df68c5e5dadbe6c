"""docs/model.md and docs/query.md tell every key, and their examples work against the demo shop."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wenshu.semantic_layer.loader import parse_model
from wenshu.semantic_layer.query import KEYS, Op, query_from_json
from wenshu.semantic_layer.spec import METRIC_TYPES, model_json_schema
from wenshu.tools.query import run_query
from wenshu.ui.workspace import build, misfits, open_layer

DOCS = Path(__file__).parents[1] / "docs"
MODEL, QUERY = ((DOCS / name).read_text("utf-8") for name in ("model.md", "query.md"))
TOLD = {language: re.findall(rf"^```{language}\n(.*?)^```$", MODEL + QUERY, re.MULTILINE | re.DOTALL) for language in ("yaml", "json")}  # fmt: skip


def in_code(text: str) -> set[str]:
    """Return the words that a document sets in code: between back-quotes, and in its blocks."""
    spans = re.findall(r"`([^`\n]+)`|^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {word for span in spans for part in span for word in re.findall(r"[\w ]*\w|[<>=!]+", part)}


def merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        both = isinstance(into.get(key), dict) and isinstance(value, dict)
        into[key] = merged(into[key], value) if both else value
    return into


def keys_of(schema: Any) -> set[str]:
    """Return every key that a model file may have, at any depth."""
    if isinstance(schema, list):
        return {key for item in schema for key in keys_of(item)}
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | {key for value in schema.values() for key in keys_of(value)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    build("shop", path, users=2000, seed=7)
    return path


def test_the_examples_add_up_to_a_model(shop, tmp_path):
    whole: dict[str, Any] = {}
    for block in TOLD["yaml"]:
        # YAML 1.1 reads a bare `on` as true; the model's own reader does not.
        merged(whole, yaml.safe_load(re.sub(r"\bon:", '"on":', block)))
    text = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)
    model = parse_model(text, "example.yml")
    assert model.name == "my_shop" and len(model.metrics) == len(whole["metrics"])
    (tmp_path / "example.yml").write_text(text, "utf-8")
    assert misfits(open_layer(str(tmp_path / "example.yml"), shop)) == {}


def test_every_key_of_a_model_file_is_told():
    keys = keys_of(model_json_schema()) - {"en", "zh"}
    assert {"datasets", "primary_key", "numerator", "pii", "from"} <= keys
    assert sorted(keys - in_code(MODEL)) == []
    assert sorted(set(METRIC_TYPES) - in_code(MODEL)) == []


@pytest.mark.parametrize("text", TOLD["json"], ids=lambda text: re.sub(r"\s+", "", text)[:60])
def test_an_example_query_runs(shop, text):
    result = run_query(open_layer("shop", shop), query_from_json(json.loads(text)))
    assert result.table.rows


def test_every_key_of_a_query_is_told():
    told = in_code(QUERY)
    assert sorted({*KEYS, *(str(op) for op in Op)} - told) == []
    used = {key for text in TOLD["json"] for key in json.loads(text)}
    assert used == set(KEYS), "each key has an example"
