"""Owns every error a person may see, each saying what happened, what was expected and the next step, in both languages.

    WenshuError
    ├── QueryError    what was asked cannot be answered so: the asker rephrases         status refused
    ├── GuardError    the statement is not one that may run: the asker rephrases       status refused
    ├── ModelError    the model file is wrong: its analyst mends it                     status error
    ├── FileError     a file that was brought cannot become a table: who brought it mends it    status error
    ├── EngineError   the database is missing, broken or too slow: its operator acts    status error
    └── PlannerError  the language model is not there or of no use: its operator acts   status error

`code` is stable and for programs; `message` and `hint` are for people. No engine text is ever passed on to the asker.
"""

from collections.abc import Iterable

from wenshu.semantic_layer.text import Text, same


class WenshuError(Exception):
    """Carry a stable code, a message and the next step."""

    status = "error"

    def __init__(self, code: str, message: Text, hint: Text = same("")) -> None:
        super().__init__(f"{message.en} {hint.en}".strip())
        self.code = code
        self.message = message
        self.hint = hint


class QueryError(WenshuError):
    """Say that a query cannot be answered from the model or its data."""

    status = "refused"


class NotLearnt(QueryError):
    """Say that a segment must be learnt from the data before it is asked for; `dataset` names it."""

    def __init__(self, dataset: str, label: Text) -> None:
        super().__init__(
            "not_learnt",
            Text(f"{label.en} is yet to be learnt from the data.", f"{label.zh}尚未从数据中学习得出。"),
            Text("Ask a question that uses it; a model file cannot build on it.", "请直接提问使用它；模型文件中不能以它为基础再定义分群。"),
        )  # fmt: skip
        self.dataset = dataset


class GuardError(WenshuError):
    """Say that a statement is not one that may run."""

    status = "refused"


class ModelError(WenshuError):
    """Say what is wrong in a model file."""


class FileError(WenshuError):
    """Say why a file that somebody brought cannot become a table."""


class EngineError(WenshuError):
    """Say that the database could not answer."""


class PlannerError(WenshuError):
    """Say that the language model could not be used."""


def near(word: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Return up to `most` of the `known` names that look like `word`, the nearest first.

    >>> near("chanel", ["city", "channel", "gender"]), near("gvm", ["gmv", "orders"])
    (('channel',), ('gmv',))
    """
    from rapidfuzz import fuzz, process
    from rapidfuzz.distance import OSA

    names = {name: name.lower() for name in known}
    slips = [name for name, lower in names.items() if OSA.distance(word.lower(), lower, score_cutoff=1) <= 1]
    alike = process.extract(word.lower(), names, scorer=fuzz.WRatio, limit=most, score_cutoff=72)
    return tuple(dict.fromkeys((*slips, *(name for _, _, name in alike))))[:most]


def did_you_mean(word: str, known: Iterable[str]) -> Text:
    """Return the one sentence of the project that suggests near names, or an empty text."""
    names = near(word, known)
    if not names:
        return same("")
    return Text(f"Did you mean {' or '.join(names)}?", f"您是不是想说：{'、'.join(names)}？")
