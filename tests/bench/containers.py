"""What a container costs a score: the same inference server in one, and in a process beside it.

Measured where a Docker engine answers: ``DOCKER_HOST``, or where engines listen usually. The image is the course's own,
on Docker's official image of this Python, or on the one that ``BENCH_BASE_IMAGE`` names.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import psutil
import requests
from comparing import OURS, compare, request
from endpoints import BODY
from load import Spec
from results import Row

from azureml_local.engines.inference_server import GUNICORN_CONFIG
from running_service import clean_environment, wait_for

SCRIPTS = Path(__file__).with_name("scripts")
IMAGE = Path(__file__).parents[2] / "environments" / "inference"
PYTHON = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
PROCESS = "the same server in a process"
# The published port of loopback is docker-proxy's, a program between client and container; its own address is not.
UNPUBLISHED = "the container at its own address"
LISTENS = 5001
# Seconds that the model takes, and what is wanted: the first shows what the way costs, the second is a usual model.
MODELS: Mapping[float, Mapping[str, str]] = {0: {}, 0.005: {PROCESS: "ratio >= 0.9"}}


def containers() -> Iterator[Row]:
    """Score in a container and in a process, in turns."""
    try:
        engine = docker.from_env()
        platform = engine.version().get("Platform", {}).get("Name", "")
    except docker.errors.DockerException as error:
        print(f"SKIPPED: scoring in a container, for no Docker engine answers: {error}", file=sys.stderr)
        return
    if "stand-in" in platform:
        print("SKIPPED: scoring in a container, for a stand-in answers in place of a Docker engine", file=sys.stderr)
        return
    base = os.environ.get("BENCH_BASE_IMAGE", PYTHON)
    image, _ = engine.images.build(path=str(IMAGE), buildargs={"BASE": base})
    for pause, goals in MODELS.items():
        with ExitStack() as running:
            published, unpublished = running.enter_context(_in_a_container(engine, image.id, pause))
            process = running.enter_context(_in_a_process(pause))
            specs = {OURS: published, PROCESS: process, UNPUBLISHED: unpublished}
            name = f"scoring in a container, model of {pause * 1000:g} ms"
            yield from compare(name, specs, 1, goals)


def _variables(folder: str, pause: float) -> dict[str, str]:
    return {"AML_APP_ROOT": folder, "AZUREML_ENTRY_SCRIPT": f"{folder}/pause.py", "PAUSE": str(pause)}


@contextmanager
def _in_a_container(engine: docker.DockerClient, image: str, pause: float) -> Iterator[tuple[Spec, Spec]]:
    """Yield how a container is asked at its published port, and at its own address."""
    container = engine.containers.run(
        image,
        detach=True,
        environment=_variables("/scripts", pause),
        volumes={str(SCRIPTS): {"bind": "/scripts", "mode": "ro"}},
        ports={f"{LISTENS}/tcp": ("127.0.0.1", None)},
    )
    try:
        container.reload()
        port = _served(int(container.ports[f"{LISTENS}/tcp"][0]["HostPort"]))
        address = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        pid = container.attrs["State"]["Pid"]
        yield _spec(port, pid), _spec(LISTENS, pid, address)
    finally:
        container.remove(force=True)


@contextmanager
def _in_a_process(pause: float) -> Iterator[Spec]:
    """Yield how a process is asked."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", str(GUNICORN_CONFIG), "--bind", f"127.0.0.1:{port}"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "azureml_inference_server_http.server.entry:app"],
            env={**clean_environment(), **_variables(str(SCRIPTS), pause)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _spec(_served(port), process.pid)
        finally:
            process.terminate()
            process.wait()


def _served(port: int) -> int:
    """Return the port once a score has come from there."""

    def score() -> bool:
        try:
            return requests.post(f"http://127.0.0.1:{port}/score", data=BODY, timeout=10).ok
        except requests.RequestException:
            return False

    wait_for(score, "the first score")
    return port


def _spec(port: int, server: int, host: str = "127.0.0.1") -> Spec:
    """Return how the server whose first process is ``server`` is asked; what works there is that one's only child."""
    (worker,) = psutil.Process(server).children()
    content = request("POST", "/score", f"{host}:{port}", {"Content-Type": "application/json"}, BODY)
    return Spec(address=port, host=host, request=content, server_pid=worker.pid)
