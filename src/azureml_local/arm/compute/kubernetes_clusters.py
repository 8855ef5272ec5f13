"""Attached Kubernetes clusters: AKS, or any that Azure Arc connects. What they hold is their Kubernetes objects.

https://learn.microsoft.com/azure/machine-learning/how-to-attach-kubernetes-to-workspace; the answers look like the
examples in Azure's OpenAPI (Compute/get/KubernetesCompute). There is no cluster behind an id here: processes of this
machine stand in for pods, on the nodes that ``azureml-local kubernetes apply`` declares, by default this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azureml_local.arm.compute import computes
from azureml_local.arm.context import Context
from azureml_local.arm.request import ArmRequest
from azureml_local.engines.kubernetes.cluster import DEFAULT_INSTANCE_TYPE, DEFAULT_NAMESPACE, Cluster, InstanceType
from azureml_local.engines.kubernetes.resources import GPU
from azureml_local.engines.kubernetes.scheduling import Pod
from azureml_local.http.errors import FrontendError, authorization_failed
from azureml_local.store import Resource, Store

COMPUTE_TYPE = "Kubernetes"
TYPE = "kubernetes/clusters"  # of what is stored of a cluster, under its own id
RESOURCE_ID = re.compile(
    r"/subscriptions/[^/\s]+/resourceGroups/[^/\s]+/providers/"
    r"(?:Microsoft\.ContainerService/managedClusters|Microsoft\.Kubernetes/connectedClusters)/[-\w.]{1,90}",
    re.IGNORECASE,
)
# The action that gives a cluster's credentials, by the type of its resource.
CREDENTIALS = {
    "Microsoft.ContainerService/managedClusters": "listClusterAdminCredential/action",
    "Microsoft.Kubernetes/connectedClusters": "listClusterUserCredential/action",
}
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes has it
STAND_IN = (
    "azureml-local: no Kubernetes cluster is behind this id. Processes on this machine stand in for its pods; "
    "azureml-local kubernetes list shows its nodes."
)
KEPT = ("extensionPrincipalId", "extensionInstanceReleaseTrain", "vcName")
# What is said of a cluster that cannot be used:
# https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-kubernetes-compute
NOT_FOUND = ("ComputeNotFound", "Cannot find Kubernetes compute.")
INVALID = ("InvalidComputeInformation", "The compute information is invalid.")
NOT_REACHABLE = ("ClusterNotReachable", "The Kubernetes cluster is not reachable.")


def refused(code: str, message: str) -> FrontendError:
    """Return a 400 as Azure frames what it says of Kubernetes.

    https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#error-kubernetesunaccessible
    """
    return FrontendError(400, "BadRequest", "The request is invalid.", detail=(code, message))


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what is stored of a request to attach a cluster, with Azure's defaults."""
    resource_id = request.properties.get("resourceId") or (known.properties["resourceId"] if known else None)
    if resource_id is not None and not RESOURCE_ID.fullmatch(resource_id):
        raise computes.bad_request(
            f"properties.resourceId is '{resource_id}'; it must be the id of a Microsoft.ContainerService/"
            "managedClusters (AKS) or a Microsoft.Kubernetes/connectedClusters (Azure Arc).",
            "properties.resourceId",
        )
    if known is None and resource_id is not None:
        _require_permission(request, resource_id)
    sent = request.properties.get("properties") or {}
    namespace = sent.get("namespace") or DEFAULT_NAMESPACE
    path = "properties.properties"
    if not NAMESPACE.fullmatch(namespace):
        message = f"namespace is '{namespace}'; it must have 1 to 63 lower case letters, digits and '-'."
        raise computes.bad_request(message, f"{path}.namespace")
    of_cluster = cluster(request.context.store, resource_id or "").instance_types
    own = _own_types(sent.get("instanceTypes") or {}, of_cluster)
    default = sent.get("defaultInstanceType") or DEFAULT_INSTANCE_TYPE
    if default not in {**of_cluster, **own}:
        known_types = ", ".join(sorted({**of_cluster, **own}))
        message = f"defaultInstanceType is '{default}', which is none of the cluster's: {known_types}."
        raise computes.bad_request(message, f"{path}.defaultInstanceType")
    found = {
        **{name: sent.get(name) for name in KEPT},  # connection strings are secrets that nothing here needs
        "namespace": namespace,
        "defaultInstanceType": default,
        "instanceTypes": own,
    }
    computes.unchanged(known, found, ("namespace",))
    return found


def _require_permission(request: ArmRequest, resource_id: str) -> None:
    """Raise 403 where the caller may not have the cluster's credentials.

    https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles#common-scenarios (Attach an AKS resource)
    """
    kind = next(kind for kind in CREDENTIALS if f"/{kind}/".lower() in resource_id.lower())
    if not request.permits(f"{kind}/{CREDENTIALS[kind]}", resource_id):
        raise authorization_failed(request.principal.object_id, f"{kind}/{CREDENTIALS[kind]}", resource_id)


def _own_types(sent: Mapping[str, Any], of_cluster: Mapping[str, InstanceType]) -> dict[str, Any]:
    """Return the instance types that a request adds to those of the cluster. Raises 400 where one is wrong."""
    own = {}
    for name, spec in sent.items():
        try:
            if InstanceType.read(name, spec or {}) != of_cluster.get(name):
                own[name] = spec
        except ValueError as error:
            raise computes.bad_request(f"{error}.", "properties.properties.instanceTypes") from error
    return own


def provision(context: Context, compute: Resource) -> None:
    """Attach a cluster; one that is new has this machine as its only node."""
    cluster_id = compute.properties["resourceId"]
    stored = context.store.get(cluster_id)
    if stored is None:
        body: dict[str, Any] = {"objects": [], "isReachable": True}
        context.store.put(cluster_id, TYPE, cluster_id.rpartition("/")[0], body, compute.modified_by)
    elif not stored.body["isReachable"]:
        raise computes.ProvisioningError(*NOT_REACHABLE)


def shown(context: Context, compute: Resource) -> dict[str, Any]:
    """Return a cluster's inner properties as Azure shows them, in its order."""
    stored = compute.properties["properties"]
    return {
        "relayConnectionString": None,
        "serviceBusConnectionString": None,
        **{name: stored[name] for name in KEPT},
        "namespace": stored["namespace"],
        "defaultInstanceType": stored["defaultInstanceType"],
        "instanceTypes": {
            name: {"nodeSelector": dict(one.node_selector) or None, "resources": _resources(one)}
            for name, one in instance_types(context.store, compute).items()
        },
    }


def _resources(instance_type: InstanceType) -> dict[str, Any]:
    amounts = {"requests": instance_type.requests.shown(), "limits": instance_type.limits.shown()}
    return {part: {**shown, GPU: None if shown[GPU] == "0" else shown[GPU]} for part, shown in amounts.items()}


def cluster(store: Store, cluster_id: str) -> Cluster:
    """Return a cluster; one of which nothing is stored is as a new one."""
    stored = store.get(cluster_id) if cluster_id else None
    return Cluster.read(stored.body["objects"] if stored else ())


def instance_types(store: Store, compute: Resource) -> Mapping[str, InstanceType]:
    """Return the instance types that workloads on an attached cluster can name: the cluster's and the compute's own."""
    own = compute.properties["properties"]["instanceTypes"]
    of_cluster = cluster(store, compute.properties["resourceId"]).instance_types
    return {**of_cluster, **{name: InstanceType.read(name, spec) for name, spec in own.items()}}


def pod(context: Context, compute: Resource, instance_type: str | None) -> Pod:
    """Return what a workload of an instance type, by default the cluster's default, asks of an attached cluster.

    Raises:
        FrontendError: 400 where there is no such instance type.
    """
    known = instance_types(context.store, compute)
    name = instance_type or compute.properties["properties"]["defaultInstanceType"]
    if name not in known:
        message = f"The instance type '{name}' is none of the cluster's: {', '.join(sorted(known))}."
        raise refused("InvalidDeploymentSpec", message)
    one = known[name]
    namespace = compute.properties["properties"]["namespace"]
    return Pod(compute.properties["resourceId"].lower(), namespace, name, one.requests, one.limits, one.node_selector)


def require_usable(context: Context, compute_id: str) -> Resource:
    """Return the attached cluster of this id. Raises 400, in Azure's words, where nothing can be put on it."""
    compute = context.store.get(compute_id)
    if compute is None or compute.properties["provisioningState"] == "Deleting":
        raise refused(*NOT_FOUND)
    if compute.properties["computeType"] != COMPUTE_TYPE or compute.properties["provisioningState"] != "Succeeded":
        raise refused(*INVALID)
    stored = context.store.get(compute.properties["resourceId"])
    if stored is None or not stored.body["isReachable"]:
        raise refused(*NOT_REACHABLE)
    namespace = compute.properties["properties"]["namespace"]
    if namespace not in Cluster.read(stored.body["objects"]).namespaces:
        raise refused("NamespaceNotFound", f"The namespace {namespace} is not in the Kubernetes cluster.")
    return compute


def require_reachable(context: Context, deployment_id: str) -> None:
    """Raise 400, in Azure's words, where a deployment's instances are on a cluster that cannot be reached."""
    replicas = context.serving.replicas(deployment_id)
    if replicas and replicas.plan.pod:
        stored = context.store.get(replicas.plan.pod.cluster)
        if stored and not stored.body["isReachable"]:
            raise refused(*NOT_REACHABLE)


computes.KINDS[COMPUTE_TYPE] = computes.Kind(
    computes.SHORT_NAME_RULE, settings, provision, shown, is_attached=True, stand_in=STAND_IN
)
