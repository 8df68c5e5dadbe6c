"""How often the insight tools find something where nothing is: shops without planted effects, one for each seed.

For each shop it asks why seven numbers changed in each of four months, and what is unusual in each of twelve months. A
part that is said to stand out, or a day that is said to be unusual, is a false finding.
"""

import sys
from collections import Counter
from datetime import date
from pathlib import Path

from _measuring import arguments

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import DateRange, Grain, bucket
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.shop import build_shop
from wenshu.tools.insight.drivers import drivers_of
from wenshu.tools.insight.insight import find
from wenshu.tools.insight.unusual import Unusual

METRICS = ("gmv", "orders", "aov", "active_users", "payment_conversion", "retention[n=7]", "repurchase_rate")
MONTHS = (date(2026, 2, 1), date(2026, 5, 1), date(2026, 8, 1), date(2026, 10, 1))
FOUND = ("made the difference", "The other way went")


def month(day: date) -> DateRange:
    return bucket(day, Grain.MONTH)


def shop_without_effects(folder: Path, users: int, seed: int) -> SemanticLayer:
    path = folder / f"plain-{users}-{seed}.duckdb"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        build_shop(path, users=users, seed=seed, effects=False)
    return SemanticLayer(load_model("shop"), DuckDBEngine(path), clock=lambda: date(2026, 11, 1))


def main() -> None:
    asked = arguments(__doc__ or "", users=10_000, repeat=20)
    answers, false = Counter[str](), Counter[str]()
    for seed in range(asked.repeat):
        layer = shop_without_effects(asked.folder, asked.users, seed)
        for metric in METRICS:
            for day in MONTHS:
                found = find(layer, drivers_of(Query(metrics=(metric,), period=month(day))))
                parts = [text.en for text in found.findings if any(words in text.en for words in FOUND)]
                answers[f"why: {metric}"] += 1
                false[f"why: {metric}"] += bool(parts)
                for said in parts:
                    print(f"seed {seed}, {metric}, {day:%Y-%m}: {said}", file=sys.stderr)
        for number in range(11, 23):
            first = date(2025 + (number - 1) // 12, (number - 1) % 12 + 1, 1)
            found = find(layer, Unusual(query=Query(metrics=layer.model.headline, period=month(first))))
            odd = [text.en for text in found.findings if text.en.startswith("**")]
            answers["unusual days, six metrics a month"] += 1
            false["unusual days, six metrics a month"] += bool(odd)
            for said in odd:
                print(f"seed {seed}, {first:%Y-%m}: {said}", file=sys.stderr)
        layer.engine.close()
    width = max(map(len, answers))
    for name, asked_for in answers.items():
        print(f"{name:{width}}  {false[name]:4d} of {asked_for:4d} answers with a false finding ({false[name] / asked_for:.1%})")


if __name__ == "__main__":
    main()
