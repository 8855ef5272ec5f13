"""azureml_local.identity.endpoint_identity: a secret is of one endpoint, and of none that comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from azureml_local.identity.directory import SYSTEM_ASSIGNED
from azureml_local.identity.endpoint_identity import PATH, EndpointIdentity
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Store

ENDPOINT = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/e"
)
QUERY = {"resource": "https://storage.azure.com"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def identities(store: Store, tmp_path: Path) -> EndpointIdentity:
    return EndpointIdentity(store, TokenService(tmp_path / "key.pem", "tenant"))


async def ask(identities: EndpointIdentity, secret: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=[identities.route()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(PATH, params=QUERY, headers={"secret": secret})


def create(store: Store, principal: str) -> None:
    properties = {"tenantId": "tenant", "principalId": principal, "clientId": f"client-{principal}"}
    store.put(ENDPOINT, "workspaces/onlineEndpoints", "", {"identity": {"type": "SystemAssigned"}}, "somebody")
    own = f"{ENDPOINT}/providers/{SYSTEM_ASSIGNED}/default"
    store.put(own, SYSTEM_ASSIGNED, ENDPOINT, {"properties": properties}, "somebody")


def test_secret_of_an_endpoint_that_was_deleted_is_worth_nothing_for_the_next_of_that_name(
    store: Store, identities: EndpointIdentity
) -> None:
    def holder(secret: str) -> str | int:
        """Return whose token one gets for a secret, or the status of the refusal."""
        answer = asyncio.run(ask(identities, secret))
        return str(answer.json()["client_id"]) if answer.status_code == 200 else answer.status_code

    create(store, "first")
    former = identities.variables(ENDPOINT, 1)["MSI_SECRET"]
    assert holder(former) == "client-first"
    assert identities.variables(ENDPOINT.upper(), 1)["MSI_SECRET"] == former  # ids have no case
    store.delete(ENDPOINT)
    assert holder(former) == 401
    create(store, "second")
    assert holder(former) == 401
    present = identities.variables(ENDPOINT, 1)["MSI_SECRET"]
    assert holder(present) == "client-second"


def test_endpoint_without_an_identity_finds_none(store: Store, identities: EndpointIdentity) -> None:
    store.put(ENDPOINT, "workspaces/onlineEndpoints", "", {"identity": {"type": "None"}}, "somebody")
    assert identities.variables(ENDPOINT, 1) == {}
    assert identities.variables(ENDPOINT + "2", 1) == {}
