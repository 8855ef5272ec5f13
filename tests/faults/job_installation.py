"""A service with a cluster that may be killed and started again, and the jobs that run on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from clients import Clients

from running_service import (
    RunningService,
    command_line,
    command_of,
    family,
    start_service,
    survivors,
    users_of,
    wait_for,
)

API = {"api-version": "2024-10-01"}
ENDED = ("Completed", "Failed", "Canceled")


@dataclass
class Installation:
    """A service with one cluster; it may be another process of it after a kill."""

    root: Path
    service: RunningService

    def __post_init__(self) -> None:
        """Connect."""
        self.clients = Clients(self.service)
        self.token = self.clients.credential.get_token("https://management.azure.com/.default").token

    def start_again(self) -> None:
        """Start a service after its end."""
        self.service = start_service(self.root)
        self.__post_init__()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        settings = self.service.settings
        url = (
            f"https://management.azure.com/subscriptions/{settings.subscription_id}/resourceGroups/"
            f"{settings.resource_group}/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.clients.session.request(method, url + path, json=body, params=API, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def set_up(self) -> None:
        self.cluster = self.create_cluster("killed")
        image = {"properties": {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"}}
        self.environment = self.request("PUT", "/environments/tiny/versions/1", image)["id"]

    def create_cluster(self, name: str, nodes: int = 2, priority: str = "Dedicated") -> str:
        """Create a cluster whose nodes stay once they are there, and return its id."""
        scale = {"minNodeCount": 0, "maxNodeCount": nodes, "nodeIdleTimeBeforeScaleDown": "PT600S"}
        properties = {"vmSize": "STANDARD_DS3_V2", "vmPriority": priority, "scaleSettings": scale}
        body = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": properties}}
        cluster = self.request("PUT", f"/computes/{name}", body)
        self.is_made(f"/computes/{name}")
        return str(cluster["id"])

    def is_made(self, path: str) -> None:
        """Wait until what is at a path has been made."""
        wait_for(lambda: self.request("GET", path)["properties"]["provisioningState"] == "Succeeded", path)

    def status(self, name: str) -> str:
        return str(self.request("GET", f"/jobs/{name}")["properties"]["status"])

    def reaches(self, name: str, *statuses: str) -> str:
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [self.status(name)]
            return found[0] in statuses

        wait_for(is_there, f"{name} is {statuses}")
        return found[0]

    def error(self, name: str) -> str:
        """Return the message of why a job failed; nothing where it did not."""
        error = self._run_history(f"{name}/details")["error"]
        return str(error["error"]["message"]) if error else ""

    def steps(self, name: str) -> dict[str, str]:
        """Return the statuses of a pipeline job's steps, by the names of their jobs."""
        return {run["runId"]: run["status"] for run in self._run_history(f"{name}/children")["value"]}

    def _run_history(self, path: str) -> Any:
        workspace = self.cluster.partition("/computes/")[0]
        answer = self.clients.session.get(
            f"https://eastus.api.azureml.ms/history/v1.0{workspace}/runs/{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        return answer.json()

    def blobs(self, name: str) -> dict[str, str]:
        """Return the texts of everything in storage that has the job's name, by what follows it."""
        found = {}
        for container in self.clients.blobs.list_containers():
            client = self.clients.blobs.get_container_client(container.name)
            for blob in client.list_blob_names():
                if name in blob:
                    text = client.download_blob(blob).readall().decode(errors="replace")
                    found[blob.partition(f"{name}/")[2]] = text
        return found


@contextmanager
def installed() -> Iterator[Installation]:
    """Yield an installation in a folder of its own, and hold that nothing of it is left."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        found = Installation(root, start_service(root))
        found.set_up()
        yield found
        before = family(found.service.pid)
        assert command_line(root, "stop").returncode == 0
        assert survivors(before) + users_of(root) == []
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def of(installation: Installation, *words: str, without: str = "") -> psutil.Process:
    """Return the one process of the service whose command line has all these words."""

    def found() -> list[psutil.Process]:
        members = psutil.Process(installation.service.pid).children(recursive=True)
        lines = [(process, command_of(process)) for process in members]
        return [
            process
            for process, line in lines
            if all(word in line for word in words) and not (without and without in line)
        ]

    return wait_for(found, f"there is {words}")[0]
