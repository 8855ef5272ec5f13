"""Curated environments: Azure's own, in the registry ``azureml``. Each is an image with packages, in every version.

https://learn.microsoft.com/azure/machine-learning/resource-curated-environments
"""

from __future__ import annotations

import re
from typing import Any

from azureml_local.engines.requirements import images
from azureml_local.http.errors import FrontendError

REGISTRY = "azureml"
PREFIX = "mcr.microsoft.com/azureml/curated/"
_REGISTRY_ENVIRONMENT = re.compile(
    r"^(?:azureml:)?azureml://registries/azureml/environments/(?P<name>[^/]+)/(?:versions|labels)/(?P<version>[^/]+)$",
    re.IGNORECASE,
)


def is_curated(registry: str | None) -> bool:
    """Say whether a registry, by its name, is Azure's own."""
    return (registry or "").lower() == REGISTRY


def properties_of(environment_id: str) -> dict[str, Any] | None:
    """Return the ``properties`` of a curated environment by its id in the registry; None for any other id.

    Raises:
        FrontendError: 404, the registry has no such environment here.
    """
    found = _REGISTRY_ENVIRONMENT.match(environment_id)
    if found is None:
        return None
    if PREFIX + found["name"] not in images():
        message = f"There is no curated environment '{found['name']}' here; engines/image_packages.yml lists them."
        detail = ("EnvironmentNotFound", message)
        raise FrontendError(404, "UserError", "The specified resource was not found.", detail=detail)
    return {"image": f"{PREFIX}{found['name']}:{found['version']}", "environmentType": "Curated", "osType": "Linux"}
