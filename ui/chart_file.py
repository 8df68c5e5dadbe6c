"""Owns writing an answer's chart to a file, whole or not at all. Knows nothing of how it is drawn."""

from pathlib import Path
from typing import TYPE_CHECKING

from wenshu.semantic_layer.whole_file import written_whole

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer

ENDINGS = (".png", ".svg")


def write_chart(answer: "Answer", path: Path) -> Path | None:
    """Write an answer's chart and return where; None for an answer that has none."""
    if answer.chart is None or answer.table is None or not answer.table.rows:
        return None
    from wenshu.tools.render import render_chart

    is_svg = path.suffix.lower() == ".svg"
    image = render_chart(answer.chart, answer.table, language=answer.language, format="svg" if is_svg else "png")
    with written_whole(path) as beside:
        beside.write_bytes(image)
    return path
