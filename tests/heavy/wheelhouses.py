"""A wheelhouse of this commit, for the tests that install from one: with a network, once for a session of tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from workshop.wheelhouse import ARCHIVE

ROOT = Path(__file__).parents[2]
MINUTES = 20


def make(folder: Path) -> Path:
    """Collect it, or skip the test where no network gives the packages."""
    command = [sys.executable, "-m", "workshop", "wheelhouse", str(folder)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    if "No matching distribution" in made.stderr or "ENOTFOUND" in made.stderr:
        pytest.skip(f"the packages cannot be had here: {made.stderr.strip()[-500:]}")
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def unpack(wheelhouse: Path, into: Path) -> Path:
    """Unpack the workbook that lies in it, as its README says, and return its folder."""
    with tarfile.open(wheelhouse / ARCHIVE) as archive:
        archive.extractall(into, filter="data")
    return into / "workbook"
