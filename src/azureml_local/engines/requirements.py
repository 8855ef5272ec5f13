"""What an environment asks for: its image's packages and its conda file's, as pip requirements."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

IMAGES = Path(__file__).with_name("image_packages.yml")
# conda's name -> pip's name, where they differ.
PIP_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "msgpack-python": "msgpack", "py-xgboost": "xgboost"}
# The first releases that are built for NumPy 2. What conda installs of older ones comes with NumPy 1, whether or not
# the conda file says so; their wheels ask for any NumPy and do not work with version 2.
# https://github.com/numpy/numpy/issues/26191
BUILT_FOR_NUMPY_2 = {
    "h5py": "3.11",
    "matplotlib": "3.8.4",
    "numba": "0.60",
    "onnxruntime": "1.19",
    "pandas": "2.2.2",
    "pyarrow": "16.0",
    "scikit-image": "0.23",
    "scikit-learn": "1.4.2",
    "scipy": "1.13",
    "shap": "0.46",
    "statsmodels": "0.14.2",
    "tensorflow": "2.18",
    "torch": "2.3",
}
# The options of pip's requirements format that say where packages come from.
INDEX_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--pre")
# What conda brings that is no distribution of Python's; and pip, which nothing here runs.
NO_DISTRIBUTIONS = frozenset(("pip", "nodejs", "libgcc", "cudatoolkit"))
# MLflow's plugin for azureml:// URIs. Jobs get an https:// one here, so that our interpreter will do without it.
PLUGINS = frozenset(("azureml-mlflow",))
# What Azure's runtime of parallel jobs and batch deployments needs in their environments; ours does not need it:
# https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments#create-the-deployment
PARALLEL_RUNTIME = frozenset(("azureml-core", "azureml-dataset-runtime"))
# What conda brings with any Python, and what is asked of it when nothing is: pkg_resources, which older packages
# import without saying so, was in setuptools up to version 81.
BUILD_TOOLS = {"setuptools": "setuptools<82", "wheel": "wheel"}
# What an environment needs so that a deployment can serve from it: Azure asks for the same.
TO_SERVE = "azureml-inference-server-http"
# What the script that serves MLflow models collects with.
TO_COLLECT = "azureml-ai-monitoring"


UPPER = ("==", "~=", "<", "<=")  # the operators that bound a version from above


class EnvironmentBuildError(Exception):
    """The environment cannot be had on this machine; the message names what is missing."""


@dataclass(frozen=True)
class Requirements:
    """What an environment asks for.

    ``options`` are lines of pip's requirements format that are no packages, such as ``--extra-index-url ...``.
    """

    python: SpecifierSet
    packages: tuple[Requirement, ...]
    options: tuple[str, ...]

    def to_install(self) -> list[str]:
        """Return the lines of pip's requirements format that an environment is built from."""
        names = {canonicalize_name(package.name) for package in self.packages}
        tools = [line for name, line in BUILD_TOOLS.items() if name not in names]
        return [*self.options, *sorted(str(package) for package in self.packages), *tools]

    def unmet_here(self) -> list[str]:
        """Say which packages the service's own interpreter lacks, or has in another version."""
        return self._unmet(_version_here, {})

    def unmet_among(self, packages: Mapping[str, str], markers: Mapping[str, str]) -> list[str]:
        """Say which packages another interpreter lacks, or has in another version.

        Args:
            packages: the versions of those that it has, by their names.
            markers: the values of its markers, by PEP 508.
        """
        versions = {canonicalize_name(name): version for name, version in packages.items()}
        return self._unmet(lambda name: versions.get(canonicalize_name(name)), markers)

    def _unmet(self, version_of: Callable[[str], str | None], markers: Mapping[str, str]) -> list[str]:
        replaced = PLUGINS | PARALLEL_RUNTIME
        needed = (package for package in self.packages if canonicalize_name(package.name) not in replaced)
        return [problem for package in needed if (problem := _unmet(package, version_of, markers))]


def of_environment(properties: Mapping[str, Any], *more: str) -> Requirements:
    """Read an environment version's ``properties``.

    Args:
        properties: the version's image and conda file.
        more: requirements beside those.

    Raises:
        EnvironmentBuildError: the image is unknown, or the conda file is malformed.
    """
    if properties.get("build"):
        raise EnvironmentBuildError("azureml-local does not build images from a Dockerfile ('build').")
    conda = json.loads(properties["condaFile"]) if properties.get("condaFile") else {}
    return of_lines([*image_lines(properties.get("image") or ""), *more, *conda_lines(conda)])


def of_lines(lines: Sequence[str]) -> Requirements:
    """Read lines of pip's requirements format, ``python==3.12.*`` among them. Raises EnvironmentBuildError."""
    for line in lines:
        if line.startswith("-") and (not line.startswith(INDEX_OPTIONS) or "\n" in line):
            raise EnvironmentBuildError(f"The conda file's pip line '{line}' is not supported: it names no package.")
    packages = [_requirement(line) for line in lines if not line.startswith("-")]
    python = [package.specifier for package in packages if package.name == "python"]
    return Requirements(
        python[-1] if python else SpecifierSet(),
        tuple(package for package in packages if _is_distribution(package)),
        tuple(line for line in lines if line.startswith("-")),
    )


def _is_distribution(package: Requirement) -> bool:
    """Say whether a requirement counts: not Python itself, and no build tool that is there in any case."""
    name = canonicalize_name(package.name)
    return name != "python" and name not in NO_DISTRIBUTIONS and (name not in BUILD_TOOLS or bool(package.specifier))


@cache
def images() -> dict[str, list[str]]:
    """Return the packages of each known image, by its repository."""
    known: dict[str, list[str]] = yaml.safe_load(IMAGES.read_text())
    return known


def image_lines(image: str) -> list[str]:
    """Return what an image brings along. Raises EnvironmentBuildError where it is not known."""
    repository = re.sub(r"(:[^/:]+)?(@sha256:\w+)?$", "", image)
    if not image:
        raise EnvironmentBuildError("The environment names no image, on which its packages would be installed.")
    if repository not in images():
        raise EnvironmentBuildError(
            f"The image '{image}' is not known. azureml-local runs no containers; "
            "azureml_local/engines/image_packages.yml lists the images whose packages it can provide."
        )
    return images()[repository]


def conda_lines(conda: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a conda file asks for. Raises EnvironmentBuildError where it is malformed."""
    dependencies = conda.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise EnvironmentBuildError("The conda file's 'dependencies' must be a list.")
    for entry in dependencies:
        if isinstance(entry, str):
            line = _from_conda(entry)
            yield line
            if _needs_numpy_1(_requirement(line)):
                yield "numpy<2"
        elif isinstance(entry, dict) and isinstance(entry.get("pip"), list):
            yield from (str(line).strip() for line in entry["pip"])
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


def _needs_numpy_1(package: Requirement) -> bool:
    """Say whether a requirement is bound to releases that are not built for NumPy 2."""
    since = BUILT_FOR_NUMPY_2.get(canonicalize_name(package.name))
    bounds = [Version(bound.version.removesuffix(".*")) for bound in package.specifier if bound.operator in UPPER]
    return since is not None and any(bound < Version(since) for bound in bounds)


def _requirement(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise EnvironmentBuildError(f"'{line}' in the conda file is no requirement: {error}.") from error


def _version_here(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _unmet(requirement: Requirement, version_of: Callable[[str], str | None], markers: Mapping[str, str]) -> str | None:
    """Say what is wrong with a requirement, or return None where it is met. Markers that are not given are ours."""
    if requirement.marker and not requirement.marker.evaluate(dict(markers)):
        return None
    if requirement.url:
        return f"{requirement} (an address, which cannot be compared)"
    version = version_of(requirement.name)
    if version is None:
        return f"{requirement} (not installed)"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement} (found {version})"
    return None
