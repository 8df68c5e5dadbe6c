"""Owns how the sentiment of reviews is told, tabled and drawn, and what every answer about reviews says of how sure it is."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.model import Dimension
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, Sureness, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.review_counts import NEGATIVE, POSITIVE, Judged, Shift, shifts
from wenshu.tools.insight.significance import wilson
from wenshu.tools.wording import Wording, escape_markdown

ACCURATE, FAIR = 0.85, 0.75  # share judged right, for high and for medium confidence
MANY, SOME = 200, 50  # texts told of, for high and for medium confidence
MOST_TOLD, MOST_VALUES = 2, 40
KINDS = {"negative": Text("negative", "差评"), "positive": Text("positive", "好评")}
CLASSES = {"positive": Text("positive", "正面"), "unclear": Text("unclear or mixed", "不明确"), "negative": Text("negative", "负面")}
METHOD = Method(
    name=Text("Sentiment learnt from ratings", "由评分学习的情感分类"),
    told=Text(
        f"A logistic regression over Chinese characters and English words (tf-idf) learns from the data's own ratings which texts are good ones. Each text is judged by a model that has not seen it; a chance of being positive up to {NEGATIVE} is negative, from {POSITIVE} positive, between them unclear.",
        f"以中文字词与英文单词的 tf-idf 为特征，用逻辑回归从数据自身的评分学习文本好坏。每条文本都由未见过它的模型判断：正面概率不高于 {NEGATIVE} 为负面，不低于 {POSITIVE} 为正面，其间为不明确。",
    ),
    assumptions=(
        Text("People write as they rate; irony is not understood.", "文字与评分一致；不识别反讽。"),
        Text("Whoever writes a review is not everybody who bought.", "写评价的用户不代表全部买家。"),
    ),
    source="Hastie, Tibshirani & Friedman 2009, sections 4.4 and 7.10; Wilson 1927 (intervals); Holm 1979",
)  # fmt: skip
Counts = Counter[str | int]
Say = Callable[[Wording, Judged], str]


def insight_of_sentiment(inquiry: Inquiry, judged: Judged) -> Insight:
    """Return the insight: how many texts are positive and negative, where, and since when."""
    return told(
        inquiry, judged, title=_title, headline=_headline, findings=_findings(judged), drawn=_table(judged), method=METHOD, texts=judged.overall["reviews"]
    )  # fmt: skip


def told(
    inquiry: Inquiry, judged: Judged, *, title: Say, headline: Say, findings: Iterable[Callable[[Wording], str]],
    drawn: tuple[ResultTable, Plot | None], method: Method, texts: int,
) -> Insight:  # fmt: skip
    """Return an insight about reviews, with what all of them say: how sure, caveats, what to ask next."""
    table, plot = drawn
    return Insight(
        title=in_both(lambda w: title(w, judged)),
        headline=in_both(lambda w: headline(w, judged)),
        findings=tuple(in_both(say) for say in findings),
        table=table,
        plot=plot,
        method=method,
        confidence=confidence(judged, texts),
        caveats=tuple(caveats(judged)),
        evidence=inquiry.evidence,
        query=judged.query,
        period=judged.total.period if judged.total.dated else None,
        follow_ups=tuple(follow_ups(inquiry, judged)),
    )


def _title(w: Wording, judged: Judged) -> str:
    title = w.say("Sentiment of reviews", "评价情感分布")
    if judged.by is not None:
        return w.say(f"Reviews negative by their text, by {w.label(judged.by)}", f"文字为负面的评价占比（按{w.label(judged.by)}）")
    return w.say(f"{title}, by month", f"{title}（按月）") if judged.grain is not None else title


def _share(w: Wording, counts: Counts, kind: str) -> str:
    return w.value(counts[kind] / counts["reviews"], "%")


def _headline(w: Wording, judged: Judged) -> str:
    whole = judged.overall
    if judged.by is not None and len(judged.by_part) > 1:
        part, counts = max(judged.by_part.items(), key=lambda item: (item[1]["negative"] / item[1]["reviews"], str(item[0])))
        name = w.name((judged.by,), (part,))
        return w.say(
            f"**{name}** has the largest share of negative reviews: {_share(w, counts, 'negative')} of {counts['reviews']:,} ({_share(w, whole, 'negative')} of all {whole['reviews']:,}).",
            f"负面占比最高的是 **{name}**：{counts['reviews']:,} 条中占 {_share(w, counts, 'negative')}（全部 {whole['reviews']:,} 条中占 {_share(w, whole, 'negative')}）。",
        )
    more = max(("positive", "negative"), key=lambda kind: whole[kind])
    return w.say(
        f"**Most are {more}**: of {whole['reviews']:,} reviews{kept(w, judged)}, {_share(w, whole, 'positive')} are positive, {_share(w, whole, 'negative')} negative and {_share(w, whole, 'unclear')} unclear or mixed.",
        f"**{CLASSES[more].zh}居多**：{whole['reviews']:,} 条评价{kept(w, judged)}中，正面 {_share(w, whole, 'positive')}，负面 {_share(w, whole, 'negative')}，不明确 {_share(w, whole, 'unclear')}。",
    )


def _findings(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    yield from ranked(judged)
    if judged.by is not None:
        yield from _apart(judged, judged.by)
    yield from _moved(judged)
    yield from _against_ratings(judged)


def _apart(judged: Judged, by: Column) -> Iterator[Callable[[Wording], str]]:
    """Yield which groups have more or fewer negative texts than the others."""
    whole, parts = judged.overall, list(judged.by_part.items())
    sides = [(c["negative"], c["reviews"], whole["negative"] - c["negative"], whole["reviews"] - c["reviews"]) for _, c in parts]
    apart = [(shift, part) for shift, (part, _) in zip(shifts(sides), parts, strict=True) if shift is not None]

    def said(w: Wording, shift: Shift, part: Cell) -> str:
        name, now, before, more = w.name((by,), (part,)), w.value(shift.now, "%"), w.value(shift.before, "%"), shift.now > shift.before
        return w.say(
            f"{name} has {'more' if more else 'fewer'} negative ones than the others by more than chance: {now}, elsewhere {before}.",
            f"{name}的负面占比{'高于' if more else '低于'}其他且超出偶然：{now}，其他为 {before}。",
        )

    for shift, part in sorted(apart, key=lambda item: item[0].chance)[:MOST_TOLD]:
        yield lambda w, shift=shift, part=part: said(w, shift, part)  # type: ignore[misc]
    if not apart and len(parts) > 1:
        yield lambda w: w.say(f"The groups of {w.label(by)} differ by no more than chance.", f"各{w.label(by)}之间的差异没有超出偶然。")


def _moved(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    """Yield whether texts have become more or less negative in the last months: all of them, and those of a group."""
    since, by = judged.later_since, judged.by
    if since is None:
        return
    found = judged.counts(lambda review: (review.part, review.month is not None and review.month >= since))
    parts = [*judged.by_part] if by is not None else []
    sides = [(*(judged.later_and_before(since)),), *((found.get((part, True), Counter()), found.get((part, False), Counter())) for part in parts)]
    tested = list(shifts([(now["negative"], now["reviews"], before["negative"], before["reviews"]) for now, before in sides]))

    def said(w: Wording, shift: Shift, whose: str) -> str:
        now, before, rose = w.value(shift.now, "%"), w.value(shift.before, "%"), shift.now > shift.before
        return w.say(
            f"Since {since}, {whose or 'the'} share of negative ones has {'risen' if rose else 'fallen'} to {now} from {before} before.",
            f"{since} 以来，{whose}负面占比由此前的 {before} {'上升' if rose else '下降'}到 {now}。",
        )

    if tested[0] is not None:
        yield lambda w, shift=tested[0]: said(w, shift, "")  # type: ignore[misc]
    else:
        yield lambda w: w.say(f"The share of negative ones has not changed by more than chance since {since}.", f"{since} 以来，负面占比没有超出偶然的变化。")
    own = [(shift, part) for shift, part in zip(tested[1:], parts, strict=True) if shift is not None]
    for shift, part in sorted(own, key=lambda item: item[0].chance)[:MOST_TOLD]:
        assert by is not None
        yield lambda w, shift=shift, part=part, by=by: said(w, shift, w.say(f"{w.name((by,), (part,))}'s", f"{w.name((by,), (part,))}的"))  # type: ignore[misc]


def _against_ratings(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    """Yield how many texts say another thing than their rating, and how many have none."""
    good, bad = (judged.texts(lambda review, kind=kind: review.good is kind).total() for kind in (True, False))  # type: ignore[misc]
    odd_good = judged.texts(lambda review: review.good is True and review.reads == "negative").total()
    odd_bad = judged.texts(lambda review: review.good is False and review.reads == "positive").total()
    unrated = judged.texts(lambda review: not review.rated).total()
    if good and bad:
        yield lambda w: w.say(
            f"Of {good:,} reviews rated good, {odd_good:,} ({w.value(odd_good / good, '%')}) read negative; of {bad:,} rated bad, {odd_bad:,} ({w.value(odd_bad / bad, '%')}) read positive.",
            f"评分为好评的 {good:,} 条中有 {odd_good:,} 条（{w.value(odd_good / good, '%')}）文字偏负面；评分为差评的 {bad:,} 条中有 {odd_bad:,} 条（{w.value(odd_bad / bad, '%')}）文字偏正面。",
        )
    if unrated:
        yield lambda w: w.say(f"{unrated:,} reviews have no rating and are judged by their text alone.", f"{unrated:,} 条没有评分，仅按文字判断。")


# What every answer about reviews says ---------------------------------------------------------------------------------------


def kept(w: Wording, judged: Judged) -> str:
    """Return the filters in brackets, as whoever asked for the brand with the highest rate did not name it."""
    phrases = [escape_markdown(phrase.in_(w.language)) for phrase in judged.total.filters]
    return w.noted("", w.say("; ", "；").join(phrases)) if phrases else ""


def ranked(judged: Judged) -> Iterator[Callable[[Wording], str]]:
    """Yield which groups a ranking chose, with the number that it went by."""
    if judged.ranking is None:
        return
    table = judged.ranking.table
    by, metric = table.with_role("dimension")[0], table.with_role("metric")[0]

    def said(w: Wording) -> str:
        rows = zip(table.values(by.name), table.values(metric.name), strict=True)
        names = w.names([w.noted(w.name((by,), (part,)), w.value(value, metric.unit)) for part, value in rows], len(table.rows))
        return w.say(f"Chosen by {w.label(metric)}: {names}.", f"按{w.label(metric)}选出：{names}。")

    yield said


def confidence(judged: Judged, told: int) -> Confidence:
    """Return how sure an answer is: by how often texts are judged right, and how many are told of."""
    learnt = judged.sentiment
    levels: tuple[Sureness, ...] = ("low", "medium", "high")
    accurate = 2 if learnt.accuracy >= ACCURATE else 1 if learnt.accuracy >= FAIR else 0
    enough = 2 if told >= MANY else 1 if told >= SOME else 0
    level = levels[min(accurate, enough, 1 if learnt.repeats else 2)]

    def why(w: Wording) -> str:
        accuracy, larger, bad, good = (w.value(share, "%") for share in (learnt.accuracy, learnt.larger, *learnt.recalls))
        ends = "–".join(w.value(end, "%") for end in wilson(learnt.accuracy, learnt.texts))
        return w.say(
            f"Judged by the text alone, {accuracy} ({ends}) of {learnt.texts:,} rated reviews held out come out as they are rated ({bad} of bad, {good} of good ones; always the larger kind: {larger}). {told:,} reviews are told of.",
            f"对 {learnt.texts:,} 条留出的有评分评价，仅凭文字判断与评分一致的比例（准确率）为 {accuracy}（{ends}；差评 {bad}，好评 {good}；全判为多数类为 {larger}）。本答案涉及 {told:,} 条评价。",
        )

    return Confidence(level=level, why=in_both(why))


def caveats(judged: Judged) -> Iterator[Text]:
    learnt, read = judged.sentiment, judged.overall["reviews"]
    if learnt.repeats:
        yield Text(
            f"The rated reviews hold {learnt.different:,} different texts only: the accuracy says little of new ones.",
            f"有评分的评价只有 {learnt.different:,} 种不同文本，准确率不代表对新文本的效果。",
        )
    if judged.is_wider:
        yield Text("There are few reviews here: what there is to learn was learnt from all reviews.", "所问范围内的评价较少，情感与话题参照全部评价学习得到。")
    if judged.whole > read * 1.02:
        yield Text(f"{read:,} of {judged.whole:,} reviews were read: those with a text, or the same sample of them each time.", f"共 {judged.whole:,} 条评价，读取了其中 {read:,} 条有文字的评价（数量很大时为固定抽样）。")


def follow_ups(inquiry: Inquiry, judged: Judged) -> Iterator[Text]:
    by = _group(inquiry, judged)
    if by is not None:
        yield Text(f"what do negative reviews complain about by {by.label.en}", f"各{by.label.zh}的差评主要抱怨什么")
    if judged.about != "sentiment":
        yield Text("sentiment of reviews", "评论情感分布")
    if judged.about != "negative":
        yield Text("what do negative reviews complain about", "差评都在说什么")
    if judged.about != "positive":
        yield Text("what do people praise in the reviews", "好评都在夸什么")


def _group(inquiry: Inquiry, judged: Judged) -> Dimension | None:
    """Return a dimension of what is reviewed that the asker may group by, one of few values."""
    model, values = inquiry.model, inquiry.layer.profile.values
    counted = model.leaves(judged.total.query.metrics[0])[0]
    binder = Binder(model, inquiry.as_of)

    def is_of_thing(dimension: Dimension) -> bool:
        way = binder.path(counted.dataset, dimension.dataset)
        return way is not None and not any(step.dataset.entity or step.dataset.is_segment for step in way)

    for dimension in model.dimensions:
        named = 2 <= (len(values.get(dimension.qualified, ())) or len(dimension.values)) <= MOST_VALUES and dimension.type == "string"
        plain = isinstance(dimension.expr, exp.Column) and not dimension.pii and dimension.name != (judged.by.name if judged.by else "")
        if named and plain and is_of_thing(dimension):
            return dimension
    return None


# Table -------------------------------------------------------------------------------------------------------------------


def number(name: str, label: Text, unit: str | None = None, *, additive: bool = False) -> Column:
    return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)


def share_columns(name: str, label: Text) -> tuple[Column, ...]:
    """Return the columns of a share and the ends of its interval."""
    ends = (("low", Text("95% from", "95% 区间下限")), ("high", Text("to", "95% 区间上限")))
    return (
        number(name, label, "%"),
        *(Column(name=end, role="comparison", type="number", label=said, unit="%", metric=name) for end, said in ends),
    )


def month_column() -> Column:
    return Column(name="month", role="time", type="date", label=Text("month", "月份"), grain=Grain.MONTH)


def _table(judged: Judged) -> tuple[ResultTable, Plot]:
    reviews = number("reviews", Text("reviews", "评价数"), additive=True)
    negative = share_columns("negative", Text("negative", "负面占比"))
    groups = (reviews, *negative, number("positive", Text("positive", "正面占比"), "%"))

    def cells(counts: Counts) -> tuple[Cell, ...]:
        share, whole = counts["negative"] / counts["reviews"], counts["reviews"]
        return (whole, share, *wilson(share, whole), counts["positive"] / whole)

    if judged.by is not None:
        rows = sorted(((part, *cells(counts)) for part, counts in judged.by_part.items()), key=lambda row: (-_real(row[2]), str(row[0])))
        plot = Plot(kind="intervals", x=judged.by.name, y=("negative", "low", "high"), reason=Text("Shares of negative reviews with intervals.", "各组负面占比及区间。"))
        return ResultTable(columns=(judged.by, *groups), rows=tuple(rows)), plot
    months: dict[date, Counts] = judged.by_month
    if judged.grain is not None and len(months) > 1:
        by_month = tuple((month, *cells(counts)) for month, counts in months.items())
        lines = Plot(kind="line", x="month", y=("negative", "positive"), reason=Text("Sentiment over time: lines.", "情感随时间的变化：折线图。"))
        return ResultTable(columns=(month_column(), *groups), rows=by_month), lines
    kinds = Column(name="sentiment", role="dimension", type="string", label=Text("sentiment", "情感"), value_labels=tuple(CLASSES.items()))
    whole = judged.overall["reviews"]
    classes = [(kind, judged.overall[kind], judged.overall[kind] / whole, *wilson(judged.overall[kind] / whole, whole)) for kind in CLASSES]
    columns = (kinds, reviews, *share_columns("share", Text("share of reviews", "占比")))
    return ResultTable(columns=columns, rows=tuple(classes)), Plot(kind="bar", x="sentiment", y=("share",), reason=Text("Sentiment as bars.", "情感分布：柱状图。"))


def _real(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0
