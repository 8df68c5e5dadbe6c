"""Owns bilingual text: everything a person reads exists in English and Chinese. Knows nothing of models or queries."""

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
