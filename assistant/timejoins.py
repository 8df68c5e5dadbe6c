"""Owns how the time pieces of a question combine: a date and its year, the ends of a range, a list. Knows no words of time.

Each pass takes all pieces in order and returns them in order; PASSES at the end is the order they run in.
"""

import re
from dataclasses import replace
from datetime import date
from itertools import pairwise

from wenshu.assistant.timemeanings import Meaning, Yearly
from wenshu.assistant.timeparts import half_of_period, third_of
from wenshu.assistant.timepieces import Piece, Reading, cut_parts, dates, in_years, naming, open_sides
from wenshu.assistant.timewords import AND, DAY, MONTH, TO, WEEKEND, WORKDAYS, YEAR, Pattern
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, bucket, compared_period


def _set_years(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Join a year with the date it stands beside: 去年9月, Q3 of 2026, 2026-Q3. The nearer side wins, then the one before."""
    done: list[Piece] = []
    rest = list(pieces)
    while rest:
        piece = rest.pop(0)
        if piece.meaning.unit is not YEAR or piece.meaning.period is None:
            done.append(piece)
            continue
        back = _distance(_YEAR_AFTER, reading.text, done[-1], piece) if done else None
        ahead = _distance(_YEAR_BEFORE, reading.text, piece, rest[0]) if rest else None
        if back is not None and done[-1].meaning.yearly and (ahead is None or back <= ahead):
            done.append(_in_year(reading, done.pop(), piece, said="after"))
        elif ahead is not None and rest[0].meaning.yearly:
            done.append(_in_year(reading, rest.pop(0), piece, said="before"))
        else:
            done.append(piece)
    return done


_YEAR_BEFORE = (re.compile(""), re.compile(r"\s*(?:的|'s)?\s*(?:the\s+)?"), re.compile(r"\s*[-/]\s*"))
_YEAR_AFTER = (re.compile(""), re.compile(r"\s*(?:的|,|of|in|of the)?\s*"), re.compile(r"\s*[-/]\s*"))


def _distance(gaps: tuple[re.Pattern[str], ...], text: str, left: Piece, right: Piece) -> int | None:
    """Return how closely two pieces are joined, 0 being without anything between, or None."""
    between = text[left.end : right.start]
    return next((rank for rank, gap in enumerate(gaps) if gap.fullmatch(between)), None)


def _in_year(reading: Reading, piece: Piece, year: Piece, said: str) -> Piece:
    assert piece.meaning.yearly and year.meaning.period
    start, end = min(piece.start, year.start), max(piece.end, year.end)
    with naming(reading.text[start:end]):
        period = piece.meaning.yearly(year.meaning.period.start.year)
    meaning = replace(piece.meaning, yearly=None, period=period, weak=False)
    return Piece(start=start, end=end, meaning=meaning, year_said=said)


_BESIDE_A_WEEKDAY = re.compile(r"\s*[,(-]*\s*(?:the\s+)?")
_BRACKET = re.compile(r"\s*\(\s*(?:即|是|也就是)?\s*")
_CLOSING = re.compile(r"\s*\)")


def _appose(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Join a date said twice: Friday, June 5; 9月7日周一; 上个月(9月)."""
    done: list[Piece] = []
    for piece in pieces:
        if not (done and done[-1].is_dated and piece.is_dated):
            done.append(piece)
            continue
        former = done[-1]
        gap = reading.text[former.end : piece.start]
        closing = _CLOSING.match(reading.text, piece.end)
        weekdays = [bool(one.meaning.weekday) for one in (former, piece)]
        if former.meaning.unit in (MONTH, Grain.QUARTER, YEAR) and piece.meaning.weekdays and not gap.strip():
            done.append(replace(piece, meaning=Meaning(weekdays=piece.meaning.weekdays)))  # 10月周六
        elif (_BRACKET.fullmatch(gap) and closing) or (sum(weekdays) == 1 and _BESIDE_A_WEEKDAY.fullmatch(gap)):
            meant = former if weekdays[1] or dates(reading, former) == dates(reading, piece) else piece
            end = closing.end() if closing and "(" in gap else piece.end
            done[-1] = replace(meant, start=former.start, end=end, meaning=replace(meant.meaning, weak=False))
        else:
            done.append(piece)
    return done


_TO = Pattern(f"({TO}) (the)?")
_AND = Pattern(AND)
_RANGE_LEAD = Pattern("(自从|从|自|由|在|from|since) (the)?", side="before")
_BETWEEN = Pattern("(介于|between) (the)?", side="before")
_RANGE_TRAIL = re.compile(r"\s*(?:之间|期间|为止|这段时间|inclusive)")
_CHANGE = re.compile(
    r"变化|增长|下降|上升|上涨|下跌|提升|减少|chang|differ|compar|grow|drop|fell|fall|ris|rose|increas|decreas|declin"
)
_COMPARED = re.compile(r"compar\w*[^,;]*$|对比[^,;]*$", re.ASCII)
_COMPARING = re.compile(r"[和与比,]|vs|than|against|compar|and")
_SERIES = re.compile(r"趋势|走势|trend|over time|series")


def _join_ranges(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Join the two ends of a range: 9月1日到15日, from June to now, between Q1 and Q2."""
    done: list[Piece] = []
    for piece in pieces:
        ends = _range_ends(reading, done[-1], piece, pieces) if done else None
        if ends is None:
            done.append(piece)
            continue
        first = done.pop()
        start, end = ends
        with naming(reading.text[start:end]):
            period = _range(reading.as_of, first.meaning, piece.meaning)
        to_date = first.meaning.to_date if piece.meaning.now else None
        done.append(Piece(start=start, end=end, meaning=Meaning(period=period, to_date=to_date)))
    return done


def _range_ends(reading: Reading, first: Piece, last: Piece, pieces: list[Piece]) -> tuple[int, int] | None:
    """Return the span of the range that two pieces are the ends of, or None."""
    text = reading.text
    if not (first.is_dated and last.is_dated):
        return None
    gap = text[first.end : last.start].strip()
    low = max((piece.end for piece in pieces if piece.end <= first.start), default=0)
    high = min((piece.start for piece in pieces if piece.start >= last.end), default=len(text))
    lead = _RANGE_LEAD.regex.search(text, low, first.start)
    between = _BETWEEN.regex.search(text, low, first.start)
    trail = _RANGE_TRAIL.match(text, last.end, high)
    is_listed = bool(_AND.regex.fullmatch(gap)) and gap != ""
    if not (_TO.regex.fullmatch(gap) or (is_listed and gap != "," and (between or trail))):
        return None
    if between and is_listed and _CHANGE.search(text):
        return None
    if not (lead or between) and _COMPARED.search(text[: first.start]):
        return None
    if lead and _is_change(reading, first, last, pieces):
        return None
    opening = lead or between
    return (opening.start() if opening else first.start), (trail.end() if trail else last.end)


def _is_change(reading: Reading, first: Piece, last: Piece, pieces: list[Piece]) -> bool:
    """Tell whether 从8月到9月下降了多少 compares two neighbouring periods rather than spanning them."""
    if first.meaning.unit is not last.meaning.unit or first.meaning.unit in (None, DAY):
        return False
    if any(piece.meaning.grain for piece in pieces) or _SERIES.search(reading.text):
        return False
    ends = dates(reading, first).end, dates(reading, last).start
    return (ends[1] - ends[0]).days == 1 and bool(_CHANGE.search(reading.text))


def _range(as_of: date, first: Meaning, last: Meaning) -> DateRange:
    """Return the dates from one meaning to another; a year said on one side only holds for the other as well."""
    years = range(as_of.year + 1, as_of.year - 12, -1)
    if first.yearly is None and first.period is not None:
        start = first.period.start
        if last.yearly is None:
            assert last.period
            return DateRange(start, last.period.end)
        return DateRange(start, _next_end(last.yearly, start))
    assert first.yearly
    if last.period is not None:
        years = range(last.period.end.year, last.period.end.year - 12, -1)
        known = (period for period in in_years(first.yearly, years) if period.start <= last.period.end)
        return DateRange(next(known).start, last.period.end)
    assert last.yearly
    for period in in_years(first.yearly, years):
        end = _next_end(last.yearly, period.start)
        turns = end.year > period.start.year
        if (end if turns else period.start) <= as_of:
            return DateRange(period.start, end)
    raise ValueError("no such range is over yet")


def _next_end(yearly: Yearly, start: date) -> date:
    return next(
        period.end for period in in_years(yearly, range(start.year - 1, start.year + 12)) if period.end >= start
    )


def _join_weekdays(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Join a list of weekdays to one filter: Saturdays and Sundays, 周六和周日."""
    done: list[Piece] = []
    for piece in pieces:
        former = done[-1] if done else None
        if former and former.meaning.weekdays and piece.meaning.weekdays and _is_list(reading, former, piece):
            weekdays = former.meaning.weekdays | piece.meaning.weekdays
            if {former.meaning.weekdays, piece.meaning.weekdays} != {WEEKEND, WORKDAYS}:
                done[-1] = Piece(start=former.start, end=piece.end, meaning=Meaning(weekdays=weekdays))
                continue
        done.append(piece)
    return done


def _is_list(reading: Reading, left: Piece, right: Piece) -> bool:
    gap = reading.text[left.end : right.start]
    return bool(gap.strip()) and bool(_AND.regex.fullmatch(gap.strip()))


def _share_years(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Give the year said once to its neighbours in a list: Q2 and Q3 2026, 2026年8月和9月."""
    done = list(pieces)
    for index in range(len(done) - 2, -1, -1):
        left, right = done[index], done[index + 1]
        if right.year_said == "after" and left.meaning.yearly and _is_list(reading, left, right):
            done[index] = _as_dated(reading, left, right)
    for index in range(1, len(done)):
        left, right = done[index - 1], done[index]
        if left.year_said and right.meaning.yearly and _is_list(reading, left, right):
            done[index] = _as_dated(reading, right, left)
        if (
            left.is_dated
            and right.is_dated
            and _is_list(reading, left, right)
            and left.meaning.weak is not right.meaning.weak
        ):
            done[index - 1 : index + 1] = [_strong(left), _strong(right)]
        elif left.meaning.unit is YEAR and right.meaning.unit is YEAR and _is_list(reading, left, right):
            done[index - 1 : index + 1] = [_strong(left), _strong(right)]
    years = [piece for piece in done if piece.meaning.unit is YEAR and piece.meaning.period and not piece.meaning.weak]
    if len(years) == 1:
        done = [_as_dated(reading, piece, years[0]) if _follows(reading, years[0], piece) else piece for piece in done]
    return done


def _follows(reading: Reading, year: Piece, piece: Piece) -> bool:
    """Tell whether a date without a year stands later in the question than its year: 去年各城市9月的订单."""
    between = reading.text[year.end : piece.start]
    return piece.meaning.yearly is not None and year.end <= piece.start and not _COMPARING.search(between)


def _as_dated(reading: Reading, piece: Piece, dated: Piece) -> Piece:
    """Return a date without a year in the year of another one, unless that makes the two the same."""
    assert piece.meaning.yearly and dated.meaning.period
    with naming(reading.text[piece.start : piece.end]):
        period = piece.meaning.yearly(dated.meaning.period.end.year)
    if period == dated.meaning.period:
        return piece
    return replace(
        piece, meaning=replace(piece.meaning, yearly=None, period=period, weak=False), year_said=dated.year_said
    )


def _share_wholes(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Cut a part from what the part beside it in a list is cut from: 9月1日和15日, the first and second half of September."""
    done = list(pieces)
    for left, right in pairwise(range(len(done))):
        for bare, other in ((left, right), (right, left)):
            if (cut := done[bare].meaning.cut) is None or done[other].meaning.cut or not done[other].is_dated:
                continue
            part, n = cut
            said = dates(reading, done[other])
            units = (MONTH, YEAR) if part is half_of_period else (MONTH,)
            parts = {half_of_period: (1, 2), third_of: (0, 1, 2)}.get(part, (said.start.day,))
            wholes = (bucket(said.start, unit) for unit in units)
            whole = next((whole for whole in wholes if said in {part(whole, k) for k in parts}), None)
            if whole is not None and _is_list(reading, done[left], done[right]):
                done[bare] = replace(done[bare], meaning=Meaning(period=part(whole, n)))
    return done


def _strong(piece: Piece) -> Piece:
    return piece if piece.meaning.now else replace(piece, meaning=replace(piece.meaning, weak=False))


def _echo(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Let 去年同月, the month before and the previous 7 days follow the period said before them."""
    done: list[Piece] = []
    for piece in pieces:
        if done and done[-1].is_dated:
            said, period = dates(reading, done[-1]), piece.meaning.period
            if piece.meaning.echo is Compare.YEAR:
                period = compared_period(bucket(said.start, MONTH), Compare.YEAR)
            elif piece.meaning.echo is Compare.PREVIOUS and done[-1].meaning.unit is piece.meaning.unit:
                period = compared_period(said, Compare.PREVIOUS)
            elif done[-1].meaning.rolling and piece.meaning.rolling and period == said:
                period = compared_period(said, Compare.PREVIOUS)
            if period != piece.meaning.period:
                piece = replace(piece, meaning=replace(piece.meaning, period=period, rolling=False))
        done.append(piece)
    return done


_PREPOSITION = Pattern(
    "(in|for|of|on|during|since|from|over|within|throughout|until|till|by|year|at|在|于|自|从|截至) (the)?",
    side="before",
)
_OVER = Pattern("(in|for|during|over|within|throughout)", side="before")
_A_NUMBER = re.compile(r"(?:[过于到约满前<>=¥$#]|over|above|below|under|than|least|most|top|id|no\.?|订单)\s*$")


def _drop_weak(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.meaning != Meaning() and _holds(reading, piece)]


def _holds(reading: Reading, piece: Piece) -> bool:
    """Tell whether a weak piece is a time after all: by what stands before it, or because it is all there is."""
    if not piece.meaning.weak:
        return True
    text = reading.text
    if piece.meaning.now:
        return False
    if piece.start == 0 and (piece.meaning.yearly or piece.end == len(text.rstrip("?. "))):
        return True
    if piece.meaning.unit is YEAR and piece.meaning.period and not piece.meaning.to_date:
        is_near = 2010 <= piece.meaning.period.start.year <= reading.as_of.year + 1
        if _A_NUMBER.search(text[: piece.start]):
            return False
        return is_near or bool(_before(text, piece, _PREPOSITION))
    return bool(_before(text, piece, _OVER if piece.meaning.to_date else _PREPOSITION))


def _before(text: str, piece: Piece, words: Pattern) -> re.Match[str] | None:
    return words.regex.search(text, max(0, piece.start - 20), piece.start)


def _day_types(reading: Reading, pieces: list[Piece]) -> list[Piece]:
    """Read weekends and working days in one question as two sides to be compared, not as two filters."""
    if not {WEEKEND, WORKDAYS} <= {piece.meaning.weekdays for piece in pieces}:
        return pieces
    sides = {WEEKEND, WORKDAYS}
    return [
        replace(piece, meaning=Meaning(part="day_type")) if piece.meaning.weekdays in sides else piece
        for piece in pieces
    ]


PASSES = (
    cut_parts,
    _set_years,
    _appose,
    _join_ranges,
    _appose,
    _join_weekdays,
    _share_years,
    _share_wholes,
    open_sides,
    _echo,
    _drop_weak,
    _day_types,
)
