"""Checking that a lesson leaves nothing behind: on Azure, what is left costs money."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from helpers.naming import release

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


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

    Models, data and components cannot be deleted in version 2 of the SDK, only archived: those do not count.
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
    left = []
    for kind, (operations, names) in named.items():
        found = {one.name for one in getattr(ml_client, operations).list()} if names else set()
        left += [f"{kind} {name}" for name in names if name in found]
    if not left:
        for name in {name for _, names in named.values() for name in names}:
            release(name)
    return left


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
