"""Fixtures of pytest for code that uses Azure Machine Learning: a service of the test session's own answers it.

Installed with this package, so that a project's tests need no more than to name a fixture. Nothing is started, and
nothing but this module imported, before the first test asks for one. With pytest-xdist each worker has a service.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

CONFIG = "azureml_config"


@dataclass(frozen=True)
class LocalWorkspace:
    """Where code finds a workspace of the service.

    ``config_file`` is what ``MLClient.from_config`` reads; ``environment`` the variables that lead Azure's clients to
    the service and name the workspace. This process has them already; a secret is among them.
    """

    subscription_id: str
    resource_group: str
    workspace_name: str
    config_file: Path
    environment: Mapping[str, str]

    def client(self) -> MLClient:
        """Return a client of azure-ai-ml for it."""
        from azure.ai.ml import MLClient
        from azure.identity import EnvironmentCredential

        names = (self.subscription_id, self.resource_group, self.workspace_name)
        return MLClient(EnvironmentCredential(), *names, enable_telemetry=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting that names the project's own ``config.json``."""
    text = "config.json of the workspace that azureml-local is to have, relative to the project (default: another one)"
    parser.addini(CONFIG, text, type="string", default="")


@pytest.fixture(scope="session")
def azureml_local(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """An Azure ML on this machine, for the whole session, and its workspace.

    From here to the end of the session the environment leads Azure's clients to it, in this process and in those that
    tests start.
    """
    from azureml_local.temporary_service import temporary_service

    named = pytestconfig.getini(CONFIG)
    config = pytestconfig.rootpath / named if named else None
    with temporary_service(config) as service, pytest.MonkeyPatch.context() as patch:
        variables = service.environment(os.environ)
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = service.settings
        names = (settings.subscription_id, settings.resource_group, settings.workspace)
        yield _workspace(names, tmp_path_factory.mktemp("workspace"), variables)


@pytest.fixture
def azureml_workspace(
    azureml_local: LocalWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalWorkspace]:
    """An empty workspace for one test, deleted afterwards with all that the test has left in it."""
    from azure.ai.ml.entities import Workspace

    name = f"test-{uuid.uuid4().hex[:12]}"
    workspaces = azureml_local.client().workspaces
    workspaces.begin_create(Workspace(name=name, location="eastus")).result()
    monkeypatch.setenv("AZUREML_WORKSPACE_NAME", name)
    names = (azureml_local.subscription_id, azureml_local.resource_group, name)
    variables = {**azureml_local.environment, "AZUREML_WORKSPACE_NAME": name}
    yield _workspace(names, tmp_path, variables)
    workspaces.begin_delete(name, delete_dependent_resources=False).result()


def _workspace(names: tuple[str, str, str], folder: Path, variables: Mapping[str, str]) -> LocalWorkspace:
    file = folder / "config.json"
    file.write_text(json.dumps(dict(zip(("subscription_id", "resource_group", "workspace_name"), names, strict=True))))
    return LocalWorkspace(*names, file, variables)


@pytest.fixture
def ml_client(azureml_local: LocalWorkspace) -> MLClient:
    """A client of azure-ai-ml for the session's workspace."""
    return azureml_local.client()
