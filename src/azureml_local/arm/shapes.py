"""What a request's JSON must look like: tables of members and types, checked before a handler reads anything.

A shape is a type, :data:`TEXT`, a mapping of known members to their shapes (others are let through),
:class:`MapOf` or :class:`OneOf`. ``null`` fits everywhere, as it does on Azure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.http.errors import AzureError


@dataclass(frozen=True)
class MapOf:
    """An object with any names, whose values have one shape."""

    values: Any


@dataclass(frozen=True)
class OneOf:
    """One of some words, in any case."""

    words: tuple[str, ...]


NAMES = {str: "text", int: "a whole number", bool: "true or false", dict: "an object"}
SCALARS = (str, int, float, bool)
TEXT = object()  # any scalar, which Azure turns into text
TEXTS = MapOf(TEXT)
TAGS = TEXTS
IDENTITY = {"type": str, "userAssignedIdentities": MapOf(dict)}
ASSET = {"description": str, "tags": TAGS, "properties": TEXTS, "isArchived": bool, "isAnonymous": bool}
PROBE = {
    "failureThreshold": int,
    "successThreshold": int,
    "timeout": str,
    "period": str,
    "initialDelay": str,
}

WORKSPACE = {
    "location": str,
    "kind": str,
    "tags": TAGS,
    "identity": IDENTITY,
    "properties": {"friendlyName": str, "description": str, "publicNetworkAccess": str, "imageBuildCompute": str},
}
TEMPLATE_DEPLOYMENT = {"properties": {"parameters": MapOf({})}}
DATASTORE = {
    "properties": {
        "description": str,
        "tags": TAGS,
        "properties": TEXTS,
        "isDefault": bool,
        "datastoreType": str,
        "accountName": str,
        "containerName": str,
        "fileShareName": str,
        "credentials": {"credentialsType": str, "secrets": dict},
    }
}
LIST_SECRETS = {"expirableSecret": bool, "expireAfterHours": int}
CODE = {"properties": {**ASSET, "codeUri": str}}
PENDING_UPLOAD = {"pendingUploadId": str, "pendingUploadType": str}
CONTAINER = {"properties": ASSET}
VERSIONS: Mapping[str, Mapping[str, Any]] = {
    "models": {"properties": {**ASSET, "modelUri": str, "modelType": str, "flavors": MapOf(dict), "stage": str}},
    "environments": {"properties": {**ASSET, "image": str, "condaFile": str, "build": dict, "osType": str}},
    "data": {
        "properties": {**ASSET, "dataUri": str, "dataType": OneOf(("uri_file", "uri_folder", "mltable"))},
    },
    "components": {"properties": {**ASSET, "componentSpec": dict}},
}
ONLINE_ENDPOINT = {
    "location": str,
    "tags": TAGS,
    "identity": IDENTITY,
    "properties": {
        "description": str,
        "properties": TEXTS,
        "authMode": str,
        "compute": str,
        "publicNetworkAccess": OneOf(("Enabled", "Disabled")),
        "traffic": MapOf(int),
        "mirrorTraffic": MapOf(int),
        "keys": {"primaryKey": str, "secondaryKey": str},
    },
}
REGENERATE_KEYS = {"keyType": str, "keyValue": str}
ONLINE_DEPLOYMENT = {
    "location": str,
    "tags": TAGS,
    "identity": IDENTITY,
    "sku": {"name": str, "capacity": int},
    "properties": {
        "description": str,
        "properties": TEXTS,
        "endpointComputeType": str,
        "instanceType": str,
        "model": str,
        "modelMountPath": str,
        "environmentId": str,
        "environmentVariables": TEXTS,
        "codeConfiguration": {"codeId": str, "scoringScript": str},
        "requestSettings": {
            "requestTimeout": str,
            "maxQueueWait": str,
            "maxConcurrentRequestsPerInstance": int,
        },
        "scaleSettings": {"scaleType": str},
        "livenessProbe": PROBE,
        "readinessProbe": PROBE,
        "appInsightsEnabled": bool,
        "egressPublicNetworkAccess": OneOf(("Enabled", "Disabled")),
    },
}
GET_LOGS = {"containerType": OneOf(("InferenceServer", "StorageInitializer")), "tail": int}


def fit(value: Any, shape: Any, path: str = "") -> Any:
    """Return ``value`` as Azure keeps it: scalars are text where Azure keeps text.

    Raises:
        AzureError: 400 ``RequestInvalid``, naming the member that does not have its shape.
    """
    if value is None:
        return None
    if shape is TEXT:
        if not isinstance(value, SCALARS):
            raise _wrong(path, value, NAMES[str])
        return value if isinstance(value, str) else str(value)
    if isinstance(shape, OneOf):
        if not isinstance(value, str) or value.lower() not in {word.lower() for word in shape.words}:
            raise _wrong(path, value, f"one of {', '.join(shape.words)}")
        return value
    if isinstance(shape, MapOf):
        _require_type(value, dict, path)
        return {name: fit(item, shape.values, f"{path}.{name}") for name, item in value.items()}
    if isinstance(shape, Mapping):
        _require_type(value, dict, path)
        known = {name: fit(value[name], shape[name], f"{path}.{name}".lstrip(".")) for name in shape if name in value}
        return {**value, **known}
    _require_type(value, shape, path)
    return value


def _require_type(value: Any, wanted: type, path: str) -> None:
    # In Python, though not in JSON, true and false are numbers.
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise _wrong(path, value, NAMES[wanted])


def _wrong(path: str, value: Any, wanted: str) -> AzureError:
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}..."
    return AzureError(400, "RequestInvalid", f"'{path}' is {shown}; it must be {wanted}.", target=path)
