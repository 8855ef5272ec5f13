"""The scoring router: checks the caller, chooses a deployment, and passes the request to one of its instances.

It answers as Azure's does
(https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes). It is
written against ASGI itself, because it is what stands between a client and the model on every request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from azureml_local.arm.online.online_endpoints import DEPLOYMENT_TYPE, TYPE
from azureml_local.dataplane.scoring_access import Access, AccessDeniedError, access_to, bearer_credential
from azureml_local.dataplane.scoring_exchange import Exchange, Listener
from azureml_local.engines.replicas import NotReadyError, ReplicaSet, TooManyRequestsError
from azureml_local.engines.serving import Serving
from azureml_local.http.upstream import HOP_BY_HOP, BodyTooLargeError, Headers, UpstreamError
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Store

logger = logging.getLogger(__name__)

# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
LARGEST_PAYLOAD = 10 * 1024 * 1024
DEPLOYMENT_HEADER = b"azureml-model-deployment"
CLIENT_ID_HEADER = b"x-ms-client-request-id"
# https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#request-tracing
NOT_IN_CLIENT_ID = re.compile(rb"[^A-Za-z0-9_-]")
LONGEST_CLIENT_ID = 40
# The router overwrites the request's id, and the key is none of the model's business.
NOT_PASSED_ON = HOP_BY_HOP | {b"authorization", b"x-request-id", DEPLOYMENT_HEADER, CLIENT_ID_HEADER}
NOT_RETURNED = HOP_BY_HOP | {
    b"server",
    b"x-request-id",
    DEPLOYMENT_HEADER,
    b"ms-azureml-model-error-statuscode",
    b"ms-azureml-model-error-reason",
}

NOT_PUBLIC = {
    "code": "Forbidden",
    "message": "Public network access to this endpoint is disabled. Call it through a private endpoint of the "
    "workspace, or set the endpoint's public_network_access to enabled.",
}
CHALLENGE: Headers = [(b"www-authenticate", b"Bearer")]  # which a 401 must have (RFC 9110, 15.5.2)


@dataclass(frozen=True)
class Refusal:
    """What the router answers where no instance did."""

    status: int
    text: str = ""
    headers: Headers = field(default_factory=list)


@dataclass(frozen=True)
class Statuses:
    """The status codes of one kind of router.

    Args:
        of_failures: what is answered where no instance answers, by what has happened.
        of_answer: returns the status and further headers for a model's answer that is not 200.
    """

    of_failures: Mapping[type[Exception], Refusal]
    of_answer: Callable[[int], tuple[int, Headers]]


def _message(text: str) -> str:
    return json.dumps({"message": text})


def _model_error(status: int, reason: str) -> Headers:
    return [
        (b"ms-azureml-model-error-statuscode", b"%d" % status),
        (b"ms-azureml-model-error-reason", reason.encode()),
    ]


TOO_LARGE = _message("Response payload too large.")
MANAGED = Statuses(
    {
        NotReadyError: Refusal(424, "", _model_error(503, "model_not_ready")),  # starting, or being replaced
        TooManyRequestsError: Refusal(429, "", _model_error(429, "too_many_pending_request")),
        # Its words: https://github.com/MicrosoftDocs/azure-docs/issues/94105
        TimeoutError: Refusal(408, "upstream request timeout"),
        BodyTooLargeError: Refusal(424, TOO_LARGE, _model_error(413, "model_error")),
        UpstreamError: Refusal(424, "", _model_error(502, "model_error")),
    },
    lambda status: (424, _model_error(status, "model_error")),
)
# https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#common-error-codes-for-kubernetes-online-endpoints
# has 502 for what run() raises; a status that the script itself returns is not documented, and passed on.
KUBERNETES = Statuses(
    {
        NotReadyError: Refusal(503, "No instance of the deployment is ready."),
        TooManyRequestsError: Refusal(503, "No instance of the deployment was free within max_queue_wait_ms."),
        TimeoutError: Refusal(504, "The request has timed out."),
        BodyTooLargeError: Refusal(502, TOO_LARGE),
        UpstreamError: Refusal(502, "The instance broke off."),
    },
    lambda status: (502 if status >= 500 else status, []),
)


@dataclass(frozen=True)
class Route:
    """What the router knows of an endpoint. It is ``public`` where public networks may reach it.

    ``statuses`` are its router's own: Azure's, or azureml-fe's on Kubernetes.
    """

    endpoint_id: str
    public: bool
    statuses: Statuses
    access: Access
    deployments: frozenset[str]
    names: tuple[str, ...]  # the deployments with traffic, and their shares
    shares: tuple[int, ...]
    mirror: str | None  # the deployment that gets copies of requests, and of how many percent
    mirror_share: int

    def choose(self) -> str | None:
        """Return a deployment by its share of the traffic; None where no deployment has any."""
        return random.choices(self.names, self.shares)[0] if self.names else None  # noqa: S311 - not for secrets

    def choose_mirror(self) -> str | None:
        """Return the deployment that gets a copy of a request; None, by its share, where there is to be none."""
        return self.mirror if random.randrange(100) < self.mirror_share else None  # noqa: S311 - not for secrets


@dataclass(frozen=True)
class ModelCall:
    """A request as the model gets it."""

    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class ModelAnswer:
    """The model's answer."""

    status: int
    headers: Headers
    body: bytes


class RefusalError(Exception):
    """An answer that the router gives itself."""

    def __init__(self, status: int, text: str, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or []


class ScoringRouter:
    """Answers for ``<endpoint>.<region>.inference.ml.azure.com``."""

    def __init__(self, store: Store, serving: Serving, tokens: TokenService, authorizer: Authorizer) -> None:
        self._store = store
        self._serving = serving
        self._tokens = tokens
        self._authorizer = authorizer
        self._routes: dict[str, Route] = {}
        self._hosts: dict[str, str] = {}  # an endpoint's key -> its host, to forget it by
        self._mirroring: set[asyncio.Task[None]] = set()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` of each request to an endpoint once it is answered."""
        self._listeners = (*self._listeners, listener)

    def load(self) -> None:
        """Learn every endpoint of the store."""
        for endpoint in self._store.all_of(TYPE):
            self.refresh(endpoint.id)

    def serves(self, name: str) -> bool:
        """Say whether an endpoint answers at this host."""
        return name in self._routes

    def refresh(self, endpoint_id: str) -> None:
        """Learn an endpoint anew, or forget it where it was deleted."""
        endpoint = self._store.get(endpoint_id)
        if endpoint is None:
            self._routes.pop(self._hosts.pop(endpoint_id.lower(), ""), None)
            return
        address = (endpoint.properties.get("scoringUri") or "").split("/")
        if len(address) < 3:
            return  # still being created
        traffic = {name: share for name, share in endpoint.properties["traffic"].items() if share > 0}
        self._hosts[endpoint.key] = address[2]
        self._routes[address[2]] = Route(
            endpoint.id,
            endpoint.properties["publicNetworkAccess"] != "Disabled",
            KUBERNETES if endpoint.properties.get("compute") else MANAGED,
            access_to(endpoint, self._store, self._tokens, self._authorizer),
            frozenset(deployment.name for deployment in self._store.children(DEPLOYMENT_TYPE, endpoint.id)),
            tuple(traffic),
            tuple(traffic.values()),
            *next(iter(endpoint.properties["mirrorTraffic"].items()), (None, 0)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange.begin(scope, str(uuid.uuid4()))
        if self._listeners:
            send = exchange.noting(send)
        try:
            await self._score(scope, receive, send, exchange)
        except RefusalError as refusal:
            await _refuse(refusal, exchange, send)
        self._tell(exchange)

    def _tell(self, exchange: Exchange) -> None:
        for listener in self._listeners if exchange.endpoint_id else ():
            try:
                listener(exchange)
            except Exception:
                logger.exception("what was answered to request %s cannot be told", exchange.request_id)

    async def _score(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        request_id = exchange.request_id.encode()
        headers: Headers = scope["headers"]
        found = dict(headers)
        name = found.get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        route = self._routes.get(name)
        if route is None:
            raise RefusalError(404, _message(f"There is no online endpoint at {name}."))
        exchange.endpoint_id = route.endpoint_id
        exchange.caller = _admit(route, found.get(b"authorization", b""))
        exchange.receive(await _payload(found, receive))
        route = self._routes.get(name, route)  # traffic may have been switched while the body was on its way
        exchange.deployment = deployment = _chosen(route, found.get(DEPLOYMENT_HEADER))
        call = ModelCall(scope["method"], exchange.target, _passed_on(headers, request_id), exchange.request_body)
        extra = [(DEPLOYMENT_HEADER, deployment.encode()), (b"x-request-id", request_id)]
        if DEPLOYMENT_HEADER not in found and (mirror := route.choose_mirror()):
            # What names its deployment is not mirrored:
            # https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
            self._mirror(exchange.to_mirror(mirror), call)
        replicas = self._serving.replicas(f"{route.endpoint_id}/deployments/{deployment}")
        answer = await _ask_model(replicas, call, extra, route.statuses)
        await _answer(answer, extra, send, route.statuses)

    def _mirror(self, exchange: Exchange, call: ModelCall) -> None:
        """Send a copy of a request to another deployment, and drop its answer, whatever it is."""

        async def ask() -> None:
            send = exchange.noting(_drop)
            replicas = self._serving.replicas(f"{exchange.endpoint_id}/deployments/{exchange.deployment}")
            try:
                await _answer(await _ask_model(replicas, call, [], MANAGED), [], send, MANAGED)
            except RefusalError as refusal:
                await _refuse(refusal, exchange, send)
            self._tell(exchange)

        task = asyncio.get_running_loop().create_task(ask())
        self._mirroring.add(task)
        task.add_done_callback(self._mirroring.discard)


def _admit(route: Route, authorization: bytes) -> str | None:
    """Return the caller's object id, or None where nothing tells it.

    Raises 403 where no public network reaches the endpoint, and 401 unless its caller may score.

    There is no private network here, from which a closed endpoint still answers. Azure documents that public networks
    do not reach it, not what they are answered; 401 it documents also for a caller without the permission.
    https://learn.microsoft.com/azure/machine-learning/concept-secure-online-endpoint#secure-inbound-scoring-requests
    """
    if not route.public:
        raise RefusalError(403, json.dumps({"error": NOT_PUBLIC}))
    try:
        principal = route.access.admit(bearer_credential(authorization))
    except AccessDeniedError as error:
        raise RefusalError(401, str(error), CHALLENGE) from error
    return principal.object_id if principal else None


def _chosen(route: Route, asked: bytes | None) -> str:
    if asked is not None:
        name = asked.decode("latin-1")
        if name not in route.deployments:
            raise RefusalError(404, _message(f"The endpoint has no deployment '{name}'."))
        return name
    name_by_traffic = route.choose()
    if name_by_traffic is None:
        raise RefusalError(404, _message("No deployment of the endpoint has traffic. Give one some: endpoint.traffic."))
    return name_by_traffic


async def _payload(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    declared = headers.get(b"content-length", b"0")
    pieces: list[bytes] = []
    size = 0
    while size <= LARGEST_PAYLOAD and int(declared) <= LARGEST_PAYLOAD:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise RefusalError(400, "The client left before its request was complete.")
        pieces.append(message["body"])
        size += len(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)
    # What is still to come is not read.
    raise RefusalError(
        413, _message(f"The payload is larger than {LARGEST_PAYLOAD} bytes."), [(b"connection", b"close")]
    )


def _passed_on(headers: Headers, request_id: bytes) -> Headers:
    """Return the headers for the model; the client's own request id is cleaned and cut as Azure's router does."""
    passed_on = [pair for pair in headers if pair[0] not in NOT_PASSED_ON]
    passed_on.append((b"x-request-id", request_id))
    client_id = next((value for name, value in headers if name == CLIENT_ID_HEADER), None)
    if client_id is not None:
        passed_on.append((CLIENT_ID_HEADER, NOT_IN_CLIENT_ID.sub(b"", client_id)[:LONGEST_CLIENT_ID]))
    return passed_on


async def _ask_model(replicas: ReplicaSet | None, call: ModelCall, extra: Headers, statuses: Statuses) -> ModelAnswer:
    """Pass a request to an instance. Raises RefusalError where none answers."""
    try:
        if replicas is None:
            raise NotReadyError
        return ModelAnswer(*await replicas.exchange(call.method, call.target, call.headers, call.body, LARGEST_PAYLOAD))
    except tuple(statuses.of_failures) as error:
        refusal = next(one for kind, one in statuses.of_failures.items() if isinstance(error, kind))
        raise RefusalError(refusal.status, refusal.text, [*extra, *refusal.headers]) from error


async def _refuse(refusal: RefusalError, exchange: Exchange, send: Send) -> None:
    body, request_id = refusal.text.encode(), exchange.request_id.encode()
    headers = {
        b"content-type": b"text/plain" if not body.startswith(b"{") else b"application/json",
        b"content-length": b"%d" % len(body),
        b"x-request-id": request_id,
        b"x-ms-request-id": request_id,
        **dict(refusal.headers),
    }
    await send({"type": "http.response.start", "status": refusal.status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": body})


async def _drop(_: Any) -> None:
    """Send nothing."""


async def _answer(answer: ModelAnswer, extra: Headers, send: Send, statuses: Statuses) -> None:
    """Return the model's answer: 200 as it is, anything else as the router has it."""
    headers = [pair for pair in answer.headers if pair[0] not in NOT_RETURNED] + extra
    status = answer.status
    if status != 200:
        status, more = statuses.of_answer(status)
        headers += more
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
