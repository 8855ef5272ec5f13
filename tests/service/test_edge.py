"""The proxy: what it answers itself, what it refuses, what it carries untouched.

RFC 9110, 9.3.6 (CONNECT); design.md, "edge": an Azure host that is not served is refused with a message that names it.
"""

from __future__ import annotations

import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from azureml_local.edge.tls import Authority
from running_service import RunningService


def connect(service: RunningService, text: bytes, timeout: float = 30) -> bytes:
    """Send bytes to the proxy and return all that it answers until it closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout) as connection:
        connection.sendall(text)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize(
    "target",
    ["graph.microsoftonline.com:443", "management.core.windows.net:443", "x.azurecr.io:443",
     "x.queue.core.windows.net:443", "management.azure.com:8443",
     "MANAGEMENT.AZURE.COM.:80", "evilmanagement.azure.com:443"],
)  # fmt: skip
def test_azure_hosts_that_are_not_served_are_refused_by_name(target: str, service: RunningService) -> None:
    answer = connect(service, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 501 ")
    assert target.rpartition(":")[0].rstrip(".").lower() in body.decode()


@pytest.mark.parametrize(
    "target",
    ["management.azure.com", ":443", "host:0", "host:99999", "host:https", "", "a\r\nX: y:443", "x.\xff.azure.com:443"],
)
def test_connect_needs_a_host_and_a_port(target: str, service: RunningService) -> None:
    assert connect(service, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


def test_bytes_before_the_answer_are_refused(service: RunningService) -> None:
    text = b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    assert connect(service, text).startswith(b"HTTP/1.1 400 ")


def test_endless_head_is_refused(service: RunningService) -> None:
    assert connect(service, b"CONNECT x:443 HTTP/1.1\r\nA: " + b"x" * 17000).startswith(b"HTTP/1.1 431 ")


def test_health_on_plain_http(service: RunningService) -> None:
    answer = requests.get(f"http://127.0.0.1:{service.port}/", timeout=30)
    assert (answer.status_code, answer.text) == (200, "azureml-local\n")


def test_curl_through_the_environment(service: RunningService) -> None:
    curl = shutil.which("curl")
    assert curl, "the test needs curl"
    url = f"https://management.azure.com/subscriptions/{service.settings.subscription_id}?api-version=2022-12-01"
    finished = subprocess.run(
        [curl, "-sS", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result} %{http_version}", url],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert finished.stdout.split()[:2] == ["401", "0"]
    refused = subprocess.run(
        [curl, "-sS", "https://x.queue.core.windows.net/"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    assert "501" in refused.stderr


def test_only_those_who_ask_for_it_trust_the_authority(service: RunningService) -> None:
    """design.md: never added to the system's trust store."""
    import certifi

    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": f"http://127.0.0.1:{service.port}"}
        session.verify = certifi.where()
        with pytest.raises(requests.exceptions.SSLError):
            session.get("https://management.azure.com/", timeout=30)


def test_telemetry_is_taken_and_kept_nowhere() -> None:
    """design.md: "the edge answers the telemetry hosts too"."""
    answer = requests.post("https://dc.services.visualstudio.com/v2/track", json=[{"secret": 1}], timeout=30)
    assert answer.status_code == 200
    assert answer.json()["errors"] == []


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        body = b"hello from outside " + b"x" * 1_000_000
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(str(len(body)))))
        self.end_headers()
        self.wfile.write(str(len(body)).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server for ``localhost`` under an authority of the test's own; its port, and that authority's file."""
    authority = Authority(tmp_path, ("localhost",))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.socket = authority.context_for("localhost").wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], authority.certificate_file
    server.shutdown()
    thread.join()
    server.server_close()


def through_proxy(service: RunningService, verify: Path) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"https": f"http://127.0.0.1:{service.port}"}
    session.verify = str(verify)
    return session


def test_other_hosts_are_tunnelled_untouched(service: RunningService, outside: tuple[int, Path]) -> None:
    """The client sees the other server's own certificate, so that nobody has read along."""
    port, authority = outside
    with through_proxy(service, authority) as session:
        answer = session.get(f"https://localhost:{port}/", timeout=30)
        assert answer.text.startswith("hello from outside")
        assert len(answer.content) == 1_000_019
        assert session.post(f"https://localhost:{port}/", data=b"y" * 3_000_000, timeout=30).text == "3000000"
    with through_proxy(service, service.home.tls / "ca.pem") as session, pytest.raises(requests.exceptions.SSLError):
        session.get(f"https://localhost:{port}/", timeout=30)


def test_tunnel_ends_when_either_side_does(service: RunningService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", service.port), 30) as client:
            client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            far, _ = server.accept()
            far.settimeout(30)
            far.sendall(b"hello")
            assert client.recv(5) == b"hello"
            client.sendall(b"last words")
            client.shutdown(socket.SHUT_WR)
            assert far.recv(100) == b"last words"
            assert far.recv(1) == b""  # the end is passed on, and the other direction stays open
            far.sendall(b"answer")
            assert client.recv(6) == b"answer"
            far.close()
            assert client.recv(1) == b""


def test_host_that_does_not_answer_502(service: RunningService) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        answer = connect(service, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert f"127.0.0.1:{port}".encode() in answer


def test_old_tls_is_refused(service: RunningService) -> None:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/tls-support: TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(service.home.tls / "ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", service.port), 30) as connection:
        connection.sendall(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(connection, server_hostname="management.azure.com")
