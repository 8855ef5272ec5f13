"""Nodes run what reaches them over Dask's port: only this service may reach them (design.md, "Safe by default").

https://distributed.dask.org/en/stable/tls.html: a scheduler and workers that require TLS take no connection from who
has no certificate of their authority.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from distributed import Client
from distributed.security import Security

from azureml_local import admin
from azureml_local.edge.tls import self_signed
from azureml_local.engines.compute import node
from running_service import RunningService, command_of, family, wait_for

ARM = "https://management.azure.com"
API_VERSION = "2024-10-01"
SECONDS = 60


@pytest.fixture(scope="module")
def scheduler(
    service: RunningService, session: requests.Session, token_for: Callable[[str], str], workspace: str
) -> Iterator[str]:
    """The scheduler's address, while a cluster has a node."""
    name = f"n{uuid.uuid4().hex[:8]}"
    url = f"{ARM}{workspace}/computes/{name}"
    scale = {"minNodeCount": 1, "maxNodeCount": 1}
    cluster = {"computeType": "AmlCompute", "properties": {"vmSize": "Standard_DS1_v2", "scaleSettings": scale}}
    headers = {"Authorization": f"Bearer {token_for(ARM)}"}
    query = {"api-version": API_VERSION}
    body = {"location": "eastus", "properties": cluster}
    made = session.put(url, json=body, params=query, headers=headers, timeout=SECONDS)
    assert made.status_code == 201, made.text

    def has_node() -> bool:
        nodes = admin.call(service.home, "GET", "/nodes")  # of clusters that are being deleted, too
        return "idle" in {node["state"] for node in nodes if node["compute"].endswith(f"/{name}")}

    wait_for(has_node, "an idle node")
    connections = psutil.Process(service.pid).net_connections("inet")
    ports = {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
    asked = {one.raddr.port for node in nodes_of(service) for one in node.net_connections("inet") if one.raddr}
    (port,) = ports & asked - {service.port}
    yield f"tls://127.0.0.1:{port}"
    assert session.delete(url, params=query, headers=headers, timeout=SECONDS).status_code == 202


def nodes_of(service: RunningService) -> list[psutil.Process]:
    """Return the processes that are nodes."""
    return [process for process in family(service.pid) if "azureml_local.engines.compute.node" in command_of(process)]


def listening(service: RunningService) -> set[tuple[str, int]]:
    """Return where the service and all that it has started listen."""
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in family(service.pid)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_nothing_listens_beyond_this_machine(service: RunningService, scheduler: str) -> None:
    found = listening(service)
    assert ("127.0.0.1", urlsplit(scheduler).port) in found
    assert {address for address, _ in found} == {"127.0.0.1"}


def test_scheduler_and_nodes_serve_no_pages(service: RunningService, scheduler: str) -> None:
    """Dask's own servers for pages listen on ports of their own: there is only the scheduler's port, and the node's."""
    counts = []
    for process in nodes_of(service):
        with contextlib.suppress(psutil.NoSuchProcess):  # it leaves meanwhile
            ports = [one.laddr.port for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
            counts.append(len(ports))
            assert len(ports) <= (0 if "guard.py" in command_of(process) else 1)
    assert 1 in counts
    for port in {port for _, port in listening(service)} - {service.port}:
        for path in ("/status", "/info/main/workers.html", "/json/counts.json"):
            try:
                answer = requests.get(f"http://127.0.0.1:{port}{path}", timeout=SECONDS, proxies={"http": ""})
            except requests.RequestException:
                continue
            assert "dask" not in answer.text.lower()


def test_who_has_the_services_certificate_submits(service: RunningService, scheduler: str) -> None:
    """So that the refusals below are for want of it."""
    folder = service.home.jobs / "nodes"
    with Client(scheduler, security=node.security(folder), set_as_default=False) as client:
        assert client.submit(sum, (1, 2)).result(timeout=SECONDS) == 3


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "a certificate of its own"])
def test_who_has_another_submits_nothing(
    service: RunningService, scheduler: str, tmp_path: Path, encrypted: bool
) -> None:
    trusted = str(service.home.jobs / "nodes/dask.pem")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    self_signed(certificate, key, "stranger")
    own = {"tls_client_cert": str(certificate), "tls_client_key": str(key)}
    security = Security(tls_ca_file=trusted, require_encryption=True, **own) if encrypted else None
    address = scheduler if encrypted else scheduler.replace("tls://", "tcp://")
    with pytest.raises(OSError):
        Client(address, security=security, timeout=3, set_as_default=False)


def test_who_has_none_hears_nothing(service: RunningService, scheduler: str) -> None:
    context = ssl.create_default_context(cafile=str(service.home.jobs / "nodes/dask.pem"))
    context.check_hostname = False
    port = urlsplit(scheduler).port
    assert port is not None
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS) as plain,
        context.wrap_socket(plain) as connection,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate required"),
    ):
        connection.recv(1)


def test_the_certificate_is_the_users_alone(service: RunningService, scheduler: str) -> None:
    folder = service.home.jobs / "nodes"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "dask.key").stat().st_mode & 0o077 == 0
