"""Owns an answer as Slack shows it: neutral blocks as mrkdwn and Block Kit, the words of a Slack message. Pure: sends nothing.

Whatever comes from the data or a question is escaped, so that it notifies nobody, links nowhere and marks nothing up.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from wenshu.assistant.answer import Answer
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.wording import INVISIBLE
from wenshu.ui.present import (
    Block,
    Bullets,
    Choices,
    Grid,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    ReportOffer,
    Spans,
    file_name,
    present,
    to_csv,
)
from wenshu.ui.receipt_card import COLON, ReceiptCard
from wenshu.ui.terminal import aligned

Json = dict[str, Any]

MOST_LINES = 20  # of a table in a message; a longer one is a file, too
MOST_TEXT = 2_900  # characters of a section; Slack takes 3,000
MOST_FALLBACK = 3_500
MOST_BUTTONS = 10
LONGEST_BUTTON, LONGEST_VALUE = 75, 2_000
ACTION = "ask"  # what a button's action_id begins with
RECEIPT_LINES = 8

FILE_HAS_ALL = Text("The first {} of {} rows; the file has all of them.", "显示前 {} 行，共 {} 行；完整数据见文件。")
TABLE_IN_FILE = Text("The table has {} rows; see the file.", "表格共 {} 行，见文件。")

SEPARATED = (
    "\u200b"  # a zero-width space: lets a mark count beside Chinese characters, and keeps :words: from being emoji
)
ALIKE = {"*": "∗", "_": "ˍ", "~": "∼", "`": "'"}
MARKS = re.compile(r"(?<![^\W_])[*_~`]|[*_~`](?![^\W_])")
EMOJI = re.compile(r":(?=[\w+'-]+:)")
MENTION = re.compile(r"<([@#!])([^>|]*)(?:\|([^>]*))?>")
LINK = re.compile(r"<([^>|]*)(?:\|([^>]*))?>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Hold a file that goes with an answer; `alt_text` tells a picture to those who cannot see it."""

    name: str
    content: bytes
    alt_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackMessage:
    """Hold a message: its blocks, and `text` for notifications and screen readers."""

    text: str
    blocks: tuple[Json, ...]


def escaped(words: str) -> str:
    """Return words as mrkdwn that shows them as they are.

    >>> escaped("<!channel> & *all* of sign_up"), escaped("成交额>100")
    ('&lt;!channel&gt; &amp; ∗all∗ of sign_up', '成交额&gt;100')
    """
    return _quoted(EMOJI.sub(f":{SEPARATED}", MARKS.sub(lambda mark: ALIKE[mark[0]], _shown(words))))


def plain_words(text: str, bot: str) -> str:
    """Return what a person wrote, out of the form that Slack gives it; the bot's own name is left out.

    >>> plain_words("<@UBOT> GMV &gt; 100 in <#C1|sales>, <http://a.b|a.b>?", "UBOT")
    'GMV > 100 in #sales, a.b?'
    """
    text = MENTION.sub(lambda m: "" if m[2] == bot else f"{m[1]}{m[3] or m[2]}", text)
    text = LINK.sub(lambda m: m[2] or m[1].removeprefix("mailto:"), text)
    return " ".join(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").split())


def slack_message(answer: Answer, question: str) -> tuple[SlackMessage, tuple[Attachment, ...]]:
    """Return what Slack is sent for an answer, its chart aside: the message, and the table as a file where it is long."""
    blocks = present(answer)
    shown: list[Json] = []
    files: list[Attachment] = []
    for block in blocks:
        if isinstance(block, Grid) and (lines := _fitting(block)) < block.row_count:
            assert answer.table is not None
            files.append(Attachment(name=file_name(question, "csv"), content=to_csv(answer.table, answer.language)))
            shown += _cut_table(block, lines, answer.language)
        else:
            shown += _block(block, answer.language)
    return SlackMessage(text=to_mrkdwn(blocks, answer.language)[:MOST_FALLBACK], blocks=tuple(shown)), tuple(files)


def to_mrkdwn(blocks: tuple[Block, ...], language: Language) -> str:
    """Return what the blocks say in words: the answer's sentences, or why there is none."""
    said = [block for block in blocks if isinstance(block, Paragraph | Bullets | Notice)]
    return "\n".join(part for block in said for part in _texts(block, language))


def section(mrkdwn: str) -> Json:
    """Return a section of mrkdwn in which Slack makes links of nothing by itself."""
    return {"type": "section", "text": _verbatim(mrkdwn)}


def small_print(mrkdwn: str) -> Json:
    """Return a line in small letters."""
    return {"type": "context", "elements": [_verbatim(mrkdwn)]}


def buttons(questions: tuple[str, ...]) -> Json:
    """Return buttons that ask questions."""
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": f"{ACTION}:{number}",
                "text": {"type": "plain_text", "text": _cut(_shown(question), LONGEST_BUTTON), "emoji": False},
                "value": question[:LONGEST_VALUE],
            }
            for number, question in enumerate(questions[:MOST_BUTTONS])
        ],
    }


def _block(block: Block, language: Language) -> list[Json]:
    match block:
        case Paragraph() | Bullets() | Notice() | KeyFigures():
            return [section(text) for text in _texts(block, language)]
        case Grid():
            return [section(_code(block, len(block.rows))), *map(small_print, map(escaped, block.notes))]
        case Picture():
            return []  # goes along as a file
        case ReceiptCard():
            return list(map(small_print, _receipt(block, language)))
        case ReportOffer():
            return [small_print(f"{escaped(block.text)}{COLON.in_(language)}`{block.command}`")]
        case Choices():
            title = [small_print(escaped(block.title))] if block.title else []
            return [*title, buttons(block.questions)] if block.questions else title
        case _:
            assert_never(block)


def _texts(block: "Paragraph | Bullets | Notice | KeyFigures", language: Language) -> Iterator[str]:
    """Yield texts that a section holds."""
    match block:
        case Paragraph():
            yield from _pieces([_spans(block.spans)])
        case Bullets():
            yield from _pieces([f"• {_spans(item)}" for item in block.items])
        case Notice():
            yield from _pieces([escaped(words) for words in (block.message, block.hint) if words])
        case KeyFigures():
            colon = COLON.in_(language)
            lines = []
            for figure in block.figures:
                beside = ", ".join(escaped(text) for text in (figure.change, figure.before, figure.counts) if text)
                lines.append(
                    f"{escaped(figure.label)}{colon}{_bold(escaped(figure.value))}" + (f" ({beside})" if beside else "")
                )
            yield from _pieces(lines)
        case _:
            assert_never(block)


def _pieces(lines: list[str]) -> Iterator[str]:
    """Yield the lines in texts that Slack takes; a cut never leaves half an escape."""
    text = ""
    for line in lines:
        if len(line) > MOST_TEXT:
            line = re.sub(r"&\w*$", "", line[: MOST_TEXT - 1]) + "…"
        if text and len(text) + 1 + len(line) > MOST_TEXT:
            yield text
            text = ""
        text = f"{text}\n{line}" if text else line
    if text:
        yield text


def _spans(spans: Spans) -> str:
    wraps = {"plain": "{}", "strong": f"{SEPARATED}*{{}}*{SEPARATED}", "code": f"{SEPARATED}`{{}}`{SEPARATED}"}
    text = "".join(wraps[span.style].format(escaped(span.text)) if span.text.strip() else " " for span in spans)
    return f"{SEPARATED}{text}" if text.startswith("&gt;") else text  # else a quotation


def _bold(mrkdwn: str) -> str:
    return f"*{mrkdwn}*"


def _receipt(card: ReceiptCard, language: Language) -> Iterator[str]:
    """Yield the first lines of the receipt; the SQL is left to the page and the command line."""
    colon = COLON.in_(language)
    lines = [f"{_bold(escaped(label))}{colon}{escaped('; '.join(said))}" for label, said in card.entries]
    yield from _pieces(lines[:RECEIPT_LINES])


def _cut_table(grid: Grid, lines: int, language: Language) -> list[Json]:
    if lines == 0:
        return [small_print(escaped(TABLE_IN_FILE.in_(language).format(f"{grid.row_count:,}")))]
    said = FILE_HAS_ALL.in_(language).format(lines, f"{grid.row_count:,}")
    return [section(_code(grid, lines)), small_print(escaped(said))]


def _fitting(grid: Grid) -> int:
    """Return how many rows a message shows: all of them, or the first that it has room for."""
    shown = len(grid.rows) if grid.row_count <= MOST_LINES else MOST_LINES // 2
    while shown and len(_code(grid, shown)) > MOST_TEXT:
        shown -= 1
    return shown


def _code(grid: Grid, rows: int) -> str:
    """Return the first rows as a code block with aligned columns; Chinese characters are two wide."""
    cells = [list(map(_one_line, grid.headers)), *([_one_line(cell.text) for cell in row] for row in grid.rows[:rows])]
    text = "\n".join(aligned(cells, grid.numeric, ruled=True))
    return f"```\n{_quoted(text)}\n```"


def _one_line(text: str) -> str:
    return _cut(_shown(text).replace("`", "'"), 40)


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(text: str) -> str:
    """Return a text on one line, without marks that are not seen."""
    line = "".join(" " if char.isspace() else char for char in text)
    return "".join(char for char in line if unicodedata.category(char) not in INVISIBLE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _verbatim(mrkdwn: str) -> Json:
    return {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}
