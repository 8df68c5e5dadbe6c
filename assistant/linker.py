"""Owns linking: finding in a question every word of the model, the data and the grammar, with the span that proves it.

A question becomes tokens (a word, a number, a Chinese character), a vocabulary is a trie of token sequences, and of all
overlapping matches the cover with the longest words wins. What no match covers and is not filler is reported.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from math import isfinite
from typing import Any, Literal

import yaml

from wenshu.assistant.asides import without_asides
from wenshu.assistant.numerals import CHINESE_NUMBER, ENGLISH_COUNTS
from wenshu.assistant.numerals import number as read_number
from wenshu.assistant.question import normalise
from wenshu.assistant.timephrases import TimePhrase, find_time_phrases
from wenshu.semantic_layer.metric_parameters import parameter
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Language, Synonyms, Text

Kind = Literal["metric", "dimension", "value", "dataset", "absent", "withheld", "word", "time", "number"]
TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*|[a-z]+(?:'[a-z]+)*|[〇零一二两三四五六七八九十百]{2,}(?!季)|>=|<=|->|[→%><=~&、–+-]|[^\s\W]"
)
HYPHEN = re.compile(r"(?<=[a-z0-9])[-_](?=[a-z])")  # loyal-at-risk is loyal at risk, sign_up is sign up
COMPARING = ("above", "below", "at_least", "at_most")
BREAKS = "，。？！；（）"  # noqa: RUF001 - no phrase goes on past these
MEASURES = "人单笔件次条个天位名家台张种款元块户场只座间"  # what 多少 counts when it is followed by one of them
MOST_DIGITS = 40  # of a Chinese numeral
EXACT = ("in_order",)  # classes whose words are taken as they are, without endings
TIMES = {"once": 1.0, "twice": 2.0, "thrice": 3.0}
SLOT = "{n}"  # in a phrase of the model: any number


@dataclass(frozen=True, slots=True)
class Token:
    """Hold one token of a normalised text and the key it is matched by."""

    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class Target:
    """Name what a phrase stands for: a metric (at a grain, perhaps), dimension, value of a dimension, dataset or word class."""

    kind: Kind
    name: str
    value: Any = None
    grain: Grain | None = None

    def numbered(self, n: int | None) -> "Target":
        """Return the target with a number in its name's parameters, as in `retention[n=30]`."""
        return self if n is None else replace(self, name=f"{self.name}[n={n}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Hold one stretch of the question and what it may stand for; `text` is as the asker wrote it."""

    start: int
    end: int
    text: str
    targets: tuple[Target, ...] = ()
    time: TimePhrase | None = None
    number: float | None = None

    def of(self, *kinds: Kind) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if target.kind in kinds)

    def is_word(self, *classes: str) -> bool:
        return any(target.kind == "word" and target.name in classes for target in self.targets)

    @property
    def is_filler(self) -> bool:
        """Say whether the mention carries no content: filler that is no other word of the grammar either."""
        words = {target.name for target in self.targets if target.kind == "word"}
        return "filler" in words and words <= {"filler", "entered", "begins", "occasion", "including", "was_here", "one_day", "decade", "every_one", "everyone", "unfiltered", "unlimited_tail", "limitation"} and len(words) == len(self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedQuestion:
    """Hold the mentions of a question in order, and the words that nothing covers."""

    text: str
    mentions: tuple[Mention, ...]
    unknown: tuple[str, ...]


def tokenise(text: str) -> tuple[Token, ...]:
    """Cut a normalised text into tokens.

    >>> [token.key for token in tokenise("top 5 cities的gmv")]
    ['top', '5', 'city', '的', 'gmv']
    >>> [token.key for token in tokenise("first-time buyers")]
    ['first', 'time', 'buyer']
    """
    found = (match for match in TOKEN.finditer(text) if not HYPHEN.match(text, match.start()))
    return tuple(Token(match.start(), match.end(), stem(match.group())) for match in found)


@lru_cache(maxsize=1 << 16)
def _path(phrase: str) -> tuple[str, ...]:
    """Return the keys by which a phrase is matched, its slots among them; kept, as vocabularies share most of their phrases."""
    first, *rest = phrase.split(SLOT)
    return (*_keys(normalise(first)), *(key for part in rest for key in (SLOT, *_keys(normalise(part.lstrip("-"))))))


def _keys(text: str) -> Iterable[str]:
    """Return the keys of a normalised text's tokens."""
    return (token.key for token in tokenise(text)) if "-" in text or "_" in text else map(stem, TOKEN.findall(text))


@cache
def stem(word: str) -> str:
    """Return what a token is matched by: English words without possessive and plural endings."""
    word = word.removesuffix("'s")
    if len(word) > 3 and word.isascii() and word[0].isalpha():
        if word.endswith("ies"):
            return word[:-3] + "y"
        if word.endswith("s") and not word.endswith(("ss", "us", "is")) and word != "news":
            return word[:-1]
    return word


@dataclass(slots=True)
class _Node:
    following: dict[str, "_Node"] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)


class Vocabulary:
    """Hold every phrase of a model, its data and the lexicons, for one matching pass over a question."""

    def __init__(self, model: Model, values: Iterable[tuple[str, str]] = ()) -> None:
        """`values` are (qualified dimension, value) pairs found in the data."""
        self._root = _Node()
        self.names: set[str] = set()  # of things in the model and the data, not of the grammar
        self.banded = {d.qualified: d.name for d in model.dimensions if d.bands}
        for phrase, target in (*_lexicon_phrases(), *model_phrases(model)):
            self._add(phrase, target)
        for dimension, value in values:
            self._add(value, Target("value", dimension, value))

    def _add(self, phrase: str, target: Target) -> None:
        node = self._root
        for key in _path(phrase):
            if (following := node.following.get(key)) is None:
                following = node.following[key] = _Node()
            node = following
        if node is not self._root and target not in node.targets:
            node.targets.append(target)
            if target.kind in ("metric", "dimension", "value") and SLOT not in phrase:
                self.names.add(phrase)

    def is_open_band(self, target: Target) -> bool:
        """Say whether a value is the first or last of bands (under 100), which may be said of any number."""
        return target.kind == "value" and target.name in self.banded and str(target.value).startswith("under ") | str(target.value).endswith(" and over")

    def matches(self, tokens: tuple[Token, ...]) -> Iterator[tuple[int, int, tuple[Target, ...]]]:
        """Yield (first token, one past the last, targets) of every phrase that occurs, with the number in its slot."""
        for start in range(len(tokens)):
            here: list[tuple[_Node, int | None]] = [(self._root, None)]
            for end in range(start, len(tokens)):
                key = tokens[end].key
                number = _number(key) if any(SLOT in node.following for node, _ in here) else None
                following = [(node.following[key], n) for node, n in here if key in node.following]
                if number is not None and number == int(number):
                    following += [(node.following[SLOT], int(number)) for node, _ in here if SLOT in node.following]
                if not following:
                    break
                here = following
                targets = tuple(target.numbered(n) for node, n in here for target in node.targets)
                if targets:
                    yield start, end + 1, targets


def model_phrases(model: Model) -> Iterator[tuple[str, Target]]:
    def words(name: str, label: Text, synonyms: Synonyms) -> Iterator[str]:
        plain = (name.replace("_", " "),) if "_of_" not in name else ()  # “orders of users” are two nouns
        yield from dict.fromkeys((label.en, label.zh, *plain, *synonyms))

    for metric in model.metrics:
        for phrase in words(metric.name, metric.label, metric.synonyms):
            if SLOT in phrase or parameter(metric) is None or not metric.at_number:
                yield phrase, Target("metric", metric.name)
        for grain, synonyms in metric.at_grain:
            for phrase in synonyms:
                yield phrase, Target("metric", metric.name, grain=grain)
        for number, synonyms in metric.at_number:
            for phrase in synonyms:
                yield phrase, Target("metric", f"{metric.name}[n={number}]")
    for dataset in model.datasets:
        for phrase in words(dataset.name, dataset.label, dataset.synonyms):
            yield phrase, Target("dataset", dataset.name)
        for dimension in dataset.dimensions:
            for phrase in words(dimension.name, dimension.label, dimension.synonyms):
                yield phrase, Target("dimension", dimension.name)
            for value in dimension.values:
                for phrase in words(str(value.value), value.label, value.synonyms):
                    yield phrase, Target("value", dimension.qualified, value.value)
                if dataset.is_segment:  # as long as “at-risk customers” is, which “loyal at risk customers” does not mean
                    for noun in ("customers", "users"):
                        yield f"{value.label.en} {noun}", Target("value", dimension.qualified, value.value)
            for label, synonyms, values in dimension.groups:
                for phrase in (label.en, label.zh, *synonyms):
                    for grouped in values:
                        yield phrase, Target("value", dimension.qualified, grouped)
    for withheld in (*model.withheld_metrics, *model.withheld_dimensions):
        for phrase in words(withheld.name, withheld.label, withheld.synonyms):
            yield phrase, Target("withheld", withheld.name)
    for i, (label, synonyms) in enumerate(model.absent):
        for phrase in (label.en, label.zh, *synonyms):
            yield phrase, Target("absent", str(i))


@cache
def _lexicon(language: Language) -> dict[str, list[str]]:
    text = files("wenshu.assistant").joinpath(f"lexicon/{language}.yml").read_text("utf-8")
    words: dict[str, list[str]] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return words


def words_of(word_class: str) -> frozenset[str]:
    """Return the words of a class, in both languages."""
    return frozenset(str(word) for language in ("zh", "en") for word in _lexicon(language).get(word_class, ()))


def _lexicon_phrases() -> Iterator[tuple[str, Target]]:
    for language in ("zh", "en"):
        for word_class, phrases in _lexicon(language).items():
            for phrase in phrases:
                yield str(phrase), Target("word", word_class)


def link(text: str, vocabulary: Vocabulary, *, as_of: date, language: Language) -> LinkedQuestion:
    """Return the best cover of a question by phrases; `QueryError` where it names an impossible date."""
    normal = normalise(text)
    tokens = tokenise(normal)
    candidates: list[tuple[int, int, Mention]] = []
    times: list[tuple[int, int]] = []
    matches = tuple(vocabulary.matches(tokens))
    compared = {past for _, past, targets in matches if any(t.kind == "word" and t.name in (*COMPARING, "exactly") for t in targets)}
    decimals = [tokens[i] for i in compared if i < len(tokens) and "." in tokens[i].key]
    dated = normal
    for token in decimals:  # below 3.9 in 2026 names no ninth of March
        dated = dated[: token.start] + " " * (token.end - token.start) + dated[token.end :]
    for phrase in find_time_phrases(dated, as_of=as_of, language=language):
        inside = [i for i, token in enumerate(tokens) if token.start < phrase.end and token.end > phrase.start]
        if inside and phrase.text.isdecimal() and inside[0] in compared:
            continue  # 超过2000 is no year
        if inside and tokens[inside[0]].start < phrase.start:
            continue  # the rest of a word, such as the third quarter in 二三季度
        if inside:
            mention = Mention(start=phrase.start, end=phrase.end, text=text[phrase.start : phrase.end], time=phrase)
            candidates.append((inside[0], inside[-1] + 1, mention))
            if phrase.period is not None:
                times.append((inside[0], inside[-1] + 1))
    dimensions = {t.name for _, _, targets in matches for t in targets if t.kind == "dimension"}
    ones = {i for i, t in enumerate(tokens) if t.key == "one" and (i in compared or normal[t.end : t.end + 1] == "-")}  # exactly one order, one-star reviews
    for first, past, targets in matches:
        if past - first == 1 and first in ones:
            continue
        targets = tuple(t for t in targets if not vocabulary.is_open_band(t) or vocabulary.banded[t.name] in dimensions)
        if not targets or any(begin < first < end < past for begin, end in times):
            continue  # 9月|活跃用户数 is a month and a metric, not 9 and 月活跃用户数
        start, end = tokens[first].start, tokens[past - 1].end
        if any(mark in text[start:end] for mark in BREAKS) or ("," in text[start:end] and not any(t.kind == "value" for t in targets)):
            continue
        if any(t.name in EXACT for t in targets if t.kind == "word") and normal[start:end] not in words_of("in_order"):
            continue  # "anomalies in orders" are not in order
        ahead = tokens[past].key if past < len(tokens) and tokens[past].start == end else ""
        if ahead and ahead in MEASURES and text[start:end].endswith("多少") and any(t.kind == "metric" for t in targets):
            continue  # 优惠了多少|人 is no amount
        candidates.append((first, past, Mention(start=start, end=end, text=text[start:end], targets=targets)))
    for i, token in enumerate(tokens):
        number = 1.0 if i in ones else _number(token.key)
        if number is not None:
            counted = (Target("word", "count_word"),) if token.key in TIMES else ()
            mention = Mention(start=token.start, end=token.end, text=token.key, number=number, targets=counted)
            candidates.append((i, i + 1, mention))
    chosen = _best_cover(tokens, candidates)
    covered = {i for first, past, _ in chosen for i in range(first, past)}
    return LinkedQuestion(
        text=text,
        mentions=without_asides(tuple(mention for _, _, mention in chosen), text, as_of),
        unknown=tuple(_unknown(text, tokens, covered)),
    )


def _number(word: str) -> float | None:
    """Return the number a token is, in digits, Chinese numerals or an English word (not “one”, a pronoun more often), or None."""
    if word in TIMES:
        return TIMES[word]
    if word and word[0].isdigit():
        plain = word.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", word) else word
        try:
            return finite if isfinite(finite := float(plain)) else None
        except ValueError:
            return None
    if word in ENGLISH_COUNTS or (word and len(word) <= MOST_DIGITS and re.fullmatch(CHINESE_NUMBER, word)):
        return float(read_number(word))
    return None


def _best_cover(
    tokens: tuple[Token, ...], candidates: list[tuple[int, int, Mention]]
) -> list[tuple[int, int, Mention]]:
    """Choose non-overlapping mentions with the largest sum of squared lengths; content wins over filler at a tie."""
    ending: dict[int, list[tuple[int, int, Mention]]] = {}
    for candidate in candidates:
        ending.setdefault(candidate[1], []).append(candidate)
    best: list[tuple[float, tuple[int, int, Mention] | None]] = [(0.0, None)]
    for past in range(1, len(tokens) + 1):
        choice: tuple[float, tuple[int, int, Mention] | None] = (best[past - 1][0], None)
        for candidate in ending.get(past, ()):
            score = best[candidate[0]][0] + _weight(candidate[2])
            if score > choice[0]:
                choice = (score, candidate)
        best.append(choice)
    chosen: list[tuple[int, int, Mention]] = []
    past = len(tokens)
    while past > 0:
        taken = best[past][1]
        if taken is None:
            past -= 1
        else:
            chosen.append(taken)
            past = taken[0]
    return chosen[::-1]


def _weight(mention: Mention) -> float:
    length = sum(2 if ord(char) > 0x2E80 else 1 for char in mention.text if not char.isspace())
    bonus = (
        0.6 if mention.time else 0.4 if mention.targets and not mention.is_filler else 0.2 if mention.targets else 0.1
    )
    denied = length / 8 if mention.is_word("none") else 0.0  # 没再|买, not 没|再买
    return length**2 + denied + bonus


def _unknown(text: str, tokens: tuple[Token, ...], covered: set[int]) -> Iterator[str]:
    """Yield the stretches of word tokens that no mention covers, as the asker wrote them."""
    run: list[Token] = []
    for i, token in enumerate((*tokens, None)):
        is_word = (
            token is not None and i not in covered and (token.key.isalnum() or "'" in token.key or "_" in token.key)
        )
        if is_word and token is not None and (not run or _adjacent(text, run[-1], token)):
            run.append(token)
            continue
        if run:
            yield text[run[0].start : run[-1].end]
        run = [token] if is_word and token is not None else []


def _adjacent(text: str, left: Token, right: Token) -> bool:
    return not text[left.end : right.start].strip()
