"""Owns a report as Markdown: the same as its HTML without pictures, every word of it escaped."""

from collections.abc import Iterator
from datetime import datetime

from wenshu.assistant.report import Chapter, WrittenReport
from wenshu.tools.wording import escape_markdown
from wenshu.ui import report_view as view
from wenshu.ui.present import Grid, Picture, spans_to_markdown, to_markdown

LONGEST = 300


def report_markdown(report: WrittenReport, *, made: datetime) -> str:
    """Return the whole report; receipts are folded where the reader's program folds."""
    language = report.language
    parts = [
        f"# {_plain(report.title)}",
        f"**{_plain(report.period.label.in_(language))}** · {_plain(report.about)}",
        *(f"> {_plain(note)}" for note in view.notes(report)),
    ]
    if said := view.glance(report):
        items = [
            f"- **{_plain(chapter.title)}**{view.COLON.in_(language)}{spans_to_markdown(spans)}"
            for chapter, spans in said
        ]
        parts += [f"## {view.GLANCE.in_(language)}", "\n".join(items)]
    for chapter in report.chapters:
        parts += [f"## {_plain(chapter.title)}", *_chapter(chapter, report)]
    parts += ["---", view.MADE.in_(language).format(f"{made:%Y-%m-%d %H:%M}")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _chapter(chapter: Chapter, report: WrittenReport) -> Iterator[str]:
    if chapter.note:
        yield _plain(chapter.note)
    elif chapter.section.show == "figures" and (shown := view.cards(chapter, report)):
        yield _figures(shown)
    else:
        for answer in chapter.answers:
            blocks = tuple(
                view.cut(block) if isinstance(block, Grid) else block
                for block in view.parts(answer)
                if not isinstance(block, Picture)
            )
            yield to_markdown(blocks)
    cards = tuple(view.receipts(chapter, report))
    if cards:
        yield f"<details><summary>{view.RECEIPTS.in_(report.language)}</summary>"
        yield to_markdown(cards)
        yield "</details>"


def _figures(cards: tuple[view.Card, ...]) -> str:
    """Return the numbers as a table with a column for each period that they are held against."""
    against = tuple(dict.fromkeys(change.against for card in cards for change in card.changes))
    lines = [["", "", *against], ["---", "---:", *["---:"] * len(against)]]
    for card in cards:
        moved = {change.against: f"{_plain(change.change)} ({_plain(change.before)})" for change in card.changes}
        lines.append([_plain(card.label), f"**{_plain(card.value)}**", *(moved.get(each, "—") for each in against)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    return escape_markdown(text, LONGEST)
