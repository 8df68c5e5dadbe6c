"""Owns the sentiment of texts, learnt from texts that were rated: how likely each is to be a positive one.

Texts in, numbers out. Logistic regression (Hastie, Tibshirani and Friedman, 2009, section 4.4) over the weights tf-idf of Chinese
characters and English words, alone and beside each other. Every text is judged by a model that has not seen
it (cross-validation by text, ibid., section 7.10), so that the accuracy is that on texts held out.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from wenshu.tools.insight.insight import library_missing

FOLDS = 5
MANY_TEXTS = 200  # different ones, from which on none is both learnt from and tested on
MOST_LEARNT = 20_000  # different texts
STRENGTH = 4.0  # of a text against the penalty: C of a logistic regression
CHARACTERS = "\u3040-\u30ff\u3400-\u9fff"  # of scripts that put no space between words
LETTERS = rf"[^\W_{CHARACTERS}]+(?:['’][^\W_{CHARACTERS}]+)*"
RUN = re.compile(rf"[{CHARACTERS}]+|{LETTERS}(?:[ -]+{LETTERS})*")
WORD = re.compile(LETTERS)
MARK = re.compile(r"[^\w\s]|_")
Rated = Mapping[tuple[str, bool], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentiment:
    """Hold the chance of each text to be a positive one, by models that have not seen it, and how often they are right.

    `recalls` are the shares of negative and of positive texts that are told right, `texts` how many there were held out
    and `different` how many different ones; `repeats` says that they are so few that the same stand on both sides.
    """

    chances: Mapping[str, float]
    right: int
    texts: int
    recalls: tuple[float, float]
    larger: float
    different: int
    repeats: bool

    @property
    def accuracy(self) -> float:
        return self.right / self.texts

    @property
    def balanced(self) -> float:
        """Return the mean of both recalls, one half where the texts tell nothing."""
        return sum(self.recalls) / 2


def plain(text: str) -> str:
    """Return a text as it is compared: one width, lower case.

    >>> plain("ＯＫ，很好")
    'ok,很好'
    """
    return unicodedata.normalize("NFKC", text).lower()


def is_characters(run: tuple[str, ...]) -> bool:
    """Say whether a stretch is of characters, not of words."""
    return "\u3040" <= run[0][0] <= "\u9fff"


def runs(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the stretches of a plain text between punctuation, as Chinese characters or as words.

    >>> list(runs("送餐慢,it's too cold"))
    [('送', '餐', '慢'), ("it's", 'too', 'cold')]
    """
    for found in RUN.findall(text):
        yield tuple(found) if is_characters((found,)) else tuple(WORD.findall(found))


def features(text: str) -> Iterator[str]:
    """Yield the characters and words of a text, alone, in pairs and, of characters, in threes, and its marks: ！, 👍."""
    shown = plain(text)
    yield from MARK.findall(shown)
    for run in runs(shown):
        for size in range(1, 4 if is_characters(run) else 3):
            for at in range(len(run) - size + 1):
                yield " ".join(run[at : at + size])


def learn_sentiment(rated: Rated, others: Collection[str] = ()) -> Sentiment:
    """Return the sentiment of texts and how sure it is: `rated` counts rows by text and whether rated well, `others` have no rating.

    Both kinds must be there. Neither kind weighs more for being more: a text that says nothing is given one half.
    """
    np, linear, text = _libraries()
    texts = sorted({text for text, _ in rated}, key=lambda text: (crc32(text.encode()), text))
    rarer = sum(outcome for _, outcome in rated) * 2 < len(rated)
    rare, usual = ([text for text in texts if ((text, rarer) in rated) is kind] for kind in (True, False))
    texts = [*rare[: MOST_LEARNT // 2], *usual][:MOST_LEARNT]
    dealt = {text: at for at, text in enumerate(texts)}
    items = sorted(item for item in rated if item[0] in dealt)
    repeats = len(texts) < MANY_TEXTS
    places = dealt | {text: len(texts) + at for at, text in enumerate(sorted({*others, *(text for text, _ in rated)} - dealt.keys()))}
    counts = text.HashingVectorizer(analyzer=features, n_features=2**20, alternate_sign=False, norm=None).transform(places)
    matrix = text.TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, np.unique(counts.indices)])
    rows = np.array([places[text] for text, _ in items])
    outcomes = np.array([outcome for _, outcome in items])
    folds = np.array([_in_folds(dealt[text], rated[text, outcome], repeats) for text, outcome in items])
    found = np.zeros((len(places), FOLDS))
    for fold in range(FOLDS):
        weights = (folds.sum(axis=1) - folds[:, fold]).astype(float)
        kept = weights > 0
        total = weights.sum()
        for kind in (False, True):  # neither kind weighs more
            weights[outcomes == kind] *= total / 2 / weights[outcomes == kind].sum()
        model = linear.LogisticRegression(C=STRENGTH, solver="liblinear", dual=not repeats, tol=0.01, max_iter=1_000, random_state=0)
        model.fit(matrix[rows[kept]], outcomes[kept], sample_weight=weights[kept])
        found[:, fold] = model.predict_proba(matrix)[:, 1]
    right = (folds * ((found[rows] > 0.5) == outcomes[:, None])).sum(axis=1)
    held = folds.sum(axis=1)
    seen = np.zeros_like(found)
    np.add.at(seen, rows, folds)
    chances = np.where(seen.sum(axis=1) > 0, (found * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1), found.mean(axis=1))
    of_kind = [(float(right[outcomes == kind].sum()), float(held[outcomes == kind].sum())) for kind in (False, True)]
    return Sentiment(
        chances={text: float(chances[at]) for text, at in places.items()}, right=int(right.sum()), texts=int(held.sum()),
        recalls=(of_kind[0][0] / of_kind[0][1], of_kind[1][0] / of_kind[1][1]), larger=max(count for _, count in of_kind) / float(held.sum()),
        different=len(texts), repeats=repeats,
    )  # fmt: skip


def _in_folds(place: int, count: int, repeats: bool) -> list[int]:
    """Return how many of a text's rows each fold holds out: all in one fold, or dealt out where texts are few and repeat."""
    if not repeats:
        return [count if fold == place % FOLDS else 0 for fold in range(FOLDS)]
    return [(count + (place - fold) % FOLDS) // FOLDS for fold in range(FOLDS)]


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import numpy as np
        from sklearn import linear_model
        from sklearn.feature_extraction import text
    except ImportError:
        raise library_missing("scikit-learn") from None
    return np, linear_model, text
