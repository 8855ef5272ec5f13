"""Faults on purpose: latency, errors of Azure's and broken connections, on chosen requests, the same for the same seed.

For tests and for lessons about retries. A fault lasts until it is removed, has been injected as often as asked, or the
service ends.
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azureml_local.dataplane.storage import storage_error
from azureml_local.edge.http_protocol import ABORT
from azureml_local.http.errors import AzureError

logger = logging.getLogger(__name__)

HEADER = "x-azureml-local-fault"
RESETS = ("before", "during")
# A throttled or busy service says when to come back; azure-core waits for as long as it is told.
# https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
SAYS_WHEN = (429, 503)
DEFAULT_RETRY_AFTER = 1  # seconds
LONGEST_LATENCY = 600.0  # seconds


@dataclass(frozen=True)
class Fault:
    """What happens to which requests.

    Args:
        host: pattern of the host, e.g. ``*.inference.ml.azure.com`` (``*``: any characters).
        path: pattern of the path, without the query.
        method: the HTTP method, or ``*``.
        status: answer this status instead of passing the request on.
        latency: seconds to wait first.
        reset: ``before``: break the connection instead of answering; ``during``: in the middle of the answer.
        rate: how many of the requests are hit, 0 to 1.
        count: how many are hit at most; None for no end.
        seed: of the choice.
        retry_after: seconds in ``Retry-After``; None for one second with 429 and 503, and no header otherwise.
    """

    host: str = "*"
    path: str = "*"
    method: str = "*"
    status: int | None = None
    latency: float = 0.0
    reset: str | None = None
    rate: float = 1.0
    count: int | None = None
    seed: int = 0
    retry_after: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError, with the argument's name, where one is wrong."""
        for name, (is_right, wanted) in RULES.items():
            value = getattr(self, name)
            if not is_right(value):
                raise ValueError(f"{name} is {value!r}; it must be {wanted}.")
        if self.status is None and self.reset is None and not self.latency:
            raise ValueError("A fault needs a status, a latency or a reset.")
        if self.status is not None and self.reset is not None:
            raise ValueError("A fault has a status or a reset, not both.")


def _whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _number(value: Any, most: float) -> bool:
    return type(value) in (int, float) and 0 <= value <= most


RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "host": (lambda value: isinstance(value, str), "a pattern"),
    "path": (lambda value: isinstance(value, str), "a pattern"),
    "method": (lambda value: isinstance(value, str), "a method or '*'"),
    "status": (lambda value: value is None or _whole(value, 400, 599), "a whole number from 400 to 599"),
    "latency": (lambda value: _number(value, LONGEST_LATENCY), f"0 to {LONGEST_LATENCY:g} seconds"),
    "reset": (lambda value: value is None or value in RESETS, " or ".join(RESETS)),
    "rate": (lambda value: _number(value, 1.0) and value > 0, "above 0 and at most 1"),
    "count": (lambda value: value is None or _whole(value, 1, 10**9), "a whole number of 1 or more"),
    "seed": (lambda value: _whole(value, -(2**63), 2**63), "a whole number"),
    "retry_after": (lambda value: value is None or _whole(value, 0, 3600), "0 to 3600 whole seconds"),
}


@dataclass
class _Active:
    fault: Fault
    chance: random.Random
    injected: int = 0

    def hits(self, method: str, host: str, path: str) -> bool:
        """Say whether this request is hit. Only requests that match draw a number, so others change nothing."""
        fault = self.fault
        if (
            self.injected == fault.count
            or fault.method.upper() not in ("*", method)
            or not fnmatch.fnmatchcase(host, fault.host.lower())
            or not fnmatch.fnmatchcase(path, fault.path.lower())
            or self.chance.random() >= fault.rate
        ):
            return False
        self.injected += 1
        return True


class FaultInjector:
    """The faults of a running service."""

    def __init__(self) -> None:
        self._active: dict[str, _Active] = {}
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> str:
        """Begin to inject ``fault``, after those that are there already; return its id."""
        fault_id = str(next(self._ids))
        self._active[fault_id] = _Active(fault, random.Random(fault.seed))  # noqa: S311 - repeatable on purpose
        logger.warning("fault %s will be injected: %s", fault_id, fault)
        return fault_id

    def list(self) -> list[dict[str, Any]]:
        """Return the faults, each with its id and how often it was injected."""
        return [
            {"id": fault_id, **asdict(active.fault), "injected": active.injected}
            for fault_id, active in self._active.items()
        ]

    def remove(self, fault_id: str) -> bool:
        """Remove one fault; return whether it was there."""
        return self._active.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove every fault."""
        self._active.clear()

    def around(self, name: str, application: ASGIApp) -> ASGIApp:
        """Return the application called ``name``, with faults."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            found = self._choose(scope) if self._active else None
            if found is None:
                await application(scope, receive, send)
            else:
                await _inject(*found, name, application, scope, receive, send)

        return answer

    def _choose(self, scope: Scope) -> tuple[str, Fault] | None:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        path = scope["path"].lower()
        for fault_id, active in self._active.items():
            if active.hits(scope["method"], host, path):
                logger.warning("fault %s injected into %s %s%s", fault_id, scope["method"], host, scope["path"])
                return fault_id, active.fault
        return None


async def _inject(
    fault_id: str, fault: Fault, name: str, application: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    if fault.latency:
        await asyncio.sleep(fault.latency)
    marked = _marked(send, fault_id)
    if fault.reset == "before":
        scope["state"][ABORT]()
    elif fault.reset == "during":
        await application(scope, receive, _breaking(marked, scope["state"][ABORT]))
    elif fault.status is not None:
        await _read(receive)  # Azure, too, answers only once it has the request
        await _response(name, fault)(scope, receive, marked)
    else:
        await application(scope, receive, marked)


def _marked(send: Send, fault_id: str) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (HEADER.encode(), fault_id.encode())]
        await send(message)

    return send_marked


def _breaking(send: Send, abort: Callable[[], None]) -> Send:
    """Return a ``send`` that breaks the connection in the middle of the body's first piece.

    An answer without a body is lost as a whole: half of it would be all of it.
    """
    begun: list[Message] = []

    async def send_half(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.append(message)
            return
        body = message.get("body", b"")
        if begun and body:
            await send(begun.pop())
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await asyncio.sleep(0)  # the connection sends at the end of the event loop's turn
            await asyncio.sleep(0)
        abort()

    return send_half


async def _read(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def _response(name: str, fault: Fault) -> Response:
    assert fault.status is not None  # noqa: S101 - the caller has looked
    response = ANSWERS.get(name, _resource_manager)(fault.status)
    retry_after = fault.retry_after
    if retry_after is None and fault.status in SAYS_WHEN:
        retry_after = DEFAULT_RETRY_AFTER
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"


def _code(status: int) -> str:
    return _phrase(status).replace(" ", "")


def _resource_manager(status: int) -> Response:
    message = {
        429: "The request is being throttled. Please try again later.",
        503: "The service is temporarily unavailable. Please try again later.",
    }.get(status, f"{_phrase(status)}.")
    return AzureError(status, _code(status), message).response()


def _storage(status: int) -> Response:
    # https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
    code, message = {
        500: ("InternalError", "The server encountered an internal error. Please retry the request."),
        503: ("ServerBusy", "The server is currently unable to receive requests. Please retry your request."),
    }.get(status, (_code(status), f"{_phrase(status)}."))
    return storage_error(status, code, message)


def _scoring(status: int) -> Response:
    reason = {429: "too_many_pending_request", 503: "model_not_ready"}.get(status)
    return Response(
        b"" if status == 429 else json.dumps({"message": _phrase(status)}).encode(),
        status,
        headers={"ms-azureml-model-error-reason": reason} if reason else None,
        media_type="text/plain" if status == 429 else "application/json",
    )


def _entra(status: int) -> Response:
    # RFC 6749, 4.1.2.1, and https://learn.microsoft.com/entra/identity-platform/reference-error-codes (AADSTS90033)
    description = "AADSTS90033: A transient error has occurred. Please try again."
    return JSONResponse({"error": "temporarily_unavailable", "error_description": description}, status)


def _databricks(status: int) -> Response:
    # https://docs.databricks.com/api/azure/workspace/introduction; databricks-sdk, errors/platform.py
    code = {429: "REQUEST_LIMIT_EXCEEDED", 503: "TEMPORARILY_UNAVAILABLE"}.get(status, _phrase(status).upper())
    return JSONResponse({"error_code": code.replace(" ", "_"), "message": f"{_phrase(status)}."}, status)


ANSWERS: Mapping[str, Callable[[int], Response]] = {
    "arm": _resource_manager,
    "storage": _storage,
    "scoring": _scoring,
    "entra": _entra,
    "databricks": _databricks,
}
