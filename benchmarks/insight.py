"""How long an analysis takes over 10 million events: why seven numbers changed, and what is unusual, each in a fresh process' cache.

Every question is asked once of an engine that was just opened, statements and look at the results included.
"""

from datetime import date
from pathlib import Path
from statistics import median

from _measuring import arguments, milliseconds, shop

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.tools.insight.drivers import drivers_of
from wenshu.tools.insight.insight import Analysis, find
from wenshu.tools.insight.unusual import Unusual

OCTOBER = DateRange(date(2026, 10, 1), date(2026, 10, 31))
METRICS = ("gmv", "orders", "aov", "active_users", "payment_conversion", "retention[n=7]", "repurchase_rate")


def opened(path: Path) -> SemanticLayer:
    layer = SemanticLayer(load_model("shop"), DuckDBEngine(path), clock=lambda: date(2026, 11, 1))
    assert layer.profile.coverage  # what a running process knows already
    return layer


def main() -> None:
    asked = arguments(__doc__ or "", users=190_000, repeat=3)
    path = shop(asked.folder, asked.users)
    analyses: list[tuple[str, Analysis]] = [(f"why: {m}", drivers_of(Query(metrics=(m,), period=OCTOBER))) for m in METRICS]
    analyses.append(("unusual: headline metrics", Unusual(query=Query(metrics=load_model("shop").headline, period=OCTOBER))))
    for name, analysis in analyses:
        times = []
        for _ in range(asked.repeat):
            layer = opened(path)
            times.append(milliseconds(lambda: find(layer, analysis)))  # noqa: B023
            layer.engine.close()
        print(f"{name:30} {median(times) / 1000:6.2f} s (of {asked.repeat}: {', '.join(f'{t / 1000:.2f}' for t in times)})")


if __name__ == "__main__":
    main()
