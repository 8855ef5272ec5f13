"""Endpoints that serve, and how they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from comparing import request
from installation import Client, Installation
from load import Spec

BODY = '{"data": [[0.1, 0.2, 0.3, 0.4]]}'


@dataclass(frozen=True)
class Endpoint:
    """An endpoint with one serving instance, and what is needed to ask it, with or without the router."""

    uri: str
    key: str
    socket: Path

    @property
    def host(self) -> str:
        """The host at which it answers."""
        return urlsplit(self.uri).netloc

    def request(self, body: str = BODY) -> str:
        """Return a request for a score."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return request("POST", urlsplit(self.uri).path, self.host, headers, body)


def through_endpoint(installation: Installation, endpoint: Endpoint, body: str = BODY) -> Spec:
    """Return how the endpoint is asked as clients ask it."""
    return Spec(
        address=installation.port,
        request=endpoint.request(body),
        server_pid=installation.pid,
        tls_name=endpoint.host,
        authority=installation.authority,
        through_proxy=True,
    )


def around_endpoint(endpoint: Endpoint, body: str = BODY) -> Spec:
    """Return how the very same instance is asked at its own socket, without TLS, key or routing."""
    return Spec(address=str(endpoint.socket), request=endpoint.request(body))


def serve(installation: Installation, client: Client, name: str, deployment: dict, body: str = BODY) -> Endpoint:
    """Deploy to an endpoint of its own, which has it already or not, and return it once it has scored."""
    uri = client.create_endpoint(name)["properties"]["scoringUri"]
    key = client.key(name)
    known = installation.instances()
    client.deploy(name, "only", deployment)
    client.score(uri, key, body)
    (socket,) = installation.instances() - known
    return Endpoint(uri, key, socket)
