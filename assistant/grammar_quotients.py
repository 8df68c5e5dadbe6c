"""Owns the rule about quotients named by their parts: buyers as a share of active users, what share of orders were cancelled."""

from wenshu.assistant.linker import Target
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.metrics import Aggregation, Ratio
from wenshu.semantic_layer.model import Model

EACH = ("每", "each", "per", "every")


def read_quotients(reading: Reading) -> None:
    """付费人数占活跃的比例, buyers as a share of active users: the ratio in the model of the one to the other."""
    _read_average_of_each(reading)
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("share", "of_all") or not reading.free(i):
            continue
        above = {t.name for k in reading.near(i, -1, 2) for t in reading.mentions[k].of("metric")}
        below = next(((k, reading.mentions[k].of("metric")) for k in reading.near(i, +1, 1)), None)
        whole = _whole_before(reading, i)
        if whole is not None and _ratio(reading.model, above, whole[1]) is not None:
            below = whole
            above -= {t.name for t in whole[1]}
        if not above and below is not None and not reading.filters and _is_part_of(reading, i, below):
            continue
        if below is None or not above or not below[1] or above & {t.name for t in below[1]}:
            if above and _of_all(reading, i, above):
                return
            continue
        if (ratio := _ratio(reading.model, above, below[1])) is None:
            rate = reading.model.metric_by_name[below[1][0].name.partition("[")[0]].unit == "%"
            if not rate:  # what share|were active on day 60: a rate already
                reading.claimed.discard(below[0])
            continue
        reading.metrics = [targets for targets in reading.metrics if targets != below[1]]
        joined = any(reading.mentions[k].is_word("and") for k in reading.near(i, -1, 1))
        if not joined:
            reading.metrics = [ts for ts in reading.metrics if not {t.name for t in ts} & above]
        reading.metrics.append((Target("metric", ratio),))
        reading.claim(i, *(k for k, m in enumerate(reading.mentions) if m.is_word("share")))


def _read_average_of_each(reading: Reading) -> None:
    """Read 平均|每个|活跃用户|贡献多少成交额, on average each buyer's orders: the ratio of the one metric to the people named."""
    averaged = [i for i, m in enumerate(reading.mentions) if m.is_word("average") and reading.free(i)]
    for i, mention in enumerate(reading.mentions):
        if not averaged or not mention.is_word("by") or not mention.text.lower().startswith(EACH):
            continue
        below = next(((k, reading.mentions[k].of("metric")) for k in reading.near(i, +1, 1)), None)
        above = {t.name for targets in reading.metrics if below is not None and targets != below[1] for t in targets}
        if below is not None and (ratio := _ratio(reading.model, above, below[1])) is not None:
            numerator = reading.model.leaves(ratio)[0].name
            reading.metrics = [ts for ts in reading.metrics if ts != below[1] and numerator not in {t.name for t in ts}]
            reading.metrics.append((Target("metric", ratio),))
            reading.claim(i, below[0], *averaged)
            return


def _ratio(model: Model, above: set[str], below: tuple[Target, ...]) -> str | None:
    """Return the ratio in the model of one of the metrics above to what stands below."""
    names = {target.name for target in below}
    return next((m.name for m in model.metrics if isinstance(m, Ratio) and m.numerator in above and m.denominator in names), None)


def _whole_before(reading: Reading, position: int) -> tuple[int, tuple[Target, ...]] | None:
    """Return the metric that a part of it was named within: GMV里|活动归因的|占多大比例."""
    whole, *rest = (k for k in (*reversed(list(reading.near(position, -1, 3))), position) if k == position or reading.mentions[k].of("metric"))
    between = reading.linked.text[reading.mentions[whole].end :].lstrip()
    return (whole, reading.mentions[whole].of("metric")) if len(rest) > 1 and between.startswith(("里", "中", "当中", "之中")) else None


def _is_part_of(reading: Reading, position: int, named: tuple[int, tuple[Target, ...]]) -> bool:
    """Read what share of orders were cancelled, where nothing has parts, as the rate in the model that it is."""
    names = {target.name for target in named[1]}
    plain = not reading.mentions[named[0]].of("dataset") and not any(
        (m.of("value") and not m.of("metric")) or m.number is not None for m in reading.mentions
    )
    rates = [m.name for m in reading.model.metrics if isinstance(m, Ratio) and m.unit == "%" and m.numerator in names and _counts(reading.model, m)]
    if not plain or len(rates) != 1:
        return False
    reading.metrics = [targets for targets in reading.metrics if targets != named[1]]
    reading.metrics.append((Target("metric", rates[0]),))
    reading.claim(position, named[0])
    return True


def _counts(model: Model, metric: Ratio) -> bool:
    """Say whether a ratio is of a count of some rows to a count of more of them."""
    parts = [[(leaf.dataset, leaf.aggregation) for leaf in model.leaves(name)] for name in (metric.numerator, metric.denominator)]
    return parts[0] == parts[1] and all(how is Aggregation.COUNT for _, how in parts[0])


def _of_all(reading: Reading, position: int, above: set[str]) -> bool:
    """Read 用券订单|占全部订单的比例, coupon orders as a share of all orders, as the rate in the model that it is.

    Where no groups or parts are named that could have a share, a share can be nothing else (每月用券订单占比).
    """
    alone = not reading.has_word("so", "switch") and not any(m.of("dimension", "value") and not m.of("metric") for m in reading.mentions)
    if not alone and not any(word in reading.mentions[position].text.lower() for word in ("全部", "总", "all")):
        return False
    if any(reading.mentions[k].of("dataset") for k in reading.near(position, -1, 1)):
        return False  # 周末订单占全部订单: which orders is said by other words
    model = reading.model
    for metric in model.metrics:
        if not isinstance(metric, Ratio) or metric.numerator not in above or metric.unit != "%":
            continue
        parts = [[(leaf.dataset, leaf.aggregation) for leaf in model.leaves(name)] for name in (metric.numerator, metric.denominator)]
        if parts[0] == parts[1]:
            reading.metrics = [ts for ts in reading.metrics if not {t.name for t in ts} & above]
            reading.metrics.append((Target("metric", metric.name),))
            reading.claim(position)
            return True
    return False
