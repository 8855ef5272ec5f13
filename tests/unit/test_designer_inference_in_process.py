"""What a web service answers is what the training run scored, for each learner, on the same rows.

Truth: the scored data of the training run itself. The service gets the rows as they were before anything was done to
them, as JSON, some of them alone and some together.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset
from designer_modules.engine import Engine, NodeError
from designer_modules.registry import find
from designer_modules.serving import WebService

import designer_flights
from designer import GraphError, run_in_process
from designer.contract import contract, nodes_of
from designer.graph import Graph, GraphInput
from designer.rewriting import realtime_inference, saved_ports
from designer.samples import sample

SEED = {"random_number_seed": 1}
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "two_class_logistic_regression": ("late", SEED),
    "two_class_decision_forest": ("late", SEED),
    "two_class_boosted_decision_tree": ("late", SEED),
    "two_class_neural_network": ("late", SEED | {"number_of_learning_iterations": 20}),
    "multiclass_logistic_regression": ("carrier", SEED),
    "multiclass_decision_forest": ("carrier", SEED),
    "multiclass_boosted_decision_tree": ("carrier", SEED | {"number_of_trees_constructed": 20}),
    "multiclass_neural_network": ("carrier", SEED | {"number_of_learning_iterations": 20}),
    "linear_regression": ("delay", SEED),
    "decision_forest_regression": ("delay", SEED),
    "boosted_decision_tree_regression": ("delay", SEED),
    "neural_network_regression": ("delay", SEED | {"number_of_learning_iterations": 20}),
}


def service_of(graph: Graph, outputs: dict[str, Any], folder: Path) -> WebService:
    """Return the service of a training graph's inference graph, with assets that were written and read again."""
    inference, saved = designer_flights.inference(graph, outputs)
    for name, one in saved.items():
        one.save(folder / "assets" / name)
    designer_flights.flights().save(folder / "sample")
    label = inference.nodes["web_service_input"].bindings.get("label_column")
    described = contract(inference, {"web_service_input": sample(folder / "sample", label)})
    return WebService(Engine(json.loads(json.dumps(described)), folder))


def answered(service: WebService, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"Inputs": {"WebServiceInput0": rows}}).encode()
    answer = service.answer("POST", body, {})
    assert answer.status == 200, answer.body
    results: list[dict[str, Any]] = json.loads(answer.body)["Results"]["WebServiceOutput0"]
    return results


def rows(data: Dataset, numbers: list[int], without: str = "") -> list[dict[str, Any]]:
    """Return rows as a caller sends them, who does not know the label."""
    frame = data.frame.set_index("number", drop=False).loc[numbers].drop(columns=[without] if without else [])
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return found


def assert_scores_equal(results: list[dict[str, Any]], truth: pd.DataFrame) -> None:
    scores = [name for name in truth.columns if name.startswith(("Scored", "Assignments", "Distances"))]
    assert scores
    for row in results:
        expected = truth.loc[row["number"]]
        for name in scores:
            if isinstance(row[name], float):
                assert row[name] == pytest.approx(expected[name], abs=1e-9), name
            else:
                assert row[name] == expected[name], name


def test_every_learner_is_here() -> None:
    trains = [name for name, one in designer_flights.LIBRARY.items() if "untrained_model" in one.outputs]
    assert {*LEARNERS, "k_means_clustering"} | {"resnet", "densenet"} == {*trains}  # the last two are for images


@pytest.mark.parametrize("learner", list(LEARNERS))
def test_a_learner_predicts_as_in_training(learner: str, tmp_path: Path) -> None:
    label, parameters = LEARNERS[learner]
    data = designer_flights.flights()
    graph = designer_flights.training(learner, label, **parameters)
    outputs = run_in_process(graph, {"flights": data})
    truth = outputs["score.scored_dataset"].frame.set_index("number")
    service = service_of(graph, outputs, tmp_path)
    numbers = truth.index.tolist()
    assert_scores_equal(answered(service, rows(data, numbers, without=label)), truth)
    for number in numbers[:5]:
        assert_scores_equal(answered(service, rows(data, [number], without=label)), truth)


def test_clusters_are_assigned_as_in_training(tmp_path: Path) -> None:
    library, data = designer_flights.LIBRARY, designer_flights.flights()
    graph = designer_flights.training("two_class_logistic_regression", "late")
    for gone in ("evaluate", "score", "train", "learner"):
        graph = graph.remove(gone)
    graph = graph.add("learner", library["k_means_clustering"], number_of_centroids=3, random_number_seed=1)
    columns = ",".join(designer_flights.NUMERIC)
    graph = graph.add(
        "train",
        library["train_clustering_model"],
        untrained_model="learner",
        dataset="split.results_dataset1",
        column_set=columns,
    )
    graph = graph.add(
        "score", library["assign_data_to_clusters"], trained_model="train", dataset="split.results_dataset2"
    )
    outputs = run_in_process(graph, {"flights": data})
    truth = outputs["score.results_dataset"].frame.set_index("number")
    service = service_of(graph, outputs, tmp_path)
    assert np.unique(truth["Assignments"]).size == 3
    assert_scores_equal(answered(service, rows(data, truth.index.tolist())), truth)


@pytest.mark.parametrize(
    ("change", "column"),
    [({"origin": "XXX"}, "origin"), ({"distance": None}, "distance"), ({"origin": None}, "origin")],
)
def test_what_the_model_cannot_use_is_an_error_and_no_zero(change: dict[str, Any], column: str, tmp_path: Path) -> None:
    data = designer_flights.flights()
    graph = designer_flights.training("two_class_logistic_regression", "late")
    service = service_of(graph, run_in_process(graph, {"flights": data}), tmp_path)
    good = rows(data, [3], without="late")[0]
    body = json.dumps({"Inputs": {"WebServiceInput0": [good, {**good, **change}]}}).encode()
    answer = service.answer("POST", body, {})
    (problem,) = json.loads(answer.body)["error"]["details"]
    assert answer.status == 400
    assert column in problem["reason"] or problem["column"].startswith(column)
    assert problem["row"] == 1


# --- joins ---

AIRPORTS = Dataset(pd.DataFrame({"code": pd.Categorical(["EWR", "JFK", "LGA"]), "runways": [3, 4, 2]}))


def joined() -> Graph:
    """Return a training graph whose flights are joined with a table of airports."""
    graph = designer_flights.training("linear_regression", "delay")
    inputs = {**graph.inputs, "airports": GraphInput("uri_folder", "azureml:airports:1")}
    return replace(graph, inputs=inputs).insert(
        "join",
        designer_flights.LIBRARY["join_data"],
        after="select.results_dataset",
        dataset2="airports",
        join_key_columns_for_l="origin",
        join_key_columns_for_r="code",
        keep_right_key_columns_in_joined_table=False,
    )


@pytest.mark.parametrize("inputs", [(), ("flights", "airports")], ids=["saved", "sent"])
def test_rows_are_joined_with_what_is_saved_or_sent_as_well(inputs: tuple[str, ...], tmp_path: Path) -> None:
    graph, data = joined(), designer_flights.flights()
    outputs = run_in_process(graph, {"flights": data, "airports": AIRPORTS})
    inference = realtime_inference(graph, inputs=inputs)
    saved = {name: outputs[str(port)] for name, port in saved_ports(graph, inference).items()}
    for name, one in {**saved, "airports": AIRPORTS, "flights": data}.items():
        one.save(tmp_path / "assets" / name)
    samples = {
        name: sample(tmp_path / "assets" / str(node.bindings["dataset"]), node.bindings.get("label_column"))
        for name, node in nodes_of(inference, "web_service_input").items()
    }
    service = WebService(Engine(contract(inference, samples), tmp_path))
    truth = outputs["score.scored_dataset"].frame.set_index("number")
    sent = {"WebServiceInput0": rows(data, truth.index.tolist(), without="delay")}
    if inputs:
        sent["WebServiceInput1"] = json.loads(AIRPORTS.frame.to_json(orient="records"))
    answer = service.answer("POST", json.dumps({"Inputs": sent}).encode(), {})
    results = json.loads(answer.body)["Results"]["WebServiceOutput0"]
    assert len(results) == len(truth)
    assert_scores_equal(results, truth)


# --- the label, and rows of other data ---

LIBRARY = designer_flights.LIBRARY


def with_step(graph: Graph, name: str, component: str, **bindings: Any) -> Graph:
    """Put a component behind the first one, which selects columns."""
    return graph.insert(name, LIBRARY[component], after="select", **bindings)


RENAMED = with_step(
    designer_flights.training("two_class_logistic_regression", "is, 'late'"),
    "rename",
    "edit_metadata",
    column="late",
    new_column_names='["is, \\u0027late\\u0027"]',
)
RENAMED = RENAMED.set(
    "select", select_columns=",".join(("number", *designer_flights.NUMERIC, *designer_flights.CATEGORICAL, "late"))
)
RENAMED = RENAMED.set("train", label_column='["is, \\u0027late\\u0027"]')
MARKED = with_step(
    designer_flights.training("two_class_logistic_regression", "late").set("train", label_column=None),
    "mark",
    "edit_metadata",
    column="late",
    fields="Labels",
)
MEANT = MARKED.set("train", label_column="label")


@pytest.mark.parametrize("graph", [RENAMED, MARKED, MEANT], ids=["renamed", "marked", "meant by the word"])
def test_a_label_need_not_be_sent_whatever_says_that_it_is_one(graph: Graph, tmp_path: Path) -> None:
    data = designer_flights.flights()
    outputs = run_in_process(graph, {"flights": data})
    truth = outputs["score.scored_dataset"].frame.set_index("number")
    service = service_of(graph, outputs, tmp_path)
    numbers = truth.index.tolist()
    assert_scores_equal(answered(service, rows(data, numbers, without="late")), truth)
    assert_scores_equal(answered(service, rows(data, numbers)), truth)


def test_rows_that_others_were_added_to_are_the_answer_without_them(tmp_path: Path) -> None:
    """Add Rows put last year's rows below for training; below a request's they would be scored as if they were sent."""
    data = designer_flights.flights()
    half = len(data.frame) // 2
    graph = designer_flights.training("two_class_logistic_regression", "late")
    graph = replace(graph, inputs={**graph.inputs, "last_year": GraphInput("uri_folder", "azureml:last_year:1")})
    graph = graph.insert("rows", LIBRARY["add_rows"], after="flights", before="select", dataset2="last_year")
    parts = {"flights": data.with_frame(data.frame[:half]), "last_year": data.with_frame(data.frame[half:])}
    outputs = run_in_process(graph, parts)
    truth = outputs["score.scored_dataset"].frame.set_index("number")
    numbers = truth.index.tolist()
    results = answered(service_of(graph, outputs, tmp_path), rows(data, numbers, without="late"))
    assert [row["number"] for row in results] == numbers
    assert_scores_equal(results, truth)
    assert "rows" in realtime_inference(graph, inputs=("flights", "last_year")).nodes  # both are sent


def test_rows_that_the_graph_leaves_out_are_told_of(tmp_path: Path) -> None:
    graph = designer_flights.training("two_class_logistic_regression", "late")
    graph = graph.set("clean", cleaning_mode="Remove entire row")
    data = designer_flights.flights()
    service = service_of(graph, run_in_process(graph, {"flights": data}), tmp_path)
    missing = data.frame.loc[data.frame["wind"].isna(), "number"].tolist()[:2]
    there = data.frame.loc[data.frame["wind"].notna(), "number"].tolist()[:3]
    body = {"Inputs": {"WebServiceInput0": rows(data, [*missing, *there], without="late")}}
    answer = json.loads(service.answer("POST", json.dumps(body).encode(), {}).body)
    assert [row["number"] for row in answer["Results"]["WebServiceOutput0"]] == there
    reason = "Of 5 rows that came in, it made 3."
    assert answer["Warnings"] == [{"node": "clean", "component": "Apply Transformation", "reason": reason}]
    body["Inputs"]["WebServiceInput0"] = rows(data, there, without="late")
    assert "Warnings" not in json.loads(service.answer("POST", json.dumps(body).encode(), {}).body)


def test_a_service_has_the_defaults_of_the_declaration_as_a_job_has(tmp_path: Path) -> None:
    """A learner's function may have another default than its declaration: a job is given that of the declaration."""
    score = LIBRARY["score_model"]
    parameter = replace(score.parameters["append_score_columns_to_output"], default=False)
    declared = replace(score, parameters={parameter.name: parameter})
    graph = designer_flights.training("two_class_logistic_regression", "late").remove("evaluate")
    graph = replace(graph, nodes={**graph.nodes, "score": replace(graph.nodes["score"], component=declared)})
    data = designer_flights.flights()
    outputs = run_in_process(graph, {"flights": data})
    assert "number" not in outputs["score.scored_dataset"].frame
    (result,) = answered(service_of(graph, outputs, tmp_path), rows(data, [3], without="late"))
    assert set(result) == {"Scored Labels", "Scored Probabilities"}


def test_a_graph_is_not_run_without_its_data() -> None:
    with pytest.raises(GraphError, match="flights: The input has no data"):
        run_in_process(designer_flights.training("two_class_logistic_regression", "late"))


# --- a learner's SQL and Python ---

SCRIPT = """
def azureml_main(dataframe1=None, dataframe2=None):
    dataframe1["speed"] = [1000 // hour for hour in dataframe1["hour"]]
    return dataframe1,
"""


@pytest.mark.parametrize(
    ("component", "parameters", "said"),
    [
        ("execute_python_script", {"python_script": SCRIPT}, "ZeroDivisionError"),
        ("execute_sql_transformation", {"sql_query_script": "select *, cast(origin as int) as o from t1"}, "EWR"),
    ],
)
def test_sql_and_python_that_fail_on_a_row_are_named(
    component: str, parameters: dict[str, Any], said: str, tmp_path: Path
) -> None:
    data = designer_flights.flights()
    graph = designer_flights.training("two_class_logistic_regression", "late")
    outputs = run_in_process(graph, {"flights": data})
    inference, saved = designer_flights.inference(graph, outputs)
    library = designer_flights.LIBRARY
    inference = inference.insert("own", library[component], after="web_service_input", **parameters)
    for name, one in saved.items():
        one.save(tmp_path / "assets" / name)
    data.save(tmp_path / "sample")
    described = contract(inference, {"web_service_input": sample(tmp_path / "sample", "late")})
    row = rows(data, [3], without="late")[0] | {"hour": 0, "origin": "EWR"}
    body = json.dumps({"Inputs": {"WebServiceInput0": [row]}}).encode()
    answer = WebService(Engine(described, tmp_path)).answer("POST", body, {})
    (problem,) = json.loads(answer.body)["error"]["details"]
    assert answer.status == 400
    assert (problem["node"], problem["component"]) == ("own", library[component].display_name)
    assert said in problem["reason"]


# --- what a package says, and parameters without a value ---


def test_an_example_has_times_as_json_has_them(tmp_path: Path) -> None:
    times = pd.to_datetime(["2013-07-04 09:30", None])
    Dataset(pd.DataFrame({"made": times, "sold": [None, *times[:1]]})).save(tmp_path)
    assert json.loads(json.dumps(sample(tmp_path, None)))["example"] == [{"made": "2013-07-04T09:30:00", "sold": None}]


def test_an_exposed_parameter_that_a_component_can_do_without_need_not_be_sent(tmp_path: Path) -> None:
    graph = designer_flights.training("two_class_logistic_regression", "late")
    graph = with_step(graph, "rename", "edit_metadata", column="late").expose("rename", "new_column_names", "called")
    data = designer_flights.flights()
    service = service_of(graph, run_in_process(graph, {"flights": data}), tmp_path)
    (row,) = rows(data, [3])
    assert answered(service, [row])[0]["late"] == row["late"]
    body = {"Inputs": {"WebServiceInput0": [row]}, "GlobalParameters": {"called": "delayed"}}
    answer = json.loads(service.answer("POST", json.dumps(body).encode(), {}).body)
    assert "delayed" in answer["Results"]["WebServiceOutput0"][0]


def test_a_parameter_without_a_value_that_is_needed_is_named() -> None:
    graph = designer_flights.training("two_class_logistic_regression", "late").expose("train", "label_column")
    graph = graph.expose("select", "select_columns", "kept")
    empty = {**graph.inputs, "kept": replace(graph.inputs["kept"], default=None)}
    with pytest.raises(NodeError, match="select_columns has no value"):
        run_in_process(replace(graph, inputs=empty), {"flights": designer_flights.flights()})


def test_a_learners_module_may_be_called_as_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "values.py").write_text("def doubled(dataset, factor: float = 2.0):\n    return dataset\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("values.doubled").__module__ == "values"
    with pytest.raises(ModuleNotFoundError, match="no function 'tripled'"):
        find("values.tripled")
