"""Owns the rules about time: periods, grains, and what a number is compared with."""

from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.periods import Compare


def read_comparison(reading: Reading) -> None:
    """环比, 同比, year over year; 比, vs, compared with."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("compare_previous"):
            reading.compare = Compare.PREVIOUS
        elif mention.is_word("compare_year"):
            reading.compare = Compare.YEAR
        elif mention.is_word("versus"):
            reading.versus = True
        elif not mention.is_word("growth"):
            continue
        reading.claim(i)


def read_times(reading: Reading) -> None:
    """Periods, grains, weekdays and parts of the day."""
    for i, mention in enumerate(reading.mentions):
        phrase = mention.time
        if phrase is None:
            continue
        reading.claim(i)
        before = reading.beside(i, -1)
        if before is not None and reading.mentions[before].is_word("above", "below"):
            reading.claim(before)  # "over the last 12 weeks"
        if phrase.period is not None:
            reading.periods.append(phrase)
        if phrase.grain is not None:
            reading.grain = phrase.grain
        if phrase.part is not None:
            reading.parts.append({"hour": "hour_of_day", "weekday": "weekday", "day_type": "day_type"}[phrase.part])
        if phrase.weekdays is not None:
            reading.weekdays = phrase.weekdays
