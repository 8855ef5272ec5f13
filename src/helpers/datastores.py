"""The storage behind a datastore, for what the SDK has no call for: files put there, listed and deleted one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.storage.blob import ContainerClient


def datastore_files(ml_client: MLClient, name: str = "workspaceblobstore") -> ContainerClient:
    """Return the blob container of a datastore: a client of ``azure-storage-blob``, by which its files can be handled.

    It is opened with the key that the workspace keeps of it, or else as who you are.

    Args:
        ml_client: the connected workspace.
        name: the datastore's.
    """
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient

    datastore = ml_client.datastores.get(name, include_secrets=True)
    credentials = datastore.credentials
    key = getattr(credentials, "account_key", None) or getattr(credentials, "sas_token", None)
    address = f"https://{datastore.account_name}.blob.{datastore.endpoint}"
    return ContainerClient(address, datastore.container_name, credential=key or DefaultAzureCredential())
