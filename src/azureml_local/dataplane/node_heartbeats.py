"""The route of nodes on other machines: their heartbeats, each under the token of its part of an attempt at a job."""

from __future__ import annotations

import json
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from azureml_local.arm.context import Context
from azureml_local.engines.jobs.heartbeats import ROUTE

LARGEST = 4 * 2**20  # bytes of the reports of one heartbeat


def routes(context: Context) -> list[BaseRoute]:
    """Return the route."""
    return [Route(ROUTE, partial(_hear, context), methods=["POST"])]


async def _hear(context: Context, request: Request) -> Response:
    """Take a heartbeat. 410 where the attempt is over, as for any that never was."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    part = request.path_params["job"], request.path_params["number"], request.path_params["rank"]
    heartbeats = context.runner.heartbeats.get(part)
    if heartbeats is None or not heartbeats.is_from(token):
        return _over()
    try:
        reports = json.loads(await _body(request))["reports"]
    except (ValueError, KeyError, TypeError):
        return _refusal(400, "BadRequest", 'A heartbeat is JSON: {"reports": [...]}.')
    return JSONResponse({}) if heartbeats.hear(reports) else _over()


def _over() -> Response:
    return _refusal(410, "AttemptIsOver", "This attempt at the job is over, or its token is another's.")


async def _body(request: Request) -> bytes:
    """Return a request's body. Raises ValueError where it is too large."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise ValueError("The body is too large.")
    return body


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
