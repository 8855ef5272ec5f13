"""Which Docker engine is found: by the places that Docker documents, and by DOCKER_HOST, which docker-py reads."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local import docker_host


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers as an engine does to a ping."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where engines are looked for: here, and not on the machine that runs the test."""
    monkeypatch.setattr(docker_host, "DEFAULT", str(tmp_path / "default.sock"))
    monkeypatch.setattr(docker_host, "ELSEWHERE", (str(tmp_path / "desktop.sock"),))
    return tmp_path


@pytest.fixture
def engine(place: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An engine that listens where the test says."""
    path = place / request.param
    with socketserver.UnixStreamServer(str(path), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield str(path)
        server.shutdown()
        thread.join()


def test_without_an_engine_it_is_the_stand_in(place: Path) -> None:
    found = docker_host.variables(place / "run" / docker_host.STAND_IN, {})
    assert found == {"DOCKER_HOST": f"unix://{place}/run/stand-in.sock"}


@pytest.mark.parametrize("engine", ["default.sock"], indirect=True)
def test_an_engine_at_the_usual_place_is_found_without_a_variable(place: Path, engine: str) -> None:
    assert docker_host.variables(place / docker_host.STAND_IN, {}) == {}


@pytest.mark.parametrize("engine", ["desktop.sock"], indirect=True)
def test_an_engine_elsewhere_is_named(place: Path, engine: str) -> None:
    assert docker_host.variables(place / docker_host.STAND_IN, {}) == {"DOCKER_HOST": f"unix://{engine}"}


@pytest.mark.parametrize("named", ["tcp://10.0.0.1:2375", "unix:///nobody/listens.sock", "ssh://me@host"])
def test_what_the_user_has_named_stays(place: Path, named: str) -> None:
    assert docker_host.variables(place / docker_host.STAND_IN, {"DOCKER_HOST": named}) == {}


@pytest.mark.parametrize("engine", ["default.sock"], indirect=True)
def test_an_engine_that_was_started_since_replaces_a_stand_in(place: Path, engine: str) -> None:
    before = {"DOCKER_HOST": "unix:///elsewhere/run/stand-in.sock"}
    assert docker_host.variables(place / docker_host.STAND_IN, before) == {"DOCKER_HOST": f"unix://{engine}"}


def test_the_stand_in_of_a_service_that_was_replaced_is_replaced(place: Path) -> None:
    before = {"DOCKER_HOST": "unix:///elsewhere/run/stand-in.sock"}
    found = docker_host.variables(place / docker_host.STAND_IN, before)
    assert found == {"DOCKER_HOST": f"unix://{place}/stand-in.sock"}


def test_a_socket_without_an_engine_is_none(place: Path) -> None:
    import socket

    path = place / "default.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        assert not docker_host.answers(str(path))
