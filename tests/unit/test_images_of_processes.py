"""What a process needs of a container image: https://docs.docker.com/reference/dockerfile/."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_local.engines.environments import Environments
from azureml_local.engines.images.dockerfile import Build, instructions
from azureml_local.engines.images.image import Images, UnknownImageError, tagged
from azureml_local.engines.images.paths import PathsHere
from azureml_local.engines.requirements import EnvironmentBuildError

BASE = "mcr.microsoft.com/azureml/minimal-py311-inference"


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "images", Environments(tmp_path / "environments"), lambda _: [])


def carried_out(images: Images, context: Path, text: str, **given: str) -> Build:
    build = Build(context, images.base, given)
    for name, rest in instructions(text):
        build.carry_out(name, rest)
    return build


def test_comments_blank_lines_and_continued_lines() -> None:
    text = "# syntax\n\nfrom a\nRUN one \\\n# between\n  two\n  COPY x   y\n"
    assert instructions(text) == [("FROM", "a"), ("RUN", "one  two"), ("COPY", "x   y")]


def test_each_instruction_adds_to_the_image(images: Images, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.txt").write_text("inner")
    (tmp_path / "conda.yml").write_text("dependencies: [numpy=1.26, {pip: [joblib]}]")
    build = carried_out(
        images,
        tmp_path,
        f"ARG WHICH={BASE}\nFROM ${{WHICH}}\nWORKDIR /app\nWORKDIR sub\nCOPY conda.yml .\nCOPY folder /data/\n"
        "RUN conda env create -n any --file conda.yml\nRUN pip install --no-cache-dir 'pandas>2' scikit-learn\n"
        'ENV A=1 B="two words"\nEXPOSE 8000 9000\nRUN mkdir -p $A/deep\nCMD ["runsvdir", "/var/runit"]\n',
    )
    image = build.image
    assert image.folder == "/app/sub"
    assert image.lines == ("numpy==1.26.*", "joblib", "pandas>2", "scikit-learn")
    assert image.environment == {"A": "1", "B": "two words"}
    assert image.ports == ("5001/tcp", "8883/tcp", "8888/tcp", "8000/tcp", "9000/tcp")
    assert (image.root / "data" / "inner.txt").read_text() == "inner"
    assert (image.root / "app" / "sub" / "1" / "deep").is_dir()


def test_a_build_argument_that_is_given_counts_more_than_its_default(images: Images, tmp_path: Path) -> None:
    text = "ARG BASE=python:3.10\nFROM $BASE\n"
    assert carried_out(images, tmp_path, text).image.lines == ("python==3.10.*",)
    assert carried_out(images, tmp_path, text, BASE="docker.io/library/python:3.12-slim").image.lines == (
        "python==3.12.*",
    )


def test_an_image_that_was_built_is_built_on_without_changing_it(images: Images, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    first = carried_out(images, tmp_path, f"FROM {BASE}\nCOPY a.txt /\nENV A=1").image
    images.named["first:latest"] = first
    second = carried_out(images, tmp_path, "FROM first\nCOPY a.txt /b.txt\nENV A=2").image
    assert (second.root / "a.txt").exists() and not (first.root / "b.txt").exists()
    assert (first.environment, second.environment) == ({"A": "1"}, {"A": "2"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("COPY a.txt /", "COPY a.txt /: .*"),
        (f"FROM {BASE}\nADD a /", "does not support ADD in a Dockerfile, only FROM, ARG, ENV"),
        (f"FROM {BASE}\nENTRYPOINT ['x']", "does not support ENTRYPOINT"),
        (f"FROM {BASE}\nRUN rm -rf /", "RUN rm -rf /: azureml-local supports only mkdir -p, pip install"),
        (f"FROM {BASE}\nRUN pip install --no-deps x", "RUN pip install --no-deps x: "),
        (f"FROM {BASE}\nRUN pip install x && rm y", "RUN pip install x && rm y: "),
        (f"FROM {BASE}\nRUN mkdir -p x;id", "RUN mkdir -p x;id: "),
        (f"FROM {BASE}\nCOPY ../x /", "leads out of its folder"),
        (f"FROM {BASE}\nRUN mkdir -p /../../x", "leads out of its folder"),
        (f"FROM {BASE}\nFROM {BASE}", "more than one FROM"),
    ],
)
def test_what_cannot_be_done_is_named(images: Images, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(EnvironmentBuildError, match=says):
        carried_out(images, tmp_path, text)


def test_an_image_that_nobody_knows_is_named(images: Images) -> None:
    with pytest.raises(UnknownImageError, match=r"pull access denied for example\.org/absent:7"):
        images.base("example.org/absent:7")


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a", "a:latest"), ("a:1", "a:1"), ("host:5000/a", "host:5000/a:latest"), ("host:5000/a:2", "host:5000/a:2")],
)
def test_a_name_without_a_tag_has_the_latest(name: str, whole: str) -> None:
    assert tagged(name) == whole


def test_paths_of_a_container_lie_in_mounts_or_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / "copied").write_text("")
    here = PathsHere(["/home/me/code:/var/azureml-app/code/", "/home/me/model:/var/azureml-app/models//1:z"], tmp_path)
    assert here("/var/azureml-app/code/") == "/home/me/code"
    assert here("/var/azureml-app/models//1/a.pkl") == "/home/me/model/a.pkl"
    assert here("/opt/copied") == str(tmp_path / "opt" / "copied")
    assert here("/opt/absent") == "/opt/absent"
    assert here("no path") == "no path"
