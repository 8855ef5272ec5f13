"""azureml_local.arm.triggers: when cron expressions and recurrences are due.

What is right: https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule (five fields, the recurrence
pattern), the names of time zones that azure-ai-ml offers, and the calendar.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from azure.ai.ml.constants import TimeZone

from azureml_local.arm.triggers import next_time

NOW = datetime.datetime(2026, 11, 22, 20, 0, 30, tzinfo=datetime.UTC)  # a Sunday


@pytest.mark.parametrize("end", ["2026-11-23T06:59:59", "2026-11-23T07:30:00+01:00", "2001-01-01"])
def test_nothing_is_due_after_the_end(end: str) -> None:
    assert next_time({"expression": "0 7 * * *", "endTime": end}, NOW) is None


@pytest.mark.parametrize(
    ("trigger", "due"),
    [
        ({"expression": "*/5 * * * *"}, "2026-11-22T20:05"),
        ({"expression": "0 18 * * *", "timeZone": "UTC"}, "2026-11-23T18:00"),
        ({"expression": "0 18 * * *", "timeZone": "Pacific Standard Time"}, "2026-11-23T02:00"),
        ({"expression": "30 8 * * 1-5", "timeZone": "W. Europe Standard Time"}, "2026-11-23T07:30"),
        ({"expression": "0,30 20 * * 0"}, "2026-11-22T20:30"),
        ({"expression": "0 9 * * 7"}, "2026-11-29T09:00"),
        ({"expression": "0 9 * * mon-FRI"}, "2026-11-23T09:00"),
        ({"expression": "0 7 * * *", "startTime": "2027-05-01T08:00:00-04:00"}, "2027-05-02T07:00"),
        ({"expression": "0 7 * * *", "endTime": "2026-11-23T07:00:00"}, "2026-11-23T07:00"),
        ({"expression": "0 12 1,15 */3 *"}, "2027-01-01T12:00"),
        ({"expression": "0 0 29 2 *"}, "2028-02-29T00:00"),
        ({"expression": "0 7 * * *", "startTime": "2027-05-01T00:00:00"}, "2027-05-01T07:00"),
        # In summer, eight in the morning in Berlin is six in UTC.
        (
            {"expression": "0 8 * * *", "startTime": "2027-07-01", "timeZone": "W. Europe Standard Time"},
            "2027-07-01T06:00",
        ),
        ({"frequency": "Minute", "interval": 7, "startTime": "2026-11-22T19:55:00"}, "2026-11-22T20:02"),
        ({"frequency": "Hour", "interval": 5, "startTime": "2001-01-01T00:00:00"}, "2026-11-22T21:00"),
        ({"frequency": "Day", "interval": 2, "startTime": "2026-11-20 10:00:00"}, "2026-11-24T10:00"),
        ({"frequency": "Day", "interval": 2, "startTime": "1900-01-01T10:00:00"}, "2026-11-24T10:00"),
        (
            {
                "frequency": "Week",
                "interval": 2,
                "startTime": "2026-11-10T00:00:00",  # a Tuesday
                "schedule": {"hours": [6], "minutes": [0], "weekDays": ["Monday", "Wednesday"]},
            },
            "2026-11-23T06:00",
        ),
        (
            {
                "frequency": "Week",
                "interval": 1,
                "schedule": {"hours": [10], "minutes": [0, 30], "weekDays": ["Friday"]},
            },
            "2026-11-27T10:00",
        ),
        (
            {"frequency": "Month", "interval": 1, "schedule": {"hours": [1], "minutes": [0], "monthDays": [31]}},
            "2026-12-31T01:00",
        ),
    ],
    ids=str,
)
def test_due(trigger: dict[str, Any], due: str) -> None:
    found = next_time(trigger, NOW)
    assert found is not None
    assert found.replace(second=0) == datetime.datetime.fromisoformat(due).replace(tzinfo=datetime.UTC)


def test_each_time_is_later_than_the_one_before() -> None:
    due: datetime.datetime | None = NOW
    found = []
    for _ in range(4):
        assert due is not None
        due = next_time({"expression": "0 */12 * * *"}, due)
        found.append(due)
    assert [(time.day, time.hour) for time in found if time] == [(23, 0), (23, 12), (24, 0), (24, 12)]


def test_what_never_comes_is_never_due() -> None:
    assert next_time({"expression": "0 0 30 2 *"}, NOW) is None


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"expression": None}, "expression is 'None'"),
        ({"expression": "0 18 * *"}, "five fields"),
        ({"expression": "60 * * * *"}, "minute of expression is '60'"),
        ({"expression": "* 24 * * *"}, "hour of expression is '24'"),
        ({"expression": "* * 0 * *"}, "day of expression is '0'"),
        ({"expression": "* * * 13 *"}, "month of expression is '13'"),
        ({"expression": "* * * * MOON"}, "day of the week of expression is 'MOON'"),
        ({"expression": "5-1 * * * *"}, "minute of expression is '5-1'"),
        ({"expression": "*/0 * * * *"}, "minute of expression is '*/0'"),
        ({"expression": "* * * * *", "timeZone": "Nowhere"}, "timeZone is 'Nowhere'"),
        ({"expression": "* * * * *", "timeZone": "../etc/passwd"}, "timeZone is '../etc/passwd'"),
        ({"expression": "* * * * *", "startTime": "soon"}, "startTime is 'soon'"),
        ({"frequency": "Year", "interval": 1}, "frequency is 'Year'"),
        ({"frequency": "Day", "interval": 0}, "interval is 0"),
        ({"frequency": "Day"}, "interval is None"),
        ({"frequency": "Month", "interval": 17}, "interval is 17"),
        ({"frequency": "Day", "interval": 1, "startTime": "9999-12-31T00:00:00"}, "its year must be"),
        ({"expression": "* * * * *", "endTime": "0001-01-01T00:00:00"}, "its year must be"),
        ({"frequency": "Day", "interval": 1, "schedule": {"hours": [24], "minutes": [0]}}, "schedule.hours holds 24"),
        ({"frequency": "Month", "interval": 1, "schedule": {"monthDays": [32]}}, "schedule.monthDays holds 32"),
    ],
    ids=str,
)
def test_a_trigger_that_is_not_valid_is_refused_by_name(trigger: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        next_time(trigger, NOW)
    assert said in str(refusal.value)


def test_every_time_zone_that_the_client_names_is_known() -> None:
    for zone in TimeZone:
        assert next_time({"expression": "0 0 * * *", "timeZone": zone.value}, NOW)
