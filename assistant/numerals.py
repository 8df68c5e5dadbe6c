"""Owns numbers written in words, Chinese and English, cardinal and ordinal. Knows nothing of dates or of what is counted."""

import re

_CHINESE_DIGITS = dict(zip("〇零一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}

_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINAL_ONES = "first second third fourth fifth sixth seventh eighth ninth".split()
_ORDINAL_TEENS = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split()
)
_ORDINAL_TENS = [word[:-1] + "ieth" for word in _TENS]

_ENGLISH = {
    "a": 1,
    "an": 1,
    **{word: value for words in (_ONES, _ORDINAL_ONES) for value, word in enumerate(words, 1)},
    **{word: value for words in (_TEENS, _ORDINAL_TEENS) for value, word in enumerate(words, 10)},
    **{word: 10 * value for words in (_TENS, _ORDINAL_TENS) for value, word in enumerate(words, 2)},
}


def alternatives(words: list[str]) -> str:
    """Return a pattern of any one of `words`, the longest tried first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


ENGLISH_COUNTS = frozenset((*_ONES[1:], *_TEENS, *_TENS))  # “one” is a pronoun more often
CHINESE_NUMBER = "[〇零一二两三四五六七八九十百]+"
ENGLISH_NUMBER = f"(?:{alternatives(_TENS)})(?:[- ]?(?:{alternatives(_ONES)}))?|{alternatives(_ONES + _TEENS)}"
ENGLISH_ORDINAL = (
    f"(?:{alternatives(_TENS)})[- ]?(?:{alternatives(_ORDINAL_ONES)})"
    f"|{alternatives(_ORDINAL_ONES + _ORDINAL_TEENS + _ORDINAL_TENS)}"
)


def number(words: str) -> int:
    """Return the whole number that `words` spell; raise ValueError where they spell none.

    >>> [number(words) for words in ("30", "三十", "二零二六", "twenty-one", "22nd", "third", "a")]
    [30, 30, 2026, 21, 22, 3, 1]
    """
    digits = words.removesuffix("st").removesuffix("nd").removesuffix("rd").removesuffix("th")
    if digits.isascii() and digits.isdigit():
        return int(digits)
    if words[0] in _CHINESE_DIGITS or words[0] in _CHINESE_UNITS:
        return _chinese_number(words)
    return sum(_english_word(word) for word in re.split("[- ]+", words))


def _english_word(word: str) -> int:
    if word not in _ENGLISH:
        raise ValueError(f"“{word}” is not a number")
    return _ENGLISH[word]


def _chinese_number(words: str) -> int:
    """Read 二百三十 by its units, and 二零二六, which has none, digit by digit."""
    if not any(word in _CHINESE_UNITS for word in words):
        return int("".join(str(_CHINESE_DIGITS[word]) for word in words))
    total, digit = 0, 0
    for word in words:
        if word in _CHINESE_UNITS:
            total += (digit or 1) * _CHINESE_UNITS[word]
            digit = 0
        else:
            digit = _CHINESE_DIGITS[word]
    return total + digit
