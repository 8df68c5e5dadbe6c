"""Owns that only one program at a time does a thing, such as answering from one inbox. The lock ends with the program, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import cannot_write


@contextmanager
def only_program(path: Path) -> Iterator[None]:
    """Hold the lock at `path` within; raises `EngineError` with code `already_running` where another program holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError:
        raise cannot_write(path) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EngineError(
                "already_running",
                Text(f"Another program works on {path.parent} already.", f"另一个程序正在使用 {path.parent}。"),
                Text("End it first, or set another WENSHU_HOME.", "请先结束它，或用 WENSHU_HOME 指定其他文件夹。"),
            ) from None
        yield
