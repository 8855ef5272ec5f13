"""What may be asked for as a pipeline job: brings a request's body into the form in which one is stored, with its plan.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azureml_local.arm.jobs import job_data, job_requests
from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.jobs.refusals import lacking, user_error
from azureml_local.arm.pipelines import components, interfaces, places, shapes
from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.arm.pipelines.nodes import PIPELINE
from azureml_local.arm.pipelines.plans import Defaults, Plan, Planner
from azureml_local.arm.pipelines.wiring import Given, judged
from azureml_local.arm.request import ArmRequest

FIRST = "Preparing"  # what Azure answers to the submission of a pipeline
LACKING = {"notificationSetting": lambda _: True}
# "By default, the pipeline will continue to run even if one step fails" (reference-yaml-job-pipeline).
SETTINGS: Mapping[str, Any] = {
    "continue_on_step_failure": True,
    "continue_run_on_failed_optional_input": True,
    "force_rerun": False,
}
SETTINGS_SHAPE = {**dict.fromkeys(SETTINGS, "scalar"), "default_compute": "text", "default_datastore": "text"}
LACKING_SETTINGS = ("on_init", "on_finalize")


def read(request: ArmRequest) -> dict[str, Any]:
    """Return the ``properties`` of a pipeline job as they are stored, from a body that was read as a ``JobBase``.

    Raises:
        AzureError: 400 where it is no pipeline job, 501 where azureml-local lacks what it asks for.
    """
    request.refuse_lacking(LACKING)
    sent, name = request.properties, request.params["job"]
    try:
        shapes.require(sent.get("settings"), SETTINGS_SHAPE, "properties.settings")
    except InterfaceError as error:
        raise user_error(f"{error}.") from error
    settings = _settings(sent.get("settings") or {})
    common = job_requests.common(request)
    inputs = {key: _input(key, given) for key, given in (sent.get("inputs") or {}).items()}
    return {
        **common,
        "status": FIRST,
        "properties": {**_shown_settings(request, settings, common["computeId"]), **common["properties"]},
        "jobType": "Pipeline",
        "componentId": sent.get("componentId"),
        "settings": settings,
        "sourceJobId": sent.get("sourceJobId"),
        "jobs": sent.get("jobs") or {},
        "inputs": inputs,
        "outputs": _outputs(sent.get("outputs") or {}, name),
    }


def plan(request: ArmRequest, properties: dict[str, Any]) -> Plan:
    """Return the plan of a pipeline whose properties were read; its inputs and outputs may be its component's.

    Raises:
        AzureError: 400 where it cannot be run, 501 where azureml-local lacks what it asks for.
    """
    _require_existing(request, properties)
    spec = _spec(request, properties)
    given = given_to(spec, properties["inputs"]) if spec else _as_sent(properties["inputs"])
    if spec:
        properties["inputs"] |= defaults(given, properties["inputs"])
        properties["outputs"] = declared_outputs(spec) | properties["outputs"]
    compute = job_requests.compute_id(request, properties["settings"].get("default_compute"))
    of_steps = Defaults(compute or properties["computeId"], properties["experimentName"], properties["identity"])
    planner = Planner(request.context, request.workspace_id, of_steps)
    nodes = properties["jobs"] or (spec or {}).get("jobs") or {}
    return planner.plan(nodes, given, properties["outputs"], is_declared=spec is not None)


def _require_existing(request: ArmRequest, properties: Mapping[str, Any]) -> None:
    """Raise 400 where what a pipeline itself names does not exist: data, datastores, a compute."""
    datastore, default = places.datastore_of(properties["settings"]), properties["settings"].get("default_compute")
    named = {
        **properties,
        "computeId": job_requests.compute_id(request, default) or properties["computeId"],
        "outputs": places.all_filled(properties["outputs"], request.params["job"], datastore),
    }
    job_requests.require_existing(request, named)


def _settings(sent: Mapping[str, Any]) -> dict[str, Any]:
    for name in LACKING_SETTINGS:
        if sent.get(name):
            raise lacking(f"properties.settings.{name}")
    given = {name: value for name, value in sent.items() if value is not None}
    return {**SETTINGS, **given, **{name: interfaces.truth(given.get(name, SETTINGS[name])) for name in SETTINGS}}


def _shown_settings(request: ArmRequest, settings: Mapping[str, Any], compute: str | None) -> dict[str, str]:
    """Return what Azure notes of a pipeline among its properties.

    As public reports of such runs show them, e.g. those of a batch endpoint's jobs.
    """
    compute = job_requests.compute_id(request, settings.get("default_compute")) or compute
    return {
        "azureml.DevPlatv2": "true",
        "azureml.DatasetAccessMode": "Asset",
        "azureml.runsource": "azureml.PipelineRun",
        "runSource": "MFE",
        "runType": "HTTP",
        "azureml.parameters": "{}",
        "azureml.continue_on_step_failure": str(settings["continue_on_step_failure"]),
        "azureml.continue_on_failed_optional_input": str(settings["continue_run_on_failed_optional_input"]),
        "azureml.enforceRerun": str(settings["force_rerun"]),
        "azureml.defaultComputeName": compute.rpartition("/")[2] if compute else "serverless",
        "azureml.defaultDataStoreName": places.datastore_of(settings) or places.DEFAULT_DATASTORE,
        "azureml.pipelineComponent": "pipelinerun",
    }


def _input(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input as it is stored; how its data reaches a step is for the step to say, where it says nothing."""
    stored = job_data.job_input(name, given, may_be_table=True)
    return stored if stored["jobInputType"] == LITERAL else {**stored, "mode": given.get("mode")}


def _outputs(sent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return outputs as they are stored; how a step writes one is for the step to say, where nothing is said here."""
    outputs = job_data.outputs(sent, name)
    return {key: {**one, "mode": sent[key].get("mode")} if key in sent else one for key, one in outputs.items()}


def _spec(request: ArmRequest, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the specification of the component that a pipeline job is of; None where it is of none."""
    if not properties["componentId"]:
        return None
    spec = components.resolve(request.context, request.workspace_id, {"componentId": properties["componentId"]})
    require_specification(spec, PIPELINE)
    return spec


def require_specification(spec: Mapping[str, Any], kind: str) -> None:
    """Raise 400 where a component that a job names is of another type, or of no shape that can be read."""
    try:
        shapes.require(spec, shapes.SPECIFICATION, "The component")
    except InterfaceError as error:
        raise user_error(f"{error}.") from error
    if str(spec.get("type")).lower() != kind:
        raise user_error(f"componentId: the component's type is {spec.get('type')}; a {kind} job is of a {kind}.")


def _as_sent(inputs: Mapping[str, Any]) -> dict[str, Given | None]:
    return {name: Given(given["jobInputType"], given.get("value")) for name, given in inputs.items()}


def given_to(spec: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Given | None]:
    """Return what each of a component's inputs is given by a job's. Raises FrontendError where that does not fit."""
    declared, sent = interfaces.inputs_of(spec), _as_sent(inputs)
    unknown = [name for name in sent if name not in declared]
    if unknown:
        known = ", ".join(declared) or "none"
        raise user_error(f"There is no input '{unknown[0]}'; the component's inputs are: {known}.")
    return {name: _judged(name, one, sent.get(name)) for name, one in declared.items()}


def _judged(name: str, declared: interfaces.Input, sent: Given | None) -> Given | None:
    try:
        return judged(declared, sent)
    except InterfaceError as error:
        raise user_error(f"Input '{name}': {error}.") from error


def defaults(given: Mapping[str, Given | None], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that have their defaults, as they are stored with a job."""
    return {
        name: _input(name, {"value": one.value, "uri": one.value, "jobInputType": one.kind})
        for name, one in given.items()
        if one and name not in inputs
    }


def declared_outputs(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component's outputs as they are stored with a job that says nothing of them."""
    return {
        name: job_data.job_output(name, {"jobOutputType": declared["type"]})
        for name, declared in interfaces.outputs_of(spec).items()
    }
