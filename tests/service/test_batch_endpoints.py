"""Batch endpoints and deployments: what the control plane answers, through the official clients and on the wire.

Shapes: the recordings in azure-sdk-for-python, sdk/ml/azure-ai-ml/tests/recordings/batch_services. Defaults of a
deployment: https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants import BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    PipelineComponentBatchDeployment,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as mgmt
from support import SCRIPTS, Arm, Deployed, finish

GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
URI = "azureml://datastores/workspaceblobstore/paths/anywhere"
PIPELINE = {
    "type": "pipeline",
    "inputs": {"data": {"type": "uri_folder"}, "mode": {"type": "string", "default": "append"}},
    "outputs": {"scores": {"type": "uri_folder"}},
    "jobs": {},
}


@dataclass(frozen=True)
class Parts:
    """What deployments are made of, and an endpoint to make them at."""

    arm: Arm
    endpoint: str
    compute: str
    model: str
    mlflow_model: str
    code: str
    environment: str
    component: str

    @property
    def path(self) -> str:
        return f"/batchEndpoints/{self.endpoint}"

    def of_script(self, **changes: Any) -> dict[str, Any]:
        """The properties of a model deployment with a script."""
        return {
            "model": {"referenceType": "Id", "assetId": self.model},
            "codeConfiguration": {"codeId": self.code, "scoringScript": "score.py"},
            "environmentId": self.environment,
            "compute": self.compute,
            **changes,
        }

    def of_component(self, **settings: Any) -> dict[str, Any]:
        """The properties of a pipeline component deployment."""
        return {
            "deploymentConfiguration": {
                "deploymentConfigurationType": "PipelineComponent",
                "componentId": {"referenceType": "Id", "assetId": self.component},
                "settings": {"default_compute": self.compute, **settings},
            }
        }

    def put(self, name: str, properties: dict[str, Any], **body: Any) -> Any:
        return self.arm.put(f"{self.path}/deployments/{name}", {"location": "eastus", "properties": properties, **body})

    def deploy(self, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Make a deployment, and return it."""
        begun = self.put(name, properties)
        assert begun.status_code == 201, begun.text
        assert self.arm.ended(begun)["status"] == "Succeeded"
        got: dict[str, Any] = self.arm.get(f"{self.path}/deployments/{name}").json()
        return got

    def set_default(self, name: str | None) -> Any:
        properties = {"authMode": "AADToken", "defaults": {"deploymentName": name}}
        return self.arm.put(self.path, {"location": "eastus", "properties": properties})


@pytest.fixture(scope="module")
def parts(arm: Arm, ml: MLClient, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    tmp_path = tmp_path_factory.mktemp("mlflow")
    name = "t" + uuid.uuid4().hex[:10]
    ids = {}
    for kind, properties in {
        f"models/{name}": {"modelUri": URI, "modelType": "custom_model"},
        f"codes/{name}": {"codeUri": f"https://{arm.settings.storage_account}.blob.core.windows.net/c/code"},
        f"components/{name}": {"componentSpec": {"name": name, **PIPELINE}},
    }.items():
        made = arm.put(f"/{kind}/versions/1", {"properties": properties})
        assert made.status_code == 201, made.text
        ids[kind] = made.json()["id"]
    environment = ml.environments.create_or_update(Environment(name=name, image="example.azurecr.io/any:1")).id
    arm.ended(arm.put(f"/batchEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "AADToken"}}))
    model, code, component = ids.values()
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    env: conda.yaml\n")
    (tmp_path / "conda.yaml").write_text("dependencies: [python]")
    mlflow_model = ml.models.create_or_update(Model(name=f"{name}-mlflow", path=str(tmp_path), type="mlflow_model")).id
    compute = f"{arm.workspace}/computes/{cluster}"
    yield Parts(arm, name, compute, model, mlflow_model, code, environment, component)
    arm.ended(arm.request("DELETE", f"/batchEndpoints/{name}"))


@pytest.fixture(scope="module")
def client(arm: Arm, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, arm.settings.subscription_id)


def refusal(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_endpoint_is_answered_as_recorded(arm: Arm, name: str) -> None:
    body = {
        "location": "eastus",
        "tags": {"t1": "v1"},
        "properties": {"authMode": "aadToken", "description": "funny", "properties": {"p1": "v1"}},
    }
    begun = arm.put(f"/batchEndpoints/{name}", body)
    assert begun.status_code == 201
    url = begun.headers["Azure-AsyncOperation"]
    region = re.escape(f"https://management.azure.com{arm.region}")
    assert re.fullmatch(region + rf"/mfeOperationsStatus/be:{GUID}:{GUID}\?api-version=2024-10-01", url)
    assert begun.headers["Location"].startswith(f"https://management.azure.com{arm.workspace}/batchEndpoints/{name}?")
    assert begun.headers["x-ms-async-operation-timeout"] == "PT30M"
    first = begun.json()
    endpoint_id = f"{arm.workspace}/batchEndpoints/{name}"
    assert first["id"] == endpoint_id
    assert first["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints"
    assert first["properties"] == {
        "description": "funny",
        "properties": {
            "p1": "v1",
            "BatchEndpointCreationApiVersion": "2024-10-01",
            "azureml.onlineendpointid": endpoint_id,
            "AzureAsyncOperationUri": url,
        },
        "scoringUri": None,
        "swaggerUri": None,
        "authMode": "AADToken",
        "defaults": {"deploymentName": None},
        "provisioningState": "Creating",
    }
    assert first["tags"] == {"t1": "v1"}
    assert first["identity"]["type"] == "None"
    assert set(first["systemData"]) == {"createdAt", "createdBy", "lastModifiedAt"}
    assert arm.ended(begun)["status"] == "Succeeded"
    after = arm.get(f"/batchEndpoints/{name}").json()["properties"]
    assert after["provisioningState"] == "Succeeded"
    assert after["scoringUri"] == f"https://{name}.eastus.inference.ml.azure.com/jobs"
    deleted = arm.request("DELETE", f"/batchEndpoints/{name}")
    assert (deleted.status_code, deleted.text) == (202, "null")
    assert "/mfeOperationResults/be:" in deleted.headers["Location"]
    arm.ended(deleted)
    assert refusal(arm.get(f"/batchEndpoints/{name}"))[:2] == (404, "NotFound")
    assert arm.request("DELETE", f"/batchEndpoints/{name}").status_code == 204


def test_the_sdk_makes_lists_updates_and_deletes_endpoints(ml: MLClient, name: str) -> None:
    made = finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name, description="d")))
    assert (made.name, made.auth_mode, made.provisioning_state) == (name, "aad_token", "Succeeded")
    assert made.scoring_uri == f"https://{name}.eastus.inference.ml.azure.com/jobs"
    assert made.openapi_uri is None
    assert name in {one.name for one in ml.batch_endpoints.list()}
    made.tags["a"] = "b"
    assert finish(ml.batch_endpoints.begin_create_or_update(made)).tags == {"a": "b"}
    assert ml.batch_endpoints.get(name).description == "d"
    finish(ml.batch_endpoints.begin_delete(name))
    with pytest.raises(ResourceNotFoundError):
        ml.batch_endpoints.get(name)


@pytest.mark.parametrize(
    ("properties", "member"),
    [({"authMode": "Key"}, "AuthMode"), ({"authMode": "AMLToken"}, "AuthMode")],
    ids=lambda value: value.get("authMode") if isinstance(value, dict) else "",
)
def test_other_authentication_than_entras_is_refused(
    arm: Arm, name: str, properties: dict[str, Any], member: str
) -> None:
    """ "Currently only Microsoft Entra token-based authentication is supported" (reference-yaml-endpoint-batch)."""
    status, code, message = refusal(
        arm.put(f"/batchEndpoints/{name}", {"location": "eastus", "properties": properties})
    )
    assert (status, code) == (400, "UserError")
    assert message.startswith("The Endpoint request provided has the following validation errors.")
    error = json.loads(message[message.index("[") :])[0]
    assert (error["PropertyName"], error["AttemptedValue"]) == (member, properties["authMode"])
    assert "AADToken" in error["ErrorMessage"]
    assert arm.get(f"/batchEndpoints/{name}").status_code == 404


def test_there_are_no_keys(arm: Arm, parts: Parts, client: MachineLearningServicesMgmtClient) -> None:
    with pytest.raises(HttpResponseError, match="it has no keys") as refused:
        client.batch_endpoints.list_keys(arm.settings.resource_group, arm.settings.workspace, parts.endpoint)
    assert refused.value.status_code == 400
    keys = {"primaryKey": "p" * 32, "secondaryKey": "s" * 32}
    body = {"location": "eastus", "properties": {"authMode": "AADToken", "keys": keys}}
    answer = arm.put(f"/batchEndpoints/{parts.endpoint}", body)
    assert refusal(answer)[:2] == (400, "UserError")
    assert "p" * 32 not in answer.text


def test_bad_names_tags_and_identities_are_refused(arm: Arm, name: str) -> None:
    """The tag: azure-sdk-for-python#41586. The identity: azure-rest-api-specs#40149."""
    good = {"location": "eastus", "properties": {"authMode": "AADToken"}}
    for bad in ("ab", "1" + name, name + "-", "x" * 33, "under_score"):
        assert refusal(arm.put(f"/batchEndpoints/{bad}", good))[0] == 400, bad
    message = refusal(arm.put(f"/batchEndpoints/{name}", {**good, "tags": {"a": "b", "c": ""}}))[2]
    assert "Tags.Values[1]" in message
    assert "Tag values must not be null or empty." in message
    identity = {"type": "UserAssigned", "userAssignedIdentities": {f"{arm.group}/x": {}}}
    assert refusal(arm.put(f"/batchEndpoints/{name}", {**good, "identity": identity}))[:2] == (
        400,
        "CannotSetResourceIdentity",
    )
    owned = arm.put(f"/batchEndpoints/{name}", {**good, "identity": {"type": "SystemAssigned"}})
    assert refusal(owned)[:2] == (501, "NotImplemented")
    assert arm.get(f"/batchEndpoints/{name}").status_code == 404


def test_names_are_unique_in_the_region_among_both_kinds_of_endpoints(
    arm: Arm, parts: Parts, deployed: Deployed, name: str
) -> None:
    """ "Needs to be unique at the Azure region level" (reference-yaml-endpoint-batch)."""
    batch = {"location": "eastus", "properties": {"authMode": "AADToken"}}
    online = {"location": "eastus", "properties": {"authMode": "Key"}}
    other = f"{arm.group}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    assert arm.put(other, {"location": "eastus", "properties": {}}).status_code in (200, 201, 202)
    for path, body in (
        (f"/batchEndpoints/{deployed.endpoint}", batch),
        (f"/onlineEndpoints/{parts.endpoint}", online),
        (f"{other}/batchEndpoints/{parts.endpoint}", batch),
        (f"{other}/batchEndpoints/{parts.endpoint.upper()}", batch),
    ):
        refused = arm.put(path, body)
        assert refused.status_code == 400, path
        assert "Endpoint name needs to be unique within a region" in refused.text
    arm.request("DELETE", other)


def test_deployment_has_azures_defaults(parts: Parts) -> None:
    begun = parts.put("defaults", parts.of_script())
    assert begun.status_code == 201, begun.text
    assert "/mfeOperationsStatus/bd:" in begun.headers["Azure-AsyncOperation"]
    assert begun.json()["properties"]["provisioningState"] == "Updating"
    parts.arm.ended(begun)
    got = parts.arm.get(f"{parts.path}/deployments/defaults").json()
    assert set(got) == {"id", "name", "type", "properties", "systemData", "tags", "location"}
    assert got["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments"
    assert set(got["systemData"]) == {"createdAt", "createdBy", "lastModifiedAt"}
    properties = got["properties"]
    assert list(properties["properties"]) == ["AzureAsyncOperationUri"]
    del properties["properties"]
    assert properties == {
        "description": None,
        "codeConfiguration": {"codeId": parts.code, "scoringScript": "score.py"},
        "environmentId": parts.environment,
        "environmentVariables": {},
        "compute": parts.compute,
        "errorThreshold": -1,
        "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
        "miniBatchSize": 10,
        "loggingLevel": "Info",
        "model": {"referenceType": "Id", "assetId": parts.model},
        "maxConcurrencyPerInstance": 1,
        "outputAction": "AppendRow",
        "outputFileName": "predictions.csv",
        "resources": {"instanceCount": 1, "instanceType": None, "properties": None},
        "provisioningState": "Succeeded",
    }


def test_the_sdk_deploys_a_model_and_makes_it_the_default(ml: MLClient, parts: Parts) -> None:
    deployment = ModelBatchDeployment(
        name="by-sdk",
        endpoint_name=parts.endpoint,
        model=parts.model,
        environment=parts.environment,
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="score.py"),
        compute=parts.compute.rpartition("/")[2],
        settings=ModelBatchDeploymentSettings(
            instance_count=2,
            max_concurrency_per_instance=2,
            mini_batch_size=5,
            output_action=BatchDeploymentOutputAction.SUMMARY_ONLY,
            retry_settings=BatchRetrySettings(max_retries=1, timeout=300),
            environment_variables={"A": "b"},
            error_threshold=7,
            logging_level="debug",
        ),
    )
    finish(ml.batch_deployments.begin_create_or_update(deployment, skip_script_validation=True))
    got = ml.batch_deployments.get("by-sdk", parts.endpoint)
    assert got.provisioning_state == "Succeeded"
    assert (got.instance_count, got.max_concurrency_per_instance, got.mini_batch_size) == (2, 2, 5)
    assert (got.output_action, got.error_threshold, got.logging_level.lower()) == ("summary_only", 7, "debug")
    assert (got.retry_settings.max_retries, got.retry_settings.timeout) == (1, 300)
    assert got.environment_variables == {"A": "b"}
    assert got.compute == parts.compute
    endpoint = ml.batch_endpoints.get(parts.endpoint)
    assert endpoint.defaults.deployment_name is None
    endpoint.defaults.deployment_name = "by-sdk"
    finish(ml.batch_endpoints.begin_create_or_update(endpoint))
    assert ml.batch_endpoints.get(parts.endpoint).defaults.deployment_name == "by-sdk"
    assert "by-sdk" in {one.name for one in ml.batch_deployments.list(parts.endpoint)}
    parts.arm.ended(parts.set_default(None))
    finish(ml.batch_deployments.begin_delete("by-sdk", parts.endpoint))
    with pytest.raises(ResourceNotFoundError):
        ml.batch_deployments.get("by-sdk", parts.endpoint)


def test_the_sdk_deploys_a_pipeline_component(ml: MLClient, parts: Parts) -> None:
    deployment = PipelineComponentBatchDeployment(
        name="pipeline",
        endpoint_name=parts.endpoint,
        component=parts.component,
        settings={"continue_on_step_failure": False, "default_compute": parts.compute.rpartition("/")[2]},
    )
    made = finish(ml.batch_deployments.begin_create_or_update(deployment))
    assert made.component == parts.component
    configuration = parts.arm.get(f"{parts.path}/deployments/pipeline").json()["properties"]["deploymentConfiguration"]
    assert configuration["deploymentConfigurationType"] == "PipelineComponent"
    assert configuration["componentId"] == {"referenceType": "Id", "assetId": parts.component}
    assert configuration["settings"]["continue_on_step_failure"] == "False"
    got = ml.batch_deployments.get("pipeline", parts.endpoint)
    assert got.properties["deployment_configuration_type"] == "PipelineComponent"
    assert got.properties["default_compute"] == parts.compute.rpartition("/")[2]


def test_an_mlflow_model_needs_neither_script_nor_environment(parts: Parts) -> None:
    got = parts.deploy(
        "mlflow", {"model": {"referenceType": "Id", "assetId": parts.mlflow_model}, "compute": parts.compute}
    )
    assert got["properties"]["provisioningState"] == "Succeeded"
    # As for online deployments: an environment of the model's own files.
    assert re.fullmatch(
        parts.arm.workspace + "/environments/[0-9a-f]{64}/versions/[0-9a-f]{64}", got["properties"]["environmentId"]
    )
    bare = parts.put("bare", {"model": {"referenceType": "Id", "assetId": parts.model}, "compute": parts.compute})
    assert bare.status_code == 400
    assert "Could not find driver program in the request." in bare.text


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "mini-batch size": ({"miniBatchSize": 0}, "MiniBatchSize"),
    "concurrency": ({"maxConcurrencyPerInstance": 0}, "MaxConcurrencyPerInstance"),
    "error threshold": ({"errorThreshold": -2}, "ErrorThreshold"),
    "retries": ({"retrySettings": {"maxRetries": -1}}, "RetrySettings.MaxRetries"),
    "timeout": ({"retrySettings": {"timeout": "PT0S"}}, "RetrySettings.Timeout"),
    "timeout in seconds": ({"retrySettings": {"timeout": "30"}}, "RetrySettings.Timeout"),
    "instances": ({"resources": {"instanceCount": 0}}, "Resources.InstanceCount"),
    "output file": ({"outputFileName": "../x.csv"}, "OutputFileName"),
    "compute": ({"compute": "absent"}, "Compute"),
    "no compute": ({"compute": None}, "Compute"),
    "model": ({"model": {"referenceType": "Id", "assetId": "azureml:absent:1"}}, "Model"),
    "no model": ({"model": None}, "Model"),
    "code": ({"codeConfiguration": {"codeId": "absent", "scoringScript": "s.py"}}, "CodeConfiguration.CodeId"),
    "environment": ({"environmentId": "absent"}, "EnvironmentId"),
    "no environment": ({"environmentId": None}, "EnvironmentId"),
    "variable": ({"environmentVariables": {"a=b": "c"}}, "EnvironmentVariables"),
}


@pytest.mark.parametrize(("changes", "member"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_deployment_is_named(parts: Parts, changes: dict[str, Any], member: str) -> None:
    status, code, message = refusal(parts.put("wrong", parts.of_script(**changes)))
    assert (status, code) == (400, "UserError"), message
    assert json.loads(message[message.index("[") :])[0]["PropertyName"] == member
    assert parts.arm.get(f"{parts.path}/deployments/wrong").status_code == 404


def test_a_component_must_exist_and_be_a_pipeline(parts: Parts, name: str) -> None:
    command = {"name": name, "type": "command", "command": "true", "environment": "e"}
    made = parts.arm.put(f"/components/{name}/versions/1", {"properties": {"componentSpec": command}}).json()
    for component, setting in ((made["id"], {}), (made["id"] + "0", {}), (parts.component, {"default_compute": "no"})):
        properties = parts.of_component(**setting)
        properties["deploymentConfiguration"]["componentId"]["assetId"] = component
        assert refusal(parts.put("wrong", properties))[:2] == (400, "UserError")


def test_an_unknown_member_is_refused(parts: Parts) -> None:
    assert refusal(parts.put("wrong", parts.of_script(miniBatch=1)))[:2] == (400, "RequestInvalid")


def test_a_deployment_needs_an_endpoint(parts: Parts, arm: Arm) -> None:
    body = {"location": "eastus", "properties": parts.of_script()}
    assert refusal(arm.put("/batchEndpoints/absent/deployments/blue", body))[:2] == (404, "NotFound")
    assert refusal(arm.get("/batchEndpoints/absent/deployments"))[:2] == (404, "NotFound")


def test_the_default_deployment_must_exist_and_cannot_be_deleted(parts: Parts) -> None:
    status, code, message = refusal(parts.set_default("absent"))
    assert (status, code) == (400, "UserError")
    assert "Defaults.DeploymentName" in message
    parts.deploy("default", parts.of_script())
    parts.arm.ended(parts.set_default("default"))
    refused = parts.arm.request("DELETE", f"{parts.path}/deployments/default")
    assert refused.status_code == 400
    assert "default deployment" in refused.text
    parts.arm.ended(parts.set_default(None))
    parts.arm.ended(parts.arm.request("DELETE", f"{parts.path}/deployments/default"))
    assert parts.arm.request("DELETE", f"{parts.path}/deployments/default").status_code == 204


def test_the_management_client_makes_and_patches(
    arm: Arm, parts: Parts, client: MachineLearningServicesMgmtClient, name: str
) -> None:
    where = (arm.settings.resource_group, arm.settings.workspace)
    endpoint = mgmt.BatchEndpoint(location="eastus", properties=mgmt.BatchEndpointProperties(auth_mode="AADToken"))
    made = finish(client.batch_endpoints.begin_create_or_update(*where, name, endpoint))
    assert made.properties.provisioning_state == "Succeeded"
    deployment = mgmt.BatchDeployment(
        location="eastus",
        properties=mgmt.BatchDeploymentProperties(
            model=mgmt.IdAssetReference(asset_id=parts.model),
            code_configuration=mgmt.CodeConfiguration(code_id=parts.code, scoring_script="score.py"),
            environment_id=parts.environment,
            compute=parts.compute,
            mini_batch_size=3,
        ),
    )
    deployed = finish(client.batch_deployments.begin_create_or_update(*where, name, "blue", deployment))
    assert (deployed.properties.mini_batch_size, deployed.properties.error_threshold) == (3, -1)
    changes = mgmt.PartialBatchDeploymentPartialMinimalTrackedResourceWithProperties(
        properties=mgmt.PartialBatchDeployment(description="changed"), tags={"a": "b"}
    )
    patched = finish(client.batch_deployments.begin_update(*where, name, "blue", changes))
    assert (patched.properties.description, patched.tags) == ("changed", {"a": "b"})
    assert patched.properties.mini_batch_size == 3
    tagged = finish(
        client.batch_endpoints.begin_update(
            *where, name, mgmt.PartialMinimalTrackedResourceWithIdentity(tags={"c": "d"})
        )
    )
    assert tagged.tags == {"c": "d"}
    assert [one.name for one in client.batch_deployments.list(*where, name)] == ["blue"]
    finish(client.batch_deployments.begin_delete(*where, name, "blue"))
    finish(client.batch_endpoints.begin_delete(*where, name))
    assert name not in {one.name for one in client.batch_endpoints.list(*where)}


def test_deleting_an_endpoint_deletes_its_deployments(parts: Parts, arm: Arm, name: str) -> None:
    arm.ended(arm.put(f"/batchEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "AADToken"}}))
    own = Parts(**{**vars(parts), "endpoint": name})
    own.deploy("blue", own.of_script())
    arm.ended(own.set_default("blue"))
    arm.ended(arm.request("DELETE", f"/batchEndpoints/{name}"))
    arm.ended(arm.put(f"/batchEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "AADToken"}}))
    assert arm.get(f"/batchEndpoints/{name}/deployments").json() == {"value": []}
    arm.ended(arm.request("DELETE", f"/batchEndpoints/{name}"))
