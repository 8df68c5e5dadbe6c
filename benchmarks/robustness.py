"""Measure whether a question asked in slightly other words is planned as the same query.

    python benchmarks/robustness.py

Every answerable single question of tests/questions/shop.jsonl is asked again with other blanks, punctuation, politeness,
width and case, in traditional characters, with its period moved to the front or the end, with a synonym of the model in
the place of a name, with one letter of a long English word slipped, and with one character of a Chinese name that sounds
alike. A variant agrees where its query is the same
but for the order of what has none; one that is asked back or refused does not agree, another query is worse.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

from _measuring import shop
from pypinyin import lazy_pinyin

from wenshu.assistant.linker import SLOT, LinkedQuestion, link
from wenshu.assistant.planner import Plan
from wenshu.assistant.question import Question, language_of
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import Query

QUESTIONS = Path(__file__).parents[1] / "tests" / "questions" / "shop.jsonl"
LEAST_SAME = 0.95
POLITE = {"zh": ("请问{}", "麻烦帮我查一下{}，谢谢", "{}？"), "en": ("Please show me {}", "Could you tell me {}?", "{}, thanks")}
SHORTEST_SLIP = 8


@cache
def to_traditional() -> dict[int, str]:
    text = files("opencc").joinpath("dictionary/STCharacters.txt").read_text("utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return {ord(simple): forms.split()[0] for simple, forms in pairs if len(simple) == 1}


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() or (c.isascii() and c.isalpha()) else c for c in text)


def variants(text: str, linked: LinkedQuestion, planner: RulesPlanner) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of a question in slightly other words."""
    language = language_of(text)
    bare = text.rstrip("？?。. ")
    for form in POLITE[language]:
        yield "politeness", form.format(bare)
    yield "end", bare if bare != text else f"{text}{'？' if language == 'zh' else '?'}"
    if language == "zh":
        yield "traditional", text.translate(to_traditional())
        yield "width", full_width(text)
        yield "blanks", " ".join(m.text for m in linked.mentions) if not linked.unknown else f" {text} "
    else:
        yield "case", text.upper()
        yield "blanks", f"  {text.replace(' ', '  ')} "
        words = [word for word in text.split() if word.isalpha() and word.islower() and len(word) >= SHORTEST_SLIP]
        named = {word for name in planner.vocabulary.names for word in name.lower().split()}
        for word in [word for word in words if word in named][:1]:
            yield "slip", text.replace(word, word[:3] + word[4] + word[3] + word[5:])
    for mention in [m for m in linked.mentions if language == "zh" and m.of("metric", "dimension") and len(m.text) > 1][:1]:
        for i, char in enumerate(mention.text):
            if other := next((c for c in characters(planner) if c != char and lazy_pinyin(c) == lazy_pinyin(char)), None):
                yield "sound", f"{text[: mention.start + i]}{other}{text[mention.start + i + 1 :]}"
                break
    times = [m for m in linked.mentions if m.time is not None and m.time.period is not None]
    if len(times) == 1 and language == "zh" and times[0].start == 0 and "，" not in text:
        rest = text[times[0].end :].removeprefix("的").rstrip("？?。")
        yield "order", f"{rest}，{times[0].text}"
    metrics = [m for m in linked.mentions if len({t.kind for t in m.targets}) == 1 and len(m.targets) == 1 and m.of("metric")]
    for mention in metrics[:1]:
        target = mention.targets[0]
        metric = planner.model.metric_by_name.get(target.name)
        if metric is not None and target.grain is None:
            other = metric.label.in_(language)
            if other.lower() != mention.text.lower() and SLOT not in other:
                yield "name", f"{text[: mention.start]}{other}{text[mention.end :]}"


@cache
def characters(planner: RulesPlanner) -> tuple[str, ...]:
    """Return the Chinese characters of all names."""
    return tuple(sorted({char for name in planner.vocabulary.names for char in name if "一" <= char <= "鿿"}))


def key(query: Query) -> object:
    """Return a query without the order of what has none and without the words of its period."""
    return replace(query, dimensions=tuple(sorted(query.dimensions)), filters=None), str(query.filters)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=2_000, help="users of the shop (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "wenshu-benchmarks")
    parser.add_argument("--show", type=int, default=20, help="variants shown that do not agree (%(default)s)")
    options = parser.parse_args()
    engine = DuckDBEngine(shop(options.folder, options.users))
    layer = SemanticLayer(load_model("shop"), engine, clock=lambda: date(2026, 11, 1), folder=None)
    planner, as_of = RulesPlanner(layer), layer.as_of(None)
    asked, same, other = Counter[str](), Counter[str](), Counter[str]()
    shown = 0
    for line in QUESTIONS.read_text("utf-8").splitlines():
        item = json.loads(line)
        text = item["text"]
        if item["expect"] != "answer" or "conversation" in item:
            continue
        plan = planner.plan(Question(text=text), language_of(text))
        if not isinstance(plan, Plan):
            continue
        linked = link(text, planner.vocabulary, as_of=as_of, language=language_of(text))
        for kind, variant in variants(text, linked, planner):
            outcome = planner.plan(Question(text=variant), language_of(variant))
            asked[kind] += 1
            agrees = isinstance(outcome, Plan) and key(outcome.query) == key(plan.query)
            same[kind] += agrees
            other[kind] += not agrees and isinstance(outcome, Plan)
            if not agrees and shown < options.show:
                shown += 1
                print(f"{kind}: {text} → {variant}: {'another query' if isinstance(outcome, Plan) else 'not answered'}")
    print(f"{'':12}{'variants':>10}{'same':>10}{'another':>10}")
    for kind in asked:
        print(f"{kind:12}{asked[kind]:>10,}{same[kind] / asked[kind]:>10.1%}{other[kind]:>10,}")
    share = same.total() / asked.total()
    print(f"{'all':12}{asked.total():>10,}{share:>10.1%}{other.total():>10,}")
    print(f"limit: {LEAST_SAME:.0%} the same: {'held' if share >= LEAST_SAME else 'NOT held'}")
    return 0 if share >= LEAST_SAME else 1


if __name__ == "__main__":
    sys.exit(main())
