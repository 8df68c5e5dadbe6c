"""Drives the real chat page, in both languages."""

import csv
import http.client
import io
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wenshu.semantic_layer.text import Text
from wenshu.ui.gradio_app import HOST

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("language", ["zh", "en"])
SPLIT = Text("GMV by channel last month", "上个月各渠道的成交额")
TREND = Text("Monthly GMV in 2026", "2026年每月成交额趋势")
VAGUE = Text("top channels", "最好的渠道")
REFUSED = Text("What is the weather in Paris tomorrow?", "明天北京的天气怎么样？")


@BOTH
def test_a_question_is_answered_with_text_chart_table_and_receipt(visit, address, language) -> None:
    visited = visit(address, language)
    answer = visited.answer(visited.ask(SPLIT.in_(language)))
    assert answer.get_attribute("lang") == language
    assert any(digit in answer.locator("p").first.inner_text() for digit in "0123456789")

    picture = answer.locator("figure img")
    assert picture.get_attribute("alt")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 600")

    assert answer.locator("tbody tr").count() >= 2
    assert "¥" in answer.locator("tbody td.number").first.inner_text()

    receipt = answer.locator("details")
    assert not receipt.locator("dl").is_visible()
    receipt.locator("summary").focus()
    visited.page.keyboard.press("Enter")
    assert receipt.locator("dl").is_visible()
    assert "2026-09-01 – 2026-09-30" in receipt.locator("dl").inner_text()
    assert "SELECT" in receipt.locator("pre").inner_text()


@BOTH
def test_the_interface_follows_the_browser_and_the_switch(visit, address, language) -> None:
    visited = visit(address, language)
    page, other = visited.page, "en" if language == "zh" else "zh"
    send = Text("Send", "发送")
    assert page.locator("#send").inner_text() == send.in_(language)
    assert page.locator("html").get_attribute("lang") == language
    page.locator(f'#language input[value="{other}"]').check(force=True)
    page.wait_for_selector(f'#send:has-text("{send.in_(other)}")')
    assert page.locator(".thread .ask").first.inner_text() in assistant_examples(page)
    page.reload()
    page.wait_for_selector(f'#send:has-text("{send.in_(other)}")')
    answer = visited.answer(visited.ask(SPLIT.in_(language)))
    assert answer.get_attribute("lang") == language, "the answer's language follows the question"


def assistant_examples(page) -> list[str]:
    return page.locator(".examples .ask").all_inner_texts()


@BOTH
def test_examples_and_follow_ups_ask_with_one_click(visit, address, assistant, language) -> None:
    visited = visit(address, language)
    examples = visited.page.locator(".examples .ask")
    assert sorted(examples.all_inner_texts()) == sorted(assistant.examples(language))
    asked = examples.first.inner_text()
    examples.first.click()
    answer = visited.answer(1)
    assert visited.page.locator('[data-turn="1"] h2').inner_text().endswith(asked)
    follow_up = answer.locator(".follow_ups .ask").first
    asked = follow_up.inner_text()
    follow_up.click()
    visited.answer(2)
    assert visited.page.locator('[data-turn="2"] h2').inner_text().endswith(asked)


@BOTH
def test_a_vague_question_offers_options_to_click(visit, address, language) -> None:
    visited = visit(address, language)
    options = visited.answer(visited.ask(VAGUE.in_(language))).locator(".options .ask")
    assert options.count() >= 2
    options.first.click()
    visited.answer(2)


@BOTH
def test_a_refusal_is_friendly(visit, address, language) -> None:
    visited = visit(address, language)
    notice = visited.answer(visited.ask(REFUSED.in_(language))).locator(".notice.refused")
    assert notice.locator(".message").inner_text()
    assert notice.locator(".hint").inner_text()


@BOTH
def test_the_table_downloads_as_csv_for_excel(visit, address, language) -> None:
    visited = visit(address, language)
    answer = visited.answer(visited.ask(SPLIT.in_(language)))
    with visited.page.expect_download() as started:
        answer.locator("a[download]").click()
    words = SPLIT.in_(language).replace(" ", "_")
    assert started.value.suggested_filename == f"wenshu_{words}.csv"
    raw = open(started.value.path(), "rb").read()
    assert raw.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
    shown = answer.locator("tbody tr")
    assert len(rows) == shown.count()
    gmv = next(at for at, label in enumerate(head) if "CNY" in label)
    float(rows[0][gmv])
    assert f"¥{float(rows[0][gmv]):,.2f}" == shown.first.locator("td").nth(gmv).inner_text()


def test_the_chart_enlarges_and_downloads(visit, address) -> None:
    visited = visit(address, "en")
    page, answer = visited.page, visited.answer(visited.ask(TREND.en))
    answer.locator(".zoom").click()
    assert page.locator(".lightbox img").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_selector(".lightbox", state="detached")
    with page.expect_download() as started:
        answer.locator("figcaption [data-save]").click()
    assert open(started.value.path(), "rb").read(8) == b"\x89PNG\r\n\x1a\n"
    assert started.value.suggested_filename == "wenshu_Monthly_GMV_in_2026.png"


def test_the_table_sorts_by_value_and_empty_goes_last(visit, address) -> None:
    visited = visit(address, "en")
    answer = visited.answer(visited.ask(SPLIT.en))
    head = answer.locator("th.number button").first
    cells = answer.locator("tbody tr td:nth-child(2)")

    def numbers() -> list[float]:
        return [float(text.strip("¥").replace(",", "")) for text in cells.all_inner_texts() if text != "no data"]

    head.click()
    assert numbers() == sorted(numbers(), reverse=True)
    head.press("Enter")
    assert numbers() == sorted(numbers())
    assert answer.locator("th[aria-sort=ascending]").count() == 1


@pytest.mark.parametrize("nothing", ["", "   ", "\u3000"])
def test_an_empty_question_asks_nothing(visit, address, nothing) -> None:
    visited = visit(address, "zh")
    page = visited.page
    page.fill("#question textarea", nothing)
    before = len(visited.requests)
    page.keyboard.press("Enter")
    page.click("#send")
    assert not [sent.url for sent in visited.requests[before:] if "queue/join" in sent.url]
    assert visited.answer(visited.ask(SPLIT.zh)).is_visible()
    assert visited.turns == 1


def test_a_huge_question_is_refused_in_words(visit, address) -> None:
    visited = visit(address, "zh")
    answer = visited.answer(visited.ask("成" * 100_000))
    assert answer.locator(".notice .message").inner_text()
    assert len(visited.page.locator('[data-turn="1"] h2').inner_text()) < 500
    assert visited.answer(visited.ask(SPLIT.zh)).locator("table").is_visible()


def test_shift_enter_starts_a_line_and_the_box_has_the_focus(visit, address) -> None:
    visited = visit(address, "en")
    page = visited.page
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.type("GMV by channel")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("last month")
    assert page.locator("#question textarea").input_value() == "GMV by channel\nlast month"
    assert visited.turns == 0
    page.keyboard.press("Enter")
    visited.answer(1)
    assert page.locator("#question textarea").input_value() == ""


def test_markup_in_a_question_stays_words(visit, address) -> None:
    visited = visit(address, "en")
    text = "<img src=x onerror=alert(1)> ${1+1} {{value}} GMV by channel last month"
    turn = visited.ask(text)
    visited.answer(turn)
    assert visited.page.locator(f'[data-turn="{turn}"] h2').inner_text().endswith(text)
    assert visited.page.locator('.thread img[src="x"]').count() == 0


def test_a_new_conversation_starts_empty(visit, address) -> None:
    visited = visit(address, "en")
    visited.answer(visited.ask(SPLIT.en))
    before = visited.page.locator(".thread").get_attribute("data-conversation")
    visited.page.click("#side .new")
    visited.page.wait_for_selector(".examples .ask", state="visible")
    assert visited.turns == 0
    assert visited.page.locator(".thread").get_attribute("data-conversation") != before
    visited.answer(visited.ask(SPLIT.en))


def test_every_browser_has_its_own_conversation(visit, address) -> None:
    names = {visit(address, "en").page.locator(".thread").get_attribute("data-conversation") for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) >= 20 for name in names)


@BOTH
def test_stop_ends_a_question_and_the_next_is_answered(visit, troubled_address, language) -> None:
    visited = visit(troubled_address, language)
    page = visited.page
    turn = visited.ask(SPLIT.in_(language))
    page.wait_for_selector(f'[data-turn="{turn}"] .steps .now')
    page.click("#stop")
    page.wait_for_selector(f'[data-turn="{turn}"] > .quiet')
    page.wait_for_selector("#send", state="visible")
    assert visited.answer(visited.ask(SPLIT.in_(language))).is_visible()
    assert page.locator(f'[data-turn="{turn}"] .answer').count() == 0


def test_a_question_sent_too_early_waits_for_its_turn(visit, troubled_address) -> None:
    visited = visit(troubled_address, "en")
    page, box, banner = visited.page, visited.page.locator("#question textarea"), visited.page.locator("#banner")
    visited.ask(SPLIT.en)
    box.fill(TREND.en)
    page.keyboard.press("Enter")
    assert TREND.en in banner.inner_text()
    assert box.input_value() == ""
    banner.locator("button").click()
    assert box.input_value() == TREND.en, "what waits can be taken back"
    page.keyboard.press("Enter")
    page.click("#stop")
    page.wait_for_selector('[data-turn="1"] > .quiet')
    assert box.input_value() == TREND.en, "who stops an answer has the next question in hand again"
    assert banner.count() == 0
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-turn="2"] .steps')
    box.fill(SPLIT.en)
    page.keyboard.press("Enter")
    visited.answer(2)
    assert page.wait_for_selector('[data-turn="3"] h2').inner_text().endswith(SPLIT.en)


def test_a_question_sent_in_the_instant_an_answer_comes_is_taken(visit, address) -> None:
    visited = visit(address, "en")
    visited.page.evaluate(
        """question => document.addEventListener('wenshu:shown', function send({ detail }) {
            if (detail.busy || detail.turn !== 1) return;
            document.removeEventListener('wenshu:shown', send);
            const box = document.querySelector('#question textarea');
            box.value = question;
            box.dispatchEvent(new Event('input', { bubbles: true }));
            document.querySelector('#send').click();
        })""",
        TREND.en,
    )
    visited.ask(SPLIT.en)
    assert visited.answer(1).locator("tbody tr").count() > 1
    assert visited.answer(2).locator("tbody tr").count() > 1
    assert visited.page.locator('[data-turn="2"] h2').inner_text().endswith(TREND.en)


def test_a_lost_connection_comes_back_with_conversation_and_words(chromium, address) -> None:
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#side .way")
    page.fill("#question textarea", SPLIT.en)
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-turn="1"] .answer')
    context.set_offline(True)
    page.fill("#question textarea", TREND.en)
    page.keyboard.press("Enter")
    page.wait_for_selector("#banner")
    assert page.input_value("#question textarea") == TREND.en
    context.set_offline(False)
    page.wait_for_selector("#banner", state="detached")
    page.wait_for_selector('[data-turn="1"] .answer')
    page.wait_for_function("words => document.querySelector('#question textarea').value === words", arg=TREND.en)
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-turn="2"] .answer')
    context.close()


def test_a_failure_is_told_without_its_inside(visit, troubled_address) -> None:
    visited = visit(troubled_address, "en")
    notice = visited.answer(visited.ask("boom")).locator(".notice.error")
    assert notice.locator(".message").inner_text()
    assert "secret" not in visited.page.content()
    assert "Traceback" not in visited.page.content()


@BOTH
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit, address, language, scheme) -> None:
    visited = visit(address, language, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for question in (SPLIT, TREND, REFUSED):
        visited.answer(visited.ask(question.in_(language)))
    assert visited.page.evaluate("document.documentElement.scrollWidth") == 390
    assert visited.page.locator("#send").is_visible()
    luminance = "color => color.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)"
    ground = visited.page.evaluate(
        f"({luminance})(getComputedStyle(document.querySelector('.answer')).backgroundColor)"
    )
    assert ground > 600 if scheme == "light" else ground < 200


@BOTH
def test_everything_to_press_has_a_name(visit, address, language) -> None:
    visited = visit(address, language)
    visited.answer(visited.ask(SPLIT.in_(language)))
    nameless = visited.page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, textarea, select, summary')]
            .filter(part => part.checkVisibility())
            .filter(part => !(part.innerText || part.ariaLabel || part.title || part.labels?.[0]?.textContent || part.querySelector('img')?.alt || '').trim())
            .map(part => part.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


CLOSED = [
    ("GET", path)
    for path in (
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../etc/passwd",
        "/gradio_api/file=http://example.com/",
        "/gradio_api/file/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api//file=/etc/passwd",
        "/assets/../gradio_api/file=/etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/routes.py",
        "/static/..%2f..%2froutes.py",
        "/gradio_api/proxy=http://example.com/",
        "/proxy=http://example.com/",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/runs",
        "/gradio_api/app_id",
        "/config",
        "/docs",
        "/openapi.json",
        "/monitoring",
        "/gradio_api/monitoring/summary",
        "/gradio_api/stream/a/b/1/playlist.m3u8",
    )
] + [
    ("POST", path)
    for path in (
        "/gradio_api/upload",
        "/gradio_api/call/ask",
        "/gradio_api/call/v2/ask",
        "/gradio_api/run/predict",
        "/gradio_api/api/ask",
        "/gradio_api/component_server",
        "/gradio_api/process_recording",
        "/login",
    )
]


def requested(address: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_what_the_page_does_not_call_is_closed(address, method, path) -> None:
    status, body = requested(
        address, method, path, b"{}" if method == "POST" else b"", **{"content-type": "application/json"}
    )
    assert status in (400, 403, 404)
    assert b"root:" not in body


def test_size_method_and_host_are_bounded(address) -> None:
    join = "/gradio_api/queue/join"
    assert requested(address, "POST", join, b" " * 1_000_001)[0] == 413
    assert requested(address, "DELETE", "/")[0] == 405
    assert requested(address, "GET", "/", host="evil.example")[0] == 400
    assert requested(address, "GET", "/healthz") == (200, b'{"status":"ok"}')


def test_no_event_of_the_page_is_offered_as_an_api(address) -> None:
    page = requested(address, "GET", "/")[1].decode()
    assert '"api_visibility":"private"' in page.replace(" ", "")
    assert '"api_visibility":"public"' not in page.replace(" ", "")


def test_serve_takes_another_port_and_ends_quietly_on_ctrl_c() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = [sys.executable, str(Path(__file__).with_name("conftest.py")), str(port)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
            notice, address = server.stdout.readline(), server.stdout.readline().strip()
            assert requested(address, "GET", "/healthz")[0] == 200
            with socket.create_connection(address.removeprefix("http://").split(":")) as lasting:
                lasting.sendall(b"GET /gradio_api/heartbeat/someone HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert lasting.recv(100).startswith(b"HTTP/1.1 200")
                server.send_signal(signal.SIGINT)
                assert server.stdout.read() == "ended\n"
            assert server.wait(timeout=10) == 0
            assert "Traceback" not in server.stderr.read()
    assert str(port) in notice
    assert address.startswith(f"http://{HOST}:")
    assert not address.endswith(f":{port}")
