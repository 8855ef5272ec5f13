"""SIGKILL of the service under containers of the stand-in for Docker: their processes end, and the SDK says so."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from running_service import RunningService, command_line, family, start_service, survivors, users_of, wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
SCRIPT = "def init(): pass\ndef run(data): return 1"


@pytest.fixture
def started() -> Iterator[RunningService]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield start_service(root)
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def test_nothing_of_a_container_survives_the_service(started: RunningService, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    engine = docker.DockerClient(f"unix://{started.home.docker_socket}")
    engine.images.pull(IMAGE, tag="latest")
    container = engine.containers.run(
        f"{IMAGE}:latest",
        name="killed",
        detach=True,
        publish_all_ports=True,
        volumes=[f"{tmp_path}:/code"],
        environment={"AML_APP_ROOT": "/code", "AZUREML_ENTRY_SCRIPT": "score.py"},
    )
    container.reload()
    uri = f"http://127.0.0.1:{container.ports['5001/tcp'][0]['HostPort']}/score"
    assert requests.post(uri, data="{}", timeout=60).json() == 1
    processes = family(started.pid)
    os.kill(started.pid, signal.SIGKILL)
    wait_for(lambda: survivors(processes) == [], "the processes of the container end")
    with pytest.raises(docker.errors.DockerException):
        docker.DockerClient(f"unix://{started.home.docker_socket}")
    again = start_service(started.home.root)
    fresh = docker.DockerClient(f"unix://{again.home.docker_socket}")
    assert fresh.containers.list(all=True) == []
    assert not again.home.docker.exists()
    assert command_line(started.home.root, "stop").returncode == 0
    assert users_of(started.home.root) == []
