"""How often the insight tools find something where nothing is: shops without planted effects, one for each seed.

For each shop it asks why seven numbers changed in each of four months, what is unusual in each of twelve months, which group
of its experiments does better, which first actions are key, and what is bought together. Whatever is said to stand out is false.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from _measuring import arguments

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import DateRange, Grain, bucket
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.shop import build_shop
from wenshu.tools.insight.basket import Basket, lines_of
from wenshu.tools.insight.drivers import drivers_of
from wenshu.tools.insight.experiment import Experiment
from wenshu.tools.insight.insight import find
from wenshu.tools.insight.key_actions import KeyActions
from wenshu.tools.insight.unusual import Unusual

METRICS = ("gmv", "orders", "aov", "active_users", "payment_conversion", "retention[n=7]", "repurchase_rate")
MONTHS = (date(2026, 2, 1), date(2026, 5, 1), date(2026, 8, 1), date(2026, 10, 1))
FOUND = ("made the difference", "The other way went")
UNUSUAL, EXPERIMENTS = "unusual days, six metrics a month", "experiments of a shop, all metrics"
EXPECTED = {  # share of answers that chance alone gives, by the error that each holds
    UNUSUAL: "5 % (false discovery rate)", EXPERIMENTS: "5 % (Holm over all comparisons of the answer)",
    "key actions": "1 % (Holm over all tried)", "bought together": "1 % (false discovery rate)", "why": "5 %",
}  # fmt: skip
Answers = Iterator[tuple[str, list[str]]]  # what was asked, and what was found


def month(day: date) -> DateRange:
    return bucket(day, Grain.MONTH)


def shop_without_effects(folder: Path, users: int, seed: int) -> SemanticLayer:
    path = folder / f"plain-{users}-{seed}.duckdb"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        build_shop(path, users=users, seed=seed, effects=False)
    return SemanticLayer(load_model("shop"), DuckDBEngine(path), clock=lambda: date(2026, 11, 1))


def causes(layer: SemanticLayer) -> Answers:
    for metric in METRICS:
        for day in MONTHS:
            found = find(layer, drivers_of(Query(metrics=(metric,), period=month(day))))
            yield f"why: {metric}", [f"{day:%Y-%m}: {text.en}" for text in found.findings if any(words in text.en for words in FOUND)]


def unusual_days(layer: SemanticLayer) -> Answers:
    for number in range(11, 23):
        first = date(2025 + (number - 1) // 12, (number - 1) % 12 + 1, 1)
        found = find(layer, Unusual(query=Query(metrics=layer.model.headline, period=month(first))))
        yield UNUSUAL, [f"{first:%Y-%m}: {text.en}" for text in found.findings if text.en.startswith("**")]


def trials(layer: SemanticLayer) -> Answers:
    headline = find(layer, Experiment(groups="experiment_assignments.variant")).headline.en
    yield EXPERIMENTS, [headline] if "difference is shown in" in headline or "is broken" in headline else []


def first_actions(layer: SemanticLayer) -> Answers:
    for outcome in ("retention[n=7]", "repurchase_within[n=30]"):
        headline = find(layer, KeyActions(outcome=outcome)).headline.en
        yield f"key actions: {outcome}", [] if headline.startswith("No first action stands out") else [headline]


def baskets(layer: SemanticLayer) -> Answers:
    lines = Query(metrics=(lines_of(layer.model).metric,))
    for by in ("product", "brand", "category"):
        headline = find(layer, Basket(query=lines, by=by)).headline.en
        yield f"bought together: {by}", [] if "more than chance gives" in headline else [headline]


def main() -> None:
    asked = arguments(__doc__ or "", users=10_000, repeat=20)
    answers, false = Counter[str](), Counter[str]()
    for seed in range(asked.repeat):
        layer = shop_without_effects(asked.folder, asked.users, seed)
        for looked in (causes, unusual_days, trials, first_actions, baskets):
            for name, found in looked(layer):
                answers[name] += 1
                false[name] += bool(found)
                for said in found:
                    print(f"seed {seed}, {name}, {said}", file=sys.stderr)
        layer.engine.close()
    width = max(map(len, answers))
    for name, asked_for in answers.items():
        expected = EXPECTED.get(name) or EXPECTED[name.partition(":")[0]]
        print(f"{name:{width}}  {false[name]:4d} of {asked_for:4d} answers with a false finding ({false[name] / asked_for:.1%}); at most {expected} expected")


if __name__ == "__main__":
    main()
