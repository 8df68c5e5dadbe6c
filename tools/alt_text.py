"""Owns a chart's description in words, for people who do not see it. Knows nothing of how it is drawn."""

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart_data import ChartData, Panel, clean, number
from wenshu.tools.number_format import format_number

KIND_WORDS = {
    "line": Text("Line chart", "折线图"),
    "bar": Text("Bar chart", "条形图"),
    "grouped_bar": Text("Grouped bar chart", "分组条形图"),
    "stacked_bar": Text("Stacked bar chart", "堆叠条形图"),
    "heat_map": Text("Heat map", "热力图"),
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
        f"from {first} to {last}" if data.times else f"by {' and '.join(keys)} ({count} values of {keys[0]})",
        f"{first}至{last}" if data.times else f"按{'和'.join(keys)}，{keys[0]}共 {count} 项",
    ).in_(language)
    word = KIND_WORDS[kind]
    said = [Text(f"{word.en}: {title}, {across}.", f"{word.zh}：{title}，{across}。").in_(language)]
    said += [_panel_sentence(panel, data, kind, len(data.panels) > 1, language) for panel in data.panels]
    if data.incomplete:
        days = [data.categories[at] for at in sorted(data.incomplete)]
        said.append(Text(f"Incomplete: {', '.join(days)}.", f"{'、'.join(days)}的数据不完整。").in_(language))
    return (" " if language == "en" else "").join(said)


def _panel_sentence(panel: Panel, data: ChartData, kind: str, named: bool, language: Language) -> str:
    def written(value: float) -> str:
        return format_number(value, panel.unit, language)

    lines = kind == "line" and len(panel.series) <= FEW_LINES
    named = named and not (lines and len(panel.series) > 1)  # lines of their own names say what they are
    prefix = f"{panel.label}{': ' if language == 'en' else '：'}" if named else ""
    points = [
        (value, data.categories[at] + (f" · {series.label}" if len(panel.series) > 1 else ""))
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
