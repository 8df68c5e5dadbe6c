"""What the page keeps: conversations, votes, pins and saved questions, each for its owner alone, through a restart."""

import base64
import io
import json
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from openpyxl import load_workbook

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Context, Question
from wenshu.assistant.template_files import Templates
from wenshu.semantic_layer.errors import EngineError, FileError, ModelError, QueryError
from wenshu.ui import board, feedback
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.entrance import Entrance
from wenshu.ui.history import MOST_CONVERSATIONS, History
from wenshu.ui.kept_answer import MOST_ROWS, answer_from_text, answer_to_text
from wenshu.ui.own_models import OwnModels
from wenshu.ui.page_actions import PageActions, sent_json
from wenshu.ui.store import Store

ME, SHOP = "ann", "shop"
QUESTIONS = (
    "上个月各渠道的成交额",
    "Monthly GMV in 2026",
    "GMV last month vs the month before by channel",
    "7日留存率 by week",
    "上个月注册漏斗",
    "near-empty gibberish qwerty",
    "What is the weather in Paris tomorrow?",
    "top channels",
)


class Clock:
    """Moves on by a minute at every look."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(minutes=1)
        return self.moment


@pytest.fixture
def history() -> History:
    return History(Store(None), Clock())


def asked(history: History, assistant: Assistant, text: str, *, number=1, conversation="c", owner=ME) -> int:
    offer = history.offered(owner, SHOP, conversation, number)
    context = Context(query=history.previous(owner, SHOP, conversation, number), offer=offer)
    return history.keep(owner, SHOP, conversation, number, text, assistant.ask(Question(text=text, context=context)), "")


@pytest.mark.parametrize("text", QUESTIONS)
def test_an_answer_comes_back_as_it_was(assistant, text) -> None:
    answer = assistant.ask(Question(text=text))
    assert answer_from_text(answer_to_text(answer)) == answer


def test_a_long_table_is_kept_in_part_and_says_so(assistant) -> None:
    answer = assistant.ask(Question(text=QUESTIONS[0]))
    table = answer.table
    long = type(table)(columns=table.columns, rows=table.rows * MOST_ROWS)
    kept = answer_from_text(answer_to_text(type(answer)(id="1", status="answered", language="zh", table=long)))
    assert (len(kept.table.rows), kept.table.truncated) == (MOST_ROWS, True)


def test_conversations_outlive_the_program(assistant, tmp_path) -> None:
    first = History(Store(tmp_path / "deep" / "history.sqlite3"), Clock())
    asked(first, assistant, "上个月各渠道的成交额")
    first.store.close()
    again = History(Store(tmp_path / "deep" / "history.sqlite3"), Clock())
    assert [each.title for each in again.conversations(ME, SHOP)] == ["上个月各渠道的成交额"]
    asked(again, assistant, "按城市呢？", number=2)
    turn = again.turns(ME, SHOP, "c")[-1]
    assert turn.answer.query.dimensions == ("users.city",) or turn.answer.query.dimensions == ("city",)
    assert turn.answer.query.period == again.turns(ME, SHOP, "c")[0].answer.query.period, "the context came back too"
    assert (tmp_path / "deep" / "history.sqlite3").stat().st_mode & 0o077 == 0


def test_a_reply_chooses_from_what_was_asked_back(history, assistant) -> None:
    asked(history, assistant, "上个月转化率是多少")
    asked(history, assistant, "第二个", number=2)
    asked(history, assistant, "那9月呢", number=3)
    back, chosen, later = (turn.answer for turn in history.turns(ME, SHOP, "c"))
    assert (back.status, len(back.options)) == ("clarify", 2)
    assert chosen.query.metrics == later.query.metrics == ("payment_conversion",)
    assert history.offered(ME, SHOP, "c", 3) is None and history.offered("bob", SHOP, "c", 2) is None


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_text("not a database, but somebody's notes" * 100)
    with pytest.raises(EngineError, match="history") as raised:
        Store(path)
    assert raised.value.code == "history_unreadable"
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(EngineError):
        Store(newer)
    assert "somebody's notes" in path.read_text()


def test_conversations_are_searched_renamed_and_deleted(history, assistant) -> None:
    asked(history, assistant, "GMV by channel last month", conversation="a")
    asked(history, assistant, "by city", conversation="a", number=2)
    asked(history, assistant, "Monthly GMV in 2026", conversation="b")

    def found(words: str) -> list[str]:
        return [each.id for each in history.conversations(ME, SHOP, words)]

    assert found("") == ["b", "a"]
    assert found("BY CITY") == ["a"], "questions are searched too"
    assert found("100%") == found("_") == []
    history.rename(ME, SHOP, "b", "  The  year ")
    assert found("the year") == ["b"]
    history.rename(ME, SHOP, "b", "   ")
    assert history.conversations(ME, SHOP)[0].title == "The year"
    history.delete(ME, SHOP, "b")
    assert found("") == ["a"]
    assert history.turns(ME, SHOP, "b") == ()


def test_nobody_reaches_another_s_things(history, assistant) -> None:
    turn = asked(history, assistant, "GMV by channel last month")
    for owner, model in (("bob", SHOP), ("", SHOP), (ME, "cdnow")):
        assert history.conversations(owner, model) == ()
        assert history.turns(owner, model, "c") == ()
        assert history.previous(owner, model, "c", 9) is None
        history.rename(owner, model, "c", "stolen")
        history.drop_after(owner, model, "c", 0)
        history.delete(owner, model, "c")
        answer = assistant.ask(Question(text="Monthly GMV in 2026"))
        assert history.keep(owner, model, "c", 1, "mine now", answer, "") is None
        for reach in (
            lambda owner=owner, model=model: history.turn(owner, model, turn),
            lambda owner=owner, model=model: feedback.vote(history, owner, model, turn, True),
            lambda owner=owner, model=model: board.pin(history, owner, model, turn, assistant.ask, None),
        ):
            with pytest.raises(QueryError) as raised:
                reach()
            assert raised.value.code == "unknown_turn"
    assert [each.question for each in history.turns(ME, SHOP, "c")] == ["GMV by channel last month"]


def test_only_so_many_conversations_are_kept(history, assistant) -> None:
    answer = assistant.ask(Question(text="What is the weather in Paris tomorrow?"))
    for number in range(MOST_CONVERSATIONS + 2):
        history.keep(ME, SHOP, f"c{number}", 1, "q", answer, "")
    assert history.store.rows("SELECT count(*) FROM conversations")[0][0] == MOST_CONVERSATIONS
    assert history.turns(ME, SHOP, "c0") == () != history.turns(ME, SHOP, "c2")


def test_votes_become_a_file_that_eval_reads(history, assistant, tmp_path) -> None:
    turn = [asked(history, assistant, text, number=n) for n, text in enumerate(("上个月各渠道的成交额", "按城市呢？", "只看北京"), 1)]
    asked(history, assistant, "GMV by channel last month", conversation="unvoted")
    feedback.vote(history, ME, SHOP, turn[1], True)
    feedback.vote(history, ME, SHOP, turn[2], True)
    feedback.vote(history, ME, SHOP, turn[2], None)
    lines = list(feedback.exported(history.store, SHOP))
    assert [(line["text"], line["topic"]) for line in lines] == [("上个月各渠道的成交额", "context"), ("按城市呢？", "liked")]
    assert lines[1]["gold_sql"] == history.turn(ME, SHOP, turn[1]).answer.sql
    feedback.vote(history, ME, SHOP, turn[1], False, "  应按省份  ")
    assert [(line.get("reason"), line["gold_sql"]) for line in feedback.exported(history.store, SHOP)][1] == ("应按省份", None)


def test_the_board_asks_again_with_what_a_question_builds_on(history, assistant) -> None:
    first = asked(history, assistant, "上个月各渠道的成交额")
    second = asked(history, assistant, "按城市呢？", number=2)
    for turn in (first, second, second):
        board.pin(history, ME, SHOP, turn, assistant.ask, None)
    pins = board.pins(history, ME, SHOP)
    assert [pin.questions for pin in pins] == [("上个月各渠道的成交额",), ("上个月各渠道的成交额", "按城市呢？")]
    history.delete(ME, SHOP, "c")
    assert pins[1].run(assistant.ask, None).table.rows == assistant.ask(Question(text="上个月各城市的成交额")).table.rows
    board.unpin(history, "bob", SHOP, pins[0].id)
    board.unpin(history, ME, SHOP, pins[1].id)
    assert board.pins(history, ME, SHOP) == pins[:1]


# actions --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def actions(history, assistant, tmp_path) -> PageActions:
    templates = Templates(assistant.model, tmp_path)
    entrance = Entrance(assistant_for=lambda _: assistant, header="x-user")
    return PageActions(entrance, history, lambda _: templates, lambda: datetime.now().astimezone())


def test_a_workbook_holds_the_whole_table_and_no_formula(actions, history, assistant) -> None:
    turn = asked(history, assistant, "Monthly GMV in 2026", owner="ann")
    reply = actions.perform("ann", {"do": "xlsx", "turn": turn, "lang": "en"})
    sheet = load_workbook(io.BytesIO(base64.b64decode(reply["file"]["content"]))).active
    table = history.turn("ann", SHOP, turn).answer.table
    assert reply["file"]["name"] == "wenshu_Monthly_GMV_in_2026.xlsx"
    assert sheet.max_row == len(table.rows) + 1
    assert sheet["B2"].value == table.rows[0][1]
    assert sheet["A2"].value.date() == table.rows[0][0]
    assert "failed" in actions.perform("bob", {"do": "xlsx", "turn": turn, "lang": "en"})


def test_a_text_in_a_workbook_is_no_formula(assistant) -> None:
    from wenshu.ui.excel_file import to_xlsx

    table = assistant.ask(Question(text="GMV by channel last month")).table
    bad = type(table)(columns=table.columns, rows=(('=HYPERLINK("http://evil")', 1.0), ("a\x00b", 2.0)))
    sheet = load_workbook(io.BytesIO(to_xlsx(bad, "en"))).active
    assert [(sheet["A2"].data_type, sheet["A2"].value), sheet["A3"].value] == [("s", '=HYPERLINK("http://evil")'), "ab"]


@pytest.mark.parametrize(
    "sent",
    [None, [], "x", {}, {"do": "perform"}, {"do": "__init__"}, {"do": ["board"]}, {"do": "svg", "turn": "1; DROP TABLE turns"}]
    + [{"do": "save", "turn": True, "fields": 3}, {"do": "run", "name": {"a": 1}}, {"do": "rename", "conversation": 1, "title": []}],
)
def test_what_makes_no_sense_changes_nothing(actions, history, sent) -> None:
    reply = actions.perform("ann", sent)
    assert "failed" in reply or reply.get("into") == "#conversations"
    assert history.store.rows("SELECT count(*) FROM turns")[0][0] == 0


def test_only_json_sent_as_such_is_read() -> None:
    body = b'{"do": "board"}'
    assert sent_json("application/json; charset=utf-8", body) == {"do": "board"}
    for type in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert sent_json(type, body) is None
    assert sent_json("application/json", b"{" * 100_000) is None


def test_a_question_is_saved_edited_and_deleted_and_a_broken_file_named(actions, history, assistant, tmp_path) -> None:
    turn = asked(history, assistant, "GMV by channel last month")

    def done(do: str, **sent):
        return actions.perform(ME, {"do": do, "lang": "en", **sent})

    assert 'value="GMV by channel last month"' in done("save_form", turn=turn)["panel"]
    fields = {"name": "mine", "title": "My <b>channels</b>", "category": "revenue", "question": "My channels last month"}
    assert "said" in done("save", turn=turn, fields=fields)
    assert "already" in done("save", turn=turn, fields=fields)["failed"]
    assert "small letters" in done("save", turn=turn, fields={**fields, "name": "../x"})["failed"]
    (tmp_path / "broken.yml").write_text("other:\n  title: Broken\n  query: {metrics: [gmv]}\n  questions: oops\n")
    shown = done("saved")["panel"]
    assert "My &lt;b&gt;channels&lt;/b&gt;" in shown
    assert "broken.yml" in shown
    assert "broken.yml:4" in shown
    assert done("run", name="mine", fields={"period": "last week"})["ask"] == "My channels last week"
    assert "not a period" in done("run", name="mine", fields={"period": "=1"})["failed"]
    assert "lacks {period}" in done("change_saved", name="mine", fields={"question": "no slot"})["failed"]
    assert "Renamed" in done("change_saved", name="mine", fields={"title": "Renamed", "category": "nonsense"})["panel"]
    built_in = next(t for t in Templates(assistant.model).all)
    assert "failed" in done("delete_saved", name=built_in.name)
    assert "Renamed" not in done("delete_saved", name="mine")["panel"]
    assert not (tmp_path / "mine.yml").exists()


def test_a_follow_up_is_saved_in_words_of_its_own(actions, history, assistant) -> None:
    asked(history, assistant, "GMV by channel last month")
    turn = asked(history, assistant, "and by city?", number=2)
    assert 'name="question" value=""' in actions.perform(ME, {"do": "save_form", "turn": turn, "lang": "en"})["panel"]


def test_answers_given_under_other_rights_are_not_shown_again(actions, history, assistant) -> None:
    answer = assistant.ask(Question(text="GMV by channel last month"))
    turn = history.keep(ME, SHOP, "c", 1, "GMV by channel last month", answer, "the rights of a manager")
    for do in ("xlsx", "svg", "png", "save_form"):
        assert "rights" in actions.perform(ME, {"do": do, "turn": turn, "lang": "en"})["failed"]


def test_every_metric_s_example_is_a_question_that_is_answered(actions, assistant) -> None:
    from wenshu.semantic_layer.describe import catalogue
    from wenshu.ui.page_actions import _examples

    for language in ("zh", "en"):
        found = catalogue(assistant.model, language)
        examples = _examples(found, language)
        assert {metric["name"] for metric in found["metrics"]} <= set(examples)
        wrong = [text for text in examples.values() if assistant.ask(Question(text=text)).status == "error"]
        assert wrong == []


def test_the_command_writes_the_file(tmp_path) -> None:
    out = tmp_path / "liked.jsonl"
    command = [sys.executable, "-m", "wenshu.ui.cli", "feedback", "export", str(out), "--lang", "en"]
    run = subprocess.run(command, capture_output=True, text=True, env={"WENSHU_HOME": str(tmp_path), "PATH": ""})
    assert (run.returncode, out.read_text()) == (0, "")
    assert "0 answers" in run.stderr
    assert [json.loads(line) for line in out.read_text().splitlines()] == []


# data of people's own ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path) -> OwnModels:
    def opened(model, database):
        return reception_of(str(model), database, PlannerName.RULES, "en", door="chat")

    return OwnModels(tmp_path / "models", Store(None), opened)


def brought(own: OwnModels, owner: str) -> str:
    path = own.arriving(owner)
    path.write_text("order_id,user_id,amount,city,ordered_at\n1,1,10.5,Beijing,2026-01-02\n2,2,20,Shanghai,2026-01-03\n3,1,5,Beijing,2026-02-03\n")
    return own.bring(owner, [(path.name, "../../Orders 2026.csv")]).model_path.parent.name


def test_brought_data_are_asked_by_their_owner_alone(own, assistant) -> None:
    name = brought(own, ME)
    assert name.startswith("orders_2026_")
    entrance = own.entrance(Entrance(assistant_for=lambda _: assistant))
    assert entrance.assistant_for(ME).model.name == name
    assert entrance.assistant_for("bob").model.name == SHOP
    *_, answer = entrance.stream(Question(text="total amount by city", user=ME))
    assert answer.status == "answered"
    assert sum(row[-1] for row in answer.table.rows) == 35.5
    for reach in (own.text, own.delete, own.choose):
        with pytest.raises(QueryError):
            reach("bob", name)
    arrived = own.arriving(ME)
    arrived.write_text("a,b\n1,2\n")
    for token in (arrived.name, f"../{arrived.name}", "/etc/passwd", str(arrived)):
        with pytest.raises(FileError):
            own.bring("bob", [(token, "a.csv")])
    own.delete(ME, name)
    assert entrance.assistant_for(ME).model.name == SHOP


def test_an_edited_model_reads_what_was_brought_and_nothing_else(own, tmp_path) -> None:
    name = brought(own, ME)
    text = own.text(ME, name)
    secret = tmp_path / "secret.csv"
    secret.write_text("order_id,amount\n1,99\n")
    for bad in (
        text.replace("source: orders", f"source: {secret}", 1),
        text.replace("source: orders", "source: SELECT * FROM orders AS o CROSS JOIN orders AS p", 1),
        text.replace(f"name: {name}", "name: shop", 1),
        text.replace("primary_key: order_id", "primary_key: no_such_column", 1).replace("expr: amount", "expr: no_such_column"),
        text.replace("metrics:", "metrix:", 1),
        "a: [",
    ):
        assert bad != text
        with pytest.raises(ModelError):
            own.change(ME, name, bad)
        assert own.text(ME, name) == text, "nothing has changed"
    own.change(ME, name, re.sub("^label: .*$", "label: Mine", text, count=1, flags=re.MULTILINE))
    assert own.get(ME, name).label.en == "Mine"
