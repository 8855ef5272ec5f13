"""What a handler of the control plane is given."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.store import Resource
from azureml_local.http.errors import AzureError
from azureml_local.http.routing import Routes
from azureml_local.identity.tokens import Principal

if TYPE_CHECKING:
    from azureml_local.service import Service

ARM_HOST = "https://management.azure.com"
PAGE_SIZE = 100


@dataclass(frozen=True)
class ArmRequest:
    """A request that was authenticated and matched to a route.

    ``params`` are the route's parameters, ``query`` the query's by their names in lower case, ``body`` the parsed JSON
    (an empty object where there is none).
    """

    service: Service
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    principal: Principal

    @property
    def workspace_id(self) -> str:
        """The id of the workspace in the path."""
        return ids.WORKSPACE.format(**self.params)

    def workspace(self) -> Resource:
        """Return the workspace in the path, or raise Resource Manager's 404."""
        workspace = self.service.store.get(self.workspace_id)
        if workspace is None:
            raise missing_workspace(self.params)
        return workspace

    def properties(self) -> dict[str, Any]:
        """Return the body's ``properties``; 400 where they are missing or no object."""
        properties = self.body.get("properties")
        if not isinstance(properties, dict):
            raise AzureError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'properties' is missing or no object.",
                target="properties",
            )
        return properties

    def put(self, resource_id: str, resource_type: str, parent_id: str, body: dict[str, Any]) -> Resource:
        """Create or replace a resource on behalf of the caller."""
        return self.service.store.put(resource_id, resource_type, parent_id, body, self.principal.object_id)

    def page(self, resources: Iterable[Resource]) -> Response:
        """Return one page of ``resources``, with ``nextLink`` where more follow (``$skip``, ``$top``)."""
        everything = list(resources)
        start = self._whole_number("$skip", 0)
        asked = self._whole_number("$top", 0)
        end = start + min(asked or PAGE_SIZE, PAGE_SIZE)
        answer: dict[str, Any] = {"value": [resource.to_json() for resource in everything[start:end]]}
        if end < len(everything) and not asked:
            answer["nextLink"] = self.url({"$skip": str(end)})
        return JSONResponse(answer)

    def url(self, changes: Mapping[str, str]) -> str:
        """Return this request's absolute URL with changed query parameters."""
        query = urllib.parse.urlencode({**self.query, **changes}, safe="$:")
        return f"{ARM_HOST}{urllib.parse.quote(self.path)}?{query}"

    def begun(
        self, status: int, kind: str, resource: Resource, prefix: str, body: Any, *, at_results: bool = False
    ) -> Response:
        """Begin an operation on ``resource`` and answer that it has begun.

        Args:
            status: 201 or 202.
            kind: what is done; a registered kind of operation.
            resource: what it is done to.
            prefix: what Azure puts before the operation's id.
            body: the answer's JSON.
            at_results: ``Location`` leads to the operation's result rather than to the resource.
        """
        workspace = self.workspace()
        operation_id = self.service.operations.begin(kind, resource, prefix, workspace.properties["workspaceId"])
        locations = ids.LOCATION.format(subscription=self.params["subscription"], location=workspace.body["location"])
        query = f"?api-version={self.query.get('api-version', '')}"
        location = f"{locations}/mfeOperationResults/{operation_id}" if at_results else resource.id
        headers = {
            "Azure-AsyncOperation": f"{ARM_HOST}{locations}/mfeOperationsStatus/{operation_id}{query}",
            "Location": f"{ARM_HOST}{location}{query}",
            "x-ms-async-operation-timeout": "PT30M",
            "x-ms-retry-after-ms": str(POLL_AFTER_MS),
        }
        return JSONResponse(body, status, headers=headers)

    def _whole_number(self, name: str, default: int) -> int:
        text = self.query.get(name, str(default))
        if not text.isdecimal() or len(text) > 9:
            raise AzureError(400, "BadArgument", f"The query parameter {name} must be a whole number, not '{text}'.")
        return int(text)


Handler = Callable[[ArmRequest], Awaitable[Response]]
ArmRoutes = Routes[Handler]


def missing_workspace(params: Mapping[str, str]) -> AzureError:
    """Return Resource Manager's own 404, which its gateway gives before Azure ML is asked."""
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{ids.PROVIDER}/workspaces/{params['workspace']}' under resource group "
        f"'{params['resource_group']}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
        headers={"x-ms-failure-cause": "gateway"},
    )
