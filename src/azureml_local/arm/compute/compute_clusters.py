"""Compute clusters (AmlCompute): nodes of one size that come and go with the jobs that wait.

https://learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.compute import cluster_events, compute_nodes, computes, quotas, vm_sizes
from azureml_local.arm.compute.cluster_events import ClusterEvents
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.engines.compute.pool import Member, NodeState, Pool, Preemption, Scale
from azureml_local.store import Resource, timestamp

COMPUTE_TYPE = "AmlCompute"
# https://learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster: "Idle seconds before scale
# down", 120 by default.
DEFAULT_IDLE = "PT120S"
FOR_EVER = ("vmSize", "vmPriority")
NAME_RULE = (
    re.compile(r"[a-zA-Z](?=.{2,31}\Z)[-a-zA-Z0-9]*[a-zA-Z0-9]"),
    "Compute name '{name}' is invalid. It can include letters, digits and dashes. It must start with a letter, end "
    "with a letter or digit, and be between 3 and 32 characters in length.",
)
# Settings that would be a promise nobody keeps.
LACKING = {
    "subnet": bool,
    "virtualMachineImage": bool,
    "isolatedNetwork": bool,
    "osType": lambda value: value != "Linux",
}

routes = ArmRoutes()


@routes.route("PATCH", computes.COMPUTE)
async def update(request: ArmRequest) -> Response:
    """Begin to change a cluster's scale."""
    request.read("ClusterUpdateParameters")
    compute = computes.require(request, COMPUTE_TYPE)
    request.context.operations.require_idle(compute.id)
    sent = ((request.body.get("properties") or {}).get("properties") or {}).get("scaleSettings")
    properties = {**compute.properties["properties"], "scaleSettings": _scale_settings(sent)}
    body = {**compute.body, "properties": {**compute.properties, "properties": properties}}
    body["properties"] |= {"provisioningState": "Updating", "modifiedOn": timestamp()}
    with request.context.store.transaction():
        changed = request.put(compute.id, computes.TYPE, request.workspace_id, body)
        return computes.begun(request, 200, "computes/put", changed)


@routes.route("POST", computes.COMPUTE + "/listNodes")
async def list_nodes(request: ArmRequest) -> Response:
    """List a cluster's nodes, each with the job that it runs. Here a node's address is one of this machine."""
    compute = computes.require(request, COMPUTE_TYPE)
    pool = request.context.pools.get(compute.id)
    return JSONResponse({"nodes": [_node(member) for member in pool.members] if pool else []})


def _node(member: Member) -> dict[str, Any]:
    host, _, port = member.node.address.rpartition("://")[2].rpartition(":") if member.node else (None, "", None)
    node = {
        "nodeId": member.name,
        "privateIpAddress": host,
        "publicIpAddress": None,
        "port": int(port) if port else None,
        "nodeState": str(member.state),
    }
    return {**node, "runId": member.job} if member.job else node


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what is stored of a request for a cluster, with Azure's defaults."""
    request.refuse_lacking(LACKING, "properties.properties")
    sent = request.properties.get("properties") or {}
    if not sent.get("vmSize"):
        raise computes.bad_request("vmSize is missing; it must be a VM size.", "properties.properties.vmSize")
    credentials = sent.get("userAccountCredentials")
    found = {
        "vmSize": sent["vmSize"].upper(),
        "vmPriority": sent.get("vmPriority") or "Dedicated",
        "scaleSettings": _scale_settings(sent.get("scaleSettings")),
        # A password would be a secret that nothing here needs: no node can be logged on to.
        "userAccountCredentials": {**credentials, "adminUserPassword": None} if credentials else None,
        "remoteLoginPortPublicAccess": sent.get("remoteLoginPortPublicAccess") or "NotSpecified",
        "enableNodePublicIp": sent.get("enableNodePublicIp") is not False,
    }
    computes.unchanged(known, found, FOR_EVER)
    return found


def _scale_settings(sent: Mapping[str, Any] | None) -> dict[str, Any]:
    path = "properties.properties.scaleSettings"
    if not sent:
        raise computes.bad_request("scaleSettings is missing; it must hold a maxNodeCount.", path)
    least, most = sent.get("minNodeCount") or 0, sent["maxNodeCount"]
    if least < 0:
        raise computes.bad_request(f"minNodeCount is {least}; it must be at least 0.", f"{path}.minNodeCount")
    if most < max(least, 1):
        raise computes.bad_request(
            f"maxNodeCount is {most}; it must be at least 1, and at least minNodeCount, which is {least}.",
            f"{path}.maxNodeCount",
        )
    idle = sent.get("nodeIdleTimeBeforeScaleDown") or DEFAULT_IDLE
    try:
        seconds(idle)
    except ValueError as error:
        name = "nodeIdleTimeBeforeScaleDown"
        raise computes.bad_request(f"{name} cannot be read: {error}.", f"{path}.{name}") from error
    return {"maxNodeCount": most, "minNodeCount": least, "nodeIdleTimeBeforeScaleDown": idle}


def provision(context: Context, compute: Resource) -> None:
    """Make the nodes as many as a stored cluster says."""
    properties = compute.properties["properties"]
    compute_nodes.supported_size(properties["vmSize"], COMPUTE_TYPE)
    compute_nodes.require_quota(context, kind_of(compute), max(properties["scaleSettings"]["minNodeCount"], 1))
    is_new = context.pools.get(compute.id) is None
    pool = open_pool(context, compute)
    if is_new:
        ClusterEvents(context, kind_of(compute)).tell(cluster_events.CREATED, pool)


def remove(context: Context, compute: Resource) -> None:
    """Tell that a cluster is deleted; its nodes end with its pool."""
    pool = context.pools.get(compute.id)
    if pool:
        ClusterEvents(context, kind_of(compute)).tell(cluster_events.DELETED, pool)


def open_pool(context: Context, compute: Resource) -> Pool:
    """Return the pool of a cluster's nodes; make it, or scale it to what is stored."""
    kind = kind_of(compute)
    properties = compute.properties["properties"]
    scale = Scale(
        properties["scaleSettings"]["minNodeCount"],
        properties["scaleSettings"]["maxNodeCount"],
        seconds(properties["scaleSettings"]["nodeIdleTimeBeforeScaleDown"]),
    )
    pool = context.pools.set(
        compute.id,
        scale,
        compute_nodes.room(context, kind),
        ClusterEvents(context, kind),
        low_priority=kind.low_priority,
    )
    stored = Preemption(**compute.body.get("preemption", {}))
    if pool.preemption != stored:
        pool.preemption = stored
    return pool


def kind_of(compute: Resource) -> quotas.Use:
    """Return what a node of a cluster is to the quotas; its size was found as it was made."""
    properties = compute.properties["properties"]
    size = vm_sizes.find(properties["vmSize"])
    assert size is not None  # noqa: S101 - see above
    low_priority = properties["vmPriority"] == "LowPriority"
    return quotas.Use(compute.id, ids.workspace_of(compute.id), size, 0, low_priority)


@quotas.consumer
def _uses(context: Context) -> Iterable[quotas.Use]:
    return compute_nodes.uses(_kinds_and_pools(context))


def _kinds_and_pools(context: Context) -> Iterator[tuple[quotas.Use, Pool]]:
    for compute in context.store.all_of(computes.TYPE):
        pool = context.pools.get(compute.id)
        if pool and compute.properties["computeType"] == COMPUTE_TYPE:
            yield kind_of(compute), pool


def shown(context: Context, compute: Resource) -> dict[str, Any]:
    """Return a cluster's inner properties as Azure shows them, in its order."""
    stored = compute.properties["properties"]
    pool = context.pools.get(compute.id) if compute.properties["provisioningState"] != "Creating" else None
    in_use = {"userAccountCredentials": stored["userAccountCredentials"]} if pool else {}
    return {
        "vmSize": stored["vmSize"],
        "vmPriority": stored["vmPriority"],
        "scaleSettings": stored["scaleSettings"],
        **in_use,
        "subnet": None,
        **(_allocation(context, compute, pool) if pool else dict.fromkeys(ALLOCATION)),
        "remoteLoginPortPublicAccess": stored["remoteLoginPortPublicAccess"],
        "osType": "Linux",
        "virtualMachineImage": None,
        "isolatedNetwork": False,
        "enableNodePublicIp": stored["enableNodePublicIp"],
        **({"propertyBag": {}} if pool else {}),
    }


ALLOCATION = ("currentNodeCount", "targetNodeCount", "nodeStateCounts", "allocationState", "errors")


def _allocation(context: Context, compute: Resource, pool: Pool) -> dict[str, Any]:
    counts = pool.counts()
    kind = kind_of(compute)
    return {
        "currentNodeCount": pool.size,
        "targetNodeCount": pool.target,
        "nodeStateCounts": {f"{state}NodeCount": counts[state] for state in NodeState},
        "allocationState": "Resizing" if pool.is_resizing else "Steady",
        "allocationStateTransitionTime": pool.allocated_at.isoformat(timespec="milliseconds"),
        "errors": compute_nodes.why_not_more(context, kind, pool),
    }


computes.KINDS[COMPUTE_TYPE] = computes.Kind(NAME_RULE, settings, provision, shown, open_pool, remove)
