"""Owns cutting a question into pieces that mean a time, and what each means with the words right beside it.

Leftmost and longest first by GRAMMAR; then PARTS (the first week of …) and OPEN (since …). How pieces combine with
each other is the business of `timejoins`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache

from wenshu.assistant.timegrammar import GRAMMAR, OPEN, PARTS
from wenshu.assistant.timemeanings import Calendar, Meaning, Yearly
from wenshu.assistant.timeparts import before, since, until, whole_of
from wenshu.assistant.timewords import DAY, Pattern, Side
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import DateRange, bucket
from wenshu.semantic_layer.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    text: str
    calendar: Calendar

    @property
    def as_of(self) -> date:
        return self.calendar.as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Hold a stretch of the question and its meaning; `year_said` tells on which side of a date its year stands."""

    start: int
    end: int
    meaning: Meaning
    year_said: str = ""

    @property
    def is_dated(self) -> bool:
        return self.meaning.period is not None or self.meaning.yearly is not None


@cache
def compiled(notation: str, side: Side | None = None) -> Pattern:
    return Pattern(notation, side)


_NOT_A_WORD = re.compile(r"\{[^}]*\}|\(\?(?:[^()]|\([^()]*\))*\)|\\.")  # slots, lookarounds, classes


def scripts_of(text: str) -> set[str]:
    """Return which scripts a text has letters of."""
    latin = {"latin"} if re.search("[a-z]", text) else set()
    return latin | ({"chinese"} if re.search("[\u3400-\u9fff]", text) else set())


@cache
def literal_scripts(notation: str) -> frozenset[str]:
    """Return the scripts of a rule's own words; one of a single script is not compiled for a text that has none of it."""
    return frozenset(scripts_of(_NOT_A_WORD.sub("", notation)))


def pieces(reading: Reading) -> Iterator[Piece]:
    """Yield the pieces the grammar finds, leftmost first and of those the longest; a rule may still decline."""
    scripts = scripts_of(reading.text)
    found = [
        (match.start(), -match.end(), order, match, rule)
        for order, rule in enumerate(GRAMMAR)
        if literal_scripts(rule[1]) <= scripts or len(literal_scripts(rule[1])) > 1
        for match in compiled(rule[1]).regex.finditer(reading.text)
    ]
    reached = 0
    for start, _, _, match, (_, notation, resolve) in sorted(found, key=lambda entry: entry[:3]):
        if start < reached:
            continue
        with naming(match[0]):
            meaning = resolve(reading.calendar, **compiled(notation).read(match))
        if meaning is not None:
            reached = match.end()
            yield Piece(start=start, end=reached, meaning=meaning)


def cut_parts(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Read a part of a period, as in 9月上旬 or the first week of September, and a part of that again."""
    done: list[Piece] = []
    rest = list(pieces)
    while rest:
        piece = rest.pop(0)
        while (part := _longest_part(reading, piece, [*done, *rest])) is not None:
            piece = part
            done = [other for other in done if other.end <= piece.start]
            rest = [other for other in rest if other.start >= piece.end]
        done.append(piece)
    return done


def _longest_part(reading: Reading, piece: Piece, others: list[Piece]) -> Piece | None:
    if not piece.is_dated:
        return None
    best: Piece | None = None
    kinds = {piece.meaning.unit, "festival" if piece.meaning.festival else piece.meaning.unit}
    for _, wholes, side, notation, cut in PARTS:
        if not kinds & wholes:
            continue
        beside = _beside(reading.text, piece, side, notation)
        if beside is None:
            continue
        start, end, slots = beside
        cuts_through = any((other.start < start < other.end or other.start < end < other.end) for other in others)
        if cuts_through or (best is not None and end - start <= best.end - best.start):
            continue
        with naming(reading.text[start:end]):
            best = Piece(start=start, end=end, meaning=_part_meaning(piece.meaning, cut, slots))
    return best


def _beside(text: str, piece: Piece, side: Side, notation: str) -> tuple[int, int, dict[str, object]] | None:
    """Match a rule right before or right after a piece; return the span of both and the slots."""
    pattern = compiled(notation, side)
    if side == "after":
        found = pattern.regex.match(text, piece.end)
        return (piece.start, found.end(), pattern.read(found)) if found else None
    near = len(text[: piece.start].rstrip())
    found = pattern.regex.search(text, max(0, near - 40), piece.start)
    return (found.start(), piece.end, pattern.read(found)) if found else None


def _part_meaning(whole: Meaning, cut: Callable[..., DateRange], slots: dict[str, object]) -> Meaning:
    """Return what a part of a period means: dates, or dates in a year that is not said yet."""
    if whole.yearly is not None:
        part = _part_of_year(whole.yearly, cut, slots)
        return Meaning(yearly=part, unit=whole.unit if cut is whole_of else DAY if _is_one_day(part) else None)
    assert whole.period
    period = cut(bucket(whole.period.start, whole.to_date) if whole.to_date else whole.period, **slots)
    return Meaning(period=period, unit=whole.unit if cut is whole_of else DAY if period.days == 1 else None)


def _part_of_year(yearly: Yearly, cut: Callable[..., DateRange], slots: dict[str, object]) -> Yearly:
    return lambda year: cut(yearly(year), **slots)


def _is_one_day(yearly: Yearly) -> bool:
    """Tell whether dates without a year are a single day, by a leap year's."""
    try:
        return yearly(2024).days == 1
    except ValueError:
        return False


# Before the end of August is up to its last day.
_AT_THE_END = re.compile("^(?:the )?end of|[底末]$")


def open_sides(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Read what leaves a period open on one side: since May, 截至9月底, before 2026."""
    ends = [0, *(piece.end for piece in pieces)]
    starts = [*(piece.start for piece in pieces[1:]), len(reading.text)]
    return [_opened(reading, *around) for around in zip(pieces, ends, starts, strict=False)]


def _opened(reading: Reading, piece: Piece, low: int, high: int) -> Piece:
    """Open a piece by the words beside it, as far as those between `low` and `high` are its own."""
    if not piece.is_dated:
        return piece
    text = reading.text
    blank = len(text) - len(text[piece.end :].lstrip())
    for _, lead, trail, bound in OPEN:
        opening = compiled(lead, "before").regex.search(text, low, piece.start) if lead else None
        closing = compiled(trail).regex.match(text, blank) if trail else None
        if (lead and opening is None) or (trail and (closing is None or closing.end() > high)):
            continue
        if bound is before and _AT_THE_END.search(text[piece.start : piece.end]):
            bound = until
        start, end = opening.start() if opening else piece.start, closing.end() if closing else piece.end
        with naming(text[start:end]):
            period = bound(dates(reading, piece), reading.as_of)
        to_date = piece.meaning.to_date if bound is since else None
        return Piece(start=start, end=end, meaning=Meaning(period=period, to_date=to_date))
    return piece


def dates(reading: Reading, piece: Piece) -> DateRange:
    """Return the dates of a piece; without a year, their latest occurrence that has begun by `as_of`."""
    if piece.meaning.period is not None:
        return piece.meaning.period
    assert piece.meaning.yearly
    years = range(reading.as_of.year + 1, reading.as_of.year - 12, -1)
    with naming(reading.text[piece.start : piece.end]):
        return next(period for period in in_years(piece.meaning.yearly, years) if period.start <= reading.as_of)


def in_years(yearly: Yearly, years: Iterable[int]) -> Iterator[DateRange]:
    """Yield the dates of the years that have them; February 29 is in few, February 30 in none."""
    found = False
    for year in years:
        try:
            period = yearly(year)
        except ValueError:
            continue
        found = True
        yield period
    if not found:
        raise ValueError("no year has such a date")


@contextmanager
def naming(words: str) -> Iterator[None]:
    """Turn what the calendar cannot hold into an error that names the words."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise QueryError(
            "invalid_date",
            Text(f"“{words}” is not a date or a period that exists.", f"“{words}”不是存在的日期或时间段。"),
            Text("Check the day, the month and the order of the dates.", "请检查月份、日期和起止顺序。"),
        ) from error
