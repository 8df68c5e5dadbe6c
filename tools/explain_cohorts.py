"""Owns how cohorts by the periods after entry are explained: a curve by its milestones, a triangle by its whole cohorts.

Knows nothing of queries.
"""

from dataclasses import replace

from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.cohorts import TOLD, Cohort, Point, curve_label, is_retention
from wenshu.tools.counts import period_name, period_unit
from wenshu.tools.explain_series import Series, latest_of, notices_of
from wenshu.tools.findings import Asked, Told, ranking_findings
from wenshu.tools.headlines import ranking_headline
from wenshu.tools.readings import Measure, read, valued
from wenshu.tools.wording import Wording, escape_markdown

MOST_MILESTONES = 4
LEVEL = 0.02  # within so many points a retention curve is level ...
FEWEST_LEVEL = 3  # ... for at least so many periods, and a third of the curve


def explain_curves(curves: tuple[tuple[Measure, Cohort], ...], table: ResultTable, asked: Asked) -> Told | None:
    """Explain metrics by period after entry alone, the first more fully; None where nothing is known yet."""
    (measure, cohort), *others = curves
    known = _known(cohort)
    if not known:
        return None
    words, unit = asked.words, period_unit(table.column(PERIOD_NUMBER))
    shown = _milestones(known, table, measure.column)
    label = escape_markdown(curve_label(table, measure.column).in_(words.language)) + asked.filters
    size = words.people(cohort.size) if cohort.size is not None else ""
    entered = size and words.say(f", {size} entered", f"（进入 {size}）")
    headline = words.say(
        f"{label[:1].upper()}{label[1:]} for {asked.period}{entered}: {_listed(known, shown, measure, unit, words)}.",
        f"{asked.period}的{label}{entered}：{_listed(known, shown, measure, unit, words)}。",
    )
    retention = is_retention(table, measure.column)
    mature = {at: point for at, point in known.items() if not point.left_out}  # the same users at every period
    both = tuple(at for at in shown if at in mature)
    course = _course(mature, both, measure, unit, words)
    level = _level(mature, unit, words) if retention else _times_as_much(mature, both, unit, words)
    more = []
    for other, points in others:
        if values := _known(points):
            name = escape_markdown(curve_label(table, other.column).in_(words.language))
            listed = _listed(values, _milestones(values, table, other.column), other, unit, words)
            more.append(words.say(f"{name[:1].upper()}{name[1:]}: {listed}.", f"{name}：{listed}。"))
    notices = (*_not_there_yet(cohort, unit, words), *_left_out(known, shown, unit, words))
    return Told(headline=headline, findings=(course, level, *more), notices=notices)


def explain_triangle(series: Series, retention: bool, asked: Asked) -> Told:
    """Explain cohorts by their metric at the last period that they have in common."""
    groups, words = replace(series.complete, complete=series.everything.complete), asked.words
    names = [series.everything.with_value(reading, words) for reading in series.incomplete]
    found = ranking_findings(groups, replace(asked, by="value"))
    headline = ranking_headline(groups, asked, asked.period)
    parts = [(reading.counts.part or 0, reading.counts.whole or 0) for reading in valued(groups.readings)]
    pooled = ""
    if retention and len(parts) > 1 and all(whole for _, whole in parts):
        part, whole = sum(part for part, _ in parts), sum(whole for _, whole in parts)
        rate, count = words.value(part / whole, "%"), len(parts)
        pooled = words.say(
            f"The {count} cohorts together: {rate} ({part:,} of {words.people(whole)}).",
            f"{count} 个同期群合计 {rate}（{words.people(whole)}中有 {part:,} 人）。",
        )
    return Told(
        headline=headline, findings=(found[0], latest_of(series, asked), pooled), notices=notices_of(names, asked)
    )


def _known(cohort: Cohort) -> dict[int, Point]:
    return {at: point for at, point in cohort.points.items() if point.value is not None}


def _milestones(known: dict[int, Point], table: ResultTable, metric: Column) -> tuple[int, ...]:
    """Return the periods worth telling: round ones and the last; a retention of period 0 says nothing."""
    periods = [at for at in known if at > 0 or not is_retention(table, metric)] or list(known)
    round_ones = [at for at in periods if at in TOLD and at != periods[-1]]
    return (*round_ones[-(MOST_MILESTONES - 1) :], periods[-1])


def _listed(known: dict[int, Point], shown: tuple[int, ...], measure: Measure, unit: Text, words: Wording) -> str:
    return words.say(", ", "，").join(
        f"{period_name(at, unit).in_(words.language)} {words.value(known[at].value, measure.column.unit)}"
        for at in shown
    )


def _course(known: dict[int, Point], shown: tuple[int, ...], measure: Measure, unit: Text, words: Wording) -> str:
    """Say how far the metric moves from one milestone to the next."""
    if measure.column.unit != "%":
        return ""
    parts = []
    for before, after in zip(shown, shown[1:], strict=False):
        reading = read(known[after].value, known[before].value, "%")
        if reading.change:
            size = words.value(abs(reading.change), "pp")
            a, b = (period_name(at, unit).in_(words.language) for at in (before, after))
            up = reading.change > 0
            parts.append(
                words.say(
                    f"{'up' if up else 'down'} {size} from {a} to {b}", f"{a}到{b}{'上升' if up else '下降'} {size}"
                )
            )
    told = words.say(", ", "，").join(parts)
    return told and words.say(f"{words.opening(told)}.", f"{told}。")


def _level(known: dict[int, Point], unit: Text, words: Wording) -> str:
    """Say from when on a retention curve stays within two points to its end."""
    periods = [at for at in known if at > 0]
    start = None
    for first in reversed(range(len(periods))):
        values = [known[at].value or 0.0 for at in periods[first:]]
        if max(values) - min(values) > LEVEL:
            break
        start = first
    if start is None or len(periods) - start < max(FEWEST_LEVEL, len(periods) / 3):
        return ""
    values = [known[at].value or 0.0 for at in periods[start:]]
    low, high = words.value(min(values), "%"), words.value(max(values), "%")
    since = period_name(periods[start], unit).in_(words.language)
    return words.say(
        f"Level from {since} on: between {low} and {high}.", f"{since}起趋于平稳，在 {low} 到 {high} 之间。"
    )


def _times_as_much(known: dict[int, Point], shown: tuple[int, ...], unit: Text, words: Wording) -> str:
    """Say how many times the value of a milestone the last one is."""
    before = [at for at in shown[:-1] if at > 0]
    first, last = (known[before[0]].value, known[shown[-1]].value) if before else (None, None)
    if not first or not last or first <= 0 or last < first:
        return ""
    a, b = (period_name(at, unit).in_(words.language) for at in (before[0], shown[-1]))
    times = f"{last / first:,.1f}"
    return words.say(f"{words.opening(b)} is {times} times {a}.", f"{b}是{a}的 {times} 倍。")


def _not_there_yet(cohort: Cohort, unit: Text, words: Wording) -> tuple[str, ...]:
    empty = [at for at, point in cohort.points.items() if point.value is None]
    if not empty:
        return ()
    first = period_name(empty[0], unit).in_(words.language)
    later = words.say(" or later", "及以后") if len(empty) > 1 else ""
    return (words.say(f"Nobody has come to {first}{later} yet.", f"尚无用户到达{first}{later}。"),)


def _left_out(known: dict[int, Point], shown: tuple[int, ...], unit: Text, words: Wording) -> tuple[str, ...]:
    left_out, name = known[shown[-1]].left_out, period_name(shown[-1], unit).in_(words.language)
    if not left_out:
        return ()
    people = words.people(left_out)
    return (words.say(f"Left out at {name}, not mature yet: {people}.", f"{name}另有 {people}尚未到期，未计入。"),)
