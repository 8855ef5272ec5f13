"""Where collected data comes from: scoring scripts, by azureml-ai-monitoring, and the router, for payloads."""

from __future__ import annotations

import base64
import binascii
import datetime
import random

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.engines.data_collection import events
from azureml_local.engines.data_collection.collector import DataCollector, DataCollectors
from azureml_local.engines.data_collection.events import Event
from azureml_local.engines.data_collection.settings import REQUEST, RESPONSE
from azureml_local.engines.serving import Serving
from azureml_local.http.upstream import Headers

LARGEST_EVENT = 32 * 1024 * 1024  # bytes; a table's JSON is some times as large as the request that it was made of
MODEL_ERROR = (b"ms-azureml-model-error-reason", b"model_error")


def receiver(collectors: DataCollectors) -> Starlette:
    """Return the application that scoring scripts send events to.

    On Azure a container beside theirs does that. What is asked of it was read from azureml-ai-monitoring 1.0.0
    (``worker/sender.py``): any status of success will do, any other is written to the script's log with its text.
    """

    async def log(request: Request) -> Response:
        collector = collectors.find(*_credentials(request.headers.get("authorization", "")))
        if collector is None:
            return PlainTextResponse("The name or the secret of the deployment is wrong.", 401)
        body = await _body(request)
        if body is None:
            return PlainTextResponse(f"The data is larger than {LARGEST_EVENT} bytes.", 413)
        try:
            event = events.of_client(request.headers.raw, body)
        except ValueError as error:
            return PlainTextResponse(f"{error}.", 400)
        if not collector.collects(event.name):
            return PlainTextResponse(f"The deployment has no enabled collection '{event.name[:64]}'.", 404)
        if not collector.collect(event):
            return PlainTextResponse("The storage does not take what was collected before.", 503)
        return PlainTextResponse("accepted", 202)

    return Starlette(routes=[Route("/modeldata/log", log, methods=["POST"])])


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    name, _, secret = decoded.partition(":")
    return name, secret


async def _body(request: Request) -> bytes | None:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_EVENT:
            return None
        pieces.append(piece)
    return b"".join(pieces)


class PayloadLogging:
    """Collects requests to models, and their answers, for the deployments that ask for it.

    Args:
        serving: knows which of them collect.
    """

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def __call__(self, exchange: Exchange) -> None:
        """Take what a deployment collects of a request that its model was asked."""
        replicas = self._serving.replicas(f"{exchange.endpoint_id}/deployments/{exchange.deployment}")
        collector = replicas.collector if replicas else None
        if collector is None or not _reached_model(exchange):
            return
        chance = random.random()  # noqa: S311 - not for secrets; one for both, so that none is without the other
        for name, event_of in ((REQUEST, _request), (RESPONSE, _response)):
            collection = collector.settings.collections.get(name)
            if collection and chance < collection.sampling_rate:
                event = event_of(exchange, collector)
                if event:
                    collector.collect(event)


def _reached_model(exchange: Exchange) -> bool:
    """Say whether the model was asked to score: what the router refuses never comes to the deployment on Azure."""
    if not exchange.target.startswith("/score"):
        return False
    return exchange.status in (200, 408) or MODEL_ERROR in exchange.answer_headers


def _request(exchange: Exchange, collector: DataCollector) -> Event:
    path = {"path": exchange.target, "method": exchange.method}
    captured = _captured(exchange.request_headers, collector.settings.capture_headers)
    return _event(REQUEST, exchange, exchange.request_headers, exchange.request_body, {**captured, **path})


def _response(exchange: Exchange, _: DataCollector) -> Event | None:
    if exchange.status == 408:  # the answer is the router's own
        return None
    return _event(RESPONSE, exchange, exchange.answer_headers, exchange.answer_body, {})


def _event(
    name: str, exchange: Exchange, headers: Headers | tuple[()], body: bytes, attributes: dict[str, str]
) -> Event:
    content_type = next((value.decode("latin-1") for key, value in headers if key == b"content-type"), "")
    time = datetime.datetime.fromtimestamp(exchange.began_at, datetime.UTC)
    ids = {"correlationid": exchange.request_id, "xrequestid": exchange.request_id}
    return Event(name, body, content_type, time, attributes={**attributes, **ids})


def _captured(headers: Headers, wanted: tuple[str, ...]) -> dict[str, str]:
    """Return the headers that the deployment captures, under names as azureml-ai-monitoring's own get (``ce-...``)."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return events.attributes_of((name, found[name]) for name in wanted if name in found)
