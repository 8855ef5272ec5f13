"""Attached Kubernetes clusters and the endpoints on them, through the official clients.

What is right: Microsoft's how-to-attach-kubernetes-to-workspace, how-to-manage-kubernetes-instance-types,
how-to-kubernetes-inference-routing-azureml-fe, how-to-troubleshoot-online-endpoints and -kubernetes-compute,
reference-yaml-deployment-kubernetes-online, and the examples of Azure's OpenAPI (Compute/get/KubernetesCompute).
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes_validate
import psutil
import pytest
import yaml
from azure.ai.ml import MLClient, command
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    IdentityConfiguration,
    KubernetesCompute,
    KubernetesOnlineDeployment,
    KubernetesOnlineEndpoint,
    ManagedOnlineDeployment,
    OnlineRequestSettings,
    ResourceRequirementsSettings,
    ResourceSettings,
    TargetUtilizationScaleSettings,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from support import SCRIPTS, SECONDS, Arm, Deployed, NewClient, Scorer, finish, quick_session

from azureml_local import admin
from azureml_local.daemon import DaemonError
from running_service import RunningService, command_line, wait_for

AKS = "Microsoft.ContainerService/managedClusters"
ARC = "Microsoft.Kubernetes/connectedClusters"
NewCompute = Callable[..., str]
INSTANCE_TYPES = """
apiVersion: amlarc.azureml.com/v1alpha1
kind: InstanceTypeList
items:
  - metadata:
      name: cpusmall
    spec:
      resources:
        requests:
          cpu: "100m"
          memory: "100Mi"
        limits:
          cpu: "1"
          nvidia.com/gpu: 0
          memory: "1Gi"

  - metadata:
      name: defaultinstancetype
    spec:
      resources:
        requests:
          cpu: "1"
          memory: "1Gi"
        limits:
          cpu: "1"
          nvidia.com/gpu: 0
          memory: "1Gi"
"""


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


@pytest.fixture(scope="module")
def shared(ml: MLClient, arm: Arm) -> Iterator[str]:
    """The name of an endpoint on a cluster of its own, for tests of what is refused."""
    compute, name = unique("k"), unique("ke-")
    cluster = KubernetesCompute(name=compute, resource_id=f"{arm.group}/providers/{AKS}/{compute}")
    finish(ml.compute.begin_create_or_update(cluster))
    finish(ml.online_endpoints.begin_create_or_update(KubernetesOnlineEndpoint(name=name, compute=compute)))
    yield name
    finish(ml.online_endpoints.begin_delete(name))
    finish(ml.compute.begin_delete(compute, action="Detach"))


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
    name = attach(tags={"team": "a"}, identity=IdentityConfiguration(type="system_assigned"))
    found = ml.compute.get(name)
    assert found.identity.principal_id
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
        ("ab", f"{AKS}/c\n", "properties.resourceId"),
        ("ab", f"{AKS}/a cluster", "properties.resourceId"),
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


def test_who_may_attach(arm: Arm, new_identity: NewClient, ml: MLClient) -> None:
    """how-to-assign-roles#common-scenarios: who attaches AKS needs its credentials, too."""
    name = unique("k")
    properties = {"computeType": "Kubernetes", "resourceId": f"{arm.group}/providers/{AKS}/{name}"}
    for role, scope, status in (("AzureML Compute Operator", arm.workspace, 403), ("Contributor", arm.group, 201)):
        credential, _ = new_identity(role, scope)
        theirs = Arm(arm.session, arm.settings, credential.get_token("https://management.azure.com/.default").token)
        answer = theirs.put(f"/computes/{name}", {"location": "eastus", "properties": properties})
        assert answer.status_code == status, answer.text
        if status == 403:
            assert "listClusterAdminCredential/action" in answer.json()["error"]["message"]
    assert arm.ended(answer)["status"] == "Succeeded"
    finish(ml.compute.begin_delete(name, action="Detach"))


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


def test_endpoints_are_listed_by_their_compute_type(arm: Arm, shared: str) -> None:
    def names(compute_type: str) -> set[str]:
        listed = arm.get("/onlineEndpoints", computeType=compute_type, name=shared).json()["value"]
        return {one["name"] for one in listed}

    assert (names("Kubernetes"), names("Managed")) == ({shared}, set())


def test_an_endpoint_stays_on_its_compute(ml: MLClient, arm: Arm, shared: str, attach: NewCompute) -> None:
    found = ml.online_endpoints.get(shared)
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


# --- what a cluster holds ---

NODE = """
apiVersion: v1
kind: Node
metadata: {name: big, labels: {disk: ssd}}
status: {allocatable: {cpu: "1", memory: 8Gi}}
"""


def kubernetes(service: RunningService, *words: str, stdin: str | None = None) -> str:
    """Run ``azureml-local kubernetes`` and return what it prints."""
    done = command_line(service.home.root, "kubernetes", *words, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def apply(service: RunningService, cluster: str, text: str) -> None:
    """Do what ``azureml-local kubernetes apply`` does, without a process of its own."""
    objects = list(yaml.safe_load_all(text))
    admin.call(service.home, "PUT", "/kubernetes", {"cluster": cluster, "objects": objects})


def listed(service: RunningService, cluster: str) -> dict[str, Any]:
    (shown,) = admin.call(service.home, "GET", f"/kubernetes?cluster={cluster}")
    return dict(shown)


def cluster_of(ml: MLClient, endpoint: str) -> str:
    """The name of the compute of an endpoint."""
    return str(ml.online_endpoints.get(endpoint).compute.rpartition("/")[2])


def resources(cpu: str | None = None, memory: str | None = None) -> ResourceSettings:
    return ResourceSettings(cpu=cpu, memory=memory)


def test_instance_types_are_applied_as_kubectl_does(
    service: RunningService, ml: MLClient, arm: Arm, environment: Environment, endpoint: str, tmp_path: Path
) -> None:
    """The YAML is that of how-to-manage-kubernetes-instance-types#create-custom-instance-types."""
    file = tmp_path / "my_instance_type_list.yaml"
    file.write_text(INSTANCE_TYPES)
    cluster = cluster_of(ml, endpoint)
    said = kubernetes(service, "apply", cluster, str(file))
    assert said.splitlines() == [
        "instancetype.amlarc.azureml.com/cpusmall created",
        "instancetype.amlarc.azureml.com/defaultinstancetype created",
    ]
    assert "cpusmall unchanged" in kubernetes(service, "apply", cluster, stdin=INSTANCE_TYPES)
    types = arm.get(f"/computes/{cluster}").json()["properties"]["properties"]["instanceTypes"]
    assert types["cpusmall"]["resources"]["requests"] == {"cpu": "100m", "memory": "100Mi", "nvidia.com/gpu": None}
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, instance_type="cpusmall")))
    assert ml.online_deployments.get("blue", endpoint).instance_type == "cpusmall"
    (shown,) = json.loads(kubernetes(service, "list", cluster, "--json"))
    assert [(pod["deployment"], pod["instanceType"]) for pod in shown["pods"]] == [(f"{endpoint}/blue", "cpusmall")]
    assert f"pod default/{endpoint}/blue on this-machine" in kubernetes(service, "list", cluster)
    assert "the CPU limit of 1 is held to 1 whole core" in ml.online_deployments.get_logs("blue", endpoint, lines=100)
    with quick_session() as session:
        key = ml.online_endpoints.get_keys(endpoint).primary_key
        scorer = Scorer(session, ml.online_endpoints.get(endpoint).scoring_uri, key)
        pid, _ = scorer.post({"pid": True}, deployment="blue").json()
    if sys.platform == "linux":
        assert len(psutil.Process(pid).cpu_affinity() or ()) == 1
    assert "deleted" in kubernetes(service, "delete", cluster, str(file))
    with pytest.raises(HttpResponseError, match="InvalidDeploymentSpec"):
        ml.online_deployments.begin_create_or_update(
            deployment(endpoint, environment, "green", instance_type="cpusmall")
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Pod\napiVersion: v1\nmetadata: {name: p}", "Pod (v1) cannot be applied here"),
        ("kind: List\napiVersion: v1\nitems: [1]", "items must be a list of objects"),
        ("kind: ResourceQuota\napiVersion: v1\nmetadata: {name: q, namespace: [a]}", "namespace must be a text"),
        ("kind: Node\napiVersion: v1\nmetadata: {name: n}\nstatus: ready", "status must be an object"),
        (
            "kind: Node\napiVersion: v1\nmetadata: {name: n}\nstatus: {allocatable: 1}",
            "another type than Kubernetes gives it",
        ),
        ("kind: [Node]\napiVersion: v1", "['Node'] (v1) cannot be applied here"),
        ("just words", "'just words' cannot be applied here"),
        ("kind: Namespace\napiVersion: v1", "metadata.name is missing"),
        ("kind: Node\napiVersion: v1\nmetadata: {name: n}", "status.allocatable must say"),
        (
            "kind: InstanceType\napiVersion: amlarc.azureml.com/v1alpha1\nmetadata: {name: t}\nspec: {}",
            "resources.requests.cpu is required",
        ),
    ],
)
def test_what_cannot_be_applied_changes_nothing(
    service: RunningService, attach: NewCompute, text: str, said: str
) -> None:
    cluster = attach()
    with pytest.raises(DaemonError, match=re.escape(said)):
        apply(service, cluster, text)
    assert [node["name"] for node in listed(service, cluster)["nodes"]] == ["this-machine"]


def test_commands_that_cannot_be_carried_out(service: RunningService) -> None:
    for words, stdin, said in (
        (("apply", "k8s"), "a: [", "- cannot be read"),
        (("apply", "nowhere"), "", "There is no cluster 'nowhere'"),
        (("connect",), None, "needs the name of a cluster"),
    ):
        done = command_line(service.home.root, "kubernetes", *words, stdin=stdin)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert said in done.stderr


def test_requests_that_do_not_fit(
    service: RunningService, ml: MLClient, environment: Environment, endpoint: str
) -> None:
    """how-to-troubleshoot-online-endpoints#kubernetes-quota; what did not fit leaves room, and can be deleted."""
    apply(service, cluster_of(ml, endpoint), NODE)
    half = ResourceRequirementsSettings(requests=resources("600m", "100Mi"))
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, resources=half)))
    with pytest.raises(HttpResponseError) as refusal:
        finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green", resources=half)))
    assert "OutOfQuota: Kubernetes unschedulable. Details:0/1 nodes are available: 1 Insufficient cpu." in str(
        refusal.value
    )
    assert "FailedScheduling" in ml.online_deployments.get_logs("green", endpoint, lines=5)
    assert ml.online_deployments.get("green", endpoint).provisioning_state == "Failed"
    found = ml.online_deployments.get("blue", endpoint)
    found.instance_count = 2
    with pytest.raises(HttpResponseError, match="Insufficient cpu"):
        finish(ml.online_deployments.begin_create_or_update(found))
    shown = listed(service, cluster_of(ml, endpoint))
    assert shown["nodes"][0]["requested"]["cpu"] == "600m"
    finish(ml.online_deployments.begin_delete("green", endpoint))
    little = ResourceRequirementsSettings(requests=resources("200m", "100Mi"))
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green", resources=little)))


def test_quota_and_namespace(
    service: RunningService, ml: MLClient, environment: Environment, attach: NewCompute
) -> None:
    """how-to-troubleshoot-online-endpoints#error-namespacenotfound"""
    compute, name = attach(namespace="ml"), unique("ke-")
    made = KubernetesOnlineEndpoint(name=name, compute=compute)
    with pytest.raises(HttpResponseError, match="NamespaceNotFound"):
        ml.online_endpoints.begin_create_or_update(made)
    quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: ml}\nspec: {hard: {pods: 1}}\n"
    apply(service, compute, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ml}\n---\n" + quota)
    finish(ml.online_endpoints.begin_create_or_update(made))
    with pytest.raises(HttpResponseError, match="exceeded quota: q"):
        finish(ml.online_deployments.begin_create_or_update(deployment(name, environment, instance_count=2)))
    finish(ml.online_endpoints.begin_delete(name))


@pytest.mark.parametrize(
    ("requests", "limits", "said"),
    [
        (("3", "1Gi"), None, "BadArgument"),  # the limit of the default instance type is 2 cores
        (("100m", "1Gi"), ("50m", "1Gi"), "BadArgument"),
        (("0", "1Gi"), None, "cannot be 0"),
        (("a lot", "1Gi"), None, "no Kubernetes quantity"),
        (("100m", "1Gb"), None, "no Kubernetes quantity"),
    ],
)
def test_resources_that_cannot_be(
    ml: MLClient, environment: Environment, shared: str, requests: Any, limits: Any, said: str
) -> None:
    """how-to-troubleshoot-online-endpoints#resource-requests-greater-than-limits"""
    asked = ResourceRequirementsSettings(resources(*requests), resources(*limits) if limits else None)
    with pytest.raises(HttpResponseError, match=said):
        ml.online_deployments.begin_create_or_update(deployment(shared, environment, resources=asked))


def test_memory_limit_is_enforced(ml: MLClient, environment: Environment, shared: str) -> None:
    """how-to-troubleshoot-online-endpoints#error-podoutofmemory"""
    little = ResourceRequirementsSettings(resources("100m", "5Mi"), resources("1", "5Mi"))
    with pytest.raises(HttpResponseError, match="PodOutOfMemory"):
        finish(
            ml.online_deployments.begin_create_or_update(deployment(shared, environment, "little", resources=little))
        )


def test_scripts_that_crash(ml: MLClient, environment: Environment, shared: str) -> None:
    """how-to-troubleshoot-online-endpoints#error-deploymentcrashloopbackoff"""
    with pytest.raises(HttpResponseError, match="DeploymentCrashLoopBackOff"):
        finish(
            ml.online_deployments.begin_create_or_update(
                deployment(shared, environment, "crashes", script="init_raises.py")
            )
        )
    assert "Traceback" in ml.online_deployments.get_logs("crashes", shared, lines=100)


def test_a_cluster_that_is_not_reachable(
    service: RunningService, ml: MLClient, environment: Environment, endpoint: str, attach: NewCompute
) -> None:
    """how-to-troubleshoot-kubernetes-compute#error-clusternotreachable; what it serves goes on."""
    cluster = cluster_of(ml, endpoint)
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment)))
    kubernetes(service, "disconnect", cluster)
    for change in (
        lambda: ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green")),
        lambda: ml.online_endpoints.begin_create_or_update(
            KubernetesOnlineEndpoint(name=unique("ke-"), compute=cluster)
        ),
        lambda: ml.online_deployments.begin_delete("blue", endpoint),
        lambda: ml.online_endpoints.begin_delete(endpoint),
    ):
        with pytest.raises(HttpResponseError, match=r"The Kubernetes cluster is not reachable\."):
            change()
    found = ml.online_endpoints.get(endpoint)
    with quick_session() as session:
        key = ml.online_endpoints.get_keys(endpoint).primary_key
        assert Scorer(session, found.scoring_uri, key).post({}, deployment="blue").status_code == 200
    resource_id = ml.compute.get(cluster).resource_id
    with pytest.raises(HttpResponseError, match="ClusterNotReachable"):
        attach(resource_id)
    kubernetes(service, "connect", cluster)
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, "green")))


# --- the router ---


@pytest.fixture
def served(ml: MLClient, environment: Environment, endpoint: str) -> Iterator[Scorer]:
    """An endpoint on which ``blue`` serves, with 1 s for a request and 0.2 s in the queue."""
    settings = OnlineRequestSettings(request_timeout_ms=1000, max_queue_wait_ms=200)
    made = deployment(endpoint, environment, request_settings=settings)
    finish(ml.online_deployments.begin_create_or_update(made))
    found = ml.online_endpoints.get(endpoint)
    found.traffic = {"blue": 100}
    finish(ml.online_endpoints.begin_create_or_update(found))
    with quick_session() as session:
        yield Scorer(session, found.scoring_uri, ml.online_endpoints.get_keys(endpoint).primary_key)


def test_status_codes_of_the_router(served: Scorer, gate: Path) -> None:
    """how-to-troubleshoot-online-endpoints#common-error-codes-for-kubernetes-online-endpoints"""
    raised = served.post({"raise": "no"})
    assert raised.status_code == 502
    assert not [name for name in raised.headers if name.startswith("ms-azureml-model-error")]
    assert served.post({"status": 400}).status_code == 400
    with ThreadPoolExecutor(4) as threads:
        slow = threads.submit(served.post, {"wait_for": str(gate)})
        wait_for(gate.with_suffix(".waits").exists, "the first request at the model")
        queued = [threads.submit(served.post, {}) for _ in range(3)]  # 429 on a managed endpoint: two at a time
        assert [one.result().status_code for one in queued] == [503] * 3
        assert slow.result().status_code == 504
    gate.touch()
    wait_for(lambda: served.post({}).status_code == 200, "the model is free again")
    assert served.post({"exit": 3}).status_code == 502
    assert served.post({}, deployment="red").status_code == 404


def test_replicas_follow_the_load(ml: MLClient, environment: Environment, endpoint: str, gate: Path) -> None:
    """how-to-kubernetes-inference-routing-azureml-fe#autoscaling: up in about a second; the log says so."""
    scale = TargetUtilizationScaleSettings(
        min_instances=1, max_instances=3, polling_interval=1, target_utilization_percentage=70
    )
    settings = OnlineRequestSettings(request_timeout_ms=60_000, max_queue_wait_ms=60_000)
    little = ResourceRequirementsSettings(resources("50m", "50Mi"), resources("1", "1Gi"))
    made = deployment(endpoint, environment, instance_count=None, scale_settings=scale, request_settings=settings,
                      resources=little)  # fmt: skip
    finish(ml.online_deployments.begin_create_or_update(made))
    found = ml.online_deployments.get("blue", endpoint)
    assert (found.scale_settings.max_instances, found.instance_count) == (3, 1)
    with ThreadPoolExecutor(4) as threads, quick_session() as session:
        uri, key = ml.online_endpoints.get(endpoint).scoring_uri, ml.online_endpoints.get_keys(endpoint).primary_key
        scorer = Scorer(session, uri, key)
        held = [threads.submit(scorer.post, {"wait_for": str(gate)}, deployment="blue") for _ in range(4)]
        wait_for(
            lambda: "Scaled up replica set to 3 from 1" in ml.online_deployments.get_logs("blue", endpoint, lines=5),
            "three replicas",
            SECONDS,
        )
        gate.touch()
        assert [one.result().status_code for one in held] == [200] * 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_instances": 3, "max_instances": 2}, "minInstances <= maxInstances"),
        ({"min_instances": 1, "max_instances": 2, "target_utilization_percentage": 101}, "must be 1 to 100"),
    ],
)
def test_scale_settings_that_cannot_be(
    ml: MLClient, environment: Environment, shared: str, settings: dict[str, int], said: str
) -> None:
    """how-to-troubleshoot-online-endpoints#error-invaliddeploymentspec"""
    scale = TargetUtilizationScaleSettings(**{"polling_interval": 1, **settings})
    with pytest.raises(HttpResponseError, match=said) as refusal:
        ml.online_deployments.begin_create_or_update(deployment(shared, environment, scale_settings=scale))
    assert "InvalidDeploymentSpec" in str(refusal.value)


def test_instances_that_the_router_counts_are_not_set(
    ml: MLClient, arm: Arm, environment: Environment, endpoint: str
) -> None:
    """reference-yaml-deployment-kubernetes-online: instance_count is for the default scale type."""
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, instance_count=None)))
    shown = arm.get(f"/onlineEndpoints/{endpoint}/deployments/blue").json()
    assert shown["properties"]["scaleSettings"] == {
        "scaleType": "TargetUtilization", "minInstances": 1, "maxInstances": 1, "targetUtilizationPercentage": 70,
        "pollingInterval": "PT1S",
    }  # fmt: skip
    change = {"sku": {"name": "Default", "capacity": 2}}
    answer = arm.request("PATCH", f"/onlineEndpoints/{endpoint}/deployments/blue", json=change)
    assert answer.status_code == 400 and "TargetUtilization" in answer.json()["error"]["details"][0]["message"]


def test_deployments_belong_where_their_endpoint_is(
    ml: MLClient, environment: Environment, shared: str, deployed: Deployed
) -> None:
    script = CodeConfiguration(code=str(SCRIPTS), scoring_script="score.py")
    managed = ManagedOnlineDeployment(
        name="blue", endpoint_name=shared, environment=environment, code_configuration=script, instance_count=1,
        instance_type="Standard_DS3_v2",
    )  # fmt: skip
    with pytest.raises(HttpResponseError, match="are Kubernetes"):
        ml.online_deployments.begin_create_or_update(managed)
    with pytest.raises(HttpResponseError, match="are Managed"):
        ml.online_deployments.begin_create_or_update(deployment(deployed.endpoint, environment, "red"))


def test_mirror_traffic_is_refused(ml: MLClient, shared: str) -> None:
    """how-to-safely-rollout-online-endpoints: "Mirror traffic isn't currently supported for Kubernetes"."""
    found = ml.online_endpoints.get(shared)
    found.traffic, found.mirror_traffic = {}, {"blue": 10}
    with pytest.raises(HttpResponseError, match="Mirror traffic isn't currently supported"):
        ml.online_endpoints.begin_create_or_update(found)


# --- jobs ---


def test_jobs_take_the_room_of_their_instance_type(
    service: RunningService, ml: MLClient, environment: Environment, endpoint: str
) -> None:
    """how-to-manage-kubernetes-instance-types#select-instance-type-to-submit-training-job; what does not fit waits."""
    cluster = cluster_of(ml, endpoint)
    apply(service, cluster, NODE + "---" + INSTANCE_TYPES)
    finish(ml.online_deployments.begin_create_or_update(deployment(endpoint, environment, instance_type="cpusmall")))

    def submit(instance_type: str | None) -> str:
        job = command(command="echo done", environment=environment, compute=cluster, instance_type=instance_type)
        return str(ml.jobs.create_or_update(job).name)

    waits, runs, fails = submit(None), submit("cpusmall"), submit("huge")  # the default type takes the whole node
    wait_for(lambda: ml.jobs.get(runs).status == "Completed", f"the end of {runs}", SECONDS)
    wait_for(lambda: ml.jobs.get(fails).status == "Failed", f"the end of {fails}", SECONDS)
    assert ml.jobs.get(waits).status == "Queued"
    finish(ml.online_deployments.begin_delete("blue", endpoint))
    wait_for(lambda: ml.jobs.get(waits).status == "Completed", f"the end of {waits}", SECONDS)


# --- the way out ---


def test_manifests_for_a_cluster_of_the_users_own(
    service: RunningService, ml: MLClient, environment: Environment, endpoint: str
) -> None:
    variables = {"DEPLOYMENT": "blue", "PASSWORD": "${{keyvault:https://v.vault.azure.net/secrets/s}}"}
    limits = ResourceRequirementsSettings(resources("100m", "0.5Gi"), resources("1", "1Gi"))
    made = deployment(endpoint, environment, resources=limits, environment_variables=variables)
    with pytest.raises(HttpResponseError, match="SecretsInjectionError"):  # the vault is not there; the manifests are
        finish(ml.online_deployments.begin_create_or_update(made))
    text = kubernetes(service, "export", f"{endpoint}/blue", "--image", "example.azurecr.io/blue:1")
    objects = list(yaml.safe_load_all(text))
    name = objects[0]["metadata"]["name"]
    assert name.startswith(f"{endpoint}-blue-")
    assert f"the Secret {name}-secrets, which you create" in text and "keyvault" not in text
    assert [one["kind"] for one in objects] == ["Deployment", "Service"]
    for one in objects:
        for version in ("1.30", "1.36"):
            kubernetes_validate.validate(one, version, strict=True)
    (container,) = objects[0]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.azurecr.io/blue:1"
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"cpu": "1", "memory": "1024Mi"},
    }
    labels = objects[0]["spec"]["template"]["metadata"]["labels"]
    assert objects[1]["spec"]["selector"].items() <= labels.items()
    refused = command_line(service.home.root, "kubernetes", "export", f"{endpoint}/red")
    assert refused.returncode == 1 and "There is no deployment" in refused.stderr
