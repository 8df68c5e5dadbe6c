"""What is said of paths and last events: the commonest, its share, who follows; in groups, whether they agree."""

import pytest

from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.explain import explain

PATHS = (
    ("open → search", Text("app open → search", "打开应用 → 搜索")),
    ("open → pay", Text("app open → pay", "打开应用 → 支付")),
)
KEY = Column(name="event_path", role="dimension", type="string", label=Text("path", "路径"), value_labels=PATHS)
DEVICE = Column(name="device", role="dimension", type="string", label=Text("device", "设备"))
VALUE = Column(name="paths", role="metric", type="number", label=Text("2-step paths", "2步路径"), metric="paths")
COUNTS = (
    Column(name="paths_share", role="count", type="number", label=Text("share", "占比"), unit="%", metric="paths"),
    Column(name="paths_distinct_users", role="count", type="number", label=Text("users", "用户数"), metric="paths"),
)


def told(language: Language, rows: tuple[tuple[Cell, ...], ...], *keys: Column) -> tuple[str, tuple[str, ...]]:
    table = ResultTable(columns=(*keys, KEY, VALUE, *COUNTS), rows=rows)
    found = explain(
        table, period="May", compared_period=None, filters=(), superlative=None, language=language, complete=False
    )
    return found.headline, found.findings


ALONE: tuple[tuple[Cell, ...], ...] = (("open → search", 1200, 0.6, 700), ("open → pay", 1, 0.0005, 1))


@pytest.mark.parametrize(
    ("language", "headline", "finding"),
    [
        (
            "en",
            "In 2-step paths for May, app open → search comes first: 1,200 times, 60.0% of all, by 700 users.",
            "Next: app open → pay (1, 0.05%).",
        ),
        (
            "zh",
            "May2步路径中，最常见的是“打开应用 → 搜索”：1,200 次，占 60.0%，涉及 700 人。",
            "其后依次为“打开应用 → 支付”（1，0.05%）。",
        ),
    ],
)
def test_the_commonest_path_comes_first(language: Language, headline: str, finding: str):
    assert told(language, ALONE) == (headline, (finding,))


def test_groups_that_agree_are_told_once():
    rows = (("ios", "open → search", 9, 0.9, 5), ("web", "open → search", 6, 0.6, 4), ("web", "open → pay", 4, 0.4, 4))
    headline, findings = told("en", rows, DEVICE)
    assert headline == "In 2-step paths for May, app open → search comes first in every device shown."
    assert findings == ("First in each device: ios (90.0%), web (60.0%).",)


def test_groups_that_differ_are_told_one_by_one():
    rows = (("ios", "open → search", 9, 0.9, 5), ("web", "open → pay", 4, 0.8, 4))
    headline, findings = told("zh", rows, DEVICE)
    assert headline == "May2步路径中，各设备最常见的不同。"
    assert findings == ("各设备的第一位：ios（“打开应用 → 搜索” 90.0%）、web（“打开应用 → 支付” 80.0%）。",)


def test_nothing_counted_is_no_path():
    assert told("en", ())[0] == "There is no data for May."
