"""Behavioural metrics against an oracle: random users, events and orders, and a slow, obvious Python reading of the definitions.

WENSHU_ORACLE_EXAMPLES=2000 tries more shops, other ones in every run.
"""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, pairwise, product
from statistics import median
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import (
    MONTHS,
    Compare,
    DateRange,
    Grain,
    add_months,
    bucket,
    bucket_start,
    buckets,
    compared_period,
)
from wenshu.semantic_layer.query import And, Filter, Not, Op, Or, Query, UsersWith, Where

MORE = os.environ.get("WENSHU_ORACLE_EXAMPLES")
SHOPS, QUERIES = int(MORE or 80), 10
MONDAY, LAST = date(2024, 1, 29), date(2024, 4, 5)
DAY = timedelta(days=1)
Row = dict[str, Any]
Key = tuple[Any, ...]

# The model --------------------------------------------------------------------------------------------------------------

MODES: dict[str, Any] = {"on": 1, "on_or_after": 1, "within": 3, "bracket": [0, 2]}
STAGES = ("new", "returning", "resurrecting", "dormant")
RETENTION = {
    f"retention_{start}_{mode}_{unit}_{cohort}_{window}": {
        "type": "retention", "start": start, "return": "actions", mode: MODES[mode], "unit": unit, "cohort": cohort, "window": window,
    }
    for start, mode, unit, cohort, window in product(
        ("registrations", "opens"), MODES, ("hour", "day", "week", "month"), ("first", "recurring"), ("calendar", "hours")
    )
    if window == "calendar" or unit == "day"
}  # fmt: skip
FUNNELS = {
    "funnel": {"type": "funnel", "dimension": "events.name", "steps": ["open", "cart", "pay"], "within": 2},
    "funnel_to_order": {"type": "funnel", "within": 3, "steps": [
        {"name": "joined", "dataset": "users"}, {"name": "opened", "dataset": "events", "where": "name = 'open' OR name = 'cart'"},
        {"name": "bought", "dataset": "orders", "where": "paid"}, {"name": "bought_again", "dataset": "orders", "where": "paid"},
    ]},
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "repurchase": {"type": "repurchase", "of": "orders", "times": 2},
    "repurchase_within": {"type": "repurchase_within", "of": "orders", "days": 3},
    "back": {"type": "period_return", "of": "active_users"},
    "lost": {"type": "period_return", "of": "orders", "lost": True},
    "order_gap": {"type": "interval", "of": "orders"},
    "open_gap": {"type": "interval", "of": "opens"},
    "ltv": {"type": "ltv", "start": "registrations", "value": "spend", "days": 3},
    "ltv_of_opens": {"type": "ltv", "start": "opens", "value": "orders", "days": 3},
    "lifecycle": {"type": "lifecycle", "of": "active_users", "start": "registrations"},
    "lifecycle_of_opens": {"type": "lifecycle", "of": "actions", "start": "opens"},
    **{stage: {"type": "lifecycle", "of": "active_users", "start": "registrations", "stage": stage} for stage in STAGES},
    "dau": {"type": "average_over", "metric": "active_users", "over": "day"},
    "wau": {"type": "average_over", "metric": "active_users", "over": "week"},
    "daily_spend": {"type": "average_over", "metric": "spend", "over": "day"},
}  # fmt: skip
BEHAVIOUR: dict[str, dict[str, Any]] = {**RETENTION, **FUNNELS, **OTHERS}
MODEL = {
    "name": "oracle",
    "as_of": LAST.isoformat(),
    "datasets": {
        "users": {"source": "users", "primary_key": "user_id", "entity": "user", "time": "joined_at", "dimensions": {"city": None}},
        "events": {"source": "events", "primary_key": "event_id", "time": "happened_at",
                   "dimensions": {"platform": None, "name": {"values": {"open": None, "cart": None, "pay": None}}}},
        "orders": {"source": "orders", "primary_key": "order_id", "time": "ordered_at", "dimensions": {"platform": None}},
    },
    "relationships": [{"from": "events", "to": "users", "on": "user_id"}, {"from": "orders", "to": "users", "on": "user_id"}],
    "metrics": {
        "registrations": {"type": "count", "dataset": "users"},
        "actions": {"type": "count", "dataset": "events"},
        "opens": {"type": "count", "dataset": "events", "where": "name = 'open'"},
        "active_users": {"type": "count_distinct", "dataset": "events", "expr": "user_id"},
        "orders": {"type": "count", "dataset": "orders", "where": "paid"},
        "spend": {"type": "sum", "dataset": "orders", "expr": "amount", "where": "paid"},
        **BEHAVIOUR,
    },
    "segments": {"rfm": {"type": "rfm", "of": "orders", "value": "spend", "window": 20}},
}  # fmt: skip
ANCHORS = {
    "registrations": "users", "actions": "events", "opens": "events", "active_users": "events", "orders": "orders", "spend": "orders",
}  # fmt: skip

# Random shops: few days and hours, so that times tie, repeat and lie at the borders of days -----------------------------

clock = st.sampled_from([timedelta(), timedelta(hours=9), timedelta(hours=9, seconds=1), timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)])  # fmt: skip
near = st.integers(0, 8) | st.integers(30, 38) | st.integers(0, 66)
moments = st.builds(lambda day, time: datetime(2024, 1, 29) + day * DAY + time, near, clock)
ids = st.sampled_from([None, 1, 1, 2, 2, 3, 5])
FIRST = (9, datetime(2024, 1, 29), None)  # whose rows the data begin with
names, platforms = st.sampled_from(["open", "cart", "pay"]), st.sampled_from([None, "ios", "web"])
shops = st.fixed_dictionaries(
    {
        "users": st.lists(st.tuples(st.integers(1, 4), moments, st.sampled_from([None, "a", "b"])), max_size=4, unique_by=lambda row: row[0]).map(lambda rows: [FIRST, *rows]),
        "events": st.lists(st.tuples(ids, moments, names, platforms), min_size=4, max_size=24),
        "orders": st.lists(st.tuples(ids, moments, st.sampled_from([True, True, True, False]), st.sampled_from([0.0, 10.25, 10.25, 99.5]), platforms), min_size=2, max_size=14).map(lambda rows: [(*FIRST[:2], True, 5.0, None), *rows]),
    }
)  # fmt: skip
Shop = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def layer_over(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shop], SemanticLayer]:
    folder = tmp_path_factory.mktemp("behaviour")
    (folder / "model.yml").write_text(yaml.safe_dump(MODEL, sort_keys=False))
    model = load_model(str(folder / "model.yml"))
    files = (folder / f"{number}.duckdb" for number in count())

    def layer(shop: Shop) -> SemanticLayer:
        path = next(files)
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE users (user_id INT, joined_at TIMESTAMP, city TEXT)")
            connection.execute("CREATE TABLE events (event_id INT, user_id INT, happened_at TIMESTAMP, name TEXT, platform TEXT)")
            connection.execute(
                "CREATE TABLE orders (order_id INT, user_id INT, ordered_at TIMESTAMP, paid BOOLEAN, amount DOUBLE, platform TEXT)"
            )
            for table, rows in shop.items():
                numbered = rows if table == "users" else [(i, *row) for i, row in enumerate(rows)]
                if numbered:
                    holes = f"({', '.join('?' * len(numbered[0]))})"
                    cells = [cell for row in numbered for cell in row]
                    connection.execute(f"INSERT INTO {table} VALUES {', '.join([holes] * len(numbered))}", cells)
        engine = DuckDBEngine(path, settings=EngineSettings(threads=1))
        return SemanticLayer(model, engine, clock=lambda: LAST)

    return layer


# What is asked ----------------------------------------------------------------------------------------------------------


def start_of(spec: dict[str, Any]) -> str:
    """Return the aggregate or table whose rows a metric starts from."""
    return str(spec.get("start") or spec.get("of") or spec.get("metric") or ("users" if "dimension" not in spec else "opens"))


@st.composite
def filters(draw: st.DrawFn, table: str) -> Filter:
    words = {"city": ["a", "b"], "platform": ["ios", "web"], "rfm_tier": ["champions", "hibernating", "new or occasional"]}
    if table == "users":
        del words["platform"]
    kind = draw(st.sampled_from(["where", "where", "users", "and", "or", "not"]))
    if kind == "users":
        metric = draw(st.sampled_from(["orders", "spend", "actions", "active_users"]))
        op = draw(st.sampled_from([Op.GE, Op.GT, Op.LT, Op.LE, Op.EQ, Op.NE]))
        value = draw(st.sampled_from([0, 1, 2, 10.25, "average"]))
        return UsersWith(metric=metric, op=op, value=value, period=draw(st.none() | periods))
    if kind in ("and", "or"):
        parts = (draw(filters(table)), draw(filters(table)))
        return And(parts=parts) if kind == "and" else Or(parts=parts)
    if kind == "not":
        return Not(part=draw(filters(table)))
    name = draw(st.sampled_from(sorted(words)))
    op = draw(st.sampled_from([Op.EQ, Op.EQ, Op.NE, Op.EMPTY]))
    return Where(dimension=name, op=op, values=() if op is Op.EMPTY else (draw(st.sampled_from(words[name])),))


days = st.integers(0, (LAST - MONDAY).days).map(lambda n: MONDAY + n * DAY)
periods = st.builds(lambda a, b: DateRange(min(a, b), max(a, b)), days, days) | st.sampled_from(
    [DateRange(date(2024, 2, 1), date(2024, 2, 29)), DateRange(date(2024, 3, 1), date(2024, 3, 31)), DateRange(date(2024, 3, 4), date(2024, 3, 10))]
)  # fmt: skip


@st.composite
def queries(draw: st.DrawFn) -> Query:
    family = draw(st.sampled_from([RETENTION, RETENTION, FUNNELS, OTHERS, OTHERS, OTHERS]))
    name = draw(st.sampled_from(sorted(family)))
    spec = BEHAVIOUR[name]
    table = ANCHORS.get(start_of(spec), "users")
    dimensions = ["city", "rfm_tier", "weekday"] if table == "users" else ["city", "platform", "rfm_tier", "weekday"]
    chosen = draw(st.lists(st.sampled_from(dimensions), max_size=2, unique=True))
    own = {"retention": "period_number", "ltv": "period_number", "funnel": "funnel_step", "lifecycle": "lifecycle_stage"}
    if spec["type"] in own and draw(st.booleans()):
        chosen.append(own[spec["type"]])
    parameters = []
    if spec["type"] in ("retention", "ltv", "repurchase", "repurchase_within", "funnel") and draw(st.booleans()):
        parameters.append(f"n={draw(st.integers(1, 5))}")
    if name == "funnel" and draw(st.booleans()):
        parameters.append("steps=" + ">".join(draw(st.lists(names, min_size=2, max_size=4))))
    grain = draw(st.sampled_from([None, None, None, Grain.DAY, Grain.WEEK, Grain.MONTH]))
    compare = draw(st.sampled_from([None, None, None, Compare.PREVIOUS]))
    kept = draw(filters(table)) if draw(st.integers(0, 9)) < 4 else None
    if spec["type"] == "average_over" and draw(st.booleans()):
        weekend = Where(dimension="day_type", op=Op.EQ, values=("weekend",))
        kept = And(parts=(weekend, kept)) if kept else weekend
    return Query(
        metrics=(f"{name}[{','.join(parameters)}]" if parameters else name,), dimensions=tuple(chosen), grain=grain,
        period=draw(st.none() | periods), filters=kept, compare=compare,
    )  # fmt: skip


# The oracle: what the definitions say, row by row -------------------------------------------------------------------------


LENGTHS = {Grain.HOUR: timedelta(hours=1), Grain.DAY: DAY, Grain.WEEK: 7 * DAY}


def unit_start(moment: datetime, unit: Grain) -> datetime:
    if unit is Grain.HOUR:
        return moment.replace(minute=0, second=0, microsecond=0)
    return datetime.combine(bucket_start(moment.date(), unit), datetime.min.time())


def units_later(start: datetime, number: int, unit: Grain) -> datetime:
    if unit is Grain.MONTH:
        return datetime.combine(add_months(start.date(), number), start.time())
    return start + number * LENGTHS[unit]


def units_apart(start: datetime, end: datetime, unit: Grain) -> int:
    if unit is Grain.MONTH:
        return (end.year - start.year) * 12 + end.month - start.month
    return (end - start) // LENGTHS[unit]


@dataclass
class Oracle:
    """Hold the rows of a shop and one query; `counts` gives what its metric counts over a period, by the keys."""

    shop: Shop
    query: Query
    today: date
    period: DateRange
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        users = {user: {"city": city, "joined_at": at} for user, at, city in self.shop["users"]}
        self.tables["users"] = [{"user": u, "at": at, "id": u, "value": 1, "city": city} for u, at, city in self.shop["users"]]
        self.tables["events"] = [
            {"user": u, "at": at, "id": i, "value": 1, "name": name, "platform": platform}
            for i, (u, at, name, platform) in enumerate(self.shop["events"])
        ]
        self.tables["orders"] = [
            {"user": u, "at": at, "id": i, "value": amount, "platform": platform, "paid": paid}
            for i, (u, at, paid, amount, platform) in enumerate(self.shop["orders"])
        ]
        self.known = users
        tiers = rfm_tiers([row for row in self.rows("orders")], self.today)
        for row in (row for rows in self.tables.values() for row in rows):
            row["city"] = users.get(row["user"], {}).get("city")
            row["rfm_tier"] = tiers.get(row["user"]) if row["user"] in users else None
            row["weekday"] = row["at"].isoweekday()
            row["day_type"] = "weekend" if row["at"].isoweekday() > 5 else "weekday"
        name, _, inside = self.query.metrics[0].partition("[")
        self.name, self.spec = name, BEHAVIOUR[name]
        self.parameters = dict(item.split("=") for item in inside.rstrip("]").split(",") if item)
        self.own = next((d for d in self.query.dimensions if d in ("period_number", "funnel_step", "lifecycle_stage")), None)
        if self.name.startswith("lifecycle") and self.own is None:
            self.own = "lifecycle_stage"
        self.dimensions = [d for d in self.query.dimensions if d != self.own]

    # rows

    def rows(self, aggregate: str) -> list[Row]:
        """Return the rows of an aggregate that have a user, in order."""
        keeps: dict[str, Callable[[Row], bool]] = {
            "opens": lambda row: row["name"] == "open",
            "orders": lambda row: row["paid"],
            "spend": lambda row: row["paid"],
        }
        table = ANCHORS.get(aggregate, "users")
        found = [row for row in self.tables[table] if row["user"] is not None and keeps.get(aggregate, lambda _: True)(row)]
        return sorted(found, key=lambda row: (row["at"], row["id"]))

    def until_today(self, aggregate: str) -> list[Row]:
        return [row for row in self.rows(aggregate) if row["at"].date() <= self.today]

    def inside(self, aggregate: str, period: DateRange) -> list[Row]:
        return [row for row in self.rows(aggregate) if period.start <= row["at"].date() <= period.end]

    def kept(self, row: Row) -> bool:
        groups_tiers = "rfm_tier" in self.dimensions
        return holds(self, self.query.filters, row) is True and not (groups_tiers and row["rfm_tier"] is None)

    def key(self, row: Row, bucket: date | None = None) -> Key:
        own_bucket = (bucket or self.bucket(row["at"].date()),) if self.query.grain else ()
        return (*own_bucket, *(row[name] for name in self.dimensions))

    def bucket(self, day: date) -> date:
        assert self.query.grain is not None
        return bucket_start(day, self.query.grain)

    def number(self, default: int) -> int:
        return int(self.parameters.get("n", default))

    # metrics

    def counts(self, period: DateRange, previous: DateRange) -> dict[Key, Row]:
        """Return what is counted by each key; `previous` is the period before, where there is no series."""
        match self.spec["type"]:
            case "retention":
                return self.retention(period)
            case "ltv":
                return self.lifetime_value(period)
            case "repurchase":
                return self.repurchase(period)
            case "repurchase_within":
                return self.repurchase_within(period)
            case "interval":
                return self.interval(period)
            case "period_return":
                return self.period_return(period, previous)
            case "lifecycle":
                return self.lifecycle(period, previous)
            case "average_over":
                return self.average_over(period)
        return self.funnel(period)

    def entries(self, period: DateRange, unit: Grain, *, first: bool) -> list[tuple[Row, datetime, datetime]]:
        """Return who entered, with the start of the unit and the moment."""
        out: dict[Any, tuple[Row, datetime, datetime]] = {}
        met: set[int] = set()
        for row in self.rows(self.spec["start"]):
            is_first = row["user"] not in met
            met.add(row["user"])
            if first and not is_first or not period.start <= row["at"].date() <= period.end or not self.kept(row):
                continue
            entered = unit_start(row["at"], unit)
            out.setdefault((row["user"], entered, self.key(row)), (row, entered, row["at"]))
        return list(out.values())

    def retention(self, period: DateRange) -> dict[Key, Row]:
        mode = next(mode for mode in MODES if mode in self.spec)
        low, high = (0, 2) if mode == "bracket" else (1, self.spec.get(mode))
        n = self.number(high)
        if mode in ("on", "on_or_after"):
            low = n
        unit, hours = Grain(self.spec["unit"]), self.spec["window"] == "hours"
        numbers = [n] if self.own is None else list(range(low, n + 1)) if mode in ("within", "bracket") else list(range(n + 1))
        out = Counts("cohort", "retained", "left_out")
        for row, entered, at in self.entries(period, unit, first=self.spec["cohort"] == "first"):
            back: set[int] = set()
            for action in self.until_today("actions"):
                if action["user"] == row["user"]:
                    apart = (action["at"] - at) // DAY if hours else units_apart(entered, unit_start(action["at"], unit), unit)
                    if mode != "bracket" or unit is not Grain.DAY or action["at"] >= at:
                        back.add(apart)
            for number in numbers:
                over = units_later(at if hours else entered, number + 1, unit)
                key = (*self.key(row), *([number] if self.own else []))
                if over > datetime.combine(self.today + DAY, datetime.min.time()):
                    out.add(key, left_out=1)
                    continue
                first_wanted, last_wanted = {"on": (number, number), "on_or_after": (number, 10**9)}.get(mode, (low, number))
                out.add(key, cohort=1, retained=int(any(first_wanted <= b <= last_wanted for b in back)))
        return out.all(self)

    def lifetime_value(self, period: DateRange) -> dict[Key, Row]:
        n = self.number(3)
        out = Counts("cohort", "amount", "left_out")
        for row, entered, _ in self.entries(period, Grain.DAY, first=True):
            spent = [o for o in self.until_today(self.spec["value"]) if o["user"] == row["user"]]
            for number in [n] if self.own is None else range(n + 1):
                key = (*self.key(row), *([number] if self.own else []))
                if entered.date() + number * DAY > self.today:
                    out.add(key, left_out=1)
                    continue
                amount = sum(
                    order["value"] if self.spec["value"] == "spend" else 1
                    for order in spent if 0 <= (order["at"].date() - entered.date()).days <= number
                )  # fmt: skip
                out.add(key, cohort=1, amount=amount)
        return out.all(self)

    def repurchase(self, period: DateRange) -> dict[Key, Row]:
        times: dict[Key, int] = {}
        for row in self.inside("orders", period):
            if self.kept(row):
                key = (row["user"], *self.key(row))
                times[key] = times.get(key, 0) + 1
        out = Counts("users", "repeat_users")
        for (_, *key), n in times.items():
            out.add(tuple(key), users=1, repeat_users=int(n >= self.number(2)))
        return out.all(self)

    def repurchase_within(self, period: DateRange) -> dict[Key, Row]:
        out = Counts("cohort", "repeat_users", "left_out")
        for _, orders in by_user(self.until_today("orders")):
            first, *later = orders
            day = first["at"].date()
            if period.start <= day <= period.end and self.kept(first):
                mature = day + self.number(3) * DAY <= self.today
                again = bool(later) and (later[0]["at"].date() - day).days <= self.number(3)
                out.add(self.key(first), cohort=int(mature), repeat_users=int(mature and again), left_out=int(not mature))
        return out.all(self)

    def interval(self, period: DateRange) -> dict[Key, Row]:
        gaps: dict[Key, list[int]] = {}
        for _, rows in by_user(self.rows(self.spec["of"])):
            for before, row in pairwise(rows):
                if period.start <= row["at"].date() <= period.end and self.kept(row):
                    gaps.setdefault(self.key(row), []).append((row["at"].date() - before["at"].date()).days)
        found = {key: {"median": median(values), "gaps": len(values)} for key, values in gaps.items()}
        return found if found or self.query.grain or self.dimensions else {(): {"median": None, "gaps": 0}}

    def before_and_now(self, period: DateRange, previous: DateRange) -> Iterable[tuple[date | None, DateRange, DateRange]]:
        """Yield each bucket of the period, or the whole of it, with its dates and those before."""
        if self.query.grain is None:
            yield None, previous, period
            return
        for now in buckets(period, self.query.grain):
            before = bucket_start(now.start - DAY, self.query.grain)
            dates = now.intersect(period)
            assert dates is not None
            yield now.start, DateRange(before, now.start - DAY), dates

    def period_return(self, period: DateRange, previous: DateRange) -> dict[Key, Row]:
        out = Counts("users_before", "users_back")
        for start, before, now in self.before_and_now(period, previous):
            there = {row["user"] for row in self.inside(self.spec["of"], now)}
            pairs = {(row["user"], self.key(row, start)) for row in self.inside(self.spec["of"], before) if self.kept(row)}
            for user, key in pairs:
                out.add(key, users_before=1, users_back=int(user in there))
        return out.all(self)

    def lifecycle(self, period: DateRange, previous: DateRange) -> dict[Key, Row]:
        entered: dict[Any, Row] = {}
        for row in self.until_today(self.spec["start"]) if self.spec["start"] == "opens" else self.rows(self.spec["start"]):
            entered.setdefault(row["user"], row)
        stages = [self.spec["stage"]] if "stage" in self.spec else list(STAGES)
        out = Counts("users")
        for start, before, now in self.before_and_now(period, previous):
            was, is_now = ({row["user"] for row in self.inside(self.spec["of"], dates)} for dates in (before, now))
            whole = now if start is None else bucket(start, self.query.grain)  # type: ignore[arg-type]
            for user in (was | is_now) & set(entered):
                row = entered[user]
                if not self.kept(row):
                    continue
                if user not in is_now:
                    stage = "dormant"
                elif whole.start <= row["at"].date() <= whole.end:
                    stage = "new"
                else:
                    stage = "returning" if user in was else "resurrecting"
                for each in stages:
                    out.add((*self.key(row, start), *([each] if self.own else [])), users=int(each == stage))
        return out.all(self, owns=[(stage,) for stage in stages])

    def average_over(self, period: DateRange) -> dict[Key, Row]:
        over = Grain(self.spec["over"])
        filled: dict[Key, list[Row]] = {}
        for row in self.tables[ANCHORS[self.spec["metric"]]]:  # of nobody, too: it is no metric of users
            if period.start <= row["at"].date() <= period.end and row.get("paid", True) and self.kept(row):
                filled.setdefault((self.key(row), bucket_start(row["at"].date(), over)), []).append(row)
        sums: dict[Key, float] = {}
        for (key, _), rows in filled.items():
            value = sum(row["value"] for row in rows) if self.spec["metric"] == "spend" else len({r["user"] for r in rows} - {None})
            sums[key] = sums.get(key, 0) + value
        out: dict[Key, Row] = {}
        weekend = "day_type" in str(self.query.filters)
        for key in sums or ([] if self.query.grain or self.dimensions else [()]):
            spans = set()
            for n in range(period.days):
                day = period.start + n * DAY
                here = not self.query.grain or bucket_start(day, self.query.grain) == key[0]
                if "weekday" in self.dimensions:
                    here = here and key[bool(self.query.grain) + self.dimensions.index("weekday")] == day.isoweekday()
                if here and (not weekend or day.isoweekday() > 5):
                    spans.add(bucket_start(day, over))
            out[key] = {"value": sums.get(key, 0) / len(spans) if spans else 0}
        return out

    def funnel(self, period: DateRange) -> dict[Key, Row]:
        if self.name == "funnel":
            steps = self.parameters.get("steps", "open>cart>pay").split(">")
            kinds: list[tuple[str, Callable[[Row], bool]]] = [("events", lambda row, step=step: row["name"] == step) for step in steps]  # type: ignore[misc]
        else:
            steps = ["joined", "opened", "bought", "bought_again"]
            paid: tuple[str, Callable[[Row], bool]] = ("orders", lambda row: row["paid"])
            kinds = [("users", lambda row: True), ("events", lambda row: row["name"] in ("open", "cart")), paid, paid]
        labels = [step if step not in steps[:i] else f"{step}_{steps[:i].count(step) + 1}" for i, step in enumerate(steps)]
        window = self.number(self.spec["within"]) * DAY
        reached: dict[Key, list[tuple[bool, list[datetime]]]] = {}
        for user in {row["user"] for rows in self.tables.values() for row in rows} - {None}:
            own = [
                sorted((r for r in self.tables[table] if r["user"] == user and fits(r)), key=lambda r: (r["at"], r["id"]))
                for table, fits in kinds
            ]
            entry = next((r for r in own[0] if period.start <= r["at"].date() <= period.end and self.kept(r)), None)
            if entry is None:
                continue
            mature = entry["at"].date() + window <= self.today
            reached.setdefault(self.key(entry), []).append((mature, furthest(entry, own, window, self.today)))
        if not reached and not self.query.grain and not self.dimensions:
            reached[()] = []
        out: dict[Key, Row] = {}
        for key, users in reached.items():
            walks = [walk for mature, walk in users if mature]
            left_out = len(users) - len(walks)
            numbers = [sum(len(walk) > i for walk in walks) for i in range(len(steps))]
            if self.own is None:
                out[key] = {"entered": numbers[0], "converted": numbers[-1], "left_out": left_out}
                continue
            for i, label in enumerate(labels):
                waits = [(walk[i] - walk[i - 1]) / timedelta(hours=1) for walk in walks if 0 < i < len(walk)]
                out[(*key, label)] = {
                    "entered": numbers[0], "converted": numbers[i], "step_before": numbers[max(i - 1, 0)], "left_out": left_out,
                    "median_hours": median(waits) if waits else None, "place": i + 1,
                }  # fmt: skip
        return out


def furthest(entry: Row, own: list[list[Row]], window: timedelta, today: date) -> list[datetime]:
    """Return the moments of the steps of the longest way through the funnel, by trying every row for every step."""
    walk, used = [entry["at"]], [entry]
    for rows in own[1:]:
        fitting = [
            row for row in rows
            if walk[-1] <= row["at"] <= entry["at"] + window and row["at"].date() <= today and not any(row is other for other in used)
        ]  # fmt: skip
        if not fitting:
            break
        walk.append(fitting[0]["at"])
        used.append(fitting[0])
    return walk


class Counts:
    """Add up counts by key; without any key to group by, there is a row of zeros."""

    def __init__(self, *names: str) -> None:
        self.zeros = dict.fromkeys(names, 0)
        self.found: dict[Key, Row] = {}

    def add(self, key: Key, **numbers: float) -> None:
        row = self.found.setdefault(key, dict(self.zeros))
        for name, number in numbers.items():
            row[name] += number

    def all(self, oracle: Oracle, owns: list[Key] | None = None) -> dict[Key, Row]:
        if not self.found and not oracle.query.grain and not oracle.dimensions and (owns or oracle.own is None):
            return {own: dict(self.zeros) for own in (owns if oracle.own and owns else [()])}
        return self.found


def by_user(rows: list[Row]) -> list[tuple[int, list[Row]]]:
    return [(user, [row for row in rows if row["user"] == user]) for user in {row["user"] for row in rows}]


def holds(oracle: Oracle, tree: Filter | None, row: Row) -> bool | None:
    """Say whether a row meets a filter; None where a missing value leaves it open."""
    match tree:
        case None:
            return True
        case And():
            found = [holds(oracle, part, row) for part in tree.parts]
            return False if False in found else None if None in found else True
        case Or():
            found = [holds(oracle, part, row) for part in tree.parts]
            return True if True in found else None if None in found else False
        case Not():
            return not holds(oracle, tree.part, row)
        case UsersWith():
            return users_with(oracle, tree, row)
        case Where():
            value = row[tree.dimension]
            if tree.op is Op.EMPTY:
                return value is None
            if tree.op is Op.NE:
                return bool(value != tree.values[0])
            return None if value is None else bool(value == tree.values[0])


def users_with(oracle: Oracle, asked: UsersWith, row: Row) -> bool | None:
    if row["user"] is None:
        return False
    amounts: dict[int, float] = {}
    for each in oracle.inside(asked.metric, asked.period or oracle.period):
        step = {"spend": each["value"], "active_users": 0}.get(asked.metric, 1)
        amounts[each["user"]] = 1 if asked.metric == "active_users" else amounts.get(each["user"], 0) + step
    against = asked.value
    if against == "average":
        if not amounts:
            return asked.op in (Op.LT, Op.LE, Op.NE)
        against = sum(amounts.values()) / len(amounts)
        if against == 0 and row["user"] not in amounts:
            return asked.op in (Op.LT, Op.LE, Op.NE)
    amount = amounts.get(row["user"], 0)
    return {
        Op.LT: amount < against, Op.LE: amount <= against, Op.GT: amount > against, Op.GE: amount >= against,
        Op.EQ: amount == against, Op.NE: amount != against,
    }[asked.op]  # fmt: skip


def rfm_tiers(orders: list[Row], today: date, window: int = 20) -> dict[int, str]:
    """Return the tier of each user with an order in the window, from quantiles by linear interpolation."""
    inside = [row for row in orders if today - (window - 1) * DAY <= row["at"].date() <= today]
    facts = {
        user: (-min((today - row["at"].date()).days for row in rows), len(rows), sum(row["value"] for row in rows))
        for user, rows in by_user(inside)
    }
    if not facts:
        return {}

    def score(place: int, value: float) -> int:
        values = sorted(fact[place] for fact in facts.values())
        cuts = []
        for share in (0.2, 0.4, 0.6, 0.8):
            position = share * (len(values) - 1)
            below = math.floor(position)
            above = min(below + 1, len(values) - 1)
            cuts.append(values[below] + (values[above] - values[below]) * (position - below))
        return 1 + sum(value > cut for cut in cuts)

    scores = {user: tuple(score(place, value) for place, value in enumerate(fact)) for user, fact in facts.items()}
    means = [sum(s[place] for s in scores.values()) / len(scores) for place in range(3)]
    levels = {user: "".join("HL"[s[place] < means[place]] for place in range(3)) for user, s in scores.items()}
    names = {
        "HHH": "champions", "HLH": "promising big spenders", "LHH": "loyal at risk", "LLH": "big spenders slipping away",
        "HHL": "loyal low spenders", "HLL": "new or occasional", "LHL": "fading regulars", "LLL": "hibernating",
    }  # fmt: skip
    return {user: names[level] for user, level in levels.items()}


# From counts to the answer ------------------------------------------------------------------------------------------------


def quotient(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def value_of(kind: str, lost: bool, row: Row | None) -> float | None:
    if kind in ("lifecycle", "average_over"):
        return 0 if row is None else row["users" if kind == "lifecycle" else "value"]
    if row is None:
        return None
    match kind:
        case "retention":
            return quotient(row["retained"], row["cohort"])
        case "ltv":
            return quotient(row["amount"], row["cohort"])
        case "repurchase":
            return quotient(row["repeat_users"], row["users"])
        case "repurchase_within":
            return quotient(row["repeat_users"], row["cohort"])
        case "period_return":
            gone = row["users_before"] - row["users_back"]
            return quotient(gone if lost else row["users_back"], row["users_before"])
        case "interval":
            value: float | None = row["median"]
            return value
    return quotient(row["converted"], row["entered"])


COUNTS = {
    "retention": ("cohort", "retained", "left_out"), "ltv": ("cohort", "left_out"), "repurchase": ("users", "repeat_users"),
    "repurchase_within": ("cohort", "repeat_users", "left_out"), "period_return": ("users_before", "users_back"),
    "interval": ("gaps",), "lifecycle": (), "average_over": (), "funnel": ("entered", "converted", "left_out"),
}  # fmt: skip


def answer(oracle: Oracle, compared: DateRange | None) -> dict[Key, tuple[Any, ...]]:
    """Return the metric, with what it is compared with, and its counts, by the keys."""
    query, kind, lost = oracle.query, oracle.spec["type"], bool(oracle.spec.get("lost"))

    def counted(period: DateRange) -> dict[Key, Row]:
        return oracle.counts(period, compared_period(period, Compare.PREVIOUS))

    now = counted(oracle.period)
    then = {}
    if compared is not None:
        then = counted(compared)
        if query.grain is not None:
            months = MONTHS.get(query.grain, 0)
            step = {Grain.DAY: 1, Grain.WEEK: 7}.get(query.grain, 0) * DAY
            then = {((add_months(k[0], months) if months else k[0] + step), *k[1:]): row for k, row in then.items()}
    keys = set(now) | set(then)
    if query.grain is not None:
        starts = [whole.start for whole in buckets(oracle.period, query.grain)]
        keys = {(start, *key[1:]) for key in keys for start in starts}
        if not oracle.dimensions and oracle.own is None:
            keys = {(start,) for start in starts}
    out = {}
    for key in keys:
        row, before = now.get(key), then.get(key)
        cells: list[Any] = [value_of(kind, lost, row)]
        if compared is not None:
            value, was = cells[0], value_of(kind, lost, before)
            if kind in ("ltv", "interval", "lifecycle", "average_over"):
                ratio = quotient(value, was)
                change = None if ratio is None else ratio - 1
            else:
                change = None if value is None or was is None else value - was
            cells += [was, change]
        if kind == "funnel" and oracle.own:
            names: tuple[str, ...] = ("converted", "step_rate", "median_hours", "place", "left_out")
            if row is not None:
                row = row | {"step_rate": quotient(row["converted"], row["step_before"])}
        else:
            names = COUNTS[kind]
        absent = None if compared is not None and query.grain is None else 0
        missing = {"step_rate": None, "median_hours": None, "place": None}
        cells += [missing.get(name, absent) if row is None else row[name] for name in names]
        out[key] = tuple(cells)
    return out


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return bool(ours == theirs)


def at(day: str, time: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"2024-{day}T{time}")


# What random shops found once, kept by name
FOUND: dict[str, tuple[Shop, Query]] = {
    "who entered in a bucket of a compared series": (
        {"users": [FIRST], "orders": [], "events": [(4, at("03-07"), "open", "web"), (4, at("03-08"), "pay", "web")]},
        Query(metrics=("lifecycle_of_opens",), grain=Grain.DAY, compare=Compare.PREVIOUS, period=DateRange(date(2024, 3, 8), date(2024, 3, 10))),
    ),
    "what happened in a bucket before the period began": (
        {"users": [FIRST, (1, at("01-31"), "b")], "orders": [], "events": [(1, at("01-31"), "pay", None), (1, at("02-04"), "pay", "web"), (1, at("03-01"), "cart", None)]},
        Query(metrics=("dormant",), grain=Grain.MONTH, period=DateRange(date(2024, 2, 10), date(2024, 3, 15))),
    ),
    "rows of nobody meet no condition on users": (
        {"users": [FIRST], "orders": [(None, at("03-02"), True, 99.5, "ios")], "events": []},
        Query(metrics=("daily_spend",), filters=Not(part=UsersWith(metric="orders", op=Op.LT, value=1))),
    ),
    "below the average are those without any, too": (
        {"users": [FIRST, (1, at("02-01"), "a"), (2, at("02-01"), "b")], "orders": [(1, at("02-02"), True, 10.25, None), (1, at("02-02"), True, 99.5, None)], "events": [(2, at("02-02"), "open", None)]},
        Query(metrics=("retention_registrations_on_day_first_calendar",), filters=UsersWith(metric="orders", op=Op.LT, value="average")),
    ),
    "several entries of a user are one person of a lifecycle": (
        {"users": [FIRST], "orders": [], "events": [(1, at("02-02"), "open", "ios"), (1, at("02-03"), "open", "web"), (1, at("03-03"), "open", "web")]},
        Query(metrics=("lifecycle_of_opens",), dimensions=("platform",), period=DateRange(date(2024, 3, 1), date(2024, 3, 31))),
    ),
    "a filter on a segment keeps the rows without it in their order": (
        {"users": [FIRST], "orders": [(1, at("02-01"), True, 5.0, None), (1, at("03-01"), True, 5.0, None), (1, at("03-05"), True, 5.0, None)], "events": []},
        Query(metrics=("order_gap",), filters=Where(dimension="rfm_tier", op=Op.NE, values=("champions",))),
    ),
    "a day's window of 24 hours is over when its last second is": (
        {"users": [FIRST, (1, at("04-03"), "a"), (2, at("04-04"), "a")], "orders": [], "events": [(1, at("04-04", "08:59"), "open", None), (1, at("04-05", "08:59"), "open", None)]},
        Query(metrics=("retention_registrations_on_day_first_hours",), dimensions=("period_number",)),
    ),
    "an average of weekends divides by weekends": (
        {"users": [FIRST], "orders": [(1, at("02-03"), True, 99.5, None)], "events": []},
        Query(metrics=("daily_spend",), filters=Where(dimension="day_type", op=Op.EQ, values=("weekend",))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_right(layer_over: Callable[[Shop], SemanticLayer], name: str) -> None:
    shop, query = FOUND[name]
    layer = layer_over(shop)
    try:
        assert layer.run(layer.compile(query, today=LAST)).rows
        check(layer, shop, query, LAST)
    finally:
        layer.engine.close()


@settings(
    max_examples=SHOPS,
    derandomize=MORE is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    shop=shops,
    asked=st.lists(queries(), min_size=QUERIES, max_size=QUERIES),
    today=st.sampled_from([LAST, LAST, date(2024, 3, 31), date(2024, 3, 5), date(2024, 2, 18)]),
)
def test_behaviour_is_that_of_the_oracle(
    layer_over: Callable[[Shop], SemanticLayer], shop: Shop, asked: list[Query], today: date
) -> None:
    layer = layer_over(shop)
    try:
        for query in asked:
            check(layer, shop, query, today)
    finally:
        layer.engine.close()


def remark(text: str) -> None:
    """Note what a failing example should show; outside of one there is nobody to tell."""
    if currently_in_test_context():
        note(text)


def check(layer: SemanticLayer, shop: Shop, query: Query, today: date) -> None:
    remark(str(query))
    try:
        compiled = layer.compile(query, today=today)
    except QueryError as error:
        assert error.code in ("outside_data", "invalid_parameter", "invalid_filter"), error.message.en
        return
    remark(compiled.sql)
    resolved = compiled.resolved
    oracle = Oracle(shop, query, today, resolved.period)
    expected = answer(oracle, resolved.compared)
    table = layer.run(compiled, max_rows=100_000)
    width = len(resolved.keys)
    found = {row[:width]: row[width:] for row in table.rows}
    remark(f"expected {expected}")
    remark(f"found {found}")
    assert len(found) == len(table.rows)
    assert set(found) == set(expected)
    for key, cells in expected.items():
        assert len(found[key]) == len(cells) and all(map(same, found[key], cells)), f"{key}: {found[key]} is not {cells}"
