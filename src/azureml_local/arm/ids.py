"""Resource ids as Azure writes them.

Ids compare without regard to case; what is returned has Azure's exact case, because clients match it exactly.
"""

from __future__ import annotations

import re

PROVIDER = "Microsoft.MachineLearningServices"
AUTHORIZATION = "Microsoft.Authorization"
SUBSCRIPTION = "/subscriptions/{subscription}"
RESOURCE_GROUP = SUBSCRIPTION + "/resourceGroups/{resource_group}"
WORKSPACES = RESOURCE_GROUP + f"/providers/{PROVIDER}/workspaces"
WORKSPACE = WORKSPACES + "/{workspace}"
LOCATION = SUBSCRIPTION + f"/providers/{PROVIDER}/locations/{{location}}"
STORAGE_ACCOUNT = RESOURCE_GROUP + "/providers/Microsoft.Storage/storageAccounts/{account}"
CONTAINER = STORAGE_ACCOUNT + "/blobServices/default/containers/{container}"

_WORKSPACE_ASSET = re.compile(
    rf"^(?:azureml:)?(?P<workspace>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(PROVIDER)}"
    r"/workspaces/[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<by>versions|labels)/(?P<version>[^/]+)$",
    re.IGNORECASE,
)
_DATASTORE_PATH = re.compile(
    r"^azureml://(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<resource_group>[^/]+)"
    r"/workspaces/(?P<workspace>[^/]+)/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)$",
    re.IGNORECASE,
)


def parse_asset(text: str) -> re.Match[str] | None:
    """Match the id of a workspace's asset; groups ``workspace kind name by version``."""
    return _WORKSPACE_ASSET.match(text)


def parse_datastore_path(text: str) -> re.Match[str] | None:
    """Match an ``azureml://`` URI; groups ``subscription resource_group workspace datastore path``."""
    return _DATASTORE_PATH.match(text)


def datastore_path(workspace_id: str, datastore: str, path: str) -> str:
    """Return the ``azureml://`` URI of a path in a workspace's datastore, as Azure writes it for models."""
    _, _, subscription, _, group, *_, workspace = workspace_id.split("/")
    return (
        f"azureml://subscriptions/{subscription}/resourceGroups/{group}/workspaces/{workspace}"
        f"/datastores/{datastore}/paths/{path}"
    )
