"""``logs/azureml/executionlogs.txt``: what ``ml_client.jobs.stream`` shows of a pipeline.

Its lines are those of public logs of such runs, e.g. in https://kedro-azureml.readthedocs.io (Quickstart).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

from azureml_local.arm.jobs import job_places, lineage
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.http.upstream import UpstreamError
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

NAME = "logs/azureml/executionlogs.txt"
MOST_NAMED = 5


def text(children: Iterable[Resource]) -> str:
    """Return the log of a pipeline whose steps have these jobs; later there are more lines, never other ones."""
    events = []
    for child in children:
        events.append((child.created_at, False, child))
        if "endTime" in child.body["run"]:
            events.append((child.body["run"]["endTime"], True, child))
    lines: list[str] = []
    begun: list[Resource] = []
    for time, has_ended, child in sorted(events, key=lambda event: event[:2]):
        if not has_ended:
            begun.append(child)
            continue
        lines += _submitted(begun)
        begun = []
        lines.append(f"[{_shown(time)}] Completing processing run id {child.name}.")
    return "".join(f"{line}\n" for line in lines + _submitted(begun))


def _submitted(begun: list[Resource]) -> list[str]:
    """Return the line of jobs that were begun together."""
    if not begun:
        return []
    named = ",".join(f"{lineage.node_id(child)}:{child.name}" for child in begun[:MOST_NAMED])
    return [f"[{_shown(begun[0].created_at)}] Submitting {len(begun)} runs, first five are: {named}"]


def _shown(time: str) -> str:
    return f"{time[:10]} {time[11:19]}Z"


class ExecutionLog:
    """Writes a pipeline's log, while the pipeline goes on.

    Args:
        blobs: the storage.
        job: the pipeline's name.
    """

    def __init__(self, blobs: BlobStorage, job: str) -> None:
        self._blobs = blobs
        self._folder = job_places.artifacts(job)
        self._text = ""
        self._written = ""
        self._task: asyncio.Task[None] | None = None

    def write(self, content: str) -> None:
        """Have the log say this as soon as it can be written."""
        self._text = content
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._write())

    async def close(self) -> None:
        """Return when the last is written."""
        if self._task:
            await self._task

    async def _write(self) -> None:
        while self._written != self._text:
            self._written = self._text
            try:
                name = f"{self._folder.path}/{NAME}"
                await self._blobs.write_blob(self._folder.container, name, _piece(self._written.encode()))
            except (BlobError, UpstreamError) as error:
                logger.warning("the log of the pipeline at %s cannot be written: %s", self._folder.path, error)


async def _piece(content: bytes) -> AsyncIterator[bytes]:
    yield content
