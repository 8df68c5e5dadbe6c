"""Owns what passes between a command and the shell: UTF-8 streams, exit codes, and errors as messages. Knows no command."""

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.exceptions import TyperException

from wenshu.assistant.question import language_of
from wenshu.semantic_layer.errors import EngineError, WenshuError
from wenshu.semantic_layer.text import Language, Text

ANSWERED, USAGE, CLARIFY, REFUSED, FAILED = 0, 2, 3, 4, 5
EXIT_CODES = {"answered": ANSWERED, "usage": USAGE, "clarify": CLARIFY, "refused": REFUSED, "error": FAILED}
DEBUG = "WENSHU_DEBUG"  # set to anything, it adds the traceback to an unexpected error

# What the parser of options says, in Chinese; whatever else it says stays in English.
USAGE_IN_CHINESE = (
    (r"Invalid value for (.+?): '(.*)' is not one of (.+)\.", r"\1 不能是“\2”，可选：\3。"),
    (r"Invalid value for (.+?): (.+)", r"\1 的值无效：\2"),
    (r"No such option: (\S+)(.*)", r"没有选项 \1。\2"),
    (r"No such command (.+?)\.(.*)", r"没有命令 \1。\2"),
    (r"Missing (?:argument|option) (.+)\.", r"缺少 \1。"),
    (r"Option (.+) requires an argument\.", r"选项 \1 需要一个值。"),
    (r"Got unexpected extra arguments? \((.+)\)", r"多余的参数：\1。"),
)


def run(command: Callable[[], int | None], words: str) -> None:
    """Run a command line and leave with its exit code, whatever happens in it; `words` tell the caller's language."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        getattr(sys, name).reconfigure(encoding="utf-8", errors="replace")
    language = language_for(words, chinese_only=True)
    try:
        with reported(language):
            code = command()
    except typer.Exit as done:
        code = done.exit_code
    except TyperException as error:
        _explain_usage(error, language)
        code = USAGE
    except SystemExit:  # how the parser leaves when nobody reads its --help any more
        code = ANSWERED
    sys.exit(code or ANSWERED)


@contextmanager
def reported(
    language: Language, as_json: Callable[[WenshuError, Language], dict[str, Any]] | None = None
) -> Iterator[None]:
    """Turn an error into its message on standard error, or the object that `as_json` makes of it, and its exit code."""
    try:
        yield
    except (typer.Exit, TyperException, typer.Abort):
        raise
    except Exception as error:
        known = explained(error)
        if as_json is not None and known.status != "usage":
            write_json(as_json(known, language))
        else:
            complain(known, language)
        raise typer.Exit(EXIT_CODES[known.status]) from None


def explained(error: Exception) -> WenshuError:
    """Return an error that a person may see; one that nobody foresaw is named, but says nothing of its insides."""
    if isinstance(error, WenshuError):
        return error
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    name = type(error).__name__
    return EngineError(
        "unexpected",
        Text(f"Something went wrong that should not have ({name}).", f"发生了意外错误（{name}）。"),
        Text(f"Please report it with what {DEBUG}=1 prints.", f"请附上设置 {DEBUG}=1 后的输出反馈此问题。"),
    )


def complain(error: WenshuError, language: Language) -> None:
    """Say on standard error what happened and what to do."""
    complain_in_words(error.message.in_(language), error.hint.in_(language))


def complain_in_words(message: str, hint: str) -> None:
    """Say on standard error what happened and what to do."""
    print(*filter(None, (message, hint)), sep="\n", file=sys.stderr)


def write(*lines: str) -> None:
    """Write lines to standard output; a reader who has seen enough, as `| head` has, ends the command."""
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has nowhere to go
        if error.errno == errno.EPIPE:
            raise typer.Exit(ANSWERED) from None
        raise EngineError(
            "output_not_written",
            Text("The output cannot be written.", "无法写出结果。"),
            Text("See whether the disk is full.", "请检查磁盘空间。"),
        ) from None


def write_json(value: Any) -> None:
    """Write one JSON object on one line."""
    write(json.dumps(value, ensure_ascii=False, allow_nan=False))


def readable(argument: str) -> str:
    """Return an argument whose bytes are not UTF-8 with a mark in place of each."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def language_for(text: str, *, chinese_only: bool = False) -> Language:
    """Return the language of a text, or the locale's where the text tells nothing (or, on demand, is not Chinese)."""
    if language_of(text) == "zh":
        return "zh"
    if not chinese_only and any(map(str.isalpha, text)):
        return "en"
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


def _explain_usage(error: TyperException, language: Language) -> None:
    """Say what is wrong with the options, as the parser found it."""
    error.message = error.message.removeprefix("Value error, ")
    message = error.format_message()
    show = getattr(error, "show", None)
    if show is not None and (language == "en" or not message):
        show(file=sys.stderr)
        return
    for pattern, chinese in USAGE_IN_CHINESE:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            message = found.expand(chinese)
            break
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "wenshu"
    print(f"命令用法有误：{message}\n用法说明：{command} --help", file=sys.stderr)
