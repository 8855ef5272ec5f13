"""Storage accounts and their blob containers.

https://learn.microsoft.com/rest/api/storagerp/storage-accounts and blob-containers; azure-mgmt-storage has the models.
Of an account's services, only blobs are there.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.arm.storage.stored_accounts import DOMAIN, TYPE
from azureml_local.engines.blobs import BlobStorage, StoredContainer
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, timestamp

CONTAINERS = ids.STORAGE_ACCOUNT + "/blobServices/default/containers"
CONTAINER_TYPE = f"{TYPE}/blobServices/containers"
READ = f"{TYPE}/read"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
NAME = re.compile(r"[a-z0-9]{3,24}")
CONTAINER_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
KEY_NAMES = ("key1", "key2")
KEY_BYTES = 64
LACKING: Mapping[str, Callable[[Any], bool]] = {
    "allowSharedKeyAccess": lambda allowed: not allowed,
    "isHnsEnabled": bool,
    "networkAcls": lambda rules: rules.get("defaultAction") == "Deny",
    "publicNetworkAccess": lambda access: access != "Enabled",
}

routes = ArmRoutes()


def ensure_own(context: Context) -> None:
    """Write the installation's own account, which workspaces use, where it is not known yet."""
    settings, account_id = context.settings, context.accounts.own.id
    if context.store.get(account_id):
        return
    body = _body(settings.location, "StorageV2", {"name": "Standard_LRS"}, {}, {})
    with context.store.transaction():
        group = account_id.partition("/providers/")[0]
        context.store.put(account_id, TYPE, group, body, settings.client_object_id)
        context.store.put_secret(account_id, _secret({"key1": settings.storage_key, "key2": _new_key()}))


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{TYPE}")
@routes.route("GET", ids.STORAGE_ACCOUNTS)
async def list_all(request: ArmRequest) -> Response:
    """List the accounts that the caller may read: the subscription has one resource group."""
    accounts = request.context.store.all_of(TYPE)
    return JSONResponse({"value": [_json(one) for one in accounts if request.permits(READ, one.id)]})


@routes.route("GET", ids.STORAGE_ACCOUNT)
async def get(request: ArmRequest) -> Response:
    """Return an account."""
    return JSONResponse(_json(_require(request)))


@routes.route("PUT", ids.STORAGE_ACCOUNT)
async def create(request: ArmRequest) -> Response:
    """Create an account, with two keys; one that exists keeps them, and its data."""
    _read(request, "StorageStorageAccountCreateParameters")
    name = request.params["account"]
    if not NAME.fullmatch(name):
        raise AzureError(400, "AccountNameInvalid", _invalid_name(name))
    properties = request.body.get("properties") or {}
    location = require_location(request.body["location"])
    context, known = request.context, _stored(request)
    if known and known.body["location"] != location:
        message = f"The storage account {name} is in the location {known.body['location']}, not in {location}."
        raise AzureError(409, "InvalidResourceLocation", message)
    body = _body(location, request.body["kind"], request.body["sku"], request.body.get("tags") or {}, properties)
    with context.store.transaction():
        account = _put(request, body)
        if known is None:
            context.store.put_secret(account.id, _secret({key: _new_key() for key in KEY_NAMES}))
    context.azurite.write_accounts()
    return JSONResponse(_json(account))


@routes.route("PATCH", ids.STORAGE_ACCOUNT)
async def update(request: ArmRequest) -> Response:
    """Change an account's tags and properties."""
    _read(request, "StorageStorageAccountUpdateParameters")
    account = _require(request)
    tags, properties = request.body.get("tags"), request.body.get("properties") or {}
    changed = account.with_properties(**{name: value for name, value in properties.items() if value is not None})
    body = {**changed.body, "tags": account.body["tags"] if tags is None else tags}
    return JSONResponse(_json(_put(request, body)))


@routes.route("DELETE", ids.STORAGE_ACCOUNT)
async def delete(request: ArmRequest) -> Response:
    """Delete an account with its data, but not the one that workspaces use. 204 where there is none."""
    account = _stored(request)
    if account is None:
        return Response(status_code=204)
    _require_other(request, account, "deleted")
    blobs = _blobs(request, account)
    for container in await blobs.containers():
        await blobs.delete_container(container.name)
    request.context.store.delete(account.id)
    request.context.azurite.write_accounts()
    return Response(status_code=200)


@routes.route("POST", ids.STORAGE_ACCOUNT + "/listKeys")
async def list_keys(request: ArmRequest) -> Response:
    """Return an account's two keys."""
    return _keys(request, _require(request))


@routes.route("POST", ids.STORAGE_ACCOUNT + "/regenerateKey")
async def regenerate_key(request: ArmRequest) -> Response:
    """Replace one of an account's keys; the old one is dead when this answers."""
    request.read("StorageStorageAccountRegenerateKeyParameters", _unreadable)
    account = _require(request)
    name = request.body["keyName"]
    if name not in KEY_NAMES:
        raise AzureError(400, "InvalidValuesForRequestParameters", f"keyName is '{name}'; it must be key1 or key2.")
    _require_other(request, account, "given another key")
    context = request.context
    secret = context.store.get_secret(account.id) or {}
    secret["keys"][name], secret["created"][name] = _new_key(), timestamp()
    context.store.put_secret(account.id, secret)
    context.azurite.write_accounts()
    return _keys(request, account)


@routes.route("POST", f"{ids.SUBSCRIPTION}/providers/{ids.STORAGE}/checkNameAvailability")
async def check_name(request: ArmRequest) -> Response:
    """Say whether an account can have a name."""
    request.read("StorageStorageAccountCheckNameAvailabilityParameters", _unreadable)
    name = request.body["name"]
    if not NAME.fullmatch(name):
        answer = {"nameAvailable": False, "reason": "AccountNameInvalid", "message": _invalid_name(name)}
    elif request.context.accounts.at(name + DOMAIN):
        message = f"The storage account named {name} is already taken."
        answer = {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    else:
        answer = {"nameAvailable": True}
    return JSONResponse(answer)


@routes.route("GET", CONTAINERS)
async def list_containers(request: ArmRequest) -> Response:
    """List an account's containers."""
    account = _require(request)
    containers = await _blobs(request, account).containers()
    return JSONResponse({"value": [_container_json(account, container) for container in containers]})


@routes.route("GET", ids.CONTAINER)
async def get_container(request: ArmRequest) -> Response:
    """Return a container."""
    account = _require(request)
    return JSONResponse(_container_json(account, await _require_container(request, account)))


@routes.route("PUT", ids.CONTAINER)
async def create_container(request: ArmRequest) -> Response:
    """Create a private container, 201; one that exists stays as it is, 200."""
    request.read("StorageBlobContainer", _unreadable)
    account, name = _require(request), request.params["container"]
    if not CONTAINER_NAME.fullmatch(name):
        message = f"The container name '{name}' is invalid. It must have 3 to 63 characters, hold only lower-case "
        message += "letters, digits and single hyphens, and start and end with a letter or digit."
        raise AzureError(400, "InvalidResourceName", message)
    if ((request.body.get("properties") or {}).get("publicAccess") or "None") != "None":
        raise AzureError(501, "NotImplemented", "azureml-local lacks public access to containers.")
    is_new = await _blobs(request, account).create_container(name)
    return JSONResponse(_container_json(account, await _require_container(request, account)), 201 if is_new else 200)


@routes.route("DELETE", ids.CONTAINER)
async def delete_container(request: ArmRequest) -> Response:
    """Delete a container with its blobs; 204 where there is none."""
    is_gone = not await _blobs(request, _require(request)).delete_container(request.params["container"])
    return Response(status_code=204 if is_gone else 200)


def _read(request: ArmRequest, model: str) -> None:
    """Read the body. Raises 400 where it misfits, 501 where it asks for what azureml-local lacks."""
    request.read(model, _unreadable)
    request.refuse_lacking(LACKING)
    if (request.body.get("identity") or {}).get("type", "None") != "None":
        raise AzureError(
            501, "NotImplemented", "azureml-local lacks identities of storage accounts.", target="identity"
        )


def _body(
    location: str, kind: str, sku: Mapping[str, str], tags: Mapping[str, str], properties: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "location": location,
        "tags": dict(tags),
        "kind": kind,
        "sku": {"name": sku["name"], "tier": sku["name"].partition("_")[0]},
        "properties": {
            "accessTier": "Hot",
            "allowBlobPublicAccess": False,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
            **{name: value for name, value in properties.items() if value is not None},
        },
    }


def _secret(keys: Mapping[str, str]) -> dict[str, Any]:
    return {"keys": dict(keys), "created": dict.fromkeys(keys, timestamp())}


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _put(request: ArmRequest, body: dict[str, Any]) -> Resource:
    account_id = ids.STORAGE_ACCOUNT.format(**request.params)
    return request.put(account_id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body)


def _stored(request: ArmRequest) -> Resource | None:
    return request.context.store.get(ids.STORAGE_ACCOUNT.format(**request.params))


def _require(request: ArmRequest) -> Resource:
    account = _stored(request)
    if account is None:
        raise missing(request.params, TYPE, request.params["account"])
    return account


def _require_other(request: ArmRequest, account: Resource, done: str) -> None:
    """Raise 501 for the account that every workspace here uses, with its first key in many places."""
    if account.id == request.context.accounts.own.id:
        message = f"{account.name} is the storage account of every workspace of azureml-local: it cannot be {done}."
        raise AzureError(501, "NotImplemented", message)


async def _require_container(request: ArmRequest, account: Resource) -> StoredContainer:
    name = request.params["container"]
    for container in await _blobs(request, account).containers(name):
        if container.name == name:
            return container
    raise AzureError(404, "ContainerNotFound", "The specified container does not exist.")


def _blobs(request: ArmRequest, account: Resource) -> BlobStorage:
    return request.context.accounts.of(account).blobs


def _keys(request: ArmRequest, account: Resource) -> Response:
    secret = request.context.store.get_secret(account.id) or {}
    keys = [
        {"keyName": name, "value": value, "permissions": "Full", "creationTime": secret["created"][name]}
        for name, value in secret["keys"].items()
    ]
    return JSONResponse({"keys": keys})


def _invalid_name(name: str) -> str:
    return (
        f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in "
        "length and use numbers and lower-case letters only."
    )


def _unreadable(misfit: MisfitError) -> AzureError:
    return AzureError(400, "InvalidRequestPropertyValue", f"The request is invalid. {misfit}", target=misfit.path)


def _json(account: Resource) -> dict[str, Any]:
    location = account.body["location"]
    properties = {
        **account.properties,
        "provisioningState": "Succeeded",
        "creationTime": account.created_at,
        "primaryEndpoints": {"blob": f"https://{account.name}{DOMAIN}/"},
        "primaryLocation": location,
        "statusOfPrimary": "available",
    }
    return {"id": account.id, "name": account.name, "type": TYPE, **account.body, "properties": properties}


def _container_json(account: Resource, container: StoredContainer) -> dict[str, Any]:
    return {
        "id": f"{account.id}/blobServices/default/containers/{container.name}",
        "name": container.name,
        "type": CONTAINER_TYPE,
        "etag": container.etag,
        "properties": {
            "publicAccess": "None",
            "lastModifiedTime": container.modified_at,
            "leaseStatus": "Unlocked",
            "leaseState": "Available",
            "hasImmutabilityPolicy": False,
            "hasLegalHold": False,
        },
    }
