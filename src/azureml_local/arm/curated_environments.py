"""Curated environments: Azure's own, in the registry ``azureml``. Each is an image with packages, in every version.

https://learn.microsoft.com/azure/machine-learning/resource-curated-environments
"""

from __future__ import annotations

import re
from typing import Any

from azureml_local.engines.requirements import images

PREFIX = "mcr.microsoft.com/azureml/curated/"
_REGISTRY_ENVIRONMENT = re.compile(
    r"^(?:azureml:)?azureml://registries/azureml/environments/(?P<name>[^/]+)/(?:versions|labels)/(?P<version>[^/]+)$",
    re.IGNORECASE,
)


def properties_of(environment_id: str) -> dict[str, Any] | None:
    """Return the ``properties`` of a curated environment by its id in the registry; None where there is none."""
    found = _REGISTRY_ENVIRONMENT.match(environment_id)
    if found is None or PREFIX + found["name"] not in images():
        return None
    return {"image": f"{PREFIX}{found['name']}:{found['version']}", "environmentType": "Curated", "osType": "Linux"}
