"""Measure what policies cost: the same queries open, with a filter that keeps every row, and with one that keeps a city's."""

import statistics
from dataclasses import replace
from datetime import date
from itertools import product

from _measuring import arguments, milliseconds, print_times, shop

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.policy import Policy, Principal, RowFilter
from wenshu.semantic_layer.policy_sql import uncovered
from wenshu.semantic_layer.query import query_from_json
from wenshu.semantic_layer.spec_reader import one_tree

QUERIES = (
    {"metrics": ["gmv"]},
    {"metrics": ["gmv", "buyers"], "dimensions": ["channel"]},
    {"metrics": ["active_users"], "grain": "week"},
    {"metrics": ["new_users"], "grain": "day", "period": {"start": "2026-10-01", "end": "2026-10-31"}},
    {"metrics": ["item_sales"], "dimensions": ["category"]},
    {"metrics": ["gmv"], "grain": "month", "compare": "previous", "period": {"start": "2026-07-01", "end": "2026-09-30"}},
    {"metrics": ["day_7_retention"], "dimensions": ["channel"]},
    {"metrics": ["repurchase_rate"], "dimensions": ["city"]},
    {"metrics": ["gmv"], "dimensions": ["rfm_tier"]},
)
ROLES = {
    "a filter that keeps every row": "users.user_id >= 0",
    "a filter that keeps a city": "users.city = '上海'",
}


def main() -> None:
    """Compile and run every query for each role, and say how much longer it takes than without policies."""
    options = arguments(__doc__ or "", users=20_000, repeat=7)
    model = load_model("shop")
    queries = [query_from_json(query) for query in QUERIES if set(query["metrics"]) <= set(model.metric_by_name)]
    engine = DuckDBEngine(shop(options.folder, options.users))
    policies = []
    for role, text in ROLES.items():
        policy = Policy(roles=(role,), rows=(RowFilter(dataset="users", condition=one_tree(text)),))
        policies.append(replace(policy, shared=uncovered(policy, model.datasets, model.relationships)))
    restricted = SemanticLayer(replace(model, policies=tuple(policies)), engine, clock=date.today)
    layers = {"open": SemanticLayer(model, engine, clock=date.today)}
    layers |= {role: restricted.for_user(Principal(name="x", role=role)) for role in ROLES}
    compiling: dict[str, list[float]] = {name: [] for name in layers}
    running: dict[str, list[float]] = {name: [] for name in layers}
    for query in queries:
        statements = {name: layer.compile(query).statement for name, layer in layers.items()}
        compiled: dict[str, list[float]] = {name: [] for name in layers}
        ran: dict[str, list[float]] = {name: [] for name in layers}
        for _, (name, layer) in product(range(options.repeat), layers.items()):
            compiled[name].append(milliseconds(lambda q=query, on=layer: on.compile(q)))
            ran[name].append(milliseconds(lambda statement=statements[name]: engine.run(statement, max_rows=10_000)))
        for name in layers:
            compiling[name].append(statistics.median(compiled[name]))
            running[name].append(statistics.median(ran[name]))
    print(f"{len(queries)} queries, {options.repeat} times each, {options.users:,} users")
    rows = [(f"{name}: compile and guard", compiling[name]) for name in layers]
    print_times([*rows, *((f"{name}: run", running[name]) for name in layers)])
    whole = {name: [a + b for a, b in zip(compiling[name], running[name], strict=True)] for name in layers}
    for name in ROLES:
        ratios = [restricted / plain for restricted, plain in zip(whole[name], whole["open"], strict=True)]
        added = [restricted - plain for restricted, plain in zip(whole[name], whole["open"], strict=True)]
        print(
            f"{name}: {statistics.median(ratios):.2f} times as long (from {min(ratios):.2f} to {max(ratios):.2f}), "
            f"{statistics.median(added):+.1f} ms at the median"
        )


if __name__ == "__main__":
    main()
