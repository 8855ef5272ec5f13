"""Databricks workspaces for tests: made through Resource Manager, and their clients."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from azure.identity import ClientSecretCredential
from databricks.sdk import WorkspaceClient

from azureml_local.home import Settings

TYPE = "Microsoft.Databricks/workspaces"
API_VERSION = "2024-05-01"
SECONDS = 60
RUNTIME, NODE = "15.4.x-scala2.12", "Standard_DS3_v2"


def resource_id(settings: Settings, name: str) -> str:
    """Return the id of a Databricks workspace."""
    group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
    return f"{group}/providers/{TYPE}/{name}"


def arm_request(settings: Settings, method: str, path: str, json: Any = None) -> requests.Response:
    """Send a request to Resource Manager as the installation's own identity."""
    credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    token = credential.get_token("https://management.azure.com/.default").token
    return requests.request(
        method,
        f"https://management.azure.com{path}?api-version={API_VERSION}",
        json=json,
        headers={"Authorization": f"Bearer {token}"},
        timeout=SECONDS,
    )


@contextmanager
def new_workspace(settings: Settings) -> Iterator[str]:
    """Make a Databricks workspace and yield its resource id; it is deleted afterwards."""
    made = resource_id(settings, "dbw-" + uuid.uuid4().hex[:10])
    managed = f"/subscriptions/{settings.subscription_id}/resourceGroups/managed"
    body = {"location": "eastus", "sku": {"name": "premium"}, "properties": {"managedResourceGroupId": managed}}
    answer = arm_request(settings, "PUT", made, body)
    assert answer.status_code == 201, answer.text
    yield made
    deleted = arm_request(settings, "DELETE", made)
    assert deleted.status_code == 200, deleted.text


def client(settings: Settings, workspace_id: str, **options: Any) -> WorkspaceClient:
    """Return a client that signs in as the installation's own identity, as the documentation of Azure has it."""
    return WorkspaceClient(
        azure_workspace_resource_id=workspace_id,
        azure_client_id=settings.client_id,
        azure_client_secret=settings.client_secret,
        azure_tenant_id=settings.tenant_id,
        **options,
    )
