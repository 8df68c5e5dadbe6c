"""Paths and last events against an oracle: random events, and a slow, obvious Python reading of docs/behaviour.md.

Events tie in time, cross midnight and the period's edges, have no user, no name or no platform; users have no events.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count, pairwise
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
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, bucket, buckets, compared_period
from wenshu.semantic_layer.query import Op, Query, Where

EXAMPLES = int(os.environ.get("WENSHU_ORACLE_EXAMPLES", "20"))
LAST = date(2024, 3, 10)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ALL = 1_000  # more rows than there can be
NAMES = ("open", "cart", "pay")
MODEL = {
    "name": "oracle",
    "as_of": LAST.isoformat(),
    "datasets": {
        "users": {"source": "users", "primary_key": "user_id", "entity": "user", "dimensions": {"city": None}},
        "events": {
            "source": "events", "primary_key": "event_id", "time": "happened_at",
            "dimensions": {
                "platform": None,
                "name": {"values": {"open": {"label": {"en": "app open", "zh": "打开"}}, "cart": None, "pay": None}},
            },
        },
    },
    "relationships": [{"from": "events", "to": "users", "on": "user_id"}],
    "metrics": {
        "actions": {"type": "count", "dataset": "events"},
        "paths": {"type": "path", "of": "actions", "dimension": "events.name", "steps": 3, "gap": 30},
        "long_paths": {"type": "path", "of": "actions", "dimension": "events.name", "steps": 2, "gap": 3000, "to": "pay"},
        "lost": {"type": "last_event", "of": "actions", "dimension": "events.name", "days": 4},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    number: int
    user: int | None
    at: datetime
    name: str | None
    platform: str | None
    city: str | None

    @property
    def day(self) -> date:
        return self.at.date()


# Random events: few users, and moments a session's pause, a second more or nothing apart --------------------------------

pauses = st.sampled_from([0, 0, 5, 30, 30, 31, 600, 1440, 4000]).map(lambda minutes: minutes * MINUTE)
starts = st.sampled_from([datetime(2024, 2, 26, 23, 50), datetime(2024, 3, 1, 0, 0), datetime(2024, 3, 3, 23, 45)])
steps = st.tuples(
    pauses, st.sampled_from([1, 1, 1, 2, 2, 3, None]), st.sampled_from([*NAMES, *NAMES, None]),
    st.sampled_from(["ios", "ios", "web", None]), st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip
walks = st.tuples(starts, st.lists(steps, min_size=3, max_size=22))
Walk = tuple[datetime, list[tuple[timedelta, int | None, str | None, str | None, int]]]
CITIES = {1: "a", 2: None, 4: "b"}  # user 3 is in no table, user 4 has no events


def events_of(walk: Walk) -> list[Event]:
    at, found = walk[0], []
    for number, (pause, user, name, platform, seconds) in enumerate(walk[1]):
        at += pause + seconds * timedelta(seconds=1)
        found.append(
            Event(-number, user, at, name, platform, CITIES.get(user or 0))
        )  # of a tie, the later one is first
    return found


@pytest.fixture(scope="module")
def layer_over(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Event]], SemanticLayer]:
    folder = tmp_path_factory.mktemp("paths")
    (folder / "model.yml").write_text(yaml.safe_dump(MODEL, sort_keys=False, allow_unicode=True), "utf-8")
    model = load_model(str(folder / "model.yml"))
    files = (folder / f"{number}.duckdb" for number in count())

    def layer(events: list[Event]) -> SemanticLayer:
        path = next(files)
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE users (user_id INT, city TEXT)")
            connection.execute(
                "CREATE TABLE events (event_id INT, user_id INT, happened_at TIMESTAMP, name TEXT, platform TEXT)"
            )
            connection.execute(
                "INSERT INTO users VALUES (?, ?), (?, ?), (?, ?)", [c for user in CITIES.items() for c in user]
            )
            holes = ", ".join(["(?, ?, ?, ?, ?)"] * len(events))
            cells = [cell for e in events for cell in (e.number, e.user, e.at, e.name, e.platform)]
            connection.execute(f"INSERT INTO events VALUES {holes}", cells)
        return SemanticLayer(model, DuckDBEngine(path, settings=EngineSettings(threads=1)), clock=lambda: LAST)

    return layer


# The oracle --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Hold a question in the oracle's terms; `split` names an event's own attributes."""

    period: DateRange
    grain: Grain | None
    split: tuple[str, ...]
    platform: str | None

    def key(self, event: Event, day: date) -> tuple[Any, ...]:
        when = (bucket(day, self.grain).start,) if self.grain else ()
        return (*when, *(getattr(event, name) for name in self.split))

    def keeps(self, event: Event) -> bool:
        return self.platform is None or event.platform == self.platform


def of_users(events: list[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda e: (e.at, e.number)):
        if event.user is not None and event.day <= LAST:
            found[event.user].append(event)
    return found


def paths(events: list[Event], asked: Asked, n: int, gap: int, start: str | None, end: str | None) -> dict[Any, Any]:
    """Return (times, users, share) by key."""
    times: dict[Any, list[int]] = defaultdict(list)
    for user, rows in of_users(events).items():
        named = [row for row in rows if row.name is not None]
        for first in range(len(named)):
            path = named[first : first + n]
            if start and end:  # up to the first end
                path = path[: next((i + 1 for i, row in enumerate(path) if i and row.name == end), 0)]
            if len(path) < (2 if start and end else n) or any(
                later.at - earlier.at > gap * MINUTE for earlier, later in pairwise(path)
            ):
                continue
            if (start and path[0].name != start) or (end and path[-1].name != end):
                continue
            dated = path[-1] if end and not start else path[0]
            if asked.period.start <= dated.day <= asked.period.end and asked.keeps(dated):
                times[*asked.key(dated, dated.day), " → ".join(str(row.name) for row in path)].append(user)
    return {
        key: (len(users), len(users) / sum(len(u) for k, u in times.items() if k[:-1] == key[:-1]), len(set(users)))
        for key, users in times.items()
    }


def lost(events: list[Event], asked: Asked, data_start: date) -> dict[Any, Any]:
    """Return (users, share) by key."""
    spans: list[tuple[date, DateRange, DateRange]] = []  # a day of the bucket, the period before, the period
    if asked.grain:
        for one in buckets(asked.period, asked.grain):
            before = bucket(one.start - DAY, asked.grain)
            inside = DateRange(max(one.start, asked.period.start), min(one.end, asked.period.end))
            spans.append((one.start, before, inside))
    elif asked.period.start > data_start:
        spans.append((asked.period.start, compared_period(asked.period, Compare.PREVIOUS), asked.period))
    else:
        start = max(asked.period.end - 3 * DAY, data_start)
        spans.append((start, DateRange(date(1900, 1, 1), start - DAY), DateRange(start, asked.period.end)))
    users: dict[Any, int] = defaultdict(int)
    for day, before, period in spans:
        for rows in of_users(events).values():
            earlier = [row for row in rows if before.start <= row.day <= before.end]
            gone = not any(period.start <= row.day <= period.end for row in rows)
            if earlier and gone and asked.keeps(earlier[-1]):
                users[*asked.key(earlier[-1], day), earlier[-1].name] += 1
    return {
        key: (number, number / sum(n for k, n in users.items() if k[:-1] == key[:-1])) for key, number in users.items()
    }


# Comparing ---------------------------------------------------------------------------------------------------------------

edges = st.sampled_from([date(2024, 2, 25) + n * DAY for n in range(15)])
periods = st.none() | st.tuples(edges, edges).map(lambda two: DateRange(min(two), max(two)))
asked_for = st.tuples(
    periods, st.sampled_from([None, None, Grain.DAY, Grain.WEEK]),
    st.sampled_from([(), (), ("platform",), ("city",), ("city", "platform")]), st.sampled_from([None, None, "ios"]),
)  # fmt: skip
numbers = st.tuples(st.sampled_from([2, 3, 4]), st.sampled_from([None, *NAMES]), st.sampled_from([None, None, *NAMES]))


def answered(layer: SemanticLayer, metric: str, asked: tuple[Any, ...]) -> tuple[dict[Any, Any], Asked] | None:
    """Return the rows that are not empty, by key, and what was asked; None where the period lies outside the data."""
    period, grain, split, platform = asked
    filters = Where(dimension="platform", op=Op.EQ, values=(platform,)) if platform else None
    limit = None if metric == "lost" else ALL
    query = Query(metrics=(metric,), dimensions=split, grain=grain, period=period, filters=filters, limit=limit)
    try:
        compiled = layer.compile(query)
    except QueryError as error:
        assert error.code == "outside_data"
        return None
    note(compiled.statement.sql)
    table = layer.run(compiled)
    keys = len(table.with_role("time", "dimension"))
    rows = {row[:keys]: row[keys:] for row in table.rows if row[keys]}
    return rounded(rows), Asked(compiled.resolved.period, grain, split, platform)


def rounded(rows: dict[Any, Any]) -> dict[Any, Any]:
    return {key: tuple(round(float(value), 9) for value in values) for key, values in rows.items()}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(walk=walks, asked=st.lists(asked_for, min_size=3, max_size=3), path=numbers)
def test_paths_are_those_of_the_oracle(layer_over: Any, walk: Walk, asked: list[Any], path: Any):
    events = events_of(walk)
    layer, (n, start, end) = layer_over(events), path
    said = [f"n={n}", *([f"from={start}"] if start else []), *([f"to={end}"] if end else [])]
    for one in asked:
        if (found := answered(layer, f"paths[{','.join(said)}]", one)) is not None:
            assert found[0] == rounded(paths(events, found[1], n, 30, start, end))
        if (found := answered(layer, "long_paths", one)) is not None:
            assert found[0] == rounded(paths(events, found[1], 2, 3000, None, "pay"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(walk=walks, asked=st.lists(asked_for, min_size=3, max_size=3))
def test_last_events_are_those_of_the_oracle(layer_over: Any, walk: Walk, asked: list[Any]):
    events = events_of(walk)
    layer, data_start = layer_over(events), min(event.day for event in events)
    for one in asked:
        if (found := answered(layer, "lost", one)) is not None:
            assert found[0] == rounded(lost(events, found[1], data_start))


# One by one --------------------------------------------------------------------------------------------------------------

MARCH = DateRange(date(2024, 3, 1), LAST)


def at(user: int, minute: int, name: str | None) -> tuple[int, int, str | None]:
    return user, minute, name


def told(layer_over: Any, rows: list[tuple[int, int, str | None]], metric: str, **query: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query over events at minutes of the first of March."""
    midnight = datetime(2024, 3, 1)
    events = [
        Event(i, user, midnight + minute * MINUTE, name, None, None) for i, (user, minute, name) in enumerate(rows)
    ]
    layer = layer_over(events)
    return list(layer.run(layer.compile(Query(metrics=(metric,), **{"period": MARCH} | query))).rows)


def test_a_pause_of_the_gap_goes_on_and_a_longer_one_ends_the_session(layer_over: Any):
    rows = [at(1, 0, "open"), at(1, 30, "cart"), at(1, 61, "pay")]
    assert told(layer_over, rows, "paths[n=2]") == [("open → cart", 1, 1.0, 1)]


def test_a_row_without_a_step_is_passed_over(layer_over: Any):
    rows = [at(1, 0, "open"), at(1, 10, None), at(1, 20, "pay")]
    assert told(layer_over, rows, "paths[n=2]") == [("open → pay", 1, 1.0, 1)]


def test_rows_of_one_moment_are_in_the_order_of_their_keys(layer_over: Any):
    assert told(layer_over, [at(1, 0, "pay"), at(1, 0, "cart")], "paths[n=2]") == [("pay → cart", 1, 1.0, 1)]


def test_a_path_is_dated_by_its_first_step_or_by_the_one_it_leads_to(layer_over: Any):
    rows = [at(1, -5, "open"), at(1, 5, "pay"), at(2, 24 * 60 - 5, "open"), at(2, 24 * 60 + 5, "pay")]
    first = DateRange(date(2024, 3, 1), date(2024, 3, 1))
    assert told(layer_over, rows, "paths[n=2]", period=first) == [("open → pay", 1, 1.0, 1)]
    assert told(layer_over, rows, "paths[n=2,to=pay]", period=first) == [("open → pay", 1, 1.0, 1)]
    assert told(layer_over, rows[:2], "paths[n=2]", period=first) == []


def test_ten_paths_are_shown_and_shares_are_of_all(layer_over: Any):
    rows = [at(user, 60 * 24 * user + 10 * k, f"step {user % 12}") for user in range(24) for k in (0, 1)]
    rows = [row for row in rows if row[1] < 9 * 24 * 60]
    many = [at(1, 40 * i + k, f"s{i}") for i in range(12) for k in (0, 1)]
    found = told(layer_over, many, "paths[n=2]")
    assert [row[0] for row in found] == sorted(f"s{i} → s{i}" for i in range(12))[:10]
    assert all(row[1:] == (1, pytest.approx(1 / 12), 1) for row in found)


def test_the_steps_are_named_in_both_languages(layer_over: Any):
    events = [Event(i, 1, datetime(2024, 3, 1, 9, i), name, None, None) for i, name in enumerate(["open", "cart"])]
    layer = layer_over(events)
    column = layer.run(layer.compile(Query(metrics=("paths[n=2]",)))).columns[0]
    assert (column.shown("open → cart", "en"), column.shown("open → cart", "zh")) == ("app open → cart", "打开 → cart")


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("paths[n=1]", "no parameter n=1"), ("paths[n=11]", "no parameter n=11"), ("paths[from=carts]", "no step"),
        ("paths[to=]", "no step"), ("paths[steps=open>pay]", "no parameter"), ("lost[n=0]", "no parameter n=0"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_refused(layer_over: Any, metric: str, message: str):
    with pytest.raises(QueryError, match=message) as error:
        told(layer_over, [at(1, 0, "open")], metric)
    assert error.value.code == "invalid_parameter"


def test_another_metric_has_no_paths(layer_over: Any):
    with pytest.raises(QueryError) as error:
        told(layer_over, [at(1, 0, "open")], "actions", dimensions=("event_path",))
    assert error.value.code == "not_joinable"
