"""The SDK's own local deployments where no Docker engine is: docker-py, unmodified, and the stand-in for an engine."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants._common import LROConfigurations
from azure.ai.ml.constants._endpoint import LocalEndpointConstants
from azure.ai.ml.entities import Environment

from local_deployments import LocalDeployment
from running_service import RunningService

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"


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


def test_a_local_deployment_is_made_scored_and_deleted(ml: MLClient, tmp_path: Path) -> None:
    local = LocalDeployment.of(ml, tmp_path, Environment(image=IMAGE))
    local.create_endpoint()
    assert local.deploy().provisioning_state == "Succeeded"
    assert local.score(1, 2) == [11, 12]
    assert local.invoke(5) == [15]
    assert "the amount is 10" in local.log()
    assert local.endpoint in local.names()
    local.delete()
    assert local.endpoint not in local.names()
