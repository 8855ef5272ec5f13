"""What the tests of jobs share: submitting one, waiting for it, and reading what it left in storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azure.ai.ml import MLClient, command
from azure.ai.ml.entities import Environment, Job
from azure.storage.blob import BlobServiceClient
from support import Arm

from running_service import wait_for

CLUSTER = "jobs-cluster"
IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
ENDED = ("Completed", "Failed", "Canceled")


@dataclass(frozen=True)
class Jobs:
    """Jobs on one cluster of the session's service."""

    ml: MLClient
    arm: Arm
    blobs: BlobServiceClient

    def submit(self, line: str, **options: Any) -> str:
        """Submit a command, and return the job's name. ``options`` are those of ``azure.ai.ml.command``."""
        options.setdefault("environment", Environment(image=IMAGE))
        options.setdefault("compute", CLUSTER)
        job: Job = self.ml.jobs.create_or_update(command(command=line, **options))
        assert job.name is not None
        return job.name

    def run(self, line: str, **options: Any) -> Ended:
        """Submit a command, wait for the job's end, and return how it ended."""
        return self.ended(self.submit(line, **options))

    def status(self, name: str) -> str:
        """Return a job's status."""
        return str(self.arm.get(f"/jobs/{name}").json()["properties"]["status"])

    def reaches(self, name: str, *statuses: str) -> str:
        """Wait until a job has one of these statuses, and return it."""

        def status() -> str | None:
            found = self.status(name)
            return found if found in statuses else None

        return str(wait_for(status, f"{name} is {' or '.join(statuses)}"))

    def ended(self, name: str) -> Ended:
        """Wait for a job's end, and return how it ended."""
        self.reaches(name, *ENDED)
        return self.step(name)

    def step(self, name: str) -> Ended:
        """Return how a job has ended that may be a step of a pipeline: such ones are known to run history alone."""
        details = self._details(name)
        error = details["error"]
        return Ended(self, name, details["status"], dict(error["error"]) if error else {})

    def _details(self, name: str) -> dict[str, Any]:
        settings = self.arm.settings
        answer = self.arm.session.get(
            f"https://{settings.location}.api.azureml.ms/history/v1.0{self.arm.workspace}/runs/{name}/details",
            headers={"Authorization": f"Bearer {self.arm.token}"},
            timeout=60,
        )
        return dict(answer.json())

    def files(self, container: str, prefix: str) -> dict[str, bytes]:
        """Return the blobs below a prefix, by what follows it in their names."""
        client = self.blobs.get_container_client(container)
        return {
            name.removeprefix(prefix): client.download_blob(name).readall()
            for name in client.list_blob_names(name_starts_with=prefix)
        }


@dataclass(frozen=True)
class Ended:
    """How a job ended, and what it left."""

    jobs: Jobs
    name: str
    status: str
    error: dict[str, Any]

    @property
    def artifacts(self) -> dict[str, bytes]:
        """The run's logs, and what it wrote to ``./outputs`` and ``./logs``."""
        return self.jobs.files("azureml", f"ExperimentRun/dcid.{self.name}/")

    @property
    def log(self) -> str:
        """What its one process said."""
        artifacts = self.artifacts
        assert "user_logs/std_log.txt" in artifacts, (self.error, sorted(artifacts))
        return artifacts["user_logs/std_log.txt"].decode()

    def output(self, name: str) -> dict[str, bytes]:
        """The files of a named output, where its place was not chosen."""
        container = self.jobs.ml.datastores.get("workspaceblobstore").container_name
        return self.jobs.files(container, f"azureml/{self.name}/{name}")
