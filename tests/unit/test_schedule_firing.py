"""azureml_local.arm.schedules.firing: which due times are made up after the service was away, and which are not.

What is right: the recurrences of logic apps, of which Azure's schedules are made, go on with the next interval
(https://learn.microsoft.com/azure/logic-apps/concepts-schedule-automated-recurring-tasks-workflows#schedule-triggers).
A start of the service is no outage.
"""

from __future__ import annotations

import datetime
import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm.schedules import firing
from azureml_local.store import Resource, Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ID = f"{WORKSPACE}/schedules/nightly"
MINUTELY = {"triggerType": "Cron", "expression": "* * * * *"}


class Timer:
    """Timers that keep what was set, and run it when the test wants."""

    def __init__(self) -> None:
        self.set_for: dict[str, tuple[float, Callable[[], None]]] = {}

    def set(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self.set_for[name] = (seconds, action)

    def cancel(self, prefix: str) -> None:
        self.set_for = {name: one for name, one in self.set_for.items() if not name.startswith(prefix)}

    @property
    def seconds(self) -> float | None:
        return next((seconds for seconds, _ in self.set_for.values()), None)

    def fire(self) -> None:
        (_, (_, action)) = self.set_for.popitem()
        action()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AZUREML_LOCAL_CLOCK_FACTOR", raising=False)
    store = Store(tmp_path / "state.db")
    yield SimpleNamespace(store=store, timers=Timer())
    store.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[datetime.datetime]:
    """For which times jobs were made."""
    times: list[datetime.datetime] = []

    def submit(context: Any, schedule: Resource, time: datetime.datetime) -> Resource:
        times.append(time)
        return schedule

    monkeypatch.setattr(firing.scheduled_jobs, "submit_unattended", submit)
    return times


def put(context: Any, trigger: dict[str, Any], *, away: datetime.timedelta, enabled: bool = True) -> None:
    """Store a schedule that has done what was due until the service ended."""
    then = (datetime.datetime.now(datetime.UTC) - away).isoformat()
    body = {
        "properties": {"trigger": trigger, "isEnabled": enabled},
        "calendar": {"time": then, "at": then, "done": then},
    }
    context.store.put(ID, firing.TYPE, WORKSPACE, body, "author")


def test_what_was_due_during_a_start_is_made_up(context: Any, made: list[datetime.datetime]) -> None:
    put(context, MINUTELY, away=datetime.timedelta(seconds=59))
    firing.arm_all(context)
    while context.timers.seconds == 0:
        context.timers.fire()
    assert len(made) in (0, 1)  # by the second at which the test runs
    assert made == sorted(set(made))
    assert 0 < context.timers.seconds <= 60


def test_what_was_missed_for_longer_is_left_out(
    context: Any, made: list[datetime.datetime], caplog: pytest.LogCaptureFixture
) -> None:
    put(context, MINUTELY, away=datetime.timedelta(days=2))
    with caplog.at_level(logging.WARNING):
        firing.arm_all(context)
    assert "is left out" in caplog.text
    while context.timers.seconds == 0:
        context.timers.fire()
    assert len(made) <= 1  # that of the last minute, not of two days
    assert 0 < context.timers.seconds <= 60


def test_fast_clock_counts_while_the_service_is_away(
    context: Any, made: list[datetime.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_LOCAL_CLOCK_FACTOR", "60")
    put(context, MINUTELY, away=datetime.timedelta(seconds=10))
    firing.arm_all(context)
    while context.timers.seconds == 0:
        context.timers.fire()
    assert len(made) in (9, 10, 11)
    assert {later - earlier for earlier, later in itertools.pairwise(made)} == {datetime.timedelta(minutes=1)}


def test_job_and_note_are_written_together(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is due again."""

    def fail(*_: Any) -> Resource:
        raise sqlite3.OperationalError("no room")

    monkeypatch.setattr(firing.scheduled_jobs, "submit_unattended", fail)
    put(context, MINUTELY, away=datetime.timedelta(seconds=0))
    before = context.store.get(ID)
    firing.arm(context, ID)
    with pytest.raises(sqlite3.OperationalError, match="no room"):
        context.timers.fire()
    assert context.store.get(ID) == before


def test_schedule_goes_on_where_the_service_failed(
    context: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[datetime.datetime] = []

    def fail(context: Any, *_: Any) -> Resource:
        context.store.put(f"{WORKSPACE}/jobs/half", "workspaces/jobs", WORKSPACE, {"properties": {}}, "author")
        raise KeyError("unforeseen")

    def store(context: Any, schedule: Resource, time: datetime.datetime) -> Resource:
        failed.append(time)
        return schedule

    monkeypatch.setattr(firing.scheduled_jobs, "submit_unattended", fail)
    monkeypatch.setattr(firing.scheduled_jobs, "store_unforeseen", store)
    put(context, MINUTELY, away=datetime.timedelta(0))
    firing.arm(context, ID)
    context.timers.fire()
    assert context.store.get(f"{WORKSPACE}/jobs/half") is None
    assert "unforeseen" in caplog.text
    context.timers.fire()
    assert [later - earlier for earlier, later in itertools.pairwise(failed)] == [datetime.timedelta(minutes=1)]
    assert context.timers.seconds is not None


@pytest.mark.parametrize(
    ("trigger", "enabled"),
    [
        (MINUTELY, False),
        ({**MINUTELY, "endTime": "2020-01-01T00:00:00"}, True),
    ],
    ids=["disabled", "ended"],
)
def test_no_timer(context: Any, trigger: dict[str, Any], enabled: bool) -> None:
    put(context, trigger, away=datetime.timedelta(0), enabled=enabled)
    firing.arm_all(context)
    assert context.timers.seconds is None


def test_days_and_months_of_cron_are_ignored() -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job#limitations."""
    now = datetime.datetime(2026, 11, 22, 20, 0, tzinfo=datetime.UTC)
    due = firing.next_time({"triggerType": "Cron", "expression": "15 16 3 2 *"}, now)
    assert due == datetime.datetime(2026, 11, 23, 16, 15, tzinfo=datetime.UTC)
    assert firing.next_time({"frequency": "Day", "interval": 1, "startTime": "2026-01-01T06:00"}, now) == (
        datetime.datetime(2026, 11, 23, 6, 0, tzinfo=datetime.UTC)
    )
