"""Checking that a lesson leaves nothing behind: on Azure, what is left costs money."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from helpers.meter import METER
from helpers.naming import release
from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LONGEST_DELETION = 900.0  # seconds; an endpoint takes about five minutes


def leftovers(
    ml_client: MLClient,
    *,
    endpoints: Collection[str] = (),
    models: Collection[str] = (),
    computes: Collection[str] = (),
    data: Collection[str] = (),
    components: Collection[str] = (),
    batch_endpoints: Collection[str] = (),
    schedules: Collection[str] = (),
    registries: Collection[str] = (),
) -> list[str]:
    """Return what still exists of the things named; an empty list is as it should be, and gives their names back.

    Models, data and components cannot be deleted in version 2 of the SDK, only archived: those do not count. On Azure a
    thing that is being deleted is listed until it is gone: there this waits for that, and says what still costs money.
    """
    named = {
        "endpoint": ("online_endpoints", endpoints),
        "model": ("models", models),
        "compute": ("compute", computes),
        "data": ("data", data),
        "component": ("components", components),
        "batch endpoint": ("batch_endpoints", batch_endpoints),
        "schedule": ("schedules", schedules),
        "registry": ("registries", registries),
    }

    def listed() -> list[str]:
        left = []
        for kind, (operations, names) in named.items():
            found = {one.name for one in getattr(ml_client, operations).list()} if names else set()
            left += [f"{kind} {name}" for name in names if name in found]
        return left

    left = listed()
    if METER.is_running:
        with tqdm(desc="… wait until all is deleted", bar_format="{desc}{postfix}", leave=False) as line:
            for seconds in pauses():
                if not left or seconds > LONGEST_DELETION:
                    break
                line.set_postfix_str(f"{', '.join(left)}, {seconds:.0f} s")
                left = listed()
        _say_what_costs()
    if not left:
        for name in {name for _, names in named.values() for name in names}:
            release(name)
    return left


def _say_what_costs() -> None:
    """Say on standard error what the lesson has made and not deleted, with its price, and what all has cost at most."""
    for name, usd in METER.costs().items():
        print(f"still there: {name}, at most {usd:.2f} USD an hour", file=sys.stderr)
    print(f"The machines of this lesson have cost at most {METER.usd:.2f} USD.", file=sys.stderr)


def delete_if_there(operations: Any, *names: str) -> None:
    """Delete what may have been made; a line shows what is waited for, and nothing is said of what was not there.

    Args:
        operations: of an ``MLClient``, e.g. ``ml_client.compute``.
        names: what to delete.

    Raises:
        azure.core.exceptions.HttpResponseError: something cannot be deleted.
    """
    from azure.core.exceptions import ResourceNotFoundError

    for name in tqdm(names, desc="deleting", leave=False):
        with suppress(ResourceNotFoundError):
            operations.get(name)
            if hasattr(operations, "begin_disable"):  # a schedule that is enabled cannot be deleted
                operations.begin_disable(name).result()
            operations.begin_delete(name=name).result()
