"""What may be asked for as a job: judges the body of a request and brings it into the form in which jobs are stored.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-command says what a command job may hold. What is
wrong with one is answered as Azure does where that is known; the sentences are azureml-local's own where no source
gives Azure's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets, codes
from azureml_local.arm.durations import seconds
from azureml_local.arm.jobs import job_data, job_places
from azureml_local.arm.jobs.job_computes import SERVERLESS
from azureml_local.arm.jobs.job_specs import LITERAL, plural_of, resolve_input
from azureml_local.arm.jobs.job_status import FIRST
from azureml_local.arm.jobs.refusals import user_error
from azureml_local.arm.process_texts import TextError, environment_variables, require_text
from azureml_local.arm.request import ArmRequest
from azureml_local.arm.storage import storage_locations
from azureml_local.engines.jobs.distribution import PLANS
from azureml_local.http.errors import AzureError, FrontendError, authorization_failed
from azureml_local.store import Resource

# The path parameter id of a job's routes in the OpenAPI (mfe.json).
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
EXPERIMENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
SHM_SIZE = re.compile(r"\d+[bBkKmMgG]")  # the OpenAPI's pattern of shmSize
COMMAND = "command"
# Those that Azure has, in any of its API versions, and azureml-local lacks.
LACKING_TYPES = ("AutoML", "Distillation", "FineTuning", "Labeling", "Spark", "Sweep")
LACKING = {
    "autologgerSettings": lambda _: True,
    "notificationSetting": lambda _: True,
    "parentJobName": lambda _: True,
    "secretsConfiguration": bool,
}
OWN_SERVICES = ("Tracking", "Studio")  # which the service adds to each job
COUNTS = ("processCountPerInstance", "workerCount")
# What may be changed of a job that exists; the rest is fixed, or the service's.
CHANGEABLE = ("description", "tags", "displayName", "properties", "isArchived")
FIXED = (
    "jobType",
    "componentId",
    "experimentName",
    "computeId",
    "identity",
    "resources",
    "queueSettings",
    "codeId",
    "command",
    "environmentId",
    "inputs",
    "outputs",
    "distribution",
    "limits",
    "environmentVariables",
    "jobs",
    "settings",
)


def read(request: ArmRequest) -> str:
    """Read a job's body as a ``JobBase``, and return the job's type.

    Raises:
        AzureError: 400 where it is no job, 501 where jobs of its type are lacking.
    """
    _require_served_type(request.body)
    request.read("JobBase")
    if not NAME.fullmatch(request.params["job"]):
        raise user_error(
            f"The job name '{request.params['job']}' is invalid. It must have 1 to 255 characters, start with a letter "
            "or digit and hold only letters, digits, '-' and '_'."
        )
    return str(request.properties["jobType"])


def read_command(request: ArmRequest, *, is_parallel: bool = False) -> dict[str, Any]:
    """Return the ``properties`` of a command job as they are stored, from a body that was read.

    Args:
        request: has the body.
        is_parallel: it is a step that splits its input, which may then be a table.

    Raises:
        AzureError: 400 where it is no command job, 501 where azureml-local lacks what it asks for.
    """
    request.refuse_lacking(LACKING)
    _require_served_distribution(request.properties.get("distribution") or {})
    with texts_for_processes():
        properties = _stored(request, is_parallel)
    _require_plain_values(properties)
    return properties


def require_existing(request: ArmRequest, properties: Mapping[str, Any]) -> None:
    """Raise 400 where what a new job names does not exist."""
    context, workspace_id = request.context, request.workspace_id
    files = [given["uri"] for given in properties["inputs"].values() if given["jobInputType"] != LITERAL]
    for named in (properties.get("environmentId"), properties.get("codeId"), *files):
        assets.require_readable(request, named)
    with _named_in_request():
        if properties.get("environmentId"):
            assets.environment(context, properties["environmentId"])
        if properties.get("codeId"):
            codes.resolve(context, properties["codeId"])
        for given in properties["inputs"].values():
            if given["jobInputType"] != LITERAL:
                _require_place(request, resolve_input(context, workspace_id, given))
        for name, given in properties["outputs"].items():
            if name != job_places.DEFAULT and given["uri"]:
                _require_place(request, given["uri"])
            if given.get("assetName") and given.get("assetVersion"):
                _require_new(request, given)
    _require_compute(request, properties)


def updated(known: Resource, request: ArmRequest, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``properties`` of a job that exists after a request for it.

    Tags and properties are added to those that there are; a property, once there, keeps its value.

    Raises:
        FrontendError: 400, the request would change what cannot be changed.
    """
    sent = {name for name, value in request.properties.items() if value is not None}
    asked = dict(properties)
    if known.properties["componentId"]:  # which has given what the request may leave out
        for name in ("inputs", "outputs"):
            asked[name] = {**known.properties[name], **asked[name]}
    changed = [name for name in FIXED if name in sent and asked.get(name) != known.properties.get(name)]
    require_unchanged(known, changed, request.properties.get("properties") or {})
    changes = {name: request.properties[name] for name in CHANGEABLE if name in sent}
    for name in ("tags", "properties"):
        changes[name] = {**known.properties[name], **(request.properties.get(name) or {})}
    return {**known.properties, **changes}


def require_unchanged(known: Resource, changed: list[str], added: Mapping[str, str]) -> None:
    """Raise 400 where fixed members of a job are ``changed``, or where ``added`` properties would change one."""
    if any(known.properties["properties"].get(name, value) != value for name, value in added.items()):
        changed = [*changed, "properties"]
    if changed:
        raise _immutable(changed)


def _require_served_type(body: Mapping[str, Any]) -> None:
    """Raise 501 for the kinds of jobs that are not served, before their bodies are judged."""
    properties = body.get("properties")
    asked = properties.get("jobType") if isinstance(properties, dict) else None
    for name in LACKING_TYPES:
        if isinstance(asked, str) and asked.lower() == name.lower():
            message = f"azureml-local lacks jobs of the type {name}: it runs those of the types Command and Pipeline."
            raise AzureError(501, "NotImplemented", message, target="properties.jobType")


def _require_served_distribution(distribution: Mapping[str, Any]) -> None:
    kind = distribution.get("distributionType")
    if kind not in PLANS:
        message = f"azureml-local lacks the distribution {kind} of command jobs."
        raise AzureError(501, "NotImplemented", message, target="properties.distribution")


def common(request: ArmRequest) -> dict[str, Any]:
    """Return the ``properties`` that jobs of every type have, with what Azure fills in.

    Raises:
        AzureError: a service is asked for that azureml-local lacks, or the experiment's name is none.
    """
    sent, job = request.properties, request.params["job"]
    experiment = sent.get("experimentName") or "Default"
    if not EXPERIMENT.fullmatch(experiment):
        raise user_error(
            f"The experiment name '{experiment[:255]}' is invalid. It must have 1 to 255 characters, "
            "start with a letter or digit and hold only letters, digits, '-' and '_'."
        )
    return {
        "description": sent.get("description"),
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "displayName": sent.get("displayName") or job,
        "status": FIRST,
        "experimentName": experiment,
        "services": _services(request),
        "computeId": compute_id(request, sent.get("computeId")),
        "isArchived": bool(sent.get("isArchived")),
        "identity": sent.get("identity"),
    }


def _stored(request: ArmRequest, is_parallel: bool) -> dict[str, Any]:
    """Return a command job's ``properties`` in Azure's order, with what Azure fills in."""
    sent, shared = request.properties, common(request)
    compute = shared["computeId"]
    return {
        **shared,
        "properties": {
            **shared["properties"],
            "_azureml.ComputeTargetType": "amlctrain",
            "_azureml.ClusterName": compute.rpartition("/")[2] if compute else "Serverless",
        },
        "componentId": sent.get("componentId"),
        "jobType": "Command",
        "resources": {
            "instanceCount": 1,
            "instanceType": None,
            "properties": None,
            "shmSize": "2g",
            "dockerArgs": None,
            **_given(sent.get("resources")),
        },
        "queueSettings": {"jobTier": "Null", "priority": None, **_given(sent.get("queueSettings"))},
        "codeId": sent.get("codeId"),
        "command": require_text(sent["command"], "properties.command"),
        "environmentId": sent["environmentId"],
        "inputs": {
            name: job_data.job_input(name, given, is_parallel) for name, given in (sent.get("inputs") or {}).items()
        },
        "outputs": job_data.outputs(sent.get("outputs") or {}, request.params["job"]),
        "distribution": sent.get("distribution"),
        "autologgerSettings": None,
        "limits": sent.get("limits"),
        "environmentVariables": environment_variables(sent),
        "parameters": {},
    }


def _given(members: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the members that have a value."""
    return {name: value for name, value in (members or {}).items() if value is not None}


def compute_id(request: ArmRequest, sent: str | None) -> str | None:
    """Return the id of a compute that was given by its id or its name; None for serverless compute.

    azure-ai-ml makes an id even of that word, where it is the default compute of a pipeline.
    """
    if not sent or sent.rpartition("/")[2].lower() == SERVERLESS:
        return None
    if "/" in sent:
        return sent.removeprefix("azureml:")
    return f"{request.workspace_id}/computes/{sent.removeprefix('azureml:')}"


def _services(request: ArmRequest) -> dict[str, Any]:
    """Return the two services of each job; refuse those that would let a user into it while it runs."""
    for name, given in (request.properties.get("services") or {}).items():
        if name not in OWN_SERVICES and given:
            kind = given.get("jobServiceType")
            message = f"azureml-local lacks services of jobs, such as '{name}' of the type {kind}."
            raise AzureError(501, "NotImplemented", message, target=f"properties.services.{name}")
    workspace = request.workspace()
    tracking = f"azureml://{workspace.body['location']}.api.azureml.ms/mlflow/v1.0{workspace.id}?"
    studio_id = workspace.id.replace("/resourceGroups/", "/resourcegroups/")
    studio = f"https://ml.azure.com/runs/{request.params['job']}?wsid={studio_id}"
    studio += f"&tid={request.context.settings.tenant_id}"
    return {
        name: {
            "jobServiceType": name,
            "port": None,
            "endpoint": endpoint,
            "status": None,
            "errorMessage": None,
            "properties": None,
            "nodes": None,
        }
        for name, endpoint in zip(OWN_SERVICES, (tracking, studio), strict=True)
    }


def _require_plain_values(properties: Mapping[str, Any]) -> None:
    """Raise 400 where a number, a duration or a text is none that a job can have."""
    resources = properties["resources"]
    if resources["instanceCount"] < 1:
        raise user_error(f"resources.instanceCount is {resources['instanceCount']}; it must be at least 1.")
    if not SHM_SIZE.fullmatch(resources["shmSize"]):
        raise user_error(f"resources.shmSize is '{resources['shmSize']}'; it must be a size such as 2g or 512m.")
    for name in COUNTS:
        count = (properties["distribution"] or {}).get(name)
        if count is not None and count < 1:
            raise user_error(f"distribution.{name} is {count}; it must be at least 1.")
    timeout = (properties["limits"] or {}).get("timeout")
    if timeout is not None:
        try:
            is_positive = seconds(timeout) > 0
        except ValueError as error:
            raise user_error(f"limits.timeout: {error}.") from error
        if not is_positive:
            raise user_error(f"limits.timeout is {timeout}; it must be longer than nothing.")


def _require_place(request: ArmRequest, uri: str) -> None:
    """Raise where a URI is of a datastore, or of a job, that does not exist. Whether files are there shows later."""
    if uri.lower().startswith(("azureml:", "runs:")):
        _require_usable_datastore(request, uri)
        storage_locations.locate(request.context, request.workspace_id, uri)


def _require_usable_datastore(request: ArmRequest, uri: str) -> None:
    """Raise 403 where a URI is of another workspace's datastore, of which the caller may not have the secrets."""
    found = ids.parse_datastore_path(uri)
    other = ids.WORKSPACE.format(**found.groupdict()) if found and found["workspace"] else request.workspace_id
    action = f"{ids.PROVIDER}/workspaces/datastores/listSecrets/action"
    if other.lower() != request.workspace_id.lower() and not request.permits(action, other):
        raise authorization_failed(request.principal.object_id, action, other)


def _require_new(request: ArmRequest, output: Mapping[str, Any]) -> None:
    plural = plural_of(output["jobOutputType"])
    version_id = f"{request.workspace_id}/{plural}/{output['assetName']}/versions/{output['assetVersion']}"
    if request.context.store.get(version_id):
        raise user_error(
            f"An output is to be registered as version {output['assetVersion']} of {output['assetName']}, which exists "
            "already. Use another version, or none: the next one is given to it."
        )


def _require_compute(request: ArmRequest, properties: Mapping[str, Any]) -> None:
    """Raise 400 where the job's compute does not exist."""
    compute_id = properties["computeId"]
    if compute_id is None:
        return
    compute = request.context.store.get(compute_id)
    is_own = compute_id.lower().startswith(f"{request.workspace_id}/computes/".lower())
    if compute is None or not is_own:
        raise user_error(f"Unknown compute target '{compute_id.rpartition('/')[2]}'.")
    wanted, most = (properties.get("resources") or {}).get("instanceCount", 1), _most_nodes(compute)
    if wanted > most:
        raise user_error(f"Requested {wanted} nodes but AzureMLCompute cluster only has {most} maximum nodes")


def _most_nodes(compute: Resource) -> int:
    """Return how many nodes a compute can have: a compute instance is one."""
    scale = (compute.properties.get("properties") or {}).get("scaleSettings") or {}
    return int(scale.get("maxNodeCount", 1))


@contextmanager
def texts_for_processes() -> Iterator[None]:
    """Turn what says that no process can be handed a text into a 400."""
    try:
        yield
    except TextError as error:
        raise user_error(str(error)) from error


@contextmanager
def _named_in_request() -> Iterator[None]:
    """Turn the 404 of something that the request names into a 400: the request's own resource is another."""
    try:
        yield
    except FrontendError as error:
        raise user_error(error.detail[1] if error.detail else error.message) from error


def _immutable(changed: list[str]) -> FrontendError:
    """Return Azure's refusal: its words are in https://github.com/MicrosoftDocs/azure-docs/issues/122250."""
    names = ",  ".join(name[0].upper() + name[1:] for name in changed)
    return FrontendError(
        400,
        "UserError",
        "A job with this name already exists. If you are trying to create a new job, use a different name. If you are "
        f"trying to update an existing job, the existing job's {{{names}}} cannot be changed. Only description, tags, "
        "displayName, properties, and isArchived can be updated.",
        inner=("Immutable", "JobPropertyImmutable"),
    )
