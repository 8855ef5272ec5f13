"""A session that reaches the service without any variable set, endpoints to attack, and tokens to forge."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from targets import Endpoint

from running_service import RunningService

SECONDS = 60
API_VERSION = "2024-10-01"
ARM = "https://management.azure.com"


@pytest.fixture(scope="session")
def session(service: RunningService) -> Iterator[requests.Session]:
    """A session through the service's proxy that trusts its authority."""
    with requests.Session() as opened:
        opened.trust_env = False
        opened.proxies = {"https": f"http://127.0.0.1:{service.port}"}
        opened.verify = str(service.home.tls / "ca.pem")
        yield opened


@pytest.fixture(scope="session")
def token_for(service: RunningService, session: requests.Session) -> Callable[[str], str]:
    """Return the service's own token for an audience."""

    def token(audience: str) -> str:
        settings = service.settings
        answer = session.post(
            f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": settings.client_secret,
                "scope": f"{audience}/.default",
            },
            timeout=SECONDS,
        )
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["access_token"]
        return found

    return token


@pytest.fixture(scope="session")
def workspace(service: RunningService) -> str:
    """The id of the workspace."""
    settings = service.settings
    return (
        f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
    )


@pytest.fixture(scope="session")
def arm(session: requests.Session, token_for: Callable[[str], str], workspace: str) -> Callable[..., requests.Response]:
    """Send a request to Resource Manager; paths begin at the workspace."""
    token = token_for(ARM)

    def send(method: str, path: str, json: Any = None) -> requests.Response:
        return session.request(
            method,
            f"{ARM}{workspace}{path}",
            params={"api-version": API_VERSION},
            headers={"Authorization": f"Bearer {token}"},
            json=json,
            timeout=SECONDS,
        )

    return send


@pytest.fixture(scope="session")
def new_endpoint(arm: Callable[..., requests.Response]) -> Callable[[str], Endpoint]:
    """Return a new endpoint of an ``authMode``."""

    def create(mode: str) -> Endpoint:
        name = "e" + uuid.uuid4().hex[:10]
        begun = arm("PUT", f"/onlineEndpoints/{name}", {"location": "eastus", "properties": {"authMode": mode}})
        assert begun.status_code == 201, begun.text
        deadline = time.monotonic() + SECONDS
        while (found := arm("GET", f"/onlineEndpoints/{name}").json())["properties"]["provisioningState"] == "Creating":
            assert time.monotonic() < deadline
        keys = arm("POST", f"/onlineEndpoints/{name}/listKeys").json() if mode == "Key" else {}
        return Endpoint(name, found["properties"]["scoringUri"].split("/")[2], keys)

    return create


@pytest.fixture(scope="session")
def key_endpoint(new_endpoint: Callable[[str], Endpoint]) -> Endpoint:
    return new_endpoint("Key")


@pytest.fixture(scope="session")
def token_endpoint(new_endpoint: Callable[[str], Endpoint]) -> Endpoint:
    return new_endpoint("AADToken")
