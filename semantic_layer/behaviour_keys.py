"""Owns the columns that only behavioural metrics have: their keys (period after entry, step, stage) and the counts beside them."""

from dataclasses import dataclass
from typing import Literal

from wenshu.semantic_layer.metrics import (
    Funnel,
    Interval,
    LastEvent,
    LifetimeValue,
    Metric,
    Paths,
    PeriodReturn,
    Repurchase,
    RepurchaseWithin,
    Retention,
    UserPercentile,
)
from wenshu.semantic_layer.text import Text, same

PERIOD_NUMBER, FUNNEL_STEP, LIFECYCLE_STAGE = "period_number", "funnel_step", "lifecycle_stage"
PATH, LAST_EVENT = "event_path", "last_event"
ARROW = " → "  # between the steps of a path
STAGES = (
    ("new", Text("new", "新用户")),
    ("returning", Text("returning", "留存用户")),
    ("resurrecting", Text("resurrecting", "回流用户")),
    ("dormant", Text("dormant", "流失用户")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourKey:
    """Describe such a key as a result column; `values` names its values."""

    name: str
    label: Text
    type: Literal["number", "string"]
    values: tuple[tuple[str | int, Text], ...] = ()


BEHAVIOUR_KEYS = {
    key.name: key
    for key in (
        BehaviourKey(name=PERIOD_NUMBER, label=Text("periods after entry", "进入后第几期"), type="number"),
        BehaviourKey(name=FUNNEL_STEP, label=Text("step", "步骤"), type="string"),
        BehaviourKey(name=LIFECYCLE_STAGE, label=Text("lifecycle stage", "生命周期阶段"), type="string", values=STAGES),
        BehaviourKey(name=PATH, label=Text("path", "路径"), type="string"),
        BehaviourKey(name=LAST_EVENT, label=Text("last event", "最后一次行为"), type="string"),
    )
}


def path_label(path: str, labels: dict[str, Text]) -> Text:
    """Return a path with its steps in words."""
    steps = [labels.get(step, same(step)) for step in path.split(ARROW)]
    return Text(ARROW.join(step.en for step in steps), ARROW.join(step.zh for step in steps))


@dataclass(frozen=True, slots=True)
class CountColumn:
    """Describe a count beside a behavioural metric; its column is called <metric>_<suffix>."""

    suffix: str
    label: Text
    unit: str | None = None


SHARE = CountColumn("share", Text("share", "占比"), "%")
COHORT = CountColumn("cohort", Text("cohort", "同期群人数"))
LEFT_OUT = CountColumn("left_out", Text("left out, not mature yet", "未成熟（未计入）"))
REPEAT = CountColumn("repeat_users", Text("repeat buyers", "复购人数"))


def count_columns(metric: Metric, *, by_step: bool = False) -> tuple[CountColumn, ...]:
    """Return the counts that stand beside a metric; `by_step` those of a funnel's steps."""
    match metric:
        case Retention():
            return (COHORT, CountColumn("retained", Text("retained", "留存人数")), LEFT_OUT)
        case RepurchaseWithin():
            return (COHORT, REPEAT, LEFT_OUT)
        case LifetimeValue():
            return (COHORT, LEFT_OUT)
        case Repurchase():
            return (CountColumn("users", Text("users", "用户数")), REPEAT)
        case PeriodReturn():
            before = CountColumn("users_before", Text("users of the period before", "上期用户数"))
            return (before, CountColumn("users_back", Text("of them back", "其中本期仍在")))
        case UserPercentile():
            return (CountColumn("users", Text("users", "用户数")),)
        case Interval():
            return (CountColumn("gaps", Text("intervals", "间隔数")),)
        case Paths():
            return (SHARE, CountColumn("distinct_users", Text("users", "用户数")))
        case LastEvent():
            return (SHARE,)
        case Funnel() if by_step:
            return (
                CountColumn("converted", Text("users", "人数")),
                CountColumn("step_rate", Text("from the step before", "较上一步转化率"), "%"),
                CountColumn("median_hours", Text("median hours from the step before", "距上一步中位时长"), "hour"),
                CountColumn("place", Text("step number", "步骤序号")),
                LEFT_OUT,
            )
        case Funnel():
            entered = CountColumn("entered", Text("entered", "进入人数"))
            return (entered, CountColumn("converted", Text("converted", "转化人数")), LEFT_OUT)
    return ()
