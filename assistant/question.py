"""Owns a question as it arrives and its normal form. Knows nothing of models."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from wenshu.assistant.traditional import simplified
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language

MAX_LENGTH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Hold the last query of a conversation, or None where there was none yet."""

    query: Query | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Hold one question; `today` takes the place of the model's `as_of`, `conversation` names the thread it belongs to.

    `context` is what the question may build on, from a door that keeps its conversations itself.
    """

    text: str
    language: Literal["zh", "en", "auto"] = "auto"
    today: date | None = None
    conversation: str | None = None
    user: str | None = None
    context: Context | None = None


def language_of(text: str) -> Language:
    """Return the language a question is written in: Chinese where it has any Chinese character.

    >>> language_of("Q3的GMV by channel"), language_of("GMV by channel")
    ('zh', 'en')
    """
    return "zh" if any("\u3400" <= char <= "\u9fff" for char in text) else "en"


def normalise(text: str) -> str:
    """Return the text in half-width, lower-case, simplified form, character for character.

    >>> normalise("ＧＭＶ　按渠道"), normalise("各城市的訂單數")
    ('gmv 按渠道', '各城市的订单数')
    """
    return "".join(map(_normal_character, text))


@lru_cache(maxsize=20_000)
def _normal_character(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).lower()
    if len(folded) != 1:
        return char
    return " " if folded.isspace() else simplified(folded)
