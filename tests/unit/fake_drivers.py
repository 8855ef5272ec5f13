"""Drivers that start nothing: a test says how each task ends, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from azureml_local.engines.environments import Interpreter
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.spark.driver import Cluster, Outcome, Task

SECONDS = 60
ANSWERS = Outcome(spark_version="3.5.0", master="local[1]")


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is met, of something that does not say when it is."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


class FakeDrivers:
    """Stands for :class:`azureml_local.engines.spark.driver.Drivers`.

    A task's ``name`` ends with its key. ``outcomes`` are how tasks end, by their keys; one in ``held`` does not end by
    itself, and one in ``lingering`` has stopped only once that is set. ``unavailable`` packages cannot
    be installed, and those in ``slow`` are installed only once that is set.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.held: set[str] = set()
        self.lingering: dict[str, asyncio.Event] = {}
        self.started: list[str] = []
        self.stopping: list[str] = []
        self.ended: list[str] = []
        self.unavailable: set[str] = set()
        self.slow: dict[str, asyncio.Event] = {}
        self.interpreters: list[tuple[str, ...]] = []
        self.tasks: dict[str, Task] = {}

    async def interpreter(self, cluster: Cluster, log: Path) -> Interpreter:
        """Return an interpreter with the cluster's packages."""
        wrong = self.unavailable.intersection(cluster.libraries)
        if wrong:
            raise EnvironmentBuildError(f"there is no {min(wrong)}")
        for package in self.slow.keys() & set(cluster.libraries):
            await self.slow[package].wait()
        self.interpreters.append(cluster.libraries)
        return Interpreter("python", ())

    async def run(self, cluster: Cluster, interpreter: Interpreter, task: Task, folder: Path, dbfs: Path) -> Outcome:
        """Run a task: begin, wait where it is held, and end."""
        key = task.name.rpartition(" ")[2]
        self.started.append(key)
        self.tasks[key] = task
        try:
            if key in self.held:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self.stopping.append(key)
            if key in self.lingering:
                await self.lingering[key].wait()
            self.ended.append(key)
        return self.outcomes.get(key, ANSWERS)
