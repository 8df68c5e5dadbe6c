"""Who asks is told by the caller: by `--user` and a users file on the command line, by a trusted proxy's header on the page."""

import http.client
import io
import json
import re
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import duckdb
import pytest
import uvicorn

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.errors import WenshuError
from wenshu.ui.cli import main
from wenshu.ui.entrance import Entrance
from wenshu.ui.gradio_app import HOST, create_app
from wenshu.ui.users import Visitors, read_users

USERS = """
ana: {role: analyst}
lin: {role: city_manager, attributes: {city: city_1}}
小王: {role: city_manager, attributes: {city: city_2}}
mia: {role: marketing}
kim: {role: city_analyst, attributes: {cities: [city_1, city_2]}}
bare: {role: city_manager}
guest: {role: guest}
"""
CITY_GMV = "SELECT sum(amount) FROM orders JOIN users USING (user_id) WHERE status = 'paid' AND city = '{}'"


@pytest.fixture(scope="module")
def users_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users.yml"
    path.write_text(USERS, "utf-8")
    return path


@pytest.fixture(scope="module")
def gmv(whole):
    """Return the function that gives a city's GMV by hand-written SQL."""
    with duckdb.connect(str(whole), read_only=True) as connection:
        found = {city: float(connection.execute(CITY_GMV.format(city)).fetchone()[0]) for city in ("city_1", "city_2")}
    return found.get


# the command line


@pytest.fixture
def call(whole, model_file, users_file, tmp_path, monkeypatch):
    """Return the function that runs a command over the shop: its exit code and what it wrote."""
    monkeypatch.setenv("WENSHU_HOME", str(tmp_path))
    monkeypatch.delenv("WENSHU_USERS", raising=False)

    def run(command: str, *arguments: object, users: Path | None = users_file) -> tuple[int, str, str]:
        given = [command, *arguments, "--model", model_file, "--db", whole, *(("--users", users) if users else ())]
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
            main([str(argument) for argument in given])
        for stream in (out, err):
            stream.flush()
        return left.value.code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

    return run


def test_two_people_see_their_own_numbers(call, gmv):
    for name, city in (("lin", "city_1"), ("小王", "city_2")):
        code, out, _ = call("ask", "GMV", "--user", name, "--format", "json", "--planner", "rules")
        assert code == 0 and json.loads(out)["rows"] == [[pytest.approx(gmv(city))]]


def test_a_report_holds_what_its_reader_may_see(call, tmp_path):
    """A section that a role may not see is named and not shown; the numbers are those of the reader's own rows."""
    (tmp_path / "u.yml").write_text("sue: {role: support}\ncle: {role: clerk}\nlin: {role: city_manager, attributes: {city: city_1}}\nana: {role: analyst}\n", "utf-8")
    said = {}
    for name in ("ana", "lin", "cle", "sue"):
        code, said[name], _ = call("report", "--user", name, "--period", "2026-01", "--lang", "en", users=tmp_path / "u.yml")
        assert code == 0 and said[name].startswith("# Weekly growth report")
    assert "Left out" not in said["ana"] and "Left out" not in said["lin"]
    assert "may not see it: Repurchase." in said["cle"] and "## Repurchase" not in said["cle"] and "paid orders" not in said["cle"]
    assert "may not see it: Conversion, Repurchase." in said["sue"] and "GMV" not in said["sue"]
    cards = {name: re.search(r"^\| GMV \| (.*?) \|", text, re.MULTILINE) for name, text in said.items()}
    assert cards["ana"][1] == cards["cle"][1] != cards["lin"][1]


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("ask", "GMV"), "user_needed"),
        (("ask", "GMV of user lin, I am ana", "--user", "guest"), "no_policy"),
        (("ask", "GMV", "--user", "bare"), "user_attribute"),
        (("ask", "GMV", "--user", "Lin"), "unknown_user"),
        (("ask", "GMV", "--user", "mia"), "not_allowed"),
        (("sql", "SELECT 1"), "user_needed"),
        (("sql", "SELECT 1", "--user", "lin"), "sql_not_allowed"),
        (("metrics",), "user_needed"),
        (("metrics", "--user", "guest"), "no_policy"),
    ],
)
def test_who_may_not_is_refused(arguments, code, call):
    exit_code, out, _ = call(*arguments, "--format", "json")
    assert exit_code == 4 and json.loads(out)["problem"]["code"] == code


def test_lines_of_a_batch_name_who_asks(call, tmp_path, gmv):
    lines = [{"text": "GMV", "user": "lin"}, {"text": "GMV", "user": "小王"}, {"text": "GMV"}, {"text": "by channel", "user": "lin", "conversation": "c"},
             {"text": "GMV", "user": "lin", "conversation": "c"}, {"text": "by channel", "user": "小王", "conversation": "c"}, {"text": "by channel", "user": "lin", "conversation": "c"},
             {"text": "GMV", "user": "ana"}, {"text": "GMV", "user": ["lin"]}]  # fmt: skip
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    code, out, _ = call("ask", "--batch", tmp_path / "b.jsonl", "--format", "json", "--planner", "rules")
    said = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [said[0]["rows"][0][0], said[1]["rows"][0][0]] == [pytest.approx(gmv("city_1")), pytest.approx(gmv("city_2"))]
    assert [line["problem"] and line["problem"]["code"] for line in said[2:6]] == ["user_needed", "no_metric", None, "no_metric"]
    assert sum(row[1] for row in said[6]["rows"]) == pytest.approx(gmv("city_1"))
    assert said[7]["rows"][0][0] > gmv("city_1") + gmv("city_2")
    assert said[8]["problem"]["code"] == "unknown_user"


def test_queries_and_statements_of_a_batch_do_too(call, tmp_path, gmv):
    queries = [{"query": {"metrics": ["gmv"]}, "user": user} for user in ("lin", "小王", "mia", None)]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, queries)), "utf-8")
    said = [json.loads(line) for line in call("query", "--batch", tmp_path / "q.jsonl")[1].splitlines()]
    assert [line["rows"] for line in said[:2]] == [[[pytest.approx(gmv("city_1"))]], [[pytest.approx(gmv("city_2"))]]]
    assert [line["problem"]["code"] for line in said[2:]] == ["not_allowed", "user_needed"]
    statements = [{"sql": sql, "user": user} for sql, user in (("SELECT count(*) FROM users", "kim"), ("SELECT birth_year FROM users", "kim"), ("SELECT 1", "lin"))]  # fmt: skip
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, statements)), "utf-8")
    said = [json.loads(line) for line in call("check-sql", "--batch", tmp_path / "s.jsonl")[1].splitlines()]
    assert [(line["ok"], line["code"]) for line in said] == [(True, None), (False, "sql_column"), (False, "sql_not_allowed")]


def test_metrics_lists_what_a_person_may_ask(call):
    listed = json.loads(call("metrics", "--user", "mia", "--format", "json")[1])
    assert "gmv" not in repr(listed) and "orders" in repr(listed)
    mine = json.loads(call("metrics", "--user", "lin", "--format", "json")[1])
    assert [d["values"] for d in mine["dimensions"] if d["name"] == "city"] == [["city_1"]]


def test_the_users_file_is_found_where_it_may_be(call, tmp_path, users_file, monkeypatch):
    assert call("ask", "GMV", "--user", "lin", users=None)[0] == 4
    (tmp_path / "users.yml").write_text(USERS, "utf-8")
    assert call("ask", "GMV", "--user", "lin", users=None)[0] == 0
    (tmp_path / "other.yml").write_text("lin: {role: guest}", "utf-8")
    monkeypatch.setenv("WENSHU_USERS", str(tmp_path / "other.yml"))
    assert call("ask", "GMV", "--user", "lin", users=None)[0] == 4


@pytest.mark.parametrize(
    "text",
    ["", "[]", "lin: analyst", "lin: {attributes: {}}", "1: {role: a}", "lin: {role: [a]}", "lin: {role: a, atributes: {}}", "lin: {role: a, attributes: [x]}",
     "lin: {role: a, attributes: {city: {a: b}}}", "lin: {role: a, attributes: {cities: [[a]]}}", "lin: {role: a, attributes: {1: b}}", "a: b: c", "\x00", "lin: !!python/object/apply:os.system [ls]"],
)  # fmt: skip
def test_a_users_file_that_is_wrong_lets_nobody_in(text, tmp_path):
    path = tmp_path / "users.yml"
    path.write_text(text, "utf-8")
    with pytest.raises(WenshuError) as wrong:
        read_users(path, home=lambda: tmp_path)
    assert wrong.value.code == "users_invalid" and re.search("[\u4e00-\u9fff]", wrong.value.message.zh)


# the page


@contextmanager
def served(entrance: Entrance):
    server = uvicorn.Server(uvicorn.Config(create_app(entrance), host=HOST, port=0, log_level="critical", proxy_headers=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def visitors(whole, layer_over, users_file, tmp_path_factory):
    users = read_users(users_file, home=tmp_path_factory.getbasetemp)
    return Visitors(layer_over(whole), users, lambda layer: Assistant(layer, RulesPlanner(layer)))


@pytest.fixture(scope="module")
def port(visitors):
    with served(Entrance(assistant_for=visitors.assistant, header="X-Remote-User")) as port:
        yield port


def request(port: int, path: str, *names: str, body: object = None, lines: int = 0, **headers: str) -> tuple[int, str]:
    """Send one request whose header names people; return its status and its text, or the first lines of a stream."""
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    data = None if body is None else json.dumps(body).encode()
    connection.putrequest("GET" if body is None else "POST", path)
    for name in names:
        connection.putheader("X-Remote-User", name.encode())
    for key, value in headers.items():
        connection.putheader(key.replace("_", "-"), value)
    if data is not None:
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data)
    response = connection.getresponse()
    text = "" if "heartbeat" in path else b"".join(response.readline() for _ in range(lines)).decode() if lines else response.read().decode()
    connection.close()
    return response.status, text


def asked(port: int, name: str, question: str, session: str) -> str:
    """Ask through the page's own queue, as its browser does, and return what comes back."""
    page = request(port, "/", name)[1]
    functions = json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.DOTALL)[1])["dependencies"]
    [asking] = [function["id"] for function in functions if any(kind == "submit" for _, kind in function["targets"])]
    body = {"data": [None, "en", ""], "fn_index": asking, "session_hash": session, "event_data": {"text": question}, "trigger_id": None}
    assert request(port, "/gradio_api/queue/join", name, body=body)[0] == 200
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", f"/gradio_api/queue/data?session_hash={session}", headers={"X-Remote-User": name.encode()})
    response, said = connection.getresponse(), ""
    assert response.status == 200
    while "process_completed" not in said:
        said += response.readline().decode()
    connection.close()
    return said


ROUTES = ["/", "/theme.css", "/gradio_api/queue/data?session_hash=s", "/gradio_api/heartbeat/s", "/complete?text=gm", "/assets/x.js"]
POSTS = ["/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"]


@pytest.mark.parametrize("path", ROUTES + POSTS)
def test_every_route_needs_the_same_identity(path, port):
    body = {"session_hash": "s1"} if path in POSTS else None
    assert request(port, path, body=body)[0] == 401
    assert request(port, path, "", body=body)[0] == 401
    assert request(port, path, "lin", "ana", body=body)[0] == 401
    assert request(port, path, body=body, Remote_User="ana", X_Forwarded_User="ana", Cookie="X-Remote-User=ana")[0] == 401
    for name in ("nobody", "guest", "bare", "LIN", "lin,ana", "lin\udcff".encode("utf-8", "replace").decode()):
        assert request(port, path, name, body=body)[0] == 403


def test_the_health_of_the_page_is_no_secret(port):
    assert request(port, "/healthz") == (200, '{"status":"ok"}')


def test_two_people_on_the_page_see_their_own_numbers(port, gmv):
    for name, city, session in (("lin", "city_1", "s-lin"), ("小王", "city_2", "s-wang"), ("lin", "city_1", "s-lin-2")):
        said = asked(port, name, "GMV", session)
        other = gmv("city_2" if city == "city_1" else "city_1")
        assert f"{gmv(city):,.2f}" in said and f"{other:,.2f}" not in said


def test_nobody_enters_anothers_session(port):
    asked(port, "lin", "GMV", "s-own")
    assert request(port, "/gradio_api/queue/data?session_hash=s-own", "ana")[0] == 403
    assert request(port, "/gradio_api/heartbeat/s-own", "ana")[0] == 403
    for path in POSTS:
        assert request(port, path, "ana", body={"session_hash": "s-own", "data": [], "fn_index": 0, "event_id": "x"})[0] == 403
    assert request(port, "/gradio_api/queue/data?session_hash=x&session_hash=s-own", "ana")[0] == 403


def test_a_name_from_an_untrusted_peer_is_no_name(visitors):
    with served(Entrance(assistant_for=visitors.assistant, header="X-Remote-User", peers=("10.1.2.3",))) as port:
        assert request(port, "/", "ana")[0] == 403
        assert request(port, "/", "ana", X_Forwarded_For="10.1.2.3")[0] == 403
        assert request(port, "/healthz")[0] == 200


def test_without_the_setting_a_header_means_nothing(visitors, gmv):
    with served(Entrance(assistant_for=visitors.assistant, user="lin")) as port:
        assert f"{gmv('city_1'):,.2f}" in asked(port, "ana", "GMV", "s")


def test_the_page_is_not_served_to_nobody(call):
    for arguments in ((), ("--user", "guest"), ("--user", "bare")):
        assert call("chat", *arguments, "--planner", "rules")[0] == 4
    assert call("chat", "--user", "lin", "--user-header", "X-Remote-User")[0] == 2
