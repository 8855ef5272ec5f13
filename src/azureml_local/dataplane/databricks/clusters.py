"""The Clusters API: https://docs.databricks.com/api/azure/workspace/clusters."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from azureml_local.arm.compute import vm_sizes
from azureml_local.dataplane.databricks.call import LARGEST_INTEGER, ApiRoutes, Call, Fields, done
from azureml_local.dataplane.databricks.cluster_life import (
    DEFAULT_AUTOTERMINATION,
    MIB,
    RUNNING,
    TERMINATED,
    TYPE,
    engine_cluster,
)
from azureml_local.dataplane.databricks.errors import DatabricksError, invalid
from azureml_local.engines.spark.runtimes import RUNTIMES
from azureml_local.store import Resource

SHORTEST_AUTOTERMINATION, LONGEST_AUTOTERMINATION = 10, 10000  # minutes
MOST_EVENTS = 500  # of one page
LONGEST_NAME = 100
LACKING = (
    "autoscale",
    "policy_id",
    "init_scripts",
    "docker_image",
    "instance_pool_id",
    "driver_instance_pool_id",
    "cluster_log_conf",
    "ssh_public_keys",
    "use_ml_runtime",
    "aws_attributes",
    "gcp_attributes",
)
# What is shown again as it was sent.
KEPT = (
    "cluster_name",
    "spark_conf",
    "spark_env_vars",
    "custom_tags",
    "driver_node_type_id",
    "azure_attributes",
    "data_security_mode",
    "single_user_name",
    "enable_elastic_disk",
    "enable_local_disk_encryption",
    "runtime_engine",
    "kind",
    "is_single_node",
)
HIDDEN = ("spec", "libraries")
CHOICES = ("filter_by", "sort_by")  # of lists; their members are parameters such as filter_by.is_pinned

routes = ApiRoutes("/api/{version}/clusters")


@routes.route("POST", "/create")
async def create(call: Call) -> Response:
    """Make a cluster, and begin to start it."""
    spec = read_spec(call.sent)
    cluster = call.workspaces.clusters.create(call.workspace.id, spec, call.user, "API")
    return done({"cluster_id": cluster.name})


@routes.route("POST", "/edit")
async def edit(call: Call) -> Response:
    """Change what a cluster is; one that runs takes it over when it is started again."""
    cluster = require(call)
    if cluster.body["state"] not in (RUNNING, TERMINATED):
        raise _wrong_state(cluster, "edited")
    call.workspaces.clusters.edit(cluster, read_spec(call.sent), call.user)
    return done()


@routes.route("GET", "/get")
async def get(call: Call) -> Response:
    """Return a cluster."""
    return done(shown(require(call)))


@routes.route("GET", "/list")
async def list_clusters(call: Call) -> Response:
    """List the clusters, the newest first."""
    call.sent.refuse(tuple(name for name in call.sent.members if name.partition(".")[0] in CHOICES))
    clusters = call.workspaces.store.children(TYPE, call.workspace.id)
    return done({"clusters": [shown(cluster) for cluster in reversed(clusters)]})


@routes.route("POST", "/start")
async def start(call: Call) -> Response:
    """Begin to start a cluster that has ended."""
    cluster = require(call)
    if cluster.body["state"] != TERMINATED:
        raise _wrong_state(cluster, "started")
    call.workspaces.clusters.start(cluster, call.user)
    return done()


@routes.route("POST", "/restart")
async def restart(call: Call) -> Response:
    """Begin to start a cluster that runs anew; what runs there is lost."""
    cluster = require(call)
    if cluster.body["state"] != RUNNING:
        raise _wrong_state(cluster, "restarted")
    await call.workspaces.runs.end_on(call.workspace.id, cluster.name)
    call.workspaces.clusters.start(cluster, call.user)
    return done()


@routes.route("POST", "/delete")
async def terminate(call: Call) -> Response:
    """End a cluster, and what runs there; it stays known, and can be started again."""
    await _terminate(call, require(call))
    return done()


@routes.route("POST", "/permanent-delete")
async def delete(call: Call) -> Response:
    """End a cluster and forget it."""
    cluster = require(call)
    await _terminate(call, cluster)
    call.workspaces.clusters.delete(cluster)
    return done()


@routes.route("POST", "/events")
async def events(call: Call) -> Response:
    """List what has happened to a cluster, by default the newest first."""
    found = call.workspaces.clusters.events(require(call))
    if call.sent.text("order", "DESC") == "DESC":
        found.reverse()
    offset = call.sent.integer("offset", 0)
    limit = call.sent.integer("page_size", 0) or call.sent.integer("limit", 50)
    if offset < 0 or not 0 < limit <= MOST_EVENTS:
        raise invalid(f"offset must not be negative, and limit must be 1 to {MOST_EVENTS}.")
    kinds = call.sent.texts("event_types", None)
    since, until = call.sent.integer("start_time", 0), call.sent.integer("end_time", LARGEST_INTEGER)
    found = [
        event
        for event in found
        if (not kinds or event.body["type"] in kinds) and since <= event.body["timestamp"] <= until
    ]
    end = offset + limit
    more = {**call.sent.members, "offset": end, "limit": limit} if end < len(found) else None
    return done({"events": [event.body for event in found[offset:end]], "total_count": len(found), "next_page": more})


@routes.route("GET", "/spark-versions")
async def spark_versions(_: Call) -> Response:
    """List the runtimes that clusters can have."""
    return done({"versions": [{"key": key, "name": name} for key, name in RUNTIMES.items()]})


@routes.route("GET", "/list-node-types")
async def list_node_types(_: Call) -> Response:
    """List the VM sizes that nodes can have: those of this service's that have no GPU."""
    sizes = (size for family in vm_sizes.families().values() for size in family.sizes)
    return done({"node_types": [_node_type(size) for size in sizes if not size.gpus and not size.retired]})


def read_spec(sent: Fields) -> dict[str, Any]:
    """Return what a cluster is to be, checked. Raises 400, or 501 for what azureml-local does not do."""
    sent.refuse(LACKING)
    if sent.text("runtime_engine", "STANDARD") == "PHOTON":
        sent.refuse(("runtime_engine",))
    version = sent.text("spark_version")
    if version not in RUNTIMES:
        known = ", ".join(RUNTIMES)
        raise invalid(f"Spark version {version} is not supported; azureml-local has {known}.")
    node_type, workers = sent.text("node_type_id"), sent.integer("num_workers", 0)
    for name in (node_type, sent.text("driver_node_type_id", node_type)):
        if vm_sizes.find(name) is None:
            raise invalid(f"Node type {name} is not supported. clusters/list-node-types lists those that are.")
    if workers < 0:
        raise invalid(f"num_workers is {workers}; it must not be negative.")
    if len(sent.text("cluster_name", "")) > LONGEST_NAME:
        raise invalid(f"cluster_name is longer than {LONGEST_NAME} characters.")
    for name in ("spark_conf", "spark_env_vars", "custom_tags"):
        sent.mapping(name, None)
    minutes = sent.integer("autotermination_minutes", DEFAULT_AUTOTERMINATION)
    if minutes and not SHORTEST_AUTOTERMINATION <= minutes <= LONGEST_AUTOTERMINATION:
        limits = f"{SHORTEST_AUTOTERMINATION} to {LONGEST_AUTOTERMINATION}, or 0 for never"
        raise invalid(f"autotermination_minutes is {minutes}; it must be {limits}.")
    kept = {name: sent.members[name] for name in KEPT if sent.members.get(name) is not None}
    return {
        **kept,
        "spark_version": version,
        "node_type_id": node_type,
        "num_workers": workers,
        "autotermination_minutes": minutes,
    }


def require(call: Call) -> Resource:
    """Return the cluster that a request names. Raises 400, as Databricks does."""
    cluster_id = call.sent.text("cluster_id")
    cluster = call.workspaces.clusters.get(call.workspace.id, cluster_id) if "/" not in cluster_id else None
    if cluster is None:
        raise invalid(f"Cluster {cluster_id} does not exist")
    return cluster


def shown(cluster: Resource) -> dict[str, Any]:
    """Return a cluster as Databricks shows it."""
    spec = cluster.body["spec"]
    engine = engine_cluster(spec)
    found = {
        "cluster_id": cluster.name,
        "cluster_name": f"job-{cluster.name}" if cluster.body["cluster_source"] == "JOB" else "",
        **spec,
        "driver_node_type_id": spec.get("driver_node_type_id") or spec["node_type_id"],
        "default_tags": {"Vendor": "Databricks", "Creator": cluster.body["creator_user_name"]},
        **{name: value for name, value in cluster.body.items() if name not in HIDDEN},
        "spec": spec,
    }
    if cluster.body["state"] == RUNNING:
        found |= {"cluster_cores": float(engine.cores), "cluster_memory_mb": engine.memory}
    return {name: value for name, value in found.items() if value is not None}


async def _terminate(call: Call, cluster: Resource) -> None:
    await call.workspaces.runs.end_on(call.workspace.id, cluster.name)
    await call.workspaces.clusters.terminate(cluster, "USER_REQUEST", call.user)


def _wrong_state(cluster: Resource, what: str) -> DatabricksError:
    state = cluster.body["state"]
    return DatabricksError(400, "INVALID_STATE", f"Cluster {cluster.name} is in unexpected state {state} to be {what}.")


def _node_type(size: vm_sizes.Size) -> dict[str, Any]:
    return {
        "node_type_id": size.name,
        "instance_type_id": size.name,
        "memory_mb": int(size.memory * MIB),
        "num_cores": float(size.vcpus),
        "num_gpus": size.gpus,
        "description": size.name,
        "category": "General Purpose",
        "is_deprecated": False,
        "is_hidden": False,
        "support_cluster_tags": True,
        "node_instance_type": {
            "instance_type_id": size.name,
            "local_disks": 1,
            "local_disk_size_gb": size.disk,
        },
    }
