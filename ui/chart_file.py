"""Owns writing an answer's chart to a file, whole or not at all. Knows nothing of how it is drawn."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer

ENDINGS = (".png", ".svg")


def check_writable(path: Path) -> None:
    """Raise `EngineError` with code `chart_not_written` where a chart cannot be written, before anything has run."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise _not_written(path)


def write_chart(answer: "Answer", path: Path) -> Path | None:
    """Write an answer's chart and return where; None for an answer that has none."""
    if answer.chart is None or answer.table is None or not answer.table.rows:
        return None
    from wenshu.tools.render import render_chart

    is_svg = path.suffix.lower() == ".svg"
    image = render_chart(answer.chart, answer.table, language=answer.language, format="svg" if is_svg else "png")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(image)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise _not_written(path) from None
    return path


def _not_written(path: Path) -> EngineError:
    return EngineError(
        "chart_not_written",
        Text(f"The chart cannot be written to {path}.", f"图表无法写入 {path}。"),
        Text(
            "Name a file in a folder that exists and that you may write to.", "请指定一个存在且可写的文件夹中的文件。"
        ),
    )
