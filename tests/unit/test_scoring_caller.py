"""Whom the router takes a caller for: what the traffic log names must have been proved."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from azureml_local.arm.access.assigned_roles import assign
from azureml_local.arm.online.online_endpoints import TYPE
from azureml_local.dataplane.scoring import ScoringRouter
from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.identity import audiences, roles
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.tokens import Principal, TokenService
from azureml_local.store import Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/e"
HOST = "e.eastus.inference.ml.azure.com"
ANN, BOB = Principal("ann", "ann-object"), Principal("bob", "bob-object")


class Asked:
    """A router with one endpoint without deployments, and what it notes of its callers; Ann may score."""

    def __init__(self, folder: Path, mode: str, access: str) -> None:
        self.tokens = TokenService(folder / "key.pem", "tenant")
        store = Store(folder / "store.db")
        properties = {
            "authMode": mode,
            "publicNetworkAccess": access,
            "scoringUri": f"https://{HOST}/score",
            "traffic": {},
            "mirrorTraffic": {},
        }
        self.endpoint = store.put(ENDPOINT, TYPE, WORKSPACE, {"properties": properties}, "maker")
        store.put_secret(ENDPOINT, {"primaryKey": "k1", "secondaryKey": "k2"})
        assign(store, ENDPOINT, roles.BY_NAME["azureml data scientist"], ANN, by="maker")
        self.router = ScoringRouter(store, None, self.tokens, Authorizer(store))  # type: ignore[arg-type]
        self.router.refresh(ENDPOINT)
        self.noted: list[Exchange] = []
        self.router.listen(self.noted.append)

    def token(self, holder: Principal, audience: str = audiences.MACHINE_LEARNING[0]) -> str:
        return self.tokens.issue(holder, audience)[0]

    def caller(self, shown: str) -> tuple[int, str | None]:
        """Return the status of a request that shows a credential, and whom the router took its caller for."""
        headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {shown}".encode())]
        scope = {"method": "POST", "raw_path": b"/score", "query_string": b"", "http_version": "1.1"}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Any) -> None:
            pass

        asyncio.run(self.router({**scope, "headers": headers}, receive, send))
        return self.noted[-1].status, self.noted[-1].caller


def test_identity_whose_token_is_accepted_is_named(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "AADToken", "Enabled")
    assert asked.caller(asked.token(ANN)) == (404, "ann-object")


@pytest.mark.parametrize("holder", [ANN, BOB])
def test_who_is_refused_is_not_named(holder: Principal, tmp_path: Path) -> None:
    asked = Asked(tmp_path, "AADToken", "Enabled")
    head, payload, _ = asked.token(ANN).split(".")
    assert asked.caller(f"{head}.{payload}.forged") == (401, None)
    assert asked.caller(asked.token(holder, "https://management.azure.com")) == (401, None)
    assert asked.caller(asked.token(BOB)) == (401, None)


def test_closed_endpoint_takes_nobodys_word(tmp_path: Path) -> None:
    """Its network's door comes first: the token has not been looked at."""
    asked = Asked(tmp_path, "AADToken", "Disabled")
    head, payload, _ = asked.token(ANN).split(".")
    assert asked.caller(f"{head}.{payload}.forged") == (403, None)
    assert asked.caller(asked.token(ANN)) == (403, None)


def test_key_and_token_of_the_endpoint_name_nobody(tmp_path: Path) -> None:
    """Whoever has them may call; in whose hands they are by now they do not tell."""
    assert Asked(tmp_path, "Key", "Enabled").caller("k2") == (404, None)
    asked = Asked(tmp_path, "AMLToken", "Enabled")
    own = audiences.of_online_endpoint(ENDPOINT, asked.endpoint.created_at)
    assert asked.caller(asked.token(BOB, own)) == (404, None)
