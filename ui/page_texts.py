"""Owns the chat page's own words, in both languages. Knows nothing of Gradio, answers or models."""

from contextlib import suppress
from dataclasses import dataclass

from wenshu.semantic_layer.text import Language, Text

NAME = "问数 Wenshu"
TITLE = Text("Wenshu: ask your data", "问数：用问题查数据")
TAGLINE = Text("Ask your data, see how each number came about", "直接问数据，每个数都说得清来历")
LANGUAGE = Text("Interface language", "界面语言")
NEW = Text("New chat", "新对话")
QUESTION = Text("Your question", "您的问题")
PLACEHOLDER = Text("Ask about your data …", "想问什么数据？")
SEND = Text("Send", "发送")
STOP = Text("Stop", "停止")
HELP = Text(
    "Name a metric, a time and a split: “GMV by channel last month”, then “and by city?”",
    "说出指标、时间和想要的拆分，例如“上个月各渠道的成交额”；还可以接着追问“按城市呢？”",
)
KEYS = Text("Enter sends, Shift+Enter breaks the line", "Enter 发送，Shift+Enter 换行")
COMPLETIONS = Text("Suggestions", "输入建议")
GREETING = Text("What would you like to know?", "想了解哪个数？")
ASKED = Text("You asked", "您问")
ANSWERED = Text("Wenshu answered", "问数回答")
STEPS = Text("Progress", "进度")
DRAWING = Text("Drawing the chart", "画图")
WAITING = Text("Waiting for others to be answered: number {} in line", "前面还有人在提问，您排在第 {} 位")
WORKING = Text("Working …", "处理中……")
READY = Text("The answer is here.", "回答已给出。")
STOPPED = Text("Stopped. Nothing was answered.", "已停止，没有给出回答。")
PICTURE_FAILED = Text("The chart could not be drawn; the numbers are in the table.", "图没有画出来，数据请看下表。")
ENLARGE = Text("Enlarge the chart", "放大图表")
CLOSE = Text("Close", "关闭")
SAVE_PICTURE = Text("Save chart (PNG)", "保存图片（PNG）")
SAVE_TABLE = Text("Download CSV", "下载 CSV")
TABLE = Text("Data", "数据")
SORT = Text("Sort by {}", "按{}排序")
ROWS = Text("{} rows", "{} 行")
BEFORE = Text("before: {}", "对比期：{}")
COPY = Text("Copy SQL", "复制 SQL")
COPIED = Text("Copied", "已复制")
UNEXPECTED = Text("Something went wrong on our side.", "我们这边出了点问题。")
UNEXPECTED_HINT = Text(
    "Please ask again; if it happens again, tell whoever runs this service.",
    "请再问一次；如果仍然这样，请告诉维护人员。",
)
PORT_TAKEN = Text("Port {} is taken; port {} is used instead.", "端口 {} 已被占用，改用端口 {}。")


def preferred(accept_language: str) -> Language:
    """Return the first of a browser's languages that the page speaks, English if none.

    >>> preferred("fr, zh-CN;q=0.8, en;q=0.5")
    'zh'
    """
    weighed = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        with suppress(ValueError):
            weighed.append((-float(weight or 1), position, tag[:2].lower()))
    for _, _, tag in sorted(weighed):
        if tag in ("zh", "en"):
            return "zh" if tag == "zh" else "en"
    return "en"


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    """Name a group of example questions and the words that put a question in it."""

    label: Text
    words: tuple[str, ...]


def place_in_line(place: int) -> Text:
    """Return what somebody who waits is told."""
    return Text(WAITING.en.format(place), WAITING.zh.format(place))


EXAMPLE_GROUPS = (  # the first group that has a word of the question takes it
    ExampleGroup(
        Text("Retention and journeys", "留存与转化"),
        ("retention", "retained", "funnel", "conver", "churn", "lifecycle", "repurchase", "cohort")
        + ("留存", "转化", "漏斗", "流失", "生命周期", "复购", "同期群"),
    ),
    ExampleGroup(
        Text("Trends and comparisons", "趋势与对比"),
        (
            "trend",
            "compared",
            " vs ",
            "against",
            "year ago",
            "daily",
            "weekly",
            "monthly",
            "by day",
            "by week",
            "by month",
        )
        + ("趋势", "走势", "同比", "环比", "对比", "相比", "每天", "每日", "每周", "每月", "按月"),
    ),
    ExampleGroup(
        Text("Breakdowns and rankings", "拆分与排名"),
        (" by ", "top ", "most", "share", "highest", "lowest", "各", "按", "分", "最", "占比", "排名", "前"),
    ),
)
MORE_EXAMPLES = Text("More", "更多")


def group_examples(questions: tuple[str, ...], language: Language) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the example questions under the labels of their groups, in order, without empty groups.

    >>> group_examples(("GMV by channel", "Day-7 retention"), "en")
    (('Retention and journeys', ('Day-7 retention',)), ('Breakdowns and rankings', ('GMV by channel',)))
    """
    grouped: dict[str, list[str]] = {group.label.in_(language): [] for group in EXAMPLE_GROUPS}
    grouped[MORE_EXAMPLES.in_(language)] = []
    for question in questions:
        grouped[_group_of(question).in_(language)].append(question)
    return tuple((label, tuple(members)) for label, members in grouped.items() if members)


def _group_of(question: str) -> Text:
    lowered = question.lower()
    for group in EXAMPLE_GROUPS:
        if any(word in lowered for word in group.words):
            return group.label
    return MORE_EXAMPLES
