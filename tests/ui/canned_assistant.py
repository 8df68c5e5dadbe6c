"""Owns an assistant with canned answers, for the page's layout alone."""

import time
from collections.abc import Iterator
from datetime import date

from wenshu.assistant.answer import Answer, Definition, Period, Problem, Receipt
from wenshu.assistant.assistant import Step
from wenshu.assistant.question import MAX_LENGTH, Question, language_of
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.tools.chart import Chart

CHANNELS = (
    ("douyin", Text("Douyin", "抖音"), 412_345.5, 0.123),
    ("organic", Text("organic", "自然流量"), 1_298_340.0, -0.041),
    ("wechat", Text("WeChat", "微信"), 98_345.25, 0.002),
    ("<b>evil</b>", Text("<b>evil</b>", "<b>坏</b>"), None, None),
)
GMV = Text("GMV", "成交额")
SQL = """WITH paid_orders AS (
  SELECT o.order_id, o.amount, u.channel
  FROM orders AS o
  JOIN users AS u ON u.user_id = o.user_id
  WHERE o.paid_at IS NOT NULL AND o.ordered_at >= DATE '2026-10-01' AND o.ordered_at < DATE '2026-11-01'
)
SELECT channel, SUM(amount) AS gmv
FROM paid_orders
GROUP BY channel
ORDER BY gmv DESC"""


class Model:
    label = Text("Online shop", "线上商城")


class CannedAssistant:
    model = Model()

    def examples(self, language: Language) -> tuple[str, ...]:
        if language == "zh":
            return (
                "上个月各渠道的成交额",
                "2026年每月成交额趋势",
                "上个月成交额比前一个月如何",
                "各渠道的7日留存率",
                "从注册到支付的转化漏斗",
                "最近30天的活跃用户",
                "每周新增用户",
            )
        return (
            "GMV by channel last month",
            "Monthly GMV in 2026",
            "GMV last month against the month before",
            "Day-7 retention by channel",
            "Funnel from sign-up to payment",
            "Active users in the last 30 days",
            "New users by week",
        )

    def ask(self, question: Question) -> Answer:
        return list(self.stream(question))[-1]

    def stream(self, question: Question) -> Iterator[Step | Answer]:
        language = language_of(question.text)
        for key, text in (
            ("plan", Text("Understanding", "理解问题")),
            ("run", Text("Querying", "查询")),
            ("draw", Text("Drawing", "画图")),
        ):
            yield Step(key, text)
            time.sleep(5 if "slow" in question.text else 0.25)
        yield self.answer(question.text, language)

    def answer(self, text: str, language: Language) -> Answer:
        def say(en: str, zh: str) -> str:
            return Text(en, zh).in_(language)

        if len(text) > MAX_LENGTH:
            return Answer(
                id="1",
                status="refused",
                language=language,
                problem=Problem(
                    code="too_long",
                    message=say("The question is too long.", "问题太长了。"),
                    hint=say("Please ask in fewer than 2,000 characters.", "请用不超过 2000 个字提问。"),
                ),
            )
        if "weather" in text or "天气" in text:
            return Answer(
                id="1",
                status="refused",
                language=language,
                problem=Problem(
                    code="off_topic",
                    message=say("The data says nothing about the weather.", "数据里没有天气。"),
                    hint=say("Ask about users, retention or purchases.", "可以问用户、留存或购买。"),
                ),
                follow_ups=self.examples(language)[:2],
            )
        if "boom" in text:
            raise RuntimeError("secret internals")
        if text in ("销售怎么样", "retention", "留存"):
            return Answer(
                id="1",
                status="clarify",
                language=language,
                text=say("Which retention do you mean?", "您说的留存是哪一种？"),
                options=self.examples(language)[3:4] + self.examples(language)[:1],
            )
        receipt = Receipt(
            definitions=(
                Definition(
                    name="gmv",
                    label=GMV.in_(language),
                    definition=say("Sum of the amounts of paid orders.", "已支付订单金额之和。"),
                ),
            ),
            period=Period(start=date(2026, 10, 1), end=date(2026, 10, 31), label=say("last month", "上个月")),
            compared_period=Period(
                start=date(2026, 9, 1), end=date(2026, 9, 30), label=say("the month before", "前一个月")
            ),
            filters=(say("channel is not empty", "渠道不为空"),),
            assumptions=(say("Orders are dated by when they were placed.", "订单按下单时间计。"),),
            caveats=(say("1 % of orders have no channel.", "1% 的订单没有渠道。"),),
            sources=("orders", "users"),
            elapsed_ms=12.3,
        )
        gmv = Column(name="gmv", role="metric", type="number", label=GMV, unit="CNY", additive=True)
        change = Column(
            name="gmv_change", role="change", type="number", label=Text("change", "变化"), unit="%", metric="gmv"
        )
        if "month" in text.lower() and "2026" in text or "趋势" in text:
            table = ResultTable(
                columns=(
                    Column(name="month", role="time", type="date", label=Text("month", "月份"), grain=Grain.MONTH),
                    gmv,
                ),
                rows=tuple((date(2026, m, 1), 1_000_000.0 + (m * 37 % 11) * 30_000) for m in range(1, 11)),
                incomplete=(date(2026, 10, 1),),
            )
            kind, x = "line", "month"
        elif "against" in text or "比前" in text:
            before = Column(
                name="gmv_before",
                role="comparison",
                type="number",
                label=Text("GMV before", "前一个月成交额"),
                unit="CNY",
                metric="gmv",
            )
            table = ResultTable(columns=(gmv, before, change), rows=((1_809_030.75, 1_750_000.0, 0.0337),))
            kind, x = "number", None
        else:
            channel = Column(
                name="channel",
                role="dimension",
                type="string",
                label=Text("channel", "渠道"),
                value_labels=tuple((raw, label) for raw, label, _, _ in CHANNELS),
            )
            table = ResultTable(
                columns=(channel, gmv, change), rows=tuple((raw, value, moved) for raw, _, value, moved in CHANNELS)
            )
            kind, x = "bar", "channel"
        chart = Chart(
            kind=kind,
            x=x,
            y=("gmv",),
            series=None,
            title=GMV.in_(language),
            subtitle="2026-10-01 – 2026-10-31",
            alt_text=say("Bar chart of GMV by channel: organic leads.", "各渠道成交额的柱状图：自然流量最高。"),
            reason="",
        )
        return Answer(
            id="1",
            status="answered",
            language=language,
            text=say(
                "**GMV in October 2026 was ¥1,809,030.75**, 3.4% more than in September.\n\n- Organic brings the most: **¥1,298,340.00**, 71.8% of all.\n- `douyin` grew fastest \\[*\\].",
                "**2026年10月成交额为 ¥1,809,030.75**，比9月高 3.4%。\n\n- 自然流量最多：**¥1,298,340.00**，占 71.8%。\n- `douyin` 增长最快 \\[\\*\\]。",
            ),
            table=table,
            sql=SQL,
            chart=chart,
            receipt=receipt,
            follow_ups=(
                say("and by city?", "按城市呢？"),
                say("GMV last month against the month before", "上个月成交额比前一个月如何"),
            ),
        )


assert same
