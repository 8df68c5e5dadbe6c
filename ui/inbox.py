"""Owns which messages have come in and how far each is: claimed once, answered once, across restarts. Knows no messenger.

A message is `waiting`, then `answering`, then `sending` its answer, then `done`. One that a crash left before anything was sent is
answered by the next start; one that was being sent may have arrived, so it is never sent again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import Query, query_from_json, query_to_json
from wenshu.ui.history import now
from wenshu.ui.store import Store

VERSIONS = (
    """
CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, message TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, changed TEXT NOT NULL
);
CREATE INDEX messages_by_state ON messages (state, changed);
CREATE TABLE contexts (
  conversation TEXT NOT NULL, rights TEXT NOT NULL, query TEXT NOT NULL, changed TEXT NOT NULL, PRIMARY KEY (conversation, rights)
);
""",
)
INBOX = "slack.sqlite3"  # in the data folder
KEPT = timedelta(days=30)  # that a message is known to have come, and what a conversation spoke of
MOST_ATTEMPTS = 2  # a question that ends the program must not do so forever


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Hold a message of a person: `key` is the same for each of its deliveries, `conversation` names the thread.

    `about` names the earlier answer that it leads on from, where it does from one that is not the conversation's last.
    `shared` says that others read along, `outsiders` that some of them are of other organisations. `place` is where the messenger answers; only the messenger reads it.
    """

    key: str
    conversation: str
    account: str
    text: str
    shared: bool
    outsiders: bool = False
    about: str = ""
    place: Mapping[str, str] = field(default_factory=dict)


class Inbox:
    """Keep messages and what conversations speak of in the file at `path`, or until the end without one."""

    def __init__(self, path: Path | None, clock: Callable[[], datetime] = now) -> None:
        self._store = Store(path, VERSIONS)
        self._clock = clock
        self._forget()

    def claim(self, message: Incoming) -> bool:
        """Write a message down; False where it has come before."""
        written = self._store.write(
            "INSERT OR IGNORE INTO messages (key, message, state, attempts, changed) VALUES (?, ?, 'waiting', 0, ?)",
            message.key, json.dumps(asdict(message), ensure_ascii=False), self._moment(),
        )  # fmt: skip
        return written == 1

    def claim_once(self, key: str) -> bool:
        """Note that something was done that nothing is to follow; False where it was done before."""
        return (
            self._store.write(
                "INSERT OR IGNORE INTO messages (key, message, state, attempts, changed) VALUES (?, '{}', 'done', 0, ?)",
                key,
                self._moment(),
            )
            == 1
        )

    def begin(self, key: str) -> None:
        """Note that a message is being answered."""
        self._store.write(
            "UPDATE messages SET state = 'answering', attempts = attempts + 1, changed = ? WHERE key = ?",
            self._moment(),
            key,
        )

    def put_back(self, key: str) -> None:
        """Note that the answer was given up and that the next start is to give it."""
        self._store.write("UPDATE messages SET state = 'waiting', attempts = 0 WHERE key = ?", key)

    def sending(self, key: str) -> None:
        """Note that the answer is on its way from here on."""
        self._store.write("UPDATE messages SET state = 'sending', changed = ? WHERE key = ?", self._moment(), key)

    def done(self, key: str) -> None:
        """Note that a message is dealt with; its words are not kept, only that it has come."""
        self._store.write(
            "UPDATE messages SET state = 'done', message = '{}', changed = ? WHERE key = ?", self._moment(), key
        )

    def unfinished(self) -> tuple[tuple[Incoming, bool], ...]:
        """Return the messages that are not dealt with, in order, each with whether it is still to be answered."""
        rows = self._store.rows("SELECT message, state, attempts FROM messages WHERE state <> 'done' ORDER BY number")
        return tuple(
            (Incoming(**json.loads(row["message"])), row["state"] != "sending" and row["attempts"] < MOST_ATTEMPTS)
            for row in rows
        )

    def remember(self, conversation: str, rights: str, query: Query) -> None:
        """Keep the query that a conversation speaks of, for those who have the same rights."""
        self._store.write(
            "INSERT OR REPLACE INTO contexts VALUES (?, ?, ?, ?)",
            conversation, rights, json.dumps(query_to_json(query), ensure_ascii=False), self._moment(),
        )  # fmt: skip

    def context(self, conversation: str, rights: str) -> Query | None:
        """Return the query that a conversation speaks of, where one with these rights was told it."""
        rows = self._store.rows(
            "SELECT query FROM contexts WHERE conversation = ? AND rights = ?", conversation, rights
        )
        try:
            return query_from_json(json.loads(rows[0]["query"])) if rows else None
        except (ValueError, QueryError):  # written by another version
            return None

    def close(self) -> None:
        self._store.close()

    def _moment(self) -> str:
        return self._clock().isoformat()

    def _forget(self) -> None:
        before = (self._clock() - KEPT).isoformat()
        self._store.write("DELETE FROM messages WHERE state = 'done' AND changed < ?", before)
        self._store.write("DELETE FROM contexts WHERE changed < ?", before)
