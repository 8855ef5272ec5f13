"""The pipeline job that an invocation becomes, by its deployment: in the form in which azure-ai-ml sends pipelines.

A model deployment's is one parallel step, ``batchscoring``, with the output ``score``, as on Azure; a pipeline
component deployment's is the component's graph.
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.arm.batch import batch_deployments, deployment_requests
from azureml_local.arm.batch.invocations import Invocation
from azureml_local.arm.durations import seconds
from azureml_local.arm.jobs import parallel_specs
from azureml_local.store import Resource

STEP, OUTPUT = "batchscoring", "score"
DATA, MODEL = "input_data", "model"  # the inputs of that step
APPEND_ROW = "AppendRow"
FILE = "uri_file"
MODEL_JOB, PIPELINE_JOB = "azureml.batchjob", "azureml.pipelinejob"


@dataclass(frozen=True)
class Step:
    """What a model deployment's step is made of.

    Args:
        model: the id of the model's version.
        model_type: as jobs name it.
        environment: the id of the environment to run in.
        component: the id of a component with the step's inputs and output.
    """

    model: str
    model_type: str
    environment: str
    component: str


def of_component(endpoint: Resource, deployment: Resource, invocation: Invocation) -> dict[str, Any]:
    """Return the ``properties`` of the job that runs a pipeline component deployment."""
    asset_id = batch_deployments.component_id(deployment)
    settings = deployment.properties["deploymentConfiguration"]["settings"]
    sent = invocation.sent
    properties = {
        **(sent.get("properties") or {}),
        "azureml.SourceComponentId": asset_id,
        "azureml.runLineageType": "batchDeployment",
        "runSource": "BatchDeployment",
    }
    return {
        **_common(endpoint, deployment, sent, properties, {"azureml.jobtype": PIPELINE_JOB}),
        "componentId": asset_id,
        "settings": dict(settings),
        "inputs": dict(invocation.inputs),
        "outputs": dict(invocation.outputs),
    }


def of_model(endpoint: Resource, deployment: Resource, invocation: Invocation, step: Step) -> dict[str, Any]:
    """Return the ``properties`` of the job that runs a model deployment."""
    (given,) = invocation.inputs.values()
    parallel = _parallel(deployment, invocation, step)
    properties = {
        **(invocation.sent.get("properties") or {}),
        "runSource": "Unavailable",
        "azureml.parameters": json.dumps(_parameters(deployment, invocation)),
    }
    tags = {"inputType": DATA, "outputType": "output_data", "azureml.jobtype": MODEL_JOB}
    return {
        **_common(endpoint, deployment, invocation.sent, properties, tags),
        "settings": {"continue_on_step_failure": False},
        "inputs": {DATA: given},
        "outputs": {},
        "jobs": {STEP: parallel},
    }


def component_spec(input_type: str, model_type: str) -> dict[str, Any]:
    """Return the specification of the component of a model deployment's step: what it takes and gives.

    Args:
        input_type: of the data.
        model_type: of the model.
    """
    interface = {
        "name": STEP,
        "type": "parallel",
        "is_deterministic": False,  # each invocation scores anew
        "inputs": {DATA: {"type": input_type}, MODEL: {"type": model_type}},
        "outputs": {OUTPUT: {"type": "uri_folder"}},
    }
    return {**interface, "version": hashlib.sha256(json.dumps(interface).encode()).hexdigest()}


def rows_file(deployment: Resource, invocation: Invocation) -> str | None:
    """Return the name of the file that rows go to; None where the deployment's script writes files of its own.

    An output that is a file says its name itself.
    """
    if deployment.properties["outputAction"] != APPEND_ROW:
        return None
    for given in invocation.outputs.values():
        if given["jobOutputType"] == FILE and given.get("uri"):
            return str(given["uri"]).rpartition("/")[2]
    return str(invocation.setting("outputFileName", deployment))


def _common(
    endpoint: Resource,
    deployment: Resource,
    sent: Mapping[str, Any],
    properties: Mapping[str, str],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Return what every job of an endpoint has: tags and properties as Azure sets them."""
    return {
        "jobType": "Pipeline",
        "displayName": sent.get("name"),
        "description": sent.get("description")
        or f"Pipeline submission for endpoint: {endpoint.name}, deployment: {deployment.name}.",
        "experimentName": properties.get("experimentName") or endpoint.name,
        "tags": {
            **(sent.get("tags") or {}),
            "azureml.batchrun": "true",
            "azureml.deploymentname": deployment.name,
            **tags,
        },
        "properties": {
            **properties,
            "azureml.endpointname": endpoint.name,
            "azureml.deploymentname": deployment.name,
        },
    }


def _parallel(deployment: Resource, invocation: Invocation, step: Step) -> dict[str, Any]:
    """Return the step as a node of a pipeline."""
    properties = deployment.properties
    retries = invocation.setting("retrySettings", deployment)
    resources = properties["resources"]
    return {
        "type": "parallel",
        "componentId": step.component,
        "computeId": None if properties["compute"] == deployment_requests.SERVERLESS else properties["compute"],
        "inputs": {
            DATA: {"value": f"${{{{parent.inputs.{DATA}}}}}", "job_input_type": "literal"},
            MODEL: {"uri": step.model, "job_input_type": step.model_type},
        },
        "outputs": {OUTPUT: _folder(invocation)},
        "task": _task(deployment, invocation, step),
        "input_data": f"${{{{inputs.{DATA}}}}}",
        "mini_batch_size": str(invocation.setting("miniBatchSize", deployment)),
        "max_concurrency_per_instance": invocation.setting("maxConcurrencyPerInstance", deployment),
        "error_threshold": invocation.setting("errorThreshold", deployment),
        "retry_settings": {"max_retries": retries["maxRetries"], "timeout": max(int(seconds(retries["timeout"])), 1)},
        "logging_level": invocation.setting("loggingLevel", deployment).upper(),
        "environment_variables": properties["environmentVariables"],
        "resources": {
            "instance_count": _instances(deployment, invocation),
            "instance_type": resources["instanceType"],
            "properties": resources["properties"],
        },
    }


def _task(deployment: Resource, invocation: Invocation, step: Step) -> dict[str, Any]:
    """Return what is done with a mini-batch."""
    file, code = rows_file(deployment, invocation), deployment.properties["codeConfiguration"]
    append_row_to = f"${{{{outputs.{OUTPUT}}}}}/{file}" if file else None
    # "You must use a unique output location. If the output file exists, the batch scoring job will fail"
    # (how-to-use-batch-model-deployments).
    common = {"environment": step.environment, "rows_must_be_new": True}
    if not code:
        return {**parallel_specs.mlflow_task(MODEL, append_row_to), **common}
    return {
        "type": parallel_specs.RUN_FUNCTION,
        "code": code["codeId"],
        "entry_script": code["scoringScript"],
        **common,
        "model": f"${{{{inputs.{MODEL}}}}}",
        "append_row_to": append_row_to,
    }


def _folder(invocation: Invocation) -> dict[str, Any]:
    """Return the output, which is a folder also where it was given as the file in it."""
    output = {"job_output_type": "uri_folder"}
    for given in invocation.outputs.values():
        if given.get("uri"):
            uri = str(given["uri"])
            output["uri"] = uri.rpartition("/")[0] if given["jobOutputType"] == FILE else uri
        if given["mode"]:
            output["mode"] = given["mode"]
    return output


def _instances(deployment: Resource, invocation: Invocation) -> int:
    asked = (invocation.sent.get("compute") or {}).get("instanceCount")
    return int(asked or deployment.properties["resources"]["instanceCount"])


def _parameters(deployment: Resource, invocation: Invocation) -> dict[str, str]:
    """Return the settings that Azure notes of such a job."""
    retries = invocation.setting("retrySettings", deployment)
    return {
        "run_max_try": str(retries["maxRetries"]),
        "run_invocation_timeout": f"{seconds(retries['timeout']):g}",
        "mini_batch_size": str(invocation.setting("miniBatchSize", deployment)),
        "error_threshold": str(invocation.setting("errorThreshold", deployment)),
        "logging_level": invocation.setting("loggingLevel", deployment).upper(),
        "process_count_per_node": str(invocation.setting("maxConcurrencyPerInstance", deployment)),
        "NodeCount": str(_instances(deployment, invocation)),
        "append_row_file_name": rows_file(deployment, invocation) or "",
    }
