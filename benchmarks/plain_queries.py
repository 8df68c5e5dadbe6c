"""Measure the generated SQL against good hand-written SQL for the same answer, over ten million events.

A ratio is the median of the turns' own ratios, so that a busy machine troubles both sides alike.
"""

import statistics
from datetime import date

import duckdb
from _measuring import arguments, milliseconds, shop

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import query_from_json

SEPTEMBER = {"start": "2026-09-01", "end": "2026-09-30"}
QUERIES = (
    (
        "GMV by month",
        {"metrics": ["gmv"], "grain": "month", "period": {"start": "2026-01-01", "end": "2026-10-31"}},
        """SELECT date_trunc('month', ordered_at)::DATE AS month, sum(amount) FROM orders
           WHERE paid_at IS NOT NULL AND ordered_at >= '2026-01-01' AND ordered_at < '2026-11-01' GROUP BY 1 ORDER BY 1""",
    ),
    (
        "orders and their value by channel",
        {"metrics": ["gmv", "orders", "aov"], "dimensions": ["channel"], "period": SEPTEMBER},
        """SELECT channel, sum(amount) AS gmv, count(*), sum(amount) / count(*) FROM orders JOIN users USING (user_id)
           WHERE paid_at IS NOT NULL AND ordered_at >= '2026-09-01' AND ordered_at < '2026-10-01' GROUP BY 1 ORDER BY gmv DESC""",
    ),
    (
        "daily active users",
        {"metrics": ["active_users"], "grain": "day", "period": SEPTEMBER},
        """SELECT event_time::DATE AS day, count(DISTINCT user_id) FROM events
           WHERE event_time >= '2026-09-01' AND event_time < '2026-10-01' GROUP BY 1 ORDER BY 1""",
    ),
    (
        "item sales by category",
        {"metrics": ["item_sales"], "dimensions": ["category"]},
        """SELECT category, sum(quantity * unit_price) AS sales FROM order_items JOIN orders USING (order_id) JOIN products USING (product_id)
           WHERE paid_at IS NOT NULL AND ordered_at >= '2025-01-01' AND ordered_at < '2026-11-01' GROUP BY 1 ORDER BY sales DESC""",
    ),
    (
        "buyers among active users by city",
        {"metrics": ["payment_conversion"], "dimensions": ["city"], "period": SEPTEMBER},
        """WITH active AS (SELECT city, count(DISTINCT user_id) AS n FROM events JOIN users USING (user_id)
                           WHERE event_time >= '2026-09-01' AND event_time < '2026-10-01' GROUP BY 1),
                buyers AS (SELECT city, count(DISTINCT user_id) AS n FROM orders JOIN users USING (user_id)
                           WHERE paid_at IS NOT NULL AND ordered_at >= '2026-09-01' AND ordered_at < '2026-10-01' GROUP BY 1)
           SELECT city, buyers.n / active.n AS rate FROM active JOIN buyers USING (city) ORDER BY rate DESC, city""",
    ),
)


def main() -> None:
    """Run both statements of each query by turns and print their medians and ratio."""
    options = arguments(__doc__ or "", users=190_000, repeat=15)
    path = shop(options.folder, options.users)
    engine = DuckDBEngine(path)
    layer = SemanticLayer(load_model("shop"), engine, clock=lambda: date(2026, 11, 1))
    with duckdb.connect(str(path), read_only=True) as connection:
        [(events,)] = connection.execute("SELECT count(*) FROM events").fetchall()
        print(f"{events:,} events, {options.repeat} times each")
        print(f"{'':36}{'generated':>12}{'by hand':>12}{'ratio':>8}")
        for name, query, by_hand in QUERIES:
            generated = layer.compile(query_from_json(query)).statement.sql
            statements = (generated, by_hand)
            first, second = (connection.execute(statement).fetchall() for statement in statements)
            if first != second:
                raise SystemExit(f"{name}: the two statements differ in their answers")
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(options.repeat):
                for which in (0, 1) if turn % 2 else (1, 0):
                    times[which].append(milliseconds(lambda s=statements[which]: connection.execute(s).fetchall()))
            ours, theirs = map(statistics.median, times)
            ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
            print(f"{name:36}{ours:9.1f} ms{theirs:9.1f} ms{ratio:8.2f}")
    engine.close()


if __name__ == "__main__":
    main()
