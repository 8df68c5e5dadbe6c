"""Owns which period, comparison and grain a reading asks for. Knows no metrics but by the grain their words imply."""

from datetime import date, timedelta

from wenshu.assistant.linker import Target
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, bucket, bucket_start, compared_period
from wenshu.semantic_layer.text import Text

UNIT_DAYS = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 31, Grain.QUARTER: 92}
ALL_DAYS = 700  # about as many as the data hold where no period is named, for the choice of a grain


def times(
    reading: Reading, metrics: tuple[Target, ...], as_of: date
) -> tuple[DateRange | None, Grain | None, Compare | DateRange | None, Grain | None]:
    """Return period, to-date grain, comparison and grain."""
    grain = reading.grain
    compare: Compare | DateRange | None = reading.compare
    periods = reading.periods
    period, to_date = (periods[0].period, periods[0].to_date) if periods else (None, None)
    ranges = list(dict.fromkeys(phrase.period for phrase in periods if phrase.period is not None))
    if len(ranges) > 1 and period is not None:
        if len(ranges) == 2 and grain is None and compare is None and not reading.versus and reading.has_word("growth"):
            compare, period = sorted(ranges)  # how did August change from July
        elif _adjoining(ranges) and _are_buckets(ranges) and (len(ranges) > 2 or not reading.versus) and compare is None:
            period = DateRange(min(r.start for r in ranges), max(r.end for r in ranges))
            grain = grain or _unit(ranges)
        elif len(ranges) == 2:
            so_far = to_date is not None and ranges[1] == compared_period(bucket(period.start, to_date), Compare.PREVIOUS)
            compare = Compare.PREVIOUS if so_far else ranges[1]  # of the period before, the same days
        else:
            raise QueryError(
                "too_many_periods", Text("The question names more than two periods.", "问题中包含两个以上的时间段。"),
                Text("Ask about one period, or compare two.", "请询问一个时间段，或对比两个时间段。"),
            )  # fmt: skip
    elif (
        period is not None
        and compare is None
        and grain is None
        and reading.has_word("growth")
        and (halves := _halves(period))
    ):
        compare, period = halves  # grew from August to September
    elif reading.compared_with is not None and compare is None and (unit := _unit_before(reading.compared_with, as_of)) is not None:
        to_date = None if unit is Grain.DAY else unit
        period, compare = DateRange(bucket_start(as_of, unit), as_of), Compare.PREVIOUS  # 比上个月
    elif (
        reading.versus
        and compare is None
        and period is not None
        and not reading.parts
        and not any(item.joined for item in reading.filters)
    ):
        compare = Compare.PREVIOUS
    elif compare is None and reading.has_word("growth") and period is not None and grain is None:
        compare = Compare.PREVIOUS
    implied = next((target.grain for target in metrics if target.grain), None)
    if implied and grain is None:
        grain = None if period is not None and period.days <= UNIT_DAYS[implied] else implied
    elif implied and grain is not None and grain != implied:
        raise QueryError(
            "grain_conflict",
            Text(
                f"The metric is counted by {implied}, but the question asks for rows by {grain}.",
                "该指标的统计粒度与问题要求的时间粒度不一致。",
            ),
            Text("Ask for active users by that grain instead.", "请改问该粒度的活跃用户数。"),
        )
    if reading.pace and grain is None and period is not None and period.days > UNIT_DAYS[reading.pace]:
        grain = reading.pace  # GMV in Q3, month over month
    if reading.trend and grain is None:
        days = period.days if period else ALL_DAYS
        grain = Grain.DAY if days <= 45 else Grain.WEEK if days <= 210 else Grain.MONTH
    return period, to_date, compare, grain


def _unit_before(period: DateRange, as_of: date) -> Grain | None:
    """Return the calendar unit that a period is the last whole one of: last month, 上周, yesterday."""
    before = ((unit, bucket_start(as_of, unit)) for unit in Grain if unit is not Grain.HOUR)
    return next((unit for unit, start in before if period == bucket(start - timedelta(days=1), unit)), None)


def _halves(period: DateRange) -> tuple[DateRange, DateRange] | None:
    """Return the two calendar months that a period is, or None where it is no two whole months."""
    start = period.end.replace(day=1)
    if period.start.day != 1 or start <= period.start:
        return None
    second = DateRange(start, period.end)
    first = compared_period(second, Compare.PREVIOUS)
    return (first, second) if first.start == period.start and first.end < start else None


def _adjoining(ranges: list[DateRange]) -> bool:
    ordered = sorted(ranges)
    return all((later.start - earlier.end).days == 1 for earlier, later in zip(ordered, ordered[1:], strict=False))


def _are_buckets(ranges: list[DateRange]) -> bool:
    """Say whether rows by their unit show each range as one: 8月和9月, but not the two halves of a month."""
    return all(r.start == bucket_start(r.start, _unit(ranges)) for r in ranges)


def _unit(ranges: list[DateRange]) -> Grain:
    """Return the grain whose buckets the ranges are."""
    days = max(r.days for r in ranges)
    return (
        Grain.DAY
        if days == 1
        else Grain.WEEK
        if days <= 7
        else Grain.MONTH
        if days <= 31
        else Grain.QUARTER
        if days <= 92
        else Grain.YEAR
    )
