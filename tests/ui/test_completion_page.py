"""Drives completion while typing on the real chat page, in both languages."""

import pytest

from wenshu.semantic_layer.text import Text

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("language", ["zh", "en"])
BEGUN = Text("gmv by chan", "9月各渠道的成交")
NAME = Text("gmv by channel", "9月各渠道的成交额")
QUESTION = "#question textarea"
OPTIONS = "#suggestions [role=option]"


def typed(visited, text: str):
    page = visited.page
    page.click(QUESTION)
    page.keyboard.type(text)
    page.wait_for_selector(OPTIONS)
    return page


@BOTH
def test_a_name_is_completed_by_keys_alone(visit, address, language) -> None:
    visited = visit(address, language)
    page = typed(visited, BEGUN.in_(language))
    box = page.locator(QUESTION)
    assert box.get_attribute("role") == "combobox"
    assert box.get_attribute("aria-expanded") == "true"
    assert box.get_attribute("aria-controls") == page.locator("[role=listbox]").get_attribute("id")
    assert 1 <= page.locator(OPTIONS).count() <= 8
    assert page.locator("[role=listbox]").get_attribute("aria-label") == Text("Suggestions", "输入建议").in_(language)
    page.keyboard.press("ArrowDown")
    chosen = page.locator('[role=option][aria-selected="true"]')
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Enter")
    assert box.input_value() == NAME.in_(language)
    assert visited.turns == 0, "Enter took the row, and sent nothing"
    assert box.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert page.wait_for_selector('[data-turn="1"] h2.question').inner_text().endswith(NAME.in_(language))
    visited.answer(1)


@BOTH
def test_tab_takes_the_first_row_and_escape_closes(visit, address, language) -> None:
    visited = visit(address, language)
    page = typed(visited, BEGUN.in_(language))
    page.keyboard.press("Escape")
    assert not page.locator("#suggestions").is_visible()
    assert page.locator(QUESTION).input_value() == BEGUN.in_(language)
    page.keyboard.press("Backspace")
    page.wait_for_selector(OPTIONS)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('#question textarea')")
    assert page.locator(QUESTION).input_value() == NAME.in_(language)


@BOTH
def test_enter_without_a_chosen_row_sends_what_was_typed(visit, address, language) -> None:
    visited = visit(address, language)
    page = typed(visited, NAME.in_(language)[:-1])
    page.keyboard.press("Enter")
    assert page.wait_for_selector('[data-turn="1"] h2.question').inner_text().endswith(NAME.in_(language)[:-1])
    visited.answer(1)
    assert not page.locator("#suggestions").is_visible()


def test_a_row_is_taken_with_the_mouse(visit, address) -> None:
    visited = visit(address, "zh")
    page = typed(visited, "成交")
    page.locator(OPTIONS).first.click()
    assert page.locator(QUESTION).input_value().startswith("成交")
    assert len(page.locator(QUESTION).input_value()) > 2


@BOTH
def test_what_is_personal_is_never_offered(visit, address, language) -> None:
    visited = visit(address, language)
    page = visited.page
    for begun in ("手机", "邮", "电话", "phone n", "ema"):
        page.fill(QUESTION, "")
        page.click(QUESTION)
        page.keyboard.type(begun)
        with page.expect_response("**/complete"):
            page.keyboard.type("")
            page.locator(QUESTION).dispatch_event("input")
        offered = page.locator("#suggestions:not([hidden]) span").all_inner_texts()
        assert not {"手机号", "邮箱", "电话", "phone number", "email"} & set(offered)
