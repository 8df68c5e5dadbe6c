"""Owns slips of the pen in long names: which name of the model or the data a misspelt word can only mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from rapidfuzz.distance import DamerauLevenshtein

from wenshu.assistant.linker import LinkedQuestion, stem
from wenshu.assistant.question import normalise
from wenshu.semantic_layer.text import Text

SHORTEST_WORD = 6  # letters of an English word
SHORTEST_SPOKEN, SHORTEST_SWAPPED, SHORTEST_NAME, LONGEST_NAME = 2, 3, 5, 12  # characters of a Chinese name: mended by sound, swapped, of any slip
TIME_WORDS = (
    "yesterday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "august", "september", "october", "november", "december", "quarter", "quarterly", "monthly", "weekly", "weekend",
)  # fmt: skip
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
        """Return the only English word of a name that is one slip away: a letter more, fewer, changed or swapped, but the first."""
        if len(word) < SHORTEST_WORD or not word.isalpha():
            return None
        alike = (known for known in self._words if known[0] == word[0])  # hooked is no slip of booked
        near = {known for known in alike if DamerauLevenshtein.distance(word, known, score_cutoff=1) <= 1}
        return (word, min(near, key=len)) if len(set(map(stem, near))) == 1 else None

    def _name(self, text: str, word: str) -> tuple[str, str] | None:
        """Return the only Chinese name that a stretch of the text around a word is but for one slip: one that sounds alike first, the longest stretch of those."""
        at = text.find(word)
        near: set[tuple[str, str]] = set()
        for length in range(SHORTEST_SPOKEN, LONGEST_NAME + 2):  # one more for a character too many
            for start in range(max(0, at + len(word) - length), min(at, len(text) - length) + 1):
                stretch = text[start : start + length]
                found = {name for key in (stretch, *_shorter(stretch)) for name in self._near.get(key, ())}
                near |= {(stretch, name) for name in found if _is_slip(stretch, name)}
                near |= {(stretch, name) for name in self._by_sound.get(_sound(stretch), ()) if name != stretch and set(name) & set(stretch)}
        near = {(wrong, right) for wrong, right in near if _sound(wrong) == _sound(right) or _undoubled(wrong) == right} or near
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
    def _chinese(self) -> tuple[str, ...]:
        """Return the Chinese names that a slip may stand for: 成长多少 is none of 成本多少, nor 点开的人 of 离开的人."""
        names = dict.fromkeys(map(normalise, self._names))
        lengths = range(SHORTEST_SPOKEN, LONGEST_NAME + 1)
        return tuple(n for n in names if len(n) in lengths and not n.isascii() and not any(word in n for word in ("多少", "几", "的")))

    @cached_property
    def _near(self) -> dict[str, set[str]]:
        """Return the long names by themselves and by themselves with one character left out."""
        out: dict[str, set[str]] = {}
        for name in self._chinese:
            for key in (name, *_shorter(name)) if len(name) >= SHORTEST_SWAPPED else ():
                out.setdefault(key, set()).add(name)
        return out

    @cached_property
    def _by_sound(self) -> dict[tuple[str, ...], set[str]]:
        """Return the names by how they read; one is meant where a character is right as well (渠倒, but 程度 is no slip of 成都)."""
        out: dict[tuple[str, ...], set[str]] = {}
        for name in self._chinese:
            out.setdefault(_sound(name), set()).add(name)
        return out


def _shorter(text: str) -> Iterator[str]:
    """Yield a text with each of its characters left out."""
    return (text[:i] + text[i + 1 :] for i in range(len(text)))


def _undoubled(text: str) -> str:
    """Return a text without the second of two equal characters."""
    return "".join(char for char, before in zip(text, ["", *text], strict=False) if char != before)


def _is_slip(said: str, name: str) -> bool:
    """Say whether what was said is one slip away from a name: a character doubled, two swapped or, in a long name, any."""
    if said == name or DamerauLevenshtein.distance(said, name, score_cutoff=1) > 1:
        return False
    changed = [char for char, right in zip(said, name, strict=False) if char != right]
    swapped = len(said) == len(name) and len(changed) == 2
    if _undoubled(said) == name or swapped:
        return True
    missing = len(said) < len(name)
    return len(name) >= SHORTEST_NAME and (missing or not any(char in PARTICLES for char in changed[:1] or said[-1:]))


def _sound(text: str) -> tuple[str, ...]:
    return tuple(map(_reading, text))


@cache
def _reading(char: str) -> str:
    """Return how a character is read first, without tone and without what input methods let one confuse (zh and z, ng and n)."""
    from pypinyin import lazy_pinyin  # loaded when there is a slip only

    return lazy_pinyin(char)[0].replace("zh", "z").replace("ch", "c").replace("sh", "s").replace("ng", "n")
