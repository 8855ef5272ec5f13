"""Reading back what a deployment has collected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import pandas as pd
    from azure.ai.ml import MLClient
    from azure.storage.blob import ContainerClient


def collected(ml_client: MLClient, endpoint: str, deployment: str, collection: str) -> pd.DataFrame:
    """Return the rows of a collection of tables, in the order of their time; empty where there are none yet.

    Args:
        ml_client: the connected workspace.
        endpoint: the endpoint's name.
        deployment: the deployment's name.
        collection: the collection's, e.g. ``"model_inputs"``; any but ``request`` and ``response`` holds tables.

    Returns:
        A row for each row that the scoring script has collected, indexed by ``time`` (UTC, in seconds). Its columns
        are the table's, and ``correlationid``, which an input shares with its output.

    The form of the files: https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data.
    """
    import pandas as pd

    asset = ml_client.data.get(f"{endpoint}-{deployment}-{collection}", version="1")
    store, _, folder = asset.path.partition("/datastores/")[2].partition("/paths/")
    with _container(ml_client, store) as container:
        rows = [
            {"time": pd.Timestamp(event["time"]), **row, "correlationid": event["correlationid"]}
            for event in _events(container, folder.rstrip("/") + "/")
            for row in _data(container, event)
        ]
    columns = None if rows else ["time", "correlationid"]
    return pd.DataFrame(rows, columns=columns).set_index("time").sort_index(kind="stable")


def _container(ml_client: MLClient, store: str) -> ContainerClient:
    """Return the container of a datastore, with the key that the workspace keeps of it, or else as who you are."""
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient

    datastore = ml_client.datastores.get(store, include_secrets=True)
    credentials = datastore.credentials
    key = getattr(credentials, "account_key", None) or getattr(credentials, "sas_token", None)
    address = f"https://{datastore.account_name}.blob.{datastore.endpoint}"
    return ContainerClient(address, datastore.container_name, credential=key or DefaultAzureCredential())


def _events(container: ContainerClient, folder: str) -> Iterator[dict[str, Any]]:
    for name in container.list_blob_names(name_starts_with=folder):
        if name.endswith(".jsonl"):
            yield from (json.loads(line) for line in container.download_blob(name).readall().splitlines())


def _data(container: ContainerClient, event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an event's rows; those of more than 4 MB have a blob of their own."""
    if "dataref" not in event:
        rows: list[dict[str, Any]] = event["data"]
        return rows
    name = unquote(urlsplit(event["dataref"]).path).partition(f"/{container.container_name}/")[2]
    rows = json.loads(container.download_blob(name).readall())
    return rows
