"""Online endpoints: a stable address, who may call it, and how its traffic is divided among deployments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, inference_hosts, listing
from azureml_local.arm.access import managed_identities
from azureml_local.arm.compute import kubernetes_clusters
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_endpoint_name
from azureml_local.arm.online import endpoint_roles
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import endpoint_not_found, invalid_inference_request
from azureml_local.identity import endpoint_keys
from azureml_local.store import Condition, Order, Resource

ENDPOINTS = ids.WORKSPACE + "/onlineEndpoints"
ENDPOINT = ENDPOINTS + "/{endpoint}"
TYPE = inference_hosts.ONLINE
DEPLOYMENT_TYPE = TYPE + "/deployments"
PREFIX = "oe"
# What an endpoint's ``kind`` is, by the compute type of its deployments. azure-ai-ml: "we have two kinds: K8s and
# Managed online endpoints" (entities/_endpoint/online_endpoint.py).
KINDS = {"Managed": "Managed", "Kubernetes": "K8S", "AzureMLCompute": "AzureMLCompute"}
ORDERS = {
    "CreatedAtDesc": listing.NEWEST_FIRST,
    "CreatedAtAsc": listing.OLDEST_FIRST,
    "UpdatedAtDesc": Order("modified_at", descending=True),
    "UpdatedAtAsc": Order("modified_at"),
}
LARGEST_MIRROR = 50  # percent

routes = ArmRoutes()


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(begun: Resource) -> None:
        endpoint = context.store.get(begun.id) or begun  # a PATCH may have changed it since
        address = inference_hosts.host(endpoint.name, inference_hosts.location_of(context, endpoint.id))
        context.store.save(
            endpoint.with_properties(
                scoringUri=f"https://{address}/score", swaggerUri=f"https://{address}/swagger.json"
            )
        )
        context.router.refresh(endpoint.id)

    async def delete(endpoint: Resource) -> None:
        deployments = context.store.children(DEPLOYMENT_TYPE, endpoint.id)
        for deployment in deployments:
            await context.serving.remove(deployment.id)
        with context.store.transaction():
            endpoint_roles.take(context, endpoint)
            context.store.delete(endpoint.id)
        context.router.refresh(endpoint.id)
        context.pools.retry()

    context.operations.register("onlineEndpoints/put", put)
    context.operations.register("onlineEndpoints/delete", delete)


def require(request: ArmRequest) -> Resource:
    """Return the endpoint in the path, or raise Azure's 404."""
    endpoint = request.context.store.get(ENDPOINT.format(**request.params))
    if endpoint is None:
        raise endpoint_not_found()
    return endpoint


def require_usable_key(key: str, where: str) -> None:
    """Raise 400 where a key that is to be set, in the member ``where``, could not be sent by any caller."""
    if not endpoint_keys.is_usable(key):
        raise invalid_inference_request(
            f"{where} cannot stand in an Authorization header: a key has letters, digits and signs of ASCII, no spaces."
        )


@routes.route("GET", ENDPOINTS)
async def list_endpoints(request: ArmRequest) -> Response:
    """List a workspace's online endpoints: of a name, a compute type, with tags or properties."""
    name = request.query.get("name")
    compute = listing.choice(request, "computeType", KINDS, None)
    conditions = [
        *([listing.with_ids([f"{request.workspace_id}/onlineEndpoints/{name}"])] if name else []),
        *([Condition("json_extract(body, '$.kind') = ?", (compute,))] if compute else []),
        *listing.with_pairs(request, "tags", "$.tags"),
        *listing.with_pairs(request, "properties", "$.properties.properties"),
    ]
    order = listing.choice(request, "orderBy", ORDERS, listing.OLDEST_FIRST)
    return listing.page(request, TYPE, request.workspace_id, conditions, order, size=listing.count(request))


@routes.route("GET", ENDPOINT)
async def get(request: ArmRequest) -> Response:
    """Return an endpoint."""
    return JSONResponse(require(request).to_json())


@routes.route("PUT", ENDPOINT)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create an endpoint or to change it; the answer to a change shows the traffic as it was."""
    request.read("OnlineEndpoint")
    context = request.context
    name = request.params["endpoint"]
    require_endpoint_name(name, "Endpoint")
    endpoint_id = ENDPOINT.format(**request.params)
    context.operations.require_idle(endpoint_id)
    known = context.store.get(endpoint_id)
    if known is None:
        inference_hosts.require_free(context, name, request.workspace().body["location"])
    properties = _properties(request, known)
    keys = _keys(request)
    body = {
        "tags": request.body.get("tags") or {},
        "location": request.body["location"],
        "kind": KINDS[compute_type(properties)],
        "properties": properties,
    }
    if request.body.get("sku"):
        body["sku"] = request.body["sku"]
    former_traffic = known.properties["traffic"] if known else properties["traffic"]

    def answer(begun: Resource) -> dict[str, Any]:
        return begun.with_properties(traffic=former_traffic).to_json()

    with context.store.transaction():
        body["identity"] = _identity(request, endpoint_id, known)
        endpoint = request.put(endpoint_id, TYPE, request.workspace_id, body)
        if known is None:
            endpoint_roles.assign(context, endpoint, by=request.principal.object_id)
            context.store.put_secret(endpoint_id, keys)
        return request.begun(201, "onlineEndpoints/put", endpoint, PREFIX, answer)


@routes.route("PATCH", ENDPOINT)
async def update(request: ArmRequest) -> Response:
    """Change an endpoint's tags or identity."""
    request.read("PartialMinimalTrackedResourceWithIdentity")
    endpoint = require(request)
    body = dict(endpoint.body)
    if request.body.get("tags") is not None:
        body["tags"] = request.body["tags"]
    with request.context.store.transaction():
        if request.body.get("identity"):
            body["identity"] = _identity(request, endpoint.id, endpoint)
        return JSONResponse(request.put(endpoint.id, TYPE, request.workspace_id, body).to_json())


@routes.route("DELETE", ENDPOINT)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete an endpoint with its deployments; 204 where there is none."""
    endpoint = request.context.store.get(ENDPOINT.format(**request.params))
    if endpoint is None:
        return Response(status_code=204)
    request.context.operations.require_idle(endpoint.id)
    for deployment in request.context.store.children(DEPLOYMENT_TYPE, endpoint.id):
        request.context.operations.require_idle(deployment.id)
        kubernetes_clusters.require_reachable(request.context, deployment.id)
    deleting = endpoint.with_properties(provisioningState="Deleting")
    return request.begun(202, "onlineEndpoints/delete", deleting, PREFIX, lambda _: None, at_results=True)


def _properties(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    sent = request.properties
    compute = _compute(request, known)
    if compute:
        _require_possible_on_kubernetes(sent)
    traffic, mirror = sent.get("traffic") or {}, sent.get("mirrorTraffic") or {}
    deployments = _deployment_names(request)
    _require_traffic(traffic, deployments)
    _require_mirror(mirror, deployments, traffic)
    former = known.properties if known else {}
    return {
        "description": None,
        **{name: value for name, value in sent.items() if name != "keys"},
        "properties": {
            **(sent.get("properties") or {}),
            "azureml.onlineendpointid": ENDPOINT.format(**request.params).lower(),
        },
        "scoringUri": former.get("scoringUri"),
        "swaggerUri": former.get("swaggerUri"),
        "provisioningState": "Updating" if known else "Creating",
        "compute": compute,
        "traffic": traffic,
        "mirrorTraffic": mirror,
        "publicNetworkAccess": sent.get("publicNetworkAccess") or "Enabled",
    }


def compute_type(properties: Mapping[str, Any]) -> str:
    """Return the ``endpointComputeType`` of the deployments of an endpoint with these properties."""
    return "Kubernetes" if properties.get("compute") else "Managed"  # an earlier version stored none


def _compute(request: ArmRequest, known: Resource | None) -> str | None:
    """Return the id of the attached cluster that an endpoint is on; None for a managed endpoint.

    Raises 400 where it cannot be used, or where the endpoint is on another.
    """
    former = known.properties.get("compute") if known else None
    asked: str | None = request.properties.get("compute") or former
    if known and (asked or "").lower() != (former or "").lower():
        raise invalid_inference_request(
            f"compute cannot be changed: endpoint '{known.name}' is on {former or 'managed compute'}. Create another "
            "endpoint."
        )
    return kubernetes_clusters.require_usable(request.context, asked).id if asked else None


def _require_possible_on_kubernetes(sent: Mapping[str, Any]) -> None:
    """Raise 400 for what only managed endpoints have.

    https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online-auth (the words about tokens),
    https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints (those about mirroring).
    """
    if sent["authMode"] == "AADToken":
        raise invalid_inference_request(
            "Kubernetes online endpoint doesn't support Microsoft Entra token for data plane operations. Set authMode "
            "to Key or AMLToken."
        )
    if any((sent.get("mirrorTraffic") or {}).values()):
        raise invalid_inference_request("Mirror traffic isn't currently supported for Kubernetes online endpoints.")
    if sent.get("publicNetworkAccess") == "Disabled":
        raise invalid_inference_request(
            "publicNetworkAccess belongs to managed online endpoints: the network of a Kubernetes cluster decides who "
            "reaches an endpoint on it."
        )


def _deployment_names(request: ArmRequest) -> set[str]:
    endpoint_id = ENDPOINT.format(**request.params)
    return {
        deployment.name
        for deployment in request.context.store.children(DEPLOYMENT_TYPE, endpoint_id)
        if deployment.properties["provisioningState"] != "Deleting"
    }


def _require_traffic(traffic: Mapping[str, int], deployments: set[str]) -> None:
    _require_shares(traffic, deployments, "traffic")
    total = sum(traffic.values())
    if total not in (0, 100):
        raise invalid_inference_request(f"The traffic of all deployments must add up to 0 or 100, not {total}.")


def _require_mirror(mirror: Mapping[str, int], deployments: set[str], traffic: Mapping[str, int]) -> None:
    """Raise 400 where mirrored traffic is not as Azure has it.

    https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints: one deployment, which has
    no live traffic, and at most 50 %.
    """
    _require_shares(mirror, deployments, "mirrorTraffic")
    if len(mirror) > 1 or sum(mirror.values()) > LARGEST_MIRROR:
        raise invalid_inference_request(
            f"mirrorTraffic takes one deployment and at most {LARGEST_MIRROR} percent, not {dict(mirror)}."
        )
    for name, share in mirror.items():
        if share and traffic.get(name):
            raise invalid_inference_request(
                f"Deployment '{name}' cannot have mirrorTraffic ({share} percent) beside traffic ({traffic[name]} "
                "percent): it gets one or the other."
            )


def _require_shares(shares: Mapping[str, int | None], deployments: set[str], what: str) -> None:
    for name, share in shares.items():
        if name not in deployments:
            known = ", ".join(sorted(deployments)) or "none"
            raise invalid_inference_request(
                f"{what} names the deployment '{name}', which does not exist. Deployments of this endpoint: {known}."
            )
        if share is None or not 0 <= share <= 100:
            raise invalid_inference_request(f"{what} of '{name}' is {share}; it must be a whole number from 0 to 100.")


def _identity(request: ArmRequest, endpoint_id: str, known: Resource | None) -> dict[str, Any]:
    """Return the endpoint's identity, by default a system-assigned one. Raises 400 where it is to become another.

    https://learn.microsoft.com/azure/machine-learning/how-to-access-resources-from-endpoints-managed-identities#limitations
    """
    former = known.body["identity"] if known else {"type": "SystemAssigned"}
    sent = {name: value for name, value in (request.body.get("identity") or {}).items() if value is not None}
    identity = managed_identities.of_resource(request, endpoint_id, {**former, **sent}, known)
    if known and identity != known.body["identity"]:
        raise invalid_inference_request(
            "The identity of an endpoint is immutable: it is set when the endpoint is created. This one's is "
            f"{known.body['identity']['type']}. Create another endpoint to use another identity."
        )
    return identity


def _keys(request: ArmRequest) -> dict[str, str]:
    """Return the keys of a new endpoint. Raises 400 where it is given one that no caller could send."""
    given = request.properties.get("keys") or {}
    for name, key in given.items():
        if key:
            require_usable_key(key, f"keys.{name}")
    return endpoint_keys.new_keys(given)
