"""Owns finding the time phrases of a question, in either language, and resolving them to dates. Knows nothing of models.

The text is cut into pieces (`timepieces`) by rules (`timegrammar`, written in `timewords`), which give them meanings
(`timemeanings`, `timeparts`); the pieces that stand together are combined (`timejoins`).
"""

import re
from dataclasses import dataclass
from datetime import date

from wenshu.assistant.timejoins import PASSES
from wenshu.assistant.timemeanings import Calendar
from wenshu.assistant.timeparts import BEGINNING
from wenshu.assistant.timepieces import Piece, Reading, dates, pieces
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.text import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePhrase:
    """Hold one time phrase of a question: `text` is what stands at `start:end`, the rest is what it means.

    Exactly one of `period` (dates, the end included), `grain` (rows by that unit), `weekdays` (a filter, Monday = 1)
    and `part` (rows by "hour" of the day, "weekday" or "day_type") is set. `to_date` names the unit of a period that
    runs up to `as_of`; a `rolling` period ends on `as_of` too, but starts anywhere.
    """

    start: int
    end: int
    text: str
    period: DateRange | None = None
    grain: Grain | None = None
    to_date: Grain | None = None
    rolling: bool = False
    weekdays: frozenset[int] | None = None
    part: str | None = None

    @property
    def is_open(self) -> bool:
        """Say whether it is all there was up to a day."""
        return self.period is not None and self.period.start == BEGINNING


def find_time_phrases(text: str, *, as_of: date, language: Language, day_first: bool = False) -> tuple[TimePhrase, ...]:
    """Return the time phrases of a normalised question in order of appearance.

    A phrase that begins after `as_of` keeps its literal dates, one that ends there with an open beginning starts in
    1970. `language` and `day_first` decide how 1/9/2026 is read. Raise QueryError("invalid_date") for February 30.

    >>> [found] = find_time_phrases("gmv in september", as_of=date(2026, 10, 31), language="en")
    >>> found.text, str(found.period)
    ('september', '2026-09-01 – 2026-09-30')
    """
    squeezed, kept = _squeezed(_YEAR_BEFORE_NOUN.sub(r"\1,", text))
    reading = Reading(text=squeezed, calendar=Calendar(as_of=as_of, day_first=day_first, is_chinese=language == "zh"))
    found = list(pieces(reading))
    for combine in PASSES:
        found = combine(reading, found)
    return tuple(_phrase(reading, piece, text, kept) for piece in found)


# In “Q3 2026 orders” 2026 is a year and counts no orders; a comma in place of the blank says so.
_YEAR_BEFORE_NOUN = re.compile(
    r"\b((?:q[1-4]|h[12]|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*) +(?:19|20)\d\d) (?= *(?!(?:to|till|until|through|thru|up to|and|or|vs|versus)\b)[a-z])"
)
_BLANK = re.compile("(?<=[0-9]) +(?=[一-鿿])|(?<=[一-鿿]) +(?=[0-9])")


def _squeezed(text: str) -> tuple[str, list[int]]:
    """Return the text without the blanks that set off numbers in Chinese (近 30 天), and where its characters stood."""
    blanks = {index for blank in _BLANK.finditer(text) for index in range(*blank.span())}
    kept = [index for index in range(len(text)) if index not in blanks]
    return "".join(text[index] for index in kept), kept


def _phrase(reading: Reading, piece: Piece, text: str, kept: list[int]) -> TimePhrase:
    period = dates(reading, piece) if piece.is_dated else None
    start, end = kept[piece.start], kept[piece.end - 1] + 1
    return TimePhrase(
        start=start,
        end=end,
        text=text[start:end],
        period=period,
        grain=piece.meaning.grain,
        to_date=piece.meaning.to_date,
        rolling=piece.meaning.rolling,
        weekdays=piece.meaning.weekdays if period is None else None,
        part=piece.meaning.part,
    )
