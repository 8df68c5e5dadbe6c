"""Retention, lifecycle and funnels over a few events by hand, as product-analytics tools count them, and where ours differ."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import duckdb
import pytest
import yaml

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import query_from_json

MONDAY, LAST = date(2025, 6, 2), date(2025, 6, 30)
Metrics = dict[str, Any]
Layers = Callable[[str, Metrics], SemanticLayer]


@pytest.fixture(scope="module")
def layer_over(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    """Return the function that reads events, one user a line, as “name@day.hour.minute.second” from Monday 2 June on."""
    folder = tmp_path_factory.mktemp("analytics")
    numbers = count()

    def layer(events: str, metrics: Metrics) -> SemanticLayer:
        number = next(numbers)
        path, model = folder / f"{number}.duckdb", folder / f"{number}.yml"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE users (user_id INT)")
            connection.execute("CREATE TABLE events (id INT, user_id INT, happened_at TIMESTAMP, name TEXT)")
            connection.execute("INSERT INTO events VALUES (-1, NULL, '2025-01-01', 'none')")
            for user, line in enumerate(filter(None, map(str.strip, events.splitlines()))):
                connection.execute("INSERT INTO users VALUES (?)", [user])
                for place, event in enumerate(line.split()):
                    name, _, at = event.partition("@")
                    days, hours, minutes, seconds = ([int(part) for part in at.split(".")] + [0, 0, 0])[:4]
                    moment = datetime.combine(MONDAY, datetime.min.time())
                    moment += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
                    connection.execute(
                        "INSERT INTO events VALUES (?, ?, ?, ?)", [100 * user + place, user, moment, name]
                    )
        every = {"acts": {"type": "count", "dataset": "events"}} | {
            name: {"type": "count", "dataset": "events", "where": f"name = '{name}'"} for name in "abcd"
        }
        spec = {
            "name": "analytics", "as_of": str(LAST),
            "datasets": {
                "users": {"source": "users", "primary_key": "user_id", "entity": "user"},
                "events": {"source": "events", "primary_key": "id", "time": "happened_at",
                           "dimensions": {"name": {"values": dict.fromkeys("abcd")}}},
            },
            "relationships": [{"from": "events", "to": "users", "on": "user_id"}],
            "metrics": every | metrics,
        }  # fmt: skip
        model.write_text(yaml.safe_dump(spec, sort_keys=False))
        return SemanticLayer(
            load_model(str(model)), DuckDBEngine(path, settings=EngineSettings(threads=1)), clock=lambda: LAST
        )

    return layer


def rows(layer: SemanticLayer, metric: str, *, dimensions: tuple[str, ...] = (), grain: str | None = None, days: int = 28) -> list[dict[str, Any]]:  # fmt: skip
    period = {"start": str(MONDAY), "end": str(MONDAY + timedelta(days=days - 1))}
    query = {"metrics": [metric], "dimensions": [*dimensions], "period": period} | ({"grain": grain} if grain else {})
    table = layer.run(layer.compile(query_from_json(query)))
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


# Funnels: of a, b, c in a day unless the case says otherwise, the users who reached each step

WALKS = """
    a@0.9 b@0.10 c@0.11
    a@0.9 d@0.10 b@0.11 c@0.12
    a@0.9 a@0.10 b@0.11 b@0.12 c@0.13
    a@0.9 b@0.10 d@0.11 c@0.12
    c@0.9 b@0.10 a@0.11
    b@0.9 a@0.10 c@0.11
    a@0.9 c@0.10
    a@0.9 b@2.9 c@2.10
"""


@pytest.mark.parametrize(
    ("parameters", "reached"),
    [
        ("", [8, 4, 4]),
        ("order=ordered", [8, 4, 4]),
        ("order=strict", [8, 3, 2]),
        ("order=any", [8, 7, 6]),
        ("within=2h", [8, 4, 1]),
        ("within=60m", [8, 2, 0]),
        ("within=2d", [8, 5, 4]),
        ("within=49h", [8, 5, 5]),
        ("order=any,within=2h", [8, 7, 3]),
        ("order=strict,within=90 minutes", [8, 2, 0]),
        ("steps=a>c", [8, 6]),
        ("steps=a>c,order=strict", [8, 2]),
        ("steps=a>a", [8, 1]),
        ("steps=b>c,order=any,n=0", [8, 0]),
    ],
)
def test_users_who_reach_each_step(layer_over: Layers, parameters: str, reached: list[int]) -> None:
    funnel = {"type": "funnel", "dimension": "events.name", "steps": ["a", "b", "c"], "within": 1}
    metric = f"f[{parameters}]" if parameters else "f"
    found = rows(layer_over(WALKS, {"f": funnel}), metric, dimensions=("funnel_step",))
    converted = next(key for key in found[0] if key.endswith("_converted"))
    assert [row[converted] for row in found] == reached


def test_order_and_window_of_the_model(layer_over: Layers) -> None:
    steps = {"type": "funnel", "dimension": "events.name", "steps": ["a", "b", "c"]}
    layer = layer_over(WALKS, {"f": steps | {"within": "2 hours", "order": "any"}, "g": steps | {"within": "7 days"}})
    assert rows(layer, "f")[0]["f_converted"] == 3
    assert rows(layer, "g")[0]["g_converted"] == 5
    assert [row["funnel_step"] for row in rows(layer, "f", dimensions=("funnel_step",))] == ["1", "2", "3"]


@pytest.mark.parametrize("within", ["soon", "", "-1", "2 fortnights", 1001, "1.5 hours"])
def test_a_window_that_is_none_is_told_with_its_line(layer_over: Layers, within: object) -> None:
    with pytest.raises(ModelError, match="within|window"):
        layer_over("a@0", {"f": {"type": "funnel", "dimension": "events.name", "steps": ["a", "b"], "within": within}})


def test_a_second_is_long_enough_and_the_end_of_the_window_belongs_to_it(layer_over: Layers) -> None:
    funnel = {"type": "funnel", "dimension": "events.name", "steps": ["b", "c", "d"], "within": "2 seconds"}
    layer = layer_over("a@0.0.0.0 b@0.0.0.1 c@0.0.0.2 d@0.0.0.3\nb@0.0.0.1 c@0.0.0.2 d@0.0.0.4", {"f": funnel})
    assert [row["f_converted"] for row in rows(layer, "f", dimensions=("funnel_step",))] == [2, 2, 1]


def test_a_window_that_is_not_over_by_the_end_of_the_last_day_is_left_out(layer_over: Layers) -> None:
    funnel = {"type": "funnel", "dimension": "events.name", "steps": ["a", "b"], "within": "2 hours"}
    layer = layer_over("a@28.21.59.59 b@28.22\na@28.22 b@28.22\na@28.23", {"f": funnel})
    (row,) = rows(layer, "f", days=29)
    assert (row["f_entered"], row["f_converted"], row["f_left_out"]) == (1, 1, 2)


def test_later_entries_of_a_user_are_not_tried(layer_over: Layers) -> None:
    """Differs from tools that take a user's best attempt: there this user converts on the second day."""
    funnel = {"type": "funnel", "dimension": "events.name", "steps": ["a", "b"], "within": 1}
    layer = layer_over("a@0 a@5 b@5.1", {"f": funnel})
    assert [(row["f_entered"], row["f_converted"]) for row in rows(layer, "f")] == [(1, 0)]


@pytest.mark.parametrize(
    ("metric", "label", "zh"),
    [
        ("f", "the funnel", "漏斗"),
        ("f[steps=a>c]", "a → c conversion", "a到c转化率"),
        ("f[steps=c>b>a,within=90m]", "c → b → a conversion (within 90 minutes)", "c到b到a转化率（90 分钟内）"),
        ("f[n=1]", "the funnel (within 1 day)", "漏斗（1 天内）"),
        ("f[order=any,within=24h]", "the funnel (within 1 day, in any order)", "漏斗（1 天内，不限顺序）"),
    ],
)
def test_a_label_says_what_the_question_chose(layer_over: Layers, metric: str, label: str, zh: str) -> None:
    funnel = {
        "type": "funnel",
        "dimension": "events.name",
        "steps": ["a", "b"],
        "label": {"en": "the funnel", "zh": "漏斗"},
    }
    found = layer_over("a@0", {"f": funnel}).model.metric(metric).label
    assert (found.en, found.zh) == (label, zh)


# Retention, lifecycle, activity


def test_recurring_retention_by_day(layer_over: Layers) -> None:
    """A user enters the cohort of every day with a start; cells that cannot be seen yet are empty where others write 0."""
    layer = layer_over("a@0 a@1 a@3\na@0 a@3", {"r": {"type": "retention", "start": "a", "return": "acts", "on": 3, "cohort": "recurring"}})  # fmt: skip
    found = rows(layer, "r", dimensions=("period_number",), grain="day", days=4)
    cells = {(row["day"].day - MONDAY.day, row["period_number"]): (row["r_cohort"], row["r_retained"]) for row in found}
    assert [cells[0, n] for n in range(4)] == [(2, 2), (2, 1), (2, 0), (2, 2)]
    assert [cells[1, n] for n in range(3)] == [(1, 1), (1, 0), (1, 1)]
    assert cells[3, 0] == (2, 2)


@pytest.mark.parametrize(("times", "retained"), [(1, 2), (2, 1), (3, 0)])
def test_so_many_times_on_the_day(layer_over: Layers, times: int, retained: int) -> None:
    retention = {"type": "retention", "start": "a", "return": "b", "on": 1}
    layer = layer_over(
        "a@0 b@1.9 b@1.10 b@2\na@0 b@1 b@2 b@2.1", {"r": retention | {"times": times}, "once": retention}
    )
    assert rows(layer, "r")[0]["r_retained"] == retained
    assert rows(layer, f"once[times={times}]")[0][f"once_times_{times}_retained"] == retained
    assert rows(layer, f"once[n=2,times={times}]")[0][f"once_2_times_{times}_retained"] == (2, 1, 0)[times - 1]


def test_lifecycle_by_day(layer_over: Layers) -> None:
    layer = layer_over("a@0 a@1 a@3\nb@1 b@2", {"l": {"type": "lifecycle", "of": "acts", "start": "acts"}})
    found = {(row["day"].day - MONDAY.day, row["lifecycle_stage"]): row["l"] for row in rows(layer, "l", dimensions=("lifecycle_stage",), grain="day", days=5)}  # fmt: skip
    stages = ("new", "returning", "resurrecting", "dormant")
    assert [[found[day, stage] for stage in stages] for day in range(5)] == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 0, 1],
        [0, 0, 1, 1],
        [0, 0, 0, 1],
    ]
