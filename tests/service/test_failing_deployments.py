"""Deployments that fail, as on Azure: with a code that a person can look up, a log that says why, and nothing harmed.

https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints (codes); section 1.2 (the
operation's status: its ``code`` is null, clients print ``(None) ResourceNotReady: ...``) and 1.6 (errors) of the
notes on Azure's wire shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, Model
from azure.core.exceptions import HttpResponseError
from azure.core.polling import LROPoller
from support import Arm, Deployed, Scorer, deploy, finish

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
Begin = Callable[..., LROPoller[Any]]


@pytest.fixture
def begin(ml: MLClient, deployed: Deployed, name: str) -> Begin:
    """Begin a deployment, called ``name``, on the shared endpoint."""

    def begin_it(**options: Any) -> LROPoller[Any]:
        return deploy(ml, deployed.endpoint, name, **{"environment": deployed.environment, **options})

    return begin_it


def failure_of(poller: LROPoller[Any]) -> str:
    with pytest.raises(HttpResponseError) as caught:
        finish(poller)
    return str(caught.value.message)


def test_script_whose_init_raises(
    begin: Begin, ml: MLClient, arm: Arm, deployed: Deployed, name: str, scorer: Scorer
) -> None:
    message = failure_of(begin(script="init_raises.py"))
    assert "ResourceNotReady: User container has crashed or terminated" in message
    assert "https://aka.ms/oe-tsg#error-resourcenotready" in message
    # It stays, failed, and its log says why.
    assert ml.online_deployments.get(name, deployed.endpoint).provisioning_state == "Failed"
    log = ml.online_deployments.get_logs(name, deployed.endpoint, lines=200)
    assert "RuntimeError: the weights are of another shape" in log
    assert "UserContainerStart: Failed" in log
    # It takes no requests, and the others go on.
    assert scorer.post({}, deployment=name).status_code in (404, 424)
    assert scorer.post({}).json()["deployment"] == "blue"
    # It cannot be updated, only deleted.
    refused = failure_of_request(lambda: begin(script="score.py"))
    assert f"Specified deployment [{name}] failed during initial provisioning" in refused
    assert "Delete and re-create" in refused
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))
    assert arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}").status_code == 404


def failure_of_request(request: Callable[[], object]) -> str:
    with pytest.raises(HttpResponseError) as caught:
        request()
    assert caught.value.status_code == 400
    return str(caught.value.message)


def test_unknown_image_is_an_image_build_failure(begin: Begin, ml: MLClient, deployed: Deployed, name: str) -> None:
    message = failure_of(begin(environment=Environment(image="docker.io/library/nobody-knows:1")))
    assert "ImageBuildFailure:" in message
    assert "docker.io/library/nobody-knows:1" in message
    log = ml.online_deployments.get_logs(name, deployed.endpoint, lines=100)
    assert "UserContainerImagePull: Failed" in log


@pytest.mark.parametrize("line", ["=1.0", ">>numpy", "numpy=="])
def test_malformed_requirement_is_an_image_build_failure(line: str, begin: Begin, tmp_path: Path) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text(f"dependencies:\n  - '{line}'\n")
    message = failure_of(begin(environment=Environment(image=IMAGE, conda_file=str(conda))))
    assert "ImageBuildFailure:" in message
    assert line in message


def test_script_that_the_uploaded_code_lacks(arm: Arm, deployed: Deployed, name: str) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    code = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()["properties"]["codeConfiguration"]
    begun = arm.put(path, deployment_body(arm, deployed, codeConfiguration={**code, "scoringScript": "absent.py"}))
    assert begun.status_code == 201
    status = arm.ended(begun)
    assert status["status"] == "Failed"
    assert status["error"].get("code") is None
    assert "absent.py" in status["error"]["message"]
    assert status["error"]["message"].split(":")[0] in ("ResourceNotFound", "BadArgument", "ResourceNotReady")
    assert arm.get(path).json()["properties"]["provisioningState"] == "Failed"


def test_script_outside_of_the_code_folder_is_refused(arm: Arm, deployed: Deployed, name: str) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments"
    body = arm.get(f"{path}/blue").json()
    body["properties"]["codeConfiguration"]["scoringScript"] = "../../../../../../etc/passwd"
    begun = arm.put(f"{path}/{name}", {key: body[key] for key in ("location", "properties", "sku")})
    if begun.status_code != 400:
        status = arm.ended(begun)
        assert status["status"] == "Failed"
        assert "etc/passwd" in status["error"]["message"]


def test_model_whose_files_are_gone(begin: Begin, arm: Arm, ml: MLClient, name: str) -> None:
    datastore = "azureml://datastores/workspaceblobstore/paths/nothing/is/here"
    model = ml.models.create_or_update(Model(name=name, path=datastore))
    message = failure_of(begin(model=model))
    assert "BadArgument: Unable to download user model" in message  # how-to-troubleshoot, BadArgument
    assert "nothing/is/here" in message


def deployment_body(arm: Arm, deployed: Deployed, **changes: Any) -> dict[str, Any]:
    """Return the body of the deployment blue with changed properties."""
    body = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    return {"location": body["location"], "sku": body["sku"], "properties": {**body["properties"], **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "{workspace}/models/absent/versions/1"},
        {"model": "{workspace}/models/weights/versions/99"},
        {"environmentId": "{workspace}/environments/absent/versions/1"},
        {"codeConfiguration": {"codeId": "{workspace}/codes/absent/versions/1", "scoringScript": "score.py"}},
        {"codeConfiguration": None},
        {"instanceType": "Enormous"},
        {"instanceType": None},
        {"requestSettings": {"requestTimeout": "PT3M1S"}},
        {"requestSettings": {"requestTimeout": "5 s"}},
        {"requestSettings": {"maxConcurrentRequestsPerInstance": -1}},
        {"readinessProbe": {"period": "often"}},
        {"livenessProbe": {"failureThreshold": 0}},
        {"scaleSettings": {"scaleType": "Sometimes"}},
        {"environmentId": ["a"]},
        {"codeConfiguration": "score.py"},
        {"requestSettings": "fast"},
        {"scaleSettings": "Default"},
        {"environmentVariables": ["A=B"]},
        {"readinessProbe": "yes"},
        {"model": {"name": "weights"}},
    ],
    ids=str,
)
def test_wrong_property_is_refused_before_anything_begins(
    changes: dict[str, Any], arm: Arm, deployed: Deployed, name: str
) -> None:
    """400 for a request that is wrong in itself: nothing is created."""
    text = {
        key: value.format(workspace=arm.workspace) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    if isinstance(text.get("codeConfiguration"), dict):
        text["codeConfiguration"] = {
            key: value.format(workspace=arm.workspace) for key, value in text["codeConfiguration"].items()
        }
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    answer = arm.put(path, deployment_body(arm, deployed, **text))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"]
    assert arm.get(path).status_code == 404


@pytest.mark.parametrize("capacity", [0, -1, "two", 1.5])
def test_wrong_instance_count(capacity: object, arm: Arm, deployed: Deployed, name: str) -> None:
    body = {**deployment_body(arm, deployed), "sku": {"name": "Default", "capacity": capacity}}
    assert arm.put(f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}", body).status_code == 400


@pytest.mark.parametrize(
    "bad", ["a", "ab", "1abc", "-abc", "abc-", "a_bc", "a.bc", "a" * 33, "Ünder", "abc%0A", "abc%20d"]
)
@pytest.mark.parametrize("kind", ["endpoint", "deployment"])
def test_names_must_follow_azures_rule(kind: str, bad: str, arm: Arm, deployed: Deployed) -> None:
    """3-32 characters, a letter first, a letter or digit last: how-to-manage-quotas, online endpoints."""
    if kind == "endpoint":
        answer = arm.put(f"/onlineEndpoints/{bad}", {"location": "eastus", "properties": {"authMode": "Key"}})
    else:
        answer = arm.put(f"/onlineEndpoints/{deployed.endpoint}/deployments/{bad}", deployment_body(arm, deployed))
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "traffic",
    [
        {"blue": 99},
        {"blue": 60, "green": 50},
        {"blue": 101, "green": -1},
        {"blue": 100, "absent": 0},
        {"absent": 100},
        {"blue": 50.5, "green": 49.5},
        {"blue": "100"},
        {"blue": True},
        ["blue"],
    ],
    ids=str,
)
def test_traffic_must_add_up_and_name_deployments(
    traffic: object, arm: Arm, deployed: Deployed, scorer: Scorer
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/reference-yaml-endpoint-online: sums to 0 or 100."""
    path = f"/onlineEndpoints/{deployed.endpoint}"
    body = arm.get(path).json()
    answer = arm.put(path, {"location": body["location"], "properties": {"authMode": "Key", "traffic": traffic}})
    assert answer.status_code == 400, answer.text
    assert arm.get(path).json()["properties"]["traffic"] == body["properties"]["traffic"]
    assert scorer.post({}).status_code == 200


@pytest.mark.parametrize("mirror", [{"green": 51}, {"blue": 10, "green": 10}, {"absent": 10}, {"blue": 10}], ids=str)
def test_mirror_traffic_has_limits(mirror: object, arm: Arm, deployed: Deployed) -> None:
    """One deployment, at most 50 %, and none that has live traffic: how-to-safely-rollout-online-endpoints."""
    path = f"/onlineEndpoints/{deployed.endpoint}"
    properties = {"authMode": "Key", "traffic": {"blue": 100}, "mirrorTraffic": mirror}
    assert arm.put(path, {"location": "eastus", "properties": properties}).status_code == 400


def test_deployment_with_traffic_cannot_be_deleted(ml: MLClient, deployed: Deployed, scorer: Scorer) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints: traffic first."""
    message = failure_of_request(lambda: ml.online_deployments.begin_delete("blue", deployed.endpoint))
    assert "blue" in message
    assert scorer.post({}).status_code == 200


def test_failed_update_leaves_the_former_version_serving(
    ml: MLClient, deployed: Deployed, begin: Begin, scorer: Scorer
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online: rolling update; the endpoint stays
    available. After the failure, another update is possible."""
    message = failure_of(
        deploy(ml, deployed.endpoint, "green", environment=deployed.environment, script="init_raises.py")
    )
    assert "ResourceNotReady" in message
    assert ml.online_deployments.get("green", deployed.endpoint).provisioning_state == "Failed"
    assert scorer.post({}, deployment="green").json()["deployment"] == "green"
    finish(
        deploy(
            ml,
            deployed.endpoint,
            "green",
            environment=deployed.environment,
            model=ml.models.get("single", label="latest"),
            request_settings={"request_timeout_ms": 1000, "max_concurrent_requests_per_instance": 4},
            environment_variables={"DEPLOYMENT": "green", "GENERATION": "2"},
        )
    )
    assert ml.online_deployments.get("green", deployed.endpoint).provisioning_state == "Succeeded"
    assert scorer.post({"variables": 1}, deployment="green").json()["GENERATION"] == "2"


def test_deployment_on_an_endpoint_that_is_not_there(ml: MLClient, arm: Arm, deployed: Deployed) -> None:
    answer = arm.put("/onlineEndpoints/absent/deployments/blue", deployment_body(arm, deployed))
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "NotFound"
    assert error["details"][0]["code"] == "InferencingClientCallFailed"
