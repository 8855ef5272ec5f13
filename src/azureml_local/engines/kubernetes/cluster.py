"""A Kubernetes cluster as its objects describe it: nodes, namespaces with quotas, Azure ML's instance types.

The objects are those that ``kubectl`` reads. A cluster without a ``Node`` has one: this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from azureml_local.engines.kubernetes.resources import GPU, Resources, quantity

DEFAULT_NAMESPACE = "default"
NAMESPACES = (DEFAULT_NAMESPACE, "azureml", "kube-system")  # in every cluster with Azure ML's extension
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-kubernetes-instance-types#default-instance-type
DEFAULT_INSTANCE_TYPE = "defaultinstancetype"
DEFAULT_SPEC = {
    "resources": {
        "requests": {"cpu": "100m", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "2Gi", GPU: None},
    }
}
MOST_PODS = 110  # of a node: https://kubernetes.io/docs/setup/best-practices/cluster-large


@dataclass(frozen=True)
class InstanceType:
    """What a pod of this type asks for, may take, and where it may run."""

    name: str
    requests: Resources
    limits: Resources
    node_selector: Mapping[str, str]

    @classmethod
    def read(cls, name: str, spec: Mapping[str, Any]) -> InstanceType:
        """Read the ``spec`` of Azure ML's custom resource. Raises ValueError where a rule of its table is broken.

        https://learn.microsoft.com/azure/machine-learning/how-to-manage-kubernetes-instance-types#create-custom-instance-types
        """
        resources = spec.get("resources") or {}
        for part in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                if not quantity((resources.get(part) or {}).get(resource) or 0):
                    raise ValueError(f"instance type '{name}': resources.{part}.{resource} is required and not 0")
        if (resources["requests"]).get(GPU):
            raise ValueError(f"instance type '{name}': {GPU} can only be specified in resources.limits")
        limits = Resources.read(resources["limits"])
        requests = replace(Resources.read(resources["requests"]), gpu=limits.gpu)
        if above := requests.lacking(limits):
            raise ValueError(f"instance type '{name}': resources.requests.{above[0]} is more than its limit")
        return cls(name, requests, limits, _texts(spec.get("nodeSelector"), f"instance type '{name}': nodeSelector"))


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: what pods may take of it, and by which labels they choose it."""

    name: str
    allocatable: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    most_pods: int = MOST_PODS
    unschedulable: bool = False  # cordoned


@dataclass(frozen=True)
class Cluster:
    """What a cluster has. ``quotas`` are the hard limits of each namespace that has some."""

    nodes: tuple[Node, ...]
    namespaces: frozenset[str]
    quotas: Mapping[str, tuple[ResourceQuota, ...]]
    instance_types: Mapping[str, InstanceType]

    @classmethod
    def read(cls, objects: Iterable[Mapping[str, Any]]) -> Cluster:
        """Return what Kubernetes objects describe. Raises ValueError for one that is wrong."""
        kinds: dict[str, list[Mapping[str, Any]]] = {}
        for one in objects:
            kinds.setdefault(one["kind"], []).append(one)
        quotas: dict[str, tuple[ResourceQuota, ...]] = {}
        for one in kinds.get("ResourceQuota", ()):
            namespace = one["metadata"].get("namespace") or DEFAULT_NAMESPACE
            quotas[namespace] = (*quotas.get(namespace, ()), ResourceQuota.read(one))
        specs = {one["metadata"]["name"]: one.get("spec") or {} for one in kinds.get("InstanceType", ())}
        specs = {DEFAULT_INSTANCE_TYPE: DEFAULT_SPEC, **specs}
        return cls(
            tuple(_node(one) for one in kinds.get("Node", ())) or (this_machine(),),
            frozenset((*NAMESPACES, *(one["metadata"]["name"] for one in kinds.get("Namespace", ())))),
            quotas,
            {name: InstanceType.read(name, spec) for name, spec in specs.items()},
        )


@dataclass(frozen=True)
class ResourceQuota:
    """How much the pods of a namespace may ask for in all; None where that is not limited.

    https://kubernetes.io/docs/concepts/policy/resource-quotas
    """

    name: str
    hard: Mapping[str, int]  # by the names of QUOTAS; CPU in thousandths, memory in bytes

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> ResourceQuota:
        """Read a ``ResourceQuota``. Raises ValueError for a limit that is none, or that is not counted here."""
        name, hard = one["metadata"]["name"], (one.get("spec") or {}).get("hard") or {}
        if unknown := [limit for limit in hard if limit not in QUOTAS]:
            raise ValueError(f"resource quota '{name}': {unknown[0]} is not counted; {', '.join(QUOTAS)} are")
        return cls(name, {limit: int(quantity(amount) * QUOTAS[limit]) for limit, amount in hard.items()})


# The limits that are counted, and how many units one is of.
QUOTAS = {
    "pods": 1,
    "cpu": 1000,
    "requests.cpu": 1000,
    "limits.cpu": 1000,
    "memory": 1,
    "requests.memory": 1,
    "limits.memory": 1,
    f"requests.{GPU}": 1,
}


def this_machine() -> Node:
    """Return the node that this machine is."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    memory = psutil.virtual_memory().total
    return Node("this-machine", Resources((os.cpu_count() or 1) * 1000, memory, gpus))


def _node(one: Mapping[str, Any]) -> Node:
    name, status = one["metadata"]["name"], one.get("status") or {}
    amounts = status.get("allocatable") or status.get("capacity") or {}
    if not amounts.get("cpu") or not amounts.get("memory"):
        raise ValueError(f"node '{name}': status.allocatable must say its cpu and memory")
    return Node(
        name,
        Resources.read(amounts),
        _texts(one["metadata"].get("labels"), f"node '{name}': metadata.labels"),
        int(quantity(amounts.get("pods") or MOST_PODS)),
        bool((one.get("spec") or {}).get("unschedulable")),
    )


def _texts(sent: Any, what: str) -> Mapping[str, str]:
    sent = sent or {}
    if not isinstance(sent, Mapping) or not all(isinstance(value, str) for value in sent.values()):
        raise ValueError(f"{what} must map texts to texts")
    return dict(sent)
