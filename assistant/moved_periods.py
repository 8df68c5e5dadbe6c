"""Owns a follow-up that moves the period of the query before: and the week before that?, 再往前一个月, a year earlier."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

from wenshu.assistant.timeparts import shift
from wenshu.assistant.timepieces import compiled
from wenshu.assistant.timewords import DAY, MONTH, QUARTER, WEEK, YEAR
from wenshu.semantic_layer.periods import (
    Compare,
    DateRange,
    Grain,
    bucket,
    bucket_start,
    calendar_grain,
    compared_period,
)
from wenshu.semantic_layer.query import Query

_ONE_DAY = timedelta(1)
_DAYS = {DAY: range(1, 2), WEEK: range(7, 8), MONTH: range(28, 32), QUARTER: range(89, 93), YEAR: range(365, 367)}
_LEAD = "((and|then|so|now|ok|okay|what about|how about|show me|show|same for|the same for|for|in|what was it|how was it|那么?|那就|看看|看下|看一下|看|换成|改成)[,，]? )*"  # noqa: RUF001
_TAIL = "( (instead|please|then|呢|的呢|的|吧|看看|看一下|看下|情况|是多少|多少|怎么样|如何|[?？.。]))*"  # noqa: RUF001
_N_ZH, _N_EN = "({n}|一)?个?{unit:chinese_unit}", "({n} |a |an |one |another |one more )(more )?{unit:english_unit}"
_THAT = "( (that|this|then|it))?( one)?"


def moved(previous: Query, text: str, as_of: date) -> DateRange | None:
    """Return the period of the query before, moved as `text` says, or None where it says something else."""
    if previous.period is None:
        return None
    for notation, move in _MOVES:
        pattern = compiled(f"{_LEAD}({notation}){_TAIL}")
        if (found := pattern.regex.fullmatch(text.strip().lower())) is not None:
            period = move(previous.period, previous.to_date, **pattern.read(found))
            return None if period.start > as_of else DateRange(period.start, min(period.end, as_of))
    return None


def _before(period: DateRange, to_date: Grain | None, unit: Grain | None = None, n: int = 1) -> DateRange:
    """Return the N units before a period: of the same length if it is one such unit."""
    if unit is None or (n == 1 and _is_one(period, to_date, unit)):
        return compared_period(period, Compare.PREVIOUS, to_date)
    start = bucket_start(period.start, unit)
    if n == 1 and (start == period.start or period.end <= bucket(start, unit).end):
        return bucket(start - _ONE_DAY, unit)
    return DateRange(shift(period.start, unit, -n), period.start - _ONE_DAY)


def _after(period: DateRange, to_date: Grain | None, unit: Grain | None = None, n: int = 1) -> DateRange:
    """Return the N units after a period: of the same length if it is one such unit."""
    following = period.end + _ONE_DAY
    whole = calendar_grain(period)
    if n == 1 and whole is not None and unit in (None, whole):
        return bucket(following, whole)
    if unit is None or (n == 1 and _is_one(period, to_date, unit)):
        return DateRange(following, period.end + timedelta(period.days))
    if n == 1 and period.end <= (holding := bucket(period.start, unit)).end:
        return bucket(holding.end + _ONE_DAY, unit)
    return DateRange(following, shift(following, unit, n) - _ONE_DAY)


def _by(sign: int, period: DateRange, to_date: Grain | None, unit: Grain, n: int = 1) -> DateRange:
    """Return a period moved by N units as it is."""
    return DateRange(shift(period.start, unit, sign * n), shift(period.end + _ONE_DAY, unit, sign * n) - _ONE_DAY)


def _is_one(period: DateRange, to_date: Grain | None, unit: Grain) -> bool:
    return unit in (to_date, calendar_grain(period)) or period.days in _DAYS.get(unit, ())


_earlier, _later = partial(_by, -1), partial(_by, +1)
_AT_ONCE = "(just |right |immediately )?"

_MOVES: tuple[tuple[str, Callable[..., DateRange]], ...] = (
    (f"(the )?({{n}} )?{{unit:english_unit}} {_AT_ONCE}(before|prior|prior to|preceding){_THAT}", _before),
    ("the (previous|preceding|prior) ({n} )?{unit:english_unit}", _before),
    ("(previous|preceding) {unit:english_unit}", _before),
    (f"(再|又|继续)(往前|往回|向前|往上|前|上|之前|早)面?的?{_N_ZH}|(往前|往回|向前|此前|更早|前面)的?{_N_ZH}|(前|上)一个?{{unit:chinese_unit}}", _before),
    (f"(the )?(one|period) {_AT_ONCE}before{_THAT}|before{_THAT}|(再|更)?往前|再之前|再前面|更早|(再)?(前|上)一?个?(期|周期)", _before),
    (f"(the )?({{n}} )?{{unit:english_unit}} {_AT_ONCE}(after|following){_THAT}", _after),
    ("(the )?(following|subsequent|next) ({n} )?{unit:english_unit}", _after),
    (f"(再|又|继续)(往后|向后|往下|后|下|之后)面?的?{_N_ZH}|(往后|向后|此后|后面)的?{_N_ZH}|(后|下)一?个?{{unit:chinese_unit}}", _after),
    (f"(the )?(one|period) {_AT_ONCE}after{_THAT}|the next one|after{_THAT}|再往后|往后|再之后|再后面|(再)?(后|下)一?个?(期|周期)", _after),
    (f"{_N_EN} (earlier|back|further back|sooner|before)( than that)?|(go |move |step |shift )?back {_N_EN}", _earlier),
    (f"(再|继续)?(往前|往回|向前|往上|提前|倒)(推|移|挪|倒|翻|退|走|数)(回去?|一下)?{_N_ZH}|(再)?(提前|倒退|早){_N_ZH}", _earlier),
    (f"{_N_EN} (later|on|further on)|(go |move |step |shift )?(forward|ahead) {_N_EN}", _later),
    (f"(再|继续)?(往后|向后|往下|延后)(推|移|挪|翻|走|数)(一下)?{_N_ZH}|(再)?(延后|晚){_N_ZH}", _later),
    ("(the )?same (day|date|weekday|hours|time) (of |in )?(the )?(last|previous|prior) {unit:english_unit}", _earlier),
    ("(the )?same (day|date|weekday|week|month|quarter) (of |in )?(the )?({unit:english_unit} before|(last|previous|prior) {unit:english_unit})", _earlier),
    ("上一?个?{unit:chinese_unit}的?同一?(天|日)", _earlier),
    ("(去年|上年|上一年)的?同(一天|日|一日|月|一个?月|季度?|一季度|周|一周)|last year's same (day|month|week|quarter)", partial(_by, -1, unit=YEAR)),
)  # fmt: skip
