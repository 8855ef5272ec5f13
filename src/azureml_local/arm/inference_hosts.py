"""The hosts at which endpoints answer, online and batch ones alike: a name is unique within a region.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-endpoint-batch. Both kinds answer at the same host; a
batch endpoint of Azure's names itself in its property ``azureml.onlineendpointid``.
"""

from __future__ import annotations

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.http.errors import invalid_inference_request
from azureml_local.store import Condition

ONLINE = "workspaces/onlineEndpoints"
BATCH = "workspaces/batchEndpoints"


def host(name: str, location: str) -> str:
    """Return the host at which an endpoint answers."""
    return f"{name}.{location}.inference.ml.azure.com".lower()


def location_of(context: Context, resource_id: str) -> str:
    """Return the region of the workspace that a resource lies in."""
    workspace = context.store.get(ids.workspace_of(resource_id))
    return str(workspace.body["location"]) if workspace else context.settings.location


def require_free(context: Context, name: str, location: str) -> None:
    """Raise Azure's 400 where an endpoint of this name is in the region already, in whichever workspace."""
    ending = f"/{name.lower()}"
    named_so = Condition("substr(key, ?) = ?", (-len(ending), ending))
    for kind in (ONLINE, BATCH):
        for endpoint in context.store.select(kind, conditions=[named_so]):
            if location_of(context, endpoint.id).lower() == location.lower():
                raise invalid_inference_request(
                    "There is already an endpoint with this name, Endpoint name needs to be unique within a region. "
                    "Try some other name."
                )
