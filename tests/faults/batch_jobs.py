"""A batch endpoint whose model notes which mini-batches it has begun, and in which process."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from azure.storage.blob import ContainerClient
from job_installation import Installation

from running_service import wait_for

SCRIPT = Path(__file__).parent / "scripts" / "noted_lines.py"
ENDPOINT = "noted"
DATASTORE = "azureml://datastores/workspaceblobstore/paths"


@dataclass
class Batches:
    """The endpoint, with a deployment for each cluster, its input of so many files, and the notes."""

    installation: Installation
    notes: Path
    count: int

    def set_up(self) -> None:
        """Make the endpoint and upload the files."""
        installation = self.installation
        self.names = [f"{number:05}.txt" for number in range(self.count)]
        for name in self.names:
            self.container.upload_blob(f"noted/{name}", b"x")
        self._code = installation.clients.upload_code(SCRIPT)
        body = {"properties": {"modelUri": f"{DATASTORE}/noted/{self.names[0]}", "modelType": "custom_model"}}
        self._model = installation.request("PUT", "/models/none/versions/1", body)["id"]
        installation.request("PUT", f"/batchEndpoints/{ENDPOINT}", _located({"authMode": "AADToken"}))
        installation.is_made(f"/batchEndpoints/{ENDPOINT}")

    @property
    def container(self) -> ContainerClient:
        """The default datastore's container."""
        store = self.installation.request("GET", "/datastores/workspaceblobstore")["properties"]
        return self.installation.clients.blobs.get_container_client(store["containerName"])

    def deploy(self, name: str, cluster: str, nodes: int = 2, **properties: Any) -> None:
        """Deploy the script to a cluster."""
        path = f"/batchEndpoints/{ENDPOINT}/deployments/{name}"
        given = {
            "model": {"referenceType": "Id", "assetId": self._model},
            "codeConfiguration": {"codeId": self._code, "scoringScript": SCRIPT.name},
            "environmentId": self.installation.environment,
            "environmentVariables": {"NOTES": str(self.notes)},
            "compute": cluster,
            "resources": {"instanceCount": nodes},
            "miniBatchSize": 1,
            "maxConcurrencyPerInstance": 1,
            **properties,
        }
        self.installation.request("PUT", path, _located(given))
        self.installation.is_made(path)

    def invoke(self, deployment: str) -> tuple[str, str]:
        """Invoke a deployment, and return the job's name and where its predictions come to lie."""
        for file in self.notes.iterdir():
            file.unlink()
        clients = self.installation.clients
        token = clients.credential.get_token("https://ml.azure.com/.default").token
        place = f"predictions/{uuid.uuid4().hex}.csv"
        given = {
            "inputData": {"files": {"jobInputType": "UriFolder", "uri": f"{DATASTORE}/noted"}},
            "outputData": {"score": {"jobOutputType": "UriFile", "uri": f"{DATASTORE}/{place}"}},
        }
        answer = clients.session.post(
            f"https://{ENDPOINT}.eastus.inference.ml.azure.com/jobs",
            json={"properties": given},
            headers={"Authorization": f"Bearer {token}", "azureml-model-deployment": deployment},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["name"], place

    def begun(self) -> list[str]:
        """Return the files whose mini-batches have begun, each as often as it has."""
        return [name for file in self.notes.iterdir() for name in file.read_text().splitlines()]

    def reaches(self, mini_batches: int) -> None:
        """Wait until so many mini-batches have begun."""
        wait_for(lambda: len(self.begun()) >= mini_batches, f"{mini_batches} mini-batches have begun")

    def workers(self) -> list[psutil.Process]:
        """Return the processes that have begun mini-batches and still run."""
        return [psutil.Process(int(file.name)) for file in self.notes.iterdir() if psutil.pid_exists(int(file.name))]

    def rows(self, place: str) -> list[str]:
        """Return the rows of predictions, sorted."""
        return sorted(self.container.download_blob(place).readall().decode().splitlines())


def _located(properties: dict[str, Any]) -> dict[str, Any]:
    return {"location": "eastus", "properties": properties}
