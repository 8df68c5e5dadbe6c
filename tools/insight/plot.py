"""Owns how an insight is drawn: a Plot names the columns of its table, and becomes a Chart in one language. Draws nothing."""

from dataclasses import dataclass

from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.alt_text import describe_chart
from wenshu.tools.chart import Chart, ChartKind, data_of
from wenshu.tools.chart_data import clean
from wenshu.tools.chart_marks import describe_marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Say how a table is drawn, by the names of its columns; `reason` says why so.

    | kind | x | y | series |
    |---|---|---|---|
    | `waterfall` | groups | what each adds; `totals` are the two bars around them | |
    | `band` | time | value, low, high: the range expected; outside it is marked | |
    | `intervals` | groups | value, low, high: a dot with its interval | |
    | `scatter` | a number | a number | names of the dots |
    | `line`, `bar`, `grouped_bar`, `stacked_bar`, `heat_map` | as any chart's | the value columns | a dimension |
    """

    kind: ChartKind
    x: str
    y: tuple[str, ...]
    series: str | None = None
    totals: tuple[tuple[Text, float], ...] = ()
    reason: Text


def chart_of(plot: Plot, table: ResultTable, *, title: str, subtitle: str, language: Language) -> Chart:
    """Return the chart that a plot of a table is, with its words for those who cannot see it."""
    chart = Chart(
        kind=plot.kind, x=plot.x, y=plot.y, series=plot.series, title=clean(title), subtitle=clean(subtitle, 200), alt_text="",
        reason=plot.reason.in_(language), totals=tuple((name.in_(language), value) for name, value in plot.totals),
    )  # fmt: skip
    return chart.with_alt_text(_described(chart, table, language))


def _described(chart: Chart, table: ResultTable, language: Language) -> str:
    if chart.kind in ("waterfall", "band", "intervals", "scatter"):
        return describe_marks(chart, table, language)
    assert chart.x is not None
    data = data_of(chart.kind, table, x=chart.x, y=chart.y, series=chart.series, language=language)
    keys = tuple(clean(table.column(name).label.in_(language)) for name in (chart.x, chart.series) if name is not None)
    return describe_chart(data, kind=chart.kind, title=chart.title, keys=keys, language=language)
