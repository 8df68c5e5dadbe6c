"""Owns the rule about ages said as bare numbers (women over 45, the under-25s), and bands said by their ends (the 25-34 age group)."""

import re

from wenshu.assistant.naming import is_person
from wenshu.assistant.people import newcomers, people
from wenshu.assistant.reading import COMPARED_BY, JOINING, NumberCondition, Reading
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.query import Op

AGES = range(10, 100)
SAID_OF = re.compile(r"\s*(?:(?:who|that)?\s*(?:are|is|were|was)\s+)?(?:aged\s+)?(?:between\s+)?", re.IGNORECASE)
GROUPED = re.compile(r"\b(?:where|with|whose|have|has|had|having)\s+(?:the\s+)?$", re.IGNORECASE)  # cities where buyers are over 50
IN_THEIR = re.compile(r"\bin\s+(?:their|the)\s+$", re.IGNORECASE)
UNITS = ("money", "count_word", "day_unit", "hours_unit", "minute_unit", "step", "each_of", "share")


def read_ages(reading: Reading) -> None:
    """Women over 45, users between 25 and 34, the over-60s, the 25-34 age group: years of age where the data have them."""
    age = next((d for d in reading.model.dimensions if _is_age(reading.model, d)), None)
    for i, mention in enumerate(reading.mentions):
        if mention.number is None or not reading.free(i):
            continue
        if age is not None and (used := _decade(reading, i)):
            reading.numbers.append(NumberCondition(dimension=age.name, op=Op.BETWEEN, value=mention.number, high=mention.number + 9, span=(i, i)))
            reading.claim(i, *used)
            continue
        if not mention.text.isascii():
            continue
        last, high = _range(reading, i)
        band = _band_after(reading, last) if high is not None else None
        if band is not None:
            _keep(reading, band, Op.BETWEEN, (i, last), high)
            reading.claim(last + 1)
        elif age is not None and mention.number in AGES and not _has_unit(reading, last):
            op, first, past = _compared(reading, i, last, high)
            many = reading.linked.text[mention.end : mention.end + 1].lower() == "s" and first < i
            if op is not None and (many or _is_said_of_people(reading, first)):
                _keep(reading, age, op, (first, past), high, i)


def _decade(reading: Reading, position: int) -> list[int]:
    """Return the positions of the words that make an age one of ten years: 20|多岁, 30-|somethings, women in their 20|s."""
    mention, text = reading.mentions[position], reading.linked.text
    after = position + 1
    if mention.number not in range(10, 100, 10):
        return []
    if after < len(reading.mentions) and reading.mentions[after].is_word("decade") and not text[mention.end : reading.mentions[after].start].strip(" -"):
        return [position, after]
    theirs = IN_THEIR.search(text[: mention.start]) is not None and text[mention.end : mention.end + 1].lower() == "s"
    return [position] if theirs else []


def _is_age(model: Model, dimension: Dimension) -> bool:
    return dimension.type == "number" and dimension.unit == "year" and bool(model.dataset_by_name[dimension.dataset].entity)


def _range(reading: Reading, position: int) -> tuple[int, float | None]:
    """Return the last position of a number, and the second one of a range, if it is one."""
    joint = reading.beside(position, +1)
    before = reading.beside(position, -1)
    between = before is not None and reading.mentions[before].is_word("between")
    if joint is not None and (reading.mentions[joint].is_word("to") or (between and reading.mentions[joint].is_word("and"))):
        other = reading.beside(joint, +1)
        if other is not None and (high := reading.mentions[other].number) is not None:
            return other, high
    return position, None


def _band_after(reading: Reading, position: int) -> Dimension | None:
    """Return the number that the bands named right after are cut from."""
    following = reading.mentions[position + 1] if position + 1 < len(reading.mentions) else None
    names = {target.name for target in following.of("dimension")} if following is not None else set()
    banded = next((d for d in reading.model.dimensions if d.name in names and d.bands), None)
    if banded is None:
        return None
    return next((d for d in reading.model.dimensions if d.type == "number" and d.dataset == banded.dataset and d.expr == banded.expr), None)


def _has_unit(reading: Reading, position: int) -> bool:
    """Say whether a number counts or measures what stands right after it (under 30 orders, 25 years old)."""
    if position + 1 >= len(reading.mentions):
        return False
    here, following = reading.mentions[position], reading.mentions[position + 1]
    if reading.linked.text[here.end : following.start].strip(" -"):
        return False
    measures = following.of("metric", "dataset", "dimension", "value") and not is_person(reading, position + 1)
    scaled = any(target.name.startswith("multiplier") for target in following.targets)
    return bool(measures) or scaled or following.is_word(*UNITS) or following.number is not None


def _compared(reading: Reading, first: int, last: int, high: float | None) -> tuple[Op | None, int, int]:
    """Return how an age is compared, and the first and last position of the words that say so."""
    before, after = first - 1, last + 1
    if before > 0 and reading.mentions[before].text == "-" and reading.mentions[before - 1].is_word("aged"):
        before -= 1  # the over-45s
    if high is not None:
        return Op.BETWEEN, before if before >= 0 and reading.mentions[before].is_word("between") else first, last
    if reading.linked.text[reading.mentions[last].end : reading.mentions[last].end + 1] == "+":
        return Op.GE, first, last
    if reading.free(before) and reading.mentions[before].is_word("aged"):
        targets = reading.mentions[before].targets
        op = next((JOINING.get(t.name) or COMPARED_BY[t.name] for t in targets if t.name in COMPARED_BY), None)
        if op not in (None, Op.EQ):
            return op, before, last
    if reading.free(after) and reading.mentions[after].is_word("aged"):
        op = next((COMPARED_BY[t.name] for t in reading.mentions[after].targets if t.name in COMPARED_BY), None)
        if op not in (None, Op.EQ):
            return op, first, after
    return None, first, last


def _is_said_of_people(reading: Reading, first: int) -> bool:
    """Say whether people stand right before a comparison, which is then no number of theirs (users |with| under 30)."""
    counted = {*people(reading.model), *newcomers(reading.model)}
    return any(
        (is_person(reading, k) or reading.mentions[k].is_word("persons") or any(t.name in counted for t in reading.mentions[k].of("metric")))
        and SAID_OF.fullmatch(reading.linked.text[reading.mentions[k].end : reading.mentions[first].start]) is not None
        and GROUPED.search(reading.linked.text[: reading.mentions[k].start]) is None
        for k in reading.near(first, -1, 2)
    )


def _keep(reading: Reading, dimension: Dimension, op: Op, span: tuple[int, int], high: float | None, at: int | None = None) -> None:
    value = reading.mentions[span[0] if at is None else at].number
    assert value is not None
    reading.numbers.append(NumberCondition(dimension=dimension.name, op=op, value=value, high=high, span=span))
    said = (k for k in reading.near(span[0], -1, 1) if any(t.name == dimension.name for t in reading.mentions[k].of("dimension")))
    reading.claim(*range(span[0], span[1] + 1), *said)  # aged over 45
