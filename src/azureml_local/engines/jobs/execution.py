"""Runs a job's command on a node: brings its code and inputs there, keeps its log, and brings its outputs away.

It runs in a node's process. The layout is Azure's: the command starts in the code's folder, ``./outputs`` is kept with
the run, and the log is ``user_logs/std_log.txt``.
https://learn.microsoft.com/azure/machine-learning/how-to-save-write-experiment-files
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.jobs.log import LogBlob
from azureml_local.engines.jobs.spec import Attempt, Input, Result
from azureml_local.engines.process import GuardedProcess, base_environment
from azureml_local.engines.staging import BlobPath, StagingError
from azureml_local.http.upstream import Address, UpstreamError

REPORTS = "reports"  # see engines/compute/nodes.py
PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
PIECE = 1024 * 1024
STD_LOG = "user_logs/std_log.txt"

_running: dict[tuple[str, int], GuardedProcess] = {}


async def run(attempt: Attempt) -> Result:
    """Run a node's part of a job to its end."""
    blobs = BlobStorage(attempt.storage.account, attempt.storage.key)
    blobs.set_address(Address(port=attempt.storage.port))
    folder = Path(attempt.folder) / f"{attempt.number}-{attempt.rank}"
    folder.mkdir(parents=True)
    log = LogBlob(blobs, attempt.spec.artifacts.container, f"{attempt.spec.artifacts.path}/{STD_LOG}")
    try:
        return await _run(attempt, blobs, folder, log)
    except (StagingError, BlobError, UpstreamError, OSError) as error:
        log.write(f"{error}\n".encode())
        return Result(1, str(error))
    finally:
        await log.close()
        shutil.rmtree(folder, ignore_errors=True)


async def stop(job: str, number: int) -> None:
    """End the process that this node runs for an attempt at a job."""
    process = _running.get((job, number))
    if process:
        await process.stop()


async def stop_all() -> None:
    """End every process that this node runs."""
    await asyncio.gather(*(process.stop() for process in list(_running.values())))


async def _run(attempt: Attempt, blobs: BlobStorage, folder: Path, log: LogBlob) -> Result:
    spec = attempt.spec
    work = folder / "wd"
    work.mkdir()
    if spec.code:
        work = await staging.download(blobs, spec.code, folder / "code")
    outputs = work / "outputs"
    outputs.mkdir(exist_ok=True)
    places = {f"inputs.{name}": await _place(blobs, given, folder / name) for name, given in spec.inputs.items()}
    for name in spec.outputs:
        place = folder / "named-outputs" / name
        place.mkdir(parents=True)
        places[f"outputs.{name}"] = str(place)
    _report(attempt, "Running")
    process = await GuardedProcess.start(
        ["/bin/bash", "-c", _command(spec.command, places)],
        log=folder / "guard.log",
        environment=_environment(attempt),
        cwd=work,
        capture=True,
        merge=True,
    )
    _running[spec.job, attempt.number] = process
    try:
        while piece := await process.read(64 * 1024):
            log.write(piece)
        exit_code = await process.ended
    finally:
        del _running[spec.job, attempt.number]
    _report(attempt, "Finalizing")
    await _upload(blobs, outputs, BlobPath(spec.artifacts.container, f"{spec.artifacts.path}/outputs"))
    if exit_code == 0:
        for name, output in spec.outputs.items():
            await _upload(blobs, Path(places[f"outputs.{name}"]), output.target)
    return Result(exit_code)


def _report(attempt: Attempt, status: str) -> None:
    from distributed import get_worker

    message = {"job": attempt.spec.job, "attempt": attempt.number, "rank": attempt.rank, "status": status}
    get_worker().log_event(REPORTS, message)  # type: ignore[no-untyped-call]


def _command(command: str, places: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: places[f"{found[1]}.{found[2]}"], command)


async def _place(blobs: BlobStorage, given: Input, folder: Path) -> str:
    """Return what stands for an input in the command: its literal, or where its data lies on this node."""
    if given.source is None:
        return given.literal or ""
    return str(await staging.download(blobs, given.source, folder))


def _environment(attempt: Attempt) -> Mapping[str, str]:
    environment = {**base_environment(), **attempt.variables, **attempt.spec.environment_variables}
    folder = str(Path(attempt.python).parent)
    return {**environment, "PATH": f"{folder}:{environment.get('PATH', '')}", "PYTHONUNBUFFERED": "1"}


async def _upload(blobs: BlobStorage, folder: Path, target: BlobPath) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = f"{target.path}/{path.relative_to(folder).as_posix()}"
            await blobs.write_blob(target.container, name, _pieces(path), path.stat().st_size)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
