"""Owns what a language model may take and took for one question: seconds, tokens, calls, cost, and all that was sent."""

from dataclasses import dataclass, field
from time import perf_counter

from wenshu.assistant.llm_settings import LlmSettings
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.text import Text

CHARACTERS_A_TOKEN = 2  # a careful guess, for a server that does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmUse:
    """Say what a language model was asked and what it took; `sent` is all that went out, message by message."""

    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float | None = None
    sent: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Count what one question takes."""

    settings: LlmSettings
    started: float = field(default_factory=perf_counter)
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    sent: list[str] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        return self.settings.seconds - (perf_counter() - self.started)

    def open(self, sent: tuple[str, ...]) -> None:
        """Enter a call before it is made.

        Raises `PlannerError` with code `llm_limit` or `llm_timeout` where the question has used up what it may take.
        """
        if self.seconds_left <= 0:
            raise timed_out(self.settings)
        self.check()
        self.calls += 1
        self.send(sent)

    def send(self, sent: tuple[str, ...]) -> None:
        """Enter what goes out; what went out before is not said twice."""
        self.sent += [text for text in sent if text not in self.sent]

    def check(self) -> None:
        """Raise `PlannerError` with code `llm_limit` where the tokens are used up."""
        if self.prompt_tokens + self.completion_tokens >= self.settings.tokens:
            raise PlannerError(
                "llm_limit",
                Text(f"The language model used up its {self.settings.tokens:,} tokens.", f"大模型已用完 {self.settings.tokens:,} 个 token 的额度。"),
                Text("Ask a narrower question, or raise WENSHU_LLM_TOKENS.", "请缩小问题范围，或调高 WENSHU_LLM_TOKENS。"),
            )  # fmt: skip

    def close(self, usage: dict[str, int] | None, sent: int, received: int) -> None:
        """Enter what a call took; by its characters where the server does not count."""
        usage = usage or {}
        self.prompt_tokens += usage.get("input_tokens") or sent // CHARACTERS_A_TOKEN
        self.completion_tokens += usage.get("output_tokens") or received // CHARACTERS_A_TOKEN

    @property
    def use(self) -> LlmUse | None:
        """Return what the receipt shows, None where nothing was asked."""
        if not self.calls:
            return None
        cost = None
        if (price := self.settings.price) is not None:
            cost = (self.prompt_tokens * price[0] + self.completion_tokens * price[1]) / 1e6
        return LlmUse(
            model=self.settings.model, calls=self.calls, prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens,
            seconds=perf_counter() - self.started, cost=cost, sent=tuple(self.sent),
        )  # fmt: skip


def timed_out(settings: LlmSettings) -> PlannerError:
    """Return the error of a model that takes too long."""
    return PlannerError(
        "llm_timeout",
        Text(f"The language model did not answer within {settings.seconds:g} seconds.", f"大模型在 {settings.seconds:g} 秒内没有答完。"),
        Text("Ask again, raise WENSHU_LLM_SECONDS, or use --planner rules.", "请重试、调高 WENSHU_LLM_SECONDS，或使用 --planner rules。"),
    )  # fmt: skip
