"""Resource ids as Azure writes them.

Ids compare without regard to case; what is returned has Azure's exact case, because clients match it exactly.
"""

from __future__ import annotations

import re

PROVIDER = "Microsoft.MachineLearningServices"
AUTHORIZATION = "Microsoft.Authorization"
INSIGHTS = "Microsoft.Insights"
MANAGED_IDENTITY = "Microsoft.ManagedIdentity"
KEY_VAULT = "Microsoft.KeyVault"
OPERATIONAL_INSIGHTS = "Microsoft.OperationalInsights"
STORAGE = "Microsoft.Storage"
DATABRICKS = "Microsoft.Databricks"
# Providers of what belongs to another provider's resource: their ids are appended to its id.
EXTENSIONS = (AUTHORIZATION, INSIGHTS, MANAGED_IDENTITY)
SUBSCRIPTION = "/subscriptions/{subscription}"
RESOURCE_GROUP = SUBSCRIPTION + "/resourceGroups/{resource_group}"
WORKSPACES = RESOURCE_GROUP + f"/providers/{PROVIDER}/workspaces"
WORKSPACE = WORKSPACES + "/{workspace}"
ML_REGISTRIES = RESOURCE_GROUP + f"/providers/{PROVIDER}/registries"
ML_REGISTRY = ML_REGISTRIES + "/{asset_registry}"  # of Azure ML's assets; REGISTRY is one of container images
LOCATION = SUBSCRIPTION + f"/providers/{PROVIDER}/locations/{{location}}"
STORAGE_ACCOUNTS = RESOURCE_GROUP + f"/providers/{STORAGE}/storageAccounts"
STORAGE_ACCOUNT = STORAGE_ACCOUNTS + "/{account}"
CONTAINER = STORAGE_ACCOUNT + "/blobServices/default/containers/{container}"
REGISTRY = RESOURCE_GROUP + "/providers/Microsoft.ContainerRegistry/registries/{registry}"
USER_ASSIGNED_IDENTITIES = RESOURCE_GROUP + f"/providers/{MANAGED_IDENTITY}/userAssignedIdentities"
USER_ASSIGNED_IDENTITY = USER_ASSIGNED_IDENTITIES + "/{identity}"
VAULTS = RESOURCE_GROUP + f"/providers/{KEY_VAULT}/vaults"
VAULT = VAULTS + "/{vault}"
VAULT_SECRET = VAULT + "/secrets/{secret}"
LOG_WORKSPACES = RESOURCE_GROUP + f"/providers/{OPERATIONAL_INSIGHTS}/workspaces"
LOG_WORKSPACE = LOG_WORKSPACES + "/{log_workspace}"
AUTOSCALE_SETTING = RESOURCE_GROUP + f"/providers/{INSIGHTS}/autoscalesettings/{{autoscale_setting}}"
DATABRICKS_WORKSPACES = RESOURCE_GROUP + f"/providers/{DATABRICKS}/workspaces"
DATABRICKS_WORKSPACE = DATABRICKS_WORKSPACES + "/{databricks_workspace}"

_ASSET = re.compile(
    rf"^(?:azureml:)?(?:(?P<root>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(PROVIDER)}"
    r"/(?:workspaces|registries)/[^/]+)|azureml://registries/(?P<registry>[^/]+))/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<by>versions|labels)/(?P<version>[^/]+)$",
    re.IGNORECASE,
)
_DATASTORE_PATH = re.compile(
    r"^azureml://(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<resource_group>[^/]+)"
    r"/workspaces/(?P<workspace>[^/]+)/)?datastores/(?P<datastore>[^/]+)/(?:paths/)?(?P<path>.*)$",
    re.IGNORECASE,
)
_JOB_PATH = re.compile(
    r"^(?:azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths)?|runs:/(?P<run>[^/]+))(?:/(?P<path>.*))?$",
    re.IGNORECASE,
)
_SHORT_ASSET = re.compile(r"^azureml:(?!/)(?P<name>[^:@/]+)(?::(?P<version>[^/]+)|@(?P<label>[^/]+))$", re.IGNORECASE)
_INTERNAL_ASSET = re.compile(
    r"^azureml://locations/[^/]+/workspaces/(?P<guid>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$",
    re.IGNORECASE,
)


def workspace_of(resource_id: str) -> str:
    """Return the id of the workspace that a resource lies in: the first nine segments, whatever names they hold."""
    return "/".join(resource_id.split("/")[:9])


def parse_asset(text: str) -> re.Match[str] | None:
    """Match the id of an asset; groups ``root registry kind name by version``.

    It lies in a workspace or a registry with the id ``root``, or in a registry with the name ``registry``.
    """
    return _ASSET.match(text)


def parse_datastore_path(text: str) -> re.Match[str] | None:
    """Match an ``azureml://`` URI; groups ``subscription resource_group workspace datastore path``."""
    return _DATASTORE_PATH.match(text)


def parse_job_path(text: str) -> re.Match[str] | None:
    """Match the URI of what a job wrote: ``azureml://jobs/…/outputs/…`` (groups ``job output path``), ``runs:/…``
    (groups ``run path``).
    """
    return _JOB_PATH.match(text)


def parse_short_asset(text: str) -> re.Match[str] | None:
    """Match ``azureml:name:version`` and ``azureml:name@label``; groups ``name version label``."""
    return _SHORT_ASSET.match(text)


def parse_internal_asset(text: str) -> re.Match[str] | None:
    """Match an asset's id as run history writes it, by its workspace's guid; groups ``guid kind name version``."""
    return _INTERNAL_ASSET.match(text)


def datastore_path(workspace_id: str, datastore: str, path: str) -> str:
    """Return the ``azureml://`` URI of a path in a workspace's datastore, as Azure writes it for models."""
    _, _, subscription, _, group, *_, workspace = workspace_id.split("/")
    return (
        f"azureml://subscriptions/{subscription}/resourceGroups/{group}/workspaces/{workspace}"
        f"/datastores/{datastore}/paths/{path}"
    )
