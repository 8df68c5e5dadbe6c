"""The program as an operator runs it: Socket Mode, what is missing at the start, and a crash at the worst moments."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import slack_api as fake
from slack_api import command, direct, mention, said
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from wenshu.semantic_layer.errors import EngineError
from wenshu.ui.one_program import only_program

TOKENS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": fake.SECRET}


class Slack:
    """Slack's side of Socket Mode: it sends envelopes and keeps which were acknowledged."""

    def __init__(self) -> None:
        self.connection: ServerConnection | None = None
        self.there = threading.Event()
        self.acknowledged: list[str] = []

    def __call__(self, connection: ServerConnection) -> None:
        connection.send(json.dumps({"type": "hello", "num_connections": 1}))
        self.connection = connection
        self.there.set()
        with suppress(ConnectionClosed):
            for message in connection:
                self.acknowledged.append(json.loads(message)["envelope_id"])

    def send(self, number: str, kind: str, payload: dict) -> None:
        assert self.there.wait(fake.PATIENCE) and self.connection
        self.connection.send(
            json.dumps({"envelope_id": number, "type": kind, "payload": payload, "accepts_response_payload": True})
        )


@contextmanager
def socket_mode(api: fake.SlackApi) -> Iterator[Slack]:
    slack = Slack()
    with serve(slack, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        api.socket = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/link"
        try:
            yield slack
        finally:
            server.shutdown()
            thread.join()


class Program:
    """`wenshu slack` as a program of its own."""

    def __init__(self, api: fake.SlackApi, shop: Path, home: Path, *options: str) -> None:
        environment = {
            **os.environ,
            **TOKENS,
            "WENSHU_HOME": str(home),
            "WENSHU_SLACK_API": f"{api.address}/api/",
            "LANG": "C.UTF-8",
        }
        words = [sys.executable, "-m", "wenshu.ui.cli", "slack", "--db", str(shop), "--planner", "rules", *options]
        self.process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout
        for line in self.process.stdout:
            if "Wenshu" in line:
                self.said = line
                return
        raise AssertionError(f"ended with {self.process.wait()}")

    @property
    def address(self) -> str:
        return next(word for word in self.said.split() if word.startswith("http"))

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=fake.PATIENCE)


@pytest.fixture
def api() -> Iterator[fake.SlackApi]:
    with fake.slack_api() as slack:
        yield slack


@pytest.fixture
def start(api, shop, tmp_path):
    started: list[Program] = []

    def run(*options: str) -> Program:
        started.append(Program(api, shop, tmp_path, *options))
        return started[-1]

    yield run
    for program in started:
        with suppress(ProcessLookupError):
            program.process.kill()
        program.process.wait()
        program.process.stdout.close()


def test_socket_mode_takes_events_and_commands_each_once(api, start):
    with socket_mode(api) as slack:
        program = start()
        asked = mention("How many users are there?")
        for number in ("e1", "e2"):  # the same event in two envelopes
            slack.send(number, "events_api", asked)
        answer = api.wait(lambda: api.posts("C1"))[0]
        assert answer["thread_ts"] == asked["event"]["ts"] and "```" not in said(answer)
        slack.send("c1", "slash_commands", command("GMV by channel last month", channel="C2"))
        api.wait(lambda: len(api.posts("C2")) == 2)
        slack.send("c2", "slash_commands", command(""))
        api.wait(lambda: len(slack.acknowledged) == 4)
        assert sorted(slack.acknowledged) == ["c1", "c2", "e1", "e2"] and len(api.posts("C1")) == 1
        assert program.end(signal.SIGTERM) == 0


def test_a_crash_before_the_answer_is_made_up_for_once(api, start):
    held, killed, body = threading.Event(), threading.Event(), direct("How many users are there?")

    def trouble(method, sent):
        if method == "assistant.threads.setStatus":
            held.set()
            killed.wait(fake.PATIENCE)
        return None

    api.trouble = trouble
    program = start("--http")
    assert fake.post(program.address, body)[0] == 200
    assert held.wait(fake.PATIENCE)
    program.end(signal.SIGKILL)
    killed.set()
    assert api.posts() == []
    api.trouble = lambda method, sent: None
    program = start("--http")
    api.wait(api.posts)
    assert fake.post(program.address, body)[0] == 200  # Slack delivers it once more
    fake.post(program.address, direct("GMV", user="U2"))
    api.wait(lambda: api.posts("DU2"))
    [answer] = api.posts("DU1")
    assert answer["thread_ts"] == body["event"]["ts"] and "users" in said(answer)
    assert program.end(signal.SIGINT) == 0


def test_a_crash_while_the_answer_is_sent_is_owned_up_to(api, start):
    held, killed = threading.Event(), threading.Event()

    def trouble(method, sent):
        if method == "chat.postMessage":
            held.set()  # it has arrived, and nobody learns of it
            killed.wait(fake.PATIENCE)
        return None

    api.trouble = trouble
    program = start("--http")
    fake.post(program.address, direct("How many users are there?"))
    assert held.wait(fake.PATIENCE)
    program.end(signal.SIGKILL)
    killed.set()
    api.wait(api.posts)
    api.trouble = lambda method, sent: None
    start("--http")
    api.wait(lambda: len(api.posts()) == 2)
    assert "interrupted" in api.posts()[1]["text"] and not api.posts()[1].get("blocks")


def test_a_second_program_does_not_take_part(tmp_path):
    with only_program(tmp_path / "slack.lock"):
        with pytest.raises(EngineError) as refused, only_program(tmp_path / "slack.lock"):
            pass
        assert refused.value.code == "already_running" and refused.value.message.zh
    with only_program(tmp_path / "slack.lock"):
        pass
