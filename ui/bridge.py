"""Owns the way of a message from a messenger to its answer: who asks, who may read it, in which order. Knows no messenger.

Messages of one conversation are answered in the order in which they came, those of different ones side by side. On a model with
policies a conversation that others read along gets what one chosen person sees or, without such a person, the asker alone is told.
"""

import logging
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING, Protocol

from wenshu.assistant.answer import Answer
from wenshu.assistant.question import MAX_LENGTH, Context, Question, language_of
from wenshu.semantic_layer.cancellation import cancelled_by
from wenshu.semantic_layer.errors import EngineError, WenshuError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.ui.inbox import Inbox, Incoming
from wenshu.ui.page_turn import failed_answer
from wenshu.ui.waiting import WaitingLine

if TYPE_CHECKING:
    from wenshu.ui.reception import Reception

AT_ONCE = min(4, os.cpu_count() or 1)  # questions at work; the others wait in line, and what comes in is taken soon
THREADS = 64  # conversations that are under way or in line

LOST = Text(
    "Answering your question was interrupted. If there is no whole answer, please ask again.",
    "回答您的问题时发生中断。如果没有看到完整的回答，请重新提问。",
)

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Hold an answer to a message; a `private` one is for nobody's eyes but the asker's."""

    message: Incoming
    answer: Answer
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Name a conversation and say where it is; only the messenger reads its `place`."""

    conversation: str
    place: Mapping[str, str]


class Messenger(Protocol):
    """Carry replies to people: what another messenger has to do. `name` is what its accounts are listed under in the users file."""

    @property
    def name(self) -> str: ...

    def working(self, message: Incoming) -> None:
        """Show that a message is being answered; may do nothing, and must not fail."""

    def open(self, reply: Reply) -> Thread:
        """Return the thread that a reply goes to: the message's own or, for a private reply or a message without one, a new one."""

    def deliver(self, reply: Reply, thread: Thread) -> str:
        """Send a reply to a thread, once, and return the name of what was sent, by which a later message may be `about` it."""

    def tell(self, message: Incoming, words: Text) -> None:
        """Say something to whoever sent a message, and to nobody else."""


class Bridge:
    """Answer what a messenger brings; safe to use from several threads.

    `everyone` is the person, by the name in the users file, as whom shared conversations are answered where people are told apart.
    """

    def __init__(
        self, messenger: Messenger, reception: "Reception", inbox: Inbox, *, everyone: str | None = None, at_once: int = AT_ONCE
    ) -> None:  # fmt: skip
        self._messenger, self._reception, self._inbox, self._everyone = messenger, reception, inbox, everyone
        self._line = WaitingLine(at_once)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bridge")
        self._conversations: dict[str, deque[Incoming]] = {}
        self._lock = Lock()
        self._closing = Event()

    def start(self) -> None:
        """Take up what an earlier run left: answer what was not, own up to what may have been."""
        for message, answerable in self._inbox.unfinished():
            if answerable:
                self._queue(message)
            else:
                self._pool.submit(self._own_up, message)

    def receive(self, message: Incoming) -> bool:
        """Take a message, which is written down when this returns; False where it came before."""
        if self._closing.is_set() or not self._inbox.claim(message):
            return False
        self._queue(message)
        return True

    def first_time(self, key: str) -> bool:
        """Say whether this is the first time that a messenger asks of `key`, across restarts."""
        return not self._closing.is_set() and self._inbox.claim_once(key)

    def close(self) -> None:
        """Give up what is being computed, which the next start answers; let what is being sent arrive."""
        self._closing.set()
        self._pool.shutdown(wait=True)
        self._inbox.close()

    def _queue(self, message: Incoming) -> None:
        with self._lock:
            waiting = self._conversations.setdefault(message.conversation, deque())
            waiting.append(message)
            if len(waiting) == 1:
                self._pool.submit(self._next, message.conversation)

    def _next(self, conversation: str) -> None:
        """Answer the first message of a conversation, then stand in line again for the others."""
        waiting = self._conversations[conversation]
        try:
            if not self._closing.is_set():
                self._attend(waiting[0])
        except Exception:  # the messenger's edge: one message that fails must not stop those after it
            log.exception("a message was not answered")
        with self._lock:
            waiting.popleft()
            if not waiting:
                del self._conversations[conversation]
            elif not self._closing.is_set():
                self._pool.submit(self._next, conversation)

    def _attend(self, message: Incoming) -> None:
        self._inbox.begin(message.key)
        reply = self._reply(message)
        if reply.answer.problem is not None and reply.answer.problem.code == "cancelled":
            return self._inbox.put_back(message.key)
        self._inbox.sending(message.key)
        try:
            thread = self._messenger.open(reply)
            self._remember(reply, message.conversation, thread.conversation)  # before anybody can follow up
            self._remember(reply, self._messenger.deliver(reply, thread))
        except Exception as error:  # the messenger's edge: whatever stopped it, part of the answer may have arrived
            log.exception("an answer was not delivered")
            return self._own_up(message, error)
        self._inbox.done(message.key)

    def _remember(self, reply: Reply, *conversations: str) -> None:
        if reply.answer.query is not None:
            for conversation in conversations:
                self._inbox.remember(conversation, self._rights(reply.message, reply.private), reply.answer.query)

    def _reply(self, message: Incoming) -> Reply:
        private = message.shared
        try:
            private = self._is_private(message)
            user, rights = self._user(message, private), self._rights(message, private)
            question = Question(
                text=message.text[: MAX_LENGTH + 1], conversation=message.conversation, user=user,
                context=Context(query=self._context(message, rights)),
            )  # fmt: skip
            with self._line.turn(message.account) as ticket:
                while not ticket.admitted.wait(0.2):
                    if self._closing.is_set():
                        raise EngineError("cancelled", LOST)
                self._messenger.working(message)
                with cancelled_by(self._closing):
                    answer = self._reception.ask(question)
        except WenshuError as error:
            answer = failed_answer(error, language_of(message.text))
        except Exception as error:  # the messenger's edge: a person gets an answer, the log what happened
            answer = failed_answer(error, language_of(message.text))
        return Reply(message=message, answer=answer, private=private)

    def _context(self, message: Incoming, rights: str) -> Query | None:
        """Return what a message may build on: the answer that it names, else the conversation's last."""
        found = self._inbox.context(message.about, rights) if message.about else None
        return found or self._inbox.context(message.conversation, rights)

    def _is_private(self, message: Incoming) -> bool:
        """Say whether only the asker may read an answer to a message that others read along."""
        return message.shared and (message.outsiders or (self._reception.tells_apart and self._everyone is None))

    def _user(self, message: Incoming, private: bool) -> str:
        """Return as whom a message is answered."""
        if message.shared and not private and self._reception.tells_apart:
            return self._everyone or ""
        messenger = self._messenger.name
        return self._reception.name_of(messenger, message.account) or f"{messenger}:{message.account}"

    def _rights(self, message: Incoming, private: bool) -> str:
        """Return what an answer to a message may hold, as a word."""
        return self._reception.layer(self._user(message, private)).policy_fingerprint

    def _own_up(self, message: Incoming, error: Exception | None = None) -> None:
        """Tell the asker that there may be no answer, with the reason where it is one to act on."""
        words = LOST
        if isinstance(error, WenshuError):
            words = Text(f"{LOST.en} {error.message.en} {error.hint.en}", f"{LOST.zh}{error.message.zh}{error.hint.zh}")
        try:
            self._messenger.tell(message, words)
        except Exception:  # the messenger's edge: the next start tries again
            log.exception("a person could not be told that an answer may be missing")
        else:
            self._inbox.done(message.key)
