"""Reading back what a deployment has collected, and deleting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from helpers.datastores import datastore_files

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

    container, folder = _place(ml_client, f"{endpoint}-{deployment}-{collection}")
    with container:
        rows = [
            {"time": pd.Timestamp(event["time"]), **row, "correlationid": event["correlationid"]}
            for event in _events(container, folder)
            for row in _data(container, event)
        ]
    columns = None if rows else ["time", "correlationid"]
    return pd.DataFrame(rows, columns=columns).set_index("time").sort_index(kind="stable")


def delete_collected(ml_client: MLClient, endpoint: str, deployment: str, collection: str) -> None:
    """Delete the files of a collection: they stay when the deployment is deleted, or its data asset archived."""
    container, folder = _place(ml_client, f"{endpoint}-{deployment}-{collection}")
    with container:
        for name in container.list_blob_names(name_starts_with=folder):
            container.delete_blob(name)


def _place(ml_client: MLClient, asset: str) -> tuple[ContainerClient, str]:
    """Return where a data asset's files are: the container, and the folder in it."""
    path = ml_client.data.get(asset, version="1").path
    store, _, folder = path.partition("/datastores/")[2].partition("/paths/")
    return datastore_files(ml_client, store), folder.rstrip("/") + "/"


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
