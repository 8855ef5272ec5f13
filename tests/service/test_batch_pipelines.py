"""Pipeline component deployments of batch endpoints, as azureml-examples has them.

sdk/python/endpoints/batch/deploy-pipelines, and
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-pipeline-deployments.
"""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output, command, dsl, load_component
from azure.ai.ml.constants import AssetTypes, InputOutputModes
from azure.ai.ml.entities import (
    BatchEndpoint,
    Data,
    Environment,
    PipelineComponent,
    PipelineComponentBatchDeployment,
)
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from support import Arm, finish

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ENDED = ("Completed", "Failed", "Canceled")
HELLO = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
name: {name}
version: 1
type: pipeline
jobs:
  main_job:
    type: command
    component:
      code: src
      environment: azureml:{environment}
      command: python hello.py
"""


@dataclass(frozen=True)
class Pipelines:
    """An endpoint with a deployment ``count`` of a pipeline of two steps, which is the default one."""

    ml: MLClient
    arm: Arm
    endpoint: str
    token: str
    cluster: str
    environment: str
    component: PipelineComponent
    data: Data

    def invoke(self, **options: Any) -> Any:
        return self.ml.batch_endpoints.invoke(endpoint_name=self.endpoint, **options)

    def post(self, properties: dict[str, Any], **headers: str) -> Any:
        return self.arm.session.post(
            f"https://{self.endpoint}.eastus.inference.ml.azure.com/jobs",
            json={"properties": properties},
            headers={"Authorization": f"Bearer {self.token}", **headers},
            timeout=60,
        )

    def deploy(self, name: str, **options: Any) -> PipelineComponentBatchDeployment:
        return finish(
            self.ml.batch_deployments.begin_create_or_update(
                PipelineComponentBatchDeployment(
                    name=name,
                    endpoint_name=self.endpoint,
                    settings={"continue_on_step_failure": False, "default_compute": self.cluster},
                    **options,
                )
            )
        )

    def completed(self, name: str) -> Any:
        """Wait for a job's end; it must complete."""

        def job() -> Any:
            found = self.ml.jobs.get(name)
            return found if found.status in ENDED else None

        found = wait_for(job, f"{name} has ended")
        assert found.status == "Completed"
        return found

    def output(self, job: str, name: str, folder: Path) -> dict[str, str]:
        """Download a named output of a job, and return its files."""
        self.ml.jobs.download(name=job, download_path=str(folder), output_name=name)
        return {path.name: path.read_text().strip() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pipelines(
    ml: MLClient, arm: Arm, cluster: str, credential: ClientSecretCredential, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipelines]:
    name = "pl-" + uuid.uuid4().hex[:8]
    environment = ml.environments.create_or_update(Environment(name=name, image=IMAGE))
    root = tmp_path_factory.mktemp("pipelines")
    for number in range(3):
        (root / f"{number}.txt").write_text(str(number))
    data = ml.data.create_or_update(Data(name=name, path=str(root), type=AssetTypes.URI_FOLDER))
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    count = command(
        name=f"count_{name[3:]}",
        command="ls ${{inputs.data}} | wc -l > ${{outputs.counted}}/count.txt",
        environment=environment,
        inputs={"data": Input(type=AssetTypes.URI_FOLDER)},
        outputs={"counted": Output(type=AssetTypes.URI_FOLDER)},
    )
    say = command(
        name=f"say_{name[3:]}",
        command="echo ${{inputs.word}} ${{inputs.times}} $(cat ${{inputs.counted}}/*) > ${{outputs.said}}/said.txt",
        environment=environment,
        inputs={
            "counted": Input(type=AssetTypes.URI_FOLDER),
            "word": Input(type="string"),
            "times": Input(type="integer"),
        },
        outputs={"said": Output(type=AssetTypes.URI_FOLDER)},
    )

    @dsl.pipeline(name=name.replace("-", "_"))
    def counting(data: Input(type=AssetTypes.URI_FOLDER), word: str = "hello", times: int = 2) -> dict[str, Any]:
        counted = count(data=data)
        said = say(counted=counted.outputs.counted, word=word, times=times)
        return {"said": said.outputs.said, "counted": counted.outputs.counted}

    component = ml.components.create_or_update(counting(data=Input(path=data.id)).component)
    token = credential.get_token("https://ml.azure.com/.default").token
    made = Pipelines(ml, arm, name, token, cluster, f"{name}@latest", component, data)
    made.deploy("count", component=component)
    endpoint = ml.batch_endpoints.get(name)
    endpoint.defaults.deployment_name = "count"
    finish(ml.batch_endpoints.begin_create_or_update(endpoint))
    yield made
    finish(ml.batch_endpoints.begin_delete(name))


def test_defaults_stand_in_and_outputs_have_names(pipelines: Pipelines, tmp_path: Path) -> None:
    invoked = pipelines.invoke(inputs={"data": Input(type=AssetTypes.URI_FOLDER, path=pipelines.data.id)})
    assert re.fullmatch(f"pipelinejob-{GUID}", invoked.name)
    job = pipelines.completed(invoked.name)
    assert pipelines.output(job.name, "said", tmp_path / "said") == {"said.txt": "hello 2 3"}
    assert pipelines.output(job.name, "counted", tmp_path / "counted") == {"count.txt": "3"}
    # As batch-scoring-with-preprocessing finds the steps.
    steps = {step.properties["azureml.moduleName"] for step in pipelines.ml.jobs.list(parent_job_name=job.name)}
    assert steps == {f"count_{pipelines.endpoint[3:]}", f"say_{pipelines.endpoint[3:]}"}


def test_literals_and_places_of_outputs_are_as_given(pipelines: Pipelines, tmp_path: Path) -> None:
    place = f"azureml://datastores/workspaceblobstore/paths/{uuid.uuid4().hex}"
    invoked = pipelines.invoke(
        inputs={
            "data": Input(type=AssetTypes.URI_FOLDER, path=pipelines.data.id),
            "word": Input(type="string", default="bye"),
            "times": Input(type="integer", default=7),
        },
        outputs={"said": Output(type=AssetTypes.URI_FOLDER, path=place)},
        experiment_name="my-experiment",
        job_name="mine",
    )
    job = pipelines.completed(invoked.name)
    assert (job.experiment_name, job.display_name) == ("my-experiment", "mine")
    assert pipelines.output(job.name, "said", tmp_path) == {"said.txt": "bye 7 3"}
    shown = pipelines.ml.batch_endpoints.list_jobs(pipelines.endpoint)
    assert invoked.name in [one.name for one in shown]
    properties = pipelines.arm.session.get(
        f"https://{pipelines.endpoint}.eastus.inference.ml.azure.com/jobs/{invoked.name}",
        headers={"Authorization": f"Bearer {pipelines.token}"},
        timeout=60,
    ).json()["properties"]
    datastore = f"{pipelines.arm.workspace}/datastores/workspaceblobstore"
    assert properties["outputData"]["said"]["uri"] == place.replace(
        "azureml://datastores/workspaceblobstore", datastore
    )
    assert properties["inputData"]["times"] == {"description": None, "jobInputType": "Literal", "value": "7"}
    assert properties["tags"]["azureml.jobtype"] == "azureml.pipelinejob"
    assert properties["properties"]["azureml.deploymentname"] == "count"
    assert properties["properties"]["azureml.endpointname"] == pipelines.endpoint
    assert properties["properties"]["runSource"] == "BatchDeployment"
    assert "retrySettings" not in properties


def test_rest_takes_literals_as_documented(pipelines: Pipelines, tmp_path: Path) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs, "Create jobs with
    literal inputs"."""
    answer = pipelines.post(
        {
            "InputData": {
                "data": {"JobInputType": "UriFolder", "Uri": f"azureml:{pipelines.data.id}"},
                "word": {"JobInputType": "Literal", "Value": "azureml"},
                "times": {"JobInputType": "Literal", "Value": 3},
            }
        }
    )
    assert answer.status_code == 201, answer.text
    job = pipelines.completed(answer.json()["name"])
    assert pipelines.output(job.name, "said", tmp_path) == {"said.txt": "azureml 3 3"}


DATA = {"data": {"jobInputType": "UriFolder", "uri": "azureml://datastores/workspaceblobstore/paths/x"}}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({}, "Input 'data': it is required"),
    "unknown": (
        {"inputData": {**DATA, "colour": {"jobInputType": "Literal", "value": "red"}}},
        "There is no input 'colour'; the component's inputs are: data, word, times.",
    ),
    "literal for data": (
        {"inputData": {"data": {"jobInputType": "Literal", "value": "x"}}},
        "Input 'data': its type is uri_folder",
    ),
    "data for literal": (
        {"inputData": {**DATA, "word": DATA["data"]}},
        "Input 'word': its type is string",
    ),
    "no number": (
        {"inputData": {**DATA, "times": {"jobInputType": "Literal", "value": "many"}}},
        "Input 'times': 'many' is no integer",
    ),
    "list": ({"inputData": {**DATA, "times": {"jobInputType": "Literal", "value": [1]}}}, "The input 'times' is a lit"),
    "output": (
        {"inputData": DATA, "outputData": {"scores": {"jobOutputType": "UriFolder"}}},
        "There is no output 'scores'; the component's outputs are: ",
    ),
    "setting": ({"inputData": DATA, "miniBatchSize": 5}, "properties.miniBatchSize is a setting of model deployments"),
}


@pytest.mark.parametrize(("properties", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_the_component_is_refused(
    pipelines: Pipelines, properties: dict[str, Any], said: str
) -> None:
    answer = pipelines.post(properties)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_component_of_the_first_notebook_runs_without_inputs(pipelines: Pipelines, tmp_path: Path) -> None:
    """hello-batch: a component from YAML that is not registered first, a step with code of its own."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/hello.py").write_text("print('hello from the batch')")
    name = "hello_" + uuid.uuid4().hex[:8]
    (tmp_path / "hello.yml").write_text(HELLO.format(name=name, environment=pipelines.environment))
    pipelines.deploy("hello", component=load_component(source=str(tmp_path / "hello.yml")))
    job = pipelines.completed(pipelines.invoke(deployment_name="hello").name)
    (step,) = pipelines.ml.jobs.list(parent_job_name=job.name)
    assert step.status == "Completed"
    # As heart-classifier-mlflow says how long it took.
    assert step.creation_context.last_modified_at > step.creation_context.created_at
    pipelines.ml.jobs.stream(job.name)


def test_finished_job_becomes_a_deployment(pipelines: Pipelines, tmp_path: Path) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-pipeline-from-job"""
    job = pipelines.component(data=Input(type=AssetTypes.URI_FOLDER, path=pipelines.data.id), word="once")
    job.settings.default_compute = pipelines.cluster
    first = pipelines.completed(pipelines.ml.jobs.create_or_update(job).name)
    pipelines.deploy("from-job", job_definition=first)
    again = pipelines.completed(pipelines.invoke(deployment_name="from-job").name)
    assert pipelines.output(again.name, "said", tmp_path / "again") == {"said.txt": "once 2 3"}
    other = pipelines.invoke(deployment_name="from-job", inputs={"word": Input(type="string", default="twice")})
    assert pipelines.output(pipelines.completed(other.name).name, "said", tmp_path / "x") == {"said.txt": "twice 2 3"}


def test_each_job_becomes_a_deployment_of_its_own(pipelines: Pipelines, tmp_path: Path) -> None:
    """azure-ai-ml asks for version 1 of the same anonymous component each time."""
    for word in ("one", "two"):
        job = pipelines.component(data=Input(type=AssetTypes.URI_FOLDER, path=pipelines.data.id), word=word)
        job.settings.default_compute = pipelines.cluster
        ended = pipelines.completed(pipelines.ml.jobs.create_or_update(job).name)
        pipelines.deploy(f"from-{word}", job_definition=ended)
    for word in ("one", "two"):
        again = pipelines.completed(pipelines.invoke(deployment_name=f"from-{word}").name)
        assert pipelines.output(again.name, "said", tmp_path / word) == {"said.txt": f"{word} 2 3"}


def test_second_version_takes_over_and_the_first_one_goes(pipelines: Pipelines, tmp_path: Path) -> None:
    """As training-with-components and batch-scoring-with-preprocessing switch, and what is listed then."""
    ml, name = pipelines.ml, "sw-" + uuid.uuid4().hex[:8]
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    for deployment in ("first", "second"):
        finish(
            ml.batch_deployments.begin_create_or_update(
                PipelineComponentBatchDeployment(
                    name=deployment,
                    endpoint_name=name,
                    component=pipelines.component,
                    settings={"default_compute": pipelines.cluster},
                )
            )
        )
        endpoint = ml.batch_endpoints.get(name)
        endpoint.defaults.deployment_name = deployment
        finish(ml.batch_endpoints.begin_create_or_update(endpoint))
        data = Input(type=AssetTypes.URI_FOLDER, path=pipelines.data.id, mode=InputOutputModes.RO_MOUNT)
        job = ml.batch_endpoints.invoke(endpoint_name=name, inputs={"data": data})
        assert job.name in [one.name for one in ml.batch_deployments.list_jobs(endpoint_name=name, name=deployment)]
        pipelines.completed(job.name)
    with pytest.raises(HttpResponseError, match="is the default deployment"):
        finish(ml.batch_deployments.begin_delete(name="second", endpoint_name=name))
    finish(ml.batch_deployments.begin_delete(name="first", endpoint_name=name))
    assert [one.name for one in ml.batch_deployments.list(name)] == ["second"]
    assert len(ml.batch_endpoints.list_jobs(name)) == 2
    finish(ml.batch_endpoints.begin_delete(name))
    assert ml.jobs.get(job.name).status == "Completed"
