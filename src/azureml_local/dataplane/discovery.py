"""The workspace's own API host: where clients learn the addresses of its services."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

STUDIO = "https://ml.azure.com"
SERVICES = (
    "api",
    "catalog",
    "experimentation",
    "gallery",
    "history",
    "hyperdrive",
    "labeling",
    "modelmanagement",
    "pipelines",
)


async def _discovery(request: Request) -> Response:
    """Return the addresses; the same host serves them all."""
    here = f"https://{request.url.hostname}"
    return JSONResponse({**dict.fromkeys(SERVICES, here), "studio": STUDIO})


async def _lacking(request: Request, _: Exception) -> Response:
    message = f"azureml-local lacks {request.method} {request.url.path} of the workspace API."
    return JSONResponse({"error": {"code": "NotImplemented", "message": message}}, 501)


def application(*services: BaseRoute) -> Starlette:
    """Return the ASGI application for ``<region>.api.azureml.ms``, with the services that answer there, too."""
    return Starlette(routes=[Route("/discovery", _discovery), *services], exception_handlers={HTTPException: _lacking})
