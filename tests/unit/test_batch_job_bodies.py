"""What an invocation of a batch endpoint becomes, in the form in which azure-ai-ml sends pipeline jobs.

Which of a deployment's settings an invocation replaces: azureml-examples,
sdk/python/endpoints/batch/deploy-models/mnist-classifier, and
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from azureml_local.arm.batch import batch_pipelines
from azureml_local.arm.batch.batch_pipelines import Step
from azureml_local.arm.batch.invocations import Invocation
from azureml_local.store import Resource

DATA = {"jobInputType": "uri_folder", "uri": "azureml://datastores/d/paths/in"}
STEP = Step("/models/m/versions/1", "custom_model", "/environments/e/versions/1", "/components/c/versions/1")
PROPERTIES: dict[str, Any] = {
    "codeConfiguration": {"codeId": "/codes/c/versions/1", "scoringScript": "score.py"},
    "compute": "/computes/cpu",
    "errorThreshold": -1,
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
    "miniBatchSize": 10,
    "maxConcurrencyPerInstance": 2,
    "loggingLevel": "Info",
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
    "environmentVariables": {"A": "b"},
    "resources": {"instanceCount": 1, "instanceType": None, "properties": None},
}


def resource(name: str, **properties: Any) -> Resource:
    return Resource(f"/endpoints/{name}", "any", {"properties": properties}, "", "", "", "", 0)


def node(sent: dict[str, Any], outputs: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return the one node of the job that runs a model deployment."""
    deployment = resource("blue", **{**PROPERTIES, **changes})
    invocation = Invocation(sent, {"any": DATA}, outputs or {})
    job = batch_pipelines.of_model(resource("scores"), deployment, invocation, STEP)
    assert job["inputs"] == {"input_data": DATA}
    return job["jobs"]["batchscoring"]


def test_deployment_alone_says_all_settings() -> None:
    found = node({})
    assert found["computeId"] == "/computes/cpu"
    assert (found["mini_batch_size"], found["error_threshold"], found["max_concurrency_per_instance"]) == ("10", -1, 2)
    assert found["retry_settings"] == {"max_retries": 3, "timeout": 30}
    assert found["logging_level"] == "INFO"
    assert found["environment_variables"] == {"A": "b"}
    assert found["resources"]["instance_count"] == 1
    assert found["outputs"] == {"score": {"job_output_type": "uri_folder"}}
    assert found["task"] == {
        "type": "run_function",
        "code": "/codes/c/versions/1",
        "entry_script": "score.py",
        "environment": "/environments/e/versions/1",
        "model": "${{inputs.model}}",
        "append_row_to": "${{outputs.score}}/predictions.csv",
        "rows_must_be_new": True,
    }


def test_invocation_replaces_what_it_says() -> None:
    found = node(
        {
            "miniBatchSize": 3,
            "errorThreshold": 0,
            "maxConcurrencyPerInstance": 1,
            "retrySettings": {"timeout": "PT5M"},
            "loggingLevel": "Debug",
            "outputFileName": "rows.csv",
            "compute": {"instanceCount": 4},
        }
    )
    assert (found["mini_batch_size"], found["error_threshold"], found["max_concurrency_per_instance"]) == ("3", 0, 1)
    assert found["retry_settings"] == {"max_retries": 3, "timeout": 300}
    assert (found["logging_level"], found["resources"]["instance_count"]) == ("DEBUG", 4)
    assert found["task"]["append_row_to"] == "${{outputs.score}}/rows.csv"


@pytest.mark.parametrize(
    ("kind", "uri", "folder", "file"),
    [
        ("uri_file", "azureml://datastores/d/paths/out/rows.csv", "azureml://datastores/d/paths/out", "rows.csv"),
        ("uri_folder", "azureml://datastores/d/paths/out", "azureml://datastores/d/paths/out", "predictions.csv"),
    ],
)
def test_output_goes_where_it_was_asked_for(kind: str, uri: str, folder: str, file: str) -> None:
    found = node({}, {"score": {"jobOutputType": kind, "uri": uri, "mode": None}})
    assert found["outputs"]["score"] == {"job_output_type": "uri_folder", "uri": folder}
    assert found["task"]["append_row_to"] == f"${{{{outputs.score}}}}/{file}"


def test_script_with_files_of_its_own_appends_nothing() -> None:
    assert node({}, outputAction="SummaryOnly")["task"]["append_row_to"] is None


def test_mlflow_model_needs_no_script() -> None:
    task = node({}, codeConfiguration=None)["task"]
    assert task["type"] == "model"
    assert task["rows_must_be_new"] is True
    assert (task["model"], task["environment"]) == ("${{inputs.model}}", STEP.environment)


def test_serverless_compute_is_none() -> None:
    assert node({}, compute="serverless")["computeId"] is None


def test_azure_notes_settings_among_the_properties() -> None:
    sent = {"properties": {"mine": "1"}, "tags": {"a": "b"}, "name": "tonight"}
    job = batch_pipelines.of_model(
        resource("scores"), resource("blue", **PROPERTIES), Invocation(sent, {"any": DATA}, {}), STEP
    )
    assert json.loads(job["properties"]["azureml.parameters"])["append_row_file_name"] == "predictions.csv"
    assert job["properties"]["mine"] == "1"
    assert (job["tags"]["a"], job["tags"]["azureml.jobtype"]) == ("b", "azureml.batchjob")
    assert (job["experimentName"], job["displayName"]) == ("scores", "tonight")


def test_component_runs_with_the_settings_of_its_deployment() -> None:
    configuration = {
        "componentId": {"assetId": "/components/p/versions/1"},
        "settings": {"default_compute": "cpu", "continue_on_step_failure": "False"},
    }
    inputs = {"data": DATA, "times": {"jobInputType": "literal", "value": "2"}}
    outputs = {"said": {"jobOutputType": "uri_folder", "uri": "azureml://datastores/d/paths/out", "mode": None}}
    sent = {"properties": {"experimentName": "mine"}}
    deployment = resource("blue", deploymentConfiguration=configuration)
    job = batch_pipelines.of_component(resource("scores"), deployment, Invocation(sent, inputs, outputs))
    assert (job["componentId"], job["settings"]) == ("/components/p/versions/1", configuration["settings"])
    assert (job["inputs"], job["outputs"]) == (inputs, outputs)
    assert (job["experimentName"], job["tags"]["azureml.jobtype"]) == ("mine", "azureml.pipelinejob")
