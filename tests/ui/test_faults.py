"""Disks that are full and files of users that break while people ask: what they are told, and that service goes on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wenshu.assistant.question import Question
from wenshu.semantic_layer import loader
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.history import History
from wenshu.ui.reception import Reception
from wenshu.ui.store import Store
from wenshu.ui.workspace import build, database_of

POLICIES = """
policies:
  - {role: manager, rows: "users.city = {user.city}", shared: [products, campaigns, experiments]}
"""
LIN = "lin: {role: manager, attributes: {city: 上海}}\n"


@pytest.fixture(scope="module")
def shop() -> Path:
    database = database_of("shop")
    if not database.exists():
        build("shop", database, users=2_000)
    return database


# The file of users


@pytest.fixture
def users(tmp_path: Path) -> Path:
    (tmp_path / "users.yml").write_text(LIN, "utf-8")
    return tmp_path / "users.yml"


@pytest.fixture
def reception(shop: Path, users: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reception]:
    monkeypatch.setenv("WENSHU_WORKERS", "1")
    model = users.with_name("shop.yml")
    shutil.copy(Path(loader.__file__).parent / "models" / "shop.yml", model)
    model.write_text(model.read_text("utf-8") + POLICIES, "utf-8")
    reception = reception_of(str(model), shop, PlannerName.RULES, "en", users, door="test")
    yield reception
    reception.close()


def change(path: Path, text: str) -> None:
    """Replace a file by another, so that it is seen to be one even where its length and the clock's tick are the same."""
    path.with_suffix(".new").write_text(text, "utf-8")
    os.replace(path.with_suffix(".new"), path)


def said(reception: Reception, user: str = "lin") -> str:
    answer = reception.ask(Question(text="How many users are there?", user=user))
    return answer.problem.code if answer.problem else str(answer.table.rows[0][0])


def children() -> set[str]:
    """Return the processes that this one has started and that have not ended."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {pid for path in found for pid in path.read_text().split()}


def test_a_users_file_that_breaks_lets_nobody_in_until_it_is_mended(reception, users):
    before = said(reception)
    assert before.isdigit() and said(reception, "eve") == "unknown_user"
    started = children()
    for text in ("lin: [", "", "lin: manager\n", "lin: {role: manager, attributes: {city: {a: b}}}\n"):
        change(users, text)
        assert [said(reception) for _ in range(3)] == ["users_invalid"] * 3
    users.unlink()
    assert said(reception) == "users_invalid"
    assert children() <= started, "nothing is opened that is not used"
    change(users, LIN)
    assert said(reception) == before


def test_rights_that_change_count_from_the_next_question_on(reception, users):
    shanghai = said(reception)
    change(users, LIN.replace("上海", "北京"))
    beijing = said(reception)
    assert beijing.isdigit() and beijing != shanghai
    change(users, LIN.replace("manager", "guest"))
    assert said(reception) == "no_policy"
    change(users, "eve: {role: manager, attributes: {city: 上海}}\n")
    assert (said(reception), said(reception, "eve")) == ("unknown_user", shanghai)


# A full disk


def test_a_history_on_a_full_disk_keeps_what_it_has(tmp_path):
    store = Store(tmp_path / "history.sqlite3")
    store.write("INSERT INTO choices VALUES ('lin', 'first')")
    store.write(f"PRAGMA max_page_count = {store.rows('PRAGMA page_count')[0][0]}")  # SQLite then says that the disk is full
    history = History(store)
    with pytest.raises(Exception, match="full"):
        for number in range(500):
            store.write("INSERT INTO choices VALUES (?, ?)", f"lin {number}", "x" * 500)
    assert store.rows("SELECT model FROM choices WHERE owner = 'lin'")[0]["model"] == "first"
    assert not history.conversations("lin", "shop")
    store.close()
    again = Store(tmp_path / "history.sqlite3")
    assert again.rows("SELECT model FROM choices WHERE owner = 'lin'")[0]["model"] == "first"
    again.close()


FULL = """
import contextlib, io, resource, sys
from wenshu.ui.cli import main
shop, folder = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # to a program this is what a disk without room is
ask = ["--db", shop]
for command in (
    ["ask", "GMV by channel last month", "--planner", "rules", "--lang", "en", *ask],
    ["ask", "GMV by channel last month", "--planner", "rules", "--lang", "en", "--chart", f"{folder}/chart.png", *ask],
    ["ask", "users by city", "--planner", "rules", "--lang", "en", "--csv", f"{folder}/rows.csv", *ask],
    ["templates", "save", "mine", "--question", "GMV by channel last month", *ask],
):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        main(command)
    out.flush()
    print("·", " ".join(out.buffer.getvalue().decode().split()))
"""


def test_a_full_disk_is_told_and_leaves_no_half_file(shop, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(shop), str(tmp_path)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "WENSHU_HOME": str(home)},
    )  # fmt: skip
    asked, chart, rows, template = ran.stdout.split("·")[1:]
    assert "GMV" in asked and "could not be written to the audit log" in asked
    for words in (chart, rows, template):
        assert "cannot be written" in words, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".png", ".csv", ".yml")]
    assert left == []
