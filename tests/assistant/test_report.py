"""Reports before any data: their periods, their templates, and the number that is explained."""

from datetime import date

import pytest

from wenshu.assistant.answer import Answer
from wenshu.assistant.report import _most_changed
from wenshu.assistant.report_periods import last_whole, report_period
from wenshu.assistant.report_templates import SLOTS, parse_reports, report_template, report_templates
from wenshu.semantic_layer.errors import ModelError, QueryError
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import same

AS_OF = date(2026, 10, 31)  # a Saturday
COVERAGE = DateRange(date(2025, 9, 1), AS_OF)


def period(words: str | None, language: str = "en", as_of: date = AS_OF):
    return report_period(words, as_of=as_of, coverage=COVERAGE, language=language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "code", "start", "end"),
    [
        (None, "2026-W43", "2026-10-19", "2026-10-25"),
        ("2026-W44", "2026-W44", "2026-10-26", "2026-10-31"),  # as far as it goes
        ("2026w01", "2026-W01", "2025-12-29", "2026-01-04"),
        ("last week", "2026-W43", "2026-10-19", "2026-10-25"),
        ("上周", "2026-W43", "2026-10-19", "2026-10-25"),
        ("上个月", "2026-09", "2026-09-01", "2026-09-30"),
        ("this month", "2026-10", "2026-10-01", "2026-10-31"),
        ("2026-10-01_2026-10-11", "2026-10-01_2026-10-11", "2026-10-01", "2026-10-11"),
        ("2026-10-01 to 2026-10-11", "2026-10-01_2026-10-11", "2026-10-01", "2026-10-11"),
    ],
)
def test_a_period_is_named_and_its_name_names_it_again(words, code, start, end):
    found = period(words, "zh" if words and not words.isascii() else "en")
    assert found.code == code
    assert found.dates == DateRange(date.fromisoformat(start), date.fromisoformat(end))
    assert period(found.code) == found


@pytest.mark.parametrize("words", ["2026-W60", "2026-10-11_2026-10-01", "GMV", "last week in Shanghai", "", "<b>"])
def test_words_that_name_no_period_are_refused(words):
    with pytest.raises(QueryError) as refused:
        period(words)
    assert refused.value.code == "invalid_period"


@pytest.mark.parametrize("words", ["2024-W01", "2031-W01"])
def test_a_period_without_data_is_refused_with_those_there_are(words):
    with pytest.raises(QueryError) as refused:
        period(words)
    assert refused.value.code == "outside_data" and "2025-09-01" in refused.value.hint.en


def test_a_week_is_held_against_the_same_weekdays_a_year_ago():
    around = last_whole(AS_OF).around(COVERAGE.start)
    then = around["year_ago"]
    assert isinstance(then, DateRange) and str(then) == "2025-10-20 – 2025-10-26" and then.start.weekday() == 0
    assert str(around["lately"]) == "2026-08-03 – 2026-10-25"
    assert str(around["months"]) == "2026-04-01 – 2026-09-30", "the month that is not over is not among them"


def test_months_are_settled_once_everybody_had_the_time():
    week, before = last_whole(AS_OF), COVERAGE.start
    assert str(week.months(before, date(2026, 9, 30))) == str(week.months(before)) == "2026-04-01 – 2026-09-30"
    assert str(week.months(before, date(2026, 9, 29))) == "2026-03-01 – 2026-08-31"
    assert week.months(date(2026, 10, 2)) is None


def test_what_lies_before_the_data_is_not_shown():
    around = last_whole(AS_OF).around(date(2026, 9, 30))
    assert "year_ago" not in around
    assert str(around["lately"]) == "2026-10-05 – 2026-10-25", "weeks begin on Monday, and only whole ones count"
    month = last_whole(AS_OF, Grain.MONTH).around(date(2026, 1, 15))
    assert str(month["lately"]) == "2026-02-01 – 2026-10-31", "months begin on the first"


# templates ------------------------------------------------------------------------------------------------------------

OWN = """
mine:
  title: Mine
  sections:
    - {title: "{main}", ask: [{query: {metrics: ["{main}"], period: "{period}"}}]}
"""


def test_the_built_in_report_reads_and_uses_no_name_of_any_model():
    weekly = report_template("weekly", report_templates("shop"))
    assert len(weekly.sections) > 8 and weekly.text.startswith("#")
    assert parse_reports(weekly.text, "copy.yml") == {"weekly": weekly}, "a copy of it is the same report"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "word"),
    [
        ("  title: Mine", "  titel: Mine", 3, "titel"),
        ("{main}\"], period", "{mian}\"], period", 2, "{mian}"),
        ("query: {metrics: [\"{main}\"], period: \"{period}\"}", "saved: x, question: y", 5, "one of question, saved and query"),
        ("mine:", "Mine Own:", 2, "no name"),
        ("ask: [{query: {metrics: [\"{main}\"], period: \"{period}\"}}]", "ask: []", 5, "ask"),
        ("ask: [{query", "ask: [{analysis: magic, query", 5, "analysis"),
        (OWN, "- 1", 1, "no report"),
        (OWN, "mine: [", 2, "YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(was, becomes, line, word):
    assert was in OWN
    with pytest.raises(ModelError) as wrong:
        parse_reports(OWN.replace(was, becomes), "mine.yml")
    said = str(wrong.value.message)
    assert wrong.value.code == "report_invalid" and word in said
    assert f"mine.yml:{line}:" in said


def test_reports_of_a_folder_win(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.yml").write_text(OWN.replace("mine", "weekly"), "utf-8")
    assert report_templates("shop", tmp_path)["weekly"].title == same("Mine")
    assert report_templates("cdnow", tmp_path)["weekly"].title != same("Mine")
    with pytest.raises(QueryError, match="weekly"):
        report_template("weekyl", report_templates("shop", tmp_path))


def test_every_slot_is_told():
    from pathlib import Path

    told = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    assert not [slot for slot in SLOTS if f"`{{{slot}}}`" not in told]


# which number is explained --------------------------------------------------------------------------------------------


def figures(**values: tuple[float, float]) -> Answer:
    columns, row = [], []
    for name, (now, before) in values.items():
        for role, end, cell in (("metric", "", now), ("comparison", "_previous", before)):
            columns.append(
                Column(
                    name=f"{name}{end}",
                    role=role,
                    type="number",
                    label=same(name),
                    metric=None if role == "metric" else name,
                )
            )
            row.append(cell)
    query = Query(metrics=tuple(values), compare=Compare.PREVIOUS)
    return Answer(
        id="1",
        status="answered",
        language="en",
        query=query,
        table=ResultTable(columns=tuple(columns), rows=(tuple(row),)),
    )


def series(**values: list[float]) -> Answer:
    columns = tuple(Column(name=name, role="metric", type="number", label=same(name)) for name in values)
    rows = tuple(zip(*values.values(), strict=True))
    query = Query(metrics=tuple(values), grain=Grain.WEEK)
    return Answer(id="2", status="answered", language="en", query=query, table=ResultTable(columns=columns, rows=rows))


STEADY, WILD = [100, 101, 100, 102, 101, 100, 110], [100, 130, 110, 140, 100, 125, 160]


def test_the_first_that_moved_beyond_its_usual_is_explained():
    both = [figures(wild=(160, 120), steady=(110, 100)), series(wild=WILD, steady=STEADY)]
    assert _most_changed(both, lambda name: True) == "steady", "a third more is nothing new where that is usual"
    assert _most_changed(both, lambda name: name != "steady") == "wild"
    assert _most_changed(both[:1], lambda name: True) == "wild", "without a series the larger change"
    assert _most_changed(both, lambda name: False) is None
    assert _most_changed([figures(gone=(5, 0))], lambda name: True) is None
