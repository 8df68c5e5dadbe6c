"""Owns how a demo database comes to be: written beside its place and moved there once whole. Knows no table."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text


@contextmanager
def new_database(out: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a new, empty DuckDB file that becomes `out` when the block ends well, and vanishes otherwise.

    The folder of `out` is made; an existing `out` stays as it is until the end. Raises EngineError "cannot_write".
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-", ignore_cleanup_errors=True)
    except OSError as problem:
        raise _cannot_write(out) from problem
    with folder:
        unfinished = Path(folder.name) / "unfinished.duckdb"
        with duckdb.connect(str(unfinished)) as connection:
            yield connection
        try:
            os.replace(unfinished, out)
        except OSError as problem:
            raise _cannot_write(out) from problem


def _cannot_write(out: Path) -> EngineError:
    return EngineError(
        "cannot_write",
        Text(f"{out} cannot be written.", f"无法写入 {out}。"),
        Text("Name a file in a folder that you may write to.", "请指定一个您有写入权限的文件夹中的文件。"),
    )
