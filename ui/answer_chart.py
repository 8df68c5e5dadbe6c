"""Owns an answer's chart as a picture that is sent somewhere. Knows nothing of where, or of how it is drawn."""

import logging

from wenshu.assistant.answer import Answer

log = logging.getLogger("wenshu.ui")


def chart_png(answer: Answer) -> bytes | None:
    """Return the picture of an answer's chart; None for an answer that shows none, or whose chart cannot be drawn."""
    chart, table = answer.chart, answer.table
    if chart is None or table is None or not table.rows or chart.kind in ("number", "table"):
        return None
    from wenshu.tools.render import render_chart

    try:
        return render_chart(chart, table, language=answer.language)
    except Exception:  # the door's edge: a chart that fails must not take the numbers with it
        log.exception("a chart could not be drawn")
        return None
