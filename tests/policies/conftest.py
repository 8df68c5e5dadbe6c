"""The data behind shop.yml: twenty cities alike in shape, with values by which a leak of another city's rows is told."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.policy import Attribute, Principal

AS_OF = datetime(2026, 3, 31)
MODEL = Path(__file__).parent / "shop.yml"
SCHEMA = """
CREATE TABLE users (user_id BIGINT, city VARCHAR, channel VARCHAR, nickname VARCHAR, birth_year INTEGER, phone VARCHAR, email VARCHAR,
    registered_at TIMESTAMP, note VARCHAR, divisor INTEGER);
CREATE TABLE orders (order_id BIGINT, user_id BIGINT, ordered_at TIMESTAMP, amount DECIMAL(12, 2), status VARCHAR, coupon VARCHAR);
CREATE TABLE order_items (order_id BIGINT, line INTEGER, product_id BIGINT, quantity INTEGER);
CREATE TABLE products (product_id BIGINT, category VARCHAR);
CREATE TABLE refunds (user_id BIGINT, reason VARCHAR, amount BIGINT, refunded_at TIMESTAMP);
CREATE TABLE events (user_id BIGINT, event_name VARCHAR, event_time TIMESTAMP);
"""
CITIES = tuple(f"city_{number}" for number in range(1, 21))


def _write_data(path: Path, *, users: int = 400, poison: Callable[[str], bool] = lambda city: False) -> Path:
    """Write the shop; the rows of the cities that `poison` picks are changed and doubled, those of the others stay as they are."""
    chance = Random(20261101)
    rows: dict[str, list[tuple[object, ...]]] = {"users": [], "orders": [], "order_items": [], "events": [], "refunds": []}
    order = 0
    for user in range(1, users + 1):
        city = CITIES[user % len(CITIES)]
        bad = poison(city)
        start = datetime(2025, 1, 1) + timedelta(minutes=chance.randrange(60 * 24 * 400))
        born, channel = chance.randrange(1960, 2010), chance.choice(["search", "friends", "shops"])
        nickname, phone = f"nick {user}", f"138{user:08d}"
        note, divisor = str(user % 7), user % 5 + 1
        if bad:
            channel, nickname, phone, note, divisor = "hidden_channel", f"hidden {user}", "hidden", "no number", 0
        copies = 2 if bad else 1
        rows["users"] += [(user + 10_000 * i, city, channel, nickname, born, phone, f"{nickname}@example.com", start, note, divisor) for i in range(copies)]  # fmt: skip
        for i in range(chance.randrange(5)):
            order += 1
            at = start + timedelta(days=chance.randrange(60), minutes=chance.randrange(1440))
            amount, status = chance.randrange(100, 99999) / 100, chance.choice(["paid", "paid", "open"])
            coupon, product = chance.choice([None, "spring", "summer"]), chance.randrange(1, 9)
            if bad:
                amount, coupon = 9_999_999_999.99, "hidden_coupon"
            rows["orders"].append((order, user, at, amount, status, coupon))
            rows["order_items"] += [(order, line, product, line + i) for line in range(1, 3)]
        if user <= 60:  # fewer than users, so that the database reads them first
            rows["refunds"].append((user, "no number" if bad else str(user), 9_999_999_999 if bad else user, start))
        for _ in range(chance.randrange(6)):
            name, at = chance.choice(["open", "cart", "pay"]), start + timedelta(hours=chance.randrange(24 * 40))
            rows["events"].append((user, "hidden_event" if bad else name, at))
    with duckdb.connect(str(path)) as connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO products SELECT i, 'category ' || i % 3 FROM range(1, 9) t(i)")
        for table, listed in rows.items():
            listed = [each for each in listed if all(not isinstance(cell, datetime) or cell <= AS_OF for cell in each)]
            row = f"({', '.join('?' * len(listed[0]))})"
            for start in range(0, len(listed), 500):
                part = listed[start : start + 500]
                connection.execute(f"INSERT INTO {table} VALUES {', '.join([row] * len(part))}", [cell for cells in part for cell in cells])
    return path


def _write_city(whole: Path, path: Path, city: str) -> Path:
    """Write a database of the rows of one city only."""
    own = f"user_id IN (SELECT user_id FROM data.users WHERE city = '{city}')"
    kept = {"users": f"city = '{city}'", "orders": own, "events": own, "refunds": own, "products": "true",
            "order_items": f"order_id IN (SELECT order_id FROM data.orders WHERE {own})"}  # fmt: skip
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"ATTACH '{whole}' AS data (READ_ONLY)")
        for table, condition in kept.items():
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM data.{table} WHERE {condition}")
    return path


@pytest.fixture(scope="session")
def cities() -> tuple[str, ...]:
    return CITIES


@pytest.fixture(scope="session")
def model_file() -> Path:
    return MODEL


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="session")
def whole(folder: Path) -> Path:
    """Return the file of the shop."""
    return _write_data(folder / "whole.duckdb")


@pytest.fixture(scope="session")
def changed(folder: Path) -> Path:
    """Return the file of the same shop, in which the rows of all cities but the first two are changed."""
    return _write_data(folder / "changed.duckdb", poison=lambda city: city not in CITIES[:2])


@pytest.fixture(scope="session")
def alone(folder: Path, whole: Path) -> Callable[[str], Path]:
    """Return the function that gives the file of the rows of one city only."""
    return lambda city: _write_city(whole, folder / f"{city}.duckdb", city)


@pytest.fixture(scope="session")
def layer_over() -> Iterator[Callable[..., SemanticLayer]]:
    """Return the function that gives the layer of a shop's file before anybody has said who asks."""
    made: list[SemanticLayer] = []

    def layer(path: Path, keep: Path | None = None) -> SemanticLayer:
        engine = DuckDBEngine(path, settings=EngineSettings(threads=1))
        made.append(SemanticLayer(load_model(str(MODEL)), engine, clock=AS_OF.date, folder=keep))
        return made[-1]

    yield layer
    for layer_made in made:
        layer_made.engine.close()


@pytest.fixture(scope="session")
def person() -> Callable[..., Principal]:
    """Return the function that makes somebody of a role with attributes."""

    def somebody(role: str, **attributes: Attribute) -> Principal:
        return Principal(name=f"a {role}", role=role, attributes=attributes)

    return somebody
