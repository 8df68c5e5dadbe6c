"""Owns signing in by password: what is kept of one, the cookie of a browser that is in, and the page that asks. Plain ASGI.

Passwords stand as scrypt digests in the file of users; who changes one there is signed out everywhere.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib.resources import files
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlencode

from anyio import CapacityLimiter, to_thread

from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.answer_html import LOGO, Html, element
from wenshu.ui.gate import LOGIN, LOGOUT, App, Receive, Scope, Send, body_of
from wenshu.ui.page_texts import NAME, TAGLINE, preferred
from wenshu.ui.passwords import is_password
from wenshu.ui.store import Store

if TYPE_CHECKING:
    from wenshu.ui.users import Users

COOKIE = "wenshu"
LASTING = 14 * 24 * 3600  # seconds that a browser stays signed in
MOST_FAILURES, FORGIVEN = 10, 300.0  # wrong passwords for one name, and the seconds in which they count
MOST_NAMES = 10_000  # whose failures are remembered
LONGEST_PASSWORD = 1_000
NOBODY = "scrypt$AAAAAAAAAAAAAAAAAAAAAA==$AAAA"  # so that an unknown name takes as long as a wrong password

SIGN_IN = Text("Sign in", "登录")
USER = Text("Name", "用户名")
PASSWORD = Text("Password", "密码")
WRONG = Text("Name or password is wrong.", "用户名或密码不正确。")
TOO_MANY = Text("Too many tries. Wait five minutes.", "尝试次数过多，请五分钟后再试。")
OTHER = Text("中文", "English")


class SignIns:
    """Let people in by name and password, and know their browsers again; `users` reads the file of users as it is now."""

    def __init__(self, users: "Callable[[], Users]", store: Store) -> None:
        self._users = users
        self._store = store
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = Lock()

    def enter(self, name: str, password: str) -> str | Text:
        """Return the token of somebody who is let in, else why not."""
        if self._failed_too_often(name):
            return TOO_MANY
        kept = self._users().passwords.get(name)
        if not is_password(password[:LONGEST_PASSWORD], kept or NOBODY) or kept is None:
            with self._lock:
                self._failures.setdefault(name, []).append(monotonic())
                while len(self._failures) > MOST_NAMES:
                    self._failures.popitem(last=False)
            return WRONG
        token = secrets.token_urlsafe(32)
        self._store.write("DELETE FROM sign_ins WHERE since < ?", time() - LASTING)
        self._store.write("INSERT INTO sign_ins VALUES (?, ?, ?, ?)", _mark(token), name, _mark(kept), time())
        return token

    def leave(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Forget the browser that sends a request with these headers."""
        for token in _tokens(headers):
            self._store.write("DELETE FROM sign_ins WHERE token = ?", _mark(token))

    def name_in(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the name of who sends a request with these headers, None for somebody who is not signed in."""
        for token in _tokens(headers):
            for row in self._store.rows("SELECT name, password, since FROM sign_ins WHERE token = ?", _mark(token)):
                kept = self._users().passwords.get(row["name"])
                if kept and _mark(kept) == row["password"] and row["since"] > time() - LASTING:
                    return str(row["name"])
        return None

    def _failed_too_often(self, name: str) -> bool:
        with self._lock:
            recent = [at for at in self._failures.get(name, ()) if at > monotonic() - FORGIVEN]
            if recent:
                self._failures[name] = recent
            else:
                self._failures.pop(name, None)
            return len(recent) >= MOST_FAILURES


def _mark(secret: str) -> str:
    """Return what is kept of a token or of a digest, from which neither can be told."""
    return sha256(secret.encode()).hexdigest()


def _tokens(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    pairs = [pair.strip() for key, value in headers if key.lower() == b"cookie" for pair in value.decode("latin-1").split(";")]
    return [pair.removeprefix(f"{COOKIE}=") for pair in pairs if pair.startswith(f"{COOKIE}=")]


class LoginDoor:
    """Answer what is about signing in and out; everything else goes on to the page."""

    def __init__(self, app: App, sign_ins: SignIns) -> None:
        self._app, self._sign_ins = app, sign_ins
        self._hashing = CapacityLimiter(2)  # a digest takes 16 MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the form, take it, or sign out."""
        if scope["type"] != "http" or scope["path"] not in (LOGIN, LOGOUT):
            return await self._app(scope, receive, send)
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        asked = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        language: Language = preferred(headers.get(b"accept-language", ""))
        language = "zh" if asked.get("lang") == "zh" else "en" if asked.get("lang") == "en" else language
        if scope["method"] != "POST":
            return await _send(send, 404 if scope["path"] == LOGOUT else 200, login_html(language, asked.get("to", "")))
        if headers.get(b"sec-fetch-site") == "cross-site":  # another site's form
            return await _send(send, 403, Html(""))
        if scope["path"] == LOGOUT:
            await to_thread.run_sync(self._sign_ins.leave, scope["headers"])
            return await _go(send, LOGIN, f"{COOKIE}=; Path=/; Max-Age=0")
        sent = {key: values[-1] for key, values in parse_qs((await body_of(receive)).decode("utf-8", "replace")).items()}
        name, password, to = sent.get("name", "").strip(), sent.get("password", ""), sent.get("to", "")
        entered = await to_thread.run_sync(self._sign_ins.enter, name, password, limiter=self._hashing)
        if isinstance(entered, Text):
            return await _send(send, 401, login_html(language, to, name, entered))
        secure = "; Secure" if headers.get(b"x-forwarded-proto") == "https" else ""
        onward = urlencode(parse_qsl(to))
        cookie = f"{COOKIE}={entered}; Path=/; Max-Age={LASTING}; HttpOnly; SameSite=Lax{secure}"
        await _go(send, f"/?{onward}" if onward else "/", cookie)


async def _send(send: Send, status: int, html: Html, *headers: tuple[bytes, bytes]) -> None:
    body = html.encode()
    fixed = ((b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _go(send: Send, where: str, cookie: str) -> None:
    await _send(send, 303, Html(""), (b"location", where.encode("latin-1")), (b"set-cookie", cookie.encode()))


def login_html(language: Language, to: str, name: str = "", wrong: Text | None = None) -> Html:
    """Return the page that asks for name and password; `to` is the query with which the person came."""
    style = files("wenshu.ui").joinpath("login.css").read_text(encoding="utf-8")
    other: Language = "en" if language == "zh" else "zh"
    fields = [
        _field(USER.in_(language), name="name", value=name, autocomplete="username", autofocus=not name),
        _field(PASSWORD.in_(language), name="password", type="password", autocomplete="current-password", autofocus=bool(name)),
        element("input", type="hidden", name="to", value=to),
        *([element("p", wrong.in_(language), role="alert")] if wrong else []),
        element("button", SIGN_IN.in_(language), type="submit"),
    ]
    asked = urlencode({"lang": other, "to": to} if to else {"lang": other})
    main = element(
        "main",
        element("div", Html(LOGO), element("h1", NAME), class_="brand"),
        element("p", TAGLINE.in_(language)),
        element("form", *fields, method="post", action=f"{LOGIN}?lang={language}"),
        element("nav", element("a", OTHER.in_(language), href=f"{LOGIN}?{asked}", lang=other)),
    )
    return Html(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{SIGN_IN.in_(language)} · {NAME}</title><link rel="icon" href="/favicon.ico"><style>{style}</style></head><body>{main}</body></html>'
    )


def _field(label: str, **attributes: str | bool | None) -> Html:
    return element("label", element("span", label), element("input", required=True, **{"type": "text", **attributes}))
