"""What a handler of the control plane is given."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, request_models
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_tags
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.http.routing import Routes
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

ARM_HOST = "https://management.azure.com"


def request_invalid(misfit: MisfitError) -> AzureError:
    """Return the frontend's answer to a body that it cannot read."""
    return FrontendError(400, "RequestInvalid", str(misfit), target=misfit.path)


@dataclass(frozen=True)
class ArmRequest:
    """A request that was authenticated, matched to a route, and is allowed.

    ``template`` is the route's, ``params`` are its parameters, ``query`` the query's by their names in lower case,
    ``body`` the parsed JSON (an empty object where there is none).
    """

    context: Context
    path: str
    template: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    principal: Principal
    host: str = ARM_HOST  # where it was sent, and what links in answers begin with

    def permits(self, action: str, scope: str) -> bool:
        """Say whether the caller may do ``action`` over the resource whose id is ``scope``."""
        return self.context.authorizer.permits(self.principal, action, scope)

    @property
    def root_id(self) -> str:
        """The id of the workspace or the registry in the path."""
        is_registry = "asset_registry" in self.params
        return ids.ML_REGISTRY.format(**self.params) if is_registry else self.workspace_id

    @property
    def workspace_id(self) -> str:
        """The id of the workspace in the path."""
        return ids.WORKSPACE.format(**self.params)

    def workspace(self) -> Resource:
        """Return the workspace in the path, or raise Resource Manager's 404."""
        workspace = self.context.store.get(self.workspace_id)
        if workspace is None:
            raise missing_workspace(self.params)
        return workspace

    @property
    def properties(self) -> dict[str, Any]:
        """The body's ``properties``, as they were read."""
        properties: dict[str, Any] = self.body["properties"]
        return properties

    def read(self, model: str, refusal: Callable[[MisfitError], AzureError] = request_invalid) -> None:
        """Read the body as a model of :mod:`azureml_local.arm.request_models`; what ``refusal`` makes where it misfits.

        By default this is what Azure ML's frontend answers, 400 ``RequestInvalid``.
        """
        try:
            fitted = request_models.fit(self.body, model)
        except MisfitError as misfit:
            raise refusal(misfit) from misfit
        self.body.clear()
        self.body.update(fitted)
        require_tags(self.body.get("tags"))

    def refuse_lacking(self, lacking: Mapping[str, Callable[[Any], bool]], within: str = "properties") -> None:
        """Raise 501 where a member asks for what azureml-local does not do.

        Args:
            lacking: for each member, which of its values ask for it.
            within: the path of the object that has these members.
        """
        members = self.body
        for segment in within.split("."):
            members = members.get(segment) or {}
        for name, asks in lacking.items():
            value = members.get(name)
            if value is not None and asks(value):
                message = f"azureml-local lacks what {within}.{name} = {value!r} asks for."
                raise AzureError(501, "NotImplemented", message, target=name)

    def require_linked(self, action: str, scope: str, linked_action: str, linked_scope: str) -> None:
        """Raise Resource Manager's 403 where the caller, who may do ``action``, lacks a right on another resource.

        https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-linked-authorization-failed; the
        words are those of https://github.com/Azure/aad-pod-identity/issues/443.
        """
        if self.permits(linked_action, linked_scope):
            return
        client = self.principal.object_id
        raise AzureError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{client}' with object id '{client}' has permission to perform action '{action}' on scope "
            f"'{scope}'; however, it does not have permission to perform action '{linked_action}' on the linked "
            f"scope(s) '{linked_scope}' or the linked scope(s) are invalid.",
        )

    def put(self, resource_id: str, resource_type: str, parent_id: str, body: dict[str, Any]) -> Resource:
        """Create or replace a resource on behalf of the caller."""
        return self.context.store.put(resource_id, resource_type, parent_id, body, self.principal.object_id)

    def url(self, changes: Mapping[str, str]) -> str:
        """Return this request's absolute URL with changed query parameters."""
        query = urllib.parse.urlencode({**self.query, **changes}, safe="$:")
        return f"{self.host}{urllib.parse.quote(self.path)}?{query}"

    def begun(
        self,
        status: int,
        kind: str,
        resource: Resource,
        prefix: str,
        answer: Callable[[Resource], Any] = Resource.to_json,
        *,
        at_results: bool = False,
    ) -> Response:
        """Begin an operation on ``resource`` and answer that it has begun.

        Args:
            status: 201 or 202.
            kind: what is done; a registered kind of operation.
            resource: what it is done to; it is given the operation's address, as on Azure.
            prefix: what Azure puts before the operation's id.
            answer: makes the answer's JSON of the resource.
            at_results: ``Location`` leads to the operation's result rather than to the resource.
        """
        query = f"?api-version={self.query.get('api-version', '')}"
        operation = begin(self.context, kind, resource, prefix, query)
        location = f"{operation.locations}/mfeOperationResults/{operation.id}" if at_results else resource.id
        headers = {
            "Azure-AsyncOperation": operation.status_url,
            "Location": f"{ARM_HOST}{location}{query}",
            "x-ms-async-operation-timeout": "PT30M",
            "x-ms-retry-after-ms": str(POLL_AFTER_MS),
        }
        return JSONResponse(answer(operation.resource), status, headers=headers)


@dataclass(frozen=True)
class Begun:
    """An operation that has begun: its id and address, the ids that those of its region begin with, its resource."""

    id: str
    status_url: str
    locations: str
    resource: Resource


def begin(context: Context, kind: str, resource: Resource, prefix: str, query: str = "") -> Begun:
    """Begin an operation on a resource of a workspace, which is given the operation's address, as on Azure.

    Args:
        context: has the operations.
        kind: what is done; a registered kind of operation.
        resource: what it is done to.
        prefix: what Azure puts before the operation's id.
        query: of the address.
    """
    workspace = context.store.get(ids.workspace_of(resource.id))
    assert workspace is not None  # noqa: S101 - what lies in it is deleted with it
    operation_id = f"{prefix}:{workspace.properties['workspaceId']}:{uuid.uuid4()}"
    subscription = resource.id.split("/")[2]
    locations = ids.LOCATION.format(subscription=subscription, location=workspace.body["location"])
    status_url = f"{ARM_HOST}{locations}/mfeOperationsStatus/{operation_id}{query}"
    resource = resource.with_properties(
        properties={**(resource.properties.get("properties") or {}), "AzureAsyncOperationUri": status_url}
    )
    with context.store.transaction():
        context.store.save(resource)
        context.operations.begin(kind, resource, operation_id)
    return Begun(operation_id, status_url, locations, resource)


Handler = Callable[[ArmRequest], Awaitable[Response]]
ArmRoutes = Routes[Handler]


def missing(params: Mapping[str, str], kind: str, name: str) -> AzureError:
    """Return Resource Manager's own 404, which its gateway gives before the resource's provider is asked.

    Args:
        params: those of the path, the resource group among them.
        kind: the resource's full type, e.g. ``Microsoft.KeyVault/vaults``.
        name: its name.
    """
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{params['resource_group']}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
        headers={"x-ms-failure-cause": "gateway"},
    )


def missing_registry(params: Mapping[str, str]) -> AzureError:
    """Return the 404 of a registry."""
    return missing(params, f"{ids.PROVIDER}/registries", params["asset_registry"])


def missing_workspace(params: Mapping[str, str]) -> AzureError:
    """Return the 404 of a workspace."""
    return missing(params, f"{ids.PROVIDER}/workspaces", params["workspace"])


def missing_parent(params: Mapping[str, str]) -> AzureError:
    """Return Resource Manager's 404 for what would be created in a workspace or registry that does not exist.

    https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-parent-resource
    """
    parent = params.get("workspace") or params["asset_registry"]
    message = f"Can not perform requested operation on nested resource. Parent resource '{parent}' not found."
    return AzureError(404, "ParentResourceNotFound", message, headers={"x-ms-failure-cause": "gateway"})
