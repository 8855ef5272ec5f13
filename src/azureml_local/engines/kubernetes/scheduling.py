"""Which node a pod gets: what is left of each is counted as kube-scheduler does, and said in its words.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azureml_local.engines.kubernetes.cluster import Cluster, Node
from azureml_local.engines.kubernetes.resources import GPU, Resources

MOST_AT_ONCE = 64


class UnschedulableError(Exception):
    """A pod fits on no node, or into no quota; the message says why, as Kubernetes does."""


@dataclass(frozen=True)
class Pod:
    """What one instance of a deployment asks of a cluster.

    ``cluster`` is the id of the attached resource in lower case.
    """

    cluster: str
    namespace: str
    instance_type: str
    requests: Resources
    limits: Resources
    node_selector: Mapping[str, str]

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Pod:
        """Return the pod of which ``dataclasses.asdict`` made ``stored``."""
        amounts = {name: Resources(**stored[name]) for name in ("requests", "limits")}
        return cls(**{**stored, **amounts})


@dataclass(frozen=True)
class _Placed:
    """The pods of one deployment, by their nodes."""

    pod: Pod
    nodes: tuple[str, ...]


class Scheduler:
    """Knows which pods are where, in all clusters.

    Args:
        read: returns a cluster by its id.
    """

    def __init__(self, read: Callable[[str], Cluster]) -> None:
        self._read = read
        self._placed: dict[str, _Placed] = {}

    @contextmanager
    def placing(self, deployment_id: str, pod: Pod | None, count: int, surge: int = 0) -> Iterator[None]:
        """Let a deployment have so many pods while the block runs, and after it; as before where it fails.

        Args:
            deployment_id: whose pods they are.
            pod: what each asks for; None for a deployment that is on no cluster.
            count: how many there are to be.
            surge: how many of them begin beside those that they replace.

        Raises:
            UnschedulableError: they do not fit.
        """
        former = self._placed.get(deployment_id.lower())
        if pod is None:
            yield
            return
        if former and surge:
            self._fitted(pod, surge, [])
        self._place(deployment_id, pod, count)
        try:
            yield
        except BaseException:
            self._keep(deployment_id, former)
            raise

    def grow(self, deployment_id: str, count: int) -> int:
        """Give a deployment as many more pods as fit, to so many in all; return how many it has then."""
        placed = self._placed[deployment_id.lower()]
        while len(placed.nodes) < count:
            try:
                self._place(deployment_id, placed.pod, len(placed.nodes) + 1)
            except UnschedulableError:
                break
            placed = self._placed[deployment_id.lower()]
        return len(placed.nodes)

    def shrink(self, deployment_id: str, count: int) -> None:
        """Take the youngest pods of a deployment away until it has so many."""
        placed = self._placed.get(deployment_id.lower())
        if placed:
            self._keep(deployment_id, _Placed(placed.pod, placed.nodes[:count]) if count else None)

    def restore(self, deployment_id: str, pod: Pod, count: int) -> None:
        """Count pods that are there whatever a cluster says: a node that shrinks evicts none."""
        try:
            self._place(deployment_id, pod, count)
        except UnschedulableError:
            nodes = (self._read(pod.cluster).nodes[0].name,) * count
            self._keep(deployment_id, _Placed(pod, nodes))

    def room(self, pod: Pod) -> int:
        """Return how many pods more of a kind fit, as far as this machine could run them."""
        nodes: list[str] = []
        try:
            while len(nodes) < MOST_AT_ONCE:
                nodes = self._fitted(pod, len(nodes) + 1, nodes)
        except UnschedulableError:
            return len(nodes)
        return len(nodes)

    def nodes(self, deployment_id: str) -> tuple[str, ...]:
        """Return the nodes of a deployment's pods, the youngest last."""
        placed = self._placed.get(deployment_id.lower())
        return placed.nodes if placed else ()

    def why_not(self, deployment_id: str) -> str:
        """Return why a deployment cannot have one pod more; empty where it can."""
        placed = self._placed[deployment_id.lower()]
        try:
            self._fitted(placed.pod, 1, [])
        except UnschedulableError as error:
            return str(error)
        return ""

    def pods(self, cluster_id: str) -> Iterator[tuple[str, Pod, str]]:
        """Yield the pods of a cluster: each with its deployment's id in lower case and its node's name."""
        for deployment_id, placed in self._placed.items():
            if placed.pod.cluster == cluster_id.lower():
                for node in placed.nodes:
                    yield deployment_id, placed.pod, node

    def _place(self, deployment_id: str, pod: Pod, count: int) -> None:
        """Give a deployment so many pods; those that ask for the same stay where they are."""
        former = self._placed.pop(deployment_id.lower(), None)
        stay = list(former.nodes[:count]) if former and former.pod == pod else []
        try:
            nodes = self._fitted(pod, count, stay)
        except UnschedulableError:
            self._keep(deployment_id, former)
            raise
        self._keep(deployment_id, _Placed(pod, tuple(nodes)))

    def _keep(self, deployment_id: str, placed: _Placed | None) -> None:
        if placed and placed.nodes:
            self._placed[deployment_id.lower()] = placed
        else:
            self._placed.pop(deployment_id.lower(), None)

    def _fitted(self, pod: Pod, count: int, nodes: list[str]) -> list[str]:
        """Return ``nodes`` with one more for each pod that is missing. Raises UnschedulableError."""
        cluster = self._read(pod.cluster)
        present = list(self.pods(pod.cluster)) + [("", pod, node) for node in nodes]
        for _ in range(count - len(nodes)):
            _require_quota(cluster, pod, [one for _, one, _ in present])
            node = _choose(cluster, pod, present)
            present.append(("", pod, node))
            nodes = [*nodes, node]
        return nodes


def _choose(cluster: Cluster, pod: Pod, present: list[tuple[str, Pod, str]]) -> str:
    """Return the node with the most CPU left, of those on which a pod fits. Raises UnschedulableError."""
    found: list[tuple[int, str]] = []
    reasons: Counter[str] = Counter()
    for node in cluster.nodes:
        taken = [one.requests for _, one, name in present if name == node.name]
        left = node.allocatable - sum(taken, Resources())
        why = _why_not(node, pod, left, len(taken))
        reasons.update(why)
        if not why:
            found.append((left.cpu, node.name))
    if found:
        return max(found)[1]
    said = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    raise UnschedulableError(f"0/{len(cluster.nodes)} nodes are available: {said}.")


def _why_not(node: Node, pod: Pod, left: Resources, pods: int) -> list[str]:
    """Return why a node does not take a pod, in kube-scheduler's words."""
    if node.unschedulable:
        return ["node(s) were unschedulable"]
    if any(node.labels.get(label) != value for label, value in pod.node_selector.items()):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if pods >= node.most_pods:
        return ["Too many pods"]
    return [f"Insufficient {resource}" for resource in pod.requests.lacking(left)]


def _require_quota(cluster: Cluster, pod: Pod, present: list[Pod]) -> None:
    """Raise what Kubernetes' API server says where a pod would exceed a quota of its namespace."""
    used = [_counted(one) for one in present if one.namespace == pod.namespace]
    asked = _counted(pod)
    for quota in cluster.quotas.get(pod.namespace, ()):
        for limit, hard in quota.hard.items():
            taken = sum(one[limit] for one in used)
            if taken + asked[limit] > hard:
                amounts = f"requested: {limit}={asked[limit]}, used: {limit}={taken}, limited: {limit}={hard}"
                raise UnschedulableError(f"exceeded quota: {quota.name}, {amounts}")


def _counted(pod: Pod) -> dict[str, int]:
    requests, limits = pod.requests, pod.limits
    return {
        "pods": 1,
        "cpu": requests.cpu,
        "requests.cpu": requests.cpu,
        "limits.cpu": limits.cpu,
        "memory": requests.memory,
        "requests.memory": requests.memory,
        "limits.memory": limits.memory,
        f"requests.{GPU}": requests.gpu,
    }
