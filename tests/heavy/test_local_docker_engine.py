"""The SDK's own local deployments on a real Docker engine.

What is expected of them is documented at
https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints#deploy-and-debug-locally-by-using-a-local-endpoint
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment
from azure.ai.ml.exceptions import (
    DockerEngineNotAvailableError,
    InvalidLocalEndpointError,
    LocalEndpointImageBuildError,
    LocalEndpointInFailedStateError,
)
from azure.core.credentials import AccessToken, TokenCredential
from docker_engine import Engine, base_archive, running_engine
from lessons import named
from machine import program, root
from papermill_runs import PapermillRun

from local_deployments import ADDING, BROKEN, INFERENCE_IMAGE, LocalDeployment, that_listens
from running_service import RunningService, users_of, wait_for

LESSON_SECONDS = 900  # it builds an image


class NoCredential(TokenCredential):
    """Local deployments of local files ask nobody for anything."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Fail the test."""
        raise AssertionError("a local deployment asked for a token")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Engine]:
    root("start a Docker engine")
    folder = tmp_path_factory.mktemp("engine")
    with running_engine(folder, base_archive(pytestconfig.cache.mkdir("debian"))) as running:
        yield running
    assert users_of(folder) == []
    shutil.rmtree(folder)


@pytest.fixture
def ml(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MLClient]:
    """A client on the engine. After the test none of its containers is left."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps its local endpoints there
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    yield MLClient(NoCredential(), "subscription", "group", "workspace", enable_telemetry=False)
    left = engine.client().containers.list(all=True, filters={"label": "azureml-local-endpoint"})
    # What the SDK's builds leave are ended containers of build steps, without a label: it does not ask to remove them.
    assert left + engine.client().containers.list() == []


@pytest.fixture(params=["built on by the SDK", "as it is"])
def environment(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Environment:
    """An environment without a conda file, of an image that the SDK builds on, or that says how it listens."""
    return environment_of(engine.image, tmp_path, as_it_is=request.param == "as it is")


@pytest.fixture
def local(ml: MLClient, engine: Engine, tmp_path: Path) -> Iterator[LocalDeployment]:
    """An endpoint without a deployment, which is deleted after the test with what it then has."""
    local = LocalDeployment.of(ml, tmp_path, that_listens(engine.image, tmp_path))
    local.create_endpoint()
    yield local
    local.delete()


def environment_of(image: str, folder: Path, *, as_it_is: bool) -> Environment:
    """Return an environment with an inference_config, or without."""
    return that_listens(image, folder) if as_it_is else Environment(image=image)


def first_answer(local: LocalDeployment, *numbers: int) -> object:
    """Return the answer of a deployment, once its server listens: Docker publishes its port before, and resets."""

    def score() -> object:
        try:
            return local.score(*numbers)
        except requests.ConnectionError:
            return None

    return wait_for(score, "the first answer")


def test_it_is_scored_without_a_key_mended_in_place_and_deleted(
    local: LocalDeployment, environment: Environment, engine: Engine
) -> None:
    local.environment = environment
    assert local.deploy().provisioning_state == "Succeeded"
    assert first_answer(local, 1, 2) == [11, 12]
    assert local.invoke(5) == [15]
    assert "the amount is 10" in local.log()
    (container,) = engine.client().containers.list()
    published = container.ports["5001/tcp"][0]["HostPort"]
    assert local.uri() == f"http://localhost:{published}/score"
    local.write(ADDING.replace("number + amount", "number - amount"))
    local.deploy()
    assert first_answer(local, 1, 2) == [-9, -8]
    assert len(engine.client().containers.list()) == 1
    assert local.endpoint in local.names()


@pytest.mark.parametrize(
    ("as_it_is", "error", "says"),
    [
        (True, InvalidLocalEndpointError, "Could not find image"),
        (False, LocalEndpointImageBuildError, "not found"),
    ],
)
def test_an_image_that_does_not_exist_is_named(
    local: LocalDeployment, engine: Engine, tmp_path: Path, as_it_is: bool, error: type[Exception], says: str
) -> None:
    absent = engine.image.replace("inference:1", "absent:7")
    local.environment = environment_of(absent, tmp_path, as_it_is=as_it_is)
    with pytest.raises(error, match=says) as raised:
        local.deploy()
    assert absent in str(raised.value)


def test_a_broken_script_fails_says_so_and_is_mended_in_place(local: LocalDeployment) -> None:
    local.write(BROKEN)
    try:
        local.deploy()  # raises where the script has failed within the SDK's 15 seconds
    except LocalEndpointInFailedStateError as error:
        assert local.endpoint in str(error)
    wait_for(lambda: local.state() == "Failed", "the state of the failed deployment")
    assert "No module named 'a_module_that_nobody_has'" in local.log()
    with pytest.raises(LocalEndpointInFailedStateError):
        local.invoke(1)
    local.write(ADDING)
    assert local.deploy().provisioning_state == "Succeeded"
    assert first_answer(local, 1) == [11]


def test_a_taken_port_is_refused_and_the_sdk_takes_a_free_one(local: LocalDeployment, engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bound = {"5001/tcp": ("127.0.0.1", taken.getsockname()[1])}
        container = engine.client().containers.create(engine.image, ports=bound)
        with pytest.raises(docker.errors.APIError, match="address already in use"):
            container.start()
        assert container.status == "created"
        container.remove()
    with socket.socket() as usual:  # 5001 of this machine, which the SDK would name if it knew nothing better
        usual.bind(("127.0.0.1", 5001))
        local.deploy()
        assert first_answer(local, 1) == [11]
        assert ":5001/" not in local.uri()


def test_an_engine_that_goes_in_the_middle_is_said_and_its_deployment_is_made_anew(
    local: LocalDeployment, engine: Engine
) -> None:
    local.deploy()
    uri = local.uri()
    engine.stop()
    with pytest.raises(DockerEngineNotAvailableError, match="Docker Engine is installed and running"):
        MLClient(NoCredential(), "subscription", "group", "workspace").online_endpoints.list(local=True)
    with pytest.raises(requests.ConnectionError):
        requests.post(uri, json={"numbers": [1]}, timeout=10)
    engine.process = Engine.start(engine.folder).process
    assert local.state() == "Failed"
    assert local.deploy().provisioning_state == "Succeeded"
    assert first_answer(local, 1) == [11]


def test_the_docker_command_reads_the_stand_in(service: RunningService, tmp_path: Path) -> None:
    def command(*arguments: str, succeeds: bool = True) -> str:
        ended = subprocess.run(
            [program("docker", "docker.io"), *arguments],
            env={"DOCKER_HOST": f"unix://{service.home.docker_socket}", "HOME": str(tmp_path), "DOCKER_BUILDKIT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode == 0) is succeeds, ended.stderr
        return ended.stdout + ended.stderr

    assert "stand-in for Docker: no containers" in command("version")
    assert "Successfully built" in command("build", "--tag", "inference", str(INFERENCE_IMAGE))
    command("create", "--name", "one", "--publish-all", "inference")
    command("start", "one")
    assert "one" in command("ps", "--all")
    assert "stand-in for Docker" in command("logs", "one")
    assert '"Driver": "azureml-local\'s stand-in' in command("inspect", "one")
    assert "does not support POST /v1.41/networks/create" in command("network", "create", "any", succeeds=False)
    command("rm", "--force", "one")
    assert "one" not in command("ps", "--all").split()


def test_the_lesson_prints_the_same_with_an_engine(
    ml: MLClient, engine: Engine, service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lesson says that all of it is the same with an engine and with the stand-in, with which it is stored."""
    monkeypatch.setenv("AZUREML_LOCAL_HOME", str(service.home.root))
    lesson = named("deploy_locally_with_docker")
    run = PapermillRun.start(lesson, tmp_path / "run", "engine", parameters={"base_image": engine.base})
    run.assert_passes(LESSON_SECONDS)
    assert "stand-in" not in run.printed("stderr")
    run.assert_prints_what_is_stored()
