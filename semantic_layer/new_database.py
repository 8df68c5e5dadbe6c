"""Owns how a demo database comes to be: written beside its place and moved there once whole. Knows no table."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from wenshu.semantic_layer.whole_file import written_whole


@contextmanager
def new_database(out: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a new, empty DuckDB file that becomes `out` when the block ends well, and vanishes otherwise.

    The folder of `out` is made; an existing `out` stays as it is until the end. Raises EngineError "cannot_write".
    """
    with suppress(OSError):  # what is missing then is said by the writing
        out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as beside, duckdb.connect(str(beside)) as connection:
        yield connection
