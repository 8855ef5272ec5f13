"""Calendars: they begin at a true time, and go on as fast as the service's clock.

A resource that is due at times of day has one, stored in its body: the time on it, and when it was that. So what comes
in an hour comes a minute later where the clock is 60 times as fast, and a restart changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from azureml_local import clock


def begun(at: datetime.datetime | None = None) -> dict[str, str]:
    """Return a calendar on which it is ``at`` now, by default the true time."""
    now = datetime.datetime.now(datetime.UTC)
    return {"time": (at or now).isoformat(), "at": now.isoformat()}


def present(calendar: Mapping[str, str]) -> datetime.datetime:
    """Return the present time on a calendar."""
    real = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(calendar["at"])
    passed = datetime.timedelta(seconds=clock.passed(real.total_seconds()))
    return datetime.datetime.fromisoformat(calendar["time"]) + passed
