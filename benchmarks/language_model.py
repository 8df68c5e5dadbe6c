"""Compares planning by rules, by a language model and by both, on files of questions: right, wrong, asked back, refused, seconds, tokens.

    WENSHU_MODEL=… OPENAI_BASE_URL=… python benchmarks/language_model.py [FILE.jsonl …] [--planner llm] [--replies FILE] [--each]
    WENSHU_MODEL=… OPENAI_BASE_URL=… python benchmarks/language_model.py --record tests/assistant/llm/recorded.jsonl

Runs against whatever endpoint the environment names; without one it measures the rules alone. `--replies` keeps what the
model says, so that a second run asks only what changed. `--record` asks the questions of a file of tests anew and keeps
the replies there, in place of those before. A slow machine wants WENSHU_LLM_SECONDS=900.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from _recording import Recording

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant
from wenshu.assistant.auto import AutoPlanner
from wenshu.assistant.evaluation import evaluate, summarise
from wenshu.assistant.llm_planner import LlmPlanner
from wenshu.assistant.llm_settings import LlmSettings, settings_from
from wenshu.assistant.narrator import Narrator
from wenshu.assistant.planner import Planner
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.ui.workspace import open_layer

FILES = tuple(Path(__file__).parent / name for name in ("paraphrases.jsonl", "paraphrases_2.jsonl"))


def recording_of(settings: LlmSettings, replies: Path | None = None) -> Recording:
    from wenshu.assistant.llm import Endpoint

    return Recording(Endpoint(settings), replies)


def planners(rules: RulesPlanner, replies: Path | None) -> Iterator[tuple[str, Planner, Recording | None]]:
    yield "rules", rules, None
    settings = settings_from(os.environ)
    if settings is not None:
        spoken = recording_of(replace(settings, prose=False), replies)
        llm = LlmPlanner(rules, spoken)
        yield "llm", llm, spoken
        yield "auto", AutoPlanner(llm), spoken


def measure(layer: SemanticLayer, path: Path, name: str, planner: Planner, spoken: Recording | None, each: bool) -> None:
    assistant, seconds = Assistant(layer, planner), 0.0
    verdicts = []

    def ask(question: Question) -> Answer:
        if spoken is not None:
            spoken.begin(question.text)
        return assistant.ask(question)

    for verdict in evaluate(assistant, path, ask):
        seconds += spoken.seconds if spoken is not None else verdict.seconds
        verdicts.append(verdict)
        if each and not verdict.right:
            print("wrong" if verdict.wrong else "missed", verdict.id, verdict.text, "—", verdict.reason, flush=True)
    report = summarise(verdicts)
    refused = sum(verdict.outcome == "refused" for verdict in verdicts)
    counts = (report["questions"], report["right"], report["wrong"], report["asked"], refused)
    shown = "".join(f"{count:>11}" for count in counts)
    print(f"{path.stem:24}{name:9}{shown}{seconds / max(len(verdicts), 1):>11.2f}{report['tokens']:>11.0f}", flush=True)


def record(layer: SemanticLayer, path: Path, replies: Path | None) -> None:
    settings = settings_from(os.environ)
    if settings is None:
        raise SystemExit("Name a language model: WENSHU_MODEL, and OPENAI_BASE_URL or OPENAI_API_KEY.")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        spoken = recording_of(replace(settings, prose=line.get("prose", False)), replies)
        planner = AutoPlanner(LlmPlanner(RulesPlanner(layer), spoken))
        answer = Assistant(layer, planner, Narrator(layer, spoken)).ask(Question(text=line["text"]))
        line["replies"] = spoken.replies
        print(answer.status, line["text"], flush=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=FILES)
    parser.add_argument("--db", type=Path, help="a demo shop of 20,000 users; without it the one in the data folder")
    parser.add_argument("--planner", choices=("rules", "llm", "auto"), help="only this one")
    parser.add_argument("--replies", type=Path, help="keep the model's replies in this file and use those kept")
    parser.add_argument("--each", action="store_true", help="show each question that is not answered right")
    parser.add_argument("--record", type=Path, help="renew the replies in a file of tests")
    given = parser.parse_args()
    layer = open_layer("shop", given.db)
    if given.record is not None:
        record(layer, given.record, given.replies)
        return
    columns = ("questions", "right", "wrong", "asked", "refused", "seconds", "tokens")
    print(f"{'file':24}{'planner':9}" + "".join(f"{name:>11}" for name in columns))
    for path in given.files:
        for name, planner, spoken in planners(RulesPlanner(layer), given.replies):
            if given.planner in (None, name):
                measure(layer, path, name, planner, spoken, given.each)
    if settings_from(os.environ) is None:
        print("no language model is configured: the rules alone")


if __name__ == "__main__":
    main()
