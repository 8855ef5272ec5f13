"""Everything that names a version names the same one."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONSTRAINTS = {
    requirement.name: requirement
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}

# What Azure's runtime of parallel jobs is made of: ours stands in for it here, and nothing of it is trained with.
OF_AZURE_ALONE = ("azureml-core", "azureml-dataset-runtime")
FIRST_RELEASES = ("3.11.0", "3.12.0", "3.13.0")
# Azure's plugin for MLflow, without which jobs do here, and the MLflow that it works with there.
OF_AZURES_MLFLOW = ("azureml-mlflow", "mlflow-skinny")


def _direct() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [Requirement(text) for texts in (project["dependencies"], *extras.values()) for text in texts]


def _pip_lines(conda_file: Path) -> list[str]:
    dependencies = yaml.safe_load(conda_file.read_text())["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def test_every_constraint_is_an_exact_version() -> None:
    assert all(re.fullmatch(r"==[\w.]+", str(requirement.specifier)) for requirement in CONSTRAINTS.values())


def test_every_pin_is_for_the_first_release_of_each_python() -> None:
    """Debian 12 has Python 3.11.2: a package that asks for 3.11.5 cannot be installed there."""
    pins = {canonicalize_name(name): str(requirement.specifier) for name, requirement in CONSTRAINTS.items()}
    installed = [one for one in metadata.distributions() if pins.get(canonicalize_name(one.name)) == f"=={one.version}"]
    assert len(installed) > 250
    for one in installed:
        python = SpecifierSet(one.metadata.get("Requires-Python") or "")
        assert [release for release in FIRST_RELEASES if release not in python] == [], one.name


def test_every_direct_dependency_is_pinned() -> None:
    for requirement in _direct():
        pinned = CONSTRAINTS[requirement.name]
        assert requirement.specifier.contains(next(iter(pinned.specifier)).version)


def test_environment_yml_has_the_same_pins_and_nothing_else() -> None:
    lines = [line for line in _pip_lines(ROOT / "environment.yml") if not line.startswith("--")]
    assert sorted(lines) == sorted(str(CONSTRAINTS[requirement.name]) for requirement in _direct())


def test_lessons_deploy_with_the_versions_that_they_train_with() -> None:
    lessons = ROOT / "notebooks"
    for conda_file in (*lessons.glob("*/*conda.yml"), *lessons.glob("03_batch/*/**/conda.yml")):
        for line in _pip_lines(conda_file):
            requirement = Requirement(line)
            if requirement.name in OF_AZURE_ALONE:
                continue
            assert requirement.specifier == CONSTRAINTS[requirement.name].specifier, f"{conda_file}: {line}"


def test_the_designers_components_run_with_the_pinned_versions() -> None:
    """An environment that this interpreter satisfies need not be built: a step then begins at once."""
    conda_files = sorted((ROOT / "src/designer/environments").glob("*.yml"))
    assert conda_files
    for conda_file in conda_files:
        for line in _pip_lines(conda_file):
            requirement = Requirement(line)
            if requirement.name in OF_AZURES_MLFLOW:
                continue
            assert requirement.specifier == CONSTRAINTS[requirement.name].specifier, f"{conda_file}: {line}"


LOCK_FILES = [path for path in (ROOT / "src").rglob("package-lock.json") if "node_modules" not in path.parts]


def test_no_lock_file_names_a_registry() -> None:
    assert len(LOCK_FILES) == 3
    for path in LOCK_FILES:
        lock = json.loads(path.read_text())
        assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    text = (ROOT / "constraints.txt").read_text() + (ROOT / "environment.yml").read_text()
    assert "://" not in text


def test_npm_packages_are_pinned_too() -> None:
    for path in LOCK_FILES:
        package = json.loads((path.parent / "package.json").read_text())
        wanted = package["dependencies"] | package.get("devDependencies", {})
        locked = json.loads(path.read_text())["packages"]
        assert wanted == {name: locked[f"node_modules/{name}"]["version"] for name in wanted}
