"""A learner's copy of the notebooks as the hub brings and resets it: by a process that has given up root's rights."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from learners_home import as_learner, give, snapshot
from small_disk import fill, on_a_small_disk

from workshop import copies
from workshop.copies import CopyError

pytestmark = pytest.mark.slow

LESSON = "02_realtime/01_deploy_with_keys.ipynb"
NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["code = folder / \\"scoring\\""]}], "version": %d}'


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the learner may pass through; pytest's own is the test's user's alone."""
    made = Path(tempfile.mkdtemp(prefix="azl-copies-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def workbook(folder: Path) -> Path:
    """A workbook of one lesson."""
    root = folder / "workbook"
    teach(root, "course.yml", "parts: []")
    teach(root, LESSON, NOTEBOOK % 1)
    teach(root, "02_realtime/scoring/score.py", "first")
    teach(root, "02_realtime/other/score.py", "first")
    return root


@pytest.fixture
def home(folder: Path) -> Path:
    """A learner's home, as the spawner makes it."""
    made = folder / "home"
    made.mkdir(mode=0o700)
    return give(made)


def teach(workbook: Path, path: str, text: str) -> None:
    """Let the trainer write a file."""
    file = workbook / "notebooks" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write(home: Path, path: str, text: str) -> Path:
    """Let the learner write a file of their copy."""
    file = home / "workbook" / "notebooks" / path
    with as_learner():
        file.write_text(text)
    return file


def test_a_copy_is_the_learners_and_has_neither_hidden_files_nor_the_trainers_workspace(
    workbook: Path, home: Path
) -> None:
    for name in ("config.json", ".ipynb_checkpoints/x.ipynb", "02_realtime/__pycache__/score.pyc", "score.py~"):
        teach(workbook, name, "the trainer's own")
    (workbook / "notebooks" / "link.py").symlink_to("/etc/hostname")
    assert copies.bring(workbook, home) == []
    found = snapshot(home / "workbook" / "notebooks")
    assert sorted(path for path, (kind, _, _) in found.items() if kind != "folder") == [
        ".brought.json",
        LESSON,
        "02_realtime/other/score.py",
        "02_realtime/scoring/score.py",
        "course.yml",
    ]
    assert {place.lstat().st_uid for place in home.rglob("*")} == {home.stat().st_uid}


def test_the_copy_leads_to_the_code_that_components_name(workbook: Path, home: Path) -> None:
    """notebooks/04_designer/flight_components/time_of_day.yml includes a folder of src."""
    copies.bring(workbook, home)
    assert (home / "workbook" / "src").readlink() == workbook / "src"
    (home / "workbook" / "src").unlink()
    write(home, "../src", "my own")
    copies.bring(workbook, home)
    assert (home / "workbook" / "src").read_text() == "my own"


def test_the_learner_reads_what_became_of_their_files(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    write(home, LESSON, "mine")
    with as_learner():
        (home / "workbook/notebooks/02_realtime/other/score.py").unlink()
    for path in (LESSON, "02_realtime/scoring/score.py", "02_realtime/other/score.py", "02_realtime/new.py"):
        teach(workbook, path, "second")
    assert copies.bring(workbook, home) == [
        "02_realtime/scoring/score.py was brought up to date.",
        "02_realtime/new.py is new.",
        f"You have changed {LESSON}, so it is as you left it; the trainer's newest is beside it.",
        "You have deleted 02_realtime/other/score.py, so the trainer's newest was not brought; "
        "a reset of the lesson brings it.",
    ]
    beside = home / "workbook/notebooks/02_realtime/01_deploy_with_keys (new version).ipynb"
    assert (beside.read_text(), (home / "workbook/notebooks" / LESSON).read_text()) == ("second", "mine")
    assert copies.bring(workbook, home) == []


def test_what_is_no_longer_taught_goes_unless_the_learner_has_changed_it(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    mine = write(home, "02_realtime/other/score.py", "mine")
    shutil.rmtree(workbook / "notebooks" / "02_realtime" / "other")
    shutil.rmtree(workbook / "notebooks" / "02_realtime" / "scoring")
    assert copies.bring(workbook, home) == [
        "02_realtime/scoring/score.py is no longer part of the workbook and was taken away; you had not changed it.",
        "02_realtime/other/score.py is no longer part of the workbook; you have changed it, so it stays.",
    ]
    assert not (home / "workbook/notebooks/02_realtime/scoring").exists()
    assert mine.read_text() == "mine"


def test_a_new_version_that_was_laid_beside_is_brought_up_to_date_until_it_is_changed(
    workbook: Path, home: Path
) -> None:
    copies.bring(workbook, home)
    write(home, "02_realtime/other/score.py", "mine")
    for version in ("second", "third", "fourth"):
        teach(workbook, "02_realtime/other/score.py", version)
        copies.bring(workbook, home)
        if version == "third":
            write(home, "02_realtime/other/score (new version).py", "mine as well")
    folder = home / "workbook/notebooks/02_realtime/other"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "score.py": "mine",
        "score (new version).py": "mine as well",
        "score (new version 2).py": "fourth",
    }


def test_many_files_are_one_sentence(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    for number in range(7):
        teach(workbook, f"{number}.py", "new")
    assert copies.bring(workbook, home) == ["0.py, 1.py, 2.py and 4 other files are new."]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
@pytest.mark.parametrize("name", ["workbook", "workbook/notebooks", "workbook/notebooks/02_realtime", "set-aside"])
def test_a_link_does_not_lead_root_to_write_where_the_learner_may_not(
    name: str, workbook: Path, home: Path, folder: Path
) -> None:
    victim = folder / "victim"
    (victim / "notebooks").mkdir(parents=True)
    (victim / "scoring").mkdir()
    (victim / "scoring" / "score.py").write_text("root's")
    copies.bring(workbook, home)
    with as_learner():
        place = home / name
        if place.exists():
            place.rename(home / "elsewhere")
        place.symlink_to(victim)
    before = snapshot(victim)
    teach(workbook, "02_realtime/scoring/score.py", "second")
    copies.bring(workbook, home)
    for what in ("lesson:" + LESSON, "notebooks", "everything"):
        copies.reset(workbook, home, what)
    assert snapshot(victim) == before


def test_a_folder_that_may_not_be_written_is_named_and_the_rest_is_brought(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    shut = home / "workbook/notebooks/02_realtime/scoring"
    shut.chmod(0o500)
    for path in ("02_realtime/scoring/score.py", "02_realtime/other/score.py"):
        teach(workbook, path, "second")
    assert copies.bring(workbook, home) == [
        "02_realtime/other/score.py was brought up to date.",
        "02_realtime/scoring/score.py could not be brought: Permission denied. "
        "Look at the rights of its folder, or ask for a reset.",
    ]
    shut.chmod(0o700)
    assert copies.bring(workbook, home) == ["02_realtime/scoring/score.py was brought up to date."]


def test_on_a_full_disk_nothing_is_lost_and_the_next_bring_does_the_rest(workbook: Path, home: Path) -> None:
    found = home / "workbook/notebooks/02_realtime"
    newest = {LESSON: "second", "02_realtime/scoring/score.py": "second", "02_realtime/large.csv": "x" * 100_000}

    def scenario() -> None:
        give(home)
        copies.bring(workbook, home)
        write(home, LESSON, "mine")
        for path, text in newest.items():
            teach(workbook, path, text)
        with as_learner():
            fill(home / "filler")
        assert "Your disk is full" in " ".join(copies.bring(workbook, home))
        assert (home / "workbook/notebooks" / LESSON).read_text() == "mine"
        (home / "filler").unlink()
        copies.bring(workbook, home)
        brought = ["01_deploy_with_keys (new version).ipynb", "scoring/score.py", "large.csv"]
        assert [(found / name).read_text() for name in brought] == list(newest.values())
        assert (home / "workbook/notebooks" / LESSON).read_text() == "mine"

    try:
        on_a_small_disk(home, 1, scenario)
    except PermissionError as error:
        pytest.skip(f"this user may not mount: {error}")


def test_a_reset_of_a_lesson_moves_aside_what_was_changed_of_it_and_nothing_else(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    write(home, LESSON, "mine")
    write(home, "02_realtime/scoring/score.py", "mine, too")
    other = write(home, "02_realtime/other/score.py", "of another lesson")
    told = copies.reset(workbook, home, f"lesson:{LESSON}")
    aside = next((home / "set-aside").iterdir())
    assert told == [
        f"{LESSON} is as the trainer made it, and so are the files that it uses. What you had is in "
        f"set-aside/{aside.name}. It still takes up room on your disk: delete what you do not need."
    ]
    root = home / "workbook" / "notebooks"
    assert (root / LESSON).read_text() == NOTEBOOK % 1
    assert (root / "02_realtime/scoring/score.py").read_text() == "first"
    assert other.read_text() == "of another lesson"
    assert (aside / "workbook/notebooks" / LESSON).read_text() == "mine"
    assert (aside / "workbook/notebooks/02_realtime/scoring/score.py").read_text() == "mine, too"


def test_a_reset_brings_back_a_lesson_that_was_deleted(workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    with as_learner():
        (home / "workbook/notebooks" / LESSON).unlink()
    copies.bring(workbook, home)
    assert not (home / "workbook/notebooks" / LESSON).exists()
    assert len(copies.reset(workbook, home, f"lesson:{LESSON}")) == 1
    assert (home / "workbook/notebooks" / LESSON).exists()


@pytest.mark.parametrize(("what", "moved"), [
    ("notebooks", ["workbook"]),
    ("service", [".azureml-local"]),
    ("everything", [".azureml-local", ".azureml-workbook", "notes.txt", "workbook"]),
])  # fmt: skip
def test_a_reset_moves_what_it_is_asked_for(what: str, moved: list[str], workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    mine = write(home, LESSON, "mine")
    with as_learner():
        for name in (".azureml-local", ".azureml-workbook"):
            (home / name).mkdir(mode=0o500)
        (home / "notes.txt").write_text("mine")
    for _ in range(2):  # the second in the same minute has a folder of its own, if there is anything to move
        copies.reset(workbook, home, what)
    aside = sorted((home / "set-aside").iterdir())[-1]
    assert sorted(entry.name for entry in aside.iterdir()) in (moved, ["workbook"])
    assert mine.exists()
    assert "mine" in [file.read_text() for file in home.rglob("*.ipynb")]


@pytest.mark.parametrize("what", ["lesson:../../etc/passwd", "lesson:", "lesson:none.ipynb", "all", ""])
def test_what_cannot_be_reset_is_refused(what: str, workbook: Path, home: Path) -> None:
    copies.bring(workbook, home)
    before = snapshot(home)
    with pytest.raises(CopyError, match=r"to reset\. There are notebooks, service, everything, and lesson"):
        copies.reset(workbook, home, what)
    assert snapshot(home) == before


def test_a_folder_that_is_no_workbook_and_a_home_that_is_none_are_told(workbook: Path, home: Path) -> None:
    with pytest.raises(CopyError, match=r"There is no notebooks/course\.yml in .*it has to be the workbook's folder"):
        copies.bring(home, home)
    with pytest.raises(CopyError, match="There is no home"):
        copies.bring(workbook, home / "none")
    (home / "file").write_text("")
    with pytest.raises(CopyError, match="is not a folder"):
        copies.bring(workbook, home / "file")


def test_no_secret_of_the_hub_reaches_the_process(
    workbook: Path, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = folder / "seen"
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nenv > {seen}\nexec {sys.executable} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    copies.bring(workbook, home)
    assert "secret" not in seen.read_text()
