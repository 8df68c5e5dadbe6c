"""The weekly report over a small shop: every section with its receipt, in one file in which nothing runs, for whoever may see it."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
import yaml
from markdown_it import MarkdownIt

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.planner import Step
from wenshu.assistant.question import Question
from wenshu.assistant.report import SECTION
from wenshu.assistant.report_templates import parse_reports, report_templates
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.cancellation import cancelled_by
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model, parse_model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.text import same
from wenshu.ui.cli import main
from wenshu.ui.entrance import open_to_all
from wenshu.ui.print_pdf import print_pdf
from wenshu.ui.report_page import ReportDesk, report_form
from wenshu.ui.reports import Document, documents
from wenshu.ui.workspace import database_of

MADE = datetime(2026, 11, 2, 9)
HOSTILE = '<script>alert(1)</script><img src="https://evil.example/x" onerror=alert(2)> | **b** [x](javascript:y)'
WHOLE = {"html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "div", "h1", "h2", "h3", "p", "ul", "li", "a", "strong", "span",
         "code", "svg", "polyline", "circle", "details", "summary", "dl", "dt", "dd", "pre", "figure", "img", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip


class Seen(HTMLParser):
    """What a browser makes of a file: its tags, where they lead, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.leads, self.handlers, self.text = set[str](), list[str](), list[str](), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.add(tag)
        self.leads += [value or "" for name, value in attributes if name in ("href", "src")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data) -> None:
        self.text += data


@pytest.fixture(scope="session")
def shop_file(assistant) -> Path:
    return database_of("shop")


def written(assistant, template=None, *, language="en", period=None) -> Document:
    template = template or report_templates("shop")["weekly"]
    *_, document = documents(
        template, open_to_all(assistant), assistant, period=period, language=language, user=None, made=MADE
    )
    assert isinstance(document, Document)
    return document


@pytest.fixture(scope="session")
def english(assistant) -> Document:
    return written(assistant)


def test_every_section_stands_there_with_its_receipt(english, shop_file):
    report, seen = english.report, Seen(english.html)
    titles = [chapter.title for chapter in report.chapters]
    assert titles[0] == "Headline numbers" and len(titles) >= 10 and not report.withheld
    for word in (
        "Why ",
        "unusual",
        "Retention",
        "Repurchase",
        "acquisition channel",
        "product",
        "experiments",
        "Campaigns",
    ):
        assert any(word in title for title in titles), word
    assert english.html.count('class="receipt"') == sum(len(chapter.answers) for chapter in report.chapters)
    assert english.html.count("<pre><code>") == english.html.count('class="receipt"'), "each with the SQL that ran"
    with duckdb.connect(str(shop_file), read_only=True) as connection:
        [(gmv,)] = connection.execute(
            "SELECT sum(amount) FROM orders WHERE paid_at IS NOT NULL AND ordered_at >= '2026-10-19' AND ordered_at < '2026-10-26'"
        ).fetchall()
    assert f"¥{float(gmv):,.2f}" in seen.text and f"**¥{float(gmv):,.2f}**" in english.markdown
    assert "vs the week before" in seen.text and "vs a year ago" in seen.text
    assert "2026-10-19 – 2026-10-25" in seen.text and "2026-11-02 09:00" in seen.text


def test_the_file_needs_nothing_and_runs_nothing(english):
    seen = Seen(english.html)
    assert seen.tags <= WHOLE and not seen.handlers
    assert all(lead.startswith(("#part-", "data:image/svg+xml;base64,")) for lead in seen.leads)
    assert "default-src 'none'" in english.html and "url(" not in english.html and "@import" not in english.html


def test_in_chinese_nothing_is_english(assistant):
    document = written(assistant, language="zh")
    said = Seen(
        re.sub(r"<(pre|style|dl)\b.*?</\1>", "", document.html, flags=re.DOTALL)
    ).text  # SQL, names of tables and titles of papers are as they are
    assert "增长周报" in said and "较上周" in said and "较去年同期" in said
    assert not re.findall(r"[A-Za-z]+ [a-z]+", said)


def test_names_of_the_data_are_data(shop_file, tmp_path):
    path = tmp_path / "hostile.duckdb"
    path.write_bytes(shop_file.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE products SET name = ? || product_id", [HOSTILE])
        connection.execute("UPDATE campaigns SET name = ? || campaign_id", [HOSTILE])
    layer = loaded(path)
    try:
        document = written(Assistant(layer, RulesPlanner(layer)), hostile_template())
    finally:
        layer.engine.close()
    seen = Seen(document.html)
    assert "<script>alert(1)</script>" in seen.text, "it is there to be read"
    assert (
        seen.tags <= WHOLE
        and not seen.handlers
        and not [lead for lead in seen.leads if "evil" in lead or "javascript" in lead]
    )
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(document.markdown)
    inside = [child for token in tokens for child in token.children or ()]
    assert not [each for each in inside if each.type in ("link_open", "image", "html_inline")]


def hostile_template():
    weekly = report_templates("shop")["weekly"]
    wanted = ("{product}", "Campaigns")
    kept = tuple(section for section in weekly.sections if any(word in section.title.en for word in wanted))
    return replace(weekly, title=same(HOSTILE), sections=kept)


def loaded(path: Path, model=None) -> SemanticLayer:
    from wenshu.semantic_layer.engine import DuckDBEngine

    return SemanticLayer(model or load_model("shop"), DuckDBEngine(path), clock=lambda: MADE.date())


def test_what_a_model_lacks_is_left_out(shop_file):
    """A model of orders alone has no registrations, no funnel and no campaigns; asking for them is no part of its report."""
    model = parse_model(
        """
name: few
label: Few
timezone: Asia/Shanghai
as_of: latest
datasets:
  orders: {source: orders, primary_key: order_id, time: ordered_at, label: orders, dimensions: {platform: {label: platform}}}
metrics:
  amount: {type: sum, dataset: orders, expr: amount, unit: CNY, label: amount}
  orders: {type: count, dataset: orders, label: orders}
  mean: {type: ratio, numerator: amount, denominator: orders, unit: CNY, label: mean amount}
""",
        "few.yml",
    )
    layer = loaded(shop_file, model)
    try:
        report = written(Assistant(layer, RulesPlanner(layer))).report
    finally:
        layer.engine.close()
    titles = [chapter.title for chapter in report.chapters]
    assert titles[:2] == ["Headline numbers", "Amount, day by day"] and "By platform" in titles
    assert not [
        title for title in titles if re.search("Retention|Repurchase|Conversion|sellers|experiments|Campaigns", title)
    ]
    assert "mean_previous" in {column.name for column in report.chapters[0].answers[0].table.columns}


OWN = """
mine:
  title: Mine
  sections:
    - {title: "{main} in {period}", ask: [{question: {en: "GMV by channel {period}", zh: "{period}各渠道的成交额"}}]}
    - {title: Saved, ask: [{saved: top_products, set: {n: 3}}]}
    - {title: Nobody knows, ask: [{question: "the weather in {period}"}]}
    - {title: No such metric, ask: [{query: {metrics: [no_such], period: "{period}"}}]}
    - {title: Nothing there, ask: [{query: {metrics: [gmv], filters: {dimension: city, value: Atlantis}, period: "{period}"}}]}
    - {title: "Gone {changed}", ask: [{query: {metrics: ["{changed}"]}}]}
"""


def test_a_report_of_ones_own(assistant):
    template = parse_reports(OWN, "mine.yml")["mine"]
    steps = list(
        documents(template, open_to_all(assistant), assistant, period="2026-09", language="zh", user=None, made=MADE)
    )
    report = steps[-1].report
    asked, saved, *others = report.chapters
    assert [c.name for c in asked.answers[0].table.columns] == ["channel", "gmv"] and asked.answers[
        0
    ].receipt.period.start.month == 9
    assert len(saved.answers[0].table.rows) == 3 and saved.answers[0].receipt.verified
    assert [chapter.title for chapter in others] == ["Nobody knows", "No such metric", "Nothing there"], (
        "what was asked for by name is said"
    )
    assert all(chapter.note and not chapter.answers for chapter in others)
    told = [step.text.zh for step in steps if isinstance(step, Step) and step.key == SECTION]
    assert told == [
        "1/6 成交额 in 2026-09-01 – 2026-09-30",
        "2/6 Saved",
        "3/6 Nobody knows",
        "4/6 No such metric",
        "5/6 Nothing there",
    ]


def test_a_report_ends_when_nobody_waits(assistant):
    from threading import Event

    given_up = Event()
    given_up.set()
    with cancelled_by(given_up), pytest.raises(EngineError) as ended:
        written(assistant, period="2026-W30")
    assert ended.value.code == "cancelled"


@pytest.mark.parametrize(
    ("text", "period"),
    [("给我上周的周报", "2026-W43"), ("写一份周报", "2026-W43"), ("第41周的周报", "2026-W41"), ("weekly growth report", "2026-W43"),
     ("this week's weekly report", "2026-W44"), ("上海的周报", None), ("GMV last week", None)],
)  # fmt: skip
def test_a_report_that_is_asked_for_is_pointed_to(assistant, text, period):
    answer = assistant.ask(Question(text=text))
    assert answer.status == "answered" and answer.report == period
    if "上海" in text:
        assert answer.query.filters is not None, "the whole's numbers are not Shanghai's"
    elif period == "2026-W43":
        assert answer.query.period == DateRange(datetime(2026, 10, 19).date(), datetime(2026, 10, 25).date())


# the page -------------------------------------------------------------------------------------------------------------


def test_the_form_offers_weeks_and_months_there_are(assistant):
    shown = report_form(assistant, "en", begin="2026-W43")
    values = re.findall(r'<option value="([^"]+)"', shown)
    assert values[:2] == ["2026-W43", "2026-W42"] and "2026-09" in values and values.count("2026-W43") == 1
    assert HOSTILE not in report_form(assistant, "en", begin=HOSTILE)


@pytest.mark.parametrize(
    ("sent", "last"),
    [
        ({"period": "2026-W43", "lang": "en"}, "html"),
        ({"period": "2031-W01", "lang": "en"}, "failed"),
        ({"name": "x"}, "failed"),
        ("no object", "html"),
    ],  # fmt: skip
)
def test_the_page_is_told_step_by_step(assistant, sent, last):
    import anyio

    async def read() -> list[dict]:
        desk = ReportDesk(open_to_all(assistant), lambda: MADE)
        return [json.loads(line) async for line in desk.lines(None, sent) if line.strip()]

    with ThreadPoolExecutor(1) as elsewhere:  # the browser of other tests has this thread's event loop
        news = elsewhere.submit(anyio.run, read).result()
    assert last in news[-1]
    assert [each for each in news if "section" in each][:1] == (
        [{"section": "1/11 Headline numbers"}] if last == "html" else []
    )


def test_it_prints_where_there_is_a_browser(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError) as missing:
        print_pdf("<h1>x</h1>", tmp_path / "x.pdf")
    assert missing.value.code == "no_browser" and not (tmp_path / "x.pdf").exists()


@pytest.mark.browser
def test_a_page_becomes_a_pdf(tmp_path):
    print_pdf("<!doctype html><h1>周报</h1>", tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


# the command ----------------------------------------------------------------------------------------------------------


def call(*arguments: object) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(["report", *map(str, arguments)])
    for stream in (out, err):
        stream.flush()
    return left.value.code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


@pytest.fixture
def at_home(shop_file, tmp_path, monkeypatch):
    monkeypatch.setenv("WENSHU_HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    return lambda *arguments: call("--db", shop_file, *arguments)


def test_the_command_writes_files_and_the_log(at_home, tmp_path):
    (tmp_path / "mine.yml").write_text(OWN, "utf-8")
    code, out, _ = at_home(
        "--template", tmp_path / "mine.yml", "--output", tmp_path / "mine.html", "--week", "2026-W40"
    )
    assert code == 0 and "mine.html" in out
    assert (tmp_path / "mine.html").read_text("utf-8").startswith("<!doctype html>")
    assert not list(tmp_path.glob(".mine*")), "nothing is left beside it"
    log = [json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert {entry["door"] for entry in log} == {"report"} and len(log) == 5, "a line for each answer"
    code, out, _ = at_home("--template", tmp_path / "mine.yml", "--lang", "zh")
    assert code == 0 and out.startswith("# Mine\n") and "## Saved" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--week", "2026-W43", "--period", "last month"), 2, "one of --week and --period"),
        (("--output", "report.doc"), 2, ".html, .md or .pdf"),
        (("--output", "nowhere/report.html"), 5, "nowhere/report.html"),
        (("--week", "W99"), 4, "W99"),
        (("--week", "2031-W01"), 4, "The data run from"),
        (("weakly",), 4, "weekly"),
        (("--template", "missing.yml"), 5, "missing.yml"),
        (("--user", "nobody", "--model", "nothing.yml"), 5, "nothing.yml"),
    ],
)
def test_what_cannot_be_is_said(at_home, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    left, out, err = at_home(*arguments)
    assert (left, out) == (code, "") and said in err and "Traceback" not in err


def test_the_template_is_printed_to_be_edited(at_home, tmp_path):
    code, out, _ = at_home("--show-template")
    assert code == 0 and set(yaml.safe_load(out)) == {"weekly"}
    place = tmp_path / "reports" / "shop"
    place.mkdir(parents=True)
    (place / "short.yml").write_text(OWN.replace("mine", "short").split("    - {title: Saved")[0], "utf-8")
    code, out, _ = at_home("short", "--lang", "en")
    assert code == 0 and out.startswith("# Mine\n")
    (place / "broken.yml").write_text("x: {title: y}", "utf-8")
    code, _, err = at_home("short")
    assert code == 5 and "broken.yml:1:" in err
