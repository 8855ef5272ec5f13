"""``start --listen``: the edge beyond loopback, for who has a token, and for nothing but the hosts that it serves.

The addresses are this machine's loopback ones, which stand for any: what differs there is decided by the listener.
design.md: "one opt-in, --listen ADDR, TLS and tokens as always; nothing else binds outside".
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import requests

from azureml_local import admin
from azureml_local.edge import listening
from running_service import RunningService, command_line, start_service


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def place() -> tuple[str, int]:
    """Where the service listens besides: by IPv6, where this machine has it."""
    try:
        return "::1", free_port("::1")
    except OSError:
        return "127.0.0.1", free_port()


@pytest.fixture(scope="module")
def listener(place: tuple[str, int]) -> Iterator[RunningService]:
    """A service that listens there, too."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield start_service(root, None, "--listen", listening.Place(*place).at(place[1]))
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def said(place: tuple[str, int], text: bytes) -> bytes:
    """Return what is answered there until the connection closes."""
    with socket.create_connection(place, 30) as connection:
        connection.sendall(text)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_clients_reach_the_service_there_with_a_token(listener: RunningService, place: tuple[str, int]) -> None:
    settings = listener.settings
    with requests.Session() as session:
        session.trust_env = False
        session.verify = listener.environment["REQUESTS_CA_BUNDLE"]
        session.proxies = {"https": f"http://{listening.Place(*place).at(place[1])}"}
        group = f"https://management.azure.com/subscriptions/{settings.subscription_id}/resourceGroups"
        refused = session.get(f"{group}?api-version=2022-09-01", timeout=60)
        assert refused.status_code == 401
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        entra = f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token"
        token = session.post(entra, data=form, timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert session.get(f"{group}?api-version=2022-09-01", headers=headers, timeout=60).status_code == 200


def test_it_is_no_way_to_other_hosts(listener: RunningService, place: tuple[str, int]) -> None:
    for target in (
        "example.org:443",
        "127.0.0.1:22",
        "localhost:80",
        f"[::1]:{listener.port}",
        "management.azure.com:80",
    ):
        answer = said(place, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        assert answer.split()[1] in (b"403", b"501"), (target, answer)
    assert b"is no way to example.org" in said(place, b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")


def test_nothing_is_said_in_plain_text(listener: RunningService, place: tuple[str, int]) -> None:
    """On loopback the port also answers for managed identities, to who has a header that is secret."""
    header = listener.settings.identity_header
    resource = quote("https://management.azure.com", safe="")
    asked = f"GET /msi/token?resource={resource}&api-version=2019-08-01 HTTP/1.1\r\nX-IDENTITY-HEADER: {header}\r\n\r\n"
    for text in (asked.encode(), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
        answer = said(place, text)
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert b"token" not in answer


def test_status_and_doctor_say_so_and_nothing_else_listens(listener: RunningService, place: tuple[str, int]) -> None:
    where = listening.Place(*place).at(place[1])
    status = command_line(listener.home.root, "status")
    assert where in status.stdout
    doctor = command_line(listener.home.root, "doctor")
    assert f"runs on 127.0.0.1:{listener.port} and {where}" in doctor.stdout
    own = psutil.Process(listener.pid)
    found = {(one.laddr.ip, one.laddr.port) for one in own.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert {one for one in found if one[0] != "127.0.0.1"} <= {place}
    assert admin.call(listener.home, "GET", "/nodes") == []


def test_start_again_says_where_it_listens_and_changes_nothing(
    listener: RunningService, place: tuple[str, int]
) -> None:
    again = command_line(listener.home.root, "start")
    assert again.returncode == 0
    assert f"also listens on {listening.Place(*place).at(place[1])}" in again.stdout
    other = command_line(listener.home.root, "start", "--listen", f"127.0.0.1:{free_port()}")
    assert other.returncode == 1
    assert "stop it to have it listen elsewhere" in other.stderr


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("192.0.2.77", "192.0.2.77 is not an address of this machine, which has "),
        ("0.0.0.0", "0.0.0.0 stands for every address"),
        ("[::]:8443", ":: stands for every address"),
        ("myhost:8443", "'myhost' is no IP address"),
        ("127.0.0.1:0", "'0' is no port"),
        ("127.0.0.1:https", "'https' is no port"),
        ("127.0.0.1:70000", "'70000' is no port"),
    ],
)
def test_what_cannot_be_listened_at_is_refused_in_plain_words(tmp_path: Path, asked: str, words: str) -> None:
    refused = command_line(tmp_path / "s", "start", "--listen", asked)
    assert refused.returncode in (1, 2)
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = command_line(tmp_path / "s", "start", "--listen", f"127.0.0.1:{port}")
    assert refused.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use by another program" in refused.stderr


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.10", "192.0.2.10", None),
        ("192.0.2.10:8443", "192.0.2.10", 8443),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:8443", "2001:db8::1", 8443),
    ],
)
def test_addresses_are_read_with_and_without_a_port(text: str, address: str, port: int | None) -> None:
    assert listening.parse(text) == listening.Place(address, port)
