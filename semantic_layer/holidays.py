"""Owns the dates of festivals and shopping days, the lunar ones from a table. Knows nothing of questions or of today.

A festival with a public holiday means that holiday as people speak of it, without each year's moved working days:
国庆 is October 1 to 7, 五一 May 1 to 5, 春节 the seven days from New Year's Eve (除夕). Any other is its one day.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from wenshu.semantic_layer.periods import DateRange

# Month and day of 春节 (first day of the lunar year), 端午, 七夕 and 中秋. Source: the lunar calendar of the Purple
# Mountain Observatory as tabulated by the `lunardate` package.
_LUNAR = {
    2010: (214, 616, 816, 922), 2011: (203, 606, 806, 912), 2012: (123, 623, 823, 930), 2013: (210, 612, 813, 919),
    2014: (131, 602, 802, 908), 2015: (219, 620, 820, 927), 2016: (208, 609, 809, 915), 2017: (128, 530, 828, 1004),
    2018: (216, 618, 817, 924), 2019: (205, 607, 807, 913), 2020: (125, 625, 825, 1001), 2021: (212, 614, 814, 921),
    2022: (201, 603, 804, 910), 2023: (122, 622, 822, 929), 2024: (210, 610, 810, 917), 2025: (129, 531, 829, 1006),
    2026: (217, 619, 819, 925), 2027: (206, 609, 808, 915), 2028: (126, 528, 826, 1003), 2029: (213, 616, 816, 922),
    2030: (203, 605, 805, 912), 2031: (123, 624, 824, 1001), 2032: (211, 612, 812, 919), 2033: (131, 601, 801, 908),
    2034: (219, 620, 820, 927), 2035: (208, 610, 810, 916), 2036: (128, 530, 828, 1004), 2037: (215, 618, 817, 924),
    2038: (204, 607, 807, 913), 2039: (124, 527, 826, 1002), 2040: (212, 614, 814, 920),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Festival:
    """Hold how a festival is called, its day in a year, and how far its holiday reaches to either side."""

    names: tuple[str, ...]
    day: Callable[[int], date]
    before: int = 0
    after: int = 0

    def dates(self, year: int) -> DateRange:
        """Return the festival's holiday in `year`; raise ValueError for a lunar one outside 2010–2040."""
        day = self.day(year)
        return DateRange(day - timedelta(days=self.before), day + timedelta(days=self.after))


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _lunar(column: int, offset: int = 0) -> Callable[[int], date]:
    def day(year: int) -> date:
        if year not in _LUNAR:
            raise ValueError(f"no lunar dates are known for {year}")
        month, day_of_month = divmod(_LUNAR[year][column], 100)
        return date(year, month, day_of_month) + timedelta(days=offset)

    return day


def _nth_weekday(month: int, weekday: int, nth: int, offset: int = 0) -> Callable[[int], date]:
    def day(year: int) -> date:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.isoweekday()) % 7 + 7 * (nth - 1) + offset)

    return day


def _qingming(year: int) -> date:
    """Return 清明 by the usual rule for 2000–2099: April 4 or 5 (4.81 + 0.2422 a year, less the leap days)."""
    years = year % 100
    return date(year, 4, int(years * 0.2422 + 4.81) - years // 4)


FESTIVALS = (
    Festival(names=("元旦", "元旦节", "new year's day"), day=_fixed(1, 1)),
    Festival(names=("情人节", "valentine's day", "valentines day", "valentine's"), day=_fixed(2, 14)),
    Festival(
        names=("春节", "spring festival", "chinese new year", "lunar new year", "过年"), day=_lunar(0), before=1, after=5
    ),
    Festival(names=("除夕", "大年三十", "lunar new year's eve"), day=_lunar(0, -1)),
    Festival(names=("大年初一", "正月初一"), day=_lunar(0)),
    Festival(names=("元宵", "元宵节", "lantern festival"), day=_lunar(0, 14)),
    Festival(names=("三八", "三八节", "38节", "妇女节", "女神节", "women's day"), day=_fixed(3, 8)),
    Festival(names=("清明", "清明节", "qingming", "tomb sweeping day"), day=_qingming),
    Festival(names=("五一", "五一节", "五一假期", "五一黄金周", "劳动节", "labor day", "labour day"), day=_fixed(5, 1), after=4),
    Festival(names=("520", "五二零"), day=_fixed(5, 20)),
    Festival(names=("母亲节", "mother's day"), day=_nth_weekday(5, 7, 2)),
    Festival(names=("六一", "六一儿童节", "儿童节", "children's day"), day=_fixed(6, 1)),
    Festival(names=("端午", "端午节", "dragon boat festival", "dragon boat"), day=_lunar(1)),
    Festival(names=("父亲节", "father's day"), day=_nth_weekday(6, 7, 3)),
    Festival(names=("618", "六一八"), day=_fixed(6, 18)),
    Festival(names=("七夕", "七夕节", "qixi", "qixi festival"), day=_lunar(2)),
    Festival(names=("教师节", "teachers' day", "teacher's day"), day=_fixed(9, 10)),
    Festival(names=("中秋", "中秋节", "mid-autumn festival", "mid-autumn", "mid autumn festival"), day=_lunar(3)),
    Festival(
        names=(
            "国庆", "国庆节", "国庆假期", "国庆长假", "国庆黄金周", "十一黄金周", "十一长假", "十一假期", "十一期间", "黄金周",
            "national day", "national day holiday", "national day golden week", "golden week",
        ),
        day=_fixed(10, 1),
        after=6,
    ),
    Festival(names=("万圣节", "halloween"), day=_fixed(10, 31)),
    Festival(names=("双11", "双十一", "光棍节", "singles' day", "singles day", "double 11", "double eleven"), day=_fixed(11, 11)),
    Festival(names=("感恩节", "thanksgiving"), day=_nth_weekday(11, 4, 4)),
    Festival(names=("黑五", "黑色星期五", "black friday"), day=_nth_weekday(11, 4, 4, 1)),
    Festival(names=("网络星期一", "cyber monday"), day=_nth_weekday(11, 4, 4, 4)),
    Festival(names=("双12", "双十二", "double 12", "double twelve"), day=_fixed(12, 12)),
    Festival(names=("平安夜", "christmas eve"), day=_fixed(12, 24)),
    Festival(names=("圣诞", "圣诞节", "christmas", "christmas day"), day=_fixed(12, 25)),
)  # fmt: skip

BY_NAME = {name: festival for festival in FESTIVALS for name in festival.names}
