"""Owns where data live on this machine, the user's data folder with the demo databases in it, and opening a layer over them."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import BUILT_IN, load_model
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.worker import EngineSettings
from wenshu.semantic_layer.worker_engine import WorkerEngine

Progress = Callable[[str, float], None]

SHOP_USERS, SHOP_SEED = 20_000, 7


def home() -> Path:
    """Return the user's data folder: `WENSHU_HOME`, else the platform's usual place.

    Raises `EngineError` with code `no_home` where this user has no home folder to put it into.
    """
    try:
        if chosen := os.environ.get("WENSHU_HOME"):
            return Path(chosen).expanduser().absolute()
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share").absolute() / "wenshu"
    except RuntimeError:  # what pathlib raises for a user without a home
        raise EngineError(
            "no_home",
            Text("There is no home folder to keep data in.", "没有可用于存放数据的用户主目录。"),
            Text("Set WENSHU_HOME to a folder that you may write to.", "请将 WENSHU_HOME 设为一个可写的文件夹。"),
        ) from None


def database_of(name: str) -> Path:
    """Return the file of a built-in data set."""
    return home() / "data" / f"{name}.duckdb"


def build(
    name: str, out: Path, *, users: int | None = None, seed: int | None = None, plain: bool = False, progress: Progress | None = None,
) -> None:  # fmt: skip
    """Write one of the built-in data sets to a file; `out` appears only once it is whole. A `plain` shop has no planted effects."""
    match name:
        case "shop":
            from wenshu.semantic_layer.shop import build_shop

            chosen = SHOP_SEED if seed is None else seed
            build_shop(out, users=users or SHOP_USERS, seed=chosen, effects=not plain, progress=progress)
        case "cdnow" | "journey":
            from wenshu.semantic_layer import published

            (published.build_cdnow if name == "cdnow" else published.build_journey)(out, progress=progress)
        case _:
            raise EngineError(
                "unknown_data",
                Text(f"There is no data set “{name}”.", f"没有名为“{name}”的数据集。"),
                Text(f"Build one of {', '.join(BUILT_IN)}.", f"可用的数据集：{'、'.join(BUILT_IN)}。"),
            )


def open_layer(
    model: str,
    database: Path | None,
    *,
    clock: Callable[[], date],
    settings: EngineSettings | None = None,
    progress: Progress | None = None,
    loaded: Model | None = None,
) -> SemanticLayer:
    """Open a model, read from its file unless it is `loaded`, over its database; a built-in data set that is missing is built first.

    Raises `ModelError` for a model that cannot be read and `EngineError` for a database that cannot be opened.
    """
    loaded = loaded or load_model(model)
    files = {str(dataset.source): dataset.file for dataset in loaded.datasets if dataset.file}
    if database is None and model in BUILT_IN:
        database = _built(model, progress)
    elif database is None and len(files) < len(loaded.datasets):
        raise EngineError(
            "database_not_named",
            Text(f"The model “{loaded.name}” needs a database.", f"模型“{loaded.name}”需要指定数据库。"),
            Text("Name it with --db FILE.", "请用 --db FILE 指定。"),
        )
    if files and model not in BUILT_IN:
        folder = Path(model).resolve().parent
        files = {name: str(folder / path) for name, path in files.items()}
    engine = WorkerEngine(database, files=files, settings=settings or EngineSettings())
    return SemanticLayer(loaded, engine, clock=clock, folder=_cache())


def _built(name: str, progress: Progress | None) -> Path:
    database = database_of(name)
    if not database.exists():
        try:
            build(name, database, progress=progress)
        except EngineError as error:
            if error.code != "cannot_write":
                raise
            hint = Text(
                "Set WENSHU_HOME to a folder that you may write to, or name a database with --db FILE.",
                "请将 WENSHU_HOME 设为可写的文件夹，或用 --db FILE 指定数据库。",
            )
            raise EngineError(error.code, error.message, hint) from None
    return database


def _cache() -> Path | None:
    """Return where to keep what is known of the data between runs; a user without a home keeps nothing."""
    try:
        return home() / "cache"
    except EngineError:
        return None
