"""Reports and alerts from their file to where they go: due times by a clock of the test's own, receivers and databases that are real."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
import slack_api as fake

from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.periods import Grain
from wenshu.ui.alert_rules import Change, Threshold, UsualWeekday, departure
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.inbox import Inbox
from wenshu.ui.parcels import SlackDestination, to_file, to_webhook
from wenshu.ui.schedule_runs import Runs
from wenshu.ui.scheduler import Scheduler
from wenshu.ui.schedules import read_schedules

SECRET = "a key that both sides know"


class Receiver:
    """A webhook's other end: what it got, and what it answers next."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.address = ""

    def bodies(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status, headers = made.answers.pop(0) if made.answers else (204, {})
            if status == 0:  # took it, and the line went dead
                return self.connection.close()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    made.address = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


class Desk:
    """A scheduler over a file, with a clock that the test moves; `again` is a restart."""

    def __init__(self, reception, home: Path, slack=None) -> None:
        self.reception, self.home, self.slack = reception, home, slack
        self.now = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
        self.pauses: list[float] = []
        self.notices: list = []
        self.again()

    def again(self) -> None:
        self.runs = Runs(self.home / "runs.sqlite3", lambda: self.now)
        senders = {
            "webhook": to_webhook({"KEY": SECRET}, pause=self.pauses.append, clock=lambda: self.now.timestamp()),
            "file": to_file(self.home),
        }
        if self.slack is not None:
            senders["slack"] = self.slack
        self.scheduler = Scheduler(
            self.reception,
            self.home / "schedules.yml",
            self.runs,
            senders,
            clock=lambda: self.now,
            on_notice=self.notices.append,
        )
        self.scheduler.start()

    def write(self, text: str) -> None:
        (self.home / "schedules.yml").write_text(text, "utf-8")
        self.scheduler.tick()

    def at(self, moment: str) -> None:
        self.now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        self.scheduler.tick()


@pytest.fixture
def desk(open_reception, tmp_path) -> Desk:
    return Desk(open_reception, tmp_path)


def weekly(receiver: Receiver, more: str = "") -> str:
    return (
        "monday:\n  template: top_products\n  set: {period: last month, n: 3}\n  cron: 0 9 * * mon\n  timezone: Asia/Shanghai\n"
        f"  language: en\n  to: {{webhook: '{receiver.address}', secret: KEY}}\n{more}"
    )


# reports


WHOLE = """
html: {{report: weekly, cron: "0 9 * * mon", timezone: Asia/Shanghai, language: en, to: {{file: "out/{{date}}.html"}}}}
markdown: {{report: weekly, period: 2026-W40, cron: "0 9 * * mon", timezone: Asia/Shanghai, language: zh, title: 上周, to: {{file: out/week.md}}}}
hook: {{report: weekly, cron: "0 9 * * mon", timezone: Asia/Shanghai, language: en, to: {{webhook: "{address}"}}}}
unknown: {{report: weakly, cron: "0 9 * * mon", timezone: Asia/Shanghai, to: {{file: out/none.md}}}}
never: {{report: weekly, period: GMV, cron: "0 9 * * mon", timezone: Asia/Shanghai, to: {{file: out/none.md}}}}
"""


def test_a_whole_report_goes_out_as_a_file(desk, receiver):
    desk.write(WHOLE.format(address=receiver.address))
    codes = {s.name: [problem.code for problem in desk.scheduler.problems(s)] for s in desk.scheduler.schedules()}
    assert codes == {"html": [], "markdown": [], "hook": [], "unknown": ["unknown_report"], "never": ["invalid_period"]}
    desk.at("2026-11-23 01:00")
    out = desk.home / "out"
    page, text = (out / "2026-11-23.html").read_text("utf-8"), (out / "week.md").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "Week 43, 2026" in page and "2026-11-23 09:00" in page, "made by the clock of the schedule"
    assert text.startswith("# 增长周报") and "2026年第40周" in text
    [said] = receiver.bodies()
    assert said["kind"] == "report" and said["title"].startswith("Weekly growth report · Week 43")
    assert said["report"]["name"] == "wenshu-report-2026-W43" and said["report"]["html"].startswith("<!doctype html>")
    assert said["answer"]["status"] == "answered" and "gmv" in said["answer"]["query"]["metrics"]
    assert sorted(path.name for path in out.iterdir()) == ["2026-11-23.html", "week.md"]
    assert {run: desk.runs.last(run).state for run in codes} == {"html": "done", "markdown": "done", "hook": "done", "unknown": "failed", "never": "failed"}


def test_a_whole_report_goes_to_slack_as_a_file(open_reception, tmp_path):
    with fake.slack_api() as api:
        from wenshu.ui.slack_app import SlackMessenger
        from wenshu.ui.slack_setup import SlackSettings

        messenger = SlackMessenger(SlackSettings(bot_token="xoxb-1", api=f"{api.address}/api/"))
        desk = Desk(open_reception, tmp_path, SlackDestination(messenger, Inbox(None), open_reception))
        desk.write("weekly: {report: weekly, cron: '0 9 * * mon', timezone: Asia/Shanghai, language: en, to: {slack: C1}}\n")
        desk.at("2026-11-23 01:00")
        assert desk.runs.last("weekly").state == "done"
        [post] = api.posts("C1")
        assert "Weekly growth report" in post["text"] and "GMV" in fake.said(post)
        [file] = json.loads(api.of("files.completeUploadExternal")[0].sent["files"])
        assert api.files[file["id"]].startswith(b"<!doctype html>")


def test_a_report_is_sent_when_it_is_due_signed_and_once(desk, receiver):
    desk.write(weekly(receiver))
    desk.at("2026-11-23 00:59")
    assert receiver.got == []
    desk.at("2026-11-23 01:00")  # 9:00 in Shanghai
    desk.at("2026-11-23 01:01")
    [(headers, body)] = receiver.got
    said = json.loads(body)
    assert said["kind"] == "report" and said["answer"]["status"] == "answered" and len(said["answer"]["rows"]) == 3
    assert said["answer"]["receipt"]["verified"] and said["due"] == "2026-11-23T01:00:00+00:00" and said["chart_png"]
    signed = f"{headers['wenshu-timestamp']}.".encode() + body
    assert headers["wenshu-signature"] == f"v1={hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"
    assert headers["wenshu-timestamp"] == str(int(desk.now.timestamp()) - 60)
    assert headers["wenshu-delivery"] == said["delivery"] == "monday@2026-11-23T01:00:00+00:00"


def test_missed_runs_are_caught_up_once_also_after_a_restart(desk, receiver):
    desk.write(weekly(receiver))
    desk.now = datetime(2026, 12, 15, tzinfo=UTC)  # three Mondays later
    desk.again()
    desk.scheduler.tick()
    desk.again()
    desk.scheduler.tick()
    assert [body["due"] for body in receiver.bodies()] == ["2026-12-14T01:00:00+00:00"]
    desk.at("2026-12-21 01:00")
    assert [body["due"][:10] for body in receiver.bodies()] == ["2026-12-14", "2026-12-21"]


def test_what_was_begun_is_done_after_a_restart_and_what_was_being_sent_is_not_sent_again(desk, receiver):
    desk.write(weekly(receiver))
    first, second = (datetime(2026, 11, day, 1, tzinfo=UTC) for day in (23, 30))
    desk.now = second + timedelta(hours=1)
    desk.runs.begin("monday", first)
    desk.runs.sending("monday", first)
    desk.runs.begin("monday", second)
    desk.again()
    desk.again()
    desk.scheduler.tick()
    assert [body["due"] for body in receiver.bodies()] == [second.isoformat()]
    assert desk.runs.last("monday").state == "done"


def test_two_programs_send_once(desk, receiver, open_reception, tmp_path):
    desk.write(weekly(receiver))
    other = Desk(open_reception, tmp_path)
    other.now = desk.now = datetime(2026, 11, 23, 1, tzinfo=UTC)
    threads = [threading.Thread(target=each.scheduler.tick) for each in (desk, other)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(receiver.got) == 1


def test_a_new_or_changed_schedule_does_not_run_for_the_past(desk, receiver):
    desk.write(weekly(receiver))
    desk.now += timedelta(days=3)
    desk.scheduler.tick()
    assert len(receiver.got) == 1
    desk.write(weekly(receiver).replace("0 9 * * mon", "0 * * * *"))
    assert len(receiver.got) == 1
    desk.now += timedelta(hours=1)
    desk.scheduler.tick()
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    ("cron", "zone", "moments", "wanted"),
    [
        ("30 2 * * *", "America/New_York", ["2026-03-07 07:30", "2026-03-08 06:59", "2026-03-08 07:30", "2026-03-09 06:30"], [1, 1, 2, 3]),
        ("30 1 * * *", "America/New_York", ["2026-11-01 05:30", "2026-11-01 06:30", "2026-11-02 06:29", "2026-11-02 06:30"], [1, 1, 1, 2]),
        ("0 9 L * *", "Asia/Shanghai", ["2026-02-28 00:59", "2026-02-28 01:00", "2026-03-28 01:00", "2026-03-31 01:00"], [0, 1, 1, 2]),
        ("0 9 31 * *", "Asia/Shanghai", ["2026-03-31 01:00", "2026-04-30 23:00", "2026-05-31 01:00"], [1, 1, 2]),
    ],
)  # fmt: skip
def test_clocks_that_jump_and_months_of_every_length(desk, cron, zone, moments, wanted):
    desk.now = datetime.fromisoformat(moments[0]).replace(tzinfo=UTC) - timedelta(minutes=1)
    desk.write(f"all:\n  template: top_products\n  cron: {cron}\n  timezone: {zone}\n  to: {{file: out.json}}\n")
    runs = []
    for moment in moments:
        desk.at(moment)
        last = desk.runs.last("all")
        runs.append(last.due if last else None)
    counts = [len(set(runs[: n + 1]) - {None}) for n in range(len(runs))]
    assert counts == wanted and json.loads((desk.home / "out.json").read_text("utf-8"))["schedule"] == "all"


def test_a_webhook_that_is_busy_is_called_again_and_one_that_went_silent_is_not(desk, receiver):
    desk.write(weekly(receiver))
    receiver.answers = [(503, {}), (429, {"Retry-After": "30"})]
    desk.at("2026-11-23 01:00")
    assert len(receiver.got) == 3 and desk.pauses == [1.0, 30.0] and desk.runs.last("monday").state == "done"
    assert len({headers["wenshu-delivery"] for headers, _ in receiver.got}) == 1
    receiver.answers = [(0, {})]
    desk.at("2026-11-30 01:00")
    assert len(receiver.got) == 4 and desk.runs.last("monday").state == "unknown" and desk.notices
    receiver.answers = [(302, {"location": receiver.address}), (204, {})]
    desk.at("2026-12-07 01:00")
    assert len(receiver.got) == 5 and desk.runs.last("monday").state == "failed"


def test_what_fails_is_told_and_leaves_the_others_alone(desk, receiver):
    other = "other:\n  template: nowhere\n  cron: 0 9 * * mon\n  to: {file: x.csv}\n"
    desk.write(other + weekly(receiver) + "slack:\n  template: top_products\n  cron: 0 9 * * mon\n  to: {slack: C1}\n")
    desk.at("2026-11-24 01:00")
    assert len(receiver.got) == 1 and {desk.runs.last(name).state for name in ("other", "slack")} == {"failed"}
    assert "nowhere" in desk.notices[0].en and "SLACK_BOT_TOKEN" in desk.notices[1].zh
    desk.at("2026-11-24 01:01")
    assert len(desk.notices) == 2


def test_a_report_becomes_a_file_of_its_day(desk):
    desk.write(
        "daily:\n  template: top_products\n  set: {period: 上个月}\n  cron: 0 1 * * *\n  timezone: Asia/Tokyo\n  to: {file: 'r/top-{date}.csv'}\n"
    )
    desk.at("2026-11-22 16:30")
    rows = (desk.home / "r" / "top-2026-11-23.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == 11 and rows[0].startswith("商品")


def test_a_report_goes_to_slack_and_can_be_followed_up(guarded_reception, tmp_path):
    with fake.slack_api() as api:
        from wenshu.ui.slack_app import SlackMessenger
        from wenshu.ui.slack_setup import SlackSettings

        messenger = SlackMessenger(SlackSettings(bot_token="xoxb-1", api=f"{api.address}/api/"))
        desk = Desk(guarded_reception, tmp_path, SlackDestination(messenger, inbox := Inbox(None), guarded_reception))
        text = "daily:\n  template: new_users_by_channel\n  cron: 0 1 * * *\n  user: ana\n  title: 每日 <拉新>\n  to: {slack: C1}\n"
        desk.write(text + text.replace("daily", "nobody").replace("ana", "stranger"))
        desk.at("2026-11-23 02:00")
        [posted] = api.posts("C1")
        assert posted["text"] == "*每日 &lt;拉新&gt;*" and "新增用户数" in fake.said(posted) and fake.buttons_of(posted)
        assert api.of("files.completeUploadExternal")[0].sent["thread_ts"] == posted["ts"]
        rights = guarded_reception.layer("ana").policy_fingerprint
        assert inbox.context(f"slack:C1:{posted['ts']}", rights).metrics == ("new_users",)
        assert inbox.context(f"slack:C1:{posted['ts']}", guarded_reception.layer("wei").policy_fingerprint) is None
        assert "stranger" in desk.notices[0].en


# alerts

DAYS = [date(2026, 3, 2) + timedelta(days=n) for n in range(77)]  # from a Monday
SALES_MODEL = """
name: sales
timezone: UTC
as_of: latest
datasets:
  orders:
    source: orders
    primary_key: id
    time: day
    label: {en: orders, zh: 订单}
    dimensions: {city: {label: {en: city, zh: 城市}}}
metrics:
  sales: {type: sum, dataset: orders, expr: amount, label: {en: sales, zh: 销售额}}
"""


@pytest.fixture
def sales(tmp_path):
    """Return the function that makes a shop with these sales a day and its reception."""
    opened = []

    def made(amounts: list[float]):
        (tmp_path / "sales.yml").write_text(SALES_MODEL, "utf-8")
        database = tmp_path / "sales.duckdb"
        write_sales(database, amounts)
        opened.append(reception_of(str(tmp_path / "sales.yml"), database, PlannerName.RULES, "en", door="schedule"))
        return opened[-1]

    yield made
    for reception in opened:
        reception.close()


def write_sales(database: Path, amounts: list[float]) -> None:
    beside = database.with_suffix(".new")
    with duckdb.connect(str(beside)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, day DATE, city VARCHAR, amount DOUBLE)")
        rows = [(n, day, "Rome", amount) for n, (day, amount) in enumerate(zip(DAYS, amounts, strict=False))]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    beside.replace(database)


def alert(receiver: Receiver, rule: str, more: str = "") -> str:
    return (
        f"watch:\n  alert: {{metric: sales, rule: {rule}{more}}}\n  cron: 0 6 * * *\n  timezone: UTC\n  language: en\n"
        f"  to: {{webhook: '{receiver.address}'}}\n"
    )


def test_an_alert_comes_once_while_it_lasts_and_again_after_it_was_over(sales, receiver, tmp_path):
    usual = [100.0] * 40
    desk = Desk(sales(usual), tmp_path)
    desk.write(alert(receiver, "{below: 50}"))
    sent = []
    for day, amount in enumerate([100, 10, 20, 90, 10, 10], start=23):
        usual = [*usual, float(amount)]
        write_sales(tmp_path / "sales.duckdb", usual)
        if day == 25:
            desk.again()  # a restart while it lasts
        desk.at(f"2026-11-{day} 06:00")
        sent.append(len(receiver.got))
    assert sent == [0, 1, 1, 1, 2, 2]
    said = receiver.bodies()[0]
    day = DAYS[41]
    assert said["kind"] == "alert" and said["alert"] == f"sales, {day}: 10, below 50." and said["chart_png"]
    assert said["questions"] == [f"Why did sales fall on {day}?"]
    from wenshu.assistant.question import Question

    assert desk.reception.ask(Question(text=said["questions"][0])).status == "answered"


def test_an_alert_that_was_not_delivered_comes_next_time(sales, receiver, tmp_path):
    desk = Desk(sales([10.0] * 40), tmp_path)
    desk.write(alert(receiver, "{below: 50}"))
    receiver.answers = [(404, {})]
    desk.at("2026-11-23 06:00")
    assert desk.runs.last("watch").state == "failed"
    desk.at("2026-11-24 06:00")
    desk.at("2026-11-25 06:00")
    assert len(receiver.got) == 2 and desk.runs.last("watch").state == "quiet"


def test_an_alert_comes_to_slack_with_its_chart_and_the_question_for_its_cause(sales, tmp_path):
    with fake.slack_api() as api:
        from wenshu.ui.slack_app import SlackMessenger
        from wenshu.ui.slack_setup import SlackSettings

        reception = sales([100.0] * 40 + [60.0])
        messenger = SlackMessenger(SlackSettings(bot_token="xoxb-1", api=f"{api.address}/api/"))
        desk = Desk(reception, tmp_path, SlackDestination(messenger, Inbox(None), reception))
        filters = "filters: [{dimension: city, value: Rome}]"
        desk.write(
            f"watch:\n  alert: {{metric: sales, rule: {{change: {{down: 20%}}}}, {filters}}}\n  cron: 0 6 * * *\n  to: {{slack: C1}}\n"
        )
        desk.at("2026-11-24 06:00")
        [posted] = api.posts("C1")
        assert "较前一期的 100 下降 40.0%" in fake.said(posted) and "Rome" in fake.said(posted)
        assert [button["value"] for button in fake.buttons_of(posted)] == [f"{DAYS[40]}Rome销售额为什么下降了？"]
        [chart] = json.loads(api.of("files.completeUploadExternal")[0].sent["files"])
        assert api.files[chart["id"]].startswith(b"\x89PNG")


def week(*amounts: float) -> dict[date, float | None]:
    return {DAYS[n]: amount for n, amount in enumerate(amounts)}


MONDAYS = {DAYS[7 * n]: amount for n, amount in enumerate([100, 104, 96, 100, 102, 98, 100, 100])}


@pytest.mark.parametrize(
    ("rule", "series", "wanted"),
    [
        (Threshold(below=50), week(49), "down"),
        (Threshold(below=50), week(50), None),
        (Threshold(above=50), week(50.1), "up"),
        (Threshold(below=50), week(None), None),
        (Change(down=0.2), week(100, 80), "down"),
        (Change(down=0.2), week(100, 81), None),
        (Change(up=0.3), week(100, 130), "up"),
        (Change(down=0.2, up=0.3), week(100, 150), "up"),
        (Change(down=0.2), week(0, 10), None),
        (Change(down=0.2), {DAYS[0]: 100, DAYS[2]: 10}, None),  # the day before is missing
        # Mondays of 96 to 104: the median is 100, the MAD 1 (of 0 0 0 0 2 2 4 4), a deviation 1.4826
        (UsualWeekday(deviations=3.5, weeks=8), MONDAYS | {DAYS[56]: 94.7}, "down"),
        (UsualWeekday(deviations=3.5, weeks=8), MONDAYS | {DAYS[56]: 94.9}, None),
        (UsualWeekday(deviations=3.5, weeks=8), MONDAYS | {DAYS[56]: 105.3}, "up"),
        (UsualWeekday(deviations=3.5, weeks=8), MONDAYS | {DAYS[56]: 100, DAYS[55]: 1}, None),  # another weekday says nothing
        (UsualWeekday(deviations=3.5, weeks=8), {DAYS[0]: 1, DAYS[7]: 1, DAYS[14]: 1, DAYS[21]: 100}, None),  # too few
        (UsualWeekday(deviations=3.5, weeks=4), {DAYS[7 * n]: 100 for n in range(4)} | {DAYS[28]: 96.6}, None),  # all alike: 1 % counts as one
        (UsualWeekday(deviations=3.5, weeks=4), {DAYS[7 * n]: 100 for n in range(4)} | {DAYS[28]: 96.4}, "down"),
        (UsualWeekday(deviations=3.5, weeks=4), {DAYS[7 * n]: 0 for n in range(4)} | {DAYS[28]: 0}, None),
    ],
)  # fmt: skip
def test_when_a_metric_has_left_its_range(rule, series, wanted):
    found = departure((rule,), series, max(series), Grain.DAY, None)
    assert (found.direction if found else None) == wanted
    assert found is None or (found.reason.en and found.reason.zh)


# the file


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("a:\n  template: x\n  cron: 0 9 * *\n  to: {file: a.csv}\n", 3, "0 9 * * mon"),
        ("a:\n  template: x\n  cron: 0 25 * * *\n  to: {file: a.csv}\n", 3, "hour: 25"),
        ("a:\n  template: x\n  cron: 0 9 * * *\n  timezone: Mars\n  to: {file: a.csv}\n", 4, "Asia/Shanghai"),
        ("a:\n  template: x\n  cron: 0 9 * * *\n  to: {file: a.txt}\n", 4, ".csv"),
        ("a:\n  template: x\n  cron: 0 9 * * *\n  to: {webhook: 'file:///etc/passwd'}\n", 4, "https://"),
        ("a:\n  template: x\n  cron: 0 9 * * *\n  to: {slack: '#sales'}\n", 4, "C0123456789"),
        ("a:\n  template: x\n  cron: 0 9 * * *\n  to: {slack: C1, file: a.csv}\n", 4, "one of"),
        ("a:\n  cron: 0 9 * * *\n  to: {file: a.csv}\n", 1, "template, alert and report"),
        ("a:\n  template: x\n  crom: 0 9 * * *\n  to: {file: a.csv}\n", 3, "crom"),
        ("a:\n  alert: {metric: gmv, rule: {}}\n  cron: 0 9 * * *\n  to: {file: a.png}\n", 2, "empty"),
        ("a:\n  alert: {metric: gmv, rule: {change: {down: lots}}}\n  cron: 0 9 * * *\n  to: {file: a.png}\n", 2, "20%"),
        ("a:\n  alert: {metric: gmv, grain: week, rule: {usual_weekday: {}}}\n  cron: 0 9 * * *\n  to: {file: a.png}\n", 2, "grain: day"),
        ("a:\n  alert: {metric: gmv, rule: {below: 1}, filters: 3}\n  cron: 0 9 * * *\n  to: {file: a.png}\n", 2, "filter"),
        ("A b:\n  template: x\n  cron: 0 9 * * *\n  to: {file: a.csv}\n", 1, "no name"),
        ("- a\n", 1, "no schedules"),
        ("a: [\n", 2, "YAML"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_line_and_what_to_write(tmp_path, text, line, named):
    (tmp_path / "schedules.yml").write_text(text, "utf-8")
    with pytest.raises(ModelError) as wrong:
        read_schedules(tmp_path / "schedules.yml", timezone="UTC", language="en")
    assert f"schedules.yml:{line}: " in wrong.value.message.en and named in wrong.value.message.en
    assert f"schedules.yml:{line}：" in wrong.value.message.zh


def test_a_file_with_a_mistake_leaves_what_was_read_before(desk, receiver):
    desk.write(weekly(receiver))
    desk.write(weekly(receiver).replace("0 9", "9"))
    assert "monday" not in desk.notices[0].en or "schedules.yml:4" in desk.notices[0].en
    desk.at("2026-11-23 01:00")
    assert len(receiver.got) == 1


def test_a_key_that_is_not_set_sends_nothing(desk, receiver):
    desk.write(weekly(receiver).replace("secret: KEY", "secret: OTHER"))
    desk.at("2026-11-23 01:00")
    assert receiver.got == [] and "OTHER" in desk.notices[0].en


def test_every_key_is_told():
    from wenshu.ui.schedules import AlertSpec, ChangeSpec, DestinationSpec, RuleSpec, ScheduleSpec, UsualWeekdaySpec

    docs = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text("utf-8")
    for spec in (ScheduleSpec, DestinationSpec, AlertSpec, RuleSpec, ChangeSpec, UsualWeekdaySpec):
        assert not [key for key in spec.model_fields if f"`{key}`" not in docs]
