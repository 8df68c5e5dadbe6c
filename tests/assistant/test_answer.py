"""The Answer as JSON: what other programs may rely on."""

import json
from datetime import date, datetime
from pathlib import Path

import pytest

from wenshu.assistant.answer import (
    Answer,
    Definition,
    Period,
    Problem,
    Receipt,
    answer_to_json,
    table_to_json,
)
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Query, query_from_json
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import choose_chart

MONTH = Column(name="month", role="time", type="date", label=Text("month", "月份"), grain=Grain.MONTH)
CHANNEL = Column(
    name="channel",
    role="dimension",
    type="string",
    label=Text("channel", "渠道"),
    value_labels=(("douyin", Text("Douyin", "抖音")),),
)
GMV = Column(name="gmv", role="metric", type="number", label=Text("GMV", "成交额"), unit="CNY", metric="gmv")
PREVIOUS = Column(name="gmv_previous", role="comparison", type="number", label=Text("before", "对比"), unit="CNY")
CHANGE = Column(name="gmv_change", role="change", type="number", label=Text("change", "变化"), unit="%")
SHARE = Column(name="gmv_share", role="share", type="number", label=Text("share", "占比"), unit="%", metric="gmv")

TABLE = ResultTable(
    columns=(MONTH, CHANNEL, GMV),
    rows=((date(2026, 9, 1), "douyin", 187716.78), (date(2026, 9, 1), None, 3), (date(2026, 10, 1), "douyin", None)),
)
BLANK = Answer(id="7", status="answered", language="zh")
KEYS = ["id", "status", "language", "text", "query", "analysis", "columns", "rows", "truncated", "sql", "chart", "receipt", "options", "problem", "follow_ups", "report"]  # fmt: skip


def test_rows_hold_raw_values():
    out = table_to_json(TABLE, "zh")
    assert out["rows"] == [["2026-09-01", "douyin", 187716.78], ["2026-09-01", None, 3], ["2026-10-01", "douyin", None]]


def test_columns_hold_name_role_label_and_unit():
    assert table_to_json(TABLE, "en")["columns"] == [
        {"name": "month", "role": "time", "label": "month", "unit": None},
        {"name": "channel", "role": "dimension", "label": "channel", "unit": None},
        {"name": "gmv", "role": "metric", "label": "GMV", "unit": "CNY"},
    ]


@pytest.mark.parametrize(
    ("column", "role"), [(PREVIOUS, "comparison"), (CHANGE, "change"), (SHARE, "metric"), (GMV, "metric")]
)
def test_a_share_is_one_more_metric_column(column, role):
    table = ResultTable(columns=(column,), rows=((0.5,),))
    assert table_to_json(table, "zh")["columns"] == [
        {"name": column.name, "role": role, "label": column.label.zh, "unit": column.unit}
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (True, True),
        (0.2134, 0.2134),
        (datetime(2026, 10, 31, 16), "2026-10-31T16:00:00"),
        ("=1+1", "=1+1"),
        (None, None),
    ],
)
def test_cells(cell, shown):
    assert table_to_json(ResultTable(columns=(GMV,), rows=((cell,),)), "en")["rows"] == [[shown]]


def test_an_answer_that_is_nothing_yet_has_every_key():
    out = answer_to_json(BLANK)
    assert list(out) == KEYS
    assert out == {
        "id": "7", "status": "answered", "language": "zh", "text": "", "query": None, "analysis": None, "columns": [], "rows": [],
        "truncated": False, "sql": None, "chart": None, "receipt": None, "options": [], "problem": None, "follow_ups": [],
        "report": None,
    }  # fmt: skip


def test_a_whole_answer():
    chart = choose_chart(TABLE, title="月份、渠道的成交额", subtitle="", language="zh")
    receipt = Receipt(
        definitions=(Definition(name="gmv", label="成交额", definition="有效订单的金额合计。"),),
        period=Period(start=date(2026, 9, 1), end=date(2026, 10, 31), label="近两个月"),
        compared_period=Period(start=date(2026, 7, 1), end=date(2026, 8, 31), label="2026-07-01 – 2026-08-31"),
        filters=("渠道 = 抖音",),
        sources=("orders", "users"),
        caveats=("只有部分数据。",),
        assumptions=("客单价按用户计算。",),
        elapsed_ms=12.345,
    )
    query = Query(metrics=("gmv",), dimensions=("channel",), grain=Grain.MONTH)
    answer = Answer(
        id="q1", status="answered", language="zh", text="**187,716.78**", query=query, table=TABLE, sql="SELECT 1",
        chart=chart, receipt=receipt, options=("甲",), problem=Problem(code="c", message="m", hint="h"), follow_ups=("环比呢",),
    )  # fmt: skip
    out = answer_to_json(answer, chart_path=Path("a.png"))
    assert list(out) == KEYS
    assert query_from_json(out["query"]) == query
    assert out["chart"]["kind"] == chart.kind and out["chart"]["path"] == "a.png"
    assert out["receipt"] == {
        "definitions": [{"name": "gmv", "label": "成交额", "definition": "有效订单的金额合计。"}],
        "period": {"start": "2026-09-01", "end": "2026-10-31", "label": "近两个月"},
        "compared_period": {"start": "2026-07-01", "end": "2026-08-31", "label": "2026-07-01 – 2026-08-31"},
        "filters": ["渠道 = 抖音"], "sources": ["orders", "users"], "caveats": ["只有部分数据。"],
        "assumptions": ["客单价按用户计算。"], "verified": None, "planner": "rules", "elapsed_ms": 12.3,
        "llm": None, "method": None, "steps": [], "governed": True,
    }  # fmt: skip
    assert out["problem"] == {"code": "c", "message": "m", "hint": "h"}
    assert (out["options"], out["follow_ups"], out["sql"]) == (["甲"], ["环比呢"], "SELECT 1")
    assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_a_chart_that_was_not_written_has_no_path():
    chart = choose_chart(TABLE, title="t", subtitle="", language="zh")
    assert (
        answer_to_json(Answer(id="1", status="answered", language="zh", table=TABLE, chart=chart))["chart"]["path"]
        is None
    )
