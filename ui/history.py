"""Owns people's conversations: kept turn by turn, listed, searched, opened again, renamed and deleted. Nobody reaches another's."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Row

from wenshu.assistant.answer import Answer
from wenshu.assistant.question import Offer
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import Query, query_from_json, query_to_json
from wenshu.semantic_layer.text import Text
from wenshu.ui.kept_answer import answer_from_text, answer_to_text
from wenshu.ui.store import Store

MOST_CONVERSATIONS = 1_000  # of one person; the longest unused is deleted first
MOST_LISTED = 200
LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Name a conversation; `changed` is when its last question was asked."""

    id: str
    title: str
    changed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Hold a question and what was answered; `policy` says under which rights, `good` how it was liked."""

    id: int
    conversation: str
    number: int
    question: str
    asked: datetime
    policy: str
    answer: Answer
    good: bool | None = None


def now() -> datetime:
    """Return this moment, in UTC."""
    return datetime.now(UTC)


class History:
    """Keep the conversations of one model's people, each named by its owner; without a login all are of the owner ""."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = now) -> None:
        self.store = store
        self._clock = clock

    def conversations(self, owner: str, model: str, search: str = "") -> tuple[Conversation, ...]:
        """Return a person's conversations, the last used first, of those whose title or questions have the words."""
        pattern = f"%{_escaped(search.strip())}%"
        rows = self.store.rows(
            "SELECT id, title, changed FROM conversations WHERE owner = ? AND model = ? AND (title LIKE ? ESCAPE '\\' OR EXISTS ("
            "SELECT 1 FROM turns WHERE turns.conversation = conversations.id AND question LIKE ? ESCAPE '\\')) "
            "ORDER BY changed DESC, id LIMIT ?",
            owner, model, pattern, pattern, MOST_LISTED,
        )  # fmt: skip
        return tuple(Conversation(id=r["id"], title=r["title"], changed=datetime.fromisoformat(r["changed"])) for r in rows)

    def turns(self, owner: str, model: str, conversation: str) -> tuple[Turn, ...]:
        """Return the turns of a conversation in order; none where there is no such conversation of this person."""
        return tuple(map(_turn, self.store.rows(f"{_TURNS} AND conversation = ? ORDER BY number", owner, model, conversation)))

    def turn(self, owner: str, model: str, id: int) -> Turn:
        """Return one turn; raises `QueryError` with code `unknown_turn` where this person has none of this number."""
        if rows := self.store.rows(f"{_TURNS} AND turns.id = ?", owner, model, id):
            return _turn(rows[0])
        raise QueryError(
            "unknown_turn",
            Text("This answer is not in your history any more.", "这个回答已不在历史记录中。"),
            Text("Ask the question again.", "请重新提问。"),
        )

    def keep(
        self, owner: str, model: str, conversation: str, number: int, question: str, answer: Answer, policy: str
    ) -> int | None:
        """Write down a turn, in place of one with the same number, and return its id; None in a conversation of somebody else."""
        moment, query = self._clock().isoformat(), answer.query
        with self.store.together():
            self.store.write(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET changed = excluded.changed "
                "WHERE owner = excluded.owner AND model = excluded.model",
                conversation, owner, model, _title(question), moment,
            )  # fmt: skip
            if not self._owns(owner, model, conversation):
                return None
            self.store.write("DELETE FROM turns WHERE conversation = ? AND number = ?", conversation, number)
            rows = self.store.rows(
                "INSERT INTO turns (conversation, number, question, asked, policy, query, answer) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
                conversation, number, question, moment, policy,
                json.dumps(query_to_json(query), ensure_ascii=False) if query else None, answer_to_text(answer),
            )  # fmt: skip
            self.store.write(
                "DELETE FROM conversations WHERE owner = ? AND id NOT IN "
                "(SELECT id FROM conversations WHERE owner = ? ORDER BY changed DESC LIMIT ?)",
                owner, owner, MOST_CONVERSATIONS,
            )  # fmt: skip
            return int(rows[0]["id"])

    def drop_after(self, owner: str, model: str, conversation: str, number: int) -> None:
        """Forget the turns of a conversation after one."""
        if self._owns(owner, model, conversation):
            self.store.write("DELETE FROM turns WHERE conversation = ? AND number > ?", conversation, number)

    def previous(self, owner: str, model: str, conversation: str, before: int) -> Query | None:
        """Return the last query of a conversation before a turn, which a question there may build on."""
        rows = self.store.rows(
            "SELECT query FROM turns JOIN conversations ON conversations.id = conversation WHERE owner = ? AND model = ? "
            "AND conversation = ? AND number < ? AND query IS NOT NULL ORDER BY number DESC LIMIT 1",
            owner, model, conversation, before,
        )  # fmt: skip
        try:
            return query_from_json(json.loads(rows[0]["query"])) if rows else None
        except (ValueError, QueryError):  # written by another version
            return None

    def offered(self, owner: str, model: str, conversation: str, before: int) -> Offer | None:
        """Return what the turn right before one asked back, which a reply there may choose from."""
        rows = self.store.rows(f"{_TURNS} AND conversation = ? AND number < ? ORDER BY number DESC LIMIT 1", owner, model, conversation, before)
        answer = _turn(rows[0]).answer if rows else None
        if answer is None or answer.status != "clarify" or answer.problem is None:
            return None
        return Offer(asked=rows[0]["question"], code=answer.problem.code, options=answer.options)

    def rename(self, owner: str, model: str, conversation: str, title: str) -> None:
        """Give a conversation another title; an empty one changes nothing."""
        if title := _title(title):
            self.store.write(
                "UPDATE conversations SET title = ? WHERE id = ? AND owner = ? AND model = ?", title, conversation, owner, model
            )

    def delete(self, owner: str, model: str, conversation: str) -> None:
        """Delete a conversation with its answers and what was thought of them."""
        self.store.write("DELETE FROM conversations WHERE id = ? AND owner = ? AND model = ?", conversation, owner, model)

    def _owns(self, owner: str, model: str, conversation: str) -> bool:
        found = self.store.rows(
            "SELECT 1 FROM conversations WHERE id = ? AND owner = ? AND model = ?", conversation, owner, model
        )
        return bool(found)


def not_answered() -> QueryError:
    """Return what is said of a turn without numbers, which can be neither saved nor pinned."""
    return QueryError(
        "not_answered", Text("Only an answer with numbers can be saved or pinned.", "只有带数据的回答才能保存或固定。")
    )


_TURNS = (
    "SELECT turns.*, good FROM turns JOIN conversations ON conversations.id = conversation LEFT JOIN votes ON votes.turn = turns.id "
    "WHERE owner = ? AND model = ?"
)


def _turn(row: Row) -> Turn:
    return Turn(
        id=row["id"], conversation=row["conversation"], number=row["number"], question=row["question"],
        asked=datetime.fromisoformat(row["asked"]), policy=row["policy"], answer=answer_from_text(row["answer"]),
        good=None if row["good"] is None else bool(row["good"]),
    )  # fmt: skip


def _title(text: str) -> str:
    return " ".join(text.split())[:LONGEST_TITLE]


def _escaped(words: str) -> str:
    """Return words as they stand for themselves in LIKE.

    >>> _escaped("50%_a")
    '50\\\\%\\\\_a'
    """
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
