"""Owns what people think of answers: a vote with a reason for each, and the file of questions that `wenshu eval` reads."""

from collections.abc import Iterator
from typing import Any

from wenshu.ui.history import History, now
from wenshu.ui.kept_answer import answer_from_text
from wenshu.ui.store import Store

LONGEST_REASON = 1_000
EXPECT = {"answered": "answer", "clarify": "clarify", "refused": "refuse", "error": "answer"}


def vote(history: History, owner: str, model: str, turn: int, good: bool | None, reason: str = "") -> None:
    """Keep what a person thinks of an answer of theirs, in place of what they thought before; None takes it back."""
    history.turn(owner, model, turn)
    if good is None:
        history.store.write("DELETE FROM votes WHERE turn = ?", turn)
        return
    history.store.write(
        "INSERT INTO votes VALUES (?, ?, ?, ?) ON CONFLICT (turn) DO UPDATE SET good = excluded.good, reason = excluded.reason, "
        "voted = excluded.voted",
        turn, int(good), reason.strip()[:LONGEST_REASON], now().isoformat(),
    )  # fmt: skip


def exported(store: Store, model: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of questions, one conversation after the other, up to its last turn that has a vote.

    An answer that was liked is the gold SQL of its question; one that was not has none, and its reason beside it, until
    a person writes the right one.
    """
    rows = store.rows(
        "SELECT turns.*, good, reason FROM turns JOIN conversations ON conversations.id = conversation LEFT JOIN votes ON turn = turns.id "
        "WHERE model = ? AND number <= (SELECT max(number) FROM turns AS other JOIN votes ON turn = other.id "
        "WHERE other.conversation = turns.conversation) ORDER BY conversation, number",
        model,
    )
    for row in rows:
        answer = answer_from_text(row["answer"])
        good = row["good"]
        yield {
            "id": f"turn-{row['id']}",
            "lang": answer.language,
            "text": row["question"],
            "topic": "context" if good is None else "liked" if good else "disliked",
            "expect": EXPECT[answer.status],
            "gold_sql": answer.sql if good else None,
            "conversation": row["conversation"],
            "turn": row["number"],
        } | ({"reason": row["reason"]} if row["reason"] else {})
