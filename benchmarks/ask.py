"""Measure how long a question takes: as a command with everything still to load, and in a process that goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from _measuring import arguments, milliseconds, print_times, shop

QUESTIONS = (
    "上个月各渠道的成交额",
    "最近12周每周的活跃用户数",
    "Top 5 cities by buyers in Q3 2026",
    "2026年9月成交额同比",
    "How many people signed up last week?",
    "各品类销售额占比",
)


def main() -> None:
    """Ask each question by a command of its own, then all of them again and again of one process."""
    options = arguments(__doc__ or "", users=20_000, repeat=5)
    database = shop(options.folder, options.users)
    wenshu = str(Path(sys.executable).parent / "wenshu")
    with TemporaryDirectory() as home:
        ask = [wenshu, "ask", "--db", str(database), "--planner", "rules", "--format", "json"]
        environment = {**os.environ, "WENSHU_HOME": home}

        def command(*arguments: str) -> str:
            done = subprocess.run([*ask, *arguments], env=environment, capture_output=True, text=True, check=True)
            return done.stdout

        first = [milliseconds(lambda: command(QUESTIONS[0]))]
        cold = [milliseconds(lambda q=question: command(q)) for _ in range(options.repeat) for question in QUESTIONS]
        batch = Path(home) / "questions.jsonl"
        lines = [json.dumps({"text": question}, ensure_ascii=False) for question in QUESTIONS * options.repeat]
        batch.write_text("\n".join(lines), "utf-8")
        answers = [json.loads(line) for line in command("--batch", str(batch)).splitlines()]
    warm = [answer["receipt"]["elapsed_ms"] for answer in answers if answer["status"] == "answered"]
    print(
        f"{len(QUESTIONS)} questions, {options.repeat} times each, {options.users:,} users; {len(warm)} of {len(answers)} answered"
    )
    print_times([("first command ever", first), ("command", cold), ("in a running process", warm)])


if __name__ == "__main__":
    main()
