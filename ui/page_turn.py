"""Owns a turn of the conversation as the page gets it: an answer drawn and written as HTML, now or out of the history. Knows no Gradio."""

import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wenshu.assistant.answer import Answer, Problem
from wenshu.assistant.question import language_of
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.result_cache import BoundedCache
from wenshu.semantic_layer.text import Language
from wenshu.ui import answer_html as html
from wenshu.ui import desk_texts
from wenshu.ui import page_texts as words
from wenshu.ui.present import Block, KeyFigures, Notice, Paragraph, Picture, present, to_csv

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant
    from wenshu.semantic_layer.table import ResultTable
    from wenshu.tools.chart import Chart
    from wenshu.tools.render import Format
    from wenshu.ui.history import Turn

MOST_PICTURES = 200
_pictures = BoundedCache[bytes](entries=MOST_PICTURES)

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True)
class Look:
    """Say for what a picture is drawn: dark pages and narrow ones, as the page names them in one word each."""

    dark: bool = False
    narrow: bool = False

    @classmethod
    def of(cls, said: object) -> "Look":
        """Return the look of a page that calls itself, for instance, `dark narrow`."""
        words = said.split() if isinstance(said, str) else ()
        return cls(dark="dark" in words, narrow="narrow" in words)


def shown_answer(
    answer: Answer,
    question: str,
    *,
    look: Look,
    turn: int | None = None,
    good: bool | None = None,
    brief: bool = False,
    later: bool = False,
) -> html.Html:
    """Return an answer as the page shows it; a `brief` one is its first sentence, its numbers and its chart.

    `later` leaves the picture to be asked for when its reader comes to it.
    """
    blocks = present(answer)
    return html.answer_html(
        _brief(blocks) if brief else blocks,
        question=question,
        language=answer.language,
        status=answer.status,
        csv=to_csv(answer.table, answer.language) if answer.table and not brief else None,
        picture=lambda picture: drawn(picture.chart, picture.table, answer.language, look),
        turn=turn,
        verified=answer.receipt.verified if answer.receipt else None,
        good=good,
        later=later,
    )


def _brief(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    said = [block for block in blocks if isinstance(block, Paragraph)][:1]
    return (*said, *(block for block in blocks if isinstance(block, Notice | KeyFigures | Picture)))


def kept_turn_html(turn: "Turn", assistant: "Assistant", interface: Language, look: Look) -> html.Html:
    """Return a turn out of the history; what was answered under other rights is not shown again."""
    try:
        shown = shown_answer(answer_of(turn, assistant), turn.question, look=look, turn=turn.id, good=turn.good, later=True)
    except WenshuError as error:
        failure = failed_answer(error, language_of(turn.question))
        shown = shown_answer(failure, turn.question, look=look, turn=turn.id)
    return html.turn_html(turn.question, shown, interface)


def answer_of(turn: "Turn", assistant: "Assistant") -> Answer:
    """Return what was answered; raises `QueryError` with code `rights_changed` where it was under other rights than now."""
    if turn.policy != assistant.layer.policy_fingerprint:
        raise QueryError("rights_changed", desk_texts.RIGHTS_CHANGED)
    return turn.answer


def ready_to_draw() -> None:
    """Load what draws, which the first chart would otherwise wait for."""
    import wenshu.tools.render  # noqa: F401


def drawn(chart: "Chart", table: "ResultTable", language: Language, look: Look, format: "Format" = "png") -> bytes | None:
    """Return a chart's picture, or None where it cannot be drawn."""
    from wenshu.tools.render import render_chart

    # By all that is in the picture, so that whoever may see the numbers may see it.
    wanted = (chart, replace(table, elapsed=0.0), language, look, format)
    try:
        if (kept := _pictures.get(wanted)) is None:
            kept = render_chart(chart, table, language=language, format=format, dark=look.dark, narrow=look.narrow)
            _pictures.put(wanted, kept)
        return kept
    except Exception:  # the page's edge: a chart that fails must not take the numbers with it
        log.exception("a chart could not be drawn")
        return None


def failed_answer(problem: Exception, language: Language) -> Answer:
    """Return the answer that says why there is none; of what nobody foresaw, only the log learns more."""
    if isinstance(problem, WenshuError):
        status, code, message, hint = problem.status, problem.code, problem.message, problem.hint
    else:
        log.error("a question failed", exc_info=problem)
        status, code, message, hint = "error", "unexpected", words.UNEXPECTED, words.UNEXPECTED_HINT
    said = Problem(code=code, message=message.in_(language), hint=hint.in_(language))
    return Answer(
        id=secrets.token_hex(8), status="refused" if status == "refused" else "error", language=language, problem=said
    )


def message(
    conversation: str, turn: int, shown: html.Html, language: Language, *, busy: bool = False, status: str = "", **more: Any
) -> dict[str, Any]:
    """Return what page.js puts in the conversation: turn 0 is the empty page's welcome."""
    return {
        "conversation": conversation,
        "turn": turn,
        "html": str(shown),
        "busy": busy,
        "status": status,
        "language": language,
        "title": words.TITLE.in_(language),
        **more,
    }
