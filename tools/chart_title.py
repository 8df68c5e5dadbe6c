"""Owns what a chart is called: the metrics, how often, and what they are split by. Knows nothing of shapes or pictures."""

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PERIOD_NUMBER
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.cohorts import curve_label, has_periods
from wenshu.tools.steps import step_names

EVERY = {
    Grain.HOUR: Text("hour", "每小时"),
    Grain.DAY: Text("day", "每日"),
    Grain.WEEK: Text("week", "每周"),
    Grain.MONTH: Text("month", "每月"),
    Grain.QUARTER: Text("quarter", "每季度"),
    Grain.YEAR: Text("year", "每年"),
}
COHORTS = {
    Grain.DAY: Text("daily", "每日"),
    Grain.WEEK: Text("weekly", "每周"),
    Grain.MONTH: Text("monthly", "每月"),
    Grain.QUARTER: Text("quarterly", "每季度"),
    Grain.YEAR: Text("yearly", "每年"),
}


def chart_title(table: ResultTable, language: Language) -> str:
    """Return a chart's title: 各渠道每周成交额, GMV by week and channel."""
    zh = language == "zh"
    time = next(iter(table.with_role("time")), None)
    name, own_key = _subject(table, language)
    keys = [column for column in table.with_role("dimension") if column.name != own_key]
    keys = [column for column in keys if column.label.in_(language) not in name]
    labels = [column.label.in_(language) for column in keys]
    cohorts = own_key == PERIOD_NUMBER and time is not None and time.grain in COHORTS
    if not name:
        return ("、" if zh else ", ").join(labels)
    every = EVERY.get(time.grain) if time is not None and time.grain is not None else None
    if zh:
        often = "" if every is None else f"{every.zh}同期群的" if cohorts else every.zh
        return f"{'各' if labels else ''}{'、'.join(labels)}{often}{name}"
    if cohorts and time is not None and time.grain is not None:
        split = [f"{COHORTS[time.grain].en} cohort", *labels]
    else:
        split = [*([every.en] if every is not None else []), *labels]
    title = name + (f" by {_and(split)}" if split else "")
    return title[:1].upper() + title[1:]


def _subject(table: ResultTable, language: Language) -> tuple[str, str | None]:
    """Return what the metrics are called together and the key that this says already."""
    zh, metrics = language == "zh", table.with_role("metric")
    if steps := step_names(table, language):
        return (f"{steps[0]}到{steps[-1]}漏斗" if zh else f"funnel from {steps[0]} to {steps[-1]}"), FUNNEL_STEP
    if has_periods(table) and metrics:
        names = [curve_label(table, metric).in_(language) for metric in metrics]
        timed = bool(table.with_role("time"))
        curve = "" if timed else "曲线" if zh else f" curve{'s' if len(names) > 1 else ''}"
        return f"{_listed(names, language)}{curve}", PERIOD_NUMBER
    if shares := table.with_role("share"):
        return _listed([_share(table, share, language) for share in shares], language), None
    return _listed([metric.label.in_(language) for metric in metrics], language), None


def _share(table: ResultTable, share: Column, language: Language) -> str:
    metric = next((metric for metric in table.with_role("metric") if metric.name == share.metric), None)
    if metric is None:
        return share.label.in_(language)
    return f"{metric.label.zh}占比" if language == "zh" else f"share of {metric.label.en}"


def _listed(names: list[str], language: Language) -> str:
    return "、".join(names) if language == "zh" else _and(names)


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
