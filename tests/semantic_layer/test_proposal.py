"""Files of every kind become a database and a model of their own, or a clear error that leaves nothing behind."""

import csv
import io
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from openpyxl import Workbook

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer import file_errors
from wenshu.semantic_layer.column_words import entries, plain
from wenshu.semantic_layer.errors import FileError
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.proposal import Proposal, propose
from wenshu.ui.uploads import propose_tried
from wenshu.ui.workspace import misfits, open_layer

ORDERS = [  # order, customer, day, city, amount, stars, refunded
    ("000101", "C01", "2026年7月1日", "武汉", "￥1,234.50", 5, "是"),
    ("000102", "C02", "2026年7月1日", "西安", "￥200.00", 4, "否"),
    ("000103", "C01", "2026年7月8日", "武汉", "￥65.50", 3, "否"),
    ("000104", "C03", "2026年8月2日", "西安", "￥99.90", 5, "否"),
    ("000105", "C02", "2026年8月9日", "武汉", "￥0.10", 2, "是"),
]
HEADERS = ["订单号", "客户ID", "下单日期", "城市", "订单金额", "评分", "是否退款", "手机号", "备注"]
PHONES = ("13800138001", "13900139002", "13700137003")


def order_rows() -> list[list[str]]:
    return [[*map(str, row), PHONES[int(row[1][1:]) - 1], "好, “很好”"] for row in ORDERS]


def delimited(rows: Sequence[Sequence[Any]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def cells(proposal: Proposal, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(proposal.database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def types(proposal: Proposal, table: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in cells(proposal, f"DESCRIBE {table}")}


def said(proposal: Proposal) -> str:
    return "\n".join(text.en for text in proposal.findings)


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Proposal]:
    """Return the function that writes a file and makes a proposal of it."""

    def of(content: str | bytes, name: str = "data.csv", **options: Any) -> Proposal:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return propose([path], tmp_path / "out", replace=True, **options)

    return of


def asked(proposal: Proposal, *questions: str) -> list[Answer]:
    layer = open_layer(str(proposal.model_path), proposal.database)
    try:
        assistant = Assistant(layer, RulesPlanner(layer))
        return [assistant.ask(Question(text=question)) for question in questions]
    finally:
        layer.engine.close()


def rows_of(answer: Answer) -> list[tuple[Any, ...]]:
    assert answer.status == "answered", (answer.text, answer.problem)
    assert answer.table is not None
    return [
        tuple(round(float(cell), 6) if isinstance(cell, int | float | Decimal) else cell for cell in row)
        for row in answer.table.rows
    ]


# What is asked of an uploaded file is what its rows say


def test_orders_answer_in_both_languages(made):
    proposal = made(delimited([HEADERS, *order_rows()]).encode("gb18030"), "订单明细.csv")
    questions = {
        "各城市的订单金额合计": [("武汉", 1300.1), ("西安", 299.9)],
        "total 订单金额 by city": [("武汉", 1300.1), ("西安", 299.9)],
        "各城市的退款率": [("武汉", 0.666667), ("西安", 0.0)],
        "refunded rate": [(0.4,)],
        "平均评分": [(3.8,)],
        "average rating": [(3.8,)],
        "一共多少客户": [(3.0,)],
        "how many customers": [(3.0,)],
        "多少行": [(5.0,)],
        "每月订单金额": [(date(2026, 7, 1), 1500.0), (date(2026, 8, 1), 100.0)],
        "西安的订单金额": [(299.9,)],
        "复购率": [(0.666667, 3.0, 2.0)],
        "repurchase rate": [(0.666667, 3.0, 2.0)],
    }
    for (question, expected), answer in zip(questions.items(), asked(proposal, *questions), strict=True):
        got = rows_of(answer)
        if len(expected[0]) == 3:  # a rate with its counts
            assert got[0][0] == expected[0][0] and {3.0, 2.0} <= set(got[0]), question
        else:
            assert got == expected, question
    [retention] = asked(proposal, "7日留存率")
    assert rows_of(retention)[0][0] == pytest.approx(1 / 3)  # of three, only C01 came back on the seventh day


def test_what_is_personal_is_hidden(made):
    proposal = made(delimited([HEADERS, *order_rows()]), "orders.csv")
    phone = next(d for d in proposal.model.dimensions if d.name == "phone")
    assert phone.pii and not phone.indexed
    [answer] = asked(proposal, "各手机号的订单金额")
    assert answer.status == "refused"
    assert not any(number in answer.text for number in PHONES)


def test_an_experiment_without_dates(made):
    rows = [[i, "gate_30" if i % 2 else "gate_40", i * 3, i % 2 == 0, i % 5 == 0] for i in range(1, 201)]
    proposal = made(
        delimited([["userid", "version", "sum_gamerounds", "retention_1", "retention_7"], *rows]), "cats.csv"
    )
    questions = [
        "retention_7 rate by version",
        "各版本的retention_7率",
        "7日留存率",
        "how many users",
        "total sum_gamerounds for gate_30",
    ]
    by_version, auf_chinesisch, seventh, users, total = map(rows_of, asked(proposal, *questions))
    assert by_version == auf_chinesisch == [("gate_30", 0.2), ("gate_40", 0.2)]
    [told] = asked(proposal, "how many users")
    assert "all data" in told.text and told.receipt is not None and told.receipt.period is None  # nothing has a date
    assert seventh == [(0.2,)] and users == [(200.0,)]
    assert total == [(float(sum(i * 3 for i in range(1, 201, 2))),)]


def test_examples_are_answered(tmp_path):
    (tmp_path / "订单.csv").write_text(delimited([HEADERS, *order_rows()]), "utf-8")
    proposal = propose_tried([tmp_path / "订单.csv"], tmp_path / "out")
    assert len(proposal.examples) >= 3 and load_model(str(proposal.model_path)).examples == proposal.examples
    for answer in asked(proposal, *(text for example in proposal.examples for text in (example.zh, example.en))):
        assert answer.status == "answered", answer.text


def test_the_model_fits_its_database_and_can_be_edited(made):
    proposal = made(delimited([HEADERS, *order_rows()]), "orders.csv")
    assert misfits(open_layer(str(proposal.model_path), proposal.database)) == {}
    proposal.model_path.write_text(proposal.yaml.replace("zh: 退款率", "zh: 退单率"), "utf-8")
    assert any(metric.label.zh == "退单率" for metric in load_model(str(proposal.model_path)).metrics)


def test_several_files_are_joined_by_their_keys(tmp_path):
    (tmp_path / "users.csv").write_text(
        "user_id,city,registered_at\n1,Wuhan,2026-07-01\n2,Xi'an,2026-07-02\n3,Wuhan,2026-07-03\n"
    )
    (tmp_path / "orders.csv").write_text(
        "order_id,user_id,paid_at,amount\n9,1,2026-07-02,10\n8,1,2026-07-08,20\n7,2,2026-07-09,5\n"
    )
    proposal = propose([tmp_path / "orders.csv", tmp_path / "users.csv"], tmp_path / "out")
    assert [(r.many, r.one, r.many_columns) for r in proposal.model.relationships] == [
        ("orders", "users", ("user_id",))
    ]
    by_city, new, retention = map(rows_of, asked(proposal, "total amount by city", "new users", "7-day retention"))
    assert by_city == [("Wuhan", 30.0), ("Xi'an", 5.0)] and new[0][0] == 3.0
    assert retention[0][0] == 1.0  # 1 after 1 July, 2 after 2 July; 3 is not mature on 9 July


# Encodings, delimiters and lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_encodings_and_delimiters(made, encoding, delimiter):
    rows = [["城市", "说明", "数量"], *(["武汉", f"甲{delimiter}“乙”\n丙{i}", i] for i in range(1, 30))]
    proposal = made(delimited(rows, delimiter).replace("“", '""').replace("”", '""').encode(encoding), "表.txt")
    assert cells(proposal, "SELECT count(*), sum(quantity), min(city) FROM data") == [(29, 435, "武汉")]
    assert cells(proposal, "SELECT description FROM data WHERE quantity = 2") == [(f'甲{delimiter}"乙"\n丙2',)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(made, end):
    assert cells(made(end.join(["a,b", "1,x", "2,y", ""])), "FROM data") == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    "name", ["a[1].csv", "a*.csv", "a b'c\".csv", "2026 Q1 (final).csv", "select.csv", "🙂.csv", "-.csv"]
)
def test_names_of_files_are_only_names(made, name):
    proposal = made("city,n\nWuhan,1\nXi'an,2\n", name)
    assert asked(proposal, "total n by city")[0].status == "answered"


def test_uneven_rows_are_said(made):
    proposal = made("a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n")
    assert cells(proposal, "SELECT * FROM data") == [(1, 2, 3), (4, 5, None), (6, 7, 8), (10, 11, 12)]
    assert "uneven" in said(proposal) and "1 rows were cut" in said(proposal)


def test_titles_and_empty_lines_above_the_table(made):
    proposal = made("2026年销售报表,,\n,,\n城市,数量,单价\n武汉,1,2.5\n西安,2,3.5\n")
    assert cells(proposal, "FROM data") == [("武汉", 1, Decimal("2.5")), ("西安", 2, Decimal("3.5"))]
    assert "2026年销售报表" in said(proposal)


# Headers


def test_odd_headers_get_safe_names_and_stay_labels(made):
    odd = [
        "select",
        "Order",
        "order",
        "销量 🎉",
        "",
        "a" * 300,
        'x"; DROP TABLE data; --',
        "日期",
        "year",
        "城市",
        "城市",
    ]
    rows = [
        [1, 2, 3, 4, 5, 6, 7, "2026-01-02", 2026, "甲", "乙"],
        [2, 3, 4, 5, 6, 7, 9, "2026-01-03", 2026, "丙", "丁"],
    ]
    proposal = made(delimited([odd, *rows]))
    names = list(types(proposal, "data"))
    assert len(names) == len(set(names)) == len(odd) and all(name.isidentifier() and name.isascii() for name in names)
    labels = [dimension.label.zh for dimension in proposal.model.dimensions]
    assert [label for label in labels[:5]] == ["select", "Order", "order", "销量 🎉", "第5列"] and len(labels[5]) <= 60
    assert "several columns are called 城市" in said(proposal)
    assert misfits(open_layer(str(proposal.model_path), proposal.database)) == {}
    assert rows_of(asked(proposal, "销量 🎉合计")[0])[0][-1] == 9.0


def test_no_headers(made):
    proposal = made("武汉,12,2026-01-02\n西安,13,2026-01-03\n武汉,15,2026-01-04\n")
    assert cells(proposal, "SELECT column_1, column_2 FROM data ORDER BY 2") == [
        ("武汉", 12),
        ("西安", 13),
        ("武汉", 15),
    ]
    assert "no headers" in said(proposal)


def test_one_row(made):
    proposal = made("city,amount\nWuhan,12.5\n")
    assert rows_of(asked(proposal, "total amount")[0]) == [(12.5,)]


# What columns are


@pytest.mark.parametrize(
    ("header", "values", "kind", "first"),
    [
        ("n", ["1", "2", "N/A", ""], "BIGINT", 1),
        ("n", ["1.5", "2", "-3.25"], "DECIMAL(18,2)", Decimal("1.50")),
        ("n", ["1e3", "2.5E-2"], "DOUBLE", 1000.0),
        ("n", ["1,234", "12,345,678"], "BIGINT", 1234),
        ("金额", ["¥1,234.50", "￥2", "(3.00)"], "DECIMAL(18,2)", Decimal("1234.50")),
        ("price", ["$1,234.50", "$2.00"], "DECIMAL(18,2)", Decimal("1234.50")),
        ("金额", ["12.5元", "3元"], "DECIMAL(18,1)", Decimal("12.5")),
        ("金额", ["1.2万", "3亿", "500"], "DOUBLE", 12000.0),
        ("rate", ["12.5%", "100%"], "DOUBLE", 0.125),
        ("x", ["1.234,50", "12,5"], "DECIMAL(18,2)", Decimal("1234.50")),
        ("zip", ["02134", "10001"], "VARCHAR", "02134"),
        ("x", ["007", "12"], "VARCHAR", "007"),
        ("phone", ["13800138000", "13900139000"], "VARCHAR", "13800138000"),
        ("x", ["123456789012345678901234567890", "2"], "VARCHAR", "123456789012345678901234567890"),
        ("x", ["1", "abc", "2026-01-01"], "VARCHAR", "1"),
        ("x", ["true", "FALSE", ""], "BOOLEAN", True),
        ("x", ["是", "否"], "BOOLEAN", True),
        ("x", ["Y", "N"], "BOOLEAN", True),
        ("flag", ["1", "0"], "BOOLEAN", True),
        ("quantity", ["1", "0"], "BIGINT", 1),
        ("x", ["2026年9月1日", "2026年10月12日"], "DATE", date(2026, 9, 1)),
        ("x", ["2026/9/1 8:05", "2026/9/1"], "TIMESTAMP", datetime(2026, 9, 1, 8, 5)),
        ("x", ["2026年9月1日 下午3:05", "2026年9月1日 8时5分"], "TIMESTAMP", datetime(2026, 9, 1, 15, 5)),
        ("x", ["2026-09-01T08:05:30.5", "2026-09-01"], "TIMESTAMP", datetime(2026, 9, 1, 8, 5, 30, 500000)),
        ("x", ["2026年9月", "2026-10"], "DATE", date(2026, 9, 1)),
        ("x", ["9/1/2026", "9/13/2026"], "DATE", date(2026, 9, 1)),
        ("x", ["13/9/2026", "1/9/2026"], "DATE", date(2026, 9, 13)),
        ("x", ["1 Sep 2026", "Sep 2, 2026"], "DATE", date(2026, 9, 1)),
        ("日期", ["20260901", "20261001"], "DATE", date(2026, 9, 1)),
        ("date", ["46000", "46001"], "DATE", date(2025, 12, 9)),
        ("created_at", ["1767225600", "1767225605"], "TIMESTAMP", datetime(2026, 1, 1)),
        ("时间", ["1767225600123", "1767225605000"], "TIMESTAMP", datetime(2026, 1, 1, 8, 0, 0, 123000)),
        ("ts", ["2026-09-01T00:00:00Z", "2026-09-01 08:00:00+08:00"], "DATE", date(2026, 9, 1)),
        ("x", ["20260901", "20261001"], "BIGINT", 20260901),
        ("x", ["#", ""], "VARCHAR", "#"),
    ],
)
def test_types(made, header, values, kind, first):
    proposal = made(delimited([["k", header], *(["a", value] for value in values)]))
    name, got = list(types(proposal, "data").items())[1]
    assert got == kind
    assert cells(proposal, f"SELECT {name} FROM data WHERE rowid = 0") == [(first,)]


def test_a_few_misfits_are_said_and_many_keep_a_column_text(made):
    few = made(delimited([["n", "k"], *([i, "a"] for i in range(99)), ["abc", "a"]]))
    assert cells(few, "SELECT count(n), sum(n) FROM data") == [(99, 4851)]
    assert "1 of 100 values of “n” (such as “abc”)" in said(few)
    many = made(delimited([["n", "k"], *([i, "a"] for i in range(80)), *(["abc", "a"] for _ in range(20))]))
    assert types(many, "data")["n"] == "VARCHAR"


def test_ambiguous_days_are_said(made):
    assert "month/day/year" in said(made("d,n\n1/9/2026,1\n2/9/2026,2\n"))


def test_an_empty_column_is_left_out_of_the_model(made):
    proposal = made("a,nothing,b\nx,,1\ny,,2\n")
    assert "nothing" in types(proposal, "data") and "no values in nothing" in said(proposal)
    assert not [d for d in proposal.model.dimensions if d.name == "nothing"]


@pytest.mark.parametrize(
    ("header", "values", "personal"),
    [
        ("contact", ["13800138000", "+86 139 0013 9000"], True),
        ("x", ["13800138000", "13900139000"], True),
        ("x", ["a@b.cn", "c.d@e.com"], True),
        ("x", ["11010519900307123X", "310101198512251234"], True),
        ("姓名", ["甲", "乙"], True),
        ("名字", ["王小明", "李雷"], True),
        ("name", ["Ada Lovelace", "Alan Turing"], True),
        ("x", ["王小明", "李雷", "韩梅梅", "赵敏"], True),
        ("name", ["milk tea", "Apple pie"], False),
        ("城市", ["北京", "上海"], False),
        ("order_id", ["13800138000", "13900139000"], False),
        ("amount", ["13800138000", "13900139000"], False),
    ],
)
def test_personal_columns(made, header, values, personal):
    proposal = made(delimited([["k", header], *(["a", value] for value in values)]))
    assert [d.pii for d in proposal.model.dimensions][1] is personal


# Excel and Parquet


def workbook(tmp_path: Path, fill: Callable[[Workbook], None]) -> bytes:
    book = Workbook()
    fill(book)
    book.save(tmp_path / "book.xlsx")
    return (tmp_path / "book.xlsx").read_bytes()


def test_a_workbook(made, tmp_path):
    def fill(book: Workbook) -> None:
        book.active.title = "空白"
        sheet = book.create_sheet("七月")
        sheet.append(["2026年七月销售"])
        sheet.merge_cells("A1:E1")
        sheet.append(["大区", "城市", "日期", "金额", "占比"])
        for region, city, day, amount in (("华中", "武汉", 1, 10.5), (None, "长沙", 2, 20), ("西北", "西安", 3, 30)):
            sheet.append([region, city, datetime(2026, 7, day), amount, 0.25])
            sheet.cell(sheet.max_row, 5).number_format = "0.0%"
        sheet.merge_cells("A3:A4")
        book.create_sheet("说明").append(["…"])

    proposal = made(workbook(tmp_path, fill), "销售.xlsx")
    [table] = [dataset.name for dataset in proposal.model.datasets]
    assert cells(proposal, f"SELECT region, city, date_column, amount FROM {table}" if "date_column" in types(proposal, table) else f"SELECT region, city, date, amount FROM {table}") == [
        ("华中", "武汉", date(2026, 7, 1), Decimal("10.5")), ("华中", "长沙", date(2026, 7, 2), Decimal("20.0")), ("西北", "西安", date(2026, 7, 3), Decimal("30.0"))
    ]  # fmt: skip
    for word in ("七月", "说明", "merged"):
        assert word in said(proposal)
    by_region, share = asked(proposal, "各大区的金额", "平均占比")
    assert rows_of(by_region) == [("华中", 30.5), ("西北", 30.0)]
    assert rows_of(share) == [(0.25,)] and share.table is not None and share.table.columns[0].unit == "%"


def test_two_rows_of_headers_and_formulas_without_values(made, tmp_path):
    def fill(book: Workbook) -> None:
        sheet = book.active
        for row in (
            ["城市", "一季度", None, "二季度"],
            [None, "销量", "单价", "销量"],
            ["武汉", 1, 2.5, 3],
            ["西安", 4, 3.5, 6],
        ):
            sheet.append(row)
        for area in ("A1:A2", "B1:C1"):
            sheet.merge_cells(area)
        sheet["E2"] = "合计"
        sheet["E3"], sheet["E4"] = "=B3+D3", "=B4+D4"

    proposal = made(workbook(tmp_path, fill), "季度.xlsx")
    assert [d.label.zh for d in proposal.model.dimensions][:4] == ["城市", "一季度 销量", "一季度 单价", "二季度 销量"]
    assert "2 formulas hold no computed value" in said(proposal)


def test_a_parquet_file_keeps_its_types(tmp_path):
    path = tmp_path / "visits.parquet"
    duckdb.sql("""SELECT i AS visit_id, 'u' || i % 7 AS user_id, TIMESTAMP '2026-07-01 10:00:00' + to_days(i % 5) AS visited_at,
        i % 2 = 0 AS converted, (i * 1.25)::DECIMAL(9, 2) AS amount, [i, i] AS many FROM range(40) AS r (i)""").write_parquet(
        str(path)
    )
    proposal = propose([path], tmp_path / "out")
    assert types(proposal, "visits") == {
        "visit_id": "BIGINT", "user_id": "VARCHAR", "visited_at": "TIMESTAMP", "converted": "BOOLEAN", "amount": "DECIMAL(18,2)", "many": "VARCHAR",
    }  # fmt: skip
    users, rate, total = map(rows_of, asked(proposal, "active users", "converted rate", "total amount"))
    assert (users[0][0], rate[0][0], total[0][0]) == (7.0, 0.5, 975.0)


# Bad files


def zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


BAD = {
    "empty.csv": (b"", "file_empty"),
    "blank.csv": (b"\xef\xbb\xbf\r\n ,\r\n", "file_empty"),
    "headers.csv": (b"city,amount\n", "file_no_rows"),
    "page.csv": (b"<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>", "file_unknown"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(100), "file_unknown"),
    "paper.xlsx": (b"%PDF-1.7 ...", "file_unknown"),
    "binary.csv": (bytes(range(256)) * 20, "file_unknown"),
    "latin.csv": ("city,n\nMálaga,1\nCórdob\xff".encode("latin-1"), "file_encoding"),
    "cut.xlsx": (b"PK\x03\x04" + bytes(200), "file_broken"),
    "hollow.xlsx": (zipped({"xl/workbook.xml": b"<workbook"}), "file_broken"),
    "archive.xlsx": (zipped({"a.txt": b"a"}), "file_unknown"),
    "bomb.xlsx": (zipped({"xl/workbook.xml": b" ", "xl/worksheets/sheet1.xml": bytes(60_000_000)}), "file_too_large"),
    "entities.xlsx": (zipped({"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><workbook/>'}), "file_broken"),
    "secret.xlsx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500), "file_encrypted"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "file_unknown"),
    "cut.parquet": (b"PAR1" + bytes(100), "file_broken"),
    "wide.csv": ((",".join(f"c{i}" for i in range(400)) + "\n" + ",".join("1" * 400)).encode(), "file_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_explained_and_leaves_nothing(tmp_path, name):
    content, code = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as raised:
        propose([tmp_path / name], tmp_path / "out")
    error = raised.value
    assert error.code == code and name in error.message.en and name in error.message.zh
    assert error.hint.en and any("\u4e00" <= letter <= "\u9fff" for letter in error.hint.zh)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_file_and_a_taken_place(made, tmp_path):
    made("a,b\n1,2\n")
    before = (tmp_path / "out" / "model.yml").read_bytes()
    with pytest.raises(FileError, match="no file"):
        propose([tmp_path / "other.csv"], tmp_path / "other")
    with pytest.raises(FileError, match="holds a model already"):
        propose([tmp_path / "data.csv"], tmp_path / "out")
    (tmp_path / "bad.csv").write_bytes(b"")
    with pytest.raises(FileError):
        propose([tmp_path / "bad.csv"], tmp_path / "out", replace=True)
    assert (tmp_path / "out" / "model.yml").read_bytes() == before and not (tmp_path / "other").exists()


def test_more_rows_than_fit_are_refused(made, monkeypatch):
    monkeypatch.setattr(file_errors, "MOST_ROWS", 10)
    with pytest.raises(FileError, match="at most 10 rows"):
        made(delimited([["a", "b"], *([i, i] for i in range(11))]))


# The dictionary, and the command


def test_a_word_of_the_dictionary_stands_once():
    words = Counter(
        plain(word)
        for entry in entries()
        if entry.role != "dataset"
        for word in {*map(plain, entry.en), *map(plain, entry.zh)}
    )
    assert [word for word, count in words.items() if count > 1] == []


def test_progress_is_told(made):
    told: list[tuple[str, float]] = []
    made("a,b\n1,2\n", progress=lambda name, share: told.append((name, share)))
    assert told[0] == ("data.csv", 0.0) and told[-1] == ("data.csv", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_the_command(tmp_path, monkeypatch):
    (tmp_path / "订单.csv").write_text(delimited([HEADERS, *order_rows()]), "utf-8")
    monkeypatch.chdir(tmp_path)
    run = lambda *words: subprocess.run([sys.executable, "-m", "wenshu.ui.cli", *words], capture_output=True, text=True)  # noqa: E731
    done = run("model", "propose", "订单.csv", "--out", "mine", "--lang", "zh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wenshu ask") == 3 and "个人信息（隐藏） 手机号" in done.stdout
    answer = run("ask", "各城市的订单金额", "--model", "mine/model.yml", "--db", "mine/data.duckdb")
    assert answer.returncode == 0 and "1,300.10" in answer.stdout
    assert run("model", "check", "mine/model.yml", "--db", "mine/data.duckdb").returncode == 0
    again = run("model", "propose", "订单.csv", "--out", "mine", "--lang", "en")
    assert again.returncode == 5 and "--replace" in again.stderr
