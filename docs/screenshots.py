"""Take the documentation's pictures of the chat page from the running product: `make screenshots`."""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PICTURES = (
    ("chat-zh.png", "zh-CN", "9月各渠道的7日留存率"),
    ("chat-en.png", "en-US", "Weekly active users over the last 12 weeks"),
)
FOLDER = Path(__file__).parent / "images"


def main() -> None:
    """Serve the demo, ask one question a language and keep what is seen."""
    server = subprocess.Popen([sys.executable, "-m", "wenshu.ui.cli", "chat", "--port", "7899"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = next(word for line in server.stdout for word in line.split() if word.startswith("http"))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            for name, locale, question in PICTURES:
                page = browser.new_context(locale=locale, viewport={"width": 1100, "height": 900}).new_page()
                page.goto(address)
                page.fill("textarea", question)
                page.keyboard.press("Enter")
                page.wait_for_selector('img[src^="data:image"]')
                page.wait_for_timeout(1500)
                page.mouse.wheel(0, -5000)
                page.wait_for_timeout(500)
                page.screenshot(path=FOLDER / name)
            browser.close()
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
