"""Tags on requests, as azure-core hands them to a client's hook.

Addresses and places of tags are those of the service's OpenAPI:
https://learn.microsoft.com/rest/api/azureml/ (2024-10-01).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest as OldRequest
from azure.core.rest import HttpRequest

from helpers import tags

WORKSPACE = (
    "https://management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices"
    "/workspaces/w"
)
REGISTRIES = WORKSPACE.replace("workspaces/w", "registries")
MINE = {"azureml-workbook-run": "nightly-7", "azureml-workbook-lesson": "deploy"}


@pytest.fixture(autouse=True)
def _of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_WORKBOOK_RUN", "nightly-7")
    monkeypatch.setenv("AZUREML_WORKBOOK_LESSON", "deploy")


def sent(request: Any) -> Any:
    """The body that leaves after the hook."""
    tags.tag(PipelineRequest(request, PipelineContext(None)))
    assert request.headers["Content-Length"] == str(len(request.body))
    return json.loads(request.body)


def without_time(tagged: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tagged.items() if name != "azureml-workbook-started"}


@pytest.mark.parametrize(
    "address",
    [
        f"{WORKSPACE}/onlineEndpoints/e?api-version=1",
        f"{WORKSPACE}/onlineEndpoints/e/deployments/blue",
        f"{WORKSPACE}/batchEndpoints/e",
        f"{WORKSPACE}/batchEndpoints/e/deployments/blue",
        f"{WORKSPACE.lower()}/computes/c",
        f"{REGISTRIES}/r",
    ],
)
@pytest.mark.parametrize("kind", [HttpRequest, OldRequest])
def test_resources_have_tags_beside_their_properties(address: str, kind: Any) -> None:
    request = kind("PUT", address)
    request.set_json_body({"tags": {"team": "payments", "azureml-workbook-run": "older"}, "properties": {"é": 1}})
    body = sent(request)
    assert without_time(body["tags"]) == {"team": "payments", **MINE}
    assert body["properties"] == {"é": 1}


@pytest.mark.parametrize(
    "address",
    [
        f"{WORKSPACE}/jobs/j",
        f"{WORKSPACE}/schedules/s",
        f"{WORKSPACE}/models/m/versions/1",
        f"{WORKSPACE}/data/d/versions/1",
        f"{WORKSPACE}/components/c/versions/1",
        f"{WORKSPACE}/environments/e/versions/1",
    ],
)
def test_jobs_and_assets_have_them_among_their_properties(address: str) -> None:
    body = sent(HttpRequest("PUT", address, json={"properties": {"tags": None}}))
    assert without_time(body["properties"]["tags"]) == MINE
    assert "tags" not in body


def test_jobs_that_a_schedule_will_make_have_them_too() -> None:
    action = {"actionType": "CreateJob", "jobDefinition": {"jobType": "Pipeline", "tags": {"a": "b"}}}
    body = sent(HttpRequest("PUT", f"{WORKSPACE}/schedules/s", json={"properties": {"action": action}}))
    assert without_time(body["properties"]["action"]["jobDefinition"]["tags"]) == {"a": "b", **MINE}


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("PATCH", f"{WORKSPACE}/computes/c", {"properties": {}}),
        ("POST", f"{WORKSPACE}/jobs/j/cancel", {"properties": {}}),
        ("PUT", f"{WORKSPACE}/components/azureml_anonymous/versions/1", {"properties": {"isAnonymous": True}}),
        ("PUT", f"{WORKSPACE}/codes/c/versions/1", {"properties": {}}),
        ("PUT", f"{WORKSPACE}/datastores/d", {"properties": {}}),
        ("PUT", WORKSPACE, {"properties": {}}),
        ("PUT", "https://account.blob.core.windows.net/jobs/j", {"properties": {}}),
    ],
)
def test_everything_else_goes_as_it_is(method: str, address: str, body: dict[str, Any]) -> None:
    assert sent(HttpRequest(method, address, json=body)) == body


def test_who_works_by_hand_is_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = tags.tags({"JPY_SESSION_NAME": "/home/ann/notebooks/02_realtime/01_deploy.ipynb"})
    assert without_time(by_hand) == {"azureml-workbook-run": "by-hand", "azureml-workbook-lesson": "01_deploy"}
    assert tags.tags({})["azureml-workbook-lesson"] == "unknown"
    assert len(tags.tags({"AZUREML_WORKBOOK_RUN": "x" * 999})["azureml-workbook-run"]) == 256
