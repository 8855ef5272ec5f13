"""Attached Kubernetes clusters, as commands on this machine see and change them: by the objects that kubectl takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from azureml_local.arm.compute import computes, kubernetes_clusters
from azureml_local.arm.context import Context
from azureml_local.arm.online import kubernetes_manifests, online_endpoints
from azureml_local.engines.kubernetes.cluster import DEFAULT_NAMESPACE, Cluster
from azureml_local.engines.kubernetes.resources import Resources
from azureml_local.store import Resource

# What can be applied: the kinds that say what a cluster has, each with its apiVersion and what kubectl calls it.
KINDS = {
    "InstanceType": ("amlarc.azureml.com/v1alpha1", "instancetype.amlarc.azureml.com"),
    "Node": ("v1", "node"),
    "Namespace": ("v1", "namespace"),
    "ResourceQuota": ("v1", "resourcequota"),
}
LISTS = {"InstanceTypeList": "InstanceType", "List": None}
NAMESPACED = ("ResourceQuota",)


class KubernetesError(Exception):
    """A command cannot be carried out; the message says why."""


def listed(context: Context, name: str | None) -> list[dict[str, Any]]:
    """Return one cluster, or all that were ever attached, with their nodes and what runs on them.

    Raises:
        KubernetesError: there is no such cluster.
    """
    found = [_find(context, name)] if name else context.store.all_of(kubernetes_clusters.TYPE)
    return [_shown(context, one) for one in found]


def apply(context: Context, name: str, objects: Iterable[Any]) -> list[str]:
    """Add Kubernetes objects to a cluster, or change them; return what was done, as ``kubectl apply`` says it.

    Raises:
        KubernetesError: there is no such cluster, or an object is wrong: then nothing is changed.
    """
    stored = _find(context, name)
    known = {_key(one): one for one in stored.body["objects"]}
    said = []
    for one in _single(objects):
        former = known.get(_key(one))
        known[_key(one)] = one
        done = "created" if former is None else "unchanged" if former == one else "configured"
        said.append(f"{KINDS[one['kind']][1]}/{one['metadata']['name']} {done}")
    _save(context, stored, list(known.values()))
    return said


def delete(context: Context, name: str, objects: Iterable[Any]) -> list[str]:
    """Remove objects from a cluster; return what was done, as ``kubectl delete`` says it. What runs goes on.

    Raises:
        KubernetesError: there is no such cluster, or it has no such object: then nothing is changed.
    """
    stored = _find(context, name)
    known = {_key(one): one for one in stored.body["objects"]}
    said = []
    for one in _single(objects):
        if known.pop(_key(one), None) is None:
            raise KubernetesError(f'{KINDS[one["kind"]][1]} "{one["metadata"]["name"]}" not found')
        said.append(f'{KINDS[one["kind"]][1]} "{one["metadata"]["name"]}" deleted')
    _save(context, stored, list(known.values()))
    return said


def set_reachable(context: Context, name: str, *, reachable: bool) -> None:
    """Let Azure ML reach a cluster, or not: then nothing on it can be changed, and what it serves goes on.

    Raises:
        KubernetesError: there is no such cluster.
    """
    stored = _find(context, name)
    stored.body["isReachable"] = reachable
    context.store.save(stored)


def export(context: Context, name: str, image: str | None) -> list[dict[str, Any]]:
    """Return the manifests of the deployment ``ENDPOINT/DEPLOYMENT`` for a cluster of the user's own.

    Raises:
        KubernetesError: there is no such deployment on Kubernetes.
    """
    found = [
        deployment
        for deployment in context.store.all_of(online_endpoints.DEPLOYMENT_TYPE)
        if deployment.properties["endpointComputeType"] == "Kubernetes"
        and name.lower() == "/".join((deployment.id.split("/")[-3], deployment.name)).lower()
    ]
    if len(found) != 1:
        raise KubernetesError(f"There is no deployment '{name}' on Kubernetes. Name it as ENDPOINT/DEPLOYMENT.")
    return kubernetes_manifests.manifests(context, found[0], image)


def _find(context: Context, name: str) -> Resource:
    """Return a cluster by its id, its name, or the name of a compute that it is attached as."""
    attached = {
        compute.properties["resourceId"].lower()
        for compute in context.store.all_of(computes.TYPE)
        if compute.name.lower() == name.lower() and compute.properties["computeType"] == "Kubernetes"
    }
    clusters = context.store.all_of(kubernetes_clusters.TYPE)
    found = [one for one in clusters if one.key in attached or name.lower() in (one.key, one.name.lower())]
    if len(found) > 1:
        raise KubernetesError(f"'{name}' is more than one: {', '.join(one.id for one in found)}. Use an id.")
    if not found:
        known = ", ".join(one.name for one in clusters) or "none"
        raise KubernetesError(f"There is no cluster '{name}'. There are: {known}. Attach it to a workspace first.")
    return found[0]


def _single(objects: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Yield objects, those of lists one by one. Raises KubernetesError for what a cluster here does not take."""
    for one in objects:
        kind = str(one.get("kind")) if isinstance(one, Mapping) else ""
        if kind in LISTS:
            items = one.get("items") or []
            if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
                raise KubernetesError(f"{kind}: items must be a list of objects.")
            of = {"apiVersion": one.get("apiVersion"), "kind": LISTS[kind]} if LISTS[kind] else {}
            yield from _single([{**of, **item} for item in items])
            continue
        if kind not in KINDS or one.get("apiVersion") != KINDS[kind][0]:
            known = ", ".join(f"{kind} ({version})" for kind, (version, _) in KINDS.items())
            shown = f"{kind} ({one.get('apiVersion')})" if isinstance(one, Mapping) else repr(one)[:60]
            raise KubernetesError(f"{shown} cannot be applied here. What can: {known}.")
        metadata = one.get("metadata")
        if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
            raise KubernetesError(f"{kind}: metadata.name is missing.")
        if not isinstance(metadata.get("namespace") or "", str):
            raise KubernetesError(f"{kind} {metadata['name']}: metadata.namespace must be a text.")
        for member in ("spec", "status"):
            if not isinstance(one.get(member) or {}, Mapping):
                raise KubernetesError(f"{kind} {metadata['name']}: {member} must be an object.")
        yield dict(one)


def _key(one: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = one["metadata"]
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE if one["kind"] in NAMESPACED else ""
    return one["kind"], namespace, metadata["name"]


def _save(context: Context, stored: Resource, objects: list[dict[str, Any]]) -> None:
    try:
        Cluster.read(objects)
    except ValueError as error:
        raise KubernetesError(f"Nothing was changed: {error}.") from error
    except (TypeError, AttributeError) as error:
        message = f"Nothing was changed: a member has another type than Kubernetes gives it ({error})."
        raise KubernetesError(message) from error
    stored.body["objects"] = objects
    context.store.save(stored)


def _shown(context: Context, stored: Resource) -> dict[str, Any]:
    cluster = Cluster.read(stored.body["objects"])
    pods = list(context.serving.scheduler.pods(stored.id))
    attached = [
        compute.name
        for compute in context.store.all_of(computes.TYPE)
        if (compute.properties.get("resourceId") or "").lower() == stored.key
    ]
    return {
        "id": stored.id,
        "isReachable": stored.body["isReachable"],
        "computes": attached,
        "nodes": [
            {
                "name": node.name,
                "labels": dict(node.labels),
                "unschedulable": node.unschedulable,
                "allocatable": node.allocatable.shown(),
                "requested": sum((pod.requests for _, pod, name in pods if name == node.name), Resources()).shown(),
            }
            for node in cluster.nodes
        ],
        "namespaces": sorted(cluster.namespaces),
        "instanceTypes": {
            name: {"requests": one.requests.shown(), "limits": one.limits.shown()}
            for name, one in cluster.instance_types.items()
        },
        "pods": [
            {
                "deployment": "/".join(deployment.split("/")[-3::2]),
                "namespace": pod.namespace,
                "instanceType": pod.instance_type,
                "node": node,
            }
            for deployment, pod, node in pods
        ],
    }
