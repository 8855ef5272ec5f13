"""How often something may be tried: some times at once, then now and then."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class Throttle:
    """A token bucket for each key (RFC 2697's single rate), in memory.

    Args:
        at_once: tries that a key has to begin with, and gets again after a while.
        every: seconds after which a key has one more.
        clock: seconds, as they pass.
        keys: how many keys are remembered; those tried longest ago are forgotten first.
    """

    def __init__(
        self, at_once: int, every: float, clock: Callable[[], float] = time.monotonic, keys: int = 10_000
    ) -> None:
        self._at_once, self._every, self._clock, self._keys = at_once, every, clock, keys
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when a key will have all its tries again

    def wait(self, key: str) -> float:
        """Return for how many seconds ``key`` may not try; 0 where it may now."""
        missing = max(0.0, self._full_at.get(key, 0.0) - self._clock())
        return max(0.0, missing - (self._at_once - 1) * self._every)

    def failed(self, key: str) -> None:
        """Note a try that failed."""
        now = self._clock()
        self._full_at[key] = max(now, self._full_at.pop(key, now)) + self._every
        if len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Give a key all its tries again."""
        self._full_at.pop(key, None)
