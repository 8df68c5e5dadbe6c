"""Ask a served page as many people at once do: how long they wait, whether each gets the right answer, and what a crash costs.

People ask over HTTP on this machine, as the browser does. Every answer is held against the one that was given when nobody else asked.
With --policies, each asks as the manager of one of ten cities, who may see the rows of that city only, and every answer is held against
what that manager was told alone.
With --kill, the server is killed (SIGKILL) again and again meanwhile and started anew; afterwards the audit log must hold one whole
line for every answer that was received.
"""

import argparse
import http.client
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from _measuring import percentile, shop

from wenshu.semantic_layer import loader

QUESTIONS = (
    "上个月各渠道的成交额",
    "最近12周每周的活跃用户数",
    "Top 5 cities by buyers in Q3 2026",
    "2026年9月成交额同比",
    "How many people signed up last week?",
    "各品类销售额占比",
    "上个月新用户的7日留存率",
    "Monthly GMV in 2026",
)
CITIES = ("上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆")
HEADER = "X-Remote-User"
POLICIES = """
policies:
  - {role: manager, rows: "users.city = {user.city}", shared: [products, campaigns, experiments]}
"""
CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.DOTALL)


class Server:
    """The chat page as a program of its own, on a free port."""

    def __init__(self, database: Path, home: Path, policies: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "wenshu.ui.cli", "chat", "--planner", "rules"]
        self._command += ["--db", str(database), "--port", str(self.port)]
        if policies:
            model, users = home / "shop.yml", home / "users.yml"
            model.write_text((Path(loader.__file__).parent / "models" / "shop.yml").read_text("utf-8") + POLICIES, "utf-8")
            users.write_text("".join(f"{city}: {{role: manager, attributes: {{city: {city}}}}}\n" for city in CITIES), "utf-8")
            self._command += ["--model", str(model), "--users", str(users), "--user-header", HEADER]
        self._environment = {**os.environ, "WENSHU_HOME": str(home)}
        self.start()

    def start(self) -> float:
        """Start the program; return the seconds until the page answers."""
        started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while self._process.poll() is None:
            try:
                if self.get("/healthz"):
                    return time.perf_counter() - started
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server ended by itself")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=20)

    def get(self, path: str, name: str = "") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=sent_by(name))
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def megabytes(self) -> float:
        """Return the memory of the program and its workers."""
        pids = {self._process.pid}
        for status in Path("/proc").glob("[0-9]*/status"):
            text = status.read_text() if status.exists() else ""
            if (parent := re.search(r"^PPid:\t(\d+)", text, re.M)) and int(parent[1]) == self._process.pid:
                pids.add(int(status.parent.name))
        kilobytes = 0
        for pid in pids:
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            kilobytes += int(found[1]) if found else 0
        return kilobytes / 1000


def sent_by(name: str) -> dict[str, str | bytes]:
    """Return the header by which a proxy says who asks."""
    return {HEADER: name.encode()} if name else {}


class Person:
    """One browser tab: it asks, follows what the page is sent, and takes the last of it as the answer."""

    def __init__(self, server: Server, name: str = "") -> None:
        self._server = server
        self._name = name
        self._session = secrets.token_hex(8)
        found = CONFIG.search(server.get("/", name))
        if not found:
            raise SystemExit("the page does not say how it is asked")
        events = json.loads(found[1])["dependencies"]
        self._event = next(e["id"] for e in events if any(kind == "submit" for _, kind in e["targets"]))

    def ask(self, question: str) -> tuple[str, int]:
        """Return the answer as the page shows it, and the highest place in the line that was shown."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=120)
        try:
            asked = {"data": [None, "zh", ""], "event_data": {"text": question}, "fn_index": self._event, "session_hash": self._session}
            connection.request("POST", "/gradio_api/queue/join", json.dumps(asked), {"content-type": "application/json", **sent_by(self._name)})
            if connection.getresponse().read() == b"":
                raise OSError("not taken")
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self._session}", headers=sent_by(self._name))
            place, shown = 0, ""
            for line in connection.getresponse():
                if not line.startswith(b"data:"):
                    continue
                for told in re.findall(r"排在第 (\d+) 位|number (\d+) in line", line.decode()):
                    place = max(place, int(told[0] or told[1]))
                message = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise OSError("the page was told of an error")
                    news = message["output"]["data"][0]
                    shown = news["html"] if "html" in news else shown  # the last word may be a sign of life only
                    break
                news = message.get("output", {}).get("data", [None])[0]
                shown = news["html"] if isinstance(news, dict) and "html" in news else shown
            if 'class="answer' not in shown or "notice" in shown:
                raise OSError("no answer")
            return figures(shown), place
        finally:
            connection.close()


def figures(html: str) -> str:
    """Return what an answer says, without what differs from one turn to the next."""
    html = re.sub(r'<img\b[^>]*>|\b(?:id|for|aria-\w+|data-[\w-]+|download|href)="[^"]*"', "", html)
    return re.sub(r"<[^>]*>|\s+|\d[\d.,]* (?:ms|毫秒|s|秒)(?= |<)", " ", html)


def main() -> None:
    """Print waiting times, wrong answers, errors and memory; and with --kill, what crashes cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000, help="users of the shop (%(default)s)")
    parser.add_argument("--people", type=int, default=50, help="people who ask at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="how long they go on asking (%(default)s)")
    parser.add_argument("--kill", type=int, default=0, help="how often the server is killed meanwhile (%(default)s)")
    parser.add_argument("--think", type=float, default=0, help="seconds between an answer and the next question (%(default)s)")
    parser.add_argument("--policies", action="store_true", help="ask as ten people, each of whom may see the rows of one city")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "wenshu-benchmarks", help="where shops are kept")
    options = parser.parse_args()
    database = shop(options.folder, options.users)
    with tempfile.TemporaryDirectory() as home:
        server = Server(database, Path(home), options.policies)
        try:
            measure(server, options, Path(home))
        finally:
            server.stop()


def measure(server: Server, options: argparse.Namespace, home: Path) -> None:
    names = CITIES if options.policies else ("",)
    right, alone_again = ({name: {question: alone.ask(question)[0] for question in QUESTIONS} for name in names for alone in [Person(server, name)]} for _ in range(2))
    if right != alone_again or len({tuple(told.values()) for told in right.values()}) < len(names):
        raise SystemExit("an answer differs from itself, or two people are told the same: the measure is broken")
    before, ends = server.megabytes(), time.monotonic() + options.seconds
    waited: list[float] = []
    places: list[int] = []
    of_each: Counter[int] = Counter()
    troubles: Counter[str] = Counter()
    lock = threading.Lock()

    def go_on_asking(number: int) -> None:
        chance, person, name = random.Random(number), None, names[number % len(names)]
        while time.monotonic() < ends:
            question = chance.choice(QUESTIONS)
            started = time.perf_counter()
            try:
                person = person or Person(server, name)
                answer, place = person.ask(question)
            except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
                with lock:
                    troubles[type(error).__name__ if options.kill else str(error) or type(error).__name__] += 1
                person = None
                time.sleep(0.2)
                continue
            with lock:
                waited.append(time.perf_counter() - started)
                places.append(place)
                of_each[number] += 1
                if answer != right[name][question]:
                    troubles["WRONG ANSWER"] += 1
            time.sleep(options.think)

    people = [threading.Thread(target=go_on_asking, args=(number,)) for number in range(options.people)]
    for person in people:
        person.start()
    back = []
    for _ in range(options.kill):
        time.sleep(options.seconds / (options.kill + 1))
        server.kill()
        back.append(server.start())
    for person in people:
        person.join()
    print(f"{options.people} people, {options.seconds:g} s, {os.cpu_count()} cores: {len(waited)} answers")
    print(f"  waited   p50 {percentile(waited, 0.5):.2f} s   p95 {percentile(waited, 0.95):.2f} s   most {max(waited):.2f} s")
    fewest, most = min(of_each[number] for number in range(options.people)), max(of_each.values())
    print(f"  answers of one person: {fewest} to {most}; place in the line told: up to {max(places)}")
    print(f"  wrong answers: {troubles.pop('WRONG ANSWER', 0)}; other trouble: {dict(troubles) or 'none'}")
    print(f"  memory   {before:.0f} MB before, {server.megabytes():.0f} MB after (program and workers)")
    lines = [line for file in (home / "audit").glob("*.jsonl") for line in file.read_bytes().splitlines()]
    whole = sum(json.loads(line)["outcome"] == "answered" for line in lines)
    asked = len(waited) + 2 * len(QUESTIONS) * len(names)
    print(f"  audit    {len(lines)} lines, all whole; {whole} answered for {asked} answers received")
    if back:
        print(f"  killed {len(back)} times; back within p50 {percentile(back, 0.5):.2f} s, most {max(back):.2f} s")


if __name__ == "__main__":
    main()
