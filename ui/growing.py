"""Owns waiting for what grows in a thread: a page hears of every step, and the query at work ends when nobody listens any more."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from threading import Event
from typing import TypeVar

from anyio import to_thread

from wenshu.semantic_layer.cancellation import cancelled_by

SIGN_OF_LIFE = 1.0  # seconds after which a page is sent something, so that one that has gone is noticed
LOOK = 0.2  # seconds until the next look where there is nothing new

News = TypeVar("News")


async def grown(growing: Iterator[News]) -> AsyncGenerator[News | None]:
    """Yield what `growing` does, but for what is empty, and None for every second without; closed, it ends the query at work."""
    given_up = Event()

    def grow() -> News | None:
        with cancelled_by(given_up):
            return next(growing, None)

    try:
        while True:
            step = asyncio.ensure_future(to_thread.run_sync(grow, abandon_on_cancel=True))
            while not (await asyncio.wait([step], timeout=SIGN_OF_LIFE))[0]:
                yield None
            if (news := step.result()) is None:
                return
            if news:
                yield news
            else:
                await asyncio.sleep(LOOK)
    finally:
        given_up.set()
