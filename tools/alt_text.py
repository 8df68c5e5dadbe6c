"""Owns a chart's description in words, for people who do not see it. Knows nothing of how it is drawn."""

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart_data import ChartData, Panel, clean, number
from wenshu.tools.chart_periods import Triangle
from wenshu.tools.counts import period_name
from wenshu.tools.number_format import format_number
from wenshu.tools.steps import shown_funnels

KIND_WORDS = {
    "line": Text("Line chart", "折线图"),
    "bar": Text("Bar chart", "条形图"),
    "grouped_bar": Text("Grouped bar chart", "分组条形图"),
    "stacked_bar": Text("Stacked bar chart", "堆叠条形图"),
    "heat_map": Text("Heat map", "热力图"),
    "curve": Text("Curve", "曲线图"),
}
FEW_LINES = 4
FEW_CARDS = 6


def describe_cards(table: ResultTable, columns: tuple[Column, ...], title: str, language: Language) -> str:
    """Say each figure of a result's only row with what it is compared with."""
    said: list[list[str]] = []
    for column in columns:
        name = clean(column.label.in_(language))
        value = number(table.values(column.name)[0])
        written = format_number(value, column.unit, language, signed=column.role == "change")
        if column.role in ("comparison", "change") and said:
            said[-1].append(f"{name} {written}")
        else:
            said.append([Text(f"{name}: {written}", f"{name}为 {written}").in_(language)])
    sentences = [("，" if language == "zh" else ", ").join(parts) for parts in said[:FEW_CARDS]]
    more = len(said) - FEW_CARDS
    if more > 0:
        sentences.append(Text(f"{more} more figures", f"另有 {more} 个数字").in_(language))
    return Text(f"{title}. {'; '.join(sentences)}.", f"{title}：{'；'.join(sentences)}。").in_(language)


def describe_chart(data: ChartData, *, kind: str, title: str, keys: tuple[str, ...], language: Language) -> str:
    """Say in one sentence what a chart shows and in one a panel its main numbers: first, last, highest, lowest."""
    first, last, count = data.categories[0], data.categories[-1], len(data.categories)
    across = Text(
        f"from {first} to {last}"
        if data.times or data.periods
        else f"by {' and '.join(keys)} ({count} values of {keys[0]})",
        f"{first}至{last}" if data.times or data.periods else f"按{'和'.join(keys)}，{keys[0]}共 {count} 项",
    ).in_(language)
    word = KIND_WORDS[kind]
    said = [Text(f"{word.en}: {title}, {across}.", f"{word.zh}：{title}，{across}。").in_(language)]
    said += [_panel_sentence(panel, data, kind, len(data.panels) > 1, language) for panel in data.panels]
    if data.incomplete and data.periods:
        partial = min(data.periods[at] for at in data.incomplete)
        said.append(
            Text(
                f"From {data.axis} {partial} on, some users are not mature yet.",
                f"{data.axis} {partial} 起，部分用户尚未到期。",
            ).in_(language)
        )
    elif data.incomplete:
        days = [data.categories[at] for at in sorted(data.incomplete)]
        said.append(Text(f"Incomplete: {', '.join(days)}.", f"{'、'.join(days)}的数据不完整。").in_(language))
    return (" " if language == "en" else "").join(said)


def _panel_sentence(panel: Panel, data: ChartData, kind: str, named: bool, language: Language) -> str:
    def written(value: float) -> str:
        return format_number(value, panel.unit, language)

    lines = kind in ("line", "curve") and len(panel.series) <= FEW_LINES
    named = named and not (lines and len(panel.series) > 1)  # lines of their own names say what they are
    prefix = f"{panel.label}{': ' if language == 'en' else '：'}" if named else ""
    points = [
        (panel.shown(value), data.categories[at] + (f" · {series.label}" if len(panel.series) > 1 else ""))
        for series in panel.series
        for at, value in enumerate(series.values)
        if value is not None
    ]
    if not points:
        return prefix + Text("no data.", "无数据。").in_(language)
    parts = []
    if lines:
        for series in panel.series:
            known = [value for value in series.values if value is not None]
            if known:
                first, last = written(known[0]), written(known[-1])
                course = Text(f"from {first} to {last}", f"从 {first} 到 {last}").in_(language)
                separator = ": " if language == "en" else "："
                parts.append(f"{series.label}{separator}{course}" if len(panel.series) > 1 else course)
    high, low = max(points, key=lambda point: point[0]), min(points, key=lambda point: point[0])
    parts.append(
        Text(
            f"the highest is {written(high[0])} ({high[1]})"
            + (f", the lowest {written(low[0])} ({low[1]})" if low[0] != high[0] else ""),
            f"最高 {written(high[0])}（{high[1]}）"
            + (f"，最低 {written(low[0])}（{low[1]}）" if low[0] != high[0] else ""),
        ).in_(language)
    )
    sentence = prefix + Text("; ".join(parts) + ".", "；".join(parts) + "。").in_(language)
    return sentence[0].upper() + sentence[1:]


def describe_funnel(table: ResultTable, title: str, language: Language) -> str:
    """Say the users at each step, by group where there are several."""
    funnels, groups = shown_funnels(table, language)
    separator, comma = (": ", ", ") if language == "en" else ("：", "，")
    said = []
    for funnel, group in zip(funnels, groups, strict=True):
        steps = comma.join(
            f"{clean(step.label.in_(language))} {step.users:,}（{format_number(step.overall, '%', language)}）"
            if language == "zh"
            else f"{clean(step.label.in_(language))} {step.users:,} ({format_number(step.overall, '%', language)})"
            for step in funnel.steps
        )
        said.append(f"{clean(group)}{separator}{steps}" if group else steps)
    listed = ("；" if language == "zh" else "; ").join(said)
    return Text(f"Funnel: {title}. {listed}.", f"漏斗图：{title}。{listed}。").in_(language)


def describe_triangle(triangle: Triangle, title: str, language: Language) -> str:
    """Say which cohorts and periods are shown, and where the highest and the lowest whole number are."""
    rows, last = triangle.rows, triangle.periods[-1]
    first, latest = rows[0].full_label, rows[-1].full_label
    said = Text(
        f"Cohort triangle: {title}, {len(rows)} cohorts from {first} to {latest}, {triangle.axis} 0 to {last}.",
        f"同期群三角图：{title}，{first}至{latest}共 {len(rows)} 个同期群，{triangle.axis} 0–{last}。",
    ).in_(language)
    known = [
        (cell.value, row.full_label, triangle.periods[at])
        for row in rows
        for at, cell in enumerate(row.cells)
        if cell is not None and not cell.partial and not row.incomplete and at != triangle.trivial
    ]
    if not known:
        return said

    def place(one: tuple[float, str, int]) -> str:
        value, cohort, period = one
        name = period_name(period, triangle.period_label).in_(language)
        return f"{format_number(value, triangle.unit, language)}" + (
            f" ({cohort}, {name})" if language == "en" else f"（{cohort}，{name}）"
        )

    high, low = (place(end(known, key=lambda one: one[0])) for end in (max, min))
    told = Text(f"The highest is {high}, the lowest {low}.", f"最高 {high}，最低 {low}。").in_(language)
    return f"{said} {told}" if language == "en" else said + told
