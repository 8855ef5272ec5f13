"""MLflow models deployed without a script or an environment ("no-code deployment").

Behaviour and input formats: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models
That Azure makes an environment named by hashes, of its image for MLflow and the model's conda file: read back from a
real workspace in September 2026 by others.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from azure.ai.ml import Input, MLClient
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    BatchEndpoint,
    BatchRetrySettings,
    DataCollector,
    DeploymentCollection,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec
from sklearn.linear_model import LinearRegression
from support import SCRIPTS, SECONDS, Collected, Deployed, Scorer, finish, quick_session

from running_service import RunningService

pytestmark = pytest.mark.slow

# y = 2a + 3b + 1, so that every prediction can be said beforehand.
FEATURES = pd.DataFrame({"a": [0.0, 1.0, 0.0, 2.0], "b": [0.0, 0.0, 1.0, 5.0]})
TARGET = 2 * FEATURES["a"] + 3 * FEATURES["b"] + 1


def without_script(
    ml: MLClient, endpoint: str, deployment: str, model: Path | Model | str, collector: DataCollector | None = None
) -> None:
    """Deploy as the public sample ``online-endpoints-deploy-mlflow-model`` does."""
    if isinstance(model, Path):
        model = Model(path=str(model), type=AssetTypes.MLFLOW_MODEL)
    finish(
        ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name=deployment,
                endpoint_name=endpoint,
                model=model,
                instance_type="Standard_DS3_v2",
                instance_count=1,
                data_collector=collector,
            )
        )
    )


def save(model: LinearRegression, folder: Path, signature: ModelSignature | None) -> None:
    """Save a model with the packages that are installed here, named and not searched for, which takes MLflow 20 s."""
    mlflow.sklearn.save_model(
        model,
        str(folder),
        signature=signature,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        pip_requirements=[*mlflow.sklearn.get_default_pip_requirements(include_cloudpickle=True), "pandas"],
    )


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow") / "model"
    save(LinearRegression().fit(FEATURES, TARGET), folder, infer_signature(FEATURES, TARGET.to_numpy()))
    return folder


@pytest.fixture(scope="module")
def served(ml: MLClient, deployed: Deployed, linear: Path) -> Iterator[Scorer]:
    """An endpoint with the model as its deployment ``linear``."""
    name = "mlflow" + deployed.endpoint[3:]
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    without_script(ml, name, "linear", linear)
    endpoint.traffic = {"linear": 100}
    finish(ml.online_endpoints.begin_create_or_update(endpoint))
    with quick_session() as session:
        yield Scorer(session, endpoint.scoring_uri, ml.online_endpoints.get_keys(name).primary_key)
    ml.online_endpoints.begin_delete(name).result()


@pytest.fixture
def endpoint(served: Scorer) -> str:
    return served.uri.removeprefix("https://").partition(".")[0]


@pytest.mark.parametrize(
    "data",
    [
        {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 0], [0, 1]]},
        {"columns": ["a", "b"], "data": [[1.0, 0.0], [0.0, 1.0]]},
        {"columns": ["b", "a"], "index": [7, 8], "data": [[0, 1], [1, 0]]},  # by name, not by place
    ],
    ids=["split", "without index", "other order"],
)
def test_a_table_goes_in_and_a_bare_list_comes_out(data: object, served: Scorer) -> None:
    answer = served.post({"input_data": data})
    assert answer.status_code == 200
    assert answer.json() == pytest.approx([3.0, 4.0])


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["a", "b"], "data": [[1, 0]]},
        {"input_data": {"columns": ["a"], "data": [[1]]}},
        {"input_data": {"columns": ["a", "b"], "data": [["one", 0]]}},
    ],
    ids=["without the key input_data", "a column missing", "text for a number"],
)
def test_input_that_the_signature_refuses_is_the_models_error(body: object, served: Scorer) -> None:
    answer = served.post(body)
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-reason"] == "model_error"


def test_openapi_document_comes_from_the_signature(served: Scorer) -> None:
    uri = served.uri.replace("/score", "/swagger.json")
    answer = served.session.get(uri, headers={"Authorization": f"Bearer {served.key}"}, timeout=SECONDS).json()
    assert answer["definitions"]["ServiceInput"]["properties"]["input_data"]["format"] == "pandas.DataFrame:split"


def test_environment_is_made_of_the_model_and_found_again(
    ml: MLClient, endpoint: str, linear: Path, name: str, served: Scorer, service: RunningService
) -> None:
    first = ml.online_deployments.get("linear", endpoint)
    assert first.code_configuration is None
    _, _, tail = first.environment.partition("/environments/")
    made, version = tail.split("/versions/")
    assert len(made) == len(version) == 64
    environment = ml.environments.get(made, version)
    assert environment.image == "mcr.microsoft.com/azureml/curated/mlflow-py312-inference"
    assert environment.conda_file == yaml.safe_load((linear / "conda.yaml").read_text())
    without_script(ml, endpoint, name, linear)
    assert ml.online_deployments.get(name, endpoint).environment == first.environment
    # Every package that the model names is here already, so that nothing was built.
    assert "Every package is there" in ml.online_deployments.get_logs(name, endpoint, lines=200)
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_given_environment_is_used(ml: MLClient, endpoint: str, linear: Path, name: str, tmp_path: Path) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text(json.dumps({"dependencies": ["pip", {"pip": ["no-such-package-of-azureml-local"]}]}))
    deployment = ManagedOnlineDeployment(
        name=name,
        endpoint_name=endpoint,
        model=Model(path=str(linear), type=AssetTypes.MLFLOW_MODEL),
        environment=Environment(image="mcr.microsoft.com/azureml/minimal-py311-inference", conda_file=str(conda)),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    with pytest.raises(HttpResponseError, match="no-such-package-of-azureml-local"):
        finish(ml.online_deployments.begin_create_or_update(deployment))
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_named_tensors_parameters_and_tables_as_answers(
    ml: MLClient, endpoint: str, served: Scorer, name: str, tmp_path: Path
) -> None:
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2), key) for key in ("left", "right")]),
        params=infer_signature(np.zeros(1), params={"factor": 2}).params,
    )
    folder = tmp_path / "tensors"
    code = str(SCRIPTS / "tensors_model.py")
    mlflow.pyfunc.save_model(str(folder), python_model=code, signature=signature, pip_requirements=["mlflow"])
    without_script(ml, endpoint, name, folder)
    tensors = {"left": [[1, 2], [3, 4]], "right": [[5, 6], [7, 8]]}
    answer = served.post({"input_data": tensors}, deployment=name)
    assert answer.json() == [{"left": 6.0, "right": 22.0}, {"left": 14.0, "right": 30.0}]
    answer = served.post({"input_data": tensors, "params": {"factor": 10}}, deployment=name)
    assert answer.json() == [{"left": 30.0, "right": 110.0}, {"left": 70.0, "right": 150.0}]
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_model_of_mlflow_1_without_a_signature_takes_what_models_take(
    ml: MLClient, endpoint: str, served: Scorer, linear: Path, name: str, tmp_path: Path
) -> None:
    """MLflow 1 named the conda file bare; without a signature, lists are arrays."""
    folder = tmp_path / "old"
    save(LinearRegression().fit(FEATURES.to_numpy(), TARGET), folder, None)
    description = yaml.safe_load((folder / "MLmodel").read_text())
    description["flavors"]["python_function"]["env"] = "conda.yaml"
    for member in ("signature", "model_id", "model_size_bytes", "env_vars", "prompts", "type_hint_from_example"):
        description.pop(member, None)
    (folder / "MLmodel").write_text(yaml.safe_dump(description))
    without_script(ml, endpoint, name, folder)
    assert served.post({"input_data": [[1, 0], [0, 1]]}, deployment=name).json() == pytest.approx([3.0, 4.0])
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_tables_are_collected_without_a_script(
    ml: MLClient, endpoint: str, served: Scorer, linear: Path, name: str, blobstore: ContainerClient
) -> None:
    """As a real workspace has done it, read back by others: the column of a prediction without a name is ``0``."""
    names = ("model_inputs", "model_outputs")
    collections = {one: DeploymentCollection(enabled="true") for one in names}
    without_script(ml, endpoint, name, linear, DataCollector(collections))
    served.post({"input_data": {"columns": ["a", "b"], "data": [[1, 0], [0, 1]]}}, deployment=name)
    ml.online_deployments.begin_delete(name, endpoint).result()
    collected = Collected(blobstore, f"modelDataCollector/{endpoint}/{name}")
    (inputs,), (outputs,) = (collected.events(one) for one in names)
    assert inputs["data"] == [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}]
    assert [round(row["0"], 6) for row in outputs["data"]] == [3, 4]
    assert inputs["correlationid"] == outputs["correlationid"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MLmodel": None}, "there is no file 'MLmodel'"),
        ({"MLmodel": "flavors: {sklearn: {}}"}, "no flavor python_function"),
        ({"MLmodel": "- a list"}, "'MLmodel' is no YAML mapping"),
        ({"MLmodel": "{"}, "'MLmodel' is no YAML"),
        ({"MLmodel": "flavors: {python_function: {env: ../../conda.yaml}}"}, "not in the model's folder"),
        ({"conda.yaml": None}, "there is no file 'conda.yaml'"),
    ],
    ids=["no MLmodel", "flavor", "list", "malformed", "path", "no conda file"],
)
def test_folder_that_is_no_mlflow_model_fails_in_words(
    change: dict[str, str | None], said: str, ml: MLClient, endpoint: str, linear: Path, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in linear.iterdir():
        if path.is_file() and change.get(path.name, "") is not None:
            (folder / path.name).write_text(change.get(path.name) or path.read_text(errors="replace"))
    model = ml.models.create_or_update(Model(name=name, path=str(folder), type=AssetTypes.CUSTOM_MODEL))
    registered = Model(name=name + "m", path=model.path, type=AssetTypes.MLFLOW_MODEL)
    with pytest.raises(HttpResponseError) as caught:
        without_script(ml, endpoint, name, ml.models.create_or_update(registered))
    assert "BadArgument: " in str(caught.value)
    assert said in str(caught.value)
    assert ml.online_deployments.get(name, endpoint).provisioning_state == "Failed"
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_other_models_still_need_a_script(ml: MLClient, endpoint: str, linear: Path, name: str) -> None:
    model = ml.models.create_or_update(Model(name=name, path=str(linear), type=AssetTypes.CUSTOM_MODEL))
    with pytest.raises(HttpResponseError, match="MissingDriverProgram"):
        without_script(ml, endpoint, name, model)


def test_batch_scores_tables_without_a_script(ml: MLClient, cluster: str, linear: Path, tmp_path: Path) -> None:
    """azureml-examples, sdk/python/endpoints/batch/deploy-models/heart-classifier-mlflow; the form of the rows:
    https://learn.microsoft.com/azure/machine-learning/how-to-mlflow-batch#analyze-outputs."""
    name = "bm-" + uuid.uuid4().hex[:8]
    for number, rows in {"first": FEATURES[:2], "second": FEATURES[2:]}.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        rows.to_csv(tmp_path / "data" / f"{number}.csv", index=False)
    endpoint = finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    deployment = ModelBatchDeployment(
        name="linear",
        endpoint_name=name,
        model=ml.models.create_or_update(Model(name=name, path=str(linear), type=AssetTypes.MLFLOW_MODEL)),
        compute=cluster,
        settings=ModelBatchDeploymentSettings(
            instance_count=2,
            max_concurrency_per_instance=2,
            mini_batch_size=1,
            output_action=BatchDeploymentOutputAction.APPEND_ROW,
            output_file_name="predictions.csv",
            retry_settings=BatchRetrySettings(max_retries=3, timeout=300),
            logging_level="info",
        ),
    )
    finish(ml.batch_deployments.begin_create_or_update(deployment))
    endpoint.defaults.deployment_name = "linear"
    finish(ml.batch_endpoints.begin_create_or_update(endpoint))
    data = Input(type=AssetTypes.URI_FOLDER, path=str(tmp_path / "data"))
    job = ml.batch_endpoints.invoke(endpoint_name=name, input=data)
    ml.jobs.stream(job.name)
    ml.jobs.download(name=job.name, download_path=str(tmp_path), output_name="score")
    (file,) = tmp_path.rglob("predictions.csv")
    scored = pd.read_csv(file, header=None, names=["row", "prediction", "file"], sep=r"[\s,]+", engine="python")
    expected = [("first.csv", 0, 1), ("first.csv", 1, 3), ("second.csv", 0, 4), ("second.csv", 1, 20)]
    found = sorted(zip(scored["file"], scored["row"], scored["prediction"].round(6), strict=True))
    assert found == expected
    finish(ml.batch_endpoints.begin_delete(name))
