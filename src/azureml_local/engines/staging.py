"""Brings what a deployment runs from storage onto the disk, laid out as in Azure's containers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from azureml_local.engines.blobs import BlobStorage
from azureml_local.http.errors import is_out_of_space
from azureml_local.http.upstream import UpstreamError

STORAGE_IS_BACK_WITHIN = 60.0  # seconds
LOOK_AGAIN_AFTER = 0.5  # seconds

Answer = TypeVar("Answer")


class StagingError(Exception):
    """What the deployment names is not in storage."""


@dataclass(frozen=True)
class BlobPath:
    """A blob, or every blob below a path, in a container."""

    container: str
    path: str


async def once_storage_answers(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return what ``ask`` returns. Storage that ended is waited for: it is being started again.

    Raises:
        UpstreamError: the storage did not come back.
    """
    deadline = time.monotonic() + STORAGE_IS_BACK_WITHIN
    while True:
        try:
            return await ask()
        except UpstreamError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_AGAIN_AFTER)


async def download(blobs: BlobStorage, source: BlobPath, folder: Path) -> Path:
    """Download ``source`` into ``folder`` and return where it lies: a file and a folder both keep their name.

    Raises:
        StagingError: there is nothing there, or a blob's name leads out of the folder.
        UpstreamError: the storage ended and did not come back.
    """
    names = [
        name
        for name in await once_storage_answers(lambda: blobs.list_blobs(source.container, source.path))
        if not source.path or name == source.path or name.startswith(source.path + "/")
    ]
    if not names:
        raise StagingError(f"There is nothing at '{source.path}' in container {source.container}.")
    parent = source.path.rpartition("/")[0]
    for name in names:
        if name.endswith("/"):
            continue  # marks a folder
        target = inside(folder, name.removeprefix(f"{parent}/") if parent else name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Names may differ by case, by the form of their letters or by a doubled slash, and yet be one file here.
            with target.open("xb") as file:
                await once_storage_answers(partial(_read_into, file, blobs, source.container, name))
        except OSError as error:
            if is_out_of_space(error):
                raise
            raise StagingError(f"The blob {name} cannot be written as a file: {error.strerror}.") from error
    return folder / PurePosixPath(source.path).name


async def _read_into(file: BinaryIO, blobs: BlobStorage, container: str, name: str) -> None:
    file.seek(0)
    file.truncate()  # what an earlier attempt left
    async for piece in blobs.read_blob(container, name):
        file.write(piece)


def inside(folder: Path, relative: str) -> Path:
    """Return a path below ``folder``. Raises StagingError where it would lead out of it."""
    target = (folder / relative).resolve() if "\0" not in relative else None
    if target is None or not target.is_relative_to(folder.resolve()):
        raise StagingError(f"The path {relative} leads out of its folder.")
    return target


def remove(folder: Path) -> None:
    """Delete a staged folder; one that is gone already is as wanted."""
    shutil.rmtree(folder, ignore_errors=True)
