"""Owns passing over a clause that only says what the answer is for, with the day of it: 明天开会要用, 周一晨会上要讲.

Knows nothing of models.
"""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wenshu.assistant.linker import Mention

ENDS = "，,。.！!？?；;：:、\n"  # noqa: RUF001
AROUND = ("occasion", "begins", "goes_on", "within", "so", "hour_unit", "morning", "afternoon")


def without_asides(mentions: tuple["Mention", ...], text: str, as_of: date) -> tuple["Mention", ...]:
    """Return the mentions without those of a clause about an occasion, where something is left."""
    aside: set[int] = set()
    for clause in _clauses(mentions, text):
        said = [mentions[i] for i in clause]
        about = any(m.is_word("occasion") for m in said)
        dated = any(m.time and m.time.period for i, m in enumerate(mentions) if i not in clause)
        if about and all(m.is_filler or m.is_word(*AROUND) or _is_of_occasion(m, as_of, dated) for m in said):
            aside.update(clause)
    left = tuple(m for i, m in enumerate(mentions) if i not in aside)
    return left if any(not m.is_filler for m in left) else mentions


def _is_of_occasion(mention: "Mention", as_of: date, dated: bool) -> bool:
    """Say whether a mention is an hour, or a time that nobody asks about: one not past, or beside the period of a question `dated` elsewhere."""
    time = mention.time
    if time is None:
        return mention.number is not None
    return time.weekdays is not None or (time.period is not None and (dated or time.period.start >= as_of))


def _clauses(mentions: tuple["Mention", ...], text: str) -> list[list[int]]:
    clauses: list[list[int]] = [[]]
    for i, mention in enumerate(mentions):
        before = mentions[i - 1].end if i else 0
        if any(mark in text[before : mention.start] for mark in ENDS):
            clauses.append([])
        clauses[-1].append(i)
    return [clause for clause in clauses if clause]
