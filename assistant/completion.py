"""Owns completion: which names of the model and the data, and which whole questions, continue what is being typed.

Knows nothing of pages or keys. What is personal is never offered, neither its name nor its values.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wenshu.assistant.linker import SLOT, Target, model_phrases, words_of
from wenshu.assistant.question import language_of, normalise
from wenshu.assistant.suggestions import Suggestions
from wenshu.semantic_layer.metrics import Metric
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.text import Language, Text

MOST = 8
MOST_NAMES = 5  # where questions match too
LONGEST = 24  # characters of a name typed so far that are looked at
SHORTEST_WORD = 2  # letters of an English word
KINDS = {"metric": Text("metric", "指标"), "dimension": Text("group by", "维度")}
QUESTION = Text("question", "问题")
WHEN = Text("last month", "上个月")

Kind = Literal["metric", "dimension", "value", "question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Offer `text` in the place of what was typed from `start` on; `note` says what it is."""

    text: str
    start: int
    kind: Kind
    note: str


@dataclass(frozen=True, slots=True)
class _Name:
    key: str
    text: str
    target: Target
    rank: tuple[int, bool, int]


class Completer:
    """Know the names of one model and the values of its data, for one asker."""

    def __init__(
        self, model: Model, values: Iterable[tuple[str, str]], examples: Mapping[Language, Iterable[str]]
    ) -> None:
        """`values` are (qualified dimension, value) pairs found in the data, `examples` questions that the asker may ask."""
        self._model = model
        self._examples = examples
        self._suggestions = Suggestions(model)
        self._dimensions = {d.qualified: d for d in model.dimensions}
        self._names = sorted(self._known(values), key=lambda name: name.key)
        self._keys = [name.key for name in self._names]

    def complete(self, typed: str, language: Language) -> tuple[Completion, ...]:
        """Return at most eight completions of a text up to where it is being typed, names before questions.

        The longest end of the text that begins a name is completed; names follow the script that is typed, and
        where that is neither Chinese nor a word of a name, the interface's language.
        """
        normal = normalise(typed)
        names: tuple[Completion, ...] = ()
        for start in _starts(normal):
            grouped = normal[:start].rstrip().endswith(tuple(words_of("by")))
            names = tuple(self._continuing(normal[start:], start, language, first="dimension" if grouped else None))
            if names:
                break
        asked = tuple(self._questions(normal, names, language))
        return (*names[: MOST - min(len(asked), MOST - MOST_NAMES)], *asked)[:MOST]

    def _known(self, values: Iterable[tuple[str, str]]) -> Iterator[_Name]:
        order = {"metric": 0, "dimension": 1, "value": 2}
        found = ((value, Target("value", dimension, value)) for dimension, value in values)
        for phrase, target in (*model_phrases(self._model), *found):
            if target.kind in order and SLOT not in phrase and phrase.strip() and not self._is_personal(target):
                own = phrase in self._label(target)
                yield _Name(normalise(phrase), phrase, target, (order[target.kind], not own, len(phrase)))

    def _is_personal(self, target: Target) -> bool:
        if target.kind == "value":
            dimension = self._dimensions.get(target.name)
            return dimension is None or dimension.pii
        return target.kind == "dimension" and any(d.pii for d in self._model.dimensions if d.name == target.name)

    def _label(self, target: Target) -> tuple[str, ...]:
        """Return what a target is called first, in both languages."""
        if target.kind == "metric":
            label = self._model.metric(target.name).label
        elif target.kind == "dimension":
            label = next(d.label for d in self._model.dimensions if d.name == target.name)
        else:
            known = (v.label for v in self._dimensions[target.name].values if v.value == target.value)
            label = next(known, Text(str(target.value), str(target.value)))
        return (label.en, label.zh)

    def _continuing(self, begun: str, start: int, language: Language, first: Kind | None) -> Iterator[Completion]:
        """Yield a completion for each thing with a name that begins like this, those of the kind `first` first, its own name before a synonym."""
        from_, past = bisect_left(self._keys, begun), bisect_left(self._keys, begun + "\U0010ffff")
        script: Language = "zh" if language_of(begun) == "zh" else language
        near = [name for name in self._names[from_:past] if name.key != begun]
        near.sort(key=lambda name: (language_of(name.text) != script, name.target.kind != first, *name.rank))
        told: set[object] = set()
        for name in near:
            target = name.target
            thing = (target.name.rpartition(".")[2], target.value)
            if not told & {thing, name.key} and (script == "zh" or language_of(name.text) == "en"):
                told |= {thing, name.key}
                yield Completion(text=name.text, start=start, kind=_kind(target), note=self._note(name, script))

    def _note(self, name: _Name, language: Language) -> str:
        """Return what a name stands for: its kind and, for a synonym, its own name; for a value, its dimension."""
        if name.target.kind == "value":
            return self._dimensions[name.target.name].label.in_(language)
        kind = KINDS[name.target.kind].in_(language)
        en, zh = self._label(name.target)
        own = zh if language == "zh" else en
        return kind if own == name.text else f"{kind} · {own}"

    def _questions(self, typed: str, names: tuple[Completion, ...], language: Language) -> Iterator[Completion]:
        """Yield whole questions: examples that begin like the text, then the first metric that it may mean, split."""
        whole = typed.strip()
        if not whole:
            return
        script: Language = "zh" if language_of(whole) == "zh" else language
        note = QUESTION.in_(script)
        told = []
        for example in self._examples[script]:
            if normalise(example).startswith(whole) and normalise(example) != whole:
                told.append(example)
        if (metric := self._metric_in(whole, names)) is not None:
            for by in self._suggestions.dimensions_of(metric, most=2):
                told.append(self._suggestions.phrase(script, metric, WHEN.in_(script), by))
        for text in told[: MOST - MOST_NAMES]:
            yield Completion(text=text, start=0, kind="question", note=note)

    def _metric_in(self, whole: str, names: tuple[Completion, ...]) -> Metric | None:
        """Return the metric that a text is the name of, or that the first of its completions is."""
        begun = names[0].text if names and names[0].kind == "metric" and names[0].start == 0 else ""
        for key in (whole, normalise(begun) if len(whole) > 1 else ""):
            at = bisect_left(self._keys, key) if key else len(self._keys)
            for name in self._names[at : bisect_right(self._keys, key)]:
                if name.target.kind == "metric":
                    return self._model.metric(name.target.name)
        return None


def _kind(target: Target) -> Kind:
    return "metric" if target.kind == "metric" else "dimension" if target.kind == "dimension" else "value"


def _starts(text: str) -> Iterator[int]:
    """Yield where the name being typed may begin, the longest first: at any Chinese character, or at a word."""
    for start in range(max(0, len(text) - LONGEST), len(text)):
        char, before = text[start], text[start - 1] if start else " "
        in_word = before.isascii() and before.isalnum() and char.isascii() and char.isalnum()
        end = text[start:]
        if not char.isspace() and not in_word and (not end.isascii() or len(end) >= SHORTEST_WORD):
            yield start
