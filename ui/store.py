"""Owns a SQLite file in which a door keeps what people did: the page's tables, and reading and writing them. Knows nothing of answers.

Values reach SQL as parameters only and are texts, numbers or JSON. One file serves all threads; another program's write is waited for.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text

PATIENCE = 5.0  # seconds to wait for another program's write
VERSIONS = (  # what each version adds to the one before
"""
CREATE TABLE conversations (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, model TEXT NOT NULL, title TEXT NOT NULL, changed TEXT NOT NULL
);
CREATE INDEX conversations_of ON conversations (owner, model, changed);
CREATE TABLE turns (
  id INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
  number INTEGER NOT NULL, question TEXT NOT NULL, asked TEXT NOT NULL, policy TEXT NOT NULL, query TEXT, answer TEXT NOT NULL,
  UNIQUE (conversation, number)
);
CREATE TABLE votes (
  turn INTEGER PRIMARY KEY REFERENCES turns ON DELETE CASCADE, good INTEGER NOT NULL, reason TEXT NOT NULL, voted TEXT NOT NULL
);
CREATE TABLE pins (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, model TEXT NOT NULL, questions TEXT NOT NULL, pinned TEXT NOT NULL,
  UNIQUE (owner, model, questions)
);
""",
"CREATE TABLE choices (owner TEXT PRIMARY KEY, model TEXT NOT NULL)",
"CREATE TABLE sign_ins (token TEXT PRIMARY KEY, name TEXT NOT NULL, password TEXT NOT NULL, since REAL NOT NULL)",
)


class Store:
    """Read and write the file at `path`, made where it is missing; without one, keep everything in memory until the end.

    `versions` says what each version of its tables adds to the one before.

    Raises `EngineError` with code `history_unreadable` for a file that is none of this store's.
    """

    def __init__(self, path: Path | None, versions: tuple[str, ...] = VERSIONS) -> None:
        self._lock = RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)  # what people asked is nobody else's business
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA foreign_keys = ON")
            if path is not None:
                self._connection.execute("PRAGMA journal_mode = WAL")
            self._make_tables(versions)
        except (OSError, sqlite3.Error):
            raise EngineError(
                "history_unreadable",
                Text(f"The history cannot be kept in {path}.", f"无法在 {path} 中保存历史记录。"),
                Text("Move the file away, or choose another folder with WENSHU_HOME.", "请移走该文件，或用 WENSHU_HOME 指定其他文件夹。"),
            ) from None  # fmt: skip

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a statement."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, *values: Any) -> int:
        """Run a statement that writes and return how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let what is written within count as one: all of it, or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _make_tables(self, versions: tuple[str, ...]) -> None:
        with self.together():
            found = self.rows("PRAGMA user_version")[0][0]
            if found > len(versions):
                raise sqlite3.DatabaseError("of a later version")
            for statement in filter(str.strip, ";".join(versions[found:]).split(";")):
                self.write(statement)
            self.write(f"PRAGMA user_version = {len(versions)}")
