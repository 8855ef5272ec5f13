"""What the services behind the workspace API share: who is let in, how a body is read, what an error looks like.

Their errors are ``ErrorResponse`` of the public OpenAPI (Microsoft.MachineLearningServices.RunHistory, stable/v1.0).
"""

from __future__ import annotations

import datetime
import functools
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.request import missing_workspace
from azureml_local.http.errors import AzureError, inner_error, insufficient_storage, is_out_of_space, lacks_permission
from azureml_local.http.json_body import json_object
from azureml_local.http.upstream import UpstreamError
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

# azure-ai-ml asks for tokens for either: its clients of the data plane share the credential's first scope.
AUDIENCES = (*audiences.MACHINE_LEARNING, *audiences.ARM)


@dataclass(frozen=True)
class WorkspaceRequest:
    """A request that was authenticated and is allowed, for a workspace that exists.

    ``params`` are the path's parameters, ``body`` is the parsed JSON (an empty object where there is none), ``url`` is
    the request's.
    """

    context: Context
    workspace: Resource
    params: Mapping[str, str]
    body: dict[str, Any]
    principal: Principal
    url: URL


Handler = Callable[[WorkspaceRequest], Awaitable[Response]]


class Service:
    """One of the services: its routes, all of which lie below a workspace.

    Args:
        context: what they work with.
        prefix: of its paths, e.g. ``/history/v1.0``.
        component: its name in errors, e.g. ``run-history``.
        is_for_jobs: it takes the tokens that jobs are given, those of its workspace.
    """

    def __init__(self, context: Context, prefix: str, component: str, *, is_for_jobs: bool = False) -> None:
        self.context = context
        self.routes: list[Route] = []
        self._prefix = prefix + ids.WORKSPACE
        self._component = component
        self._is_for_jobs = is_for_jobs

    def add(self, method: str, template: str, action: str, handler: Handler, scope: str = "") -> None:
        """Declare a route.

        Args:
            method: its method.
            template: its path below the workspace.
            action: what the caller must be allowed to do in the workspace, e.g. ``experiments/runs/read``.
            handler: answers; an AzureError that it raises is answered in the service's format.
            scope: the path, below the workspace, of what the caller must be allowed to do it with, if not all of it.
        """

        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            return await handler(await self._admit(request, action, scope))

        self.routes.append(
            Route(self._prefix + template, guarded(answer, self.context, self._component), methods=[method])
        )

    async def _admit(self, request: Request, action: str, scope: str) -> WorkspaceRequest:
        principal = authenticate(self.context, request, self._of_jobs(request))
        params = request.path_params
        if params["subscription"].lower() != self.context.settings.subscription_id:
            raise missing_workspace(params)
        workspace_id = ids.WORKSPACE.format(**params)
        full_action, full_scope = f"{ids.PROVIDER}/workspaces/{action}", workspace_id + scope.format(**params)
        if not self.context.authorizer.permits(principal, full_action, full_scope):
            raise AzureError(403, "UserError", lacks_permission(principal.object_id, full_action, full_scope))
        body = await json_object(request) if request.method not in ("GET", "HEAD") else {}
        workspace = self.context.store.get(workspace_id)
        if workspace is None:
            raise missing_workspace(params)
        return WorkspaceRequest(self.context, workspace, params, body, principal, request.url)

    def _of_jobs(self, request: Request) -> tuple[str, ...]:
        """Return the audience of the tokens of the workspace's jobs, where they are taken."""
        workspace = self.context.store.get(ids.WORKSPACE.format(**request.path_params)) if self._is_for_jobs else None
        return (audiences.of_jobs(workspace.properties["workspaceId"]),) if workspace else ()


def guarded(
    answer: Callable[[Request], Awaitable[Response]], context: Context, component: str
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a request as ``answer`` does, and each of its errors as an ``ErrorResponse``.

    Args:
        answer: answers; it may raise AzureError.
        context: the service's.
        component: the name, in errors, of the service that answers.
    """

    @functools.wraps(answer)
    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except AzureError as error:
            return _refusal(error, context, component)
        except (ClientDisconnect, HTTPException):
            raise
        except Exception as error:
            logger.exception("%s %s failed", request.method, request.url.path)
            return _refusal(_unforeseen(error), context, component)

    return endpoint


def _refusal(error: AzureError, context: Context, component: str) -> Response:
    root = root_error(error.code, error.message, getattr(error, "inner", ()), error.target)
    now = datetime.datetime.now(datetime.UTC).isoformat()
    body = error_response(root, context.settings.location, uuid.uuid4(), now, component)
    return JSONResponse(body, error.status, headers={**error.headers, "x-ms-response-type": "error"})


def authenticate(context: Context, request: Request, more_audiences: tuple[str, ...] = ()) -> Principal:
    """Return who is calling. Raises 401 without a valid token for Azure ML, Resource Manager or ``more_audiences``."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": "Bearer"}
    if scheme.lower() != "bearer" or not token:
        message = "Authentication failed. The 'Authorization' header is missing."
        raise AzureError(401, "UserError", message, headers=challenge)
    try:
        return context.tokens.verify(token.strip(), (*AUDIENCES, *more_audiences))
    except InvalidTokenError as error:
        raise AzureError(401, "UserError", str(error), headers=challenge) from error


def root_error(code: str, message: str, inner: tuple[str, ...] = (), target: str | None = None) -> dict[str, Any]:
    """Return a ``RootError``."""
    return {
        "code": code,
        "severity": None,
        "message": message,
        "messageFormat": None,
        "messageParameters": None,
        "referenceCode": None,
        "detailsUri": None,
        "target": target,
        "details": [],
        "innerError": inner_error(inner),
        "debugInfo": None,
        "additionalInfo": None,
    }


def error_response(
    root: Mapping[str, Any], location: str, operation: uuid.UUID, time: str | None, component: str
) -> dict[str, Any]:
    """Return an ``ErrorResponse``: an error with where, when and in which part of the service it came about."""
    return {
        "error": root,
        "correlation": {"operation": operation.hex, "request": operation.hex[:16]},
        "environment": location,
        "location": location,
        "time": time,
        "componentName": component,
    }


def _unforeseen(error: Exception) -> AzureError:
    if is_out_of_space(error):
        return insufficient_storage()
    if isinstance(error, UpstreamError):
        return AzureError(503, "ServiceError", "The storage is not available, it is started again. Try again.")
    return AzureError(500, "ServiceError", "azureml-local failed on this request; its log has the details.")
