"""Owns the rules about what users do in a row: the paths from or to an event, and the last event before users are lost."""

from typing import Literal

from wenshu.assistant.linker import Target
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.behaviour_keys import PATH
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.metrics import LastEvent, Paths, PeriodReturn

Way = Literal["from", "to"]


def read_paths(reading: Reading) -> None:
    """支付前的三步路径, paths from app open, 加购之后用户会做什么: the events that paths begin or end with, and their length."""
    metric = next((metric for metric in reading.model.metrics if isinstance(metric, Paths)), None)
    if metric is None:
        return
    named = [i for i, m in enumerate(reading.mentions) if any(_base(t) == metric.name for t in m.of("metric"))]
    what = metric.dimension.rpartition(".")[2]
    asked = [
        i for i, mention in enumerate(reading.mentions)
        if mention.is_word("what_next") or any(t.name == what for t in mention.of("dimension"))
    ]  # fmt: skip
    known = dict(metric.values)
    ends: dict[Way, str] = {}
    used: list[int] = []
    for i, mention in enumerate(reading.mentions):
        step = next(
            (str(t.value) for t in mention.of("value") if t.name == metric.dimension and t.value in known), None
        )
        way, words = _way(reading, i) if step else (None, [])
        if step and way and way not in ends:
            ends[way] = step
            used += [i, *words]
    if not named and not (asked and ends):
        return
    steps = _steps(reading, metric, named, used)
    said = [f"{way}={step}" for way, step in ends.items()] + ([f"n={steps}"] if steps != metric.steps else [])
    reading.metrics.append((Target("metric", f"{metric.name}[{','.join(said)}]" if said else metric.name),))
    reading.own_key = PATH
    reading.claim(*named, *asked, *used)


def _way(reading: Reading, position: int) -> tuple[Way | None, list[int]]:
    """Return whether paths begin or end with the event there, and the words that say so: before it, after it in Chinese."""
    found: Way | None = None
    for step in (+1, -1):
        here = position + step
        while 0 <= here < len(reading.mentions):
            mention = reading.mentions[here]
            fits = mention.text.isascii() == (step < 0)
            later = reading.beside(here, +1)
            if later is not None and step > 0 and reading.mentions[later].number is not None:
                break  # 注册后7天内
            if (mention.is_word("to") and step < 0) or (mention.is_word("leads_to") and fits):
                return "to", [here]
            if mention.is_word("goes_on") and fits:
                return "from", [here]
            if mention.is_word("begins") and step < 0:
                found = "from"
            if not mention.is_filler:
                break
            here += step
    return found, []


def _steps(reading: Reading, metric: Paths, named: list[int], used: list[int]) -> int:
    """Return how many events a path has: as its name says, one after another where only what comes next is asked for."""
    for i, mention in enumerate(reading.mentions):
        following = reading.beside(i, +1)
        if mention.number is not None and following is not None and reading.mentions[following].is_word("steps"):
            used += [i, following]
            return int(mention.number) + (0 if named else 1)  # the next two steps after it
    for i in named:
        numbers = [metric_spec(t.name)[1].get("n") for t in reading.mentions[i].of("metric") if _base(t) == metric.name]
        if numbers and numbers[0]:
            return int(numbers[0])
    return metric.steps if named else 2


def read_last_events(reading: Reading) -> None:
    """流失用户最后一个行为, the last event before churn: users lost by what they did last."""
    metric = next((metric for metric in reading.model.metrics if isinstance(metric, LastEvent)), None)
    last = [i for i, mention in enumerate(reading.mentions) if mention.is_word("last_event")]
    losses = {m.name for m in reading.model.metrics if isinstance(m, PeriodReturn) and m.lost}
    losses |= {m.name for m in reading.model.metrics if getattr(m, "stage", None) == "dormant"}
    lost = [
        i for i, mention in enumerate(reading.mentions)
        if mention.is_word("lost") or any(_base(t) in losses for t in mention.of("metric"))
        or any(t.value == "dormant" for t in mention.of("value"))
    ]  # fmt: skip
    if metric is None or not last or not lost:
        return
    reading.metrics.append((Target("metric", metric.name),))
    reading.claim(*last, *lost)
    for i in lost:
        beside = [k for k in (i - 1, i + 1) if 0 <= k < len(reading.mentions)]
        reading.claim(*(k for k in beside if reading.mentions[k].is_word("leads_to")))
    reading.claim(*(i for i, mention in enumerate(reading.mentions) if mention.is_word("what_next", "distribution")))


def _base(target: Target) -> str:
    return target.name.partition("[")[0]
