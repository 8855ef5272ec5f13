"""Train on Azure Machine Learning, register the model, deploy it: ``python -m wines.publish ENDPOINT``."""

import sys
from pathlib import Path

from azure.ai.ml import MLClient, Output, command
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    Job,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
)
from azure.identity import DefaultAzureCredential

HERE = Path(__file__).parent
ENVIRONMENT = Environment(
    name="wines", image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", conda_file=HERE / "conda.yml"
)


def train(ml_client: MLClient, regularization: float = 1.0) -> Job:
    """Train, and return the job once it has ended. Raises JobException where it fails."""
    job = command(
        code=HERE / "job",
        command=f"python train.py --regularization {regularization} --model ${{{{outputs.model}}}}",
        environment=ENVIRONMENT,
        outputs={"model": Output(type="uri_folder")},
    )
    job = ml_client.jobs.create_or_update(job)
    ml_client.jobs.stream(job.name)
    return ml_client.jobs.get(job.name)


def deploy(ml_client: MLClient, job: Job, endpoint: str) -> None:
    """Register the model of a job, and let an endpoint answer by it."""
    model = Model(name="wines", path=f"azureml://jobs/{job.name}/outputs/model")
    deployment = ManagedOnlineDeployment(
        name="blue",
        endpoint_name=endpoint,
        model=ml_client.models.create_or_update(model),
        environment=ENVIRONMENT,
        code_configuration=CodeConfiguration(code=str(HERE / "service"), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    made = ml_client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=endpoint)).result()
    ml_client.online_deployments.begin_create_or_update(deployment).result()
    made.traffic = {"blue": 100}
    ml_client.online_endpoints.begin_create_or_update(made).result()


if __name__ == "__main__":
    client = MLClient.from_config(DefaultAzureCredential())
    deploy(client, train(client), sys.argv[1])
