"""Owns choosing the part of a model that a question may be about: the short catalogue a language model gets to read.

Knows nothing of prompts. Personal columns are in no catalogue.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from wenshu.assistant.question import normalise
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.describe import definition
from wenshu.semantic_layer.metrics import Metric
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.time_parts import TIME_PARTS

MOST_METRICS, MOST_DIMENSIONS, MOST_NEAR, MOST_VALUES, MOST_NEAR_VALUES = 120, 60, 6, 12, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Hold the names that a plan may use beside those the words support; `near` are the metrics nearest to the words."""

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    near: tuple[str, ...]


def whole_catalogue(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metrics and dimensions that a model's prompts may name, the first ones of a very large model.

    Of the dimensions those that people name values of, without keys, numbers and dates: these need words of their own.
    """
    names = (name for name, dimension in _dimensions(model) if dimension.values or dimension.indexed)
    return tuple(m.name for m in model.metrics)[:MOST_METRICS], tuple(dict.fromkeys(names))[:MOST_DIMENSIONS]


def catalogue_of(model: Model, words: Iterable[str], linked: Iterable[str]) -> Catalogue:
    """Return what a question's unexplained words may be about; `linked` are the names that its other words stand for."""
    metrics, dimensions = whole_catalogue(model)
    grams = {gram for word in words for gram in _grams(word)}
    scored = sorted(((-_overlap(grams, _words_of(metric, model)), i, metric.name) for i, metric in enumerate(model.metrics)))
    near = [name for score, _, name in scored if score < 0][:MOST_NEAR]
    near += [name for name in model.headline if name not in near]
    listed = [
        (name, str(value.value))
        for name, dimension in _dimensions(model)
        if 0 < len(dimension.values) <= MOST_VALUES and dimension.indexed
        for value in dimension.values
    ][:MOST_NEAR_VALUES]
    known = (name.partition("[")[0] for name in linked)
    return Catalogue(
        metrics=tuple(dict.fromkeys((*known, *near, *metrics)))[: MOST_METRICS + MOST_NEAR],
        dimensions=dimensions,
        values=tuple(listed),
        near=tuple(dict.fromkeys(near)),
    )


def _dimensions(model: Model) -> Iterator[tuple[str, Dimension]]:
    binder = Binder(model, date.min)
    names = [dimension.name for dimension in model.dimensions]
    for dimension in model.dimensions:
        if not dimension.pii:
            name = dimension.name
            yield dimension.qualified if names.count(name) > 1 else binder.canonical(dimension.qualified), dimension


def is_dimension(name: str, model: Model) -> bool:
    return name in TIME_PARTS or any(name in (known, d.name) for known, d in _dimensions(model))


def _words_of(metric: Metric, model: Model) -> str:
    said = definition(metric, model)
    return " ".join((metric.name.replace("_", " "), metric.label.en, metric.label.zh, *metric.synonyms, said.en, said.zh))


def _overlap(grams: set[str], text: str) -> float:
    """Return how many of the grams a text has, the long ones and those of few words first.

    >>> _overlap(_grams("复购的人"), "复购率") > _overlap(_grams("复购的人"), "购买人数")
    True
    """
    found = grams & _grams(text)
    return sum(len(gram) ** 2 for gram in found) / (1 + len(text) / 200)


def _grams(text: str) -> set[str]:
    """Return a text's English words, by their stems, and its pairs of Chinese characters."""
    text = normalise(text)
    words = {word[:6] for word in "".join(c if c.isascii() and c.isalpha() else " " for c in text).split() if len(word) > 2}
    chinese = "".join(c if c > "\u3400" else " " for c in text)
    return words | {chinese[i : i + 2] for i in range(len(chinese) - 1) if " " not in chinese[i : i + 2]}
