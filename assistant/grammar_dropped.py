"""Owns the rule about what of the query before no longer holds: 性别不限, all channels, drop the split, everyone, 去掉订单数."""

from wenshu.assistant.linker import Mention
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.time_parts import TIME_PARTS

LIMITS = ("unlimited", "exclude", "only", "so", "switch", "add")  # what may stand around a word that means all of it


def read_dropped(reading: Reading) -> None:
    """去掉渠道限制, 性别不限, all channels, everyone: an earlier filter, group or metric that no longer holds."""
    mentions = reading.mentions
    asked = [i for i, mention in enumerate(mentions) if mention.is_word("how_many")]
    for i, mention in enumerate(mentions):
        before = reading.beside(i, -1)
        if mention.is_word("uncompared"):
            reading.uncompared = True
            reading.claim(i)
        elif mention.is_word("summed") and before is not None and mentions[before].of("dimension") and _is_alone(reading, before, i):
            reading.unsplit = True  # 男女|合计
            reading.claim(before, i)
        elif mention.is_word("unsplit") or (mention.is_word("overall", "altogether", "summed") and _is_alone(reading, i, *asked)):
            reading.unsplit = True
            following = reading.beside(i, +1)
            split = following is not None and mentions[following].of("dimension")
            reading.claim(i, *([following] if split and following is not None else []))
        elif mention.is_word("everyone", "unfiltered") and _is_alone(reading, i):
            reading.unfiltered = "all" if mention.is_word("unfiltered") else "users"
            reading.claim(i)
        elif mention.is_word("unlimited_tail") and reading.free(i) and _read_tail(reading, i):
            continue
        elif mention.is_word("unlimited", "exclude") and _read_limitation(reading, i):
            continue
        elif mention.is_word("unlimited", "every_one") and (reading.free(i) or mention.is_word("growth")):
            _read_unlimited(reading, i)


def _read_unlimited(reading: Reading, position: int) -> None:
    """Read what stands before the thing that no longer holds: all channels, regardless of city, 不限城市."""
    mention, following = reading.mentions[position], reading.beside(position, +1)
    named = reading.mentions[following] if following is not None else None
    names = [t.name for t in named.of("dimension")] if named is not None else []
    beyond = reading.beside(following, +1) if following is not None else None
    if named is not None and mention.is_word("every_one") and named.is_word("days") and _is_alone(reading, position, following):
        reading.widened.extend(TIME_PARTS)  # all days
        reading.claim(position, *([following] if following is not None else []))
        return
    if mention.is_word("growth"):
        if not names or not _is_alone(reading, position, following):
            return
        reading.take_as(position, "unlimited")
    whole = mention.is_word("filler", "altogether", "every_one") and reading.has_word("rank", "descending", "ascending")
    if names and whole:
        reading.claim(position)  # rank all|provinces by orders
    elif names and following is not None and not (beyond is not None and reading.mentions[beyond].of("value")):
        (reading.widened if mention.is_word("every_one") else reading.dropped).extend(names)
        reading.claim(position, following)
    elif named is not None and mention.is_word("every_one") and _are_all(reading, named) and _is_alone(reading, position, following):
        reading.unfiltered = "users"  # all customers
        reading.claim(position)
    elif mention.is_word("filler"):
        reading.claim(position)  # 所有用户, all products


def _read_limitation(reading: Reading, position: int) -> bool:
    """Read a filter that is called one, and say whether it is: drop the|city|filter, 去掉|iOS|限制."""
    named = reading.beside(position, +1)
    said = [k for k, m in enumerate(reading.mentions) if named is not None and k > named and m.is_word("limitation")]
    if named is None or not said or not _is_alone(reading, position, named, *said):
        return False
    mention = reading.mentions[named]
    names = [t.name for t in mention.of("dimension")] or [t.name.rpartition(".")[2] for t in mention.of("value")]
    if not names:
        return False
    if mention.of("dimension"):
        reading.dropped.extend(names)
    else:
        reading.widened.extend(names)
    if reading.mentions[position].is_word("growth"):
        reading.take_as(position, "unlimited")
    reading.claim(position, named, *said)
    return True


def _read_tail(reading: Reading, position: int) -> bool:
    """Read what stands behind it, and say whether anything does: 性别|不限, gender|doesn't matter; of several, each (城市和渠道|都不限)."""
    before: list[int] = []
    for k in reading.near(position, -1, len(reading.mentions)):
        if reading.mentions[k].of("dimension") and reading.free(k):
            before.append(k)
        elif not reading.mentions[k].is_word("and"):
            break
    names = [t.name for k in before for t in reading.mentions[k].of("dimension")]
    if not names or not _is_alone(reading, position, *before):
        return False
    reading.widened.extend(names)
    reading.claim(position, *before, *(i for i, m in enumerate(reading.mentions) if m.number is not None))  # 两个平台都看
    return True


def _are_all(reading: Reading, mention: Mention) -> bool:
    """Say whether a word stands for users of any kind."""
    return reading.is_people(mention) or any(reading.model.dataset_by_name[t.name].entity for t in mention.of("dataset"))


def _is_alone(reading: Reading, *positions: int | None) -> bool:
    """Say whether nothing else is asked for."""
    rest = (m for i, m in enumerate(reading.mentions) if i not in positions)
    return all(m.is_filler or m.number is not None or m.is_word("and", "count_word", *LIMITS) for m in rest) and not reading.linked.unknown
