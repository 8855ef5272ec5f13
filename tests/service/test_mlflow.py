"""MLflow's own client against a workspace's tracking URI, as jobs and notebooks use it.

What it expects is its own code; what Azure ML supports of it is in
https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow and
https://learn.microsoft.com/azure/machine-learning/how-to-manage-models-mlflow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model, Workspace
from azure.identity import ClientSecretCredential
from azure.storage.blob import ContainerClient
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from support import SECONDS, Arm, finish

from azureml_local.arm.jobs.tracking import Tracking
from azureml_local.engines.blobs import BLOCK
from azureml_local.identity import audiences
from azureml_local.identity.tokens import Principal, TokenService
from azureml_local.store import Store
from running_service import RunningService, command_line, command_of, family, wait_for

ARM_SCOPE = "https://management.azure.com/.default"
UPLOAD = "api/2.0/mlflow-artifacts/artifacts"


class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # MLflow has no types for it
    """A model that needs nothing but Python."""

    def predict(self, model_input):  # type: ignore[no-untyped-def] # MLflow would make a signature of hints
        """Return each value, doubled."""
        return [2 * value for value in model_input]


@dataclass(frozen=True)
class Tracker:
    """A workspace's tracking URI, a token, and MLflow's client on both."""

    uri: str
    token: str
    client: MlflowClient

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a plain request to a path below the tracking URI."""
        options.setdefault("headers", {"Authorization": f"Bearer {self.token}"})
        return requests.request(method, f"{self.uri}/{path}", timeout=SECONDS, **options)


def tracking_uri(ml: MLClient, workspace: str | None = None) -> str:
    """Return the URI for MLflow without Azure's plugin: "replace the protocol from azureml to https".

    https://github.com/Azure/azureml-examples/blob/main/sdk/python/using-mlflow/using-rest-api/using_mlflow_rest_api.ipynb
    """
    uri = ml.workspaces.get(workspace or ml.workspace_name).mlflow_tracking_uri
    assert uri is not None
    return uri.replace("azureml://", "https://")


@pytest.fixture(scope="module")
def tracker(ml: MLClient, credential: ClientSecretCredential) -> Iterator[Tracker]:
    uri = tracking_uri(ml)
    token = credential.get_token(ARM_SCOPE).token
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("MLFLOW_TRACKING_TOKEN", token)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        mlflow.set_tracking_uri(uri)
        yield Tracker(uri, token, MlflowClient(uri))
        mlflow.set_tracking_uri(None)


@pytest.fixture
def run(tracker: Tracker, name: str) -> Iterator[mlflow.ActiveRun]:
    """A run that is under way, in an experiment of its own."""
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="by hand") as started:
        yield started


def log_doubler(path: str = "model", **options: Any) -> Any:
    return mlflow.pyfunc.log_model(name=path, python_model=Doubler(), pip_requirements=[], **options)


@pytest.fixture
def as_identity(tracker: Tracker, service: RunningService, arm: Arm, name: str) -> Callable[[str], Tracker]:
    """Return a tracker for a new identity with a role in the workspace."""

    def make(role: str) -> Tracker:
        made = command_line(
            service.home.root,
            "identity",
            "create",
            f"{name}-{len(role)}",
            "--role",
            role,
            "--scope",
            arm.workspace,
            "--json",
        )
        variables = json.loads(made.stdout)
        other = ClientSecretCredential(
            variables["AZURE_TENANT_ID"], variables["AZURE_CLIENT_ID"], variables["AZURE_CLIENT_SECRET"]
        )
        return Tracker(tracker.uri, other.get_token(ARM_SCOPE).token, tracker.client)

    return make


# --- runs ---


def test_run_is_logged_and_found_again(run: mlflow.ActiveRun, tracker: Tracker, name: str) -> None:
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"precision": 0.5, "recall": 0.25}, step=2)
    mlflow.log_params({"lr": 0.1, "layers": 2})
    mlflow.set_tag("framework", "none")
    with mlflow.start_run(nested=True) as child:
        mlflow.log_metric("inner", 1.0)
    mlflow.end_run()
    run_id = run.info.run_id
    found = tracker.client.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"loss": pytest.approx(1 / 3), "precision": 0.5, "recall": 0.25}
    assert found.data.params == {"lr": "0.1", "layers": "2"}
    history = tracker.client.get_metric_history(run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert set(mlflow.search_runs(experiment_names=[name])["run_id"]) == {run_id, child.info.run_id}
    for condition in ("metrics.precision > 0.4", "params.layers = '2'", "tags.framework = 'none'"):
        assert list(mlflow.search_runs(experiment_names=[name], filter_string=condition)["run_id"]) == [run_id]
    children = f"tags.mlflow.parentRunId = '{run_id}'"
    assert list(mlflow.search_runs(experiment_names=[name], filter_string=children)["run_id"]) == [child.info.run_id]


def test_autolog_logs_a_training(run: mlflow.ActiveRun, tracker: Tracker) -> None:
    from sklearn.linear_model import LinearRegression

    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        LinearRegression().fit([[0], [1], [2]], [0, 2, 4])
    finally:
        mlflow.sklearn.autolog(disable=True)
    found = tracker.client.get_run(run.info.run_id)
    assert found.data.params["fit_intercept"] == "True"
    assert found.data.metrics["training_r2_score"] == pytest.approx(1)


def test_what_azure_does_not_do_with_runs_is_refused(tracker: Tracker, name: str) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow#support-matrix-for-querying-runs-and-experiments"""
    experiment = tracker.client.create_experiment(name)
    with pytest.raises(RestException, match="does not rename"):
        tracker.client.rename_experiment(experiment, f"{name}-2")
    for column in ("metrics.loss DESC", "params.lr", "tags.x ASC"):
        with pytest.raises(RestException, match="orders runs by attributes only"):
            tracker.client.search_runs([experiment], order_by=[column])
    assert tracker.client.search_runs([experiment], order_by=["attributes.start_time DESC"]) == []
    with pytest.raises(RestException) as refused:
        tracker.client.create_experiment(f"{name}-3", artifact_location="file:///tmp/elsewhere")
    assert refused.value.error_code == "NOT_IMPLEMENTED"


@pytest.mark.slow
def test_job_is_a_run_that_its_process_resumes(
    tracker: Tracker, service: RunningService, ml: MLClient, arm: Arm, name: str
) -> None:
    """What the engine of jobs does is done here by hand: the run's id is the job's name, as on Azure."""
    store = Store(service.home.database)
    tokens = TokenService(service.home.signing_key, service.settings.tenant_id)
    tracking = Tracking(store, tokens, server=None)  # type: ignore[arg-type] # the service asks it
    workspace = store.get(arm.workspace)
    assert workspace is not None
    job = f"job_{name}"
    tracking.create_run(arm.workspace, job, experiment=name, display_name="Train", user="ann", tags={"team": "a"})
    waiting = tracker.client.get_run(job)
    assert (waiting.info.status, waiting.info.end_time) == ("SCHEDULED", None)
    assert (waiting.info.run_name, waiting.info.user_id, waiting.data.tags["team"]) == ("Train", "ann", "a")
    tracking.set_status(arm.workspace, job, "Running")
    variables = tracking.variables(
        workspace, job, name, Principal(service.settings.client_id, service.settings.client_object_id)
    )
    code = "import mlflow\nwith mlflow.start_run(): mlflow.log_metric('m', 1); mlflow.log_text('hello', 'a/b.txt')"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **service.environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    tracking.set_status(arm.workspace, job, "Failed")  # after its script, while its outputs are stored
    store.close()
    found = tracker.client.get_run(job)
    assert (found.info.status, found.data.metrics) == ("FAILED", {"m": 1.0})
    assert found.info.end_time is not None
    assert found.info.experiment_id == variables["MLFLOW_EXPERIMENT_ID"]
    assert tracker.client.get_experiment_by_name(name).experiment_id == found.info.experiment_id
    key = service.settings.storage_key
    with ContainerClient(
        f"https://{service.settings.storage_account}.blob.core.windows.net", "azureml", credential=key
    ) as container:
        blob = container.download_blob(f"ExperimentRun/dcid.{job}/a/b.txt")
        assert blob.readall() == b"hello"


# --- files ---


def test_files_of_a_run_come_back(run: mlflow.ActiveRun, tracker: Tracker, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(9 * 2**20))  # more than one block of storage
    exact = tmp_path / "exact.bin"
    exact.write_bytes(os.urandom(BLOCK))
    odd = tmp_path / "a+b 100% ü.txt"
    odd.write_text("odd")
    (tmp_path / "empty").touch()
    for path in (large, exact, odd, tmp_path / "empty"):
        mlflow.log_artifact(str(path), "inner")
    mlflow.log_dict({"a": 1}, "x.json")
    run_id = run.info.run_id
    root = {(one.path, one.is_dir) for one in tracker.client.list_artifacts(run_id)}
    assert root == {("inner", True), ("x.json", False)}
    inner = {one.path: one.file_size for one in tracker.client.list_artifacts(run_id, "inner")}
    assert inner == {"inner/large.bin": 9 * 2**20, "inner/exact.bin": BLOCK, f"inner/{odd.name}": 3, "inner/empty": 0}
    assert tracker.client.list_artifacts(run_id, "x.json") == []
    loaded = Path(
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="inner", dst_path=str(tmp_path / "d"))
    )
    assert {path.name: path.read_bytes() for path in loaded.iterdir()} == {
        path.name: path.read_bytes() for path in (large, exact, odd, tmp_path / "empty")
    }
    listed = tracker.request("GET", f"api/2.0/mlflow/artifacts/list?run_id={run_id}&path=inner").json()
    assert listed["root_uri"] == run.info.artifact_uri
    assert {"path": "inner/empty", "is_dir": False, "file_size": 0} in listed["files"]


def test_client_that_asks_for_parts_sends_the_whole(
    run: mlflow.ActiveRun, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1")
    (tmp_path / "f").write_text("content")
    mlflow.log_artifact(str(tmp_path / "f"))
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/f") == "content"


def test_deleted_files_are_gone(run: mlflow.ActiveRun, tracker: Tracker) -> None:
    for path in ("keep.txt", "old/a.txt", "older.txt"):
        mlflow.log_text("x", path)
    place = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    assert tracker.request("DELETE", f"{UPLOAD}/{place}/old").status_code == 200
    assert {one.path for one in tracker.client.list_artifacts(run.info.run_id)} == {"keep.txt", "older.txt"}


@pytest.mark.parametrize(
    "path",
    [
        "..%2F..%2Fsecret",
        "%2e%2e/%2e%2e/azureml-blobstore/x",
        "a%00b",
        "a%5C..%5Cb",
        "a//b",
        "./a",
    ],
)
def test_path_does_not_lead_out_of_a_run(path: str, run: mlflow.ActiveRun, tracker: Tracker) -> None:
    place = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    for method in ("PUT", "GET", "DELETE"):
        prepared = requests.Request(method, f"{tracker.uri}/{UPLOAD}/{place}/x", data=b"x" if method == "PUT" else None)
        with requests.Session() as session:
            request = session.prepare_request(prepared)
            request.headers["Authorization"] = f"Bearer {tracker.token}"
            assert request.url is not None
            request.url = request.url.removesuffix("x") + path  # requests would tidy it up
            options = session.merge_environment_settings(request.url, {}, None, None, None)
            answer = session.send(request, timeout=SECONDS, **options)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_places_that_are_none_of_the_workspace_are_refused(tracker: Tracker) -> None:
    refusals = {
        "0/nobodys/artifacts/x": 404,
        "0/models/m-nobodys/artifacts/x": 404,
        "registered/nothing/1/MLmodel": 404,
        "elsewhere": 400,
    }
    for place, status in refusals.items():
        assert tracker.request("GET", f"{UPLOAD}/{place}").status_code == status


# --- models ---


@pytest.mark.slow
def test_logged_model_is_registered_loaded_and_seen_by_the_sdk(
    run: mlflow.ActiveRun, tracker: Tracker, ml: MLClient, name: str, tmp_path: Path
) -> None:
    logged = log_doubler(registered_model_name=name)
    run_id = run.info.run_id
    registered = mlflow.register_model(f"runs:/{run_id}/model", name, tags={"stage": "trial"})
    assert (registered.version, registered.run_id) == ("2", run_id)
    for uri in (f"runs:/{run_id}/model", logged.model_uri, f"models:/{name}/1", f"models:/{name}/latest"):
        assert mlflow.pyfunc.load_model(uri).predict([1, 2]) == [2, 4]
    files = [one.path for one in tracker.client.list_artifacts(run_id, "model")]
    assert sorted(files) == sorted(set(files))
    assert "model/MLmodel" in files
    model = ml.models.get(name, version="2")
    assert (model.type, model.job_name, model.tags) == ("mlflow_model", run_id, {"stage": "trial"})
    assert str(model.path).endswith(f"/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{run_id}/model")
    assert set(model.flavors or {}) == {"python_function"}
    ml.models.download(name, version="2", download_path=str(tmp_path))
    assert list(tmp_path.rglob("MLmodel"))


def test_second_model_of_a_name_in_a_run_leaves_the_first(run: mlflow.ActiveRun, tracker: Tracker, name: str) -> None:
    first, second = log_doubler(), log_doubler()
    assert mlflow.models.get_model_info(first.model_uri).model_id == first.model_id
    assert mlflow.models.get_model_info(second.model_uri).model_id == second.model_id
    source = f"{run.info.artifact_uri}/model"
    tracker.client.create_registered_model(name)
    version = tracker.client.create_model_version(name, source, run.info.run_id)
    assert mlflow.models.get_model_info(f"models:/{name}/{version.version}").model_id == second.model_id


def test_model_in_a_runs_files_is_registered(run: mlflow.ActiveRun, ml: MLClient, name: str, tmp_path: Path) -> None:
    """As the client of MLflow 2 logs them, and Azure's examples do with a newer one."""
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Doubler(), pip_requirements=[])
    mlflow.log_artifacts(str(tmp_path / "m"), "classifier")
    mlflow.register_model(f"runs:/{run.info.run_id}/classifier", name)
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict([3]) == [6]
    assert ml.models.get(name, version="1").job_name == run.info.run_id


def test_model_of_the_sdk_is_found_by_mlflow(tracker: Tracker, ml: MLClient, name: str, tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Doubler(), pip_requirements=[])
    ml.models.create_or_update(Model(name=name, path=str(tmp_path / "m"), type="mlflow_model", description="from SDK"))
    (found,) = tracker.client.search_registered_models(f"name = '{name}'")
    assert [one.version for one in found.latest_versions] == ["1"]
    assert tracker.client.get_model_version(name, "1").description == "from SDK"
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict([4]) == [8]
    for root in (UPLOAD, f"{UPLOAD}/", f"{UPLOAD}/%2f"):
        place = f"{root}/registered/{name}/1/MLmodel"
        assert tracker.request("PUT", place, data=b"other").status_code == 403
        assert tracker.request("DELETE", place).status_code == 403
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict([4]) == [8]


def test_models_are_described_staged_and_deleted(
    run: mlflow.ActiveRun, tracker: Tracker, ml: MLClient, name: str
) -> None:
    client = tracker.client
    for _ in range(2):
        log_doubler(registered_model_name=name)
    client.update_registered_model(name, "of the model")
    client.update_model_version(name, "1", "of the version")
    client.set_registered_model_tag(name, "a", "b")
    client.set_model_version_tag(name, "1", "type", "regression")
    client.set_model_version_tag(name, "1", "gone", "x")
    client.delete_model_version_tag(name, "1", "gone")
    model, version = client.get_registered_model(name), client.get_model_version(name, "1")
    assert (model.description, model.tags) == ("of the model", {"a": "b"})
    assert (version.description, version.tags, version.current_stage) == (
        "of the version",
        {"type": "regression"},
        "None",
    )
    assert ml.models.get(name, version="1").tags == {"type": "regression"}
    client.transition_model_version_stage(name, "1", "Staging")
    client.transition_model_version_stage(name, "2", "Staging", archive_existing_versions=True)
    assert [one.version for one in client.get_latest_versions(name, ["Staging"])] == ["2"]
    assert client.get_model_version(name, "1").current_stage == "Archived"
    assert mlflow.pyfunc.load_model(f"models:/{name}/Staging").predict([1]) == [2]
    newest_first = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])
    assert [one.version for one in newest_first] == ["2", "1"]
    assert {one.version for one in client.search_model_versions(f"run_id = '{run.info.run_id}'")} == {"1", "2"}
    client.delete_model_version(name, "2")
    assert [one.version for one in client.search_model_versions(f"name = '{name}'")] == ["1"]
    assert log_doubler(registered_model_name=name).registered_model_version == "3"  # no number is given twice


def test_pages_of_models_hold_each_once(tracker: Tracker, name: str) -> None:
    for number in range(3):
        tracker.client.create_registered_model(f"{name}-{number}")
    names: list[str] = []
    token = None
    while True:
        page = tracker.client.search_registered_models(max_results=2, page_token=token, order_by=["name ASC"])
        names += [model.name for model in page]
        token = page.token
        if not token:
            break
    assert names == sorted(names)
    assert [one for one in names if one.startswith(name)] == [f"{name}-{number}" for number in range(3)]


def test_what_azure_does_not_do_with_models_is_refused(run: mlflow.ActiveRun, tracker: Tracker, name: str) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-manage-models-mlflow#limitations"""
    client = tracker.client
    client.create_registered_model(name)
    log_doubler(registered_model_name=name)
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: client.get_registered_model(f"{name}/versions/1"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.rename_registered_model(name, "other"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.delete_registered_model(name), "INVALID_PARAMETER_VALUE"),
        (lambda: client.set_registered_model_alias(name, "champion", "1"), "NOT_IMPLEMENTED"),
        (lambda: client.search_registered_models("name LIKE '%a%'"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.search_registered_models("tags.a = 'b'"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.search_registered_models(order_by=["colour"]), "INVALID_PARAMETER_VALUE"),
        (lambda: client.transition_model_version_stage(name, "1", "Nowhere"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.transition_model_version_stage(name, "9", "Staging"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.create_registered_model(name), "RESOURCE_ALREADY_EXISTS"),
        (lambda: client.create_registered_model("no/name"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.get_registered_model("nothing-of-the-kind"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_model_version(name, "9"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.create_model_version(name, "file:///tmp/model"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.create_model_version(name, "runs:/nobodys/model"), "RESOURCE_DOES_NOT_EXIST"),
    ]
    for ask, code in refused:
        with pytest.raises(MlflowException) as refusal:
            ask()
        assert refusal.value.error_code == code


def test_what_is_no_model_is_not_registered(run: mlflow.ActiveRun, tracker: Tracker, name: str) -> None:
    mlflow.log_text("x", "folder/file.txt")
    mlflow.log_text("[]", "bad/MLmodel")
    tracker.client.create_registered_model(name)
    for path, words in (("folder", "has no file MLmodel"), ("bad", "does not say which flavors")):
        with pytest.raises(RestException, match=words):
            tracker.client.create_model_version(name, f"{run.info.artifact_uri}/{path}", run.info.run_id)


# --- who may, and where ---


def test_reader_reads_and_changes_nothing(
    run: mlflow.ActiveRun, tracker: Tracker, as_identity: Callable[[str], Tracker], name: str
) -> None:
    mlflow.log_text("x", "x.txt")
    reader = as_identity("Reader")
    run_id, place = run.info.run_id, run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    api = "api/2.0/mlflow"
    may: list[tuple[str, str, Any]] = [
        ("GET", f"{api}/runs/get?run_id={run_id}", None),
        ("POST", f"{api}/runs/search", {"experiment_ids": [run.info.experiment_id]}),
        ("GET", f"{api}/experiments/search?max_results=1", None),
        ("GET", f"{api}/registered-models/search", None),
        ("GET", f"{UPLOAD}/{place}/x.txt", None),
    ]
    for method, path, body in may:
        assert reader.request(method, path, json=body).status_code == 200, path
    may_not: dict[tuple[str, str], str] = {
        ("POST", f"{api}/runs/log-metric"): "experiments/runs/write",
        ("POST", f"{api}/runs/create"): "experiments/runs/write",
        ("POST", f"{api}/experiments/create"): "experiments/write",
        ("POST", f"{api}/experiments/delete"): "experiments/delete",
        ("POST", f"{api}/registered-models/create"): "models/write",
        ("DELETE", f"{api}/model-versions/delete"): "models/delete",
        ("PUT", f"{UPLOAD}/{place}/y.txt"): "metadata/artifacts/write",
        ("DELETE", f"{UPLOAD}/{place}/x.txt"): "metadata/artifacts/write",
    }
    for (method, path), action in may_not.items():
        answer = reader.request(method, path, json={})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), path
        assert f"Microsoft.MachineLearningServices/workspaces/{action}" in answer.json()["message"]


def test_data_scientist_writes(tracker: Tracker, as_identity: Callable[[str], Tracker], name: str) -> None:
    scientist = as_identity("AzureML Data Scientist")
    made = scientist.request("POST", "api/2.0/mlflow/experiments/create", json={"name": name})
    assert made.status_code == 200
    asked = {"experiment_id": made.json()["experiment_id"]}
    assert scientist.request("POST", "api/2.0/mlflow/runs/create", json=asked).status_code == 200
    assert scientist.request("POST", "api/2.0/mlflow/experiments/delete", json=asked).status_code == 200


@pytest.mark.slow
def test_token_of_a_job_is_good_for_its_workspaces_mlflow_only(
    tracker: Tracker, service: RunningService, ml: MLClient, arm: Arm, name: str
) -> None:
    tokens = TokenService(service.home.signing_key, service.settings.tenant_id)
    principal = Principal(service.settings.client_id, service.settings.client_object_id)
    store = Store(service.home.database)
    workspace = store.get(arm.workspace)
    assert workspace is not None
    variables = Tracking(store, tokens, server=None).variables(  # type: ignore[arg-type] # it asks no server
        workspace, "j", "e", principal
    )
    store.close()
    bearer = {"Authorization": f"Bearer {variables['MLFLOW_TRACKING_TOKEN']}"}
    assert tracker.request("GET", "api/2.0/mlflow/experiments/search?max_results=1", headers=bearer).status_code == 200
    assert arm.request("GET", "", headers=bearer).status_code == 401
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic YTpi"}):
        answer = tracker.request("GET", "api/2.0/mlflow/experiments/search", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    for_storage, _ = tokens.issue(principal, audiences.STORAGE[0])
    refused = tracker.request(
        "GET", "api/2.0/mlflow/experiments/search", headers={"Authorization": f"Bearer {for_storage}"}
    )
    assert refused.status_code == 401
    finish(ml.workspaces.begin_create(Workspace(name=name, location="eastus")))
    other = Tracker(tracking_uri(ml, name), tracker.token, tracker.client)
    elsewhere = "api/2.0/mlflow/experiments/search?max_results=1"
    assert other.request("GET", elsewhere).status_code == 200
    answer = other.request("GET", elsewhere, headers=bearer)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    finish(ml.workspaces.begin_delete(name, delete_dependent_resources=False))


def test_path_names_a_workspace_of_the_subscription(tracker: Tracker, service: RunningService) -> None:
    """An encoded slash would name another resource, below a workspace, with a scope of its own."""
    asked = "api/2.0/mlflow/experiments/search?max_results=1"
    beside = tracker.uri + "%2Fdatastores%2Fworkspaceblobstore"
    answer = Tracker(beside, tracker.token, tracker.client).request("GET", asked)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    stranger = tracker.uri.replace(service.settings.subscription_id, str(uuid.uuid4()))
    assert Tracker(stranger, tracker.token, tracker.client).request("GET", asked).status_code == 403


@pytest.mark.slow
def test_workspaces_see_nothing_of_each_other(
    run: mlflow.ActiveRun, tracker: Tracker, ml: MLClient, service: RunningService, name: str
) -> None:
    mlflow.log_text("mine", "x.txt")
    finish(ml.workspaces.begin_create(Workspace(name=name, location="eastus")))
    other = Tracker(tracking_uri(ml, name), tracker.token, MlflowClient(tracking_uri(ml, name)))
    assert [one.name for one in other.client.search_experiments()] == ["Default"]
    place = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    for path in (f"api/2.0/mlflow/runs/get?run_id={run.info.run_id}", f"{UPLOAD}/{place}/x.txt"):
        answer = other.request(
            "GET", path, headers={"Authorization": f"Bearer {tracker.token}", "X-AzureML-Workspace": ""}
        )
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    same = other.client.create_experiment(run.info.experiment_id)
    assert other.client.get_experiment(same).name == run.info.experiment_id
    databases = set(service.home.mlflow.glob("*.db"))
    finish(ml.workspaces.begin_delete(name, delete_dependent_resources=False))
    assert other.request("GET", "api/2.0/mlflow/experiments/search").status_code == 404
    assert len(databases - set(service.home.mlflow.glob("*.db"))) == 1


def test_operations_that_are_lacking_name_themselves(tracker: Tracker) -> None:
    for method, path in (("GET", "api/3.0/mlflow/traces/x"), ("GET", "api/2.0/mlflow/users/get"), ("POST", "graphql")):
        answer = tracker.request(method, path, json={})
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
        assert path in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"\xff",
        b'{"name": "\\ud800", "order_by": ["\\ud800"]}',
        b'{"name": 1, "order_by": 1}',
        b'{"name": "a", "tags": [1], "order_by": [1]}',
        b'{"name": "a", "tags": [{"key": []}], "order_by": {"a": 1}}',
        b'{"name": "a", "description": {"a": 1}, "order_by": ["tags.x"]}',
    ],
)
def test_what_has_not_the_right_form_is_refused(body: bytes, tracker: Tracker) -> None:
    for path in ("runs/search", "registered-models/create"):
        answer = tracker.request("POST", f"api/2.0/mlflow/{path}", data=body)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.slow
def test_server_that_was_killed_is_started_again(tracker: Tracker, service: RunningService, name: str) -> None:
    experiment = tracker.client.create_experiment(name)

    def servers() -> list[psutil.Process]:
        return [one for one in family(service.pid) if "azureml_local.engines.mlflow_server.app:app" in command_of(one)]

    before = servers()
    assert before
    for process in before:
        process.kill()
    psutil.wait_procs(before, timeout=20)
    found = wait_for(lambda: tracker.request("GET", f"api/2.0/mlflow/experiments/get?experiment_id={experiment}"))
    assert found.status_code in (200, 503)  # a request that was under way may break off
    assert tracker.client.get_experiment(experiment).name == name
    assert servers()
