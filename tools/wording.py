"""Owns how names, values, buckets and changes are worded in answers, safe to stand in Markdown. Knows nothing of results."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Cell, Column
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.counts import Counts, period_name, period_unit
from wenshu.tools.number_format import format_number
from wenshu.tools.readings import Reading, number

BLANK = Text("(blank)", "（空白）")
YES, NO = Text("yes", "是"), Text("no", "否")
MONTHS = "January February March April May June July August September October November December".split()
GRAIN_NOUNS = {
    Grain.HOUR: Text("hour", "小时"),
    Grain.DAY: Text("day", "日期"),
    Grain.WEEK: Text("week", "周"),
    Grain.MONTH: Text("month", "月份"),
    Grain.QUARTER: Text("quarter", "季度"),
    Grain.YEAR: Text("year", "年份"),
}
GRAIN_COUNTS = {  # 3 天, 3 个月
    Grain.HOUR: "个小时",
    Grain.DAY: "天",
    Grain.WEEK: "周",
    Grain.MONTH: "个月",
    Grain.QUARTER: "个季度",
    Grain.YEAR: "年",
}

# An underscore inside a word, a full stop or a colon cannot mark anything up, except as below.
SPECIAL = re.compile(
    r"[\\`*\[\]<>|~$@]"
    r"|(?<![^\W_])_|_(?![^\W_])"
    r"|&(?=#?\w+;)"
    r"|:(?=//)|(?<=\bwww)\."  # else an address becomes a link
    r"|^[-+#=](?=[\s#=-]|$)|^\d{1,9}[.)](?=\s|$)",  # else a list, a heading or a rule
    re.IGNORECASE,
)
INVISIBLE = ("Cc", "Cf", "Co", "Cs")  # control and direction marks, and what no font has
EMOJI_JOINER = "\u200d"


def escape_markdown(text: str, longest: int = 80) -> str:
    r"""Return text as one line of Markdown that shows it as it is: nothing in it marks up, links or breaks a table.

    Line breaks become spaces, control and direction marks go, and what is longer than `longest` characters is cut.

    >>> print(escape_markdown("**a**\n[b](http://c) sign_up"))
    \*\*a\*\* \[b\](http\://c) sign_up
    """
    line = " ".join("".join(letter for letter in text if _is_shown(letter)).split())
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return SPECIAL.sub(lambda match: f"{match.group()[:-1]}\\{match.group()[-1]}", line)


def _is_shown(letter: str) -> bool:
    return letter.isspace() or letter == EMOJI_JOINER or unicodedata.category(letter) not in INVISIBLE


def bucket_label(bucket: date, grain: Grain | None, language: Language) -> str:
    """Return how people call the bucket of a time series that starts on a date.

    >>> bucket_label(date(2026, 7, 1), Grain.QUARTER, "zh"), bucket_label(date(2026, 9, 1), Grain.MONTH, "en")
    ('2026年第3季度', 'September 2026')
    """
    match grain:
        case Grain.YEAR:
            label = Text(f"{bucket.year}", f"{bucket.year}年")
        case Grain.QUARTER:
            quarter = (bucket.month + 2) // 3
            label = Text(f"Q{quarter} {bucket.year}", f"{bucket.year}年第{quarter}季度")
        case Grain.MONTH:
            label = Text(f"{MONTHS[bucket.month - 1]} {bucket.year}", f"{bucket.year}年{bucket.month}月")
        case Grain.WEEK:
            day = f"{bucket:%Y-%m-%d}"
            label = Text(f"the week of {day}", f"{day} 当周")
        case _:
            timed = isinstance(bucket, datetime) and grain is not Grain.DAY
            return f"{bucket:%Y-%m-%d %H:%M}" if timed else f"{bucket:%Y-%m-%d}"
    return label.in_(language)


@dataclass(frozen=True, slots=True)
class Wording:
    """Word the parts of a sentence in one language; every name from the data is escaped."""

    language: Language

    def say(self, en: str, zh: str) -> str:
        """Return the wording of this language."""
        return zh if self.language == "zh" else en

    def opening(self, text: str) -> str:
        """Return text as a sentence begins with it: capitalised, unless its first word has capitals of its own."""
        return text[:1].upper() + text[1:] if text.partition(" ")[0].islower() else text

    def label(self, column: Column) -> str:
        return escape_markdown(column.label.in_(self.language))

    def brief(self, period: str) -> str:
        """Return what a period is called without the dates in brackets, for where these were said before."""
        return re.sub(r"\s*[(（][^()（）]*[)）]$", "", period) or period

    def value(self, cell: Cell, unit: str | None, *, signed: bool = False) -> str:
        """Return a metric's value with its unit, or that there is no data."""
        if isinstance(cell, date):
            return cell.isoformat()
        if isinstance(cell, str | bool):
            return escape_markdown(str(cell))
        return format_number(number(cell), unit, self.language, signed=signed)

    def name(self, columns: Sequence[Column], keys: Sequence[Cell]) -> str:
        """Return what a group is called: 抖音, 北京 × 未知性别, or 2026年9月 for a bucket."""
        return " × ".join(self._key(column, key) for column, key in zip(columns, keys, strict=True))

    def _key(self, column: Column, key: Cell) -> str:
        if column.role == "time" and isinstance(key, date):
            return bucket_label(key, column.grain, self.language)
        if isinstance(key, float) and not math.isfinite(key):
            key = None
        if key is None:
            return self.say(f"unknown {self.label(column)}", f"未知{self.label(column)}")
        shown = escape_markdown(column.shown(key, self.language)) or BLANK.in_(self.language)
        if any(value == key for value, _ in column.value_labels):
            return shown
        if isinstance(key, bool):
            return (YES if key else NO).in_(self.language)
        if column.name == PERIOD_NUMBER:
            return period_name(key, period_unit(column)).in_(self.language)
        # A bare number says nothing: 评分 5, hour 16.
        return f"{self.label(column)} {shown}" if isinstance(key, int | float) else shown

    def names(self, names: Sequence[str], most: int = 3) -> str:
        """Return names as one enumeration, of which at most `most` are spelled out.

        >>> Wording("en").names("abcde"), Wording("zh").names("abcde"), Wording("zh").names("ab")
        ('a, b, c and 2 more', 'a、b、c 等 5 个', 'a和b')
        """
        if len(names) > most:
            cut = self.say(", ", "、").join(names[:most])
            return self.say(f"{cut} and {len(names) - most} more", f"{cut} 等 {len(names)} 个")
        if len(names) < 2:
            return "".join(names)
        return self.say(", ", "、").join(names[:-1]) + self.say(" and ", "和") + names[-1]

    def noted(self, name: str, note: str) -> str:
        """Return a name with a note in brackets."""
        return self.say(f"{name} ({note})", f"{name}（{note}）")

    def people(self, count: int) -> str:
        return self.say(f"{count:,} user{'' if count == 1 else 's'}", f"{count:,} 人")

    def counts(self, counts: Counts) -> str:
        """Return what a number is made of: 189 of 1,199 users; empty where that is not known.

        >>> Wording("zh").counts(Counts(part=189, whole=1199)), Wording("en").counts(Counts(whole=1))
        ('1,199 人中有 189 人', '1 user')
        """
        if counts.whole is None:
            return ""
        whole = self.people(counts.whole)
        if counts.part is None:
            return whole
        return self.say(f"{counts.part:,} of {whole}", f"{whole}中有 {counts.part:,} 人")

    def counted_value(self, reading: Reading, unit: str | None) -> str:
        """Return a reading's value with what it is made of in brackets."""
        value, counts = self.value(reading.value, unit), self.counts(reading.counts)
        return self.noted(value, counts) if counts else value

    def by(self, columns: Sequence[Column]) -> str:
        """Return what the groups of a result are: 渠道, 城市 × 性别, 月份."""
        return " × ".join(
            GRAIN_NOUNS[column.grain].in_(self.language) if column.grain else self.label(column) for column in columns
        )

    def counted(self, count: int, columns: Sequence[Column]) -> str:
        """Return how many groups there are: 6 个渠道, 12 个组合, 9 个月, 6 groups."""
        if len(columns) == 1 and (grain := columns[0].grain):
            noun = GRAIN_NOUNS[grain].en + ("" if count == 1 else "s")
            return self.say(f"{count} {noun}", f"{count} {GRAIN_COUNTS[grain]}")
        noun = self.label(columns[0]) if len(columns) == 1 else "组合"
        return self.say(f"{count} group{'' if count == 1 else 's'}", f"{count} 个{noun}")

    def came_to(self, column: Column) -> str:
        """Return the English verb for a value; it has one form whether the metric's label is singular or plural."""
        return "came to" if column.additive else "stood at"

    def moved(self, reading: Reading, unit: str | None, than: str) -> str:
        """Return how a value changed from what it is compared with, which `than` names; empty where nothing is known.

        >>> Wording("en").moved(Reading(value=6, previous=4, change=0.5, change_unit="%"), None, "May")
        'up 50.0% from 4 for May'
        """
        if reading.change is None:
            return ""
        if reading.previous is None:
            than_en, than_zh = f"against {than}", than
        else:
            before = self.value(reading.previous, unit)
            than_en, than_zh = f"from {before} for {than}", f"{than}的 {before} "
        size = self.value(abs(reading.change), reading.change_unit)
        if reading.change == 0:
            return self.say(f"unchanged {than_en}", f"与 {than_zh}持平")
        if not re.search("[1-9]", size):
            return self.say(f"almost unchanged {than_en}", f"与 {than_zh}基本持平")
        rise, fall = {"%": ("增长", "下降"), "pp": ("上升", "下降")}.get(reading.change_unit or "", ("增加", "减少"))
        if reading.change > 0:
            return self.say(f"up {size} {than_en}", f"较 {than_zh}{rise} {size}")
        return self.say(f"down {size} {than_en}", f"较 {than_zh}{fall} {size}")
