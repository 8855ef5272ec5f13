"""The resources that a token can be asked for, by the identifiers that Azure accepts for each."""

from __future__ import annotations

ARM = ("https://management.azure.com", "https://management.core.windows.net")
MACHINE_LEARNING = ("https://ml.azure.com",)
STORAGE = ("https://storage.azure.com",)
LOG_ANALYTICS = ("https://api.loganalytics.io", "https://api.loganalytics.azure.com")
KEY_VAULT = ("https://vault.azure.net",)

KNOWN = frozenset((*ARM, *MACHINE_LEARNING, *STORAGE, *LOG_ANALYTICS, *KEY_VAULT))


def of_jobs(workspace: str) -> str:
    """Return the audience of the tokens that the jobs of a workspace are given; nobody can ask for one.

    Args:
        workspace: the workspace's GUID, which none has again that is made later under the same name.
    """
    return f"https://api.azureml.ms/workspaces/{workspace}"


def is_known(resource: str) -> bool:
    """Say whether ``resource``, with or without its trailing slashes, can be asked for."""
    return resource.rstrip("/") in KNOWN
