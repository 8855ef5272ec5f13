"""The learner's progress: kept, shown, shared by parallel notebooks, and never in a lesson's way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import helpers
from course import learner
from helpers import progress_file

WRITER = """
import sys
from helpers import progress_file
for number in range(50):
    progress_file.note(sys.argv[1], [f"exercise {number}"])
"""
ANSWERS = ["b", "c", "b", "a", "b"]  # to the first lesson's quiz


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep/progress.db"
    monkeypatch.setenv(progress_file.VARIABLE, str(path))
    return path


def _finish_the_first_lesson() -> None:
    progress_file.note("first_model", ["to_request", "all_at_once", "read_the_log"])
    assert str(helpers.quiz("first_model", ANSWERS)).endswith("5 of 5 right.")


def test_nothing_done_yet() -> None:
    assert str(helpers.progress("deploy_with_keys")) == (
        "This lesson: ○ by_hand   ○ rotate   ○ worth_retrying   ○ quiz 0 of 5\n"
        "Lessons done: none yet. Next: Score your first model."
    )


def test_what_is_right_is_kept_and_what_is_wrong_takes_nothing_away() -> None:
    helpers.check("first_model/read_the_log", "KeyError: 'images'")
    helpers.check("first_model/read_the_log", "something else")
    helpers.check("first_model/to_request", 1)
    helpers.quiz("first_model", ["b", "a", "?", "?", "?"])
    first_line = str(helpers.progress("first_model")).splitlines()[0]
    assert first_line == "This lesson: ○ to_request   ○ all_at_once   ✓ read_the_log   ○ quiz 1 of 5"


def test_a_finished_lesson_and_the_next(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    _finish_the_first_lesson()
    shown = helpers.progress("first_model")
    assert shown.lesson.complete
    assert str(shown).endswith("Lessons done: Score your first model. Next: Choose a VM size.")
    learner.main(["--next"])
    assert capsys.readouterr().out == "01_compute/01_choose_a_vm_size.ipynb\n"
    learner.main([])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "✓ Score your first model"
    assert lines[2] == "○ Choose a VM size"
    assert lines[-1].endswith(str(file))


def test_unknown_lesson() -> None:
    with pytest.raises(LookupError, match='There is no lesson "nothing"'):
        helpers.progress("nothing")


def test_parallel_notebooks_lose_nothing() -> None:
    """From the first write on, which creates the file."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name]) for name in ("a", "b", "c")]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    assert len(progress_file.kept().done) == 150


def _tries(lesson: str = "first_model") -> dict[str, int]:
    kept = progress_file.kept().tries
    return {item: tries.refused for (of, item), tries in kept.items() if of == lesson}


def test_refused_answers_are_counted_and_no_answer_is_none() -> None:
    for answer in (..., "something else", None, "something else"):
        helpers.check("first_model/read_the_log", answer)
    helpers.quiz("first_model", ["b", "a", "?", "?", "?"])
    helpers.quiz("first_model", ["b", "a", "a", "?", "?"])
    assert _tries() == {"read_the_log": 3, "quiz 2": 2, "quiz 3": 1}
    tries = progress_file.kept().tries["first_model", "read_the_log"]
    assert datetime.fromisoformat(tries.since) <= datetime.fromisoformat(tries.at) <= datetime.now(UTC)


def test_what_is_done_is_refused_no_more() -> None:
    for answer in ("something else", "KeyError: 'images'", "something else"):
        helpers.check("first_model/read_the_log", answer)
    assert _tries() == {"read_the_log": 1}  # how many it took
    assert ("first_model", "read_the_log") in progress_file.kept().done


def test_a_file_of_version_2_goes_on_without_loss(file: Path) -> None:
    """As the course wrote it before refused tries were kept."""
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as old, old:
        old.execute(
            "CREATE TABLE done (lesson TEXT NOT NULL, item TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (lesson, item))"
            " WITHOUT ROWID"
        )
        old.execute("INSERT INTO done VALUES ('first_model', 'to_request', '2026-03-02T10:12:00Z')")
        old.execute("CREATE TABLE best (lesson TEXT PRIMARY KEY, points INTEGER, most INTEGER, at TEXT)")
        old.execute("INSERT INTO best VALUES ('mock_exam', 40, 50, '2026-03-02T10:12:00Z')")
        old.execute("PRAGMA user_version = 2")
    helpers.check("first_model/read_the_log", "something else")
    kept = progress_file.kept()
    assert kept.done == {("first_model", "to_request")}
    assert kept.best == {"mock_exam": (40, 50)}
    assert _tries() == {"read_the_log": 1}
    with closing(sqlite3.connect(file)) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (3,)
        assert now.execute("SELECT at FROM done").fetchone() == ("2026-03-02T10:12:00Z",)


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    """A lesson goes on: the check still judges, the progress is still shown, and it is said what is the matter."""
    assert helpers.check("first_model/read_the_log", "KeyError: 'images'").ok
    assert helpers.check("first_model/read_the_log", "something else").ok is False
    assert "○ read_the_log" in str(helpers.progress("first_model"))
    output = capsys.readouterr()
    assert output.out == ""
    assert "Your progress was not read or kept" in output.err
    assert "The lesson goes on without it" in output.err
    return output.err


def test_a_file_that_is_no_database(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database at all" * 100)
    assert "file is not a database" in _said(capsys)
    assert file.read_bytes().startswith(b"no database")  # not ours to delete


def test_a_damaged_database(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress_file.note("first_model", ["to_request"])
    content = bytearray(file.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    file.write_bytes(content)
    assert "malformed" in _said(capsys)


def test_a_file_of_a_newer_version(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress_file.note("first_model", ["to_request"])
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 4")
    assert "written by a newer version of the course (format 4)" in _said(capsys)


def test_a_place_that_cannot_be_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be: that stops the superuser too."""
    file.parent.write_text("in the way")
    assert os.strerror(17) in _said(capsys) or "Not a directory" in _said(capsys)


def test_a_file_that_another_holds_for_long(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_file, "BUSY_SECONDS", 0.1)
    progress_file.note("first_model", ["all_at_once"])
    with sqlite3.connect(file, isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in _said(capsys)
        holder.execute("ROLLBACK")
    assert ("first_model", "all_at_once") in progress_file.kept().done


def test_without_the_variable_it_lies_where_the_system_keeps_a_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(progress_file.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    place = progress_file.location()
    assert place.is_relative_to(tmp_path)
    assert place.parts[-2:] == ("azureml-workbook", "progress.db")
