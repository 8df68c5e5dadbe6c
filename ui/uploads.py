"""Owns what becomes of files that people bring: a proposed model whose first questions have been tried. Knows no page and no command."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from wenshu.semantic_layer.proposal import BroughtFile, Proposal, propose, with_examples
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.workspace import Progress, open_layer

MOST_EXAMPLES = 4
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def propose_tried(
    files: Sequence[Path | BroughtFile], out: Path, *, timezone: str | None = None, replace: bool = False, progress: Progress | None = None
) -> Proposal:  # fmt: skip
    """Make a model of files in the folder `out`; its examples are questions that are answered, in both languages.

    Raises `FileError`.
    """
    proposal = propose(files, out, timezone=timezone, replace=replace, progress=progress)
    return with_examples(proposal, tuple(islice(_answered(proposal), MOST_EXAMPLES)))


def _answered(proposal: Proposal) -> Iterator[Text]:
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.question import Question
    from wenshu.assistant.rules import RulesPlanner

    layer = open_layer(str(proposal.model_path), proposal.database, loaded=proposal.model)
    try:
        assistant = Assistant(layer, RulesPlanner(layer))
        for example in proposal.examples:
            asked = (assistant.ask(Question(text=example.in_(language), language=language)) for language in LANGUAGES)
            if all(answer.status == "answered" for answer in asked):
                yield example
    finally:
        layer.engine.close()
