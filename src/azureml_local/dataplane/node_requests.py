"""What nodes on other machines ask of the service, each under the token of its part of an attempt at a job."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from azureml_local.arm.context import Context
from azureml_local.engines.jobs.distant_part import HEARTBEAT, LEDGER, DistantPart

LARGEST = 64 * 2**20  # bytes: the rows of a mini-batch, or what all mini-batches hold

Handler = Callable[[DistantPart, Request], Awaitable[Response]]


def routes(context: Context) -> list[BaseRoute]:
    """Return the routes."""

    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, partial(_answer, context, handler), methods=[method])

    return [route("POST", HEARTBEAT, _hear), route("POST", LEDGER, _use_ledger), route("GET", LEDGER, _send_ledger)]


async def _answer(context: Context, handler: Handler, request: Request) -> Response:
    """Answer a node whose part of an attempt is under way; 410 for any other, as for one that never was."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    part = context.runner.distant.get(
        (request.path_params["job"], request.path_params["number"], request.path_params["rank"])
    )
    if part is None or not part.is_from(token):
        return _over()
    return await handler(part, request)


async def _hear(part: DistantPart, request: Request) -> Response:
    """Take a heartbeat, and renew the signatures with which the node reads and writes storage."""
    try:
        said = await _json(request)
        goes_on = part.hear(said["reports"], is_last=said["is_last"])
    except (ValueError, KeyError, TypeError):
        return _refusal(400, "BadRequest", 'A heartbeat is JSON: {"reports": [...], "is_last": false}.')
    if not goes_on:
        return _over()
    return JSONResponse({"signatures": {} if part.has_ended else part.sign()})


async def _use_ledger(part: DistantPart, request: Request) -> Response:
    """Do with the ledger of a parallel job what the node asks."""
    try:
        asked = await _json(request)
        return _over() if part.has_ended else JSONResponse(part.do(asked))
    except (ValueError, KeyError, TypeError) as error:
        return _refusal(400, "BadRequest", f"The ledger cannot do that: {error}.")


async def _send_ledger(part: DistantPart, _: Request) -> Response:
    """Send a copy of the ledger."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        part.ledger.copy_to(copy)
        return Response(copy.read_bytes(), media_type="application/vnd.sqlite3")


async def _json(request: Request) -> Any:
    """Return a request's body. Raises ValueError where it is too large, or no JSON."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _over() -> Response:
    return _refusal(410, "AttemptIsOver", "This attempt at the job is over, or its token is another's.")


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
