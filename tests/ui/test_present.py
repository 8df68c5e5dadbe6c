"""Checks what people see of an answer, apart from any door."""

import csv
import io
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenshu.assistant.answer import Answer, Definition, Period, Problem, Receipt
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text, same
from wenshu.tools.chart import Chart
from wenshu.ui.answer_html import answer_html, turn_html, welcome_html
from wenshu.ui.page_texts import group_examples
from wenshu.ui.present import (
    MAX_SHOWN_ROWS,
    Bullets,
    Choices,
    Grid,
    KeyFigure,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    ReceiptCard,
    Span,
    file_name,
    present,
    shown_table,
    to_csv,
    to_markdown,
)

CHANNEL = Column(
    name="channel", role="dimension", type="string", label=Text("channel", "渠道"),
    value_labels=(("douyin", Text("TikTok", "抖音")),),
)  # fmt: skip
MONTH = Column(name="month", role="time", type="date", label=Text("month", "月份"), grain=Grain.MONTH)
GMV = Column(name="gmv", role="metric", type="number", label=Text("GMV", "成交额"), unit="CNY", additive=True)
RATE = Column(name="rate", role="metric", type="number", label=Text("repurchase rate", "复购率"), unit="%")
CHANGE = Column(name="gmv_change", role="change", type="number", label=Text("change", "变化"), unit="%", metric="gmv")
CHART = Chart(
    kind="bar", x="channel", y=("gmv",), series=None, title="GMV", subtitle="", alt_text="GMV by channel.", reason=""
)  # fmt: skip
SPLIT = ResultTable(
    columns=(CHANNEL, GMV, RATE, CHANGE),
    rows=(("douyin", 1234.5, 0.2134, 0.05), ("=1+1", None, 0.0, -0.5), (None, 3, None, None)),
)
SERIES = ResultTable(
    columns=(MONTH, GMV), rows=((date(2026, 9, 1), 1), (date(2026, 10, 1), 2)), incomplete=(date(2026, 10, 1),)
)
RECEIPT = Receipt(
    definitions=(Definition(name="gmv", label="GMV", definition="Sum of paid amounts."),),
    period=Period(start=date(2026, 10, 1), end=date(2026, 10, 31), label="last month"),
    compared_period=Period(start=date(2026, 9, 1), end=date(2026, 9, 30), label="September (2026-09-01 – 2026-09-30)"),
    filters=("city is Paris",),
    sources=("orders", "users"),
    caveats=("1 % have no channel.",),
    assumptions=("Orders are dated by when they were placed.",),
    elapsed_ms=12.3,
)
ANSWER = Answer(
    id="1", status="answered", language="en", text="**GMV** was ¥1.\n\n- First\n- Second `x`", table=SPLIT, sql="SELECT 1",
    chart=CHART, receipt=RECEIPT, follow_ups=("and by city?",),
)  # fmt: skip


def texts(grid: Grid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.rows]


def test_cells_are_written_for_people_in_their_language() -> None:
    assert texts(shown_table(SPLIT, "zh")) == [
        ["抖音", "¥1,234.50", "21.3%", "+5.0%"],
        ["=1+1", "无数据", "0.0%", "-50.0%"],
        ["未知", "¥3.00", "无数据", "无数据"],
    ]
    assert texts(shown_table(SPLIT, "en"))[0] == ["TikTok", "¥1,234.50", "21.3%", "+5.0%"]
    assert shown_table(SPLIT, "zh").headers == ("渠道", "成交额", "复购率", "变化")
    assert shown_table(SPLIT, "zh").numeric == (False, True, True, True)


def test_cells_sort_by_their_value_not_by_their_looks() -> None:
    columns = zip(*shown_table(SPLIT, "en").rows, strict=True)
    assert [[cell.sort for cell in column] for column in columns] == [
        ["TikTok", "=1+1", None],
        [1234.5, None, 3],
        [0.2134, 0.0, None],
        [0.05, -0.5, None],
    ]


def test_an_incomplete_period_is_marked_and_explained() -> None:
    grid = shown_table(SERIES, "zh")
    assert texts(grid) == [["2026年9月", "¥1.00"], ["2026年10月 *", "¥2.00"]]
    assert grid.notes == ("* 该时段尚不完整。",)
    assert shown_table(replace(SERIES, incomplete=()), "zh").notes == ()


def test_a_long_table_is_cut_and_says_so() -> None:
    table = ResultTable(columns=(CHANNEL, GMV), rows=tuple((str(n), n) for n in range(500)), truncated=True)
    grid = shown_table(table, "en")
    assert len(grid.rows) == MAX_SHOWN_ROWS
    assert grid.row_count == 500
    assert "500" in grid.notes[0]
    assert len(grid.notes) == 2
    assert len(to_csv(table, "en").splitlines()) == 501


@pytest.mark.parametrize(("language", "head"), [("zh", ["渠道", "成交额 (CNY)", "复购率", "变化"]), ("en", ["channel", "GMV (CNY)", "repurchase rate", "change"])])  # fmt: skip
def test_csv_holds_raw_values_and_no_formula(language, head) -> None:
    raw = to_csv(SPLIT, language)
    assert raw.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))) == [
        head,
        ["douyin", "1234.5", "0.2134", "0.05"],
        ["'=1+1", "", "0.0", "-0.5"],
        ["", "3", "", ""],
    ]
    assert to_csv(SERIES, "en").decode("utf-8-sig").splitlines()[1] == "2026-09-01,1"


@given(st.text(min_size=1))
def test_csv_brings_any_name_back_and_never_a_formula(name) -> None:
    table = ResultTable(columns=(CHANNEL,), rows=((name,),))
    (_, row) = csv.reader(io.StringIO(to_csv(table, "en").decode("utf-8-sig"), newline=""))
    assert row[0].removeprefix("'") == name.removeprefix("'")
    assert row[0][0] not in "=+-@\t\r"


@given(st.text())
def test_a_file_name_is_safe_anywhere(question) -> None:
    name = file_name(question, "csv")
    assert name.startswith("wenshu")
    assert name.endswith(".csv")
    assert len(name) <= 64
    assert all(char.isalnum() or char in "_." for char in name)


def test_an_answer_reads_from_its_sentence_to_what_to_ask_next() -> None:
    blocks = present(ANSWER)
    assert [type(block) for block in blocks] == [Paragraph, Bullets, Picture, Grid, ReceiptCard, Choices]
    assert blocks[0] == Paragraph((Span("GMV", "strong"), Span(" was ¥1.")))
    assert blocks[1] == Bullets(((Span("First"),), (Span("Second "), Span("x", "code"))))
    receipt = blocks[4]
    assert receipt.entries == (
        ("Definition", ("GMV: Sum of paid amounts.",)),
        ("Dates", ("2026-10-01 – 2026-10-31 (last month)",)),
        ("Compared with", ("September (2026-09-01 – 2026-09-30)",)),
        ("Filters", ("city is Paris",)),
        ("Assumptions", ("Orders are dated by when they were placed.",)),
        ("Please note", ("1 % have no channel.",)),
        ("Tables", ("orders, users",)),
        ("Understood by", ("built-in rules",)),
        ("Time", ("12 ms",)),
    )
    assert receipt.sql == "SELECT 1"


def test_one_row_of_numbers_is_shown_large() -> None:
    before = Column(name="gmv_before", role="comparison", type="number", label=same("x"), unit="CNY", metric="gmv")
    table = ResultTable(columns=(GMV, before, CHANGE, RATE), rows=((1234.5, 1300, -0.05, None),))
    blocks = present(replace(ANSWER, table=table))
    (figures,) = [block for block in blocks if isinstance(block, KeyFigures)]
    assert figures.figures == (
        KeyFigure("GMV", "¥1,234.50", change="-5.0%", before="¥1,300.00", direction="down"),
        KeyFigure("repurchase rate", "no data"),
    )
    assert not any(isinstance(block, Picture | Grid) for block in blocks)
    assert "- GMV: **¥1,234.50** (-5.0%, ¥1,300.00)" in to_markdown(blocks)


@pytest.mark.parametrize("kind", ["table", "number"])
def test_no_picture_where_the_chart_is_none(kind) -> None:
    assert not any(isinstance(b, Picture) for b in present(replace(ANSWER, chart=replace(CHART, kind=kind))))


def test_no_table_where_nothing_was_found() -> None:
    blocks = present(replace(ANSWER, table=replace(SPLIT, rows=())))
    assert [type(block) for block in blocks] == [Paragraph, Bullets, ReceiptCard, Choices]


@pytest.mark.parametrize("status", ["refused", "error"])
def test_a_problem_is_told_once_with_its_hint(status) -> None:
    answer = Answer(
        id="1", status=status, language="zh", text="说一遍。\n\n再试试。",
        problem=Problem(code="x", message="说一遍。", hint="再试试。"),
    )  # fmt: skip
    assert present(answer) == (Notice(status, "说一遍。", "再试试。"),)


def test_options_follow_the_question_that_is_asked_back() -> None:
    answer = Answer(id="1", status="clarify", language="zh", text="哪一种留存？", options=("次日留存", "7日留存"))
    asked = Choices("options", "", ("次日留存", "7日留存"))
    assert present(answer) == (Paragraph((Span("哪一种留存？"),)), asked)
    assert present(replace(answer, text=""))[0] == replace(asked, title="您想问的是哪一个？")


def test_escaped_markdown_is_read_as_the_words_it_stands_for() -> None:
    text = r"\*\*not bold\*\* \[a\](http\://b) <b>x</b> ![y](http://z)"
    (paragraph,) = present(replace(ANSWER, text=text, table=None, receipt=None, follow_ups=()))
    assert paragraph == Paragraph((Span("**not bold** [a](http://b) <b>x</b> ![y](http://z)"),))


def test_markdown_holds_the_table_and_escapes_names() -> None:
    evil = "[click](http://evil) | <img> **x**"
    table = ResultTable(columns=(CHANNEL, GMV), rows=((evil, 1),))
    markdown = to_markdown(present(replace(ANSWER, table=table, sql="SELECT '```'")))
    assert "| channel | GMV |\n| --- | ---: |\n" in markdown
    (row,) = [line for line in markdown.splitlines() if "click" in line]
    assert row.replace(r"\|", "").count("|") == 3
    assert "[click]" not in row.replace(r"\[", "").replace(r"\]", "")
    assert "<img" not in row.replace(r"\<", "")
    assert "````sql\nSELECT '```'\n````" in markdown


class Tags(HTMLParser):
    """Reads HTML back: its tags, its attributes and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def shown_as_html(name: str) -> Tags:
    """Show an answer in which every text is `name`."""
    column = replace(CHANNEL, label=same(name), value_labels=(("raw", same(name)),))
    answer = replace(
        ANSWER,
        text=name,
        table=ResultTable(columns=(column, GMV), rows=((name, 1), ("raw", 2))),
        sql=name,
        chart=replace(CHART, alt_text=name, title=name),
        receipt=replace(RECEIPT, filters=(name,), sources=(name,), planner=name),
        options=(name,),
        follow_ups=(name,),
    )
    html = answer_html(
        present(answer), question=name, language="en", status="answered", csv=to_csv(answer.table, "en"), picture=lambda _: b"PNG"
    )  # fmt: skip
    return Tags(turn_html(name, html, "en") + welcome_html(group_examples((name,), "en"), "en"))


MARKUP = st.sampled_from(
    ['<img src=x onerror="alert(1)">', "</pre><script>", '"', "'", "&lt;", "<!--", "${a}", "`", "\n- "]
)


@given(st.lists(MARKUP | st.text(min_size=1), min_size=1).map("".join))
def test_whatever_a_name_is_the_page_has_the_same_elements(name) -> None:
    shown, plain = shown_as_html(name), shown_as_html("plain")
    prose = {"p", "ul", "li", "strong", "code"}  # the answer's own text may be laid out in these
    assert set(shown.tags) <= set(plain.tags) | prose
    assert [tag for tag in shown.tags if tag not in prose] == [tag for tag in plain.tags if tag not in prose]
    assert {key for key, _ in shown.attributes} == {key for key, _ in plain.attributes}
    assert not any(key.startswith("on") for key, _ in shown.attributes)
    addresses = [value for key, value in shown.attributes if key in ("src", "href")]
    assert all(
        str(value).startswith(("data:image/png;base64,", "data:text/csv;charset=utf-8;base64,")) for value in addresses
    )


def test_examples_are_grouped_and_none_is_lost() -> None:
    questions = ("上个月各渠道的成交额", "各渠道的7日留存率", "最近12周每周的活跃用户数", "昨天的订单数")
    assert group_examples(questions, "zh") == (
        ("留存与转化", ("各渠道的7日留存率",)),
        ("趋势与对比", ("最近12周每周的活跃用户数",)),
        ("拆分与排名", ("上个月各渠道的成交额",)),
        ("更多", ("昨天的订单数",)),
    )


def count(metric: str, name: str, en: str, zh: str, unit: str | None = None) -> Column:
    label = Text(f"repurchase rate: {en}", f"复购率：{zh}")
    return Column(name=f"{metric}_{name}", role="count", type="number", label=label, unit=unit, metric=metric)


COUNTS = (count("rate", "cohort", "cohort", "同期群人数"), count("rate", "retained", "retained", "留存人数"),
          count("rate", "left_out", "left out, not mature yet", "未成熟（未计入）"))  # fmt: skip


def test_counts_have_short_heads_and_those_that_say_nothing_stay_out() -> None:
    table = ResultTable(columns=(CHANNEL, RATE, *COUNTS), rows=(("douyin", 0.25, 400, 100, 0), (None, 0.1, 10, 1, 0)))
    grid = shown_table(table, "zh")
    assert grid.headers == ("渠道", "复购率", "同期群人数", "留存人数")
    assert texts(grid)[0] == ["抖音", "25.0%", "400", "100"]
    some = replace(table, rows=(("douyin", 0.25, 400, 100, 3),))
    assert shown_table(some, "en").headers == (
        "channel",
        "repurchase rate",
        "cohort",
        "retained",
        "not mature, left out",
    )
    assert len(to_csv(table, "zh").decode("utf-8-sig").splitlines()[0].split(",")) == 5  # the data keep all


def test_heads_name_the_metric_where_there_are_two_with_counts() -> None:
    other = replace(RATE, name="other", label=Text("churn", "流失率"))
    beside = Column(
        name="other_cohort",
        role="count",
        type="number",
        label=Text("churn: cohort", "流失率：同期群人数"),
        metric="other",
    )
    table = ResultTable(columns=(CHANNEL, RATE, COUNTS[0], other, beside), rows=(("douyin", 0.25, 400, 0.5, 10),))
    assert shown_table(table, "zh").headers == ("渠道", "复购率", "复购率：同期群人数", "流失率", "流失率：同期群人数")


def test_a_funnel_table_hides_the_number_of_a_step_and_writes_short_times() -> None:
    step = Column(name="funnel_step", role="dimension", type="string", label=Text("step", "步骤"))
    columns = (
        step, RATE, count("rate", "converted", "users", "人数"),
        count("rate", "median_hours", "median hours from the step before", "距上一步中位时长", "hour"),
        count("rate", "place", "step number", "步骤序号"),
    )  # fmt: skip
    table = ResultTable(columns=columns, rows=(("visit", 1.0, 10, None, 1), ("pay", 0.5, 5, 0.05, 2)))
    grid = shown_table(table, "zh")
    assert grid.headers == ("步骤", "较第一步", "人数", "距上一步中位时长")
    assert texts(grid) == [["visit", "100.0%", "10", "无数据"], ["pay", "50.0%", "5", "3 分钟"]]


def test_a_key_figure_carries_its_counts() -> None:
    table = ResultTable(columns=(RATE, *COUNTS), rows=((0.25, 400, 100, 0),))
    blocks = present(replace(ANSWER, table=table, language="zh"))
    (figures,) = [block for block in blocks if isinstance(block, KeyFigures)]
    assert figures.figures == (KeyFigure(label="复购率", value="25.0%", counts="同期群人数 400 · 留存人数 100"),)
    assert "同期群人数 400" in to_markdown(blocks)
