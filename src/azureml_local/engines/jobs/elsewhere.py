"""A node on another machine: it shares neither a disk nor a clock with the service, and may be cut off from it.

All that it needs is in the attempt (:class:`~azureml_local.engines.jobs.spec.Gateway`). It works in a folder of its
own disk, builds environments there, reads and writes storage by signatures through the service's edge, and sends
heartbeats there, which carry its reports; their answers renew the signatures. Where there is no answer it ends what it
does, before the service takes it for lost: so nothing of an attempt runs any more when the next one begins, on
whichever machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import socket
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from azureml_local import client_environment
from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.environments import Environments
from azureml_local.engines.jobs import data, fence
from azureml_local.engines.jobs.distant_part import (
    ANSWERED_WITHIN,
    GIVES_UP_AFTER,
    HEARTBEAT,
    LEDGER,
    SECONDS_BETWEEN,
    path,
)
from azureml_local.engines.jobs.job_environment import interpreter_for
from azureml_local.engines.jobs.parallel.shared_ledger import DistantLedger, SharedLedger
from azureml_local.engines.jobs.relay import Relay
from azureml_local.engines.jobs.spec import Attempt, Gateway, OutputMode
from azureml_local.home import write_private
from azureml_local.http.upstream import Address, Headers, ThroughEdge, Upstream, UpstreamError
from azureml_local.locks import try_lock

logger = logging.getLogger(__name__)

FOLDER = "AZUREML_LOCAL_NODE"  # names another folder than the usual one
DEFAULT_FOLDER = "~/.azureml-local-node"
LARGEST_ANSWER = 2**30  # bytes: a ledger with all its rows
LEDGER_WITHIN = 60.0  # seconds, for the service to do something with a ledger
ASKS_AGAIN_AFTER = 1.0  # seconds
LAST_WITHIN = 1.0  # seconds
OK, BAD_REQUEST = 200, 400
OVER = (401, 403, 404, 410)  # what the service answers where it does not want an attempt any more


def node_folder() -> Path:
    """Return the folder of nodes on this machine that another machine's service uses, made where it is missing."""
    folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER).expanduser().resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class Elsewhere:
    """The site of a node on another machine.

    Args:
        attempt: what the node does of it.
        gateway: how the service is reached from here.
    """

    kept_as_it_leaves: Collection[OutputMode] = (OutputMode.MOUNT,)

    def __init__(self, attempt: Attempt, gateway: Gateway) -> None:
        self._attempt = attempt
        self._gateway = gateway
        self._home = node_folder()
        self.folder = self._home / "jobs" / f"{attempt.spec.key}-{attempt.number}-{attempt.rank}"
        self.own = self.folder / f"{attempt.number}-{attempt.rank}"
        signatures: dict[str, str] = {}
        self.blobs = BlobStorage(gateway.account, "", signatures)
        self.blobs.set_address(_behind(gateway, self.blobs.host))
        self._heart = Heart(attempt, gateway, signatures)
        self._outputs = data.Mirror(self.blobs, self.folder, attempt.spec.outputs)
        self._lock: IO[str] | None = None
        self._bringing: asyncio.Task[None] | None = None
        self._relay = Relay(gateway.edge, client_environment.users_own_proxy(os.environ))

    async def enter(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """Make the job's folder, and begin to send heartbeats."""
        self.folder.parent.mkdir(mode=0o700, exist_ok=True)
        await _clear(self.folder.parent)
        # First: another node on this machine deletes folders that nobody holds.
        self._lock = _held(_lock_file(self.folder))
        self.folder.mkdir(mode=0o700)
        await self._heart.start(give_up)

    async def prepare(self) -> Attempt:
        """Find or build the environment on this machine, and say how the service's hosts are reached from it."""
        environments = Environments(self._home / "environments")
        interpreter = await interpreter_for(self._attempt.spec, environments, self.blobs, self.folder)
        if self._attempt.number > 1:
            await self._outputs.fill()
        self._bringing = asyncio.ensure_future(self._bring_on())
        authority = self.folder / "ca.pem"
        write_private(authority, self._gateway.authority)
        network = client_environment.through(f"http://127.0.0.1:{await self._relay.start()}", authority, os.environ)
        return replace(
            self._attempt,
            folder=str(self.folder),
            python=interpreter.python,
            notes=interpreter.notes,
            variables={**network, **self._attempt.variables},
            proxies=data.users_proxies(),
        )

    async def _bring_on(self) -> None:
        """Bring what is written to mounts into storage as it is written: on Azure it is written there."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN)
            try:
                await self._outputs.bring((OutputMode.MOUNT,))
            except (staging.StagingError, BlobError, UpstreamError, OSError) as error:
                logger.info("outputs of job %s are brought later: %s", self._attempt.spec.job, error)

    def send(self, report: Mapping[str, Any]) -> None:
        """Tell it with a heartbeat, at once."""
        self._heart.send(report)

    def ledger(self) -> SharedLedger:
        """Return the service's, from here."""
        return DistantLedger(self._heart.ask_ledger, self._heart.fetch_ledger, self.own)

    async def keep(self) -> None:
        """Bring what is new of all outputs into storage: this machine may be cut off for good."""
        await self._outputs.bring(tuple(OutputMode))

    async def deliver(self, modes: Collection[OutputMode]) -> None:
        """Bring what this node has written; each brings its own."""
        await self._outputs.bring(modes)

    async def leave(self) -> None:
        """Send no more heartbeats, and delete the folder."""
        if self._bringing:
            self._bringing.cancel()
            await asyncio.gather(self._bringing, return_exceptions=True)
        await self._relay.close()
        await self._heart.stop()
        if self._lock:  # else the folder is not this part's
            self._lock.close()
            await asyncio.to_thread(_delete, self.folder)


class Heart:
    """Sends the heartbeats of a part, each with the reports that are due.

    Args:
        attempt: what the node does of it.
        gateway: how the service is reached from here.
        signatures: for storage, by the names of containers; each answer renews them.
    """

    def __init__(self, attempt: Attempt, gateway: Gateway, signatures: dict[str, str]) -> None:
        self._signatures = signatures
        self._service = Upstream(_behind(gateway, gateway.workspace_host))
        self._edge = gateway.edge
        self._heartbeat = path(HEARTBEAT, attempt.spec.key, attempt.number, attempt.rank)
        self._ledger = path(LEDGER, attempt.spec.key, attempt.number, attempt.rank)
        self._headers: Headers = [
            (b"host", gateway.workspace_host.encode()),
            (b"authorization", f"Bearer {gateway.token}".encode()),
            (b"content-type", b"application/json"),
        ]
        self._reports: list[Mapping[str, Any]] = []
        self._is_due = asyncio.Event()
        self._until = 0.0  # by the loop's clock: when the part is given up
        self._task: asyncio.Task[None] | None = None

    async def start(self, give_up: Callable[[], Awaitable[None]]) -> None:
        """Send the first one, and go on until :meth:`stop`.

        Raises:
            StaleAttemptError: the service does not want the attempt any more.
            UpstreamError: it does not answer.
        """
        try:
            await self._beat(ANSWERED_WITHIN)
        except (UpstreamError, TimeoutError) as error:
            raise UpstreamError(
                f"This node, on {socket.gethostname()}, does not reach the service at {self._edge}: "
                f"{error or 'no answer'}."
            ) from error
        self._task = asyncio.ensure_future(self._go_on(give_up))

    def send(self, report: Mapping[str, Any]) -> None:
        """Send a report, in order, at the latest with a later heartbeat."""
        self._reports.append(report)
        self._is_due.set()

    async def ask_ledger(self, asked: Mapping[str, Any]) -> Any:
        """Have the service do something with the job's ledger, and return the answer; ask until there is one.

        Raises:
            StaleAttemptError: the service does not want the attempt any more.
            OSError: it cannot be done.
        """
        body = json.dumps({"id": uuid.uuid4().hex, **asked}).encode()
        return json.loads(await self._until_answered("POST", self._ledger, body))

    async def fetch_ledger(self, target: Path) -> None:
        """Write a copy of the job's ledger. It raises what :meth:`ask_ledger` does."""
        content = await self._until_answered("GET", self._ledger, b"")
        await asyncio.to_thread(target.write_bytes, content)

    async def _until_answered(self, method: str, target: str, body: bytes) -> bytes:
        while True:  # for as long as the part is not given up
            try:
                return await self._ask(method, target, body, LEDGER_WITHIN)
            except (UpstreamError, TimeoutError):
                await asyncio.sleep(ASKS_AGAIN_AFTER)

    async def stop(self) -> None:
        """Send a last one, so that nobody waits, unless it is for want of answers that the part has ended."""
        if self._task and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(UpstreamError, TimeoutError, fence.StaleAttemptError):
                await self._beat(LAST_WITHIN, is_last=True)
        self._service.close()

    async def _go_on(self, give_up: Callable[[], Awaitable[None]]) -> None:
        now = asyncio.get_running_loop().time
        while now() < self._until:
            try:
                async with asyncio.timeout(SECONDS_BETWEEN):
                    await self._is_due.wait()
            except TimeoutError:
                pass  # it is time for one without reports
            self._is_due.clear()
            try:
                await self._beat(min(ANSWERED_WITHIN, max(self._until - now(), 0)))
            except (UpstreamError, TimeoutError):
                continue  # the next may come through
            except fence.StaleAttemptError:
                break
        await give_up()

    async def _beat(self, within: float, *, is_last: bool = False) -> None:
        asked = asyncio.get_running_loop().time()
        reports = list(self._reports)
        body = json.dumps({"reports": reports, "is_last": is_last}).encode()
        self._signatures.update(json.loads(await self._ask("POST", self._heartbeat, body, within))["signatures"])
        self._until = asked + GIVES_UP_AFTER
        del self._reports[: len(reports)]

    async def _ask(self, method: str, target: str, body: bytes, within: float) -> bytes:
        async with asyncio.timeout(within):
            status, _, answer = await self._service.exchange(
                method, target, self._headers, body, seconds=within, largest=LARGEST_ANSWER
            )
        if status in OVER:
            raise fence.StaleAttemptError("The service does not want this attempt any more.")
        if status == BAD_REQUEST:
            raise OSError(answer.decode(errors="replace"))
        if status != OK:
            raise UpstreamError(f"the service answers {status}")
        return answer


def _behind(gateway: Gateway, host: str) -> Address:
    return Address(behind=ThroughEdge(gateway.edge, host, gateway.authority))


async def _clear(jobs: Path) -> None:
    """Delete the folders of parts whose node was killed; what they had started has ended with their guards."""
    for folder in await asyncio.to_thread(lambda: [one for one in jobs.glob("*") if one.is_dir()]):
        with _lock_file(folder).open("a") as lock:
            if not try_lock(lock, fcntl.LOCK_EX):
                continue
            await fence.end_processes(folder)
            await asyncio.to_thread(_delete, folder)


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _held(path: Path) -> IO[str]:
    """Return a file whose lock is held until it is closed. Raises FileExistsError where another process holds it."""
    lock = path.open("a")
    if try_lock(lock, fcntl.LOCK_EX):
        return lock
    lock.close()
    raise FileExistsError(f"Another process on this machine holds {path}.")


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_file(folder).unlink(missing_ok=True)
