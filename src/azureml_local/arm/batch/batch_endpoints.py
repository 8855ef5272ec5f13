"""Batch endpoints: a stable address at which jobs are made of invocations, and which deployment makes them by default.

The shapes are those of the recordings in azure-sdk-for-python (sdk/ml/azure-ai-ml/tests/recordings/batch_services).
https://learn.microsoft.com/azure/machine-learning/concept-endpoints-batch
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, inference_hosts, listing
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_endpoint_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import (
    AzureError,
    endpoint_not_found,
    invalid_batch_request,
    invalid_inference_request,
)
from azureml_local.store import Condition, Resource

ENDPOINTS = ids.WORKSPACE + "/batchEndpoints"
ENDPOINT = ENDPOINTS + "/{endpoint}"
TYPE = inference_hosts.BATCH
DEPLOYMENT_TYPE = TYPE + "/deployments"
PREFIX = "be"
AUTH_MODE = "AADToken"
NO_IDENTITY = {
    "type": "None",
    "principalId": "00000000-0000-0000-0000-000000000000",
    "tenantId": "00000000-0000-0000-0000-000000000000",
}

routes = ArmRoutes()


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(begun: Resource) -> None:
        endpoint = context.store.get(begun.id) or begun  # a PATCH may have changed it since
        host = inference_hosts.host(endpoint.name, inference_hosts.location_of(context, endpoint.id))
        context.store.save(endpoint.with_properties(scoringUri=_scoring_uri(host)))

    async def delete(endpoint: Resource) -> None:
        context.store.delete(endpoint.id)

    context.operations.register("batchEndpoints/put", put)
    context.operations.register("batchEndpoints/delete", delete)


def at_host(context: Context, host: str) -> Resource | None:
    """Return the endpoint that answers at a host, None where no batch endpoint does."""
    answers = Condition("json_extract(body, '$.properties.scoringUri') = ?", (_scoring_uri(host),))
    return next(iter(context.store.select(TYPE, conditions=[answers])), None)


def require(request: ArmRequest) -> Resource:
    """Return the endpoint in the path, or raise Azure's 404."""
    endpoint = request.context.store.get(ENDPOINT.format(**request.params))
    if endpoint is None:
        raise endpoint_not_found()
    return endpoint


@routes.route("GET", ENDPOINTS)
async def list_endpoints(request: ArmRequest) -> Response:
    """List a workspace's batch endpoints."""
    return listing.page(request, TYPE, request.workspace_id, size=listing.count(request))


@routes.route("GET", ENDPOINT)
async def get(request: ArmRequest) -> Response:
    """Return an endpoint."""
    return JSONResponse(require(request).to_json())


@routes.route("PUT", ENDPOINT)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create an endpoint, or to change it."""
    request.read("BatchEndpoint")
    context, name = request.context, request.params["endpoint"]
    require_endpoint_name(name, "Endpoint")
    endpoint_id = ENDPOINT.format(**request.params)
    context.operations.require_idle(endpoint_id)
    known = context.store.get(endpoint_id)
    if known is None:
        inference_hosts.require_free(context, name, request.workspace().body["location"])
    _require_tags(request)
    body = {
        "tags": request.body.get("tags") or {},
        "location": request.body["location"],
        "identity": _identity(request),
        "properties": _properties(request, known),
    }
    with context.store.transaction():
        endpoint = request.put(endpoint_id, TYPE, request.workspace_id, body)
        return request.begun(201, "batchEndpoints/put", endpoint, PREFIX)


@routes.route("PATCH", ENDPOINT)
async def update(request: ArmRequest) -> Response:
    """Change an endpoint's tags."""
    request.read("PartialMinimalTrackedResourceWithIdentity")
    endpoint = require(request)
    _require_tags(request)
    _identity(request)
    body = dict(endpoint.body)
    if request.body.get("tags") is not None:
        body["tags"] = request.body["tags"]
    return JSONResponse(request.put(endpoint.id, TYPE, request.workspace_id, body).to_json())


@routes.route("DELETE", ENDPOINT)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete an endpoint with its deployments; its jobs go on. 204 where there is none."""
    endpoint = request.context.store.get(ENDPOINT.format(**request.params))
    if endpoint is None:
        return Response(status_code=204)
    request.context.operations.require_idle(endpoint.id)
    for deployment in request.context.store.children(DEPLOYMENT_TYPE, endpoint.id):
        request.context.operations.require_idle(deployment.id)
    deleting = endpoint.with_properties(provisioningState="Deleting")
    return request.begun(202, "batchEndpoints/delete", deleting, PREFIX, lambda _: None, at_results=True)


@routes.route("POST", ENDPOINT + "/listKeys")
async def list_keys(request: ArmRequest) -> Response:
    """Refuse to give out keys: a batch endpoint has none."""
    endpoint = require(request)
    raise invalid_inference_request(
        f"Endpoint '{endpoint.name}' has authMode {AUTH_MODE}: it has no keys. What opens it is a token of Microsoft "
        "Entra for https://ml.azure.com."
    )


def _scoring_uri(host: str) -> str:
    return f"https://{host}/jobs"


def _properties(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    sent = request.properties
    _require_auth_mode(sent)
    former = known.properties if known else {"properties": {}}
    version = former["properties"].get("BatchEndpointCreationApiVersion", request.query["api-version"])
    return {
        "description": sent.get("description"),
        "properties": {
            **(sent.get("properties") or {}),
            "BatchEndpointCreationApiVersion": version,
            "azureml.onlineendpointid": ENDPOINT.format(**request.params),
        },
        "scoringUri": former.get("scoringUri"),
        "swaggerUri": None,
        "authMode": AUTH_MODE,
        "defaults": {"deploymentName": _default_deployment(request)},
        "provisioningState": "Updating" if known else "Creating",
    }


def _require_auth_mode(sent: dict[str, Any]) -> None:
    """Raise 400 for key authentication: "Currently only Microsoft Entra token-based authentication is supported".

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-endpoint-batch
    """
    if sent["authMode"] != AUTH_MODE:
        message = f"Batch endpoints support the authentication mode {AUTH_MODE} only, that of Microsoft Entra's tokens."
        raise invalid_batch_request("Endpoint", "AuthMode", message, sent["authMode"])
    if any((sent.get("keys") or {}).values()):
        message = "A batch endpoint has no keys: callers present a token of Microsoft Entra's."
        raise invalid_batch_request("Endpoint", "Keys", message, None)


def _default_deployment(request: ArmRequest) -> str | None:
    """Return the name of the deployment that is to be the default one. Raises 400 where there is no such deployment."""
    name: str | None = (request.properties.get("defaults") or {}).get("deploymentName") or None
    if name is None:
        return None
    deployments = {
        one.name.lower(): one.name
        for one in request.context.store.children(DEPLOYMENT_TYPE, ENDPOINT.format(**request.params))
        if one.properties["provisioningState"] != "Deleting"
    }
    if name.lower() not in deployments:
        known = ", ".join(sorted(deployments.values())) or "none"
        message = f"There is no deployment '{name}'. Deployments of this endpoint: {known}."
        raise invalid_batch_request("Endpoint", "Defaults.DeploymentName", message, name)
    return deployments[name.lower()]


def _identity(request: ArmRequest) -> dict[str, str]:
    """Return an endpoint's identity: it has none. Raises 400 for the kind that Azure refuses, 501 for the other.

    The refusal: https://github.com/Azure/azure-rest-api-specs/issues/40149
    """
    kind = (request.body.get("identity") or {}).get("type") or "None"
    if "UserAssigned" in kind:
        raise AzureError(
            400,
            "CannotSetResourceIdentity",
            f"Resource type '{ids.PROVIDER}/{TYPE}' does not support creation of '{kind}' resource identity. The "
            "supported types are 'SystemAssigned'.",
        )
    if kind != "None":
        raise AzureError(501, "NotImplemented", "azureml-local lacks identities of batch endpoints.", target="identity")
    return NO_IDENTITY


def _require_tags(request: ArmRequest) -> None:
    """Raise Azure's 400 where a tag has no value: https://github.com/Azure/azure-sdk-for-python/issues/41586."""
    for at, value in enumerate((request.body.get("tags") or {}).values()):
        if not value:
            message = "Tag values must not be null or empty."
            raise invalid_batch_request("Endpoint", f"Tags.Values[{at}]", message, value)
