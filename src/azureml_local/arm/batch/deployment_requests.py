"""What may be asked for as a deployment: judges the body of a request, and brings it into the form that is stored.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from azureml_local.arm import process_texts
from azureml_local.arm.assets import assets, codes
from azureml_local.arm.durations import seconds
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError, FrontendError, invalid_batch_request, missing_driver_program, said

MLFLOW = "mlflow_model"
PIPELINE = "pipeline"
SERVERLESS = "serverless"
# Those that https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments names are clusters.
COMPUTE_TYPES = ("AmlCompute",)
RETRIES = {"maxRetries": 3, "timeout": "PT30S"}
RESOURCES = {"instanceCount": 1, "instanceType": None, "properties": None}
# What a deployment has where it is not given, and the least that it may be.
COUNTS = {"errorThreshold": (-1, -1), "miniBatchSize": (10, 1), "maxConcurrencyPerInstance": (1, 1)}
OUTPUT_FILE = "predictions.csv"
LONGEST_FILE_NAME = 255  # bytes, which file systems have in common


def is_file_name(text: str) -> bool:
    """Say whether a text can be the name of a file, without folders."""
    is_whole = text not in ("", "..") and PurePosixPath(text).name == text
    return is_whole and text.isprintable() and len(text.encode()) <= LONGEST_FILE_NAME


def properties(request: ArmRequest) -> dict[str, Any]:
    """Return the deployment's properties, in Azure's order and with its defaults. Raises 400 where one is wrong."""
    sent = {name: value for name, value in request.properties.items() if value is not None}
    configuration = sent.get("deploymentConfiguration")
    if configuration:
        configuration = _pipeline_component(request, configuration)
    else:
        _require_model(request, sent)
    return {
        "description": sent.get("description"),
        "properties": sent.get("properties") or {},
        "codeConfiguration": sent.get("codeConfiguration"),
        "environmentId": sent.get("environmentId"),
        "environmentVariables": _environment_variables(sent),
        "compute": None if configuration else _compute(request, sent.get("compute"), "Compute"),
        "errorThreshold": _count(sent, "errorThreshold"),
        "retrySettings": _retry_settings(sent),
        "miniBatchSize": _count(sent, "miniBatchSize"),
        "loggingLevel": sent.get("loggingLevel") or "Info",
        "model": sent.get("model"),
        "maxConcurrencyPerInstance": _count(sent, "maxConcurrencyPerInstance"),
        "outputAction": sent.get("outputAction") or "AppendRow",
        "outputFileName": _output_file(sent),
        "resources": _resources(sent),
        "provisioningState": "Updating",
        **({"deploymentConfiguration": configuration} if configuration else {}),
    }


def _pipeline_component(request: ArmRequest, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a pipeline component deployment. Raises 400 where what it names does not exist."""
    asset_id = (configuration.get("componentId") or {}).get("assetId")
    if not asset_id:
        raise _invalid("DeploymentConfiguration.ComponentId", "The AssetId field is required.", asset_id)
    assets.require_readable(request, asset_id)
    component = _named(
        "DeploymentConfiguration.ComponentId", lambda: assets.resolve(request.context, asset_id, "components")
    )
    kind = component.properties["componentSpec"].get("type")
    if kind != PIPELINE:
        message = f"The component must be of the type {PIPELINE}; '{asset_id}' is of the type {kind}."
        raise _invalid("DeploymentConfiguration.ComponentId", message, asset_id)
    settings = configuration.get("settings") or {}
    if settings.get("default_compute"):
        _compute(request, settings["default_compute"], "DeploymentConfiguration.Settings.default_compute")
    return {
        **configuration,
        "componentId": {"referenceType": "Id", "assetId": assets.seen(component).id},
        "settings": settings,
    }


def _require_model(request: ArmRequest, sent: Mapping[str, Any]) -> None:
    """Raise 400 where what a model deployment names does not exist, or where it lacks what only MLflow models may."""
    context, reference = request.context, sent.get("model")
    if not reference:
        raise _invalid("Model", "A model deployment needs a model; a pipeline deployment, a component.", None)
    if reference["referenceType"] != "Id":
        message = f"azureml-local lacks references to models of the type {reference['referenceType']}."
        raise AzureError(501, "NotImplemented", message, target="properties.model")
    code, environment_id = sent.get("codeConfiguration"), sent.get("environmentId")
    for named in (reference["assetId"], environment_id, (code or {}).get("codeId")):
        assets.require_readable(request, named)
    model = _named("Model", lambda: assets.resolve(context, reference["assetId"], "models"))
    if environment_id:
        _named("EnvironmentId", lambda: assets.environment(context, environment_id))
    if not code and model.properties["modelType"].lower() == MLFLOW:
        return
    if not code or not code.get("codeId") or not code.get("scoringScript"):
        raise missing_driver_program()
    _named("CodeConfiguration.CodeId", lambda: codes.resolve(context, code["codeId"]))
    if not environment_id:
        raise _invalid("EnvironmentId", "A deployment with a scoring script needs an environment.", None)


def _named(member: str, resolve: Callable[[], Any]) -> Any:
    """Return what a member names; where that does not exist, the request is wrong (400), not the path (404)."""
    try:
        return resolve()
    except AzureError as error:
        raise _invalid(member, said(error), None) from error


def _compute(request: ArmRequest, sent: str | None, member: str) -> str:
    """Return the id of a cluster that was given by its id or its name. Raises 400 where there is none."""
    name = (sent or "").removeprefix("azureml:")
    if name.lower() == SERVERLESS:
        return name
    compute_id = name if "/" in name else f"{request.workspace_id}/computes/{name}"
    compute = request.context.store.get(compute_id)
    if not name or compute is None or not compute_id.lower().startswith(f"{request.workspace_id}/computes/".lower()):
        raise _invalid(member, f"There is no compute '{name.rpartition('/')[2]}' in the workspace.", sent)
    kind = compute.properties["computeType"]
    if kind not in COMPUTE_TYPES:
        raise _invalid(member, f"A batch deployment runs on {' or '.join(COMPUTE_TYPES)}, not on {kind}.", sent)
    return compute.id


def _count(sent: Mapping[str, Any], name: str) -> int:
    default, least = COUNTS[name]
    value: int = sent.get(name, default)
    if value < least:
        raise _invalid(name[0].upper() + name[1:], f"It must be {least} or more.", value)
    return value


def _retry_settings(sent: Mapping[str, Any]) -> dict[str, Any]:
    given = sent.get("retrySettings") or {}
    settings = RETRIES | {name: value for name, value in given.items() if value is not None}
    if settings["maxRetries"] < 0:
        raise _invalid("RetrySettings.MaxRetries", "It must be 0 or more.", settings["maxRetries"])
    try:
        positive = seconds(settings["timeout"]) > 0
    except ValueError as error:
        raise _invalid("RetrySettings.Timeout", f"{error}.", settings["timeout"]) from error
    if not positive:
        raise _invalid("RetrySettings.Timeout", "It must be longer than nothing.", settings["timeout"])
    return settings


def _resources(sent: Mapping[str, Any]) -> dict[str, Any]:
    given = sent.get("resources") or {}
    resources = RESOURCES | {name: value for name, value in given.items() if value}
    if given.get("instanceCount", 1) is not None and given.get("instanceCount", 1) < 1:
        raise _invalid("Resources.InstanceCount", "It must be 1 or more.", given["instanceCount"])
    return resources


def _output_file(sent: Mapping[str, Any]) -> str:
    name: str = sent.get("outputFileName") or OUTPUT_FILE
    if not is_file_name(name):
        raise _invalid("OutputFileName", "It must be the name of a file, without folders.", name)
    return name


def _environment_variables(sent: Mapping[str, Any]) -> dict[str, str]:
    try:
        return process_texts.environment_variables(sent)
    except process_texts.TextError as error:
        raise _invalid("EnvironmentVariables", str(error), None) from error


def _invalid(member: str, message: str, value: Any) -> FrontendError:
    return invalid_batch_request("Deployment", member, message, value)
