"""The Slack app as Slack meets it: signed requests in, calls of Slack's methods out, each message answered once and to whom it belongs."""

import json
import threading

import pytest
import slack_api as fake
from slack_api import TEAM, buttons_of, click, command, direct, mention, said

GMV = "上个月各渠道的成交额"
USERS = "How many users are there?"


def uploads(api, thread):
    return [call for call in api.of("files.completeUploadExternal") if call.sent.get("thread_ts") == thread]


# each kind of event


def test_a_mention_is_answered_in_its_thread_with_words_chart_table_and_buttons(desk):
    answer = desk.asked(mention(GMV))
    text, thread = said(answer), answer["thread_ts"]
    assert "成交额" in text and "```" in text and "口径" in text and "自然流量" in answer["text"]
    assert [button["value"] for button in buttons_of(answer)]
    [sent] = desk.api.wait(lambda: uploads(desk.api, thread))
    [file] = json.loads(sent.sent["files"])
    assert desk.api.files[file["id"]].startswith(b"\x89PNG") and sent.sent["channel_id"] == "C1"
    named = [call.sent for call in desk.api.of("files.getUploadURLExternal")]
    assert any(each["filename"].endswith(".png") and each.get("alt_txt") for each in named)


def test_a_direct_message_is_answered_and_followed_up(desk):
    first = desk.asked(direct(GMV, user="U2"))
    assert first["channel"] == "DU2"
    second = desk.asked(direct("那上海呢？", user="U2", thread=first["thread_ts"]))
    assert "上海" in said(second) and "沿用上一问" in said(second)


def test_two_people_in_a_thread_are_in_one_conversation(desk):
    first = desk.asked(mention(GMV, user="U3"))
    second = desk.asked(mention("那上海呢？", user="U4", thread=first["thread_ts"]))
    assert "上海" in said(second)


def test_an_assistant_thread_is_greeted_once_and_shows_that_it_works(desk):
    thread = {"channel_id": "DU5", "thread_ts": fake.moment(), "user_id": "U5", "context": {}}
    event = {"type": "assistant_thread_started", "assistant_thread": thread, "event_ts": fake.moment()}
    body = {"type": "event_callback", "team_id": TEAM, "event_id": "EvA", "event": event}
    for _ in range(3):
        assert desk.post(body)[0] == 200
    prompts = desk.api.wait(lambda: [c for c in desk.api.of("assistant.threads.setSuggestedPrompts")])[0].sent[
        "prompts"
    ]
    assert 1 <= len(prompts) <= 4 and all(each["title"] and each["message"] for each in prompts)
    desk.asked(direct(USERS, user="U5", thread=thread["thread_ts"]))
    assert len(desk.api.posts("DU5", thread["thread_ts"])) == 2  # the greeting and the answer
    assert {"channel_id": "DU5", "thread_ts": thread["thread_ts"]}.items() <= desk.api.of(
        "assistant.threads.setStatus"
    )[-1].sent.items()
    event = {"type": "assistant_thread_context_changed", "assistant_thread": thread, "event_ts": fake.moment()}
    assert desk.post(body | {"event": event, "event_id": "EvB"})[0] == 200


def test_a_command_opens_a_thread(desk):
    assert desk.post(command(GMV, channel="C7"), form=True) == (200, "")
    question, answer = desk.api.wait(lambda: len(desk.api.posts("C7")) == 2 and desk.api.posts("C7"))
    assert question["text"] == f"<@U1> 提问: {GMV}" and not question.get("thread_ts")
    assert answer["thread_ts"] == question["ts"] and "成交额" in said(answer)
    followed = desk.asked(mention("那上海呢？", channel="C7", thread=question["ts"]))
    assert "上海" in said(followed)


def test_a_command_without_words_says_how_to_ask(desk):
    status, text = desk.post(command("  "), form=True)
    assert status == 200 and "/ask" in text


def test_a_command_where_the_app_is_not_goes_to_the_asker(desk):
    desk.api.absent.add("C8")
    desk.post(command(USERS, channel="C8", user="U8"), form=True)
    question, answer = desk.api.wait(lambda: len(desk.api.posts("DU8")) == 2 and desk.api.posts("DU8"))
    assert "How many users" in question["text"] and answer["thread_ts"] == question["ts"]


def test_a_click_asks_in_the_thread_on_from_its_own_answer(desk):
    first = desk.asked(mention(GMV))
    desk.asked(mention("How many users are there?", thread=first["thread_ts"]))
    [button] = [each for each in buttons_of(first) if each["value"] == "分城市看"] or buttons_of(first)[-1:]
    before = len(desk.api.posts("C1", first["thread_ts"]))
    assert desk.post(click(first, button, user="U9"), form=True) == (200, "")
    answer = desk.api.wait(lambda: desk.api.posts("C1", first["thread_ts"])[before:])[0]
    assert said(answer).startswith("<@U9> 提问: ") and "成交额" in said(answer)


def test_a_question_back_comes_with_its_options_as_buttons(desk):
    back = desk.asked(mention("GMV by foo"))
    options = buttons_of(back)
    assert options and "foo" in said(back)
    before = len(desk.api.posts("C1", back["thread_ts"]))
    desk.post(click(back, options[0]), form=True)
    answer = desk.api.wait(lambda: desk.api.posts("C1", back["thread_ts"])[before:])[0]
    assert "GMV" in said(answer) and "Definition" in said(answer)


def test_a_saved_question_is_known_by_its_words(desk):
    answer = desk.asked(mention("Top 3 products by item sales last month"))
    assert "Verified question" in said(answer)


def test_what_no_person_said_is_passed_over(desk):
    before = len(desk.api.posts())
    bodies = [
        mention(GMV, bot_id="B9"),
        direct(GMV, subtype="message_changed"),
        direct(GMV, user="UBOT"),
        fake.event("message", "GMV", channel_type="channel"),
    ]
    assert [desk.post(body)[0] for body in bodies] == [200] * 4
    desk.asked(direct(USERS))
    assert len(desk.api.posts()) == before + 1


# who Slack is


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (lambda body: fake.signed(body, secret="not it"), "another's signature"),
        (lambda body: fake.signed(body + b" "), "of another body"),
        (lambda body: fake.signed(body, age=301), "too old"),
        (lambda body: fake.signed(body, age=-400), "from the future"),
        (lambda body: {}, "no signature"),
    ],
)
def test_what_slack_did_not_sign_is_turned_away(desk, headers, why):
    body = direct(GMV)
    before = len(desk.api.posts())
    assert desk.post(body, headers=headers(json.dumps(body).encode()))[0] == 401, why
    desk.asked(direct(USERS))
    assert len(desk.api.posts()) == before + 1


def test_another_workspace_is_turned_away_and_a_guest_of_one_is_not_answered(desk):
    before = len(desk.api.posts())
    assert desk.post(mention(GMV) | {"team_id": "T0OTHER"})[0] == 403
    assert desk.post(mention(GMV, user_team="T0OTHER"))[0] == 200
    assert desk.post(command(GMV) | {"team_id": "T0OTHER"}, form=True)[0] == 403
    desk.asked(direct(USERS))
    assert len(desk.api.posts()) == before + 1


def test_slack_learns_that_the_endpoint_is_there(desk):
    assert desk.post({"type": "url_verification", "challenge": "c1", "token": "t"}) == (200, '{"challenge": "c1"}')


@pytest.mark.parametrize("text", [b"\xff\xfe", b"x" * 1_000_001])
def test_a_body_that_is_none_is_refused(desk, text):
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{desk.address}/slack/events", text, fake.signed(text))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=fake.PATIENCE)
    assert refused.value.code in (400, 413)


# once


def test_four_deliveries_of_one_event_get_one_answer_also_after_a_restart(opened, open_reception, tmp_path):
    first = opened(open_reception, inbox=tmp_path / "inbox.sqlite3")
    body, asked = mention(GMV), command(USERS)
    twin = body | {"event_id": "EvAnother"}  # the same message as another event
    sent = [body, body, twin, body]
    threads = [threading.Thread(target=first.post, args=(each,)) for each in sent]
    threads += [threading.Thread(target=first.post, args=(asked,), kwargs={"form": True}) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    first.api.wait(lambda: len(first.api.posts()) == 3)
    first.bridge.close()
    again = opened(open_reception, inbox=tmp_path / "inbox.sqlite3", api=first.api)
    assert again.post(body) == (200, "") == again.post(asked, form=True)
    again.asked(direct(USERS))
    assert len(first.api.posts()) == 4


def test_a_thread_is_answered_in_order(desk):
    thread = desk.asked(mention(GMV))["thread_ts"]
    questions = [f"成交额最高的{n}个城市" for n in range(2, 10)]
    for question in questions:
        desk.post(mention(question, thread=thread, user=f"UO{question[6]}"))
    answers = desk.api.wait(lambda: len(found := desk.api.posts("C1", thread)) == 9 and found)[1:]
    rows = [said(answer).split("```")[1].strip().count("\n") - 1 for answer in answers]
    assert rows == list(range(2, 10))


# Slack's limits


def test_a_call_that_comes_too_often_is_made_again_when_slack_says(opened, open_reception):
    office = opened(open_reception)
    turned_away = []

    def trouble(method, sent):
        if method == "chat.postMessage" and len(turned_away) < 2:
            turned_away.append(sent)
            return 429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}
        return None

    office.api.trouble = trouble
    answer = office.asked(mention(USERS))
    assert len(turned_away) == 2 and [answer["ts"]] == [post["ts"] for post in office.api.posts()]


@pytest.mark.parametrize(
    "failure", [(500, {}, {"ok": False, "error": "internal_error"}), (200, {}, {"ok": False, "error": "fatal_error"})]
)
def test_an_answer_that_may_have_arrived_is_not_sent_again(opened, open_reception, failure):
    office = opened(open_reception)
    answers = []

    def trouble(method, sent):
        if method == "chat.postMessage" and sent.get("blocks"):
            answers.append(sent)
            return failure
        return None

    office.api.trouble = trouble
    office.post(direct(USERS))
    note = office.api.wait(office.api.posts)[0]
    assert len(answers) == 1 and "interrupted" in note["text"] and note["channel"] == "DU1"


def test_blocks_that_slack_does_not_take_leave_the_words(opened, open_reception):
    office = opened(open_reception)
    office.api.trouble = lambda method, sent: (
        (200, {}, {"ok": False, "error": "invalid_blocks"}) if sent.get("blocks") else None
    )
    answer = office.asked(mention(USERS))
    assert "came to 600" in answer["text"] and not answer.get("blocks")


def test_a_chart_that_cannot_be_sent_is_owned_up_to(opened, open_reception):
    office = opened(open_reception)
    office.api.trouble = lambda method, sent: (
        (200, {}, {"ok": False, "error": "missing_scope", "needed": "files:write"})
        if method.startswith("files.")
        else None
    )
    answer = office.asked(mention(GMV))
    note = office.api.wait(lambda: office.api.posts("C1", answer["thread_ts"])[1:])[0]
    assert "files:write" in note["text"] and "成交额" in said(answer)
    assert any("OAuth & Permissions" in notice.en and "Reinstall" in notice.zh for notice in office.notices)


def test_three_thousand_rows_come_as_a_file(desk):
    answer = desk.asked(direct("2025年每天各城市的订单数", user="U30"))
    thread = answer["thread_ts"]
    [sent] = desk.api.wait(lambda: uploads(desk.api, thread))
    contents = [desk.api.files[each["id"]] for each in json.loads(sent.sent["files"])]
    [table] = [content for content in contents if content.startswith(b"\xef\xbb\xbf")]
    rows = table.decode("utf-8-sig").splitlines()
    assert len(rows) > 3_000 and f"{len(rows) - 1:,}" in said(answer)


# whose numbers


def test_where_people_are_told_apart_a_channel_learns_nothing(opened, guarded_reception):
    office = opened(guarded_reception)
    numbers = {}
    for user, province in (("ULIN", "上海"), ("UWEI", "广东")):
        body = mention("各省份的用户数", user=user)
        assert office.post(body)[0] == 200
        question, answer = office.api.wait(
            lambda u=user: len(office.api.posts(f"D{u}")) == 2 and office.api.posts(f"D{u}")
        )
        assert answer["thread_ts"] == question["ts"] and province in said(answer)
        numbers[user] = said(answer)
        [hint] = office.api.wait(lambda u=user: [c for c in office.api.of("chat.postEphemeral") if c.sent["user"] == u])
        assert hint.sent["thread_ts"] == body["event"]["ts"] and hint.sent["channel"] == "C1"
    assert office.api.posts("C1") == [] and "上海" not in numbers["UWEI"] and "广东" not in numbers["ULIN"]


def test_a_follow_up_does_not_bring_what_others_asked(opened, guarded_reception):
    office = opened(guarded_reception)
    body = mention("上海的用户数", user="UANA")
    office.post(body)
    office.api.wait(lambda: len(office.api.posts("DUANA")) == 2)
    office.post(mention("按渠道呢", user="UWEI", thread=body["event"]["ts"]))
    _, answer = office.api.wait(lambda: len(office.api.posts("DUWEI")) == 2 and office.api.posts("DUWEI"))
    assert "上海" not in said(answer)


def test_a_channel_may_be_answered_as_somebody_chosen_for_it(opened, guarded_reception):
    office = opened(guarded_reception, everyone="everyone")
    answer = office.asked(mention("各省份的用户数", user="UANA"))
    assert "浙江" in said(answer) and "上海" not in said(answer)
    assert "上海" in said(office.asked(direct("各省份的用户数", user="UANA")))
    assert "浙江" in said(office.asked(mention("各省份的用户数", user="UNOBODY")))


def test_who_is_not_on_the_list_is_told_so_alone(opened, guarded_reception):
    office = opened(guarded_reception)
    answer = office.asked(direct("各省份的用户数", user="UNEW"))
    assert "用户名单" in said(answer) and "accounts: {slack: UNEW}" in said(answer)
    office.post(mention("各省份的用户数", user="UNEW"))
    office.api.wait(lambda: len(office.api.posts("DUNEW")) == 3)
    assert office.api.posts("C1") == []


def test_where_outsiders_read_along_the_asker_alone_is_told(opened, open_reception):
    office = opened(open_reception)
    office.post(mention(USERS) | {"is_ext_shared_channel": True})
    office.api.wait(lambda: len(office.api.posts("DU1")) == 2)
    assert office.api.posts("C1") == []
