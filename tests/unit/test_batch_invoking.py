"""azureml_local.arm.batch.batch_jobs.invoke: which deployments answer, before anything is made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm.batch import batch_deployments, batch_endpoints, batch_jobs
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.identity.tokens import Principal
from azureml_local.store import Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ENDPOINT = f"{WORKSPACE}/batchEndpoints/e"


def invoked(folder: Path, **deployment: Any) -> AzureError:
    """Return what an invocation of an endpoint is refused with, whose deployment is so."""
    store = Store(folder / "state.db")
    body = {"properties": {"defaults": {"deploymentName": "d"}}}
    endpoint = store.put(ENDPOINT, batch_endpoints.TYPE, WORKSPACE, body, "author")
    store.put(f"{ENDPOINT}/deployments/d", batch_deployments.TYPE, ENDPOINT, {"properties": deployment}, "author")
    context: Any = SimpleNamespace(store=store)
    with pytest.raises(FrontendError) as refused:
        batch_jobs.invoke(context, endpoint, None, {"properties": {}}, Principal("client", "author"))
    store.close()
    return refused.value


def test_deployment_whose_environment_is_being_made(tmp_path: Path) -> None:
    """That of an MLflow model, which the service makes of the model's files."""
    error = invoked(tmp_path, provisioningState="Updating", environmentId=None)
    assert (error.status, "its environment is being made" in error.message) == (409, True)


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Deleting"])
def test_deployment_that_is_of_no_use(tmp_path: Path, state: str) -> None:
    error = invoked(tmp_path, provisioningState=state, environmentId="e")
    assert (error.status, f"is in the state {state}" in error.message) == (400, True)
