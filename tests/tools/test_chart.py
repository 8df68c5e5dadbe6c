"""Which chart a result's shape gets, and what is said about it."""

import math
from dataclasses import replace
from datetime import date, timedelta

import pytest

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.periods import Grain, add_months
from wenshu.semantic_layer.rfm_segment import TIERS
from wenshu.semantic_layer.table import Cell, Column, ResultTable, Role
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import Chart, choose_chart, data_of
from wenshu.tools.chart_axes import value_range, value_ticks
from wenshu.tools.chart_data import LONGEST_LABEL, MOST_CATEGORIES, MOST_POINTS, MOST_SERIES, Panel, Series, chart_data
from wenshu.tools.chart_periods import MOST_COHORTS, MOST_PERIODS, triangle_of
from wenshu.tools.chart_title import chart_title

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


STAGE_NAMES = ("new", "returning", "resurrecting", "dormant")
STAGE = Column(
    name="lifecycle_stage", role="dimension", type="string", label=Text("lifecycle stage", "生命周期阶段"),
    value_labels=BEHAVIOUR_KEYS["lifecycle_stage"].values,
)  # fmt: skip
PERIOD = Column(
    name="period_number", role="dimension", type="number", label=Text("periods after entry", "进入后第几期")
)
STEP = dimension("funnel_step", "步骤", visit=("visit", "访问"), cart=("add to cart", "加购"), pay=("pay", "支付"))
KEPT = value("kept", "7日留存率", "%")
KEPT_COHORT = value("kept_cohort", "7日留存率：同期群人数", role="count", of="kept")
KEPT_RETAINED = value("kept_retained", "7日留存率：留存人数", role="count", of="kept")
KEPT_LEFT_OUT = value("kept_left_out", "7日留存率：未成熟", role="count", of="kept")
CONVERSION = value("conversion", "转化率", "%")
STEP_COUNTS = tuple(
    value(f"conversion_{name}", name, role="count", of="conversion")
    for name in ("converted", "step_rate", "median_hours", "place", "left_out")
)


def funnel(groups: list[Cell]) -> ResultTable:
    """Return a funnel of 1,000 users, or one a group, of which half, then a tenth go on."""
    steps = [
        ("visit", 1.0, 1000, 1.0, None, 1, 7),
        ("cart", 0.5, 500, 0.5, 2.0, 2, 7),
        ("pay", 0.05, 50, 0.1, 0.5, 3, 7),
    ]
    if not groups:
        return table((STEP, CONVERSION, *STEP_COUNTS), [*steps])
    return table(
        (STEP, CHANNEL, CONVERSION, *STEP_COUNTS), [(step[0], key, *step[1:]) for key in groups for step in steps]
    )


def periods(keys: list[Cell], column: Column | None = None) -> ResultTable:
    """Return retention over periods 0 to 5, of cohorts of 100 or of all; the last cohort is there up to period 1 only."""
    rows: list[tuple[Cell, ...]] = []
    for key in keys or [None]:
        for period in range(6):
            late = column is not None and column.role == "time" and key == keys[-1]
            size = 100 if period == 0 or not late else 60 if period == 1 else 0
            kept = size // (period + 1)
            rows.append((key, period, kept / size if size else None, size, kept, 100 - size))
    columns = (PERIOD, KEPT, KEPT_COHORT, KEPT_RETAINED, KEPT_LEFT_OUT)
    return table((column, *columns), rows) if column else table(columns, [row[1:] for row in rows])


FUNNEL = funnel([])
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
    ("a funnel", FUNNEL, "funnel", "funnel_step", ("conversion",), None),
    ("a funnel by group", funnel([*CHANNELS[:2]]), "funnel", "funnel_step", ("conversion",), "channel"),
    ("a retention curve", periods([]), "curve", "period_number", ("kept",), None),
    ("curves by group", periods([*CHANNELS[:2]], CHANNEL), "curve", "period_number", ("kept",), "channel"),
    ("a cohort triangle", periods([*MONTHS], time()), "triangle", "period_number", ("kept",), "time"),
    (
        "lifecycle stages",
        table((STAGE, BUYERS), [("dormant", 5), ("new", 3), ("returning", 4), ("resurrecting", 1)]),
        "bar", "lifecycle_stage", ("buyers",), None,
    ),
    (
        "lifecycle stages over time",
        crossed((time(), STAGE, BUYERS), [*MONTHS], [*STAGE_NAMES]),
        "stacked_bar", "time", ("buyers",), "lifecycle_stage",
    ),
    (
        "lifecycle stages by group",
        crossed((STAGE, CHANNEL, BUYERS), [*STAGE_NAMES], [*CHANNELS]),
        "stacked_bar", "channel", ("buyers",), "lifecycle_stage",
    ),
    (
        "counts are no metrics",
        table((CITY, KEPT, KEPT_COHORT, KEPT_RETAINED), [(city, 0.2, 10, 2) for city in CITIES]),
        "bar", "city", ("kept",), None,
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


def test_a_curve_leaves_out_period_zero_and_what_nobody_has_come_to() -> None:
    result = periods([*MONTHS[:1]], time())
    result = replace(result, columns=result.columns[1:], rows=tuple(row[1:] for row in result.rows))
    chart = choose(result, subtitle="9月")
    data = data_of(chart.kind, result, x="period_number", y=chart.y, series=None, language="zh")
    assert (chart.subtitle, data.periods, data.incomplete) == ("9月 · 未画出第 0 天（100%）", (1,), {0})
    assert data.categories == ("第 1 天",) and data.panels[0].series[0].values == (0.5,)


def test_a_curve_is_in_order_whatever_the_rows() -> None:
    result = periods([*CHANNELS[:2]], CHANNEL)
    data = data_of(
        "curve",
        replace(result, rows=result.rows[::-1]),
        x="period_number",
        y=("kept",),
        series="channel",
        language="en",
    )
    assert data.periods == (1, 2, 3, 4, 5) and data.panels[0].series[0].values == (0.5, 0.33, 0.25, 0.2, 0.16)
    assert data.axis == "days after entry"


def test_a_triangle_keeps_what_is_still_to_come_blank() -> None:
    triangle = triangle_of(periods([*MONTHS[:3]], time()), KEPT, "zh")
    assert [row.size for row in triangle.rows] == [100, 100, 100] and triangle.periods == (0, 1, 2, 3, 4, 5)
    first, last = triangle.rows[0].cells, triangle.rows[-1].cells
    assert all(cell and not cell.partial for cell in first)
    assert last[1] is not None and last[1].partial and last[2:] == (None,) * 4
    assert triangle.trivial == 0 and max(triangle.numbers) == 0.5  # everybody is there at entry


def test_a_large_triangle_shows_the_latest_cohorts_at_round_periods() -> None:
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(60)]
    rows: list[tuple[Cell, ...]] = [(day, period, 0.5, 100, 50, 0) for day in days for period in range(91)]
    columns = (time(Grain.DAY), PERIOD, KEPT, KEPT_COHORT, KEPT_RETAINED, KEPT_LEFT_OUT)
    triangle = triangle_of(table(columns, rows), KEPT, "en")
    assert len(triangle.rows) == MOST_COHORTS and triangle.rows[-1].full_label == "2026-03-01"
    assert len(triangle.periods) <= MOST_PERIODS and {0, 1, 7, 30, 90} <= set(triangle.periods)
    assert triangle.notes == ("latest 30 of 60 cohorts", "selected days only")


def test_users_lost_hang_below_and_are_written_without_a_sign() -> None:
    result = crossed((time(), STAGE, BUYERS), [*MONTHS[:2]], ["dormant", "resurrecting", "new", "returning"], 10.0)
    chart = choose(result)
    data = data_of(chart.kind, result, x="time", y=chart.y, series=chart.series, language="zh")
    (panel,) = data.panels
    assert [series.label for series in panel.series] == ["新用户", "留存用户", "回流用户", "流失用户"]
    assert [series.kind for series in panel.series] == ["current"] * 3 + ["lost"]
    low, high = value_range(panel, from_zero=True, stacked=True)
    assert low < -11 and high > 11 + 12 + 13
    assert "-" not in "".join(value_ticks(low, high, panel, "zh")[1]) and "-" not in chart.alt_text


def test_tiers_are_in_their_own_order() -> None:
    names = [*TIERS][::-1]
    tier = dimension("rfm_tier", "层级", **{name: (name, zh) for name, (zh, _) in TIERS.items()})
    data = chart_data(
        table((tier, GMV), [(name, 1.0) for name in names]), x="rfm_tier", y=("gmv",), series=None, language="zh"
    )
    assert data.categories == tuple(zh for zh, _ in TIERS.values())


def test_text_of_funnels_curves_and_triangles() -> None:
    assert choose(FUNNEL).alt_text == "漏斗图：标题。访问 1,000（100.0%），加购 500（50.0%），支付 50（5.0%）。"
    assert choose(funnel(["douyin", "baidu"]), "en").alt_text == (
        "Funnel: 标题. Douyin: visit 1,000 (100.0%), add to cart 500 (50.0%), pay 50 (5.0%); "
        "Baidu: visit 1,000 (100.0%), add to cart 500 (50.0%), pay 50 (5.0%)."
    )
    assert choose(periods([])).alt_text == (
        "曲线图：标题，第 1 天至第 5 天。从 50.0% 到 16.0%；最高 50.0%（第 1 天），最低 16.0%（第 5 天）。"
    )
    assert choose(periods([*MONTHS[:3]], time()), "en").alt_text == (
        "Cohort triangle: 标题, 3 cohorts from Nov 2025 to Jan 2026, days after entry 0 to 5. "
        "The highest is 50.0% (Nov 2025, day 1), the lowest 16.0% (Nov 2025, day 5)."
    )


@pytest.mark.parametrize(
    ("result", "zh", "en"),
    [
        (table((GMV,), [(5.0,)]), "成交额", "Gmv"),
        (table((time(Grain.WEEK), CHANNEL, GMV), []), "各渠道每周成交额", "Gmv by week and channel"),
        (table((CITY, CHANNEL, GMV, ORDERS), []), "各城市、渠道成交额、订单数", "Gmv and orders by city and channel"),
        (table((CHANNEL, GMV, GMV_SHARE), []), "各渠道成交额占比", "Share of gmv by channel"),
        (table((CITY, CHANNEL), []), "城市、渠道", "city, channel"),
        (FUNNEL, "访问到支付漏斗", "Funnel from visit to pay"),
        (funnel(["douyin", "baidu"]), "各渠道访问到支付漏斗", "Funnel from visit to pay by channel"),
        (periods([*MONTHS], time()), "每月同期群的7日留存率（第 N 天）", "Kept (day N) by monthly cohort"),
        (periods([]), "7日留存率（第 N 天）曲线", "Kept (day N) curve"),
    ],
)
def test_title(result: ResultTable, zh: str, en: str) -> None:
    assert (chart_title(result, "zh"), chart_title(result, "en")) == (zh, en)
