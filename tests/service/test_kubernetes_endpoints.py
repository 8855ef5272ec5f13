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
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
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


# --- attach ---


def test_attached_cluster_is_shown_as_azure_shows_it(
    ml: MLClient, service: RunningService, credential: ClientSecretCredential, arm: Arm, attach: NewCompute
) -> None:
    name = attach(namespace="default")
    answer = arm.get(f"/computes/{name}").json()["properties"]
    assert (answer["computeType"], answer["isAttachedCompute"]) == ("Kubernetes", True)
    assert "Processes on this machine stand in for its pods" in answer["description"]
    assert set(answer["properties"]) == {
        "relayConnectionString", "serviceBusConnectionString", "extensionPrincipalId", "extensionInstanceReleaseTrain",
        "vcName", "namespace", "defaultInstanceType", "instanceTypes",
    }  # fmt: skip
    # how-to-manage-kubernetes-instance-types#default-instance-type
    assert answer["properties"]["instanceTypes"] == {
        "defaultinstancetype": {
            "nodeSelector": None,
            "resources": {
                "requests": {"cpu": "100m", "memory": "2048Mi", "nvidia.com/gpu": None},
                "limits": {"cpu": "2", "memory": "2048Mi", "nvidia.com/gpu": None},
            },
        }
    }
    found = ml.compute.get(name)
    assert (found.type, found.namespace, found.provisioning_state) == ("kubernetes", "default", "Succeeded")
    assert name in {one.name for one in ml.compute.list(compute_type="Kubernetes")}
    management = MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)
    kubernetes = management.compute.get(arm.settings.resource_group, arm.settings.workspace, name).properties
    assert kubernetes.properties.instance_types["defaultinstancetype"].resources.limits["cpu"] == "2"


def test_what_azure_gives_can_be_sent_back(ml: MLClient, attach: NewCompute) -> None:
    name = attach(tags={"team": "a"})
    found = ml.compute.get(name)
    found.description = "ours"
    again = finish(ml.compute.begin_create_or_update(found))
    assert (again.description, again.namespace) == ("ours", "default")


@pytest.mark.parametrize("kind", [AKS, ARC, "microsoft.containerservice/managedclusters"])
def test_one_cluster_can_be_attached_more_than_once(arm: Arm, attach: NewCompute, kind: str) -> None:
    """how-to-attach-kubernetes-to-workspace: "attach it to the same workspace multiple times"."""
    cluster = f"{arm.group}/providers/{kind}/{unique('c')}"
    first, second = attach(cluster), attach(cluster)
    shown = {arm.get(f"/computes/{name}").json()["properties"]["resourceId"] for name in (first, second)}
    assert shown == {cluster}


@pytest.mark.parametrize(
    ("name", "resource", "member"),
    [
        ("a", f"{AKS}/c", "name"),
        ("a" * 17, f"{AKS}/c", "name"),
        ("1ab", f"{AKS}/c", "name"),
        ("ab", "Microsoft.Compute/virtualMachines/v", "properties.resourceId"),
        ("ab", f"{AKS}/c/agentPools/p", "properties.resourceId"),
        ("ab", "Microsoft.ContainerService/connectedClusters/c", "properties.resourceId"),
    ],
)
def test_wrong_names_and_resources_are_refused(arm: Arm, name: str, resource: str, member: str) -> None:
    """Names of 2 to 16 characters: azure-ai-ml and the studio say so of kinds other than clusters and instances."""
    properties = {"computeType": "Kubernetes", "resourceId": f"{arm.group}/providers/{resource}"}
    answer = arm.put(f"/computes/{name}", {"location": "eastus", "properties": properties})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, member)


def test_attached_computes_cannot_become_another_cluster(arm: Arm, attach: NewCompute) -> None:
    name = attach()
    properties = {"computeType": "Kubernetes", "resourceId": f"{arm.group}/providers/{AKS}/{unique('c')}"}
    answer = arm.put(f"/computes/{name}", {"location": "eastus", "properties": properties})
    assert answer.status_code == 400 and "cannot be changed" in answer.json()["error"]["message"]
    own = arm.get(f"/computes/{name}").json()["properties"]["resourceId"]
    properties = {"computeType": "Kubernetes", "resourceId": own, "properties": {"namespace": "other"}}
    answer = arm.put(f"/computes/{name}", {"location": "eastus", "properties": properties})
    assert answer.json()["error"]["target"] == "properties.properties.namespace"


def test_instance_types_of_the_request(arm: Arm, attach: NewCompute) -> None:
    """Of the OpenAPI's example Compute/createOrUpdate/KubernetesCompute."""
    resources = {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "1", "memory": "4Gi"}}
    types = {"big": {"nodeSelector": None, "resources": resources}}
    name = attach(properties={"instanceTypes": types, "defaultInstanceType": "big"})
    shown = arm.get(f"/computes/{name}").json()["properties"]["properties"]
    assert (shown["defaultInstanceType"], set(shown["instanceTypes"])) == ("big", {"big", "defaultinstancetype"})
    own = arm.get(f"/computes/{name}").json()["properties"]["resourceId"]
    for wrong in ({"cpu": "1"}, {"cpu": "much", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}):
        types = {"bad": {"resources": {**resources, "requests": wrong}}}
        properties = {"computeType": "Kubernetes", "resourceId": own, "properties": {"instanceTypes": types}}
        answer = arm.put(f"/computes/{name}", {"location": "eastus", "properties": properties})
        assert answer.status_code == 400 and answer.json()["error"]["target"] == "properties.properties.instanceTypes"


def test_deletion_of_what_is_attached_is_refused(ml: MLClient, attach: NewCompute) -> None:
    name = attach()
    with pytest.raises(HttpResponseError, match="underlyingResourceAction=Detach"):
        ml.compute.begin_delete(name)
    assert ml.compute.get(name).provisioning_state == "Succeeded"


# --- endpoints ---


def test_endpoints_that_kubernetes_does_not_have_are_refused(arm: Arm, ml: MLClient, attach: NewCompute) -> None:
    compute = f"{arm.workspace}/computes/{attach()}"
    for settings, said in (
        ({"authMode": "AADToken"}, "doesn't support Microsoft Entra token"),  # concept-endpoints-online-auth
        ({"publicNetworkAccess": "Disabled"}, "managed online endpoints"),
        ({"compute": f"{compute}x"}, "Cannot find Kubernetes compute."),
    ):
        properties = {"authMode": "Key", "compute": compute, **settings}
        answer = arm.put(f"/onlineEndpoints/{unique('ke-')}", {"location": "eastus", "properties": properties})
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["error"]["details"][0]["message"]


def test_endpoints_are_listed_by_their_compute_type(arm: Arm, endpoint: str) -> None:
    def names(compute_type: str) -> set[str]:
        listed = arm.get("/onlineEndpoints", computeType=compute_type, name=endpoint).json()["value"]
        return {one["name"] for one in listed}

    assert (names("Kubernetes"), names("Managed")) == ({endpoint}, set())


def test_an_endpoint_stays_on_its_compute(ml: MLClient, arm: Arm, endpoint: str, attach: NewCompute) -> None:
    found = ml.online_endpoints.get(endpoint)
    found.compute = attach()
    with pytest.raises(HttpResponseError, match="compute cannot be changed"):
        ml.online_endpoints.begin_create_or_update(found)


def test_tokens_of_the_endpoint_open_it(ml: MLClient, environment: Environment, attach: NewCompute) -> None:
    """AML-Kubernetes issue 156: "we've already support token-based auth, set auth_mode: aml_token"."""
    name = unique("ke-")
    made = KubernetesOnlineEndpoint(name=name, compute=attach(), auth_mode="aml_token")
    found = finish(ml.online_endpoints.begin_create_or_update(made))
    finish(ml.online_deployments.begin_create_or_update(deployment(name, environment)))
    found.traffic = {"blue": 100}
    finish(ml.online_endpoints.begin_create_or_update(found))
    with quick_session() as session:
        token = ml.online_endpoints.get_keys(name).access_token
        assert Scorer(session, found.scoring_uri, token).post({}).status_code == 200
        assert Scorer(session, found.scoring_uri, "wrong").post({}).status_code == 401
    finish(ml.online_endpoints.begin_delete(name))


def test_a_detached_cluster_leaves_its_endpoints(ml: MLClient, environment: Environment, endpoint: str) -> None:
    """how-to-troubleshoot-kubernetes-compute#error-computenotfound; attached again by its name, all is as before."""
    compute = ml.compute.get(ml.online_endpoints.get(endpoint).compute.rpartition("/")[2])
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment)))
    finish(ml.compute.begin_delete(compute.name, action="Detach"))
    key = ml.online_endpoints.get_keys(endpoint).primary_key
    with quick_session() as session:
        scorer = Scorer(session, ml.online_endpoints.get(endpoint).scoring_uri, key)
        assert scorer.post({}, deployment="blue").status_code == 200
    with pytest.raises(HttpResponseError, match="ComputeNotFound"):
        ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green"))
    finish(ml.compute.begin_create_or_update(compute))
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green")))
    finish(ml.compute.begin_delete(compute.name, action="Detach"))
