"""Owns replies of a language model kept in a file: a request that was made before is answered from it, any other is made and kept.

A line holds one exchange: the question it was made for, a digest of all that was sent, the reply, and what it took.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from wenshu.assistant.language_model import LanguageModel, Message
from wenshu.assistant.ledger import Ledger
from wenshu.tools.base import Tool, ToolResult


class Recording:
    """Speak to a language model, making each request only once; `path` may be None, then nothing is kept."""

    def __init__(self, model: LanguageModel, path: Path | None = None) -> None:
        self.settings = model.settings
        self._model = model
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        self._known: dict[str, dict[str, Any]] = {line["sent"]: line for line in map(json.loads, lines)}
        self.begin("")

    def begin(self, question: str) -> None:
        """Name the question that the next exchanges are for; `replies` and `seconds` are those since then."""
        self._question = question
        self.replies: list[str] = []
        self.seconds = 0.0

    def stream(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> Iterator[str]:
        """Yield the reply that is kept, or the model's, which is kept then."""
        sent = json.dumps([self.settings.model, messages, schema], ensure_ascii=False)
        digest = hashlib.sha256(sent.encode()).hexdigest()[:32]
        if (kept := self._known.get(digest)) is None:
            kept = self._made(messages, ledger, schema, digest)
        else:
            ledger.calls += 1
            ledger.send(tuple(text for _, text in messages))
            ledger.prompt_tokens += kept["tokens"][0]
            ledger.completion_tokens += kept["tokens"][1]
        self.seconds += kept["seconds"]
        self.replies.append(kept["reply"])
        yield kept["reply"]

    def complete(self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None = None) -> str:
        """Return a whole reply."""
        return "".join(self.stream(messages, ledger, schema))

    def work(self, system: str, question: str, tools: Sequence[Tool], ledger: Ledger) -> Iterator[ToolResult | str]:
        """Let the model work with tools; nothing of it is kept."""
        return self._model.work(system, question, tools, ledger)

    def _made(
        self, messages: Sequence[Message], ledger: Ledger, schema: dict[str, Any] | None, digest: str
    ) -> dict[str, Any]:
        before, started = (ledger.prompt_tokens, ledger.completion_tokens), perf_counter()
        reply = self._model.complete(messages, ledger, schema)
        took = [ledger.prompt_tokens - before[0], ledger.completion_tokens - before[1]]
        seconds = round(perf_counter() - started, 2)
        kept = {"question": self._question, "sent": digest, "reply": reply, "tokens": took, "seconds": seconds}
        self._known[digest] = kept
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        return kept
