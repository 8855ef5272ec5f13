"""Liveness and readiness probes of instances: Azure's ``ProbeSettings``, and what is said of one that fails.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online#probesettings. Both ask the
inference server for ``GET /``, which it answers "Healthy" (its route ``health_probe``).

Times are real ones, whatever the service's clock: what they are held against, how long ``init()`` and ``run()`` take,
does not become faster either. One liberty is taken: the first probe goes out at once, and ``initial_delay`` only delays
the counting of failures of an instance that starts, so that nobody waits for one that is ready.
"""

from __future__ import annotations

from dataclasses import dataclass

# What the kubelet says of a probe that got no answer in time, and what is said on Azure where nothing listens:
# https://github.com/Azure/mlops-v2/issues/120
TIMED_OUT = 'Get "http://127.0.0.1:5001/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
UNREACHABLE = "HTTP probe failed with statuscode: 502"


@dataclass(frozen=True)
class Probe:
    """How often an instance is asked whether it is well, and how many answers count. Times are in seconds."""

    initial_delay: float = 10.0
    period: float = 10.0
    timeout: float = 2.0
    success_threshold: int = 1
    failure_threshold: int = 30


class Tally:
    """Counts a probe's answers in a row, and says what they add up to."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._last_passed = True

    def count(self, passed: bool, probe: Probe) -> bool | None:
        """Count one answer; return True or False once enough of them say so, None until then."""
        self._in_a_row = self._in_a_row + 1 if passed == self._last_passed else 1
        self._last_passed = passed
        enough = probe.success_threshold if passed else probe.failure_threshold
        return passed if self._in_a_row >= enough else None


def status_failure(status: int) -> str | None:
    """Return what is said of a probe that was answered so; None where that is well (the kubelet takes 200 to 399)."""
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"
