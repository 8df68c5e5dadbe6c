"""Owns how a question that nobody waits for any more is given up. Knows nothing of engines or of who asks.

Whoever takes a question sets what may cancel it; whatever works long on it looks. It is no argument, as it would be one of everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

_cancelling: ContextVar[Event | None] = ContextVar("cancelling", default=None)


@contextmanager
def cancelled_by(event: Event) -> Iterator[None]:
    """Give up what is done within, once `event` is set."""
    token = _cancelling.set(event)
    try:
        yield
    finally:
        _cancelling.reset(token)


def is_cancelled() -> bool:
    """Tell whether what is being done has been given up.

    >>> stop = Event()
    >>> with cancelled_by(stop):
    ...     before = is_cancelled()
    ...     stop.set()
    ...     print(before, is_cancelled())
    False True
    """
    event = _cancelling.get()
    return event is not None and event.is_set()
