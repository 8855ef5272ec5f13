"""Nodes: Dask workers, each a process of its own under a guard, on one scheduler in the service's process.

Which node a job gets is decided in :mod:`azureml_local.engines.compute.pool`; Dask carries the work there and the
answer back. Its connections are TLS with a certificate that only this service's processes have: who can reach the
scheduler's port may run code. https://distributed.dask.org/en/stable/tls.html
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_local.engines.compute import REPORTS
from azureml_local.engines.compute.node import NodeSettings, configure_dask, security
from azureml_local.engines.forking import ForkServer
from azureml_local.engines.process import GuardedProcess, own_environment
from azureml_local.home import write_private

if TYPE_CHECKING:
    from distributed import Client, Scheduler

logger = logging.getLogger(__name__)

READY_WITHIN = 120.0  # seconds for a node to register; a machine that is busy with other nodes needs some
# What a node imports, but for its own program.
IMPORTED = ("azureml_local.engines.compute.lean_dask", "azureml_local.engines.jobs.execution")
GRACE = 10.0  # seconds that a node has to end the processes of its job

Report = Callable[[Mapping[str, Any]], None]


class NodeError(Exception):
    """A node did not start, or ended while it was at work.

    Args:
        message: which node, and what became of it.
        taken: the service ended it: it was preempted, or its compute is stopped, is deleted or has fewer nodes.
    """

    def __init__(self, message: str, *, taken: bool = False) -> None:
        super().__init__(message)
        self.taken = taken


class Node(ABC):
    """One node. Set ``preempted`` before it is ended because it is taken away.

    Args:
        name: Azure's form of a node's id.
        address: where the scheduler knows it, ``tls://HOST:PORT``.
        edge: where the service's edge is reached from a node on another machine, ``HOST:PORT``; None for one here.
    """

    def __init__(self, name: str, address: str, edge: str | None = None) -> None:
        self.name = name
        self.address = address
        self.edge = edge
        self.preempted = False
        self.is_ending = False

    @property
    @abstractmethod
    def ended(self) -> asyncio.Future[Any]:
        """Done when the node has ended, or is lost."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing that it still answers can be relied on: it is being ended, or has ended."""
        return self.is_ending or self.ended.done()

    @abstractmethod
    async def stop(self) -> None:
        """End the node, and what it is at."""

    def lose(self) -> None:
        """Take a node elsewhere for lost: its heartbeats have ceased."""
        self.is_ending = True

    @abstractmethod
    async def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Run a function on the node and return what it returns.

        Raises:
            NodeError: the node ended meanwhile.
        """

    @abstractmethod
    async def call(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run a short function on the node beside the work that it is at; nothing where it ends, or has ended."""


class DaskNode(Node):
    """A node that is a Dask worker; the arguments are those of :class:`Node`, and the scheduler's client."""

    def __init__(self, name: str, address: str, client: Client, edge: str | None = None) -> None:
        super().__init__(name, address, edge)
        self._client = client

    async def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """See :meth:`Node.run`."""
        future = self._client.submit(
            function, *arguments, workers=[self.address], allow_other_workers=False, pure=False, retries=0
        )
        try:
            result = asyncio.ensure_future(future.result())
            result.add_done_callback(lambda done: done.cancelled() or done.exception())  # also where nobody asks for it
            await asyncio.wait((result, self.ended), return_when=asyncio.FIRST_COMPLETED)
            # As it ends, a node ends its job's processes, and says how they ended; without a scheduler it says nothing.
            if self.is_lost or not result.done() or result.cancelled():
                result.cancel()
                what = "was preempted" if self.preempted else "ended"
                raise NodeError(f"Node {self.name} {what}.", taken=self.is_ending)
            return result.result()
        finally:
            # Dask keeps no result, and runs nothing again: the address of a node that ended may be another's soon.
            with contextlib.suppress(OSError):  # the scheduler is gone, and with it what it knew
                await self._client.cancel([future], force=True)

    async def call(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """See :meth:`Node.call`."""
        if self.is_lost:
            return
        called = asyncio.ensure_future(
            self._client.run(function, *arguments, workers=[self.address], on_error="ignore")
        )
        await asyncio.wait((called, self.ended), return_when=asyncio.FIRST_COMPLETED)
        called.cancel()  # it would try for long to reach a node that has ended meanwhile


class OwnNode(DaskNode):
    """A node that the service has started: ``process`` is the worker."""

    def __init__(self, name: str, address: str, client: Client, process: GuardedProcess) -> None:
        super().__init__(name, address, client)
        self.process = process

    @property
    def ended(self) -> asyncio.Future[int]:
        """Done when the worker's process has ended."""
        return self.process.ended

    async def stop(self) -> None:
        """End the process, and what it is at."""
        self.is_ending = True
        await self.process.stop()


class Nodes:
    """Starts nodes on this machine. Dask is loaded when the first one is wanted.

    Args:
        folder: for the scheduler's certificate and what nodes keep while they run.
        log: receives what nodes say.
        on_report: called with what a node reports of the work it is at.
    """

    is_elsewhere = False
    why_not_more = ""

    def __init__(self, folder: Path, log: Path, on_report: Report) -> None:
        self._folder = folder
        self._log = log
        self._on_report = on_report
        self._forks = ForkServer(IMPORTED, own_environment(), log)
        self._starting = asyncio.Lock()
        self._scheduler: Scheduler | None = None
        self._client: Client | None = None

    async def prepare(self) -> None:
        """Start the scheduler where it does not run."""
        async with self._starting:
            if self._client is None:
                await asyncio.to_thread(_load_dask)  # takes a second
                await self._start_scheduler()

    async def _start_scheduler(self) -> None:
        from distributed import Client, Scheduler

        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        configure_dask()
        secured = security(self._folder, create=True)
        scheduler = await Scheduler(
            host="127.0.0.1", port=0, protocol="tls", dashboard=False, dashboard_address="127.0.0.1:0", security=secured
        )
        scheduler.http_server.stop()
        for name in ("idle-timeout", "no-workers-timeout"):  # they ask four times a second, and neither is set
            scheduler.periodic_callbacks[name].stop()
        client = await Client(scheduler.address, asynchronous=True, security=secured, set_as_default=False)
        client.subscribe_topic(REPORTS, lambda event: self._on_report(event[1]))
        self._scheduler, self._client = scheduler, client

    async def start_node(self, name: str) -> Node:
        """Start a node and return it once work can be given to it.

        Args:
            name: its own among all nodes, good for a file's name.

        Raises:
            NodeError: it did not start; the log says why.
        """
        await self.prepare()
        assert self._scheduler is not None  # noqa: S101 - prepared above
        settings = NodeSettings(self._scheduler.address, name, str(self._folder))
        file = self._folder / f"{name}.json"
        write_private(file, json.dumps(settings.__dict__))
        process = await GuardedProcess.start(
            [sys.executable, "-m", "azureml_local.engines.compute.node", str(file)],
            log=self._log,
            environment=own_environment(),
            grace=GRACE,
            capture=True,
            forks=self._forks,
        )
        try:
            async with asyncio.timeout(READY_WITHIN):
                address = (await process.read_line()).strip()
        except BaseException as error:
            await process.stop()
            if isinstance(error, TimeoutError):
                raise NodeError(f"The node did not register within {READY_WITHIN:g} s; see {self._log}.") from error
            raise
        finally:
            file.unlink(missing_ok=True)
        if not address:
            await process.stop()
            raise NodeError(f"The node ended as it started; see {self._log}.")
        assert self._client is not None  # noqa: S101 - prepared above
        return OwnNode(name, address, self._client, process)

    async def close(self) -> None:
        """End the scheduler. The nodes are ended by who started them."""
        if self._client is not None and self._scheduler is not None:
            await self._client.close()
            await self._scheduler.close()
        await self._forks.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _load_dask() -> None:
    from azureml_local.engines.compute import lean_dask  # noqa: F401 - imports on the event loop find it loaded
