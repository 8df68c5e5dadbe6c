"""What every messenger shares, with one that keeps what it is told: who is answered what, in which order, across restarts."""

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text
from wenshu.ui.bridge import Bridge, Reply, Thread
from wenshu.ui.inbox import Inbox, Incoming
from wenshu.ui.present import present, to_markdown

PATIENCE = 120.0


class Notebook:
    """A messenger that writes down what it should send."""

    name = "notebook"

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.told: list[tuple[Incoming, Text]] = []
        self.trouble: Callable[[Reply], None] = lambda reply: None
        self._more = threading.Condition()

    def working(self, message: Incoming) -> None:
        pass

    def open(self, reply: Reply) -> Thread:
        return Thread(conversation=reply.message.conversation, place={})

    def deliver(self, reply: Reply, thread: Thread) -> str:
        self.trouble(reply)
        with self._more:
            self.replies.append(reply)
            self._more.notify_all()
        return f"reply to {reply.message.key}"

    def tell(self, message: Incoming, words: Text) -> None:
        with self._more:
            self.told.append((message, words))
            self._more.notify_all()

    def wait(self, condition: Callable[[], object]) -> None:
        with self._more:
            assert self._more.wait_for(condition, PATIENCE)


def ask(text: str, key: str = "1", conversation: str = "c", account: str = "ana", **more) -> Incoming:
    return Incoming(key=key, conversation=conversation, account=account, text=text, shared=False, **more)


@pytest.fixture
def start(open_reception, tmp_path: Path):
    """Return the function that starts a bridge over one inbox, as a restart does."""
    begun: list[Bridge] = []

    def run(messenger: Notebook) -> Bridge:
        begun.append(Bridge(messenger, open_reception, Inbox(tmp_path / "inbox.sqlite3")))
        begun[-1].start()
        return begun[-1]

    yield run
    for bridge in begun:
        bridge.close()


def test_conversations_are_answered_in_order_and_build_on_themselves(start):
    notebook = Notebook()
    bridge = start(notebook)
    for number in range(12):
        conversation = f"c{number % 2}"
        text = "上个月各渠道的成交额" if number < 2 else f"成交额最高的{number}个城市"
        assert bridge.receive(ask(text, key=str(number), conversation=conversation))
        assert not bridge.receive(ask(text, key=str(number), conversation=conversation))
    notebook.wait(lambda: len(notebook.replies) == 12)
    for parity in (0, 1):
        keys = [int(reply.message.key) for reply in notebook.replies if reply.message.conversation == f"c{parity}"]
        assert keys == list(range(parity, 12, 2))
    bridge.receive(ask("那上海呢？", key="on", about="reply to 0", conversation="c0"))
    notebook.wait(lambda: len(notebook.replies) == 13)
    assert "渠道" in to_markdown(present(notebook.replies[-1].answer)) and "上海" in notebook.replies[-1].answer.text


def test_a_conversation_goes_on_after_a_restart(start):
    first, second = Notebook(), Notebook()
    bridge = start(first)
    bridge.receive(ask("上个月各渠道的成交额"))
    first.wait(lambda: first.replies)
    bridge.close()
    bridge = start(second)
    assert not bridge.receive(ask("上个月各渠道的成交额"))
    bridge.receive(ask("那上海呢？", key="2"))
    second.wait(lambda: second.replies)
    assert "上海" in second.replies[0].answer.text


@pytest.mark.parametrize(
    ("error", "said"), [(OSError("secret"), ""), (EngineError("gone", Text("It is gone.", "没了。")), "gone")]
)
def test_what_was_not_delivered_is_told_and_does_not_stop_what_follows(start, error, said):
    notebook = Notebook()

    def trouble(reply: Reply) -> None:
        if reply.message.key == "1":
            raise error

    notebook.trouble = trouble
    bridge = start(notebook)
    bridge.receive(ask("How many users are there?"))
    bridge.receive(ask("How many users are there?", key="2"))
    notebook.wait(lambda: notebook.replies and notebook.told)
    [(message, words)] = notebook.told
    assert message.key == "1" and said in words.en and "secret" not in words.en and "中断" in words.zh


def test_a_question_that_ends_the_program_twice_is_not_tried_again(start, tmp_path):
    inbox = Inbox(tmp_path / "inbox.sqlite3")
    for number in ("crash", "once"):
        inbox.claim(ask("How many users are there?", key=number, conversation=number))
    inbox.begin("crash"), inbox.begin("crash"), inbox.begin("once")
    inbox.close()
    notebook = Notebook()
    start(notebook)
    notebook.wait(lambda: notebook.replies and notebook.told)
    assert [reply.message.key for reply in notebook.replies] == ["once"]
    assert [message.key for message, _ in notebook.told] == ["crash"]


def test_what_waits_at_the_end_is_answered_by_the_next_start(start):
    held, go, first, second = threading.Event(), threading.Event(), Notebook(), Notebook()

    def trouble(reply: Reply) -> None:
        held.set()
        assert go.wait(PATIENCE)

    first.trouble = trouble
    bridge = start(first)
    for number in "123":
        bridge.receive(ask("How many users are there?", key=number))
    assert held.wait(PATIENCE)
    closing = threading.Thread(target=bridge.close)
    closing.start()
    assert (
        next(number for number in count() if not bridge.receive(ask("late", key=f"late{number}"))) >= 0
    )  # it takes nothing more
    go.set()
    closing.join(PATIENCE)
    assert [reply.message.key for reply in first.replies] == ["1"]
    start(second)
    second.wait(lambda: len(second.replies) >= 2)
    assert {"2", "3"} <= {reply.message.key for reply in second.replies} and "1" not in {
        r.message.key for r in second.replies
    }
