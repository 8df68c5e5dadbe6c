"""Owns how a file is written: whole or not at all, beside its place first and then moved there. Knows no format."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file that takes its place at `path` when the block ends well, and vanishes otherwise.

    What stands at `path` stays as it is until then. Raises EngineError "cannot_write" for any `OSError` of the block.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-", ignore_cleanup_errors=True) as folder:
            beside = Path(folder) / path.name
            yield beside
            os.replace(beside, path)
    except OSError as problem:
        raise cannot_write(path) from problem


def check_writable(path: Path) -> None:
    """Raise EngineError "cannot_write" where a file cannot be written, before anything has run."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise cannot_write(path)


def cannot_write(path: Path | str) -> EngineError:
    """Return the error that says a file cannot be written."""
    return EngineError(
        "cannot_write",
        Text(f"{path} cannot be written.", f"无法写入 {path}。"),
        Text(
            "Name a place in a folder that exists, that you may write to and that has room.",
            "请指定一个存在、可写且空间充足的文件夹中的位置。",
        ),
    )
