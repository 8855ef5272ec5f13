"""azureml_local.service: what a job is told, without anything that runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from azureml_local.arm import ids
from azureml_local.engines.jobs.spec import CommandSpec
from azureml_local.engines.staging import BlobPath
from azureml_local.service import Service
from log_store import state_folder

SPEC = CommandSpec("", "j", "true", None, {}, {}, {}, {}, BlobPath("azureml", "ExperimentRun/dcid.j"))


@pytest.fixture
def service() -> Iterator[Service]:
    with state_folder() as home:
        made = Service(home, home.settings(), None)
        yield made
        made.store.close()


def test_job_of_a_deleted_identity_has_no_token_and_the_log_says_so(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A token would permit what nobody may do any more."""
    settings = service.settings
    names = {"subscription": settings.subscription_id, "resource_group": settings.resource_group, "workspace": "w"}
    workspace_id = ids.WORKSPACE.format(**names)
    uri = {"workspaceId": "guid", "mlFlowTrackingUri": "azureml://eastus.api.azureml.ms/mlflow/v1.0/w"}
    service.store.put(workspace_id, "workspaces", "", {"properties": uri}, "me")
    ann, _ = service.directory.create("ann")
    job_id = f"{workspace_id}/jobs/j"
    body = {"properties": {"experimentName": "e"}}
    service.store.put(job_id, "workspaces/jobs", workspace_id, body, ann.object_id)
    spec = replace(SPEC, id=job_id)
    with caplog.at_level(logging.WARNING, "azureml_local.service"):
        assert service._job_variables(spec)["MLFLOW_RUN_ID"] == "j"
        assert caplog.messages == []
        service.directory.delete("ann")
        assert not any(name.startswith("MLFLOW") for name in service._job_variables(spec))
    (message,) = caplog.messages
    assert job_id in message
    assert ann.object_id in message
