"""Funnels in every order and with windows of any length against an oracle: random rows, and a slow, obvious Python reading.

WENSHU_ORACLE_EXAMPLES=2000 tries more tables, other ones in every run.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Op, Query, Where

MORE = os.environ.get("WENSHU_ORACLE_EXAMPLES")
LAST = date(2024, 3, 10)
Cells = dict[str, Any]
Key = tuple[Any, ...]

# The model: steps of one dataset, steps of two, and a step that any row takes

WINDOWS = {
    "0": timedelta(), "45s": timedelta(seconds=45), "30m": timedelta(minutes=30), "90 minutes": timedelta(minutes=90),
    "2h": timedelta(hours=2), "36 hours": timedelta(hours=36), "1": timedelta(days=1), "3d": timedelta(days=3), "1 week": timedelta(weeks=1),
}  # fmt: skip
ORDERS = ("ordered", "strict", "any")
TWO_DATASETS = {
    "looked": ("events", "name IN ('open', 'cart')", lambda row: row["name"] in ("open", "cart")),
    "cart": ("events", "name = 'cart'", lambda row: row["name"] == "cart"),
    "bought": ("orders", "paid", lambda row: row["paid"]),
    "ordered": ("orders", None, lambda row: True),
}
MODEL = {
    "name": "funnels",
    "as_of": LAST.isoformat(),
    "datasets": {
        "users": {"source": "users", "primary_key": "user_id", "entity": "user", "dimensions": {"city": None}},
        "events": {"source": "events", "primary_key": "id", "time": "happened_at",
                   "dimensions": {"platform": None, "name": {"values": {"open": None, "cart": None, "pay": None, "other": None}}}},
        "orders": {"source": "orders", "primary_key": "id", "time": "happened_at", "dimensions": {"platform": None}},
    },
    "relationships": [{"from": "events", "to": "users", "on": "user_id"}, {"from": "orders", "to": "users", "on": "user_id"}],
    "metrics": {
        "actions": {"type": "count", "dataset": "events"},
        "funnel": {"type": "funnel", "dimension": "events.name", "steps": ["open", "cart", "pay"], "within": "2 hours"},
        "two_datasets": {"type": "funnel", "within": "3 days", "order": "strict", "steps": [
            {"name": name, "dataset": dataset, **({"where": where} if where else {})} for name, (dataset, where, _) in TWO_DATASETS.items()
        ]},
    },
}  # fmt: skip

# Random rows: few users and moments, so that times tie, steps repeat and windows end exactly at a row

STARTS = [datetime(2024, 3, 1, 9), datetime(2024, 3, 4, 23, 50), datetime(2024, 3, 9, 9), datetime(2024, 3, 10, 22)]
AFTER = [0, 0, 1, 45, 46, 1800, 1801, 5400, 7200, 7201, 86_400, 129_600, 259_200, 604_800]
moments = st.builds(
    lambda start, after: start + timedelta(seconds=after), st.sampled_from(STARTS), st.sampled_from(AFTER)
)
users, platforms = st.sampled_from([None, 1, 1, 1, 2, 2, 3]), st.sampled_from([None, "ios", "web"])
tables = st.fixed_dictionaries(
    {
        "events": st.lists(st.tuples(users, moments, platforms, st.sampled_from(["open", "cart", "pay", "open", "cart", "other"])), min_size=6, max_size=26),
        "orders": st.lists(st.tuples(users, moments, platforms, st.booleans()), min_size=1, max_size=8),
    }
)  # fmt: skip
Tables = dict[str, list[tuple[Any, ...]]]
CITIES = {1: "a", 2: None, 3: "b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold what one query asks for, apart from the query's own form."""

    name: str
    steps: tuple[str, ...] | None
    window: str | None
    order: str | None
    dimensions: tuple[str, ...]
    by_step: bool
    grain: Grain | None
    filtered: str | None
    period: DateRange

    def query(self) -> Query:
        given = {"steps": ">".join(self.steps) if self.steps else None, "within": self.window, "order": self.order}
        inside = ",".join(f"{key}={value}" for key, value in given.items() if value is not None)
        where = Where(dimension="platform", op=Op.EQ, values=(self.filtered,)) if self.filtered else None
        return Query(
            metrics=(f"{self.name}[{inside}]" if inside else self.name,), filters=where, period=self.period, grain=self.grain,
            dimensions=(*self.dimensions, *(("funnel_step",) if self.by_step else ())),
        )  # fmt: skip


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    name = draw(st.sampled_from(["funnel", "two_datasets"]))
    known = ["open", "cart", "pay", "other"] if name == "funnel" else [*TWO_DATASETS]
    start = draw(st.sampled_from([date(2024, 3, 1), date(2024, 3, 4), date(2024, 3, 9)]))
    end = draw(st.sampled_from([date(2024, 3, 4), date(2024, 3, 9), LAST]))
    return Asked(
        name=name,
        steps=draw(st.none() | st.lists(st.sampled_from(known), min_size=2, max_size=4).map(tuple)),
        window=draw(st.none() | st.sampled_from([*WINDOWS])),
        order=draw(st.none() | st.sampled_from(ORDERS)),
        dimensions=draw(st.sampled_from([(), (), ("platform",), ("city",)])),
        by_step=draw(st.booleans()),
        grain=draw(st.sampled_from([None, None, Grain.DAY])),
        filtered=draw(st.sampled_from([None, None, "ios"])),
        period=DateRange(min(start, end), end),
    )


# The oracle


def observed(data: Tables, today: date) -> dict[str, list[Cells]]:
    """Return the rows of users up to the last day, by dataset, in order."""
    out: dict[str, list[Cells]] = {}
    for table, rows in data.items():
        cells = [
            {"id": i, "dataset": table, "user": user, "at": at, "platform": platform, "city": CITIES.get(user),
             "name": last if table == "events" else None, "paid": last is True}
            for i, (user, at, platform, last) in enumerate(rows)
        ]  # fmt: skip
        out[table] = sorted(
            (row for row in cells if row["user"] is not None and row["at"].date() <= today),
            key=lambda row: (row["at"], row["id"]),
        )
    return out


def steps_of(asked: Asked) -> list[tuple[str, str, Callable[[Cells], bool]]]:
    """Return the name, the dataset and the condition of each step."""
    if asked.name == "funnel":
        names = asked.steps or ("open", "cart", "pay")
        return [(name, "events", lambda row, name=name: row["name"] == name) for name in names]  # type: ignore[misc]
    return [(name, TWO_DATASETS[name][0], TWO_DATASETS[name][2]) for name in asked.steps or TWO_DATASETS]


def walk(asked: Asked, rows: list[Cells], entry: Cells, window: timedelta, order: str) -> list[datetime]:
    """Return the moments at which a user took the first step, the second and so on, as far as they got."""
    steps = steps_of(asked)
    datasets = {dataset for _, dataset, _ in steps}
    inside = [r for r in rows if r["dataset"] in datasets and entry["at"] <= r["at"] <= entry["at"] + window]

    def takes(row: Cells, step: int) -> bool:
        return row["dataset"] == steps[step][1] and steps[step][2](row)

    if order == "any":
        taken = []
        for number, (name, _, _) in enumerate(steps):
            nth = [other for other, _, _ in steps[:number]].count(name)
            taken += [row["at"] for row in inside if takes(row, number)][nth : nth + 1]
        return sorted(taken)
    reached, used = [entry["at"]], [entry]
    for number in range(1, len(steps)):
        before = reached[-1]
        same_steps = [u for u, (name, _, _) in zip(used, steps, strict=False) if name == steps[number][0]]
        following = [
            r for r in inside if takes(r, number) and r["at"] >= before and all(r is not u for u in same_steps)
        ]
        if not following:
            break
        moment = following[0]["at"]
        between = [r for r in inside if before < r["at"] < moment and not takes(r, number - 1)]
        if order == "strict" and between:
            break
        reached.append(moment)
        used.append(following[0])
    return reached


def answer(asked: Asked, data: Tables, today: date) -> dict[Key, tuple[Any, ...]]:
    """Return the counts by key: entered, converted, left_out or, by step, users, users before, median hours, left_out."""
    rows = observed(data, today)
    steps = steps_of(asked)
    window = (
        WINDOWS[asked.window] if asked.window else timedelta(hours=2) if asked.name == "funnel" else timedelta(days=3)
    )
    order = asked.order or ("ordered" if asked.name == "funnel" else "strict")
    last_moment = datetime.combine(today + timedelta(days=1), datetime.min.time())
    datasets = list(dict.fromkeys(dataset for _, dataset, _ in steps))
    found: dict[Key, list[tuple[bool, list[datetime]]]] = {}
    for user in (1, 2, 3):
        own = [row for dataset in datasets for row in rows[dataset] if row["user"] == user]
        own.sort(key=lambda row: (row["at"], datasets.index(row["dataset"]), row["id"]))
        first = range(len(steps)) if order == "any" else range(1)
        entry = next(
            (
                row for row in own
                if any(row["dataset"] == steps[n][1] and steps[n][2](row) for n in first)
                and asked.period.start <= row["at"].date() <= asked.period.end and asked.filtered in (None, row["platform"])
            ),
            None,
        )  # fmt: skip
        if entry is None:
            continue
        key = ((entry["at"].date(),) if asked.grain else ()) + tuple(entry[name] for name in asked.dimensions)
        is_over = entry["at"] + window < last_moment
        found.setdefault(key, []).append((is_over, walk(asked, own, entry, window, order)))
    if not asked.grain and not asked.dimensions:
        found.setdefault((), [])
    names = [step[0] for step in steps]
    labels = [n if names[:i].count(n) == 0 else f"{n}_{names[:i].count(n) + 1}" for i, n in enumerate(names)]
    if order == "any":
        labels = [str(n + 1) for n in range(len(steps))]
    out: dict[Key, tuple[Any, ...]] = {}
    for key, walks in found.items():
        over = [reached for is_over, reached in walks if is_over]
        users = [sum(len(reached) > n for reached in over) for n in range(len(steps))]
        left_out = len(walks) - len(over)
        if not asked.by_step:
            out[key] = (quotient(users[-1], users[0]), users[0], users[-1], left_out)
            continue
        for n, label in enumerate(labels):
            waits = [(reached[n] - reached[n - 1]) / timedelta(hours=1) for reached in over if 0 < n < len(reached)]
            middle = median(waits) if waits else None
            rates = quotient(users[n], users[0]), quotient(users[n], users[max(n - 1, 0)])
            out[(*key, label)] = (rates[0], users[n], rates[1], middle, n + 1, left_out)
    return out


def quotient(above: int, below: int) -> float | None:
    return above / below if below else None


def close(ours: Any, theirs: Any) -> bool:
    return ours == theirs or (isinstance(ours, float) and theirs is not None and abs(ours - theirs) < 1e-9)


# The comparison


@pytest.fixture(scope="module")
def layer_over(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tables], SemanticLayer]:
    folder = tmp_path_factory.mktemp("funnels")
    (folder / "model.yml").write_text(yaml.safe_dump(MODEL, sort_keys=False))
    model = load_model(str(folder / "model.yml"))
    files = (folder / f"{number}.duckdb" for number in count())

    def layer(data: Tables) -> SemanticLayer:
        path = next(files)
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE users (user_id INT, city TEXT)")
            connection.execute("INSERT INTO users VALUES (1, 'a'), (2, NULL), (3, 'b')")
            connection.execute("CREATE TABLE events (id INT, user_id INT, happened_at TIMESTAMP, platform TEXT, name TEXT)")
            connection.execute("CREATE TABLE orders (id INT, user_id INT, happened_at TIMESTAMP, platform TEXT, paid BOOLEAN)")
            for table, rows in data.items():
                cells = [cell for i, row in enumerate(rows) for cell in (i, *row)]
                connection.execute(f"INSERT INTO {table} VALUES {', '.join(['(?, ?, ?, ?, ?)'] * len(rows))}", cells)
            for table, last in (("events", "'other'"), ("orders", "FALSE")):  # the data begin before any period
                connection.execute(f"INSERT INTO {table} VALUES (-1, NULL, '2024-02-01', NULL, {last})")
        return SemanticLayer(model, DuckDBEngine(path, settings=EngineSettings(threads=1)), clock=lambda: LAST)

    return layer


@settings(max_examples=int(MORE or 30), derandomize=MORE is None, suppress_health_check=list(HealthCheck))
@given(
    data=tables,
    asked=st.lists(questions(), min_size=10, max_size=10),
    today=st.sampled_from([LAST, LAST, date(2024, 3, 9), date(2024, 3, 4)]),
)
def test_funnels_are_those_of_the_oracle(
    layer_over: Callable[[Tables], SemanticLayer], data: Tables, asked: list[Asked], today: date
) -> None:
    layer = layer_over(data)
    try:
        for one in asked:
            note(str(one))
            try:
                compiled = layer.compile(one.query(), today=today)
            except QueryError as error:
                assert error.code == "outside_data", error.message.en
                continue
            note(compiled.sql)
            expected = answer(one, data, today)
            table = layer.run(compiled, max_rows=100_000)
            width = len(compiled.resolved.keys)
            keys = [column.name for column in table.columns[:width]]
            order = [
                keys.index(name)
                for name in (
                    *(["day"] if one.grain else []),
                    *one.dimensions,
                    *(["funnel_step"] if one.by_step else []),
                )
            ]
            found = {tuple(row[i] for i in order): row[width:] for row in table.rows}
            if one.grain:  # every day of the period has its rows
                found = {key: cells for key, cells in found.items() if key in expected or any(cells[1:2])}
            note(f"expected {expected}")
            note(f"found {found}")
            assert set(found) == set(expected)
            for key, cells in expected.items():
                assert len(found[key]) == len(cells) and all(map(close, found[key], cells)), key
    finally:
        layer.engine.close()
