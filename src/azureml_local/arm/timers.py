"""What is to happen later: one timer a name, on the service's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from azureml_local.clock import real_seconds


class Timers:
    """Timers by their names."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether a timer of this name is running."""
        return name in self._timers

    def set(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` in so many seconds of the service's clock; what was to be called under ``name`` is not."""

        def fire() -> None:
            del self._timers[name]
            action()

        self.cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(real_seconds(seconds), fire)

    def cancel(self, prefix: str) -> None:
        """Call nothing of the timers whose names begin so."""
        for name in [name for name in self._timers if name.startswith(prefix)]:
            self._timers.pop(name).cancel()
