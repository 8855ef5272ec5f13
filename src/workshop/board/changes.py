"""Telling all who wait that something has changed."""

from __future__ import annotations

import asyncio
import contextlib


class Changes:
    """A count of changes that can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seen: int, seconds: float) -> int:
        """Return the count as soon as it is no longer ``seen``, or after so many seconds."""
        if self.count == seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._next.wait(), seconds)
        return self.count
