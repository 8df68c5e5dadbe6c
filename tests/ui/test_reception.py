"""What goes wrong while people ask: each fault is told honestly, no number is made up, and the next question is answered."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest

from wenshu.assistant.answer import Answer
from wenshu.assistant.question import Question
from wenshu.semantic_layer import loader
from wenshu.semantic_layer.cancellation import cancelled_by
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.shop import build_shop
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.worker_engine import WorkerEngine
from wenshu.ui import cli_options
from wenshu.ui.audit import read_entries
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.reception import Reception

MODEL = Path(loader.__file__).parent / "models" / "shop.yml"
USERS = "How many users are there?"
SALES = "GMV by channel last month"


@pytest.fixture(scope="module")
def shops(tmp_path_factory) -> dict[int, Path]:
    """Two shops of different sizes."""
    folder = tmp_path_factory.mktemp("shops")
    made = {users: folder / f"{users}.duckdb" for users in (300, 500)}
    for users, path in made.items():
        build_shop(path, users=users)
    return made


class Served:
    """A reception over a model file and a database that the test may spoil."""

    def __init__(self, folder: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model, self.database, self.log = folder / "shop.yml", folder / "shop.duckdb", folder / "audit.jsonl"
        self.notices: list[Text] = []
        shutil.copy(MODEL, self.model)
        self.replace(shop)
        monkeypatch.setenv("WENSHU_AUDIT", str(self.log))
        monkeypatch.setenv("WENSHU_WORKERS", "1")
        monkeypatch.setattr(cli_options, "_notice", self.notices.append)
        self.reception: Reception = reception_of(str(self.model), self.database, PlannerName.RULES, "en", door="test")

    def replace(self, shop: Path) -> None:
        shutil.copy(shop, self.database.with_suffix(".new"))
        os.replace(self.database.with_suffix(".new"), self.database)

    def edit_model(self, before: str, after: str) -> None:
        text = self.model.read_text("utf-8")
        assert before in text
        self.model.write_text(text.replace(before, after), "utf-8")

    def ask(self, text: str = SALES) -> Answer:
        return self.reception.ask(Question(text=text))

    def figures(self, text: str = SALES) -> list:
        answer = self.ask(text)
        assert answer.status == "answered" and answer.table, answer.text
        return sorted(answer.table.rows, key=str)

    def failure(self, text: str = SALES) -> str:
        answer = self.ask(text)
        assert answer.status == "error" and answer.table is None and answer.problem, answer.text
        assert answer.problem.message and answer.problem.hint and answer.text.startswith(answer.problem.message)
        return answer.problem.code

    @property
    def worker(self) -> int:
        return self.reception.layer(None).engine._idle[0]._process.pid


@pytest.fixture
def served(tmp_path, shops, monkeypatch) -> Iterator[Served]:
    made = Served(tmp_path, shops[300], monkeypatch)
    yield made
    made.reception._visitors.close()


def expected(shop: Path) -> list[tuple[str, float]]:
    """Return last month's GMV by channel, by a statement of its own."""
    with duckdb.connect(str(shop), read_only=True) as connection:
        return sorted(
            (channel, float(gmv))
            for channel, gmv in connection.execute(
                """
                WITH last AS (SELECT date_trunc('month', max(day)) AS month_start FROM
                    (SELECT max(ordered_at) AS day FROM orders UNION ALL SELECT max(registered_at) FROM users UNION ALL SELECT max(event_time) FROM events))
                SELECT u.channel, sum(o.amount) FROM orders o JOIN users u USING (user_id), last
                WHERE o.paid_at IS NOT NULL AND o.ordered_at >= last.month_start - INTERVAL 1 MONTH AND o.ordered_at < last.month_start
                GROUP BY ALL
                """
            ).fetchall()
        )


def assert_right(served: Served, shop: Path) -> None:
    found = [(row[0], row[1]) for row in served.figures()]
    assert [name for name, _ in found] == [name for name, _ in expected(shop)]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected(shop)])


def test_a_replaced_database_is_answered_from(served, shops):
    assert_right(served, shops[300])
    served.replace(shops[500])
    assert_right(served, shops[500])
    served.replace(shops[300])
    assert_right(served, shops[300])


def test_a_missing_database_is_told_until_it_is_back(served, shops):
    served.database.unlink()
    assert served.failure() == "database_missing"
    assert served.failure() == "database_missing"
    served.replace(shops[300])
    assert_right(served, shops[300])


def test_a_broken_database_is_told_until_it_is_whole(served, shops):
    whole = served.database.read_bytes()
    for content in (b"", b"no database", whole[: len(whole) // 2], os.urandom(50_000)):
        served.database.with_suffix(".new").write_bytes(content)
        os.replace(served.database.with_suffix(".new"), served.database)
        assert served.failure() in ("database_invalid", "table_missing")
    served.replace(shops[300])
    assert_right(served, shops[300])


def test_a_database_of_something_else_is_told(served, shops):
    with duckdb.connect(str(served.database.with_suffix(".new"))) as connection:
        connection.execute("CREATE TABLE other AS SELECT 1 AS x")
    os.replace(served.database.with_suffix(".new"), served.database)
    assert served.failure() == "table_missing"
    served.replace(shops[300])
    assert_right(served, shops[300])


def test_a_database_being_written_is_told_until_it_is_free(served, shops):
    new = served.database.with_suffix(".new")
    shutil.copy(shops[500], new)
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE t AS SELECT 1'); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program, str(new)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout and writer.stdout.readline() == "1\n"
        os.replace(new, served.database)
        assert served.failure() == "database_locked"
        writer.communicate("\n")
    assert_right(served, shops[500])


def test_a_killed_worker_is_told_and_replaced(served, shops):
    served.ask(USERS)
    os.kill(served.worker, signal.SIGKILL)
    time.sleep(0.5)  # until the system has ended it; one that ends at work is the case below
    assert_right(served, shops[300])
    pid = served.worker
    os.kill(pid, signal.SIGSTOP)  # whatever it is asked now, it is at work on it when it is killed
    Thread(target=lambda: (time.sleep(0.5), os.kill(pid, signal.SIGKILL))).start()
    assert served.failure("How many orders were there last month?") == "worker_lost"
    assert served.ask("How many orders were there last month?").status == "answered"
    assert served.worker != pid


def test_a_stopped_question_is_no_answer_and_the_next_is(served, shops):
    stop = Event()
    stop.set()
    with cancelled_by(stop):
        answer = served.ask()
    assert answer.status == "error" and answer.problem and answer.problem.code == "cancelled" and answer.table is None
    assert_right(served, shops[300])
    assert [read["outcome"] for read in read_entries(served.log)] == ["stopped", "answered"]


def test_a_reader_who_leaves_is_written_down_once(served):
    for steps in (1, 2):
        stream = served.reception.stream(Question(text=SALES))
        for _ in range(steps):
            next(stream)
        stream.close()
    assert [read["outcome"] for read in read_entries(served.log)] == ["stopped", "stopped"]
    for step in served.reception.stream(Question(text=SALES)):
        if isinstance(step, Answer):
            break
    assert [read["outcome"] for read in read_entries(served.log)][2:] == ["answered"]


def test_an_edited_model_is_read_again(served):
    before = served.ask(SALES)
    served.edit_model("label: {en: GMV, zh: 成交额}", "label: {en: Turnover, zh: 营业额}")
    after = served.ask(SALES)
    assert before.table and after.table
    assert "GMV" in {column.label.en for column in before.table.columns}
    assert "Turnover" in {column.label.en for column in after.table.columns}
    assert after.table.rows == before.table.rows and not served.notices


@pytest.mark.parametrize("spoil", ["metrics: [", "metrics:\n  broken: {type: nonsense, label: {en: x, zh: x}}\n", "\x00", ""])
def test_a_model_with_a_mistake_leaves_the_old_one_and_says_so(spoil, served):
    right, sound = served.figures(), served.model.read_text("utf-8")
    served.model.write_text(spoil and f"{sound}\n{spoil}" if spoil != "" else "", "utf-8")
    answer = served.ask()
    assert answer.table and sorted(answer.table.rows, key=str) == right
    assert "model before the change" in answer.text and "shop.yml" in answer.text
    assert "改动前的模型" in served.ask("上个月各渠道的成交额").text
    assert len(served.notices) == 1, "whoever runs the service is told once"
    served.model.write_text(sound, "utf-8")
    assert "model before the change" not in served.ask().text


def test_a_model_that_goes_leaves_the_old_one_and_says_so(served):
    served.model.unlink()
    assert "model before the change" in served.ask().text


def test_new_data_count_while_the_model_has_a_mistake(served, shops):
    served.model.write_text("metrics: [", "utf-8")
    served.replace(shops[500])
    assert_right(served, shops[500])


def test_every_answer_to_a_fault_is_in_the_log(served):
    served.ask()
    served.database.unlink()
    served.ask()
    found = list(read_entries(served.log))
    assert [(read["outcome"], read["code"]) for read in found] == [("answered", None), ("error", "database_missing")]
    assert found[1]["sql"] is None and found[1]["rows"] is None


# What is kept of earlier answers


class CountingEngine(WorkerEngine):
    """An engine that counts the statements it ran."""

    ran = 0

    def run(self, *arguments, **more):
        self.ran += 1
        return super().run(*arguments, **more)


def test_an_answer_is_kept_until_the_data_change(tmp_path, shops):
    path = tmp_path / "shop.duckdb"
    shutil.copy(shops[300], path)
    engine = CountingEngine(path)
    layer = SemanticLayer(loader.load_model("shop"), engine, clock=lambda: date(2026, 11, 1))
    compiled = layer.compile(Query(metrics=("users",)))
    assert layer.compile(Query(metrics=("users",))) is compiled
    engine.ran = 0
    first, second = layer.run(compiled), layer.run(compiled)
    assert first.rows == second.rows and engine.ran == 1 and second.elapsed == 0
    assert layer.run(compiled, max_rows=5).rows == first.rows and engine.ran == 2
    shutil.copy(shops[500], tmp_path / "new")
    os.replace(tmp_path / "new", path)
    assert layer.run(compiled).rows != first.rows and engine.ran == 3
    assert layer.compile(Query(metrics=("users",))) is not compiled
    engine.close()
