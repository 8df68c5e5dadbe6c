"""Owns bilingual text: everything a person reads exists in English and Chinese, and the words people use for it. Knows nothing of models or queries."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Text:
    """Hold one sentence or label in both languages.

    >>> Text("city", "城市").in_("zh")
    '城市'
    """

    en: str
    zh: str

    def in_(self, language: Language) -> str:
        """Return the wording in `language`."""
        return self.zh if language == "zh" else self.en

    def __str__(self) -> str:
        return self.en


def same(word: str) -> Text:
    """Return a text that reads alike in both languages, such as a name from the data."""
    return Text(word, word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synonyms:
    """Hold the other words people use for a thing, by language."""

    en: tuple[str, ...] = ()
    zh: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        yield from self.en
        yield from self.zh
