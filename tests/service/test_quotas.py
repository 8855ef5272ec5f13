"""VM sizes, what is used of them, and how much may be.

Truth comes from Azure's OpenAPI and its examples (2024-10-01: VirtualMachineSize, Usage, Quota), from
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas, and for the words of a refusal from
https://github.com/MicrosoftLearning/mslearn-azure-ml/issues/30.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from support import PROVIDER, Arm, Deployed, deploy, finish

from running_service import RunningService

LOCATION = "eastus"
FAMILY = "Standard DASv4 Family Cluster Dedicated vCPUs"  # no other test uses it
SIZE, CORES = "Standard_D2as_v4", 2
SetQuota = Callable[[int], str]


@pytest.fixture(scope="module")
def management(service: RunningService, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)


@pytest.fixture
def set_quota(management: MachineLearningServicesMgmtClient, arm: Arm) -> Iterator[SetQuota]:
    """Set how much the workspace may use of :data:`FAMILY`, and return how that went; afterwards it may use all."""

    def set_it(limit: int) -> str:
        quota = aml.QuotaBaseProperties(id=quota_id(arm), type=f"{PROVIDER}/workspaces/quotas", limit=limit)
        answer = update(management, quota)
        assert (answer.id, answer.limit, answer.unit) == (quota.id, limit, "Count")
        return str(answer.status)

    yield set_it
    assert set_it(300) == "Success"


def update(management: MachineLearningServicesMgmtClient, quota: aml.QuotaBaseProperties) -> aml.UpdateWorkspaceQuotas:
    (answer,) = management.quotas.update(LOCATION, aml.QuotaUpdateParameters(value=[quota])).value
    return answer


def quota_id(arm: Arm) -> str:
    return f"{arm.workspace}/quotas/{FAMILY.replace(' ', '_')}"


def used(management: MachineLearningServicesMgmtClient, usage_type: str, name: str) -> int:
    """Return the one usage of a type and a name."""
    (value,) = [
        usage.current_value
        for usage in management.usages.list(LOCATION)
        if usage.type == f"{PROVIDER}/{usage_type}" and usage.name.value == name
    ]
    return int(value)


def body(arm: Arm, deployed: Deployed, capacity: int = 1, **properties: Any) -> dict[str, Any]:
    """Return the body of the deployment blue with another size and changed properties."""
    blue = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    return {
        "location": blue["location"],
        "sku": {**blue["sku"], "capacity": capacity},
        "properties": {**blue["properties"], "instanceType": SIZE, **properties},
    }


def refusal(answer: Any) -> str:
    """Return what a refused deployment is told of its ``VmSize``, the frame around it being Azure's."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("BadRequest", "The request is invalid.")
    (detail,) = error["details"]
    assert detail["code"] == "InferencingClientCreateDeploymentFailed"
    problem = json.loads(detail["message"].removeprefix("InferencingClient HttpRequest error, error detail: "))
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", problem.pop("traceId"))
    (message,) = problem.pop("errors")["VmSize"]
    assert problem == {
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
    }
    return str(message)


def test_sizes_are_listed_for_each_use(ml: MLClient, management: MachineLearningServicesMgmtClient) -> None:
    listed = {size.name: size for size in management.virtual_machine_sizes.list(LOCATION).value}
    assert len(listed) >= 60
    assert listed["Standard_DS3_v2"].supported_compute_types == ["AmlCompute", "ComputeInstance", "MIR"]
    prices = listed["Standard_DS3_v2"].estimated_vm_prices.values
    assert [(price.vm_tier, price.retail_price) for price in prices] == [("Standard", 0.29), ("LowPriority", 0.06)]
    assert {size.name for size in ml.compute.list_sizes()} == set(listed)
    instances = {size.name: size for size in ml.compute.list_sizes(compute_type="computeinstance", location="East US")}
    assert set(listed) - set(instances) == {f"Standard_FX{cores}mds" for cores in (4, 12, 24, 36, 48)}
    gpu = instances["Standard_NC4as_T4_v3"]
    assert (gpu.family, gpu.gpus) == ("standard NCASv3_T4 Family", 1)
    assert not set(listed) & {"Standard_NC6", "Standard_NC6s_v2", "Standard_NC6s_v3"}


def test_usages_are_by_total_and_by_family(ml: MLClient, management: MachineLearningServicesMgmtClient) -> None:
    usages = {(usage.type, usage.name.value): usage for usage in management.usages.list(LOCATION)}
    subscription = f"/subscriptions/{management._config.subscription_id}/usages"
    for kind, name, limit, segment in (
        ("totalCores", "Clusters", 500, ""),
        ("dedicatedCores", "Total Cluster Dedicated Regional vCPUs", 300, ""),
        ("lowPriorityCores", "Total Cluster LowPriority Regional vCPUs", 3000, ""),
        ("vmFamily", FAMILY, 300, "/Standard_DASv4_Family_Cluster_Dedicated_vCPUs"),
        (
            "vmFamily",
            FAMILY.replace("Dedicated", "LowPriority"),
            -1,
            "/Standard_DASv4_Family_Cluster_LowPriority_vCPUs",
        ),
        ("vmFamily", "Standard NCASv3_T4 Family Cluster Dedicated vCPUs", 64, None),
        ("vmFamily", "Standard MS Family Cluster Dedicated vCPUs", 0, None),
    ):
        usage = usages[f"{PROVIDER}/{kind}/usages", name]
        assert (usage.limit, usage.unit, usage.name.localized_value) == (limit, "Count", name)
        assert segment is None or usage.id == subscription + segment
    assert [usage.id for usage in ml.compute.list_usage()] == [usage.id for usage in usages.values()]


@pytest.mark.parametrize("path", ["vmSizes", "usages", "quotas"])
def test_no_region(path: str, arm: Arm) -> None:
    answer = arm.get(f"{arm.subscription}/providers/{PROVIDER}/locations/no%20%26%20where/{path}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "LocationNotAvailableForResourceType"


def test_deployment_is_counted_until_it_is_deleted(
    ml: MLClient, management: MachineLearningServicesMgmtClient, arm: Arm, deployed: Deployed, name: str
) -> None:
    """Also where it failed: "Each deployment subtracts from available quota and adds it back after deletion"."""
    counters = (
        ("totalCores/usages", "Clusters"),
        ("dedicatedCores/usages", "Total Cluster Dedicated Regional vCPUs"),
        ("vmFamily/usages", FAMILY),
    )
    before = [used(management, *counter) for counter in counters]
    code = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()["properties"]["codeConfiguration"]
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    begun = arm.put(path, body(arm, deployed, capacity=3, codeConfiguration={**code, "scoringScript": "absent.py"}))
    assert arm.ended(begun)["status"] == "Failed"
    machines = 4  # three, and a fifth more, which is a whole one
    growth = [1, machines * CORES, machines * CORES]
    assert [used(management, *counter) for counter in counters] == [a + b for a, b in zip(before, growth, strict=True)]
    usages = {usage.id: usage for usage in management.usages.list(LOCATION)}
    own = usages[f"{arm.workspace}/usages/{FAMILY.replace(' ', '_')}"]
    assert (own.type, own.current_value) == (f"{PROVIDER}/workspaces/usages", machines * CORES)
    assert {usage.current_value for usage in management.usages.list("westeurope")} == {0}
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))
    assert [used(management, *counter) for counter in counters] == before


def test_deployment_beyond_the_quota_of_its_family(arm: Arm, deployed: Deployed, name: str) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    answer = arm.put(path, body(arm, deployed, instanceType="STANDARD_NV6ADS_A10_V5"))
    expected = "Not enough quota available for Standard_NV6ads_A10_v5 in SubscriptionId "
    assert refusal(answer).startswith(expected)
    assert "Current usage/limit: 0/0. Additional needed: 12 " in refusal(answer)
    # No fifth more for this one: "Skip 20% Reservation".
    answer = arm.put(path, body(arm, deployed, capacity=5, instanceType="Standard_NC24ads_A100_v4"))
    assert "Current usage/limit: 0/96. Additional needed: 120 " in refusal(answer)


def test_deployment_beyond_the_quota_of_its_workspace(
    arm: Arm, deployed: Deployed, name: str, set_quota: SetQuota
) -> None:
    """The documentation's own example: ten instances need the quota of twelve."""
    assert set_quota(12 * CORES - 1) == "Success"
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    assert refusal(arm.put(path, body(arm, deployed, capacity=10))) == (
        f"Not enough quota available for {SIZE} in SubscriptionId {arm.settings.subscription_id}. Current usage/limit: "
        f"0/{12 * CORES - 1}. Additional needed: {12 * CORES} Please see troubleshooting guide, available here: "
        "https://aka.ms/oe-tsg#error-outofquota"
    )
    assert arm.get(path).status_code == 404
    assert set_quota(12 * CORES) == "Success"
    usages = {usage["id"]: usage for usage in arm.get(f"{arm.region}/usages").json()["value"]}
    assert f"{arm.workspace}/usages/{FAMILY.replace(' ', '_')}" not in usages  # it uses none


def test_running_deployment_may_shrink_but_not_grow_beyond_a_quota(
    ml: MLClient,
    management: MachineLearningServicesMgmtClient,
    arm: Arm,
    deployed: Deployed,
    name: str,
    set_quota: SetQuota,
) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    assert arm.ended(arm.put(path, body(arm, deployed, capacity=2)))["status"] == "Succeeded"
    assert set_quota(2 * CORES) == "Success"  # it uses that of three machines
    grown = arm.request("PATCH", path, {"sku": {"name": "Default", "capacity": 3}})
    assert f"Current usage/limit: {3 * CORES}/{2 * CORES}. Additional needed: {CORES} " in refusal(grown)
    assert arm.get(path).json()["sku"]["capacity"] == 2
    shrunk = arm.request("PATCH", path, {"sku": {"name": "Default", "capacity": 1}})
    assert shrunk.status_code == 202
    assert arm.ended(shrunk)["status"] == "Succeeded"
    assert used(management, "vmFamily/usages", FAMILY) == 2 * CORES
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))


@pytest.mark.parametrize(
    ("instance_type", "reason"),
    [
        ("Standard_NC6s_v2", "retired on 2023-08-31"),
        ("Standard_NC6s_v3", "retired on 2025-09-30"),
        ("Standard_DS12_v2", "not supported"),  # for clusters only
        ("Standard_DS3_v99", "not supported"),
        ("Standard_", "not supported"),
        ("", "not supported"),
    ],
)
def test_size_that_managed_endpoints_cannot_use(
    instance_type: str, reason: str, arm: Arm, deployed: Deployed, name: str
) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    message = refusal(arm.put(path, body(arm, deployed, instanceType=instance_type)))
    assert f"'{instance_type}'" in message
    assert reason in message
    assert "reference-managed-online-endpoints-vm-sku-list" in message
    assert arm.get(path).status_code == 404


def test_the_client_shows_why(ml: MLClient, deployed: Deployed, name: str) -> None:
    with pytest.raises(HttpResponseError, match=r"Additional needed: 12 .*error-outofquota") as caught:
        deploy(ml, deployed.endpoint, name, environment=deployed.environment, instance_type="Standard_NV6ads_A10_v5")
    assert caught.value.status_code == 400


def test_quotas_of_workspaces(management: MachineLearningServicesMgmtClient, arm: Arm, set_quota: SetQuota) -> None:
    assert set_quota(7) == "Success"
    quotas = {quota.id: quota for quota in management.quotas.list(LOCATION)}
    own = quotas[quota_id(arm)]
    assert (own.type, own.limit, own.unit) == (f"{PROVIDER}/workspaces/quotas", 7, "Count")
    assert own.name.value == own.name.localized_value == FAMILY
    of_family = quotas[f"{arm.subscription}/quotas/{FAMILY.replace(' ', '_')}"]
    assert (of_family.type, of_family.limit) == (f"{PROVIDER}/vmFamily/quotas", 300)
    assert quota_id(arm) not in {quota.id for quota in management.quotas.list("westeurope")}
    # "You can't set a negative value or a value higher than the subscription-level quota."
    assert set_quota(-1) == "Failure"
    assert set_quota(301) == "InvalidQuotaExceedsSubscriptionLimit"
    unchanged = {quota.id: quota.limit for quota in management.quotas.list(LOCATION)}
    assert unchanged[quota_id(arm)] == 7


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{ws}/quotas/Standard_Quick_Family_Cluster_Dedicated_vCPUs", "InvalidVMFamilyName"),
        ("{ws}/quotas", "Failure"),
        ("{ws}-absent/quotas/Standard_DASv4_Family_Cluster_Dedicated_vCPUs", "Failure"),
        ("/subscriptions/s/quotas/Standard_DASv4_Family_Cluster_Dedicated_vCPUs", "Failure"),
    ],
)
def test_quota_of_what_is_not_there(
    path: str, status: str, management: MachineLearningServicesMgmtClient, arm: Arm
) -> None:
    quota = aml.QuotaBaseProperties(id=path.format(ws=arm.workspace), limit=1)
    assert update(management, quota).status == status
