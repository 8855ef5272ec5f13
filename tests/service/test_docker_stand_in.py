"""The SDK's own local deployments where no Docker engine is: docker-py, unmodified, and the stand-in for an engine.

Their truth is the same test on a real engine, tests/heavy/test_local_docker_engine.py, and the Engine API:
https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import docker
import pytest
import requests
import sklearn
import yaml
from azure.ai.ml import MLClient
from azure.ai.ml.constants._common import LROConfigurations
from azure.ai.ml.constants._endpoint import LocalEndpointConstants
from azure.ai.ml.entities import BuildContext, Environment
from azure.ai.ml.exceptions import (
    DockerEngineNotAvailableError,
    InvalidLocalEndpointError,
    LocalEndpointImageBuildError,
    LocalEndpointInFailedStateError,
)

from local_deployments import ADDING, BROKEN, INFERENCE_IMAGE, LocalDeployment, that_listens
from running_service import RunningService, wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
PYTHON = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"


@pytest.fixture(autouse=True)
def on_the_stand_in(service: RunningService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{service.home.docker_socket}")
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps its local endpoints there
    # The SDK waits so long for a container to start, whether or not it has; a request to the stand-in waits itself.
    monkeypatch.setattr(LocalEndpointConstants, "DEFAULT_STARTUP_WAIT_TIME_SECONDS", 0)
    monkeypatch.setattr(LROConfigurations, "SLEEP_TIME", 0.05)


@pytest.fixture
def engine(on_the_stand_in: None) -> docker.DockerClient:
    return docker.from_env()


@pytest.fixture
def local(ml: MLClient, tmp_path: Path, engine: docker.DockerClient) -> LocalDeployment:
    """An endpoint without a deployment. After the test it is deleted, and nothing of it left."""
    local = LocalDeployment.of(ml, tmp_path, Environment(image=IMAGE))
    local.create_endpoint()
    yield local
    local.delete()
    assert engine.containers.list(all=True, filters={"label": f"endpoint={local.endpoint}"}) == []


def test_it_is_scored_without_a_key_mended_in_place_and_deleted(
    local: LocalDeployment, engine: docker.DockerClient
) -> None:
    assert local.deploy().provisioning_state == "Succeeded"
    assert local.score(1, 2) == [11, 12]
    assert local.invoke(5) == [15]
    assert "the amount is 10" in local.log()
    (container,) = engine.containers.list(filters={"label": f"endpoint={local.endpoint}"})
    assert local.uri() == f"http://localhost:{container.ports['5001/tcp'][0]['HostPort']}/score"
    assert container.ports["5001/tcp"][0]["HostIp"] == "127.0.0.1"
    # Of another length: Python takes a file for the same that has length and second of the compiled one.
    local.write(ADDING.replace("number + amount", "(number - amount)"))
    local.deploy()
    assert local.score(1, 2) == [-9, -8]
    assert local.endpoint in local.names()


def test_the_image_of_the_course_is_built_and_started_as_it_is(
    local: LocalDeployment, engine: docker.DockerClient, tmp_path: Path
) -> None:
    arguments = {"BASE": PYTHON, "PACKAGES": f"scikit-learn=={sklearn.__version__}"}
    image, said = engine.images.build(path=str(INFERENCE_IMAGE), tag="of-the-course:1", buildargs=arguments)
    assert "stand-in for Docker: no containers" in "".join(line.get("stream", "") for line in said)
    assert image.tags == ["of-the-course:1"]
    local.environment = that_listens("of-the-course:1", tmp_path)
    local.deploy()
    assert local.score(1) == [11]


def test_a_conda_file_gives_the_packages(local: LocalDeployment, tmp_path: Path) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text(yaml.safe_dump({"dependencies": [{"pip": ["no-such-package-anywhere==1.2.3"]}]}))
    local.environment = Environment(image=IMAGE, conda_file=conda)
    with pytest.raises(LocalEndpointImageBuildError, match="no-such-package-anywhere"):
        local.deploy()
    conda.write_text(yaml.safe_dump({"dependencies": [{"pip": [f"scikit-learn=={sklearn.__version__}"]}]}))
    local.environment = Environment(image=IMAGE, conda_file=conda)
    local.deploy()
    assert local.score(1) == [11]


@pytest.mark.parametrize(
    ("as_it_is", "error"), [(True, InvalidLocalEndpointError), (False, LocalEndpointImageBuildError)]
)
def test_an_image_that_does_not_exist_is_named(
    local: LocalDeployment, tmp_path: Path, as_it_is: bool, error: type[Exception]
) -> None:
    absent = "example.org/absent:7"
    local.environment = that_listens(absent, tmp_path) if as_it_is else Environment(image=absent)
    with pytest.raises(error, match=absent):
        local.deploy()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("USER nobody", "does not support USER in a Dockerfile"),
        ("HEALTHCHECK CMD true", "does not support HEALTHCHECK in a Dockerfile"),
        ("RUN apt-get install --yes git", "RUN apt-get install --yes git: azureml-local supports only mkdir -p"),
        ("FROM python:3.11", "more than one FROM"),
        ("COPY ../../secret /x", "leads out of its folder"),
        ("COPY absent.txt /x", "COPY absent.txt /x: "),
        ("CMD start --now", "CMD start --now: "),
    ],
)
def test_what_a_build_cannot_do_is_named(local: LocalDeployment, tmp_path: Path, line: str, named: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\n{line}\n")
    local.environment = Environment(build=BuildContext(path=str(context), dockerfile_path="Dockerfile"))
    with pytest.raises(LocalEndpointImageBuildError) as raised:
        local.deploy()
    assert named in str(raised.value)


def test_a_build_carries_files_and_variables_over(local: LocalDeployment, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "amount.json").write_text("1000")
    (context / "Dockerfile").write_text(
        f"# a comment\nFROM {IMAGE}\nARG WHERE=/data\nCOPY amount.json \\\n  /data/\nENV AMOUNT_DIR=${{WHERE}}\n"
    )
    local.environment = Environment(build=BuildContext(path=str(context), dockerfile_path="Dockerfile"))
    local.write(ADDING.replace("AZUREML_MODEL_DIR", "AMOUNT_DIR"))
    local.deploy()
    assert local.score(1) == [1001]


def test_a_broken_script_fails_says_so_and_is_mended_in_place(local: LocalDeployment) -> None:
    local.write(BROKEN)
    local.deploy()
    wait_for(lambda: local.state() == "Failed", "the state of the failed deployment")
    assert "No module named 'a_module_that_nobody_has'" in local.log()
    with pytest.raises(LocalEndpointInFailedStateError):
        local.invoke(1)
    local.write(ADDING)
    assert local.deploy().provisioning_state == "Succeeded"
    assert local.score(1) == [11]


def test_a_taken_port_is_refused(engine: docker.DockerClient) -> None:
    engine.images.pull(IMAGE, tag="latest")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        container = engine.containers.create(IMAGE, ports={"5001/tcp": number})
        with pytest.raises(docker.errors.APIError, match=f"port {number} of 127.0.0.1: .*already in use"):
            container.start()
    assert container.status == "created"
    container.remove()
    with pytest.raises(docker.errors.NotFound, match="No such container"):
        engine.containers.get(container.id)


def test_containers_stop_and_start_and_are_removed_when_they_have_stopped(
    local: LocalDeployment, engine: docker.DockerClient
) -> None:
    local.deploy()
    container = engine.containers.get(f"{local.endpoint}.blue")
    with pytest.raises(docker.errors.APIError, match="cannot remove a running container"):
        container.remove()
    with pytest.raises(docker.errors.APIError, match="already in use"):
        engine.containers.create(container.attrs["Config"]["Image"], name=container.name)
    container.stop()
    container.reload()
    assert container.status == "exited"
    assert container.ports == {"5001/tcp": None, "8883/tcp": None, "8888/tcp": None}
    container.start()
    assert local.score(1) == [11]
    container.restart()
    assert local.score(1) == [11]


def test_it_says_that_it_is_a_stand_in(local: LocalDeployment, engine: docker.DockerClient) -> None:
    said = "stand-in for Docker: no containers"
    assert said in engine.version()["Platform"]["Name"]
    local.deploy()
    assert said in local.log()
    with pytest.raises(docker.errors.APIError, match=r"stand-in for Docker does not support GET /v1\.41/networks"):
        engine.networks.list()


def test_logs_end_where_they_are_asked_to(local: LocalDeployment, engine: docker.DockerClient) -> None:
    local.deploy()
    local.score(1)
    container = engine.containers.get(f"{local.endpoint}.blue")
    assert container.logs(tail=1).count(b"\n") == 1
    assert container.logs(tail=0) == b""
    assert container.logs().startswith(b"azureml-local's stand-in")
    followed = engine.api.get(engine.api._url("/containers/{0}/logs", container.id), params={"follow": "1"})
    assert (followed.status_code, "logs that are followed" in followed.text) == (501, True)


def test_nobody_else_can_reach_it(service: RunningService) -> None:
    assert service.home.docker_socket.stat().st_mode & 0o077 == 0


def test_the_docker_command_may_name_the_socket_as_host(service: RunningService) -> None:
    """It does, percent-encoded: https://github.com/moby/moby/blob/master/client/request.go."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(service.home.docker_socket))
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: %2Ftmp%2Frun%2Fstand-in.sock\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"OK")


def test_without_an_engine_the_sdk_says_what_to_do(
    ml: MLClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    local = LocalDeployment.of(
        MLClient(ml._credential, "subscription", "group", "workspace"), tmp_path, Environment(image=IMAGE)
    )
    with pytest.raises(DockerEngineNotAvailableError, match="make sure Docker Engine is installed and running"):
        local.deploy()


def test_other_users_of_the_machine_need_no_key(local: LocalDeployment) -> None:
    """As with a container of Docker: the endpoint's auth_mode is not for deployments on this machine."""
    local.deploy()
    wrong = requests.post(local.uri(), json={"numbers": [1]}, headers={"Authorization": "Bearer wrong"}, timeout=60)
    assert wrong.json() == [11]
