"""Graphs and pipeline jobs are one and the same, written in two ways.

Truth: azure-ai-ml, which makes the job that a graph is read from, and reads what is written of it.
"""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.ai.ml import Input, command, dsl, load_component, load_job
from azure.ai.ml.dsl import pipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from small_components import COMPONENTS, FLIGHTS, graph, training

import designer
from designer.graph import FromInput, FromNode, GraphInput
from designer.reading import dumped

FOLDER = Input(type="uri_folder")
components = designer.load_components()
OWN = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: double
display_name: Double
version: 2.1.0
tags: {category: Mine, module: doubling.double, port.dataset: DataFrameDirectory, port.doubled: DataFrameDirectory}
inputs:
  dataset: {type: uri_folder}
  times: {type: integer, default: 2, min: 1, max: 9}
  exact: {type: boolean, default: true}
outputs:
  doubled: {type: uri_folder}
code: .
additional_includes: [../shared]
environment: azureml:sklearn@latest
command: python double.py ${{inputs.dataset}} ${{inputs.times}} ${{inputs.exact}} ${{outputs.doubled}}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A component's declaration, with code beside it and elsewhere."""
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "own" / "double.yml").write_text(OWN)
    return tmp_path / "own" / "double.yml"


@dsl.pipeline(description="of two", tags={"team": "a"}, display_name="Two steps")
def two_steps(data: FOLDER, columns: str = "a,b", share: float = 0.25, mixed: bool = False) -> Any:  # type: ignore[valid-type]
    read = components.import_data(data=data)
    read.compute = "big"
    select = components.select_columns_in_dataset(dataset=read.outputs.dataset, select_columns=columns)
    select.inputs.dataset.mode = "download"
    split = components.split_data(
        dataset=select.outputs.results_dataset,
        fraction_of_rows_in_the_first_output_dataset=share,
        randomized_split=mixed,
        random_seed=7,
    )
    split.outputs.results_dataset2.mode = "upload"
    split.environment_variables = {"A": "1"}
    split.comment = "half and half"
    return {"first": split.outputs.results_dataset1, "second": split.outputs.results_dataset2}


def job() -> Any:
    made = two_steps(data=Input(type="uri_folder", path="azureml:flights:1", mode="download"))
    made.experiment_name = "flights"
    made.settings.default_compute = "cluster"
    made.settings.continue_on_step_failure = True
    made.outputs.first.path = "azureml://datastores/workspaceblobstore/paths/first"
    return made


def test_a_job_is_read() -> None:
    found = designer.read_graph(job())
    assert found.name == "Two steps"
    assert found.inputs == {
        "data": GraphInput("uri_folder", "azureml:flights:1", settings={"mode": "download"}),
        "columns": GraphInput("string", default="a,b"),
        "share": GraphInput("number", default=0.25),
        "mixed": GraphInput("boolean", default=False),
    }
    assert found.outputs == {
        "first": FromNode("split", "results_dataset1"),
        "second": FromNode("split", "results_dataset2"),
    }
    assert {name: node.bindings for name, node in found.nodes.items()} == {
        "read": {"data": FromInput("data")},
        "select": {"dataset": FromNode("read", "dataset"), "select_columns": FromInput("columns")},
        "split": {
            "dataset": FromNode("select", "results_dataset"),
            "fraction_of_rows_in_the_first_output_dataset": FromInput("share"),
            "randomized_split": FromInput("mixed"),
            "random_seed": 7,
        },
    }
    library = designer.Library()
    assert [node.component for node in found.nodes.values()] == [
        library[name] for name in ("import_data", "select_columns_in_dataset", "split_data")
    ]


def test_a_job_that_was_read_and_written_says_the_same() -> None:
    """But for defaults of types, which are written out."""
    sent, written = dumped(job()), dumped(designer.pipeline_job(designer.read_graph(job())))
    for body in (sent, written):
        for step in body["jobs"].values():
            step["component"].pop("$schema", None)
            for output in step.get("outputs", {}).values():
                if isinstance(output, dict):
                    output.pop("type", None)
            step["inputs"] = {
                name: one["path"] if isinstance(one, dict) and one.keys() <= {"path", "type"} else one
                for name, one in step["inputs"].items()
            }
    assert written == sent


def test_a_graph_comes_back_from_its_yaml() -> None:
    for one in (training(), designer.read_graph(job())):
        assert designer.read_graph(designer.to_yaml(one)) == one


def test_a_graph_comes_back_from_its_job() -> None:
    for one in (training(), designer.read_graph(job())):
        assert designer.read_graph(designer.pipeline_job(one)) == one


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1), st.floats(0, 1))
@settings(max_examples=8, deadline=None)
def test_values_come_back_as_they_were(text: str, share: float) -> None:
    usual = training().set("select", select_columns=text).set("split", fraction=share).expose("split", "fraction")
    assert designer.read_graph(designer.to_yaml(usual)) == usual


@pytest.mark.parametrize("text", ["a\nb\n", "'a' \"b\"", "1", "true", "null", "", " a ", "a: b", "Ünï"])
def test_texts_that_yaml_may_take_for_something_else_stay(text: str) -> None:
    usual = training().set("select", select_columns=text).expose("select", "select_columns", "columns")
    assert designer.read_graph(designer.to_yaml(usual)) == usual


def test_data_that_a_step_names_becomes_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()

    @pipeline
    def own_data() -> None:
        components.import_data(data=Input(type="uri_folder", path="./rows", mode="download"))
        components.import_data(data=Input(type="uri_folder", path="azureml:flights@latest"))
        components.import_data(data=Input(type="uri_folder", path="azureml://datastores/store/paths/x"))
        components.import_data(data=Input(type="uri_file", path="https://example.org/rows.csv"))

    found = designer.read_graph(own_data())
    assert {name: (one.type, one.path, one.settings) for name, one in found.inputs.items()} == {
        "import_data_data": ("uri_folder", str(tmp_path / "rows"), {"mode": "download"}),
        "import_data_1_data": ("uri_folder", "azureml:flights@latest", {}),
        "import_data_2_data": ("uri_folder", "azureml://datastores/store/paths/x", {}),
        "import_data_3_data": ("uri_file", "https://example.org/rows.csv", {}),
    }
    assert found.nodes["import_data_1"].bindings == {"data": FromInput("import_data_1_data")}
    assert designer.read_graph(designer.pipeline_job(found)) == found


def test_a_yaml_file_is_read_with_what_lies_beside_it(own: Path) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-create-component-pipelines-cli."""
    file = own.parent.parent / "pipeline.yml"
    (own.parent.parent / "rows").mkdir()
    body = {
        "type": "pipeline",
        "display_name": "doubled",
        "inputs": {"rows": {"type": "uri_folder", "path": "./rows"}, "times": 3},
        "jobs": {
            "double": {
                "type": "command",
                "component": "./own/double.yml",
                "inputs": {"dataset": "${{parent.inputs.rows}}", "times": "${{parent.inputs.times}}"},
            }
        },
    }
    file.write_text(yaml.safe_dump(body))
    found = designer.read_graph(file)
    assert found.inputs == {
        "rows": GraphInput("uri_folder", str(file.parent / "rows"), data_type="DataFrameDirectory"),
        "times": GraphInput("integer", default=3),
    }
    assert (found.nodes["double"].component.name, found.nodes["double"].component.category) == ("double", "Mine")
    assert designer.read_graph(str(file)) == found


def test_a_components_own_files_are_found_from_anywhere(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def doubled(rows: FOLDER) -> None:  # type: ignore[valid-type]
        load_component(own)(dataset=rows, exact=False)

    def same(one: Any) -> None:
        made = designer.pipeline_job(one).jobs["double"].component
        assert (made.name, made.version) == ("double", "2.1.0")
        assert (Path(made.base_path) / made.code).resolve() == own.parent
        included = [(Path(made.base_path) / path).resolve() for path in made.additional_includes]
        assert included == [own.parent.parent / "shared"]

    found = designer.read_graph(doubled(rows=Input(type="uri_folder", path="azureml:rows:1")))
    declared = designer.Library(own.parent)["double"]
    assert found.nodes["double"].component == declared
    assert found.nodes["double"].bindings == {"dataset": FromInput("rows"), "exact": False}
    monkeypatch.chdir(os.sep)
    same(found)
    same(designer.read_graph(designer.to_yaml(found)))
    same(graph(rows=FLIGHTS).add("double", declared, dataset="rows"))


def test_a_component_of_code_is_read() -> None:
    count: Any = command(
        name="count",
        command="echo ${{inputs.n}} > ${{outputs.out}}/n",
        environment="azureml:tiny:1",
        inputs={"n": Input(type="integer", default=1)},
        outputs={"out": {"type": "uri_folder"}},
    )

    @pipeline
    def counting() -> None:
        count(n=4)

    found = designer.read_graph(counting())
    assert found.nodes["count"].component.parameters["n"].default == 1
    assert found.nodes["count"].bindings == {"n": 4}
    assert designer.read_graph(designer.to_yaml(found)) == found


def test_a_pipeline_component_is_written_and_read() -> None:
    usual = training().expose("split", "fraction").connect("score", "scores")
    component = designer.pipeline_component(usual, "training", version="3")
    assert (component.name, component.version) == ("training", "3")
    assert {name: one.type for name, one in component.inputs.items()} == {"flights": "uri_folder", "fraction": "number"}
    assert {name: one.type for name, one in component.outputs.items()} == {"scores": "uri_folder"}
    found = designer.read_graph(component)
    assert found.nodes == usual.nodes
    assert found.inputs["flights"].path is None


def test_saved_models_are_fixed_in_a_pipeline_component() -> None:
    model = GraphInput("custom_model", "azureml:MD-flights-train-trained_model:1", data_type="ModelDirectory")
    rows = GraphInput("uri_folder", "azureml:rows:1", data_type="DataFrameDirectory")
    usual = graph(model=model, rows=rows).add("score", COMPONENTS["score_model"], trained_model="model", dataset="rows")
    component = designer.pipeline_component(usual, "scoring")
    assert list(component.inputs) == ["rows"]
    body = dumped(component)["jobs"]["score"]["inputs"]
    assert body["trained_model"] == {"path": model.path, "type": "custom_model"}
    assert list(designer.pipeline_component(usual, "scoring", inputs=["model"]).inputs) == ["model"]


def test_a_component_of_a_workspace_keeps_its_name_only() -> None:
    text = """
type: pipeline
jobs:
  score: {type: command, component: "azureml:score_model:1"}
"""
    with pytest.raises(designer.GraphError, match=r"Of score_model:1 only the name is here: graph_of_job"):
        designer.read_graph(text)


def test_a_step_without_a_component_is_refused(tmp_path: Path) -> None:
    """A sweep, say: https://learn.microsoft.com/azure/machine-learning/how-to-use-sweep-in-pipeline."""
    (tmp_path / "trial.yml").write_text(OWN.replace("additional_includes: [../shared]\n", ""))
    (tmp_path / "pipeline.yml").write_text("""
type: pipeline
jobs:
  sweep:
    type: sweep
    trial: ./trial.yml
    sampling_algorithm: random
    search_space: {times: {type: choice, values: [1, 2]}}
    limits: {max_total_trials: 2}
    objective: {goal: maximize, primary_metric: m}
    inputs: {dataset: {type: uri_folder, path: azureml:rows:1}}
""")
    with pytest.raises(designer.GraphError, match=r"sweep: It is of type sweep; a graph has only steps that run a"):
        designer.read_graph(tmp_path / "pipeline.yml")


def test_the_job_of_a_graph_that_cannot_run_names_why() -> None:
    with pytest.raises(designer.GraphError, match=r"train\.untrained_model: The port is not connected"):
        designer.pipeline_job(training().remove("learner"))


def test_where_and_under_what_name_it_runs_is_said_with_the_job() -> None:
    made = designer.pipeline_job(training(), compute="cluster", experiment_name="tries")
    assert (made.compute, made.experiment_name, made.display_name) == ("cluster", "tries", "flights")
    assert made.jobs["split"].component.name == "split_data"


def test_yaml_is_what_azure_ai_ml_loads(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yml").write_text(designer.to_yaml(training()))
    loaded = load_job(tmp_path / "pipeline.yml")
    loaded.settings.default_compute = "cluster"
    assert loaded._validate().passed
    assert list(loaded.jobs) == list(training().nodes)
