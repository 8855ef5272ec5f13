"""Invoking batch endpoints: through azure-ai-ml, and by plain HTTP as Azure's documentation shows it.

https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs has the forms of inputs.
"""

from __future__ import annotations

import csv
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
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
from support import Arm, NewClient, finish

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
URI = "azureml://datastores/workspaceblobstore/paths"
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
    storage_token: str
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

    def run(self, name: str) -> Any:
        """Return a job as run history has it."""
        url = f"https://eastus.api.azureml.ms/history/v1.0{self.arm.workspace}/runs/{name}"
        return self.arm.session.get(url, headers={"Authorization": f"Bearer {self.arm.token}"}, timeout=60).json()

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
            return sorted(csv.reader(lines, delimiter=" "))


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
    storage_token = credential.get_token("https://storage.azure.com/.default").token
    yield Batch(ml, arm, endpoint, token, storage_token, data, folder, file)
    finish(ml.batch_endpoints.begin_delete(endpoint))


ROWS = [["0.txt,good!,2"], ["1.txt,good!,2"], ["2.txt,good!,2"], ["3.txt,good!,2"], ["4.txt,good!,1"]]


def message(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


# --- what a model deployment does ---


def test_scores_a_local_folder_and_appends_rows(batch: Batch, tmp_path: Path) -> None:
    invoked = batch.invoke(input=Input(path=str(batch.data), type=AssetTypes.URI_FOLDER))
    assert re.fullmatch(f"batchjob-{GUID}", invoked.name)
    job = batch.completed(invoked.name)
    assert job.experiment_name == batch.endpoint
    (child,) = batch.ml.jobs.list(parent_job_name=job.name)
    assert child.display_name == "batchscoring"
    assert batch.rows(job.name, tmp_path) == ROWS


def test_script_that_appends_no_rows_leaves_files_of_its_own(batch: Batch, tmp_path: Path) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-deploy-model-custom-output"""
    invoked = batch.invoke(
        deployment_name="own", inputs={"anything": Input(path=batch.folder.id, type=AssetTypes.URI_FOLDER)}
    )
    batch.completed(invoked.name)
    batch.ml.jobs.download(name=invoked.name, download_path=str(tmp_path), output_name="score")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [f"{n}.out" for n in range(5)]


def test_invocation_overrides_settings_as_the_notebook_does(batch: Batch, tmp_path: Path) -> None:
    """azureml-examples, sdk/python/endpoints/batch/deploy-models/mnist-classifier."""
    file = f"{uuid.uuid4().hex}.csv"
    store = batch.ml.datastores.get_default()
    invoked = batch.invoke(
        inputs={"input": Input(path=batch.folder.id, type=AssetTypes.URI_FOLDER)},
        params_override=[
            {"mini_batch_size": "5"},
            {"compute.instance_count": "2"},
            {"output_dataset.datastore_id": f"azureml:{store.id}"},
            {"output_dataset.path": f"/{batch.endpoint}/"},
            {"output_file_name": file},
        ],
    )
    batch.completed(invoked.name)
    (child,) = batch.ml.jobs.list(parent_job_name=invoked.name)
    assert batch.run(child.name)["computeRequest"]["nodeCount"] == 2
    assert {row[0].rpartition(",")[2] for row in batch.rows(invoked.name, tmp_path, file)} == {"5"}
    uri = batch.get(f"/jobs/{invoked.name}").json()["properties"]["outputData"]["score"]["uri"]
    assert uri == f"{store.id}/paths/{batch.endpoint}/{file}"


def test_job_that_asks_for_too_many_nodes_fails_and_says_why(batch: Batch) -> None:
    invoked = batch.invoke(
        inputs={"input": Input(path=batch.folder.id, type=AssetTypes.URI_FOLDER)},
        params_override=[{"compute.instance_count": "5"}],
    )
    assert batch.ended(invoked.name).status == "Failed"
    (child,) = batch.ml.jobs.list(parent_job_name=invoked.name)
    error = batch.run(child.name)["error"]["error"]["message"]
    assert "Requested 5 nodes but AzureMLCompute cluster only has 2 maximum nodes" in error


def test_more_failures_than_the_threshold_fail_the_job(batch: Batch) -> None:
    """A file is an item; ``errorThreshold`` says how many may fail."""
    properties = {"errorThreshold": 1, "retrySettings": {"maxRetries": 0}}
    answer = batch.post(of_data(f"{URI}/nothing-there", **properties))
    assert answer.status_code == 201, answer.text
    assert batch.ended(answer.json()["name"]).status == "Failed"


# --- plain HTTP ---


@pytest.fixture
def uris(batch: Batch) -> dict[str, tuple[str, str]]:
    """Each documented form of an input: its type and its URI."""
    workspace, folder, file = batch.arm.workspace, batch.folder, batch.file
    guid = batch.arm.get("").json()["properties"]["workspaceId"]
    path = batch.arm.get(folder.id.removeprefix(workspace)).json()["properties"]["dataUri"].partition("/paths/")[2]
    datastore = f"{workspace}/datastores/workspaceblobstore/paths/{path}"
    name, version = folder.name, folder.version
    account = batch.ml.datastores.get_default().account_name
    container = batch.ml.datastores.get_default().container_name
    return {
        "data asset": ("UriFolder", folder.id),
        "data asset with prefix": ("UriFolder", f"azureml:{folder.id}"),
        "data asset by label": ("UriFolder", f"{workspace}/data/{name}/labels/latest"),
        "data asset in short": ("UriFolder", f"azureml:{name}:{version}"),
        "data asset in short by label": ("UriFolder", f"azureml:{name}@latest"),
        "data asset with slash": ("uriFolder", f"azureml:/{name}@latest"),
        "data asset by region": (
            "UriFolder",
            f"azureml://locations/eastus/workspaces/{workspace.rpartition('/')[2]}/data/{name}/versions/{version}",
        ),
        "data asset by guid": (
            "UriFolder",
            f"azureml://locations/eastus/workspaces/{guid}/data/{name}/versions/labels/latest",
        ),
        "datastore": ("UriFolder", datastore),
        "datastore with prefix": ("UriFolder", f"azureml:{datastore}"),
        "datastore in short": ("UriFolder", f"{URI}/{path}"),
        "blob's address": ("UriFolder", f"https://{account}.blob.core.windows.net/{container}/{path}"),
        "file": ("UriFile", file.id),
        "file in datastore": ("UriFile", f"azureml:{datastore.rstrip('/')}/0.txt"),
    }


def test_each_documented_form_of_an_input_reaches_the_script(batch: Batch, uris: dict[str, Any]) -> None:
    names = {}
    for form, (kind, uri) in uris.items():
        answer = batch.post(of_data(uri, kind))
        assert answer.status_code == 201, (form, answer.text)
        names[form] = answer.json()["name"]
    container = batch.ml.datastores.get_default()
    for form, name in names.items():
        assert batch.ended(name).status == "Completed", form
        (child,) = batch.ml.jobs.list(parent_job_name=name)
        text = batch.arm.session.get(
            f"https://{container.account_name}.blob.core.windows.net/{container.container_name}"
            f"/azureml/{child.name}/score/predictions.csv",
            headers={
                "Authorization": f"Bearer {batch.storage_token}",
                "x-ms-version": "2023-11-03",
            },
            timeout=60,
        ).text
        assert len(text.splitlines()) == (1 if "file" in form else 5), (form, text)


def test_first_answer_is_as_recorded(batch: Batch) -> None:
    body = of_data(batch.folder.id, description="nightly", tags={"a": "b"}, properties={"c": "d"}, name="tonight")
    answer = batch.post(body, **{"azureml-model-deployment": "own"})
    assert answer.status_code == 201
    job = answer.json()
    assert re.fullmatch(f"batchjob-{GUID}", job["name"])
    path = f"/batchEndpoints/{batch.endpoint}/deployments/own/jobs/{job['name']}"
    assert job["id"] == batch.arm.workspace + path
    assert job["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/jobs"
    assert set(job["systemData"]) == {"createdAt", "createdBy", "lastModifiedAt", "lastModifiedBy"}
    properties = job["properties"]
    assert properties["status"] == "Preparing"
    assert properties["provisioningState"] == "Succeeded"
    assert properties["inputData"] == {
        "any": {"description": None, "uri": batch.folder.id, "mode": "ReadOnlyMount", "jobInputType": "UriFolder"}
    }
    assert properties["output"] == {"datastoreId": None, "path": None}
    assert properties["retrySettings"] == {"maxRetries": 1, "timeout": "PT30S"}
    assert properties["compute"]["instanceCount"] is None
    assert (properties["name"], properties["description"]) == ("tonight", "nightly")
    assert properties["tags"] == {
        "a": "b",
        "azureml.batchrun": "true",
        "azureml.deploymentname": "own",
        "azureml.jobtype": "azureml.batchjob",
        "inputType": "input_data",
        "outputType": "output_data",
    }
    noted = properties["properties"]
    assert (noted["c"], noted["runSource"], noted["azureml.runsource"]) == ("d", "Unavailable", "azureml.PipelineRun")
    endpoints = properties["interactionEndpoints"]
    assert endpoints["Studio"]["endpoint"].startswith(f"https://ml.azure.com/runs/{job['name']}?wsid=")
    assert endpoints["Tracking"]["endpoint"].startswith("azureml://eastus.api.azureml.ms/mlflow/v1.0/")
    assert answer.headers["azureml-model-deployment"] == "own"
    assert answer.headers["x-ms-response-type"] == "standard"
    location = answer.headers["Location"]
    assert location.startswith(f"https://eastus.api.azureml.ms/mferp/managementfrontend{batch.arm.workspace}{path}?")
    followed = batch.arm.session.get(location, headers={"Authorization": f"Bearer {batch.token}"}, timeout=60)
    assert (followed.status_code, followed.json()["id"]) == (200, job["id"])
    pipeline = batch.ml.jobs.get(job["name"])
    assert (pipeline.display_name, pipeline.description) == ("tonight", "nightly")


def test_job_can_be_asked_for_at_the_endpoint_and_is_listed(batch: Batch) -> None:
    """As cli/batch-score-rest.sh of azureml-examples asks, and azure-ai-ml lists."""
    name = batch.post(of_data(batch.folder.id)).json()["name"]
    batch.completed(name)
    job = batch.get(f"/jobs/{name}")
    assert (job.status_code, job.json()["properties"]["status"]) == (200, "Completed")
    (child,) = batch.ml.jobs.list(parent_job_name=name)
    properties = job.json()["properties"]
    datastores = f"{batch.arm.workspace}/datastores"
    assert properties["output"] == {
        "datastoreId": f"{datastores}/workspaceartifactstore",
        "path": f"ExperimentRun/dcid.{name}",
    }
    assert properties["outputData"] == {
        "score": {
            "description": None,
            "jobOutputType": "UriFile",
            "mode": "ReadWriteMount",
            "uri": f"{datastores}/workspaceblobstore/paths/azureml/{child.name}/score/predictions.csv",
        }
    }
    listed = batch.ml.batch_endpoints.list_jobs(batch.endpoint)
    assert [one.name for one in listed if one.name == name and one.status == "Completed"] == [name]
    of_words = batch.ml.batch_deployments.list_jobs(endpoint_name=batch.endpoint, name="words")
    of_own = batch.ml.batch_deployments.list_jobs(endpoint_name=batch.endpoint, name="own")
    assert name in [one.name for one in of_words]
    assert name not in [one.name for one in of_own]
    assert message(batch.get("/jobs/absent")) == (404, f"Job absent was not found in batch endpoint {batch.endpoint}.")
    assert batch.get("/jobs").status_code == 405
    assert batch.get("/score").status_code == 404


def test_only_a_token_for_azure_ml_is_let_in(batch: Batch, credential: ClientSecretCredential) -> None:
    """The 403: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-batch-endpoints"""
    body = of_data(batch.folder.id)
    for wrong in ("", "Basic abc", "Bearer", "Bearer abc", "Bearer a.b.c"):
        answer = batch.post(body, Authorization=wrong)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), wrong
    for_arm = credential.get_token("https://management.azure.com/.default").token
    answer = batch.post(body, Authorization=f"Bearer {for_arm}")
    assert (answer.status_code, answer.text) == (403, "Audiences in Jwt are not allowed")


@pytest.mark.parametrize(
    ("role", "is_at_endpoint", "invoke", "read"),
    [
        ("Reader", False, 403, 200),
        ("AzureML Compute Operator", False, 403, 403),
        ("AzureML Data Scientist", False, 201, 200),
        ("AzureML Data Scientist", True, 201, 200),
    ],
)
def test_roles(batch: Batch, new_identity: NewClient, role: str, is_at_endpoint: bool, invoke: int, read: int) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint"""
    endpoint = f"{batch.arm.workspace}/batchEndpoints/{batch.endpoint}"
    credential, _ = new_identity(role, endpoint if is_at_endpoint else batch.arm.workspace)
    headers = {"Authorization": f"Bearer {credential.get_token('https://ml.azure.com/.default').token}"}
    assert batch.post(of_data(batch.folder.id), **headers).status_code == invoke
    url = f"https://eastus.api.azureml.ms/mferp/managementfrontend{endpoint}"
    for path in ("/jobs", "/deployments/words/jobs"):
        assert batch.arm.session.get(url + path, headers=headers, timeout=60).status_code == read


WRONG: dict[str, tuple[Any, str]] = {
    "no properties": ({}, "Required property 'properties' not found"),
    "no input": ({"properties": {}}, "it was given none"),
    "two inputs": (
        {"properties": {"inputData": {n: {"jobInputType": "UriFolder", "uri": URI} for n in "ab"}}},
        "it was given 2: a, b",
    ),
    "literal": (
        {"properties": {"inputData": {"x": {"jobInputType": "Literal", "value": 1}}}},
        "the input 'x' is of the type literal",
    ),
    "table": (of_data(URI, "MLTable"), "the input 'any' is of the type mltable"),
    "unknown type": (of_data(URI, "UriThing"), "properties.inputData.any.jobInputType"),
    "no uri": ({"properties": {"inputData": {"x": {"jobInputType": "UriFolder"}}}}, "properties.inputData.x.uri"),
    "unknown datastore": (of_data("azureml://datastores/absent/paths/x"), "input 'any': Could not find datastore: abs"),
    "unknown asset": (of_data("azureml:absent:1"), "The input 'any': "),
    "no address": (of_data("./data"), "'./data' is no place of data"),
    "unknown member": ({"properties": {"inputDat": {}}}, "Could not find member 'inputDat'"),
    "mini-batch size": (of_data(URI, miniBatchSize=0), "properties.miniBatchSize is 0"),
    "concurrency": (of_data(URI, maxConcurrencyPerInstance="-1"), "properties.maxConcurrencyPerInstance is -1"),
    "instances": (of_data(URI, compute={"instanceCount": 0}), "properties.compute.instanceCount is 0"),
    "time-out": (of_data(URI, retrySettings={"timeout": "30"}), "properties.retrySettings.timeout"),
    "file": (of_data(URI, outputFileName="../x"), "properties.outputFileName is '../x'"),
    "output": (
        of_data(URI, outputData={"o": {"jobOutputType": "UriFile", "uri": "azureml://datastores/absent/paths/x"}}),
        "The output 'o': Could not find datastore: absent",
    ),
    "output without a name": (
        of_data(URI, outputData={"o": {"jobOutputType": "UriFile", "uri": f"{URI}/x/"}}),
        "does not end with a file's name",
    ),
    "null input": ({"properties": {"inputData": {"x": None}}}, "properties.inputData.x is null"),
    "null output": (of_data(URI, outputData={"o": None}), "properties.outputData.o is null"),
    "long file": (of_data(URI, outputFileName="x" * 256), "properties.outputFileName is 'xxx"),
    "long time-out": (of_data(URI, retrySettings={"timeout": f"PT{'9' * 400}S"}), "at most P10675199D"),
    "NUL": (of_data(f"{URI}/a\0b"), "holds the character NUL"),
    "up": (of_data(f"{URI}/../x"), "has '..' in its path"),
    "output up": (of_data(URI, outputData={"o": {"jobOutputType": "UriFolder", "uri": f"{URI}/../x"}}), "has '..'"),
    "no URL": (of_data("https://["), "is not in storage that azureml-local serves"),
    "sample data": (
        of_data("https://azuremlexampledata.blob.core.windows.net/data/mnist/sample"),
        "it reaches no other accounts of Azure. Download the files",
    ),
    "dataset": ({"properties": {"dataset": {"dataInputType": "DatasetId", "datasetId": "x"}}}, "properties.inputData"),
}


@pytest.mark.parametrize(("body", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_invocation_says_what_is_wrong(batch: Batch, body: Any, said: str) -> None:
    status, text = message(batch.post(body))
    assert status == 400
    assert said in text


def test_data_of_another_type_is_refused(batch: Batch) -> None:
    status, text = message(batch.post(of_data(batch.file.id)))
    assert (status, "it was given as uri_folder" in text, "uri_file" in text) == (400, True, True)
    with pytest.raises(HttpResponseError, match="it was given as uri_folder"):
        batch.invoke(input=Input(path=batch.file.id, type=AssetTypes.URI_FOLDER))


def test_what_is_no_json_is_refused(batch: Batch) -> None:
    headers = {"Authorization": f"Bearer {batch.token}", "Content-Type": "application/json"}
    answer = batch.arm.session.post(f"{batch.url}/jobs", data="{", headers=headers, timeout=60)
    assert message(answer)[0] == 400


def test_trailing_commas_are_read_as_in_the_documented_example(batch: Batch) -> None:
    """azureml-examples, cli/batch-score-rest.sh."""
    headers = {"Authorization": f"Bearer {batch.token}", "Content-Type": "application/json"}
    text = '{"properties": {"InputData": {"a": {"JobInputType": "UriFolder", "Uri": "%s"},}, "description": ",}",\n}}'
    answer = batch.arm.session.post(f"{batch.url}/jobs", data=text % batch.folder.id, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["properties"]["description"]) == (201, ",}")


def test_deployment_must_exist(batch: Batch, name: str) -> None:
    answer = batch.post(of_data(batch.folder.id), **{"azureml-model-deployment": "absent"})
    assert message(answer) == (404, f"Deployment 'absent' was not found in endpoint '{batch.endpoint}'.")
    finish(batch.ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    with pytest.raises(ResourceNotFoundError, match="No valid deployments to route to"):
        batch.ml.batch_endpoints.invoke(
            endpoint_name=name, input=Input(path=batch.folder.id, type=AssetTypes.URI_FOLDER)
        )
    finish(batch.ml.batch_endpoints.begin_delete(name))
    with pytest.raises(ResourceNotFoundError):
        batch.ml.batch_endpoints.list_jobs(name)
    gone = batch.arm.session.post(f"https://{name}.eastus.inference.ml.azure.com/jobs", json={}, timeout=60)
    assert gone.status_code == 404


@pytest.mark.parametrize("header", ["repeatability_request-id", "Repeatability-Request-ID"])
def test_request_with_the_same_id_makes_one_job(batch: Batch, header: str) -> None:
    """https://docs.oasis-open.org/odata/repeatable-requests/v1.0/repeatable-requests-v1.0.html"""
    ids = {header: str(uuid.uuid4())}
    first = batch.post(of_data(batch.folder.id), **ids)
    again = batch.post(of_data(batch.folder.id), **ids)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["Repeatability-Result"] == "accepted"
    assert first.json()["name"] == again.json()["name"]
    for other, deployment in ((of_data(batch.file.id, "UriFile"), "words"), (of_data(batch.folder.id), "own")):
        refused = batch.post(other, **ids, **{"azureml-model-deployment": deployment})
        assert refused.status_code == 400
        assert refused.headers["Repeatability-Result"] == "rejected"
        assert "Repeatability-Request-ID" in message(refused)[1]
    assert batch.post(of_data(batch.folder.id), **{header: "x" * 300}).status_code == 400


def test_request_with_the_same_id_at_the_same_moment_makes_one_job(batch: Batch) -> None:
    ids = {"repeatability_request-id": str(uuid.uuid4())}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: batch.post(of_data(batch.folder.id), **ids), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["name"] for answer in answers}) == 1


def test_repeated_request_gets_its_job_after_the_default_deployment_has_changed(batch: Batch) -> None:
    """Its caller has asked for the same, and does not know."""
    ids = {"repeatability_request-id": str(uuid.uuid4())}
    first = batch.post(of_data(batch.folder.id), **ids)
    try:
        set_default(batch, "own")
        again = batch.post(of_data(batch.folder.id), **ids)
    finally:
        set_default(batch, "words")
    assert (again.status_code, again.json()["name"]) == (201, first.json()["name"])
    assert again.headers["azureml-model-deployment"] == "words"


def set_default(batch: Batch, deployment: str) -> None:
    endpoint = batch.ml.batch_endpoints.get(batch.endpoint)
    endpoint.defaults.deployment_name = deployment
    finish(batch.ml.batch_endpoints.begin_create_or_update(endpoint))


def test_invocation_names_no_other_compute(batch: Batch) -> None:
    answer = batch.post(of_data(batch.folder.id, compute={"target": "elsewhere"}))
    assert (answer.status_code, "another compute" in message(answer)[1]) == (501, True)


def test_output_file_that_exists_fails_the_job(batch: Batch, name: str, tmp_path: Path) -> None:
    """how-to-use-batch-model-deployments: "If the output file exists, the batch scoring job will fail"."""
    to = of_data(batch.folder.id, outputData={"score": {"jobOutputType": "UriFile", "uri": f"{URI}/{name}/rows.csv"}})
    first = batch.completed(batch.post(to).json()["name"])
    second = batch.ended(batch.post(to).json()["name"])
    assert second.status == "Failed"
    (child,) = batch.ml.jobs.list(parent_job_name=second.name)
    error = batch.run(child.name)["error"]["error"]
    assert (error["code"], f"{name}/rows.csv" in error["message"]) == ("UserError", True)
    assert "exists already" in error["message"]
    assert batch.rows(first.name, tmp_path, "rows.csv") == ROWS
    beside = {"score": {"jobOutputType": "UriFolder", "uri": f"{URI}/{name}"}}
    batch.completed(batch.post(of_data(batch.folder.id, outputData=beside)).json()["name"])


def test_requests_without_an_id_make_a_job_each(batch: Batch) -> None:
    first = batch.post(of_data(batch.folder.id))
    assert batch.post(of_data(batch.folder.id)).json()["name"] != first.json()["name"]
