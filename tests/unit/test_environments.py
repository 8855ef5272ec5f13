"""azureml_local.engines.requirements and .environments: what an environment asks for, and which interpreter has it.

conda's match specifications:
https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html#package-match-specifications
(``numpy=1.23`` is ``1.23.*``, ``numpy 1.23.*`` the same). design.md: only a ``python=`` pin is relaxed, with a
warning."""

import asyncio
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from azureml_local.engines import environments, requirements
from azureml_local.engines.environments import BasePython, Environments, Interpreter
from azureml_local.engines.requirements import EnvironmentBuildError, of_environment

IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04"
NUMPY = metadata.version("numpy")
MAJOR = NUMPY.partition(".")[0]


def environment(*dependencies: object, image: str = IMAGE) -> dict[str, str]:
    return {"image": image, "condaFile": json.dumps({"dependencies": list(dependencies)})}


def unmet(*dependencies: object) -> str:
    return "; ".join(of_environment(environment(*dependencies)).unmet_here())


def interpreter(tmp_path: Path, *dependencies: object) -> Interpreter:
    """Only for what this interpreter satisfies: nothing is built."""
    found = asyncio.run(Environments(tmp_path).interpreter_for(environment(*dependencies), tmp_path / "log"))
    assert not list(tmp_path.iterdir())
    return found


def refusal(*dependencies: object, image: str = IMAGE) -> str:
    with pytest.raises(EnvironmentBuildError) as caught:
        of_environment(environment(*dependencies, image=image))
    return str(caught.value)


@pytest.mark.parametrize(
    "specification",
    [
        "numpy", f"numpy={NUMPY}", f"numpy=={NUMPY}", f"numpy={MAJOR}", f"numpy={MAJOR}.*", "numpy>=1.0",
        "numpy>=1,<99",
        f"conda-forge::numpy={NUMPY}", f"numpy={NUMPY}=py311h_0", f"numpy {MAJOR}.*", f"numpy ={MAJOR}", "numpy >=1.0",
        "pytorch", "pip", "pip=21.3.1", "python", "setuptools", "wheel", "NumPy",
    ],
)  # fmt: skip
def test_conda_specifications_that_are_met(specification: str) -> None:
    assert not unmet(specification)


@pytest.mark.parametrize(
    ("specification", "name"),
    [("numpy=0.1", "numpy"), ("numpy==0.1", "numpy"), ("numpy<1", "numpy"), ("numpy 0.1.*", "numpy"),
     ("no-such-package", "no-such-package"), ("pytorch=0.1", "torch"), ("numpy>=99", "numpy")],
)  # fmt: skip
def test_conda_specifications_that_are_not_met(specification: str, name: str) -> None:
    assert unmet(specification).startswith(name)


def test_plugin_of_mlflow_is_not_needed_here_and_installed_where_an_environment_is_built() -> None:
    """Jobs find the workspace by https here; on Azure by azureml://, which takes the plugin."""
    assert not unmet({"pip": ["mlflow", "azureml-mlflow"]})
    assert "azureml-mlflow" in of_environment(environment({"pip": ["azureml-mlflow"]})).to_install()


def test_what_azures_runtime_of_parallel_jobs_needs_is_not_missed() -> None:
    """The packages that Azure asks for in a batch deployment's environment; our own runtime stands in for theirs:
    https://github.com/Azure/azureml-examples/blob/main/cli/endpoints/batch/deploy-models/mnist-classifier/deployment-torch/environment/conda.yaml
    """
    assert not unmet({"pip": ["pandas", "azureml-core", "azureml-dataset-runtime[fuse]"]})


def test_pip_requirements_too() -> None:
    assert not unmet({"pip": ["numpy>=1", "requests[socks]", "scikit-learn; python_version < '3'"]})
    message = unmet({"pip": ["numpy==0.1", "absent-one"]})
    assert f"numpy==0.1 (found {NUMPY})" in message
    assert "absent-one (not installed)" in message


@pytest.mark.parametrize(
    "entry", ["", "=1.0", ">>x", "numpy==", "numpy>=x.y.z!", 5, None, ["numpy"], {"npm": ["x"]}, {"pip": "x"}]
)
def test_malformed_dependencies_are_named(entry: object) -> None:
    message = refusal("numpy", entry)
    assert "conda file" in message


@pytest.mark.parametrize("conda", [{"dependencies": "numpy"}, {"dependencies": {"a": 1}}])
def test_malformed_conda_files(conda: object) -> None:
    with pytest.raises(EnvironmentBuildError):
        of_environment({"image": IMAGE, "condaFile": json.dumps(conda)})


def test_python_pin_that_cannot_be_served_is_relaxed_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_: Path) -> list[BasePython]:
        return []

    monkeypatch.setattr(environments, "_pythons", none)
    notes = interpreter(tmp_path, "python=3.6").notes
    assert any(note.startswith("WARNING") and "3.6" in note for note in notes)
    own = f"python={sys.version_info[0]}.{sys.version_info[1]}"
    assert not any("WARNING" in note for note in interpreter(tmp_path, own).notes)


def test_python_pin_that_can_be_served_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the service's own interpreter has every package: only what this machine cannot serve is relaxed."""
    built = []

    async def build(folder: Path, base: BasePython, lines: object, log: Path) -> None:
        built.append(base.version)

    async def pythons(_: Path) -> list[BasePython]:
        return [BasePython("/3.6.15", "3.6.15")]

    monkeypatch.setattr(environments, "_build", build)
    monkeypatch.setattr(environments, "_pythons", pythons)
    found = asyncio.run(Environments(tmp_path).interpreter_for(environment("python=3.6"), tmp_path / "log"))
    assert built == ["3.6.15"]
    assert not any("WARNING" in note for note in found.notes)


@pytest.mark.parametrize("suffix", ["", ":latest", ":20240101.v1", "@sha256:abc123", ":1@sha256:abc123"])
def test_images_are_known_by_their_repository(suffix: str) -> None:
    assert of_environment(environment("numpy", image=IMAGE + suffix))


@pytest.mark.parametrize("image", ["ubuntu", "evil.example/azureml/openmpi4.1.0-ubuntu20.04", IMAGE + "-x"])
def test_unknown_image_is_named(image: str) -> None:
    assert f"'{image}'" in refusal(image=image)


def test_environment_without_an_image_says_so() -> None:
    assert "names no image" in refusal(image="")


def test_dockerfile_is_said_not_to_be_built() -> None:
    with pytest.raises(EnvironmentBuildError, match="Dockerfile"):
        of_environment({"build": {"contextUri": "https://x/y"}})


def test_environment_without_a_conda_file(tmp_path: Path) -> None:
    found = asyncio.run(Environments(tmp_path).interpreter_for({"image": IMAGE}, tmp_path / "log"))
    assert found.python == sys.executable


def test_lines_that_are_no_packages_are_kept_for_the_installer() -> None:
    """pip's requirements format: https://pip.pypa.io/en/stable/reference/requirements-file-format/"""
    read = of_environment(environment({"pip": ["--extra-index-url https://x.example/simple", "numpy"]}))
    assert read.options == ("--extra-index-url https://x.example/simple",)


def test_inference_server_is_needed_to_serve() -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints: the package
    azureml-inference-server-http must be in the image. A job does not need it."""
    asked = of_environment(environment(), "absent-inference-server")
    assert "absent-inference-server" in "; ".join(asked.unmet_here())
    assert not unmet()


def test_builds_see_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source distributions run code of their own while they are built."""
    for name in ("AZURE_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "MY_TOKEN"):
        monkeypatch.setenv(name, "s3cr3t")
    monkeypatch.setenv("UV_INDEX_URL", "https://index.example")
    passed = environments._build_environment()
    assert "s3cr3t" not in passed.values()
    assert passed["UV_INDEX_URL"] == "https://index.example"


@pytest.mark.parametrize("line", ["-r requirements.txt", "-e .", "--trusted-host x", "--find-links x\nevil"])
def test_lines_that_cannot_be_served_are_named(line: str) -> None:
    assert line.split()[0] in refusal({"pip": [line]})


def test_address_of_a_package_is_never_taken_for_met() -> None:
    assert unmet({"pip": ["numpy @ https://x.example/numpy-1.0.tar.gz"]}).startswith("numpy @")


@pytest.mark.parametrize(
    ("dependencies", "bound"),
    [
        (["scikit-learn=1.2.2", "numpy"], True),
        (["scikit-learn<1.4", "numpy"], True),
        (["pandas=2.2.2", "numpy"], False),
        (["scikit-learn>=1.2", "numpy"], False),
        (["scikit-learn", "numpy"], False),
        ([{"pip": ["scikit-learn==1.2.2", "numpy"]}], False),  # pip installs NumPy 2 on Azure, too
    ],
)
def test_conda_installs_old_packages_with_the_numpy_that_they_were_built_for(
    dependencies: list[object], bound: bool
) -> None:
    """conda-forge's scikit-learn 1.2.2 depends on ``numpy >=1.21.6,<2.0a0``; its wheel on any NumPy."""
    packages = [str(package) for package in of_environment(environment(*dependencies)).packages]
    assert ("numpy<2" in packages) is bound


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("python=3.12.3", "3.12.1"), ("python=3.12", "3.12.9"), ("python>=3.13", "3.13.0"), ("python=3.7", None)],
)
def test_python_of_the_same_minor_version_is_nearest(
    wanted: str, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pythons(_: Path) -> list[BasePython]:
        versions = ("3.13.0", "3.12.9" if wanted == "python=3.12" else "3.12.1")
        return [BasePython(f"/{version}", version) for version in versions]

    monkeypatch.setattr(environments, "_pythons", pythons)
    monkeypatch.setattr(environments, "OWN", BasePython("/own", "3.11.7"))
    specifier = of_environment(environment(wanted)).python
    base = asyncio.run(Environments(tmp_path)._base_python(specifier, tmp_path / "log"))
    assert base.version == (found or "3.11.7")


def test_environment_stays_where_a_nearer_python_turns_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments serve from the one that was built with the nearest Python of its time."""
    built = []

    async def build(folder: Path, base: BasePython, lines: object, log: Path) -> None:
        built.append(folder)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        content = {"python": {"path": base.path, "version": base.version}}
        (folder / environments.COMPLETE).write_text(json.dumps(content))

    found: list[BasePython] = []

    async def pythons(_: Path) -> list[BasePython]:
        return found

    monkeypatch.setattr(environments, "_build", build)
    monkeypatch.setattr(environments, "_pythons", pythons)
    wanted = environment("python=3.7", "no-such-package")

    def get() -> str:
        return asyncio.run(Environments(tmp_path).interpreter_for(wanted, tmp_path / "log")).python

    relaxed = get()
    assert get() == relaxed
    found.append(BasePython("/3.7.16", "3.7.16"))
    nearer = get()
    assert nearer != relaxed
    assert Path(relaxed).exists()
    assert get() == nearer
    assert len(built) == 2


def test_pythons_of_this_machine_are_found_with_broken_ones_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyenv's shims of versions that are switched off end with an error; uv warns of them and goes on."""
    broken = tmp_path / "bin" / "python3.10"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho pyenv: python3.10: command not found >&2; exit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{Path(sys.executable).parent}:/usr/bin:/bin")
    found = asyncio.run(environments._pythons(tmp_path / "log"))
    assert ".".join(map(str, sys.version_info[:3])) in [python.version for python in found]


def test_without_a_package_index_the_failure_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")  # the discard port: nothing listens
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    wanted = environment({"pip": ["scikit-learn==1.1.3"]})
    with pytest.raises(EnvironmentBuildError, match="package index cannot be reached") as caught:
        asyncio.run(Environments(tmp_path / "built").interpreter_for(wanted, tmp_path / "log"))
    assert "http://127.0.0.1:9/simple/" in str(caught.value)
    assert not list((tmp_path / "built").glob("*/")), "what was begun is removed"


def test_every_image_lists_requirements() -> None:
    for image, lines in requirements.images().items():
        assert image.startswith(("mcr.microsoft.com/azureml/", "databricks-runtime/"))
        assert len(of_environment({"image": image}).packages) <= len(lines)


def test_setuptools_comes_with_any_environment_unless_a_release_is_asked_for() -> None:
    """As with conda. gunicorn 20, in environments of 2023, imports ``pkg_resources``, which went with release 82."""
    assert "setuptools<82" in of_environment(environment("numpy", "setuptools")).to_install()
    asked = of_environment(environment("numpy", "setuptools=82")).to_install()
    assert [line for line in asked if "setuptools" in line] == ["setuptools==82.*"]
