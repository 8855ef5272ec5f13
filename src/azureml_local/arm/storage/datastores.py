"""Datastores: names for storage, whose secrets are kept apart and given out by ``listSecrets`` only."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Condition, Order, Resource

DATASTORE = ids.WORKSPACE + "/datastores/{datastore}"
TYPE = "workspaces/datastores"
ARTIFACT_CONTAINER = "azureml"
# The same in every workspace: https://learn.microsoft.com/azure/machine-learning/prompt-flow/how-to-deploy-to-code
WORKING_SHARE = "code-391ff5ac-6576-460f-ba4d-7e03433c68b6"
ENDPOINT = "core.windows.net"
PAGE_SIZE = 30  # the OpenAPI's default of count
ORDERS = {"createdtime": "sequence", "modifiedtime": "modified_at", "name": "key"}

routes = ArmRoutes()


def blobstore_container(workspace_guid: str) -> str:
    """Return the container of a workspace's default datastore."""
    return f"azureml-blobstore-{workspace_guid}"


def add_defaults(context: Context, workspace: Resource, principal: str) -> None:
    """Give a workspace the four datastores that Azure gives it."""
    guid = workspace.properties["workspaceId"]
    places = {
        "workspaceblobstore": {"datastoreType": "AzureBlob", "containerName": blobstore_container(guid)},
        "workspaceartifactstore": {"datastoreType": "AzureBlob", "containerName": ARTIFACT_CONTAINER},
        "workspacefilestore": {"datastoreType": "AzureFile", "fileShareName": f"azureml-filestore-{guid}"},
        "workspaceworkingdirectory": {"datastoreType": "AzureFile", "fileShareName": WORKING_SHARE},
    }
    for name, place in places.items():
        properties = {
            "description": None,
            "tags": None,
            "properties": None,
            "isDefault": name == "workspaceblobstore",
            "credentials": {"credentialsType": "AccountKey"},
            "accountName": context.settings.storage_account,
            "endpoint": ENDPOINT,
            "protocol": "https",
            "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
            **place,
        }
        resource_id = f"{workspace.id}/datastores/{name}"
        context.store.put(resource_id, TYPE, workspace.id, {"properties": properties}, principal)
        context.store.put_secret(resource_id, {"secretsType": "AccountKey", "key": context.settings.storage_key})


def get_in(context: Context, workspace_id: str, name: str) -> Resource:
    """Return a datastore, or raise Azure's 404."""
    datastore = context.store.get(f"{workspace_id}/datastores/{name}")
    if datastore is None:
        raise FrontendError(404, "UserError", f"Could not find datastore: {name}.", inner=("NotFoundError",))
    return datastore


@routes.route("GET", ids.WORKSPACE + "/datastores")
async def list_datastores(request: ArmRequest) -> Response:
    """List a workspace's datastores: the default one, those with some names, or whose names hold a text."""
    conditions = []
    is_default = listing.flag(request, "isDefault")
    if is_default is not None:
        conditions.append(Condition("json_extract(body, '$.properties.isDefault') = ?", (is_default,)))
    parent = f"{request.workspace_id}/datastores/"
    names = [name.strip() for name in request.query.get("names", "").split(",") if name.strip()]
    if names:
        conditions.append(listing.with_ids([parent + name for name in names]))
    text = request.query.get("searchtext", "").lower()
    conditions.append(Condition("instr(substr(key, ?), ?)", (len(parent) + 1, text)))
    ascending = listing.flag(request, "orderByAsc")
    column = listing.choice(request, "orderBy", ORDERS, None)
    order = Order(column, not ascending) if column else listing.OLDEST_FIRST
    return listing.page(request, TYPE, request.workspace_id, conditions, order, size=listing.count(request, PAGE_SIZE))


@routes.route("GET", DATASTORE)
async def get(request: ArmRequest) -> Response:
    """Return a datastore, without its secret."""
    return JSONResponse(get_in(request.context, request.workspace_id, request.params["datastore"]).to_json())


@routes.route("PUT", DATASTORE)
async def create_or_update(request: ArmRequest) -> Response:
    """Create or replace a datastore; its secret is taken out of the body and kept apart.

    An update without a secret, such as azure-ai-ml makes of what it got, leaves the present one. Which datastore is
    the default one cannot be set here (``isDefault`` is read-only).
    """
    request.read("Datastore")
    require_asset_name(request.params["datastore"], "Datastore")
    sent = request.properties
    credentials = dict(sent["credentials"])
    secret = credentials.pop("secrets", None)
    properties = {
        "description": None,
        "tags": {},
        "properties": None,
        "isDefault": False,
        "serviceDataAccessAuthIdentity": "None",
        **sent,
        "credentials": credentials,
    }
    resource_id = DATASTORE.format(**request.params)
    known = request.context.store.get(resource_id)
    if known:
        properties["isDefault"] = known.properties["isDefault"]
    with request.context.store.transaction():
        datastore = request.put(resource_id, TYPE, request.workspace_id, {"properties": properties})
        if secret and any(value for name, value in secret.items() if name != "secretsType"):
            request.context.store.put_secret(resource_id, secret)
    headers = None if known else {"Location": request.url({})}
    return JSONResponse(datastore.to_json(), 200 if known else 201, headers=headers)


@routes.route("DELETE", DATASTORE)
async def delete(request: ArmRequest) -> Response:
    """Delete a datastore, not its data. The default datastore cannot be deleted."""
    datastore = request.context.store.get(DATASTORE.format(**request.params))
    if datastore is None:
        return Response(status_code=204)
    if datastore.properties.get("isDefault"):
        raise FrontendError(400, "UserError", f"The default datastore '{datastore.name}' cannot be deleted.")
    request.context.store.delete(datastore.id)
    return Response(status_code=200)


@routes.route("POST", DATASTORE + "/listSecrets")
async def list_secrets(request: ArmRequest) -> Response:
    """Return a datastore's secret; as a shared access signature where the caller asks for one that expires."""
    request.read("SecretExpiry")
    datastore = get_in(request.context, request.workspace_id, request.params["datastore"])
    secret = request.context.store.get_secret(datastore.id)
    if secret is None:
        raise FrontendError(400, "UserError", f"Datastore '{datastore.name}' has no credentials.")
    # azure-ai-ml takes what it gets of this datastore for the account's key, and signs the addresses of logs with it
    # (_artifacts/_artifact_utilities.py, list_logs_in_datastore).
    is_of_logs = datastore.name.lower() == "workspaceartifactstore"
    if request.body.get("expirableSecret") and secret.get("secretsType") == "AccountKey" and not is_of_logs:
        hours = request.body.get("expireAfterHours") or 1
        if not 0 < hours <= 24 * 7:
            raise AzureError(400, "BadArgument", f"expireAfterHours must be 1 to 168, not '{hours}'.")
        return JSONResponse(_as_sas(request.context, datastore, secret, hours))
    return JSONResponse(secret)


def _as_sas(context: Context, datastore: Resource, secret: dict[str, Any], hours: int) -> dict[str, Any]:
    account = datastore.properties["accountName"]
    if account != context.settings.storage_account:
        return secret
    return {"secretsType": "Sas", "sasToken": "?" + context.blobs.account_sas(hours)}
