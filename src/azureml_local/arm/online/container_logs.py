"""The console and event logs of online endpoints, read from the files that each attempt to deploy leaves.

While a diagnostic setting wants them, what the files have gained is read about once a second; else nothing is read.
The log store keeps the highest sequence number of each file, so that nothing is written twice, and a service that was
killed goes on where the log store has stopped: a line's number is where it ends, an event's is its time. What was
written before the setting was is not sent, as on Azure. ``TimeGenerated`` of a line is when it was read.

The instances of a deployment share a file: they have one ``InstanceId``, that of the attempt.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.monitor import resource_logs
from azureml_local.arm.monitor.log_categories import CONSOLE, EVENTS, SETTING_TYPE
from azureml_local.arm.monitor.log_events import Event
from azureml_local.arm.monitor.resource_logs import LONGEST_TEXT
from azureml_local.arm.online.endpoint_log_events import ConsoleEvent, ContainerEvent
from azureml_local.arm.online.online_endpoints import DEPLOYMENT_TYPE
from azureml_local.engines import instance_log
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.http.errors import AzureError
from azureml_local.store import LogEvent, Resource, timestamp

logger = logging.getLogger(__name__)

READ_EVERY = 1.0  # seconds
AT_ONCE = 20  # lines, before other work has its turn
News = list[tuple[int, str, Event]]  # sequence number, time, event
TURN = 2**40  # more bytes than a log ever holds
NOT_IN_STAMP = re.compile(r"[-:.Z]")


@dataclass(frozen=True)
class _Deployment:
    """A deployment's name, and the image that it runs."""

    id: str
    name: str
    image: str


@dataclass(frozen=True)
class _Wanted:
    """An endpoint whose logs somebody wants: by category, and by the sink's guid, when that was last said."""

    endpoint_id: str
    workspace: Resource
    sinks: Mapping[str, Mapping[str, str]]
    deployments: Sequence[_Deployment]


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
        self._endpoints: list[Resource] = []  # that have a setting; what it names may be gone for a while
        self._wanted: list[_Wanted] = []
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
            await self._send_news()

    async def _run(self) -> None:
        changed = self._context.events.settings_changed
        while True:
            changed.clear()
            self._look_up()
            if not self._endpoints:
                await changed.wait()
                continue
            if self._wanted:
                await self._send_news()
            await asyncio.sleep(READ_EVERY)

    async def _send_news(self) -> None:
        try:
            if self._read is None:
                self._read = await self._already_written()
        except LogStoreError as error:
            logger.error("logs of deployments wait: %s", error)
        else:
            await self._read_all(self._read)

    async def _already_written(self) -> dict[str, int]:
        answer = await self._context.log_store.query("SELECT writer, sequence FROM intake.received")
        return dict(answer["rows"])

    def _look_up(self) -> None:
        """Find out whose logs are wanted, where anything has changed since."""
        store = self._context.store
        if store.changes == self._changes:
            return
        self._changes = store.changes
        owners = {setting.id.rpartition("/providers/")[0].lower() for setting in store.all_of(SETTING_TYPE)}
        self._endpoints = [one for owner in owners if "/onlineendpoints/" in owner and (one := store.get(owner))]
        self._wanted = [wanted for endpoint in self._endpoints if (wanted := self._wanted_of(endpoint))]

    def _wanted_of(self, endpoint: Resource) -> _Wanted | None:
        sinks = {category: self._context.events.sinks(endpoint.id, category) for category in (CONSOLE, EVENTS)}
        workspace = self._context.store.get(ids.workspace_of(endpoint.id))
        if workspace is None or not any(sinks.values()):
            return None
        deployments = self._context.store.children(DEPLOYMENT_TYPE, endpoint.id)
        known = [_Deployment(one.id, one.name, self._image(one)) for one in deployments]
        return _Wanted(endpoint.id, workspace, sinks, known)

    def _image(self, deployment: Resource) -> str:
        """Return the image of a deployment's environment; empty where it is built, or deleted."""
        try:
            return assets.environment(self._context, deployment.properties["environmentId"]).get("image") or ""
        except (AzureError, KeyError):
            return ""

    async def _read_all(self, read: dict[str, int]) -> None:
        for wanted in self._wanted:
            for deployment in wanted.deployments:
                for attempt in self._context.serving.attempts(deployment.id):
                    await asyncio.sleep(0)
                    try:
                        await self._read_attempt(read, wanted, deployment, attempt)
                    except Exception:  # whatever a file holds, the others are read
                        logger.exception("the logs in %s cannot be read", attempt.folder)

    async def _read_attempt(
        self, read: dict[str, int], wanted: _Wanted, deployment: _Deployment, attempt: DeploymentRecord
    ) -> None:
        """Send what the files of an attempt have gained to each sink that wants it."""
        source = _Source(deployment, f"{deployment.name}-{attempt.suffix}")
        for guid, since in wanted.sinks[EVENTS].items():
            await self._send(read, wanted, guid, attempt.events, partial(_events, attempt, source), _micros(since))
        for path, (guid, since) in itertools.product(attempt.logs(), wanted.sinks[CONSOLE].items()):
            began_later = NOT_IN_STAMP.sub("", since) <= attempt.began
            await self._send(read, wanted, guid, path, partial(_lines, path, source), 0 if began_later else _size(path))

    async def _send(
        self, read: dict[str, int], wanted: _Wanted, guid: str, path: Path, news: Callable[[int], News], begin: int
    ) -> None:
        """Send what comes after what was read; ``begin`` is where to begin with a file that is new to a sink."""
        writer = f"{path.parent.name}/{path.name}/{guid}"
        position = read.setdefault(writer, begin)
        while self._stream.has_room and (found := news(position)):
            for number, (position, when, event) in enumerate(found):
                row = resource_logs.record(wanted.endpoint_id, wanted.workspace, event, guid, when)
                self._stream.put([LogEvent(position, writer, event.category, row)])
                read[writer] = position
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)


@dataclass(frozen=True)
class _Source:
    """Whose files are read."""

    deployment: _Deployment
    instance_id: str


def _events(attempt: DeploymentRecord, source: _Source, last: int) -> News:
    """Return the events of an attempt that come after a time, in microseconds since 1970."""
    found: News = []
    for told in attempt.read_events():
        if (number := _micros(told["time"])) > last:
            event = ContainerEvent(source.deployment.name, source.instance_id, told["name"], told["message"])
            found.append((number, told["time"], event))
    return found


def _lines(path: Path, source: _Source, last: int) -> News:
    """Return some of the lines that come after a number: how often the log began anew, and where the line ends."""
    turn, begin = divmod(last, TURN)
    file = path
    if _size(path) < begin:  # it began anew; what was not read of it is beside it now
        file = instance_log.former(path)
        if begin >= _size(file):
            turn, begin, file = turn + 1, 0, path
    found: News = []
    for line in _complete(_text(file, begin, LONGEST_TEXT), grows=file == path):
        begin += len(line)
        message = line.decode(errors="replace").removesuffix("\n")
        event = ConsoleEvent(source.deployment.name, source.instance_id, path.stem, source.deployment.image, message)
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
