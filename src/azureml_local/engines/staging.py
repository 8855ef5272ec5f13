"""Brings what deployments and jobs run from storage onto the disk, laid out as in Azure's containers, and back."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from azureml_local.engines.blobs import BlobStorage
from azureml_local.http.errors import is_out_of_space
from azureml_local.http.upstream import UpstreamError

STORAGE_IS_BACK_WITHIN = 60.0  # seconds
LOOK_AGAIN_AFTER = 0.5  # seconds
AT_ONCE = 8  # files
PIECE = 1024 * 1024

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class StagingError(Exception):
    """What a deployment or a job names is not in storage, or cannot be brought from there, or to it."""


class MissingError(StagingError):
    """There is nothing at that place in storage."""


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
    names = await _names(blobs, source)
    await _download(blobs, source.container, names, source.path.rpartition("/")[0], folder)
    return folder / PurePosixPath(source.path).name


async def download_contents(blobs: BlobStorage, source: BlobPath, folder: Path) -> Path:
    """Download what is in the folder ``source`` into ``folder``, and return that; or a file, and return where it lies.

    Raises:
        MissingError: there is nothing there.
        StagingError: a blob's name leads out of the folder.
        UpstreamError: the storage ended and did not come back.
    """
    names = await _names(blobs, source)
    if source.path in names:
        await _download(blobs, source.container, [source.path], source.path.rpartition("/")[0], folder)
        return folder / PurePosixPath(source.path).name
    await _download(blobs, source.container, names, source.path, folder)
    return folder


async def upload(blobs: BlobStorage, source: Path, target: BlobPath, only: Collection[Path] | None = None) -> None:
    """Upload a file, or the files in a folder and its folders, to ``target``; what is there under a name is replaced.

    Args:
        blobs: the storage.
        source: the file or folder.
        target: where it goes.
        only: the files that are uploaded of it; None for all.

    Raises:
        StagingError: a file's name is not UTF-8.
        UpstreamError: the storage ended and did not come back.
        BlobError: it refused.
    """

    async def one(path: Path) -> None:
        name = "/".join((target.path, *path.relative_to(source).parts))
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise StagingError(
                f"The file {str(path)!r} cannot be brought into storage: its name is not UTF-8."
            ) from error

        async def write() -> None:
            await blobs.write_blob(target.container, name, pieces(path))

        await once_storage_answers(write)

    await _for_each(await asyncio.to_thread(files, source) if only is None else only, one)


def files(source: Path) -> list[Path]:
    """Return a file, or the files in a folder and its folders."""
    return [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield a file's content."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


async def _for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
    """Do ``work`` with each item, some at once. The first error ends it."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    workers = [asyncio.ensure_future(worker()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _names(blobs: BlobStorage, source: BlobPath) -> list[str]:
    """Return the names of the blobs at and below ``source``. Raises MissingError where there is none."""
    names = [
        name
        for name in await once_storage_answers(lambda: blobs.list_blobs(source.container, source.path))
        if not source.path or name == source.path or name.startswith(source.path + "/")
    ]
    if not names:
        raise MissingError(f"There is nothing at '{source.path}' in container {source.container}.")
    return names


async def _download(blobs: BlobStorage, container: str, names: Iterable[str], parent: str, folder: Path) -> None:
    """Download blobs into ``folder`` under the names that they have below ``parent``."""

    async def one(name: str) -> None:
        target = inside(folder, name.removeprefix(f"{parent}/") if parent else name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Names may differ by case, by the form of their letters or by a doubled slash, and yet be one file here.
            with target.open("xb") as file:
                await once_storage_answers(partial(_read_into, file, blobs, container, name))
        except OSError as error:
            if is_out_of_space(error):
                raise
            raise StagingError(f"The blob {name} cannot be written as a file: {error.strerror}.") from error

    await _for_each((name for name in names if not name.endswith("/")), one)  # one that does marks a folder


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
