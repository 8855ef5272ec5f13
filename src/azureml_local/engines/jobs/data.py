"""A job's inputs, brought to where its command finds them, and its outputs, brought into storage.

A mount of Azure's is a folder here, with the files in it: an input's is filled before the command starts and shared by
the job's nodes; an output's lasts as long as the job, whatever becomes of its nodes, and is emptied into storage when
the job ends. https://learn.microsoft.com/azure/machine-learning/how-to-read-write-data-v2#modes
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import certifi

from azureml_local import client_environment
from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Input, InputMode, Output, OutputMode
from azureml_local.engines.staging import MissingError

DATA = Path("cap/data-capability/wd")  # of a job's or a node's folder, as on Azure
WEB_SECONDS = 60.0  # that a public server may be silent
# What reports of runs show as the code, and before the reason, where an input is missing.
SESSIONS = {
    InputMode.MOUNT: ("data-capability.UriMountSession.PyFuseError", "DataAccessError"),
    InputMode.DOWNLOAD: ("ScriptExecution.StreamAccess.NotFound", "StreamError"),
}
REASONS = {401: "PermissionDenied", 403: "PermissionDenied", 404: "NotFound", 410: "NotFound"}


class DataError(Exception):
    """An input cannot be had; the message is in Azure's form."""


class Data:
    """A job's data on one node.

    Args:
        blobs: the storage.
        attempt: the node's.
        folder: the node's own.
    """

    def __init__(self, blobs: BlobStorage, attempt: Attempt, folder: Path) -> None:
        self._blobs = blobs
        self._attempt = attempt
        self._shared = Path(attempt.folder) / DATA
        self._own = folder / DATA

    async def fill_mounts(self) -> None:
        """Fill the mounts of inputs. What an earlier call has done, on whichever node, is not done again.

        Raises:
            DataError: one cannot be had.
            StagingError: one has no form of files.
            UpstreamError: the storage ended and did not come back.
        """
        for name, given in self._attempt.spec.inputs.items():
            if given.literal is None and given.mode == InputMode.MOUNT:
                await self._mount(name, given)

    async def values(self) -> Mapping[str, str]:
        """Return what stands for each input and output in the command, when mounts are filled.

        Raises:
            DataError, StagingError, UpstreamError: an input that is to be downloaded cannot be had.
        """
        spec = self._attempt.spec
        values = {f"inputs.{name}": await self._value(name, given) for name, given in spec.inputs.items()}
        for name, output in spec.outputs.items():
            values[f"outputs.{name}"] = output.uri if output.mode == OutputMode.DIRECT else self._make(name, output)
        return values

    def _make(self, name: str, output: Output) -> str:
        place = output_place(Path(self._attempt.folder), name)
        (place.parent if output.is_file else place).mkdir(parents=True, exist_ok=True)
        return str(place)

    async def _value(self, name: str, given: Input) -> str:
        if given.literal is not None:
            return given.literal
        if given.mode == InputMode.DIRECT:
            return given.uri
        if given.mode == InputMode.MOUNT:
            folder = self._shared / f"INPUT_{name}"
            return str(folder / _filled(folder).read_text())
        return str(await self._fetch(name, given, self._own / f"INPUT_{name}"))

    async def _mount(self, name: str, given: Input) -> None:
        folder = self._shared / f"INPUT_{name}"
        if _filled(folder).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)  # of a node that was lost
        place = await self._fetch(name, given, folder)
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        _filled(folder).write_text(place.relative_to(folder).as_posix())

    async def _fetch(self, name: str, given: Input, folder: Path) -> Path:
        """Download an input's data, and return where it lies: the folder, or the one file that it is."""
        await asyncio.to_thread(folder.mkdir, parents=True)
        try:
            if given.source is None:
                return await from_web(given.uri, folder, self._attempt.proxies)
            if given.keeps_name:
                await staging.download(self._blobs, given.source, folder)
                return folder
            return await staging.download_contents(self._blobs, given.source, folder)
        except MissingError as error:
            raise DataError(_azures_words(name, given, "NotFound", str(error))) from error
        except WebError as error:
            raise DataError(_azures_words(name, given, error.reason, str(error))) from error


def _filled(folder: Path) -> Path:
    """Return the file that says that a mount is filled, and what in it the input is."""
    return folder.with_name(f".{folder.name}")


def output_place(folder: Path, name: str) -> Path:
    """Return where a job, whose folder this is, writes an output."""
    return folder / DATA / name


def variables(spec: CommandSpec, values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that hold a job's inputs and outputs.

    Args:
        spec: the job.
        values: what stands for them, as :meth:`Data.values` returns it.
    """
    literals = {f"inputs.{name}" for name, given in spec.inputs.items() if given.literal is not None}
    found = {}
    for place, value in values.items():
        kind, _, name = place.partition(".")
        prefix = "AZUREML_PARAMETER_" if place in literals else f"AZURE_ML_{kind[:-1].upper()}_"
        found[prefix + name] = value
    return found


async def deliver(
    blobs: BlobStorage, folder: Path, outputs: Mapping[str, Output], modes: Collection[OutputMode]
) -> None:
    """Bring what a job has written to its outputs, of some modes, into storage. One that it did not write is left out.

    Raises:
        StagingError: a file's name is not UTF-8.
        UpstreamError: the storage ended and did not come back.
        BlobError: it refused.
    """
    for name, output in outputs.items():
        place = output_place(folder, name)
        if output.mode in modes and place.exists():
            await staging.upload(blobs, place, output.target)


class Mirror:
    """Brings a job's outputs into storage as they are written, from a machine that may be lost.

    Args:
        blobs: the storage.
        folder: the job's on this machine.
        outputs: the job's.
    """

    def __init__(self, blobs: BlobStorage, folder: Path, outputs: Mapping[str, Output]) -> None:
        self._blobs = blobs
        self._folder = folder
        self._outputs = outputs
        self._brought: dict[Path, tuple[int, int]] = {}  # by the files: when they had been changed, and their sizes
        self._lock = asyncio.Lock()

    async def fill(self) -> None:
        """Bring here what a former attempt has written to mounted folders: to be found there, as on Azure.

        Raises:
            StagingError: it has no form of files.
            UpstreamError: the storage ended and did not come back.
        """
        for name, output in self._outputs.items():
            if output.mode == OutputMode.MOUNT and not output.is_file:
                place = output_place(self._folder, name)
                await asyncio.to_thread(place.mkdir, parents=True)
                with contextlib.suppress(MissingError):
                    await staging.download_contents(self._blobs, output.target, place)
                self._brought |= await asyncio.to_thread(_versions, place)

    async def bring(self, modes: Collection[OutputMode]) -> None:
        """Bring what is new since the last time, of outputs of some modes. It raises what :func:`deliver` does."""
        async with self._lock:
            for name, output in self._outputs.items():
                place = output_place(self._folder, name)
                if output.mode in modes and place.exists():
                    found = await asyncio.to_thread(_versions, place)
                    new = {path: version for path, version in found.items() if self._brought.get(path) != version}
                    await staging.upload(self._blobs, place, output.target, new)
                    self._brought |= new


def _versions(place: Path) -> dict[Path, tuple[int, int]]:
    found = {}
    for path in staging.files(place):
        with contextlib.suppress(FileNotFoundError):  # a script has just deleted it
            found[path] = (path.stat().st_mtime_ns, path.stat().st_size)
    return found


def _azures_words(name: str, given: Input, reason: str, message: str) -> str:
    """Return what a run's error says of an input, as far as public reports of such runs show it."""
    code, failure = SESSIONS[given.mode]
    details = [
        {"key": "NonCompliantReason", "value": f"{failure}({reason})"},
        {"key": "Message", "value": f"Input '{name}', {given.uri}: {message}"},
    ]
    body = {"code": code, "target": "", "category": "UserError", "error_details": details}
    return f"{json.dumps({'NonCompliant': f'{failure}({reason})'})}\n{json.dumps(body, indent=2)}"


class WebError(Exception):
    """A public address cannot be read. ``reason`` is Azure's word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def from_web(url: str, folder: Path, proxies: Mapping[str, str]) -> Path:
    """Download a public file into ``folder`` under its name, and return where it lies.

    Args:
        url: ``http`` or ``https``.
        folder: exists.
        proxies: by the scheme; ``no`` names the hosts without.

    Raises:
        WebError: it cannot be had.
    """
    target = folder / (PurePosixPath(unquote(urlsplit(url).path)).name or "data")
    try:
        answer = await asyncio.to_thread(_open, url, proxies)
        with answer, target.open("wb") as file:
            while piece := await asyncio.to_thread(answer.read, staging.PIECE):
                file.write(piece)
    except urllib.error.HTTPError as error:
        raise WebError(
            REASONS.get(error.code, "Unknown"), f"The server answers {error.code} {error.reason}."
        ) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise WebError("ConnectionFailure", f"The server cannot be reached, or broke off: {error}.") from error
    return target


def _open(url: str, proxies: Mapping[str, str]) -> HTTPResponse:
    by_scheme = dict(proxies)
    if urllib.request.proxy_bypass_environment(urlsplit(url).hostname or "", by_scheme):  # type: ignore[attr-defined]
        by_scheme = {}
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(by_scheme), urllib.request.HTTPSHandler(context=context)
    )
    answer: HTTPResponse = opener.open(url, timeout=WEB_SECONDS)
    return answer


def users_proxies() -> Mapping[str, str]:
    """Return the proxies that the user has set for the Internet, for :func:`from_web`."""
    proxies = urllib.request.getproxies_environment()
    https = client_environment.users_own_proxy(os.environ)
    return {name: proxies[name] for name in ("http", "no") if name in proxies} | ({"https": https} if https else {})
