"""Measure behavioural questions over the demo shop: generated SQL against hand-written SQL and against pandas.

    python benchmarks/behaviour.py                 10 million events of 500,000 users
    python benchmarks/behaviour.py --events 100    100 million events of 2 million users, without pandas

The answers of a question are compared before anything is timed. Then every repetition runs all of them in turn, on one
read-only connection in one process, and medians are told; a ratio is the median of the repetitions' own ratios, so that
a busy machine troubles all sides alike. The hand-written statements stand in benchmarks/behaviour/. pandas is timed three times:
on columns that are in memory, with those columns read from the same database, where SQL starts, too, and with whole tables read.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from math import isclose
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from _measuring import milliseconds, prepare

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import query_from_json

SQL = Path(__file__).with_suffix("")
AS_OF = pd.Timestamp("2026-10-31")
FUNNEL = ("view_product", "add_to_cart", "checkout", "pay")
TIERS = (
    "hibernating", "big spenders slipping away", "fading regulars", "loyal at risk",
    "new or occasional", "promising big spenders", "loyal low spenders", "champions",
)  # fmt: skip
PANDAS = ("pandas", "columns", "tables")
MOST_TIMES_HAND_WRITTEN, FASTER_THAN_PANDAS = 1.2, 5
SHOPS = {
    10: (500_000, 10_000_000),
    100: (2_000_000, None),
}  # millions of events: users, and how many events are kept of theirs
Rows = list[tuple[Any, ...]]
Frames = dict[str, pd.DataFrame]


def _days(number: int) -> pd.Timedelta:
    return pd.Timedelta(days=number)


def _rows(frame: pd.DataFrame) -> Rows:
    return list(frame.itertuples(index=False, name=None))


# the questions in pandas ---------------------------------------------------------------------------------------------


def _with_day_number(tables: Frames) -> pd.DataFrame:
    """Return events with their user and the days from registration to the event."""
    joined = tables["events"].merge(tables["users"], on="user_id")
    joined["day0"] = joined.registered_at.dt.normalize()
    joined["number"] = (joined.event_time.dt.normalize() - joined.day0).dt.days
    return joined


def retention_by_channel(tables: Frames) -> Rows:
    users = tables["users"].assign(mature=tables["users"].registered_at.dt.normalize() + _days(7) <= AS_OF)
    joined = _with_day_number(tables)
    back = joined[joined.number == 7].groupby("channel").user_id.nunique()
    cohort = users.groupby("channel").mature.sum()
    left_out = (~users.mature).groupby(users.channel).sum()
    return _rows(pd.concat([back / cohort, cohort, back, left_out], axis=1).reset_index())


def retention_triangle(tables: Frames) -> Rows:
    joined = _with_day_number(tables)
    returned = joined[joined.number.between(0, 30)].drop_duplicates(["user_id", "number"])
    back = returned.groupby(["day0", "number"]).size().rename("back").reset_index()
    sizes = (
        tables["users"].registered_at.dt.normalize().value_counts().rename_axis("day0").rename("users").reset_index()
    )
    cohorts = sizes.merge(pd.DataFrame({"number": range(31)}), how="cross")
    cohorts = cohorts.merge(back, how="left", on=["day0", "number"]).fillna({"back": 0})
    mature = cohorts.day0 + pd.to_timedelta(cohorts.number, unit="D") <= AS_OF
    cohorts["week"] = (cohorts.day0 - pd.to_timedelta(cohorts.day0.dt.day_of_week, unit="D")).dt.date
    cohorts["cohort"], cohorts["left_out"] = cohorts.users.where(mature, 0), cohorts.users.where(~mature, 0)
    counts = cohorts.groupby(["week", "number"])[["cohort", "back", "left_out"]].sum().reset_index()
    counts.insert(2, "retention", (counts.back / counts.cohort).astype(object).where(counts.cohort > 0, None))
    return _rows(counts)


def funnel(tables: Frames) -> Rows:
    entered = tables["events"][tables["events"].event_name == FUNNEL[0]].groupby("user_id").event_time.min()
    walked = entered.rename("step_1").reset_index()
    for number, name in enumerate(FUNNEL[1:], start=2):
        rows = tables["events"][tables["events"].event_name == name].merge(walked, on="user_id")
        inside = (rows.event_time >= rows[f"step_{number - 1}"]) & (rows.event_time <= rows.step_1 + _days(7))
        step = rows[inside].groupby("user_id").event_time.min().rename(f"step_{number}").reset_index()
        walked = walked.merge(step, how="left", on="user_id")
    mature = walked.step_1.dt.normalize() + _days(7) <= AS_OF
    times = [walked[mature][f"step_{number}"] for number in range(1, len(FUNNEL) + 1)]
    users = [step.count() for step in times]
    hours = [(times[i] - times[i - 1]).median().total_seconds() / 3600 for i in range(1, len(FUNNEL))]
    before = [users[0], *users[:-1]]
    return [
        (name, users[i] / users[0], users[i], users[i] / before[i], [None, *hours][i], i + 1, (~mature).sum())
        for i, name in enumerate(FUNNEL)
    ]


def rfm_tiers(tables: Frames) -> Rows:
    orders = tables["orders"]
    orders = orders[orders.paid_at.notna() & (orders.ordered_at >= AS_OF - _days(364))]
    spending = orders.groupby("user_id").agg(
        last=("ordered_at", "max"), frequency=("amount", "size"), monetary=("amount", "sum")
    )
    recency = -(AS_OF - spending["last"].dt.normalize()).dt.days
    tier: Any = 0
    for values in (recency, spending.frequency, spending.monetary.round(2)):
        scores = np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values)
        tier = tier * 2 + (scores >= scores.mean())
    users = tables["users"].merge(
        pd.DataFrame({"user_id": spending.index, "tier": np.array(TIERS)[tier]}), on="user_id"
    )
    return _rows(users.groupby("tier").size().reset_index())


def ltv_by_channel(tables: Frames) -> Rows:
    users = tables["users"].assign(day0=tables["users"].registered_at.dt.normalize())
    users["mature"] = users.day0 + _days(90) <= AS_OF
    orders = tables["orders"][tables["orders"].paid_at.notna()].merge(users[users.mature], on="user_id")
    orders = orders[(orders.ordered_at.dt.normalize() - orders.day0).dt.days.between(0, 90)]
    amounts = orders.groupby("channel").amount.sum()
    cohort = users.groupby("channel").mature.sum()
    left_out = (~users.mature).groupby(users.channel).sum()
    return _rows(pd.concat([amounts.reindex(cohort.index).fillna(0) / cohort, cohort, left_out], axis=1).reset_index())


def weekly_lifecycle(tables: Frames) -> Rows:
    events = tables["events"]
    events = events[(events.event_time >= "2026-06-29") & (events.event_time < "2026-10-05")]
    number = (events.event_time - pd.Timestamp("2026-06-29")).dt.days // 7
    now = pd.DataFrame({"user_id": events.user_id, "week": number}).drop_duplicates()
    flags = now.merge(now.assign(week=now.week + 1), how="outer", on=["user_id", "week"], indicator="there")
    flags = flags[flags.week.between(1, 13)].merge(tables["users"][["user_id", "registered_at"]], on="user_id")
    entered = (flags.registered_at - pd.Timestamp("2026-06-29")).dt.days // 7
    active = flags.there != "right_only"
    conditions = [active & (entered == flags.week), flags.there == "both", active]
    flags["stage"] = np.select(conditions, ["new", "returning", "resurrecting"], "dormant")
    flags["week"] = (pd.Timestamp("2026-06-29") + pd.to_timedelta(flags.week * 7, unit="D")).dt.date
    return _rows(flags.groupby(["week", "stage"]).size().reset_index())


# measuring -----------------------------------------------------------------------------------------------------------


QUESTIONS: tuple[tuple[Callable[[Frames], Rows], dict[str, Any], dict[str, str]], ...] = (
    (
        retention_by_channel,
        {"metrics": ["retention"], "dimensions": ["channel"]},
        {"users": "user_id, registered_at, channel", "events": "user_id, event_time"},
    ),
    (
        retention_triangle,
        {"metrics": ["retention[n=30]"], "dimensions": ["period_number"], "grain": "week"},
        {"users": "user_id, registered_at", "events": "user_id, event_time"},
    ),
    (
        funnel,
        {"metrics": [f"signup_funnel[steps={'>'.join(FUNNEL)},n=7]"], "dimensions": ["funnel_step"]},
        {"events": "user_id, event_time, event_name"},
    ),
    (
        rfm_tiers,
        {"metrics": ["new_users"], "dimensions": ["rfm_tier"]},
        {"users": "user_id", "orders": "user_id, ordered_at, paid_at, amount"},
    ),
    (
        ltv_by_channel,
        {"metrics": ["ltv[n=90]"], "dimensions": ["channel"]},
        {"users": "user_id, registered_at, channel", "orders": "user_id, ordered_at, paid_at, amount"},
    ),
    (
        weekly_lifecycle,
        {"metrics": ["lifecycle_users"], "grain": "week", "period": {"start": "2026-07-06", "end": "2026-10-04"}},
        {"users": "user_id, registered_at", "events": "user_id, event_time"},
    ),
)


def connect(database: Path) -> duckdb.DuckDBPyConnection:
    """Open a database as the engine does: read-only, attached to an instance in memory, nothing spilled to disk."""
    connection = duckdb.connect(":memory:", config={"memory_limit": EngineSettings().memory, "temp_directory": ""})
    connection.execute(f"ATTACH '{database}' AS data (READ_ONLY)")
    connection.execute("USE data")
    return connection


def fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    return connection.execute(sql).fetchall()


def read(connection: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> Frames:
    """Read the columns that a question uses, as pandas takes them by itself."""
    return {table: connection.execute(f"SELECT {names} FROM {table}").df() for table, names in columns.items()}


def same(left: Rows, right: Rows) -> bool:
    """Say whether two answers have the same rows, in whatever order ties stand."""

    def cell(value: Any) -> Any:
        return value if value is None or isinstance(value, str | date) else float(value)

    def close(a: Any, b: Any) -> bool:
        return isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else bool(a == b)

    sides = [sorted((tuple(map(cell, row)) for row in rows), key=str) for rows in (left, right)]
    pairs = zip(*sides, strict=False)
    return len(left) == len(right) and all(all(map(close, a, b)) for a, b in pairs)


def memory(database: Path, sql: str) -> int:
    """Return the most memory in bytes that a statement takes in a fresh instance, the blocks it reads included."""
    with connect(database) as connection:
        connection.execute("PRAGMA enable_profiling = 'no_output'")
        connection.execute(sql).fetchall()
        return int(json.loads(connection.get_profiling_information())["system"]["peak_buffer_memory"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure behavioural questions against hand-written SQL and pandas.")
    parser.add_argument("--events", type=int, choices=tuple(SHOPS), default=10, help="millions of events (%(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "wenshu-benchmarks", help="where shops are kept"
    )
    parser.add_argument("--repeat", type=int, default=9, help="runs of every statement; pandas runs a third of them")
    asked = parser.parse_args()

    users, events = SHOPS[asked.events]
    database = prepare(asked.folder, users, events)
    connection = connect(database)
    layer = SemanticLayer(load_model("shop"), DuckDBEngine(database), clock=date.today)
    counted = connection.execute(
        "SELECT (FROM (SELECT count(*) FROM users)), (FROM (SELECT count(*) FROM events))"
    ).fetchall()
    print("{:,} users, {:,} events".format(*counted[0]))
    order = random.Random(7)

    heads = (
        "question",
        "generated",
        "hand-written",
        "ratio",
        "peak memory",
        *(head for way in ("pandas", "with columns", "with tables") for head in (way, "× faster")),
    )
    line = "{:<22}{:>12}{:>14}{:>8}{:>13}" + 3 * "{:>13}{:>10}"
    print(line.format(*heads))
    for in_pandas, question, columns in QUESTIONS:
        generated = layer.compile(query_from_json(question)).statement.sql
        written = (SQL / f"{in_pandas.__name__}.sql").read_text(encoding="utf-8")
        ways: dict[str, Callable[[], Rows]] = {
            "generated": partial(fetch, connection, generated),
            "written": partial(fetch, connection, written),
        }
        if events is not None:  # what all events need as frames may not fit into memory
            ways["pandas"] = partial(in_pandas, read(connection, columns))
            ways["columns"] = partial(_read_and_ask, connection, columns, in_pandas)
            ways["tables"] = partial(_read_and_ask, connection, _whole(columns), in_pandas)
        answers = {way: run() for way, run in ways.items()}
        for way, rows in answers.items():
            if not same(answers["generated"], rows):
                raise SystemExit(f"{in_pandas.__name__}: generated SQL and {way} give different answers")
        times: dict[str, list[float]] = {way: [] for way in ways}
        for repetition in range(asked.repeat):
            for way in order.sample(list(ways), len(ways)):
                if way in ("generated", "written") or repetition % 3 == 0:
                    times[way].append(milliseconds(ways[way]))

        def times_as_long(way: str, other: str, every: int = 1, times: dict[str, list[float]] = times) -> float:
            return median(a / b for a, b in zip(times[way], times[other][::every], strict=True))

        ratio, faster = times_as_long("generated", "written"), {}
        for way in PANDAS if events is not None else ():
            faster[way] = times_as_long(way, "generated", 3)
        shown = [f"{median(times['generated']):.0f} ms", f"{median(times['written']):.0f} ms", f"{ratio:.2f}"]
        shown.append(f"{memory(database, generated) / 2**20:.0f} MiB")
        for way in PANDAS:
            shown += [f"{median(times[way]):.0f} ms", f"{faster[way]:.1f}"] if way in faster else ["", ""]
        missed = ratio > MOST_TIMES_HAND_WRITTEN or faster.get("tables", FASTER_THAN_PANDAS) < FASTER_THAN_PANDAS
        print(line.format(in_pandas.__name__, *shown) + ("  misses its target" if missed else ""), flush=True)


def _read_and_ask(
    connection: duckdb.DuckDBPyConnection, columns: dict[str, str], ask: Callable[[Frames], Rows]
) -> Rows:
    return ask(read(connection, columns))


def _whole(columns: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(columns, "*")


if __name__ == "__main__":
    main()
