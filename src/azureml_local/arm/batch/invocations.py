"""What an invocation of a batch endpoint asks for: reads its body, and judges it by the deployment that it is for.

The body is a ``BatchJobResource`` of the API 2020-09-01-dataplanepreview. What its inputs and outputs may be:
https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azureml_local.arm import ids, request_models
from azureml_local.arm.assets import assets
from azureml_local.arm.batch import batch_deployments, deployment_requests
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.jobs.job_specs import LITERAL, is_public, plural_of
from azureml_local.arm.storage import storage_locations
from azureml_local.http.errors import AzureError, FrontendError, said
from azureml_local.store import Resource

# The words of this API, and those of jobs.
TYPES = {
    "UriFile": "uri_file",
    "UriFolder": "uri_folder",
    "MLTable": "mltable",
    "MLFlowModel": "mlflow_model",
    "CustomModel": "custom_model",
    "TritonModel": "triton_model",
    "Literal": LITERAL,
}
# "Model deployments: input type: data inputs; number of inputs: 1".
OF_MODELS = ("UriFile", "UriFolder")
# What an invocation can say in place of its deployment's own setting, and the least that it may be.
COUNTS = {name: least for name, (_, least) in deployment_requests.COUNTS.items()}
OVERRIDES = (*COUNTS, "retrySettings", "loggingLevel", "outputFileName", "outputDataset", "compute")
FILE, FOLDER = "UriFile", "UriFolder"
_DATASTORE_ID = re.compile(
    rf"(?:azureml:)?/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/{ids.PROVIDER}"
    r"/workspaces/(?P<workspace>[^/]+)/datastores/(?P<datastore>[^/]+)(?:/paths(?:/(?P<path>.*))?)?",
    re.IGNORECASE,
)
_SLASH = re.compile(r"^azureml:/(?=[^/]+$)", re.IGNORECASE)  # of azureml:/name@latest
_REGIONAL_ASSET = re.compile(
    r"azureml://locations/[^/]+/workspaces/(?P<workspace>[^/]+)/(?P<asset>(?:data|models)/[^/]+/versions/.+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Invocation:
    """An invocation, judged.

    Args:
        sent: the body's ``properties``, in Azure's words and case.
        inputs: what is given for the job's inputs, in the form that a job has them in.
        outputs: where the job's outputs are to go, in the form that a job has them in.
    """

    sent: Mapping[str, Any]
    inputs: Mapping[str, dict[str, Any]]
    outputs: Mapping[str, dict[str, Any]]

    def setting(self, name: str, deployment: Resource) -> Any:
        """Return a setting: the invocation's where it says one, else its deployment's."""
        given = self.sent.get(name)
        default = deployment.properties[name]
        if isinstance(default, dict):
            return {**default, **{key: value for key, value in (given or {}).items() if value is not None}}
        return default if given is None else given


def read(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``properties`` of a body, in Azure's words and case.

    Raises:
        FrontendError: 400, a member is unknown, missing or of another type.
    """
    try:
        found: dict[str, Any] = request_models.fit(body, "BatchJobResource")["properties"]
    except request_models.MisfitError as error:
        raise _user_error(str(error)) from error
    for member in ("inputData", "outputData"):
        for name, given in (found.get(member) or {}).items():
            if given is None:
                raise _user_error(f"properties.{member}.{name} is null; leave it out, or say what it is.")
    return {name: value for name, value in found.items() if value is not None}


def judge(context: Context, workspace: Resource, deployment: Resource, sent: Mapping[str, Any]) -> Invocation:
    """Return what an invocation of a deployment asks for.

    Args:
        context: the service's.
        workspace: the endpoint's.
        deployment: that answers.
        sent: what :func:`read` has returned.

    Raises:
        AzureError: 400 where it does not fit the deployment or names what does not exist, 501 where azureml-local
            lacks what it asks for.
    """
    places = _Places(context, workspace)
    inputs = {name: places.input(name, given) for name, given in _input_data(sent).items()}
    outputs = {name: places.output(name, given) for name, given in (sent.get("outputData") or {}).items()}
    if batch_deployments.component_id(deployment):
        _require_no_overrides(sent)
        _require_outputs(context, deployment, outputs)
        return Invocation(sent, inputs, outputs)
    _require_settings(sent)
    _require_own_compute(sent, deployment)
    return Invocation(sent, _one_input(inputs, deployment), _one_output(places, sent, outputs, deployment))


def _input_data(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the inputs; ``dataset``, by which they were given before there were several, is one of them."""
    dataset, inputs = sent.get("dataset"), sent.get("inputData") or {}
    if not dataset:
        return inputs
    if inputs:
        raise _user_error("An invocation says its data in properties.inputData or in properties.dataset, not in both.")
    if dataset["dataInputType"] != "DataUrl":
        raise _user_error(
            f"properties.dataset is of the type {dataset['dataInputType']}. Give a data asset by its id in "
            "properties.inputData instead: those of the API v1 are no more."
        )
    return {"dataset": {"jobInputType": FOLDER, "uri": dataset["path"]}}


@dataclass(frozen=True)
class _Places:
    """Reads what an invocation says of where data lie."""

    context: Context
    workspace: Resource

    def input(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return an input in the form of a job's. Raises AzureError where there is nothing of its name."""
        kind = TYPES[given["jobInputType"]]
        if kind == LITERAL:
            return {"jobInputType": kind, "value": _text(name, given["value"])}
        uri = self._in_words_of_jobs(given["uri"], plural_of(kind))
        with _about(f"The input '{name}'"):
            self._require(uri, kind)
        return {"jobInputType": kind, "uri": uri, **({"mode": given["mode"]} if given.get("mode") else {})}

    def output(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return an output in the form of a job's. Raises AzureError where its datastore does not exist."""
        found = {"jobOutputType": TYPES[given["jobOutputType"]], "mode": given.get("mode")}
        if not given.get("uri"):
            return found
        uri = self._in_words_of_jobs(given["uri"], "data")
        with _about(f"The output '{name}'"):
            if found["jobOutputType"] == "uri_file" and not deployment_requests.is_file_name(uri.rpartition("/")[2]):
                raise _user_error(f"it is a file, and {uri} does not end with a file's name.")
            storage_locations.locate(self.context, self.workspace.id, uri)
        return {**found, "uri": uri}

    def _require(self, uri: str, kind: str) -> None:
        """Raise where an asset does not exist or is of another type, or the datastore of a path does not exist."""
        if ids.parse_asset(uri):
            asset = assets.resolve(self.context, uri, plural_of(kind))
            actual = asset.properties.get("dataType", kind)
            if actual != kind:
                raise _user_error(f"it was given as {kind}, and {uri} is of the type {actual}.")
        elif not uri.lower().startswith(("azureml:", "runs:", "https://", "http://")):
            raise _user_error(f"'{uri}' is no place of data: give a data asset's id, a datastore's path or a URL.")
        elif not is_public(uri):
            storage_locations.locate(self.context, self.workspace.id, uri)

    def _in_words_of_jobs(self, uri: str, plural: str) -> str:
        """Return the URI of data, for which this API has further forms, in one that jobs have."""
        workspace = self.workspace
        if found := _DATASTORE_ID.fullmatch(uri):
            where = f"subscriptions/{found['subscription']}/resourcegroups/{found['group']}/workspaces"
            return f"azureml://{where}/{found['workspace']}/datastores/{found['datastore']}/paths/{found['path'] or ''}"
        own = (workspace.name.lower(), workspace.properties["workspaceId"].lower())
        if (found := _REGIONAL_ASSET.fullmatch(uri)) and found["workspace"].lower() in own:
            return f"{workspace.id}/{found['asset'].replace('/versions/labels/', '/labels/')}"
        if short := ids.parse_short_asset(_SLASH.sub("azureml:", uri)):
            by = f"versions/{short['version']}" if short["version"] else f"labels/{short['label']}"
            return f"{workspace.id}/{plural}/{short['name']}/{by}"
        return uri


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Turn what is wrong with an input or output into a 400 that names it."""
    try:
        yield
    except AzureError as error:
        raise _user_error(f"{what}: {said(error)}") from error


def _text(name: str, value: Any) -> str:
    """Return a literal as text, as JSON writes it."""
    if isinstance(value, dict | list):
        raise _user_error(f"The input '{name}' is a literal: it must be text, a number, true or false.")
    return value if isinstance(value, str) else json.dumps(value)


def _one_input(inputs: Mapping[str, dict[str, Any]], deployment: Resource) -> Mapping[str, dict[str, Any]]:
    """Return the only input that a model deployment has. Raises 400 where there is another number, or it is no data."""
    known = f"Deployment '{deployment.name}' scores a model over one data input, of the type {' or '.join(OF_MODELS)}"
    if len(inputs) != 1:
        count = f"it was given {len(inputs)}: {', '.join(inputs)}" if inputs else "it was given none"
        raise _user_error(f"{known}; {count}. Say it in properties.inputData.")
    allowed = [TYPES[word] for word in OF_MODELS]
    for name, given in inputs.items():
        if given["jobInputType"] not in allowed:
            raise _user_error(f"{known}; the input '{name}' is of the type {given['jobInputType']}.")
    return inputs


def _one_output(
    places: _Places, sent: Mapping[str, Any], outputs: Mapping[str, dict[str, Any]], deployment: Resource
) -> Mapping[str, dict[str, Any]]:
    """Return the only output that a model deployment has; none where it goes where the service chooses."""
    dataset = sent.get("outputDataset")
    if dataset:
        datastore = dataset.get("datastoreId") or f"{places.workspace.id}/datastores/workspaceblobstore"
        uri = f"{datastore}/paths/{dataset['path'].strip('/')}"
        outputs = {**outputs, "outputDataset": places.output("outputDataset", {"jobOutputType": FOLDER, "uri": uri})}
    if len(outputs) > 1:
        message = f"Deployment '{deployment.name}' has one output; it was given {len(outputs)}: {', '.join(outputs)}."
        raise _user_error(message)
    for name, given in outputs.items():
        if given["jobOutputType"] not in [TYPES[word] for word in OF_MODELS]:
            raise _user_error(
                f"The output '{name}' is of the type {given['jobOutputType']}; it must be a file or folder."
            )
    return outputs


def _require_no_overrides(sent: Mapping[str, Any]) -> None:
    given = [name for name in OVERRIDES if name in sent]
    if given:
        raise _user_error(
            f"properties.{given[0]} is a setting of model deployments. This deployment runs a pipeline component: its "
            "steps have their own settings."
        )


def _require_outputs(context: Context, deployment: Resource, outputs: Mapping[str, Any]) -> None:
    """Raise 400 where an output is given that the deployment's component does not have."""
    component = assets.resolve(context, batch_deployments.component_id(deployment) or "", "components")
    known = component.properties["componentSpec"].get("outputs") or {}
    for name in outputs:
        if name not in known:
            raise _user_error(
                f"There is no output '{name}'; the component's outputs are: {', '.join(known) or 'none'}."
            )


def _require_settings(sent: Mapping[str, Any]) -> None:
    """Raise 400 where a setting is out of its range, 501 where azureml-local lacks it."""
    if sent.get("partitionKeys"):
        message = (
            "azureml-local lacks partitionKeys of an invocation. Partition keys are a parallel step's in a pipeline."
        )
        raise AzureError(501, "NotImplemented", message, target="properties.partitionKeys")
    retries, compute = sent.get("retrySettings") or {}, sent.get("compute") or {}
    counted = {
        **{name: (sent.get(name), least) for name, least in COUNTS.items()},
        "retrySettings.maxRetries": (retries.get("maxRetries"), 0),
        "compute.instanceCount": (compute.get("instanceCount"), 1),
    }
    for name, (value, least) in counted.items():
        if value is not None and value < least:
            raise _user_error(f"properties.{name} is {value}; it must be {least} or more.")
    if retries.get("timeout") is not None:
        try:
            positive = seconds(retries["timeout"]) > 0
        except ValueError as error:
            raise _user_error(f"properties.retrySettings.timeout: {error}.") from error
        if not positive:
            raise _user_error("properties.retrySettings.timeout must be longer than nothing.")
    if sent.get("outputFileName") and not deployment_requests.is_file_name(sent["outputFileName"]):
        raise _user_error(f"properties.outputFileName is '{sent['outputFileName']}'; it must be a file's name alone.")


def _require_own_compute(sent: Mapping[str, Any], deployment: Resource) -> None:
    """Raise 501 where an invocation asks for another compute than its deployment's."""
    asked, own = (sent.get("compute") or {}).get("target"), deployment.properties["compute"]
    if asked and asked.rpartition("/")[2].removeprefix("azureml:").lower() != own.rpartition("/")[2].lower():
        message = f"azureml-local lacks invocations on another compute than the deployment's, '{own}'."
        raise AzureError(501, "NotImplemented", message, target="properties.compute.target")


def _user_error(message: str) -> FrontendError:
    return FrontendError(400, "UserError", message)
