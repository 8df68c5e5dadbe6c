"""Owns the words of time phrases, Chinese and English, and the notation their rules are written in. Knows no rule itself.

A pattern is a regular expression with three conveniences: a blank stands for any white space or none, `( )` groups
without capturing, and `{name:slot}` (or `{slot}`) reads one word of SLOTS and passes its value on under that name.
No pattern begins or ends inside a word or a number.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wenshu.assistant.numerals import CHINESE_NUMBER, ENGLISH_NUMBER, ENGLISH_ORDINAL, alternatives, number
from wenshu.semantic_layer.holidays import BY_NAME
from wenshu.semantic_layer.periods import Grain

Side = Literal["before", "after"]

DAY, WEEK, MONTH, QUARTER, YEAR = Grain.DAY, Grain.WEEK, Grain.MONTH, Grain.QUARTER, Grain.YEAR

CHINESE_UNITS = {"天": DAY, "日": DAY, "周": WEEK, "星期": WEEK, "礼拜": WEEK, "月": MONTH, "月份": MONTH} | {
    "季度": QUARTER, "季": QUARTER, "年": YEAR, "年度": YEAR,
}  # fmt: skip
COUNTED_UNITS = {"个月": MONTH, "个季度": QUARTER} | {
    f"{measure}{word}": unit
    for measure in ("", "个")
    for word, unit in CHINESE_UNITS.items()
    if unit is WEEK or (word in ("天", "日", "年") and not measure)
}
ENGLISH_UNITS = {f"{grain}{plural}": grain for grain in (DAY, WEEK, MONTH, QUARTER, YEAR) for plural in ("", "s")}
ENGLISH_UNITS |= {"yr": YEAR, "yrs": YEAR, "wk": WEEK, "wks": WEEK, "mth": MONTH, "mths": MONTH, "qtr": QUARTER, "qtrs": QUARTER}
ADVERBS = {"daily": DAY, "weekly": WEEK, "monthly": MONTH, "quarterly": QUARTER, "yearly": YEAR, "annually": YEAR} | {
    "annual": YEAR
}
UNIT_ADJECTIVES = {"日度": DAY, "周度": WEEK, "月度": MONTH, "季度": QUARTER, "年度": YEAR}

CHINESE_OFFSETS = {"上上上": -3, "大上": -2, "上上": -2, "上": -1, "本": 0, "这": 0, "下": 1, "下下": 2}
ENGLISH_OFFSETS = {"last": -1, "previous": -1, "prior": -1, "past": -1, "this": 0, "current": 0, "next": 1}
ENGLISH_OFFSETS |= {"coming": 1, "last full": -1, "last complete": -1, "last whole": -1, "previous full": -1}
YEAR_OFFSETS = {"大前年": -3, "前年": -2, "去年": -1, "上年": -1, "今年": 0, "本年": 0, "明年": 1, "后年": 2}
DAY_OFFSETS = {
    "大前天": -3, "前天": -2, "前日": -2, "昨天": -1, "昨日": -1, "前一天": -1, "前一日": -1, "今天": 0, "今日": 0, "本日": 0,
    "昨儿": -1, "昨儿个": -1, "今儿": 0, "今儿个": 0, "前儿": -2, "明儿": 1, "明天": 1, "明日": 1, "后天": 2, "day before yesterday": -2, "the day before yesterday": -2, "yesterday": -1,
    "the previous day": -1, "previous day": -1, "today": 0, "tomorrow": 1,
    "the day after tomorrow": 2,
}  # fmt: skip
NOW: tuple[str, ...] = (
    "now",
    "right now",
    "present",
    "the present",
    "date",
    "current date",
    "the current date",
    "this day",
)
NOW += ("现在", "目前", "当前", "今", "如今", "此刻")

MONTH_NAMES = {
    name: month
    for month, names in enumerate(
        (
            "january jan jan.", "february feb feb.", "march mar mar.", "april apr apr.", "may", "june jun jun.",
            "july jul jul.", "august aug aug.", "september sept sep sept. sep.", "october oct oct.",
            "november nov nov.", "december dec dec.",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
WEEKDAYS = {
    name: weekday
    for weekday, names in enumerate(
        (
            "monday", "tuesday tues tue", "wednesday wed", "thursday thurs thur thu", "friday fri", "saturday", "sunday",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
SHORT_WEEKDAYS = WEEKDAYS | {"mon": 1, "sat": 6, "sun": 7}
PLURAL_WEEKDAYS = {f"{name}s": weekday for name, weekday in WEEKDAYS.items() if name.endswith("day")}
CHINESE_WEEKDAYS = dict(zip("一二三四五六日天1234567", (1, 2, 3, 4, 5, 6, 7, 7, 1, 2, 3, 4, 5, 6, 7), strict=True))

WEEKEND, WORKDAYS = frozenset({6, 7}), frozenset({1, 2, 3, 4, 5})
DAY_TYPES = {
    "周末": WEEKEND, "双休日": WEEKEND, "周六日": WEEKEND, "周六周日": WEEKEND, "weekend": WEEKEND, "weekends": WEEKEND,
    "weekend days": WEEKEND, "工作日": WORKDAYS, "平日": WORKDAYS,
    "weekday": WORKDAYS, "weekdays": WORKDAYS, "working days": WORKDAYS, "workdays": WORKDAYS, "business days": WORKDAYS,
}  # fmt: skip

# The third of a month (ten days), of a quarter (a month) or of a year (four months), the first being 0.
CHINESE_THIRDS = {"上旬": 0, "中旬": 1, "下旬": 2, "初": 0, "底": 2, "末": 2}
ENGLISH_THIRDS = {"early": 0, "mid": 1, "late": 2}
ENGLISH_EDGES = {"beginning": 0, "start": 0, "middle": 1, "end": 2}
LAST = {"最后": -1, "last": -1, "final": -1}
HALVES = {"first": 1, "second": 2, "1st": 1, "2nd": 2}
CHINESE_HALVES = {"上": 1, "下": 2}

TO = "(起|开始)?(一直)?(到|至|~|-|–|—)|to|till|until|through|thru|up to"  # noqa: RUF001
AND = "(,|、|/|&|\\+)? (和|与|及|跟|对比|相比|比|还是|and|or|vs\\.?|versus|against|with|to|than)? (the)?"


@dataclass(frozen=True, slots=True)
class Slot:
    """Hold what a slot of a pattern looks like and how its text becomes a value."""

    pattern: str
    value: Callable[[str], Any]


def _words(values: Mapping[str, Any]) -> Slot:
    return Slot(alternatives(list(values)).replace("\\ ", r"\s+"), lambda word: values[re.sub(r"\s+", " ", word)])


SLOTS = {
    "n": Slot(rf"\d{{1,4}}|{CHINESE_NUMBER}|{ENGLISH_NUMBER}", number),
    "high": Slot(r"[1-9]\d|[5-9]|[二三四五]?十[一二三四五六七八九]?|[五六七八九]", number),
    "ordinal": Slot(rf"\d{{1,2}}(?:st|nd|rd|th)|{ENGLISH_ORDINAL}", number),
    "year": Slot(r"(?:19|20)\d\d", int),
    "any_year": Slot(r"1[5-9]\d\d|20\d\d", int),
    "written_year": Slot("[一二][〇零一二三四五六七八九]{3}", number),
    "short_year": Slot(r"[0-4]\d|[〇零一二三][〇零一二三四五六七八九]", lambda words: 2000 + number(words)),
    "month": Slot(r"\d{1,2}|十[一二]?|[一二三四五六七八九]", number),
    "month_digits": Slot(r"0?[1-9]|1[0-2]", int),
    "month_name": _words(MONTH_NAMES),
    "two_digits": Slot(r"\d\d", int),
    "day": Slot(r"\d{1,2}|[一二三]?十[一二三四五六七八九]?|[一二三四五六七八九]", number),
    "day_en": Slot(rf"\d{{1,2}}(?:st|nd|rd|th)?|{ENGLISH_ORDINAL}", number),
    "day_digits": Slot(r"\d{1,2}", int),
    "quarter": Slot("[1-4一二三四]", number),
    "half": _words(HALVES),
    "half_zh": _words(CHINESE_HALVES),
    "half_digit": Slot("[12]", int),
    "third_zh": _words(CHINESE_THIRDS),
    "third_en": _words(ENGLISH_THIRDS),
    "edge_en": _words(ENGLISH_EDGES),
    "last": _words(LAST),
    "unit": _words(CHINESE_UNITS | ENGLISH_UNITS),
    "chinese_unit": _words(CHINESE_UNITS),
    "english_unit": _words(ENGLISH_UNITS),
    "unit_adjective": _words(UNIT_ADJECTIVES),
    "counted": _words(COUNTED_UNITS),
    "adverb": _words(ADVERBS),
    "chinese_offset": _words(CHINESE_OFFSETS),
    "english_offset": _words(ENGLISH_OFFSETS),
    "year_offset": _words(YEAR_OFFSETS),
    "day_offset": _words(DAY_OFFSETS),
    "now": Slot(alternatives(list(NOW)), str),
    "weekday": _words(WEEKDAYS),
    "short_weekday": _words(SHORT_WEEKDAYS),
    "plural_weekday": _words(PLURAL_WEEKDAYS),
    "chinese_weekday": Slot(r"(?:周|星期|礼拜)[一二三四五六日天1-7]", lambda word: CHINESE_WEEKDAYS[word[-1]]),
    "weekday_digit": Slot("[一二三四五六日天1-7]", CHINESE_WEEKDAYS.__getitem__),
    "day_type": _words(DAY_TYPES),
    "festival": _words(BY_NAME),
}

_SLOT = re.compile(r"\{([a-z_]+)(?::([a-z_]+))?\}")
_WHOLE = r"(?<![a-z](?=[a-z]))(?<![0-9](?=[0-9]))"


class Pattern:
    """Match one notation and read its slots.

    >>> found = Pattern("last {n} {unit:english_unit}").regex.search("gmv in the last three weeks")
    >>> found[0]
    'last three weeks'
    """

    def __init__(self, notation: str, side: Side | None = None) -> None:
        """Compile a notation; one that stands beside a period touches it, but for blanks."""
        self._slots: list[tuple[str, str, Slot]] = []
        parts = re.split(r"(\{[a-z_]+(?::[a-z_]+)?\})", notation)
        body = "".join(self._slot(part) if index % 2 else _plain(part) for index, part in enumerate(parts))
        begin = _WHOLE if side == "after" else rf"{_WHOLE}(?!\s)"
        end = rf"(?<!\s){_WHOLE}" + (r"\s*\Z" if side == "before" else "")
        self.regex = re.compile(f"{begin}(?:{body}){end}", re.ASCII)

    def _slot(self, part: str) -> str:
        found = _SLOT.fullmatch(part)
        assert found
        group = f"_{len(self._slots)}"
        self._slots.append((group, found[1], SLOTS[found[2] or found[1]]))
        return f"(?P<{group}>{self._slots[-1][2].pattern})"

    def read(self, match: re.Match[str]) -> dict[str, Any]:
        """Return the value of every slot that took part in a match, by name."""
        return {name: slot.value(match[group]) for group, name, slot in self._slots if match[group] is not None}


def _plain(part: str) -> str:
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", part).replace(" ", r"\s*")
