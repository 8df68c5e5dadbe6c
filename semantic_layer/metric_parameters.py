"""Owns the parameters a question may give a metric, as in `retention[n=30]`: their notation, bounds and effect on the metric."""

import re
from collections.abc import Iterable
from dataclasses import replace

from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.metrics import (
    Funnel,
    FunnelStep,
    LifetimeValue,
    Metric,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.text import Text

MOST_DAYS = 1_000  # of any window that a question may ask for


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
    """
    name, parameters = metric_spec(spec)
    return re.sub(r"[^a-z0-9_]+", "_", "_".join((name, *parameters.values())).lower())


def parameter(metric: Metric) -> int | None:
    """Return the number a question may change in a metric: the day of a retention, the days of a lifetime value."""
    match metric:
        case Retention():
            return metric.low if metric.high is None else metric.high
        case RepurchaseWithin() | LifetimeValue() | Funnel():
            return metric.days
        case Repurchase():
            return metric.times
    return None


def labelled(metric: Metric) -> Metric:
    """Return a metric whose label names its number."""
    n = parameter(metric)
    if n is None or "{n}" not in metric.label.en + metric.label.zh:
        return metric
    return replace(metric, label=Text(metric.label.en.replace("{n}", str(n)), metric.label.zh.replace("{n}", str(n))))


def with_parameters(metric: Metric, parameters: dict[str, str]) -> Metric:
    """Return a metric with other parameters: `n`, its number, or `steps`, a funnel's steps joined by “>”.

    Raises `QueryError` with code `invalid_parameter` where the metric has no such parameter or it is out of bounds.
    """
    name = metric_column(f"{metric.name}[{','.join(f'{k}={v}' for k, v in parameters.items())}]")
    for key, value in parameters.items():
        lowest = _lowest_number(metric)
        if key == "n" and value.isdecimal() and lowest <= int(value) <= MOST_DAYS and parameter(metric) is not None:
            metric = _with_number(metric, int(value))
        elif key == "steps" and isinstance(metric, Funnel):
            metric = replace(metric, steps=_chosen_steps(metric, [name.strip() for name in value.split(">")]))
        else:
            raise QueryError(
                "invalid_parameter",
                Text(
                    f"{metric.label.en} has no parameter {key}={value}.", f"{metric.label.zh}没有参数 {key}={value}。"
                ),
                Text(
                    f"Give n as a whole number from {lowest} to {MOST_DAYS}.",
                    f"请将 n 设为 {lowest} 到 {MOST_DAYS} 的整数。",
                ),
            )
    return replace(metric, name=name)


def _with_number(metric: Metric, n: int) -> Metric:
    match metric:
        case Retention(mode="on"):
            return replace(metric, low=n, high=n)
        case Retention(mode="on_or_after"):
            return replace(metric, low=n)
        case Retention():
            return replace(metric, high=n)
        case RepurchaseWithin() | LifetimeValue() | Funnel():
            return replace(metric, days=n)
        case Repurchase():
            return replace(metric, times=n)
    return metric


def _lowest_number(metric: Metric) -> int:
    match metric:
        case Retention(mode="within"):
            return metric.low
        case Repurchase():
            return 1
    return 0


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
