"""Computes of a workspace, whatever their kind: those that Azure ML makes, and those that are attached to it.

How the service answers is from recordings of it in azure-sdk-for-python (sdk/ml/azure-ai-ml/tests/recordings/compute)
and from the examples of its OpenAPI (specification/machinelearningservices, Compute).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.access import managed_identities
from azureml_local.arm.context import Context
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.request import ARM_HOST, ArmRequest, ArmRoutes
from azureml_local.engines.compute.pool import Pool
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, timestamp

COMPUTES = ids.WORKSPACE + "/computes"
COMPUTE = COMPUTES + "/{compute}"
TYPE = "workspaces/computes"
# Kinds of computes that Azure attaches or makes, and azureml-local does not.
LACKING = frozenset(
    (
        "AKS",
        "DataFactory",
        "DataLakeAnalytics",
        "HDInsight",
    )
)
# What names of attached clusters and machines look like (a Kind's ``name_rule``).
SHORT_NAME_RULE = (
    re.compile(r"[a-zA-Z](?=.{1,15}\Z)[-a-zA-Z0-9]*[a-zA-Z0-9]"),
    "Compute name '{name}' is invalid. It can include letters, digits and dashes. It must start with a letter, end "
    "with a letter or digit, and be between 2 and 16 characters in length.",
)

routes = ArmRoutes()


class MissingComputeError(AzureError):
    """There is no such compute. Azure's answer is empty."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "There is no such compute.")

    def response(self) -> Response:
        """Return the answer."""
        return Response(status_code=404)


class ProvisioningError(AzureError):
    """A compute could not be made: what the operation's state and the compute's ``provisioningErrors`` show."""

    def __init__(self, code: str, message: str, details: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(400, code, message)
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the error as JSON."""
        details = [{"code": code, "message": message} for code, message in self.details]
        return {**super().body(), **({"details": details} if details else {})}


@dataclass(frozen=True)
class Kind:
    """What one kind of compute does by itself.

    Args:
        name_rule: what its names look like, and the sentence that refuses others; ``{name}`` stands for the name.
        settings: checks a request and returns the inner ``properties`` to store, given the stored compute or None.
        provision: makes a compute what its stored properties say, or raises ProvisioningError; awaited where it takes
            time.
        shown: returns the inner ``properties`` as they stand now.
        open_pool: returns the pool of a compute's nodes, made where there is none; None for a kind without nodes.
        remove: called before the nodes of a compute that is deleted end.
        secrets: returns what a request says that is kept beside the stored compute, never in it; None for nothing.
        keys: returns what ``listKeys`` answers, Azure's ``ComputeSecrets`` without the ``computeType``; None for a kind
            that has none.
        is_attached: it is somebody's own, named by a ``resourceId``: it can be detached, and not deleted.
        stand_in: the description of a compute that was given none: what stands in for it here.
    """

    name_rule: tuple[re.Pattern[str], str]
    settings: Callable[[ArmRequest, Resource | None], dict[str, Any]]
    provision: Callable[[Context, Resource], Awaitable[None] | None]
    shown: Callable[[Context, Resource], dict[str, Any]]
    open_pool: Callable[[Context, Resource], Pool] | None = None
    remove: Callable[[Context, Resource], None] = lambda _context, _compute: None
    secrets: Callable[[ArmRequest], dict[str, Any] | None] = lambda _request: None
    keys: Callable[[Context, Resource], dict[str, Any]] | None = None
    is_attached: bool = False
    stand_in: str | None = None


KINDS: dict[str, Kind] = {}


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(begun: Resource) -> None:
        compute = context.store.get(begun.id) or begun
        errors = None
        try:
            provisioned = KINDS[compute.properties["computeType"]].provision(context, compute)
            if provisioned is not None:
                await provisioned
        except ProvisioningError as error:
            errors = [{"error": error.body()}]
            raise
        finally:
            changed = context.store.get(begun.id) or compute
            context.store.save(changed.with_properties(provisioningErrors=errors, modifiedOn=timestamp()))

    async def delete(compute: Resource) -> None:
        KINDS[compute.properties["computeType"]].remove(context, compute)
        await context.pools.remove(compute.id)
        await context.pools.end(context.pools.take_below(compute.id))  # of instance types
        context.store.delete(compute.id)
        context.timers.cancel(f"{compute.key}/")  # as the last: the end of a node may have set one

    context.operations.register("computes/put", put)
    context.operations.register("computes/delete", delete)


def open_pool(context: Context, compute: Resource) -> Pool | None:
    """Return the pool of a stored compute's nodes, made where there is none; None for a kind without nodes."""
    opened = KINDS[compute.properties["computeType"]].open_pool
    return opened(context, compute) if opened else None


def open_all(context: Context) -> None:
    """Bring the nodes back of all computes that were made before the service was started."""
    for compute in context.store.all_of(TYPE):
        if compute.properties["provisioningState"] == "Succeeded":
            open_pool(context, compute)


@routes.route("GET", COMPUTES)
async def list_computes(request: ArmRequest) -> Response:
    """List a workspace's computes."""
    return listing.page(request, TYPE, request.workspace_id, shown=lambda compute: in_full(request.context, compute))


@routes.route("GET", COMPUTE)
async def get(request: ArmRequest) -> Response:
    """Return a compute; an empty 404 where there is none."""
    return JSONResponse(in_full(request.context, require(request)).to_json())


@routes.route("PUT", COMPUTE)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create a compute, or to change it; what does not show in the request itself fails in the operation."""
    request.read("ComputeResource")
    if not request.body.get("properties"):
        raise bad_request("properties is missing; it says what the compute is.", "properties")
    compute_type = request.properties["computeType"]
    if compute_type in LACKING:
        raise AzureError(501, "NotImplemented", f"azureml-local lacks computes of the type {compute_type}.")
    compute_id = COMPUTE.format(**request.params)
    request.context.operations.require_idle(compute_id)
    known = request.context.store.get(compute_id)
    kind = KINDS[compute_type]
    _require_name(request, kind)
    if known and known.properties["computeType"] != compute_type:
        raise bad_request(
            f"The compute '{known.name}' is of the type {known.properties['computeType']}; it cannot be changed to "
            f"{compute_type}. Delete it first, or use another name.",
            "properties.computeType",
        )
    body = {"location": request.workspace().body["location"], "tags": request.body.get("tags")}
    body["properties"] = {
        "computeType": compute_type,
        "description": request.properties.get("description"),
        "disableLocalAuth": bool(request.properties.get("disableLocalAuth")),
        "provisioningState": "Creating",
        "provisioningErrors": None,
        "modifiedOn": timestamp(),
        "properties": kind.settings(request, known),
    }
    if kind.is_attached:
        body["properties"]["resourceId"] = _resource_id(request, known)
    if known and "preemption" in known.body:
        body["preemption"] = known.body["preemption"]
    with request.context.store.transaction():
        if request.body.get("identity"):
            body["identity"] = managed_identities.of_resource(request, compute_id, request.body["identity"], known)
        compute = request.put(compute_id, TYPE, request.workspace_id, body)
        secrets = kind.secrets(request)
        if secrets is not None:
            request.context.store.put_secret(compute_id, secrets)
        return begun(request, 201, "computes/put", compute)


@routes.route("DELETE", COMPUTE)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete a compute with its nodes, and what runs on them; 204 where there is none."""
    action = listing.choice(request, "underlyingResourceAction", {"Delete": "Delete", "Detach": "Detach"}, "Delete")
    compute = request.context.store.get(COMPUTE.format(**request.params))
    if compute is None:
        return Response(status_code=204)
    _require_possible(compute, action)
    request.context.operations.require_idle(compute.id)
    with request.context.store.transaction():
        deleting = compute.with_properties(provisioningState="Deleting")
        request.context.store.save(deleting)
        return begun(request, 202, "computes/delete", deleting)


@routes.route("POST", COMPUTE + "/listKeys")
async def list_keys(request: ArmRequest) -> Response:
    """Return the secrets by which an attached compute is reached; 400 for a kind that has none."""
    compute = require(request)
    compute_type = compute.properties["computeType"]
    keys = KINDS[compute_type].keys
    if keys is None:
        raise _unsupported(request, compute_type)
    return JSONResponse({"computeType": compute_type, **keys(request.context, compute)})


def begun(request: ArmRequest, status: int, kind: str, compute: Resource) -> Response:
    """Begin an operation on a compute and answer that it has begun: with the compute, or (202) with nothing."""
    operation_id = str(uuid.uuid4())
    request.context.operations.begin(kind, compute, operation_id)
    location = ids.LOCATION.format(
        subscription=request.params["subscription"], location=request.workspace().body["location"]
    )
    url = f"{ARM_HOST}{location}/computeOperationsStatus/{operation_id}?api-version={request.query['api-version']}"
    headers = {"Azure-AsyncOperation": f"{url}&service=new", "x-ms-retry-after-ms": str(POLL_AFTER_MS)}
    if status == 202:
        return Response(status_code=status, headers=headers)
    return JSONResponse(in_full(request.context, compute).to_json(), status, headers=headers)


def require(request: ArmRequest, compute_type: str | None = None) -> Resource:
    """Return the compute in the path, or raise Azure's empty 404; 400 where it is none of ``compute_type``."""
    compute = request.context.store.get(COMPUTE.format(**request.params))
    if compute is None:
        raise MissingComputeError
    actual = compute.properties["computeType"]
    if compute_type not in (None, actual):
        raise _unsupported(request, actual)
    return compute


def _unsupported(request: ArmRequest, compute_type: str) -> AzureError:
    operation = request.template.rpartition("/")[2]
    return bad_request(
        f"Compute{operation[0].upper()}{operation[1:]} with computeType {compute_type} is not supported."
    )


def bad_request(message: str, target: str | None = None) -> AzureError:
    """Return the answer to a request for a compute that cannot be right."""
    return AzureError(400, "BadRequest", message, target=target)


def in_full(context: Context, compute: Resource) -> Resource:
    """Return a compute as Azure shows it, with how its nodes stand now."""
    properties = compute.properties
    kind = KINDS[properties["computeType"]]
    is_made = properties["provisioningState"] != "Creating"
    body: dict[str, Any] = {
        name: compute.body[name] for name in ("location", "tags", "identity") if name in compute.body
    }
    if is_made:
        body["tags"] = body["tags"] or {}
    body["properties"] = {
        "createdOn": with_offset(compute.created_at),
        "modifiedOn": with_offset(properties["modifiedOn"]),
        "disableLocalAuth": properties["disableLocalAuth"],
        "description": properties["description"] or kind.stand_in,
        "resourceId": properties.get("resourceId"),
        "computeType": properties["computeType"],
        **({"computeLocation": compute.body["location"]} if is_made else {}),
        "provisioningState": properties["provisioningState"],
        "provisioningErrors": properties["provisioningErrors"],
        "isAttachedCompute": kind.is_attached,
        "properties": kind.shown(context, compute),
    }
    return replace(compute, body=body)


def with_offset(time: str) -> str:
    """Return a time stamp as computes have it: with +00:00 for Z."""
    return time.replace("Z", "+00:00")


def _require_name(request: ArmRequest, kind: Kind) -> None:
    pattern, refusal = kind.name_rule
    name = request.params["compute"]
    if not pattern.fullmatch(name):
        raise bad_request(refusal.format(name=name), "name")


def _resource_id(request: ArmRequest, known: Resource | None) -> str:
    """Return the id of the resource that is attached; it stays the same for as long as the compute is there."""
    resource_id = request.properties.get("resourceId") or (known and known.properties["resourceId"])
    if not isinstance(resource_id, str) or not resource_id.startswith("/subscriptions/"):
        raise bad_request(
            f"properties.resourceId is {resource_id!r}; it must be the id of the resource that is attached, "
            "/subscriptions/<subscription>/resourceGroups/<group>/providers/<type>/<name>.",
            "properties.resourceId",
        )
    if known and known.properties["resourceId"].lower() != resource_id.lower():
        raise bad_request(
            f"properties.resourceId cannot be changed: it is {known.properties['resourceId']}, not {resource_id}. "
            "Detach the compute, then attach the other resource.",
            "properties.resourceId",
        )
    return resource_id


def _require_possible(compute: Resource, action: str) -> None:
    """Raise 400 where an attached compute is to be deleted: what is somebody's own can only be detached."""
    if action == "Delete" and KINDS[compute.properties["computeType"]].is_attached:
        raise bad_request(
            f"The compute '{compute.name}' is attached; Azure ML has not made it and cannot delete it. "
            "Detach it: underlyingResourceAction=Detach.",
            "underlyingResourceAction",
        )


def unchanged(known: Resource | None, settings: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise 400 where a setting that is for ever differs from that of the stored compute."""
    stored = known.properties["properties"] if known and known.properties["provisioningErrors"] is None else settings
    for name in names:
        if stored[name] != settings[name]:
            raise bad_request(
                f"properties.properties.{name} of a compute cannot be changed: it is {stored[name]}, not "
                f"{settings[name]}. Delete the compute, then create it anew.",
                f"properties.properties.{name}",
            )
