"""The image of a learner, built without a network and run as the values for Kubernetes run it.

A pod's security context is Docker's options here: another user than root, a root file system that is read only, no
capabilities, no new privileges.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
import wheelhouses
import yaml
from docker_engine import BASE, DEBIAN, Engine, base_archive, network_as_before
from machine import free_port, program, root

import node_packages
from running_service import clean_environment, wait_for
from workshop import proxy

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "src/workshop/kubernetes/values.yaml").read_text(encoding="utf-8"))["singleuser"]
NEEDS = (*BASE, "python3-venv", "make", "curl", "tini")
TAG, BASE_TAG = "azureml-workbook:test", "python:debian"
AS_A_POD = (
    *("--rm", "--read-only", "--tmpfs", "/tmp:exec", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--user", f"{VALUES['uid']}:{VALUES['fsGid']}", "--volume", f"home:{VALUES['storage']['homeMountPath']}"),
)
LESSONS = ("01_score_your_first_model", "01_deploy_with_keys")
DEBIANS = Path("/usr/bin/docker")
MINUTES = 30
LEARNER, TOKEN = "ana", "a-token-of-the-test"


class Docker:
    """Docker's command line, at an engine of the test's own that has the image."""

    def __init__(self, engine: Engine) -> None:
        self.environment = {**clean_environment(), "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "1"}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [_client(), *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60 * MINUTES, check=False
        )

    def as_a_pod(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container without a network."""
        return self("run", *AS_A_POD, "--network", "none", TAG, *command)


def _client() -> str:
    """Return Debian's own client, where it is: it brings BuildKit along, for which others need a plugin."""
    return str(DEBIANS) if DEBIANS.exists() else program("docker", "docker.io")


@pytest.fixture(scope="module")
def docker(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Docker]:
    root("start a Docker engine")
    folder = tmp_path_factory.mktemp("engine")
    archive = base_archive(pytestconfig.cache.mkdir(f"{DEBIAN}-for-learners"), NEEDS)
    context = wheelhouses.unpack(wheelhouse, tmp_path_factory.mktemp("context"))
    shutil.copytree(wheelhouse, context / "wheelhouse", copy_function=os.link)
    with network_as_before():
        engine = Engine.start(folder)
        try:
            command_line = Docker(engine)
            engine.client().api.import_image(src=str(archive), repository=BASE_TAG)
            built = command_line(
                *("build", "--file", str(context / "src/workshop/image/Dockerfile"), "--tag", TAG, "--network", "none"),
                *("--build-arg", f"BASE={BASE_TAG}", "--build-arg", "WHEELHOUSE=wheelhouse", str(context)),
            )
            assert built.returncode == 0, built.stderr[-3000:]
            yield command_line
        finally:
            engine.stop()
    shutil.rmtree(folder)


def test_a_learner_is_not_root_and_changes_nothing_of_the_workbook(docker: Docker) -> None:
    said = docker.as_a_pod(
        "sh", "-c", "id -u; find /opt/workbook -writable | head; ls /home/learner/workbook/notebooks"
    )
    assert said.stdout.splitlines()[0] == str(VALUES["uid"])
    assert "/opt/workbook" not in said.stdout
    assert {"00_start", "02_realtime", "course.yml"} <= set(said.stdout.splitlines())


def test_lessons_pass_in_it_without_a_network(docker: Docker) -> None:
    run = f"cd ~/workbook && python -m course.run --solutions --jobs 1 {' '.join(LESSONS)}; azureml-local stop"
    ran = docker.as_a_pod("sh", "-c", f"{run.replace('; ', '; status=$?; ')}; exit $status")
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_the_home_outlives_the_container(docker: Docker) -> None:
    docker.as_a_pod("sh", "-c", "echo mine > 00_start/notes.txt")
    assert docker.as_a_pod("cat", "00_start/notes.txt").stdout == "mine\n"


@pytest.fixture
def hub(docker: Docker, tmp_path: Path) -> Iterator[str]:
    """A JupyterHub whose spawner runs the container; its address."""
    proxy.install()
    start = tmp_path / "start"
    options = " ".join(AS_A_POD)
    start.write_text(
        "#!/bin/sh\n"
        f"for name in $(env | sed -n 's/^\\(JUPYTERHUB_[A-Z_]*\\)=.*/\\1/p'); do kept=\"$kept --env $name\"; done\n"
        f'exec {program("docker", "docker.io")} run {options} --network host $kept {TAG} {VALUES["cmd"]} "$@"\n'
    )
    start.chmod(start.stat().st_mode | stat.S_IXUSR)
    address = f"http://127.0.0.1:{free_port()}"
    settings = tmp_path / "hub.py"
    settings.write_text(
        f"c.JupyterHub.bind_url = {address!r}\n"
        f"c.JupyterHub.hub_port = {free_port()}\n"
        f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{free_port()}'\n"
        f"c.ConfigurableHTTPProxy.command = [{str(node_packages.node())!r}, {str(proxy.MAIN)!r}]\n"
        "c.JupyterHub.authenticator_class = 'dummy'\n"
        "c.Authenticator.allow_all = True\n"
        "c.JupyterHub.spawner_class = 'simple'\n"
        f"c.Spawner.cmd = [{str(start)!r}]\n"
        f"c.Spawner.environment = {{'DOCKER_HOST': {docker.environment['DOCKER_HOST']!r}}}\n"
        "c.Spawner.start_timeout = c.Spawner.http_timeout = 300\n"
        f"c.JupyterHub.services = [{{'name': 'test', 'api_token': {TOKEN!r}}}]\n"
        "c.JupyterHub.load_roles = [{'name': 'test', 'services': ['test'],"
        " 'scopes': ['admin:users', 'admin:servers', 'access:servers']}]\n"
    )
    command = [sys.executable, "-m", "jupyterhub", "--config", str(settings)]
    with (tmp_path / "hub.log").open("w") as log:
        running = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(address, running), f"the hub, see {log.name}")
        yield address
    finally:
        running.terminate()  # it ends its servers first
        running.wait(120)


def _answers(address: str, hub: subprocess.Popen[bytes]) -> bool:
    assert hub.poll() is None
    try:
        return requests.get(f"{address}/hub/api", timeout=10).ok
    except requests.ConnectionError:
        return False


def _ask(method: str, address: str, **body: Mapping[str, str]) -> requests.Response:
    return requests.request(method, address, headers={"Authorization": f"token {TOKEN}"}, timeout=60, **body)


def test_jupyterhub_starts_it_and_a_kernel_runs_there(hub: str) -> None:
    assert _ask("POST", f"{hub}/hub/api/users/{LEARNER}").status_code == 201
    assert _ask("POST", f"{hub}/hub/api/users/{LEARNER}/server").status_code in (201, 202)

    def ready() -> bool:
        return bool(_ask("GET", f"{hub}/hub/api/users/{LEARNER}").json()["servers"].get("", {}).get("ready"))

    wait_for(ready, "the learner's server", timeout=300)
    listed = _ask("GET", f"{hub}/user/{LEARNER}/api/contents/00_start").json()["content"]
    assert "01_score_your_first_model.ipynb" in {entry["name"] for entry in listed}
    kernel = _ask("POST", f"{hub}/user/{LEARNER}/api/kernels", json={"name": "python3"})
    assert kernel.status_code == 201, kernel.text
    assert requests.get(f"{hub}/user/{LEARNER}/api/contents", timeout=60).status_code == 403  # nobody without a token
