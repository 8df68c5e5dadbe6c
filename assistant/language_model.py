"""Owns what a language model is to the assistant: text for messages, and work with tools. Knows no library."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from wenshu.assistant.ledger import Ledger
from wenshu.assistant.llm_settings import LlmSettings
from wenshu.tools.base import Tool, ToolResult

Message = tuple[str, str]  # role (system, user, assistant) and text


class LanguageModel(Protocol):
    """Speak to a language model; `wenshu.assistant.llm` has the one there is. Each method raises `PlannerError`."""

    settings: LlmSettings

    def stream(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> Iterator[str]: ...

    def complete(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> str: ...

    def work(self, system: str, question: str, tools: Sequence[Tool], ledger: Ledger) -> Iterator[ToolResult | str]: ...
