"""The query API of Azure Monitor's logs: ``api.loganalytics.io``, as ``azure.monitor.query.LogsQueryClient`` calls it.

https://learn.microsoft.com/azure/azure-monitor/logs/api/overview. A query sees the rows of Log Analytics workspaces, or
those of a resource and of what lies below it in all of them. Who may see them:
https://learn.microsoft.com/azure/azure-monitor/logs/manage-access. What a query means is the log store's business (see
:mod:`azureml_local.engines.log_store.kusto`); a row can be found a second or two after what it tells of, which takes
minutes on Azure.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.monitor import log_analytics
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.http.errors import AzureError
from azureml_local.http.json_body import json_object
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

READ_WORKSPACE = f"{log_analytics.TYPE}/query/read"
READ_RESOURCE = f"{ids.INSIGHTS}/logs/read"
# https://learn.microsoft.com/azure/azure-monitor/logs/api/timeouts
USUAL_SECONDS, MOST_SECONDS = 180, 600
AT_ONCE = 4  # queries of a batch
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
PREFERENCE = re.compile(r"([\w-]+)=([\w-]+)")


class QueryRefusalError(AzureError):
    """An answer other than success: its frame has a correlation id, and an inner error."""

    def __init__(self, status: int, code: str, message: str, inner: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, code, message)
        self.inner = inner

    def body(self) -> dict[str, Any]:
        """Return the error as JSON."""
        body = {"message": self.message, "code": self.code, "correlationId": str(uuid.uuid4())}
        return {**body, "innererror": self.inner} if self.inner else body


def _bad(inner: Mapping[str, Any]) -> QueryRefusalError:
    return QueryRefusalError(400, "BadArgumentError", "The request had some invalid properties", inner)


def _no_access() -> QueryRefusalError:
    message = "The provided credentials have insufficient access to perform the requested operation"
    return QueryRefusalError(403, "InsufficientAccessError", message)


def _no_workspace() -> QueryRefusalError:
    return QueryRefusalError(404, "WorkspaceNotFoundError", "The workspace could not be found")


def _is_query(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("headers") or {}, dict)


def _no_path() -> QueryRefusalError:
    return QueryRefusalError(404, "PathNotFoundError", "The requested path does not exist")


@dataclass(frozen=True)
class Scope:
    """The rows that are seen: of these Log Analytics workspaces, and where ``resource`` is set, of what lies below."""

    workspaces: Sequence[str]
    resource: str | None = None


Handler = Callable[[Request, Principal], Awaitable[Response]]


class LogQueries:
    """Answers for ``api.loganalytics.io``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._batched = asyncio.Semaphore(AT_ONCE)
        self.app = Starlette(
            routes=[
                Route("/v1/$batch", self._admitting(self._batch), methods=["POST"]),
                Route("/v1/workspaces/{workspace}/query", self._admitting(self._workspace), methods=["GET", "POST"]),
                Route("/v1/{resource:path}/query", self._admitting(self._resource), methods=["GET", "POST"]),
                Route("/{path:path}", self._admitting(_elsewhere)),
            ]
        )

    def _admitting(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that lets in who shows a token, and answers errors as this API does."""

        @functools.wraps(handler)
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request, self._authenticate(request.headers.get("authorization", "")))
            except AzureError as error:
                return error.response()
            except ClientDisconnect:
                raise
            except LogStoreError as error:
                logger.error("a query cannot be answered: %s", error)
                return QueryRefusalError(503, "ServiceUnavailable", f"The logs cannot be read: {error}").response()

        return endpoint

    def _authenticate(self, authorization: str) -> Principal:
        """Return who is calling. The statuses are those of https://learn.microsoft.com/azure/azure-monitor/logs/api/errors."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "Authentication failed. The 'Authorization' header is missing."
            raise QueryRefusalError(401, "AuthenticationFailed", message)
        try:
            return self._context.tokens.verify(token.strip(), audiences.LOG_ANALYTICS)
        except InvalidTokenError as error:
            status = 401 if error.code == "ExpiredAuthenticationToken" else 403
            raise QueryRefusalError(status, error.code, str(error)) from error

    async def _workspace(self, request: Request, principal: Principal) -> Response:
        """Answer a query of a Log Analytics workspace."""
        workspace = request.path_params["workspace"]
        if not GUID.fullmatch(workspace):
            raise _no_path()
        asked = await _asked(request)
        scope = Scope(self._guids(principal, [workspace, *_names(asked)]))
        return _response(*await self._query(scope, asked, request.headers.get("prefer", "")))

    async def _resource(self, request: Request, principal: Principal) -> Response:
        """Answer a query of what a resource has sent."""
        asked = await _asked(request)
        scope = self._scope_of(principal, "/" + request.path_params["resource"].strip("/"), _names(asked))
        return _response(*await self._query(scope, asked, request.headers.get("prefer", "")))

    async def _batch(self, request: Request, principal: Principal) -> Response:
        """Answer several queries at once, each with its own status."""
        queries = (await json_object(request)).get("requests")
        if not isinstance(queries, list) or not all(_is_query(one) for one in queries):
            message = "requests must be a list of queries; the headers of each are an object"
            raise _bad({"code": "InvalidRequest", "message": message})
        answers = await asyncio.gather(*(self._one_of_batch(one, principal) for one in queries))
        return Response(b'{"responses": [' + b", ".join(answers) + b"]}", media_type="application/json")

    async def _one_of_batch(self, one: Mapping[str, Any], principal: Principal) -> bytes:
        headers = {str(name).lower(): str(value) for name, value in (one.get("headers") or {}).items()}
        asked, workspace = one.get("body") or {}, str(one.get("workspace"))
        try:
            if not GUID.fullmatch(workspace) or not isinstance(asked, dict):
                raise _no_path()
            scope = Scope(self._guids(principal, [workspace, *_names(asked)]))
            async with self._batched:
                status, body = await self._query(scope, asked, headers.get("prefer", ""))
        except AzureError as error:
            status, body = error.status, json.dumps({"error": error.body()}).encode()
        head = json.dumps({"id": one.get("id"), "status": status, "headers": {}})[:-1]
        return head.encode() + b', "body": ' + body + b"}"

    async def _query(self, scope: Scope, asked: Mapping[str, Any], prefer: str) -> tuple[int, bytes]:
        """Return status and body of the answer to a query. Raises AzureError where it is refused."""
        text = asked.get("query")
        if not isinstance(text, str) or not text.strip():
            raise _bad({"code": "QueryMissing", "message": "The request has no query."})
        begin, end = _timespan(asked.get("timespan"))
        preferences = {name.lower(): value for name, value in PREFERENCE.findall(prefer)}
        wait = preferences.get("wait", "")
        status, body = await self._context.log_store.kusto(
            {
                "text": text,
                "workspaces": list(scope.workspaces),
                "resource": scope.resource,
                "begin": begin,
                "end": end,
                "statistics": preferences.get("include-statistics") == "true",
                "render": preferences.get("include-render") == "true",
            },
            min(int(wait), MOST_SECONDS) if wait.isdecimal() and int(wait) else USUAL_SECONDS,
        )
        if status == 200:
            return status, body
        found = json.loads(body)
        if "error" in found:  # of the log store itself
            raise LogStoreError(found["error"])
        raise (
            _bad(found)
            if status == 400
            else QueryRefusalError(status, found["code"], found["message"], found["innererror"])
        )

    def _guids(self, principal: Principal, names: Iterable[str]) -> list[str]:
        """Return the guids of the workspaces that a query names. Raises 404, 403."""
        known = self._context.store.all_of(log_analytics.TYPE)
        found = [_found(name, known) for name in names]
        for workspace in found:
            if not self._context.authorizer.permits(principal, READ_WORKSPACE, workspace.id):
                raise _no_access()
        return [workspace.properties["customerId"] for workspace in found]

    def _scope_of(self, principal: Principal, resource: str, more: list[str]) -> Scope:
        """Return what is seen of a resource: its rows in each workspace that asks for no role of its own."""
        store, permits = self._context.store, self._context.authorizer.permits
        settings = self._context.settings
        subscription = ids.SUBSCRIPTION.format(subscription=settings.subscription_id).lower()
        group = f"{subscription}/resourcegroups/{settings.resource_group}".lower()
        stored = store.get(resource)
        if stored is None and resource.lower() not in (subscription, group):
            raise _no_path()
        if stored and stored.type == log_analytics.TYPE:
            return Scope(self._guids(principal, [resource, *more]))
        if not permits(principal, READ_RESOURCE, resource):
            raise _no_access()
        readable = [
            one.properties["customerId"]
            for one in store.all_of(log_analytics.TYPE)
            if one.properties["features"].get("enableLogAccessUsingOnlyResourcePermissions")
            or permits(principal, READ_WORKSPACE, one.id)
        ]
        return Scope([*readable, *self._guids(principal, more)], resource.lower())


async def _elsewhere(request: Request, principal: Principal) -> Response:
    raise _no_path()


async def _asked(request: Request) -> Mapping[str, Any]:
    """Return what is asked, in a body or in a query string."""
    return await json_object(request) if request.method == "POST" else dict(request.query_params)


def _names(asked: Mapping[str, Any]) -> list[str]:
    """Return the further workspaces that a query names."""
    names = asked.get("workspaces") or []
    names = names.split(",") if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _bad(
            {"code": "InvalidWorkspaces", "message": "workspaces must be a list of names, guids or resource ids"}
        )
    return names


def _found(name: str, known: Sequence[Resource]) -> Resource:
    """Return the workspace of a guid, a name, a qualified name (subscription/group/name) or a resource id."""
    wanted = name.lower().strip()
    for one in known:
        _, _, subscription, _, group, *_ = one.key.split("/")
        names = (one.properties["customerId"], one.name.lower(), f"{subscription}/{group}/{one.name.lower()}", one.key)
        if wanted in names:
            return one
    raise _no_workspace()


def _timespan(text: Any) -> tuple[str | None, str | None]:
    """Return begin and end of a span as ISO 8601 has it: ``PT1H``, or two of begin, duration and end. Raises 400."""
    if not text:
        return None, None
    try:
        begin, _, end = str(text).partition("/")
        now = datetime.datetime.now(datetime.UTC)
        if not end:
            return _iso(now - _duration(begin)), None
        if begin.startswith("P"):
            return _iso(_moment(end) - _duration(begin)), _iso(_moment(end))
        if end.startswith("P"):
            return _iso(_moment(begin)), _iso(_moment(begin) + _duration(end))
        return _iso(_moment(begin)), _iso(_moment(end))
    except (ValueError, OverflowError) as error:
        message = f"The timespan '{text}' is none: write a duration, as PT1H, or begin/end, begin/duration"
        raise _bad({"code": "InvalidTimespan", "message": message}) from error


def _duration(text: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=seconds(text))


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _iso(moment: datetime.datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()


def _response(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")
