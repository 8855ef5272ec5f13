"""What a deployment is called in a Kubernetes cluster of the user's own.

Truth: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local.arm.online import kubernetes_deployments, kubernetes_manifests
from azureml_local.engines.kubernetes.resources import Resources

LONG = "a" * 32  # the longest name of an endpoint or a deployment
PROBE = {"initialDelay": "PT1S", "period": "PT1S", "timeout": "PT1S", "successThreshold": 1, "failureThreshold": 1}


@pytest.fixture(autouse=True)
def pod(monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = Resources(1000, 1024, 0)
    made = SimpleNamespace(namespace="default", requests=amounts, limits=amounts, node_selector={})
    monkeypatch.setattr(kubernetes_deployments, "pod", lambda *_: made)


def name_of(endpoint: str, deployment: str) -> str:
    """Return the name that a deployment's objects have, all of them the same."""
    context = SimpleNamespace(store=SimpleNamespace(get=lambda _: SimpleNamespace(name=endpoint)))
    properties = {"livenessProbe": PROBE, "readinessProbe": PROBE, "environmentVariables": {}}
    stored = SimpleNamespace(
        id=f"/onlineEndpoints/{endpoint}/deployments/{deployment}",
        name=deployment,
        properties=properties,
        body={"sku": {"capacity": 1}},
    )
    objects = kubernetes_manifests.manifests(cast(Any, context), cast(Any, stored), None)
    (name,) = {one["metadata"]["name"] for one in objects}
    return str(name)


def test_a_name_that_can_be_no_other_ones_is_plain() -> None:
    assert name_of("Sales", "blue") == "sales-blue"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("sales-eu", "blue"), ("sales", "eu-blue")),
        ((LONG, LONG), (LONG, LONG[:-1] + "b")),
        ((LONG, LONG), (LONG, LONG[:-1])),
        ((LONG, "a" * 30 + "-b"), (LONG, "a" * 30 + "-c")),
    ],
)
def test_two_deployments_never_have_one_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    names = [name_of(*one), name_of(*other)]
    assert names[0] != names[1]
    for name in names:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name), name
    assert names == [name_of(*one), name_of(*other)]  # each time the same
