"""Owns what is kept of earlier work: values by key, the least used forgotten first. Knows nothing of queries or of who asks."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")

MOST_ENTRIES = 1_000
MOST_CELLS = 1_000_000
MOST_CELLS_OF_ONE = 100_000


class BoundedCache(Generic[Value]):
    """Keep values by key, within bounds of their number and of their sizes; safe to use from several threads.

    >>> cache = BoundedCache[str](entries=2)
    >>> for key in ("a", "b"):
    ...     cache.put(key, key.upper())
    >>> cache.get("a"), cache.put("c", "C"), cache.get("b"), cache.get("a")
    ('A', None, None, 'A')
    """

    def __init__(self, *, entries: int = MOST_ENTRIES, cells: int = MOST_CELLS) -> None:
        self._entries = entries
        self._cells = cells
        self._held = 0
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        """Return the value kept under `key`, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, value: Value, cells: int = 1) -> None:
        """Keep a value of a size, unless it would take most of the room; others are forgotten for it."""
        if cells > min(MOST_CELLS_OF_ONE, self._cells):
            return
        with self._lock:
            _, before = self._kept.pop(key, (None, 0))
            self._held += cells - before
            self._kept[key] = (value, cells)
            while len(self._kept) > self._entries or self._held > self._cells:
                _, (_, forgotten) = self._kept.popitem(last=False)
                self._held -= forgotten
