"""A node's part of a parallel job: its worker processes, each of which is handed one mini-batch after another.

The ledger says what there is to do, to every node alike. How often what fails is tried again:
https://learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step#what-happens-if-init-function-in-entry-script-fails
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from azureml_local.engines.jobs import data, fence
from azureml_local.engines.jobs.parallel import messages, reports, scripts, splitting, verdict
from azureml_local.engines.jobs.parallel.ledger import Ledger, MiniBatch, Tally, Try
from azureml_local.engines.jobs.parallel.progress import Progress
from azureml_local.engines.jobs.parallel.shared_ledger import SharedLedger
from azureml_local.engines.jobs.parallel.workers import Worker, WorkerError
from azureml_local.engines.jobs.spec import Attempt, ParallelTask
from azureml_local.engines.log_blob import LogBlob
from azureml_local.engines.staging import BlobPath

INIT_TRIES = 3  # for each worker process


class JobFailedError(Exception):
    """The job has failed; the message says why."""


@dataclass(frozen=True)
class Place:
    """Where a node's part of an attempt is done.

    Args:
        folder: the part's own.
        work: the folder with the job's code, where processes start.
        environment: of the processes, but for what the inputs add.
        log: opens a log of the run by its name.
        own_log: the name of the log of what the node does.
        log_metrics: takes what is measured of the job.
        ledger: the job's.
        keep: called when a mini-batch is done, and before that is written down: brings what it has left to where it is
            not lost with this machine.
    """

    folder: Path
    work: Path
    environment: Mapping[str, str]
    log: Callable[[str], LogBlob]
    own_log: str
    log_metrics: Callable[[Mapping[str, float]], None]
    ledger: SharedLedger
    keep: Callable[[], Awaitable[None]]


class Supervisor:
    """A node's part of an attempt at a parallel job.

    Args:
        attempt: what the node does of it.
        task: the job's.
        place: where.
    """

    def __init__(self, attempt: Attempt, task: ParallelTask, place: Place) -> None:
        self._attempt = attempt
        self._task = task
        self._place = place
        self._job_folder = Path(attempt.folder)
        self._ledger = place.ledger
        self._starting: list[asyncio.Task[Worker]] = []
        self._workers: set[Worker] = set()
        self._message: Mapping[str, Any] = {}
        self._init_failures = 0
        self._why: str | None = None  # the job has failed
        self._progress = Progress(place.log, place.log_metrics, task.metrics_prefix, is_told=attempt.rank == 0)
        self._last_progress = 0.0  # when a mini-batch has ended

    def start(self) -> None:
        """Begin to start worker processes, which takes a moment: inputs are brought meanwhile.

        There are not more than the machine can start at once: how many mini-batches there will be is not known yet.
        """
        self._place.work.mkdir(parents=True)
        count = min(self._task.workers, os.cpu_count() or 1)
        self._starting = [asyncio.ensure_future(self._start_worker()) for _ in range(count)]

    def import_ahead(self) -> None:
        """Have the worker processes import what the script does, now that the code is here."""
        names = scripts.imports(messages.script(self._task, self._place.work), self._place.work)
        self._starting = [asyncio.ensure_future(_importing(starting, names)) for starting in self._starting]

    async def plan(self, values: Mapping[str, str]) -> None:
        """Split the input, where no former attempt has; for the first node, before another one begins.

        Args:
            values: what stands for each input and output.

        Raises:
            SplitError: it cannot be split as the job asks for.
        """
        if await self._ledger.do(Ledger.is_planned):
            await self._ledger.do(Ledger.begin_attempt)
        else:
            self._progress.say("Start scheduling.")
            root = messages.root(self._task, values)
            await self._ledger.plan(lambda: splitting.split(self._task, root, splitting.describe(self._task, root)))
        tally = await self._ledger.do(Ledger.tally)
        self._progress.items = await self._ledger.do(Ledger.items)
        self._progress.measure(tally)
        self._progress.say(
            f"Scheduled {tally.total} mini batches. {tally.finished} of them have been processed before."
        )

    async def new_rows_target(self) -> BlobPath | None:
        """Return the blob that rows are to become, where it must not be there yet; None once the job has begun."""
        if self._task.rows_output is None or not self._task.rows_must_be_new:
            return None
        if await self._ledger.do(Ledger.is_planned):
            return None
        output = self._attempt.spec.outputs[self._task.rows_output]
        if output.is_file:
            return output.target
        return BlobPath(output.target.container, f"{output.target.path}/{self._task.rows_file}".lstrip("/"))

    async def run(self, values: Mapping[str, str]) -> str | None:
        """Process mini-batches until none is left for this node; return why the job has failed, or None.

        Args:
            values: what stands for each input and output.

        Raises:
            SplitError: the MLTable file of the input cannot be read.
            OSError, sqlite3.Error: what becomes of mini-batches cannot be written down.
        """
        self._message = await asyncio.to_thread(messages.to_load, self._attempt, self._task, self._place.work, values)
        why: str | None = None
        try:
            await self._work()
        except JobFailedError as failure:
            why = str(failure)
        tally = await self._ledger.do(Ledger.tally)
        if why is None and tally.finished == tally.total:
            why = verdict.at_the_end(self._task, tally)
        if why:
            self._why = why
            self._say(why)
        return verdict.as_error(self._place.own_log, why) if why else None

    async def finish(self, *, is_first: bool) -> None:
        """Write what the job leaves from the ledger, on its first node, once no node works on it any more."""
        if is_first and await self._ledger.do(Ledger.is_planned):
            ledger = await self._ledger.at_hand()
            target = self._rows_file()
            if target:
                await asyncio.to_thread(reports.write_rows, ledger, target)
            tally = ledger.tally()
            why = verdict.at_the_end(self._task, tally) if tally.finished == tally.total else self._why_not(tally)
            self._progress.measure(tally)
            for line in reports.result_lines(self._task, tally, why):
                self._progress.say(line)
            await asyncio.to_thread(reports.write, ledger, self._task, why, self._place.work / "logs")
        self._ledger.close()

    def _why_not(self, tally: Tally) -> str:
        reason = self._why or verdict.exceeded(self._task, tally) or "The job was ended."
        return f"{reason} {tally.total - tally.finished} mini batches were not processed."

    # --- workers ---

    async def _work(self) -> None:
        """Have workers process mini-batches. Raises what the first of them does that cannot go on."""
        count = min(self._task.workers, (await self._ledger.do(Ledger.tally)).pending)
        if not count:
            return
        self._last_progress = asyncio.get_running_loop().time()
        serving = [asyncio.ensure_future(self._serve()) for _ in range(count)]
        watch = asyncio.ensure_future(self._watch_progress())
        try:
            for ended in asyncio.as_completed([*serving, watch]):
                await ended
                if all(task.done() for task in serving):
                    break
            await asyncio.gather(*serving)  # one may have failed as the last of the others ended
        finally:
            for task in (*serving, watch):
                task.cancel()
            await asyncio.gather(*serving, watch, return_exceptions=True)

    async def _serve(self) -> None:
        """Have one worker at a time process mini-batches until there are none."""
        worker = await self._loaded_worker()
        picked = await self._ledger.do(Ledger.pick)
        while picked:
            picked = await self._process(worker, picked)
            if picked and worker.has_ended:
                self._workers.discard(worker)
                worker = await self._loaded_worker()
        if not worker.has_ended:
            await worker.finish(self._task.timeout)

    async def _process(self, worker: Worker, mini_batch: MiniBatch) -> MiniBatch | None:
        """Process a mini-batch, and return the next one. Raises JobFailedError where too many have failed."""
        tried, details = await worker.process(mini_batch, self._task.overhead_timeout, self._task.timeout)
        tried = self._judged(tried)
        again = tried.error is not None and tried.status != "RUN_DONE" and mini_batch.tries < self._task.max_retries
        if tried.error is None:
            await self._place.keep()
        tally, following = await self._ledger.do(Ledger.settle, mini_batch, tried, again=again)
        if tried.error:
            self._say_failure(mini_batch, tried, details, again=again)
        self._last_progress = asyncio.get_running_loop().time()
        self._progress.show(tally)
        why = verdict.exceeded(self._task, tally)
        if why:
            if following:
                await self._ledger.do(Ledger.release, following)
            raise JobFailedError(why)
        return following

    def _judged(self, tried: Try) -> Try:
        items = tried.items or 0
        if tried.error is None and verdict.counts_as_failed(self._task, tried.succeeded, items):
            return replace(tried, error=f"run() returned {tried.succeeded} of {items} items.")
        return tried

    async def _loaded_worker(self) -> Worker:
        """Return a worker that has called the script's ``init``.

        Raises:
            JobFailedError: that fails time and again.
        """
        while True:
            worker = await (self._starting.pop(0) if self._starting else self._start_worker())
            try:
                await worker.load(self._message, INIT_TRIES * self._task.timeout + 30)
                return worker
            except (WorkerError, ConnectionError) as error:
                await worker.kill()
                self._workers.discard(worker)
                self._init_failures += 1
                self._say_init_failure(worker, error)

    def _say_init_failure(self, worker: Worker, error: Exception) -> None:
        """Log that ``init`` has failed. Raises JobFailedError where it is not to be tried again."""
        details = error.details if isinstance(error, WorkerError) else ""
        self._error_log(worker.name).say(f"init() failed: {error}\n{details}")
        self._say(f"{worker.name}: init() failed: {error}")
        if isinstance(error, WorkerError) and error.is_final:
            raise JobFailedError(str(error))
        if self._init_failures >= INIT_TRIES * self._task.workers:
            raise JobFailedError(
                f"The init() function in the entry script had raised exception for {self._init_failures} times. "
                f"{verdict.WHERE} The last one: {error}"
            )

    async def _start_worker(self) -> Worker:
        node = self._attempt.rank
        name = f"process{await self._ledger.do(Ledger.new_process, node):03}"
        worker = await Worker.start(
            name,
            node,
            self._attempt.python,
            environment=self._place.environment,
            cwd=self._place.work,
            guard_log=self._place.folder / "guard.log",
            stdout=lambda piece: self._place.log(f"logs/user/stdout/{node}/{name}.stdout.txt").write(piece),
            stderr=lambda piece: self._place.log(f"logs/user/stderr/{node}/{name}.stderr.txt").write(piece),
        )
        self._workers.add(worker)
        return worker

    async def end_processes(self) -> None:
        """End the worker processes, and what scripts have started."""
        started = await asyncio.gather(*self._starting, return_exceptions=True)
        self._starting = []
        workers = self._workers | {one for one in started if isinstance(one, Worker)}
        await asyncio.gather(*(worker.kill() for worker in workers))
        await fence.end_processes(self._place.folder)

    async def _watch_progress(self) -> None:
        """Raise JobFailedError where no mini-batch ends for as long as the job allows."""
        limit = self._task.progress_timeout
        while limit is not None:
            left = self._last_progress + limit - asyncio.get_running_loop().time()
            if left <= 0:
                raise JobFailedError(f"No progress update in {limit:g} seconds.")
            await asyncio.sleep(left)

    def _rows_file(self) -> Path | None:
        name = self._task.rows_output
        if name is None:
            return None
        place = data.output_place(self._job_folder, name)
        return place if self._attempt.spec.outputs[name].is_file else place / self._task.rows_file

    # --- logs ---

    def _say(self, text: str) -> None:
        self._place.log(self._place.own_log).say(text)

    def _error_log(self, process: str) -> LogBlob:
        return self._place.log(f"logs/user/error/{self._attempt.rank}/{process}.txt")

    def _say_failure(self, mini_batch: MiniBatch, tried: Try, details: str, *, again: bool) -> None:
        what = f"mini batch {mini_batch.id}, try {mini_batch.tries + 1}: {tried.error}"
        self._error_log(tried.process).say(f"{what}\n{details}")
        self._say(f"{tried.process}: {what}{' It is tried again.' if again else ''}")


async def _importing(starting: asyncio.Task[Worker], names: list[str]) -> Worker:
    """Return a worker that imports modules as soon as it runs."""
    worker = await starting
    await worker.import_ahead(names)
    return worker
