"""What a Dockerfile may say where no containers run. Truth: https://docs.docker.com/reference/dockerfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_local.engines.images.dockerfile import Build, instructions
from azureml_local.engines.images.image import Image
from azureml_local.engines.requirements import EnvironmentBuildError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service runs, with a context to build from in it."""
    (tmp_path / "context").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(folder: Path, text: str) -> Image:
    def base(name: str) -> Image:
        (root := folder / "image").mkdir()
        return Image(root, (f"from {name}",))

    build = Build(folder / "context", base, {})
    for name, rest in instructions(text):
        build.carry_out(name, rest)
    return build.image


@pytest.mark.parametrize("line", ["COPY file /state.db", "RUN mkdir -p data", "ENV A=1", 'CMD ["true"]'])
def test_nothing_can_be_done_before_there_is_a_base(folder: Path, line: str) -> None:
    """The paths of an image that has no folder would be the service's own."""
    (folder / "context" / "file").write_text("written")
    with pytest.raises(EnvironmentBuildError, match="no build stage in current context"):
        built(folder, f"{line}\nFROM base")
    assert [one.name for one in folder.iterdir()] == ["context"]


def test_an_argument_may_come_before_the_base_and_a_stage_may_have_a_name(folder: Path) -> None:
    assert built(folder, "ARG BASE=one\nFROM ${BASE} as final").lines == ("from one",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FROM a b c", r"supports only FROM <image> \[AS <name>\]"),
        ("FROM base\nENV NAME value", "supports only ENV <name>=<value>"),
        ('FROM base\nCMD "runsvdir"', "supports only CMD with a list of texts"),
        ("FROM base\nCMD 5", "supports only CMD with a list of texts"),
        ("FROM base\nCMD [5]", "supports only CMD with a list of texts"),
    ],
)
def test_forms_that_are_not_understood_are_refused(folder: Path, line: str, message: str) -> None:
    with pytest.raises(EnvironmentBuildError, match=message):
        built(folder, line)


@pytest.mark.parametrize("conda", ["- a list", "a text", "[" * 5000])
def test_a_conda_file_that_is_none_is_refused(folder: Path, conda: str) -> None:
    (folder / "context" / "conda.yml").write_text(conda)
    with pytest.raises(EnvironmentBuildError, match=r"RUN conda env create -n x --file /conda\.yml: "):
        built(folder, "FROM base\nCOPY conda.yml /\nRUN conda env create -n x --file /conda.yml")
