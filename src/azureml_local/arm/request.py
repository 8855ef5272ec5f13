"""What a handler of the control plane is given."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, shapes
from azureml_local.arm.context import Context
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.store import Resource
from azureml_local.http.errors import AzureError
from azureml_local.http.routing import Routes
from azureml_local.identity.tokens import Principal

ARM_HOST = "https://management.azure.com"
PAGE_SIZE = 100


@dataclass(frozen=True)
class ArmRequest:
    """A request that was authenticated and matched to a route.

    ``params`` are the route's parameters, ``query`` the query's by their names in lower case, ``body`` the parsed JSON
    (an empty object where there is none).
    """

    context: Context
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
        workspace = self.context.store.get(self.workspace_id)
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

    def require_shape(self, shape: Mapping[str, Any]) -> None:
        """Bring the body into a shape of :mod:`azureml_local.arm.shapes`, or raise 400."""
        self.body.update(shapes.fit(self.body, shape))

    def refuse_lacking(self, lacking: Mapping[str, Callable[[Any], bool]]) -> None:
        """Raise 501 where a member of ``properties`` asks for what azureml-local does not do.

        Args:
            lacking: for each member, which of its values ask for it.
        """
        for name, asks in lacking.items():
            value = self.properties().get(name)
            if value is not None and asks(value):
                raise AzureError(
                    501,
                    "NotImplemented",
                    f"azureml-local lacks what properties.{name} = {value!r} asks for.",
                    target=name,
                )

    def put(self, resource_id: str, resource_type: str, parent_id: str, body: dict[str, Any]) -> Resource:
        """Create or replace a resource on behalf of the caller."""
        return self.context.store.put(resource_id, resource_type, parent_id, body, self.principal.object_id)

    def page(self, resources: Iterable[Resource]) -> Response:
        """Return one page of ``resources``, with ``nextLink`` where more follow (``$skip``, ``$top``)."""
        everything = list(resources)
        start = self._whole_number("$skip", 0)
        asked = self._whole_number("$top", len(everything))
        end = start + min(asked, PAGE_SIZE)
        answer: dict[str, Any] = {"value": [resource.to_json() for resource in everything[start:end]]}
        if end < len(everything) and asked > PAGE_SIZE:
            answer["nextLink"] = self.url({"$skip": str(end), "$top": str(asked - PAGE_SIZE)})
        return JSONResponse(answer)

    def url(self, changes: Mapping[str, str]) -> str:
        """Return this request's absolute URL with changed query parameters."""
        query = urllib.parse.urlencode({**self.query, **changes}, safe="$:")
        return f"{ARM_HOST}{urllib.parse.quote(self.path)}?{query}"

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
        workspace = self.workspace()
        operation_id = f"{prefix}:{workspace.properties['workspaceId']}:{uuid.uuid4()}"
        locations = ids.LOCATION.format(subscription=self.params["subscription"], location=workspace.body["location"])
        query = f"?api-version={self.query.get('api-version', '')}"
        status_url = f"{ARM_HOST}{locations}/mfeOperationsStatus/{operation_id}{query}"
        resource = resource.with_properties(
            properties={**(resource.properties.get("properties") or {}), "AzureAsyncOperationUri": status_url}
        )
        with self.context.store.transaction():
            self.context.store.save(resource)
            self.context.operations.begin(kind, resource, operation_id)
        location = f"{locations}/mfeOperationResults/{operation_id}" if at_results else resource.id
        headers = {
            "Azure-AsyncOperation": status_url,
            "Location": f"{ARM_HOST}{location}{query}",
            "x-ms-async-operation-timeout": "PT30M",
            "x-ms-retry-after-ms": str(POLL_AFTER_MS),
        }
        return JSONResponse(answer(resource), status, headers=headers)

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
