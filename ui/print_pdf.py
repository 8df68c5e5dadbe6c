"""Owns printing an HTML file as PDF with a browser that is there anyway; without one, HTML prints from any. Knows nothing of reports."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
SECONDS = 120


def print_pdf(html: str, out: Path) -> None:
    """Write a page as PDF. Raises `EngineError` with code `no_browser` without a Chromium, `not_printed` where it fails."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise EngineError(
            "no_browser",
            Text(
                "Writing PDF needs Chromium or Chrome, which is not here.",
                "生成 PDF 需要 Chromium 或 Chrome，当前未找到。",
            ),
            Text("Write .html and print it from any browser.", "请改用 .html，再用浏览器打印为 PDF。"),
        )
    with tempfile.TemporaryDirectory(prefix="wenshu-", ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(html, "utf-8")
        options = [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.append("--no-sandbox")  # which Chromium asks of root; the page runs nothing and fetches nothing
        try:
            command = [browser, *options, f"--print-to-pdf={out}", page.as_uri()]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
            printed = done.returncode == 0 and out.is_file()
        except (OSError, subprocess.TimeoutExpired):
            printed = False
    if not printed:
        raise EngineError(
            "not_printed",
            Text("The browser did not print the report.", "浏览器未能生成 PDF。"),
            Text("Write .html and print it from any browser.", "请改用 .html，再用浏览器打印为 PDF。"),
        )
