"""Measure the chat page in a browser: until something is painted, and from Enter to the answer with its chart on the screen."""

import os
import re
import subprocess
import sys
import tempfile

from _measuring import arguments, print_times, shop
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUESTIONS = (
    "上个月各渠道的成交额", "GMV by city in September 2026", "最近12周每周的活跃用户数", "Day-7 retention by channel in September 2026",
    "2026年9月成交额同比", "Monthly repurchase rate in Q3 2026", "各品类销售额占比", "Funnel from sign-up to payment in August 2026",
    "第三季度购买用户数最多的5个城市", "Users by RFM tier", "近30天各小时的订单数", "New users by day in October 2026",
    "8月各渠道的客单价", "Average order value by month in 2026", "上周每天的订单数", "Buyers by province last month",
    "2026年6月每周注册用户的留存同期群", "Active users by device last month", "9月退款率", "Top 10 products by sales in Q3 2026",
)  # fmt: skip
PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName('first-contentful-paint')[0];
  if (paint) done(paint.startTime);
}).observe({ type: 'paint', buffered: true }))"""
# From the key that is pressed to the first frame that shows the answer, its picture decoded.
WATCH = """() => {
  addEventListener('keydown', (event) => { if (event.key === 'Enter') window.began = performance.now(); }, { capture: true });
  window.answered = () => new Promise((done) => {
    const look = async () => {
      const answer = document.querySelector('.thread:not([data-busy]):not([data-sending]) [data-turn="1"] .answer');
      if (!answer) return requestAnimationFrame(look);
      const picture = answer.querySelector('figure img');
      if (picture) await picture.decode();
      requestAnimationFrame(() => setTimeout(() => done([performance.now() - window.began, answer.className])));
    };
    look();
  });
}"""


def main() -> None:
    """Print times of the first paint, cold and warm, and of twenty different questions, with the machine's load."""
    options = arguments(__doc__ or "", users=20_000, repeat=5)
    database = shop(options.folder, options.users)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "WENSHU_HOME": home}
        command = [sys.executable, "-m", "wenshu.ui.cli", "chat", "--db", str(database), "--planner", "rules", "--port", "7897"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server, sync_playwright() as playwright:
            try:
                assert server.stdout is not None
                address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                measure(browser, address, options.repeat)
            finally:
                server.terminate()


def measure(browser: Browser, address: str, repeat: int) -> None:
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    page = browser.new_page()
    first = painted(page, address)
    cold = [painted(browser.new_context().new_page(), address) for _ in range(repeat)]
    warm = [painted(page, address) for _ in range(repeat)]
    page.evaluate(WATCH)
    times = {question: asked(page, question) for question in QUESTIONS}
    again = [asked(page, question) for question in QUESTIONS]
    print_times(
        [
            ("first paint, the first visit to a new server", [first]),
            ("first paint, a browser that was never here", cold),
            ("first paint, a browser that was", warm),
            ("Enter to answer, 20 questions asked first", list(times.values())),
            ("Enter to answer, the same questions again", again),
        ]
    )
    slowest = sorted(times.items(), key=lambda pair: -pair[1])[:3]
    print("slowest:", ", ".join(f"{question} {time:.0f} ms" for question, time in slowest))
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


def painted(page: Page, address: str) -> float:
    page.goto(address)
    page.wait_for_selector("body[data-ready] .thread .ask")
    return float(page.evaluate(PAINTED))


def asked(page: Page, question: str) -> float:
    page.locator("#side .new").click()
    page.wait_for_selector(".thread .greeting")
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    taken, outcome = page.evaluate("answered()")
    if "answered" not in outcome:
        raise SystemExit(f"not answered: {question} ({outcome})")
    return float(taken)


if __name__ == "__main__":
    main()
