"""Owns what the doors keep in the user's data folder, and opening a layer as the environment sets it."""

import getpass
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from wenshu.assistant.report_templates import ReportTemplate, report_templates
from wenshu.assistant.template_files import Templates
from wenshu.semantic_layer import opening
from wenshu.semantic_layer.errors import EngineError, NotLearnt, WenshuError
from wenshu.semantic_layer.grant import policy_columns
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import BUILT_IN
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.opening import Progress, build, database_of, home
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.ui.audit import AuditLog
from wenshu.ui.history import History
from wenshu.ui.settings import audit_settings, engine_settings
from wenshu.ui.store import Store
from wenshu.ui.users import Users, read_users, users_file

if TYPE_CHECKING:
    from wenshu.ui.own_models import OwnModels
    from wenshu.ui.reception import Reception

__all__ = ["Progress", "build", "database_of", "home", "open_layer"]


def open_layer(
    model: str, database: Path | None, *, progress: Progress | None = None, loaded: Model | None = None
) -> SemanticLayer:
    """Open a model over its database under the limits that the environment sets, by this machine's clock.

    Raises `ModelError` for a model that cannot be read and `EngineError` for a database that cannot be opened.
    """
    settings = engine_settings()
    return opening.open_layer(model, database, clock=date.today, settings=settings, progress=progress, loaded=loaded)


def files_version(model: str, users: Path | None) -> str:
    """Return a word that changes when the file of the model or that of the users does."""
    paths = [] if model in BUILT_IN else [Path(model)]
    with suppress(EngineError):  # no home is no users file
        paths.append(users_file(users, home=home))
    return " ".join(map(_stamp, paths))


def users_with_passwords(path: Path | None) -> Callable[[], Users]:
    """Return what gives the users as their file is now; while it cannot be read, as it was.

    Raises `WenshuError` with code `users_invalid` where nobody has a password.
    """
    file, users = users_file(path, home=home), read_users(path, home=home)
    seen = _stamp(file)
    if not users.passwords:
        raise WenshuError(
            "users_invalid",
            Text("Nobody in the users file has a password.", "用户名单中没有人设置密码。"),
            Text("`wenshu password` makes the line to put below a name.", "用 `wenshu password` 生成密码行，写到用户名下。"),
        )

    def now() -> Users:
        nonlocal seen, users
        if seen != (current := _stamp(file)):
            seen = current
            with suppress(WenshuError):
                users = read_users(path, home=home)
        return users

    return now


def _stamp(path: Path) -> str:
    try:
        seen = path.stat()
    except OSError:
        return "-"
    return f"{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}"


def audit_log() -> AuditLog:
    """Return the audit log that the environment sets, else that of the data folder."""
    try:
        return AuditLog(audit_settings(home()))
    except EngineError as error:
        if error.code != "no_home":
            raise
        return AuditLog(audit_settings(None))


def account() -> str | None:
    """Return the name of whoever started this program, as the machine knows it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def misfits(layer: SemanticLayer) -> dict[Text, list[str]]:
    """Return what the database lacks for a model: each problem with the metrics, dimensions and roles that it stops.

    Compiles every one and runs none, so it takes no longer on much data.
    """
    model = layer.model
    questions = [(metric.name, Query(metrics=(metric.name,))) for metric in model.metrics]
    questions += [(d.qualified, Query(dimensions=(d.qualified,))) for d in model.dimensions if not d.pii]
    found: dict[Text, list[str]] = {}
    for roles, table, column in policy_columns(model):
        if column not in layer.tables.get(table, ()):
            problem = Text(f"The database has no column {table}.{column}, which a policy names.", f"数据库中没有策略所用的列 {table}.{column}。")
            found.setdefault(problem, []).extend(roles)
    whole = SemanticLayer(replace(model, policies=()), layer.engine, clock=date.today)
    for name, query in questions:
        try:
            whole.compile(query)
        except NotLearnt:
            continue  # from metrics that are looked at themselves
        except WenshuError as error:
            found.setdefault(error.message, []).append(name)
    return found


def templates_of(model: Model, rights: str = "") -> Templates:
    """Return the saved questions of a model: those that come with it and this user's own, apart for each set of `rights`."""
    try:
        return Templates(model, home() / "templates" / model.name / rights)
    except EngineError:
        return Templates(model)


def reports_of(model: str) -> dict[str, ReportTemplate]:
    """Return the reports of a model by name: the built-in one and those in the data folder.

    Raises `ModelError` with code `report_invalid` for a file with mistakes.
    """
    try:
        return report_templates(model, home() / "reports")
    except EngineError:
        return report_templates(model)


def history() -> History:
    """Return what the page keeps of people's conversations, in the data folder; a user without a home keeps it until the end."""
    try:
        path = home() / "history.sqlite3"
    except EngineError:
        return History(Store(None))
    return History(Store(path))


def own_models(store: Store, open_reception: "Callable[[Path, Path], Reception]") -> "OwnModels | None":
    """Return the data that people bring, in the data folder; a user without a home cannot bring any."""
    from wenshu.ui.own_models import OwnModels

    try:
        return OwnModels(home() / "models", store, open_reception)
    except EngineError:
        return None
