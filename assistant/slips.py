"""Owns slips of the pen in long names: which name of the model or the data a misspelt word can only mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz.distance import DamerauLevenshtein

from wenshu.assistant.linker import LinkedQuestion, stem
from wenshu.assistant.question import normalise
from wenshu.semantic_layer.text import Text

SHORTEST_WORD, SHORTEST_NAME, LONGEST_NAME = 6, 4, 12  # letters of an English word, characters of a Chinese name
TIME_WORDS = (
    "yesterday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "august", "september", "october", "november", "december", "quarter", "quarterly", "monthly", "weekly", "weekend",
)  # fmt: skip
GAP = "\0"
PARTICLES = "的了呢吧是在有和与及按各"  # are themselves, not slips of another character


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """Hold a question with its slips mended, and what to say of it."""

    text: str
    said: Text


class Slips:
    """Know the long names that a slip may stand for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = (*names, *TIME_WORDS)

    def mend(self, linked: LinkedQuestion) -> Mended | None:
        """Return the question with every unknown word replaced by the one name near it, or None where any has none or several."""
        text = normalise(linked.text)
        said: list[tuple[str, str]] = []
        stretches = (normalise(stretch) for stretch in linked.unknown)
        words = [word for stretch in stretches for word in (stretch.split() if stretch.isascii() else (stretch,))]
        alone = len(words) == 1
        for lowered in words:
            if lowered in self._parts and not alone:
                continue  # repruchase |rate
            if any(lowered in wrong for wrong, _ in said):
                continue
            found = self._word(lowered) if lowered.isascii() else self._name(text, lowered)
            if found is None:
                return None
            wrong, right = found
            text = text.replace(wrong, right, 1)
            said.append((wrong, right))
        if not said:
            return None
        return Mended(
            text=text,
            said=Text(
                "; ".join(f"Read “{wrong}” as “{right}”." for wrong, right in said),
                "；".join(f"“{wrong}”按“{right}”理解。" for wrong, right in said),
            ),
        )

    def _word(self, word: str) -> tuple[str, str] | None:
        """Return the only English word of a name that is one slip away: a letter more, fewer, changed or swapped."""
        if len(word) < SHORTEST_WORD or not word.isalpha():
            return None
        near = {known for known in self._words if DamerauLevenshtein.distance(word, known, score_cutoff=1) <= 1}
        return (word, min(near, key=len)) if len(set(map(stem, near))) == 1 else None

    def _name(self, text: str, word: str) -> tuple[str, str] | None:
        """Return the only Chinese name that a stretch of the text around a word is, but for one character."""
        at = text.find(word)
        near: set[tuple[str, str]] = set()
        for length in range(SHORTEST_NAME, LONGEST_NAME + 1):
            for start in range(max(0, at - length + 1), min(at + len(word), len(text) - length + 1)):
                stretch = text[start : start + length]
                if start <= at and at + len(word) <= start + length:
                    for i in (i for i in range(length) if stretch[i] not in PARTICLES):
                        near |= {(stretch, name) for name in self._gapped.get(_gap(stretch, i), ()) if name != stretch}
        longest = max((len(wrong) for wrong, _ in near), default=0)
        best = {pair for pair in near if len(pair[0]) == longest}
        return best.pop() if len(best) == 1 else None

    @cached_property
    def _parts(self) -> frozenset[str]:
        """Return every English word of a name."""
        return frozenset(word for name in self._names if name.isascii() for word in normalise(name).split())

    @cached_property
    def _words(self) -> frozenset[str]:
        words = (word for name in self._names for word in normalise(name).split())
        return frozenset(word for word in words if word.isascii() and word.isalpha() and len(word) >= SHORTEST_WORD)

    @cached_property
    def _gapped(self) -> dict[str, set[str]]:
        """Return the Chinese names by themselves with one character left out."""
        out: dict[str, set[str]] = {}
        for name in map(normalise, self._names):
            asks = any(word in name for word in ("多少", "几", "的"))  # 成长多少 is no slip of 成本多少, nor 点开的人 of 离开的人
            if SHORTEST_NAME <= len(name) <= LONGEST_NAME and not name.isascii() and not asks:
                for i in range(len(name)):
                    out.setdefault(_gap(name, i), set()).add(name)
        return out


def _gap(name: str, i: int) -> str:
    return name[:i] + GAP + name[i + 1 :]
