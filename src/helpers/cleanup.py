"""Checking that a lesson leaves nothing behind: on Azure, what is left costs money."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from helpers.naming import release

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


def leftovers(ml_client: MLClient, *, endpoints: Collection[str] = (), models: Collection[str] = ()) -> list[str]:
    """Return what still exists of the things named; an empty list is as it should be, and gives their names back.

    Models cannot be deleted in version 2 of the SDK, only archived: an archived one does not count.
    """
    found_endpoints = {endpoint.name for endpoint in ml_client.online_endpoints.list()}
    found_models = {model.name for model in ml_client.models.list()}
    left = [f"endpoint {name}" for name in endpoints if name in found_endpoints]
    left += [f"model {name}" for name in models if name in found_models]
    if not left:
        for name in {*endpoints, *models}:
            release(name)
    return left
