"""Who asks Azure where a helper does so itself."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

RESOURCE_MANAGER = "https://management.azure.com"


@functools.cache
def _credential() -> DefaultAzureCredential:
    """One for the process: it keeps its token, and what a new one would first ask of the directory."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def resource_manager_token() -> str:
    """Return a token for Azure Resource Manager."""
    return _credential().get_token(f"{RESOURCE_MANAGER}/.default").token
