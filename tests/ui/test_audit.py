"""The audit log: one whole line for each answer, whoever asks at whichever door, and what happens where it cannot be written."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wenshu.semantic_layer.errors import EngineError
from wenshu.ui.audit import AuditLog, Entry, read_entries
from wenshu.ui.settings import AuditSettings, audit_settings, engine_settings
from wenshu.ui.workspace import build, database_of

COMMAND = [sys.executable, "-m", "wenshu.ui.cli"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(question: str = "GMV", outcome: str = "answered", **more: object) -> Entry:
    return Entry(door="ask", question=question, outcome=outcome, **more)


def log_in(folder: Path, **settings: object) -> AuditLog:
    return AuditLog(AuditSettings(path=folder / "audit" / "audit.jsonl", **settings), clock=lambda: NOON)


@pytest.fixture(scope="session")
def shop() -> Path:
    database = database_of("shop")
    if not database.exists():
        build("shop", database, users=2_000)
    return database


@pytest.fixture
def wenshu(shop, tmp_path):
    """Return the function that runs a command as a process of its own, with its audit log in this test's folder."""

    def run(*arguments: object, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"WENSHU_AUDIT": str(tmp_path / "audit.jsonl")} | environment
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=120, check=False,
            env=os.environ | settings,
        )  # fmt: skip

    return run


# The file


def test_an_entry_is_one_line_of_json_that_only_its_owner_reads(tmp_path):
    log = log_in(tmp_path)
    said = "上个月\n各渠道的\u2028成交额 \udc80"
    assert log.write(entry(said, user="ann", query={"metrics": ["gmv"]}, sql="SELECT\n1", policy="p1", rows=3, ms=12.34)) is None
    path = log.settings.path
    (line,) = path.read_bytes().splitlines()
    assert json.loads(line) == {
        "time": "2026-03-01T12:00:00.000+00:00", "user": "ann", "door": "ask", "conversation": None, "language": None,
        "question": said.replace("\udc80", "?"), "outcome": "answered", "code": None, "query": {"metrics": ["gmv"]}, "sql": "SELECT\n1",
        "policy": "p1", "rows": 3, "ms": 12.3,
    }  # fmt: skip
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


def test_values_can_be_left_out(tmp_path):
    log = log_in(tmp_path, redacted=True)
    log.write(
        entry(
            "orders of Zhang San above 1234",
            query={"metrics": ["orders"], "filters": {"and": [{"dimension": "city", "op": "=", "values": ["Zhang San"]}]}},
            sql="SELECT \"a'1\" FROM t WHERE name = 'Zhang ''San' AND amount > 1234.5 AND t2.x1 = -7e3",
        )
    )
    text = log.settings.path.read_text()
    assert not any(value in text for value in ("Zhang", "San", "1234", "7e3"))
    (read,) = read_entries(log.settings.path)
    assert read["sql"] == "SELECT \"a'1\" FROM t WHERE name = ? AND amount > ? AND t2.x1 = -?"
    assert read["query"]["filters"]["and"][0] == {"dimension": "city", "op": "=", "values": "?"}


def test_a_full_file_is_put_aside_and_the_oldest_are_removed(tmp_path):
    log = log_in(tmp_path, file_bytes=1_000, files=3)
    for number in range(40):
        log.write(entry(f"question {number}"))
    files = sorted(path.name for path in log.settings.path.parent.glob("*.jsonl"))
    assert len(files) == 3 and "audit.jsonl" in files
    assert all(path.stat().st_size <= 1_000 for path in log.settings.path.parent.glob("*.jsonl"))
    asked = [read["question"] for read in read_entries(log.settings.path)]
    assert asked == [f"question {number}" for number in range(40 - len(asked), 40)] and len(asked) > 6


def _write_many(folder: Path, who: str) -> None:
    log = log_in(folder, file_bytes=20_000, files=1_000)
    for number in range(200):
        log.write(entry(f"{who} {number}", sql="x" * (number % 97)))


def test_processes_write_to_one_log_without_losing_or_mixing_a_line(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, who)) for who in ("ann", "bob", "cid")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    lines = [line for file in (tmp_path / "audit").glob("*.jsonl") for line in file.read_bytes().splitlines()]
    assert len([json.loads(line) for line in lines]) == 600
    asked = [read["question"] for read in read_entries(tmp_path / "audit" / "audit.jsonl")]
    for who in ("ann", "bob", "cid"):
        assert [question for question in asked if question.startswith(who)] == [f"{who} {number}" for number in range(200)]


def test_half_a_line_spoils_no_other(tmp_path):
    log = log_in(tmp_path)
    log.write(entry("before"))
    with log.settings.path.open("ab") as file:
        file.write(b'{"time": "2026-')
    log.write(entry("after"))
    assert [read["question"] for read in read_entries(log.settings.path)] == ["before", "after"]


def test_a_clock_that_jumps_leaves_the_order_and_the_entries(tmp_path):
    times = iter([NOON, NOON - timedelta(days=400), NOON + timedelta(hours=1)])
    log = AuditLog(AuditSettings(path=tmp_path / "audit.jsonl"), clock=lambda: next(times))
    for question in "abc":
        log.write(entry(question))
    assert [read["question"] for read in read_entries(tmp_path / "audit.jsonl")] == ["a", "b", "c"]


# A log that cannot be written


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path):
    """A limit on the size of files is met as a full disk is: in the middle of a line."""
    program = f"""
import resource, signal
from pathlib import Path
from wenshu.ui.audit import AuditLog, Entry
from wenshu.ui.settings import AuditSettings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = AuditLog(AuditSettings(path=Path({str(tmp_path / "audit.jsonl")!r})))
print([log.write(Entry(door="ask", question=f"question {{n}}", outcome="answered")) is None for n in range(10)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    written = done.stdout.count("True")
    assert written >= 2 and done.stdout.count("False") == 10 - written
    content = (tmp_path / "audit.jsonl").read_bytes()
    assert content.endswith(b"\n") and [json.loads(line)["question"] for line in content.splitlines()] == [
        f"question {number}" for number in range(written)
    ]


def test_a_log_that_must_be_written_holds_the_answer_back(tmp_path):
    (tmp_path / "audit").write_text("a file where the folder should be")
    assert "audit log" in log_in(tmp_path).write(entry()).en
    for settings in (log_in(tmp_path, required=True), AuditLog(AuditSettings(path=None, required=True))):
        with pytest.raises(EngineError) as error:
            settings.write(entry())
        assert error.value.code == "audit_not_written" and error.value.message.zh and error.value.hint.zh
    assert AuditLog(AuditSettings(path=None)).write(entry()) is None


def test_a_command_answers_with_a_warning_or_not_at_all(wenshu, tmp_path):
    (tmp_path / "file").write_text("")
    unwritable = {"WENSHU_AUDIT": str(tmp_path / "file" / "audit.jsonl")}
    done = wenshu("ask", "上个月各渠道的成交额", "--format", "json", **unwritable)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["status"]) == (0, "answered")
    assert "审计日志" in answer["text"] and "audit log" in done.stderr
    for command in (["ask", "GMV by channel last month"], ["sql", "SELECT count(*) FROM users"]):
        done = wenshu(*command, "--format", "json", **unwritable, WENSHU_AUDIT_REQUIRED="1")
        assert done.returncode == 5
        answer = json.loads(done.stdout)
        assert answer["problem"]["code"] == "audit_not_written" and not answer["rows"]


# Every door


def test_each_door_writes_a_line_for_each_answer(wenshu, tmp_path):
    questions = tmp_path / "questions.jsonl"
    lines = [{"text": "GMV by channel last month", "user": "ann"}, {"text": "明天天气怎么样"}, {"text": "top channels"}]
    questions.write_text("\n".join(json.dumps(line) for line in lines))
    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps({"id": "1", "lang": "en", "text": "How many users are there?", "expect": "answer", "gold_sql": None}))
    wenshu("ask", "上个月各渠道的成交额", "--user", "bob")
    wenshu("ask", "--batch", questions, "--format", "json")
    wenshu("query", "-", given='{"metrics": ["gmv"], "dimensions": ["channel"]}')
    wenshu("query", "-", given='{"metrics": ["nonsense"]}')
    wenshu("sql", "SELECT city, count(*) FROM users GROUP BY city")
    wenshu("sql", "SELECT * FROM read_csv('/etc/passwd')")
    wenshu("eval", gold)
    found = list(read_entries(tmp_path / "audit.jsonl"))
    assert [(read["door"], read["outcome"]) for read in found] == [
        ("ask", "answered"), ("ask", "answered"), ("ask", "refused"), ("ask", "clarify"), ("query", "answered"), ("query", "refused"),
        ("sql", "answered"), ("sql", "refused"), ("eval", found[-1]["outcome"]),
    ]  # fmt: skip
    assert [read["user"] for read in found[:2]] == ["bob", "ann"] and found[2]["user"]
    assert found[0]["question"] == "上个月各渠道的成交额" and found[0]["query"]["metrics"] == ["gmv"]
    assert found[0]["sql"].startswith(("SELECT", "WITH")) and found[0]["rows"] == 6 and found[0]["ms"] > 0
    assert found[4]["question"] == '{"metrics": ["gmv"], "dimensions": ["channel"]}'
    assert found[7]["code"] and found[7]["sql"] is None and "passwd" in found[7]["question"]


def test_ctrl_c_ends_the_query_and_is_written_down(shop, tmp_path):
    slow = "SELECT count(*) FROM order_items a, order_items b, order_items c WHERE a.unit_price + b.unit_price > c.unit_price"
    settings = {"WENSHU_AUDIT": str(tmp_path / "audit.jsonl"), "WENSHU_SQL_SECONDS": "60"}
    with subprocess.Popen([*COMMAND, "sql", slow], env=os.environ | settings, stdout=subprocess.DEVNULL) as asking:
        children = Path(f"/proc/{asking.pid}/task/{asking.pid}/children")
        deadline = time.monotonic() + 60
        while not children.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        worker = int(children.read_text().split()[0])
        ticks = os.sysconf("SC_CLK_TCK")  # a second of work is more than opening the data takes, so the query runs
        while int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11]) < ticks and time.monotonic() < deadline:
            time.sleep(0.05)
        asking.send_signal(signal.SIGINT)
        assert asking.wait(timeout=40) == 130  # the query itself would go on for 60 s
    assert not Path(f"/proc/{worker}").exists()
    (read,) = read_entries(tmp_path / "audit.jsonl")
    assert (read["door"], read["outcome"], read["question"]) == ("sql", "stopped", slow)


# Reading it


def test_the_log_is_read_by_who_what_and_when(wenshu, tmp_path):
    times = iter([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)] + [datetime.now(UTC)] * 2)
    log = AuditLog(AuditSettings(path=tmp_path / "audit.jsonl"), clock=lambda: next(times))
    log.write(entry("first", user="ann"))
    log.write(entry("second", user="bob", outcome="refused", code="sql_table"))
    log.write(entry("third", user="ann", outcome="error"))
    log.write(entry("fourth \x1b[31m", user="ann", rows=2, ms=5))
    log.write(entry("fifth", outcome="stopped"))

    def asked(*arguments: object) -> list[str]:
        done = wenshu("audit", "--format", "json", *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["question"].split()[0] for line in done.stdout.splitlines()]

    assert asked() == ["first", "second", "third", "fourth", "fifth"]
    assert asked("--user", "ann") == ["first", "third", "fourth"]
    assert asked("--outcome", "refused") == ["second"]
    assert asked("--since", "2026-01-02") == ["second", "third", "fourth", "fifth"]
    assert asked("--since", "24h") == asked("--since", "1w") == ["fourth", "fifth"]
    assert asked("--limit", 2) == ["fourth", "fifth"]
    text = wenshu("audit", "--lang", "zh").stdout
    assert "已拒绝 (sql_table)" in text and "2 行" in text and "\x1b" not in text
    assert "Nothing" in wenshu("audit", "--lang", "en", "--user", "nobody").stdout
    assert wenshu("audit", "--outcome", "lost").returncode == 2
    assert wenshu("audit", "--since", "yesteryear").returncode == 2
    assert wenshu("audit", WENSHU_AUDIT="off").returncode == 5


# Settings


def test_settings_come_from_the_environment(tmp_path):
    given = {
        "WENSHU_WORKERS": "3", "WENSHU_MEMORY": "2GB", "WENSHU_THREADS": "1", "WENSHU_SECONDS": "12.5", "WENSHU_SQL_SECONDS": "1",
        "WENSHU_SPILL": str(tmp_path), "WENSHU_SPILL_SIZE": "1GB",
    }  # fmt: skip
    set_ = engine_settings(given)
    assert (set_.workers, set_.memory, set_.threads, set_.seconds, set_.sql_seconds) == (3, "2GB", 1, 12.5, 1.0)
    assert (set_.spill, set_.spill_size) == (str(tmp_path), "1GB")
    assert engine_settings({}).spill is None and engine_settings({"WENSHU_WORKERS": "2"}).memory == "30%"
    assert audit_settings(tmp_path, {}).path == tmp_path / "audit" / "audit.jsonl"
    assert audit_settings(tmp_path, {"WENSHU_AUDIT": "OFF"}).path is None and audit_settings(None, {}).path is None


@pytest.mark.parametrize(
    "name, value",
    [
        ("WENSHU_WORKERS", "0"), ("WENSHU_WORKERS", "many"), ("WENSHU_MEMORY", "lots"), ("WENSHU_SECONDS", "-1"), ("WENSHU_SECONDS", "nan"),
        ("WENSHU_AUDIT_REDACT", "maybe"), ("WENSHU_AUDIT_FILES", "1.5"), ("WENSHU_SPILL_SIZE", "2"),
    ],
)  # fmt: skip
def test_a_setting_that_is_none_is_named(name, value, tmp_path):
    with pytest.raises(EngineError) as error:
        engine_settings({name: value})
        audit_settings(tmp_path, {name: value})
    assert error.value.code == "invalid_setting" and name in error.value.message.en and name in error.value.message.zh
