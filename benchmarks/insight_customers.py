"""How long analyses of customers take over 10 million events and 1 million orders, each in a database just opened.

What is bought together, key actions, churn and repurchase probability, lifetime value, groups; and segments that are learnt:
the first question with its learning, and the next one. Steps are those that people see while they wait, with their seconds; the processor's time says more on a busy machine.
"""

import os
import time
from collections.abc import Generator
from datetime import date
from pathlib import Path

from _measuring import arguments, prepare

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.basket import Basket, lines_of
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.insight import Analysis, Inquiry
from wenshu.tools.insight.key_actions import KeyActions
from wenshu.tools.insight.predicted_value import PredictedValue
from wenshu.tools.insight.propensity import Propensity
from wenshu.tools.query import learning, run_query

LINES = Query(metrics=(lines_of(load_model("shop")).metric,))
ASKED: dict[str, tuple[Analysis, int]] = {  # with the seconds that it may take
    "basket pairs by product": (Basket(query=LINES, by="product"), 5),
    "basket pairs by product, per user": (Basket(query=LINES, by="product", of="user"), 30),
    "sets of three brands": (Basket(query=LINES, by="brand", size=3), 5),
    "key actions for day-7 retention": (KeyActions(outcome="retention[n=7]"), 5),
    "key actions for repurchase": (KeyActions(outcome="repurchase_within[n=30]"), 5),
    "churn": (Propensity(event="churn"), 30),
    "repurchase by channel": (Propensity(event="repurchase", by="channel"), 30),
    "predicted value": (PredictedValue(), 30),
    "clusters": (Clusters(), 30),
}
SEGMENTS = ("churn_risk", "repurchase_chance", "customer_cluster")


def opened(path: Path) -> SemanticLayer:
    layer = SemanticLayer(load_model("shop"), DuckDBEngine(path), clock=lambda: date(2026, 11, 1))
    assert layer.profile.coverage  # what a running process knows already
    return layer


def timed(run: Generator[Text, None, object]) -> tuple[float, str]:
    """Return the seconds that a run takes, and its steps with the seconds at which each began."""
    started, worked, steps = time.perf_counter(), time.process_time(), []
    while True:
        try:
            step = next(run)
        except StopIteration:
            steps.append(f"{time.process_time() - worked:.1f} of processor in all")
            return time.perf_counter() - started, "; ".join(steps)
        steps.append(f"{time.perf_counter() - started:.1f} {step.en}")


def main() -> None:
    asked = arguments(__doc__ or "", users=700_000, events=10_000_000, repeat=1)
    path = prepare(asked.folder, asked.users, asked.events)
    layer = opened(path)
    events, orders = (run_query(layer, Query(metrics=(name,))).table.rows[0][0] for name in ("events", "orders"))
    layer.engine.close()
    print(f"{asked.users:,} users, {events:,} events, {orders:,} orders; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for _ in range(asked.repeat):
        for name, (analysis, most) in ASKED.items():
            layer = opened(path)
            seconds, steps = timed(analysis.run(Inquiry(layer)))
            print(f"{name:34} {seconds:5.1f} s (target {most}), load {os.getloadavg()[0]:.1f}   [{steps}]")
            layer.engine.close()
        for segment in SEGMENTS:
            layer = opened(path)
            query = Query(metrics=("gmv",), dimensions=(segment,))
            learnt, steps = timed(learning(layer, query))
            started = time.perf_counter()
            run_query(layer, query)
            first = time.perf_counter() - started
            started = time.perf_counter()
            run_query(layer, Query(metrics=("orders",), dimensions=(segment, "channel")))
            print(f"{f'GMV by {segment}':34} {learnt + first:5.1f} s, of it learning {learnt:.1f} s; the next question {time.perf_counter() - started:.1f} s   [{steps}]")
            layer.engine.close()


if __name__ == "__main__":
    main()
