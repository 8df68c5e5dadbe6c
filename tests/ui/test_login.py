"""Drives signing in on the real page: two people see different rows, by password and by a proxy's header; the wrong ones see nothing."""

import http.client
from collections.abc import Iterator
from importlib.resources import files
from urllib.parse import urlencode

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.loader import parse_model
from wenshu.ui.entrance import Entrance
from wenshu.ui.history import History
from wenshu.ui.login import MOST_FAILURES, TOO_MANY, WRONG, SignIns
from wenshu.ui.passwords import digest
from wenshu.ui.store import Store
from wenshu.ui.users import Visitors, read_users
from wenshu.ui.workspace import database_of, open_layer, users_with_passwords

from .conftest import served

POLICIES = """
policies:
  - {role: analyst, rows: all}
  - {role: city_manager, rows: "users.city = {user.city}", shared: [products, campaigns, experiments]}
"""
SECRETS = {"ana": "ana has one", "lin": "琳的密码很长"}


@pytest.fixture(scope="module")
def users_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("login") / "users.yml"
    kept = {name: digest(password) for name, password in SECRETS.items()}
    path.write_text(
        f"ana: {{role: analyst, password: {kept['ana']}}}\nlin: {{role: city_manager, attributes: {{city: 上海}}, password: {kept['lin']}}}\n"
        "bob: {role: analyst}\n"
    )
    return path


@pytest.fixture(scope="module")
def visitors(assistant, users_path) -> Iterator[Visitors]:
    text = files("wenshu.semantic_layer").joinpath("models/shop.yml").read_text("utf-8")
    layer = open_layer("shop", database_of("shop"), loaded=parse_model(text + POLICIES, "shop.yml"))
    users = read_users(users_path, home=lambda: users_path.parent)
    yield Visitors(layer, users, lambda each: Assistant(each, RulesPlanner(each)))
    layer.engine.close()


@pytest.fixture(scope="module")
def login_address(visitors, users_path) -> Iterator[str]:
    history = History(Store(None))
    with served(Entrance(assistant_for=visitors.assistant, sign_ins=SignIns(users_with_passwords(users_path), history.store)), history) as url:
        yield url


def cities(visited) -> list[str]:
    answer = visited.answer(visited.ask("GMV by city in September 2026"))
    return answer.locator("tbody td.text").all_text_contents()


@pytest.mark.browser
def test_two_people_sign_in_and_see_different_rows(visit, chromium, login_address) -> None:
    seen, names = {}, {}
    for name, password in SECRETS.items():
        context = chromium.new_context(locale="en-GB")
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto(f"{login_address}/?template=gmv_by_city&period=last+month")
        page.fill("[name=name]", name)
        page.fill("[name=password]", password)
        page.keyboard.press("Enter")
        page.wait_for_selector('[data-turn="1"] .answer')  # a shared link still does what it says
        seen[name] = page.locator('[data-turn="1"] tbody td.text').all_text_contents()
        names[name] = page.locator("#side .who").text_content()
        page.reload()
        page.wait_for_selector('[data-turn="1"] .answer')
        page.locator("#side .who button").click()
        page.wait_for_selector("[name=password]")
        page.goto(login_address)
        page.wait_for_selector("[name=password]")
        context.close()
    assert len(seen["ana"]) > 1
    assert seen["lin"] == ["Shanghai"]
    assert all(name in said for name, said in names.items())


@pytest.fixture(scope="module")
def proxied_address(visitors) -> Iterator[str]:
    with served(Entrance(assistant_for=visitors.assistant, header="x-user")) as url:
        yield url


@pytest.mark.browser
def test_two_people_of_a_proxy_see_different_rows(visit, proxied_address) -> None:
    seen = {name: cities(visit(proxied_address, "en", extra_http_headers={"x-user": name})) for name in SECRETS}
    assert len(seen["ana"]) > 1
    assert seen["lin"] == ["Shanghai"]


def said(address: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request(method, path, body.encode(), {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()


def test_nothing_is_served_to_who_is_not_signed_in(login_address) -> None:
    assert said(login_address, "GET", "/")[0] == 303
    assert said(login_address, "GET", "/?template=a")[1]["location"] == "/login?to=template%3Da"
    for method, path in (("POST", "/actions"), ("POST", "/complete"), ("POST", "/upload"), ("POST", "/gradio_api/queue/join"), ("GET", "/assets/index.js")):
        assert said(login_address, method, path, "{}", content_type="application/json")[0] == 401
    for cookie in ("wenshu=", "wenshu=guessed", "wenshu=a; wenshu=b"):
        assert said(login_address, "GET", "/", cookie=cookie)[0] == 303


def test_the_form_lets_in_by_the_right_password_only(login_address) -> None:
    def enter(name: str, password: str, **more: str) -> tuple[int, dict[str, str], str]:
        return said(login_address, "POST", "/login", urlencode({"name": name, "password": password, "to": "template=a&x=//evil.example"}), **more)

    for name, password in (("ana", "wrong"), ("bob", ""), ("nobody", "x"), ("<b>", "x"), ("", "")):
        status, _, page = enter(name, password, accept_language="zh")
        assert (status, WRONG.zh in page, "<b>" in page) == (401, True, False)
    assert enter("ana", SECRETS["ana"], sec_fetch_site="cross-site")[0] == 403
    status, headers, _ = enter("ana", SECRETS["ana"], x_forwarded_proto="https")
    assert (status, headers["location"]) == (303, "/?template=a&x=%2F%2Fevil.example")
    cookie = headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Secure"))
    token = cookie.split(";")[0]
    assert said(login_address, "GET", "/", cookie=token)[0] == 200
    assert said(login_address, "POST", "/logout", cookie=token)[0] == 303
    assert said(login_address, "GET", "/", cookie=token)[0] == 303, "a token that was signed out is worth nothing"


def test_a_changed_password_signs_out_and_many_wrong_ones_bar_the_way(tmp_path) -> None:
    path = tmp_path / "users.yml"
    path.write_text(f"ana: {{role: a, password: {digest('the first')}}}\n")
    sign_ins = SignIns(users_with_passwords(path), Store(None))
    token = sign_ins.enter("ana", "the first")
    cookie = [(b"cookie", f"other=1; wenshu={token}".encode())]
    assert sign_ins.name_in(cookie) == "ana"
    path.write_text("ana: {role: a, password: broken}\n")
    assert sign_ins.name_in(cookie) == "ana", "a file that cannot be read changes nothing"
    path.write_text(f"ana: {{role: a, password: {digest('the second one')}}}\n")
    assert sign_ins.name_in(cookie) is None
    for _ in range(MOST_FAILURES):
        assert sign_ins.enter("ana", "the first") == WRONG
    assert sign_ins.enter("ana", "the second one") == TOO_MANY


@pytest.mark.parametrize("entry", ["{role: a, password: plain}", "{role: a, password: 12345678}", "{role: a}"])
def test_a_users_file_holds_digests(tmp_path, entry) -> None:
    path = tmp_path / "users.yml"
    path.write_text(f"ana: {entry}\n")
    with pytest.raises(WenshuError) as raised:
        users_with_passwords(path)
    assert raised.value.code == "users_invalid"
    assert "wenshu password" in raised.value.hint.en + raised.value.message.en
