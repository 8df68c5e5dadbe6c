"""Owns what a model's names are called towards a language model: their labels in the question's language, each one only once.

A label says more to a small model than a name, in fewer tokens. Knows nothing of schemas or prompts.
"""

from collections.abc import Iterable
from datetime import date

from wenshu.assistant.plan_check import IGNORED, UNKNOWN
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.text import Language, Text
from wenshu.semantic_layer.time_parts import TIME_PARTS

WORDS = {
    IGNORED: Text("chatter", "客套话"),
    UNKNOWN: Text("something else", "别的内容"),
    "most": Text("the most", "最多"),
    "least": Text("the least", "最少"),
    "share": Text("share of the whole", "占比"),
    "compare with the period before": Text("compared with the period before", "与上期相比"),
}


class PlanNames:
    """Translate between a model's names and their labels in one language."""

    def __init__(self, model: Model, language: Language) -> None:
        self._model = model
        self._language = language
        self._binder = Binder(model, date.min)
        self._names: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        for meaning, text in WORDS.items():
            self._enter(meaning, text.in_(language))

    def metric(self, name: str) -> str:
        return self._labels.get(f"metric {name}") or self._enter(f"metric {name}", self._model.metric(name).label.in_(self._language))

    def group(self, name: str) -> str:
        if f"group {name}" in self._labels:
            return self._labels[f"group {name}"]
        label = TIME_PARTS[name].label if name in TIME_PARTS else self._dimension(name)
        return self._enter(f"group {name}", label.in_(self._language))

    def value(self, group: str, value: object) -> str:
        """Return the label of a value alone, as filters list it."""
        if group not in TIME_PARTS:
            for listed in self._binder.candidates(group)[0].values:
                if listed.value == value or str(listed.value) == value:
                    return listed.label.in_(self._language)
        return str(value)

    def pair(self, group: str, value: object) -> str:
        """Return the label of a value with its group."""
        meaning = f"value {group} = {value}"
        return self._labels.get(meaning) or self._enter(meaning, f"{self.group(group)}={self.value(group, value)}")

    def word(self, meaning: str) -> str:
        """Return the label of any meaning: `metric gmv`, `value city = 北京`, or one that is no name."""
        if meaning in self._labels:
            return self._labels[meaning]
        kind, _, name = meaning.partition(" ")
        if kind == "metric" and name in self._model.metric_by_name:
            return self.metric(name)
        return self._enter(meaning, meaning)

    def meaning(self, label: str) -> str:
        """Return kind and name of a label, as `metric gmv`; the label itself where nothing is called so."""
        return self._names.get(label, label)

    def name(self, label: str, kind: str) -> str:
        """Return the name of what is called so, the label itself where nothing of that kind is."""
        found = self.meaning(label)
        return found.removeprefix(f"{kind} ") if found.startswith(f"{kind} ") else label

    def _dimension(self, name: str) -> Text:
        return self._binder.candidates(name)[0].label

    def _enter(self, meaning: str, label: str) -> str:
        if label in self._names:
            label = f"{label} ({meaning.partition(' ')[2] or meaning})"
        self._names[label], self._labels[meaning] = meaning, label
        return label


def raw_value(names: PlanNames, group: str, label: str, values: Iterable[object]) -> object:
    """Return the value that a label stands for, the label itself where none is called so."""
    return next((value for value in values if label in (names.value(group, value), str(value))), label)
