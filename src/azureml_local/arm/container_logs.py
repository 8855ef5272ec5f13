"""The console and event logs of online endpoints, read from the files that each attempt to deploy leaves.

While a diagnostic setting wants them, what the files have gained is read about once a second; else nothing is read. A
line's sequence number is where it ends in its file: the log store keeps the highest of each file, so that no
line is written twice, and a service that was killed goes on where the log store has stopped. Lines that were written
before the setting was are not sent, as on Azure. ``TimeGenerated`` of a line is when it was read.

The instances of a deployment share a file: they have one ``InstanceId``, that of the attempt.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_local.arm import assets, ids, resource_logs
from azureml_local.arm.context import Context
from azureml_local.arm.endpoint_log_events import ConsoleEvent, ContainerEvent
from azureml_local.arm.log_categories import CONSOLE, EVENTS, SETTING_TYPE
from azureml_local.arm.log_events import Event
from azureml_local.arm.online_endpoints import DEPLOYMENT_TYPE
from azureml_local.arm.resource_logs import LONGEST_TEXT
from azureml_local.arm.store import LogEvent, Resource, timestamp
from azureml_local.engines.deployment_record import EVENT_TIME, DeploymentRecord
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.http.errors import AzureError

logger = logging.getLogger(__name__)

READ_EVERY = 1.0  # seconds
AT_ONCE = 20  # lines, before other work has its turn
NOT_IN_STAMP = re.compile(r"[-:.Z]")


@dataclass(frozen=True)
class _Followed:
    """A deployment whose logs somebody wants: when each sink was last told so, by its guid, by category."""

    workspace: Resource
    deployment: Resource
    image: str
    sinks: Mapping[str, Mapping[str, str]]

    @property
    def endpoint_id(self) -> str:
        return self.deployment.id.rpartition("/deployments/")[0]


class ContainerLogs:
    """Follows the files of the deployments whose endpoints have settings.

    Args:
        context: has the settings, the deployments and their records.
        stream: takes the lines.
    """

    def __init__(self, context: Context, stream: EventStream) -> None:
        self._context = context
        self._stream = stream
        self._read: dict[str, int] | None = None  # how far each file was read, by its writer
        self._changes = -1
        self._followed: list[_Followed] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Read what is still to be read, and stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._read is not None:
            await self._read_all(self._read)

    async def _run(self) -> None:
        changed = self._context.events.settings_changed
        while True:
            changed.clear()
            self._look_up()
            if not self._followed:
                await changed.wait()
                continue
            try:
                if self._read is None:
                    self._read = await self._already_written()
                await self._read_all(self._read)
            except LogStoreError as error:
                logger.error("logs of deployments wait: %s", error)
            await asyncio.sleep(READ_EVERY)

    async def _already_written(self) -> dict[str, int]:
        answer = await self._context.log_store.query("SELECT writer, sequence FROM intake.received")
        return dict(answer["rows"])

    def _look_up(self) -> None:
        """Find out which deployments are followed, where anything has changed since."""
        store = self._context.store
        if store.changes == self._changes:
            return
        self._changes = store.changes
        owners = {setting.id.rpartition("/providers/")[0].lower() for setting in store.all_of(SETTING_TYPE)}
        endpoints = [endpoint for owner in owners if "/onlineendpoints/" in owner and (endpoint := store.get(owner))]
        self._followed = [one for endpoint in endpoints for one in self._deployments(endpoint)]

    def _deployments(self, endpoint: Resource) -> Iterator[_Followed]:
        sinks = {category: self._context.events.sinks(endpoint.id, category) for category in (CONSOLE, EVENTS)}
        workspace = self._context.store.get(ids.workspace_of(endpoint.id))
        if workspace and any(sinks.values()):
            for deployment in self._context.store.children(DEPLOYMENT_TYPE, endpoint.id):
                yield _Followed(workspace, deployment, self._image(deployment), sinks)

    def _image(self, deployment: Resource) -> str:
        """Return the image of a deployment's environment; empty where it is built, or deleted."""
        try:
            return assets.environment(self._context, deployment.properties["environmentId"]).get("image") or ""
        except (AzureError, KeyError):
            return ""

    async def _read_all(self, read: dict[str, int]) -> None:
        for followed in self._followed:
            for attempt in self._context.serving.attempts(followed.deployment.id):
                for path in (attempt.events, *attempt.logs()):
                    await self._read_file(read, followed, attempt, path)

    async def _read_file(
        self, read: dict[str, int], followed: _Followed, attempt: DeploymentRecord, path: Path
    ) -> None:
        """Send what a file has gained to each sink that wants it."""
        category = EVENTS if path == attempt.events else CONSOLE
        for guid, since in followed.sinks[category].items():
            writer = f"{attempt.folder.name}/{path.name}/{guid}"
            if writer not in read:
                began_later = NOT_IN_STAMP.sub("", since) <= attempt.began
                read[writer] = 0 if began_later else _size(path)
            while self._stream.has_room and (lines := _lines(path, read[writer])):
                for number, (end, line) in enumerate(lines):
                    event, when = _event(followed, attempt, path, line)
                    row = resource_logs.record(followed.endpoint_id, followed.workspace, event, guid, when)
                    self._stream.put([LogEvent(end, writer, category, row)])
                    read[writer] = end
                    if number % AT_ONCE == 0:
                        await asyncio.sleep(0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # not written yet, or deleted meanwhile
        return 0


def _lines(path: Path, begin: int) -> list[tuple[int, str]]:
    """Return the next complete lines of a file, each with where it ends; a longer one than fits a column in pieces."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            block = file.read(LONGEST_TEXT)
    except FileNotFoundError:
        return []
    pieces = block.split(b"\n")[:-1]
    if not pieces and len(block) == LONGEST_TEXT:
        return [(begin + LONGEST_TEXT, block.decode(errors="replace"))]
    found = []
    for piece in pieces:
        begin += len(piece) + 1
        found.append((begin, piece.decode(errors="replace")))
    return found


def _event(followed: _Followed, attempt: DeploymentRecord, path: Path, line: str) -> tuple[Event, str]:
    """Return what a line tells, and when it was written, as far as the file says so."""
    deployment, instance_id = followed.deployment.name, f"{followed.deployment.name}-{attempt.suffix}"
    if path != attempt.events:
        return ConsoleEvent(deployment, instance_id, path.stem, followed.image, line), timestamp()
    told = json.loads(line)
    when = datetime.datetime.strptime(told["time"], EVENT_TIME).isoformat(timespec="microseconds") + "Z"
    return ContainerEvent(deployment, instance_id, told["name"], told["message"]), when
