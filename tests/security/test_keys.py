"""The keys of an endpoint: one header, exactly the key, and only this endpoint's present ones.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint; the bodies of the 401s: issue
98265 of azure-docs. An endpoint without deployments answers 404 to whoever is let in.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from targets import Endpoint

from raw_client import exchange
from running_service import RunningService

SOURCES = Path(__file__).parents[2] / "src" / "azureml_local"


def status_of(service: RunningService, endpoint: Endpoint, *headers: str, target: str = "/score") -> int:
    head = "\r\n".join((f"POST {target} HTTP/1.1", f"Host: {endpoint.host}", "Content-Length: 2", *headers))
    answer = exchange(service, endpoint.host, head.encode("latin-1") + b"\r\n\r\n{}")
    assert answer is not None
    assert all(key.encode() not in answer.body for key in endpoint.keys.values())
    return answer.status


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer  ", "Bearer \t"])
def test_key_under_each_spelling_of_the_scheme(scheme: str, service: RunningService, key_endpoint: Endpoint) -> None:
    """RFC 9110, 11.1: the scheme is case-insensitive."""
    for key in key_endpoint.keys.values():
        assert status_of(service, key_endpoint, f"Authorization: {scheme}{key}") == 404


CHANGES: dict[str, Callable[[str], str]] = {
    "other case": str.swapcase,
    "upper case": str.upper,
    "cut": lambda key: key[:-1],
    "first character": lambda key: key[0],
    "longer": lambda key: key + "x",
    "led by": lambda key: "x" + key,
    "reversed": lambda key: key[::-1],
    "twice": lambda key: f"{key}, {key}",
    "quoted": lambda key: f'"{key}"',
    "with a scheme more": lambda key: f"Bearer {key}",
    "NUL-like": lambda key: key + "%00",
    "empty": lambda key: "",
    "blank": lambda key: "   ",
    "None": lambda key: "None",
    "null": lambda key: "null",
    "star": lambda key: "*",
    "not ASCII": lambda key: key[:-1] + "\xfc",
    "long": lambda key: key * 200,
}


@pytest.mark.parametrize("change", CHANGES)
def test_nearly_the_key_is_not_the_key(change: str, service: RunningService, key_endpoint: Endpoint) -> None:
    for key in key_endpoint.keys.values():
        assert status_of(service, key_endpoint, f"Authorization: Bearer {CHANGES[change](key)}") == 401


@pytest.mark.parametrize(
    "headers",
    [
        "Authorization: {key}",
        "Authorization: Basic {key}",
        "Authorization: SharedKey {key}",
        "Authorization: Bearer{key}",
        "X-Authorization: Bearer {key}",
        "api-key: {key}",
        "Ocp-Apim-Subscription-Key: {key}",
        "Cookie: key={key}",
        "Proxy-Authorization: Bearer {key}",
    ],
)
def test_key_elsewhere_is_not_seen(headers: str, service: RunningService, key_endpoint: Endpoint) -> None:
    key = key_endpoint.keys["primaryKey"]
    assert status_of(service, key_endpoint, headers.format(key=key)) == 401


@pytest.mark.parametrize("name", ["key", "api-key", "code", "access_token", "authorization", "subscription-key"])
def test_key_in_the_query_is_neither_taken_nor_logged(
    name: str, service: RunningService, key_endpoint: Endpoint
) -> None:
    key = key_endpoint.keys["primaryKey"]
    assert status_of(service, key_endpoint, target=f"/score?{name}={key}") == 401
    for log in service.home.logs.iterdir():
        assert key not in log.read_text(errors="replace")


def test_two_authorizations_400(service: RunningService, key_endpoint: Endpoint) -> None:
    """RFC 9110, 5.3: which of them counts would be a matter of taste, and tastes differ along the way."""
    right, wrong = f"Authorization: Bearer {key_endpoint.keys['primaryKey']}", "Authorization: Bearer x"
    for pair in ((right, wrong), (wrong, right), (right, right), (right, "authorization:")):
        assert status_of(service, key_endpoint, *pair) == 400


def test_header_that_is_named_as_one_of_a_hop_still_counts(service: RunningService, key_endpoint: Endpoint) -> None:
    """``Connection: authorization`` makes a careless proxy drop the header (RFC 9110, 7.6.1)."""
    key = f"Authorization: Bearer {key_endpoint.keys['primaryKey']}"
    assert status_of(service, key_endpoint, key, "Connection: authorization, host, close") == 404
    assert status_of(service, key_endpoint, "Authorization: Bearer x", "Connection: authorization") == 401


def test_key_of_another_endpoint(
    service: RunningService, key_endpoint: Endpoint, new_endpoint: Callable[[str], Endpoint]
) -> None:
    other = new_endpoint("Key")
    key = f"Authorization: Bearer {other.keys['primaryKey']}"
    assert status_of(service, other, key) == 404
    assert status_of(service, key_endpoint, key) == 401
    assert status_of(service, key_endpoint, key, f"X-Forwarded-Host: {other.host}") == 401


def test_old_key_is_dead_on_open_connections_too(
    service: RunningService,
    session: requests.Session,
    arm: Callable[..., requests.Response],
    new_endpoint: Callable[[str], Endpoint],
) -> None:
    endpoint = new_endpoint("Key")
    url, headers = f"https://{endpoint.host}/score", {"Authorization": f"Bearer {endpoint.keys['primaryKey']}"}
    assert session.post(url, json={}, headers=headers, timeout=60).status_code == 404
    answer = arm("POST", f"/onlineEndpoints/{endpoint.name}/regenerateKeys", {"keyType": "Primary"})
    assert answer.status_code == 200
    assert session.post(url, json={}, headers=headers, timeout=60).status_code == 401


def test_endpoint_that_takes_tokens_has_no_keys(
    service: RunningService, arm: Callable[..., requests.Response], token_endpoint: Endpoint
) -> None:
    for action, body in (("listKeys", None), ("regenerateKeys", {"keyType": "Primary"})):
        assert arm("POST", f"/onlineEndpoints/{token_endpoint.name}/{action}", body).status_code == 400
    assert status_of(service, token_endpoint, "Authorization: Bearer ") == 401


SECRETS = {"key", "keys", "secret", "client_secret", "identity_header", "storage_key", "signature", "digest", "token",
           "password", "credential"}  # fmt: skip


def _name_of(node: ast.expr) -> str:
    """Return the last name of an expression: ``secret`` of ``self.settings.secret``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def compared_secrets(source: str) -> list[int]:
    """Return the lines that compare what is called a secret by ``==``, ``!=`` or ``in``, but for ``None`` and text that
    stands in the source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            sides = (node.left, *node.comparators)
            if any(_name_of(side) in SECRETS for side in sides) and not any(isinstance(s, ast.Constant) for s in sides):
                found.append(node.lineno)
    return found


def test_secrets_are_compared_in_constant_time_only() -> None:
    """``==`` ends at the first difference, and so tells how much of a guess was right (CWE-208)."""
    assert compared_secrets("if given == settings.client_secret: pass") == [1]
    assert compared_secrets("if key in route.keys: pass") == [1]
    checked = [path for part in ("identity", "dataplane") for path in (SOURCES / part).glob("*.py")]
    assert len(checked) >= 8
    assert {path.name: lines for path in checked if (lines := compared_secrets(path.read_text()))} == {}
