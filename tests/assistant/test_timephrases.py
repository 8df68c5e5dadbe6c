"""Time phrases: rows of data in both languages, and what holds on every day of the calendar."""

from datetime import date, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wenshu.assistant.question import language_of, normalise
from wenshu.assistant.timephrases import TimePhrase, find_time_phrases
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import Grain, add_months, bucket

ROWS = yaml.safe_load((Path(__file__).parent / "timephrases.yml").read_text())
TODAY = date(2026, 10, 31)
days = st.dates(date(2016, 1, 1), date(2035, 12, 31))
every_row = pytest.mark.parametrize(
    ("language", "row"), [pytest.param(language, row, id=row["ask"]) for language in ROWS for row in ROWS[language]]
)


def find(question: str, as_of: date = TODAY, **reading) -> tuple[TimePhrase, ...]:
    return find_time_phrases(normalise(question), as_of=as_of, language=language_of(question), **reading)


def period(question: str, as_of: date = TODAY, **reading) -> tuple[date, date]:
    [phrase] = find(question, as_of, **reading)
    return phrase.period.start, phrase.period.end


def written(phrase: TimePhrase) -> str:
    """Write a phrase as the rows do."""
    words = [phrase.text, "="]
    if phrase.period:
        start, end = phrase.period.start, phrase.period.end
        words.append(f"{start}..{end}" if start < end else str(start))
    words += [f"by {phrase.grain}"] if phrase.grain else []
    words += ["on " + "+".join(map(str, sorted(phrase.weekdays)))] if phrase.weekdays else []
    words += [f"part {phrase.part}"] if phrase.part else []
    words += [f"{phrase.to_date} to date"] if phrase.to_date else []
    words += ["rolling"] if phrase.rolling else []
    return " ".join(words)


@every_row
def test_row(language, row):
    as_of = row.get("as_of", TODAY)
    if "error" in row:
        with pytest.raises(QueryError) as caught:
            find_time_phrases(normalise(row["ask"]), as_of=as_of, language=language)
        assert caught.value.code == row["error"]
    else:
        found = find_time_phrases(normalise(row["ask"]), as_of=as_of, language=language)
        assert [written(phrase) for phrase in found] == row["find"]


def test_both_languages_are_well_covered():
    assert all(len([row for row in ROWS[language] if row.get("find")]) >= 100 for language in ("zh", "en"))


@pytest.mark.parametrize("question", ["2月30日的GMV", "orders on February 30"])
def test_an_impossible_date_is_named_in_both_languages(question):
    with pytest.raises(QueryError) as caught:
        find(question)
    named = "2月30日" if "月" in question else "february 30"
    assert named in caught.value.message.zh and named in caught.value.message.en
    assert caught.value.hint.zh and caught.value.hint.en


@pytest.mark.parametrize(
    ("question", "day_first", "expected"),
    [
        ("orders on 1/9/2026", False, date(2026, 1, 9)),
        ("orders on 1/9/2026", True, date(2026, 9, 1)),
        ("orders on 1/9", True, date(2026, 9, 1)),
        ("1/9/2026的订单", False, date(2026, 9, 1)),
        ("1/9的订单", False, date(2026, 1, 9)),
        ("orders on 13/9/2026", False, date(2026, 9, 13)),
    ],
)
def test_order_of_day_and_month(question, day_first, expected):
    assert period(question, day_first=day_first) == (expected, expected)


@given(days, st.integers(1, 400))
def test_last_n_days_end_on_as_of(as_of, n):
    assert period(f"近{n}天的GMV", as_of) == (as_of - timedelta(n - 1), as_of)
    assert period(f"GMV in the last {n} days", as_of) == (as_of - timedelta(n - 1), as_of)


@given(days, st.integers(1, 12))
def test_a_month_without_a_year_is_the_latest_that_has_begun(as_of, month):
    start, end = period(f"{month}月的订单", as_of)
    assert start.month == end.month == month and start.day == 1 and (end + timedelta(1)).day == 1
    assert start <= as_of < add_months(start, 12)


@given(days, days)
def test_an_iso_date_is_itself(as_of, day):
    assert period(f"{day}的订单", as_of) == period(f"orders on {day}", as_of) == (day, day)


@given(days)
def test_calendar_units_beside_today(as_of):
    for unit, zh in ((Grain.WEEK, "周"), (Grain.MONTH, "月"), (Grain.QUARTER, "季度")):
        start = bucket(as_of, unit).start
        before = bucket(start - timedelta(1), unit)
        assert period(f"本{zh}GMV", as_of) == (start, as_of)
        assert period(f"上{zh}GMV", as_of) == (before.start, before.end)


@pytest.mark.parametrize(
    ("zh", "en"),
    [
        ("上周", "last week"),
        ("上上周", "the week before last"),
        ("本季度", "this quarter"),
        ("去年", "last year"),
        ("今年以来", "year to date"),
        ("昨天", "yesterday"),
        ("前天", "the day before yesterday"),
        ("上周五", "last friday"),
        ("近6个月", "the last six months"),
        ("过去半年", "the past half year"),
        ("去年第三季度", "the third quarter of last year"),
        ("上半年", "first half of the year"),
        ("9月1日到15日", "september 1 to 15"),
        ("8月上旬", "early august"),
        ("8月底", "end of august"),
        ("9月的第一周", "the first week of september"),
        ("9月最后三天", "the last 3 days of september"),
        ("去年双十一", "singles' day last year"),
        ("国庆", "golden week"),
        ("自3月以来", "since march"),
        ("截至6月底", "until the end of june"),
        ("2月29日", "february 29"),
    ],
)
@given(days)
def test_the_two_languages_agree(zh, en, as_of):
    assert period(f"{zh}的GMV", as_of) == period(f"gmv for {en}" if "since" not in en else f"gmv {en}", as_of)


WORDS = """近 最近 过去 上 上上 本 去年 今年 2026年 9月 13月 2月30日 15号 第一周 前 3 三 天 个月 周 季度 年 半年 到 从 和 以来 之前
截至 至今 每 各 按 周五 周末 工作日 双十一 春节 十一 的 GMV 留存 内 last this next the week of month quarter years days 7 30 2026 09
sep may february 30th first third half to from between and since until before after ago early end q3 h1 9/1 1.5 - ~ , ( ) 'friday
weekend by daily every now today 2026-02-31 20260901 00 9999 ’ 🙂""".split()


@given(days, st.lists(st.sampled_from(WORDS), max_size=9), st.sampled_from(["", " "]))
def test_whatever_is_asked_phrases_stand_in_order_or_the_date_is_refused(as_of, words, blank):
    text = normalise(blank.join(words))
    try:
        found = find_time_phrases(text, as_of=as_of, language=language_of(text))
    except QueryError as error:
        assert error.code == "invalid_date"
        return
    ends = [0, *(place for phrase in found for place in (phrase.start, phrase.end))]
    assert ends == sorted(ends)
    for phrase in found:
        assert phrase.text and phrase.text == text[phrase.start : phrase.end] == phrase.text.strip()
        meanings = (phrase.period, phrase.grain, phrase.weekdays, phrase.part)
        assert sum(meaning is not None for meaning in meanings) == 1


def test_a_question_takes_milliseconds():
    find("GMV")  # compiles the rules
    took = []
    for row in ROWS["zh"] + ROWS["en"]:
        if "find" in row:
            began = perf_counter()
            find(row["ask"], row.get("as_of", TODAY))
            took.append(perf_counter() - began)
    assert median(took) < 0.002
