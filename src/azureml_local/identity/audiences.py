"""The resources that a token can be asked for, by the identifiers that Azure accepts for each."""

from __future__ import annotations

ARM = ("https://management.azure.com", "https://management.core.windows.net")
MACHINE_LEARNING = ("https://ml.azure.com",)
STORAGE = ("https://storage.azure.com",)
LOG_ANALYTICS = ("https://api.loganalytics.io", "https://api.loganalytics.azure.com")
KEY_VAULT = ("https://vault.azure.net",)

# The programmatic id of Azure Databricks: https://learn.microsoft.com/azure/databricks/dev-tools/auth/aad-token-manual
DATABRICKS = ("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",)

# What Azure's clients ask of again and again. They renew a token five minutes before its end: one that lived a minute
# only, as the lessons' clock would have it, they would renew before each request.
OF_CLIENTS = frozenset((*ARM, *STORAGE, *LOG_ANALYTICS, *KEY_VAULT, *DATABRICKS))
KNOWN = OF_CLIENTS | frozenset(MACHINE_LEARNING)


def of_jobs(workspace: str) -> str:
    """Return the audience of the tokens that the jobs of a workspace are given; nobody can ask for one.

    Args:
        workspace: the workspace's GUID, which none has again that is made later under the same name.
    """
    return f"https://api.azureml.ms/workspaces/{workspace}"


def of_online_endpoint(endpoint_id: str, created_at: str) -> str:
    """Return the audience of the tokens of an online endpoint; the endpoint alone gives them out.

    Args:
        endpoint_id: the endpoint's resource id.
        created_at: when it was created, which none shares that is made later under the same name.
    """
    return f"https://ml.azure.com{endpoint_id.lower()}?createdAt={created_at}"


def is_known(resource: str) -> bool:
    """Say whether ``resource``, with or without its trailing slashes, can be asked for."""
    return resource.rstrip("/") in KNOWN
