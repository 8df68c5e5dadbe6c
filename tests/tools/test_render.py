"""Pictures, drawn for real and looked at by their pixels."""

import math
import os
import subprocess
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.periods import Grain, add_months
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.tools.chart import Chart, choose_chart
from wenshu.tools.chart_theme import DARK, LIGHT
from wenshu.tools.render import Page, render_chart

MONTHS = [add_months(date(2025, 11, 1), month) for month in range(12)]
CITIES = "北京 上海 广州 深圳 杭州 成都 武汉 南京".split()
CITY = Column(name="city", role="dimension", type="string", label=Text("city", "城市"))
PRODUCT = Column(name="product", role="dimension", type="string", label=Text("product", "商品"))
MONTH = Column(name="month", role="time", type="date", label=Text("month", "月"), grain=Grain.MONTH)
DAY = Column(name="day", role="time", type="date", label=Text("day", "日"), grain=Grain.DAY)
GMV = Column(name="gmv", role="metric", type="number", label=Text("GMV", "成交额"), unit="CNY", additive=True)
BEFORE = Column(
    name="before", role="comparison", type="number", label=Text("GMV before", "上期成交额"), unit="CNY", additive=True,
    metric="gmv",
)  # fmt: skip
CHANGE = Column(name="change", role="change", type="number", label=Text("change", "变化"), unit="%", metric="gmv")
SHARE = Column(name="share", role="share", type="number", label=Text("share", "占比"), unit="%", metric="gmv")
RATE = Column(name="rate", role="metric", type="number", label=Text("retention", "留存率"), unit="%")
COUNT = Column(name="count", role="metric", type="number", label=Text("orders", "订单数"))
STEP = Column(name="funnel_step", role="dimension", type="string", label=Text("step", "步骤"))
PERIOD = Column(
    name="period_number", role="dimension", type="number", label=Text("periods after entry", "进入后第几期")
)
STAGE = Column(
    name="lifecycle_stage", role="dimension", type="string", label=Text("stage", "阶段"),
    value_labels=BEHAVIOUR_KEYS["lifecycle_stage"].values,
)  # fmt: skip


def counts(*names: str) -> tuple[Column, ...]:
    return tuple(
        Column(name=f"rate_{name}", role="count", type="number", label=same(name), metric="rate") for name in names
    )


STEP_COUNTS = counts("converted", "step_rate", "median_hours", "place", "left_out")
COHORT_COUNTS = counts("cohort", "retained", "left_out")
HOSTILE = [
    "$x^2$ $\\frac{1}$", "line\nbreak\ttab", "长" * 5000, "🍎苹果 👨‍👩‍👧", "\x00\x1b[31mred\x7f", "مرحبا بالعالم", "שלום",
    "\u202eevil\u202c", "", "   ", "Z̷̛a̸l̵g̶o" * 30, "<script>&amp;</script>", "हिन्दी ไทย 𝕏 𠮷", "\ud800", "a_b^c{d}\\",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> None:
    """A glyph missing from the font is only a warning of matplotlib's; here it fails."""
    warnings.simplefilter("error")


def table(columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], **more: object) -> ResultTable:
    return ResultTable(columns=columns, rows=tuple(rows), **more)  # type: ignore[arg-type]


def choose(result: ResultTable, language: Language = "zh", title: str = "成交额走势") -> Chart:
    return choose_chart(result, title=title, subtitle="2026年9月", language=language)


def draw(
    result: ResultTable, language: Language = "zh", *, title: str = "成交额走势", dark: bool = False
) -> Image.Image:
    written = render_chart(choose(result, language, title), result, language=language, dark=dark)
    return Image.open(BytesIO(written)).convert("RGB")


def rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[at : at + 2], 16) for at in (1, 3, 5))


def colored(image: Image.Image, color: str) -> list[tuple[int, int]]:
    """Return the places of the pixels of exactly this colour."""
    rows, columns = np.nonzero((np.asarray(image) == rgb(color)).all(axis=2))
    return list(zip(columns.tolist(), rows.tolist(), strict=True))


def shades(image: Image.Image) -> dict[tuple[int, ...], int]:
    """Return how many pixels have each colour."""
    found = image.getcolors(image.width * image.height) or []
    return {color: count for count, color in found if isinstance(color, tuple)}


KINDS: dict[str, ResultTable] = {
    "number": table((GMV, BEFORE, CHANGE, RATE), [(1234567.5, 1100000.0, 0.1222, 0.25)]),
    "line": table((MONTH, GMV, BEFORE), [(day, 1e6 + at, 9e5 - at) for at, day in enumerate(MONTHS)]),
    "bar": table((CITY, GMV), [(city, 1e6 / (at + 1)) for at, city in enumerate(CITIES)]),
    "grouped_bar": table((CITY, GMV, BEFORE), [(city, 1e6, 8e5) for city in CITIES]),
    "stacked_bar": table((MONTH, CITY, SHARE), [(day, city, 1 / 8) for day in MONTHS for city in CITIES]),
    "heat_map": table((CITY, PRODUCT, RATE), [(c, f"商品{p}", 0.01 * p) for c in CITIES for p in range(9)]),
    "table": table((CITY, GMV), []),
    "funnel": table((STEP, RATE, *STEP_COUNTS), [
        ("visit", 1.0, 1000, 1.0, None, 1, 5), ("cart", 0.5, 500, 0.5, 20.5, 2, 5), ("pay", 0.1, 100, 0.2, 0.05, 3, 5)
    ]),
    "curve": table((PERIOD, RATE, *COHORT_COUNTS), [(n, 1 / (n + 1), 100, 100 // (n + 1), n) for n in range(31)]),
    "triangle": table((MONTH, PERIOD, RATE, *COHORT_COUNTS), [
        (day, n, 1 / (n + 1) if at + n < 12 else None, 100, 100 // (n + 1), 0)
        for at, day in enumerate(MONTHS) for n in range(12)
    ]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("dark", [False, True])
def test_every_kind(kind: str, language: Language, dark: bool) -> None:
    result = KINDS[kind]
    assert choose(result, language).kind == kind
    image = draw(result, language, dark=dark)
    theme = DARK if dark else LIGHT
    assert image.width == 1440 and 150 <= image.height <= 3200
    found = shades(image)
    assert found[rgb(theme.ground)] > image.width * image.height * 0.2
    assert found[rgb(theme.ink)] > 30  # words are there
    for x in (0, image.width - 1):  # and none runs off the page
        assert set(shades(image.crop((x, 0, x + 1, image.height)))) == {rgb(theme.ground)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_every_time(kind: str) -> None:
    result = KINDS[kind]
    chart = choose(result)
    for format in ("png", "svg"):
        first, second = (render_chart(chart, result, language="zh", format=format) for _ in range(2))  # type: ignore[arg-type]
        assert first == second


def test_the_same_bytes_from_many_threads() -> None:
    charts = [(choose(KINDS[kind]), KINDS[kind]) for kind in ("number", "line", "bar", "table", "grouped_bar")] * 2
    alone = [render_chart(chart, result, language="zh") for chart, result in charts]
    settings, interval = dict(matplotlib.rcParams), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda pair: render_chart(*pair, language="zh"), charts))
    finally:
        sys.setswitchinterval(interval)
    assert together == alone and dict(matplotlib.rcParams) == settings


def test_svg_is_xml_without_text_of_fonts_or_dates() -> None:
    result = table((CITY, GMV), [(name, at + 1.0) for at, name in enumerate(HOSTILE)])
    written = render_chart(choose(result), result, language="zh", format="svg").decode()
    root = ElementTree.fromstring(written)
    assert root.tag.endswith("svg") and not list(root.iter("{http://www.w3.org/2000/svg}text"))
    assert "<script>" not in written and "dc:date" not in written


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_names(language: Language) -> None:
    for columns, rows in (
        ((PRODUCT, GMV), [(name, at + 1.0) for at, name in enumerate(HOSTILE)]),
        ((MONTH, PRODUCT, GMV), [(day, name, at + 1.0) for day in MONTHS for at, name in enumerate(HOSTILE)]),
        ((PRODUCT, CITY, RATE), [(name, city, 0.1) for name in HOSTILE for city in CITIES]),
    ):
        image = draw(table(columns, rows), language, title="$T^2$\n" + "长" * 500 + "🍎")  # type: ignore[arg-type]
        assert image.getpixel((image.width - 1, 40)) == rgb(LIGHT.ground)
    unit = Column(name="gmv", role="metric", type="number", label=same("A$$"), unit="$evil\n" * 40)
    draw(table((CITY, unit), [(city, 5) for city in CITIES]), language)


def test_a_dollar_is_a_dollar() -> None:
    """As mathematics, the two titles would look alike: $ would vanish."""
    plain, dollars = (draw(KINDS["table"], title=title).crop((0, 0, 1440, 80)) for title in ("ab", "$ab$"))
    assert plain.tobytes() != dollars.tobytes()
    assert len(colored(dollars, LIGHT.ink)) > len(colored(plain, LIGHT.ink)) * 1.5


def test_chinese_is_drawn_by_the_font_and_emoji_as_one_box() -> None:
    page = Page("zh", LIGHT)
    assert page.drawable("成交额 龘𠮷 ¥1.2万 — “其他”…") == "成交额 龘𠮷 ¥1.2万 — “其他”…"
    assert page.drawable("🍎🍏苹果") == "□苹果"
    assert page.text_width("成交额", 10) == pytest.approx(30, abs=2)
    first, second = (draw(KINDS["table"], title=title).crop((0, 0, 1440, 80)) for title in ("成交额", "订单数"))
    assert first.tobytes() != second.tobytes()


NUMBERS: dict[str, list[float | int | None]] = {
    "not a number": [math.nan, None, 3.0, math.inf],
    "zero": [0, 0, 0, 0],
    "negative": [-1, -2, -3, -4],
    "both signs": [-1e6, 1e6, 0, None],
    "equal": [5, 5, 5, 5],
    "tiny": [1e-12, 3e-12, 2e-13, 0],
    "huge": [1e99, 1e98, 2, 3],
    "too large for a float": [10**400, 2, 3, 4],
    "close": [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3],
    "booleans": [True, False, 2, 3],
}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("metric", [GMV, RATE, COUNT], ids=lambda metric: metric.name)
def test_odd_numbers(metric: Column, numbers: list[float | int | None]) -> None:
    for columns, rows in (
        ((MONTH, metric), list(zip(MONTHS, numbers, strict=False))),
        ((CITY, metric), list(zip(CITIES, numbers, strict=False))),
        ((CITY, PRODUCT, metric), [(c, p, n) for c in CITIES for p, n in zip("abcdefgh", numbers * 2, strict=True)]),
        ((metric,), [(numbers[0],)]),
    ):
        image = draw(table(columns, rows))  # type: ignore[arg-type]
        assert len(shades(image.crop((image.width - 8, 0, image.width, image.height)))) == 1


def test_large_results() -> None:
    days = [date(2010, 1, 1) + timedelta(days=day) for day in range(5000)]
    for columns, rows in (
        ((DAY, GMV), [(day, at % 365) for at, day in enumerate(days)]),
        ((PRODUCT, GMV), [(f"商品{at}", at + 1) for at in range(60)]),
        ((MONTH, PRODUCT, GMV), [(day, f"商品{at}", at + 1) for day in MONTHS for at in range(30)]),
        ((PRODUCT, CITY, RATE), [(f"商品{a}", f"城市{b}", a * b / 3600) for a in range(60) for b in range(60)]),
        ((PRODUCT, GMV, BEFORE, COUNT, RATE), [(f"商品{at}", at, at, at, at) for at in range(60)]),
        ((DAY, PERIOD, RATE, *COHORT_COUNTS), [(day, n, 0.1, 100, 10, 0) for day in days[:60] for n in range(91)]),
        ((PERIOD, RATE, *COHORT_COUNTS), [(n, 0.1, 100, 10, 0) for n in range(1_001)]),
        (
            (STEP, PRODUCT, RATE, *STEP_COUNTS),
            [(f"{place}", f"商品{at}", 0.5, 50, 0.5, 1.0, place, 0) for at in range(60) for place in range(1, 11)],
        ),
    ):
        assert draw(table(columns, rows)).height <= 3500  # type: ignore[arg-type]


def test_bars_are_as_long_as_their_numbers() -> None:
    image = draw(table((CITY, GMV), [("北京", 200.0), ("上海", 100.0)]))
    heights = Counter(x for x, _ in colored(image, LIGHT.series[0]))
    tall, low = heights.most_common(1)[0][1], min(heights.values())
    assert tall / low == pytest.approx(2, rel=0.02)


def test_funnel_bars_are_as_long_as_their_users() -> None:
    lengths = Counter(y for _, y in colored(draw(KINDS["funnel"]), LIGHT.series[0]))
    visit, cart, pay = sorted(set(lengths.values()), reverse=True)[:3]
    assert (cart / visit, pay / visit) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.1, abs=0.01))


def test_the_largest_drop_of_a_funnel_is_marked_once() -> None:
    marked = {y for _, y in colored(draw(KINDS["funnel"]), LIGHT.down)}
    assert marked and max(marked) - min(marked) < 40


def test_users_lost_are_drawn_below_the_others() -> None:
    stages = [("new", 300), ("returning", 500), ("resurrecting", 100), ("dormant", 400)]
    image = draw(table((MONTH, STAGE, COUNT), [(day, stage, n) for day in MONTHS for stage, n in stages]))
    lost, new = ([y for _, y in colored(image, color) if y > 200] for color in (LIGHT.others, LIGHT.series[0]))
    assert min(lost) >= max(new) - 4


def test_a_triangle_is_blank_where_nothing_is_known_yet() -> None:
    image = draw(KINDS["triangle"])
    corner = image.crop((image.width - 300, image.height - 200, image.width - 60, image.height - 60))
    assert set(shades(corner)) == {rgb(LIGHT.ground)}
    assert len(shades(image.crop((image.width - 300, 150, image.width - 60, 200)))) > 3


def test_negative_bars_hang_below_the_line() -> None:
    image = draw(table((CITY, GMV), [("北京", 100.0), ("上海", -100.0)]))
    places = colored(image, LIGHT.series[0])
    left, right = ([y for x, y in places if (x < 750) == side] for side in (True, False))
    assert max(left) <= min(right) + 4


def test_a_missing_value_is_a_gap_in_the_line() -> None:
    rows: list[tuple[Cell, ...]] = [(date(2026, 9, 1) + timedelta(days=at), 0.5 + at % 2 / 100) for at in range(60)]
    whole = draw(table((DAY, RATE), rows))
    broken = draw(table((DAY, RATE), [(day, None if 25 <= at < 35 else rate) for at, (day, rate) in enumerate(rows)]))
    columns = {x for x, _ in colored(whole, LIGHT.series[0])} - {x for x, _ in colored(broken, LIGHT.series[0])}
    assert len(columns) > 150


def test_an_incomplete_period_looks_different() -> None:
    rows: list[tuple[Cell, ...]] = [(day, 1e6) for day in MONTHS]
    whole, cut = draw(table((MONTH, GMV), rows)), draw(table((MONTH, GMV), rows, incomplete=(MONTHS[-1],)))
    middle = [x for x, _ in colored(whole, LIGHT.series[0])]
    last = max(middle) - (max(middle) - min(middle)) // 14
    beyond = [sum(x > last for x, _ in colored(image, LIGHT.series[0])) for image in (whole, cut)]
    assert beyond[1] < beyond[0] * 0.8  # dashed, with a hollow end
    assert any(cut.getpixel((x, 770)) != rgb(LIGHT.ground) for x in range(44, 300))  # and said under the chart


def test_the_period_compared_with_is_lighter() -> None:
    found, color = shades(draw(KINDS["grouped_bar"])), LIGHT.series[0]
    assert found[rgb(color)] > 5000 and found[rgb(LIGHT.tint(color))] > 4000


def test_hours_and_a_single_point() -> None:
    hour = Column(name="hour", role="time", type="time", label=Text("hour", "小时"), grain=Grain.HOUR)
    draw(table((hour, GMV), [(datetime(2026, 10, 1) + timedelta(hours=at), at % 24) for at in range(72)]))
    draw(table((MONTH, GMV), [(MONTHS[0], 5.0)]))
    draw(table((MONTH, GMV), [(None, 3.0), (MONTHS[0], 5.0), (MONTHS[3], 5.0)]))
    alone = draw(table((MONTH, RATE), [(day, 0.5 if at == 6 else None) for at, day in enumerate(MONTHS)]))
    assert len(colored(alone, LIGHT.series[0])) > 20  # a point without neighbours is still seen


def test_matplotlibs_settings_neither_matter_nor_change() -> None:
    plain = render_chart(choose(KINDS["bar"]), KINDS["bar"], language="zh")
    with matplotlib.rc_context({"path.sketch": (5.0, 50.0, 2.0)}):  # as a user's own settings file may have it
        assert render_chart(choose(KINDS["bar"]), KINDS["bar"], language="zh") == plain
        assert matplotlib.rcParams["path.sketch"] == (5.0, 50.0, 2.0)


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """Also: nothing on standard error, and neither pyplot, pandas nor mplfonts is imported."""
    code = """
import sys
from datetime import date
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import choose_chart
assert "matplotlib" not in sys.modules
from wenshu.tools.render import render_chart
metric = Column(name="gmv", role="metric", type="number", label=Text("GMV", "成交额"))
table = ResultTable(columns=(metric,), rows=((5,),))
chart = choose_chart(table, title="成交额", subtitle="", language="zh")
sys.stdout.buffer.write(render_chart(chart, table, language="zh")[:4])
assert not {"matplotlib.pyplot", "pandas", "mplfonts"} & set(sys.modules)
"""
    home = tmp_path / "a file, so no folder can be made in it"
    home.write_text("")
    hidden = ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    env = {key: text for key, text in os.environ.items() if key not in hidden} | {"HOME": str(home)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"\x89PNG", b"")
