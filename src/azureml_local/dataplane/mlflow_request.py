"""A request to a workspace's MLflow API, and errors in MLflow's format.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.engines.mlflow_server import JSON_HEADERS
from azureml_local.http.errors import AzureError
from azureml_local.http.routing import Routes
from azureml_local.http.upstream import Headers
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

LARGEST_BODY = 16 * 1024 * 1024  # bytes; the client sends at most 1 MB of metrics, and models' descriptions
# MLflow's codes for what the control plane refuses.
CODES: Mapping[int, str] = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
}
HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    413: {"Connection": "close"},  # what is still to come is not read
}


class MlflowError(Exception):
    """An answer other than success, as MLflow's server gives it.

    Args:
        status: the HTTP status.
        message: what is wrong.
        code: MLflow's error code; by default the one for the status.
    """

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or CODES.get(status, "INTERNAL_ERROR")

    @classmethod
    def of(cls, error: AzureError) -> MlflowError:
        """Return what MLflow's clients are told where the control plane refuses something."""
        detail = getattr(error, "detail", None)
        return cls(error.status, detail[1] if detail else error.message)

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        body = {"error_code": self.code, "message": self.message}
        return JSONResponse(body, self.status, headers=HEADERS.get(self.status))


@dataclass(frozen=True)
class TrackingRequest:
    """A request that was authenticated and is allowed: about a workspace, to ``target`` below its tracking URI."""

    context: Context
    workspace: Resource
    principal: Principal
    params: Mapping[str, str]
    target: str
    http: Request

    async def body(self) -> bytes:
        """Return the whole body. Raises 413 where it is too large."""
        received = bytearray()
        async for piece in self.http.stream():
            received += piece
            if len(received) > LARGEST_BODY:
                raise MlflowError(413, f"The body is larger than {LARGEST_BODY} bytes.", "BAD_REQUEST")
        return bytes(received)

    async def fields(self) -> dict[str, Any]:
        """Return what was sent: the body's members, or (GET) the query's parameters. Raises 400 for anything else."""
        if self.http.method == "GET":
            return dict(self.http.query_params)
        try:
            body = await self.body() or b"{}"
            sent = json.loads(body)
            if b"\\u" in body:
                json.dumps(sent, ensure_ascii=False).encode()  # half a surrogate pair is valid JSON, but no text
        except (ValueError, RecursionError) as error:
            raise MlflowError(400, f"The body is no JSON: {error}.") from error
        if not isinstance(sent, dict):
            raise MlflowError(400, f"The body must be a JSON object, not {type(sent).__name__}.")
        return sent

    async def ask(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
        """Ask MLflow's server, and return the status and the body of its answer."""
        with await self.context.mlflow.send(self.workspace, method, target, headers, body) as response:
            return response.status, await response.read()

    async def ask_json(self, method: str, path: str, sent: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask MLflow's server for something of ``/api/2.0/mlflow/``. Raises MlflowError with what it answers else."""
        body = json.dumps(sent).encode() if sent else b""
        status, content = await self.ask(method, f"/api/2.0/mlflow/{path}", JSON_HEADERS, body)
        answer: dict[str, Any] = json.loads(content)
        if status != 200:
            raise MlflowError(status, answer["message"], answer["error_code"])
        return answer

    async def require(self, path: str) -> None:
        """Raise MLflow's 404 where the workspace lacks a run or a logged model; what was found once stays."""
        if not self.context.mlflow.was_found(self.workspace, path):
            await self.ask_json("GET", path)
            self.context.mlflow.found(self.workspace, path)


Handler = Callable[[TrackingRequest], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """What a route does, and the action of Azure's that it needs permission for."""

    action: str
    handle: Handler


class TrackingRoutes(Routes[Operation]):
    """Operations by method and path, below ``/api``."""

    def operation(self, method: str, template: str, action: str) -> Callable[[Handler], Handler]:
        """Return a decorator that declares an operation; ``action`` is given without Azure ML's namespace."""

        def declare(handler: Handler) -> Handler:
            self.add(method, template, Operation(f"{ids.PROVIDER}/workspaces/{action}", handler))
            return handler

        return declare


def text(sent: Mapping[str, Any], name: str) -> str:
    """Return a member that must be there, a text. Raises MLflow's 400."""
    value = sent.get(name)
    if value is None or value == "":
        raise MlflowError(400, f"Missing value for required parameter '{name}'.")
    if not isinstance(value, str):
        raise MlflowError(400, f"Invalid value {value!r} for parameter '{name}': it must be a text.")
    return value


def texts(sent: Mapping[str, Any], name: str) -> list[str]:
    """Return a member that is a list of texts, or is not there. Raises MlflowError with MLflow's 400."""
    values = sent.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MlflowError(400, f"Invalid value {values!r} for parameter '{name}': it must be a list of texts.")
    return values


def optional_text(sent: Mapping[str, Any], name: str) -> str | None:
    """Return a member that is a text, or is not there. Raises MlflowError with MLflow's 400."""
    return text(sent, name) if sent.get(name) else None


def tags(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return ``tags``, a list of keys and values. Raises MlflowError with MLflow's 400."""
    values = sent.get("tags") or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise MlflowError(400, f"Invalid value {values!r} for parameter 'tags': it must be a list of objects.")
    return {text(tag, "key"): optional_text(tag, "value") or "" for tag in values}
