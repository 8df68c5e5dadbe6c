"""Owns what the benchmarks share: the demo shop they run on, repeated measuring and how figures are printed."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from wenshu.semantic_layer.shop import build_shop


def arguments(description: str, *, users: int, repeat: int, events: int | None = None) -> argparse.Namespace:
    """Read the options every benchmark has: how large a shop, where it is kept, how often to repeat; and how many events, where it matters."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--users", type=int, default=users, help="users of the shop (%(default)s)")
    parser.add_argument("--repeat", type=int, default=repeat, help="runs of everything measured (%(default)s)")
    if events is not None:
        parser.add_argument("--events", type=int, default=events, help="events kept, about (%(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "wenshu-benchmarks", help="where shops are kept"
    )
    return parser.parse_args()


def shop(folder: Path, users: int) -> Path:
    """Return the file of a shop with so many users, built in `folder` the first time."""
    path = folder / f"shop-{users}.duckdb"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"building a shop of {users:,} users in {path} …", file=sys.stderr)
        build_shop(path, users=users)
    return path


def prepare(folder: Path, users: int, events: int | None) -> Path:
    """Return the shop's database, built where it is missing; with `events`, about so many of them remain.

    The events left are those of sessions drawn by a hash, and every sign-up; all other tables stay whole.
    """
    if events is None:
        return shop(folder, users)
    import duckdb

    thin = folder / f"shop-{users}-{events}.duckdb"
    if not thin.exists():
        whole = shop(folder, users)
        print(f"keeping about {events:,} events in {thin} …", file=sys.stderr)
        part = thin.with_suffix(".part")
        part.unlink(missing_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{whole}' AS whole (READ_ONLY)")
            connection.execute(f"ATTACH '{part}' AS thin")
            connection.execute("COPY FROM DATABASE whole TO thin")
            found, kept = connection.execute(
                "SELECT count(*), count(*) FILTER (event_name = 'sign_up') FROM thin.events"
            ).fetchall()[0]
            drawn = round(10_000 * (events - kept) / (found - kept))
            connection.execute("DROP TABLE thin.events")
            connection.execute(
                "CREATE TABLE thin.events AS FROM whole.events "
                f"WHERE event_name = 'sign_up' OR hash(session_id) % 10000 < {drawn} ORDER BY event_id"
            )
        part.rename(thin)
        whole.unlink()
    return thin


def milliseconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def print_times(rows: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Print the median and the 95th percentile of times in milliseconds, one line a row."""
    width = max(len(name) for name, _ in rows)
    print(f"{'':{width}}  {'median':>10}  {'p95':>10}")
    for name, values in rows:
        print(f"{name:{width}}  {statistics.median(values):7.1f} ms  {percentile(values, 0.95):7.1f} ms")
