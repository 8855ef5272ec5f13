"""Invoking batch endpoints: through azure-ai-ml, and by plain HTTP as Azure's documentation shows it.

https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs has the forms of inputs.
"""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Data,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from support import Arm, finish

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ENDED = ("Completed", "Failed", "Canceled")
SCRIPT = """
import os
from pathlib import Path

def init():
    global word
    word = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("word.txt")).read_text()

def run(mini_batch):
    return [f"{Path(file).name},{word}{os.environ.get('SUFFIX', '')},{len(mini_batch)}" for file in mini_batch]
"""
OWN_FILES = """
import os
from pathlib import Path

def init():
    pass

def run(mini_batch):
    for file in mini_batch:
        (Path(os.environ["AZUREML_BI_OUTPUT_PATH"]) / (Path(file).stem + ".out")).write_text("scored")
    return mini_batch
"""


@dataclass(frozen=True)
class Batch:
    """An endpoint whose deployment ``words`` (the default one) writes a row for each file, ``own`` files of its own."""

    ml: MLClient
    arm: Arm
    endpoint: str
    token: str
    data: Path
    folder: Data
    file: Data

    def invoke(self, **options: Any) -> Any:
        """Invoke the endpoint through azure-ai-ml."""
        return self.ml.batch_endpoints.invoke(endpoint_name=self.endpoint, **options)

    def post(self, body: Any, **headers: str) -> Any:
        """Invoke it by plain HTTP."""
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        return self.arm.session.post(f"{self.url}/jobs", json=body, headers=given, timeout=60)

    def get(self, path: str, **headers: str) -> Any:
        given = {"Authorization": f"Bearer {self.token}", **headers}
        return self.arm.session.get(f"{self.url}{path}", headers=given, timeout=60)

    @property
    def url(self) -> str:
        return f"https://{self.endpoint}.eastus.inference.ml.azure.com"

    def ended(self, name: str) -> Any:
        """Wait for a job's end, and return the job."""

        def job() -> Any:
            found = self.ml.jobs.get(name)
            return found if found.status in ENDED else None

        return wait_for(job, f"{name} has ended")

    def completed(self, name: str) -> Any:
        job = self.ended(name)
        assert job.status == "Completed", [child.name for child in self.ml.jobs.list(parent_job_name=name)]
        return job

    def rows(self, name: str, folder: Path, file: str = "predictions.csv") -> list[list[str]]:
        """Download a job's rows as Azure's documentation does, and return them in order."""
        self.ml.jobs.download(name=name, download_path=str(folder), output_name="score")
        (found,) = folder.rglob(file)
        with found.open(newline="") as lines:
            return sorted(list(csv.reader(lines, delimiter=" ")))


def of_data(uri: str, kind: str = "UriFolder", **properties: Any) -> dict[str, Any]:
    return {"properties": {"inputData": {"any": {"jobInputType": kind, "uri": uri}}, **properties}}


@pytest.fixture(scope="module")
def batch(
    ml: MLClient, arm: Arm, cluster: str, credential: ClientSecretCredential, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Batch]:
    root = tmp_path_factory.mktemp("batch")
    for name, text in {"model/word.txt": "good", "code/words.py": SCRIPT, "code/own.py": OWN_FILES}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    data = root / "data"
    data.mkdir()
    for number in range(5):
        (data / f"{number}.txt").write_text(f"item {number}")
    endpoint = "be-" + uuid.uuid4().hex[:8]
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint)))
    model = ml.models.create_or_update(Model(name=endpoint, path=str(root / "model")))
    environment = ml.environments.create_or_update(Environment(name=endpoint, image=IMAGE))
    for name, action in (("words", "APPEND_ROW"), ("own", "SUMMARY_ONLY")):
        finish(
            ml.batch_deployments.begin_create_or_update(
                ModelBatchDeployment(
                    name=name,
                    endpoint_name=endpoint,
                    model=model,
                    environment=environment,
                    code_configuration=CodeConfiguration(code=str(root / "code"), scoring_script=f"{name}.py"),
                    compute=cluster,
                    settings=ModelBatchDeploymentSettings(
                        mini_batch_size=2,
                        max_concurrency_per_instance=1,
                        output_action=getattr(BatchDeploymentOutputAction, action),
                        retry_settings=BatchRetrySettings(max_retries=1, timeout=30),
                        environment_variables={"SUFFIX": "!"},
                    ),
                )
            )
        )
    changed = ml.batch_endpoints.get(endpoint)
    changed.defaults.deployment_name = "words"
    finish(ml.batch_endpoints.begin_create_or_update(changed))
    folder = ml.data.create_or_update(Data(name=f"{endpoint}-d", path=str(data), type=AssetTypes.URI_FOLDER))
    file = ml.data.create_or_update(Data(name=f"{endpoint}-f", path=str(data / "0.txt"), type=AssetTypes.URI_FILE))
    token = credential.get_token("https://ml.azure.com/.default").token
    yield Batch(ml, arm, endpoint, token, data, folder, file)
    finish(ml.batch_endpoints.begin_delete(endpoint))


def test_scores_a_local_folder_and_appends_rows(batch: Batch, tmp_path: Path) -> None:
    invoked = batch.invoke(input=Input(path=str(batch.data), type=AssetTypes.URI_FOLDER))
    assert invoked.name.startswith("batchjob-")
    job = batch.completed(invoked.name)
    assert job.experiment_name == batch.endpoint
    (child,) = batch.ml.jobs.list(parent_job_name=job.name)
    assert child.display_name == "batchscoring"
    sizes = {"0.txt": "2", "1.txt": "2", "2.txt": "2", "3.txt": "2", "4.txt": "1"}
    rows = batch.rows(job.name, tmp_path)
    assert rows == [[f"{name},good!,{size}"] for name, size in sizes.items()]
