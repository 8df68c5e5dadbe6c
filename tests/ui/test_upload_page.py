"""Drives bringing data to the real page: files in, the proposed model shown and edited, asked at once, switched and deleted."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from openpyxl import Workbook

from wenshu.semantic_layer.text import Text
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.entrance import Entrance
from wenshu.ui.gate import MAX_UPLOAD
from wenshu.ui.history import History
from wenshu.ui.own_models import OwnModels
from wenshu.ui.store import Store

from .conftest import served
from .test_desk_page import DESKTOP, PHONE, beside, no_wider_than_the_window, questions, told

pytestmark = pytest.mark.browser

PLACES = pytest.mark.parametrize(("language", "viewport"), [("zh", DESKTOP), ("en", PHONE)], ids=["zh-desktop", "en-phone"])
ROWS = [("单号", "客户", "金额", "门店", "日期")] + [(n, n % 3 + 1, 10 * n, ("东店", "西店")[n % 2], f"2026-0{n % 3 + 1}-15") for n in range(1, 13)]


@pytest.fixture(scope="module")
def upload_address(assistant, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("own")
    history = History(Store(folder / "history.sqlite3"))
    own = OwnModels(folder / "models", history.store, lambda model, db: reception_of(str(model), db, PlannerName.RULES, "en", door="chat"))
    with served(Entrance(assistant_for=lambda name: assistant, header="x-user"), history, own) as url:
        yield url


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Write a GBK file, a workbook, a Parquet file, an empty file and one that is no table."""
    found = {name: tmp_path / name for name in ("订单.csv", "orders.xlsx", "stores.parquet", "empty.csv", "broken.xlsx")}
    found["订单.csv"].write_bytes("\n".join(",".join(map(str, row)) for row in ROWS).encode("gbk"))
    book = Workbook()
    for row in ROWS:
        book.active.append(row)
    book.save(found["orders.xlsx"])
    duckdb.sql("SELECT * FROM (VALUES ('东店', '北京'), ('西店', '成都')) AS s(门店, 所在城市)").write_parquet(str(found["stores.parquet"]))
    found["empty.csv"].write_bytes(b"")
    found["broken.xlsx"].write_bytes(b"PK\x03\x04 nothing of a workbook")
    return found


@PLACES
def test_files_become_data_to_ask(visit, upload_address, files, request, language, viewport) -> None:
    person = "".join(filter(str.isalnum, request.node.name))
    visited = visit(upload_address, language, viewport=viewport, extra_http_headers={"x-user": person})
    page = visited.page
    page.wait_for_selector("#side .way", state="attached")
    beside(page, "[data-do=data]").click()
    page.wait_for_selector("#panel form.upload")
    for bad in ("empty.csv", "broken.xlsx"):
        page.set_input_files("#panel input[type=file]", files[bad])
        page.click("#panel .upload .go")
        page.wait_for_function("name => document.querySelector('#panel .upload [role=alert]').textContent.includes(name)", arg=bad)
    brought = ["订单.csv"] if language == "zh" else ["orders.xlsx", "stores.parquet"]
    page.set_input_files("#panel input[type=file]", [files[name] for name in brought])
    assert [each.split("\n")[0] for each in page.locator("#panel .files li span").all_inner_texts()] == brought
    page.click("#panel .upload .go")
    page.wait_for_selector("#panel [data-ask-anew]")
    assert "12" in page.locator("#panel ul").inner_text(), "it says how many rows were read"
    assert no_wider_than_the_window(page)

    page.locator("#panel details summary").click()
    yaml = page.locator("#panel textarea")
    good = yaml.input_value()
    yaml.fill(good.replace("metrics:", "metrix:", 1))
    page.click("#panel form.wide .go")
    page.wait_for_function("/metri/.test(document.querySelector('#panel form.wide [role=alert]').textContent)")
    yaml.fill(good)
    page.click("#panel form.wide .go")
    told(page)

    example = page.locator("#panel [data-ask-anew]").first
    asked = example.inner_text()
    example.click()
    answer = visited.answer(1)
    assert questions(page) == [asked]
    assert "answered" in answer.get_attribute("class")
    shared = page.locator("#side [data-choose] option").first.inner_text()
    page.reload()
    visited.answer(1)
    assert page.locator("#side [data-open]").count() == 1

    beside(page, "[data-choose]").select_option("")
    page.wait_for_selector(f'.model-label:text-is("{shared}")', state="attached")
    page.wait_for_selector(".thread .greeting")
    page.wait_for_selector("#side .way", state="attached")
    assert page.locator("#side [data-open]").count() == 0, "other data have other conversations"
    stays = visited.answer(visited.ask(Text("GMV by channel last month", "上个月各渠道的成交额").in_(language)))
    assert stays.locator("tbody tr").count() > 2

    beside(page, "[data-do=data]").click()
    page.wait_for_selector("#panel .card")
    page.locator("#panel [data-do=delete_model]").click()
    page.locator(".sure .go").click()
    page.wait_for_selector("#panel .card", state="detached")


def request_with(address: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    connection.request("POST", path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read()


def test_only_who_may_come_in_brings_files_and_only_of_a_bounded_size(upload_address) -> None:
    assert request_with(upload_address, "/upload", b"a", content_type="application/octet-stream")[0] == 401
    assert request_with(upload_address, "/actions", b"{}", content_type="application/json")[0] == 401
    assert request_with(upload_address, "/upload", b"a", x_user="eve", content_type="text/plain") == (200, b"{}")
    connection = http.client.HTTPConnection(upload_address.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", "/upload")
    for name, value in (("x-user", "eve"), ("content-type", "application/octet-stream"), ("content-length", str(MAX_UPLOAD + 1))):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
