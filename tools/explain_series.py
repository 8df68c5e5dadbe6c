"""Owns how a time series is explained, alone or by group: the latest complete bucket, the extremes, the trend, the leader.

Incomplete buckets enter no comparison; they count in the period's total, and are named. Knows nothing of queries.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Cell
from wenshu.tools.findings import Asked, Groups, Told, ranking_findings, runners_up, summed
from wenshu.tools.headlines import ranking_headline
from wenshu.tools.readings import Reading, first_ones, ranked, read, valued


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Hold the readings of one metric by time, the first key: all of them, and those of complete buckets in time order."""

    everything: Groups
    complete: Groups
    incomplete: tuple[Reading, ...]

    @property
    def by_time(self) -> tuple[Reading, ...]:
        return self.complete.readings


def series_of(groups: Groups, incomplete: tuple[date, ...]) -> Series:
    """Set the buckets that start on the `incomplete` days apart."""

    def is_incomplete(reading: Reading) -> bool:
        bucket = reading.keys[0]
        if isinstance(bucket, datetime) and groups.keys[0].grain is not Grain.HOUR:
            return bucket.date() in incomplete
        return bucket in incomplete

    in_order = sorted((reading for reading in groups.readings if reading.keys[0] is not None), key=_day)
    kept = tuple(reading for reading in in_order if not is_incomplete(reading))
    return Series(
        everything=groups,
        complete=replace(groups, readings=kept, complete=groups.complete and len(kept) == len(groups.readings)),
        incomplete=tuple(reading for reading in in_order if is_incomplete(reading)),
    )


def _day(reading: Reading) -> str:
    return str(reading.keys[0])


# By time alone ------------------------------------------------------------------------------------------------------


def explain_series(all_series: tuple[Series, ...], asked: Asked) -> Told:
    """Explain metrics by time alone, the first more fully than the others."""
    series = all_series[0]
    names = [series.everything.with_value(reading, asked.words) for reading in series.incomplete]
    if not valued(series.by_time) and valued(series.incomplete):
        return Told(headline=_only_incomplete(series, names, asked))
    notices = notices_of(names, asked)
    if asked.least is None:
        headline, ranking = _latest_headline(series, asked), ""
    else:
        headline, ranking = ranking_headline(series.complete, asked, asked.period), runners_up(series.complete, asked)
    findings = (
        ranking,
        *_extremes_and_trend(series, asked),
        *(latest_of(other, asked) for other in all_series[1:]),
        _against_compared(series, asked),
        _total(series, asked),
    )
    return Told(headline=headline, findings=findings, notices=notices)


def notices_of(names: list[str], asked: Asked, *, in_totals: bool = False) -> tuple[str, ...]:
    """Say which buckets are not whole."""
    listed = asked.words.names(names)
    if in_totals:
        notice = asked.words.say(f"Incomplete, so counted in totals only: {listed}.", f"不完整，只计入合计：{listed}。")
    else:
        notice = asked.words.say(
            f"Incomplete, so left out of comparisons: {listed}.", f"不完整，未参与比较：{listed}。"
        )
    return (notice,) if names else ()


def _only_incomplete(series: Series, names: list[str], asked: Asked) -> str:
    words, groups = asked.words, series.everything
    label, by, listed = (
        words.label(groups.measure.column) + asked.filters,
        words.by(groups.keys[:1]),
        words.names(names),
    )
    return words.say(
        f"{words.opening(label)} by {by} for {asked.period}: {listed}; no {by} is complete, so nothing is compared.",
        f"{asked.period}按{by}看，{label}：{listed}；没有完整的{by}，不作比较。",
    )


def _latest(series: Series) -> tuple[Reading, Reading | None]:
    """Return the last complete bucket that has a number, and the bucket before it."""
    position = max(position for position, reading in enumerate(series.by_time) if reading.value is not None)
    return series.by_time[position], series.by_time[position - 1] if position else None


def _told(series: Series, asked: Asked) -> str:
    """Return the latest value and how it moved from the bucket before."""
    latest, before = _latest(series)
    groups, words = series.complete, asked.words
    value = words.counted_value(latest, groups.unit)
    if before is None:
        return value
    moved = words.moved(read(latest.value, before.value, groups.unit), groups.unit, groups.name(before, words))
    return value + (moved and words.say(f", {moved}", f"，{moved}"))


def _latest_headline(series: Series, asked: Asked) -> str:
    words, groups, column = asked.words, series.complete, series.complete.measure.column
    label, by = words.label(column) + asked.filters, words.by(groups.keys)
    if not valued(series.by_time):
        return words.say(
            f"There is no data on {label} by {by} for {asked.period}.", f"{asked.period}按{by}看，{label}没有数据。"
        )
    latest, _ = _latest(series)
    if latest is not series.by_time[-1]:
        kind_en, kind_zh = f"latest {by} with data", f"最近有数据的{by}"
    elif series.incomplete and _day(series.incomplete[-1]) > _day(latest):
        kind_en, kind_zh = f"latest complete {by}", f"最近的完整{by}"
    else:
        kind_en, kind_zh = f"latest {by}", f"最近的{by}"
    bucket, told = groups.name(latest, words), _told(series, asked)
    return words.say(
        f"{words.opening(label)} by {by} for {asked.period}: the {kind_en}, {bucket}, {words.came_to(column)} {told}.",
        f"{asked.period}按{by}看，{kind_zh}是{bucket}，{label}为 {told}。",
    )


def _extremes_and_trend(series: Series, asked: Asked) -> tuple[str, ...]:
    having, words, groups = valued(series.by_time), asked.words, series.complete
    if len(having) < 3:
        return ()
    order = ranked(having)
    if order[0].value == order[-1].value:
        value, count = words.value(order[0].value, groups.unit), words.counted(len(having), groups.keys)
        return (words.say(f"All {count} have {value}.", f"{count}都是 {value}。"),)
    high, low = (
        words.noted(groups.names(first_ones(end), words), words.value(end[0].value, groups.unit))
        for end in (order, order[::-1])
    )
    match asked.least:
        case None:
            extremes = f"highest: {high}; lowest: {low}.", f"最高的是{high}，最低的是{low}。"
        case True:
            extremes = f"highest: {high}.", f"最高的是{high}。"
        case False:
            extremes = f"lowest: {low}.", f"最低的是{low}。"
    first, last = groups.name(having[0], words), groups.name(having[-1], words)
    moved = words.moved(read(having[-1].value, having[0].value, groups.unit), groups.unit, first)
    return (
        series.everything.told(words, *extremes),
        words.say(f"From first to last, {last} is {moved}.", f"从头到尾看，{last}{moved}。"),
    )


def latest_of(series: Series, asked: Asked) -> str:
    """Say the latest complete value and how it moved from the one before."""
    if not valued(series.by_time):
        return ""
    words, column = asked.words, series.complete.measure.column
    label, told = words.label(column), _told(series, asked)
    bucket = series.complete.name(_latest(series)[0], words)
    return words.say(
        f"{words.opening(label)} for {bucket} {words.came_to(column)} {told}.", f"{bucket}的{label}为 {told}。"
    )


def _against_compared(series: Series, asked: Asked) -> str:
    groups, words = series.complete, asked.words
    if not groups.measure.compared or not valued(series.by_time):
        return ""
    latest, _ = _latest(series)
    by, bucket = words.by(groups.keys), groups.name(latest, words)
    compared = words.brief(asked.compared)
    than = words.say(f"the matching {by} of {compared}", f"{compared}对应{by}")
    moved = words.moved(latest, groups.unit, than)
    return moved and words.say(f"{words.opening(bucket)} is {moved}.", f"{bucket}{moved}。")


def _total(series: Series, asked: Asked) -> str:
    groups, words = series.everything, asked.words
    said = asked.least is not None and series.complete.complete
    if said or groups.whole is None or len(groups.readings) < 2:
        return ""
    value = words.value(groups.whole, groups.unit)
    period = words.brief(asked.period)
    note = words.say(", incomplete ones included", "（含不完整的部分）") if series.incomplete else ""
    return words.say(f"Total for {period}: {value}{note}.", f"{period}合计 {value}{note}。")


# By time and dimensions ---------------------------------------------------------------------------------------------


def explain_series_by_group(series: Series, asked: Asked) -> Told:
    """Explain a metric by time and dimensions: by their totals, else by the latest complete bucket, else cell by cell."""
    everything, words = series.everything, asked.words
    asked = replace(asked, by="value")
    names = dict.fromkeys(words.name(everything.keys[:1], reading.keys[:1]) for reading in series.incomplete)
    notices = notices_of(list(names), asked, in_totals=everything.whole is not None)
    if everything.whole is not None:
        groups, period = summed(everything, tuple(range(1, len(everything.keys)))), asked.period
    elif everything.complete and valued(series.by_time):
        groups, period = _latest_slice(series, asked)
    elif valued(series.by_time) or not valued(series.incomplete):
        headline = ranking_headline(series.complete, asked, asked.period)
        return Told(headline=headline, findings=ranking_findings(series.complete, asked), notices=notices)
    else:
        return Told(headline=_only_incomplete(series, list(names), asked))
    found = ranking_findings(groups, asked)
    return Told(
        headline=ranking_headline(groups, asked, period),
        findings=(*found[:2], _leader(series, asked), _top_cell(series, asked), *found[2:]),
        notices=notices,
    )


def _latest_slice(series: Series, asked: Asked) -> tuple[Groups, str]:
    """Return the groups of the latest complete bucket, and what to call it."""
    words, groups = asked.words, series.complete
    bucket = valued(series.by_time)[-1].keys[0]
    members = tuple(replace(reading, keys=reading.keys[1:]) for reading in series.by_time if reading.keys[0] == bucket)
    by, name = words.by(groups.keys[:1]), words.name(groups.keys[:1], (bucket,))
    period = words.say(
        f"{name}, the latest {by} to compare in {asked.period}", f"{asked.period}最近可比的{by}（{name}）"
    )
    return replace(groups, keys=groups.keys[1:], readings=members, complete=True), period


def _leader(series: Series, asked: Asked) -> str:
    """Say which group is the highest in how many buckets."""
    groups, words = series.complete, asked.words
    buckets: dict[Cell, list[Reading]] = {}
    for reading in valued(groups.named):
        buckets.setdefault(reading.keys[0], []).append(reading)
    wins: Counter[tuple[Cell, ...]] = Counter()
    for members in buckets.values():
        winners = first_ones(ranked(members))
        if len(winners) == 1 < len(members):
            wins[winners[0].keys[1:]] += 1
    best = [keys for keys, count in wins.items() if count == max(wins.values())]
    if len(buckets) < 2 or len(best) != 1:
        return ""
    name, times = words.name(groups.keys[1:], best[0]), wins[best[0]]
    of = words.counted(len(buckets), groups.keys[:1])
    if times == len(buckets):
        return words.say(f"{name} is highest in all {of}.", f"{of}里，{name}每次都最高。")
    return words.say(f"{name} is highest in {times} of {of}.", f"{of}里，{name}有 {times} 次最高。")


def _top_cell(series: Series, asked: Asked) -> str:
    order = ranked(series.complete.named, least=bool(asked.least))
    if len(order) < 2 or len(first_ones(order)) > 1:
        return ""
    cell = series.complete.with_value(order[0], asked.words)
    end = asked.words.say("Lowest" if asked.least else "Highest", "最低" if asked.least else "最高")
    return asked.words.say(f"{end} single value: {cell}.", f"单项{end}的是{cell}。")
