"""Where a node does its part of an attempt: on the service's machine, or on another one.

On the service's machine nodes share the job's folder and the storage's key, and a lock on a file there tells when
nothing of an attempt runs any more. A node elsewhere shares nothing: :mod:`azureml_local.engines.jobs.elsewhere`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.compute import REPORTS
from azureml_local.engines.jobs import data, fence
from azureml_local.engines.jobs.parallel.shared_ledger import LocalLedger, SharedLedger
from azureml_local.engines.jobs.spec import Attempt, OutputMode, Storage
from azureml_local.http.upstream import Address


class Site(Protocol):
    """Where a node does its part.

    ``blobs`` is the storage as it is reached from there, ``folder`` the job's, ``own`` the part's; the outputs of the
    modes ``kept_as_it_leaves`` would be lost with the node.
    """

    blobs: BlobStorage
    folder: Path
    own: Path
    kept_as_it_leaves: Collection[OutputMode]

    async def enter(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """Begin.

        Args:
            give_up: ends the part; called where the service is not heard any more, or does not want it.

        Raises:
            StaleAttemptError: a later attempt has begun, or is about to.
        """

    async def prepare(self) -> Attempt:
        """Return the attempt with everything that it lacked before this site was known.

        Raises:
            EnvironmentBuildError: its environment cannot be had here.
        """

    def send(self, report: Mapping[str, Any]) -> None:
        """Tell the service how the part stands."""

    def ledger(self) -> SharedLedger:
        """Return the ledger of a parallel job."""

    async def keep(self) -> None:
        """Bring what a mini-batch has left to where it is not lost with this machine."""

    async def deliver(self, modes: Collection[OutputMode]) -> None:
        """Bring what the job has written to its outputs, of some modes, into storage.

        Raises:
            StagingError: a file's name is not UTF-8.
            UpstreamError: the storage ended and did not come back.
            BlobError: it refused.
        """

    async def leave(self) -> None:
        """Delete what lies here of the part. The next attempt may begin."""


class Here:
    """The service's own machine.

    Args:
        attempt: what a node does of it.
        storage: as it is reached here.
    """

    kept_as_it_leaves: Collection[OutputMode] = ()

    def __init__(self, attempt: Attempt, storage: Storage) -> None:
        self._attempt = attempt
        self.blobs = BlobStorage(storage.account, storage.key)
        self.blobs.set_address(Address(port=storage.port))
        self.folder = Path(attempt.folder)
        self.own = self.folder / f"{attempt.number}-{attempt.rank}"
        self._lock: IO[str] | None = None

    async def enter(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """Hold the lock of the attempts. The service is there for as long as this machine is."""
        self._lock = fence.enter(self.folder, self._attempt.number)

    async def prepare(self) -> Attempt:
        """Return the attempt: it lacks nothing."""
        return self._attempt

    def send(self, report: Mapping[str, Any]) -> None:
        """Tell it by the scheduler."""
        from distributed import get_worker

        message = {"job": self._attempt.spec.key, "attempt": self._attempt.number, **report}
        get_worker().log_event(REPORTS, message)

    def ledger(self) -> SharedLedger:
        """Return the one that the nodes on this machine share."""
        return LocalLedger(self.folder)

    async def keep(self) -> None:
        """Leave it: the job's folder lasts as long as the job."""

    async def deliver(self, modes: Collection[OutputMode]) -> None:
        """Bring all of it: the first node does so for all."""
        await data.deliver(self.blobs, self.folder, self._attempt.spec.outputs, modes)

    async def leave(self) -> None:
        """Delete the part's folder, and let go of the lock."""
        await asyncio.to_thread(shutil.rmtree, self.own, ignore_errors=True)
        if self._lock:
            self._lock.close()
