"""Deployments whose packages the service's own interpreter lacks: an environment is built, once.

https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#error-imagebuildfailure
These tests ask the package index that pip and uv ask on this machine.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment
from azure.core.exceptions import HttpResponseError
from support import SECONDS_TO_BUILD, Deployed, Scorer, deploy, finish

from running_service import RunningService

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"


def environment(folder: Path, *packages: str) -> Environment:
    conda = folder / "conda.yml"
    conda.write_text(json.dumps({"dependencies": ["python=3.11", "pip", {"pip": list(packages)}]}))
    return Environment(image=IMAGE, conda_file=str(conda))


def built(service: RunningService) -> set[Path]:
    return {path.parent for path in service.home.environments.glob("*/complete.json")}


@pytest.mark.slow
def test_old_pins_are_served_and_built_once(
    ml: MLClient, deployed: Deployed, scorer: Scorer, service: RunningService, tmp_path: Path, name: str
) -> None:
    """scikit-learn 1.1.3 and numpy 1.23 are from 2022, xgboost 1.3.3 from 2021; the workbook has 1.9, 2.4 and none."""
    pins = {"scikit-learn": "1.1.3", "numpy": "1.23.5", "xgboost": "1.3.3"}
    old = environment(tmp_path, *(f"{package}=={version}" for package, version in pins.items()))
    before = built(service)
    finish(deploy(ml, deployed.endpoint, name, environment=old, script="versions.py"), SECONDS_TO_BUILD)
    assert scorer.post({}, deployment=name).json() == {"python": "3.11", **pins}
    (folder,) = built(service) - before
    log = ml.online_deployments.get_logs(name, deployed.endpoint, lines=200)
    assert "scikit-learn==1.1.3" in log
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.py")}

    ml.online_deployments.begin_delete(name, deployed.endpoint).result()
    finish(deploy(ml, deployed.endpoint, name, environment=old, script="versions.py"))
    assert built(service) - before == {folder}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.py")} == times


@pytest.mark.parametrize(
    ("packages", "named"),
    [
        (("scikit-learn==0.0.999",), "scikit-learn==0.0.999"),
        (("no-such-package-of-azureml-local",), "no-such-package-of-azureml-local"),
        (("numpy==1.23.5", "pandas==3.1.1"), "pandas==3.1.1"),  # which wants numpy 2
    ],
    ids=["version", "package", "conflict"],
)
def test_what_cannot_be_had_fails_with_the_resolvers_words(
    packages: tuple[str, ...],
    named: str,
    ml: MLClient,
    deployed: Deployed,
    service: RunningService,
    tmp_path: Path,
    name: str,
) -> None:
    before = built(service)
    with pytest.raises(HttpResponseError) as caught:
        finish(deploy(ml, deployed.endpoint, name, environment=environment(tmp_path, *packages)))
    assert "ImageBuildFailure:" in str(caught.value)
    assert named in str(caught.value)
    assert named in ml.online_deployments.get_logs(name, deployed.endpoint, lines=200)
    assert ml.online_deployments.get(name, deployed.endpoint).provisioning_state == "Failed"
    assert built(service) == before


def test_curated_environment_of_azures_registry(
    ml: MLClient, deployed: Deployed, scorer: Scorer, name: str, service: RunningService
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/resource-curated-environments"""
    curated = "azureml://registries/azureml/environments/minimal-py311-inference/labels/latest"
    finish(deploy(ml, deployed.endpoint, name, environment=curated))
    assert scorer.post({}, deployment=name).status_code == 200
    assert ml.online_deployments.get(name, deployed.endpoint).environment == curated
    ml.online_deployments.begin_delete(name, deployed.endpoint).result()


def test_curated_environment_that_there_is_not(ml: MLClient, deployed: Deployed, name: str) -> None:
    unknown = "azureml://registries/azureml/environments/no-such/versions/1"
    with pytest.raises(HttpResponseError, match="no-such"):
        finish(deploy(ml, deployed.endpoint, name, environment=unknown))
