"""The heartbeats of nodes on other machines, as the service hears them.

A heartbeat is a request through the edge, under a token of the node's part of the attempt. A node that had no answer
for ``GIVES_UP_AFTER`` since it asked ends what it does; the service, which has answered later than that, takes it for
lost ``LOST_AFTER`` its last answer. The difference is what processes need to end; no clocks are compared.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

SECONDS_BETWEEN = 3.0
ANSWERED_WITHIN = 5.0
GIVES_UP_AFTER = 12.0  # since the last heartbeat that was answered was sent
LOST_AFTER = 24.0  # since the last answer: twice as long, for SIGTERM, SIGKILL and a machine that is busy

ROUTE = "/azureml-local/v1.0/attempts/{job}/{number:int}/{rank:int}/heartbeat"


def path(job: str, number: int, rank: int) -> str:
    """Return the path of the heartbeats of a node's part of an attempt; ``job`` is the job's key."""
    return ROUTE.replace(":int", "").format(job=job, number=number, rank=rank)


class Heartbeats:
    """Those of one part.

    Args:
        on_report: takes each report.
    """

    def __init__(self, on_report: Callable[[Mapping[str, Any]], None]) -> None:
        self.token = secrets.token_urlsafe(32)
        self.were_heard = False  # so that there is something to end on the node
        self._on_report = on_report
        self._loop = asyncio.get_running_loop()
        self._is_silent: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_later(LOST_AFTER, self._fall_silent)

    def is_from(self, token: str) -> bool:
        """Say whether a heartbeat is the node's, which alone has the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def hear(self, reports: Sequence[Mapping[str, Any]]) -> bool:
        """Take a heartbeat's reports, and return whether the node may go on: not once it was taken for lost."""
        if self._is_silent.done():
            return False
        self.were_heard = True
        self._timer.cancel()
        self._timer = self._loop.call_later(LOST_AFTER, self._fall_silent)
        for report in reports:
            self._on_report(report)
        return True

    async def silence(self) -> None:
        """Return once the node is lost: it has ended by then whatever it did, for it had no answer for as long."""
        await asyncio.shield(self._is_silent)

    def close(self) -> None:
        """Answer no more: the part has ended, and the node has said so."""
        self._timer.cancel()
        self._fall_silent()

    def _fall_silent(self) -> None:
        if not self._is_silent.done():
            self._is_silent.set_result(None)
