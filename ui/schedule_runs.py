"""Owns which runs of schedules were begun, sent and done, across restarts. Knows nothing of what is sent.

A run is known by its schedule and the time at which it was due. It is `begun`, then `sending`, then `done`, `quiet` (an alert with nothing
to tell) or `failed`. What may have been sent when the program ended is not sent again: it is `unknown`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from wenshu.ui.history import now
from wenshu.ui.store import Store

VERSIONS = (
    """
CREATE TABLE schedules (name TEXT PRIMARY KEY, timing TEXT NOT NULL, since TEXT NOT NULL, out_since TEXT);
CREATE TABLE runs (
  schedule TEXT NOT NULL, due TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, changed TEXT NOT NULL,
  detail TEXT NOT NULL, PRIMARY KEY (schedule, due)
);
""",
)
KEPT = timedelta(days=400)
MOST_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Hold how a run went; `detail` says why it failed."""

    schedule: str
    due: datetime
    state: str
    detail: str


class Runs:
    """Keep the runs in the file at `path`, or until the end without one."""

    def __init__(self, path: Path | None, clock: Callable[[], datetime] = now) -> None:
        self._store = Store(path, VERSIONS)
        self._clock = clock
        self._store.write("DELETE FROM runs WHERE changed < ?", (clock() - KEPT).isoformat())

    def since(self, name: str, timing: str) -> datetime:
        """Return after which moment a schedule can be due: its last run or, if it is new or changed, when that was first seen."""
        with self._store.together():
            rows = self._store.rows("SELECT timing, since FROM schedules WHERE name = ?", name)
            if not rows or rows[0]["timing"] != timing:
                self._store.write(
                    "INSERT INTO schedules VALUES (?, ?, ?, NULL) ON CONFLICT (name) DO UPDATE SET timing = excluded.timing, "
                    "since = excluded.since", name, timing, self._moment(),
                )  # fmt: skip
                return self._clock()
        last = self._store.rows("SELECT max(due) AS due FROM runs WHERE schedule = ?", name)[0]["due"]
        return max(datetime.fromisoformat(each) for each in (rows[0]["since"], last) if each)

    def begin(self, name: str, due: datetime) -> bool:
        """Note that a run begins; False where it has been begun before, by whatever program."""
        return 1 == self._store.write(
            "INSERT OR IGNORE INTO runs VALUES (?, ?, 'begun', 1, ?, '')", name, due.isoformat(), self._moment()
        )

    def sending(self, name: str, due: datetime) -> None:
        """Note that the result is on its way from here on."""
        self._set(name, due, "sending", "")

    def end(self, name: str, due: datetime, state: str, detail: str = "") -> None:
        """Note how a run ended."""
        self._set(name, due, state, detail)

    def left(self) -> tuple[Run, ...]:
        """Return the runs that an ended program left to be done; those that may have been sent become `unknown`."""
        with self._store.together():
            self._store.write("UPDATE runs SET state = 'unknown', changed = ? WHERE state = 'sending' OR (state = 'begun' AND attempts >= ?)", self._moment(), MOST_ATTEMPTS)  # fmt: skip
            self._store.write(
                "UPDATE runs SET attempts = attempts + 1, changed = ? WHERE state = 'begun'", self._moment()
            )
            return self._runs("WHERE state = 'begun' ORDER BY due")

    def last(self, name: str) -> Run | None:
        """Return a schedule's last run."""
        found = self._runs("WHERE schedule = ? ORDER BY due DESC LIMIT 1", name)
        return found[0] if found else None

    def is_out(self, name: str) -> bool:
        """Say whether an alert was told that its metric has left its range, and has not come back since."""
        return bool(self._store.rows("SELECT 1 FROM schedules WHERE name = ? AND out_since IS NOT NULL", name))

    def set_out(self, name: str, out: bool) -> None:
        """Note that an alert's metric has left its range, or is back."""
        self._store.write("UPDATE schedules SET out_since = ? WHERE name = ?", self._moment() if out else None, name)

    def close(self) -> None:
        self._store.close()

    def _set(self, name: str, due: datetime, state: str, detail: str) -> None:
        self._store.write(
            "UPDATE runs SET state = ?, detail = ?, changed = ? WHERE schedule = ? AND due = ?",
            state, detail[:500], self._moment(), name, due.isoformat(),
        )  # fmt: skip

    def _runs(self, where: str, *values: str) -> tuple[Run, ...]:
        rows = self._store.rows(f"SELECT schedule, due, state, detail FROM runs {where}", *values)
        return tuple(
            Run(schedule=r["schedule"], due=datetime.fromisoformat(r["due"]), state=r["state"], detail=r["detail"])
            for r in rows
        )

    def _moment(self) -> str:
        return self._clock().isoformat()
