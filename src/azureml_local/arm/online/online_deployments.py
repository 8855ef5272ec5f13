"""Deployments of an online endpoint: a model, its code and environment, and how many instances serve them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing, process_texts
from azureml_local.arm.assets import assets, codes
from azureml_local.arm.compute import kubernetes_clusters, quotas, vm_sizes
from azureml_local.arm.compute.vm_sizes import Size
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.names import require_endpoint_name
from azureml_local.arm.online import data_collection, kubernetes_deployments, no_code_deployments, online_endpoints
from azureml_local.arm.request import ArmRequest, ArmRoutes, begin
from azureml_local.arm.storage.storage_locations import locate
from azureml_local.engines.probes import Probe
from azureml_local.engines.serving import CodeSource, ModelSource, ServingError, ServingSpec
from azureml_local.http.errors import (
    AzureError,
    FrontendError,
    endpoint_not_found,
    invalid_deployment,
    invalid_inference_request,
    missing_driver_program,
)
from azureml_local.store import Resource

DEPLOYMENTS = online_endpoints.ENDPOINT + "/deployments"
DEPLOYMENT = DEPLOYMENTS + "/{deployment}"
TYPE = online_endpoints.DEPLOYMENT_TYPE
PREFIX = "od"
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
MOST_INSTANCES = 50
LONGEST_REQUEST = {"Managed": 180, "Kubernetes": kubernetes_deployments.LONGEST_REQUEST}  # seconds
LONGEST_TAIL = 5000  # lines
DEFAULT_TAIL = 100
PROBE = {"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S", "initialDelay": "PT10S"}
REQUEST_SETTINGS = {
    "Managed": {"maxQueueWait": "PT0S", "requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1},
    "Kubernetes": kubernetes_deployments.REQUEST_SETTINGS,
}
# Settings that would be a promise nobody keeps.
LACKING = {
    "egressPublicNetworkAccess": lambda value: value == "Disabled",
    "modelMountPath": bool,
    "startupProbe": bool,
    # What is collected is written with the storage account's key.
    "dataCollector": lambda value: any((one or {}).get("clientId") for one in value["collections"].values()),
}
TROUBLESHOOTING = "https://aka.ms/oe-tsg#error-"
SIZES = "https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list"

routes = ArmRoutes()


class ProvisioningError(AzureError):
    """A deployment's operation failed.

    Azure's status carries no code of its own here: clients find it as the message's first word.
    """

    def __init__(self, failure: ServingError) -> None:
        link = f"{TROUBLESHOOTING}{failure.code.lower()}"
        guide = f"Please see troubleshooting guide, available here: {link}"
        super().__init__(400, failure.code, f"{failure.code}: {failure} {guide}")

    def body(self) -> dict[str, Any]:
        """Return the error as the operation's status shows it."""
        return {"code": None, "message": self.message}


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(deployment: Resource) -> None:
        try:
            deployment = await _with_environment(context, deployment)
            await context.serving.deploy(deployment.id, _spec(context, deployment))
        except ServingError as failure:
            raise ProvisioningError(failure) from failure
        context.router.refresh(_endpoint_id(deployment))

    async def delete(deployment: Resource) -> None:
        await context.serving.remove(deployment.id)
        context.store.delete(deployment.id)
        context.router.refresh(_endpoint_id(deployment))
        context.pools.retry()

    context.operations.register("onlineDeployments/put", put)
    context.operations.register("onlineDeployments/delete", delete)


@routes.route("GET", DEPLOYMENTS)
async def list_deployments(request: ArmRequest) -> Response:
    """List an endpoint's deployments."""
    return listing.ordered_page(request, TYPE, online_endpoints.require(request).id)


@routes.route("GET", DEPLOYMENT)
async def get(request: ArmRequest) -> Response:
    """Return a deployment."""
    return JSONResponse(_require(request).to_json())


@routes.route("PUT", DEPLOYMENT)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create a deployment, or to replace it; the present one serves until the new one does."""
    request.read("OnlineDeployment")
    request.refuse_lacking(LACKING)
    context = request.context
    endpoint = online_endpoints.require(request)
    require_endpoint_name(request.params["deployment"], "Deployment")
    context.operations.require_idle(endpoint.id)
    if endpoint.properties["provisioningState"] != "Succeeded":
        raise invalid_inference_request(
            "This endpoint has not been created successfully or is in deleting provisioning state. Please recreate "
            "endpoint and then try again to create deployment."
        )
    deployment_id = DEPLOYMENT.format(**request.params)
    context.operations.require_idle(deployment_id)
    known = context.store.get(deployment_id)
    if known:
        _require_recoverable(context, known)
    is_managed = _require_compute_type(request, endpoint) == "Managed"
    capacity = _capacity(request)
    if is_managed:
        _require_quota(context, deployment_id, _size(request), capacity)
    properties = _properties(request)
    if not is_managed:
        kubernetes_deployments.pod(context, endpoint, properties)
        scaling = kubernetes_deployments.scaling(properties["scaleSettings"])
        capacity = scaling.min_instances if scaling else capacity
    body = {
        "tags": request.body.get("tags") or {},
        "location": request.body["location"],
        "kind": endpoint.body["kind"],
        "sku": {"name": "Default", "tier": "Standard", **_given(request, "sku"), "capacity": capacity},
        "properties": properties,
    }
    if request.body.get("identity"):
        body["identity"] = request.body["identity"]
    with context.store.transaction():
        deployment = request.put(deployment_id, TYPE, endpoint.id, body)
        return request.begun(201, "onlineDeployments/put", deployment, PREFIX)


@routes.route("PATCH", DEPLOYMENT)
async def update(request: ArmRequest) -> Response:
    """Change a deployment's tags, or begin to change how many instances it has."""
    request.read("PartialMinimalTrackedResourceWithSku")
    deployment = _require(request)
    request.context.operations.require_idle(deployment.id)
    _require_recoverable(request.context, deployment)
    body = dict(deployment.body)
    if request.body.get("tags") is not None:
        body["tags"] = request.body["tags"]
    if request.body.get("sku"):
        body["sku"] = {**body["sku"], **_given(request, "sku"), "capacity": _capacity(request)}
    scales = body["sku"]["capacity"] != deployment.body["sku"]["capacity"]
    if scales:
        body = _scaled(request.context, deployment, body, body["sku"]["capacity"])
    with request.context.store.transaction():
        changed = request.put(deployment.id, TYPE, _endpoint_id(deployment), body)
        if not scales:
            return JSONResponse(changed.to_json())
        return request.begun(202, "onlineDeployments/put", changed, PREFIX, lambda _: None)


def scale(context: Context, deployment: Resource, capacity: int) -> str:
    """Begin to change how many instances a deployment has, as a user's update does; return the operation's id.

    Raises:
        AzureError: 409 while another operation is in progress, 400 where the deployment cannot have so many.
    """
    context.operations.require_idle(deployment.id)
    _require_recoverable(context, deployment)
    _require_capacity(capacity)
    body = _scaled(context, deployment, deployment.body, capacity)
    with context.store.transaction():
        changed = context.store.put(deployment.id, TYPE, _endpoint_id(deployment), body, deployment.modified_by)
        return begin(context, "onlineDeployments/put", changed, PREFIX).id


def _scaled(context: Context, deployment: Resource, body: dict[str, Any], capacity: int) -> dict[str, Any]:
    """Return a deployment's body with another number of instances. Raises 400 where it cannot have so many."""
    _require_scalable(context, deployment, capacity)
    properties = {**body["properties"], "provisioningState": "Updating"}
    return {**body, "sku": {**body["sku"], "capacity": capacity}, "properties": properties}


@routes.route("DELETE", DEPLOYMENT)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete a deployment that takes no traffic; 204 where there is none."""
    endpoint = online_endpoints.require(request)
    deployment = request.context.store.get(DEPLOYMENT.format(**request.params))
    if deployment is None:
        return Response(status_code=204)
    request.context.operations.require_idle(deployment.id)
    kubernetes_clusters.require_reachable(request.context, deployment.id)
    for what in ("traffic", "mirrorTraffic"):
        if endpoint.properties[what].get(deployment.name):
            raise invalid_inference_request(
                f"Deployment '{deployment.name}' has {endpoint.properties[what][deployment.name]} percent of the "
                f"endpoint's {what}. Set it to 0 before you delete the deployment."
            )
    deleting = deployment.with_properties(provisioningState="Deleting")
    return request.begun(202, "onlineDeployments/delete", deleting, PREFIX, lambda _: None, at_results=True)


@routes.route("POST", DEPLOYMENT + "/getLogs")
async def get_logs(request: ArmRequest) -> Response:
    """Return the last lines of a container's log, also after the deployment failed."""
    request.read("DeploymentLogsRequest")
    deployment = _require(request)
    container = request.body.get("containerType") or "InferenceServer"
    tail = request.body.get("tail")
    tail = DEFAULT_TAIL if tail is None else tail
    if not 0 < tail <= LONGEST_TAIL:
        raise AzureError(400, "BadArgument", f"tail is {tail}; it must be 1 to {LONGEST_TAIL} lines.", target="tail")
    record = request.context.serving.latest_attempt(deployment.id)
    content = record.text(container.lower(), tail) if record else ""
    return JSONResponse({"content": content})


def _require(request: ArmRequest) -> Resource:
    online_endpoints.require(request)
    deployment = request.context.store.get(DEPLOYMENT.format(**request.params))
    if deployment is None:
        raise endpoint_not_found()
    return deployment


def _require_recoverable(context: Context, deployment: Resource) -> None:
    """Raise 400 for a deployment that has never served: on Azure, too, it can only be deleted."""
    failed = deployment.properties["provisioningState"] == "Failed"
    if failed and context.serving.replicas(deployment.id) is None:
        raise invalid_inference_request(
            f"Specified deployment [{deployment.name}] failed during initial provisioning and is in an unrecoverable "
            "state. Delete and re-create."
        )


def _endpoint_id(deployment: Resource) -> str:
    return deployment.id.rpartition("/deployments/")[0]


def _given(request: ArmRequest, member: str) -> dict[str, Any]:
    return {name: value for name, value in (request.body.get(member) or {}).items() if value is not None}


def _capacity(request: ArmRequest) -> int:
    capacity: int = _given(request, "sku").get("capacity", 1)
    _require_capacity(capacity)
    return capacity


def _require_capacity(capacity: int) -> None:
    if not 1 <= capacity <= MOST_INSTANCES:
        raise invalid_inference_request(
            f"sku.capacity is {capacity}; a deployment has 1 to {MOST_INSTANCES} instances (Azure's default quota)."
        )


def _require_compute_type(request: ArmRequest, endpoint: Resource) -> str:
    """Return where the endpoint's deployments are. Raises 400 where this one is to be somewhere else."""
    sent: str = request.properties["endpointComputeType"]
    wanted = online_endpoints.compute_type(endpoint.properties)
    if sent != wanted:
        raise invalid_inference_request(
            f"endpointComputeType is '{sent}'; the deployments of endpoint '{endpoint.name}' are {wanted}."
        )
    return sent


def _require_scalable(context: Context, deployment: Resource, capacity: int) -> None:
    """Raise 400 where a deployment cannot have another number of instances."""
    if deployment.properties["endpointComputeType"] == "Kubernetes":
        kubernetes_deployments.require_scalable(context, context.store.get(_endpoint_id(deployment)), deployment)
        return
    size = vm_sizes.find(deployment.properties["instanceType"])
    if size:  # an earlier version took any name
        _require_quota(context, deployment.id, size, capacity)


def _size(request: ArmRequest) -> Size:
    """Return the size of the deployment's instances. Raises 400 where managed online endpoints do not take it."""
    name = request.properties.get("instanceType") or ""
    size = vm_sizes.find(name)
    if size and size.online_endpoints and not size.retired:
        return size
    reason = f"it was retired on {size.retired} ({size.retirement})" if size and size.retired else "it is not supported"
    raise invalid_deployment(
        "VmSize",
        f"Managed online endpoints cannot use the instance type '{name[:64]}': {reason}. {SIZES} lists those they can.",
    )


def _require_quota(context: Context, deployment_id: str, size: Size, capacity: int) -> None:
    """Raise Azure's 400 (OutOfQuota) where there is no room for a deployment's instances."""
    shortage = quotas.shortage(context, _use(deployment_id, size, capacity))
    if shortage:
        raise invalid_deployment(
            "VmSize",
            f"Not enough quota available for {size.name} in SubscriptionId {deployment_id.split('/')[2]}. Current "
            f"usage/limit: {shortage.used}/{shortage.limit}. Additional needed: {shortage.needed} Please see "
            f"troubleshooting guide, available here: {TROUBLESHOOTING}outofquota",
        )


@quotas.consumer
def _uses(context: Context) -> Iterator[quotas.Use]:
    """Tell what the deployments take of the quotas, also those that failed: only deletion gives it back.

    https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#cpu-quota
    """
    for deployment in context.store.all_of(TYPE):
        size = vm_sizes.find(deployment.properties["instanceType"] or "")
        if size and deployment.properties["endpointComputeType"] == "Managed":
            yield _use(deployment.id, size, deployment.body["sku"]["capacity"])


def _use(deployment_id: str, size: Size, capacity: int) -> quotas.Use:
    """Return what a deployment takes: a fifth more instances than it has, for upgrades, with most sizes.

    https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#virtual-machine-quota-allocation-for-deployment
    """
    instances = -(-6 * capacity // 5) if size.upgrade_reserve else capacity
    return quotas.Use(deployment_id, _workspace_id(deployment_id), size, instances * size.vcpus)


def _properties(request: ArmRequest) -> dict[str, Any]:
    """Return the deployment's properties with Azure's defaults. Raises 400 where one is wrong."""
    sent = request.properties
    compute_type = sent["endpointComputeType"]
    _require_code_and_environment(request, sent)
    given = {name: value for name, value in (sent.get("requestSettings") or {}).items() if value is not None}
    settings = REQUEST_SETTINGS[compute_type] | given
    _require_request_settings(settings, LONGEST_REQUEST[compute_type])
    return {
        "description": None,
        "modelMountPath": None,
        "model": None,
        **sent,
        "properties": sent.get("properties") or {},
        "environmentVariables": _environment_variables(sent),
        "scaleSettings": _scale_settings(request),
        "requestSettings": settings,
        "appInsightsEnabled": bool(sent.get("appInsightsEnabled")),
        "livenessProbe": _probe(sent, "livenessProbe"),
        "readinessProbe": _probe(sent, "readinessProbe"),
        "provisioningState": "Updating",
        "egressPublicNetworkAccess": sent.get("egressPublicNetworkAccess") or "Enabled",
        "dataCollector": data_collection.read(request.context, sent.get("dataCollector")),
        **(kubernetes_deployments.members(sent) if compute_type == "Kubernetes" else {}),
    }


def _require_code_and_environment(request: ArmRequest, sent: Mapping[str, Any]) -> None:
    """Raise 400 where what the deployment names does not exist, or where an MLflow model alone could lack it."""
    context, code = request.context, sent.get("codeConfiguration")
    for named in (sent.get("model"), sent.get("environmentId"), (code or {}).get("codeId")):
        assets.require_readable(request, named)
    if sent.get("model"):
        _require_asset(lambda: assets.resolve(context, sent["model"], "models"))
    if not code and _is_mlflow(context, sent):
        if sent.get("environmentId"):
            _require_asset(lambda: assets.environment(context, sent["environmentId"]))
        return
    if not code and _is_container(context, sent):
        raise AzureError(501, "NotImplemented", "azureml-local lacks deployments of containers: it runs none.")
    if not code or not code.get("codeId") or not code.get("scoringScript"):
        raise missing_driver_program()
    _require_asset(lambda: codes.resolve(context, code["codeId"]))
    _require_asset(lambda: assets.environment(context, sent.get("environmentId") or ""))


def _is_mlflow(context: Context, properties: Mapping[str, Any]) -> bool:
    """Say whether a deployment serves an MLflow model, which needs neither script nor environment."""
    if not properties.get("model"):
        return False
    model = assets.resolve(context, properties["model"], "models")
    return bool(model.properties["modelType"].lower() == no_code_deployments.MODEL_TYPE)


def _is_container(context: Context, properties: Mapping[str, Any]) -> bool:
    """Say whether a deployment's environment is an image that serves by itself."""
    environment_id: str | None = properties.get("environmentId")
    if environment_id is None:
        return False
    _require_asset(lambda: assets.environment(context, environment_id))
    return bool(assets.environment(context, environment_id).get("inferenceConfig"))


def _require_asset(resolve: Callable[[], Any]) -> None:
    """Turn the 404 of something that the request names into a 400: the request's own resource is another."""
    try:
        resolve()
    except FrontendError as error:
        message = error.detail[1] if error.detail else error.message
        raise invalid_inference_request(message) from error


def _require_request_settings(settings: Mapping[str, Any], longest: int) -> None:
    _duration(settings["maxQueueWait"], "requestSettings.maxQueueWait")
    timeout = _duration(settings["requestTimeout"], "requestSettings.requestTimeout")
    if not 0 < timeout <= longest:
        raise invalid_inference_request(
            f"requestSettings.requestTimeout is {settings['requestTimeout']}; it must be at most {longest} s."
        )
    concurrent = settings["maxConcurrentRequestsPerInstance"]
    if concurrent < 1:
        raise invalid_inference_request(
            f"requestSettings.maxConcurrentRequestsPerInstance is {concurrent}; it must be 1 or more."
        )


def _scale_settings(request: ArmRequest) -> dict[str, Any]:
    sent = request.properties
    if sent["endpointComputeType"] == "Kubernetes":
        return kubernetes_deployments.scale_settings(sent.get("scaleSettings"), _given(request, "sku").get("capacity"))
    settings = sent.get("scaleSettings") or {"scaleType": "Default"}
    if settings.get("scaleType") != "Default":
        raise invalid_inference_request(
            f"scaleSettings.scaleType is '{settings.get('scaleType')}'; managed online endpoints take Default only."
        )
    return dict(settings)


def _environment_variables(sent: Mapping[str, Any]) -> dict[str, str]:
    try:
        return process_texts.environment_variables(sent)
    except process_texts.TextError as error:
        raise invalid_inference_request(str(error)) from error


def _probe(sent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a probe's settings, within Azure's limits.

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online#probesettings
    """
    probe = PROBE | {key: value for key, value in (sent.get(name) or {}).items() if value is not None}
    for key in ("timeout", "period", "initialDelay"):
        if _duration(probe[key], f"{name}.{key}") < 1:
            raise invalid_inference_request(f"{name}.{key} is {probe[key]}; it must be 1 second or more.")
    for key in ("failureThreshold", "successThreshold"):
        if probe[key] < 1:
            raise invalid_inference_request(f"{name}.{key} is {probe[key]}; it must be 1 or more.")
    if name == "livenessProbe" and probe["successThreshold"] != 1:
        raise invalid_inference_request(f"{name}.successThreshold is {probe['successThreshold']}; it can only be 1.")
    return probe


def _duration(text: Any, what: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise invalid_inference_request(f"{what}: {error}.") from error


async def _with_environment(context: Context, deployment: Resource) -> Resource:
    """Return the deployment with the environment that Azure ML makes for an MLflow model that comes without one."""
    if deployment.properties.get("environmentId"):
        return deployment
    workspace_id = _workspace_id(deployment.id)
    model = assets.resolve(context, deployment.properties["model"], "models")
    files = locate(context, workspace_id, model.properties["modelUri"])
    environment = await no_code_deployments.make_environment(context, workspace_id, files, deployment.modified_by)
    deployment = deployment.with_properties(environmentId=environment.id)
    context.store.save(deployment)
    return deployment


def _spec(context: Context, deployment: Resource) -> ServingSpec:
    """Return what the deployment is to run, every id in it resolved."""
    properties = deployment.properties
    request = properties["requestSettings"]
    return ServingSpec(
        environment=assets.environment(context, properties["environmentId"]),
        model=_model_source(context, deployment),
        code=_code_source(context, deployment),
        environment_variables=properties["environmentVariables"],
        instance_count=deployment.body["sku"]["capacity"],
        max_concurrent=request["maxConcurrentRequestsPerInstance"],
        request_timeout=seconds(request["requestTimeout"]),
        liveness=_probe_of(properties["livenessProbe"]),
        readiness=_probe_of(properties["readinessProbe"]),
        **_resources(context, deployment),
        data_collection=data_collection.settings(context, deployment, _workspace_id(deployment.id)),
    )


def _resources(context: Context, deployment: Resource) -> dict[str, Any]:
    """Return what an instance may take, and, on Kubernetes, how requests wait and how many instances there are."""
    properties = deployment.properties
    if properties["endpointComputeType"] != "Kubernetes":
        size = vm_sizes.find(properties["instanceType"])
        return {"memory": size.memory if size else None}  # an earlier version took any name
    return kubernetes_deployments.serving(context, context.store.get(_endpoint_id(deployment)), properties)


def _probe_of(settings: Mapping[str, Any]) -> Probe:
    return Probe(
        initial_delay=seconds(settings["initialDelay"]),
        period=seconds(settings["period"]),
        timeout=seconds(settings["timeout"]),
        success_threshold=settings["successThreshold"],
        failure_threshold=settings["failureThreshold"],
    )


def _code_source(context: Context, deployment: Resource) -> CodeSource | None:
    configuration = deployment.properties.get("codeConfiguration")
    if not configuration:
        return None
    code = codes.resolve(context, configuration["codeId"])
    files = locate(context, _workspace_id(deployment.id), code.properties["codeUri"])
    return CodeSource(files, configuration["scoringScript"])


def _model_source(context: Context, deployment: Resource) -> ModelSource | None:
    model_id = deployment.properties.get("model")
    if not model_id:
        return None
    model = assets.resolve(context, model_id, "models")
    parts = ids.parse_asset(model.id)
    assert parts is not None  # noqa: S101 - it was stored under such an id
    files = locate(context, _workspace_id(deployment.id), model.properties["modelUri"])
    return ModelSource(parts["name"], parts["version"], files)


def _workspace_id(deployment_id: str) -> str:
    return deployment_id.partition("/onlineEndpoints/")[0]
