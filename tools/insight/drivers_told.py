"""Owns how the reason of a change is told, tabled and drawn. Finds nothing itself: every number is handed to it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wenshu.semantic_layer.compiler import OTHERS
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.periods import DateRange, Grain, calendar_grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart_marks import EVERYTHING
from wenshu.tools.insight.calendar_causes import Calendar
from wenshu.tools.insight.decomposition import Effect, Part, decompose, whole
from wenshu.tools.insight.history import Usual
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.search import Leaf, Level, Searched, chosen_part, leaves
from wenshu.tools.insight.split import Key, Split
from wenshu.tools.query import QueryResult
from wenshu.tools.wording import Wording, bucket_label

ALL, REST = EVERYTHING, OTHERS
CERTAIN = 5.0  # deviations from the rest, from which on the finding is called sure
MOST_AGAINST, MOST_NAMED = 2, 3
WORTH_A_LOOK = 2.0  # deviations of the part furthest from the rest, from which on it is told as a lead
READABLE = range(3, 13)  # parts of a table that a reader takes in
MOST_SHARE = 1.5  # of the change; a larger one says only that other parts went the other way

METHOD = Method(
    name=Text("Contribution analysis", "贡献拆分"),
    told=Text(
        "The change is split by every dimension into parts that add up to it; a part is named where it moved unlike the rest by more than chance gives (false discovery rate 1 %, or 10 % where the whole moved beyond its usual), and is then split again.",
        "按各维度把变化拆成相加等于总变化的部分；当某部分与其余部分的差异超出偶然（误报率控制在 1%，整体变化异常时放宽到 10%）时点名，并在其内部继续拆分。",
    ),
    assumptions=(
        Text("A part that changed is where it happened; why it happened there needs other evidence.", "变化所在之处不等于原因，原因需要其他证据。"),
        Text("Parts vary independently of each other apart from what is common to all.", "除共同变化外，各部分的波动相互独立。"),
    ),
    source="Kitagawa 1955 (JASA 50:1168–1194), mix and rate effects; Benjamini & Hochberg 1995 (JRSS B 57:289–300)",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Hold the change as a whole: the metric, its two sides, and their periods or the two groups compared."""

    metric: str
    part: Part
    now: DateRange
    before: DateRange | None
    between: tuple[str, ...] = ()

    def size(self, *, percentage: bool) -> float:
        """Return the change as history is judged: a difference of rates, else relative."""
        now, before = self.part.now.value or 0.0, self.part.before.value or 0.0
        return now - before if percentage else now / before - 1 if before else 0.0


@dataclass(frozen=True, slots=True)
class Teller:
    """Word the parts of one change in one language."""

    w: Wording
    metric: Column

    @property
    def difference_unit(self) -> str | None:
        return "pp" if self.metric.unit == "%" else self.metric.unit

    def value(self, number: float | None) -> str:
        return self.w.value(number, self.metric.unit)

    def difference(self, number: float) -> str:
        return self.w.value(number, self.difference_unit, signed=True)

    def moved(self, part: Part) -> str:
        """Return how a part went: from ¥10 to ¥8 (-20.0%)."""
        before, now = part.before.value, part.now.value
        if before is None or now is None or (part.before.base is None and before == 0):
            return self.w.say(f"from {self.value(before)} to {self.value(now)}", f"由 {self.value(before)} 变为 {self.value(now)}")
        change = self.difference(now - before) if self.metric.unit == "%" else self.w.value(now / before - 1 if before else None, "%", signed=True)
        return self.w.say(f"from {self.value(before)} to {self.value(now)} ({change})", f"由 {self.value(before)} 变为 {self.value(now)}（{change}）")

    def names(self, level: Level) -> str:
        return self.w.names([self.w.name(level.split.columns, key) for key in level.keys], 4)

    def place(self, levels: tuple[Level, ...]) -> str:
        return " × ".join(self.names(level) for level in levels)


def insight_of_change(
    inquiry: Inquiry, query: Query, total: QueryResult, change: Change, searched: Searched, *, calendar: Calendar,
    usual: Usual | None, direction: str | None,
) -> Insight:  # fmt: skip
    """Return the insight: the change and whether it is unusual, where it comes from, and what else is behind it."""
    levels = searched.levels
    split = levels[0].split if levels else _shown(searched)
    own = total.table.with_role("metric")[0]
    taken = split.sides.metric if split is not None else change.metric
    metric = own if taken == change.metric else _column_of(inquiry, taken)
    every = change.part if taken == change.metric or split is None else whole(split.parts)
    rows = leaves(levels) if levels else tuple(Leaf((), part.key, part) for part in split.parts) if split else ()  # type: ignore[arg-type]
    effects = decompose([leaf.part for leaf in rows]) if rows else ()
    columns = [column for level in levels for column in level.split.columns] or list(split.columns if split else ())
    table = _table(columns, levels, metric, rows, effects) if rows else total.table
    names = _side_names(inquiry, change)
    return Insight(
        title=in_both(lambda w: w.say(f"Why {w.label(own)} {_verb(change.part).en}", f"{w.label(own)}为何{_verb(change.part).zh}")),
        headline=in_both(lambda w: _headline(Teller(w, own), change, names, direction)),
        findings=tuple(
            in_both(lambda w, say=say: say(w)) if callable(say) else say  # type: ignore[misc]
            for say in _findings(own, metric, columns, change, searched, every, effects, calendar, usual)
        ),
        table=table,
        plot=_plot(table, columns, every, names) if rows and len(columns) else None,
        method=METHOD,
        confidence=_confidence(levels, usual, change, own, searched.tested),
        caveats=tuple(_caveats(inquiry, change, taken, searched)),
        evidence=inquiry.evidence,
        query=replace(total.query, dimensions=()),
        period=total.period,
        compared=total.compared,
        follow_ups=tuple(_follow_ups(inquiry, change, levels)),
    )  # fmt: skip


def _shown(searched: Searched) -> Split | None:
    """Return the split to show where no part stands out: the first that reads well."""
    if not searched.splits:
        return None
    return next((split for split in searched.splits if len(split.parts) in READABLE), searched.splits[0])


def _column_of(inquiry: Inquiry, name: str) -> Column:
    metric = inquiry.model.metric(name)
    return Column(name=metric_column(name), role="metric", type="number", label=metric.label, unit=metric.unit, metric=metric_column(name))


# Sentences -----------------------------------------------------------------------------------------------------------


def _verb(part: Part) -> Text:
    before, now = part.before.value or 0.0, part.now.value or 0.0
    return Text("rose", "上升") if now > before else Text("fell", "下降") if now < before else Text("did not change", "没有变化")


def _headline(t: Teller, change: Change, names: tuple[Text, Text], direction: str | None) -> str:
    w, part = t.w, change.part
    verb, label, (now, before) = _verb(part), w.label(t.metric), names
    rose = (part.now.value or 0.0) > (part.before.value or 0.0)
    wrong = direction is not None and (direction == "up") != rose
    if change.between:
        lead = w.say(f"{w.opening(label)} of {now.en} is {t.value(part.now.value)}, of {before.en} {t.value(part.before.value)}", f"{now.zh}的{label}为 {t.value(part.now.value)}，{before.zh}为 {t.value(part.before.value)}")
        difference = t.difference((part.now.value or 0.0) - (part.before.value or 0.0))
        return w.say(f"{lead}: a difference of **{difference}**.", f"{lead}，相差 **{difference}**。")
    moved = t.moved(part)
    if part.now.value == part.before.value:
        return w.say(f"{w.opening(label)} did not change: {t.value(part.now.value)} for {now.en} and for {before.en}.", f"{label}没有变化：{now.zh}与{before.zh}都是 {t.value(part.now.value)}。")
    said = w.say(f"{w.opening(label)} **{verb.en}** {moved}: {now.en} against {before.en}.", f"{label}**{verb.zh}**：{moved}，{now.zh} 对比 {before.zh}。")
    if wrong:
        asked = Text("rise", "上升") if direction == "up" else Text("fall", "下降")
        return w.say(f"It did not {asked.en}. {said}", f"其实并没有{asked.zh}。{said}")
    return said


def _findings(
    own: Column, metric: Column, columns: list[Column], change: Change, searched: Searched, every: Part,
    effects: tuple[Effect, ...], calendar: Calendar, usual: Usual | None,
) -> Iterator[object]:  # fmt: skip
    difference = (every.now.value or 0.0) - (every.before.value or 0.0)
    if calendar.gaps:
        yield calendar.findings[0]
    if searched.levels:
        yield lambda w: _main(Teller(w, metric), searched.levels, every, difference, own)
    else:
        yield lambda w: _no_part(Teller(w, metric), searched, effects, tuple(columns), difference)
    for split, one in searched.against[:MOST_AGAINST]:
        column = own if split.sides.metric == change.metric else metric
        yield lambda w, split=split, one=one, column=column: w.say(
            f"The other way went {w.name(split.columns, one.part.key)}: {Teller(w, column).moved(_real(split, one.part.key))}.",
            f"方向相反的是{w.name(split.columns, one.part.key)}：{Teller(w, column).moved(_real(split, one.part.key))}。",
        )  # fmt: skip
    if effects and effects[0].mix is not None:
        yield lambda w: _mix(Teller(w, metric), effects)
    yield from calendar.findings[1:] if calendar.gaps else calendar.findings
    if usual is not None:
        yield lambda w: _usual(w, usual, change, own)


def _real(split: Split, key: Key) -> Part:
    """Return a part between the two sides asked about; it was judged against its usual size."""
    return next(part for part in split.parts if part.key == key)


def _main(t: Teller, levels: tuple[Level, ...], every: Part, difference: float, own: Column) -> str:
    """Say which part it was, how it went, and how much of the change that is."""
    w, part = t.w, chosen_part(levels[-1])
    added = _added(levels, every)
    share = added / difference if difference else 0.0
    rest = difference - added
    of = w.say(f" in {w.label(t.metric)}" if t.metric != own else "", f"（按{w.label(t.metric)}计）" if t.metric != own else "")
    much = w.say(f"of {t.difference(difference)} ({w.value(share, '%')})", f"占总变化 {t.difference(difference)} 的 {w.value(share, '%')}")
    if share > MOST_SHARE:
        much = w.say(f"more than the whole change of {t.difference(difference)}", f"超过总变化 {t.difference(difference)}")
    told = w.say(
        f"**{t.place(levels)}** made the difference{of}: {t.moved(part)}, which added {t.difference(added)}{w.say(',' if share > MOST_SHARE else '', '')} {much}",
        f"**{t.place(levels)}**是主要来源{of}：{t.moved(part)}，贡献 {t.difference(added)}，{much}",
    )
    if rest * difference < 0:
        return told + w.say(f"; everything else together moved the other way, {t.difference(rest)}.", f"；其余部分合计反向变化 {t.difference(rest)}。")
    return told + w.say(f"; everything else together added {t.difference(rest)}.", f"；其余部分合计贡献 {t.difference(rest)}。")


def _added(levels: tuple[Level, ...], every: Part) -> float:
    """Return what the chosen parts of the last level added to the change."""
    rows = leaves(levels)
    chosen = {id(leaf.part) for leaf in rows if leaf.key in levels[-1].keys and len(leaf.path) == len(levels) - 1}
    return sum(effect.total for effect in decompose([leaf.part for leaf in rows]) if id(effect.part) in chosen)


def _no_part(
    t: Teller, searched: Searched, effects: tuple[Effect, ...], columns: tuple[Column, ...], difference: float
) -> str:
    """Say that no part stands out, and which added most all the same."""
    w = t.w
    if not effects:
        return w.say("There are no parts to split it into.", "没有可供拆分的维度。")
    way = 1 if difference > 0 else -1
    most = sorted((e for e in effects if e.total * way > 0), key=lambda e: -e.total * way)[:MOST_NAMED]
    names = [f"{w.name(columns, e.part.key)} {t.difference(e.total)}" for e in most]  # type: ignore[arg-type]
    listed = w.say(f" Most was added by {w.names(names)}.", f"贡献最多的是{w.names(names)}。") if names else ""
    told = w.say(
        f"**No part stands out**: of the {searched.tested} looked at, none moved unlike the others by more than chance gives.{listed}",
        f"**没有突出的部分**：查看了 {searched.tested} 个部分，彼此差异都在偶然范围内。{listed}",
    )
    if searched.lead is None or abs(searched.lead[1].deviations) < WORTH_A_LOOK:
        return told
    split, one = searched.lead
    name, moved = w.name(split.columns, one.part.key), t.moved(_real(split, one.part.key))  # type: ignore[arg-type]
    return told + w.say(
        f" Furthest from the rest is {name}, {moved}: {abs(one.deviations):.1f} deviations, which is a lead and no proof.",
        f"与其余部分差异最大的是{name}，{moved}，{abs(one.deviations):.1f} 个标准差，只是线索，不足为证。",
    )


def _mix(t: Teller, effects: tuple[Effect, ...]) -> str:
    mix, rate = (sum(value or 0.0 for value in values) for values in zip(*((e.mix, e.rate) for e in effects), strict=True))
    return t.w.say(
        f"Changes within the parts made {t.difference(rate)}, the change of their weights {t.difference(mix)}.",
        f"各部分自身变化带来 {t.difference(rate)}，结构变化（占比变动）带来 {t.difference(mix)}。",
    )


def _usual(w: Wording, usual: Usual, change: Change, own: Column) -> str:
    percentage = own.unit == "%"
    unit, size = ("pp" if percentage else "%"), change.size(percentage=percentage)
    low, high = (w.value(end, unit, signed=True) for end in usual.ends)
    n = len(usual.earlier)
    if usual.is_beyond(size):
        return w.say(
            f"A change of {w.value(size, unit, signed=True)} is unusual: judged by the {n} changes before, {low} to {high} is usual.",
            f"{w.value(size, unit, signed=True)} 的变化超出平常：按此前 {n} 次变化，平常范围为 {low} 至 {high}。",
        )
    return w.say(
        f"As a whole, a change of {w.value(size, unit, signed=True)} is within the usual: judged by the {n} changes before, {low} to {high}.",
        f"就整体而言，{w.value(size, unit, signed=True)} 的变化属于平常波动：按此前 {n} 次变化，平常范围为 {low} 至 {high}。",
    )


def _confidence(
    levels: tuple[Level, ...], usual: Usual | None, change: Change, own: Column, tested: int
) -> Confidence:
    size = change.size(percentage=own.unit == "%")
    if levels:
        strongest = max(abs(one.deviations) for one in levels[0].chosen)
        return Confidence(level="high" if strongest >= CERTAIN else "medium", why=Text(
            f"It lies {strongest:.1f} deviations from how the other parts moved, the furthest of {tested} parts looked at.",
            f"它与其余部分的差异为 {strongest:.1f} 个标准差，是所查看的 {tested} 个部分中最大的。",
        ))  # fmt: skip
    if usual is not None and not usual.is_beyond(size):
        return Confidence(level="high", why=Text(
            "Nothing moved beyond its usual, neither the whole nor a part: there may be no cause to look for.",
            "整体与各部分都没有超出平常波动，可能并没有特别的原因。",
        ))  # fmt: skip
    return Confidence(level="low", why=Text("No part accounts for it; it is spread over all of them.", "没有单独的部分能解释，变化分散在各部分。"))


def _caveats(inquiry: Inquiry, change: Change, taken: str, searched: Searched) -> Iterator[Text]:
    if taken != change.metric:
        own, used = inquiry.model.metric(change.metric).label, inquiry.model.metric(taken).label
        yield Text(
            f"{own.en} cannot be split that way, so the parts are of {used.en}; their sum differs from {own.en}.",
            f"{own.zh}不支持这样拆分，各部分按{used.zh}计算，合计与{own.zh}不同。",
        )
    if searched.overlapping:
        names = [label for name in searched.overlapping if (label := _label(inquiry, name)) is not None]
        yield Text(
            f"Not split by {', '.join(name.en for name in names)}: one user or row is in several of these, so their parts do not add up.",
            f"未按{'、'.join(name.zh for name in names)}拆分：同一用户或记录会出现在多个取值中，各部分不能相加。",
        )


def _label(inquiry: Inquiry, name: str) -> Text | None:
    return next((dimension.label for dimension in inquiry.model.dimensions if dimension.name == name), None)


def _follow_ups(inquiry: Inquiry, change: Change, levels: tuple[Level, ...]) -> Iterator[Text]:
    for level in levels[:2]:
        label = level.split.columns[0].label
        yield Text(f"by {label.en}", f"分{label.zh}看")
    yield Text("by month", "按月看")


# Table and picture ---------------------------------------------------------------------------------------------------


def _side_names(inquiry: Inquiry, change: Change) -> tuple[Text, Text]:
    """Return what the two sides are called: months and other calendar periods by name, others by their dates."""
    if change.between:
        name, *values = change.between
        dimension = next(d for d in inquiry.model.dimensions if name in (d.name, d.qualified))
        labels = {value.value: value.label for value in dimension.values}
        first, second = (labels.get(value, Text(value, value)) for value in values)
        return first, second
    assert change.before is not None
    return _period_name(change.now), _period_name(change.before)


def _period_name(period: DateRange) -> Text:
    grain: Grain | None = calendar_grain(period)
    days = {Grain.MONTH: 31, Grain.QUARTER: 92, Grain.YEAR: 366}
    if grain in days and period.days <= days[grain]:
        return Text(bucket_label(period.start, grain, "en"), bucket_label(period.start, grain, "zh"))
    return Text(str(period), str(period))


def _table(
    columns: list[Column], levels: tuple[Level, ...], metric: Column, rows: tuple[Leaf, ...], effects: tuple[Effect, ...]
) -> ResultTable:
    unit = "pp" if metric.unit == "%" else metric.unit
    keys = [_key_column(column, at, levels, len(columns)) for at, column in enumerate(columns)]
    out = [
        *keys, replace(metric, additive=False),
        Column(name=f"{metric.name}_previous", role="comparison", type="number", label=Text(f"{metric.label.en}, before", f"{metric.label.zh}（对比侧）"), unit=metric.unit, metric=metric.name),
        Column(name="contribution", role="change", type="number", label=Text("contribution", "贡献"), unit=unit, metric=metric.name),
    ]  # fmt: skip
    if effects and effects[0].mix is not None:
        out += [
            Column(name="rate_effect", role="change", type="number", label=Text("of it by its rate", "其中：自身变化"), unit=unit, metric=metric.name),
            Column(name="mix_effect", role="change", type="number", label=Text("of it by its weight", "其中：结构变化"), unit=unit, metric=metric.name),
        ]  # fmt: skip
    body = []
    for leaf, effect in zip(rows, effects, strict=True):
        cells: list[Cell] = [*_cells(leaf, levels, len(columns)), leaf.part.now.value, leaf.part.before.value, effect.total]
        if effect.mix is not None:
            cells += [effect.rate, effect.mix]
        body.append((effect.total, tuple(cells)))
    way = 1 if sum(total for total, _ in body) >= 0 else -1
    body.sort(key=lambda row: -way * row[0])
    return ResultTable(columns=tuple(out), rows=tuple(cells for _, cells in body))


def _joined(keys: tuple[Key, ...]) -> Cell:
    return keys[0][0] if len(keys) == 1 else " + ".join(str(key[0]) for key in keys)


def _cells(leaf: Leaf, levels: tuple[Level, ...], width: int) -> Iterator[Cell]:
    for depth in range(width):
        if depth < len(leaf.path):
            yield _joined(leaf.path[depth])
        elif depth == len(leaf.path):
            yield REST if leaf.key is None else leaf.key[0]
        else:
            yield ALL


def _key_column(column: Column, at: int, levels: tuple[Level, ...], width: int) -> Column:
    """Return a dimension's column that also knows the names of everything, of the rest, and of parts taken together."""
    labels = list(column.value_labels)
    if at > 0:
        labels += [(ALL, Text("all", "全部")), (REST, Text("others", "其他"))]
    if at < len(levels) and len(levels[at].keys) > 1:
        names = [(column.shown(key[0], "en"), column.shown(key[0], "zh")) for key in levels[at].keys]
        labels.append((_joined(levels[at].keys), Text(" + ".join(en for en, _ in names), "、".join(zh for _, zh in names))))
    return replace(column, value_labels=tuple(labels))


def _plot(table: ResultTable, columns: list[Column], every: Part, names: tuple[Text, Text]) -> Plot:
    now, before = names
    return Plot(
        kind="waterfall", x=columns[0].name, y=("contribution",),
        reason=Text("The parts add up to the change: a waterfall.", "各部分相加等于总变化，用瀑布图。"),
        totals=((before, every.before.value or 0.0), (now, every.now.value or 0.0)),
    )  # fmt: skip


