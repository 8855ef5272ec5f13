"""A node's part of an attempt at a job: its files, its processes, their logs, and what they leave.

It runs in a node's process: the service calls :func:`run` and, when no node's process runs any more, :func:`finish`.
The layout is Azure's: the command starts in ``exe/wd``, among its code; ``./outputs`` and ``./logs`` are kept with the
run, and so is what the processes say, in ``user_logs``, and what the node did, in ``system_logs``.
https://learn.microsoft.com/azure/machine-learning/how-to-save-write-experiment-files
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sqlite3
import time
from collections.abc import Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobError
from azureml_local.engines.jobs import data, distribution, fence
from azureml_local.engines.jobs.command import fill_in
from azureml_local.engines.jobs.elsewhere import Elsewhere
from azureml_local.engines.jobs.parallel.splitting import SplitError
from azureml_local.engines.jobs.parallel.supervisor import Place, Supervisor
from azureml_local.engines.jobs.site import Here, Site
from azureml_local.engines.jobs.spec import Attempt, OutputMode, ParallelTask, Result
from azureml_local.engines.log_blob import LogBlob
from azureml_local.engines.process import GuardedProcess, base_environment
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.ssh.machine import MachineError, MachineLostError
from azureml_local.engines.ssh.workplace import Workplace, values_there
from azureml_local.engines.staging import BlobPath, StagingError
from azureml_local.http.errors import is_out_of_space
from azureml_local.http.upstream import UpstreamError

logger = logging.getLogger(__name__)

STAGED = "Staged"  # reported, beside Azure's statuses, when other nodes will find the inputs that all of them share
SHELL = "/bin/bash"
KEPT = ("outputs", "logs")  # folders of the working directory that are kept with the run
LAST_WORDS = 4096  # bytes of what a process said that its error repeats
LEAVES_WITHIN = 3.0  # seconds for a node that is going to bring away what it has
DRAINS_WITHIN = 5.0  # seconds, for what an ended process has said
LITTLE_ROOM = 1024 * 1024  # bytes on a disk that count as none
DISK_FULL = "DiskSpaceFull: the disk of the node is full. Make room on it, then submit the job again."
SERVICE_FAILED = "azureml-local failed on this job; its log has the details."
# What goes wrong with files, storage or a parallel job's ledger, whatever the job itself does.
FAILURES = (StagingError, BlobError, UpstreamError, OSError, sqlite3.Error, MachineError)
BY_SIGNAL = 128  # a shell adds a signal's number to it
SNAPSHOT, DATA, LIFECYCLER = (
    ("snapshot_capability", "snapshot-capability"),
    ("data_capability", "data-capability"),
    ("lifecycler", "execution-wrapper"),
)

_parts: dict[tuple[str, int], Part] = {}
_not_begun: set[tuple[str, int]] = set()  # parts that were stopped before they came here


async def run(attempt: Attempt) -> Result:
    """Run a node's processes to their end. What fails here is logged here: Dask would log the attempt with it.

    Raises:
        StaleAttemptError: a later attempt has begun.
    """
    key = attempt.spec.key, attempt.number
    if key in _not_begun:
        _not_begun.remove(key)
        return Result(None, time.time(), was_stopped=True)
    _parts[key] = part = Part(attempt)
    try:
        return await part.run()
    except fence.StaleAttemptError:
        raise
    except Exception:
        logger.exception("attempt %d at the job %s failed in the service", attempt.number, attempt.spec.id)
        return Result(SERVICE_FAILED, time.time(), code="ServiceError")


async def finish(job: str, number: int, modes: Collection[OutputMode]) -> str | None:
    """Bring away what a node's processes have left, once no node's process runs any more.

    Args:
        job: its key.
        number: of the attempt.
        modes: the outputs of these modes are brought into storage by this node.

    Returns:
        Why something could not be brought there; None where all was.
    """
    part = _parts.pop((job, number), None)
    return await part.finish(modes) if part else None


async def free_ports(count: int, address: str) -> tuple[int, ...]:
    """Return ports of this node's address at which a job's processes can listen."""
    with distribution.reserved_ports(count, address) as ports:
        return ports


async def stop(job: str, number: int) -> None:
    """End what a node does for an attempt at a job, also where it has not come to its processes yet."""
    part = _parts.get((job, number))
    if part:
        await part.stop()
    else:
        _not_begun.add((job, number))


async def stop_all() -> None:
    """End everything that this node does, for it is about to go."""
    await asyncio.gather(*(part.abandon() for part in list(_parts.values())))


class Process(Protocol):
    """A process of a job, on this machine or another: see :class:`~azureml_local.engines.process.GuardedProcess`."""

    ended: asyncio.Task[int]

    async def read(self, most: int) -> bytes:
        """Return what it says as it comes; nothing at its end."""

    async def stop(self) -> int:
        """End it, and all that it started."""


class Running:
    """A process, its log, and the end of what it has said."""

    def __init__(self, process: Process, log: LogBlob, log_name: str) -> None:
        self.process = process
        self.log_name = log_name
        self.last_words = b""
        self._log = log
        self.pump = asyncio.ensure_future(self._pump())

    async def _pump(self) -> None:
        while piece := await self.process.read(64 * 1024):
            self._log.write(piece)
            self.last_words = (self.last_words + piece)[-LAST_WORDS:]

    async def drain(self) -> None:
        """Read what it has said to the end, whoever else may still hold that open."""
        await asyncio.wait([self.pump], timeout=DRAINS_WITHIN)
        self.pump.cancel()

    async def failed(self) -> Running | None:
        """Wait for its end; return it where it failed."""
        return self if await asyncio.shield(self.process.ended) else None

    def why(self, command: str) -> str:
        """Say in Azure's words why it failed."""
        exit_code = self.process.ended.result()
        if exit_code < 0:  # so did its guard
            exit_code = BY_SIGNAL - exit_code
        words = command.split()
        said = self.last_words.decode(errors="replace").strip()
        by = ""
        if exit_code - BY_SIGNAL in set(signal.Signals):
            by = f" It was ended by {signal.Signals(exit_code - BY_SIGNAL).name}."
            if exit_code - BY_SIGNAL == signal.SIGKILL:
                by += " A system does this where there is no memory left."
        return (
            f"Execution failed. User process '{words[0] if words else ''}' exited with status code {exit_code}. "
            f"Please check log file '{self.log_name}' for error details.{by} Error: {said}"
        )


class Part:
    """A node's part of an attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._spec = attempt.spec
        self._site = _site(attempt)
        self._blobs = self._site.blobs
        self._job_folder = self._site.folder
        self._folder = self._site.own
        self._work = self._folder / "exe" / "wd"
        self._logs: dict[str, LogBlob] = {}
        self._task: asyncio.Task[Result] | None = None
        self._is_lost = False
        self._is_ending = False  # its processes are being ended: that is not to be broken off
        self._supervisor: Supervisor | None = None
        self._workplace: Workplace | None = None  # on an attached machine

    async def run(self) -> Result:
        """See :func:`run`."""
        try:
            await self._enter()
        except UpstreamError as error:
            return Result(str(error), time.time(), code="ServiceError")
        self._task = asyncio.ensure_future(self._run())
        await asyncio.wait([self._task])
        if self._task.cancelled():
            return Result(None, time.time(), was_stopped=True, is_lost=self._is_lost)
        return self._task.result()

    async def _enter(self) -> None:
        try:
            await self._site.enter(self.give_up)
        except BaseException:
            await self._vanish()
            raise

    async def _vanish(self) -> None:
        """Leave nothing here."""
        await self._site.leave()
        _parts.pop((self._spec.key, self._attempt.number), None)

    async def stop(self) -> None:
        """See :func:`stop`."""
        if self._task:
            if not self._is_ending and not self._task.cancelling():
                self._task.cancel()
            await asyncio.wait([self._task])

    async def abandon(self) -> None:
        """Stop, and bring away what there is time for."""
        self._is_lost = True
        await self.stop()
        try:
            async with asyncio.timeout(LEAVES_WITHIN):
                await self.finish(self._site.kept_as_it_leaves)
        except TimeoutError:
            return

    async def give_up(self) -> None:
        """Stop, and leave nothing here: the service is not heard any more, or does not want this attempt."""
        self._is_lost = True
        await self.stop()
        await self._vanish()

    async def finish(self, modes: Collection[OutputMode]) -> str | None:
        """See :func:`finish`."""
        try:
            error = await self._kept(self._bring_away(modes))
            self._say(LIFECYCLER, error or "What the job has left is in storage.")
            return await self._kept(self._close_logs()) or error
        finally:
            if self._workplace:
                await self._workplace.close()
            await self._site.leave()

    async def _kept(self, work: Coroutine[Any, Any, None]) -> str | None:
        """Return why something could not be kept, or None."""
        try:
            await work
        except FAILURES as error:
            return f"What the job has left could not be brought into storage. {self._explain(error)}"
        return None

    async def _bring_away(self, modes: Collection[OutputMode]) -> None:
        if self._supervisor:
            await self._supervisor.finish(is_first=bool(modes) and self._attempt.rank == 0)
        if self._workplace:
            await self._workplace.fetch(self._written)
        await self._site.deliver(modes)  # first: logs matter less
        for name in KEPT:
            target = BlobPath(self._spec.artifacts.container, f"{self._spec.artifacts.path}/{name}")
            await staging.upload(self._blobs, self._work / name, target)

    async def _close_logs(self) -> None:
        closed = await asyncio.gather(*(log.close() for log in self._logs.values()), return_exceptions=True)
        for failure in closed:
            if failure:
                raise failure

    async def _run(self) -> Result:
        error: str | None
        try:
            self._attempt = await self._site.prepare()
            if self._spec.parallel:
                error = await self._supervise(self._spec.parallel)
            else:
                error = await self._execute(await self._stage())
        except (data.DataError, SplitError, EnvironmentBuildError) as missing:
            error = str(missing)
        except MachineLostError as lost:
            self._say(LIFECYCLER, str(lost))
            return Result(str(lost), time.time(), was_stopped=True, is_lost=True)
        except FAILURES as failure:
            error = self._explain(failure)
        ended_at = time.time()
        self._say(LIFECYCLER, error or "Every process has ended with status code 0.")
        return Result(error, ended_at)

    def _explain(self, error: Exception) -> str:
        if is_out_of_space(error) or shutil.disk_usage(self._job_folder).free < LITTLE_ROOM:
            return DISK_FULL
        return str(error)

    # --- files ---

    async def _stage(self) -> Mapping[str, str]:
        """Bring code and inputs here, and return what stands for each input and output in the command."""
        self._say(
            LIFECYCLER,
            f'Attempt {self._attempt.number}, node {self._attempt.rank}. vm_size: Some("{self._spec.vm_size.upper()}")',
        )
        for note in self._attempt.notes:
            self._say(LIFECYCLER, note)
        for name in KEPT:
            (self._work / name).mkdir(parents=True)
        if self._spec.machine:
            self._say(LIFECYCLER, f"Connecting to {self._spec.machine}.")
            self._workplace = await Workplace.open(self._spec.machine, self._attempt, self._folder)
            for note in self._workplace.notes:
                self._say(LIFECYCLER, note)
        if self._spec.code:
            self._say(SNAPSHOT, f"Downloading the code to {self._work}.")
            await staging.download_contents(self._blobs, self._spec.code, self._work)
        if self._supervisor:
            self._supervisor.import_ahead()
        if self._spec.inputs or self._spec.outputs:
            self._say(
                DATA,
                f"Inputs: {', '.join(self._spec.inputs)}. Outputs: {', '.join(self._spec.outputs)}.",
            )
        places = data.Data(self._blobs, self._attempt, self._folder)
        await places.fill_mounts()
        if self._supervisor is None:
            self._report(STAGED)
            values = await places.values()
            return await self._copied(values, self._workplace) if self._workplace else values
        values = await places.values()
        if self._attempt.rank == 0:
            await self._require_new_rows(self._supervisor)
            await self._supervisor.plan(values)
        self._report(STAGED)
        return values

    async def _copied(self, values: Mapping[str, str], workplace: Workplace) -> Mapping[str, str]:
        """Copy everything to the machine that the job's processes run on, and return what stands for values there."""
        self._say(DATA, f"Copying to {self._spec.machine}.")
        shared = self._job_folder / data.DATA
        await workplace.send([place for place in (self._folder, shared) if place.exists()])
        return values_there(self._spec, values, workplace)

    @property
    def _written(self) -> list[Path]:
        """The places that the job's processes write to, and that are kept."""
        outputs = [data.output_place(self._job_folder, name) for name in self._spec.outputs]
        return [*outputs, *(self._work / name for name in KEPT)]

    async def _require_new_rows(self, supervisor: Supervisor) -> None:
        """Raise DataError where a job would write over rows that are in storage; not over what it wrote itself."""
        target = await supervisor.new_rows_target()
        if target and target.path in await self._blobs.list_blobs(target.container, target.path):
            raise data.DataError(
                f"The output file {target.path} in the container {target.container} exists already, and is not written "
                "over. Name another output file or folder, or delete the file."
            )

    async def _supervise(self, task: ParallelTask) -> str | None:
        """Do this node's part of a parallel job; return why the job has failed, or None."""
        environment = self._environment({}, distribution.Process("", {}))
        log = f"user_logs/{self._of_attempt()}std_log_{self._attempt.rank}.txt"
        place = Place(
            self._folder,
            self._work,
            environment,
            self._log,
            log,
            lambda metrics: self._send({"metrics": metrics}),
            self._site.ledger(),
            self._site.keep,
        )
        self._supervisor = Supervisor(self._attempt, task, place)
        self._supervisor.start()
        try:
            values = await self._stage()
            self._report("Running")
            return await self._supervisor.run(values)
        finally:
            self._is_ending = True
            await self._supervisor.end_processes()

    # --- processes ---

    async def _execute(self, values: Mapping[str, str]) -> str | None:
        """Run this node's processes; return why the first that failed did. What still runs then is ended."""
        command = fill_in(self._spec.command, values)
        running: list[Running] = []
        failed: Running | None = None
        try:
            attempt = self._attempt
            for planned in distribution.processes(
                self._spec.distribution, attempt.rank, attempt.ports, attempt.addresses
            ):
                running.append(await self._start(command, values, planned))
            self._report("Running")
            for ended in asyncio.as_completed([one.failed() for one in running]):
                if failed := await ended:
                    break
        finally:
            self._is_ending = True
            await asyncio.gather(*(one.process.stop() for one in running))
            await fence.end_processes(self._folder)  # what has left its process group
            await asyncio.gather(*(one.drain() for one in running))
        return failed.why(command) if failed else None

    async def _start(self, command: str, values: Mapping[str, str], planned: distribution.Process) -> Running:
        self._say(LIFECYCLER, f"Starting {command!r}, log user_logs/{planned.log}.")
        process = await self._process(command, self._environment(values, planned))
        name = f"user_logs/{self._of_attempt()}{planned.log}"
        return Running(process, self._log(name), name)

    async def _process(self, command: str, environment: Mapping[str, str]) -> Process:
        if self._workplace:
            programs = str(Path(self._attempt.python).parent)
            return await self._workplace.start(command, work=self._work, environment=environment, programs=programs)
        return await GuardedProcess.start(
            [SHELL, "-c", command],
            log=self._folder / "guard.log",
            environment=environment,
            cwd=self._work,
            capture=True,
            merge=True,
        )

    def _environment(self, values: Mapping[str, str], planned: distribution.Process) -> Mapping[str, str]:
        environment = {
            **({} if self._workplace else base_environment()),
            **(self._workplace.variables if self._workplace else self._attempt.variables),
            **self._spec.variables,
            "AZUREML_CR_NODE_RANK": str(self._attempt.rank),
            "AZUREML_NODE_COUNT": str(self._spec.distribution.instances),
            "PYTHONUNBUFFERED": "1",  # so that logs are seen as they are written
        }
        environment |= data.variables(self._spec, values)
        environment |= {**planned.variables, **self._spec.environment_variables}
        if self._workplace:  # there the mark and the path are completed
            return environment
        programs = Path(self._attempt.python).parent
        return {**environment, fence.MARK: str(self._work), "PATH": f"{programs}:{environment.get('PATH', '')}"}

    # --- logs ---

    def _say(self, log: tuple[str, str], text: str) -> None:
        folder, name = log
        node = f"-{self._attempt.rank}" if self._spec.distribution.instances > 1 else ""
        self._log(f"system_logs/{folder}/{self._of_attempt()}{name}{node}.log").say(text)

    def _of_attempt(self) -> str:
        """Return the folder of an attempt's logs: the first has none, those after it ``retry_001`` and so on."""
        return f"retry_{self._attempt.number - 1:03}/" if self._attempt.number > 1 else ""

    def _log(self, name: str) -> LogBlob:
        if name not in self._logs:
            artifacts = self._spec.artifacts
            self._logs[name] = LogBlob(self._blobs, artifacts.container, f"{artifacts.path}/{name}")
        return self._logs[name]

    def _report(self, status: str) -> None:
        self._send({"status": status})

    def _send(self, report: Mapping[str, Any]) -> None:
        self._site.send(report)


def _site(attempt: Attempt) -> Site:
    if attempt.gateway:
        return Elsewhere(attempt, attempt.gateway)
    assert attempt.storage is not None  # noqa: S101 - of the service's own machine
    return Here(attempt, attempt.storage)
