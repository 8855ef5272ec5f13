"""Runs jobs: prepares the environment, waits for nodes, has them work, and runs a job again whose node was lost.

The statuses are Azure's, in the order of its documentation (``JobStatus`` of the OpenAPI, stable/2025-12-01):
Preparing, Queued, Running, Finalizing, then Completed, Failed or Canceled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.compute.nodes import Node, NodeError, Nodes
from azureml_local.engines.compute.pool import Pool
from azureml_local.engines.environments import Environments, Interpreter
from azureml_local.engines.jobs import data, execution, fence
from azureml_local.engines.jobs.distant_part import LOST_AFTER, DistantPart
from azureml_local.engines.jobs.distribution import nodes_of_ports, reserved_ports
from azureml_local.engines.jobs.job_environment import interpreter_for
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Gateway, Output, OutputMode, Result, Storage, job_key
from azureml_local.engines.process import uninterrupted
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.ssh.machine import MachineError
from azureml_local.engines.staging import StagingError
from azureml_local.home import write_private
from azureml_local.http.errors import is_out_of_space
from azureml_local.http.upstream import UpstreamError

logger = logging.getLogger(__name__)

Observer = Callable[[str], None]
MetricsObserver = Callable[[Mapping[str, float]], None]
Value = TypeVar("Value")

OUTCOME = "outcome.json"
NODES = "nodes"
ELSEWHERE = "elsewhere"
# What Azure keeps of a job that does not complete: a mount's files are in storage as they are written, those of the
# mode "upload" are not uploaded.
# https://learn.microsoft.com/python/api/azureml-core/azureml.data.outputfiledatasetconfig (as_mount, as_upload)
KEPT_ANYWAY = (OutputMode.MOUNT,)
KEPT_AT_SUCCESS = (OutputMode.MOUNT, OutputMode.UPLOAD)
MOST_LOST = 3  # nodes that a job may lose; those that the service itself ended do not count
SIGNED_FOR = 1.0  # hours; so long can a node elsewhere use storage after its last heartbeat
WHY_LOST = "Look whether the job ends processes that are not its own, or takes all of the memory."


class JobError(Exception):
    """A job did not complete.

    Args:
        code: Azure's, of the run's error.
        message: the run's error.
        status: the job's: Failed or Canceled.
    """

    def __init__(self, code: str, message: str, status: str = "Failed") -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Outcome:
    """How a job ended. It is written down before anybody is told, so that no end of the service makes it run again.

    ``attempt`` is the number of the attempt that ended it; ``error`` is the arguments of a :class:`JobError`.
    """

    attempt: int
    error: tuple[str, str, str] | None = None


@dataclass(eq=False)
class _Attempt:
    """An attempt that is under way."""

    number: int
    observer: Observer
    log_metrics: MetricsObserver
    is_staged: asyncio.Event = field(default_factory=asyncio.Event)
    is_running: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, status: str) -> None:
        """Take what a node says of its part."""
        if status == execution.STAGED:
            self.is_staged.set()
        elif not self.is_running.is_set():
            self.is_running.set()
            self.observer(status)


class JobRunner:
    """Runs jobs on pools of nodes.

    Args:
        folder: where jobs lie while they run.
        log: receives what nodes say.
        blobs: the storage account.
        storage: returns how a node reaches it.
        environments: finds interpreters.
        network: returns the variables that lead clients on this machine to the service.
        variables: returns those by which a job's code finds its run.
        gateway: returns how a node elsewhere reaches the service, of the edge's address from there, and the token of
            the node's part.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        blobs: BlobStorage,
        storage: Callable[[], Storage],
        environments: Environments,
        network: Callable[[], Mapping[str, str]],
        variables: Callable[[CommandSpec], Mapping[str, str]],
        gateway: Callable[[str, str], Gateway],
    ) -> None:
        self._folder = folder
        self._blobs = blobs
        self._storage = storage
        self._environments = environments
        self._network = network
        self._variables = variables
        self._gateway = gateway
        self._attempts: dict[str, _Attempt] = {}
        self.distant: dict[tuple[str, int, int], DistantPart] = {}  # by a job's key, an attempt's number, a rank
        self.nodes = Nodes(folder / NODES, log, self._on_report)

    async def run(self, spec: CommandSpec, pool: Pool, observer: Observer, log_metrics: MetricsObserver) -> int:
        """Run a job to its end, and return the number of the attempt that ended it.

        To cancel it, cancel the task: it returns once nothing of the job runs any more, and what Azure would have kept
        is in storage. What lies on the disk stays there until :meth:`forget`.

        Args:
            spec: what it runs.
            pool: where.
            observer: called with each status.
            log_metrics: called with what nodes measure of a parallel job.

        Raises:
            JobError: it did not complete.
        """
        folder = self._folder / spec.key
        try:
            outcome = _stored_outcome(folder)
            if outcome is None:
                outcome = await self._run(spec, pool, observer, folder, log_metrics)
                write_private(folder / OUTCOME, json.dumps(asdict(outcome)))
        except OSError as error:
            if not is_out_of_space(error):
                raise
            raise JobError("UserError", execution.DISK_FULL) from error
        except asyncio.CancelledError:
            await uninterrupted(self._deliver(spec.id, spec.outputs))
            raise
        if outcome.error:
            raise JobError(*outcome.error)
        return outcome.attempt

    async def abandon(self, job_id: str, outputs: Mapping[str, Output]) -> None:
        """End what is left of a job that was being cancelled as the service ended; keep what Azure would have kept."""
        folder = self._folder / job_key(job_id)
        if await asyncio.to_thread(folder.exists):
            await _next_attempt(folder)
            await self._deliver(job_id, outputs)

    async def forget(self, job_id: str) -> None:
        """Delete what lies on the disk of a job that has ended."""
        await asyncio.to_thread(shutil.rmtree, self._folder / job_key(job_id), ignore_errors=True)

    async def forget_all_but(self, job_ids: Iterable[str]) -> None:
        """Delete what lies on the disk of every other job: a kill came before :meth:`forget`."""
        kept = {job_key(job_id) for job_id in job_ids} | {NODES}
        for name in await asyncio.to_thread(os.listdir, self._folder):
            if name not in kept:
                await fence.end_processes(self._folder / name)
                await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)

    async def _deliver(self, job_id: str, outputs: Mapping[str, Output]) -> None:
        """Bring what a cancelled job has written to its mounts into storage, whatever has become of its nodes."""
        folder = self._folder / job_key(job_id)
        await fence.end_processes(folder)
        try:
            await data.deliver(self._blobs, folder, outputs, KEPT_ANYWAY)
        except (StagingError, BlobError, UpstreamError, OSError) as error:
            logger.warning("outputs of the cancelled job %s are not in storage: %s", job_id, error)

    async def _run(
        self, spec: CommandSpec, pool: Pool, observer: Observer, folder: Path, log_metrics: MetricsObserver
    ) -> Outcome:
        await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
        observer("Preparing")
        interpreter = None
        try:
            if not pool.is_elsewhere:
                interpreter = await interpreter_for(spec, self._environments, self._blobs, folder)
        except (EnvironmentBuildError, MachineError) as error:
            return Outcome(0, ("UserError", str(error), "Failed"))
        lost = 0
        while True:
            observer("Queued")
            lease = await pool.acquire(spec.job, spec.distribution.instances)
            try:
                attempt = _Attempt(await _next_attempt(folder), observer, log_metrics)
                return await self._attempt(spec, lease.nodes, interpreter, attempt, folder)
            except NodeError as error:
                lost += not error.taken
                if lost == MOST_LOST:
                    message = f"{lost} times a node of the job ended while it ran, the last time: {error} {WHY_LOST}"
                    return Outcome(0, ("ServiceError", message, "Failed"))
                logger.warning("job %s is run again: %s", spec.job, error)
            finally:
                pool.release(lease)

    async def _attempt(
        self, spec: CommandSpec, nodes: Sequence[Node], interpreter: Interpreter | None, attempt: _Attempt, folder: Path
    ) -> Outcome:
        """Run a job on nodes; they are elsewhere if no interpreter is given. Raises NodeError where one was lost."""
        self._attempts[spec.key] = attempt
        try:
            with ExitStack() as opened:
                ports = await self._ports(spec, nodes, opened)
                first = Attempt(
                    spec=spec,
                    number=attempt.number,
                    rank=0,
                    folder=str(folder) if interpreter else "",
                    python=interpreter.python if interpreter else "",
                    notes=interpreter.notes if interpreter else (),
                    variables={**(self._network() if interpreter else {}), **self._variables(spec)},
                    storage=self._storage() if interpreter else None,
                    ports=ports,
                    addresses=() if interpreter else tuple(_host(node) for node in nodes),
                    proxies=data.users_proxies() if interpreter else {},
                )
                if interpreter is None:
                    opened.enter_context(_elsewhere(folder))
                parts = [
                    self._part(replace(first, rank=rank), node, attempt, opened) for rank, node in enumerate(nodes)
                ]
                return await _on_nodes(parts, attempt, spec.timeout)
        finally:
            del self._attempts[spec.key]

    async def _ports(self, spec: CommandSpec, nodes: Sequence[Node], opened: ExitStack) -> tuple[int, ...]:
        """Return free ports at which the job's processes find each other, held until ``opened`` is closed if here."""
        ranks = nodes_of_ports(spec.distribution)
        if not nodes[0].edge:
            return opened.enter_context(reserved_ports(len(ranks)))
        free: dict[int, list[int]] = {}
        for rank, count in Counter(ranks).items():
            free[rank] = list(await nodes[rank].run(execution.free_ports, count, _host(nodes[rank])))
        return tuple(free[rank].pop() for rank in ranks)

    def _part(self, what: Attempt, node: Node, attempt: _Attempt, opened: ExitStack) -> _Part:
        """Begin a node's part; what hears of it is closed with ``opened``."""
        if node.edge is None:
            return _Part(node, what, attempt)
        key = what.spec.key, what.number, what.rank
        distant = DistantPart(
            self._folder / what.spec.key,
            lambda report: self._take(attempt, report),
            lambda: self._signatures(what.spec),
        )
        self.distant[key] = distant
        opened.callback(self.distant.pop, key)
        opened.callback(distant.close)
        gateway = self._gateway(node.edge, distant.token)
        return _Part(node, replace(what, gateway=gateway), attempt, distant)

    def _signatures(self, spec: CommandSpec) -> Mapping[str, str]:
        """Return shared access signatures by the names of a job's containers."""
        return {
            container: self._blobs.container_sas(container, SIGNED_FOR, permissions)
            for container, permissions in spec.containers().items()
        }

    def _on_report(self, report: Mapping[str, Any]) -> None:
        attempt = self._attempts.get(report["job"])
        if attempt and attempt.number == report["attempt"]:
            self._take(attempt, report)

    def _take(self, attempt: _Attempt, report: Mapping[str, Any]) -> None:
        if "metrics" in report:
            attempt.log_metrics(report["metrics"])
        else:
            attempt.take(report["status"])


class _Part:
    """What one node does of an attempt, as the service sees it; ``distant`` is what hears of it from elsewhere."""

    def __init__(self, node: Node, what: Attempt, attempt: _Attempt, distant: DistantPart | None = None) -> None:
        self._node = node
        self._what = what
        self._attempt = attempt
        self._distant = distant
        self._has_answered = False  # so nothing of it runs on the node any more
        self._key = what.spec.key, what.number
        self.task = asyncio.ensure_future(self._run())

    @property
    def kept_anyway(self) -> Collection[OutputMode]:
        """The outputs that its node brings away also if the attempt comes to nothing: here they stay on the disk."""
        return KEPT_ANYWAY if self._distant else ()

    async def _run(self) -> Result:
        if self._what.rank:
            await self._attempt.is_staged.wait()
        result: Result = await self._unless_lost(self._node.run(execution.run, self._what))
        self._has_answered = True
        if result.is_lost:
            raise NodeError(result.error or f"Node {self._node.name} was about to end.")
        return result

    async def _unless_lost(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Return what a node elsewhere answers. Raises NodeError where it sends no heartbeats any more."""
        if self._distant is None:
            return await work
        answer = asyncio.ensure_future(work)
        loss = asyncio.ensure_future(self._distant.lost())
        try:
            await asyncio.wait((answer, loss), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            self._node.lose()
            raise NodeError(f"Node {self._node.name} was not heard of for {LOST_AFTER:g} s.")
        finally:
            answer.cancel()
            loss.cancel()

    async def stop(self) -> Result | BaseException:
        """End it, and return how it ended: nothing of it runs any more, also where the node cannot be reached."""
        if self._what.rank and not self._attempt.is_staged.is_set():
            self.task.cancel()
        elif not self.task.done():
            with contextlib.suppress(NodeError):  # which the task raises, too
                await self._unless_lost(self._node.call(execution.stop, *self._key))
        (ended,) = await asyncio.gather(self.task, return_exceptions=True)
        if self._distant and self._distant.was_heard and not self._has_answered:
            await self._distant.over()
        return ended

    async def finish(self, modes: Collection[OutputMode]) -> str | None:
        """Bring away what it has left; return why that failed, or None.

        The outputs lie where all nodes find them, and the first brings them away; elsewhere each has its own.
        """
        outputs = () if self._what.rank and self._distant is None else modes
        return await self._unless_lost(self._node.run(execution.finish, *self._key, outputs))


async def _on_nodes(parts: Sequence[_Part], attempt: _Attempt, limit: float | None) -> Outcome:
    """See an attempt to its end. Nothing of it goes on when this returns, or is cancelled."""
    try:
        is_overdue = await _is_overdue([part.task for part in parts], attempt.is_running, limit)
        ended = await uninterrupted(_stop(parts))
    except asyncio.CancelledError:
        await uninterrupted(_leave(parts))
        raise
    broken = [error for error in ended if isinstance(error, Exception)]
    if broken:
        await uninterrupted(_leave(parts))
        raise next((error for error in broken if not isinstance(error, NodeError)), broken[0])
    attempt.observer("Finalizing")
    error = _error(ended, limit if is_overdue else None)
    modes = KEPT_ANYWAY if error else KEPT_AT_SUCCESS
    for failure in await uninterrupted(_each(part.finish(modes) for part in parts)):
        if isinstance(failure, BaseException):
            raise failure
        if failure and error:
            logger.warning("a job that has failed leaves less than it wrote: %s", failure)
        elif failure:
            error = "UserError", failure, "Failed"
    return Outcome(attempt.number, error)


def _error(ended: Sequence[Result | BaseException], overdue: float | None) -> tuple[str, str, str] | None:
    """Return why an attempt failed, as arguments of a :class:`JobError`; the process that failed first says so."""
    failed = [result for result in ended if isinstance(result, Result) and result.error]
    if failed:
        first = min(failed, key=lambda result: result.ended_at)
        return first.code, first.error or "", "Failed"
    if overdue is not None:
        message = f"The job was cancelled by the system: it ran for longer than limits.timeout allows, {overdue:g} s."
        return "UserError", message, "Canceled"
    return None


async def _stop(parts: Sequence[_Part]) -> list[Result | BaseException]:
    return await asyncio.gather(*(part.stop() for part in parts))


async def _leave(parts: Sequence[_Part]) -> None:
    """End an attempt that comes to nothing. Each node keeps what it can; one that is gone does not."""
    await _stop(parts)
    await _each(part.finish(part.kept_anyway) for part in parts)


async def _each(work: Iterable[Coroutine[Any, Any, Value]]) -> list[Value | BaseException]:
    return await asyncio.gather(*work, return_exceptions=True)


async def _is_overdue(work: Sequence[asyncio.Task[Result]], is_running: asyncio.Event, limit: float | None) -> bool:
    """Wait until every part has ended or one has failed; say whether the time since it ran was up before."""
    over = asyncio.ensure_future(_until_over(work))
    started = asyncio.ensure_future(is_running.wait())
    try:
        await asyncio.wait((over, started), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([over], timeout=limit)
        return not over.done()
    finally:
        over.cancel()
        started.cancel()


async def _until_over(work: Sequence[asyncio.Task[Result]]) -> None:
    pending = set(work)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if any(task.exception() or task.result().error or task.result().was_stopped for task in done):
            return


def _host(node: Node) -> str:
    """Return the address of a node's machine."""
    return urlsplit(node.address).hostname or ""


@contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    """Note in a job's folder, for a service that goes on after a kill, that nodes elsewhere are at the job."""
    note = folder / ELSEWHERE
    note.touch()
    yield
    note.unlink()


async def _next_attempt(folder: Path) -> int:
    """Return the number of the attempt that may begin, once nothing of a former one runs, here or elsewhere."""
    if (folder / ELSEWHERE).exists():  # nodes there have no answer to their heartbeats since the former service ended
        await asyncio.sleep(LOST_AFTER)
        (folder / ELSEWHERE).unlink()
    return await fence.next_attempt(folder)


def _stored_outcome(folder: Path) -> Outcome | None:
    try:
        stored = json.loads((folder / OUTCOME).read_text())
    except FileNotFoundError:
        return None
    return Outcome(stored["attempt"], tuple(stored["error"]) if stored["error"] else None)
