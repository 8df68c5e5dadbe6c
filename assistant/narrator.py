"""Owns prose that a language model writes of results, and what is left of it after the check.

The model reads bounded cells only; a sentence that says what the results do not is dropped. Knows no library.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from wenshu.assistant.language_model import LanguageModel
from wenshu.assistant.ledger import Ledger
from wenshu.assistant.prompts import prose_question, prose_system
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.text import Language
from wenshu.tools.model_text import hides_names, known_names, table_text
from wenshu.tools.prose_check import ProseCheck, sentences
from wenshu.tools.query import QueryResult
from wenshu.tools.wording import escape_markdown

MOST_SENTENCES = 5
LONGEST_SENTENCE = 400
ENDED = re.compile(r"[。！？!?\n]|[.](?=\s)")


class Narrator:
    """Write the explanation of a result with a language model, sentence by checked sentence."""

    def __init__(self, layer: SemanticLayer, model: LanguageModel) -> None:
        self.layer = layer
        self.language_model = model

    @cached_property
    def names(self) -> frozenset[str]:
        return known_names(self.layer)

    def narrate(
        self, question: str, result: QueryResult, built_in: str, context: Sequence[str], language: Language, ledger: Ledger
    ) -> Iterator[str]:  # fmt: skip
        """Yield the sentences that the result bears out, as they come; none where the model is of no use."""
        settings = self.language_model.settings
        if not settings.prose or not settings.values or hides_names(result.table, self.names):
            return
        check = self.check_of(result, context, language)
        table = table_text(result.table, self.names, language)
        messages = [("system", prose_system(language)), ("user", prose_question(question, table, context, built_in))]
        told, text = 0, ""
        try:
            for piece in self.language_model.stream(messages, ledger):
                text += piece
                while (end := ENDED.search(text)) and told < MOST_SENTENCES:
                    said, text = text[: end.end()], text[end.end() :]
                    for sentence in passing(said, (check,)):
                        told += 1
                        yield sentence
                if told >= MOST_SENTENCES:
                    return
        except PlannerError:
            return
        if text.rstrip().endswith("."):
            yield from passing(text, (check,))

    def check_of(self, result: QueryResult, context: Iterable[str], language: Language) -> ProseCheck:
        """Return the check against one result."""
        days = [day for period in (result.period, result.compared) if period for day in (period.start, period.end)]
        filters = (text.in_(language) for text in result.filters)
        return ProseCheck(
            result.table, language=language, context=(*context, *filters), days=days, known=self._foreign_names, whole=result.complete
        )  # fmt: skip

    @cached_property
    def _foreign_names(self) -> tuple[str, ...]:
        """Return the names whose mention would be of something: no numbers, and no words of everyday language."""
        listed = {str(v.value) for d in self.layer.model.dimensions for v in d.values}
        return tuple(sorted(name for name in self.names if len(name) > 1 and not name.isdigit() and name not in listed))[:20_000]


def passing(text: str, checks: Sequence[ProseCheck]) -> Iterator[str]:
    """Yield the sentences that any of several results bears out, safe to stand in Markdown."""
    for sentence in sentences(text):
        if len(sentence) <= LONGEST_SENTENCE and any(check.problem(sentence) is None for check in checks):
            yield escape_markdown(sentence, LONGEST_SENTENCE)


def joined(said: Iterable[str], language: Language) -> str:
    """Return sentences as one paragraph."""
    return ("" if language == "zh" else " ").join(said)
