"""What is to happen later: one timer a name, on the service's clock."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

from azureml_local.clock import real_seconds

logger = logging.getLogger(__name__)

TRY_AGAIN_AFTER = 1.0  # seconds, where the disk was full


class Timers:
    """Timers by their names. An action that finds the disk full is called again until it does not."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether a timer of this name is running."""
        return name in self._timers

    def set(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` in so many seconds of the service's clock; what was to be called under ``name`` is not."""

        def fire() -> None:
            del self._timers[name]
            try:
                action()
            except sqlite3.OperationalError as error:
                logger.error("what was due for %s cannot be written: %s", name, error)
                self.cancel(name)
                self._timers[name] = asyncio.get_running_loop().call_later(TRY_AGAIN_AFTER, fire)

        self.cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(real_seconds(seconds), fire)

    def cancel(self, prefix: str) -> None:
        """Call nothing of the timers whose names begin so."""
        for name in [name for name in self._timers if name.startswith(prefix)]:
            self._timers.pop(name).cancel()
