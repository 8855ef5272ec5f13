"""Deletes what a broken run has left: ``python -m course.sweep [--run RUN] [--older-than 6h] [--yes]``.

What a lesson makes has tags (``helpers.tags``). Only what has them is looked at; without ``--yes`` nothing is touched.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.ai.ml.exceptions import MlException
from azure.core.exceptions import AzureError

import helpers
from azureml_local.daemon import DaemonError
from azureml_local.home import HomeError
from course import exit_codes
from course.prices import Prices
from helpers import tags

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LATEST = "latest"
# What belongs to a run that may still be under way is left alone, unless the run is named.
DEFAULT_AGE = timedelta(hours=6)
_ALL_SCHEDULES = "All"  # azure-ai-ml has the enumeration in a private module only; as a text it is sent as it is
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_ENDED_JOBS = frozenset(("Completed", "Failed", "Canceled", "NotResponding"))
# The others are attached, and somebody else's: a virtual machine, a cluster of Kubernetes, a Databricks workspace.
_MADE_COMPUTES = frozenset(("amlcompute", "computeinstance"))


@dataclass(frozen=True)
class Found:
    """A thing that a lesson has made; ``remove`` begins to take it away, and returns what waits for that."""

    kind: str
    name: str
    run: str
    lesson: str
    started: datetime
    usd_per_hour: float | None
    remove: Callable[[], Any] = field(compare=False)


@dataclass(frozen=True)
class Choice:
    """What is swept: of one run, or of all; what is older than ``age``."""

    run: str | None
    age: timedelta

    def holds(self, tagged: dict[str, str] | None, now: datetime) -> bool:
        """Whether the tags are those of a lesson, and of what was chosen."""
        started = _started(tagged or {})
        if tagged is None or started is None or self.run not in (None, tagged.get(tags.RUN)):
            return False
        return tags.RUN in tagged and started <= now - self.age


def main(argv: Sequence[str] | None = None) -> int:
    """Says what is there, deletes it where that is asked for, and returns an exit code: ``docs/unattended.md``."""
    arguments = _parse(argv)
    try:
        choice = _choice(arguments)
    except (OSError, KeyError, ValueError) as error:
        print(f"--run {LATEST}: runs/{LATEST}/summary.json names no run ({error}).", file=sys.stderr)
        return exit_codes.USAGE
    try:
        ml_client = helpers.connect(arguments.backend)
        found = find(ml_client, choice)
    except (AzureError, DaemonError, HomeError) as error:
        print(f"The workspace could not be looked through: {error}", file=sys.stderr)
        return exit_codes.NOT_READY
    print(table(found, datetime.now(UTC)))
    if found and arguments.yes:
        found = sweep(ml_client, choice, found)
    elif found:
        print("Nothing was touched. To delete, cancel and archive it, say --yes.")
    # Of lessons that ended well, too, assets are left, which cannot be deleted.
    return exit_codes.FAILED if any(one.kind not in _ASSETS for one in found) else exit_codes.PASSED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m course.sweep", description="Find what broken runs have left, and delete it."
    )
    parser.add_argument(
        "--run", help=f'only of this run, whatever its age; "{LATEST}" is the newest here, "{tags.BY_HAND}" Jupyter'
    )
    parser.add_argument(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="only what is older: 90m, 6h or 2d (default: 6h; with --run everything)",
    )
    parser.add_argument("--yes", action="store_true", help="delete, cancel and archive it; else it is only listed")
    parser.add_argument("--backend", choices=["local", "azure"], default="local", help="default: local")
    return parser.parse_args(argv)


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+)([mhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no age; right are 90m, 6h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _choice(arguments: argparse.Namespace) -> Choice:
    run = arguments.run
    if run == LATEST:
        run = json.loads(Path("runs", LATEST, "summary.json").read_text(encoding="utf-8"))["run"]
    age = arguments.older_than
    return Choice(run, age if age is not None else timedelta() if run else DEFAULT_AGE)


def _started(tagged: dict[str, str]) -> datetime | None:
    try:
        return datetime.fromisoformat(tagged.get(tags.STARTED, ""))
    except ValueError:
        return None


def find(ml_client: MLClient, choice: Choice) -> list[Found]:
    """What there is of it, in the order in which it has to go: what makes others first, what others use last."""
    now = datetime.now(UTC)
    prices = Prices(ml_client)
    return [
        Found(
            kind,
            thing.name if version is None else f"{thing.name}:{version}",
            thing.tags[tags.RUN],
            thing.tags.get(tags.LESSON, ""),
            datetime.fromisoformat(thing.tags[tags.STARTED]),
            prices.of(kind, thing),
            remove,
        )
        for kind, things in _KINDS.items()
        for thing, version, remove in things(ml_client)
        if choice.holds(thing.tags, now)
    ]


_Thing = tuple[Any, str | None, Callable[[], Any]]  # an entity of the SDK, its version, what takes it away


def _schedules(ml_client: MLClient) -> Iterator[_Thing]:
    def remove(name: str) -> Any:
        ml_client.schedules.begin_disable(name).result()  # an enabled one cannot be deleted
        return ml_client.schedules.begin_delete(name)

    for schedule in ml_client.schedules.list(list_view_type=_ALL_SCHEDULES):
        yield schedule, None, partial(remove, schedule.name)


def _jobs(ml_client: MLClient) -> Iterator[_Thing]:
    for job in ml_client.jobs.list():
        if str(getattr(job.status, "value", job.status)) not in _ENDED_JOBS:
            yield job, None, partial(ml_client.jobs.begin_cancel, job.name)


def _endpoints(operations: str) -> Callable[[MLClient], Iterator[_Thing]]:
    def endpoints(ml_client: MLClient) -> Iterator[_Thing]:
        kept = getattr(ml_client, operations)
        for endpoint in kept.list():
            yield endpoint, None, partial(kept.begin_delete, name=endpoint.name)

    return endpoints


def _computes(ml_client: MLClient) -> Iterator[_Thing]:
    for compute in ml_client.compute.list():
        action = "Delete" if str(compute.type).lower() in _MADE_COMPUTES else "Detach"
        yield compute, None, partial(ml_client.compute.begin_delete, compute.name, action=action)


def _registries(ml_client: MLClient) -> Iterator[_Thing]:
    for registry in ml_client.registries.list():
        yield registry, None, partial(ml_client.registries.begin_delete, name=registry.name)


def _assets(operations: str) -> Callable[[MLClient], Iterator[_Thing]]:
    """Version by version: there are the tags. They cannot be deleted, and cost next to nothing."""

    def assets(ml_client: MLClient) -> Iterator[_Thing]:
        kept = getattr(ml_client, operations)
        for container in list(kept.list()):
            try:
                versions = list(kept.list(name=container.name))
            except MlException as error:  # somebody has made one that the SDK cannot read: no lesson does
                print(f"{operations}: {container.name} was passed over, it cannot be read: {error}", file=sys.stderr)
                continue
            for asset in versions:
                yield asset, asset.version, partial(kept.archive, name=asset.name, version=asset.version)

    return assets


_ASSETS = {"model": "models", "data": "data", "component": "components", "environment": "environments"}
# In the order in which things must go: a schedule makes jobs, a job and a deployment hold a compute.
_KINDS: dict[str, Callable[[Any], Iterable[_Thing]]] = {
    "schedule": _schedules,
    "job": _jobs,
    "online endpoint": _endpoints("online_endpoints"),
    "batch endpoint": _endpoints("batch_endpoints"),
    "compute": _computes,
    "registry": _registries,
    **{kind: _assets(operations) for kind, operations in _ASSETS.items()},
}


def table(found: Sequence[Found], now: datetime) -> str:
    """What was found as lines of text: kind, name, run, lesson, age in hours, price an hour."""
    if not found:
        return "Nothing is left."
    rows = [("what", "name", "run", "lesson", "age", "USD an hour")]
    rows += [
        (
            one.kind,
            one.name,
            one.run,
            one.lesson,
            f"{(now - one.started) / timedelta(hours=1):.1f} h",
            "" if one.usd_per_hour is None else f"{one.usd_per_hour:.2f}",
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = sum(one.usd_per_hour or 0 for one in found)
    return "\n".join([*lines, f"{len(found)} left, together {total:.2f} USD an hour."])


def sweep(ml_client: MLClient, choice: Choice, found: Sequence[Found]) -> list[Found]:
    """Takes away what was found, kind by kind, says how that goes, and returns what is there afterwards."""
    for kind in _KINDS:
        under_way = [(one, _begin(one)) for one in found if one.kind == kind]
        for one, poller in under_way:
            _finish(one, poller)
    left = find(ml_client, choice)
    print(table(left, datetime.now(UTC)))
    return left


def _begin(one: Found) -> Any:
    """Begins to take it away; returns what waits for that, or the error."""
    try:
        return one.remove()
    except AzureError as error:
        return error


def _finish(one: Found, poller: Any) -> None:
    try:
        if isinstance(poller, AzureError):
            raise poller
        if poller is not None:  # an asset is archived at once
            poller.result()
    except AzureError as error:
        print(f"✗ {one.kind} {one.name}: {error.message}", flush=True)
    else:
        print(f"✓ {one.kind} {one.name}: gone", flush=True)


if __name__ == "__main__":
    sys.exit(main())
