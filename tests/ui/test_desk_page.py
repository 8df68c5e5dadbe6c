"""Drives what stands beside the conversation on the real page: history, an answer's actions, saved questions, board, metrics."""

import io
from collections.abc import Iterator

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Locator, Page

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.template_files import Templates
from wenshu.assistant.template_planner import TemplatePlanner
from wenshu.semantic_layer.text import Text
from wenshu.ui.entrance import Entrance

from .conftest import served

pytestmark = pytest.mark.browser

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
PLACES = pytest.mark.parametrize(("language", "viewport"), [("zh", DESKTOP), ("en", PHONE)], ids=["zh-desktop", "en-phone"])
FIRST = Text("GMV by channel last month", "上个月各渠道的成交额")
EARLIER = Text("GMV by channel in August 2026", "2026年8月各渠道的成交额")
FOLLOW = Text("and by city?", "按城市呢？")
OTHER = Text("Monthly GMV in 2026", "2026年每月成交额趋势")
AUGUST = "2026-08-01 – 2026-08-31"


@pytest.fixture(scope="module")
def templates(assistant, tmp_path_factory) -> Templates:
    return Templates(assistant.model, tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def desk_address(assistant, templates) -> Iterator[str]:
    """Serve the page to people whom a proxy names; each test is a person of its own."""
    answering = Assistant(assistant.layer, TemplatePlanner(RulesPlanner(assistant.layer), templates, assistant.layer))
    with served(Entrance(assistant_for=lambda name: answering, header="x-user")) as url:
        yield url


@pytest.fixture
def at_desk(visit, desk_address, request):
    """Return a function that opens the page as somebody; without a name, as the test's own person."""

    def open_page(language: str, viewport=DESKTOP, name: str = ""):
        visited = visit(
            desk_address, language, viewport=viewport, permissions=["clipboard-read", "clipboard-write"],
            extra_http_headers={"x-user": name or "".join(filter(str.isalnum, request.node.name))},
        )  # fmt: skip
        visited.page.wait_for_selector("#side .way", state="attached")
        return visited

    return open_page


def beside(page: Page, selector: str) -> Locator:
    """Return what stands beside the conversation, after opening the drawer where it is one."""
    if page.locator("#menu").is_visible() and not page.locator("#side.open").count():
        page.click("#menu")
    return page.locator("#side").locator(selector)


def questions(page: Page) -> list[str]:
    return [each.get_attribute("data-question") for each in page.locator(".thread h2.question").all()]


def told(page: Page) -> str:
    page.wait_for_selector("#toast.shown")
    return page.locator("#toast").inner_text()


def no_wider_than_the_window(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@PLACES
def test_conversations_are_kept_opened_and_put_in_order(at_desk, language, viewport) -> None:
    visited = at_desk(language, viewport)
    page = visited.page
    visited.answer(visited.ask(EARLIER.in_(language)))
    visited.answer(visited.ask(FOLLOW.in_(language)))
    asked = questions(page)

    page.reload()
    visited.answer(2)
    assert questions(page) == asked, "a reload comes back to where it was"
    page.locator('[data-turn="2"] figure').scroll_into_view_if_needed()
    page.wait_for_selector('[data-turn="2"] figure img:not([data-picture])')
    assert page.locator('[data-turn="2"] img').evaluate("image => image.naturalWidth > 600")
    follow = visited.answer(visited.ask(Text("by month", "按月看").in_(language)))
    assert AUGUST in follow.locator(".receipt dl").first.text_content(), "the conversation goes on with what it was about"

    beside(page, ".new").click()
    page.wait_for_selector(".thread .greeting")
    visited.answer(visited.ask(OTHER.in_(language)))
    opens = beside(page, "[data-open]")
    page.wait_for_function("document.querySelectorAll('#side [data-open]').length === 2")
    assert opens.all_text_contents() == [OTHER.in_(language), EARLIER.in_(language)]
    assert opens.first.get_attribute("aria-current") == "page"

    page.locator("#side [data-live]").fill(FOLLOW.in_(language))
    page.wait_for_function("document.querySelectorAll('#side [data-open]').length === 1")
    opens.first.click()
    page.wait_for_selector('[data-turn="3"] .answer')
    assert questions(page)[:2] == asked

    beside(page, "[data-live]").fill("")
    page.wait_for_function("document.querySelectorAll('#side [data-open]').length === 2")
    renaming = page.locator("#side li", has_text=EARLIER.in_(language))
    renaming.hover()
    renaming.locator("[data-rename]").click()
    page.keyboard.type("August <i>")
    page.keyboard.press("Enter")
    page.wait_for_selector('#side [data-open][title="August <i>"]')

    page.locator("#side li", has_text="August").locator("[data-do=delete]").click()
    page.keyboard.press("Escape")
    assert beside(page, "[data-open]").count() == 2, "Escape deletes nothing"
    page.locator("#side li", has_text="August").locator("[data-do=delete]").click()
    page.locator(".sure .go").click()
    page.wait_for_function("document.querySelectorAll('#side [data-open]').length === 1")
    page.wait_for_selector(".thread .greeting")
    assert no_wider_than_the_window(page)


@PLACES
def test_what_can_be_done_with_an_answer(at_desk, language, viewport) -> None:
    visited = at_desk(language, viewport)
    page = visited.page
    visited.answer(visited.ask(FIRST.in_(language)))
    second = visited.answer(visited.ask(FOLLOW.in_(language)))

    second.locator("[data-copy-answer]").click()
    told(page)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert second.locator("p:not(.verified)").first.inner_text().split("\n")[0][:10] in copied
    assert "\t" in copied
    second.locator("[data-copy-sql]").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('SELECT'))")

    with page.expect_download() as started:
        second.locator("[data-do=xlsx]").click()
    sheet = load_workbook(io.BytesIO(open(started.value.path(), "rb").read())).active
    assert sheet.max_row == second.locator("tbody tr").count() + 1
    with page.expect_download() as started:
        second.locator("[data-do=svg]").click()
    assert b"<svg" in open(started.value.path(), "rb").read(2_000)

    bad = second.locator("[data-vote=false]")
    bad.click()
    page.keyboard.type("wrong city")
    page.keyboard.press("Enter")
    told(page)
    assert bad.get_attribute("aria-pressed") == "true"

    page.locator('[data-turn="1"] [data-retry]').click()
    page.wait_for_function("!document.querySelector('.thread').hasAttribute('data-busy')")
    visited.answer(1)
    assert questions(page) == [FIRST.in_(language), FOLLOW.in_(language)], "asking again leaves the rest"

    page.locator('[data-turn="1"] [data-edit]').click()
    assert page.input_value("#question textarea") == FIRST.in_(language)
    page.keyboard.press("Escape")
    assert page.input_value("#question textarea") == ""
    page.locator('[data-turn="1"] [data-edit]').click()
    page.fill("#question textarea", EARLIER.in_(language))
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-turn="2"]', state="detached")
    visited.answer(1)
    assert questions(page) == [EARLIER.in_(language)]
    again = visited.answer(visited.ask(FOLLOW.in_(language)))
    assert AUGUST in again.locator(".receipt dl").first.text_content()
    page.reload()
    visited.answer(2)
    assert questions(page) == [EARLIER.in_(language), FOLLOW.in_(language)]
    assert no_wider_than_the_window(page)


@PLACES
def test_questions_are_saved_run_shared_and_changed(at_desk, templates, desk_address, language, viewport) -> None:
    visited = at_desk(language, viewport)
    page, name = visited.page, f"mine_{language}"
    wording = Text("my channels", "我的渠道榜")
    visited.answer(visited.ask(FIRST.in_(language))).locator("[data-do=save_form]").click()
    form = page.locator("#panel form.stack")
    form.locator("[name=title]").fill(wording.in_(language))
    form.locator("[name=name]").fill(name)
    form.locator("[name=category]").select_option("weekly_report")
    form.locator("[name=question]").fill(f"{FIRST.in_(language)} {wording.in_(language)}")
    page.keyboard.press("Enter")
    told(page)
    assert templates.get(name).parameters[0].type == "period"

    (templates.folder / f"broken_{language}.yml").write_text("wrong:\n  title: Broken\n  quest: oops\n")
    beside(page, "[data-do=saved]").click()
    page.wait_for_selector("#panel .card")
    assert f"broken_{language}.yml" in page.locator("#panel details.notice").text_content()
    page.keyboard.type(wording.in_(language))
    card = page.locator("#panel .card:not([hidden])")
    assert card.count() == 1
    card.locator("[name=period]").fill("=1+1")
    card.locator(".go").click()
    page.wait_for_function("document.querySelector('#panel .card:not([hidden]) [role=alert]').textContent")
    card.locator("[name=period]").fill(Text("August 2026", "2026年8月").in_(language))
    card.locator("[data-share]").click()
    told(page)
    link = page.evaluate("navigator.clipboard.readText()")
    card.locator(".go").click()
    answer = visited.answer(2)
    assert answer.locator(".verified").is_visible()
    assert AUGUST in answer.locator(".receipt dl").first.text_content()

    assert link.startswith(f"{desk_address}/?template={name}&period=")
    page.goto(link)
    answer = visited.answer(1)
    assert AUGUST in answer.locator(".receipt dl").first.text_content()
    assert "template" not in page.url, "a reload does not run it again"

    beside(page, "[data-do=saved]").click()
    page.wait_for_selector("#panel .card")
    card.filter(has_text=wording.in_(language)).locator("[data-do=edit_saved]").click()
    form.locator("[name=title]").fill("Renamed")
    form.locator(".go").click()
    card.filter(has_text="Renamed").locator("[data-do=delete_saved]").click()
    page.locator(".sure .go").click()
    page.wait_for_function("![...document.querySelectorAll('#panel h4')].some((each) => each.textContent === 'Renamed')")
    assert not templates.owns(name)
    page.keyboard.press("Escape")
    page.goto(link)
    told_so = page.wait_for_selector("#panel .notice[role=alert]").inner_text()
    assert name in told_so
    assert "`" not in told_so, "what to do on the page, not a command"
    assert no_wider_than_the_window(page)


def test_a_saved_question_is_shared_matched_and_verified(at_desk, templates) -> None:
    ann = at_desk("en", name="shares")
    ann.answer(ann.ask("AOV by device last month")).locator("[data-do=save_form]").click()
    form = ann.page.locator("#panel form.stack")
    form.locator("[name=title]").fill("Basket by device")
    form.locator("[name=name]").fill("basket")
    ann.page.keyboard.press("Enter")
    told(ann.page)
    (templates.folder / "damaged.yml").write_text("damaged:\n  title: Damaged\n  question: What\n  query: {metrics: gmv, limits: 3}\n")
    beside(ann.page, "[data-do=saved]").click()
    broken = ann.page.locator("#panel details.notice", has_text="damaged.yml")
    broken.locator("summary").click()
    assert ":4" in broken.inner_text() or "line 4" in broken.inner_text(), "file, line and fix"
    ann.page.locator("#panel .card", has_text="Basket by device").locator("[data-share]").click()
    ann.page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('template=basket'))")
    link = ann.page.evaluate("navigator.clipboard.readText()")

    bob = at_desk("zh", name="isshown")
    bob.page.goto("about:blank")
    bob.page.goto(link)
    assert "Basket by device" in bob.answer(1).locator(".verified").inner_text()
    paraphrased = bob.answer(bob.ask("average order value per device in September 2026"))
    assert "Basket by device" in paraphrased.locator(".verified").inner_text()
    (templates.folder / "damaged.yml").unlink()
    templates.delete("basket")


@PLACES
def test_board_and_metrics(at_desk, language, viewport) -> None:
    visited = at_desk(language, viewport)
    page = visited.page
    beside(page, "[data-do=board]").click()
    assert page.wait_for_selector("#panel .quiet:last-child").inner_text()
    page.keyboard.press("Escape")
    visited.answer(visited.ask(FIRST.in_(language)))
    visited.answer(visited.ask(FOLLOW.in_(language))).locator("[data-do=pin]").click()
    told(page)
    beside(page, "[data-do=board]").click()
    page.wait_for_selector("#panel .card .answer img")
    assert FOLLOW.in_(language) in page.locator("#panel .card h3").inner_text()
    assert "20" in page.locator("#panel .body > .quiet").inner_text(), "it says when it was asked"
    page.locator("#panel [data-do=unpin]").click()
    page.wait_for_selector("#panel .card", state="detached")
    page.keyboard.press("Escape")

    beside(page, "[data-do=metrics]").click()
    page.wait_for_selector("#panel .card")
    page.keyboard.type(Text("repurchase", "复购").in_(language))
    cards = page.locator("#panel .card:not([hidden])")
    assert 1 <= cards.count() < page.locator("#panel .card").count()
    asked = cards.first.locator("[data-ask]")
    question = asked.inner_text()
    asked.click()
    visited.answer(3)
    assert questions(page)[-1] == question
    assert no_wider_than_the_window(page)

    title = Text("Weekly growth report", "增长周报").in_(language)
    beside(page, "[data-do=report]").click()
    page.locator("#panel [name=period]").select_option("2026-W42")
    page.click("#panel .go")
    report = page.frame_locator("#panel .written iframe")
    report.locator("h1").wait_for()
    assert report.locator("h1").inner_text() == title and "42" in report.locator(".about").inner_text()
    assert report.locator("details.receipt pre").count() > 8 and report.locator("figure img").count() > 4
    with page.expect_download() as saved:
        page.locator("#panel .written .tool").first.click()
    assert saved.value.suggested_filename == "wenshu-report-2026-W42.html"
    assert f"<h1>{title}</h1>" in saved.value.path().read_text("utf-8")
    assert no_wider_than_the_window(page)
    page.keyboard.press("Escape")
    offered = visited.answer(visited.ask(Text("weekly report for last week", "上周的周报").in_(language))).locator("[data-do=report]")
    offered.click()
    page.frame_locator("#panel .written iframe").locator(".about", has_text="43").wait_for()


def test_two_people_have_two_histories(at_desk, desk_address) -> None:
    ann, bob = at_desk("en", name="ann"), at_desk("en", name="bob")
    ann.answer(ann.ask(FIRST.en))
    ann.page.wait_for_selector("#side [data-open]")
    there = ann.page.url
    bob.page.goto("about:blank")
    bob.page.goto(there)
    bob.page.wait_for_selector("body[data-ready] .thread .greeting")
    bob.page.wait_for_selector("#side .way")
    assert bob.page.locator("#side [data-open]").count() == 0
    assert questions(bob.page) == []
    reached = bob.page.evaluate(
        "id => fetch('/actions', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({do: 'xlsx', turn: id, lang: 'en'})}).then((r) => r.json())",
        int(ann.page.locator(".about").get_attribute("data-turn-id")),
    )
    assert "not in your history" in reached["failed"]
