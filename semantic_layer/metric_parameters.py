"""Owns the parameters a question may give a metric, as in `retention[n=30]`: their notation, bounds and effect on the metric."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Funnel,
    FunnelOrder,
    FunnelStep,
    LastEvent,
    LifetimeValue,
    Metric,
    Paths,
    Repurchase,
    RepurchaseWithin,
    Retention,
    UserPercentile,
)
from wenshu.semantic_layer.text import Text, same

MOST_DAYS = 1_000  # of any window that a question may ask for
MOST_STEPS = 10  # of a path
WINDOW = re.compile(r"(\d{1,8}) *([a-z]*)")
WINDOW_UNITS = {
    "s": "seconds", "second": "seconds", "m": "minutes", "min": "minutes", "minute": "minutes", "h": "hours", "hour": "hours",
    "": "days", "d": "days", "day": "days", "w": "weeks", "week": "weeks",
}  # fmt: skip
WINDOWS = Text(
    f"Give it as 30 minutes, 2 hours or 7 days, up to {MOST_DAYS} days.",
    f"请写成 30 minutes、2 hours 或 7 days 的形式，最长 {MOST_DAYS} 天。",
)
WINDOW_NAMES = (
    (timedelta(days=1), Text("day", "天")),
    (timedelta(hours=1), Text("hour", "小时")),
    (timedelta(minutes=1), Text("minute", "分钟")),
    (timedelta(seconds=1), Text("second", "秒")),
)
ORDERS: dict[FunnelOrder, Text] = {
    "ordered": Text("in order, anything between", "按顺序"),
    "strict": Text("strictly in order", "严格按顺序"),
    "any": Text("in any order", "不限顺序"),
}


def window_of(text: str) -> timedelta | None:
    """Return a window as a model file or a question writes it, None where it is none; a bare number is days.

    >>> [str(window_of(text)) for text in ("30m", "2 hours", "7")]
    ['0:30:00', '2:00:00', '7 days, 0:00:00']
    """
    found = WINDOW.fullmatch(text.strip().lower())
    unit = found and (WINDOW_UNITS.get(found[2]) or WINDOW_UNITS.get(found[2].removesuffix("s")))
    window = timedelta(**{unit: int(found[1])}) if found and unit else None
    return window if window is not None and window <= timedelta(days=MOST_DAYS) else None


def window_text(window: timedelta) -> Text:
    """Return a window in words, in its largest whole unit."""
    size, name = next((size, name) for size, name in WINDOW_NAMES if not window % size)
    count = window // size
    return Text(f"{count} {name.en}{'' if count == 1 else 's'}", f"{count} {name.zh}")


def metric_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Return a metric's name and the parameters in brackets.

    >>> metric_spec("retention[n=30]")
    ('retention', {'n': '30'})
    """
    name, _, inside = spec.partition("[")
    pairs = (item.partition("=") for item in inside.rstrip("]").split(",") if item)
    return name, {key.strip(): value.strip() for key, _, value in pairs}


def metric_column(spec: str) -> str:
    """Return the name of a metric's result column.

    >>> metric_column("retention[n=30]")
    'retention_30'
    >>> metric_column("paths[to=pay,n=3]")
    'paths_to_pay_3'
    """
    name, parameters = metric_spec(spec)
    said = (f"{key}_{value}" if key in ("from", "to", "times") else value for key, value in parameters.items())
    return re.sub(r"[^a-z0-9_]+", "_", "_".join((name, *said)).lower())


def parameter(metric: Metric) -> int | None:
    """Return the number a question may change in a metric: the day of a retention, the days of a lifetime value."""
    match metric:
        case Aggregate() | UserPercentile():
            return metric.percent
        case Retention():
            return metric.low if metric.high is None else metric.high
        case RepurchaseWithin() | LifetimeValue():
            return metric.days
        case Funnel():
            return metric.within.days if metric.within == timedelta(days=metric.within.days) else None
        case Repurchase():
            return metric.times
        case Paths():
            return metric.steps
        case LastEvent():
            return metric.days
    return None


def labelled(metric: Metric) -> Metric:
    """Return a metric whose label names its number and, of paths, where they begin and end."""
    n = parameter(metric)
    if isinstance(metric, Paths) and (metric.start or metric.end):
        metric = replace(metric, label=_between(metric))
    if n is None or "{n}" not in metric.label.en + metric.label.zh:
        return metric
    return replace(metric, label=Text(metric.label.en.replace("{n}", str(n)), metric.label.zh.replace("{n}", str(n))))


def with_parameters(metric: Metric, parameters: dict[str, str]) -> Metric:
    """Return a metric with other parameters: `n`, its number, or of a funnel its `steps` joined by “>”, `within` and `order`.

    Raises `QueryError` with code `invalid_parameter` where the metric has no such parameter or it is out of bounds.
    """
    name = metric_column(f"{metric.name}[{','.join(f'{k}={v}' for k, v in parameters.items())}]")
    if isinstance(metric, Funnel):
        return replace(_funnel_with(metric, parameters), name=name)
    for key, value in parameters.items():
        lowest, highest = _lowest_number(metric), _highest_number(metric)
        if key == "n" and value.isdecimal() and lowest <= int(value) <= highest and parameter(metric) is not None:
            metric = _with_number(metric, int(value))
        elif key == "times" and isinstance(metric, Retention) and metric.by_calendar and 1 <= _count(value) <= MOST_DAYS:
            metric = replace(metric, times=int(value), label=_with_times(metric.label, int(value)))
        elif key == "from" and isinstance(metric, Retention) and metric.mode == "within" and 0 <= _count(value) <= (metric.high or 0):
            label = Text(f"{metric.label.en} (from day {value} on)", f"{metric.label.zh}（第{value}日起）")
            metric = replace(metric, low=int(value), label=label)
        elif key in ("from", "to") and isinstance(metric, Paths):
            metric = _through(metric, key, value)
        else:
            hint = Text(
                f"Give n as a whole number from {lowest} to {highest}.",
                f"请将 n 设为 {lowest} 到 {highest} 的整数。",
            )
            raise _no_parameter(metric, key, value, hint)
    if isinstance(metric, Paths) and metric.start and metric.end and "n" not in parameters:
        metric = replace(metric, steps=MOST_STEPS)  # however many there are from the one to the other
    return replace(metric, name=name)


def _count(value: str) -> int:
    return int(value) if value.isdecimal() else 0


def _with_times(label: Text, times: int) -> Text:
    return Text(f"{label.en} (at least {times} times)", f"{label.zh}（至少 {times} 次）")


def _no_parameter(metric: Metric, key: str, value: str, hint: Text) -> QueryError:
    message = Text(f"{metric.label.en} has no parameter {key}={value}.", f"{metric.label.zh}没有参数 {key}={value}。")
    return QueryError("invalid_parameter", message, hint)


def _funnel_with(funnel: Funnel, parameters: dict[str, str]) -> Funnel:
    """Return a funnel with its steps, window or order as a question gives them, which its label then says."""
    given = funnel
    for key, value in parameters.items():
        window = window_of(value) if key == "within" or (key == "n" and value.isdecimal()) else None
        if key == "steps":
            given = replace(given, steps=_chosen_steps(funnel, [name.strip() for name in value.split(">")]))
        elif window is not None:
            given = replace(given, within=window)
        elif key == "order" and value in ORDERS:
            given = replace(given, order=value)
        else:
            hint = WINDOWS if key in ("n", "within") else Text(
                f"A funnel takes steps, within and order ({', '.join(ORDERS)}).", f"漏斗的参数有 steps、within 和 order（{'、'.join(ORDERS)}）。"
            )  # fmt: skip
            raise _no_parameter(funnel, key, value, hint)
    return replace(given, label=_funnel_label(given, parameters))


def _funnel_label(funnel: Funnel, parameters: dict[str, str]) -> Text:
    label, numbered = labelled(funnel).label, "{n}" in funnel.label.en + funnel.label.zh
    if "steps" in parameters or (numbered and parameter(funnel) is None):
        en, zh = [step.label.en for step in funnel.steps], [step.label.zh for step in funnel.steps]
        label, numbered = Text(f"{' → '.join(en)} conversion", f"{'到'.join(zh)}转化率"), False
    window, said = window_text(funnel.within), []
    if {"n", "within"} & set(parameters) and not numbered:
        said.append(Text(f"within {window.en}", f"{window.zh}内"))
    if "order" in parameters:
        said.append(ORDERS[funnel.order])
    if not said:
        return label
    return Text(f"{label.en} ({', '.join(t.en for t in said)})", f"{label.zh}（{'，'.join(t.zh for t in said)}）")


def _with_number(metric: Metric, n: int) -> Metric:
    match metric:
        case Aggregate() | UserPercentile():
            return replace(metric, percent=n)
        case Retention(mode="on"):
            return replace(metric, low=n, high=n)
        case Retention(mode="on_or_after"):
            return replace(metric, low=n)
        case Retention():
            return replace(metric, high=n)
        case RepurchaseWithin() | LifetimeValue():
            return replace(metric, days=n)
        case Repurchase():
            return replace(metric, times=n)
        case Paths():
            return replace(metric, steps=n)
        case LastEvent():
            return replace(metric, days=n)
    return metric


def _lowest_number(metric: Metric) -> int:
    match metric:
        case Retention(mode="within"):
            return metric.low
        case Repurchase() | LastEvent() | Aggregate() | UserPercentile():
            return 1
        case Paths():
            return 2
    return 0


def _highest_number(metric: Metric) -> int:
    match metric:
        case Paths():
            return MOST_STEPS
        case Aggregate() | UserPercentile():
            return 99
    return MOST_DAYS


def _between(path: Paths) -> Text:
    """Return the label of paths with the steps they begin and end with."""
    names = dict(path.values)
    start, end = (names.get(step, same(step)) if step else None for step in (path.start, path.end))
    en = path.label.en + (f" from {start.en}" if start else "") + (f" to {end.en}" if end else "")
    way = (f"从{start.zh}" if start else "") + (f"到{end.zh}" if end else "开始")
    number = "≤{n}" if start and end else "{n}"
    return Text(en.replace("{n}", number), f"{way}的{path.label.zh}".replace("{n}", number))


def _through(path: Paths, key: str, step: str) -> Paths:
    """Return paths that begin or end with a step."""
    known = dict(path.values)
    if known and step not in known:
        hint = did_you_mean(step, known)
        steps = Text(f"Its steps are {', '.join(known)}.", f"可用的步骤：{'、'.join(known)}。")
        message = Text(f"There is no step “{step}”.", f"没有名为“{step}”的步骤。")
        raise QueryError("invalid_parameter", message, hint if hint.en else steps)
    return replace(path, start=step) if key == "from" else replace(path, end=step)


def _chosen_steps(funnel: Funnel, names: list[str]) -> tuple[FunnelStep, ...]:
    known = {step.name: step for step in (*funnel.steps, *funnel.choices)}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            steps = Text(f"Its steps are {', '.join(known)}.", f"可用的步骤：{'、'.join(known)}。")
            message = Text(f"There is no funnel step “{name}”.", f"没有名为“{name}”的漏斗步骤。")
            raise QueryError("invalid_parameter", message, hint if hint.en else steps)
    if len(names) < 2:
        raise QueryError(
            "invalid_parameter",
            Text("A funnel needs at least two steps.", "漏斗至少需要两个步骤。"),
            Text("Name them in order.", "请按顺序列出。"),
        )
    return named_apart(known[name] for name in names)


def named_apart(steps: Iterable[FunnelStep]) -> tuple[FunnelStep, ...]:
    """Return steps with a name of its own for each: a repeated one is numbered."""
    out: list[FunnelStep] = []
    given: list[FunnelStep] = []
    for step in steps:
        times = 1 + sum(other.name == step.name for other in given)
        label = Text(f"{step.label.en} ({times})", f"{step.label.zh}（{times}）")
        out.append(step if times == 1 else replace(step, name=f"{step.name}_{times}", label=label))
        given.append(step)
    return tuple(out)
