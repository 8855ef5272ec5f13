"""Web pages that a learner's browser shows must not be able to use the service.

A page can send requests to 127.0.0.1 (cross-site request forgery) and, with a name of its own that resolves to
127.0.0.1, read the answers (DNS rebinding). Fetch standard: a page may read what comes with
``Access-Control-Allow-Origin``, and may send headers of its own only after a preflight request was answered with
permission.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from targets import Endpoint

from raw_client import exchange
from running_service import RunningService

EVIL = "https://evil.example"
PERMISSIONS = ("access-control-allow-origin", "access-control-allow-headers", "access-control-allow-credentials",
               "access-control-allow-private-network")  # fmt: skip


def ask(service: RunningService, text: str) -> tuple[int, dict[str, str], bytes]:
    answer = exchange(service, None, text.encode())
    assert answer is not None
    return answer.status, answer.headers, answer.body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "127.0.0.2",
     "[::]", "management.azure.com"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/msi/token?resource=https://management.azure.com"])
def test_name_that_was_rebound_to_this_machine_421(path: str, host: str, service: RunningService) -> None:
    """Even with the secret, which no page knows."""
    status, _, body = ask(
        service,
        f"GET {path} HTTP/1.1\r\nHost: {host.format(port=service.port)}\r\n"
        f"X-IDENTITY-HEADER: {service.settings.identity_header}\r\n\r\n",
    )
    assert status == 421
    assert b"access_token" not in body


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "127.0.0.1", "LOCALHOST"])
def test_own_names_are_served(host: str, service: RunningService) -> None:
    status, _, body = ask(service, f"GET / HTTP/1.1\r\nHost: {host.format(port=service.port)}\r\n\r\n")
    assert (status, body) == (200, b"azureml-local\n")


def test_preflight_is_given_no_permission(service: RunningService) -> None:
    status, headers, _ = ask(
        service,
        f"OPTIONS /msi/token HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nOrigin: {EVIL}\r\n"
        "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-identity-header\r\n"
        "Access-Control-Request-Private-Network: true\r\n\r\n",
    )
    assert status == 405
    assert not set(PERMISSIONS) & set(headers)


def test_simple_request_of_a_page_gets_nothing(service: RunningService) -> None:
    for method in ("GET", "POST", "HEAD"):
        text = (
            f"{method} /msi/token?resource=https://management.azure.com HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
            f"Origin: {EVIL}\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        answer = exchange(service, None, text.encode(), method)
        assert answer is not None
        assert answer.status in (401, 405)
        assert not set(PERMISSIONS) & set(answer.headers)


def test_body_of_a_form_is_no_connect(service: RunningService) -> None:
    """A page's form can be any text, but it comes after the browser's own request line."""
    inner = "CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n"
    status, _, body = ask(
        service,
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(inner)}\r\n\r\n{inner}",
    )
    assert status == 405
    assert b"established" not in body


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_no_upgrade(upgrade: str, service: RunningService) -> None:
    status, _, _ = ask(
        service,
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: {EVIL}\r\n\r\n",
    )
    assert status == 200  # the plain page; never 101


def test_no_path_leads_a_browser_elsewhere(service: RunningService) -> None:
    own = f"http://127.0.0.1:{service.port}/"
    for path in ("/msi/token/", "//evil.example/", "/%2e%2e/", "/\\evil.example"):
        status, headers, _ = ask(service, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n")
        assert status in (200, 307, 400, 401, 404), (path, status)
        assert headers.get("location", own).startswith(own)


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/metadata/identity/oauth2/token?resource=x", "http://example.com/"]
)
def test_proxy_for_plain_http_it_is_not(target: str, service: RunningService) -> None:
    host = target.split("/")[2]
    status, _, _ = ask(service, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nMetadata: true\r\n\r\n")
    assert status == 421


def test_planes_permit_no_origin(
    service: RunningService,
    session: requests.Session,
    token_for: Callable[[str], str],
    workspace: str,
    key_endpoint: Endpoint,
    token_endpoint: Endpoint,
) -> None:
    """On the served hosts, with every right that a caller can have."""
    arm = {"Authorization": f"Bearer {token_for('https://management.azure.com')}"}
    storage = {"Authorization": f"Bearer {token_for('https://storage.azure.com')}", "x-ms-version": "2021-12-02"}
    account = service.settings.storage_account
    for url, headers in (
        (f"https://management.azure.com{workspace}?api-version=2024-10-01", arm),
        (f"https://{account}.blob.core.windows.net/azureml?restype=container", storage),
        (f"https://{key_endpoint.host}/score", {"Authorization": f"Bearer {key_endpoint.keys['primaryKey']}"}),
        (f"https://login.microsoftonline.com/{service.settings.tenant_id}/oauth2/v2.0/token", {}),
        ("https://eastus.api.azureml.ms/discovery", {}),
    ):
        origin = {"Origin": EVIL, "Access-Control-Request-Method": "GET"}
        for method in ("GET", "OPTIONS"):
            answer = session.request(method, url, headers={**headers, **origin}, timeout=60)
            assert not set(PERMISSIONS) & {name.lower() for name in answer.headers}, url
