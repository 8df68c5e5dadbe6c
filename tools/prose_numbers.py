"""Owns finding the numbers in a sentence, in digits or words, Chinese or English, each with how precisely it is written.

Knows nothing of tables: what a number must agree with is prose_check's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Form = Literal["plain", "money", "percent", "points", "times", "rank", "top"]
Bound = Literal["", "about", "over", "under"]

SCALES = {
    "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8, "k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9,
    "billion": 1e9, "hundred": 1e2,
}  # fmt: skip
DIGITS = {char: i for i, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
TENS = {"十": 10, "百": 100, "千": 1000}
WORDS = {
    word: i for i, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12}  # fmt: skip
PORTIONS = {  # as percent
    "half": 50.0, "a third": 100 / 3, "one third": 100 / 3, "one-third": 100 / 3, "two thirds": 200 / 3, "two-thirds": 200 / 3, "a quarter": 25.0,
    "one quarter": 25.0, "one-quarter": 25.0, "a fifth": 20.0, "three quarters": 75.0, "three-quarters": 75.0, "一半": 50.0, "过半": 50.0, "半数": 50.0,
}  # fmt: skip
MULTIPLES = {
    "twice": 2.0, "double": 2.0, "doubled": 2.0, "triple": 3.0, "tripled": 3.0, "quadruple": 4.0, "翻倍": 2.0, "翻番": 2.0, "翻了一番": 2.0, "翻了一倍": 2.0,
    "一倍": 1.0,
}  # fmt: skip
ORDINALS = {word: i for i, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), 1)}
# Words with a numeral that count nothing.
IDLE = re.compile(
    r"进一步|一些|一般|一起|一直|一致|统一|一定|同一|唯一|之一|一样|一方面|另一|一旦|一共|一路|逐一|一线|二线|三线|十分|万一|一目了然|一年四季|一个|一种|一段|一季度|二季度|三季度|四季度"
    r"|周[一二三四五六日]|星期[一二三四五六日]|双十一|双十二|一月|二月|三月|四月|五月|六月|七月|八月|九月|十月|十一月|十二月|十一(?=月)|十二(?=月)"
    r"|\b(?:one of|no one|each one|at first|first of all|second to none|from first to last|the second half|the first half|once)\b",
    re.IGNORECASE,
)
CHINESE = "零〇一二两三四五六七八九十百千万亿"
NUMBER = re.compile(
    rf"""(?P<sign>[-−+])?\s?(?P<currency>[¥￥$€£])?\s?
    (?:(?P<rank>第|no\.\s?|\#|排名|位列第|top\s|前)\s?)?
    (?:(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)|(?P<chinese>[{CHINESE}]+(?:点[{CHINESE}]+)?)|(?P<words>\b(?:{"|".join(WORDS)})\b))
    \s?(?P<scale>百万|千万|[千万亿]|(?:thousand|million|billion|hundred|bn|mn|[kmb])\b)?
    \s?(?P<unit>个?百分点|pp\b|percentage\spoints?|%|％|percent\b|per\scent\b|成(?![交功本为立员])|倍|times\b|x\b|(?:st|nd|rd|th)\b)?""",
    re.IGNORECASE | re.VERBOSE,
)
PERCENT_OF = re.compile(rf"百分之(?P<chinese>[{CHINESE}]+(?:点[{CHINESE}]+)?|\d+(?:\.\d+)?)")
PARTS_OF = re.compile(rf"(?P<whole>[{CHINESE}]+)分之(?P<part>[{CHINESE}]+)")
ABOUT = re.compile(r"(约|大约|近似|差不多|左右|about|around|roughly|approximately|some|~)\s*$", re.IGNORECASE)
OVER = re.compile(r"(超过|超|逾|多于|高于|over|more than|above|at least|exceed(?:s|ed|ing)?|just over)\s*$", re.IGNORECASE)
UNDER = re.compile(r"(不到|近|接近|将近|低于|少于|不足|nearly|almost|under|less than|below|close to|just under)\s*$", re.IGNORECASE)
TAIL = re.compile(r"^\s*(左右|上下|or so)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentioned:
    """Hold one number of a sentence: its size, the half of its last digit's place, and what kind of number it is.

    `signed` says that its sign is written; `bound` whether it is said to be about, over or under so much.
    """

    text: str
    start: int
    end: int
    value: float
    slack: float
    form: Form
    signed: bool = False
    bound: Bound = ""


def mentioned_numbers(sentence: str) -> tuple[Mentioned, ...]:
    """Return the numbers of a sentence in order.

    >>> [(n.form, n.value) for n in mentioned_numbers("抖音为 ¥24.1万，占 28.3%，是微信的三倍")]
    [('money', 241000.0), ('percent', 28.3), ('times', 3.0)]
    >>> [(n.form, n.value, n.bound) for n in mentioned_numbers("over 1.2 million orders, up 3 pp; half of them new")]
    [('plain', 1200000.0, 'over'), ('points', 3.0, ''), ('percent', 50.0, 'about')]
    """
    text = IDLE.sub(lambda found: "□" * len(found.group()), sentence)
    found: list[Mentioned] = []
    for number in (*_portions(text), *_digits(text)):
        if not any(number.start < other.end and other.start < number.end for other in found):
            found.append(number)
    return tuple(sorted(found, key=lambda number: number.start))


def _portions(text: str) -> Iterator[Mentioned]:
    """Yield the shares and multiples that are words."""
    for match in PARTS_OF.finditer(text):
        whole, part = _chinese(match["whole"]), _chinese(match["part"])
        if whole:
            yield _mention(text, match.start(), match.end(), part / whole * 100, 0.5, "percent", bound="about")
    for match in PERCENT_OF.finditer(text):
        said = match["chinese"]
        value = float(said) if said[0].isdigit() else _chinese(said)
        decimals = len(re.split("[.点]", said)[1]) if re.search("[.点]", said) else 0
        yield _mention(text, match.start(), match.end(), value, 0.5 * 10**-decimals, "percent")
    listed: tuple[tuple[dict[str, float], Form, float], ...] = ((PORTIONS, "percent", 1.0), (MULTIPLES, "times", 0.05))
    for words, form, slack in listed:
        for word in sorted(words, key=len, reverse=True):
            pattern = rf"\b{word}\b" if word.isascii() else word
            for match in re.finditer(pattern, text, re.IGNORECASE):
                value = words[word]
                yield _mention(text, match.start(), match.end(), value, slack, form, bound="over" if word == "过半" else "about" if form == "percent" else "")
    for match in re.finditer(rf"\b(?:{'|'.join(ORDINALS)})\b", text, re.IGNORECASE):
        yield _mention(text, match.start(), match.end(), ORDINALS[match.group().lower()], 0.0, "rank")


def _digits(text: str) -> Iterator[Mentioned]:
    for match in NUMBER.finditer(text):
        said = match["digits"] or match["chinese"] or match["words"]
        unit, scale = (match["unit"] or "").lower(), SCALES.get((match["scale"] or "").lower(), 1.0)
        if match["digits"]:
            plain = said.replace(",", "")
            value, decimals = float(plain), len(plain.partition(".")[2])
            slack = 0.5 * 10**-decimals
        elif match["chinese"]:
            value, slack = _chinese(said), 0.5 if "点" not in said else 0.05
            if said[-1] in "万亿" or (len(said) > 1 and said[-1] in "百千"):
                slack = 0.5 * {"百": 100, "千": 1000, "万": 1e4, "亿": 1e8}[said[-1]]
        else:
            value, slack = float(WORDS[said.lower()]), 0.5
        if "分点" in unit or unit.startswith(("pp", "percentage")):
            form: Form = "points"
        elif unit in ("%", "％", "percent", "per cent"):
            form = "percent"
        elif unit == "成":
            form, value, slack = "percent", value * 10, 5.0
        elif unit in ("倍", "times", "x"):
            form, slack = "times", min(slack, 0.5)
        elif match["rank"] and match["rank"].strip().lower() in ("top", "前"):
            form = "top"
        elif match["rank"] or unit in ("st", "nd", "rd", "th"):
            form = "rank"
        else:
            form = "money" if match["currency"] else "plain"
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        sign = match["sign"]
        before = text[: match.start()]
        is_range = sign in ("-", "−") and before[-1:].isdigit()
        yield _mention(
            text, start, match.end(), (-1 if sign in ("-", "−") and not is_range else 1) * value * scale, slack * scale,
            form, signed=bool(sign) and not is_range,
        )  # fmt: skip


def _mention(
    text: str, start: int, end: int, value: float, slack: float, form: Form, *, signed: bool = False, bound: Bound = ""
) -> Mentioned:
    before, after = text[:start].rstrip(), text[end:]
    if not bound:
        if ABOUT.search(before) or TAIL.match(after):
            bound = "about"
        elif OVER.search(before) or after.lstrip().startswith(("多", "余", "以上")):
            bound = "over"
        elif UNDER.search(before):
            bound = "under"
    return Mentioned(
        text=text[start:end].strip(), start=start, end=end, value=value, slack=slack, form=form, signed=signed, bound=bound
    )  # fmt: skip


def _chinese(said: str) -> float:
    """Return a number written in Chinese numerals.

    >>> _chinese("三百二十"), _chinese("一万五千"), _chinese("二点五"), _chinese("十二")
    (320.0, 15000.0, 2.5, 12.0)
    """
    whole, _, decimals = said.partition("点")
    total = section = digit = 0
    for char in whole:
        if char in DIGITS:
            digit = digit * 10 + DIGITS[char] if digit and whole.isdigit() else DIGITS[char]
        elif char in TENS:
            section += (digit or 1) * TENS[char]
            digit = 0
        else:
            total = (total + section + digit or 1) * (10_000 if char == "万" else 100_000_000)
            section = digit = 0
    value = float(total + section + digit)
    return value + sum(DIGITS.get(char, 0) * 0.1**i for i, char in enumerate(decimals, 1))
