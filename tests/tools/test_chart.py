"""Which chart a result's shape gets, and what is said about it."""

import math
from datetime import date, timedelta

import pytest

from wenshu.semantic_layer.periods import Grain, add_months
from wenshu.semantic_layer.table import Cell, Column, ResultTable, Role
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import Chart, choose_chart, data_of
from wenshu.tools.chart_axes import value_range, value_ticks
from wenshu.tools.chart_data import LONGEST_LABEL, MOST_CATEGORIES, MOST_POINTS, MOST_SERIES, Panel, Series, chart_data

MONTHS = [add_months(date(2025, 11, 1), month) for month in range(12)]
DAYS = [date(2026, 9, 1) + timedelta(days=day) for day in range(61)]
CITIES = "北京 上海 广州 深圳 杭州 成都 武汉 南京 西安 重庆".split()
CHANNELS = ("organic", "douyin", "wechat", "baidu", "appstore", "referral")


def time(grain: Grain = Grain.MONTH) -> Column:
    return Column(name="time", role="time", type="date", label=Text(grain.value, "时间"), grain=grain)


def dimension(name: str, zh: str, **labels: tuple[str, str]) -> Column:
    shown = tuple((value, Text(*words)) for value, words in labels.items())
    return Column(name=name, role="dimension", type="string", label=Text(name, zh), value_labels=shown)


def value(
    name: str, zh: str, unit: str | None = None, *, additive: bool = False, role: Role = "metric", of: str = ""
) -> Column:
    return Column(
        name=name, role=role, type="number", label=Text(name, zh), unit=unit, additive=additive, metric=of or None
    )  # fmt: skip


CITY, CHANNEL, DEVICE, PRODUCT = (
    dimension("city", "城市"),
    dimension("channel", "渠道", douyin=("Douyin", "抖音"), baidu=("Baidu", "百度")),
    dimension("device", "设备"),
    dimension("product", "商品"),
)
WEEKDAY = Column(
    name="weekday", role="dimension", type="number", label=Text("weekday", "星期"),
    value_labels=tuple((day + 1, Text(en, zh)) for day, (en, zh) in enumerate(
        zip("Mon Tue Wed Thu Fri Sat Sun".split(), "周一 周二 周三 周四 周五 周六 周日".split(), strict=True)
    )),
)  # fmt: skip
HOUR = Column(name="hour", role="dimension", type="number", label=Text("hour", "小时"))
GMV = value("gmv", "成交额", "CNY", additive=True)
GMV_BEFORE = value("gmv_previous", "上期成交额", "CNY", additive=True, role="comparison", of="gmv")
GMV_CHANGE = value("gmv_change", "变化", "%", role="change", of="gmv")
GMV_SHARE = value("gmv_share", "成交额占比", "%", role="share", of="gmv")
ORDERS = value("orders", "订单数", additive=True)
BUYERS = value("buyers", "购买用户数")
RETENTION = value("retention", "7日留存率", "%")
CYCLE = value("cycle", "复购周期", "day")
SAMPLE = value("sample", "样本数", role="count")


def table(columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], **more: object) -> ResultTable:
    return ResultTable(columns=columns, rows=tuple(rows), **more)  # type: ignore[arg-type]


def crossed(columns: tuple[Column, ...], first: list[Cell], second: list[Cell], number: float = 1.0) -> ResultTable:
    rows = [
        (a, b, *(number + i + j for _ in columns[2:])) for i, a in enumerate(first) for j, b in enumerate(second)
    ]  # fmt: skip
    return table(columns, rows)


def choose(result: ResultTable, language: str = "zh", subtitle: str = "") -> Chart:
    return choose_chart(result, title="标题", subtitle=subtitle, language=language)  # type: ignore[arg-type]


MANY = [f"p{number:02d}" for number in range(60)]
SHAPES: list[tuple[str, ResultTable, str, str | None, tuple[str, ...], str | None]] = [
    ("one number", table((GMV,), [(5.0,)]), "number", None, ("gmv",), None),
    (
        "a comparison stays a card",
        table((GMV, GMV_BEFORE, GMV_CHANGE), [(5.0, 4.0, 0.25)]),
        "number", None, ("gmv", "gmv_previous", "gmv_change"), None,
    ),
    (
        "several numbers, the comparison beside its metric",
        table((GMV, RETENTION, GMV_BEFORE, GMV_CHANGE, SAMPLE), [(5.0, 0.2, 4.0, 0.25, 10)]),
        "number", None, ("gmv", "gmv_previous", "gmv_change", "retention"), None,
    ),
    ("one group only", table((CHANNEL, GMV), [("douyin", 5.0)]), "number", None, ("gmv",), None),
    ("one month only", table((time(), GMV), [(MONTHS[0], 5.0)]), "number", None, ("gmv",), None),
    ("time", table((time(), GMV), [(day, 1.0) for day in MONTHS]), "line", "time", ("gmv",), None),
    (
        "time against the period before",
        table((time(), GMV, GMV_BEFORE, GMV_CHANGE), [(day, 1.0, 2.0, -0.5) for day in MONTHS]),
        "line", "time", ("gmv", "gmv_previous"), None,
    ),
    (
        "time by metrics of different units",
        table((time(), GMV, RETENTION), [(day, 1.0, 0.2) for day in MONTHS]),
        "line", "time", ("gmv", "retention"), None,
    ),
    ("time by dimension", crossed((time(), CHANNEL, GMV), [*MONTHS], [*CHANNELS]), "line", "time", ("gmv",), "channel"),
    (
        "shares of a dimension over time",
        crossed((time(), CHANNEL, ORDERS, GMV_SHARE), [*MONTHS], [*CHANNELS]),
        "stacked_bar", "time", ("gmv_share",), "channel",
    ),
    (
        "shares over many days",
        crossed((time(Grain.DAY), CHANNEL, GMV_SHARE), [*DAYS], [*CHANNELS]),
        "line", "time", ("gmv_share",), "channel",
    ),
    (
        "a dimension with one value is no dimension",
        crossed((time(), CHANNEL, GMV), [*MONTHS], ["douyin"]),
        "line", "time", ("gmv",), None,
    ),
    ("a dimension", table((CITY, GMV), [(city, 1.0) for city in CITIES]), "bar", "city", ("gmv",), None),
    ("a rate", table((CITY, RETENTION), [(city, 0.1) for city in CITIES]), "bar", "city", ("retention",), None),
    (
        "a share stands for its metric",
        table((CITY, GMV, GMV_SHARE), [(city, 1.0, 0.1) for city in CITIES]),
        "bar", "city", ("gmv_share",), None,
    ),
    (
        "a dimension against the period before",
        table((CITY, GMV, GMV_BEFORE, GMV_CHANGE), [(city, 1.0, 2.0, -0.5) for city in CITIES]),
        "grouped_bar", "city", ("gmv", "gmv_previous"), None,
    ),
    (
        "two metrics of one unit",
        table((CITY, ORDERS, BUYERS), [(city, 30, 20) for city in CITIES]),
        "grouped_bar", "city", ("orders", "buyers"), None,
    ),
    (
        "two metrics of one unit, one of them tiny",
        table((CITY, ORDERS, BUYERS), [(city, 30_000, 20) for city in CITIES]),
        "bar", "city", ("orders", "buyers"), None,
    ),
    (
        "metrics of different units",
        table((CITY, GMV, RETENTION, CYCLE), [(city, 1.0, 0.2, 9.0) for city in CITIES]),
        "bar", "city", ("gmv", "retention", "cycle"), None,
    ),
    (
        "two small dimensions",
        crossed((DEVICE, CHANNEL, RETENTION), ["ios", "web"], [*CHANNELS[:4]]),
        "grouped_bar", "channel", ("retention",), "device",
    ),
    (
        "parts that add up",
        crossed((CHANNEL, CITY, GMV), [*CHANNELS], [*CITIES]),
        "stacked_bar", "city", ("gmv",), "channel",
    ),
    (
        "negative parts are not stacked",
        crossed((CHANNEL, CITY, GMV), [*CHANNELS], [*CITIES], number=-5.0),
        "heat_map", "city", ("gmv",), "channel",
    ),
    (
        "rates do not add up, few",
        crossed((DEVICE, CITY, RETENTION), ["ios", "web"], [*CITIES]),
        "grouped_bar", "city", ("retention",), "device",
    ),
    (
        "rates do not add up, many",
        crossed((CHANNEL, CITY, RETENTION), [*CHANNELS], [*CITIES]),
        "heat_map", "city", ("retention",), "channel",
    ),
    (
        "weekday by hour",
        crossed((WEEKDAY, HOUR, ORDERS), [*range(1, 8)], [*range(24)]),
        "heat_map", "hour", ("orders",), "weekday",
    ),
    (
        "two large dimensions",
        crossed((CITY, PRODUCT, GMV), [*CITIES], [*MANY[:20]]),
        "heat_map", "product", ("gmv",), "city",
    ),
    (
        "three dimensions",
        table((CITY, CHANNEL, DEVICE, GMV), [(a, b, c, 1.0) for a in "ab" for b in "cd" for c in "ef"]),
        "table", None, (), None,
    ),
    ("no rows", table((CITY, GMV), []), "table", None, (), None),
    ("a list of records", table((CITY, CHANNEL), [("北京", "douyin"), ("上海", "baidu")]), "table", None, (), None),
    ("nothing known", table((CITY, GMV), [("北京", None), ("上海", math.nan)]), "table", None, (), None),
    ("no columns", table((), []), "table", None, (), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "kind", "x", "y", "series"), [shape[1:] for shape in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_shape_decides(result: ResultTable, kind: str, x: str | None, y: tuple[str, ...], series: str | None) -> None:
    for language in ("zh", "en"):
        chart = choose(result, language)
        assert (chart.kind, chart.x, chart.y, chart.series) == (kind, x, y, series)
        end = "。" if language == "zh" else "."
        assert chart.reason.endswith(end) and chart.alt_text.endswith(end)


@pytest.mark.parametrize("result", [shape[1] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_english_text_holds_no_chinese_but_the_datas_own(result: ResultTable) -> None:
    chart = choose_chart(result, title="GMV", subtitle="September", language="en")
    words = f"{chart.title}{chart.subtitle}{chart.alt_text}{chart.reason}"
    for own in CITIES:
        words = words.replace(own, "")
    assert not [char for char in words if "\u3000" <= char <= "\uffef"]


def test_text_of_a_line() -> None:
    rows: list[tuple[Cell, ...]] = [(day, float(number)) for day, number in zip(MONTHS, (5, 9, 1, 4), strict=False)]
    result = table((time(), GMV), rows, incomplete=(MONTHS[3],))
    assert choose(result).alt_text == (
        "折线图：标题，2025年11月至2026年2月。从 ¥5.00 到 ¥4.00；最高 ¥9.00（2025年12月），最低 ¥1.00（2026年1月）。"
        "2026年2月的数据不完整。"
    )
    assert choose(result, "en").alt_text == (
        "Line chart: 标题, from Nov 2025 to Feb 2026. From ¥5.00 to ¥4.00; the highest is ¥9.00 (Dec 2025), "
        "the lowest ¥1.00 (Jan 2026). Incomplete: Feb 2026."
    )


def test_text_of_bars_and_cards() -> None:
    bars = table((CHANNEL, RETENTION), [("douyin", 0.25), ("baidu", 0.125), (None, 0.2)])
    assert choose(bars).alt_text == "条形图：标题，按渠道，渠道共 3 项。最高 25.0%（抖音），最低 12.5%（百度）。"
    card = table((GMV, GMV_BEFORE, GMV_CHANGE), [(5.0, 4.0, 0.25)])
    assert choose(card).alt_text == "标题：成交额为 ¥5.00，上期成交额 ¥4.00，变化 +25.0%。"


def test_what_is_fixed_or_cut_off_is_said() -> None:
    assert choose(table((CHANNEL, GMV), [("douyin", 5.0)]), subtitle="9月").subtitle == "9月 · 渠道：抖音"
    cut = table((CITY, GMV), [(city, 1.0) for city in CITIES], truncated=True)
    assert choose(cut, "en", "Sep").subtitle == "Sep · first 10 rows"


def test_additive_series_fold_into_others() -> None:
    rows: list[tuple[Cell, ...]] = [(day, name, rank + 1) for day in MONTHS for rank, name in enumerate(MANY[:30])]
    result = table((time(), PRODUCT, ORDERS), rows)
    chart = choose(result)
    data = data_of(chart.kind, result, x="time", y=chart.y, series=chart.series, language="zh")
    lines = data.panels[0].series
    assert len(lines) == MOST_SERIES and lines[-1].label == "其他" and "其余 19 个商品" in chart.subtitle
    assert sum(line.values[0] or 0 for line in lines) == sum(range(1, 31))
    assert [line.label for line in lines[:-1]] == MANY[19:30]  # the largest, in the table's order


def test_rates_are_dropped_not_folded() -> None:
    rows: list[tuple[Cell, ...]] = [(day, name, rank / 100) for day in MONTHS for rank, name in enumerate(MANY[:30])]
    chart = choose(table((time(), PRODUCT, RETENTION), rows), "en")
    data = data_of(
        chart.kind, table((time(), PRODUCT, RETENTION), rows), x="time", y=chart.y, series=chart.series, language="en"
    )
    assert [line.label for line in data.panels[0].series] == MANY[18:30]
    assert "12 of 30 shown" in chart.subtitle


@pytest.mark.parametrize(("metric", "last", "left"), [(ORDERS, "其他", 11), (RETENTION, "p49", 10)])
def test_categories_are_capped(metric: Column, last: str, left: int) -> None:
    result = table((PRODUCT, metric), [(name, 1) for name in MANY])
    data = chart_data(result, x="product", y=(metric.name,), series=None, language="zh")
    assert len(data.categories) == MOST_CATEGORIES and data.categories[-1] == last
    assert sum(value or 0 for value in data.panels[0].series[0].values) == (60 if metric.additive else 60 - left)
    assert data.notes


def test_points_are_capped_at_the_latest() -> None:
    days = [date(2010, 1, 1) + timedelta(days=day) for day in range(4000)]
    result = crossed((time(Grain.DAY), DEVICE, RETENTION), [*days], ["ios", "web"])
    data = data_of("line", result, x="time", y=("retention",), series="device", language="en")
    assert len(data.times) == MOST_POINTS // 2 and data.times[-1] == days[-1]
    assert data.notes == ("latest 2500 of 4000 points in time",)


def test_missing_buckets_are_gaps() -> None:
    rows: list[tuple[Cell, ...]] = [(MONTHS[0], 1.0), (MONTHS[3], math.nan), (None, 7.0), (MONTHS[2], 3.0)]
    data = data_of("line", table((time(), RETENTION), rows), x="time", y=("retention",), series=None, language="zh")
    assert data.times == tuple(MONTHS[:4])
    assert data.panels[0].series[0].values == (1.0, None, 3.0, None)


def test_a_first_week_cut_short_is_its_whole_bucket() -> None:
    rows: list[tuple[Cell, ...]] = [(date(2026, 9, 2), 1.0), (date(2026, 9, 7), 2.0)]
    result = table((time(Grain.WEEK), GMV), rows, incomplete=(date(2026, 9, 2),))
    data = data_of("line", result, x="time", y=("gmv",), series=None, language="zh")
    assert data.times == (date(2026, 8, 31), date(2026, 9, 7)) and data.incomplete == {0}


def test_labels_are_short_and_clean() -> None:
    names = ["a\nb\tc", "x" * 5000, "\u202eevil\u202c", "\x00", None, "douyin"]
    data = chart_data(
        table((CHANNEL, GMV), [(name, 1.0) for name in names]), x="channel", y=("gmv",), series=None, language="zh"
    )
    assert data.categories == ("a b c", "x" * (LONGEST_LABEL - 1) + "…", "evil", "（空）", "未知", "抖音")


def test_weekdays_have_names() -> None:
    result = crossed((WEEKDAY, HOUR, ORDERS), [*range(1, 8)], [*range(24)])
    data = data_of("heat_map", result, x="hour", y=("orders",), series="weekday", language="zh")
    assert [row.label for row in data.panels[0].series][:2] == ["周一", "周二"] and data.axis == "小时"


def test_hours_of_a_grid_are_in_order_whatever_the_rows() -> None:
    rows: list[tuple[Cell, ...]] = [(day, hour, day) for day in range(1, 8) for hour in (*range(24), None)]
    result = table((WEEKDAY, HOUR, ORDERS), rows[::-1])
    data = data_of("heat_map", result, x="hour", y=("orders",), series="weekday", language="en")
    assert data.categories == (*map(str, range(24)), "unknown")
    assert [row.label for row in data.panels[0].series] == "Mon Tue Wed Thu Fri Sat Sun".split()


def test_panels_by_unit() -> None:
    result = table((time(), GMV, GMV_BEFORE, RETENTION), [(day, 1.0, 2.0, 0.1) for day in MONTHS])
    data = data_of("line", result, x="time", y=("gmv", "gmv_previous", "retention"), series=None, language="zh")
    assert [(panel.unit, [line.kind for line in panel.series]) for panel in data.panels] == [
        ("CNY", ["current", "previous"]),
        ("%", ["current"]),
    ]


@pytest.mark.parametrize(
    ("numbers", "unit", "written"),
    [
        ((0, 3), None, ["0", "1", "2", "3"]),  # no half orders
        ((0.0, 0.34), "%", ["0%", "10%", "20%", "30%"]),
        ((-40_000, 20_000), "CNY", None),
        ((1_000_000_000, 1_000_000_003), None, None),
        ((0, 0), None, ["0", "1"]),
        ((1e99, 2.0), None, None),
    ],
)
def test_ticks_are_round_and_differ(numbers: tuple[float, float], unit: str | None, written: list[str] | None) -> None:
    panel = Panel(label="", unit=unit, series=(Series(label="", values=tuple(map(float, numbers))),))
    ends = value_range(panel, from_zero=True)
    values, labels = value_ticks(*ends, panel, "en")
    assert 2 <= len(values) <= 7 and len(set(labels)) == len(labels) and max(map(len, labels)) < 20
    assert ends[0] <= min(0, *numbers) and max(0, *numbers) <= ends[1] and 0.0 in values
    assert written is None or labels == written
