"""Log Analytics workspaces: where resource logs go, and how long they are kept.

https://learn.microsoft.com/rest/api/loganalytics/workspaces; azure-mgmt-loganalytics has the models. One that is
deleted without ``force`` comes back, with its records, when it is created again within 14 days:
https://learn.microsoft.com/azure/azure-monitor/logs/delete-workspace
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, Store, timestamp

TYPE = f"{ids.OPERATIONAL_INSIGHTS}/workspaces"
READ = f"{TYPE}/read"
DELETED_TYPE = f"{ids.OPERATIONAL_INSIGHTS}/deletedWorkspaces"
DELETED = ids.RESOURCE_GROUP + f"/providers/{DELETED_TYPE}/{{log_workspace}}"
RECOVERABLE_DAYS = 14
# The pattern in the OpenAPI (Microsoft.OperationalInsights 2025-07-01).
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]")
SKU = "PerGB2018"
# Days, by pricing tier: https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#legacy-pricing-tiers
RETENTION: Mapping[str, range] = {"Free": range(7, 8), "Standard": range(30, 31), "Premium": range(365, 366)}
USUAL_RETENTION = range(30, 731)
LACKING: Mapping[str, Callable[[Any], bool]] = {
    "workspaceCapping": lambda capping: capping.get("dailyQuotaGb") not in (None, -1),
    "publicNetworkAccessForIngestion": lambda access: access != "Enabled",
    "publicNetworkAccessForQuery": lambda access: access != "Enabled",
    "replication": lambda replication: bool(replication.get("enabled")),
    "failover": bool,
    "forceCmkForQuery": bool,
    "defaultDataCollectionRuleResourceId": bool,
}

routes = ArmRoutes()


def retention(store: Store) -> dict[str, int]:
    """Return how many days each workspace keeps its records, by guid; also those that can still come back."""
    recoverable = [one for one in store.all_of(DELETED_TYPE) if one.modified_at >= timestamp(RECOVERABLE_DAYS)]
    return {
        one.properties["customerId"]: one.properties["retentionInDays"] for one in (*store.all_of(TYPE), *recoverable)
    }


def provision(
    store: Store, workspace_id: str, *, location: str, properties: Mapping[str, Any], tags: Mapping[str, str], by: str
) -> Resource:
    """Create a workspace, bring back one that was deleted, or update the one that exists.

    Raises:
        AzureError: 400 where the name or the retention breaks Azure's rules, 409 where a deleted workspace of that name
            lies elsewhere.
    """
    name = workspace_id.rpartition("/")[2]
    if not NAME.fullmatch(name):
        raise AzureError(
            400,
            "InvalidResourceName",
            f"The workspace name '{name}' is invalid. It must have 4 to 63 characters, hold only letters, digits and "
            "'-', and neither begin nor end with '-'.",
            target="name",
        )
    location = require_location(location)
    known = store.get(workspace_id) or _recoverable(store, workspace_id, location)
    former = known.properties if known else {"customerId": str(uuid.uuid4()), "createdDate": timestamp()}
    kept = {**former, **{member: value for member, value in properties.items() if value is not None}}
    sku = {"name": SKU, "lastSkuUpdate": former["createdDate"], **(kept.get("sku") or {})}
    body = {
        "location": location,
        "tags": dict(tags),
        "properties": {
            **kept,
            "sku": sku,
            "retentionInDays": _retention(sku["name"], kept.get("retentionInDays")),
            "features": {"enableLogAccessUsingOnlyResourcePermissions": True, **(kept.get("features") or {})},
            "workspaceCapping": {"dailyQuotaGb": -1.0, "dataIngestionStatus": "RespectQuota"},
            "publicNetworkAccessForIngestion": "Enabled",
            "publicNetworkAccessForQuery": "Enabled",
            "modifiedDate": timestamp(),
            "provisioningState": "Succeeded",
        },
    }
    with store.transaction():
        store.delete(_deleted_id(workspace_id))
        return store.put(workspace_id, TYPE, workspace_id.partition("/providers/")[0], body, by)


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{TYPE}")
async def list_in_subscription(request: ArmRequest) -> Response:
    """List the workspaces of the subscription that the caller may read."""
    return _listed(request, request.context.store.all_of(TYPE))


@routes.route("GET", ids.LOG_WORKSPACES)
async def list_in_group(request: ArmRequest) -> Response:
    """List the workspaces of a resource group that the caller may read."""
    return _listed(request, request.context.store.children(TYPE, ids.RESOURCE_GROUP.format(**request.params)))


@routes.route("GET", ids.LOG_WORKSPACE)
async def get(request: ArmRequest) -> Response:
    """Return a workspace."""
    return JSONResponse(_json(_stored(request)))


@routes.route("PUT", ids.LOG_WORKSPACE)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a workspace; 201 where it is new, 200 where it existed."""
    _read(request, "LogAnalyticsWorkspace")
    is_new = request.context.store.get(_id(request)) is None
    workspace = provision(
        request.context.store,
        _id(request),
        location=request.body["location"],
        properties=request.body["properties"],
        tags=request.body.get("tags") or {},
        by=request.principal.object_id,
    )
    request.context.log_store.apply_retention()
    return JSONResponse(_json(workspace), 201 if is_new else 200)


@routes.route("PATCH", ids.LOG_WORKSPACE)
async def update(request: ArmRequest) -> Response:
    """Change a workspace's tags and properties."""
    _read(request, "LogAnalyticsWorkspacePatch")
    workspace = _stored(request)
    tags = request.body.get("tags")
    workspace = provision(
        request.context.store,
        workspace.id,
        location=workspace.body["location"],
        properties=request.body["properties"],
        tags=workspace.body["tags"] if tags is None else tags,
        by=request.principal.object_id,
    )
    request.context.log_store.apply_retention()
    return JSONResponse(_json(workspace))


@routes.route("DELETE", ids.LOG_WORKSPACE)
async def delete(request: ArmRequest) -> Response:
    """Delete a workspace: for good with ``force=true``, otherwise it can come back. 204 where there is none."""
    store = request.context.store
    workspace = store.get(_id(request))
    if workspace is None:
        return Response(status_code=204)
    with store.transaction():
        store.delete(workspace.id)
        if request.query.get("force", "").lower() != "true":
            group = ids.RESOURCE_GROUP.format(**request.params)
            request.put(_deleted_id(workspace.id), DELETED_TYPE, group, workspace.body)
    request.context.log_store.apply_retention()
    return Response(status_code=200)


def _read(request: ArmRequest, model: str) -> None:
    """Read the body. Raises 400 where it misfits, 501 where it asks for what azureml-local lacks."""
    request.read(model, _unreadable)
    request.body["properties"] = request.body.get("properties") or {}
    request.refuse_lacking(LACKING)
    if (request.body.get("identity") or {}).get("type", "None") != "None":
        raise AzureError(
            501, "NotImplemented", "azureml-local lacks identities of Log Analytics workspaces.", target="identity"
        )


def _unreadable(misfit: MisfitError) -> AzureError:
    return AzureError(400, "InvalidRequestContent", f"The request content was invalid: '{misfit}'.", target=misfit.path)


def _retention(sku: str, days: int | None) -> int:
    """Return how many days are kept: those that were asked for, or the fewest. Raises 400 where the tier has others."""
    allowed = RETENTION.get(sku, USUAL_RETENTION)
    if days is None:
        return allowed[0]
    if days not in allowed:
        # The words: https://github.com/Azure/azure-powershell/issues/12524; code and target:
        # https://github.com/hashicorp/terraform-provider-azurerm/issues/2949.
        raise AzureError(
            400,
            "BadRequest",
            f"The value provided for retention is invalid. the expected value should be between {allowed[0]} to "
            f"{allowed[-1]}. see https://docs.microsoft.com/azure/azure-monitor/platform/manage-cost-storage"
            "#change-the-data-retention-period for more information",
            target="retention",
        )
    return days


def _recoverable(store: Store, workspace_id: str, location: str) -> Resource | None:
    """Return the deleted workspace of that id, if it can still come back. Raises 409 where it was in another region."""
    deleted = store.get(_deleted_id(workspace_id))
    if deleted is None or deleted.modified_at < timestamp(RECOVERABLE_DAYS):
        return None
    if deleted.body["location"] != location:
        # The words: https://github.com/MicrosoftDocs/azure-docs/issues/41719
        raise AzureError(409, "Conflict", f"The workspace name '{deleted.name}' is not unique")
    return deleted


def _id(request: ArmRequest) -> str:
    return ids.LOG_WORKSPACE.format(**request.params)


def _deleted_id(workspace_id: str) -> str:
    group, _, path = workspace_id.partition("/providers/")
    return f"{group}/providers/{DELETED_TYPE}/{path.rpartition('/')[2]}"


def _stored(request: ArmRequest) -> Resource:
    workspace = request.context.store.get(_id(request))
    if workspace is None:
        raise missing(request.params, TYPE, request.params["log_workspace"])
    return workspace


def _listed(request: ArmRequest, workspaces: list[Resource]) -> Response:
    return JSONResponse({"value": [_json(one) for one in workspaces if request.permits(READ, one.id)]})


def _json(workspace: Resource) -> dict[str, Any]:
    return {"id": workspace.id, "name": workspace.name, "type": TYPE, **workspace.body}
