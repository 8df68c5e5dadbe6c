"""The semantic layer against an oracle: random rows, random queries, and a slow, obvious pandas reading of the definitions.

WENSHU_ORACLE_EXAMPLES=2000 tries more shops, other ones in every run.
"""

import math
import os
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.query import And, Condition, Filter, Not, Op, Or, Order, Query, Share, Where, filters_of

MORE = os.environ.get("WENSHU_ORACLE_EXAMPLES")
SHOPS, QUERIES = int(MORE or 40), 12
FIRST_DAY, AS_OF = date(2025, 1, 1), date(2026, 3, 31)
Row = dict[str, Any]
Key = tuple[Any, ...]
Compared = tuple[DateRange, Callable[[datetime], datetime]]


# Random shops: few values, so that they tie, repeat and are missing; times at the borders of days

days = st.sampled_from(
    [date(2026, 3, 31), date(2026, 4, 1), date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2025, 3, 1)]
)
days |= st.dates(date(2026, 1, 1), date(2026, 4, 3)) | st.dates(FIRST_DAY, AS_OF)
clock = st.sampled_from(
    [timedelta(), timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999), timedelta(hours=9, minutes=30)]
)
times = st.builds(lambda day, time: datetime(day.year, day.month, day.day) + time, days, clock)
user_ids, product_ids = st.integers(1, 6), st.integers(1, 4)
money = st.sampled_from(
    [Decimal("0.00"), Decimal("10.00"), Decimal("10.25"), Decimal("99.50")]
)  # whose sums are exact in binary, too
platforms = st.sampled_from([None, "app", "web"])


def rows(*columns: st.SearchStrategy[Any], most: int, unique: int = 0) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Return lists of rows; the first `unique` columns together do not repeat."""
    return st.lists(st.tuples(*columns), max_size=most, unique_by=(lambda row: row[:unique]) if unique else None)


shops = st.fixed_dictionaries(
    {
        "users": rows(user_ids, st.sampled_from("abc"), st.sampled_from([None, "F", "M"]), st.sampled_from([None, 1990, 1996, 2004, 2006, 2007]), times, st.just("1"), most=6, unique=1),
        "events": rows(st.none() | user_ids, st.sampled_from(["open", "pay"]), platforms, times, most=12),
        "orders": rows(st.integers(1, 14), user_ids, times, st.none() | times, money, st.sampled_from([None, 0.0, 1.5, 3.0]), platforms, st.sampled_from([None, True, False]), most=14, unique=1),
        "order_items": rows(st.integers(1, 15), product_ids, st.integers(1, 3), money, most=20, unique=2),
        "products": rows(product_ids, st.sampled_from([None, "x", "y"]), most=4, unique=1),
    }
)  # fmt: skip


# What the metrics and dimensions mean, said once more, in Python


@dataclass(frozen=True)
class Leaf:
    """Say which rows an aggregate folds, how it dates them, what it takes of each and how it folds that."""

    table: str
    fold: Callable[[list[Any]], Any]
    value: Callable[[Row], Any] = lambda row: row["id"]
    keeps: Callable[[Row], bool] = lambda row: True
    time: str = "time"
    additive: bool = False
    counts: bool = True  # nothing is 0 of it, not a missing value


def present(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def median(values: list[Any]) -> float | None:
    ordered = sorted(present(values))
    middle = len(ordered) // 2
    return None if not ordered else ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def paid(row: Row) -> bool:
    return row["paid_at"] is not None


def discount(row: Row) -> Any:
    return row["discount"]


LEAVES = {
    "gmv": Leaf("orders", lambda values: sum(present(values)), lambda row: row["amount"], paid, additive=True),
    "orders": Leaf("orders", len, keeps=paid, additive=True),
    "placed_orders": Leaf("orders", len, additive=True),
    "buyers": Leaf("orders", lambda values: len(set(present(values))), lambda row: row["user_id"], paid),
    "average_discount": Leaf("orders", lambda values: sum(present(values)) / len(present(values)) if present(values) else None, discount, counts=False),
    "median_discount": Leaf("orders", median, discount, counts=False),
    "most_discount": Leaf("orders", lambda values: max(present(values), default=None), discount, counts=False),
    "least_discount": Leaf("orders", lambda values: min(present(values), default=None), discount, counts=False),
    "new_users": Leaf("users", len, additive=True),
    "active_users": Leaf("events", lambda values: len(set(present(values))), lambda row: row["user_id"]),
    "events": Leaf("events", len, additive=True),
    "item_sales": Leaf("order_items", lambda values: sum(present(values)), lambda row: row["quantity"] * row["price"], paid, additive=True),
    "orders_by_payment": Leaf("orders", len, keeps=paid, time="paid_at", additive=True),
    "app_orders": Leaf("orders", len, keeps=lambda row: paid(row) and row["platform"] == "app", additive=True),
    "app_gmv": Leaf("orders", lambda values: sum(present(values)), lambda row: row["amount"], lambda row: paid(row) and row["platform"] == "app"),
    "gift_gmv": Leaf("orders", lambda values: sum(present(values)), lambda row: row["amount"], lambda row: paid(row) and row["is_gift"] is True),
    "gift_orders": Leaf("orders", len, keeps=lambda row: paid(row) and row["is_gift"] is True),
}  # fmt: skip


def over(above: Any, below: Any) -> Any:
    return None if above is None or not below else float(above) / float(below)


COMPUTED: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "aov": (("gmv", "orders"), over),
    "conversion": (("buyers", "active_users"), over),
    "order_gap": (("gmv", "item_sales"), lambda gmv, sales: gmv - sales),
    "spend_per_new_user": (("gmv", "new_users"), lambda gmv, users: over(2 * gmv, users)),
    "cumulative_gmv": (("gmv",), lambda gmv: gmv),
    "app_share": (("app_orders", "orders"), over),
    "app_aov": (("app_gmv", "app_orders"), over),
    "gift_aov": (("gift_gmv", "gift_orders"), over),
} | {name: ((name,), lambda value: value) for name in LEAVES if name not in ("app_gmv", "gift_gmv", "gift_orders")}
RATES = ("conversion", "app_share")
OF_USERS = ("channel", "gender", "age", "age_band", "registered_on")
DIMENSIONS = {
    "users": OF_USERS, "events": (*OF_USERS, "event_name", "platform"), "orders": (*OF_USERS, "platform", "is_gift", "order_amount", "category"),
    "order_items": (*OF_USERS, "platform", "is_gift", "order_amount", "category"),
}  # fmt: skip
COLUMNS = {
    "users": ["user_id", "channel", "gender", "birth_year", "registered_at", "phone"], "events": ["user_id", "event_name", "platform", "event_time"],
    "orders": ["order_id", "user_id", "ordered_at", "paid_at", "amount", "discount", "platform", "is_gift"],
    "order_items": ["order_id", "product_id", "quantity", "price"], "products": ["product_id", "category"],
}  # fmt: skip
TIME_PARTS = ("hour_of_day", "weekday", "day_type")
VALUES: dict[str, tuple[Any, ...]] = {
    "channel": ("a", "b", "z", None), "gender": ("F", "M", None), "age": (19, 20, 30, 36), "age_band": ("under 20", "20–29", "30 and over", None),
    "registered_on": (date(2026, 1, 1), date(2026, 2, 28), date(2026, 3, 31)), "event_name": ("open", "pay"), "platform": ("app", "web", None),
    "is_gift": (True, False, None), "order_amount": (0, 10, 10.25, 50.5), "category": ("x", "y", None), "hour_of_day": (0, 9, 23),
    "weekday": (1, 3, 7), "day_type": ("weekday", "weekend"),
}  # fmt: skip
ORDERED = ("age", "registered_on", "order_amount", "hour_of_day", "weekday")
TEXTS = ("channel", "gender", "event_name", "platform", "category")


def leaves_of(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf for metric in metrics for leaf in COMPUTED[metric][0]))


def wide_rows(shop: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[Row]]:
    """Return each dataset's rows with everything that hangs on them; an order comes once for each of its items."""
    frames = {table: pd.DataFrame(shop[table], columns=columns, dtype=object) for table, columns in COLUMNS.items()}
    users, orders, events = frames["users"], frames["orders"], frames["events"]
    users["registered_on"] = [time.date() for time in users["registered_at"]]
    users["age"] = pd.Series([None if pd.isna(year) else 2026 - year for year in users["birth_year"]], dtype=object)
    users["age_band"] = [
        None if pd.isna(age) else "under 20" if age < 20 else "20–29" if age < 30 else "30 and over"
        for age in users["age"]
    ]
    orders["order_amount"] = orders["amount"]
    items = frames["order_items"].merge(frames["products"], on="product_id", how="left")
    order_rows = orders.assign(id=orders["order_id"], time=orders["ordered_at"]).merge(users, on="user_id", how="left")
    wide = {
        "users": users.assign(id=users["user_id"], time=users["registered_at"]),
        "events": events.assign(id=range(len(events)), time=events["event_time"]).merge(
            users, on="user_id", how="left"
        ),
        "orders": order_rows.merge(items, on="order_id", how="left"),
        "order_items": items.merge(order_rows.drop(columns="id"), on="order_id", how="left").assign(
            id=range(len(items))
        ),
    }
    return {
        table: [
            {str(name): None if pd.isna(cell) else cell for name, cell in row.items()}
            for row in frame.astype(object).to_dict("records")
        ]
        for table, frame in wide.items()
    }


def dimension_value(row: Row, name: str, time: datetime | None) -> Any:
    if name not in TIME_PARTS:
        return row.get(name)
    if time is None:
        return None
    return {
        "hour_of_day": time.hour,
        "weekday": time.isoweekday(),
        "day_type": "weekend" if time.isoweekday() > 5 else "weekday",
    }[name]


def holds(tree: Filter | None, row: Row, time: datetime | None) -> bool:
    match tree:
        case None:
            return True
        case And():
            return all(holds(part, row, time) for part in tree.parts)
        case Or():
            return any(holds(part, row, time) for part in tree.parts)
        case Not():
            return not holds(tree.part, row, time)
        case Where():
            value = dimension_value(row, tree.dimension, time)
            return compares(value, tree.op, tree.values)


def compares(value: Any, op: Op, values: tuple[Any, ...]) -> bool:
    value = float(value) if isinstance(value, Decimal) else value
    match op:
        case Op.EQ | Op.IN:
            return value in values
        case Op.NE | Op.NOT_IN:
            return value not in values
        case Op.EMPTY | Op.NOT_EMPTY:
            return (value is None) == (op is Op.EMPTY)
        case Op.CONTAINS | Op.NOT_CONTAINS:
            return (value is not None and values[0].lower() in value.lower()) == (op is Op.CONTAINS)
    if value is None:
        return False
    if op is Op.BETWEEN:
        return bool(values[0] <= value <= values[1])
    return bool({Op.LT: lt, Op.LE: le, Op.GT: gt, Op.GE: ge}[op](value, values[0]))


def bucket_of(time: datetime, grain: Grain) -> date | datetime:
    day = time.date()
    match grain:
        case Grain.HOUR:
            return time.replace(minute=0, second=0, microsecond=0)
        case Grain.DAY:
            return day
        case Grain.WEEK:
            return day - timedelta(days=day.weekday())
        case Grain.MONTH:
            return day.replace(day=1)
        case Grain.QUARTER:
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        case Grain.YEAR:
            return date(day.year, 1, 1)


def all_buckets(period: DateRange, grain: Grain) -> list[date | datetime]:
    hours = [datetime(d.year, d.month, d.day) + timedelta(hours=h) for d in days_of(period) for h in range(24)]
    return list(dict.fromkeys(bucket_of(hour, grain) for hour in hours))


def days_of(period: DateRange) -> list[date]:
    return [period.start + timedelta(days=i) for i in range(period.days)]


def months_later(time: datetime, months: int) -> datetime:
    year, month = divmod(time.year * 12 + time.month - 1 + months, 12)
    return time.replace(year=year, month=month + 1, day=min(time.day, monthrange(year, month + 1)[1]))


# The oracle


def same_time(time: datetime) -> datetime:
    return time


@dataclass(frozen=True)
class Oracle:
    """Answer a query the slow way."""

    rows: dict[str, list[Row]]
    query: Query
    period: DateRange

    @property
    def part(self) -> Filter | None:
        return self.query.share.where if self.query.share else None

    @property
    def keys(self) -> tuple[str, ...]:
        return ((str(self.query.grain),) if self.query.grain else ()) + self.query.dimensions

    def groups(
        self, names: tuple[str, ...], grain: Grain | None, part: Filter | None, period: DateRange, shift: Callable[[datetime], datetime] = same_time
    ) -> dict[Key, Row]:  # fmt: skip
        """Return what each leaf comes to in each group that has a row of any."""
        found: dict[Key, dict[str, Row]] = {} if names or grain else {(): {}}
        for name in leaves_of(self.query.metrics):
            leaf = LEAVES[name]
            for row in self.rows[leaf.table]:
                time = row[leaf.time]
                if time is None or not period.start <= time.date() <= period.end or not leaf.keeps(row):
                    continue
                if holds(self.query.filters, row, time) and holds(part, row, time):
                    moved = shift(time)
                    key = ((bucket_of(moved, grain),) if grain else ()) + tuple(
                        dimension_value(row, n, time) for n in names
                    )
                    found.setdefault(key, {}).setdefault(name, {})[row["id"]] = leaf.value(row)
        return {
            key: {
                name: LEAVES[name].fold(list(values.get(name, {}).values())) for name in leaves_of(self.query.metrics)
            }
            for key, values in found.items()
        }

    def metrics(self, groups: dict[Key, Row], *, series: bool = False) -> dict[Key, Row]:
        out: dict[Key, Row] = {}
        running: dict[Key, Any] = {}
        for key in sorted(groups, key=known_first):
            out[key] = {
                metric: COMPUTED[metric][1](*(groups[key][leaf] for leaf in COMPUTED[metric][0]))
                for metric in self.query.metrics
            }
            if series and "cumulative_gmv" in self.query.metrics:
                out[key]["cumulative_gmv"] = running[key[1:]] = running.get(key[1:], 0) + groups[key]["gmv"]
        return out

    def answer(self, compared: Compared | None) -> list[tuple[Any, ...]]:
        names, grain, share = self.query.dimensions, self.query.grain, self.query.share
        current = self.groups(names, grain, self.part, self.period)
        before = self.groups(names, grain, self.part, *compared) if compared else {}
        whole = self.groups(names, grain, None, self.period) if self.part else {}
        keys = {**current, **before, **whole}.keys()
        if grain:
            groups = {key[1:] for key in keys} or (set() if names else {()})
            keys = {(bucket, *group): None for bucket in all_buckets(self.period, grain) for group in groups}.keys()
        nothing = {name: LEAVES[name].fold([]) for name in leaves_of(self.query.metrics)}
        now, then, of = (
            self.metrics({key: found.get(key, nothing) for key in keys}, series=bool(grain))
            for found in (current, before, whole)
        )
        if share and self.part is None:
            totals = self.metrics(self.groups((), grain if names else None, None, self.period))
            of = {
                key: totals.get(key[:1] if grain and names else (), dict.fromkeys(self.query.metrics)) for key in keys
            }
        rows = []
        for key in keys:
            row: Row = dict(zip(self.keys, key, strict=True))
            for metric in self.query.metrics:
                row[metric] = now[key][metric]
                if compared:
                    row[f"{metric}_previous"] = then[key][metric]
                    row[f"{metric}_change"] = change(metric, now[key][metric], then[key][metric])
                if share:
                    row[f"{metric}_share"] = over(now[key][metric], of[key][metric])
            rows.append(row)
        return [tuple(row.values()) for row in self.cut(self.kept(rows))]

    def kept(self, rows: list[Row]) -> list[Row]:
        """Return the rows that meet every condition and, of a series by group with a limit, belong to the first groups."""
        out = rows
        for condition in self.query.conditions:
            known = present([row[condition.metric] for row in rows])
            against: Any = condition.value
            if against == "average":
                against = sum(known) / len(known) if known else None
            elif against == "total":
                against = self.metrics(self.groups((), None, None, self.period))[()][condition.metric]
            if against is None:
                return []
            values = (float(against), condition.high)
            out = [
                row
                for row in out
                if row[condition.metric] is not None and compares(row[condition.metric], condition.op, values)
            ]
        if self.query.grain and self.query.dimensions and self.query.limit:
            ranked = self.metrics(self.groups(self.query.dimensions, None, self.part, self.period))
            names = self.query.dimensions
            groups = [dict(zip(names, key, strict=True)) | row for key, row in ranked.items()]
            by = [order for order in self.query.order if order.by in self.query.metrics] or [
                Order(by=self.query.metrics[0])
            ]
            first = in_order(groups, by, names)[: self.query.limit]
            out = [row for row in out if any(all(row[n] == group[n] for n in names) for group in first)]
        return out

    def cut(self, rows: list[Row]) -> list[Row]:
        query, keys = self.query, self.keys
        series, natural = keys[: query.grain is not None], [key for key in keys if key in ("hour_of_day", "weekday")]
        groups = [key for key in keys if key not in series and key not in natural]
        if query.order:
            given = list(query.order)
        elif natural and query.limit is None:
            given = [Order(by=key, descending=False) for key in (*series, *groups, *natural)]
        else:
            given = [Order(by=key, descending=False) for key in series] + [Order(by=query.metrics[0])] * (
                keys != series
            )
        rows = in_order(rows, given, keys)
        if query.limit is None or (query.grain and query.dimensions):
            return rows
        head, rest = rows[: query.limit], rows[query.limit :]
        if query.others:
            head = [{name: as_text(cell) if name in keys else cell for name, cell in row.items()} for row in head]
        if query.others and rest:
            sums = {name: present([row[name] for row in rest]) for name in rest[0]}
            head.append(
                {name: "others" if name in keys else sum(values) if values else None for name, values in sums.items()}
            )
        return head


def change(metric: str, now: Any, then: Any) -> Any:
    if now is None or then is None:
        return None
    return now - then if metric in RATES else over(now - then, then)


def in_order(rows: list[Row], given: list[Order], keys: tuple[str, ...]) -> list[Row]:
    """Return the rows sorted as asked, by their keys where that leaves a tie, missing values last."""
    named = {order.by for order in given}
    for order in reversed([*given, *(Order(by=key, descending=False) for key in keys if key not in named)]):
        known = [row for row in rows if row[order.by] is not None]
        rows = sorted(known, key=lambda row: row[order.by], reverse=order.descending) + [
            row for row in rows if row[order.by] is None
        ]
    return rows


def known_first(key: Key) -> tuple[tuple[bool, Any], ...]:
    return tuple((cell is None, str(cell) if isinstance(cell, str) else 0 if cell is None else cell) for cell in key)


def as_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else str(cell).lower() if isinstance(cell, bool) else str(cell)


def compared_with(query: Query, period: DateRange) -> Compared | None:
    """Return the period that a query is held against and how its times move to the current buckets."""
    grain, start, end = query.grain, midnight(period.start), midnight(period.end)
    last_of_month = (end + timedelta(days=1)).day == 1
    step = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}.get(grain, 0) if grain else 0

    def months_back(months: int) -> DateRange:
        back = months_later(end, -months)
        return DateRange(
            months_later(start, -months).date(),
            back.replace(day=monthrange(back.year, back.month)[1]).date() if last_of_month else back.date(),
        )

    match query.compare:
        case None:
            return None
        case DateRange() as other:
            if step and other.start.day == start.day:
                apart = (start.year - other.start.year) * 12 + start.month - other.start.month
                return other, lambda time: months_later(time, apart)
            return (
                other,
                lambda time: time + (timedelta(days=(period.start - other.start).days) if grain else timedelta()),
            )
        case Compare.YEAR:
            whole_months = start.day == 1 and last_of_month
            years_end = months_later(end, -12).date()
            return (
                months_back(12) if whole_months else DateRange(months_later(start, -12).date(), years_end)
            ), lambda time: months_later(time, 12) if grain else time
        case Compare.PREVIOUS if step:
            return months_back(step), lambda time: months_later(time, step)
        case Compare.PREVIOUS if grain:
            back = timedelta(days=7 if grain is Grain.WEEK else 1)
            return DateRange(period.start - back, period.end - back), lambda time: time + back
        case Compare.PREVIOUS if start.day == 1 and last_of_month:
            return months_back((end.year - start.year) * 12 + end.month - start.month + 1), same_time
        case Compare.PREVIOUS:
            back = timedelta(days=period.days)
            return DateRange(period.start - back, period.end - back), same_time


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


# Random queries


@st.composite
def filters(draw: st.DrawFn, names: list[str], depth: int = 2) -> Filter:
    kind = draw(st.sampled_from(["where", "where", "and", "or", "not"])) if depth else "where"
    if kind == "not":
        return Not(part=draw(filters(names, depth - 1)))
    if kind != "where":
        parts = tuple(draw(st.lists(filters(names, depth - 1), min_size=1, max_size=3)))
        return And(parts=parts) if kind == "and" else Or(parts=parts)
    name = draw(st.sampled_from(names))
    ops = [Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.EMPTY, Op.NOT_EMPTY]
    ops += [Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN] if name in ORDERED else []
    ops += [Op.CONTAINS, Op.NOT_CONTAINS] if name in TEXTS else []
    op = draw(st.sampled_from(ops))
    if op in (Op.EMPTY, Op.NOT_EMPTY):
        return Where(dimension=name, op=op)
    if op in (Op.CONTAINS, Op.NOT_CONTAINS):
        return Where(dimension=name, op=op, values=(draw(st.sampled_from(["a", "P", "%", "_", "x"])),))
    most = 3 if op in (Op.IN, Op.NOT_IN) else 2 if op is Op.BETWEEN else 1
    values = draw(st.lists(st.sampled_from(VALUES[name]), min_size=2 if op is Op.BETWEEN else 1, max_size=most))
    return Where(dimension=name, op=op, values=tuple(values))


PERIODS = [
    DateRange(date(2026, 1, 1), date(2026, 1, 31)), DateRange(date(2026, 2, 1), date(2026, 2, 28)), DateRange(date(2026, 1, 1), date(2026, 3, 31)),
    DateRange(date(2026, 2, 1), date(2026, 3, 31)), DateRange(date(2026, 2, 10), date(2026, 3, 30)), DateRange(date(2026, 3, 23), date(2026, 3, 29)),
    DateRange(date(2026, 3, 31), date(2026, 3, 31)), DateRange(date(2026, 1, 31), date(2026, 2, 28)),
]  # fmt: skip
OTHER_PERIODS = [
    DateRange(date(2025, 12, 1), date(2025, 12, 31)),
    DateRange(date(2025, 10, 1), date(2025, 12, 31)),
    DateRange(date(2025, 3, 1), date(2025, 3, 7)),
]


@st.composite
def queries(draw: st.DrawFn) -> Query:
    metrics = tuple(draw(st.lists(st.sampled_from(sorted(COMPUTED)), min_size=1, max_size=3, unique=True)))
    leaves = [LEAVES[name] for name in leaves_of(metrics)]
    common = [
        name for name in DIMENSIONS[leaves[0].table] if all(name in DIMENSIONS[leaf.table] for leaf in leaves)
    ] + list(TIME_PARTS)
    dimensions = tuple(draw(st.lists(st.sampled_from(common), max_size=2, unique=True)))
    period = draw(st.none() | st.sampled_from(PERIODS))
    grain = (
        draw(st.none() | st.sampled_from([Grain.DAY, Grain.WEEK, Grain.MONTH, Grain.QUARTER, Grain.YEAR]))
        if period
        else draw(st.sampled_from([None, Grain.MONTH]))
    )
    if period is not None and period.days == 1:
        grain = draw(st.sampled_from([None, Grain.HOUR, Grain.DAY]))
    compare = draw(st.none() | st.sampled_from([*Compare, *OTHER_PERIODS])) if period else None
    if dimensions and "order_gap" in metrics and grain is None:
        compare = None  # a group that one of the periods lacks has no difference there, where its sums are 0
    simple = all(metric in LEAVES and LEAVES[metric].counts for metric in metrics)
    shares = st.just(Share()) if dimensions or grain else st.nothing()
    share = draw(st.none() | shares | st.builds(Share, where=filters(common))) if simple else None
    columns = [
        c
        for m in metrics
        for c in (m, *([f"{m}_previous", f"{m}_change"] if compare else []), *([f"{m}_share"] if share else []))
    ]
    keys = [str(grain)] * (grain is not None) + list(dimensions)
    conditions = draw(st.lists(conditions_on(metrics, columns), max_size=2)) if keys else []
    order = (
        draw(
            st.lists(
                st.builds(Order, by=st.sampled_from(columns + keys), descending=st.booleans()),
                max_size=2,
                unique_by=lambda order: order.by,
            )
        )
        if keys
        else []
    )
    limit = draw(st.none() | st.integers(1, 3)) if keys else None
    others = (
        simple
        and all(LEAVES[m].additive for m in metrics)
        and limit is not None
        and not grain
        and not compare
        and bool(dimensions)
        and "category" not in dimensions
    )
    return Query(
        metrics=metrics, dimensions=dimensions, grain=grain, period=period, filters=draw(st.none() | filters(common)), conditions=tuple(conditions),
        compare=compare, share=share, order=tuple(order), limit=limit, others=others and draw(st.booleans()),
    )  # fmt: skip


@st.composite
def conditions_on(draw: st.DrawFn, metrics: tuple[str, ...], columns: list[str]) -> Condition:
    column = draw(st.sampled_from(columns))
    op = draw(st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN]))
    if op is Op.BETWEEN:
        return Condition(metric=column, op=op, value=0.5, high=20)
    values: list[Any] = [0, 1, 2, 15.5]
    values += ["total"] if column in metrics else []
    values += ["average"] if column in LEAVES and LEAVES[column].counts else []  # the mean of ratios would not be exact
    return Condition(metric=column, op=op, value=draw(st.sampled_from(values)))


def first_day(wide: dict[str, list[Row]], query: Query) -> date:
    """Return the day from which on there are data of what a query asks for; items have no date of their own."""
    tables = {LEAVES[leaf].table for leaf in leaves_of(query.metrics)}
    if "order_items" in tables or not all(wide[table] for table in tables):
        return FIRST_DAY
    return min(row["time"].date() for table in tables for row in wide[table])


def refusal(query: Query, period: DateRange | None) -> str | None:
    """Return the code that a query must be refused with: no data for its period, or amounts of orders by category."""
    if period is None:
        return "outside_data"
    used = {
        *query.dimensions,
        *(
            where.dimension
            for tree in (query.filters, query.share.where if query.share else None)
            for where in filters_of(tree)
        ),
    }
    doubled = any(LEAVES[leaf].table == "orders" and leaf in AMOUNTS for leaf in leaves_of(query.metrics))
    return "fan_out" if doubled and "category" in used else None


AMOUNTS = ("gmv", "app_gmv", "gift_gmv", "average_discount", "median_discount")


@settings(
    max_examples=SHOPS,
    derandomize=MORE is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(shop=shops, asked=st.lists(queries(), min_size=QUERIES, max_size=QUERIES))
def test_answers_are_those_of_the_oracle(
    small_shop: Callable[[dict[str, list[tuple[Any, ...]]]], SemanticLayer], shop: dict[str, list[tuple[Any, ...]]], asked: list[Query]
) -> None:  # fmt: skip
    layer, wide = small_shop(shop), wide_rows(shop)
    try:
        for query in asked:
            check(layer, wide, query)
    finally:
        layer.engine.close()


def check(layer: SemanticLayer, wide: dict[str, list[Row]], query: Query) -> None:
    note(str(query))
    covered = DateRange(first_day(wide, query), AS_OF) if first_day(wide, query) <= AS_OF else None
    period = covered and (covered.intersect(query.period) if query.period else covered)
    compared = period and compared_with(query, period)
    code = refusal(query, period if compared is None else covered and period and covered.intersect(compared[0]))
    try:
        compiled = layer.compile(query)
    except QueryError as error:
        assert error.code == code
        return
    note(compiled.sql)
    assert code is None and period is not None
    expected = Oracle(wide, query, period).answer(compared)
    found = layer.run(compiled, max_rows=100_000).rows
    note(f"expected {expected}")
    note(f"found {found}")
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs) and all(map(same, ours, theirs)), f"{ours} is not {theirs}"


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, int | float) and isinstance(theirs, int | float | Decimal):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)
    return bool(ours == theirs)
