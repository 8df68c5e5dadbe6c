"""A model file is read whole or refused with every mistake at once, each with file, line and fix."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.loader import BUILT_IN, load_model, parse_model
from wenshu.semantic_layer.metrics import Aggregate, Cumulative, Ratio
from wenshu.semantic_layer.query import Where
from wenshu.semantic_layer.spec import model_json_schema
from wenshu.semantic_layer.text import Text

HERE = Path(__file__).parent
MODELS = Path(__file__).parents[2] / "semantic_layer" / "models"
# What is to be said of each line of broken_model.yml: part of the message and of the fix.
BROKEN = {
    1: ("name", "Schema"), 3: ("as_of", "Schema"), 10: ("“lable” is not a key", "Did you mean label?"), 11: ("“weekday” is a reserved name", "another name"),
    13: ("“city” is given twice", "Remove or rename"), 14: ("“type”", "Schema"), 15: ("“agee”", "Did you mean age"), 16: ("must ascend", ""),
    18: ("not one SELECT", "Write one SELECT"), 19: ("“ordered_at +” is not an SQL expression", "SELECT list"), 21: ("“sum(amount)”", "without aggregates"),
    23: ("no dataset “user”", "Did you mean users?"), 24: ("its primary key is user_id", "Join to the primary key"), 26: ("no dataset “order”", "Did you mean orders?"),
    27: ("has the type “counts”", "Did you mean count"), 28: ("no metric “gvm”", "Did you mean gmv?"), 29: ("“first” is computed from itself", "Break the circle"),
    30: ("“second” is computed from itself", "Break the circle"), 31: ("“aov” is of type ratio", "count, sum"), 32: ("no dimension “chanel”", "Did you mean channel?"),
    33: ("“expr” is missing", "Add `expr"), 34: ("“week” is a reserved name", "another name"), 35: ("“city” is a dimension too", "Rename one"),
    36: ("no metric “gmw”", "Did you mean gmv?"),
}  # fmt: skip


def mistakes(text: str) -> list[str]:
    """Return the lines that the refusal of a model file says in English; as many in Chinese."""
    with pytest.raises(ModelError) as caught:
        parse_model(text, "shop.yml")
    error = caught.value
    assert error.code == "model_invalid" and error.hint.en and error.hint.zh
    found, chinese = error.message.en.splitlines()[1:], error.message.zh.splitlines()[1:]
    assert len(found) == len(chinese) and all("。" in line for line in chinese)
    assert error.message.en.startswith(f"shop.yml has {len(found)} mistake")
    return found


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    found = mistakes((HERE / "broken_model.yml").read_text("utf-8"))
    assert len(found) == len(BROKEN)
    for line, (number, (message, fix)) in zip(found, sorted(BROKEN.items()), strict=True):
        assert line.startswith(f"shop.yml:{number}: ") and message in line and fix in line


BASE = """\
name: shop
datasets:
  users: {source: users, primary_key: user_id, time: registered_at, dimensions: {channel: {}, age: {type: number}}}
  orders: {source: orders, primary_key: order_id, time: ordered_at, dimensions: {status: {}}}
relationships:
  - {from: orders, to: users, on: user_id}
metrics:
  gmv: {type: sum, dataset: orders, expr: amount}
  orders: {type: count, dataset: orders}
"""
ALONE = [  # what a sound file is changed by, the line, the mistake and the fix
    ("name: shop", "", 2, "“name” is missing in the model", "Add `name: …`"),
    ("name: shop", "name: 9lives", 1, "“name”", "Schema"),
    ("name: shop", "name: shop\ntimezon: UTC", 2, "“timezon” is not a key of a model", "Did you mean timezone?"),
    ("name: shop", "name: shop\nname: store", 2, "“name” is given twice", "Remove or rename"),
    ("name: shop", "name: shop\nas_of: 2026-13-41x", 2, "“as_of”", "Schema"),
    ("name: shop", "name: shop\n? [a]\n: b", 2, "a key is not a plain word", "key: value"),
    ("{source: users, ", "{", 3, "“source” is missing in datasets.users", "Add `source: …`"),
    ("{source: users, ", '{source: " ", ', 3, "“source”", "Schema"),
    ("{source: users, ", "{source: SELECT 1; SELECT 2, ", 3, "not one SELECT", "Write one SELECT"),
    ("{source: users, ", "{sorce: users, source: users, ", 3, "“sorce” is not a key of datasets.users", "Did you mean source?"),
    ("time: registered_at", "time: registered_at)", 3, "“registered_at)” is not an SQL expression", "SELECT list"),
    ("channel: {}", "channel: 5", 3, "“channel”", "Schema"),
    ("channel: {}", "channel: {expr: (SELECT 1)}", 3, "is not an SQL expression", "SELECT list"),
    ("channel: {}", "channel: {expr: peple.channel}", 3, "there is no dataset “peple”", "Define it or name another"),
    ("channel: {}", "hour_of_day: {}", 3, "“hour_of_day” is a reserved name", "another name"),
    ("channel: {}", "channel: {values: {a: {lable: A}}}", 3, "“lable” is not a key", ""),
    ("channel: {}", "channel: {bands: {of: age, from: []}}", 3, "“from”", "Schema"),
    ("to: users", "to: user", 6, "there is no dataset “user”", "Did you mean users?"),
    ("on: user_id", "on: {buyer_id: channel}", 6, "users is joined by channel, but its primary key is user_id", "Join to the primary key"),
    ("on: user_id", "on: user_id, when: user_id", 6, "“when” is not a key of relationships.0", "Remove it"),
    ("{type: sum, ", "{type: summ, ", 8, "has the type “summ”", "Did you mean sum?"),
    ("{type: sum, ", "{", 8, "has the type “”", "Give it one of count"),
    (", expr: amount", "", 8, "“expr” is missing", "Add `expr: …`"),
    ("expr: amount", 'expr: ""', 8, "“expr”", "Schema"),
    ("expr: amount", "expr: amount; DROP TABLE orders", 8, "is not an SQL expression", "SELECT list"),
    ("expr: amount", "expr: sum(amount)", 8, "is not an SQL expression", "without aggregates"),
    ("expr: amount", "expr: amount, wher: a > 1", 8, "“wher” is not a key of metrics.gmv", "Did you mean where?"),
    ("expr: amount", "expr: amount, filters: {dimension: statu, values: [paid]}", 8, "there is no dimension “statu”", "Did you mean status?"),
    ("expr: amount", "expr: amount, filters: {dimension: status, op: like, values: [paid]}", 8, "“op” is 'like'", "Expected ="),
    ("expr: amount", "expr: amount, filters: {and: []}", 8, "“and” is []", "one filter or more"),
    ("dataset: orders}", "dataset: order}", 9, "there is no dataset “order”", "Did you mean orders?"),
    ("  orders: {type: count", "  channel: {type: count", 9, "“channel” is a dimension too", "Rename one"),
    ("  orders: {type: count", "  day: {type: count", 9, "“day” is a reserved name", "another name"),
    ("metrics:", "metrics:\n  aov: {type: ratio, numerator: gmv, denominator: order}", 8, "there is no metric “order”", "Did you mean orders?"),
    ("metrics:", "metrics:\n  self: {type: ratio, numerator: self, denominator: gmv}", 8, "“self” is computed from itself", "Break the circle"),
    ("metrics:", "metrics:\n  five: {type: derived, expr: 2 + 3}", 8, "no metric is named", "by their names"),
    ("metrics:", "metrics:\n  double: {type: derived, expr: 2 * gvm}", 8, "there is no metric “gvm”", "Did you mean gmv?"),
    ("metrics:", "metrics:\n  aov: {type: ratio, numerator: gmv, denominator: orders}\n  running: {type: cumulative, metric: aov}", 9, "“aov” is of type ratio", "count, sum"),
    ("metrics:", "headline: [gmv, order]\nmetrics:", 7, "there is no metric “order”", "Did you mean orders?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "fix"),
    ALONE,
    ids=[f"{new or old} ({message})" for old, new, _, message, _ in ALONE],
)
def test_each_mistake_is_reported_with_its_line_and_fix(old: str, new: str, line: int, message: str, fix: str) -> None:
    assert BASE.count(old) == 1, old
    [found] = mistakes(BASE.replace(old, new))
    assert found.startswith(f"shop.yml:{line}: ") and message in found and fix in found


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file holds no mapping"),
        ("- name: shop", 1, "the file holds no mapping"),
        ("name: shop", 1, "“datasets” is missing"),
        ("name: shop\ndatasets: {}", 2, "“datasets”"),
        ("name: shop\ndatasets: [\n", 3, "YAML: "),
        ('name: "shop\ndatasets: {a: {source: a}}\n', 3, "YAML: "),
        ("name: shop\n\tdatasets: 5", 2, "YAML: "),
        ("name: shop\ndatasets: {users: {source: *users}}", 2, "YAML: "),
        ("name: shop\ndatasets: users", 2, "“datasets”"),
        ("name: shop\ndatasets: {users: [users]}", 2, "“users”"),
    ],
)
def test_what_is_no_model_at_all_is_one_mistake(text: str, line: int, message: str) -> None:
    [found] = mistakes(text)
    assert found.startswith(f"shop.yml:{line}: ") and message in found


def test_the_sound_file_is_sound() -> None:
    model = parse_model(BASE, "shop.yml")
    assert [dataset.name for dataset in model.datasets] == ["users", "orders"]
    assert [(r.many, r.one, r.many_columns, r.one_columns) for r in model.relationships] == [
        ("orders", "users", ("user_id",), ("user_id",))
    ]
    assert (model.timezone, model.as_of, model.currency) == ("UTC", "latest", None)
    assert model.metric_by_name["gmv"].label == Text("gmv", "gmv")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_models_load(name: str) -> None:
    model = load_model(name)
    assert model.name == name and model.metrics and model.headline and model.examples
    for item in (*model.metrics, *model.dimensions, *model.datasets):
        assert item.label.en and item.label.zh, item.name


def test_parts_of_a_model_are_what_the_file_says() -> None:
    model = load_model(str(HERE / "small_shop.yml"))
    app_orders, aov, running = (model.metric_by_name[name] for name in ("app_orders", "aov", "cumulative_gmv"))
    assert isinstance(app_orders, Aggregate) and app_orders.filters == Where(
        dimension="platform", op=app_orders.filters.op, values=("app",)
    )  # type: ignore[union-attr]
    assert isinstance(aov, Ratio) and (aov.numerator, aov.denominator) == ("gmv", "orders")
    assert isinstance(running, Cumulative) and running.metric == "gmv"
    assert {leaf.name for leaf in model.leaves("spend_per_new_user")} == {"gmv", "new_users"}
    band = model.dimension_by_qualified_name["users.age_band"]
    assert band.bands == (20, 30) and [value.value for value in band.values] == ["under 20", "20–29", "30 and over"]
    assert (
        model.dimension_by_qualified_name["users.phone"].pii
        and not model.dimension_by_qualified_name["users.phone"].indexed
    )


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    for name in ("shopp", str(tmp_path), str(tmp_path / "none.yml")):
        with pytest.raises(ModelError) as caught:
            load_model(name)
        assert caught.value.code == "model_missing" and name in caught.value.message.en
    with pytest.raises(ModelError) as caught:
        load_model("shopp")
    assert "shop" in caught.value.hint.en


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ModelError) as caught:
        load_model(str(path))
    assert caught.value.code == "model_invalid" and "UTF-8" in caught.value.hint.en


# The JSON Schema


def as_json(data: Any) -> Any:
    """Return YAML values as JSON values; `on` is a word to editors, and true only to YAML 1.1."""
    match data:
        case dict():
            return {"on" if key is True else str(key): as_json(value) for key, value in data.items()}
        case list():
            return [as_json(item) for item in data]
    return data


def test_the_schema_is_sound_and_accepts_the_models() -> None:
    schema = json.loads(json.dumps(model_json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (*sorted(MODELS.glob("*.yml")), HERE / "small_shop.yml"):
        jsonschema.Draft202012Validator(schema).validate(as_json(yaml.safe_load(path.read_text("utf-8"))))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "My Shop"},
        {"nmae": "shop"},
        {"datasets": {}},
        {"datasets": {"users": {}}},
        {"datasets": {"users": {"source": "users", "sorce": "x"}}},
        {"datasets": {"users": {"source": "users", "dimensions": {"city": {"type": "text"}}}}},
        {"metrics": {"gmv": {"type": "summ", "dataset": "users", "expr": "a"}}},
        {"metrics": {"gmv": {"type": "sum", "dataset": "users"}}},
        {"relationships": [{"from": "users", "to": "users"}]},
        {"as_of": "yesterday"},
    ],
)
def test_the_schema_rejects_what_the_loader_refuses(change: dict[str, Any]) -> None:
    data = yaml.safe_load(BASE) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(model_json_schema()).validate(data)
    assert mistakes(yaml.safe_dump(data))


# wenshu model check


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = str(Path(sys.executable).parent / "wenshu")
    return subprocess.run([command, "model", *arguments], capture_output=True, text=True, timeout=60)


def test_the_command_prints_what_a_sound_model_has() -> None:
    done = check("check", "cdnow", "--lang", "en")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "cdnow: {} datasets, {} dimensions, {} metrics.\n".format(
        len(load_model("cdnow").datasets), len(load_model("cdnow").dimensions), len(load_model("cdnow").metrics)
    )


@pytest.mark.parametrize(
    ("language", "first"), [("en", "broken_model.yml has 24 mistakes:"), ("zh", "broken_model.yml 有 24 处错误：")]
)
def test_the_command_prints_every_mistake_and_fails(language: str, first: str) -> None:
    done = check("check", str(HERE / "broken_model.yml"), "--lang", language)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.splitlines()[0] == first and len(done.stderr.splitlines()) >= 25
    assert "Traceback" not in done.stderr


def test_the_command_prints_the_schema() -> None:
    assert json.loads(check("schema").stdout) == json.loads(json.dumps(model_json_schema()))
