"""Owns where things live on this machine: the user's data folder, the demo databases in it, and opening a layer over them."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import BUILT_IN, load_model
from wenshu.semantic_layer.text import Text

Progress = Callable[[str, float], None]


def home() -> Path:
    """Return the user's data folder: `WENSHU_HOME`, else the platform's usual place."""
    if chosen := os.environ.get("WENSHU_HOME"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "wenshu"


def database_of(name: str) -> Path:
    """Return the file of a built-in data set."""
    return home() / "data" / f"{name}.duckdb"


def build(
    name: str, out: Path, *, users: int | None = None, seed: int | None = None, progress: Progress | None = None
) -> None:
    """Write one of the built-in data sets to a file."""
    match name:
        case "shop":
            from wenshu.semantic_layer.shop import build_shop

            sizes = {key: value for key, value in (("users", users), ("seed", seed)) if value is not None}
            build_shop(out, progress=progress, **sizes)
        case "cdnow" | "journey":
            from wenshu.semantic_layer import published

            (published.build_cdnow if name == "cdnow" else published.build_journey)(out, progress=progress)
        case _:
            raise EngineError(
                "unknown_data",
                Text(f"There is no data set “{name}”.", f"没有名为“{name}”的数据集。"),
                Text(f"Build one of {', '.join(BUILT_IN)}.", f"可用的数据集：{'、'.join(BUILT_IN)}。"),
            )


def open_layer(model: str, database: Path | None, *, progress: Progress | None = None) -> SemanticLayer:
    """Open a model over its database; a built-in data set that is missing is built first.

    Raises `ModelError` for a model that cannot be read and `EngineError` for a database that cannot be opened.
    """
    loaded = load_model(model)
    files = {str(dataset.source): dataset.file for dataset in loaded.datasets if dataset.file}
    if database is None and model in BUILT_IN:
        database = database_of(model)
        if not database.exists():
            build(model, database, progress=progress)
    elif database is None and len(files) < len(loaded.datasets):
        raise EngineError(
            "database_not_named",
            Text(f"The model “{loaded.name}” needs a database.", f"模型“{loaded.name}”需要指定数据库。"),
            Text("Name it with --db FILE.", "请用 --db FILE 指定。"),
        )
    if files and model not in BUILT_IN:
        folder = Path(model).resolve().parent
        files = {name: str(folder / path) for name, path in files.items()}
    return SemanticLayer(loaded, DuckDBEngine(database, files=files), clock=date.today, folder=home() / "cache")
