"""A connection serves the host that it was asked for, and no other.

RFC 9110, 7.2 (Host), 7.4 (rejecting misdirected requests) and 15.5.20 (421); RFC 9112, 3.2 (exactly one Host; forms of
the request target). Azure's own front ends answer 403 or 421 to what is known as domain fronting.
"""

from __future__ import annotations

import pytest

from raw_client import exchange, read_answer, tunnel
from running_service import RunningService

ARM = "management.azure.com"


def get(service: RunningService, head: str, host: str = ARM) -> int:
    answer = exchange(service, host, head.encode("latin-1") + b"\r\n\r\n")
    assert answer is not None
    return answer.status


@pytest.mark.parametrize(
    "host",
    [ARM, f"{ARM}:443", "MANAGEMENT.Azure.com", f"{ARM}.", f"{ARM}.:443"],
)
def test_ways_to_write_the_same_host(host: str, service: RunningService) -> None:
    """401: the control plane asks for a token."""
    assert get(service, f"GET / HTTP/1.1\r\nHost: {host}") == 401


@pytest.mark.parametrize(
    "host",
    [
        "login.microsoftonline.com",
        "x.inference.ml.azure.com",
        "example.com",
        f"{ARM}.evil.example",
        f"evil{ARM}",
        f"{ARM}:80",
        f"{ARM}:4430",
        "127.0.0.1",
        "[::1]",
        f"{ARM}..",
    ],
)
def test_another_host_is_misdirected_421(host: str, service: RunningService) -> None:
    assert get(service, f"GET / HTTP/1.1\r\nHost: {host}") == 421


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Host:\r\n",
        f"Host: {ARM}\r\nHost: {ARM}\r\n",
        f"Host: {ARM}\r\nHost: login.microsoftonline.com\r\n",
        f"Host: user@{ARM}\r\n",
        f"Host: user:pass@{ARM}\r\n",
        f"Host: {ARM}, login.microsoftonline.com\r\n",
        f"Host: {ARM}/\r\n",
        f"Host: {ARM}:\r\n",
        f"Host: {ARM}:-1\r\n",
        f"Host: {ARM} x\r\n",
        "Host: m\xe4nagement.azure.com\r\n",
        f"Host: %6danagement.azure.com\r\nX-Forwarded-Host: {ARM}\r\n",
    ],
)  # fmt: skip
def test_request_must_have_one_host_400(headers: str, service: RunningService) -> None:
    assert get(service, f"GET / HTTP/1.1\r\n{headers}X: y") == 400


def test_before_http_1_1_the_host_was_optional(service: RunningService) -> None:
    assert get(service, "GET / HTTP/1.0\r\nX: y") == 401
    assert get(service, "GET / HTTP/1.0\r\nHost: login.microsoftonline.com") == 421


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"])
def test_headers_of_proxies_do_not_change_the_host(name: str, service: RunningService) -> None:
    assert get(service, f"GET / HTTP/1.1\r\nHost: {ARM}\r\n{name}: login.microsoftonline.com") == 401


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"https://{ARM}/", 401),
        (f"http://{ARM}:443/", 401),
        (f"HTTPS://{ARM}/x?y", 401),
        ("https://login.microsoftonline.com/", 421),
        ("http://169.254.169.254/metadata/identity/oauth2/token", 421),
        (f"https://user@{ARM}/", 400),
        ("file:///etc/passwd", 400),
        ("*", 400),
        (f"{ARM}:443", 400),
        (f"https://{ARM}", 400),
    ],
)
def test_target_in_absolute_form(target: str, status: int, service: RunningService) -> None:
    assert get(service, f"GET {target} HTTP/1.1\r\nHost: {ARM}") == status


def test_connect_within_a_connection_400(service: RunningService) -> None:
    assert get(service, f"CONNECT example.com:443 HTTP/1.1\r\nHost: {ARM}") == 400


def test_name_in_the_handshake_chooses_nothing(service: RunningService) -> None:
    """The certificate and the application are those of the CONNECT target, whatever the client says in TLS."""
    with tunnel(service, ARM, server_name="login.microsoftonline.com") as connection:
        certificate = connection.getpeercert()
        assert certificate is not None
        assert certificate["subjectAltName"] == (("DNS", ARM),)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: login.microsoftonline.com\r\n\r\n")
        answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 421


def test_host_of_a_trailer_is_not_believed(service: RunningService) -> None:
    """RFC 9110, 6.5.1: fields for routing and authentication must not come in trailers."""
    text = (
        f"POST / HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n"
        "0\r\nHost: login.microsoftonline.com\r\nAuthorization: Bearer x\r\n"
    )
    answer = exchange(service, ARM, text.encode() + b"\r\n")
    assert answer is not None
    assert answer.status == 401
    assert b"'Authorization' header is missing" in answer.body
