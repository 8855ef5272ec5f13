"""The npm packages of every lock file, as tarballs."""

from __future__ import annotations

import base64
import shutil
import tempfile
from pathlib import Path

import node_packages
from node_packages import LOCK, Locked, NpmError

# What npm calls the systems of a wheelhouse.
OPTIONS = {
    "linux-x86_64": ("--os=linux", "--cpu=x64", "--libc=glibc"),
    "linux-aarch64": ("--os=linux", "--cpu=arm64", "--libc=glibc"),
    "darwin-arm64": ("--os=darwin", "--cpu=arm64"),
    "darwin-x86_64": ("--os=darwin", "--cpu=x64"),
}


def lock_files(source: Path) -> list[Path]:
    """Return the folders below ``source`` that have a lock file of npm's."""
    return [path.parent for path in sorted(source.rglob(LOCK)) if "node_modules" not in path.parts]


def collect(source: Path, into: Path, system: str) -> int:
    """Put what the lock files below ``source`` name into a folder, each as its tarball; return how many those are.

    npm installs each lock file with a cache of its own, which has the tarballs by their hashes.

    Raises:
        NpmError: npm could not.
    """
    with tempfile.TemporaryDirectory() as work:
        cache = Path(work, "cache")
        for number, folder in enumerate(lock_files(source)):
            _install(folder, Path(work, str(number)), cache, system)
            for package in node_packages.locked(folder):
                _take(package, cache, into / package.tarball)
    return sum(1 for _ in into.rglob("*.tgz"))


def _install(source: Path, into: Path, cache: Path, system: str) -> None:
    into.mkdir()
    for name in ("package.json", LOCK):
        shutil.copyfile(source / name, into / name)
    node_packages.npm(
        into, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(cache), *OPTIONS[system]
    )


def _take(package: Locked, cache: Path, tarball: Path) -> None:
    algorithm, _, encoded = package.integrity.partition("-")
    digest = base64.b64decode(encoded).hex()
    cached = cache / "_cacache" / "content-v2" / algorithm / digest[:2] / digest[2:4] / digest[4:]
    if cached.is_file():
        tarball.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cached, tarball)
    elif not package.optional:  # of which most are of other systems
        raise NpmError(f"npm has installed {package.name} {package.version}, and did not keep its tarball.")
