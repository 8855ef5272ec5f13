"""Environments: an interpreter on this machine that has what an environment asks for.

The service's own interpreter is used where it satisfies every requirement. Otherwise uv builds a virtual environment,
once for each set of requirements: it is found again by their hash.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import sysconfig
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from azureml_local import client_environment
from azureml_local.engines.process import GuardedProcess, base_environment
from azureml_local.engines.requirements import EnvironmentBuildError, Requirements, of_environment
from azureml_local.home import write_private
from azureml_local.locks import try_lock

logger = logging.getLogger(__name__)

COMPLETE = "complete.json"  # written last: a build that broke off lacks it
# Where packages come from, and whom to trust about it.
FOR_BUILDS = ("UV_", "PIP_", "NO_PROXY", "no_proxy", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "XDG_")
SECONDS_BETWEEN_TRIES = 0.5  # to build where another process does
SHOWN_LINES = 8  # of a failed build's log, in the error
# What to do, by the words in which uv says what went wrong; the first that it says count.
ADVICE = {
    "Failed to fetch": "The package index cannot be reached: check the network and the proxy, then deploy again.",
    "the network was disabled": "UV_OFFLINE forbids to use the network: unset it, start azureml-local again, then "
    "deploy again.",
    "No solution found": "Change the versions that are asked for, in the conda file or elsewhere, so that they fit.",
}


@dataclass(frozen=True)
class Interpreter:
    """A Python that satisfies an environment, and what a log should say of it."""

    python: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BasePython:
    """A Python of this machine, and its version."""

    path: str
    version: str


OWN = BasePython(sys.executable, ".".join(str(part) for part in sys.version_info[:3]))


class Environments:
    """Finds interpreters, and builds those that are missing.

    Args:
        folder: where they are built.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._pythons: list[BasePython] = []  # looked for once in the service's life: it takes a second

    async def interpreter_for(self, properties: Mapping[str, Any], log: Path, *more: str) -> Interpreter:
        """Return the interpreter for an environment version's ``properties``.

        Args:
            properties: the version's image and conda file.
            log: receives what a build says.
            more: requirements beside those.

        Raises:
            EnvironmentBuildError: the environment cannot be had; the message has the resolver's last words.
        """
        found = await self.interpreter(of_environment(properties, *more), log)
        note = f"Image {properties.get('image')}: packages only; azureml-local runs no containers."
        return Interpreter(found.python, (note, *found.notes))

    async def interpreter(self, requirements: Requirements, log: Path) -> Interpreter:
        """Return an interpreter that meets ``requirements``. Raises EnvironmentBuildError."""
        unmet = requirements.unmet_here()
        notes = []
        if not unmet and await self._base_python(requirements.python, log) == OWN:
            notes += _python_notes(requirements.python, OWN.version)
            return Interpreter(OWN.path, (*notes, f"Every package is there in {OWN.path}."))
        lacking = "; ".join(unmet) or f"python{requirements.python}, which this machine has elsewhere"
        notes.append(f"azureml-local's own interpreter lacks: {lacking}.")
        folder, version = await self._built(requirements, log)
        notes += _python_notes(requirements.python, version)
        return Interpreter(str(folder / "bin" / "python"), (*notes, f"Its own environment: {folder}."))

    def have(self, package: str) -> bool:
        """Say whether some environment was built here with a package."""
        return any(package in _requirement_names(complete) for complete in self._folder.glob(f"*/{COMPLETE}"))

    async def _built(self, requirements: Requirements, log: Path) -> tuple[Path, str]:
        """Return the folder of the environment that meets ``requirements``, and its Python's version.

        An environment of a wanted Python is taken as it is found. One whose Python was only the nearest is taken until
        this machine has a nearer one: then another is built beside it, for deployments may serve from the first.
        """
        lines = requirements.to_install()
        identity = "\n".join([str(requirements.python), sysconfig.get_platform(), *lines])
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]
        async with self._locks[key]:
            for folder in sorted(self._folder.glob(f"{key}-*")):
                built_with = _built_with(folder)
                if built_with and requirements.python.contains(built_with.version):
                    return folder, built_with.version
            base = await self._base_python(requirements.python, log)
            folder = self._folder / f"{key}-{base.version}"
            async with _alone(folder):
                if _built_with(folder) is None:
                    await _build(folder, base, lines, log)
        return folder, base.version

    async def _base_python(self, wanted: SpecifierSet, log: Path) -> BasePython:
        """Return the Python on this machine that is wanted, or else the nearest.

        Where no release is the wanted one, another of the same minor version is nearest, then the service's own.
        """
        if wanted.contains(OWN.version):
            return OWN
        if not self._pythons:
            self._pythons = await _pythons(log)
        for near in (wanted, _same_minor(wanted)):
            found = [python for python in (OWN, *self._pythons) if near and near.contains(python.version)]
            if found:
                return found[0]
        return OWN


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """Have no other process build in ``folder`` meanwhile: ``azureml-local doctor`` may, beside the service."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        while not try_lock(lock, fcntl.LOCK_EX):  # noqa: ASYNC110 - no event crosses processes
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)
        yield


def _requirement_names(complete: Path) -> set[str]:
    """Return the names of what an environment was built from."""
    lines: list[str] = json.loads(complete.read_text())["requirements"]
    return {Requirement(line).name for line in lines if not line.startswith("-")}


def _built_with(folder: Path) -> BasePython | None:
    """Return the Python that a complete environment was built with; None where it is missing, or its Python is gone."""
    complete = folder / COMPLETE
    if not complete.exists() or not (folder / "bin" / "python").exists():
        return None
    return BasePython(**json.loads(complete.read_text())["python"])


async def _build(folder: Path, base: BasePython, lines: Sequence[str], log: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    requirements = folder.with_name(f"{folder.name}.txt")
    requirements.write_text("\n".join(lines) + "\n")
    python = str(folder / "bin" / "python")
    for arguments in (
        ["venv", "--python", base.path, str(folder)],
        ["pip", "install", "--python", python, "--requirement", str(requirements)],
    ):
        status, said = await _uv(arguments, log)
        if status:
            shutil.rmtree(folder, ignore_errors=True)
            last = " ".join(" ".join(said.splitlines()[-SHOWN_LINES:]).split())
            advice = next((advice for words, advice in ADVICE.items() if words in said), "")
            raise EnvironmentBuildError(f"The environment could not be built: {last} {advice}".rstrip())
    write_private(folder / COMPLETE, json.dumps({"python": asdict(base), "requirements": list(lines)}, indent=2))


async def _pythons(log: Path) -> list[BasePython]:
    """Return the Pythons on this machine, newest first: those on PATH, of uv, and of pyenv."""
    folders = [os.environ.get("PATH", os.defpath), *(str(folder) for folder in _pyenv_folders())]
    arguments = ["python", "list", "--only-installed", "--output-format", "json"]
    # It warns at length of what is broken, such as pyenv's shims of versions that are switched off.
    log = log.with_name("python-list.log")
    process = await _start_uv(arguments, log, {"PATH": os.pathsep.join(folders)}, capture=True)
    try:
        found = "".join([line async for line in process.lines()])
        status = await asyncio.shield(process.ended)
    finally:
        await process.stop()
    if status:
        logger.warning("uv cannot list the Pythons of this machine; see %s", log)
        return []
    # Wheels are for CPython; those for builds without the global lock are others.
    usual = {"implementation": "cpython", "variant": "default"}
    return [BasePython(one["path"], one["version"]) for one in json.loads(found) if usual.items() <= one.items()]


def _pyenv_folders() -> list[Path]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(root.glob("versions/*/bin"))


async def _uv(arguments: Sequence[str], log: Path) -> tuple[int, str]:
    """Run uv; return its exit status and what it said, which is also in the log."""
    began = _size(log)
    process = await _start_uv(arguments, log, {})
    try:
        status = await asyncio.shield(process.ended)
    finally:
        await process.stop()
    return status, _read_from(log, began)


async def _start_uv(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str], *, capture: bool = False
) -> GuardedProcess:
    return await GuardedProcess.start(
        [_uv_program(), "--no-progress", "--color", "never", "--system-certs", *arguments],
        log=log,
        environment={**_build_environment(), "UV_PYTHON_DOWNLOADS": "never", **environment},
        capture=capture,
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _read_from(file: Path, offset: int) -> str:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read().decode(errors="replace")


def _uv_program() -> str:
    import uv

    return str(uv.find_uv_bin())


def _build_environment() -> dict[str, str]:
    """Return what a build needs of this process's environment. Packages run code as they are built, so no secrets."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(FOR_BUILDS)}
    proxy = client_environment.users_own_proxy(os.environ)
    return {**base_environment(), **kept, **({"HTTPS_PROXY": proxy} if proxy else {})}


def _same_minor(wanted: SpecifierSet) -> SpecifierSet | None:
    """Return ``==3.12.*`` for a pin such as ``==3.12.3``; None for anything that is no pin."""
    pins = [re.match(r"\d+\.\d+", specifier.version) for specifier in wanted if specifier.operator in ("==", "~=")]
    return SpecifierSet(f"=={pins[0][0]}.*") if pins and pins[0] else None


def _python_notes(wanted: SpecifierSet, version: str) -> list[str]:
    if wanted.contains(version):
        return []
    return [f"WARNING: python{wanted} was asked for; this machine has none, Python {version} is used."]
