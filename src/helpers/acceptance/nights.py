"""What a batch endpoint and a schedule are, and what their last jobs have done."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.acceptance.facts import Clock, Cluster, Run
from helpers.jobs import status_of
from helpers.pipelines import download_output, steps

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import CronTrigger, Job, RecurrenceTrigger

ANY_DAY = ["*", "*", "*"]  # day of the month, month and weekday of a cron expression
WEEK = 7
SCORES = "score"  # what a model deployment's step writes, which the step itself does not name
SERVERLESS = "serverless"
SERVERLESS_SIZE = "Standard_DS3_v2"  # where a job names none, Azure ML chooses; this is the price that is assumed


def latest(ml_client: MLClient, names: Iterable[str]) -> Job | None:
    """Return the job of these names that was made last."""
    return max((ml_client.jobs.get(name) for name in names), key=_made, default=None)


def _made(job: Job) -> Any:
    return job.creation_context and job.creation_context.created_at


def run_of(ml_client: MLClient, job: Job | None) -> Run | None:
    """Return what a job has done."""
    if job is None:
        return None
    leaves = list(_leaves(ml_client, job))
    return Run(
        status=status_of(ml_client, job),
        listed=max((_listed(ml_client, one) for one in (job, *leaves)), default=0),
        steps=tuple(str(one.name) for one in leaves),
        computes=tuple(dict.fromkeys(str(one.compute).rpartition("/")[2] for one in leaves)),
    )


def _leaves(ml_client: MLClient, job: Job) -> Iterator[Job]:
    """Yield the steps that hold no others: those that ran on something."""
    for child in steps(ml_client, job).values():
        inner = list(_leaves(ml_client, child))
        yield from inner or [child]


def _listed(ml_client: MLClient, job: Job) -> int:
    """Return how many cases the longest of a job's CSV files lists."""
    outputs = {*(getattr(ml_client.jobs.get(job.name), "outputs", None) or ()), SCORES} - {"default"}
    files = [file for name in outputs for file in _files(ml_client, job, name)]
    return max((cases_in(file) for file in files), default=0)


def _files(ml_client: MLClient, job: Job, output: str) -> list[Path]:
    try:
        return list(download_output(ml_client, job, output).rglob("*.csv"))
    except FileNotFoundError:
        return []


def cases_in(file: Path) -> int:
    """Return how many lines a CSV file has, without a header, in which nothing is a number."""
    with file.open(encoding="utf-8", newline="") as opened:
        lines = [line for line in csv.reader(opened) if line]
    return len(lines) - bool(lines and not any(_is_number(value) for value in lines[0]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def clusters(ml_client: MLClient, names: Iterable[str]) -> tuple[Cluster, ...]:
    """Return the clusters of these names; what is no cluster of the workspace, and not serverless, has no size."""
    known = {one.name: one for one in ml_client.compute.list() if one.type == "amlcompute"}
    return tuple(_cluster(name, known.get(name)) for name in dict.fromkeys(names))


def _cluster(name: str, found: Any) -> Cluster:
    if name.lower() == SERVERLESS:
        return Cluster(name, SERVERLESS_SIZE)
    if found is None:
        return Cluster(name)
    idle = int(found.idle_time_before_scale_down or 0)
    return Cluster(name, str(found.size), int(found.min_instances or 0), str(found.tier).lower(), idle)


def clock(trigger: CronTrigger | RecurrenceTrigger, is_enabled: bool) -> Clock:
    """Return when a trigger is due."""
    zone = str(getattr(trigger.time_zone, "value", trigger.time_zone))
    hours, is_daily = _of_cron(trigger.expression) if hasattr(trigger, "expression") else _of_recurrence(trigger)
    return Clock(is_enabled, is_daily, hours, zone)


def _of_cron(expression: str) -> tuple[tuple[int, ...], bool]:
    minute, hour, *day = expression.split()
    hours = tuple(int(one) for one in hour.split(",")) if hour.replace(",", "").isdecimal() else tuple(range(24))
    return hours, minute.isdecimal() and day == ANY_DAY


def _of_recurrence(trigger: Any) -> tuple[tuple[int, ...], bool]:
    pattern = trigger.schedule
    hours = pattern.hours if pattern and pattern.hours is not None else []
    hours = tuple(hours) if isinstance(hours, list) else (hours,)
    frequency = str(trigger.frequency).lower()
    days = len(pattern.week_days or ()) if pattern and isinstance(pattern.week_days, list) else 0
    is_daily = frequency == "day" or (frequency == "week" and days == WEEK)
    return hours, is_daily and trigger.interval == 1
