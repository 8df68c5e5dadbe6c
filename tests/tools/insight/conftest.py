"""Owns the shops that the analyses are asked about, each built once."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.shop import build_shop

GAP = date(2026, 10, 14)  # a day whose orders are missing in the broken shop


def layer_over(path: Path) -> SemanticLayer:
    return SemanticLayer(load_model("shop"), DuckDBEngine(path), clock=lambda: date(2026, 11, 1))


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    build_shop(path, users=20_000)
    return path


@pytest.fixture(scope="session")
def shop(shop_file: Path) -> Iterator[SemanticLayer]:
    layer = layer_over(shop_file)
    yield layer
    layer.engine.close()


@pytest.fixture(scope="session")
def broken_shop(shop_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    """The same shop, with the orders of a day lost."""
    path = tmp_path_factory.mktemp("broken") / "shop.duckdb"
    path.write_bytes(shop_file.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM orders WHERE CAST(ordered_at AS DATE) = ?", [GAP])
    layer = layer_over(path)
    yield layer
    layer.engine.close()
