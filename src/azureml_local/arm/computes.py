"""Computes of a workspace: clusters whose nodes come and go with the jobs that wait.

https://learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.request import ARM_HOST, ArmRequest, ArmRoutes
from azureml_local.arm.store import Resource, timestamp
from azureml_local.engines.compute.pool import NodeState, Pool, Scale
from azureml_local.http.errors import AzureError

COMPUTES = ids.WORKSPACE + "/computes"
COMPUTE = COMPUTES + "/{compute}"
TYPE = "workspaces/computes"
DEFAULT_IDLE = "PT120S"

routes = ArmRoutes()


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(compute: Resource) -> None:
        await context.runner.nodes.prepare()
        open_pool(context, compute)

    async def delete(compute: Resource) -> None:
        await context.pools.remove(compute.id)
        context.store.delete(compute.id)

    context.operations.register("computes/put", put)
    context.operations.register("computes/delete", delete)


def open_pool(context: Context, compute: Resource) -> Pool:
    """Make a stored compute's nodes as many as it says."""
    return context.pools.set(compute.id, _scale(compute), lambda: None)


@routes.route("GET", COMPUTES)
async def list_computes(request: ArmRequest) -> Response:
    """List a workspace's computes."""
    found = request.context.store.children(TYPE, request.workspace_id)
    return listing.page(request, [_in_full(request.context, compute) for compute in found])


@routes.route("GET", COMPUTE)
async def get(request: ArmRequest) -> Response:
    """Return a compute."""
    return JSONResponse(_in_full(request.context, _require(request)).to_json())


@routes.route("PUT", COMPUTE)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create a compute, or to change its scale."""
    request.read("ComputeResource")
    compute_id = COMPUTE.format(**request.params)
    properties = {**request.properties, "provisioningState": "Creating"}
    body = {"location": request.workspace().body["location"], "tags": request.body.get("tags"), "properties": properties}
    with request.context.store.transaction():
        compute = request.put(compute_id, TYPE, request.workspace_id, body)
        return _begun(request, 201, "computes/put", compute)


@routes.route("DELETE", COMPUTE)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete a compute."""
    return _begun(request, 202, "computes/delete", _require(request))


def _begun(request: ArmRequest, status: int, kind: str, compute: Resource) -> Response:
    operation_id = str(uuid.uuid4())
    request.context.operations.begin(kind, compute, operation_id)
    location = ids.LOCATION.format(
        subscription=request.params["subscription"], location=request.workspace().body["location"]
    )
    url = f"{ARM_HOST}{location}/computeOperationsStatus/{operation_id}?api-version={request.query['api-version']}"
    headers = {"Azure-AsyncOperation": url, "x-ms-retry-after-ms": str(POLL_AFTER_MS)}
    if status == 201:
        return JSONResponse(compute.to_json(), status, headers=headers)
    return Response(status_code=status, headers=headers)


def _require(request: ArmRequest) -> Resource:
    compute = request.context.store.get(COMPUTE.format(**request.params))
    if compute is None:
        raise AzureError(404, "NotFound", f"Compute '{request.params['compute']}' was not found.")
    return compute


def _scale(compute: Resource) -> Scale:
    settings = compute.properties["properties"].get("scaleSettings") or {}
    return Scale(
        settings.get("minNodeCount") or 0,
        settings.get("maxNodeCount", 1),
        seconds(settings.get("nodeIdleTimeBeforeScaleDown") or DEFAULT_IDLE),
    )


def _in_full(context: Context, compute: Resource) -> Resource:
    """Return a compute with how its nodes stand now."""
    pool = context.pools.get(compute.id)
    if pool is None:
        return compute
    counts = pool.counts()
    current: dict[str, Any] = {
        "currentNodeCount": sum(counts.values()),
        "targetNodeCount": pool.target,
        "nodeStateCounts": {f"{state.value}NodeCount": counts[state] for state in NodeState},
        "allocationState": "Steady" if sum(counts.values()) == pool.target else "Resizing",
        "allocationStateTransitionTime": timestamp(),
        "errors": None,
    }
    return compute.with_properties(properties={**compute.properties["properties"], **current})
