"""The jobs that invocations of batch endpoints make: a pipeline job each, and a record of which deployment it is of.

They look as those do that Azure's clients recorded (azure-sdk-for-python, sdk/ml/azure-ai-ml/tests/recordings); the
record outlives its deployment, though not its endpoint.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.batch import batch_deployments, batch_endpoints, batch_pipelines, invocations
from azureml_local.arm.batch.batch_pipelines import Step
from azureml_local.arm.batch.invocations import Invocation
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_places, submission
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.http.errors import FrontendError
from azureml_local.identity.tokens import Principal
from azureml_local.store import Condition, Resource

TYPE = batch_endpoints.TYPE + "/jobs"
SHOWN_TYPE = f"{ids.PROVIDER}/{batch_deployments.TYPE}/jobs"
ANONYMOUS = "azureml_anonymous"  # where azure-ai-ml, too, puts components without a name
BEFORE_RUNNING = ("NotStarted", "Starting", "Provisioning", "Queued")
WORDS = {kind: word for word, kind in invocations.TYPES.items()}
MODEL_PREFIX, PIPELINE_PREFIX = "batchjob", "pipelinejob"


def invoke(
    context: Context,
    endpoint: Resource,
    deployment_name: str | None,
    body: Mapping[str, Any],
    principal: Principal,
    request_id: str | None = None,
) -> Resource:
    """Make a job of an invocation, and begin to run it; return the record of it.

    Args:
        context: the service's.
        endpoint: that was invoked.
        deployment_name: of the deployment that is to answer; None for the endpoint's default one.
        body: a ``BatchJobResource``.
        principal: who invoked it.
        request_id: of a repeatable request: the same caller gets the same job for it again.

    Raises:
        AzureError: 400 where the body is wrong, or another one was sent with this id; 404 where no deployment answers.
    """
    sent = invocations.read(body)
    guid, digest = _guid(endpoint, principal, request_id), _digest(deployment_name, sent)
    known = _by_guid(context, endpoint, guid)
    if known:
        return _repeated(known, digest)
    deployment = _deployment(context, endpoint, deployment_name)
    is_component = batch_deployments.component_id(deployment) is not None
    name = f"{PIPELINE_PREFIX if is_component else MODEL_PREFIX}-{guid}"
    _require_usable(deployment)
    workspace = context.store.get(ids.workspace_of(endpoint.id))
    assert workspace  # noqa: S101 - an endpoint lies in one
    invocation = invocations.judge(context, workspace, deployment, sent)
    with context.store.transaction():
        properties = _properties(context, endpoint, deployment, invocation, principal)
        request = submission.request_for(context, workspace.id, name, properties, principal)
        job = submission.submit(request)
        record = {"deployment": deployment.name, "digest": digest, "properties": _recorded(deployment, invocation, job)}
        return context.store.put(f"{endpoint.id}/jobs/{name}", TYPE, endpoint.id, record, principal.object_id)


def find(context: Context, endpoint: Resource, name: str) -> Resource | None:
    """Return the record of one of an endpoint's jobs; None where there is none."""
    return context.store.get(f"{endpoint.id}/jobs/{name}")


def of_deployment(name: str) -> Condition:
    """Return the condition that a record is of a deployment, by its name."""
    return Condition("json_extract(body, '$.deployment') = ?", (name,))


def to_json(context: Context, record: Resource) -> dict[str, Any]:
    """Return a job as Azure shows it: as a ``BatchJobResource``."""
    endpoint_id = record.id.rpartition("/jobs/")[0]
    properties = dict(record.properties)
    job = context.store.get(f"{ids.workspace_of(record.id)}/jobs/{record.name}")
    if job:
        status = job.properties["status"]
        properties["status"] = "Preparing" if status in BEFORE_RUNNING else status
        if status == "Completed":
            properties |= _written(context, job, properties.pop("rowsFile"))
    properties.pop("rowsFile", None)
    return {
        "id": f"{endpoint_id}/deployments/{record.body['deployment']}/jobs/{record.name}",
        "name": record.name,
        "type": SHOWN_TYPE,
        "properties": properties,
        "systemData": {
            "createdAt": record.created_at,
            "createdBy": record.created_by,
            "lastModifiedAt": record.modified_at,
            "lastModifiedBy": record.modified_by,
        },
    }


def _deployment(context: Context, endpoint: Resource, name: str | None) -> Resource:
    """Return the deployment that is to answer.

    Raises:
        FrontendError: 404, there is none. Where the endpoint has no default one, in Azure's words:
            https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-batch-endpoints
    """
    asked = name or endpoint.properties["defaults"]["deploymentName"]
    if not asked:
        raise _not_found(
            "No valid deployments to route to. Please check that the endpoint has at least one deployment with "
            "positive weight values or use a deployment specific header to route."
        )
    deployment = context.store.get(f"{endpoint.id}/deployments/{asked}")
    if deployment is None:
        raise _not_found(f"Deployment '{asked}' was not found in endpoint '{endpoint.name}'.")
    return deployment


def _guid(endpoint: Resource, principal: Principal, request_id: str | None) -> str:
    """Return the id of a new job, which is always the same for the same repeatable request."""
    if not request_id:
        return str(uuid.uuid4())
    parts = (endpoint.key, endpoint.created_at, principal.object_id, request_id.lower())
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(parts)))


def _digest(deployment_name: str | None, sent: Mapping[str, Any]) -> str:
    """Return what two invocations share only where they ask for the same: the endpoint's default one may change."""
    asked = [(deployment_name or "").lower(), sent]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _by_guid(context: Context, endpoint: Resource, guid: str) -> Resource | None:
    """Return the record of the job with an id, of whichever kind its deployment was."""
    found = (find(context, endpoint, f"{prefix}-{guid}") for prefix in (MODEL_PREFIX, PIPELINE_PREFIX))
    return next((record for record in found if record), None)


def _repeated(record: Resource, digest: str) -> Resource:
    """Return the record of a request that came before. Raises 400 where it said something else then.

    https://docs.oasis-open.org/odata/repeatable-requests/v1.0/repeatable-requests-v1.0.html
    """
    if record.body["digest"] != digest:
        raise FrontendError(
            400,
            "UserError",
            f"A request with this Repeatability-Request-ID made the job {record.name}, and its deployment or body was "
            "another one. Use a new id for another request.",
        )
    return record


def _require_usable(deployment: Resource) -> None:
    state = deployment.properties["provisioningState"]
    if state in ("Failed", "Canceled", "Deleting"):
        raise FrontendError(
            400, "UserError", f"Deployment '{deployment.name}' is in the state {state}. Deploy it anew."
        )
    if not (batch_deployments.component_id(deployment) or deployment.properties["environmentId"]):
        message = f"Deployment '{deployment.name}' is in the state {state}: its environment is being made. Try again."
        raise FrontendError(409, "UserError", message)


def _properties(
    context: Context, endpoint: Resource, deployment: Resource, invocation: Invocation, principal: Principal
) -> dict[str, Any]:
    """Return the ``properties`` of the pipeline job."""
    if batch_deployments.component_id(deployment):
        return batch_pipelines.of_component(endpoint, deployment, invocation)
    step = _step(context, endpoint, deployment, invocation, principal)
    return batch_pipelines.of_model(endpoint, deployment, invocation, step)


def _step(
    context: Context, endpoint: Resource, deployment: Resource, invocation: Invocation, principal: Principal
) -> Step:
    model = assets.resolve(context, deployment.properties["model"]["assetId"], "models")
    model_type = model.properties["modelType"].lower()
    (given,) = invocation.inputs.values()
    spec = batch_pipelines.component_spec(given["jobInputType"], model_type)
    component = assets.ensure_version(
        context,
        ids.workspace_of(endpoint.id),
        "components",
        ANONYMOUS,
        spec["version"],
        {"componentSpec": spec, "isAnonymous": True},
        principal.object_id,
    )
    return Step(model.id, model_type, deployment.properties["environmentId"], component.id)


def _recorded(deployment: Resource, invocation: Invocation, job: Resource) -> dict[str, Any]:
    """Return what Azure answers of an invocation, as far as it stays as it is."""
    sent, is_component = invocation.sent, batch_deployments.component_id(deployment)
    compute = sent.get("compute") or {}
    return {
        "description": job.properties["description"],
        "tags": job.properties["tags"],
        "properties": job.properties["properties"],
        "name": job.properties["displayName"],
        "provisioningState": "Succeeded",
        "status": job.properties["status"],
        "inputData": _shown_inputs(sent, invocation),
        "compute": {
            "target": None if is_component else deployment.properties["compute"],
            "instanceCount": compute.get("instanceCount"),
            "isLocal": False,
            "location": None,
            "instanceType": None,
            "properties": None,
        },
        "output": {"datastoreId": None, "path": None},
        **({} if is_component else {"retrySettings": invocation.setting("retrySettings", deployment)}),
        "interactionEndpoints": {
            name: {
                "jobEndpointType": name,
                "port": service["port"],
                "endpoint": service["endpoint"],
                "properties": service["properties"],
            }
            for name, service in job.properties["services"].items()
        },
        "rowsFile": None if is_component else batch_pipelines.rows_file(deployment, invocation),
    }


def _shown_inputs(sent: Mapping[str, Any], invocation: Invocation) -> dict[str, Any]:
    """Return the inputs as they were given."""
    asked = sent.get("inputData") or {}
    shown = {}
    for name, given in invocation.inputs.items():
        common = {"description": asked.get(name, {}).get("description"), "jobInputType": WORDS[given["jobInputType"]]}
        if "value" in given:
            shown[name] = {**common, "value": given["value"]}
        else:
            shown[name] = {**common, "uri": given["uri"], "mode": given.get("mode") or "ReadOnlyMount"}
    return shown


def _written(context: Context, job: Resource, rows_file: str | None) -> dict[str, Any]:
    """Return where what a completed job has written lies.

    Args:
        context: the service's.
        job: the pipeline job.
        rows_file: of a model deployment, the file that rows went to; None where the script wrote its own.
    """
    workspace_id = ids.workspace_of(job.id)
    owners = [job] if job.properties["componentId"] else context.store.children(JOB_TYPE, job.id)
    outputs = {
        name: _shown_output(owner, name, rows_file)
        for owner in owners
        for name in owner.properties["outputs"]
        if name != job_places.DEFAULT
    }
    datastore = f"{workspace_id}/datastores/{job_places.ARTIFACT_STORE}"
    return {"output": {"datastoreId": datastore, "path": job_places.artifacts(job.name).path}, "outputData": outputs}


def _shown_output(owner: Resource, name: str, rows_file: str | None) -> dict[str, Any]:
    """Return an output with its place, by its datastore's id."""
    uri, declared = job_places.output_uri(owner, name) or "", owner.properties["outputs"][name]
    kind = invocations.FILE if rows_file else WORDS[declared["jobOutputType"]]
    found = ids.parse_datastore_path(f"{uri.rstrip('/')}/{rows_file}" if rows_file else uri)
    if found:
        uri = f"{ids.workspace_of(owner.id)}/datastores/{found['datastore']}/paths/{found['path']}"
    return {
        "description": None,
        "jobOutputType": kind,
        "mode": declared["mode"] or "ReadWriteMount",
        "uri": uri,
    }


def _not_found(message: str) -> FrontendError:
    return FrontendError(404, "UserError", message, inner=("NotFoundError",))
