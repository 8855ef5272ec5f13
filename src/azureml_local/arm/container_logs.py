"""The console and event logs of online endpoints, read from the files that each attempt to deploy leaves.

While a diagnostic setting wants them, what the files have gained is read about once a second; else nothing is read.
The log store keeps the highest sequence number of each file, so that nothing is written twice, and a service that was
killed goes on where the log store has stopped: a line's number is where it ends, an event's is its time. What was
written before the setting was is not sent, as on Azure. ``TimeGenerated`` of a line is when it was read.

The instances of a deployment share a file: they have one ``InstanceId``, that of the attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
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
from azureml_local.engines import instance_log
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.http.errors import AzureError

logger = logging.getLogger(__name__)

READ_EVERY = 1.0  # seconds
AT_ONCE = 20  # lines, before other work has its turn
TURN = 2**40  # more bytes than a log ever holds
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
        self._is_wanted = False  # an endpoint has a setting; its deployments may still be to come
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
            if not self._is_wanted:
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
        self._is_wanted = bool(endpoints)

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
                for guid, since in followed.sinks[EVENTS].items():
                    await self._send(read, followed, attempt, attempt.events, guid, _micros(since))
                for path, (guid, since) in itertools.product(attempt.logs(), followed.sinks[CONSOLE].items()):
                    began_later = NOT_IN_STAMP.sub("", since) <= attempt.began
                    await self._send(read, followed, attempt, path, guid, 0 if began_later else _size(path))

    async def _send(
        self, read: dict[str, int], followed: _Followed, attempt: DeploymentRecord, path: Path, guid: str, begin: int
    ) -> None:
        """Send what a file has gained to a sink; ``begin`` is where to begin with a file that is new to it."""
        writer = f"{attempt.folder.name}/{path.name}/{guid}"
        position = read.setdefault(writer, begin)
        instance_id = f"{followed.deployment.name}-{attempt.suffix}"
        news = _events if path == attempt.events else _lines
        while self._stream.has_room and (found := news(path, position, followed, instance_id)):
            for number, (position, when, event) in enumerate(found):
                row = resource_logs.record(followed.endpoint_id, followed.workspace, event, guid, when)
                self._stream.put([LogEvent(position, writer, event.category, row)])
                read[writer] = position
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)


News = list[tuple[int, str, Event]]  # sequence number, time, event


def _events(path: Path, last: int, followed: _Followed, instance_id: str) -> News:
    """Return the events of a file that come after a time, in microseconds since 1970."""
    found: News = []
    for line in _text(path, 0, instance_log.LARGEST).splitlines():
        with contextlib.suppress(ValueError):  # a line that a kill cut off
            told = json.loads(line)
            if (number := _micros(told["time"])) > last:
                event = ContainerEvent(followed.deployment.name, instance_id, told["name"], told["message"])
                found.append((number, told["time"], event))
    return found


def _lines(path: Path, last: int, followed: _Followed, instance_id: str) -> News:
    """Return some of the lines that come after a number: how often the log began anew, and where the line ends."""
    turn, begin = divmod(last, TURN)
    source = path
    if _size(path) < begin:  # it began anew; what was not read of it is beside it now
        source = instance_log.former(path)
        if begin >= _size(source):
            turn, begin, source = turn + 1, 0, path
    found: News = []
    for line in _complete(_text(source, begin, LONGEST_TEXT), grows=source == path):
        begin += len(line)
        message = line.decode(errors="replace").removesuffix("\n")
        event = ConsoleEvent(followed.deployment.name, instance_id, path.stem, followed.image, message)
        found.append((turn * TURN + begin, timestamp(), event))
    return found


def _complete(block: bytes, *, grows: bool) -> list[bytes]:
    """Return the complete lines of a block; all of it where it has none, and none is to be expected."""
    lines: list[bytes] = re.findall(rb"[^\n]*\n", block)
    if not lines and block and (not grows or len(block) == LONGEST_TEXT):
        return [block]
    return lines


def _text(path: Path, begin: int, most: int) -> bytes:
    """Return a part of a file; nothing where it is not written yet, or was deleted meanwhile."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            return file.read(most)
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _micros(time: str) -> int:
    return round(datetime.datetime.fromisoformat(time).timestamp() * 1_000_000)
