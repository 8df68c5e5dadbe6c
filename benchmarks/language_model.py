"""Compares planning by rules, by a language model and by both, on files of questions: right, wrong, asked back, seconds, tokens.

    WENSHU_MODEL=… OPENAI_BASE_URL=… python benchmarks/language_model.py [FILE.jsonl …] [--first N] [--planner llm]

Runs against whatever endpoint the environment names; without one it measures the rules alone.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.auto import AutoPlanner
from wenshu.assistant.evaluation import evaluate, summarise
from wenshu.assistant.llm_planner import LlmPlanner
from wenshu.assistant.llm_settings import settings_from
from wenshu.assistant.planner import Planner
from wenshu.assistant.rules import RulesPlanner
from wenshu.ui.workspace import open_layer

FILES = (Path(__file__).parent / "paraphrases.jsonl",)
COLUMNS = ("questions", "right", "wrong", "asked", "seconds", "tokens")


def planners(rules: RulesPlanner) -> Iterator[tuple[str, Planner]]:
    yield "rules", rules
    settings = settings_from(os.environ)
    if settings is None:
        print("no language model is configured: the rules alone")
        return
    from wenshu.assistant.llm import Endpoint

    llm = LlmPlanner(rules, Endpoint(replace(settings, prose=False)))
    yield "llm", llm
    yield "auto", AutoPlanner(llm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=FILES)
    parser.add_argument("--first", type=int, help="questions of each file")
    parser.add_argument("--db", type=Path, help="a demo shop of 20,000 users; without it the one in the data folder")
    parser.add_argument("--planner", choices=("rules", "llm", "auto"), help="only this one")
    given = parser.parse_args()
    layer = open_layer("shop", given.db)
    print(f"{'file':24}{'planner':9}" + "".join(f"{name:>11}" for name in COLUMNS))
    for path in given.files:
        lines = path.read_text("utf-8").splitlines()[: given.first]
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as part:
            part.write("\n".join(lines))
            part.flush()
            for name, planner in planners(RulesPlanner(layer)):
                if given.planner in (None, name):
                    report = summarise(evaluate(Assistant(layer, planner), Path(part.name)))
                    shown = "".join(
                        f"{report[key]:>11.2f}" if key == "seconds" else f"{report[key]:>11.0f}" for key in COLUMNS
                    )
                    print(f"{path.stem:24}{name:9}{shown}", flush=True)


if __name__ == "__main__":
    main()
