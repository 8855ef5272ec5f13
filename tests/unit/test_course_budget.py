"""The budget guard: which lessons still start, by the prices of ``course.yml``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from course.budget import Budget
from course.catalogue import Lesson, Notebook, find
from course.execute import Result
from course.readiness import Readiness
from course.run import main
from written_course import list_lessons, write_lesson


def lesson(tmp_path: Path, usd: float) -> Lesson:
    write_lesson(tmp_path, "00_start/01_one")
    list_lessons(tmp_path, azure={"minutes": 10, "usd": usd})
    return find(tmp_path / "notebooks")[0]


def test_without_a_limit_everything_starts_and_is_counted(tmp_path: Path) -> None:
    budget, one = Budget(None), lesson(tmp_path, 500.0)
    assert budget.refusal(one) is None
    assert budget.spent == 500


def test_a_lesson_that_fits_exactly_starts(tmp_path: Path) -> None:
    """0.1 + 0.2 is more than 0.3 in binary."""
    one = lesson(tmp_path, 0.1)
    budget = Budget(0.3)
    budget._costs["another"] = 0.2
    assert budget.refusal(one) is None


@pytest.mark.parametrize(("minutes", "cost"), [(1, 0.3), (10, 0.3), (15, 0.45)])
def test_a_lesson_that_took_longer_has_cost_more(tmp_path: Path, minutes: float, cost: float) -> None:
    budget, one = Budget(1.0), lesson(tmp_path, 0.3)
    assert budget.refusal(one) is None
    budget.settle(one, seconds=60 * minutes)
    assert budget.spent == pytest.approx(cost)


def test_what_does_not_fit_is_skipped_with_the_reason_and_cheaper_ones_still_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def passes(notebook: Notebook, *_: object) -> Result:
        return Result(notebook, "passed", "A lesson", seconds=1.0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("course.run.execute", passes)
    monkeypatch.setattr("course.run.readiness", lambda backend, lessons: Readiness())
    for name in ("01_cheap", "02_dear", "03_cheap"):
        write_lesson(tmp_path, f"00_start/{name}")
    course = list_lessons(tmp_path, azure={"minutes": 10, "usd": 0.2})
    document = yaml.safe_load(course.read_text())
    document["parts"][0]["lessons"][1]["azure"] = {"minutes": 10, "usd": 0.9}
    course.write_text(yaml.safe_dump(document))
    assert main(["--budget", "0.5"]) == 4
    summary = json.loads(Path("runs/latest/summary.json").read_text(encoding="utf-8"))
    assert [notebook["status"] for notebook in summary["notebooks"]] == ["passed", "skipped", "passed"]
    reason = "not started: it costs 0.90 USD on Azure, and of the budget of 0.50 USD 0.30 are left"
    assert summary["notebooks"][1]["reason"] == reason
    assert (summary["budget_usd"], summary["azure_usd"]) == (0.5, 0.4)
    assert f"[2/3] skipped: A lesson ({reason})" in capsys.readouterr().out
