"""Owns what holds for the whole suite: data folder, random seeds and what a browser test needs."""

import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

CHROMIUM = Path("/usr/bin/chromium")

# Generated examples are the same in every run; a slow machine is no failure.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the suite away from the data folder of the person who runs it."""
    home = TemporaryDirectory(prefix="wenshu-tests-")
    config.add_cleanup(home.cleanup)
    os.environ["WENSHU_HOME"] = home.name
    os.environ["MPLBACKEND"] = "Agg"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the suite itself ignores Ctrl-C, commands shall not


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail, rather than skip, a browser test on a machine without the browser."""
    if item.get_closest_marker("browser") and not CHROMIUM.exists():
        pytest.fail(
            f"{CHROMIUM} is missing, so the chat page cannot be tested. Install it with `make chromium`.", pytrace=False
        )
