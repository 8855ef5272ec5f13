"""SIGKILL of the service under a pipeline within a pipeline: both go on where they were, or end as they were to.

Truth: the README ("what was acknowledged stays"); statuses and children as in tests/service/test_pipeline_jobs.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from job_installation import ENDED, Installation, installed

from running_service import command_line, command_of, family, survivors, users_of, wait_for


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as installation:
        yield installation


def component(installation: Installation, command: str, **inputs: str) -> str:
    """Register a command component, and return its id; each of its runs is a run of its own."""
    spec = {
        "type": "command",
        "command": command,
        "environment": f"azureml:{installation.environment}",
        "inputs": {name: {"type": kind} for name, kind in inputs.items()},
        "outputs": {"out": {"type": "uri_folder"}},
        "is_deterministic": "False",
    }
    name = f"c{uuid.uuid4().hex[:8]}"
    body = {"properties": {"componentSpec": spec}}
    return str(installation.request("PUT", f"/components/{name}/versions/1", body)["id"])


def submit(installation: Installation, folder: Path) -> str:
    """Submit a pipeline: ``first``, then, within another pipeline, ``second``, which waits for a file, then ``third``.

    Each writes down that it begins.
    """
    counted = f"echo $0 >> {folder}/begun; "
    first = component(installation, counted.replace("$0", "first") + "echo 1 > ${{outputs.out}}/text")
    second = component(
        installation,
        counted.replace("$0", "second")
        + f"while [ ! -e {folder}/gate ]; do sleep 0.05; done; "
        + "cat ${{inputs.data}}/text > ${{outputs.out}}/text",
        data="uri_folder",
    )
    third = component(
        installation,
        counted.replace("$0", "third") + "cat ${{inputs.data}}/text > ${{outputs.out}}/text",
        data="uri_folder",
    )

    def node(kind: str, made_of: str, **members: Any) -> dict[str, Any]:
        return {"type": kind, "componentId": made_of, **members}

    def given(text: str) -> dict[str, Any]:
        return {"data": {"job_input_type": "literal", "value": f"${{{{parent.{text}}}}}"}}

    result = {"out": {"type": "literal", "value": "${{parent.outputs.result}}"}}
    inner = {
        "type": "pipeline",
        "inputs": {"data": {"type": "uri_folder"}},
        "outputs": {"result": {"type": "uri_folder"}},
        "jobs": {
            "second": node("command", second, inputs=given("inputs.data")),
            "third": node("command", third, inputs=given("jobs.second.outputs.out"), outputs=result),
        },
    }
    name = f"inner{uuid.uuid4().hex[:8]}"
    installation.request("PUT", f"/components/{name}/versions/1", {"properties": {"componentSpec": inner}})
    properties = {
        "jobType": "Pipeline",
        "settings": {"default_compute": installation.cluster},
        "outputs": {"result": {"jobOutputType": "uri_folder"}},
        "jobs": {
            "first": node("command", first),
            "within": node(
                "pipeline",
                f"azureml:{name}:1",
                inputs=given("jobs.first.outputs.out"),
                outputs={"result": result["out"]},
            ),
        },
    }
    job = f"pipeline-{uuid.uuid4().hex[:8]}"
    installation.request("PUT", f"/jobs/{job}", {"properties": properties})
    return job


def begun(folder: Path) -> list[str]:
    path = folder / "begun"
    return path.read_text().split() if path.exists() else []


def children(installation: Installation, job: str) -> dict[str, tuple[str, str]]:
    """Return the name and the status of the job of each step, by the step."""
    settings = installation.service.settings
    url = (
        f"https://{settings.location}.api.azureml.ms/history/v1.0/subscriptions/{settings.subscription_id}"
        f"/resourceGroups/{settings.resource_group}/providers/Microsoft.MachineLearningServices/workspaces/"
        f"{settings.workspace}/runs/{job}/children"
    )
    headers = {"Authorization": f"Bearer {installation.token}"}
    answer = installation.clients.session.get(url, headers=headers, timeout=60)
    return {run["displayName"]: (run["runId"], run["status"]) for run in answer.json()["value"]}


def test_a_killed_service_goes_on_with_its_pipelines(installation: Installation, tmp_path: Path) -> None:
    job = submit(installation, tmp_path)
    wait_for(lambda: begun(tmp_path) == ["first", "second"], "the second step runs")
    members = [process for process in family(installation.service.pid) if "azurite" not in command_of(process)]
    before = children(installation, job)
    psutil.Process(installation.service.pid).kill()
    assert survivors(members, timeout=60) == []
    installation.start_again()
    wait_for(lambda: begun(tmp_path) == ["first", "second", "second"], "the second step runs again")
    (tmp_path / "gate").touch()
    assert installation.reaches(job, *ENDED) == "Completed"
    assert begun(tmp_path) == ["first", "second", "second", "third"]
    after = children(installation, job)
    assert {step: name for step, (name, _) in after.items()} == {step: name for step, (name, _) in before.items()}
    inner = children(installation, after["within"][0])
    assert [status for _, status in inner.values()] == ["Completed", "Completed"]
    assert installation.blobs(inner["third"][0])["out/text"] == "1\n"


def test_a_killed_service_ends_what_was_being_cancelled(installation: Installation, tmp_path: Path) -> None:
    """Whether the kill comes before or after the steps have ended."""
    job = submit(installation, tmp_path)
    wait_for(lambda: begun(tmp_path) == ["first", "second"], "the second step runs")
    installation.request("POST", f"/jobs/{job}/cancel")
    psutil.Process(installation.service.pid).kill()
    installation.start_again()
    assert installation.reaches(job, *ENDED) == "Canceled"
    found = children(installation, job)
    assert {step: status for step, (_, status) in found.items()} == {"first": "Completed", "within": "Canceled"}
    assert [status for _, status in children(installation, found["within"][0]).values()] == ["Canceled"]
    assert begun(tmp_path) == ["first", "second"]


def test_a_stopped_service_goes_on_with_its_pipelines(installation: Installation, tmp_path: Path) -> None:
    """Nothing of them is left meanwhile, nor a word of an unforeseen failure."""
    job = submit(installation, tmp_path)
    wait_for(lambda: begun(tmp_path) == ["first", "second"], "the second step runs")
    members = family(installation.service.pid)
    assert command_line(installation.root, "stop").returncode == 0
    assert survivors(members) + users_of(installation.root) == []
    (tmp_path / "gate").touch()
    installation.start_again()
    assert installation.reaches(job, *ENDED) == "Completed"
    assert begun(tmp_path) == ["first", "second", "second", "third"]
    log = (installation.root / "logs" / "service.log").read_text()
    assert "Traceback" not in log
    assert "was destroyed" not in log
