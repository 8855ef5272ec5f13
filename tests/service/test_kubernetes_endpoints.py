"""Attached Kubernetes clusters and the endpoints on them, through the official clients.

What is right: Microsoft's how-to-attach-kubernetes-to-workspace, how-to-manage-kubernetes-instance-types,
how-to-kubernetes-inference-routing-azureml-fe, how-to-troubleshoot-online-endpoints and -kubernetes-compute,
reference-yaml-deployment-kubernetes-online, and the examples of Azure's OpenAPI (Compute/get/KubernetesCompute).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    KubernetesCompute,
    KubernetesOnlineDeployment,
    KubernetesOnlineEndpoint,
)
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from support import SCRIPTS, Arm, Scorer, finish, quick_session

from running_service import RunningService

AKS = "Microsoft.ContainerService/managedClusters"
ARC = "Microsoft.Kubernetes/connectedClusters"
NewCompute = Callable[..., str]


def unique(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:8]


@pytest.fixture(scope="module")
def environment(ml: MLClient) -> Environment:
    image = "mcr.microsoft.com/azureml/minimal-py311-inference"
    return ml.environments.create_or_update(Environment(name="kubernetes-tests", image=image))


@pytest.fixture
def attach(ml: MLClient, arm: Arm) -> Iterator[NewCompute]:
    """Attach a cluster of its own, or the given one, and return the compute's name; detached after the test."""
    made: list[str] = []

    def go(resource_id: str | None = None, **options: Any) -> str:
        made.append(unique("k"))
        resource_id = resource_id or f"{arm.group}/providers/{AKS}/{made[-1]}"
        finish(ml.compute.begin_create_or_update(KubernetesCompute(name=made[-1], resource_id=resource_id, **options)))
        return made[-1]

    yield go
    for name in made:
        try:
            finish(ml.compute.begin_delete(name, action="Detach"))
        except ResourceNotFoundError:
            continue  # the test has detached it


@pytest.fixture
def endpoint(ml: MLClient, attach: NewCompute) -> Iterator[str]:
    """The name of an endpoint on a cluster of its own; deleted after the test."""
    name = unique("ke-")
    finish(ml.online_endpoints.begin_create_or_update(KubernetesOnlineEndpoint(name=name, compute=attach())))
    yield name
    finish(ml.online_endpoints.begin_delete(name))


def deployment(endpoint: str, environment: Environment, name: str = "blue", **options: Any) -> Any:
    options.setdefault("instance_count", 1)
    options.setdefault("environment_variables", {"DEPLOYMENT": name})
    script = options.pop("script", "score.py")
    return KubernetesOnlineDeployment(
        name=name,
        endpoint_name=endpoint,
        environment=environment,
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script=script),
        **options,
    )


def test_attach_deploy_score_and_detach(
    ml: MLClient,
    service: RunningService,
    credential: ClientSecretCredential,
    arm: Arm,
    environment: Environment,
    attach: NewCompute,
) -> None:
    compute_name, name = attach(), unique("ke-")
    endpoint = finish(
        ml.online_endpoints.begin_create_or_update(KubernetesOnlineEndpoint(name=name, compute=compute_name))
    )
    assert endpoint.kind == "K8S" and endpoint.compute.endswith(f"/computes/{compute_name}")
    finish(ml.online_deployments.begin_create_or_update(deployment(name, environment)))
    endpoint.traffic = {"blue": 100}
    finish(ml.online_endpoints.begin_create_or_update(endpoint))
    found = ml.online_deployments.get("blue", name)
    assert (found.type, found.instance_count, found.scale_settings.type) == ("Kubernetes", 1, "default")
    with quick_session() as session:
        scorer = Scorer(session, endpoint.scoring_uri, ml.online_endpoints.get_keys(name).primary_key)
        answer = scorer.post({"data": [1]})
    assert answer.status_code == 200, answer.text
    assert answer.headers["azureml-model-deployment"] == "blue"
    assert "azureml-local runs no containers" in ml.online_deployments.get_logs("blue", name, lines=10)
    management = MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)
    seen = management.compute.get(arm.settings.resource_group, arm.settings.workspace, compute_name)
    assert seen.properties.is_attached_compute and seen.properties.properties.namespace == "default"
    finish(ml.online_endpoints.begin_delete(name))
    finish(ml.compute.begin_delete(compute_name, action="Detach"))
    with pytest.raises(ResourceNotFoundError):
        ml.compute.get(compute_name)
