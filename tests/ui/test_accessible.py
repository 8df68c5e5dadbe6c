"""Looks for barriers on the real page with axe-core: every state, in Chinese light on desktop and in English dark on a phone."""

from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Page

from wenshu.semantic_layer.text import Text
from wenshu.ui.entrance import Entrance
from wenshu.ui.history import History
from wenshu.ui.login import SignIns
from wenshu.ui.own_models import OwnModels
from wenshu.ui.passwords import digest
from wenshu.ui.store import Store
from wenshu.ui.users import Users

from .conftest import served
from .test_desk_page import DESKTOP, PHONE, beside, told

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
LOOKS = [("zh", DESKTOP, "light"), ("en", PHONE, "dark")]
ASKED = Text("GMV by channel last month", "上个月各渠道的成交额")
VAGUE = Text("top channels", "最好的渠道")
REFUSED = Text("What is the weather in Paris tomorrow?", "明天北京的天气怎么样？")


@pytest.fixture(scope="module")
def login_address(assistant, tmp_path_factory) -> Iterator[str]:
    """Serve the page to one person with a password, who may bring data."""
    folder = tmp_path_factory.mktemp("accessible")
    history = History(Store(folder / "history.sqlite3"))
    users = Users(people={}, passwords={"ann": digest("open sesame")})
    entrance = Entrance(assistant_for=lambda name: assistant, sign_ins=SignIns(lambda: users, history.store))
    own = OwnModels(folder / "models", history.store, lambda model, db: pytest.fail("nothing is brought here"))
    with served(entrance, history, own) as url:
        yield url


def barriers(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical in the page as it is, WCAG 2.2 AA and best practices."""
    page.wait_for_function("document.getAnimations().every((each) => each.playState !== 'running' || each.effect.getTiming().iterations === Infinity)")
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']} {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("language", "viewport", "scheme"), LOOKS, ids=["zh-desktop-light", "en-phone-dark"])
def test_nothing_bars_the_way(chromium, login_address, language, viewport, scheme) -> None:
    context = chromium.new_context(locale={"zh": "zh-CN", "en": "en-GB"}[language], viewport=viewport, color_scheme=scheme)
    try:
        context.set_default_timeout(90_000)
        page = context.new_page()
        found: list[str] = []

        def look(state: str) -> None:
            found.extend(f"{state}: {barrier}" for barrier in barriers(page))

        page.goto(login_address)
        look("login")
        page.fill("[name=name]", "ann")
        page.fill("[name=password]", "open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("#side .who", state="attached")
        look("empty")
        for turn, question in enumerate((ASKED, VAGUE, REFUSED), 1):
            page.fill("#question textarea", question.in_(language))
            page.keyboard.press("Enter")
            page.locator(f'[data-turn="{turn}"] .answer').wait_for()
        page.locator('[data-turn="1"] .receipt summary').click()
        page.locator('[data-turn="1"] [data-vote=false]').click()
        told(page)
        look("answers")
        page.locator('[data-turn="1"] [data-do=pin]').click()
        page.locator('[data-turn="1"] .zoom').click()
        look("enlarged")
        page.keyboard.press("Escape")
        page.locator('[data-turn="1"] [data-do=save_form]').click()
        page.wait_for_selector("#panel form.stack")
        look("save_form")
        for name in ("saved", "board", "metrics", "data", "guide"):
            page.locator("#panel .close").click()
            beside(page, f"[data-do={name}]").click()
            page.wait_for_selector(f"#panel {'.card .answer' if name == 'board' else '.inside form, .inside .card, .inside .guide'}")
            look(name)
        page.locator("#panel .close").click()
        beside(page, "[data-open]").first.focus()
        page.locator("#side li [data-sure]").first.click()
        look("sure")
        assert not found, "\n".join(found)
    finally:
        context.close()
