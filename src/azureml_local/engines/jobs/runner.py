"""Runs jobs: prepares the environment, waits for nodes, has them work, and runs a job again whose node was lost.

The statuses are Azure's, in the order of its documentation (``JobStatus`` of the OpenAPI, stable/2025-12-01): Preparing,
Queued, Running, Finalizing, then Completed, Failed or Canceled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.compute.nodes import NodeError, Nodes
from azureml_local.engines.compute.pool import Lease, Pool
from azureml_local.engines.environments import Environments
from azureml_local.engines.jobs import execution
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Result, Storage
from azureml_local.engines.requirements import EnvironmentBuildError

Observer = Callable[[str], None]


class JobError(Exception):
    """A job failed. ``code`` is Azure's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class _Run:
    """An attempt that is under way."""

    number: int
    observer: Observer
    has_reported: set[str]


class JobRunner:
    """Runs jobs on pools of nodes.

    Args:
        folder: where jobs lie while they run.
        blobs: the storage account.
        storage: returns how a node reaches it.
        environments: finds interpreters.
        variables: returns what lets a job's code reach the service as a client.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        blobs: BlobStorage,
        storage: Callable[[], Storage],
        environments: Environments,
        variables: Callable[[], Mapping[str, str]],
    ) -> None:
        self._folder = folder
        self._blobs = blobs
        self._storage = storage
        self._environments = environments
        self._variables = variables
        self._runs: dict[str, _Run] = {}
        self.nodes = Nodes(folder / "nodes", log, self._on_report)

    async def run(self, spec: CommandSpec, pool: Pool, number: int, observer: Observer) -> int:
        """Run a job to its end, and return the number of the attempt that ended it.

        To cancel it, cancel the task: it returns once nothing of the job runs any more.

        Args:
            spec: what it runs.
            pool: where.
            number: of the first attempt.
            observer: called with each status.

        Raises:
            JobError: it failed.
        """
        observer("Preparing")
        try:
            interpreter = await self._environments.interpreter_for(spec.environment, self._folder / f"{spec.job}.log")
        except EnvironmentBuildError as error:
            raise JobError("ImageBuildFailure", str(error)) from error
        while True:
            observer("Queued")
            lease = await pool.acquire(spec.job, spec.distribution.instances)
            try:
                results = await self._attempt(spec, lease, number, interpreter.python, observer)
                break
            except NodeError:
                number += 1
            finally:
                pool.release(lease)
        _require_success(results)
        return number

    async def _attempt(
        self, spec: CommandSpec, lease: Lease, number: int, python: str, observer: Observer
    ) -> list[Result]:
        self._runs[spec.job] = _Run(number, observer, set())
        folder = self._folder / spec.job
        work = [
            asyncio.ensure_future(
                self.nodes.run(
                    node,
                    execution.run,
                    Attempt(spec, number, rank, str(folder), python, self._variables(), self._storage()),
                )
            )
            for rank, node in enumerate(lease.nodes)
        ]
        try:
            return await asyncio.gather(*work)
        finally:
            for node in lease.nodes:
                await self.nodes.call(node, execution.stop, spec.job, number)
            await asyncio.gather(*work, return_exceptions=True)
            del self._runs[spec.job]

    def _on_report(self, report: Mapping[str, Any]) -> None:
        run = self._runs.get(report["job"])
        if run and run.number == report["attempt"] and report["status"] not in run.has_reported:
            run.has_reported.add(report["status"])
            run.observer(report["status"])


def _require_success(results: list[Result]) -> None:
    for result in results:
        if result.exit_code:
            raise JobError(
                "UserError",
                result.error
                or f"Execution failed. User process exited with status code {result.exit_code}. Please check log file "
                "'user_logs/std_log.txt' for error details.",
            )
