"""The wheel holds all that the service reads: what others install runs where this folder is out of reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from running_service import clean_environment

ROOT = Path(__file__).parents[2]
BUILT_WITHOUT = "hatchling"  # what builds it is no part of the environment: uv brings it


def run(*command: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "build", "--system-certs", "--wheel", "--out-dir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if built.returncode and BUILT_WITHOUT in built.stderr and "fetch" in built.stderr:
        pytest.skip(f"what builds wheels cannot be had here: {built.stderr.strip()}")
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An environment whose Python finds the wheel's files, and those of this folder not even by name."""
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    return {**clean_environment(), "PYTHONPATH": os.pathsep.join((str(site), str(site / "designer" / "runtime")))}


def test_it_has_no_package_with_a_name_that_others_may_want(wheel: Path) -> None:
    top = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {name for name in top if not name.endswith(".dist-info")}
    assert packages == {"azureml_local", "designer", "node_packages", "designer_runtime.pth"}


def test_the_example_passes_on_it(installed: Mapping[str, str], tmp_path: Path) -> None:
    where = "import azureml_local, designer_modules; print(azureml_local.__file__, designer_modules.__file__)"
    found = run(sys.executable, "-c", where, cwd=tmp_path, environment=installed).stdout
    assert str(ROOT / "src") not in found
    example = ROOT / "docs" / "examples" / "offline_tests"
    project = shutil.copytree(example, tmp_path / "wines", ignore=shutil.ignore_patterns("__pycache__"))
    finished = run(sys.executable, "-m", "pytest", "-q", "-W", "ignore", cwd=project, environment=installed)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "2 passed" in finished.stdout


def test_an_image_that_is_listed_is_known(installed: Mapping[str, str], tmp_path: Path) -> None:
    code = "from azureml_local.engines.requirements import images; print(len(images()))"
    assert int(run(sys.executable, "-c", code, cwd=tmp_path, environment=installed).stdout) > 20
