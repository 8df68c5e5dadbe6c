"""Measure how long understanding a question takes: its words linked, read and settled, without running the query.

    python benchmarks/planning.py                 the demo shop, its index of values grown to 10,000 names
    python benchmarks/planning.py --values 50000

Every question of tests/questions/shop.jsonl is planned `--repeat` times by one planner in one process.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from _measuring import milliseconds, percentile, print_times, shop

from wenshu.assistant.question import Question, language_of
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.profile import DataProfile

QUESTIONS = Path(__file__).parents[1] / "tests" / "questions" / "shop.jsonl"
MEDIAN_MS, P95_MS = 15, 50
SYLLABLES = "安贝晨多恩风格禾景可兰木宁澎青如思棠唯夏悠泽"


def invented(number: int) -> str:
    """Return a product name that the shop does not have, another for every number."""
    letters = []
    for _ in range(5):
        number, digit = divmod(number, len(SYLLABLES))
        letters.append(SYLLABLES[digit])
    return f"{''.join(letters)}牌商品"


def grown(profile: DataProfile, values: int) -> DataProfile:
    """Return a profile with as many indexed values, the invented ones products."""
    known = sum(map(len, profile.values.values()))
    more = tuple(invented(number) for number in range(max(0, values - known)))
    products = "products.product"
    return replace(profile, values={**profile.values, products: (*profile.values.get(products, ()), *more)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000, help="users of the shop (%(default)s)")
    parser.add_argument("--values", type=int, default=10_000, help="indexed values of the data (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="times each question is planned (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "wenshu-benchmarks")
    options = parser.parse_args()
    engine = DuckDBEngine(shop(options.folder, options.users))
    layer = SemanticLayer(load_model("shop"), engine, clock=lambda: date(2026, 11, 1), folder=None)
    layer.profile = grown(layer.profile, options.values)
    planner = RulesPlanner(layer)
    items = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    questions = [Question(text=item["text"]) for item in items]
    first = milliseconds(lambda: planner.plan(questions[0], language_of(questions[0].text)))
    times = [
        milliseconds(lambda question=question: planner.plan(question, language_of(question.text)))
        for _ in range(options.repeat)
        for question in questions
    ]
    print(f"{len(questions)} questions, {sum(map(len, layer.profile.values.values())):,} indexed values")
    print_times([("first question", [first]), ("a question", times)])
    within = percentile(times, 0.5) <= MEDIAN_MS and percentile(times, 0.95) <= P95_MS
    print(f"limits: median {MEDIAN_MS} ms, p95 {P95_MS} ms: {'held' if within else 'NOT held'}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
