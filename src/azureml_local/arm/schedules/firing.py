"""When schedules are due, and what happens then: each due time makes one job, also where the service is killed then.

A schedule has a calendar, which begins at the present time and goes as fast as the service's clock. It is stored up to
which time on it the schedule has done what was due, in the same transaction as the job that was made.

What falls due while the service is started again is made up. What was missed for longer is not: each schedule of
Azure's is a logic app
(https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job#cost-considerations), and "If
recurrences are missed, the Recurrence trigger doesn't process the missed recurrences but restarts recurrences with the
next scheduled interval"
(https://learn.microsoft.com/azure/logic-apps/concepts-schedule-automated-recurring-tasks-workflows#schedule-triggers).
"""

from __future__ import annotations

import datetime
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from azureml_local import clock
from azureml_local.arm import calendars, triggers
from azureml_local.arm.context import Context
from azureml_local.arm.schedules import scheduled_jobs
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

TYPE = "workspaces/schedules"
MADE_UP = 60.0  # real seconds: what was due earlier than that is left out


def calendar(known: Resource | None) -> dict[str, str]:
    """Return the calendar of a schedule that is new, or that is changed now: nothing before this is due any more."""
    begun = calendars.begun(max(_present(known), _done(known)) if known else None)
    return {**begun, "done": begun["time"]}


def next_time(trigger: Mapping[str, Any], after: datetime.datetime) -> datetime.datetime | None:
    """Return when a trigger of a schedule is due next, as :func:`triggers.next_time` does.

    Days and months of a cron expression are ignored:
    https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job#limitations.
    """
    fields = (trigger.get("expression") or "").split()
    if len(fields) == len(triggers.FIELDS):
        trigger = {**trigger, "expression": " ".join((*fields[:2], "*", "*", fields[4]))}
    return triggers.next_time(trigger, after)


def arm_all(context: Context) -> None:
    """Set the timers of all schedules after a start of the service."""
    for schedule in context.store.all_of(TYPE):
        arm(context, schedule.id)


def arm(context: Context, schedule_id: str) -> None:
    """Set a schedule's timer for the next time that it is due, where it is enabled."""
    disarm(context, schedule_id)
    schedule = context.store.get(schedule_id)
    if schedule is None or not schedule.properties["isEnabled"]:
        return
    trigger, now, done = schedule.properties["trigger"], _present(schedule), _done(schedule)
    oldest = now - datetime.timedelta(seconds=clock.passed(MADE_UP))
    missed = next_time(trigger, done)
    if missed and missed <= oldest:
        logger.warning("%s was due at %s, when the service did not run: that is left out", schedule.id, missed)
    due = next_time(trigger, max(done, oldest))
    if due:
        seconds = max((due - now).total_seconds(), 0)
        context.timers.set(_timer(schedule_id), seconds, partial(_fire, context, schedule_id, due))


def disarm(context: Context, schedule_id: str) -> None:
    """Stop a schedule's timer."""
    context.timers.cancel(_timer(schedule_id))


def _fire(context: Context, schedule_id: str, due: datetime.datetime) -> None:
    """Make the job of a due time, and note that it is made: both or neither.

    Where the service itself fails at it, the job is one that failed, and the schedule goes on.

    Raises:
        sqlite3.OperationalError: nothing can be written at present; it is due again.
    """
    try:
        _make(context, schedule_id, due, scheduled_jobs.submit_unattended)
    except sqlite3.OperationalError:
        raise
    except Exception:
        logger.exception("%s was due at %s, and made no job", schedule_id, due)
        _make(context, schedule_id, due, scheduled_jobs.store_unforeseen)


def _make(
    context: Context,
    schedule_id: str,
    due: datetime.datetime,
    submit: Callable[[Context, Resource, datetime.datetime], Resource],
) -> None:
    store = context.store
    with store.transaction():
        schedule = store.get(schedule_id)
        if schedule is None or _done(schedule) >= due:
            return
        done = {**schedule.body["calendar"], "done": due.isoformat()}
        store.save(replace(schedule, body={**schedule.body, "calendar": done}))
        store.after_commit(partial(arm, context, schedule_id))
        job = submit(context, schedule, due)
        logger.info("%s was due at %s, and made %s", schedule.id, due, job.id)


def _present(schedule: Resource) -> datetime.datetime:
    """Return the time on a schedule's calendar."""
    return calendars.present(schedule.body["calendar"])


def _done(schedule: Resource) -> datetime.datetime:
    return datetime.datetime.fromisoformat(schedule.body["calendar"]["done"])


def _timer(schedule_id: str) -> str:
    return f"{schedule_id.lower()}/due"
