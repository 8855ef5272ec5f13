"""The SDK's own local deployments on a real Docker engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment
from azure.core.credentials import AccessToken, TokenCredential
from docker_engine import Engine, running_engine

from local_deployments import ADDING, LocalDeployment, that_listens
from running_service import wait_for


class NoCredential(TokenCredential):
    """Local deployments of local files ask nobody for anything."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Fail the test."""
        raise AssertionError("a local deployment asked for a token")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(autouse=True)
def on_the_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps its local endpoints there
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    yield
    left = engine.client().containers.list(all=True, filters={"label": "azureml-local-endpoint"})
    # What the SDK's builds leave are ended containers of build steps, without a label: it does not ask to remove them.
    assert left + engine.client().containers.list() == []


@pytest.fixture
def ml() -> MLClient:
    return MLClient(NoCredential(), "subscription", "group", "workspace", enable_telemetry=False)


@pytest.fixture(params=["built by the SDK", "as it is"])
def environment(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Environment:
    """An environment without a conda file: an image that the SDK builds on; or starts, when it says how it listens."""
    as_it_is = request.param == "as it is"
    return that_listens(engine.image, tmp_path) if as_it_is else Environment(image=engine.image)


def test_a_deployment_is_scored_mended_in_place_and_deleted(
    ml: MLClient, environment: Environment, tmp_path: Path
) -> None:
    local = LocalDeployment.of(ml, tmp_path, environment)
    local.create_endpoint()
    assert local.deploy().provisioning_state == "Succeeded"
    assert wait_for(lambda: answered(local, 1, 2), "the first answer") == [11, 12]
    assert local.invoke(5) == [15]
    assert "the amount is 10" in local.log()
    local.write(ADDING.replace("number + amount", "number - amount"))
    local.deploy()
    assert wait_for(lambda: answered(local, 1, 2), "the first answer of the new script") == [-9, -8]
    assert local.endpoint in local.names()
    local.delete()
    assert local.endpoint not in local.names()


def answered(local: LocalDeployment, *numbers: int) -> list[int] | None:
    """Return the answer; None while the server is not yet there, and Docker resets connections to its port."""
    import requests

    try:
        return local.score(*numbers)
    except requests.ConnectionError:
        return None
