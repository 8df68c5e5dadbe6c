"""Owns the processes that run statements: starting them, passing statements in and bounded rows out, ending what takes too long.

A worker is the side not to be trusted: what comes from it is JSON of bounded length, checked before it is used. A worker that is late,
given up, gone or wrong is killed and replaced; no worker goes on from one version of the data to the next.
"""

import json
import math
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any

import duckdb

from wenshu.semantic_layer import worker as program
from wenshu.semantic_layer.cancellation import is_cancelled
from wenshu.semantic_layer.data_files import NO_FILES, DataFiles
from wenshu.semantic_layer.engine import EngineSettings, RawResult, Schema, failure, schema_of
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.text import Text

OPENING_SECONDS = 30.0
GRACE = 0.5  # seconds after which a statement that DuckDB did not stop itself is ended from outside
LOOK = 0.05  # seconds between two looks at whether anybody still waits
KEPT = ("TZ",)  # what a worker keeps of the environment: which day it is, the database asks it too
MOST_REPLACED = 3  # versions of the data that may come and go while one statement is to run
START = "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); runpy.run_path(sys.argv[2], run_name='__main__')"


class WorkerEngine:
    """Answer from a DuckDB file, from data files, or from both together, in processes of limited means.

    The first worker starts at once, so that it is there when the first statement is; further ones start when they are needed.
    """

    dialect = "duckdb"

    def __init__(
        self, database: Path | None, *, files: Mapping[str, str] = NO_FILES, settings: EngineSettings = EngineSettings()
    ) -> None:
        self._data = DataFiles(database, files)
        self._settings = settings
        self._lock = Lock()  # held while the idle workers or the copy of the data files change
        self._free = Semaphore(settings.workers)
        self._schema: tuple[str, Schema] = ("", {})
        self._closed = False
        self._idle = deque([self._start(self._data.version())])

    def schema(self) -> Schema:
        if self._schema[0] != self._data.version():
            reply, version = self._ask({}, self._settings.seconds)
            match reply:
                case {"schema": [*rows]} if all(_is_texts(row) and len(row) == 3 for row in rows):
                    self._schema = (version, schema_of(rows))
                case _:
                    raise failure("worker_lost")
        return self._schema[1]

    def run(self, statement: GuardedStatement, *, max_rows: int, by_hand: bool = False) -> RawResult:
        started = time.perf_counter()
        seconds = self._settings.sql_seconds if by_hand else self._settings.seconds
        reply, version = self._ask({"sql": statement.sql, "max_rows": max_rows + 1}, seconds)
        columns, types, rows = _checked(reply, max_rows + 1)
        return RawResult(
            columns=columns,
            types=types,
            rows=rows[:max_rows],
            truncated=len(rows) > max_rows,
            elapsed=time.perf_counter() - started,
            data_version=version,
        )

    def data_version(self) -> str:
        return self._data.version()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.popleft().kill()
            self._data.discard()

    def _ask(self, request: dict[str, Any], seconds: float) -> tuple[dict[str, Any], str]:
        """Return a worker's reply and the version of the data it is of."""
        while not self._free.acquire(timeout=LOOK):
            if is_cancelled():
                raise failure("cancelled")
        worker = None
        try:
            worker = self._opened()
            reply = worker.ask(request | {"seconds": seconds + GRACE}, seconds + GRACE)
            if reply.get("fatal"):
                worker.kill()
            if "failed" in reply:
                raise _running_failed(str(reply["failed"]), seconds)
            return reply, worker.version
        except _Late:
            raise _running_failed("query_timeout", seconds) from None
        finally:
            self._give_back(worker)
            self._free.release()

    def _opened(self) -> "_Worker":
        """Return a worker that has opened the data as they are now."""
        for _ in range(MOST_REPLACED):
            self._data.check()
            version = self._data.version()
            with self._lock:
                worker = self._idle.popleft() if self._idle else None
                if worker is None or worker.version != version or not worker.alive:
                    if worker is not None:
                        worker.kill()
                    worker = self._start(version)
            try:
                worker.open()
            except EngineError:
                worker.kill()
                raise
            except _Late:
                worker.kill()
                raise failure("database_invalid", self._data.database) from None
            if self._data.version() == version:
                return worker
            worker.kill()
        raise failure("data_changed")

    def _start(self, version: str) -> "_Worker":
        try:
            data, base = self._data.opening(version)
        except duckdb.Error as error:
            raise failure(program.opening_failure(error), self._data.database) from None
        return _Worker({"data": data, "base": base, "settings": asdict(self._settings)}, version, self._data.database)

    def _give_back(self, worker: "_Worker | None") -> None:
        """Keep a worker for the next statement; where it has ended, start the next one now, so that nobody waits for it."""
        if worker is None:
            return
        with self._lock, suppress(EngineError):
            if self._closed:
                worker.kill()
            elif worker.alive:
                self._idle.appendleft(worker)  # the one used last has the most of the data in memory
            elif not self._idle and sys.exc_info()[0] is not KeyboardInterrupt:
                self._idle.append(self._start(self._data.version()))


class _Late(Exception):
    """Say that a worker took longer than it may."""


class _Worker:
    """One process, and the pipes to it."""

    def __init__(self, opening: dict[str, Any], version: str, database: Path | None) -> None:
        self.version = version
        self._database = database
        self._is_open = False
        # Isolated and without site-packages' start-up files; the paths are those by which this process found its modules.
        paths = json.dumps([os.path.abspath(path) for path in sys.path if path])
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, paths, program.__file__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8", **kept},
                cwd="/", bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError:
            raise EngineError(
                "no_worker",
                Text("No process could be started to run the query.", "无法启动运行查询的进程。"),
                Text("Free memory or processes on this machine and ask again.", "请释放内存或减少进程后重试。"),
            ) from None
        with suppress(EngineError):  # one that is gone already is noticed when it is asked
            self._send(opening)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def open(self) -> None:
        """Wait until the data are open."""
        if not self._is_open:
            reply = self._receive(OPENING_SECONDS)
            if "failed" in reply:
                raise failure(str(reply["failed"]), self._database)
            self._is_open = True

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the reply to a request; where there is none in time or at all, the process has ended afterwards."""
        try:
            self._send(request)
            return self._receive(seconds)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError:
            raise failure("worker_lost") from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        """Return the next reply, waiting at most so many seconds and no longer than anybody waits for it."""
        assert self._process.stdout
        pipe = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        deadline = time.monotonic() + seconds
        parts = [b""]
        size = 0
        while not parts[-1].endswith(b"\n"):
            if is_cancelled():
                raise failure("cancelled")
            if not poll.poll(math.ceil(LOOK * 1000)):
                if time.monotonic() > deadline:
                    raise _Late
                continue
            parts.append(os.read(pipe, 1 << 20))
            size += len(parts[-1])
            if not parts[-1] or size > program.MAX_REPLY * 2:
                raise failure("worker_lost")
        try:
            reply = json.loads(b"".join(parts))
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise failure("worker_lost")
        return reply


def _running_failed(code: str, seconds: float) -> EngineError:
    error = failure(code)
    if error.code != "query_timeout":
        return error
    return EngineError(
        error.code,
        Text(
            f"The query took longer than {seconds:g} seconds and was stopped.", f"查询超过 {seconds:g} 秒，已停止。"
        ),
        error.hint,
    )


def _checked(
    reply: dict[str, Any], most: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[object, ...], ...]]:
    """Return the columns, the types and the rows of a reply, or say that it is none."""
    match reply:
        case {"columns": columns, "types": types, "rows": [*rows]} if (
            _is_texts(columns) and _is_texts(types) and len(columns) == len(types) and len(rows) <= most
        ):
            if all(isinstance(row, list) and len(row) == len(types) and all(map(_is_plain, row)) for row in rows):
                by_column = [_READ.get(kind.split("(")[0].split(" ")[0].split("_")[0]) for kind in types]
                if any(by_column):
                    rows = [[_cell(read, cell) for read, cell in zip(by_column, row, strict=True)] for row in rows]
                return tuple(columns), tuple(types), tuple(map(tuple, rows))
    raise failure("worker_lost")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_plain(cell: object) -> bool:
    return cell is None or isinstance(cell, (str, int, float))


_READ = {"DATE": date.fromisoformat, "TIMESTAMP": datetime.fromisoformat, "DECIMAL": Decimal}


def _cell(read: Any, cell: object) -> object:
    """Return a cell as its type has it; what Python cannot hold, such as the year 20000, stays a text."""
    if read is None or not isinstance(cell, str):
        return cell
    try:
        return read(cell)
    except (ValueError, InvalidOperation):
        return cell
