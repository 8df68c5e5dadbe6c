"""Owns the demo and published databases that the tests of this folder share: each is built once in a run, where one is wanted."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.published import build_cdnow, build_journey
from wenshu.semantic_layer.shop import build_shop

USERS = 20_000
BUILD: dict[str, Callable[[Path], None]] = {
    "shop": lambda path: build_shop(path, users=USERS),
    "cdnow": build_cdnow,
    "journey": build_journey,
}


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the function that gives the file of a database by its name, built at the first call."""
    folder = tmp_path_factory.mktemp("databases")

    @cache
    def file(name: str) -> Path:
        BUILD[name](folder / f"{name}.duckdb")
        return folder / f"{name}.duckdb"

    return file


@pytest.fixture(scope="session")
def layer_of(database: Callable[[str], Path]) -> Iterator[Callable[[str], SemanticLayer]]:
    """Return the function that gives the semantic layer of a built-in model over its database."""
    layers: dict[str, SemanticLayer] = {}

    def layer(name: str) -> SemanticLayer:
        if name not in layers:
            engine = DuckDBEngine(database(name))
            layers[name] = SemanticLayer(load_model(name), engine, clock=lambda: date(2026, 11, 1), folder=None)
        return layers[name]

    yield layer
    for made in layers.values():
        made.engine.close()


@pytest.fixture(scope="session")
def connection_to(database: Callable[[str], Path]) -> Iterator[Callable[[str], duckdb.DuckDBPyConnection]]:
    """Return the function that opens a database by its name for reading, past the semantic layer."""
    connections: dict[str, duckdb.DuckDBPyConnection] = {}

    def connection(name: str) -> duckdb.DuckDBPyConnection:
        if name not in connections:
            connections[name] = duckdb.connect(str(database(name)), read_only=True)
        return connections[name]

    yield connection
    for made in connections.values():
        made.close()


@pytest.fixture(scope="session")
def shop(connection_to: Callable[[str], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    return connection_to("shop")


@pytest.fixture(scope="session")
def cdnow(connection_to: Callable[[str], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    return connection_to("cdnow")


@pytest.fixture(scope="session")
def journey(connection_to: Callable[[str], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    return connection_to("journey")
