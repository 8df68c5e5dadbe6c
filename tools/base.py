"""Owns what a tool is: a typed function that people's doors and a language model can both call. Holds the one broad `except`.

What the model reads of a result is apart from what people see. Knows no language model.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wenshu.semantic_layer.errors import WenshuError

Json = dict[str, Any]
log = logging.getLogger("wenshu.tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """Hold what a tool found: `for_model` as text, `found` for the program; `failed` says that it found nothing."""

    tool: str
    for_model: str
    found: Any = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Describe a tool: its name, what it does, the JSON Schema of its arguments, and the function."""

    name: str
    description: str
    arguments: Json
    run: Callable[[Json], ToolResult]


def run_tool(tool: Tool, arguments: Json) -> ToolResult:
    """Run a tool; whatever goes wrong is a result that says what to do, without a word of the machinery's own.

    >>> tool = Tool(name="t", description="", arguments={}, run=lambda given: 1 / 0)
    >>> run_tool(tool, {}).for_model
    'Error: the tool failed. Try another way.'
    """
    try:
        return tool.run(arguments)
    except WenshuError as error:
        said = f"Error: {error.message.en} {error.hint.en}".strip()
        return ToolResult(tool=tool.name, for_model=said, found=error, failed=True)
    except Exception:
        log.exception("the tool %s failed", tool.name)
        return ToolResult(tool=tool.name, for_model="Error: the tool failed. Try another way.", failed=True)
