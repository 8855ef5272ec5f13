"""The agendas of the instructor guide keep to the minutes of course.yml, and to what a room can bear."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from course.catalogue import Lesson, find
from workshop import agendas
from workshop.agendas import Agenda, Day

ROOT = Path(__file__).parents[2]
LESSONS = find(ROOT / "notebooks")
AGENDAS = agendas.read(LESSONS)
DAYS = [pytest.param(agenda, day, id=f"{agenda.name}-{at}") for agenda in AGENDAS for at, day in enumerate(agenda.days)]
LONGEST_DAY = {"half-day": 4 * 60, "one-day": 8 * 60, "two-day": 8 * 60}  # minutes, with breaks
LONGEST_SITTING = 90  # minutes between two breaks
LEAST_CATCH_UP = 0.15  # of the minutes of a day's lessons
LEAST_SAVED = 40  # minutes, when all that may be is left out


def _sittings(day: Day) -> list[int]:
    sittings = [0]
    for row in day.rows:
        if row.kind == "break":
            sittings.append(0)
        else:
            sittings[-1] += row.minutes
    return sittings


def _builds_on(lesson: Lesson) -> set[Path]:
    """The lessons that the line *Before you start* links to."""
    text = nbformat.read(lesson.path, as_version=4).cells[0].source
    line = re.search(r"\*\*Before you start:\*\* (.+)", text)
    assert line, lesson.name
    linked = re.findall(r"\]\(([\w./]+\.ipynb)\)", line[1])
    return {(lesson.path.parent / target).resolve() for target in linked}


def test_the_three_agendas_are_there() -> None:
    assert {agenda.name: len(agenda.days) for agenda in AGENDAS} == {"half-day": 1, "one-day": 1, "two-day": 2}


@pytest.mark.parametrize(("agenda", "day"), DAYS)
def test_a_day_is_no_longer_than_it_says(agenda: Agenda, day: Day) -> None:
    assert LONGEST_DAY[agenda.name] * 0.9 <= day.minutes <= LONGEST_DAY[agenda.name]


@pytest.mark.parametrize(("agenda", "day"), DAYS)
def test_nobody_sits_too_long(agenda: Agenda, day: Day) -> None:
    assert max(_sittings(day)) <= LONGEST_SITTING
    if day.minutes > LONGEST_DAY["half-day"]:
        assert max(row.minutes for row in day.rows if row.kind == "break") >= 45


@pytest.mark.parametrize(("agenda", "day"), DAYS)
def test_there_is_time_to_catch_up_and_something_to_leave_out(agenda: Agenda, day: Day) -> None:
    minutes = {kind: sum(row.minutes for row in day.rows if row.kind == kind) for kind in agendas.KINDS}
    assert minutes["catch_up"] >= LEAST_CATCH_UP * minutes["lesson"]
    assert sum(row.saves for row in day.rows) >= LEAST_SAVED
    turns = sorted(row.leave_out.turn for row in day.rows if row.leave_out)
    assert turns == list(range(1, len(turns) + 1))
    assert all(row.saves > 0 for row in day.rows if row.leave_out)


@pytest.mark.parametrize("agenda", AGENDAS, ids=lambda agenda: agenda.name)
def test_a_lesson_comes_after_what_it_builds_on(agenda: Agenda) -> None:
    seen: set[Path] = set()
    for row in (row for day in agenda.days for row in day.rows):
        if row.lesson:
            assert _builds_on(row.lesson) <= seen, row.text
            seen.add(row.lesson.path.resolve())
        seen |= {lesson.path.resolve() for lesson in row.of}


def test_a_day_begins_when_the_trainer_says() -> None:
    day = Day("09:00", [agendas.Row("say", "Welcome", 20), agendas.Row("break", "Break", 15)])
    assert [at for at, _ in day.times("13:30")] == ["13:30", "13:50"]
    assert (day.ends(), day.ends("23:50")) == ("09:35", "00:25")


def test_the_guide_has_the_agendas_as_they_are() -> None:
    text = agendas.GUIDE.read_text(encoding="utf-8")
    assert agendas.with_agendas(text, AGENDAS) == text, "run: python -m workshop agenda --write"


def test_a_change_of_the_minutes_reaches_the_guide() -> None:
    shown = agendas.markdown(AGENDAS[0])
    longer = [lesson if lesson.id != "first_model" else _with(lesson, minutes=33) for lesson in LESSONS]
    assert "| 09:20 | 33 | lesson | [Score your first model]" in agendas.markdown(agendas.read(longer)[0])
    assert "| 09:20 | 33 |" not in shown


def _with(lesson: Lesson, minutes: int) -> Lesson:
    return Lesson(**{**lesson.__dict__, "minutes": minutes})


def test_a_guide_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        agendas.with_agendas("# Instructor guide\n", AGENDAS)


def test_an_agenda_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert agendas.main(["half-day", "--start", "13:30"]) == 0
    said = capsys.readouterr().out
    assert "| 13:30 | 20 | talk | Welcome" in said
    assert "(notebooks/00_start/01_score_your_first_model.ipynb)" in said
    assert "One day" not in said


@pytest.mark.parametrize("time", ["25:00", "noon"])
def test_a_wrong_time_of_day_is_refused(time: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        agendas.main(["--start", time])
    assert f'"{time}" is no time of day; right is one such as 13:30' in capsys.readouterr().err
