"""Owns the settings of the language model, read from the environment's variables. Knows no library and makes no call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.text import Text

T = TypeVar("T")
SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSettings:
    """Hold where the language model is and the bounds of one question.

    `seconds` and `tokens` bound a whole question with all its calls, `steps` the calls of agent mode. `price` is what a
    million tokens cost, in and out, in the currency of one's bill. `confirm` runs a reading of words that no vocabulary
    knows only where the model says the same at least twice, in other words of its own. The key is never shown.
    """

    model: str
    base_url: str | None = None
    key: str = field(default="none", repr=False)
    mode: Literal["plan", "agent"] = "plan"
    seconds: float = 60.0
    tokens: int = 60_000
    steps: int = 8
    confirm: bool = True
    prose: bool = True
    values: bool = True
    price: tuple[float, float] | None = None
    trace: Path | None = None


def settings_from(environment: Mapping[str, str]) -> LlmSettings | None:
    """Return the settings, or None where no model is configured: a key alone sends nothing anywhere.

    Raises `PlannerError` with code `llm_setting` for a value that cannot be read.

    >>> settings_from({"OPENAI_API_KEY": "k"}) is None
    True
    >>> settings_from({"WENSHU_MODEL": "m", "OPENAI_BASE_URL": "http://127.0.0.1:8081/v1", "WENSHU_LLM_SECONDS": "20"}).seconds
    20.0
    """
    model, base_url, key = (
        environment.get(name, "").strip() for name in ("WENSHU_MODEL", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    )
    if not model or not (base_url or key):
        return None

    def read(name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
        text = environment.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except (ValueError, KeyError):
            raise PlannerError(
                "llm_setting",
                Text(f"{name} is not {expected}.", f"环境变量 {name} 的值无效。"),
                Text(f"Give {expected}.", f"应为：{expected}。"),
            ) from None

    def switch(text: str) -> bool:
        return SWITCH[text.lower()]

    return LlmSettings(
        model=model,
        base_url=base_url or None,
        key=key or "none",
        mode=read("WENSHU_LLM_MODE", "plan", _mode, "plan or agent"),
        seconds=read("WENSHU_LLM_SECONDS", 60.0, lambda text: _positive(float(text)), "a number of seconds"),
        tokens=read("WENSHU_LLM_TOKENS", 60_000, lambda text: _positive(int(text)), "a number of tokens"),
        steps=read("WENSHU_LLM_STEPS", 8, lambda text: _positive(int(text)), "a number of calls"),
        confirm=read("WENSHU_LLM_CONFIRM", True, switch, "on or off"),
        prose=read("WENSHU_LLM_PROSE", True, switch, "on or off"),
        values=read("WENSHU_LLM_VALUES", True, switch, "on or off"),
        price=read("WENSHU_LLM_PRICE", None, _price, "two prices a million tokens, in and out, such as 0.15,0.60"),
        trace=read("WENSHU_LLM_TRACE", None, Path, "a file"),
    )


def _mode(text: str) -> Literal["plan", "agent"]:
    modes: dict[str, Literal["plan", "agent"]] = {"plan": "plan", "agent": "agent"}
    return modes[text]


N = TypeVar("N", int, float)


def _positive(number: N) -> N:
    if not 0 < number < 1e9:
        raise ValueError(number)
    return number


def _price(text: str) -> tuple[float, float] | None:
    into, out = (float(part) for part in text.split(","))
    if not (0 <= into < 1e6 and 0 <= out < 1e6):
        raise ValueError(text)
    return into, out
