"""Owns the rules about users by a number of their own: how many orders, active days or how much spend each of them has.

A model has such a number as a dimension `<metric>_of_user`.
"""

from collections.abc import Iterator

from wenshu.assistant.grammar_distribution import banded
from wenshu.assistant.grammar_subjects import after_by
from wenshu.assistant.linker import Mention, Target
from wenshu.assistant.naming import is_person
from wenshu.assistant.people import people
from wenshu.assistant.reading import NumberCondition, Reading
from wenshu.semantic_layer.metrics import Aggregate, Ratio
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.query import Op

OWN = "_of_user"
AND_SO_ON = ("…", "...", "。。。", "等等", "etc")
Own = tuple[Dimension, Aggregate]


def read_own_numbers(reading: Reading) -> None:
    """购买次数分布, users by number of orders, 下过1单、2单、3单的用户: users by a number of their own."""
    owns = dict(_own_numbers(reading.model))
    if not owns:
        return
    for i, mention in enumerate(reading.mentions):
        if reading.free(i) and (name := _named(reading, mention, owns)) and _is_grouped(reading, i, name, owns):
            _group(reading, owns[name], [i])
            reading.claim(*_enumerated(reading))
            return
    for i in range(len(reading.mentions)):
        if (name := _counted(reading, i, owns)) is not None:
            _group(reading, owns[name], [i])
            return
    _read_counts(reading, owns)


def _own_numbers(model: Model) -> Iterator[tuple[str, Own]]:
    for dimension in model.dimensions:
        leaf = model.metric_by_name.get(dimension.name.removesuffix(OWN))
        if dimension.name.endswith(OWN) and isinstance(leaf, Aggregate):
            yield dimension.name, (dimension, leaf)


def _named(reading: Reading, mention: Mention, owns: dict[str, Own]) -> str | None:
    """Return the number that a mention names, as itself or by its metric (人均活跃天数的分布: active days)."""
    for target in mention.of("dimension", "metric"):
        metric = reading.model.metric_by_name.get(target.name)
        name = target.name if target.kind == "dimension" else f"{target.name}{OWN}"
        name = f"{metric.numerator}{OWN}" if isinstance(metric, Ratio) else name
        if name in owns:
            return name
    return None


def _is_grouped(reading: Reading, position: int, name: str, owns: dict[str, Own]) -> bool:
    """Say whether users are asked for by the number: after 按/by, or as a distribution of something that users have."""
    mention, before = reading.mentions[position], reading.beside(position, -1)
    split = any(after_by(reading, k) and m.of("dimension") for k, m in enumerate(reading.mentions[:position]))
    if before is not None and reading.mentions[before].is_word("severally") and split:
        return False  # 不同设备的用户|各|下了多少单
    grouped = (
        before is not None and reading.mentions[before].is_word("by") and not mention.of("dataset")
        and not reading.has_word("most", "least", "rank", "descending", "ascending")
    )  # fmt: skip
    label = owns[name][0].label
    in_words = mention.of("dimension") and not mention.of("metric") and mention.text not in (label.en, label.zh)
    of_people = any(_is_people(reading, k) for k in range(len(reading.mentions)))
    averaged = any(isinstance(reading.model.metric_by_name.get(t.name), Ratio) for t in mention.of("metric"))
    of_users = of_people or averaged or bool(mention.of("dimension"))
    others = any(
        m.of("metric") and m is not mention and not _is_people(reading, k) for k, m in enumerate(reading.mentions)
    )
    return (grouped and of_people and not others) or bool(in_words) or (of_users and reading.has_word("distribution"))


def _counted(reading: Reading, position: int, owns: dict[str, Own]) -> str | None:
    """Return the number that “how many times” asks for in 买了几次的用户各有多少."""
    beside = reading.beside(position, -1)
    if beside is None or not reading.mentions[position].is_word("how_many"):
        return None
    datasets = {target.name for target in reading.mentions[beside].of("dataset")}
    grouped = reading.has_word("distribution") or any(
        m.is_word("how_many", "by") or _is_people(reading, k)
        for k, m in enumerate(reading.mentions) if k > position
    )  # fmt: skip
    return next((name for name, (_, leaf) in owns.items() if grouped and leaf.dataset in datasets), None)


def _read_counts(reading: Reading, owns: dict[str, Own]) -> None:
    """下过1单、2单、3单, ordered once, twice, three times: users by the numbers listed, one after the other."""
    found: list[tuple[int, int]] = []
    positions: list[int] = []
    in_days = False
    for i, mention in enumerate(reading.mentions):
        if mention.number is not None and mention.number == int(mention.number) and reading.free(i):
            found.append((i, int(mention.number)))
        elif found and mention.is_word("count_word", "day_unit", "and", "or"):
            in_days = in_days or mention.is_word("day_unit")
        elif found and not mention.is_filler:
            break
        if found:
            positions.append(i)
    numbers = [number for _, number in found]
    if len(numbers) < 2 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return
    before = reading.beside(found[0][0], -1)
    if before is None or not any(_is_people(reading, k) for k in range(len(reading.mentions))):
        return
    mention = reading.mentions[before]
    datasets = {t.name for t in mention.of("dataset")} | {
        leaf.dataset for t in mention.of("metric") for leaf in reading.model.leaves(t.name)
    }
    for name, (dimension, leaf) in owns.items():
        if leaf.dataset in datasets and ("day" in dimension.label.en) == in_days:
            _group(reading, owns[name], [*positions, before])
            reading.share = False  # of whom: the users with one of these numbers, or all?
            tail = reading.linked.text[reading.mentions[found[-1][0]].end : reading.mentions[positions[-1]].end + 3].lower()
            if any(words in tail for words in AND_SO_ON):
                return
            reading.numbers.append(
                NumberCondition(
                    dimension=name,
                    op=Op.BETWEEN,
                    value=numbers[0],
                    high=numbers[-1],
                    span=(positions[0], positions[-1]),
                )
            )
            return


def _enumerated(reading: Reading) -> Iterator[int]:
    """Yield the positions of 1单、2单、3单…, examples of what each user has that a distribution shows anyway."""
    numbers = [(k, m.number) for k, m in enumerate(reading.mentions) if m.number is not None and reading.free(k)]
    if len(numbers) > 1 and [number for _, number in numbers] == list(range(1, len(numbers) + 1)):
        for k, _ in numbers:
            yield k


def _group(reading: Reading, own: Own, positions: list[int]) -> None:
    """Ask for the users who have the number, by it, each with their share."""
    dimension, leaf = own
    reading.dimensions.append(banded(reading.model, dimension.name))
    reading.metrics.append(tuple(Target("metric", name) for name in people(reading.model, leaf.dataset)))
    reading.spread = reading.share = True
    reading.claim(
        *positions,
        *(
            i
            for i, m in enumerate(reading.mentions)
            if _is_people(reading, i) or m.is_word("distribution", "how_many", "share")
        ),
    )


def _is_people(reading: Reading, position: int) -> bool:
    mention = reading.mentions[position]
    return is_person(reading, position) or mention.is_word("each_of") or reading.is_people(mention)
