"""Whether a wheelhouse is whole, and for this machine: ``python -m workshop.wheelhouse.check FOLDER``.

It runs before anything is installed, so with Python's own library only.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.wheelhouse import ABOUT, SUMS, digest

MAKE_ANEW = "Make it anew: python -m workshop wheelhouse FOLDER."


def this_machine() -> tuple[str, str]:
    """Return this Python's version, such as ``3.11``, and its system, such as ``linux-x86_64``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}", f"{sys.platform}-{platform.machine()}"


def faults(folder: Path) -> list[str]:
    """Return what keeps this machine from using the wheelhouse, in sentences; an empty list where nothing does."""
    if not (folder / ABOUT).is_file():
        return [f"{folder} is no wheelhouse: it has no {ABOUT}. python -m workshop wheelhouse FOLDER makes one."]
    if not (folder / SUMS).is_file():
        return [f"{folder} is not complete: it has no {SUMS}, which is written last. {MAKE_ANEW}"]
    return [*_of_another_machine(folder), *_damaged(folder)]


def _of_another_machine(folder: Path) -> list[str]:
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    python, system = this_machine()
    found = []
    if about["python"] != python:
        found.append(
            f"It is for Python {about['python']}, and this is {python}. Run make PYTHON=python{about['python']} ..., "
            f"or make one with --python {python}."
        )
    if about["system"] != system:
        found.append(f"It is for {about['system']}, and this is {system}. Make one with --system {system}.")
    needed, here = about["glibc"], platform.libc_ver()[1]
    if needed and here and _numbers(here) < _numbers(needed):
        found.append(f"It needs the C library glibc {needed}, and here is {here}: use a newer release of this Linux.")
    return found


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _damaged(folder: Path) -> list[str]:
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    expected = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    missing = [name for name in expected if not (folder / name).is_file()]
    changed = [name for name in expected if name not in missing and digest(folder / name) != expected[name]]
    return [f"{name} is missing. Copy it again." for name in missing] + [
        f"{name} is not as it was collected: the copy is damaged. Copy it again." for name in changed
    ]


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong with the wheelhouse; returns 0 where nothing is."""
    found = faults(Path(arguments[0]))
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print(f"The wheelhouse {arguments[0]} is whole, and for this machine.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
