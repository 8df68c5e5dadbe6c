"""CSV files hold all rows, open in spreadsheets as texts and numbers, and are there whole or not at all."""

import csv
from datetime import date, datetime
from pathlib import Path

import pytest

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.query import query_from_json
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text, same
from wenshu.semantic_layer.whole_file import check_writable
from wenshu.ui.csv_file import all_rows, write_csv
from wenshu.ui.workspace import build, open_layer


def table_of(*cells: object, labels: tuple = (), label: Text = same("name"), truncated: bool = False) -> ResultTable:
    column = Column(name="name", role="dimension", type="string", label=label, value_labels=labels)
    return ResultTable(columns=(column,), rows=tuple((cell,) for cell in cells), truncated=truncated)


def read(path: Path) -> list[list[str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1+1", "\n=1"])
def test_a_text_is_never_a_formula(tmp_path, text):
    write_csv(table_of(text, label=same(text)), tmp_path / "t.csv", "en")
    assert read(tmp_path / "t.csv") == [[f"'{text}"], [f"'{text}"]]


def test_numbers_stay_numbers_and_labels_are_in_the_language(tmp_path):
    labels = (("douyin", Text("Douyin", "抖音")),)
    table = table_of("douyin", -12.5, None, 3, True, date(2026, 9, 1), datetime(2026, 9, 1, 8), 'a "b", c', labels=labels, label=Text("channel", "渠道"))  # fmt: skip
    said = write_csv(table, tmp_path / "t.csv", "zh")
    assert [row[0] if row else "" for row in read(tmp_path / "t.csv")] == [
        "渠道", "抖音", "-12.5", "", "3", "True", "2026-09-01", "2026-09-01 08:00:00", 'a "b", c',
    ]  # fmt: skip
    assert said.zh.endswith("共 8 行。")


def test_a_cut_result_says_so(tmp_path):
    assert "there are more" in write_csv(table_of("a", truncated=True), tmp_path / "t.csv", "en").en


def test_a_file_is_whole_or_not_there(tmp_path):
    class Broken:
        def __str__(self) -> str:
            raise OSError("disk full")

    (tmp_path / "t.csv").write_text("before")
    with pytest.raises(EngineError) as caught:
        write_csv(table_of("a", Broken()), tmp_path / "t.csv", "en")
    assert caught.value.code == "cannot_write"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"] and (tmp_path / "t.csv").read_text() == "before"


@pytest.mark.parametrize("name", ["", "missing/t.csv"])
def test_a_place_that_cannot_be_written_is_known_before(tmp_path, name):
    with pytest.raises(EngineError):
        check_writable(tmp_path / name)


def test_a_list_is_not_cut(tmp_path):
    build("shop", tmp_path / "shop.duckdb", users=2_000)
    layer = open_layer("shop", tmp_path / "shop.duckdb")
    query = query_from_json({"dimensions": ["user_id", "city"]})
    assert len(all_rows(layer, query).rows) == 2_000
    assert len(layer.run(layer.compile(query)).rows) == 1_000 and layer.list_size(layer.compile(query)) == 2_000
