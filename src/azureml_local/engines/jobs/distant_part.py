"""A part of an attempt that a node on another machine does, as the service hears of it.

A heartbeat is a request through the edge, under the part's token. A node that had no answer for ``GIVES_UP_AFTER``
since it asked ends what it does; the service, which has answered later than that, takes it for lost ``LOST_AFTER`` its
last answer. The difference is what processes need to end; no clocks are compared.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from azureml_local.engines.jobs.parallel.ledger import Ledger
from azureml_local.engines.jobs.parallel.shared_ledger import do_for_another

SECONDS_BETWEEN = 3.0
ANSWERED_WITHIN = 5.0
GIVES_UP_AFTER = 12.0  # since the last heartbeat that was answered was sent
LOST_AFTER = 24.0  # since the last answer: twice as long, for SIGTERM, SIGKILL and a machine that is busy
MOST_ANSWERS = 1024  # that are kept for a node which had none and asks again

PART = "/azureml-local/v1.0/attempts/{job}/{number:int}/{rank:int}"
HEARTBEAT, LEDGER = f"{PART}/heartbeat", f"{PART}/ledger"


def path(route: str, job: str, number: int, rank: int) -> str:
    """Return the path of a part's requests; ``job`` is the job's key."""
    return route.replace(":int", "").format(job=job, number=number, rank=rank)


class DistantPart:
    """One part.

    Args:
        folder: of its job on this machine.
        on_report: takes what the node reports.
        sign: returns new shared access signatures, by the names of the job's containers.
    """

    def __init__(
        self, folder: Path, on_report: Callable[[Mapping[str, Any]], None], sign: Callable[[], Mapping[str, str]]
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self.was_heard = False  # so that there is something to end on the node
        self._folder = folder
        self._on_report = on_report
        self.sign = sign
        self._answers: OrderedDict[str, Any] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._is_over: asyncio.Future[None] = self._loop.create_future()
        self._is_lost: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_later(LOST_AFTER, self._lose)

    @property
    def has_ended(self) -> bool:
        """Whether the part is not under way any more."""
        return self._is_over.done()

    def is_from(self, token: str) -> bool:
        """Say whether a request is the node's, which alone has the token, and the part under way."""
        return hmac.compare_digest(token.encode(), self.token.encode()) and not self.has_ended

    def hear(self, reports: Sequence[Mapping[str, Any]], *, is_last: bool) -> bool:
        """Take a heartbeat's reports, and return whether the node may go on: not if it was taken for lost meanwhile.

        Args:
            reports: in order.
            is_last: nothing of the part runs on the node any more.
        """
        if self.has_ended:
            return False
        self.was_heard = True
        self._timer.cancel()
        self._timer = self._loop.call_later(LOST_AFTER, self._lose)
        for report in reports:
            self._on_report(report)
        if is_last:
            self._is_over.set_result(None)
        return True

    async def lost(self) -> None:
        """Return when nothing was heard for too long."""
        await asyncio.shield(self._is_lost)

    async def over(self) -> None:
        """Return once nothing of it runs: the node has said so, or is lost and had no answer for so long."""
        await asyncio.shield(self._is_over)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of a parallel job."""
        return Ledger(self._folder)

    def do(self, asked: Mapping[str, Any]) -> Any:
        """Do with the ledger what the node asks; what it asks again, because it had no answer, is not done again.

        Raises:
            KeyError, TypeError: it is no request with an ``id``.
            ValueError: it asks for what there is not, or with values of other types.
        """
        request = asked["id"]
        if request not in self._answers:
            self._answers[request] = do_for_another(self.ledger, asked)
            if len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)
        return self._answers[request]

    def close(self) -> None:
        """Answer no more."""
        self._timer.cancel()
        self._lose()
        if "ledger" in self.__dict__:
            self.ledger.close()

    def _lose(self) -> None:
        for future in (self._is_over, self._is_lost):
            if not future.done():
                future.set_result(None)
