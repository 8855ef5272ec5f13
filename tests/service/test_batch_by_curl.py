"""A batch endpoint with nothing but curl, from the token to the predictions, as Azure's documentation does it.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint and
how-to-access-data-batch-endpoints-jobs (tab REST, service principal), and cli/batch-score-rest.sh of
Azure/azureml-examples, which polls a job at the endpoint: ``$SCORING_URI/<last part of the job's id>``.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import (
    BatchEndpoint,
    CodeConfiguration,
    Data,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from azure.storage.blob import ContainerClient
from support import SCRIPTS, SECONDS, finish

from azureml_local.home import Settings
from running_service import RunningService, wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
FILES = {"a.csv": "1\n2\n", "b.csv": "1\n", "inner/c.csv": "1\n2\n3\n"}
COUNTED = ["a.csv 2", "b.csv 1", "c.csv 3"]
ENDED = ("Completed", "Failed", "Canceled")

TOKEN = """\
curl --silent --show-error --request POST "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/token" \
 --data-urlencode grant_type=client_credentials --data-urlencode "client_id=$AZURE_CLIENT_ID" \
 --data-urlencode "client_secret=$AZURE_CLIENT_SECRET" --data-urlencode "resource=$RESOURCE" """
INVOKE = """\
curl --silent --show-error --location --request POST "$SCORING_URI" --header "Authorization: Bearer $TOKEN" \
 --header "Content-Type: application/json" --data-raw "$BODY" --write-out '\\n%{http_code}' """
GET = 'curl --silent --show-error --location "$URI" --header "Authorization: Bearer $TOKEN"'
FETCH = f'{GET} --header "x-ms-version: 2021-12-02"'


def curl(script: str, **variables: str) -> str:
    """Run a line of a shell in the user's environment with these variables, and return what it prints."""
    finished = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def token(resource: str) -> str:
    answer: dict[str, str] = json.loads(curl(TOKEN, RESOURCE=resource))
    return answer["access_token"]


@dataclass(frozen=True)
class Endpoint:
    """A batch endpoint that counts lines."""

    name: str
    scoring_uri: str

    def post(self, body: Any, authorization: str) -> tuple[int, Any]:
        """Invoke it, and return the answer's status and body: JSON, or a text."""
        answer, _, status = curl(
            INVOKE, SCORING_URI=self.scoring_uri, TOKEN=authorization, BODY=json.dumps(body)
        ).rpartition("\n")
        return int(status), json.loads(answer) if answer.startswith("{") else answer

    def ended(self, job: str, authorization: str) -> str:
        """Poll a job at the endpoint until it has ended, and return its status."""

        def status() -> str | None:
            found = json.loads(curl(GET, URI=f"{self.scoring_uri}/{job}", TOKEN=authorization))
            return found["properties"]["status"] if found["properties"]["status"] in ENDED else None

        return str(wait_for(status, f"{job} has ended"))


@pytest.fixture(scope="module")
def endpoint(ml: MLClient, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    name = "curl-" + uuid.uuid4().hex[:8]
    made = finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    weights = tmp_path_factory.mktemp("model") / "weights.txt"
    weights.write_text("none")
    deployment = ModelBatchDeployment(
        name="only",
        endpoint_name=name,
        model=Model(name=name, path=str(weights)),
        environment=Environment(name="tiny-batch", image=IMAGE),
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="count_lines.py"),
        compute=cluster,
        settings=ModelBatchDeploymentSettings(mini_batch_size=1, instance_count=1),
    )
    finish(ml.batch_deployments.begin_create_or_update(deployment))
    made.defaults.deployment_name = "only"
    made = finish(ml.batch_endpoints.begin_create_or_update(made))
    yield Endpoint(name, made.scoring_uri)
    finish(ml.batch_endpoints.begin_delete(name))


@pytest.fixture(scope="module")
def data(ml: MLClient, tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("lines")
    (folder / "inner").mkdir()
    for path, content in FILES.items():
        (folder / path).write_text(content)
    return ml.data.create_or_update(Data(name="lines", path=str(folder), type=AssetTypes.URI_FOLDER))


@pytest.fixture(scope="module")
def datastore(service: RunningService) -> str:
    """The default datastore's id, as the documentation has it in an input's and an output's address."""
    settings: Settings = service.settings
    return (
        f"azureml:/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}/providers/"
        f"Microsoft.MachineLearningServices/workspaces/{settings.workspace}/datastores/workspaceblobstore"
    )


def test_from_token_to_predictions(endpoint: Endpoint, data: Data, datastore: str, blobstore: ContainerClient) -> None:
    place = f"curl/{uuid.uuid4().hex}/counted.csv"
    body = {
        "properties": {
            "InputData": {"lines": {"JobInputType": "UriFolder", "Uri": f"azureml:{data.id}"}},
            "OutputData": {"score": {"JobOutputType": "UriFile", "Uri": f"{datastore}/paths/{place}"}},
        }
    }
    authorization = token("https://ml.azure.com")
    status, job = endpoint.post(body, authorization)
    assert status == 201, job
    assert job["name"].startswith("batchjob-")
    assert endpoint.ended(job["id"].rpartition("/")[2], authorization) == "Completed"
    uri = f"https://{blobstore.account_name}.blob.core.windows.net/{blobstore.container_name}/{place}"
    assert sorted(curl(FETCH, URI=uri, TOKEN=token("https://storage.azure.com")).splitlines()) == COUNTED


def test_input_in_a_datastore(endpoint: Endpoint, datastore: str, blobstore: ContainerClient, name: str) -> None:
    """The predictions then lie in the named output ``score`` of the job's one step."""
    for path, content in FILES.items():
        blobstore.upload_blob(f"{name}/{path}", content)
    given = {"JobInputType": "UriFolder", "Uri": f"{datastore}/paths/{name}"}
    authorization = token("https://ml.azure.com")
    status, job = endpoint.post({"properties": {"InputData": {"lines": given}}}, authorization)
    assert status == 201, job
    assert endpoint.ended(job["id"].rpartition("/")[2], authorization) == "Completed"


def test_refusals(endpoint: Endpoint, data: Data) -> None:
    given = {"lines": {"JobInputType": "UriFolder", "Uri": f"azureml:{data.id}"}}
    body = {"properties": {"InputData": given}}
    assert endpoint.post(body, "wrong")[0] == 401
    # https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-batch-endpoints
    refused = endpoint.post(body, token("https://management.azure.com"))
    assert refused == (403, "Audiences in Jwt are not allowed")
    status, answer = endpoint.post({"properties": {"InputData": {}}}, token("https://ml.azure.com"))
    assert (status, bool(answer["error"]["message"])) == (400, True)
