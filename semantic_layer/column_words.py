"""Owns what headers say of their columns: their usual part, their words in both languages, and a safe name. The words are in column_words.yml."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import sqlglot
import yaml
from sqlglot import exp

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.spec_reader import one_tree
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS

MOST_LETTERS = 40  # of a name
LONGEST_LABEL = 60
RESERVED = {*TIME_PARTS, *BEHAVIOUR_KEYS, *Grain, "as_of", "period_start", "period_end", "rowid"}
IS = re.compile(r"^(is|has|had|was|did|can) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one line of the dictionary of column words."""

    role: str
    en: tuple[str, ...]
    zh: tuple[str, ...]
    each: bool = False
    secondary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Hold what a header says: its `role`, and the `entry` that it matches as a whole, if any; `near` is the entry of its last words."""

    text: str
    role: str
    entry: Entry | None
    near: Entry | None

    @property
    def label(self) -> Text:
        """Return the header in its own language, and the dictionary's word, if it has one, in the other."""
        if self.entry is None:
            return Text(self.text, self.text)
        return Text(self.text, self.entry.zh[0]) if self.text.isascii() else Text(self.entry.en[0], self.text)


@cache
def entries() -> tuple[Entry, ...]:
    """Return the dictionary."""
    rows: list[dict[str, Any]] = yaml.safe_load(
        files("wenshu.semantic_layer").joinpath("column_words.yml").read_text("utf-8")
    )
    return tuple(
        Entry(role=row["role"], en=tuple(map(str, row["en"])), zh=tuple(map(str, row["zh"])), each=row.get("each", False), secondary=row.get("secondary", False))
        for row in rows
    )  # fmt: skip


@cache
def _whole() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries():
        for word in (*entry.en, *entry.zh):
            found.setdefault(plain(word), entry)
    return found


def plain(header: str) -> str:
    """Return a header in lower case, its words apart, without its unit.

    >>> plain("OrderAmount (USD)"), plain("retention_7"), plain("订单金额（元）")
    ('order amount', 'retention 7', '订单金额')
    """
    text = re.sub(r"[(（\[].*?[)）\]]", "", header) or header
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.sub(r"[\s_\-.·]+", " ", text).strip().lower()


def header_of(text: str) -> Header:
    """Say what a header means.

    >>> header_of("客户编号").role, header_of("total_order_amount").role, header_of("is_gift").role, header_of("颜色").label.en
    ('user', 'amount', 'boolean', 'colour')
    """
    shown, words = text.strip()[:LONGEST_LABEL], plain(text)
    entry = _whole().get(words) or _whole().get(words.replace(" ", ""))
    if entry is not None and entry.role != "dataset":
        return Header(text=shown, role=entry.role, entry=entry, near=entry)
    if IS.match(words) or words.startswith("是否"):
        return Header(text=shown, role="boolean", entry=None, near=None)
    if words.endswith((" at", " on")):
        return Header(text=shown, role="time", entry=None, near=None)
    parts = words.split(" ")
    ends = [" ".join(parts[i:]) for i in range(1, len(parts))]
    if not words.isascii():
        ends += [words[i:] for i in range(1, len(words))]
    near = next(
        (_whole()[end] for end in ends if end in _whole() and _whole()[end].role not in ("dataset", "user")), None
    )
    return Header(text=shown, role=near.role if near else "", entry=None, near=near)


def safe_name(header: str, otherwise: str, taken: Collection[str], keywords: Collection[str] = ()) -> str:
    """Return an English name that SQL and a model take as it is, and that is not `taken`.

    >>> safe_name("订单金额", "column_1", ()), safe_name("Order", "column_1", ["a"], ["order"]), safe_name("🙂", "column_3", ())
    ('order_amount', 'order_column', 'column_3')
    >>> safe_name("客户ID", "column_1", ())
    'user_id'
    """
    name = re.sub(r"[^a-z0-9]+", "_", _english(plain(header)).lower()).strip("_")[:MOST_LETTERS].strip("_") or otherwise
    name = name if name[0].isalpha() else f"n_{name}"
    if name in RESERVED or name in keywords or not _is_column(name):
        name += "_column"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _english(words: str) -> str:
    """Return a header in English as far as the dictionary goes: the whole, or word by word; nothing where a part is not in it."""
    if words.isascii():
        return words
    if (entry := _whole().get(words)) is not None:
        return entry.en[0]
    found: list[str] = []
    for run in re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]+", words):
        while run and not run.isascii():
            length = next((n for n in range(len(run), 0, -1) if run[:n] in _whole()), 0)
            if not length:
                return ""
            found.append(_whole()[run[:length]].en[0])
            run = run[length:]
        found += [run] if run else []
    return " ".join(found)


def _is_column(name: str) -> bool:
    try:
        return isinstance(one_tree(name), exp.Column)
    except (sqlglot.ParseError, sqlglot.TokenError):
        return False


def dataset_words(stem: str) -> Text:
    """Return what a file is called, in both languages where the dictionary has its name."""
    words, shown = plain(stem), stem.strip()[:LONGEST_LABEL] or "data"
    for entry in entries():
        if entry.role == "dataset" and words in map(plain, (*entry.en, *entry.zh)):
            return Text(entry.en[0], entry.zh[0] if shown.isascii() else shown)
    return Text(shown.replace("_", " "), shown)
