"""Owns the board: questions that a person pinned, asked again whenever it is opened. What is kept is the words and never a number.

A question that builds on those before it is kept with them, so that its “last month” moves on with the days.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from wenshu.assistant.answer import Answer
from wenshu.assistant.question import Context, Question
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.ui.history import History, not_answered, now

MOST_PINS = 24
MOST_BEFORE = 8  # questions that a pinned one may build on

Ask = Callable[[Question], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Hold a pinned question, after those that it builds on."""

    id: int
    questions: tuple[str, ...]

    @property
    def question(self) -> str:
        return self.questions[-1]

    def run(self, ask: Ask, user: str | None) -> Answer:
        """Return the answer as of now."""
        previous: Query | None = None
        for text in self.questions[:-1]:
            answer = ask(Question(text=text, user=user, context=Context(query=previous)))
            previous = answer.query or previous
        return ask(Question(text=self.question, user=user, context=Context(query=previous)))


def pins(history: History, owner: str, model: str) -> tuple[Pin, ...]:
    """Return what a person has pinned, the first pinned first."""
    rows = history.store.rows("SELECT id, questions FROM pins WHERE owner = ? AND model = ? ORDER BY id", owner, model)
    return tuple(Pin(id=row["id"], questions=tuple(json.loads(row["questions"]))) for row in rows)


def pin(history: History, owner: str, model: str, turn: int, ask: Ask, user: str | None) -> None:
    """Pin the question of an answer; raises `QueryError` for one that was not answered, or where the board is full."""
    chosen = history.turn(owner, model, turn)
    if chosen.answer.query is None:
        raise not_answered()
    if len(pins(history, owner, model)) >= MOST_PINS:
        raise QueryError(
            "board_full",
            Text(f"The board holds {MOST_PINS} answers.", f"看板最多固定 {MOST_PINS} 个回答。"),
            Text("Remove one first.", "请先移除一个。"),
        )
    questions: tuple[str, ...] = (chosen.question,)
    if ask(Question(text=chosen.question, user=user)).query != chosen.answer.query:
        earlier = [t for t in history.turns(owner, model, chosen.conversation) if t.number < chosen.number and t.answer.query]
        questions = (*(t.question for t in earlier[-MOST_BEFORE:]), chosen.question)
    history.store.write(
        "INSERT OR IGNORE INTO pins (owner, model, questions, pinned) VALUES (?, ?, ?, ?)",
        owner, model, json.dumps(questions, ensure_ascii=False), now().isoformat(),
    )  # fmt: skip


def unpin(history: History, owner: str, model: str, id: int) -> None:
    """Take a question off the board."""
    history.store.write("DELETE FROM pins WHERE id = ? AND owner = ? AND model = ?", id, owner, model)
