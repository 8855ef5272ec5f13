"""Nodes on other machines: the workers of an existing Dask scheduler that their operator started and tagged.

A worker with the resource ``node:<compute>`` is a node of the computes of that name. It is used and given back, never
started and never ended. What it needs is in :class:`~azureml_local.engines.jobs.spec.Gateway`.

https://distributed.dask.org/en/stable/resources.html and https://distributed.dask.org/en/stable/tls.html
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import ipaddress
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_local.engines.compute.node import configure_dask
from azureml_local.engines.compute.nodes import DaskNode, NodeError
from azureml_local.engines.jobs import execution

if TYPE_CHECKING:
    from distributed import Client, Worker
    from distributed.comm.core import Comm
    from distributed.security import Security

logger = logging.getLogger(__name__)

TAG = "node:"  # before a compute's name: the resource of its nodes
PACKAGE = "azureml-workbook"
REACHED_WITHIN = 10.0  # seconds, a scheduler or a worker
TRY_AGAIN_AFTER = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds, a scheduler that is not reached
GIVES_BACK_WITHIN = 10.0  # seconds that a worker has to end what it does for us


class HostsError(Exception):
    """The scheduler cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class SchedulerSettings:
    """An existing Dask scheduler, whose workers are nodes of some computes.

    Args:
        address: ``tls://HOST:PORT``; ``tcp://`` on loopback only.
        computes: the names of the computes.
        ca, certificate, key: the files by which the service and the scheduler trust each other; empty without TLS.
    """

    address: str
    computes: tuple[str, ...]
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def check(self) -> None:
        """Raise HostsError where the settings cannot be right."""
        scheme, host = urlsplit(self.address).scheme, urlsplit(self.address).hostname
        if scheme not in ("tls", "tcp") or not host:
            raise HostsError(f"'{self.address}' is no address of a Dask scheduler: it must be tls://HOST:PORT.")
        if scheme == "tcp" and not is_loopback(host):
            raise HostsError(
                f"{self.address} is beyond loopback without TLS: who reaches a scheduler runs code on its workers. "
                "Start it with --protocol tls and certificates, then name tls://HOST:PORT."
            )
        if scheme == "tls" and not (self.ca and self.certificate and self.key):
            raise HostsError(f"{self.address} needs --tls-ca, --tls-cert and --tls-key.")

    def security(self) -> Security | None:
        """Return how to connect. Raises HostsError where a file cannot be read."""
        from distributed.security import Security

        if not self.ca:
            return None
        for file in (self.ca, self.certificate, self.key):
            try:
                with open(file, "rb"):  # noqa: PTH123 - whether it can be
                    pass
            except OSError as error:
                raise HostsError(f"{file} cannot be read: {error.strerror}.") from error
        return Security(
            tls_ca_file=self.ca,
            tls_client_cert=self.certificate,
            tls_client_key=self.key,
            tls_worker_cert=self.certificate,
            tls_worker_key=self.key,
            require_encryption=True,
        )


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(eq=False)
class HostWorker:
    """A tagged worker, as the scheduler knows it.

    Args:
        address: ``tls://HOST:PORT``.
        name: that its operator gave it, or its address.
        computes: the names of the computes whose node it is.
        problem: why it cannot be used; empty where it can.
        node: what it is now, while a pool has it.
    """

    address: str
    name: str
    computes: tuple[str, ...]
    problem: str = "It is being looked at."
    node: HostNode | None = None

    @property
    def host(self) -> str:
        """The machine's name or address."""
        return urlsplit(self.address).hostname or ""


class HostNode(DaskNode):
    """A node that is somebody's worker. To stop it is to use it no longer."""

    def __init__(self, name: str, worker: HostWorker, client: Client, edge: str, lost: Callable[[], None]) -> None:
        super().__init__(name, worker.address, client, edge)
        self._lost = lost
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done when the node is given back, or lost."""
        return self._ended

    def end(self) -> None:
        """Learn that the worker is no node any more."""
        if not self._ended.done():
            self._ended.set_result(None)

    def lose(self) -> None:
        """Take the worker for lost until it answers again."""
        self.end()
        self._lost()

    async def stop(self) -> None:
        """Have the worker end what it does for this service, and give it back."""
        self.is_ending = True
        ending = asyncio.ensure_future(self._client.run(execution.stop_all, workers=[self.address], on_error="ignore"))
        await asyncio.wait((ending, self._ended), timeout=GIVES_BACK_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        self.end()


class Hosts:
    """The workers of the schedulers that are used.

    Args:
        edge: returns where the service's edge is reached from a host, of whether that is this machine; None where it
            is not.
        changed: called when there are other workers than before.

    Who looks which schedulers are used, and then uses or leaves one, holds ``turn`` meanwhile.
    """

    def __init__(self, edge: Callable[[bool], str | None], changed: Callable[[], None]) -> None:
        self.turn = asyncio.Lock()
        self._edge = edge
        self._changed = changed
        self._schedulers: dict[str, Workers] = {}

    def __iter__(self) -> Iterator[Workers]:
        """Yield the workers of each scheduler."""
        return iter(self._schedulers.values())

    def of(self, compute: str) -> Workers | None:
        """Return the workers of the scheduler that has a compute's nodes, or None."""
        return next((workers for workers in self if compute.lower() in workers.computes), None)

    def at(self, address: str) -> Workers | None:
        """Return the workers of a scheduler that is used, or None."""
        return self._schedulers.get(address)

    def starter(self, compute: str) -> HostStarter | None:
        """Return what makes nodes of a compute's tagged workers; None where no scheduler has its nodes."""
        workers = self.of(compute)
        return workers.starter(compute.lower()) if workers else None

    def use(self, settings: SchedulerSettings) -> None:
        """Begin to use a scheduler, and go on when it was not reached for a while."""
        self._schedulers[settings.address] = Workers(settings, self._edge, self._changed)

    async def connect(self, settings: SchedulerSettings) -> None:
        """Begin to use a scheduler that must be reached now.

        Raises:
            HostsError: it is not.
        """
        settings.check()
        try:
            client = await _client(settings)
        except (OSError, ValueError) as error:
            raise HostsError(f"The Dask scheduler {settings.address} is not reached: {reason(error)}") from error
        await client.close()
        self.use(settings)

    async def leave(self, address: str) -> None:
        """Use a scheduler no longer. What is used of its workers is given back before, by whoever has it."""
        await self._schedulers.pop(address).close()

    async def close(self) -> None:
        """Leave all of them."""
        for address in list(self._schedulers):
            await self.leave(address)


class Workers:
    """The tagged workers of one scheduler; the arguments are those of :class:`Hosts`, and the scheduler's settings."""

    def __init__(
        self, settings: SchedulerSettings, edge: Callable[[bool], str | None], changed: Callable[[], None]
    ) -> None:
        self.settings = settings
        self.computes = {name.lower() for name in settings.computes}
        self._edge = edge
        self._changed = changed
        self.problem = ""  # why the scheduler is not reached
        self._workers: dict[str, HostWorker] = {}
        self._starters: dict[str, HostStarter] = {}
        self._client: Client | None = None
        self._kept = asyncio.get_running_loop().create_task(self._keep(settings))
        self._looks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[HostWorker]:
        """Yield the tagged workers, by their names."""
        return iter(sorted(self._workers.values(), key=lambda worker: worker.name))

    def starter(self, compute: str) -> HostStarter:
        """Return what makes nodes of the workers that are tagged with a compute's name, in lower case."""
        return self._starters.setdefault(compute, HostStarter(self, compute))

    async def close(self) -> None:
        """Use the scheduler no longer."""
        self._kept.cancel()
        await asyncio.gather(self._kept, return_exceptions=True)

    def usable(self, compute: str) -> list[HostWorker]:
        """Return the workers that are a compute's nodes, or can be."""
        return [worker for worker in self if compute in worker.computes and not worker.problem]

    def take(self, compute: str, name: str) -> HostNode:
        """Make a node of a worker that is none yet. Raises NodeError where there is none."""
        worker = next((worker for worker in self.usable(compute) if worker.node is None), None)
        if worker is None or self._client is None:
            raise NodeError(f"No worker is free that has the resource {TAG}{compute}.")
        edge = self._edge(is_loopback(worker.host)) or ""  # there is one: the worker is usable
        node = HostNode(name, worker, self._client, edge, lambda: self._lose(worker))
        worker.node = node
        node.ended.add_done_callback(lambda _: self._give_back(worker))
        return node

    # --- the scheduler ---

    async def _keep(self, settings: SchedulerSettings) -> None:
        """Be connected to the scheduler for as long as this is not cancelled."""
        failures = 0
        while True:
            try:
                await self._while_connected(settings)
                failures = 0
            except (OSError, ValueError, HostsError) as error:
                problem = f"The Dask scheduler {settings.address} is not reached: {reason(error)}"
                if problem != self.problem:
                    logger.warning("%s", problem)
                self.problem = problem
                self._changed()
            await asyncio.sleep(TRY_AGAIN_AFTER[min(failures, len(TRY_AGAIN_AFTER) - 1)])
            failures += 1

    async def _while_connected(self, settings: SchedulerSettings) -> None:
        """Connect, and return when the scheduler is gone, or the way there."""
        client = await _client(settings)
        try:
            watch = await _watch(settings)
            self._client, self.problem = client, ""
            client.subscribe_topic("all", self._on_event)
            for address, found in (await _known(client)).items():
                self._add(address, found)
            self._changed()
            with contextlib.suppress(OSError):
                await watch.read()  # nothing comes but its end
        finally:
            self._client = None
            self.problem = f"The Dask scheduler {settings.address} is not reached: the connection broke."
            for address in list(self._workers):
                self._remove(address)
            for look in self._looks:
                look.cancel()
            await client.close()
            self._changed()

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, said = event
        if said.get("action") == "add-worker":
            self._spawn(self._learn(said["worker"]))
        elif said.get("action") == "remove-worker":
            self._remove(said["worker"])
            self._changed()

    # --- workers ---

    async def _learn(self, address: str) -> None:
        assert self._client is not None  # noqa: S101 - it has told of the worker
        known = await _known(self._client)
        if address in known:
            self._add(address, known[address])

    def _add(self, address: str, found: Mapping[str, Any]) -> None:
        tags = [name.removeprefix(TAG).lower() for name in found["resources"] if name.startswith(TAG)]
        if tags and address not in self._workers:
            worker = self._workers[address] = HostWorker(address, str(found["name"]), tuple(tags))
            self._spawn(self._look_at(worker))

    def _remove(self, address: str) -> None:
        worker = self._workers.pop(address, None)
        if worker and worker.node:
            worker.node.end()

    async def _look_at(self, worker: HostWorker) -> None:
        """Find out whether a worker can be used."""
        worker.problem = await self._problem_of(worker)
        if worker.problem:
            logger.warning("the worker %s cannot be a node: %s", worker.name, worker.problem)
        self._changed()

    async def _problem_of(self, worker: HostWorker) -> str:
        assert self._client is not None  # noqa: S101 - it has told of the worker
        if self._edge(is_loopback(worker.host)) is None:
            return "Its machine does not reach this service: start that with --listen ADDR."
        own = importlib.metadata.version(PACKAGE)
        answer = await self._client.run(
            importlib.metadata.version, PACKAGE, workers=[worker.address], on_error="return"
        )
        found = answer.get(worker.address)
        if found == own:
            await self._client.run(end_as_it_leaves, workers=[worker.address])
            return ""
        if isinstance(found, importlib.metadata.PackageNotFoundError):
            return f"Its Python lacks {PACKAGE}: install version {own} there, then start the worker again."
        if isinstance(found, Exception) or found is None:
            return f"It does not say which version of {PACKAGE} it has: {found!r}."
        return f"It has {PACKAGE} {found}, and this service {own}: install the same there, then start it again."

    def _lose(self, worker: HostWorker) -> None:
        """Use a worker again only when it has answered; the scheduler may not know yet that it is cut off."""
        worker.problem = "It does not answer."
        self._spawn(self._look_at(worker))

    def _give_back(self, worker: HostWorker) -> None:
        worker.node = None
        self._changed()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(_unless_cut_off(work))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)


async def end_as_it_leaves(dask_worker: Worker) -> None:
    """Have a worker, as its operator ends it, end first what it does for this service, and bring away what it can."""
    from distributed import WorkerPlugin

    class Leaving(WorkerPlugin):
        name = "azureml-local"

        async def teardown(self, worker: Worker) -> None:
            await execution.stop_all()

    await dask_worker.plugin_add(plugin=Leaving(), catch_errors=False)


class HostStarter:
    """Makes nodes of the workers that are tagged with a compute's name."""

    is_elsewhere = True

    def __init__(self, workers: Workers, compute: str) -> None:
        self._workers = workers
        self._compute = compute

    @property
    def count(self) -> int:
        """How many nodes there can be."""
        return len(self._workers.usable(self._compute))

    @property
    def why_not_more(self) -> str:
        """Why there are not more nodes."""
        if self._workers.problem:
            return self._workers.problem
        tag = f"{TAG}{self._compute}"
        return f"The Dask scheduler has {self.count} usable workers with the resource {tag}: azureml-local hosts list."

    async def start_node(self, name: str) -> HostNode:
        """Make a node of a worker. Raises NodeError where none is free."""
        return self._workers.take(self._compute, name)


async def _client(settings: SchedulerSettings) -> Client:
    await asyncio.to_thread(__import__, "distributed")  # takes a second
    from distributed import Client

    configure_dask()
    client: Client = await Client(
        settings.address,
        asynchronous=True,
        security=settings.security(),
        set_as_default=False,
        timeout=REACHED_WITHIN,
    )
    return client


async def _known(client: Client) -> Mapping[str, Mapping[str, Any]]:
    """Return what a scheduler knows of its workers, by their addresses."""
    assert client.scheduler is not None  # noqa: S101 - it is connected
    known: Mapping[str, Mapping[str, Any]] = (await client.scheduler.identity())["workers"]
    return known


async def _watch(settings: SchedulerSettings) -> Comm:
    """Return a connection on which nothing is said: it breaks when the scheduler, or the way there, does."""
    from distributed.comm.core import connect

    security = settings.security()
    arguments = security.get_connection_args("client") if security else {}
    watch: Comm = await connect(settings.address, timeout=REACHED_WITHIN, **arguments)
    return watch


async def _unless_cut_off(work: Any) -> None:
    try:
        await work
    except OSError as error:
        logger.info("a worker's scheduler does not answer: %s", error)


def reason(error: Exception) -> str:
    """Return an error's words as a sentence."""
    return f"{str(error) or type(error).__name__}".rstrip(".") + "."
