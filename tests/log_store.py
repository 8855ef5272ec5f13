"""A log store under test with the resource store that it ships from, in a folder of its own, without a service."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil

from azureml_local.arm import ids
from azureml_local.arm.monitor import log_analytics, log_categories
from azureml_local.arm.monitor.log_events import JobEvent
from azureml_local.arm.monitor.resource_logs import ResourceLogs
from azureml_local.engines.log_store.client import LogStore
from azureml_local.home import Home
from azureml_local.store import Resource, Store
from running_service import command_of

SECONDS = 120
NAMES = {"subscription": "0b1f6471-1bf0-4dda-aec3-111122223333", "resource_group": "Group"}
WORKSPACE = ids.WORKSPACE.format(**NAMES, workspace="ws")
OTHER_WORKSPACE = ids.WORKSPACE.format(**NAMES, workspace="other")
JOB = "AmlComputeJobEvent"


@contextmanager
def state_folder() -> Iterator[Home]:
    """A state folder with a short path: a socket lies in it."""
    home = Home(tempfile.mkdtemp(prefix="azl-", dir="/tmp"))
    home.create()
    try:
        yield home
    finally:
        shutil.rmtree(home.root)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


class Logs:
    """The parts that take an event from a change of state to a table."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.store = Store(home.database)
        self.log_store = LogStore(home, self.store, lambda: log_analytics.retention(self.store))
        self.events = ResourceLogs(self.store, self.log_store.wake)
        for workspace in (WORKSPACE, OTHER_WORKSPACE):
            body = {"location": "eastus", "properties": {"workspaceId": "guid"}}
            self.store.put(workspace, "workspaces", "", body, "me")

    @property
    def file(self) -> Path:
        return self.home.log_store / "logs.duckdb"

    def log_workspace(self, name: str, **properties: Any) -> Resource:
        """Create a Log Analytics workspace."""
        workspace_id = ids.LOG_WORKSPACE.format(**NAMES, log_workspace=name)
        return log_analytics.provision(
            self.store, workspace_id, location="eastus", properties=properties, tags={}, by="me"
        )

    def send(self, categories: Sequence[str], to: Resource, of: str = WORKSPACE, *, enabled: bool = True) -> None:
        """Create a diagnostic setting; none of ``categories`` means all."""
        logs = [{"category": one, "categoryGroup": None, "enabled": enabled} for one in categories]
        logs = logs or [{"category": None, "categoryGroup": "allLogs", "enabled": enabled}]
        setting = f"{of}/providers/Microsoft.Insights/diagnosticSettings/to-{to.name}"
        properties = {"workspaceId": to.id.upper(), "logs": logs}
        self.store.put(setting, log_categories.SETTING_TYPE, of, {"properties": properties}, "me")

    def submit(self, job: str, workspace: str = WORKSPACE, **options: Any) -> None:
        """Tell of a job."""
        self.events.emit(workspace, JobEvent("JobSubmitted", job, job, "experiment"), **options)

    async def shipped(self) -> None:
        """Wait until nothing waits."""
        await until(lambda: not self.store.waiting_events(1))

    async def jobs(self) -> list[str]:
        """Return the ids in the table of job events, in the order in which they were written."""
        await self.shipped()
        answer = await self.log_store.query(f"SELECT JobId FROM {JOB}")
        return [job for (job,) in answer["rows"]]

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the records of a table, oldest first, by their columns."""
        answer = await self.log_store.query(f'SELECT * FROM "{table}" ORDER BY TimeGenerated')
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    def process(self) -> psutil.Process | None:
        """Return the process that has the file, or None where none runs."""
        for process in psutil.Process().children(recursive=True):
            line = command_of(process)
            if "azureml_local.engines.log_store.server" in line and "guard.py" not in line:
                return process
        return None


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[Logs]:
    """Ship events from the state folder; afterwards no process is left."""
    logs = Logs(home)
    logs.log_store.start()
    try:
        yield logs
    finally:
        await logs.log_store.close()
        logs.store.close()
        assert logs.process() is None
