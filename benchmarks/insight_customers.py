"""Time what is bought together, churn, lifetime value and groups over a large shop: `python benchmarks/insight_customers.py DB`."""

import sys
import time
from datetime import date
from pathlib import Path

from wenshu.semantic_layer.opening import open_layer
from wenshu.semantic_layer.query import Query
from wenshu.tools.insight.basket import Basket, lines_of
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.insight import Analysis, Inquiry
from wenshu.tools.insight.predicted_value import PredictedValue
from wenshu.tools.insight.propensity import Propensity


def main() -> None:
    layer = open_layer("shop", Path(sys.argv[1]), clock=date.today)
    lines = Query(metrics=(lines_of(layer.model).metric,))
    asked: dict[str, Analysis] = {
        "basket pairs by product": Basket(query=lines, by="product"),
        "basket pairs by product, per user": Basket(query=lines, by="product", of="user"),
        "sets of three brands": Basket(query=lines, by="brand", size=3),
        "churn": Propensity(event="churn"),
        "repurchase by channel": Propensity(event="repurchase", by="channel"),
        "predicted value": PredictedValue(),
        "clusters": Clusters(),
    }
    for name, analysis in asked.items():
        start = time.perf_counter()
        run, steps = analysis.run(Inquiry(layer)), []
        while True:
            try:
                steps.append((next(run).en, time.perf_counter() - start))
            except StopIteration as end:
                print(f"{name}: {time.perf_counter() - start:.1f} s — {end.value.headline.en}")
                break
        print("   " + "; ".join(f"{at:.1f} s {text}" for text, at in steps))


if __name__ == "__main__":
    main()
