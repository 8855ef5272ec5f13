"""Environments: which interpreter on this machine satisfies what an environment asks for.

An environment is an image and, most often, a conda file. Its requirements are read from both; the service's own
interpreter is used where it satisfies every one of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

IMAGES = Path(__file__).parents[3] / "environments" / "images.yml"
# conda's name -> pip's name, where they differ.
PIP_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "msgpack-python": "msgpack"}
# What conda brings that is no distribution of Python's.
NO_DISTRIBUTIONS = frozenset(("pip", "python", "setuptools", "wheel", "nodejs", "libgcc", "cudatoolkit"))
# What the inference server needs of any environment that serves: Azure asks for the same.
TO_SERVE = ("azureml-inference-server-http",)


class EnvironmentBuildError(Exception):
    """The environment cannot be had on this machine; the message names what is missing."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that satisfies an environment, and what a log should say of it."""

    python: str
    notes: tuple[str, ...]


def interpreter_for(environment: Mapping[str, Any]) -> Interpreter:
    """Return the interpreter for an environment version's ``properties``.

    Raises:
        EnvironmentBuildError: the image is unknown, the conda file is malformed, or a requirement is not met.
    """
    if environment.get("build"):
        raise EnvironmentBuildError("azureml-local does not build images from a Dockerfile ('build').")
    image = environment.get("image") or ""
    wanted = [Requirement(text) for text in (*_image_requirements(image), *TO_SERVE)]
    conda = json.loads(environment["condaFile"]) if environment.get("condaFile") else {}
    notes = [f"Image {image}: packages come from {sys.executable}."]
    for requirement in _conda_requirements(conda):
        if requirement.name == "python":
            if not requirement.specifier.contains(_python_version()):
                notes.append(f"WARNING: {requirement} asked for, Python {_python_version()} used.")
        elif canonicalize_name(requirement.name) not in NO_DISTRIBUTIONS:
            wanted.append(requirement)
    missing = [problem for requirement in wanted if (problem := _unmet(requirement))]
    if missing:
        raise EnvironmentBuildError(
            "The environment asks for packages that azureml-local's own interpreter lacks: "
            + "; ".join(missing)
            + ". Ask for these versions, or install them beside azureml-local."
        )
    return Interpreter(sys.executable, (*notes, *(f"{requirement}: satisfied." for requirement in wanted)))


@cache
def _images() -> dict[str, list[str]]:
    images: dict[str, list[str]] = yaml.safe_load(IMAGES.read_text())
    return images


def _image_requirements(image: str) -> list[str]:
    repository = re.sub(r"(:[^/:]+)?(@sha256:\w+)?$", "", image)
    if repository not in _images():
        raise EnvironmentBuildError(
            f"The image '{image}' is not known. azureml-local runs no containers; environments/images.yml lists the "
            "images whose packages it can provide."
        )
    return _images()[repository]


def _conda_requirements(conda: Mapping[str, Any]) -> Iterator[Requirement]:
    dependencies = conda.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise EnvironmentBuildError("The conda file's 'dependencies' must be a list.")
    for entry in dependencies:
        if isinstance(entry, str):
            yield _requirement(_from_conda(entry), entry)
        elif isinstance(entry, dict) and isinstance(entry.get("pip"), list):
            for line in entry["pip"]:
                yield _requirement(str(line), line)
        else:
            raise EnvironmentBuildError(f"The conda file has a dependency that is no package: {entry!r}.")


def _from_conda(entry: str) -> str:
    """Return a conda match specification as a pip requirement: ``numpy=1.23`` is ``numpy==1.23.*``."""
    entry = entry.rpartition("::")[2].strip()
    parts = re.match(r"([\w.\-]+)\s*([<>=!~]*)(.*)", entry)
    if parts is None:
        raise EnvironmentBuildError(f"The conda file has a dependency that is no package: {entry!r}.")
    name, operator, version = (part.strip() for part in parts.groups())
    name = PIP_NAMES.get(name.lower(), name)
    if operator == "=":
        version = version.partition("=")[0]
        return f"{name}=={version}" if version.endswith("*") else f"{name}=={version}.*"
    if not operator and version:  # "numpy 1.23"
        return f"{name}=={version}"
    return f"{name}{operator}{version}"


def _requirement(text: str, original: object) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise EnvironmentBuildError(f"'{original}' in the conda file is no requirement: {error}.") from error


def _unmet(requirement: Requirement) -> str | None:
    """Say what is wrong with a requirement, or return None where it is met."""
    if requirement.marker and not requirement.marker.evaluate():
        return None
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement} (not installed)"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement} (found {version})"
    return None


def _python_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
