"""Measure how long a query takes before it reaches the database: names resolved, SQL written, statement guarded."""

from datetime import date
from functools import partial

from _measuring import arguments, milliseconds, print_times, shop

from wenshu.semantic_layer.compiler import compile_query
from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.guard import guard
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import query_from_json
from wenshu.semantic_layer.resolver import resolve

SEPTEMBER = {"start": "2026-09-01", "end": "2026-09-30"}
SUMMER = {"start": "2026-06-01", "end": "2026-08-31"}
QUERIES = (
    {"metrics": ["gmv"]},
    {"metrics": ["gmv"], "period": SEPTEMBER, "compare": "previous"},
    {"metrics": ["gmv"], "dimensions": ["channel"], "period": SEPTEMBER},
    {"metrics": ["gmv", "orders", "aov"], "dimensions": ["city"], "period": SEPTEMBER, "limit": 5},
    {"metrics": ["gmv"], "dimensions": ["channel"], "period": SEPTEMBER, "compare": "year"},
    {"metrics": ["gmv"], "dimensions": ["city"], "period": SUMMER, "share": True},
    {"metrics": ["gmv"], "dimensions": ["city"], "limit": 3, "others": True},
    {"metrics": ["gmv"], "grain": "month"},
    {"metrics": ["gmv"], "grain": "month", "period": SUMMER, "compare": "previous"},
    {"metrics": ["gmv"], "dimensions": ["city"], "grain": "month", "limit": 3},
    {"metrics": ["cumulative_gmv"], "grain": "day", "period": SEPTEMBER},
    {"metrics": ["active_users"], "grain": "day", "period": SEPTEMBER},
    {"metrics": ["active_users"], "dimensions": ["platform"], "period": SEPTEMBER, "share": True},
    {"metrics": ["payment_conversion"], "dimensions": ["channel"], "period": SEPTEMBER},
    {"metrics": ["item_sales", "units_sold"], "dimensions": ["category"], "period": SUMMER},
    {"metrics": ["buyers"], "dimensions": ["category"], "filters": {"dimension": "gender", "values": ["F"]}},
    {"metrics": ["roi"], "dimensions": ["campaign"]},
    {"metrics": ["orders"], "dimensions": ["weekday", "hour_of_day"]},
    {"metrics": ["aov"], "dimensions": ["city"], "conditions": [{"metric": "aov", "op": ">", "value": "total"}]},
    {
        "metrics": ["gmv", "orders", "buyers", "active_users", "new_users", "payment_conversion"],
        "period": SEPTEMBER,
        "compare": "previous",
    },
)


def main() -> None:
    """Compile each of the queries again and again."""
    options = arguments(__doc__ or "", users=1_000, repeat=30)
    model = load_model("shop")
    engine = DuckDBEngine(shop(options.folder, options.users))
    layer = SemanticLayer(model, engine, clock=lambda: date(2026, 11, 1))
    queries = [query_from_json(query) for query in QUERIES]
    known = {"as_of": layer.as_of(), "coverage": layer.coverage, "by_dataset": layer.profile.coverage}
    times: dict[str, list[float]] = {"resolve": [], "write SQL": [], "guard": [], "all three": []}
    for _ in range(options.repeat):
        for query in queries:
            resolved = resolve(query, model, **known)
            tree = compile_query(resolved)
            times["resolve"].append(milliseconds(partial(resolve, query, model, **known)))
            times["write SQL"].append(milliseconds(partial(compile_query, resolved)))
            times["guard"].append(milliseconds(partial(guard, tree, tables=layer.tables)))
            times["all three"].append(milliseconds(partial(layer.compile, query)))
    print(f"{len(queries)} queries, {options.repeat} times each")
    print_times(tuple(times.items()))
    engine.close()


if __name__ == "__main__":
    main()
