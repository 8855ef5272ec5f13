"""Where the helpers find the course: from the notebook's own folder, else where a workshop says the copy is."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.folders import VARIABLE, lesson_folder, notebooks_folder


@pytest.fixture
def courses(tmp_path: Path) -> tuple[Path, Path]:
    """The trainer's notebooks and a learner's."""
    for name in ("trainer", "learner"):
        (tmp_path / name / "notebooks" / "02_realtime").mkdir(parents=True)
        (tmp_path / name / "notebooks" / "course.yml").touch()
    return tmp_path / "trainer" / "notebooks", tmp_path / "learner" / "notebooks"


@pytest.mark.parametrize("inside", ["", "02_realtime", ".."])
def test_the_course_that_a_notebook_lies_in_wins(
    inside: str, courses: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainers, learners = courses
    monkeypatch.setenv(VARIABLE, str(learners))
    monkeypatch.chdir(trainers / inside)
    assert notebooks_folder() == trainers


def test_elsewhere_it_is_the_learners_copy(courses: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(courses[1]))
    monkeypatch.chdir("/")
    assert lesson_folder("02_realtime") == courses[1] / "02_realtime"


def test_without_any_it_says_where_it_looked(courses: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=r"no notebooks/course\.yml in / or above: run this from"):
        notebooks_folder()
    (courses[1] / "course.yml").unlink()
    monkeypatch.setenv(VARIABLE, str(courses[1]))
    with pytest.raises(FileNotFoundError, match=f"bring back {courses[1] / 'course.yml'}, which {VARIABLE} names"):
        notebooks_folder()
