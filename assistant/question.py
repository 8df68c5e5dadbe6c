"""Owns a question as it arrives and its normal form. Knows nothing of models."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from wenshu.assistant.traditional import simplified
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language

MAX_LENGTH = 2_000
SPOKEN = {"俩": "两", "仨": "三"}  # 近俩月
ENGLISH_WORD = re.compile(r"[A-Za-z]{2,}")
CHINESE_GRAMMAR = re.compile("[的是多少哪各按分了吗呢在和与数率额量看比]|最近|上周|上月|本月|今年|去年")
# Control characters, half characters, and those that change how others are shown: an answer that quotes them would show something else.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Hold the questions that a clarification offers to choose from; `asked` is what was asked, `code` what it lacked."""

    asked: str
    code: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Hold the last query of a conversation, or None where there was none yet, and what the last answer offered."""

    query: Query | None
    offer: Offer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Hold one question; `today` takes the place of the model's `as_of`, `conversation` names the thread it belongs to.

    A space stands in the place of each character of the text that nobody sees.
    `context` is what the question may build on, from a door that keeps its conversations itself.
    """

    text: str
    language: Literal["zh", "en", "auto"] = "auto"
    today: date | None = None
    conversation: str | None = None
    user: str | None = None
    context: Context | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", UNSEEN.sub(" ", self.text))


def language_of(text: str) -> Language:
    """Return the language a question is written in: Chinese where it has more Chinese than names of things in it.

    >>> language_of("Q3的GMV by channel"), language_of("GMV by channel"), language_of("how many orders came from 沉睡唤醒短信")
    ('zh', 'en', 'en')
    """
    if not any("\u3400" <= char <= "\u9fff" for char in text):
        return "en"
    named_only = len(ENGLISH_WORD.findall(text)) >= 4 and not CHINESE_GRAMMAR.search(text)
    return "en" if named_only else "zh"


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
    return " " if folded.isspace() else SPOKEN.get(folded) or simplified(folded)
