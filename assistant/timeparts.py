"""Owns how periods are cut out of other periods, and how they are left open on one side. Knows nothing of words or today."""

from datetime import date, timedelta

from wenshu.semantic_layer.periods import MONTHS, DateRange, Grain, add_months, bucket, buckets

# Stands for the beginning of the data, which only the caller knows.
BEGINNING = date(1970, 1, 1)


def one_day(day: date) -> DateRange:
    return DateRange(day, day)


def shift(start: date, unit: Grain, units: int) -> date:
    return add_months(start, units * MONTHS[unit]) if unit in MONTHS else start + timedelta(units * days_in(unit))


def days_in(unit: Grain) -> int:
    return 7 if unit is Grain.WEEK else 1


def half_of(year: int, half: int) -> DateRange:
    return DateRange(date(year, 6 * half - 5, 1), bucket(date(year, 6 * half, 1), Grain.MONTH).end)


def day_of(month: DateRange, day: int) -> DateRange:
    return one_day(month.start.replace(day=day))


def days_of(month: DateRange, first: int, last: int) -> DateRange:
    """Return some days of a month; a last day before the first one lies in the next month."""
    start = month.start.replace(day=first)
    return DateRange(start, (start if last >= first else add_months(month.start, 1)).replace(day=last))


def days_up_to(last: DateRange, first: int) -> DateRange:
    return DateRange(last.start.replace(day=first), last.end)


def nth_of(whole: DateRange, n: int, unit: Grain) -> DateRange:
    """Return the Nth unit of a period, −1 being the last; a week belongs to the month or year of its Thursday (ISO 8601)."""
    if unit is Grain.WEEK:
        start = nth_weekday_of(whole, n, 4).start - timedelta(3)
        return bucket(start, Grain.WEEK)
    found = list(buckets(whole, unit))
    if not (n == -1 or 1 <= n <= len(found)):
        raise ValueError(f"{whole} has no {unit} number {n}")
    return found[n if n < 0 else n - 1]


def nth_weekday_of(whole: DateRange, n: int, weekday: int) -> DateRange:
    if n < 0:
        return one_day(whole.end - timedelta((whole.end.isoweekday() - weekday) % 7))
    day = whole.start + timedelta((weekday - whole.start.isoweekday()) % 7 + 7 * (n - 1))
    if day > whole.end:
        raise ValueError(f"{whole} has no weekday {weekday} number {n}")
    return one_day(day)


def first_of(whole: DateRange, n: int, unit: Grain) -> DateRange:
    """Return the first N units, counted in days from the first day: 前两周 of a month are its days 1 to 14."""
    return DateRange(whole.start, min(whole.end, shift(whole.start, unit, n) - timedelta(1)))


def last_of(whole: DateRange, n: int, unit: Grain) -> DateRange:
    return DateRange(max(whole.start, shift(whole.end + timedelta(1), unit, -n)), whole.end)


def third_of(whole: DateRange, third: int) -> DateRange:
    """Return the early, middle or late part: ten days of a month (the last one longer), a month of a quarter, four of a year."""
    months = (whole.end.year - whole.start.year) * 12 + whole.end.month - whole.start.month + 1
    if months == 1:
        start = whole.start + timedelta(10 * third)
        return DateRange(start, whole.end if third == 2 else start + timedelta(9))
    start = add_months(whole.start, third * months // 3)
    return DateRange(start, add_months(start, months // 3) - timedelta(1))


def edge_of_year(year: DateRange, third: int) -> DateRange:
    """Return 年初 as January and 年底 as December."""
    return bucket(year.end if third else year.start, Grain.MONTH)


def half_of_period(whole: DateRange, half: int) -> DateRange:
    if whole.days > 31:
        return half_of(whole.start.year, half)
    return (
        DateRange(whole.start, whole.start.replace(day=15))
        if half == 1
        else DateRange(whole.start.replace(day=16), whole.end)
    )


def week_holding(day: DateRange) -> DateRange:
    return bucket(day.start, Grain.WEEK)


def week_up_to(day: DateRange) -> DateRange:
    return DateRange(day.start - timedelta(6), day.start)


def just_before(whole: DateRange, unit: Grain, n: int = 1) -> DateRange:
    return DateRange(shift(whole.start, unit, -n), whole.start - timedelta(1))


def just_after(whole: DateRange, unit: Grain, n: int = 1) -> DateRange:
    start = whole.end + timedelta(1)
    return DateRange(start, shift(start, unit, n) - timedelta(1))


def whole_of(whole: DateRange) -> DateRange:
    return whole


def since(period: DateRange, as_of: date) -> DateRange:
    return DateRange(period.start, as_of) if period.start <= as_of else period


def after(period: DateRange, as_of: date) -> DateRange:
    start = period.end + timedelta(1)
    return DateRange(start, max(start, as_of))


def before(period: DateRange, as_of: date) -> DateRange:
    return DateRange(BEGINNING, period.start - timedelta(1))


def until(period: DateRange, as_of: date) -> DateRange:
    return DateRange(BEGINNING, period.end)
