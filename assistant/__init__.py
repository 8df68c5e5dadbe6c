"""How words become a plan and a plan an answer. `Assistant` is loaded when it is first named, so that its parts load fast."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant

__all__ = ["Assistant"]


def __getattr__(name: str) -> Any:
    if name == "Assistant":
        from wenshu.assistant.assistant import Assistant

        return Assistant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
