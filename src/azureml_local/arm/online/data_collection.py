"""The member ``dataCollector`` of a deployment: which collections it has, and where their data goes.

https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data has the settings, and
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online the defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.storage import datastores
from azureml_local.arm.storage.storage_locations import locate
from azureml_local.engines.data_collection.settings import Collection, CollectionSettings
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import AzureError, FrontendError, invalid_inference_request
from azureml_local.store import Resource

FOLDER = "modelDataCollector"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")  # it becomes a folder
NEVER_CAPTURED = frozenset(("authorization", "proxy-authorization", "cookie"))


def read(context: Context, sent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the member with Azure's defaults.

    Args:
        context: the service's parts.
        sent: as the client sent it; None where the deployment collects nothing.

    Raises:
        AzureError: 400 where a setting is wrong, or names what does not exist.
    """
    if not sent:
        return None
    collections = sent["collections"]
    headers = (sent.get("requestLogging") or {}).get("captureHeaders")
    _require_capturable(headers or [])
    return {
        "collections": {name: _collection(context, name, value or {}) for name, value in collections.items()},
        "requestLogging": {"captureHeaders": headers} if headers else None,
        "rollingRate": sent.get("rollingRate") or "Hour",
    }


def settings(context: Context, deployment: Resource, workspace_id: str) -> CollectionSettings | None:
    """Return what a deployment is to collect, and where to; None for one that collects nothing."""
    collector = deployment.properties.get("dataCollector") or {"collections": {}}
    collections = {
        name.lower(): _placed(context, deployment, workspace_id, name, value)
        for name, value in collector["collections"].items()
        if value["dataCollectionMode"] == "Enabled"
    }
    if not collections:
        return None
    headers = (collector.get("requestLogging") or {}).get("captureHeaders") or []
    captured = tuple(name.lower() for name in headers)
    return CollectionSettings(deployment.id, collections, collector["rollingRate"], captured)


def _collection(context: Context, name: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    path = f"dataCollector.collections.{name[:64]}"
    if not NAME.fullmatch(name):
        raise invalid_inference_request(
            f"{path} is no name of a collection: it has letters, digits, '-', '_' and '.', at most 255 of them."
        )
    rate = sent.get("samplingRate")
    rate = 1.0 if rate is None else float(rate)
    if not 0 <= rate <= 1:
        raise invalid_inference_request(
            f"{path}.samplingRate is {rate:g}; it must be 0.0 to 1.0, 1.0 for all requests."
        )
    if sent.get("dataId"):
        _require_folder(context, f"{path}.dataId", sent["dataId"])
    return {
        "clientId": None,
        "dataCollectionMode": sent.get("dataCollectionMode") or "Disabled",
        "dataId": sent.get("dataId"),
        "samplingRate": rate,
    }


def _require_folder(context: Context, path: str, data_id: str) -> None:
    """Raise 400 unless there is such a data asset, and it is a folder in storage that is served."""
    try:
        data = assets.resolve(context, data_id, "data")
        _place_of(context, data)
    except AzureError as error:
        detail = error.detail if isinstance(error, FrontendError) else None
        message = detail[1] if detail else error.message
        raise invalid_inference_request(f"{path}: {message}") from error
    if data.properties["dataType"] != "uri_folder":
        raise invalid_inference_request(
            f"{path} is a data asset of type {data.properties['dataType']}; it must be uri_folder."
        )


def _require_capturable(headers: list[str]) -> None:
    for name in headers:
        if name.lower() in NEVER_CAPTURED:
            raise invalid_inference_request(
                f"dataCollector.requestLogging.captureHeaders has '{name}', which carries secrets: it is not captured."
            )


def _placed(
    context: Context, deployment: Resource, workspace_id: str, name: str, collection: Mapping[str, Any]
) -> Collection:
    if collection["dataId"]:
        place = _place_of(context, assets.resolve(context, collection["dataId"], "data"))
    else:
        workspace = context.store.get(workspace_id)
        assert workspace is not None  # noqa: S101 - the deployment lies in it
        endpoint, _, deployment_name = deployment.id.rpartition("/onlineEndpoints/")[2].partition("/deployments/")
        container = datastores.blobstore_container(workspace.properties["workspaceId"])
        place = BlobPath(container, f"{FOLDER}/{endpoint}/{deployment_name}/{name}")
    return Collection(place.container, place.path, collection["samplingRate"])


def _place_of(context: Context, data: Resource) -> BlobPath:
    workspace_id = data.id.rpartition("/data/")[0]
    return locate(context, workspace_id, data.properties["dataUri"])
