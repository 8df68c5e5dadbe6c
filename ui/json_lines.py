"""Owns reading the JSON that other programs give the command line: one value, or one object a line. Knows no command."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.text import Text

STANDARD_INPUT = "-"


class UsageError(WenshuError):
    """Say that a command was not called as it can be: the caller corrects the call."""

    status = "usage"


def read_text(path: str) -> str:
    """Return a file's text, or standard input's for “-”; UTF-8 whatever the locale."""
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, AttributeError):  # AttributeError: standard input is closed
        raise UsageError(
            "unreadable_file",
            Text(f"The file {path} cannot be read as UTF-8 text.", f"文件 {path} 无法按 UTF-8 文本读取。"),
            Text("Name a file that exists and that you may read.", "请指定一个存在且可读的文件。"),
        ) from None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; ValueError for all that JSON itself does not allow.

    >>> parse_json('{"limit": NaN}')
    Traceback (most recent call last):
    ValueError: NaN is not JSON
    """
    try:
        value = json.loads(text, parse_constant=_not_json)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is not a character
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def json_lines(path: str, key: str | None = None) -> Iterator[tuple[int, dict[str, Any] | UsageError]]:
    """Yield (line number, object) for each line that is not blank, or what is wrong with it; `key` must hold a text."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = parse_json(line)
        except ValueError:
            item = None
        if isinstance(item, dict) and (key is None or isinstance(item.get(key), str)):
            yield number, item
        else:
            yield number, _broken(number, path, key)


def _broken(number: int, path: str, key: str | None) -> UsageError:
    name = "standard input" if path == STANDARD_INPUT else Path(path).name
    with_key = Text(f' with a text under "{key}"' if key else "", f"，其中“{key}”为文本" if key else "")
    return UsageError(
        "invalid_line",
        Text(f"Line {number} of {name} is not a JSON object{with_key.en}.", f"{name} 第 {number} 行不是 JSON 对象{with_key.zh}。"),
        Text("Write one JSON object a line.", "每行应为一个 JSON 对象。"),
    )  # fmt: skip


def _not_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
