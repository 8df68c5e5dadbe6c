"""Measure what the walls add to a warm question: the guard, a policy and the worker together, against the compiler's own text run here."""

import statistics
from dataclasses import replace
from datetime import date
from functools import partial

from _measuring import arguments, milliseconds, shop
from policies import QUERIES

from wenshu.semantic_layer.compiler import compile_query
from wenshu.semantic_layer.engine import DuckDBEngine, Engine
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.policy import Policy, Principal, RowFilter
from wenshu.semantic_layer.policy_sql import uncovered
from wenshu.semantic_layer.query import query_from_json
from wenshu.semantic_layer.resolver import ResolvedQuery
from wenshu.semantic_layer.spec_reader import one_tree
from wenshu.semantic_layer.worker_engine import WorkerEngine


def main() -> None:
    """Compile and run every query bare, and within the walls, by turns; print the median of what is added to each."""
    options = arguments(__doc__ or "", users=20_000, repeat=15)
    model, database = load_model("shop"), shop(options.folder, options.users)
    policy = Policy(roles=("all",), rows=(RowFilter(dataset="users", condition=one_tree("users.user_id >= 0")),))
    policy = replace(policy, shared=uncovered(policy, model.datasets, model.relationships))
    here, there = DuckDBEngine(database), WorkerEngine(database)
    open_layer = SemanticLayer(model, here, clock=date.today)
    mine = SemanticLayer(replace(model, policies=(policy,)), there, clock=date.today).for_user(Principal(name="x", role="all"))

    def bare(resolved: ResolvedQuery) -> None:
        tree = compile_query(resolved)
        here.run(GuardedStatement(tree=tree, sql=tree.sql(dialect="duckdb"), tables=()), max_rows=10_000)

    def walled(layer: SemanticLayer, engine: Engine, resolved: ResolvedQuery) -> None:
        engine.run(layer.guarded(compile_query(resolved)), max_rows=10_000)

    added: dict[str, list[float]] = {"guard": [], "guard and worker": [], "guard, worker and policy": []}
    for asked in QUERIES:
        if not set(asked["metrics"]) <= set(model.metric_by_name):
            continue
        resolved = open_layer.compile(query_from_json(asked)).resolved
        restricted = mine.compile(query_from_json(asked)).resolved
        ways = {
            "bare": partial(bare, resolved), "guard": partial(walled, open_layer, here, resolved),
            "guard and worker": partial(walled, open_layer, there, resolved),
            "guard, worker and policy": partial(walled, mine, there, restricted),
        }  # fmt: skip
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeat):
            for name, way in ways.items():
                taken[name].append(milliseconds(way))
        for name in added:
            added[name].append(statistics.median(taken[name]) - statistics.median(taken["bare"]))
    for name, times in added.items():
        print(f"{name:<26} adds {statistics.median(times):5.1f} ms at the median, {max(times):5.1f} ms at most, over {len(times)} queries")
    here.close()
    there.close()


if __name__ == "__main__":
    main()
