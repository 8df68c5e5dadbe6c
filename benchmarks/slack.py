"""Ask in Slack as a busy company does: 200 questions within 10 seconds from 40 people in 20 threads, over HTTP, to the real program.

Slack is one on this machine. In the open round everybody may see everything and the answers go to the threads; in the guarded round
each person sees one province alone and is answered in private. Each question must be answered once, in its thread, in the order in which
the thread asked, and to nobody else; `acknowledged` is how long Slack waited for the 200.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from _measuring import arguments, percentile, shop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "slack"))

import slack_api as fake

THREADS, PEOPLE, QUESTIONS, SECONDS = 20, 40, 200, 10.0
PROVINCES = ("上海", "广东", "北京", "浙江")
POLICIES = """
policies:
  - {role: manager, rows: "users.province = {user.province}", shared: [products, campaigns, experiments]}
"""


def people() -> dict[str, str]:
    """Return each person's Slack account with the province that the person may see."""
    return {f"U{n:02}": PROVINCES[n % len(PROVINCES)] for n in range(PEOPLE)}


def guarded(folder: Path) -> list[str]:
    """Write a model with policies and its users, and return the options that name them."""
    from wenshu.semantic_layer import loader

    model = (Path(loader.__file__).parent / "models" / "shop.yml").read_text("utf-8")
    (folder / "shop.yml").write_text(model + POLICIES, "utf-8")
    entries = [
        f"p{account}: {{role: manager, attributes: {{province: {province}}}, accounts: {{slack: {account}}}}}"
        for account, province in people().items()
    ]
    (folder / "users.yml").write_text("\n".join(entries), "utf-8")
    return ["--model", str(folder / "shop.yml"), "--users", str(folder / "users.yml")]


def question(is_guarded: bool, number: int) -> str:
    """Return a question whose answer shows which one it is."""
    return f"{'各省份' if is_guarded else ''}成交额最高的{rows_of(number)}个{'' if is_guarded else '城市'}"


def rows_of(number: int) -> int:
    return number % 9 + 2  # the shop has ten cities


def send(address: str, is_guarded: bool) -> tuple[dict[str, list[dict[str, Any]]], list[float], list[int]]:
    """Send all questions and return what each thread asked, how long each was waited for, and the statuses."""
    asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
    waited: list[float] = []
    statuses: list[int] = []
    accounts = list(people())

    def one(number: int) -> None:
        dice, started, root = random.Random(number), time.perf_counter(), fake.moment()
        each = QUESTIONS // THREADS
        for turn, at in enumerate(sorted(dice.uniform(0, SECONDS) for _ in range(each))):
            body = fake.mention(
                question(is_guarded, turn),
                user=accounts[(2 * number + turn % 2) % PEOPLE],
                channel=f"C{number:02}",
                thread=root,
            )
            time.sleep(max(0.0, started + at - time.perf_counter()))
            asked[root].append(body["event"])
            begun = time.perf_counter()
            statuses.append(fake.post(address, body)[0])
            waited.append(time.perf_counter() - begun)

    senders = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
    [sender.start() for sender in senders]
    [sender.join() for sender in senders]
    return asked, waited, statuses


def rows(answer: dict[str, Any]) -> list[str]:
    """Return the rows of the table that an answer shows."""
    shown = fake.said(answer).split("```")
    return shown[1].strip().splitlines()[2:] if len(shown) > 1 else []


def check_open(api: fake.SlackApi, asked: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    """Count what is right and wrong where answers go to the threads."""
    found: Counter[str] = Counter()
    for root, events in asked.items():
        answers = api.posts(thread=root)
        found["answered once"] += min(len(answers), len(events))
        found["missing or twice"] += abs(len(answers) - len(events))
        found["out of place or order"] += sum(
            len(rows(answer)) != rows_of(turn) or answer["channel"] != event["channel"]
            for turn, (answer, event) in enumerate(zip(answers, events, strict=False))
        )
    return found


def check_guarded(api: fake.SlackApi, asked: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    """Count what is right and wrong where each person is answered alone."""
    found: Counter[str] = Counter()
    wanted: dict[str, Counter[str]] = defaultdict(Counter)
    for events in asked.values():
        for event in events:
            wanted[event["user"]][event["text"].split(" ", 1)[1]] += 1
    for account, province in people().items():
        posts = api.posts(f"D{account}")
        roots = {post["ts"]: re.sub(r"^<@\w+> \S+ ", "", post["text"]) for post in posts if not post.get("thread_ts")}
        answers = [post for post in posts if post.get("thread_ts")]
        found["answered once"] += sum(
            (Counter(roots[post["thread_ts"]] for post in answers) & wanted[account]).values()
        )
        found["missing or twice"] += len(answers) ^ sum(wanted[account].values())
        found["of another province"] += sum(
            any(other in fake.said(post) for other in PROVINCES if other != province) for post in answers
        )
    found["in the open"] += sum(len(api.posts(f"C{number:02}")) for number in range(THREADS))
    return found


def measure(database: Path, is_guarded: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, fake.slack_api() as api:
        options = guarded(Path(folder)) if is_guarded else []
        environment = {
            **os.environ, "WENSHU_HOME": folder, "WENSHU_SLACK_API": f"{api.address}/api/", "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_SIGNING_SECRET": fake.SECRET,
        }  # fmt: skip
        words = [
            sys.executable,
            "-m",
            "wenshu.ui.cli",
            "slack",
            "--http",
            "--db",
            str(database),
            "--planner",
            "rules",
            *options,
        ]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        address = next(word for line in process.stdout for word in line.split() if word.startswith("http"))
        try:
            fake.post(address, fake.direct(question(is_guarded, 0), user="U00"))
            api.wait(lambda: api.posts("DU00"))  # the first answer, which makes everything ready
            api.calls.clear()
            started, load = time.perf_counter(), os.getloadavg()[0]
            asked, waited, statuses = send(address, is_guarded)
            sent = time.perf_counter() - started
            wanted = QUESTIONS * (2 if is_guarded else 1)
            while len(api.posts()) < wanted and time.perf_counter() - started < 600:
                time.sleep(0.2)
            took = time.perf_counter() - started
            time.sleep(3)  # for what would come twice
        finally:
            process.terminate()
            process.wait(timeout=60)
    found = (check_guarded if is_guarded else check_open)(api, asked)
    title = "guarded" if is_guarded else "open"
    print(
        f"{title:8} {len(waited)} questions in {sent:.1f} s, all answered after {took:.1f} s; statuses {dict(Counter(statuses))}"
    )
    print(f"{'':8} {', '.join(f'{name}: {count}' for name, count in found.items())}")
    shown = ", ".join(f"p{share} {percentile(waited, share / 100) * 1000:.0f} ms" for share in (50, 95, 99))
    print(f"{'':8} acknowledged {shown}, most {max(waited) * 1000:.0f} ms; load {load:.1f} → {os.getloadavg()[0]:.1f}")


def main() -> None:
    given = arguments(str(__doc__), users=2_000, repeat=1)
    database = shop(given.folder, given.users)
    for _ in range(given.repeat):
        for is_guarded in (False, True):
            measure(database, is_guarded)


if __name__ == "__main__":
    main()
