"""One request is one request, for the edge and for whoever answers behind it.

RFC 9112, 6.3 (message body length), 11.2 (request smuggling) and 5.2 (obsolete line folding). What is ambiguous is
refused with 400 and the connection closed; the rest of it is never taken for another request.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
import requests
from targets import Endpoint

from raw_client import exchange, exchange_all, statuses
from running_service import RunningService

ARM = "management.azure.com"
SECOND = "GET /second HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"

HEADERS = {
    "length and chunks": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "chunks and length": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "two lengths": "Content-Length: 5\r\nContent-Length: 6",
    "two lengths in one": "Content-Length: 5, 6",
    "the same length twice": "Content-Length: 5\r\nContent-Length: 5",
    "the same length twice in one": "Content-Length: 5, 5",
    "length with a sign": "Content-Length: +5",
    "negative length": "Content-Length: -5",
    "length in hex": "Content-Length: 0x5",
    "length with a blank": "Content-Length: 1 5",
    "length with an underscore": "Content-Length: 1_0",
    "length that is no number": "Content-Length: five",
    "length of foreign digits": "Content-Length: \xb2",
    "empty length": "Content-Length:",
    "length beyond 64 bits": "Content-Length: 18446744073709551621",
    "length with a fraction": "Content-Length: 5.0",
    "chunked not last": "Transfer-Encoding: chunked, identity",
    "chunked not last, two headers": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "x chunked": "Transfer-Encoding: xchunked",
    "gzip only": "Transfer-Encoding: gzip",
    "identity": "Transfer-Encoding: identity",
    "chunked in quotes": 'Transfer-Encoding: "chunked"',
    "chunked with a parameter": "Transfer-Encoding: chunked;x=y",
    "blank before the colon": "Transfer-Encoding : chunked",
    "blank before the length's colon": "Content-Length : 5",
    "folded": "Transfer-Encoding:\r\n chunked",
    "folded length": "Content-Length: 5\r\n 0",
    "tab before the name": "X: y\r\n\tTransfer-Encoding: chunked",
    "line feed only": "X: y\nTransfer-Encoding: chunked",
    "return only": "X: y\rTransfer-Encoding: chunked",
    "NUL in a value": "X: y\0Transfer-Encoding: chunked",
    "no colon": "Transfer-Encoding",
    "empty name": ": chunked",
    "vertical tab": "Transfer-Encoding:\x0bchunked",
}  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("plane", ["arm", "scoring", "storage"])
def test_ambiguous_request_is_refused_and_nothing_after_it_is_read(
    plane: str, headers: str, service: RunningService, key_endpoint: Endpoint
) -> None:
    account = f"{service.settings.storage_account}.blob.core.windows.net"
    host = {"arm": ARM, "scoring": key_endpoint.host, "storage": account}[plane]
    text = f"POST /first HTTP/1.1\r\nHost: {host}\r\n{HEADERS[headers]}\r\n\r\n0\r\n\r\n"
    received = exchange_all(service, host, text.encode("latin-1") + SECOND.format(host=host).encode())
    assert statuses(received)[-1] == 400
    assert len(statuses(received)) == 1, received


BODIES = {
    "size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-1\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size with a blank before": b" 5\r\nhello\r\n0\r\n\r\n",
    "size beyond 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "size that is no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "line feed only": b"5\nhello\n0\n\n",
    "chunk longer than its size": b"3\r\nhello\r\n0\r\n\r\n",
    "return only after a chunk": b"5\r\nhello\r0\r\n\r\n",
    "bad extension": b"5;\x00=\r\nhello\r\n0\r\n\r\n",
    "line feed in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES)
def test_malformed_chunks_are_refused(body: str, service: RunningService) -> None:
    head = f"POST / HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    found = statuses(exchange_all(service, ARM, head + BODIES[body] + SECOND.format(host=ARM).encode()))
    assert len(found) <= 2
    assert found[-1] == 400, found


def test_chunks_with_extensions_are_read_as_one_body(service: RunningService) -> None:
    """RFC 9112, 7.1.1: a recipient ignores extensions that it does not know."""
    body = b'3;a=b\r\n{"a\r\n00002;c="d e"\r\n":\r\n2 ;x\r\n1}\r\n0\r\nX-Trailer: y\r\n\r\n'
    head = f"POST / HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    assert statuses(exchange_all(service, ARM, head + body)) in ([401], [400])


def test_endless_extension_431(service: RunningService) -> None:
    head = f"POST / HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\n\r\n5;".encode()
    assert statuses(exchange_all(service, ARM, head + b"a" * 1_000_000))[-1] == 431


def test_pipelined_requests_are_answered_in_order(service: RunningService, key_endpoint: Endpoint) -> None:
    """RFC 9112, 9.3.2. The second is for nobody; neither it nor its body is taken for the first one's."""
    host, key = f"Host: {key_endpoint.host}", f"Authorization: Bearer {key_endpoint.keys['primaryKey']}"
    first = f"POST /score HTTP/1.1\r\n{host}\r\n{key}\r\nContent-Length: 2\r\n\r\n{{}}"
    second = f"POST /score HTTP/1.1\r\n{host}\r\nContent-Length: 40\r\n\r\n{'GET / HTTP/1.1'.ljust(40)}"
    last = f"GET / HTTP/1.1\r\n{host}\r\n{key}\r\nConnection: close\r\n\r\n"
    received = exchange_all(service, key_endpoint.host, (first + second + last).encode())
    assert statuses(received) == [404, 401, 404]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_body_where_none_is_expected_is_read_past(method: str, service: RunningService) -> None:
    inner = f"GET /inner HTTP/1.1\r\nHost: {ARM}\r\n\r\n"
    text = f"{method} / HTTP/1.1\r\nHost: {ARM}\r\nContent-Length: {len(inner)}\r\n\r\n{inner}"
    assert statuses(exchange_all(service, ARM, (text + SECOND.format(host=ARM)).encode())) == [401, 401]


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0", "x"])
def test_upgrade_is_not_done_and_nothing_is_read_after_it(upgrade: str, service: RunningService) -> None:
    """RFC 9110, 7.8: a server may ignore it. What follows may be of the other protocol, so the connection is closed."""
    text = f"GET / HTTP/1.1\r\nHost: {ARM}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\r\n"
    assert statuses(exchange_all(service, ARM, (text + SECOND.format(host=ARM)).encode())) == [401]


def test_http_2_is_not_spoken(service: RunningService) -> None:
    received = exchange_all(service, ARM, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert statuses(received) in ([400], [])


@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a%0d%0aX-Injected:%201", "a\u010aX-Injected"]
)
def test_nothing_that_is_echoed_becomes_a_header(value: str, service: RunningService, workspace: str) -> None:
    """CWE-113. Correlation ids come back as headers, names in ``Location``."""
    for text in (
        f"GET / HTTP/1.1\r\nHost: {ARM}\r\nx-ms-correlation-request-id: {value}\r\nConnection: close\r\n\r\n",
        f"GET /?x={value} HTTP/1.1\r\nHost: {ARM}\r\nConnection: close\r\n\r\n",
    ):
        answer = exchange(service, ARM, text.encode("utf-8"))
        assert answer is not None
        assert "x-injected" not in answer.headers


def test_names_in_the_path_do_not_become_headers(
    arm: Callable[..., requests.Response], new_endpoint: Callable[[str], Endpoint]
) -> None:
    for name in ("a%0d%0aX-Injected:1", "a%0aX-Injected:1", "%C4%8D%C4%8A", "a\u2028b"):
        for path in (f"/models/{name}/versions/1", f"/datastores/{name}", f"/onlineEndpoints/{name}"):
            body = {
                "location": "eastus",
                "properties": {"authMode": "Key", "modelUri": "x", "datastoreType": "AzureBlob"},
            }
            answer = arm("PUT", path, body)
            assert answer.status_code == 400, answer.text
            assert "X-Injected" not in answer.headers


@pytest.mark.parametrize(
    "version", ["1\r\nX-Injected: 1", "2024-10-01\nX-Injected: 1", "\xbe", "日本", "x", "2024-10-1"]
)
def test_version_does_not_become_a_header(
    version: str, session: requests.Session, token_for: Callable[[str], str], workspace: str, key_endpoint: Endpoint
) -> None:
    """The addresses of an operation come back with the version that was asked for."""
    url = f"https://{ARM}{workspace}/onlineEndpoints/{key_endpoint.name}"
    headers = {"Authorization": f"Bearer {token_for('https://management.azure.com')}"}
    body = {"location": "eastus", "properties": {"authMode": "Key"}}
    answer = session.put(url, params={"api-version": version}, headers=headers, json=body, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidApiVersionParameter")
    assert "X-Injected" not in answer.headers


def test_storage_is_asked_for_what_was_authorised_only(
    service: RunningService, session: requests.Session, token_for: Callable[[str], str]
) -> None:
    """Between the edge and Azurite: whatever a client sends as a body, the next client on that connection gets its own
    answer."""
    host = f"{service.settings.storage_account}.blob.core.windows.net"
    token = token_for("https://storage.azure.com")
    container = "s" + uuid.uuid4().hex[:20]
    common = {"x-ms-version": "2021-12-02", "Authorization": f"Bearer {token}"}
    assert session.put(f"https://{host}/{container}?restype=container", headers=common, timeout=60).status_code == 201
    smuggled = f"DELETE /{container}?restype=container HTTP/1.1\r\nHost: {host}\r\n\r\n"
    for framing in (
        f"Content-Length: {len(smuggled)}\r\n\r\n{smuggled}",
        f"Transfer-Encoding: chunked\r\n\r\n{len(smuggled):x}\r\n{smuggled}\r\n0\r\n\r\n",
    ):
        name = uuid.uuid4().hex
        head = (
            f"PUT /{container}/{name} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            f"x-ms-version: 2021-12-02\r\nx-ms-blob-type: BlockBlob\r\n"
        )
        answer = exchange(service, host, (head + framing).encode())
        assert answer is not None
        if answer.status == 201:
            found = session.get(f"https://{host}/{container}/{name}", headers=common, timeout=60)
            assert found.text == smuggled
        listed = session.get(f"https://{host}/{container}?restype=container&comp=list", headers=common, timeout=60)
        assert listed.status_code == 200
        assert b"<EnumerationResults" in listed.content


def test_signature_of_the_client_is_replaced_where_a_token_is_shown(
    service: RunningService, session: requests.Session, token_for: Callable[[str], str]
) -> None:
    """A good token together with a signature in the query: one authorisation is judged, not whichever suits."""
    host = f"{service.settings.storage_account}.blob.core.windows.net"
    url = f"https://{host}/azureml?restype=container&sv=2021-12-02&sig=x&se=2000-01-01&sp=r&sr=c"
    headers = {"x-ms-version": "2021-12-02", "Authorization": "Bearer x"}
    assert session.get(url, headers=headers, timeout=60).status_code == 401
    headers["Authorization"] = f"Bearer {token_for('https://management.azure.com')}"
    assert session.get(url, headers=headers, timeout=60).status_code == 401
