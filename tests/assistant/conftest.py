"""Owns the semantic layers that the assistant's tests ask: the demo and the published data, each built once where wanted."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.published import build_cdnow, build_journey
from wenshu.semantic_layer.shop import build_shop

USERS = 20_000
TODAY = date(2026, 11, 1)
BUILD: dict[str, Callable[[Path], None]] = {
    "shop": lambda path: build_shop(path, users=USERS),
    "cdnow": build_cdnow,
    "journey": build_journey,
}


@pytest.fixture(scope="session")
def layer_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], SemanticLayer]]:
    """Return the function that gives the semantic layer of a built-in model over its database."""
    folder = tmp_path_factory.mktemp("databases")
    layers: dict[str, SemanticLayer] = {}

    def layer(name: str) -> SemanticLayer:
        if name not in layers:
            BUILD[name](folder / f"{name}.duckdb")
            engine = DuckDBEngine(folder / f"{name}.duckdb")
            layers[name] = SemanticLayer(load_model(name), engine, clock=lambda: TODAY, folder=None)
        return layers[name]

    yield layer
    for made in layers.values():
        made.engine.close()
