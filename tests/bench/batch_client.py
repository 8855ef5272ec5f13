"""A client of batch endpoints and pipelines, in plain HTTP: the requests that azure-ai-ml sends."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from installation import Client, Installation


class BatchClient(Client):
    """Makes endpoints with one deployment each, invokes them, and runs pipelines."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(installation)
        self.scoring_token = self.new_token("https://ml.azure.com/.default")

    def serve_batch(
        self, endpoint: str, cluster: str, script: str, model: str, settings: Mapping[str, Any], notes: str
    ) -> None:
        """Make an endpoint with a deployment of one of the benchmark's scripts.

        Args:
            endpoint: its name.
            cluster: where it scores.
            script: below ``scripts/``.
            model: the id of a registered one.
            settings: properties of the deployment beside those.
            notes: the folder in which the script writes down when mini-batches begin.
        """
        properties = {
            "model": {"referenceType": "Id", "assetId": model},
            "codeConfiguration": {"codeId": self.code, "scoringScript": script},
            "environmentId": self.environment,
            "environmentVariables": {"NOTES": notes, "OMP_NUM_THREADS": "1"},
            "compute": f"{self.workspace}/computes/{cluster}",
            "outputAction": "AppendRow",
            "errorThreshold": -1,
            "loggingLevel": "Info",
            **settings,
        }
        path = f"/batchEndpoints/{endpoint}"
        self.ended(self.put(path, {"location": "eastus", "properties": {"authMode": "AADToken"}}))
        self.ended(self.put(f"{path}/deployments/only", {"location": "eastus", "properties": properties}))
        defaults = {"authMode": "AADToken", "defaults": {"deploymentName": "only"}}
        self.ended(self.put(path, {"location": "eastus", "properties": defaults}))

    def invoke(self, endpoint: str, folder: str) -> str:
        """Invoke an endpoint with a folder of a datastore, and return the job's name."""
        uri = f"https://{endpoint}.eastus.inference.ml.azure.com/jobs"
        given = {"folder": {"jobInputType": "UriFolder", "uri": folder}}
        return str(self.post_json(uri, {"properties": {"inputData": given}}, self.scoring_token)["name"])

    def predictions(self, job: str) -> bytes:
        """Return the file of predictions that a job of a model deployment has left."""
        (step,) = self.steps(job)
        return self.blob(f"azureml/{step}/score/predictions.csv")

    def steps(self, job: str) -> list[str]:
        """Return the names of a pipeline job's steps."""
        url = f"https://eastus.api.azureml.ms/history/v1.0{self.workspace}/runs/{job}/children"
        return [step["runId"] for step in self.get_json(url)["value"]]

    def register_component(self, command: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
        """Register a command component of these inputs and outputs, by their types, and return its id."""
        return self.register_spec(
            {
                "type": "command",
                "command": command,
                "environment": f"azureml:{self.environment}",
                "inputs": {name: {"type": kind} for name, kind in inputs.items()},
                "outputs": {name: {"type": kind} for name, kind in outputs.items()},
            }
        )

    def register_spec(self, spec: Mapping[str, Any]) -> str:
        """Register a component as its YAML says it, under a new name, and return its id."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        body = {"properties": {"componentSpec": {**spec, "name": name, "version": "1"}}}
        return str(self.put(f"/components/{name}/versions/1", body).json()["id"])

    def run_pipeline(self, cluster: str, nodes: Mapping[str, Mapping[str, Any]]) -> str:
        """Run a pipeline of these nodes until it has completed, and return its name.

        Args:
            cluster: where all of them run.
            nodes: by their names, as in a pipeline job's ``jobs``.
        """
        name = f"pipeline-{uuid.uuid4().hex[:12]}"
        settings = {"default_compute": f"{self.workspace}/computes/{cluster}", "force_rerun": True}
        self.put(f"/jobs/{name}", {"properties": {"jobType": "Pipeline", "jobs": nodes, "settings": settings}})
        self.job_completed(name)
        return name
