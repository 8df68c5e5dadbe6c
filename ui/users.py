"""Owns who may ask: the file of users, and one assistant for each set of rights. Knows no command and no page.

A door finds out a name (an option of the operator's, a trusted proxy's header, a login) and this module what that name may see; nothing
of it is ever read from a question.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import yaml

from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.policy import Attribute, Principal
from wenshu.semantic_layer.refusals import user_needed
from wenshu.semantic_layer.text import Text
from wenshu.ui.passwords import is_digest

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant

Served = TypeVar("Served")
MOST_AT_ONCE = 64  # sets of rights kept ready; the longest unused is made anew when it is wanted again


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Hold the people of a users file by name; `accounts` are the names of those whom a messenger calls so."""

    people: Mapping[str, Principal]
    accounts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict)  # as digests, of those who may sign in by one

    def principal(self, name: str | None) -> Principal:
        """Return who a name stands for.

        Raises `QueryError` with code `user_needed` without a name, `unknown_user` for one that is not on the list.
        """
        if not name:
            raise user_needed()
        if name not in self.people:
            raise QueryError(
                "unknown_user",
                Text(f"“{name[:60]}” is not on the list of users.", f"用户名单中没有“{name[:60]}”。"),
                Text("Ask whoever keeps the list to add the name.", "请联系用户名单的维护者添加。"),
            )
        return self.people[name]

    def called(self, messenger: str, account: str) -> str:
        """Return the name of the person whom a messenger calls `account`; `QueryError` with code `unknown_user` for nobody."""
        name = self.accounts.get((messenger, account))
        if name is None:
            raise QueryError(
                "unknown_user",
                Text("You are not on the list of users.", "您不在用户名单中。"),
                Text(
                    f"Ask whoever keeps the list to add `accounts: {{{messenger}: {account[:60]}}}` to your entry.",
                    f"请联系用户名单的维护者，在您的条目中加上 `accounts: {{{messenger}: {account[:60]}}}`。",
                ),
            )
        return name


def users_file(path: Path | None, *, home: Callable[[], Path]) -> Path:
    """Return the file that users are read from: `path`, else what WENSHU_USERS names, else users.yml in the data folder."""
    return path or Path(os.environ.get("WENSHU_USERS") or home() / "users.yml")


def read_users(path: Path | None, *, home: Callable[[], Path]) -> Users:
    """Read the users from `path`, else from WENSHU_USERS, else from users.yml in the data folder, where there may be none.

    Raises `WenshuError` with code `users_invalid` for a file that cannot be read or says something that it may not.
    """
    given = path or (Path(named) if (named := os.environ.get("WENSHU_USERS")) else None)
    file = users_file(path, home=home)
    try:
        said = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        if given is None:
            return Users(people={})
        raise _invalid(file.name, Text("there is no such file", "文件不存在")) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise _invalid(file.name, Text("it is not YAML that can be read", "不是可读的 YAML")) from None
    if not isinstance(said, dict):
        raise _invalid(file.name, Text("it holds no names", "没有用户"))
    people = {name: _person(name, entry, file.name) for name, entry in said.items()}
    passwords = {name: entry["password"] for name, entry in said.items() if "password" in entry}
    return Users(people=people, accounts=_accounts(said, file.name), passwords=passwords)


def _person(name: Any, entry: Any, file: str) -> Principal:
    if not isinstance(name, str) or not isinstance(entry, dict) or not isinstance(entry.get("role"), str):
        raise _invalid(file, Text(f"“{name}” has no name and role as text", f"“{name}”缺少文本形式的名称与角色"))
    if unknown := [str(key) for key in entry if key not in ("role", "attributes", "accounts", "password")]:
        raise _invalid(file, Text(f"“{name}” has the unknown key “{unknown[0]}”", f"“{name}”有未知的键“{unknown[0]}”"))
    if "password" in entry and not is_digest(entry["password"]):
        raise _invalid(file, Text(f"the password of “{name}” is not what `wenshu password` writes", f"“{name}”的 password 不是 `wenshu password` 的输出"))
    said = entry.get("attributes") or {}
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise _invalid(file, Text(f"the attributes of “{name}” are not names with values", f"“{name}”的 attributes 不是键值"))
    attributes: dict[str, Attribute] = {}
    for key, value in said.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str | int | float | bool | date) for each in values):
            message = Text(f"“{key}” of “{name}” is no text, number, date or list of them", f"“{name}”的“{key}”不是文本、数字、日期或其列表")  # fmt: skip
            raise _invalid(file, message)
        attributes[key] = tuple(value) if isinstance(value, list) else value
    return Principal(name=name, role=entry["role"], attributes=attributes)


def _accounts(said: Mapping[str, Mapping[str, Any]], file: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name, entry in said.items():
        accounts = entry.get("accounts") or {}
        if not isinstance(accounts, dict) or not all(isinstance(each, str) for pair in accounts.items() for each in pair):
            raise _invalid(file, Text(f"the accounts of “{name}” are not texts by messenger", f"“{name}”的 accounts 不是 平台: 账号"))
        for messenger, account in accounts.items():
            if (other := found.setdefault((messenger, account), name)) != name:
                raise _invalid(file, Text(f"“{other}” and “{name}” share the {messenger} account {account}", f"“{other}”与“{name}”的 {messenger} 账号相同：{account}"))
    return found


def _invalid(file: str, problem: Text) -> WenshuError:
    return WenshuError(
        "users_invalid",
        Text(f"The users file {file}: {problem.en}.", f"用户名单 {file}：{problem.zh}。"),
        Text("Write `NAME: {role: …, attributes: {…}}` for each user.", "请为每个用户写 `名称: {role: …, attributes: {…}}`。"),
    )  # fmt: skip


class _Ready(Generic[Served]):
    """Keep what was made for the sets of rights used last."""

    def __init__(self, make: Callable[[SemanticLayer], Served]) -> None:
        self._make = make
        self._made: OrderedDict[str, Served] = OrderedDict()
        self._lock = Lock()

    def of(self, layer: SemanticLayer) -> Served:
        with self._lock:
            key = layer.policy_fingerprint
            if key not in self._made:
                self._made[key] = self._make(layer)
            self._made.move_to_end(key)
            while len(self._made) > MOST_AT_ONCE:
                self._made.popitem(last=False)
            return self._made[key]


class Visitors:
    """Give each person the layer and the assistant that see what the person may see; people of the same rights share one."""

    def __init__(self, layer: SemanticLayer, users: Users, assistant: "Callable[[SemanticLayer], Assistant]") -> None:
        self._layer, self._users = layer, users
        self._layers = _Ready[SemanticLayer](lambda each: each)
        self._assistants = _Ready["Assistant"](assistant)

    def layer(self, name: str | None) -> SemanticLayer:
        """Return the layer of a person; raises `QueryError` for one who may see nothing."""
        if not self._layer.has_policies:
            return self._layer
        return self._layers.of(self._layer.for_user(self._users.principal(name)))

    def assistant(self, name: str | None) -> "Assistant":
        """Return the assistant of a person; raises `QueryError` for one who may see nothing."""
        return self._assistants.of(self.layer(name))

    @property
    def told_apart(self) -> bool:
        """Say whether what somebody sees depends on who it is."""
        return self._layer.has_policies

    def called(self, messenger: str, account: str) -> str:
        """Return the name of the person whom a messenger calls `account`; raises `QueryError` for one who is not on the list."""
        return self._users.called(messenger, account)

    def data_version(self) -> str:
        """Return a word that changes when the data change."""
        return self._layer.engine.data_version()

    def close(self) -> None:
        """Give up the data; what is being answered is answered first."""
        self._layer.engine.close()
