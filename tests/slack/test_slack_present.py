"""What people see in Slack: values stay values, tables fit or become files, and every message is one that Slack takes."""

import re

import pytest
import slack_api as fake

from wenshu.assistant.answer import Answer, Definition, Receipt
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import same
from wenshu.ui.slack_incoming import click_of, message_of, teams_in
from wenshu.ui.slack_present import escaped, plain_words, slack_message

HOSTILE = (
    "<!channel>", "<@U1>", "<#C1|x>", "<https://evil.example|bank>", "https://evil.example", "a & b", "*bold*", "_it_", "~no~",
    "`code`", "```", ":fire:", "> quote", "line\nbreak", "\u202eright to left", "x" * 5_000, "成交额*大*", "&lt;", "@here",
)  # fmt: skip
RAW = re.compile(r"<[!@#a-z]|&(?!(amp|lt|gt);)")


def table(rows, columns=("value", "GMV")) -> ResultTable:
    made = [Column(name=columns[0], role="dimension", type="string", label=same(columns[0]))]
    made += [Column(name=each, role="metric", type="number", label=same(each)) for each in columns[1:]]
    return ResultTable(columns=tuple(made), rows=tuple(rows))


def sent(answer: Answer, question: str = "q") -> tuple[dict, str, tuple]:
    message, files = slack_message(answer, question)
    body = {"channel": "C1", "text": message.text, "blocks": list(message.blocks)}
    assert fake.problem_of(body) is None
    return body, fake.said(body), files


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_notifies_nobody_links_nowhere_and_breaks_nothing(value):
    markdown = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", value)
    answer = Answer(
        id="1", status="answered", language="en", text=f"**{markdown}** was highest, then {markdown}.\n\n- {markdown}",
        table=table([(value, 1), (value, 2)], (value[:80], "GMV")), follow_ups=(value,), options=(value,),
        receipt=Receipt(definitions=(Definition(name="gmv", label=value, definition=value),), filters=(value,)),
    )  # fmt: skip
    body, shown, _ = sent(answer, value)
    texts = [body["text"], shown, *(button["text"]["text"] for button in fake.buttons_of(body))]
    assert not [text for text in texts if "\u202e" in text] and shown.count("```") == 2
    assert not [found for text in texts[:2] for found in RAW.findall(text)]
    for block in body["blocks"]:
        for text in [block.get("text"), *(block["elements"] if block["type"] == "context" else [])]:
            assert text is None or text["verbatim"] is True


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("sign_up", "sign_up"),
        ("3*4", "3*4"),
        ("*x*", "∗x∗"),
        ("10:30:00", "10:30:00"),
        ("snake_case_name", "snake_case_name"),
        ("5 > 3", "5 &gt; 3"),
    ],
)
def test_a_value_is_shown_as_it_is(value, shown):
    assert escaped(value).replace("\u200b", "") == shown


@pytest.mark.parametrize(("rows", "files", "lines"), [(1, 0, 1), (20, 0, 20), (21, 1, 10), (3_000, 1, 10)])
def test_a_table_is_a_code_block_or_a_file(rows, files, lines):
    _, shown, made = sent(
        Answer(
            id="1", status="answered", language="zh", text="好", table=table([(f"city {n}", n) for n in range(rows)])
        )
    )
    assert len(made) == files and all(len(file.content.decode("utf-8-sig").splitlines()) == rows + 1 for file in made)
    assert shown.split("```")[1].strip().count("\n") - 1 == lines
    assert files == 0 or f"{rows:,}" in shown


def test_a_wide_table_shows_what_fits():
    wide = table([("x" * 100, *range(30))] * 15, ("name", *(f"a long column name {n}" for n in range(30))))
    _, shown, [file] = sent(Answer(id="1", status="answered", language="en", text="ok", table=wide))
    assert file.name.endswith(".csv") and len(shown) < 9_000


def test_words_come_out_of_the_form_that_slack_gives_them():
    text = "<@UBOT> GMV &gt; 100 &amp; <#C1|sales> by <@U2|ana>, <https://a.example/x|a.example> <mailto:a@b.example|a@b.example> <!here>"
    assert plain_words(text, "UBOT") == "GMV > 100 & #sales by @ana, a.example a@b.example !here"


def test_a_message_has_one_name_whichever_event_brings_it():
    first = fake.mention("GMV", channel="C5")
    twin = first | {"event_id": "EvOther"}
    assert (
        message_of(first, "UBOT").key
        == message_of(twin, "UBOT").key
        != message_of(fake.mention("GMV", channel="C5"), "UBOT").key
    )


def test_each_click_is_its_own():
    posted, button = {"channel": "C1", "ts": "1.1"}, {"action_id": "ask:0", "value": "GMV"}
    keys = {click_of(fake.click(posted, button, user=user)).key for user in ("U1", "U2", "U1")}
    assert len(keys) == 3
    assert click_of({"actions": [], "channel": {"id": "C1"}}) is None
    assert teams_in(fake.click(posted, button)) == {fake.TEAM}
