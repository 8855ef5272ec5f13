"""SIGKILL of the service under a pipeline, within a step and between two: it goes on, and what has ended stays so.

Truth: a step is a job, which runs again when it was lost, and what a job has completed stays (test_killed_jobs.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from job_installation import ENDED, Installation, installed

from running_service import wait_for

# Notes each attempt, waits for the test, and hands on what came before.
COMMAND = """
echo attempt >> NOTES/${{inputs.step}}
while [ ! -e NOTES/gate-${{inputs.step}} ]; do sleep 0.05; done
$[[cat ${{inputs.before}}/done > ${{outputs.result}}/done;]] echo ${{inputs.step}} >> ${{outputs.result}}/done
"""
PLACE = "azureml://datastores/workspaceblobstore/paths"


@dataclass
class Pipelines:
    """A component that notes its attempts, and pipelines of two of it on clusters of their own."""

    installation: Installation
    notes: Path

    def set_up(self) -> None:
        """Register the component and make the second step's cluster."""
        spec = {
            "name": "noted",
            "version": "1",
            "type": "command",
            "command": COMMAND.replace("NOTES", str(self.notes)),
            "environment": f"azureml:{self.installation.environment}",
            "inputs": {"step": {"type": "string"}, "before": {"type": "uri_folder", "optional": True}},
            "outputs": {"result": {"type": "uri_folder"}},
        }
        body = {"properties": {"componentSpec": spec}}
        self.component = self.installation.request("PUT", "/components/noted/versions/1", body)["id"]
        self.second_cluster = self.installation.create_cluster("second", nodes=1)

    def submit(self) -> tuple[str, str]:
        """Submit a pipeline of two steps, and return its name and where its result comes to lie."""
        for file in self.notes.iterdir():
            file.unlink()
        name = f"pipeline-{uuid.uuid4().hex[:8]}"
        place = f"results/{name}"
        output = {"jobOutputType": "uri_folder", "uri": f"{PLACE}/{place}"}
        nodes = {
            "first": self._node("first", self.installation.cluster, {}),
            "second": self._node("second", self.second_cluster, {"before": "${{parent.jobs.first.outputs.result}}"}),
        }
        nodes["second"]["outputs"] = {"result": {"type": "literal", "value": "${{parent.outputs.result}}"}}
        properties = {
            "jobType": "Pipeline",
            "jobs": nodes,
            "outputs": {"result": output},
            "settings": {"force_rerun": True},
        }
        self.installation.request("PUT", f"/jobs/{name}", {"properties": properties})
        return name, place

    def _node(self, step: str, cluster: str, inputs: dict[str, str]) -> dict[str, Any]:
        literals = {"step": step, **inputs}
        return {
            "type": "command",
            "name": step,
            "componentId": self.component,
            "computeId": cluster,
            "inputs": {name: {"job_input_type": "literal", "value": value} for name, value in literals.items()},
            "_source": "REMOTE.WORKSPACE.COMPONENT",
        }

    def block(self) -> str:
        """Have a job take the second step's node until its gate opens, and return its name."""
        name = f"blocker-{uuid.uuid4().hex[:8]}"
        properties = {
            "jobType": "Command",
            "command": f"touch {self.notes}/blocks; while [ ! -e {self.notes}/gate-blocker ]; do sleep 0.05; done",
            "computeId": self.second_cluster,
            "environmentId": self.installation.environment,
        }
        self.installation.request("PUT", f"/jobs/{name}", {"properties": properties})
        wait_for(lambda: (self.notes / "blocks").exists(), "the second cluster is taken")
        return name

    def attempts(self, step: str) -> int:
        """Return how often a step has begun."""
        file = self.notes / step
        return file.read_text().count("attempt") if file.exists() else 0

    def begins(self, step: str, attempts: int = 1) -> None:
        """Wait until a step has begun so often."""
        wait_for(lambda: self.attempts(step) >= attempts, f"{step} has begun {attempts} times")

    def open(self, step: str) -> None:
        """Let a step end."""
        (self.notes / f"gate-{step}").touch()

    def steps(self, pipeline: str) -> dict[str, str]:
        """Return the status of each step of a pipeline."""
        installation = self.installation
        workspace = installation.cluster.partition("/computes/")[0]
        answer = installation.clients.session.get(
            f"https://eastus.api.azureml.ms/history/v1.0{workspace}/runs/{pipeline}/children",
            headers={"Authorization": f"Bearer {installation.token}"},
            timeout=60,
        )
        return {run["displayName"]: run["status"] for run in answer.json()["value"]}

    def kill(self) -> None:
        """Kill the service, and start it again."""
        psutil.Process(self.installation.service.pid).kill()
        self.installation.start_again()

    def result(self, place: str) -> str:
        """Return what the pipeline has made."""
        store = self.installation.request("GET", "/datastores/workspaceblobstore")["properties"]
        container = self.installation.clients.blobs.get_container_client(store["containerName"])
        return container.download_blob(f"{place}/done").readall().decode()


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    with installed() as installation:
        made = Pipelines(installation, tmp_path_factory.mktemp("notes"))
        made.set_up()
        yield made


@pytest.mark.parametrize("step", ["first", "second"])
def test_killed_within_a_step(step: str, pipelines: Pipelines) -> None:
    """The step begins again; one that had completed does not."""
    name, place = pipelines.submit()
    if step == "second":
        pipelines.open("first")
    pipelines.begins(step)
    pipelines.kill()
    pipelines.begins(step, attempts=2)
    pipelines.open("first")
    pipelines.open("second")
    assert pipelines.installation.reaches(name, *ENDED) == "Completed"
    assert pipelines.result(place) == "first\nsecond\n"
    other = "second" if step == "first" else "first"
    assert (pipelines.attempts(step), pipelines.attempts(other)) == (2, 1)


def test_killed_between_two_steps(pipelines: Pipelines) -> None:
    """The second step waits for a node when the service is killed."""
    name, place = pipelines.submit()
    pipelines.begins("first")
    pipelines.block()
    pipelines.open("first")
    wait_for(lambda: pipelines.steps(name) == {"first": "Completed", "second": "Queued"}, "it is between two steps")
    pipelines.kill()
    pipelines.open("blocker")
    pipelines.open("second")
    assert pipelines.installation.reaches(name, *ENDED) == "Completed"
    assert pipelines.result(place) == "first\nsecond\n"
    assert (pipelines.attempts("first"), pipelines.attempts("second")) == (1, 1)


def test_killed_again_and_again(pipelines: Pipelines) -> None:
    """Whenever it happens, the pipeline completes."""
    name, place = pipelines.submit()
    pipelines.open("first")
    pipelines.open("second")
    for _ in range(4):
        pipelines.kill()
    assert pipelines.installation.reaches(name, *ENDED) == "Completed"
    assert pipelines.result(place) == "first\nsecond\n"
