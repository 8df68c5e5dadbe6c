"""Owns how a funnel is explained: how many get through, where the largest share drops out, how long steps take.

Knows nothing of queries.
"""

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.tools.findings import Asked, Told, left_out_notice
from wenshu.tools.readings import measures_of, readings_of
from wenshu.tools.steps import Funnel, overall_table
from wenshu.tools.wording import Wording, escape_markdown

MOST_TIMES = 4  # medians named; beyond, the longest one


def explain_funnel(funnel: Funnel, table: ResultTable, asked: Asked) -> Told:
    """Explain a funnel of all users together."""
    words, first, last = asked.words, funnel.steps[0], funnel.steps[-1]
    notices = left_out_notice(funnel.left_out, asked)
    begin, end = _step(funnel, 0, words), _step(funnel, -1, words)
    if not first.users or last.overall is None:
        none = words.say(
            f"Nobody to count took the step {begin} for {asked.period}{asked.filters}.",
            f"{asked.period}{asked.filters}没有可计入的用户进入{begin}这一步。",
        )
        return Told(headline=none, notices=notices)
    overall = overall_table(table)
    (reading,) = readings_of(overall, measures_of(overall)[0], ())
    moved = words.moved(reading, "%", asked.compared)
    rate = words.value(last.overall, "%") + (moved and words.say(f", {moved}", f"，{moved}"))
    headline = words.say(
        f"Of {words.people(first.users)} who began with {begin} for {asked.period}{asked.filters}, "
        f"{last.users:,} got to {end}: an overall conversion of {rate}.",
        f"{asked.period}{asked.filters}，{begin} {words.people(first.users)}，其中 {words.people(last.users)}走到{end}，"
        f"整体转化率为 {rate}。",
    )
    return Told(headline=headline, findings=(_largest_drop(funnel, words), _times(funnel, words)), notices=notices)


def step_findings(funnels: tuple[Funnel, ...], keys: tuple[Column, ...], asked: Asked) -> tuple[str, ...]:
    """Say of several groups at which step they differ most, and whether they lose most users at the same one."""
    words, widest = asked.words, ""
    gaps = []
    for at in range(1, len(funnels[0].steps)):
        rates = [(rate, funnel) for funnel in funnels if (rate := funnel.steps[at].rate) is not None]
        if len(rates) > 1:
            low, high = min(rates, key=lambda one: one[0]), max(rates, key=lambda one: one[0])
            gaps.append((high[0] - low[0], at, high, low))
    if gaps and max(gaps, key=lambda one: one[0])[0] > 0:
        _, at, *ends = max(gaps, key=lambda one: one[0])
        best, worst = (words.noted(words.name(keys, funnel.keys), words.value(rate, "%")) for rate, funnel in ends)
        way = _way(funnels[0], at, words)
        widest = words.say(
            f"The groups differ most from {way}: highest {best}, lowest {worst}.",
            f"差距最大的一步是{way}：最高的是{best}，最低的是{worst}。",
        )
    drops = {funnel.largest_drop for funnel in funnels}
    if len(drops) > 1 or drops == {None}:
        return (widest,)
    way = _way(funnels[0], next(iter(drops)) or 1, words)
    same = words.say(f"In every group the largest drop is from {way}.", f"各组转化率最低的一步都是{way}。")
    return (widest, same)


def _step(funnel: Funnel, at: int, words: Wording) -> str:
    return escape_markdown(funnel.steps[at].label.in_(words.language))


def _way(funnel: Funnel, at: int, words: Wording) -> str:
    before, after = _step(funnel, at - 1, words), _step(funnel, at, words)
    return words.say(f"{before} to {after}", f"{before} → {after}")


def _largest_drop(funnel: Funnel, words: Wording) -> str:
    at = funnel.largest_drop
    if at is None or funnel.steps[at].users == funnel.steps[at - 1].users:
        return ""
    before, after, way = funnel.steps[at - 1].users, funnel.steps[at].users, _way(funnel, at, words)
    rate, lost = words.value(funnel.steps[at].rate, "%"), words.people(before - after)
    return words.say(
        f"The largest drop is from {way}: {after:,} of {words.people(before)} go on ({rate}), {before - after:,} drop out.",
        f"转化率最低的一步是{way}：{words.people(before)}中有 {words.people(after)}继续（{rate}），流失 {lost}。",
    )


def _times(funnel: Funnel, words: Wording) -> str:
    timed = [(hours, at) for at, step in enumerate(funnel.steps) if at and (hours := step.hours) is not None]
    if not timed:
        return ""
    longest = len(timed) > MOST_TIMES
    shown = [max(timed)] if longest else timed
    listed = words.say(", ", "、").join(
        f"{_step(funnel, at, words)} {words.value(hours, 'hour')}" for hours, at in shown
    )
    most = words.say("Longest median", "中位时长最长的一步") if longest else words.say("Median", "各步中位时长")
    return words.say(f"{most} time from the step before: {listed}.", f"{most}（距上一步）：{listed}。")
