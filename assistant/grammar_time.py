"""Owns the rules about time: periods, grains, and what a number is compared with."""

import re
from itertools import pairwise

from sqlglot import exp

from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.metrics import Funnel
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Compare, Grain

SIDES = re.compile(r"\b(?:vs|versus)\b|对比|相比|和.*比|跟.*比")  # between weekdays: each of them
BUCKETS = {"days": Grain.DAY, "weeks": Grain.WEEK, "months": Grain.MONTH}
PACES = {
    "day_on_day": Grain.DAY, "week_on_week": Grain.WEEK, "month_on_month": Grain.MONTH, "quarter_on_quarter": Grain.QUARTER,
}  # fmt: skip


def read_comparison(reading: Reading) -> None:
    """环比, 同比, year over year; 比, vs, compared with."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("compare_previous"):
            reading.compare = Compare.PREVIOUS
            reading.pace = next((grain for name, grain in PACES.items() if mention.is_word(name)), None)
        elif mention.is_word("compare_year"):
            reading.compare = Compare.YEAR
        elif mention.is_word("versus"):
            reading.versus = True
        elif not mention.is_word("growth", "fell", "rose"):
            continue
        reading.claim(i)


def read_times(reading: Reading) -> None:
    """Periods, grains, weekdays and parts of the day."""
    for i, mention in enumerate(reading.mentions):
        phrase = mention.time
        if phrase is None:
            if mention.is_word("hourly") and (k := reading.beside(i, -1)) is not None:
                if reading.mentions[k].is_word("by", "and", "which", "most", "least"):
                    reading.parts.append("hour_of_day")
                    reading.claim(i)
            elif (grain := _grain_named(reading, i)) is not None:
                reading.grain = grain
                reading.claim(i)
            continue
        reading.claim(i)
        before = reading.beside(i, -1)
        if before is not None and reading.mentions[before].is_word("above", "below"):
            reading.claim(before)  # "over the last 12 weeks"
            reading.versus |= bool(reading.periods) and phrase.period is not None  # September higher than August
        if phrase.period is not None:
            reading.periods.append(phrase)
            reading.compared_with = phrase.period if len(reading.periods) == 1 and _is_other_side(reading, before, i) else None
        days = phrase.period.days if phrase.period is not None else len(phrase.weekdays or ())
        if i + 2 < len(reading.mentions) and reading.mentions[i + 1].number == days and reading.mentions[i + 2].is_word("day_unit"):
            reading.claim(i + 1, i + 2)  # 国庆7天, 周末两天
        if phrase.grain is not None:
            reading.grain = phrase.grain
        if phrase.part is not None:
            reading.parts.append({"hour": "hour_of_day", "weekday": "weekday", "day_type": "day_type"}[phrase.part])
        if phrase.weekdays is not None:
            following = [reading.mentions[k] for k in reading.near(i, +1, 1)]
            severally = any(m.is_word("severally") or (m.time and m.time.grain is Grain.DAY) for m in following)
            severally = severally or SIDES.search(phrase.text) is not None
            severally = severally or (len(phrase.weekdays) > 1 and any(m.is_word("severally") and not m.is_word("by") for m in reading.mentions))
            whole_week = len(phrase.weekdays) == 7
            if severally or whole_week:
                reading.parts.append("weekday")  # 周一到周日各自的成交额
            if not whole_week:
                reading.weekdays = phrase.weekdays
    _read_bracketed(reading)
    if "weekday" in reading.parts and reading.grain is Grain.DAY:
        reading.grain = None  # 周一到周五每天: each of the five


def _read_bracketed(reading: Reading) -> None:
    """双11前后（11月4日到18日）: the dates in brackets say what the words before them mean."""
    dated = [(i, mention.time) for i, mention in enumerate(reading.mentions) if mention.time in reading.periods]
    for (i, named), (j, exact) in pairwise(dated):
        between = reading.linked.text[reading.mentions[i].end : reading.mentions[j].start]
        if between.rstrip().endswith(("(", "（")) and exact is not None and named in reading.periods:  # noqa: RUF001
            words = [k for k in range(i + 1, j) if not reading.mentions[k].is_filler]
            if all(reading.mentions[k].is_word("leads_to", "goes_on", "most", "least") for k in words):
                reading.periods.remove(named)
                reading.claim(*words)


def _is_other_side(reading: Reading, before: int | None, position: int) -> bool:
    """Say whether a period stands right after a word that compares with it: 比|上个月, compared with|last week."""
    after = reading.beside(position, +1)
    if after is not None and before is not None and reading.mentions[before].is_word("and") and reading.mentions[after].is_word("versus"):
        return True  # 和|上周|比
    if before is None or not reading.mentions[before].is_word("versus"):
        return False
    if "对" in reading.mentions[before].text and not any(m.of("metric") for m in reading.mentions[:before]):
        return False  # 对比|三季度|…: what is compared comes after
    between = reading.linked.text[reading.mentions[before].end : reading.mentions[position].start]
    return not any(mark in between for mark in ",，;；:：")  # noqa: RUF001


def read_counted_periods(reading: Reading) -> None:
    """7月、8月、9月|这三个月, and 哪个|多 where two things are compared: words that only repeat what is said."""
    for phrase in reading.periods[:]:
        others = [p.period.days for p in reading.periods if p is not phrase and p.period is not None]
        repeats = phrase.text.lower().startswith(("这", "these", "the three", "the 3")) and len(others) > 1
        if repeats and phrase.period is not None and abs(phrase.period.days - sum(others)) <= len(others):
            reading.periods.remove(phrase)
    for i, mention in enumerate(reading.mentions):
        following = reading.mentions[i + 1] if i + 1 < len(reading.mentions) else None
        if mention.number is not None and mention.number == len(reading.periods) > 1 and reading.free(i):
            if following is not None and following.is_word(*BUCKETS):
                reading.claim(i, i + 1)
        elif mention.is_word("more") and reading.free(i) and not mention.of("metric"):
            two = len(reading.periods) == 2
            if reading.versus or two or reading.parts or any(item.joined for item in reading.filters):
                reading.versus |= two
                reading.claim(i)


def read_period_before(reading: Reading) -> None:
    """最近7天和前一个7天相比, the 7 days before: as many days once more, right before the period."""
    days = reading.periods[0].period.days if len(reading.periods) == 1 and reading.periods[0].period is not None else 0
    for i, mention in enumerate(reading.mentions):
        units = [k for k in reading.near(i, +1, 1) if reading.mentions[k].is_word("day_unit", "days")]
        if mention.number is None or mention.number != days or not units or not reading.free(i):
            continue
        words = [k for k in (*reading.near(i, -1, 1), *reading.near(units[0], +1, 1)) if reading.mentions[k].is_word("leads_to", "goes_back")]
        if words:
            reading.compare = Compare.PREVIOUS
            reading.claim(i, *units, *words)


def _grain_named(reading: Reading, position: int) -> Grain | None:
    """Return the unit of rows that a noun names after by: by platform and month, by registration month."""
    grain = next((grain for name, grain in BUCKETS.items() if reading.mentions[position].is_word(name)), None)
    before = list(reading.near(position, -1, 3)) if grain is not None else []
    passed = [k for k in before if reading.mentions[k].is_word("entered", "first_order") or reading.mentions[k].of("metric")][:1]
    direct = bool(before) and reading.mentions[before[0]].is_word("by")
    after = bool(passed) and passed[0] == before[0] and len(before) > 1 and reading.mentions[before[1]].is_word("by")
    joined = len(before) > 2 and reading.mentions[before[0]].is_word("and") and reading.mentions[before[2]].is_word("by")
    if after:
        reading.claim(*passed)  # by registration month: the month in which the cohort came
    return grain if direct or after or joined else None


def read_dates(reading: Reading) -> None:
    """6月注册的用户在7月的订单数, sales of customers who first bought in May: a period that dates the users, not the rows."""
    for i, mention in enumerate(reading.mentions):
        if not reading.free(i):
            continue
        dates = {d.name for d in reading.model.dimensions if d.type == "date"}
        before = reading.beside(i, -1)
        grouped = before is not None and reading.mentions[before].is_word("by", "which")
        named = next((t.name for t in mention.of("dimension") if t.name in dates and not grouped), None)
        entered = _entry_date(reading.model) if mention.is_word("entered") and _counts_others(reading, i) else None
        name = named or entered
        sides = (-1, +1) if not mention.text.isascii() else (+1,)
        beside = [k for step in sides for k in reading.near(i, step, 1) if reading.mentions[k].time in reading.periods]
        phrase = reading.mentions[beside[0]].time if beside else None
        if name is not None and phrase is not None and phrase.period is not None:
            reading.dated.append((name, phrase))
            reading.periods.remove(phrase)
            reading.claim(i)


def _entry_date(model: Model) -> str | None:
    """Return the date by which users came: the dimension made of the time column of the dataset of users."""
    for dataset in model.datasets:
        column = dataset.time.find(exp.Column) if dataset.entity and dataset.time is not None else None
        for dimension in dataset.dimensions if column is not None else ():
            if dimension.type == "date" and column is not None and column in dimension.expr.find_all(exp.Column):
                return dimension.name
    return None


def _counts_others(reading: Reading, position: int) -> bool:
    """Say whether what is counted is not the users' own coming: orders, but no sign-ups, cohorts or funnels."""
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    model, counted = reading.model, False
    for i, mention in enumerate(reading.mentions):
        if i == position or (mention.of("metric") and mention.is_word("entered")):
            continue
        if reading.is_people(mention):
            continue
        for target in mention.of("metric"):
            metric = model.metric_by_name.get(target.name.partition("[")[0])
            leaves = model.leaves(target.name)
            if metric is None or isinstance(metric, Funnel) or any(leaf.dataset in entities for leaf in leaves):
                return False
            counted = True
        counted = counted or any(t.name not in entities for t in mention.of("dataset"))
        if mention.is_word("step", "to") and any(t.name for t in mention.of("value")):
            return False
    return counted and not reading.steps


def read_hours(reading: Reading) -> None:
    """晚上8点到10点, from 8pm to 10pm: the hours of the day from the first to the one before the last."""
    for i, mention in enumerate(reading.mentions):
        if mention.number is None or not reading.free(i):
            continue
        between = {k for k in reading.near(i, -1, 1) if reading.mentions[k].is_word("between")}
        joints = ("to", "and") if between else ("to",)
        start = _hour(reading, i)
        if start is None and [k for k in reading.near(i, +1, 1) if between and reading.mentions[k].is_word("and")]:
            second = next((k for k in reading.near(i, +1, 2) if reading.mentions[k].number is not None), None)
            end = _hour(reading, second) if second is not None else None
            start = _hour(reading, i, like=end[1]) if end is not None else None  # between 9|and 11 in the morning
        if start is None:
            continue
        first, used = start
        last = first
        joint = reading.beside(max(used), +1)
        if joint is not None and reading.mentions[joint].is_word(*joints):
            number = next((k for k in reading.near(joint, +1, 2) if reading.mentions[k].number is not None), None)
            if number is not None and (end := _hour(reading, number, like=used)) is not None:
                last, used = end[0] - 1, used | end[1] | {joint} | between
        elif joint is not None and reading.mentions[joint].is_word("or_later"):
            last, used = 23, used | {joint}  # 晚上10点|以后
        elif joint is not None and reading.mentions[joint].is_word("leads_to"):
            first, last, used = 0, first - 1, used | {joint}  # 早上8点|之前
        elif (ahead := reading.beside(min(used), -1)) is not None and reading.mentions[ahead].is_word("goes_on", "leads_to"):
            first, last = (first, 23) if reading.mentions[ahead].is_word("goes_on") else (0, first - 1)
            used = used | {ahead}  # after|10pm
        if 0 <= first <= last <= 23:
            reading.hours = (first, last)
            reading.claim(*used)
            return


def _hour(reading: Reading, position: int, like: set[int] | None = None) -> tuple[int, set[int]] | None:
    """Return the hour of the day that a number means and the positions of its words; `like` those of the hour before it."""
    hour = reading.mentions[position].number or 0.0
    used = {position}
    for beside in (position - 1, position + 1):
        if 0 <= beside < len(reading.mentions) and reading.mentions[beside].is_word(
            "hour_unit", "morning", "afternoon"
        ):
            used.add(beside)
    words = [reading.mentions[k] for k in (*used, *(like or ()))]
    if not any(word.is_word("hour_unit", "morning", "afternoon") for word in words) or hour != int(hour):
        return None
    own = [reading.mentions[k] for k in used if reading.mentions[k].is_word("morning", "afternoon")]
    part = own or words
    later = any(word.is_word("afternoon") for word in part) and hour < 12
    return int(hour) + (12 if later else 0), used
