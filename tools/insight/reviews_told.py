"""Owns how topics of reviews are told, tabled and drawn. Finds nothing itself: reviews are judged before they are handed over."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date

from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Inquiry, Insight, Method
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.review_counts import Judged, Shift, shifts
from wenshu.tools.insight.sentiment_told import (
    KINDS,
    kept,
    month_column,
    number,
    ranked,
    share_columns,
    told,
)
from wenshu.tools.insight.significance import wilson
from wenshu.tools.wording import Wording, escape_markdown

MOST_TOLD, TOLD_OF_PART, MOST_STANDING_OUT = 5, 3, 2
FEWEST_SHARED = 10  # reviews of a group or month, below which a share says nothing
SHOWN_BY_PART, SHOWN_BY_MONTH = 8, 5  # topics
METHOD = Method(
    name=Text("Phrases that set reviews apart", "差异话题（加权对数几率）"),
    told=Text(
        "Bad and good reviews are told by their ratings; those without one by their text, as the rated ones teach. Phrases that stand in one kind more often than in the other beyond chance are findings (weighted log-odds with a Dirichlet prior, false discovery rate 1%); those that stand in the same texts are one topic. A review may speak of several.",
        "好评与差评按评分区分，没有评分的按文本判断（由有评分的评价学习）。在一类中的出现比例高于另一类且超出偶然的词句才算发现（带狄利克雷先验的加权对数几率，误报率 1%），常在同一文本中出现的词句合为一个话题。一条评价可涉及多个话题。",
    ),
    assumptions=(
        Text("Phrases are counted, not understood: “not cold” holds “cold”.", "按词句统计，不理解语义，例如“没坏”也包含“坏”。"),
        Text("Whoever writes a review is not everybody who bought.", "写评价的用户不代表全部买家。"),
    ),
    source="Monroe, Colaresi & Quinn 2008 (Political Analysis 16:372–403); Benjamini & Hochberg 1995; Newcombe 1998; Holm 1979",
)  # fmt: skip
Counts = Counter[str | int]


def insight_of_topics(inquiry: Inquiry, judged: Judged) -> Insight:
    """Return the insight: what the reviews speak of most, how often, where and since when."""
    return told(
        inquiry, judged, title=_title, headline=_headline, findings=_findings(judged), drawn=_table(judged), method=METHOD, texts=judged.overall["told"]
    )  # fmt: skip


def _kind(judged: Judged) -> Text:
    if judged.ratings:
        stars = "/".join(f"{rating:g}" for rating in judged.ratings)
        return Text(f"{stars}-star", f"{stars} 星评价")
    return KINDS[judged.about]


def _label(judged: Judged, topic: int, chinese: bool, shown: Callable[[str], str] = str) -> str:
    first, *more = (shown(name) for name in judged.topics[topic].names)
    if not more:
        return first
    return f"{first}（{'、'.join(more)}）" if chinese else f"{first} ({', '.join(more)})"


def _name(w: Wording, judged: Judged, topic: int) -> str:
    return _label(judged, topic, w.language == "zh", escape_markdown)


def _short(judged: Judged, topic: int) -> str:
    return escape_markdown(judged.topics[topic].names[0])


def _title(w: Wording, judged: Judged) -> str:
    kind = _kind(judged).in_(w.language)
    title = w.say(f"What {kind} reviews speak of", f"{kind}都在说什么")
    if judged.by is not None:
        return w.say(f"{title}, by {w.label(judged.by)}", f"{title}（按{w.label(judged.by)}）")
    return w.say(f"{title}, by month", f"{title}（按月）") if judged.grain is not None else title


def _headline(w: Wording, judged: Judged) -> str:
    kind, told = _kind(judged).in_(w.language), judged.overall["told"]
    if judged.by is not None:
        part, own = next(iter(judged.by_part.items()))
        return w.say(
            f"**{w.name((judged.by,), (part,))}** has the most {kind} reviews, {own['told']:,} of {told:,}; they speak most of {_most_of(w, judged, own)}.",
            f"{kind}最多的是 **{w.name((judged.by,), (part,))}**（{told:,} 条中的 {own['told']:,} 条），主要在说{_most_of(w, judged, own)}。",
        )
    first, *following = range(len(judged.topics))
    count, names, whose = judged.overall[first], w.names([_short(judged, topic) for topic in following[:2]]), kept(w, judged)
    then = w.say(f", then {names}", f"，其次是{names}") if names else ""
    return w.say(
        f"{w.opening(kind)} reviews{whose} speak most of **{_name(w, judged, first)}**: {count:,} of {told:,} ({w.value(count / told, '%')}){then}.",
        f"{kind}{whose}最常提到 **{_name(w, judged, first)}**：{told:,} 条中有 {count:,} 条（{w.value(count / told, '%')}）{then}。",
    )


def _most_of(w: Wording, judged: Judged, counts: Counts) -> str:
    """Return what a group's reviews speak of most, each with its share."""
    ordered = sorted(range(len(judged.topics)), key=lambda topic: (-counts[topic], topic))
    said = [w.noted(_short(judged, topic), w.value(counts[topic] / counts["told"], "%")) for topic in ordered[:TOLD_OF_PART] if counts[topic]]
    return w.names(said, TOLD_OF_PART) or w.say("nothing that sets them apart", "没有突出的话题")


# Findings ----------------------------------------------------------------------------------------------------------------


def _findings(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    yield from ranked(judged)
    if judged.by is not None:
        for part, counts in list(judged.by_part.items())[:MOST_TOLD]:
            yield lambda w, part=part, counts=counts: _part_said(w, judged, part, counts)  # type: ignore[misc]
        yield from _standing_out(judged, judged.by)
    else:
        for topic in range(min(MOST_TOLD, len(judged.topics))):
            yield lambda w, topic=topic: _topic_said(w, judged, topic)  # type: ignore[misc]
        any_of = judged.overall["any"] / judged.overall["told"]
        yield lambda w: w.say(
            f"{w.value(any_of, '%')} of them speak of at least one of the {len(judged.topics)} topics listed.",
            f"所列 {len(judged.topics)} 个话题合计覆盖其中 {w.value(any_of, '%')}。",
        )
    yield from _moved(judged)


def _topic_said(w: Wording, judged: Judged, topic: int) -> str:
    count, whole = judged.overall[topic], judged.overall["told"]
    share, elsewhere = w.value(count / whole, "%"), w.value(_elsewhere(judged, topic), "%")
    ends = "–".join(w.value(end, "%") for end in wilson(count / whole, whole))
    other = KINDS[judged.opposite].in_(w.language)
    quoted = w.say(", ", "、").join(f"“{text}”" for text in judged.examples(topic))
    such = w.say(f"; such as {quoted}", f"；例如{quoted}") if quoted else ""
    return w.say(
        f"**{_name(w, judged, topic)}**: {count:,} review{'' if count == 1 else 's'}, {share} ({ends}); {elsewhere} of {other} ones{such}.",
        f"**{_name(w, judged, topic)}**：{count:,} 条，占 {share}（{ends}）；{other}中占 {elsewhere}{such}。",
    )


def _elsewhere(judged: Judged, topic: int) -> float:
    """Return the share of the other reviews that speak of a topic."""
    held = judged.topics[topic]
    return sum(count for text, count in judged.contrast if held.is_in(text)) / sum(count for _, count in judged.contrast)


def _part_said(w: Wording, judged: Judged, part: Cell, counts: Counts) -> str:
    assert judged.by is not None
    kind, name, share = _kind(judged), w.name((judged.by,), (part,)), w.value(counts["told"] / counts["reviews"], "%")
    return w.say(
        f"**{name}**: {counts['told']:,} of {counts['reviews']:,} reviews are {kind.en} ({share}), most of them about {_most_of(w, judged, counts)}.",
        f"**{name}**：{kind.zh} {counts['told']:,} 条，占其评价的 {share}，主要是{_most_of(w, judged, counts)}。",
    )


def _standing_out(judged: Judged, by: Column) -> Iterator[Callable[[Wording], str]]:
    """Yield which group speaks of something more than the others do."""
    whole, kind = judged.overall, _kind(judged)
    pairs = [(part, topic, counts) for part, counts in judged.by_part.items() for topic in range(len(judged.topics))]
    sides = [(counts[topic], counts["told"], whole[topic] - counts[topic], whole["told"] - counts["told"]) for _, topic, counts in pairs]
    apart = [(shift, part, topic) for shift, (part, topic, _) in zip(shifts(sides), pairs, strict=True) if shift and shift.now > shift.before]

    def said(w: Wording, shift: Shift, part: Cell, topic: int) -> str:
        name, now, before = w.name((by,), (part,)), w.value(shift.now, "%"), w.value(shift.before, "%")
        return w.say(
            f"{name} stands out: {now} of its {kind.en} reviews speak of {_name(w, judged, topic)}, {before} elsewhere.",
            f"{name}较突出：{kind.zh}中 {now} 提到{_name(w, judged, topic)}，其他为 {before}。",
        )

    for shift, part, topic in sorted(apart, key=lambda item: item[0].chance)[:MOST_STANDING_OUT]:
        yield lambda w, shift=shift, part=part, topic=topic: said(w, shift, part, topic)  # type: ignore[misc]
    if not apart and len(judged.by_part) > 1:
        yield lambda w: w.say(f"What the reviews speak of differs between the groups of {w.label(by)} by no more than chance.", f"各{w.label(by)}之间的话题构成没有超出偶然的差异。")


def _moved(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    """Yield what has become more or less frequent in the last months."""
    since, kind = judged.later_since, _kind(judged)
    if since is None:
        return
    now, before = judged.later_and_before(since)
    sides = [(now[topic], now["told"], before[topic], before["told"]) for topic in range(len(judged.topics))]
    moved = [(shift, topic) for topic, shift in enumerate(shifts(sides)) if shift is not None]

    def said(w: Wording, shift: Shift, topic: int) -> str:
        name, later, earlier, rose = _name(w, judged, topic), w.value(shift.now, "%"), w.value(shift.before, "%"), shift.now > shift.before
        return w.say(
            f"Since {since}, {name} is {'more' if rose else 'less'} frequent: {later} of {kind.en} reviews, {earlier} before.",
            f"{since} 以来，提到{name}的比例{'上升' if rose else '下降'}：占{kind.zh}的 {later}，此前为 {earlier}。",
        )

    for shift, topic in sorted(moved, key=lambda item: item[0].chance)[:MOST_STANDING_OUT]:
        yield lambda w, shift=shift, topic=topic: said(w, shift, topic)  # type: ignore[misc]
    if not moved:
        yield lambda w: w.say(f"What they speak of has not changed by more than chance since {since}.", f"{since} 以来，话题构成没有超出偶然的变化。")


# Table -------------------------------------------------------------------------------------------------------------------


def _table(judged: Judged) -> tuple[ResultTable, Plot]:
    kind, every = _kind(judged), range(len(judged.topics))
    keys = [topic.names[0] for topic in judged.topics]
    labels = tuple((keys[at], Text(_label(judged, at, False), _label(judged, at, True))) for at in every)
    topic_column = Column(name="topic", role="dimension", type="string", label=Text("topic", "话题"), value_labels=labels)
    numbers = (number("mentions", Text("reviews that speak of it", "提及条数")), *share_columns("share", Text(f"share of {kind.en} reviews", f"占{kind.zh}的比例")))

    def cells(counts: Counts, topic: int) -> tuple[Cell, ...]:
        whole = counts["told"]
        share = counts[topic] / whole if whole >= FEWEST_SHARED else None
        return (counts[topic], share, *(wilson(share, whole) if share is not None else (None, None)))

    by_topic = Plot(kind="intervals", x="topic", y=("share", "low", "high"), series="topic", reason=Text("Topics by the share of reviews that speak of them, with intervals.", "各话题占比及区间。"))
    if judged.by is not None:
        rows = [(part, keys[at], *cells(counts, at)) for part, counts in judged.by_part.items() for at in every[:SHOWN_BY_PART]]
        heat_map = Plot(kind="heat_map", x=judged.by.name, y=("share",), series="topic", reason=Text("What each group's reviews speak of: a heat map.", "各组评价涉及的话题：热力图。"))
        return ResultTable(columns=(judged.by, topic_column, *numbers), rows=tuple(rows)), heat_map if len(judged.by_part) > 1 else by_topic
    if judged.grain is not None and len(judged.by_month) > 1:
        months: dict[date, Counts] = judged.by_month
        by_month = [(month, keys[at], *cells(counts, at)) for month, counts in months.items() for at in every[:SHOWN_BY_MONTH]]
        lines = Plot(kind="line", x="month", y=("share",), series="topic", reason=Text("Topics over time: lines.", "各话题随时间的变化：折线图。"))
        return ResultTable(columns=(month_column(), topic_column, *numbers), rows=tuple(by_month)), lines
    other = KINDS[judged.opposite]
    elsewhere = number("elsewhere", Text(f"share of {other.en} reviews", f"占{other.zh}的比例"), "%")
    whole = [(keys[at], *cells(judged.overall, at), _elsewhere(judged, at)) for at in every]
    return ResultTable(columns=(topic_column, *numbers, elsewhere), rows=tuple(whole)), by_topic
