"""Owns a question as it arrives and its normal form. Knows nothing of models."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from wenshu.semantic_layer.text import Language

MAX_LENGTH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Hold one question; `today` takes the place of the model's `as_of`, `conversation` names the thread it belongs to."""

    text: str
    language: Literal["zh", "en", "auto"] = "auto"
    today: date | None = None
    conversation: str | None = None
    user: str | None = None


def language_of(text: str) -> Language:
    """Return the language a question is written in: Chinese where it has any Chinese character.

    >>> language_of("Q3的GMV by channel"), language_of("GMV by channel")
    ('zh', 'en')
    """
    return "zh" if any("\u3400" <= char <= "\u9fff" for char in text) else "en"


def normalise(text: str) -> str:
    """Return the text in half-width, lower-case, simplified form, character for character.

    >>> normalise("ＧＭＶ　按渠道")
    'gmv 按渠道'
    """
    return "".join(map(_normal_character, text))


def _normal_character(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).lower()
    if len(folded) != 1:
        return char
    return " " if folded.isspace() else folded
