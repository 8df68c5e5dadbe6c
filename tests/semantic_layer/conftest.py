"""Owns the demo and published databases that the tests of this folder share: each is built once in a run, where one is wanted."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from itertools import count
from pathlib import Path

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
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


# The small shop: tables for a test to fill with a few rows of its own

FIRST_DAY, AS_OF = date(2025, 1, 1), date(2026, 3, 31)
TABLES = {
    "users": "user_id BIGINT, channel VARCHAR, gender VARCHAR, birth_year INTEGER, registered_at TIMESTAMP, phone VARCHAR",
    "events": "user_id BIGINT, event_name VARCHAR, platform VARCHAR, event_time TIMESTAMP",
    "orders": "order_id BIGINT, user_id BIGINT, ordered_at TIMESTAMP, paid_at TIMESTAMP, amount DECIMAL(9,2), "
    "discount DOUBLE, platform VARCHAR, is_gift BOOLEAN",
    "order_items": "order_id BIGINT, product_id BIGINT, quantity INTEGER, price DECIMAL(9,2)",
    "products": "product_id BIGINT, category VARCHAR",
    "opening_days": "opened_on DATE",
}
Rows = Mapping[str, Iterable[tuple[object, ...]]]


def write_small_shop(path: Path, rows: Rows) -> None:
    """Write the small shop to a new DuckDB file; a table without rows is empty."""
    given: Rows = {"opening_days": [(FIRST_DAY,), (AS_OF,)], **rows}
    with duckdb.connect(str(path)) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            if values := list(given.get(table, ())):
                row = f"({', '.join('?' * len(values[0]))})"
                cells = [cell for cells in values for cell in cells]
                connection.execute(f"INSERT INTO {table} VALUES {', '.join([row] * len(values))}", cells)


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Rows], SemanticLayer]:
    """Return the function that writes rows to a new database and gives the small shop's semantic layer over it."""
    folder = tmp_path_factory.mktemp("small_shops")
    model = load_model(str(Path(__file__).parent / "small_shop.yml"))
    files = (folder / f"{number}.duckdb" for number in count())

    def layer(rows: Rows) -> SemanticLayer:
        path = next(files)
        write_small_shop(path, rows)
        engine = DuckDBEngine(path, settings=EngineSettings(threads=1))
        return SemanticLayer(model, engine, clock=lambda: AS_OF)

    return layer
