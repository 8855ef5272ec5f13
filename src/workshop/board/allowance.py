"""How often each learner may call the board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BURST, A_SECOND = 30.0, 2.0


@dataclass
class _Bucket:
    left: float
    at: float


class Allowance:
    """A bucket of calls for each learner, which fills again with time.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float], burst: float = BURST, a_second: float = A_SECOND) -> None:
        self._clock, self._burst, self._a_second = clock, burst, a_second
        self._buckets: dict[str, _Bucket] = {}

    def take(self, user: str) -> float:
        """Take a call; return 0 where there was one, else how many seconds to wait for the next."""
        now = self._clock()
        bucket = self._buckets.setdefault(user, _Bucket(self._burst, now))
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._a_second)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / self._a_second
        bucket.left -= 1
        return 0.0
