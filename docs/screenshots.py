"""Take the documentation's pictures of the chat page from the running product: `make screenshots`."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from wenshu.ui.workspace import build

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESKTOP, PHONE = {"width": 1200, "height": 840}, {"width": 390, "height": 800}
QUESTIONS = {"zh-CN": ("上个月各渠道的成交额", "9月各渠道的7日留存率"), "en-US": ("GMV by channel last month", "Weekly active users over the last 12 weeks")}
FOLDER = Path(__file__).parent / "images"


def main() -> None:
    """Serve the demo with an empty history, ask in both languages and keep what is seen."""
    with tempfile.TemporaryDirectory() as home:
        database = Path(home) / "shop.duckdb"
        build("shop", database)
        command = [sys.executable, "-m", "wenshu.ui.cli", "chat", "--db", str(database), "--planner", "rules", "--port", "7899"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "WENSHU_HOME": home}) as server:
            try:
                assert server.stdout is not None
                address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
                    for name, locale in (("chat-zh.png", "zh-CN"), ("chat-en.png", "en-US")):
                        page = opened(browser, address, locale, DESKTOP)
                        for question in QUESTIONS[locale]:
                            ask(page, question)
                        keep(page, name)
                    page.click("#side [data-do=saved]")
                    page.wait_for_selector("#panel .card")
                    keep(page, "saved-en.png")
                    page = opened(browser, address, "zh-CN", PHONE)
                    ask(page, QUESTIONS["zh-CN"][1])
                    keep(page, "phone-zh.png")
                    browser.close()
            finally:
                server.terminate()


def opened(browser: Browser, address: str, locale: str, size: dict[str, int]) -> Page:
    page = browser.new_context(locale=locale, viewport={"width": size["width"], "height": size["height"]}).new_page()
    page.goto(address)
    page.wait_for_selector("#side .way", state="attached")
    return page


def ask(page: Page, question: str) -> None:
    turn = page.locator("h2.question").count() + 1
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-turn="{turn}"] .answer img')


def keep(page: Page, name: str) -> None:
    page.wait_for_timeout(1000)  # until nothing moves any more
    page.screenshot(path=FOLDER / name)


if __name__ == "__main__":
    main()
