"""Kubernetes quantities, instance types, nodes and quotas, and which pods fit.

What is right: Kubernetes' own documentation (Quantity, resource quotas, kube-scheduler's messages as in
https://github.com/Azure/MachineLearningNotebooks/issues/487), and Microsoft's how-to-manage-kubernetes-instance-types.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from azureml_local.engines.kubernetes.cluster import Cluster, InstanceType, this_machine
from azureml_local.engines.kubernetes.resources import GIB, Resources, quantity
from azureml_local.engines.kubernetes.scheduling import Pod, Scheduler, UnschedulableError

SMALL = Resources(500, GIB)


def node(name: str, cpu: str = "2", memory: str = "16Gi", **more: Any) -> dict[str, Any]:
    status = {"allocatable": {"cpu": cpu, "memory": memory, **more.pop("amounts", {})}}
    metadata = {"name": name, "labels": more.pop("labels", {})}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": more, "status": status}


def pod(requests: Resources = SMALL, namespace: str = "default", **selector: str) -> Pod:
    return Pod("/c", namespace, "t", requests, requests, selector)


def scheduler(*objects: dict[str, Any]) -> Scheduler:
    return Scheduler(lambda _: Cluster.read(objects))


def place(scheduler: Scheduler, name: str, asked: Pod, count: int, surge: int = 0) -> None:
    with scheduler.placing(name, asked, count, surge):
        pass


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", 0.1), ("2", 2), (2, 2), ("0.5Gi", 2**29), ("1500Mi", 1500 * 2**20), ("1G", 1e9), ("1e3", 1000),
     (".5", 0.5), ("1E", 1e18), ("1Ei", 2**60), ("1E2", 100)],
)  # fmt: skip
def test_quantities(text: Any, value: float) -> None:
    assert float(quantity(text)) == value


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "-1", "1KI", "1g", True, None, "1e", "٣", "1" * 5000, 1.5])
def test_what_is_no_quantity(text: Any) -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        quantity(text)


@pytest.mark.parametrize("text", ["10E", "1e99", "9" * 30])
def test_quantities_that_are_too_large(text: str) -> None:
    """A quantity is at most 2^63 - 1: kubernetes-api/common-definitions/quantity."""
    with pytest.raises(ValueError, match="more than a Kubernetes quantity can be"):
        quantity(text)


def test_amounts_are_shown_as_kubernetes_writes_them() -> None:
    amounts = Resources.read({"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": 1})
    assert amounts.shown() == {"cpu": "1500m", "memory": "1024Mi", "nvidia.com/gpu": "1"}
    assert Resources.read({"cpu": 2}).shown()["cpu"] == "2"


def test_instance_type_of_microsofts_example() -> None:
    spec = {
        "nodeSelector": {"mylabel": "mylabelvalue"},
        "resources": {
            "limits": {"cpu": "1", "nvidia.com/gpu": 1, "memory": "2Gi"},
            "requests": {"cpu": "700m", "memory": "1500Mi"},
        },
    }
    found = InstanceType.read("myinstancetypename", spec)
    assert found.requests == Resources(700, 1500 * 2**20, 1)
    assert found.limits == Resources(1000, 2 * GIB, 1)
    assert found.node_selector == {"mylabel": "mylabelvalue"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "resources.requests.cpu is required"),
        ({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}, "resources.limits.cpu is required"),
        (
            {"resources": {"requests": {"cpu": "0", "memory": "1Gi"}, "limits": {}}},
            "requests.cpu is required and not 0",
        ),
        (
            {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
            "requests.cpu is more than its limit",
        ),
        (
            {
                "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1},
                    "limits": {"cpu": "1", "memory": "1Gi"},
                }
            },
            "can only be specified in resources.limits",
        ),
    ],
)
def test_rules_of_instance_types(spec: dict[str, Any], said: str) -> None:
    """how-to-manage-kubernetes-instance-types, the table of parameters."""
    with pytest.raises(ValueError, match=said):
        InstanceType.read("t", spec)


def test_a_cluster_without_nodes_is_this_machine() -> None:
    cluster = Cluster.read(())
    assert cluster.nodes == (this_machine(),)
    assert cluster.nodes[0].allocatable.cpu >= 1000
    assert set(cluster.instance_types) == {"defaultinstancetype"}


def test_pods_fill_nodes_and_then_do_not_fit() -> None:
    cluster = scheduler(node("a"), node("b"))
    place(cluster, "/one", pod(), 5)
    assert sorted(name for _, _, name in cluster.pods("/c")) == ["a", "a", "b", "b", "b"]
    place(cluster, "/two", pod(), 3)
    with pytest.raises(UnschedulableError, match=r"0/2 nodes are available: 2 Insufficient cpu\."):
        place(cluster, "/three", pod(), 1)
    cluster.shrink("/one", 4)
    place(cluster, "/three", pod(), 1)


def test_what_does_not_fit_leaves_all_as_it_was() -> None:
    cluster = scheduler(node("a"))
    place(cluster, "/one", pod(), 2)
    with pytest.raises(UnschedulableError, match="Insufficient cpu"):
        place(cluster, "/one", pod(), 9)
    assert len(cluster.nodes("/one")) == 2
    with pytest.raises(KeyError), cluster.placing("/one", pod(), 3):
        raise KeyError
    assert len(cluster.nodes("/one")) == 2


def test_reasons_are_counted_by_node() -> None:
    cluster = scheduler(
        node("a", cpu="100m", memory="1Mi"),
        node("b", unschedulable=True),
        node("c"),
        node("d", labels={"disk": "ssd"}),
    )
    place(cluster, "/full", pod(Resources(1, 1)), 1)
    with pytest.raises(UnschedulableError) as refusal:
        place(cluster, "/one", pod(Resources(64_000, GIB), disk="ssd"), 1)
    assert str(refusal.value) == (
        "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node "
        "affinity/selector."
    )


def test_gpus_are_counted() -> None:
    cluster = scheduler(node("a", amounts={"nvidia.com/gpu": "1"}))
    asked = pod(replace(SMALL, gpu=1))
    place(cluster, "/one", asked, 1)
    with pytest.raises(UnschedulableError, match=r"1 Insufficient nvidia\.com/gpu"):
        place(cluster, "/two", asked, 1)


def test_quota_of_a_namespace() -> None:
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": "ml"},
        "spec": {"hard": {"requests.cpu": "1", "pods": "10"}},
    }
    cluster = scheduler(node("a", cpu="16", memory="64Gi"), quota)
    place(cluster, "/other", pod(), 4)
    place(cluster, "/one", pod(namespace="ml"), 2)
    said = r"exceeded quota: team, requested: requests\.cpu=500, used: requests\.cpu=1000, limited: requests\.cpu=1000"
    with pytest.raises(UnschedulableError, match=said):
        place(cluster, "/one", pod(namespace="ml"), 3)


def test_pods_that_replace_others_need_room_for_some_beside_them() -> None:
    cluster = scheduler(node("a", cpu="1"))
    place(cluster, "/one", pod(), 1, surge=1)
    place(cluster, "/one", pod(replace(SMALL, cpu=400)), 1, surge=1)
    place(cluster, "/two", pod(), 1)
    with pytest.raises(UnschedulableError, match="Insufficient cpu"):
        place(cluster, "/one", pod(), 1, surge=1)
    assert cluster.nodes("/one") == ("a",)


def test_growing_takes_what_fits() -> None:
    cluster = scheduler(node("a"))
    place(cluster, "/one", pod(), 1)
    assert cluster.why_not("/one") == ""
    assert cluster.grow("/one", 9) == 4
    assert cluster.why_not("/one") == "0/1 nodes are available: 1 Insufficient cpu."
    cluster.shrink("/one", 0)
    assert list(cluster.pods("/c")) == []


def test_what_runs_is_counted_also_where_it_no_longer_fits() -> None:
    cluster = scheduler(node("a", cpu="100m"))
    cluster.restore("/one", pod(), 2)
    assert cluster.nodes("/one") == ("a", "a")


def test_pods_survive_being_written_down() -> None:
    asked = pod(disk="ssd")
    assert Pod.load(asdict(asked)) == asked
