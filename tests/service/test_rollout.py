"""A safe rollout from beginning to end, in the order of Microsoft's public sample of that name.

https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints: an endpoint, a blue
deployment with an inline model and environment, scaled after a ``get``; a green one beside it, tested, mirrored to,
given a tenth of the traffic, then all of it; blue deleted. Every call is azure-ai-ml's own, as the sample makes it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
)
from support import finish

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "scripts"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest"


def deployment(color: str, endpoint: str, folder: Path) -> ManagedOnlineDeployment:
    """Everything inline: the model and the environment are registered along with the deployment."""
    model = folder / f"{color}.txt"
    model.write_text(color)
    conda = folder / "conda.yml"
    conda.write_text("channels: [conda-forge]\ndependencies: [python=3.8, numpy, {pip: [joblib]}]\n")
    return ManagedOnlineDeployment(
        name=color,
        endpoint_name=endpoint,
        model=Model(path=str(model)),
        environment=Environment(conda_file=str(conda), image=IMAGE),
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="score.py"),
        environment_variables={"DEPLOYMENT": color},
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )


def test_safe_rollout(ml: MLClient, tmp_path: Path, name: str) -> None:
    request = tmp_path / "request.json"
    request.write_text("{}")

    def asked(color: str | None = None) -> str:
        answer = ml.online_endpoints.invoke(name, deployment_name=color, request_file=str(request))
        found: str = json.loads(answer)["deployment"]
        return found

    endpoint = finish(
        ml.begin_create_or_update(ManagedOnlineEndpoint(name=name, description="a sample", tags={"foo": "bar"}))
    )
    finish(ml.begin_create_or_update(deployment("blue", name, tmp_path)))
    endpoint.traffic = {"blue": 100}
    finish(ml.begin_create_or_update(endpoint))
    assert asked("blue") == "blue"

    blue = ml.online_deployments.get("blue", name)
    blue.instance_count = 2
    assert finish(ml.online_deployments.begin_create_or_update(blue)).instance_count == 2
    assert ml.online_endpoints.get(name).traffic == {"blue": 100}

    finish(ml.begin_create_or_update(deployment("green", name, tmp_path)))
    assert asked("green") == "green"

    endpoint = ml.online_endpoints.get(name)
    endpoint.mirror_traffic = {"green": 10}
    finish(ml.begin_create_or_update(endpoint))
    assert ml.online_endpoints.get(name).mirror_traffic == {"green": 10}

    endpoint.mirror_traffic = {"green": 0}
    endpoint.traffic = {"blue": 90, "green": 10}
    finish(ml.begin_create_or_update(endpoint))
    endpoint.traffic = {"blue": 0, "green": 100}
    finish(ml.begin_create_or_update(endpoint))
    finish(ml.online_deployments.begin_delete("blue", name))
    assert [left.name for left in ml.online_deployments.list(name)] == ["green"]
    assert ml.online_endpoints.get(name).tags == {"foo": "bar"}
    finish(ml.online_endpoints.begin_delete(name))
    assert name not in [left.name for left in ml.online_endpoints.list()]
