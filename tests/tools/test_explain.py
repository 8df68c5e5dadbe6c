"""The explanation of a result: exact sentences for each shape of table, and what must hold for any table."""

import re
import string
from dataclasses import replace
from datetime import date, datetime
from itertools import combinations, permutations
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.periods import Grain, add_months
from wenshu.semantic_layer.rfm_segment import TIERS
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.explain import bucket_label, escape_markdown, explain

CASES = yaml.safe_load((Path(__file__).parent / "explain_cases.yml").read_text())
PERIODS = {
    "zh": ("2026年9月（2026-09-01 – 2026-09-30）", "2026年8月（2026-08-01 – 2026-08-31）"),
    "en": ("September 2026 (2026-09-01 – 2026-09-30)", "August 2026 (2026-08-01 – 2026-08-31)"),
}
CHANNELS = (("douyin", Text("TikTok", "抖音")), ("wechat", Text("WeChat", "微信")), ("baidu", Text("Baidu", "百度")))
METRICS = {  # name: label, unit, additive
    "gmv": (Text("GMV", "成交额"), "CNY", True),
    "orders": (Text("orders", "订单数"), None, True),
    "buyers": (Text("buyers", "购买用户数"), None, False),
    "retention": (Text("day-7 retention", "7日留存率"), "%", False),
    "cycle": (Text("repurchase cycle", "复购周期"), "day", False),
    "churn": (Text("churn rate", "流失率"), "%", False),
    "ltv": (Text("LTV-30", "LTV-30"), "CNY", False),
    "conversion": (Text("conversion from sign-up to payment", "注册到支付转化率"), "%", False),
    "people": (Text("users by lifecycle stage", "各生命周期阶段用户数"), None, False),
}
BESIDE = {  # counts beside a behavioural metric: label, unit
    "cohort": (Text("cohort", "同期群人数"), None),
    "retained": (Text("retained", "留存人数"), None),
    "users_before": (Text("users of the period before", "上期用户数"), None),
    "users_back": (Text("of them back", "其中本期仍在"), None),
    "converted": (Text("users", "人数"), None),
    "step_rate": (Text("from the step before", "较上一步转化率"), "%"),
    "median_hours": (Text("median hours from the step before", "距上一步中位时长"), "hour"),
    "place": (Text("step number", "步骤序号"), None),
    "left_out": (Text("left out, not mature yet", "未成熟（未计入）"), None),
}
STEPS = (
    ("sign_up", Text("sign-up", "注册")), ("view", Text("product view", "浏览商品")), ("cart", Text("add to cart", "加购")),
    ("checkout", Text("checkout", "结算")), ("pay", Text("pay", "支付")),
)  # fmt: skip
KEYS = (
    {
        "channel": Column(
            name="channel",
            role="dimension",
            type="string",
            label=Text("acquisition channel", "渠道"),
            value_labels=CHANNELS,
        ),
        "city": Column(name="city", role="dimension", type="string", label=Text("city", "城市")),
        "rating": Column(name="rating", role="dimension", type="number", label=Text("rating", "评分")),
        "rfm_tier": Column(
            name="rfm_tier",
            role="dimension",
            type="string",
            label=Text("RFM tier", "RFM层级"),
            value_labels=tuple((name, Text(name, zh)) for name, (zh, _) in TIERS.items()),
        ),
        "funnel_step": Column(
            name="funnel_step", role="dimension", type="string", label=Text("step", "步骤"), value_labels=STEPS
        ),
    }
    | {
        key.name: Column(name=key.name, role="dimension", type=key.type, label=key.label, value_labels=key.values)
        for key in BEHAVIOUR_KEYS.values()
        if key.name != "funnel_step"
    }
    | {
        grain.value: Column(
            name=grain.value, role="time", type="date", label=Text(grain.value, grain.value), grain=grain
        )
        for grain in Grain
    }
)


def column(name: str) -> Column:
    """Return a column by the name that the compiler would give it."""
    if name in KEYS:
        return KEYS[name]
    metric, _, role = name.partition("_")
    label, unit, additive = METRICS[metric]
    if role in BESIDE:
        beside, counted = BESIDE[role]
        both = Text(f"{label.en}: {beside.en}", f"{label.zh}：{beside.zh}")
        return Column(name=name, role="count", type="number", label=both, unit=counted, metric=metric)
    if not role:
        return Column(name=name, role="metric", type="number", label=label, unit=unit, additive=additive)
    if role == "previous":
        return Column(name=name, role="comparison", type="number", label=label, unit=unit, metric=metric)
    if role == "change":
        change = "pp" if unit == "%" else "%"
        return Column(name=name, role="change", type="number", label=label, unit=change, metric=metric)
    share = Text(f"share of {label.en}", f"{label.zh}占比")
    return Column(name=name, role="share", type="number", label=share, unit="%", metric=metric)


def explained(table: ResultTable, language: str, **options):
    period, compared = PERIODS[language]
    defaults = {"period": period, "compared_period": compared, "filters": (), "superlative": None, "complete": True}
    return explain(table, language=language, **defaults | options)


def table_of(columns, rows, **options) -> ResultTable:
    return ResultTable(columns=tuple(map(column, columns)), rows=tuple(map(tuple, rows)), **options)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_sentences(case, language):
    table = table_of(
        case["columns"],
        case["rows"],
        incomplete=tuple(case.get("incomplete", ())),
        truncated=case.get("truncated", False),
    )
    options = dict(case.get("options", {}))
    options["filters"] = tuple(options.get("filters", ()))
    explanation = explained(table, language, **options)
    assert [explanation.headline, *explanation.findings] == case[language]


def test_markdown_is_a_paragraph_and_a_list():
    table = table_of(["channel", "gmv"], [["douyin", 3.0], ["wechat", 1.0]])
    assert explained(table, "en").markdown() == (
        "By acquisition channel, TikTok ranks highest in GMV for September 2026 (2026-09-01 – 2026-09-30), with ¥3.00; "
        "the 2 groups total ¥4.00.\n\n"
        "- Lowest: WeChat (¥1.00); the highest is 3.0 times that.\n"
        "- TikTok makes up 75.0% of the total."
    )
    assert "\n" not in explained(table_of(["gmv"], [[3.0]]), "en").markdown()


def test_a_relative_change_of_a_rate_is_never_told():
    wrong = replace(column("retention_change"), unit="%")
    table = ResultTable(columns=(column("retention"), column("retention_previous"), wrong), rows=((0.2, 0.4, -0.5),))
    assert "down 20.0 pp from 40.0%" in explained(table, "en").headline
    assert "50" not in explained(table, "en").markdown()


def test_a_metric_that_is_no_number_is_shown_as_it_is():
    last = Column(name="last", role="metric", type="date", label=Text("last order", "最近下单"))
    assert "2026-09-30" in explained(ResultTable(columns=(last,), rows=((date(2026, 9, 30),),)), "zh").headline
    by_channel = ResultTable(columns=(column("channel"), last), rows=(("douyin", date(2026, 9, 30)),))
    assert explained(by_channel, "zh").headline.endswith("共有 1 个渠道：抖音。")


def test_a_bucket_given_as_a_timestamp_is_known_to_be_incomplete():
    rows = [[datetime(2026, month, 1), month] for month in (8, 9, 10)]
    table = table_of(["month", "orders"], rows, incomplete=(date(2026, 10, 1),))
    assert "latest complete month, September 2026" in explained(table, "en").headline


@pytest.mark.parametrize(
    ("bucket", "grain", "en", "zh"),
    [
        (date(2026, 1, 1), Grain.YEAR, "2026", "2026年"),
        (date(2026, 10, 1), Grain.QUARTER, "Q4 2026", "2026年第4季度"),
        (date(2026, 12, 1), Grain.MONTH, "December 2026", "2026年12月"),
        (date(2026, 9, 7), Grain.WEEK, "the week of 2026-09-07", "2026-09-07 当周"),
        (date(2026, 9, 7), Grain.DAY, "2026-09-07", "2026-09-07"),
        (datetime(2026, 9, 7, 16), Grain.HOUR, "2026-09-07 16:00", "2026-09-07 16:00"),
    ],
)
def test_bucket_labels(bucket, grain, en, zh):
    assert (bucket_label(bucket, grain, "en"), bucket_label(bucket, grain, "zh")) == (en, zh)


# What holds for any table ---------------------------------------------------------------------------------------------

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
NAMES = st.sampled_from(["a", "b", "c", "d", None, "", "x|y", "*z*"])
COUNTS = st.none() | st.integers(-3, 10**7)
AMOUNTS = st.none() | st.floats(-1e6, 1e9, allow_nan=False).map(lambda value: round(value, 2))
FRACTIONS = st.none() | st.floats(0, 1).map(lambda value: round(value, 4))
VALUES = {"gmv": AMOUNTS, "orders": COUNTS, "buyers": COUNTS, "retention": FRACTIONS, "cycle": AMOUNTS}
ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=5), st.integers(), st.floats(), st.dates(), st.just(float("nan"))
)
LANGUAGES = st.sampled_from(["zh", "en"])


@st.composite
def tables(draw) -> ResultTable:
    """Draw a table as the compiler may return it, with a metric, or two, in any of the shapes."""
    months = draw(st.booleans())
    dimensions = draw(st.sampled_from([(), ("channel",), ("channel", "city")]))
    metrics = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True))
    compared = draw(st.booleans())
    keys = draw(st.lists(st.tuples(*(NAMES for _ in dimensions)), min_size=1, max_size=6, unique=True))
    starts = [add_months(date(2026, 1, 1), month) for month in range(draw(st.integers(1, 8)))]
    rows = []
    for start in starts if months else [None]:
        for key in keys:
            row = ([start] if months else []) + list(key)
            for metric in metrics:
                value = draw(VALUES[metric])
                before = draw(VALUES[metric]) if compared else None
                row += [value, before] if compared else [value]
            rows.append(row)
    columns = (["month"] if months else []) + list(dimensions)
    for metric in metrics:
        columns += [metric, f"{metric}_previous"] if compared else [metric]
    incomplete = draw(st.lists(st.sampled_from(starts), unique=True, max_size=2)) if months else []
    return table_of(columns, rows, incomplete=tuple(incomplete), truncated=draw(st.booleans()))


OPTIONS = st.fixed_dictionaries({"superlative": st.sampled_from([None, "most", "least"]), "complete": st.booleans()})


@given(tables(), OPTIONS, LANGUAGES)
def test_every_number_is_in_the_table_or_derives_from_it(table, options, language):
    derived = derivable(table)
    text, numbers = numbers_told(table, language, options)
    for shown in numbers:
        assert any(shown in forms for forms in derived), f"{shown} in {text!r}"


def numbers_told(table, language, options) -> tuple[str, list[str]]:
    """Return an explanation, and the numbers in it that are not of names, labels or dates."""
    text = told = explained(table, language, **options).markdown()
    for label in PERIODS[language]:
        text = text.replace(label, "").replace(re.split(r" ?[（(]", label)[0], "")
    text = re.sub(r"\d{4}年\d+月|(January|February|March|April|May|June|July|August) \d{4}", "", text)
    text = re.sub(r"day-7|7日|LTV-30|top 3|前 3 名|低于 1 表示|below 1, fewer", "", text, flags=re.IGNORECASE)
    return told, NUMBER.findall(text)


def derivable(table: ResultTable) -> list[set[str]]:
    """Return each number that may be said of a table, in the ways it may be written: an oracle by exhaustion."""
    numbers: set[float] = set()
    sums: set[float] = set()
    for metric in table.with_role("metric"):
        values = [value for value in table.values(metric.name) if value is not None]
        before = table.values(f"{metric.name}_previous") if len(table.with_role("comparison")) else ()
        pairs = [*permutations(values, 2), *zip(table.values(metric.name), before, strict=False)]
        pairs += [(value, value) for value in values]
        numbers |= {*values, *(value for value in before if value is not None)}
        for one, other in pairs:
            if one is None or other is None:
                continue
            numbers.add(abs(one - other))
            if other > 0:
                numbers |= {one / other, one / other * 100, abs(one / other - 1) * 100}
        if metric.additive:
            for key in ((), *((position,) for position in range(3)), (0, 1), (1, 2)):
                members: dict[tuple, list] = {}
                for row in table.rows:
                    members.setdefault(tuple(row[i] for i in key if i < len(row)), []).append(row)
                totals = [sum(row[table.index(metric.name)] or 0 for row in group) for group in members.values()]
                sums |= set(totals)
                whole = sum(totals)
                parts = [*totals, *values]
                if whole > 0:
                    sums |= {part / whole * 100 for part in parts}
                    top = sorted(totals, reverse=True)[:3]
                    sums.add(sum(top) / whole * 100)
                    sums.add(sum(sorted(values, reverse=True)[:3]) / whole * 100)
                for one, other in combinations(totals, 2):
                    sums.add(abs(one - other))
                    sums |= {a / b for a, b in ((one, other), (other, one)) if b > 0}
    numbers |= {value * 100 for value in numbers} | sums | set(range(len(table.rows) + 1))
    return [{f"{abs(value):,.{digits}f}" for digits in (0, 1, 2)} for value in numbers]


@st.composite
def behaviour_tables(draw) -> ResultTable:
    """Draw a table of a behavioural metric as the compiler may return it, with counts that fit together."""
    shape = draw(st.sampled_from(["rate", "churn", "curve", "triangle", "ltv", "funnel", "stages"]))
    months = draw(st.booleans()) if shape != "triangle" else True
    grouped = draw(st.booleans()) if shape != "triangle" else False
    starts = [add_months(date(2026, 1, 1), month) for month in range(draw(st.integers(1, 5)))] if months else [None]
    names = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=3, unique=True))
    people = st.integers(0, 5_000)
    rows: list[list] = []
    for start in starts:
        for name in names if grouped else [None]:
            key = ([start] if months else []) + ([name] if grouped else [])
            size = draw(people)
            if shape in ("rate", "churn"):
                part, left_out = draw(st.integers(0, size)), draw(people)
                value = (part if shape == "rate" else size - part) / size if size else None
                rows.append([*key, value, size, part] + [left_out] * (shape == "rate"))
            elif shape in ("curve", "triangle", "ltv"):
                amount, whole = 0.0, size
                for period in range(draw(st.integers(1, 9)) if not (months or grouped) else 5):
                    whole -= draw(st.integers(0, whole)) if draw(st.booleans()) else 0
                    if shape == "ltv":
                        amount += draw(st.floats(0, 100))
                        rows.append([*key, period, amount if whole else None, whole, size - whole])
                        continue
                    part = whole if period == 0 else draw(st.integers(0, whole))
                    rows.append([*key, period, part / whole if whole else None, whole, part, size - whole])
            elif shape == "funnel":
                first, users, left_out = size, size, draw(people)
                for place, (step, _) in enumerate(STEPS[:4], start=1):
                    before, users = users, users if place == 1 else draw(st.integers(0, users))
                    hours = draw(st.none() | st.floats(0, 100)) if place > 1 else None
                    rate = users / before if before else None
                    rows.append([*key, step, users / first if first else None, users, rate, hours, place, left_out])
            else:
                rows += [[*key, stage, draw(people)] for stage in ("dormant", "new", "returning", "resurrecting")]
    keys = (["month"] if months else []) + (["channel"] if grouped else [])
    columns = {
        "rate": ["retention", "retention_cohort", "retention_retained", "retention_left_out"],
        "churn": ["churn", "churn_users_before", "churn_users_back"],
        "ltv": ["period_number", "ltv", "ltv_cohort", "ltv_left_out"],
        "funnel": [
            "funnel_step", "conversion", "conversion_converted", "conversion_step_rate", "conversion_median_hours",
            "conversion_place", "conversion_left_out",
        ],
        "stages": ["lifecycle_stage", "people"],
    }  # fmt: skip
    curve = ["period_number", "retention", "retention_cohort", "retention_retained", "retention_left_out"]
    incomplete = draw(st.lists(st.sampled_from(starts), unique=True, max_size=2)) if months else []
    return table_of([*keys, *columns.get(shape, curve)], rows, incomplete=tuple(incomplete))


@given(behaviour_tables(), LANGUAGES)
def test_every_number_about_behaviour_is_in_the_table_or_derives_by_a_named_rule(table, language):
    derived = derivable(table) + [forms for value in derivable_counts(table) for forms in [written(value)]]
    text, numbers = numbers_told(table, language, {})
    for shown in numbers:
        assert any(shown in forms for forms in derived), f"{shown} in {text!r}"


def written(value: float) -> set[str]:
    return {f"{abs(value):,.{digits}f}" for digits in (0, 1, 2)}


def derivable_counts(table: ResultTable) -> set[float]:
    """Return what the counts of a table and its rules give: those who left, pooled rates, active users, the quick ratio."""
    names = [column.name for column in table.columns]
    records = [dict(zip(names, row, strict=True)) for row in table.rows]
    counts = {column.name for column in table.with_role("count")}
    found = {float(record[name]) for record in records for name in counts if record[name] is not None}
    found |= {value * factor for value in found for factor in (60, 100, 3600)}  # minutes, percent, seconds
    key = [name for name in ("month", "channel") if name in names]
    for record in records:
        if "churn" in record:
            found.add(record["churn_users_before"] - record["churn_users_back"])
        if "ltv_cohort" in record or "retention_cohort" in record:
            found |= {sum(value for name, value in record.items() if name.endswith(("_cohort", "_left_out")))}
        if "period_number" in record:
            found.add(record["period_number"])
    for name in counts:
        if name.endswith("_left_out"):
            for period in {record.get("period_number") for record in records}:
                same = [record for record in records if record.get("period_number") == period]
                last = max((record.get("conversion_place", 0) for record in same), default=0)
                found.add(sum(record[name] for record in same if record.get("conversion_place", 0) == last))
    if "retention_retained" in names and "period_number" in names and "month" in names:
        for period in {record["period_number"] for record in records}:
            whole = [
                record for record in records
                if record["period_number"] == period and not record["retention_left_out"]
                and record["retention_cohort"] and record["month"] not in table.incomplete
            ]  # fmt: skip
            parts, sizes = (sum(record[f"retention_{of}"] for record in whole) for of in ("retained", "cohort"))
            found |= {parts, sizes, parts / sizes * 100} if sizes else set()
    if "conversion_converted" in names:
        groups = [[r for r in records if all(r[k] == one[k] for k in key)] for one in records]
        for group in groups:
            users = [record["conversion_converted"] for record in group]
            found |= {before - after for before, after in zip(users, users[1:], strict=False)}
    if "people" in names:
        every = [tuple(record[name] for name in key) for record in records]
        stages = {
            one: {r["lifecycle_stage"]: r["people"] for r in records if tuple(r[name] for name in key) == one}
            for one in every
        }
        active = [sum(of[stage] for stage in ("new", "returning", "resurrecting")) for of in stages.values()]
        quick = [(of["new"] + of["resurrecting"]) / of["dormant"] for of in stages.values() if of["dormant"]]
        for values in (active, quick):
            found |= {*values, *(a - b for a, b in permutations(values, 2))}
            found |= {ratio for a, b in permutations(values, 2) if b > 0 for ratio in (a / b, (a / b - 1) * 100)}
    return found | set(range(len(records) + 1))


@given(tables(), OPTIONS, LANGUAGES)
def test_an_incomplete_bucket_is_named_in_its_notice_only(table, options, language):
    assume(table.incomplete)
    explanation = explained(table, language, **options)
    if explanation.headline.endswith(("nothing is compared.", "不作比较。")):
        assert not [finding for finding in explanation.findings if finding[0] in "HLFT最从单"]
        return
    notices = [sentence for sentence in explanation.findings if sentence.startswith(("Incomplete", "不完整"))]
    said = [explanation.headline, *(finding for finding in explanation.findings if finding not in notices)]
    period, compared = PERIODS[language]
    told = "\n".join(said).replace(period, "").replace(compared, "").replace(re.split(r" ?[（(]", compared)[0], "")
    months = "January February March April May June July August".split()
    for start in table.incomplete:
        bucket = f"{start.year}年{start.month}月" if language == "zh" else f"{months[start.month - 1]} {start.year}"
        assert bucket not in told
    assert len(notices) == 1


@given(st.data(), OPTIONS, LANGUAGES)
def test_odd_cells_are_never_shown_raw(data, options, language):
    width = data.draw(st.integers(1, 4))
    columns = data.draw(
        st.lists(
            st.sampled_from(
                ["month", "channel", "city", "gmv", "gmv_previous", "gmv_change", "gmv_share", "retention"]
            ),
            min_size=width,
            max_size=width,
            unique=True,
        )
    )
    rows = data.draw(st.lists(st.tuples(*(ODD for _ in columns)), max_size=5))
    explanation = explained(table_of(columns, rows), language, **options)
    assert explanation.headline
    assert len(explanation.findings) <= 4
    typed = "".join(cell for row in rows for cell in row if isinstance(cell, str))
    assume(not re.search("nan|inf|none", typed, re.IGNORECASE))
    assert not re.search(r"\b(nan|inf|None)\b", explanation.markdown())


@given(st.text("ab12中😀 \n" + string.punctuation), st.sampled_from(["", "- ", "text "]))
@example("1. one", "")
@example("&amp; <b>_a_</b> [x](http://y) ![](z) `c` __d__ ~~e~~ - # |", "")
def test_an_escaped_name_reads_as_it_is(name, before):
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(before + escape_markdown(name, 1000))
    shown = [child for token in tokens if token.type == "inline" for child in token.children]
    assert {token.type for token in shown} <= {"text"}
    assert not {token.type for token in tokens} - {"inline", "paragraph_open", "paragraph_close"} or before == "- "
    expected = " ".join(("text " * (before == "text ") + name).split())
    assert "".join(token.content for token in shown) == expected


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("sign_up", "sign_up"),
        ("_x_", r"\_x\_"),
        ("a\n\n- b", "a - b"),
        ("- a", r"\- a"),
        ("H&M &lt;", r"H&M \&lt;"),
        ("www.evil.com http://e.com a@b.c", r"www\.evil.com http\://e.com a\@b.c"),
        ("a|b", r"a\|b"),
        ("safe\u202egpj", "safegpj"),
        ("x" * 90, "x" * 79 + "…"),
    ],
)
def test_escape_markdown(name, escaped):
    assert escape_markdown(name) == escaped
