"""What a reply to a question asked back comes to: one of those offered, all of them, or a question of its own."""

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.assistant.reply import chosen
from wenshu.assistant.rules import RulesPlanner

OFFERED = ("上个月的注册到支付转化率", "上个月的支付转化率")
LISTED = ("GMV by city september", "orders by city september", "buyers by city september")


@pytest.mark.parametrize(
    "reply, offered, taken",
    [
        ("第一个", OFFERED, (0,)),
        ("2", OFFERED, (1,)),
        ("第二个吧", OFFERED, (1,)),
        ("我要后者", OFFERED, (1,)),
        ("支付转化率", OFFERED, (1,)),
        ("注册到支付的那个", OFFERED, (0,)),
        ("两个都看", OFFERED, (0, 1)),
        ("都要。", OFFERED, (0, 1)),
        ("The second one, please", LISTED, (1,)),
        ("I mean orders", LISTED, (1,)),
        ("last", LISTED, (2,)),
        ("all of them", LISTED, (0, 1, 2)),
        ("第五个", OFFERED, ()),
        ("第四个", OFFERED, ()),
        ("上周的订单数", OFFERED, ()),
        ("by city", LISTED[1:], ()),
        ("那7日留存呢", OFFERED, ()),
    ],
)
def test_reply_chooses(reply, offered, taken):
    assert chosen(reply, offered, by_words=True) == tuple(offered[i] for i in taken)


def test_words_choose_nothing_where_they_were_not_understood():
    assert chosen("支付转化率", OFFERED, by_words=False) == ()
    assert chosen("1", OFFERED, by_words=False) == OFFERED[:1]


@pytest.mark.parametrize(
    "turns, metrics, dimensions, month",
    [
        (("9月转化率是多少", "两个都看"), ("signup_funnel", "payment_conversion"), (), 9),
        (("9月转化率是多少", "两个都看", "按渠道看"), ("signup_funnel", "payment_conversion"), ("channel",), 9),
        (("9月哪个渠道最好", "复购率"), ("repurchase_rate",), ("channel",), 9),
        (("which city is best in September", "by AOV"), ("aov",), ("city",), 9),
        (("9月哪个渠道最好", "8月各城市的订单数"), ("orders",), ("city",), 8),
    ],
)
def test_a_conversation_goes_on_after_a_question_asked_back(layer_of, turns, metrics, dimensions, month):
    assistant = Assistant(layer_of("shop"), RulesPlanner(layer_of("shop")))
    answers = [assistant.ask(Question(text=text, conversation="-".join(turns))) for text in turns]
    assert answers[0].status == "clarify"
    query = answers[-1].query
    assert (query.metrics, query.dimensions, query.period.start.month) == (metrics, dimensions, month)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("最近7天每天的订单数", "line"),
        ("最近7天每天的订单数，画成柱状图", "bar"),
        ("GMV by month this year as a table", "table"),
        ("9月各渠道GMV，折线图", "bar"),
    ],
)
def test_the_chart_that_is_asked_for_is_drawn_where_it_can_show_the_result(layer_of, text, kind):
    assistant = Assistant(layer_of("shop"), RulesPlanner(layer_of("shop")))
    assert assistant.ask(text).chart.kind == kind
