"""The command line as people and programs call it: output, messages, exit codes; a real process where one matters."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from wenshu.ui.cli import main
from wenshu.ui.terminal import aligned, width

COMMAND = [sys.executable, "-m", "wenshu.ui.cli"]
QUESTION = "上个月各渠道的成交额"
LAST_MONTH = "paid_at IS NOT NULL AND ordered_at >= '2026-09-01' AND ordered_at < '2026-10-01'"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def call(*arguments: object) -> Done:
    """Run a command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    for stream in (out, err):
        stream.flush()
    return Done(left.value.code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def process(*arguments: object, given: bytes | None = None, **environment: str) -> Done:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=given, capture_output=True, timeout=120, check=False,
        env=ENVIRONMENT | {"WENSHU_HOME": os.environ["WENSHU_HOME"]} | environment,
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(autouse=True)
def english_locale(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A small shop of its own, so that figures are compared with those of the same file."""
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    assert call("data", "build", "shop", "--users", 400, "--seed", 3, "--out", path).code == 0
    return path


def rows_of(database: Path, sql: str) -> list[list[Any]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return [list(row) for row in connection.execute(sql).fetchall()]


def write(path: Path, *lines: object) -> Path:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    path.write_text(text, "utf-8")
    return path


# the answer, as JSON --------------------------------------------------------------------------------------------------

TEXTS = [str]
PERIOD = {"start": str, "end": str, "label": str}
SHAPE = {
    "id": str,
    "status": str,
    "language": str,
    "text": str,
    "query": (dict, None),
    "analysis": ({"name": str, "label": str, "request": dict, "confidence": (str, None)}, None),
    "columns": [{"name": str, "role": str, "label": str, "unit": (str, None)}],
    "rows": [list],
    "truncated": bool,
    "sql": (str, None),
    "chart": ({"kind": str, "path": (str, None), "title": str, "alt_text": str, "reason": str}, None),
    "receipt": (
        {
            "definitions": [{"name": str, "label": str, "definition": str}],
            "period": (PERIOD, None),
            "compared_period": (PERIOD, None),
            "filters": TEXTS,
            "sources": TEXTS,
            "caveats": TEXTS,
            "assumptions": TEXTS,
            "verified": (str, None),
            "planner": str,
            "elapsed_ms": float,
            "llm": (dict, None),
            "steps": [dict],
            "governed": bool,
            "method": ({"name": str, "told": str, "assumptions": TEXTS, "source": str}, None),
        },
        None,
    ),
    "options": TEXTS,
    "problem": ({"code": str, "message": str, "hint": str}, None),
    "follow_ups": TEXTS,
    "report": (str, None),
}
ROLES = {"dimension", "time", "metric", "comparison", "change", "count"}


def misshapen(value: Any, shape: Any, where: str = "answer") -> list[str]:
    """Return where a value is not of the shape: exact keys, exact types."""
    match shape:
        case dict():
            if not isinstance(value, dict) or set(value) != set(shape):
                return [f"{where}: {value!r}"]
            return [fault for key in shape for fault in misshapen(value[key], shape[key], f"{where}.{key}")]
        case [inner]:
            if not isinstance(value, list):
                return [f"{where}: {value!r}"]
            return [fault for i, item in enumerate(value) for fault in misshapen(item, inner, f"{where}[{i}]")]
        case tuple():
            return [] if value is None else misshapen(value, shape[0], where)
        case _:
            return [] if type(value) is shape else [f"{where}: {value!r}"]


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        (QUESTION, "answered", 0),
        ("Top 5 cities by buyers in Q3 2026", "answered", 0),
        ("2026年9月成交额同比", "answered", 0),
        ("各品类销售额占比", "answered", 0),
        ("成交额是什么意思", "answered", 0),
        ("2026年9月成交额为什么变了", "answered", 0),
        ("？！", "clarify", 3),
        ("仓库里有多少货", "refused", 4),
    ],
)
def test_answers_keep_the_contract(shop, question, status, code):
    done = call("ask", question, "--db", shop, "--format", "json")
    assert (done.code, done.json["status"], done.err) == (code, status, "")
    assert misshapen(done.json, SHAPE) == []
    assert {column["role"] for column in done.json["columns"]} <= ROLES
    assert all(len(row) == len(done.json["columns"]) for row in done.json["rows"])


def test_the_shape_check_finds_faults():
    assert misshapen({"a": 1}, {"a": str}) == ["answer.a: 1"]
    assert misshapen({"a": 1, "b": 2}, {"a": int}) and misshapen([None], [str]) and not misshapen(None, (str, None))


def test_the_numbers_are_those_of_the_database(shop):
    out = call("ask", QUESTION, "--db", shop, "--format", "json").json
    gold = f"SELECT channel, sum(amount)::DOUBLE FROM orders JOIN users USING (user_id) WHERE {LAST_MONTH} GROUP BY 1 ORDER BY 2 DESC"
    assert out["rows"] == [[channel, pytest.approx(amount)] for channel, amount in rows_of(shop, gold)]
    assert [(c["name"], c["role"], c["label"], c["unit"]) for c in out["columns"]] == [
        ("channel", "dimension", "渠道", None), ("gmv", "metric", "成交额", "CNY"),
    ]  # fmt: skip
    assert out["receipt"]["period"]["start"] == "2026-09-01" and out["receipt"]["period"]["end"] == "2026-09-30"
    assert out["receipt"]["sources"] == ["orders", "users"] and out["receipt"]["planner"] == "rules"
    assert out["query"]["metrics"] == ["gmv"] and out["query"]["dimensions"] == ["channel"]


def test_the_language_can_be_chosen(shop):
    assert call("ask", QUESTION, "--db", shop, "--format", "json", "--lang", "en").json["columns"][0]["label"] != "渠道"
    assert call("ask", "GMV", "--db", shop, "--format", "json", "--lang", "zh").json["columns"][0]["label"] == "成交额"


@pytest.mark.parametrize(
    "option",
    [("--planner", "rules"), ("--planner", "auto"), ("--user", "alice"), ("--model", "shop")],
    ids=lambda option: " ".join(option),
)
def test_options_that_do_not_change_this_answer(shop, option):
    out = call("ask", "GMV last month", "--db", shop, "--format", "json", *option).json
    assert out["rows"] == [
        [pytest.approx(rows_of(shop, f"SELECT sum(amount)::DOUBLE FROM orders WHERE {LAST_MONTH}")[0][0])]
    ]


# the answer, in a terminal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        (QUESTION, ("渠道", "抖音", "口径：", "有效订单", "日期：", "2026-09-01 – 2026-09-30", "数据来源：", "接着问：")),
        ("GMV by channel last month", ("acquisition channel", "Douyin", "Definition:", "Dates:", "Tables:", "Ask next:")),
        ("仓库里有多少货", ("库存",)),
    ],
)  # fmt: skip
def test_answer_in_words(shop, question, shown):
    done = call("ask", question, "--db", shop)
    assert [words for words in shown if words not in done.out] == []
    assert "**" not in done.out and "\\" not in done.out and done.err == ""


def test_words_need_no_quotes(shop):
    assert call("ask", "GMV", "by", "channel", "--db", shop).out.count("Douyin") >= 1


def test_the_sql_is_printed_on_demand(shop):
    with_sql, without = call("ask", QUESTION, "--db", shop, "--sql").out, call("ask", QUESTION, "--db", shop).out
    assert "SUM(orders.amount)" in with_sql and "SELECT" not in without


def test_columns_line_up(shop):
    lines = call("ask", QUESTION, "--db", shop).out.splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("──"))
    assert {width(line) for line in lines[rule - 1 : rule + 5]} == {width(lines[rule])}


def test_chinese_is_two_wide():
    assert list(aligned([["城市", "n"], ["Xi'an", "10"]], [False, True])) == ["城市    n", "Xi'an  10"]


def test_data_cannot_steer_the_terminal(tmp_path):
    database = tmp_path / "t.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT 1 AS order_id, DATE '2026-01-01' AS day, 'a\x1b[2Jb\u202ec' AS city"
        )
    model = tmp_path / "m.yml"
    model.write_text(
        "name: m\ndatasets:\n  orders: {source: orders, primary_key: order_id, time: day, dimensions: {city: {}}}\n"
        "metrics:\n  n: {type: count, dataset: orders, label: visits}\n"
    )
    done = call("ask", "visits by city", "--model", model, "--db", database)
    assert done.code == 0 and "a\ufffd[2Jb\ufffdc" in done.out and "\x1b" not in done.out
    assert "\x1b" not in call("sql", "SELECT city FROM orders", "--model", model, "--db", database).out


# charts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("图 表.PNG", b"\x89PNG")])
def test_chart(shop, tmp_path, name, start):
    path = tmp_path / name
    done = call("ask", QUESTION, "--db", shop, "--chart", path, "--format", "json")
    assert done.json["chart"]["path"] == str(path) and path.read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_an_answer_without_a_chart_writes_none(shop, tmp_path):
    done = call("ask", "仓库里有多少货", "--db", shop, "--chart", tmp_path / "c.png", "--format", "json")
    assert done.code == 4 and done.json["chart"] is None and not list(tmp_path.iterdir())


def test_csv_of_an_answer_and_of_a_query(shop, tmp_path):
    done = call("ask", QUESTION, "--db", shop, "--csv", tmp_path / "a.csv", "--format", "json")
    lines = (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()
    assert done.code == 0 and len(lines) == 1 + len(done.json["rows"]) and lines[0] == "渠道,成交额"
    (tmp_path / "q.json").write_text('{"dimensions": ["user_id", "city"]}')
    done = call("query", tmp_path / "q.json", "--db", shop, "--csv", tmp_path / "q.csv", "--lang", "en")
    assert done.code == 0 and len((tmp_path / "q.csv").read_text("utf-8-sig").splitlines()) == 401
    refused = call("ask", "导出所有用户的手机号", "--db", shop, "--csv", tmp_path / "none.csv")
    assert refused.code == 4 and not (tmp_path / "none.csv").exists()


# what goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", ""], 2, "The question is empty."),
        (["ask", "  \t "], 2, "The question is empty."),
        (["ask", "", "--lang", "zh"], 2, "问题是空的。"),
        (["ask"], 2, "Give one question"),
        (["ask", "GMV", "--batch", "x.jsonl"], 2, "Give one question"),
        (["ask", "成交额", "--planner", "magic"], 2, "“magic”，可选：'rules', 'llm', 'auto'"),
        (["ask", "GMV", "--planner", "magic"], 2, "'magic' is not one of 'rules', 'llm', 'auto'"),
        (["ask", "GMV", "--planner", "llm"], 5, "No language model is configured."),
        (["ask", "成交额", "--planner", "llm"], 5, "尚未配置大模型"),
        (["ask", "成交额", "--lang", "fr"], 2, "“fr”，可选："),
        (["ask", "成交额", "--nothing"], 2, "没有选项 --nothing"),
        (["ask", "🎉😀"], 3, "Which number"),
        (["ask", "？！。"], 3, "Which number"),
        (["ask", "成\x1b[31m交\x00额\x07"], 4, "\ufffd?"),
        (["ask", "a" * 100_000], 4, "100,000 characters"),
        (["ask", "额" * 100_000], 4, "100,000 个字符"),
        (["ask", "2026-02-30的成交额"], 4, "“2026-02-30”不是存在的日期"),
        (["ask", "GMV on 2026-02-30"], 4, "“2026-02-30” is not a date"),
        (["ask", "成交额", "--model", "shopp"], 5, "没有名为“shopp”的模型。\n您是不是想说：shop"),
        (["ask", "GMV", "--model", "none.yml"], 5, "There is no model “none.yml”."),
        (["ask", "成交额", "--chart", "a.gif"], 2, ".png 或 .svg"),
        (["ask", "成交额", "--chart", "nowhere/a.png"], 5, "无法写入 nowhere/a.png。"),
        (["ask", "--batch", "none.jsonl"], 2, "none.jsonl cannot be read"),
        (["query", "none.json"], 2, "none.json cannot be read"),
        (["query"], 2, "Give one file"),
        (["eval", "none.jsonl"], 2, "none.jsonl cannot be read"),
        (["check-sql"], 2, "--batch"),
        (["sql", "DROP TABLE users"], 4, "SELECT"),
        (["sql", "SELECT phone FROM users"], 4, "phone"),
        (["data", "build", "nothing"], 2, "'shop', 'cdnow', 'journey'"),
        (["data", "build", "cdnow", "--users", "5"], 2, "generated shop only"),
        (["data", "build", "shop", "--users", "0"], 2, "--users"),
        (["chat", "--port", "99999"], 2, "--port"),
        (["nothing"], 2, "No such command"),
    ],
)  # fmt: skip
def test_bad_calls_are_told_clearly(shop, arguments, code, said):
    asks_the_shop = arguments[0] in ("ask", "sql", "query") and "--model" not in arguments
    done = call(*arguments, *(["--db", shop] if asks_the_shop else []))
    told = done.out + done.err
    assert done.code == code, told
    assert re.search(re.escape(said).replace(re.escape("\ufffd?"), "."), told), told
    assert "Traceback" not in told and "\x1b" not in told


def test_a_locale_chooses_the_language_where_no_question_does(monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "没有名为“none.yml”的模型" in call("metrics", "--model", "none.yml").err
    assert "There is no model" in call("metrics", "--model", "none.yml", "--lang", "en").err


@pytest.fixture(scope="module")
def broken(shop, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("broken")
    paths = {name: folder / f"{name}.duckdb" for name in ("missing", "no_database", "other", "lost_column", "cut")}
    paths["no_database"].write_text("hello")
    with duckdb.connect(str(paths["other"])) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS order_id")
    paths["lost_column"].write_bytes(shop.read_bytes())
    with duckdb.connect(str(paths["lost_column"])) as connection:
        connection.execute("ALTER TABLE orders DROP COLUMN amount")
    paths["cut"].write_bytes(shop.read_bytes()[:5000])
    return paths | {"folder": folder}


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing", "不存在"), ("folder", "不存在"), ("no_database", "无法读取"), ("cut", "无法读取"), ("other", "campaigns"), ("lost_column", "amount")],
)  # fmt: skip
def test_a_database_that_does_not_fit(broken, name, said):
    done = call("ask", "成交额", "--db", broken[name])
    assert done.code in ((4, 5) if name == "lost_column" else (5,)), done
    assert said in done.out + done.err and "Error" not in done.out + done.err
    out = call("ask", "成交额", "--db", broken[name], "--format", "json").json
    assert misshapen(out, SHAPE) == [] and out["problem"]["message"] and out["rows"] == []


def test_what_nobody_foresaw_is_told_without_a_traceback():
    """A file system that gives out is one such thing: the model is a folder's child that cannot be."""
    done = call("model", "check", "x" * 5000)
    assert done.code == 5 and "Traceback" not in done.err and len(done.err.splitlines()) <= 2


# batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_answers_every_line_in_order(shop, tmp_path):
    file = write(
        tmp_path / "q.jsonl",
        {"id": "a", "text": QUESTION, "conversation": "c", "user": "bob"},
        {"id": 2, "text": "按城市看", "conversation": "c", "user": "bob"},
        {"text": "GMV this month", "today": "2026-06-18"},
        "",
        {"id": "late", "text": "GMV", "today": "2026-02-30"},
        {"id": "stock", "text": "仓库里有多少货"},
    )
    done = call("ask", "--batch", file, "--db", shop, "--format", "json")
    assert done.code == 0 and [misshapen(line | {"id": "1"}, SHAPE) for line in done.lines] == [[]] * 5
    assert [line["id"] for line in done.lines] == ["a", 2, "3", "late", "stock"]
    assert [line["status"] for line in done.lines] == ["answered", "answered", "answered", "refused", "refused"]
    assert done.lines[1]["query"] == done.lines[0]["query"] | {"dimensions": ["city"]}
    assert done.lines[2]["receipt"]["period"] | {"label": ""} == {
        "start": "2026-06-01",
        "end": "2026-06-18",
        "label": "",
    }
    assert done.lines[3]["problem"]["code"] == "invalid_date"


@pytest.mark.parametrize(
    "line", ["{", "[1]", '"GMV"', "{}", '{"text": 5}', '{"text": "\\ud800"}', '{"text": NaN}', "[" * 20_000]
)
def test_a_broken_line_is_named_and_the_others_answer(shop, tmp_path, line):
    file = write(tmp_path / "q.jsonl", {"text": "GMV"}, line, {"text": "成交额"})
    done = call("ask", "--batch", file, "--db", shop)
    assert done.code == 2 and "Line 2 of q.jsonl" in done.err
    assert [out["status"] for out in done.lines] == ["answered", "error", "answered"]
    assert done.lines[1]["problem"]["code"] == "invalid_line"


def test_a_batch_that_cannot_be_opened_says_so_for_every_line(tmp_path):
    file = write(tmp_path / "q.jsonl", {"id": "a", "text": "成交额"}, {"id": "b", "text": "GMV"})
    done = call("ask", "--batch", file, "--db", tmp_path / "none.duckdb")
    assert done.code == 5
    assert [(out["id"], out["language"], out["problem"]["code"]) for out in done.lines] == [
        ("a", "zh", "database_missing"), ("b", "en", "database_missing"),
    ]  # fmt: skip


def test_a_batch_reads_standard_input(shop):
    done = process("ask", "--batch", "-", "--db", shop, given='\ufeff{"text": "成交额"}\n'.encode())
    assert done.code == 0 and done.json["status"] == "answered"


# query, sql, check-sql, metrics ---------------------------------------------------------------------------------------

CITIES = {
    "metrics": ["gmv"],
    "dimensions": ["city"],
    "period": {"start": "2026-09-01", "end": "2026-09-30"},
    "limit": 3,
}


def test_query(shop, tmp_path):
    done = call("query", write(tmp_path / "q.json", CITIES), "--db", shop)
    gold = f"SELECT city, sum(amount)::DOUBLE FROM orders JOIN users USING (user_id) WHERE {LAST_MONTH} GROUP BY 1 ORDER BY 2 DESC LIMIT 3"
    assert done.code == 0 and misshapen(done.json, {key: SHAPE[key] for key in SHAPE if key != "text"}) == []
    assert done.json["rows"] == [[city, pytest.approx(amount)] for city, amount in rows_of(shop, gold)]
    assert done.json["query"] == CITIES


def test_query_from_standard_input(shop):
    done = process("query", "-", "--db", shop, "--lang", "zh", given=json.dumps(CITIES).encode())
    assert done.code == 0 and done.json["columns"][1]["label"] == "成交额"


def test_query_explains(shop, tmp_path):
    done = call("query", write(tmp_path / "q.json", CITIES), "--db", shop, "--explain")
    answer = call("query", tmp_path / "q.json", "--db", shop).json
    assert done.code == 0 and done.out.strip() == answer["sql"]
    assert [[city, float(amount)] for city, amount in rows_of(shop, done.out)] == answer["rows"]


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ('{"metrics": ["gmvv"]}', "unknown_metric", "gmv"),
        ('{"metrics": ["gmv"], "dimensions": ["chanel"]}', "unknown_dimension", "channel"),
        ('{"metrics": ["gmv"], "metric": 1}', "invalid_query", "metrics"),
        ('{"metrics": "gmv"}', "invalid_query", "list"),
        ("{}", "empty_query", "metric"),
        ("[]", "invalid_query", "object"),
        ('{"metrics": ["gmv"]', "invalid_query", '{"metrics": ["gmv"]}'),
        ('{"metrics": ["gmv"], "limit": NaN}', "invalid_query", "metrics"),
        ('{"metrics": ["gmv"], "period": {"start": "2026-02-30", "end": "2026-03-01"}}', "invalid_date", "YYYY-MM-DD"),
        ('{"metrics": ["gmv"], "period": {"start": "2030-01-01", "end": "2030-03-01"}}', "outside_data", "2026-10-31"),
    ],
)
def test_a_query_that_is_refused(shop, tmp_path, text, code, hint):
    done = call("query", write(tmp_path / "q.json", text), "--db", shop)
    assert done.code == 4 and done.json["status"] == "refused" and done.json["problem"]["code"] == code
    assert hint in done.json["problem"]["hint"]
    explained = call("query", tmp_path / "q.json", "--db", shop, "--explain", "--lang", "zh")
    assert explained.code == 4 and explained.out == "" and explained.err


def test_queries_in_a_batch(shop, tmp_path):
    file = write(tmp_path / "q.jsonl", {"id": "x", "query": CITIES}, CITIES, {"id": "y", "metrics": ["gvm"]}, "oops")
    done = call("query", "--batch", file, "--db", shop)
    assert done.code == 2 and "Line 4" in done.err
    assert [(out["id"], out["status"]) for out in done.lines] == [
        ("x", "answered"), ("2", "answered"), ("y", "refused"), ("4", "error"),
    ]  # fmt: skip
    assert done.lines[0]["rows"] == done.lines[1]["rows"] != []
    explained = call("query", "--batch", file, "--db", shop, "--explain").lines
    assert explained[0] == {"id": "x", "sql": done.lines[0]["sql"]} and explained[2]["problem"]


def test_check_sql(shop, tmp_path):
    file = write(
        tmp_path / "s.jsonl",
        {"sql": "SELECT count(*) FROM users"},
        {"sql": "DROP TABLE users"},
        {"sql": "SELECT * FROM read_csv('/etc/passwd')"},
        {"sql": "SELECT phone FROM users"},
        {"statement": "SELECT 1"},
    )
    done = call("check-sql", "--batch", file, "--db", shop)
    assert [misshapen(out, {"ok": bool, "code": (str, None), "message": (str, None)}) for out in done.lines] == [[]] * 5
    assert [out["ok"] for out in done.lines] == [True, False, False, False, False]
    assert done.lines[0] == {"ok": True, "code": None, "message": None} and all(out["code"] for out in done.lines[1:])
    assert done.code == 2 and "Line 5" in done.err


def test_sql(shop):
    statement = "SELECT channel, count(*) AS n FROM users GROUP BY 1 ORDER BY 2 DESC, 1"
    done = call("sql", statement, "--db", shop, "--format", "json")
    assert done.json["rows"] == rows_of(shop, statement) and done.json["status"] == "answered"
    text = call("sql", statement, "--db", shop).out.splitlines()
    assert text[0].split() == ["channel", "n"] and text[2].split() == [str(cell) for cell in done.json["rows"][0]]
    refused = call("sql", "DELETE FROM users", "--db", shop, "--format", "json")
    assert refused.code == 4 and refused.json["status"] == "refused" and refused.json["problem"]["code"]


def test_sql_shows_thirty_rows_and_says_how_many_more(shop):
    lines = call("sql", "SELECT user_id FROM users ORDER BY 1", "--db", shop).out.splitlines()
    assert len(lines) == 33 and lines[-1] == "… 370 more rows" and lines[2].strip() == "1"


def test_metrics():
    listed = call("metrics", "--format", "json").json
    assert {"model", "metrics", "dimensions", "segments"} <= set(listed)
    gmv = next(metric for metric in listed["metrics"] if metric["name"] == "gmv")
    assert gmv["label"] == "GMV" and "valid orders" in gmv["definition"] and gmv["unit"] == "CNY"
    chinese = call("metrics", "--lang", "zh").out
    assert chinese.startswith("指标\n") and re.search(r"^  gmv +成交额 +有效订单", chinese, re.MULTILINE)
    assert not re.search(r"phone|手机号", chinese)


# eval -----------------------------------------------------------------------------------------------------------------


def test_eval(shop, tmp_path):
    gold = f"SELECT sum(amount) FROM orders WHERE {LAST_MONTH}"
    file = write(
        tmp_path / "questions.jsonl",
        {"id": "right", "lang": "zh", "text": "上个月的成交额", "topic": "money", "expect": "answer", "gold_sql": gold},
        {"id": "wrong", "lang": "en", "text": "GMV last month", "topic": "money", "gold_sql": f"SELECT 2 * ({gold})"},
        {
            "id": "refused",
            "lang": "zh",
            "text": "仓库里有多少货",
            "topic": "stock",
            "expect": "refuse",
            "gold_sql": None,
        },
    )
    report = call("eval", file, "--db", shop, "--format", "json").json
    assert {key: report[key] for key in ("questions", "right", "wrong")} == {"questions": 3, "right": 2, "wrong": 1}
    assert report["by_topic"]["money"] == {"questions": 2, "right": 1, "wrong": 1}
    assert report["by_language"]["zh"] == {"questions": 2, "right": 2, "wrong": 0}
    text = call("eval", file, "--db", shop)
    assert (
        text.code == 0
        and "wrong wrong [money/en] GMV last month" in text.out
        and "2 of 3 right, 1 wrong (66.7%)" in text.out
    )


def test_eval_names_a_broken_line(tmp_path):
    done = call("eval", write(tmp_path / "questions.jsonl", {"text": "GMV"}, {"id": 2}))
    assert done.code == 2 and "Line 2 of questions.jsonl" in done.err


# models ---------------------------------------------------------------------------------------------------------------


def test_model_check_names_every_mistake_with_its_line(tmp_path):
    model = tmp_path / "m.yml"
    model.write_text(
        "name: m\n"
        "datasets:\n"
        "  orders:\n"
        "    source: orders\n"
        "    dimensions:\n"
        "      city: {lable: city}\n"
        "metrics:\n"
        "  gmv: {type: sum, dataset: ordrs, expr: amount}\n"
        "  aov: {type: ratio, numerator: gmv, denominator: order}\n"
        "  n: {type: cuont, dataset: orders}\n"
        "  m: {type: sum, dataset: orders, expr: amount +}\n"
    )
    done = call("model", "check", model)
    assert done.code == 5 and done.out == ""
    assert re.findall(r"^m\.yml:(\d+):", done.err, re.MULTILINE) == ["6", "8", "9", "10", "11"]
    assert "label" in done.err and "orders" in done.err and "count" in done.err
    assert "m.yml:6：" in call("model", "check", model, "--lang", "zh").err
    answer = call("ask", "成交额", "--model", model, "--format", "json")
    assert answer.code == 5 and answer.json["problem"]["code"] == "model_invalid" and "m.yml:6：" in answer.json["text"]


def test_model_check_against_a_database(shop, broken):
    assert call("model", "check", "shop", "--db", shop).code == 0
    done = call("model", "check", "shop", "--db", broken["lost_column"])
    assert done.code == 5 and re.search(r"“amount”.*\(gmv, .*orders\.order_amount", done.out)


def test_model_schema_is_json_schema():
    schema = json.loads(call("model", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/") and "datasets" in schema["properties"]


# data -----------------------------------------------------------------------------------------------------------------


def test_the_shop_is_the_same_for_the_same_seed(tmp_path, shop):
    again, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    for path, seed in ((again, 3), (other, 4)):
        done = call("data", "build", "shop", "--users", 400, "--seed", seed, "--out", path)
        assert done.code == 0 and str(path) in done.out and done.err == ""
    orders = "SELECT * FROM orders ORDER BY order_id"
    assert rows_of(again, orders) == rows_of(shop, orders) != rows_of(other, orders)
    assert rows_of(shop, "SELECT count(*) FROM users") == [[400]]


@pytest.mark.parametrize(
    ("name", "sql", "figures"),
    [
        ("cdnow", "SELECT count(*), sum(cds)::BIGINT, sum(amount)::DOUBLE FROM purchases", [69659, 167881, 2500315.63]),
        ("journey", "SELECT count(*), sum(sales)::DOUBLE FROM baskets", [155848, 4596039.58]),
    ],
)
def test_published_data(tmp_path, name, sql, figures):
    path = tmp_path / "new folder" / f"{name}.duckdb"
    assert call("data", "build", name, "--out", path).code == 0
    assert rows_of(path, sql) == [figures]
    done = call("metrics", "--model", name)
    assert done.code == 0 and done.out
    assert call("model", "check", name, "--db", path).code == 0


def test_nothing_is_left_of_a_build_that_fails(tmp_path):
    (tmp_path / "file").write_text("kept")
    done = call("data", "build", "shop", "--users", 20, "--out", tmp_path / "file" / "shop.duckdb")
    assert done.code == 5 and "cannot be written" in done.err
    (tmp_path / "folder").mkdir()
    assert call("data", "build", "shop", "--users", 20, "--out", tmp_path / "folder").code == 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept" and not list((tmp_path / "folder").iterdir())


# the process: streams, folders, terminals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "locale",
    [{"LANG": "C"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=str,
)  # fmt: skip
def test_output_is_utf8_whatever_the_locale(shop, locale):
    done = process("ask", QUESTION, "--db", shop, "--format", "json", **locale)
    assert done.code == 0 and done.json["columns"][0]["label"] == "渠道"
    refused = process("ask", "成交额", "--db", "none.duckdb", **locale)
    assert refused.code == 5 and "数据库 none.duckdb 不存在。" in refused.err


def test_a_reader_that_leaves_early(shop, tmp_path):
    file = write(tmp_path / "q.jsonl", *[{"text": QUESTION}] * 40)
    shell = f"{' '.join(COMMAND)} ask --batch {file} --db {shop} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=True
    )
    assert json.loads(done.stdout.splitlines()[0])["status"] == "answered"
    assert done.stdout.splitlines()[1] == "0" and done.stderr == ""


def test_closed_and_full_outputs(shop):
    def shell(redirect: str) -> subprocess.CompletedProcess[str]:
        command = f"{' '.join(COMMAND)} ask GMV --db {shop} {redirect}"
        return subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False
        )

    closed, full = shell(">&-"), shell(">/dev/full")
    assert (closed.returncode, closed.stderr) == (0, "")
    assert full.returncode == 5 and "cannot be written" in full.stderr and "Traceback" not in full.stderr


def test_two_processes_build_the_demo_data_at_once(tmp_path):
    environment = ENVIRONMENT | {"WENSHU_HOME": str(tmp_path / "home")}
    command = [*COMMAND, "ask", "成交额", "--format", "json"]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    answers = [(*running.communicate(timeout=180), running.returncode) for running in both]
    assert [(err, code) for _, err, code in answers] == [(b"", 0)] * 2
    first, second = (json.loads(out) for out, _, _ in answers)
    assert first["rows"] == second["rows"] != []
    assert [entry.name for entry in (tmp_path / "home" / "data").iterdir()] == ["shop.duckdb"]


def test_a_relative_data_folder(tmp_path, monkeypatch, shop):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WENSHU_HOME", "here")
    (tmp_path / "here" / "data").mkdir(parents=True)
    (tmp_path / "here" / "data" / "shop.duckdb").write_bytes(shop.read_bytes())
    assert call("ask", "GMV", "--format", "json").code == 0
    assert list((tmp_path / "here" / "cache").iterdir())


def test_a_data_folder_that_cannot_be_written(tmp_path, monkeypatch, shop):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WENSHU_HOME", str(tmp_path / "file" / "home"))
    done = call("ask", "成交额")
    assert done.code == 5 and "WENSHU_HOME" in done.err and "无法写入" in done.err
    assert call("ask", "成交额", "--db", shop, "--chart", tmp_path / "c.png").code == 0


def test_a_user_without_a_home(shop, tmp_path):
    environment = {"WENSHU_HOME": "~nobody-of-this-name/data", "HOME": "/proc/none", "XDG_DATA_HOME": ""}
    assert process("ask", "GMV", "--db", shop, **environment).code == 0
    done = process("ask", "GMV", **environment)
    assert done.code == 5 and "Set WENSHU_HOME" in done.err


def test_heavy_libraries_stay_out_of_an_answer(shop):
    program = (
        "import sys\nfrom wenshu.ui.cli import main\n"
        f"try: main(['ask', '{QUESTION}', '--db', {str(shop)!r}])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "duckdb" in loaded and not loaded & {"pandas", "numpy", "matplotlib", "gradio", "fastapi", "uvicorn", "rich"}


def in_terminal(*arguments: object, home: Path) -> str:
    """Return what a person sees of a command, keystroke by keystroke."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(
            COMMAND[0], [*COMMAND, *map(str, arguments)], ENVIRONMENT | {"WENSHU_HOME": str(home), "TERM": "xterm"}
        )
    seen, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline and select.select([screen], [], [], 60)[0]:
        try:
            read = os.read(screen, 65536)
        except OSError:  # the command has left
            break
        seen += read
        if not read:
            break
    os.close(screen)
    os.waitpid(pid, 0)
    return seen.decode()


def test_progress_on_a_terminal_and_silence_elsewhere(tmp_path):
    seen = in_terminal("data", "build", "shop", "--users", 4000, "--out", tmp_path / "a.duckdb", home=tmp_path)
    assert "Building demo data" in seen and re.search(r"█.*%", seen)
    left = seen.rsplit("\x1b[K", 1)[1].strip()
    assert left.startswith(str(tmp_path / "a.duckdb")) and "█" not in left
    quiet = process("data", "build", "shop", "--users", 400, "--out", tmp_path / "b.duckdb")
    assert quiet.err == "" and quiet.out.count("\n") == 1


def test_demo_answers_in_the_terminal(tmp_path):
    done = process("demo", "--no-serve", WENSHU_HOME=str(tmp_path))
    assert done.code == 0 and done.err == ""
    assert QUESTION in done.out and "渠道" in done.out and "demo-chart.png" in done.out
    assert (tmp_path / "demo-chart.png").read_bytes().startswith(b"\x89PNG")


def test_chat_prints_its_address_and_serves_there(shop):
    command = [*COMMAND, "chat", "--db", str(shop), "--port", "7999"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        try:
            printed = ""
            while "http://" not in printed:
                line = serving.stdout.readline()
                assert line, serving.stderr.read()
                printed += line
            address = re.search(r"http://127\.0\.0\.1:\d+", printed)[0]
            with urllib.request.urlopen(address, timeout=30) as page:
                assert page.status == 200
            serving.send_signal(signal.SIGINT)
            assert serving.wait(timeout=30) == 0
        finally:
            serving.kill()


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", call("version").out)
