"""Inference graphs, as the Designer makes them.

Truth: https://learn.microsoft.com/azure/machine-learning/tutorial-designer-automobile-price-deploy and
how-to-run-batch-predictions-designer; and what the graphs mean, computed with symbols instead of data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_components import COMPONENTS, FLIGHTS, component, graph, training

import designer
from designer.declarations import DATASET, MODEL, TRANSFORMATION
from designer.errors import GraphError
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput
from designer.rewriting import batch_inference, realtime_inference, saved_ports, with_paths
from designer.rewriting.paths import entrance, scored_rows
from designer.rewriting.saved import asset_name

PLANES = GraphInput("uri_folder", "azureml:planes:1")
IMAGES = GraphInput("uri_folder", "azureml:images:1")


def realtime(training_graph: Graph, **options: Any) -> Graph:
    return realtime_inference(training_graph, library=COMPONENTS, **options)


def batch(training_graph: Graph, **options: Any) -> Graph:
    return batch_inference(training_graph, library=COMPONENTS, **options)


def titles(one: Graph) -> dict[str, str]:
    return {name: node.component.display_name for name, node in one.nodes.items()}


def saved(before: Graph, after: Graph) -> set[str]:
    return {str(port) for port in saved_ports(before, after).values()}


def can_run(before: Graph, after: Graph) -> bool:
    """Say whether an inference graph can be run, once what it needs is saved."""
    paths = {name: f"azureml:{asset_name(before, port)}:1" for name, port in saved_ports(before, after).items()}
    return designer.problems(with_paths(after, paths), data_may_be_missing=True) == []


def joined(**side: Any) -> Graph:
    """Return a training graph that joins flights with planes before it splits them."""
    return (
        replace(training(), inputs={"flights": FLIGHTS, "planes": PLANES})
        .add("import_planes", COMPONENTS["import_data"], data="planes")
        .add("select_planes", COMPONENTS["select_columns_in_dataset"], dataset="import_planes", select_columns="all")
        .insert("join", COMPONENTS["join_data"], after="select", before="clean", right_dataset="select_planes")
    )


def images() -> Graph:
    """Return the training graph of the Designer's sample for images."""
    return (
        graph("digits", images=IMAGES)
        .add("convert", COMPONENTS["convert_to_image_directory"], input_dataset="images")
        .add("split", COMPONENTS["split_image_directory"], input_image_directory="convert")
        .add("init", COMPONENTS["init_image_transformation"])
        .add(
            "apply1",
            COMPONENTS["apply_image_transformation"],
            input_image_transformation="init",
            input_image_directory="split.output_image_directory1",
        )
        .add(
            "apply2",
            COMPONENTS["apply_image_transformation"],
            input_image_transformation="init",
            input_image_directory="split.output_image_directory2",
        )
        .add("resnet", COMPONENTS["resnet"])
        .add(
            "train",
            COMPONENTS["train_pytorch_model"],
            untrained_model="resnet",
            training_dataset="apply1",
            validation_dataset="apply2",
        )
        .add("score", COMPONENTS["score_image_model"], trained_model="train", dataset="apply2")
    )


# --- real-time inference ---


def test_realtime_inference_of_the_usual_graph() -> None:
    inference = realtime(training())
    assert titles(inference) == {
        "web_service_input": "Web Service Input",
        "select": "Select Columns in Dataset",
        "clean": "Apply Transformation",
        "apply": "Apply Transformation",
        "score": "Score Model",
        "web_service_output": "Web Service Output",
    }
    assert inference.nodes["select"].bindings["dataset"] == FromNode("web_service_input", "results_dataset")
    assert inference.nodes["apply"].bindings["dataset"] == FromNode("clean", "transformed_dataset")
    assert inference.nodes["web_service_input"].bindings == {
        "dataset": FromInput("import_flights_dataset"),
        "name": "WebServiceInput0",
        "label_column": "late",
    }
    assert inference.nodes["web_service_output"].bindings["dataset"] == FromNode("score", "scored_dataset")
    assert saved_ports(training(), inference) == {
        "train_trained_model": FromNode("train", "trained_model"),
        "normalize_transformation_function": FromNode("normalize", "transformation_function"),
        "clean_cleaning_transformation": FromNode("clean", "cleaning_transformation"),
        "import_flights_dataset": FromNode("import_flights", "dataset"),
    }
    assert inference.name == "flights-real time inference"
    assert can_run(training(), inference)


def test_the_training_graph_stays_as_it_was() -> None:
    before = training()
    realtime(before)
    batch(before)
    assert before == training()


def test_rows_enter_where_typed_data_did() -> None:
    typed = (
        graph()
        .add("typed", COMPONENTS["enter_data_manually"], data="a,b\n1,2")
        .add("learner", COMPONENTS["two_class_logistic_regression"])
        .add("train", COMPONENTS["train_model"], untrained_model="learner", dataset="typed", label_column="b")
        .add("score", COMPONENTS["score_model"], trained_model="train", dataset="typed")
    )
    inference = realtime(typed)
    assert titles(inference) == {
        "web_service_input": "Web Service Input",
        "score": "Score Model",
        "web_service_output": "Web Service Output",
    }
    assert saved(typed, inference) == {"typed.dataset", "train.trained_model"}


def test_rows_enter_at_an_input_that_is_a_dataset() -> None:
    direct = replace(training(), inputs={"flights": GraphInput("uri_folder", "azureml:d:1", data_type=DATASET)})
    direct = direct.connect("flights", "select.dataset").remove("import_flights")
    inference = realtime(direct)
    assert inference.nodes["web_service_input"].bindings["dataset"] == FromInput("flights")
    assert inference.inputs["flights"] == direct.inputs["flights"]


def test_joined_data_stays_as_the_run_left_it() -> None:
    inference = realtime(joined())
    assert inference.nodes["join"].bindings["right_dataset"] == FromInput("select_planes_results_dataset")
    assert "import_planes" not in inference.nodes
    assert "planes" not in inference.inputs
    assert can_run(joined(), inference)


def test_joined_data_may_come_with_the_request() -> None:
    inference = realtime(joined(), inputs=["import_flights", "import_planes"])
    assert inference.nodes["select_planes"].bindings["dataset"] == FromNode("web_service_input_1", "results_dataset")
    assert inference.nodes["web_service_input_1"].bindings == {
        "dataset": FromInput("import_planes_dataset"),
        "name": "WebServiceInput1",
    }
    assert can_run(joined(), inference)


def test_rows_may_enter_later() -> None:
    """Behind a component that makes the label, say."""
    inference = realtime(training(), inputs=["select"])
    assert list(inference.nodes) == ["web_service_input", "clean", "apply", "score", "web_service_output"]
    assert inference.nodes["clean"].bindings["dataset"] == FromNode("web_service_input", "results_dataset")
    assert "select.results_dataset" in saved(training(), inference)


def test_data_that_was_made_of_the_same_rows_is_made_of_the_requests() -> None:
    """Flights joined with what was computed from them."""
    both = (
        training()
        .add("sums", COMPONENTS["select_columns_in_dataset"], dataset="select", select_columns="a")
        .insert("join", COMPONENTS["join_data"], after="select", before="clean", right_dataset="sums")
    )
    inference = realtime(both)
    assert inference.nodes["join"].bindings == {
        "left_dataset": FromNode("select", "results_dataset"),
        "right_dataset": FromNode("sums", "results_dataset"),
    }
    assert can_run(both, inference)


def test_splits_are_passed_one_after_another() -> None:
    twice = training().insert("halve", COMPONENTS["split_data"], after="split.results_dataset2")
    assert realtime(twice).nodes["apply"].bindings["dataset"] == FromNode("clean", "transformed_dataset")


def test_a_transformation_that_selects_columns_is_saved() -> None:
    selected = (
        training()
        .add("columns", COMPONENTS["select_columns_transform"], dataset_with_desired_columns="normalize")
        .insert("pick", COMPONENTS["apply_transformation"], after="apply", transformation="columns")
    )
    inference = realtime(selected)
    assert inference.nodes["pick"].bindings["transformation"] == FromInput("columns_columns_selection_transformation")
    assert can_run(selected, inference)


def test_the_best_model_of_tuning_is_saved() -> None:
    tuned = training().remove("train").add(
        "tune",
        COMPONENTS["tune_model_hyperparameters"],
        untrained_model="learner",
        training_dataset="normalize",
        label_column="late",
    )  # fmt: skip
    tuned = tuned.connect("tune.trained_best_model", "score")
    inference = realtime(tuned)
    assert "tune.trained_best_model" in saved(tuned, inference)
    assert inference.nodes["web_service_input"].bindings["label_column"] == "late"


def test_a_label_that_is_a_parameter_of_the_pipeline_is_the_one_of_the_run() -> None:
    inference = realtime(training().expose("train", "label_column", "label"))
    assert inference.nodes["web_service_input"].bindings["label_column"] == "late"
    assert "label" not in inference.inputs


def test_a_label_may_be_a_list_of_one() -> None:
    inference = realtime(training().set("train", label_column='["arrival, late"]'))
    assert inference.nodes["web_service_input"].bindings["label_column"] == '["arrival, late"]'


def test_parameters_of_what_stays_are_the_services() -> None:
    exposed = training().expose("select", "select_columns", "columns").expose("split", "fraction")
    inference = realtime(exposed)
    assert inference.inputs["columns"] == GraphInput("string", default="all")
    assert "fraction" not in inference.inputs


def test_settings_stay() -> None:
    usual = training()
    nodes = {
        **usual.nodes,
        "select": replace(usual.nodes["select"], settings={"compute": "azureml:big", "comment": "first"}),
        "clean": replace(
            usual.nodes["clean"],
            settings={"compute": "azureml:big", "outputs": {"cleaned_dataset": {"mode": "upload"}}},
        ),
    }
    inference = realtime(replace(usual, nodes=nodes, settings={"compute": "azureml:small"}))
    assert inference.settings == {"compute": "azureml:small"}
    assert inference.nodes["select"].settings == {"compute": "azureml:big", "comment": "first"}
    assert inference.nodes["clean"].settings == {"compute": "azureml:big"}


def test_images() -> None:
    inference = realtime(images())
    assert titles(inference) == {
        "web_service_input": "Web Service Input",
        "apply2": "Apply Image Transformation",
        "score": "Score Image Model",
        "web_service_output": "Web Service Output",
    }
    assert saved(images(), inference) == {
        "convert.output_image_directory",
        "init.output_image_transformation",
        "train.trained_model",
    }
    assert can_run(images(), inference)


def test_components_of_which_only_the_ports_are_known() -> None:
    """A learner's own: one that makes rules, one that guesses by them, and one that fits and applies something."""
    shift = component("Shift", {"rows": DATASET}, {"shifted": DATASET, "shift": TRANSFORMATION})
    own = (
        graph(flights=FLIGHTS)
        .add("read", COMPONENTS["import_data"], data="flights")
        .add("shift", shift, rows="read")
        .add("anything", COMPONENTS["untagged"], given="shift.shifted")
        .add("make", COMPONENTS["make_rules"], rows="anything")
        .add("guess", COMPONENTS["guess"], rules="make", rows="anything")
    )
    inference = realtime(own)
    assert titles(inference) == {
        "web_service_input": "Web Service Input",
        "shift": "Apply Transformation",
        "anything": "Untagged",
        "guess": "Guess",
        "web_service_output": "Web Service Output",
    }
    assert saved(own, inference) == {"read.dataset", "shift.shift", "make.rules"}
    assert can_run(own, inference)


def test_what_comes_after_the_scorer_goes_unless_it_is_the_answer() -> None:
    picked = training().add(
        "pick", COMPONENTS["select_columns_in_dataset"], dataset="score", select_columns="Scored Labels"
    )
    assert "pick" not in realtime(picked).nodes
    inference = realtime(picked, scorer="pick")
    assert inference.nodes["web_service_output"].bindings["dataset"] == FromNode("pick", "results_dataset")


def test_a_model_of_a_models_scores() -> None:
    """The scorer is the last of those that score one after another."""
    stacked = (
        training()
        .add("learner2", COMPONENTS["two_class_logistic_regression"])
        .add("train2", COMPONENTS["train_model"], untrained_model="learner2", dataset="score", label_column="late")
        .add("score2", COMPONENTS["score_model"], trained_model="train2", dataset="score")
    )
    inference = realtime(stacked)
    assert inference.nodes["score2"].bindings["dataset"] == FromNode("score", "scored_dataset")
    assert saved(stacked, inference) >= {"train.trained_model", "train2.trained_model"}


def test_names_that_are_taken_get_a_number() -> None:
    again = training().insert("web_service_input", COMPONENTS["select_columns_in_dataset"], after="select")
    inference = realtime(again.set("web_service_input", select_columns="all"))
    assert titles(inference)["web_service_input"] == "Select Columns in Dataset"
    assert titles(inference)["web_service_input_1"] == "Web Service Input"


# --- batch inference ---


def test_batch_inference_of_the_usual_graph() -> None:
    inference = batch(training())
    assert list(inference.nodes) == ["import_flights", "select", "clean", "apply", "score"]
    assert inference.nodes["import_flights"].bindings == {"data": FromInput("flights"), "label_column": "late"}
    assert inference.inputs["flights"] == FLIGHTS
    assert inference.outputs == {"scored_dataset": FromNode("score", "scored_dataset")}
    assert inference.name == "flights-batch inference"
    assert can_run(training(), inference)


def test_typed_data_becomes_data_that_a_caller_names() -> None:
    typed = training().add("typed", COMPONENTS["enter_data_manually"], data="a\n1").connect("typed", "select.dataset")
    inference = batch(typed.remove("import_flights"))
    assert titles(inference)["typed"] == "Import Data"
    assert inference.nodes["typed"].bindings == {"data": FromInput("data"), "label_column": "late"}
    assert inference.inputs["data"] == GraphInput("uri_folder")
    assert list(designer.pipeline_component(with_saved(typed, inference), "scoring").inputs) == ["data"]


def with_saved(before: Graph, after: Graph) -> Graph:
    return with_paths(
        after, {name: f"azureml:{asset_name(before, port)}:1" for name, port in saved_ports(before, after).items()}
    )


def test_joined_data_is_fixed_in_a_batch_pipeline() -> None:
    inference = with_saved(joined(), batch(joined()))
    assert (
        inference.inputs["select_planes_results_dataset"].path == "azureml:DS-flights-select_planes-results_dataset:1"
    )
    assert list(designer.pipeline_component(inference, "scoring").inputs) == ["flights"]


def test_several_data_may_be_named_by_a_caller() -> None:
    inference = batch(joined(), inputs=["import_flights", "import_planes"])
    component_inputs = designer.pipeline_component(with_saved(joined(), inference), "scoring").inputs
    assert {*component_inputs} == {"flights", "planes"}


def test_a_batch_of_images() -> None:
    inference = batch(images())
    assert titles(inference) == {
        "convert": "Convert to Image Directory",
        "apply2": "Apply Image Transformation",
        "score": "Score Image Model",
    }
    assert can_run(images(), inference)


# --- what cannot be done ---


@pytest.mark.parametrize("rewrite", [realtime, batch])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (training().remove("score"), "No component scores rows with a trained model; connect Score Model"),
        (
            training().add("score_all", COMPONENTS["score_model"], trained_model="train", dataset="clean"),
            "Several components score: score, score_all; choose one, as in scorer='score'.",
        ),
        (
            graph(flights=FLIGHTS)
            .add("read", COMPONENTS["import_data"], data="flights")
            .add("learner", COMPONENTS["two_class_logistic_regression"])
            .add("cluster", COMPONENTS["train_clustering_model"], untrained_model="learner", dataset="read")
            .add("train", COMPONENTS["train_model"], untrained_model="learner", dataset="cluster.results_dataset")
            .add("score", COMPONENTS["score_model"], trained_model="train", dataset="cluster.results_dataset"),
            "cluster.results_dataset: It trains a model, and goes; but results_dataset is needed to score.",
        ),
    ],
)
def test_a_graph_that_cannot_be_rewritten_says_why(rewrite: Any, wrong: Graph, said: str) -> None:
    with pytest.raises(GraphError) as raised:
        rewrite(wrong)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("option", [{"scorer": "scores"}, {"inputs": ["planes"]}])
def test_what_is_chosen_has_to_be_there(option: dict[str, Any]) -> None:
    with pytest.raises(
        GraphError, match=r"There is no node '(scores|planes)'; there are: import_flights, select, clean"
    ):
        realtime(training(), **option)


def test_an_input_is_no_scorer() -> None:
    with pytest.raises(GraphError, match="flights: It is an input of the graph; a component that scores is needed"):
        realtime(training(), scorer="flights")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("evaluate", "evaluate.evaluation_results: What it carries does not get to score.scored_dataset"),
        ("train", "train.trained_model: It carries a trained model; rows can come in where there is a dataset."),
    ],
)
def test_rows_cannot_come_in_just_anywhere(chosen: str, said: str) -> None:
    with pytest.raises(GraphError) as raised:
        realtime(training(), inputs=[chosen])
    assert str(raised.value).startswith(said)


# --- names ---


def test_assets_are_named_after_what_made_them() -> None:
    names = {
        asset_name(training().renamed("Späte flights (2013)"), port)
        for port in saved_ports(training(), realtime(training())).values()
    }
    assert names == {
        "MD-Sp_te_flights_2013-train-trained_model",
        "TD-Sp_te_flights_2013-normalize-transformation_function",
        "TD-Sp_te_flights_2013-clean-cleaning_transformation",
        "DS-Sp_te_flights_2013-import_flights-dataset",
    }


# --- what graphs mean ---

SYMBOLS = ("select_columns_in_dataset", "clean_missing_data", "normalize_data", "split_data", "join_data", "untagged")


@st.composite
def training_graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph that trains and scores: whatever before the split, whatever after it on both sides."""
    made = replace(training(), inputs={"flights": FLIGHTS, "planes": PLANES})
    made = made.add("import_planes", COMPONENTS["import_data"], data="planes")
    for number in range(draw(st.integers(0, 6))):
        place = draw(
            st.sampled_from(
                [name for name in made.nodes if name in ("select", "apply", "import_planes") or name.startswith("new")]
            )
        )
        kind = draw(st.sampled_from(SYMBOLS))
        more: dict[str, Any] = {"select_columns": "x"} if kind.startswith("select") else {}
        if kind == "join_data":
            more = {"right_dataset": draw(st.sampled_from(["import_planes", "select"]))}
            if place in ("import_planes",) or _is_above(made, place, more["right_dataset"]):
                continue
        made = made.insert(f"new{number}", COMPONENTS[kind], after=place, **more)
    if draw(st.booleans()):
        made = made.insert(
            "join",
            COMPONENTS["join_data"],
            after="clean.cleaned_dataset",
            before="split",
            right_dataset="import_planes",
        )
    return made


def _is_above(one: Graph, upper: str, lower: str) -> bool:
    """Say whether a node gets something from another, however far above."""
    sources = {bound.node for bound in one.nodes[lower].bindings.values() if isinstance(bound, FromNode)}
    return upper == lower or any(_is_above(one, upper, source) for source in sources)


def meaning(one: Graph, port: Binding | None, known: dict[Binding, Any]) -> Any:
    """Return what a port carries, as an expression of rows and of what is known."""
    if port in known:
        return known[port]
    if not isinstance(port, FromNode):
        return port
    node = one.nodes[port.node]
    ports = {name: meaning(one, node.bindings.get(name), known) for name in node.component.inputs}
    if node.component.at_inference == "passes_data_on":
        return ports["dataset"]
    types = {output.data_type for output in node.component.outputs.values()}
    if types == {DATASET, TRANSFORMATION}:
        fitted = next(name for name, output in node.component.outputs.items() if output.data_type == TRANSFORMATION)
        return "applied", known[FromNode(port.node, fitted)], ports["dataset"]
    if node.component.name == "apply_transformation":
        return "applied", ports["transformation"], ports["dataset"]
    if node.component.name.startswith("web_service"):
        return ports["dataset"]
    values = {name: node.bindings.get(name) for name in node.component.parameters}
    return node.component.name, tuple(ports.items()), tuple(values.items())


@given(training_graphs())
def test_an_inference_graph_means_what_the_training_graph_does(before: Graph) -> None:
    """Scored rows are the same function of the rows that come in, of models, transformations and other data."""
    assert designer.problems(before) == []
    inference = realtime(before)
    end = scored_rows(before)
    ports = [FromNode(name, port) for name, node in before.nodes.items() for port in node.component.outputs]
    constant = [port for port in ports if before.data_type(port) in (MODEL, TRANSFORMATION)]
    symbols: dict[Binding, Any] = {port: ("saved", str(port)) for port in constant}
    symbols[entrance(before, end)] = "rows"
    names = saved_ports(before, inference)
    known = {FromInput(name): ("saved", str(port)) for name, port in names.items()}
    known[FromInput("import_flights_dataset")] = "rows"
    # Data that is saved is what the training run made of other data than the rows.
    for name, port in names.items():
        if before.data_type(port) == DATASET and name != "import_flights_dataset":
            value = meaning(before, port, symbols)
            assert "rows" not in str(value)
            known[FromInput(name)] = value
    assert meaning(inference, inference.outputs["answer"], known) == meaning(before, end, symbols)


@given(training_graphs())
def test_inference_graphs_can_run_and_hold_nothing_else(before: Graph) -> None:
    for inference in (realtime(before), batch(before)):
        assert can_run(before, inference)
        used = {
            bound
            for node in inference.nodes.values()
            for bound in node.bindings.values()
            if isinstance(bound, FromNode | FromInput)
        }
        assert {FromInput(name) for name in inference.inputs} <= used
        ends = {source.node for source in inference.outputs.values()}
        assert {name for name in inference.nodes if name not in ends} <= {
            one.node for one in used if isinstance(one, FromNode)
        }
        assert not {"Train Model", "Split Data", "Clean Missing Data", "Normalize Data"} & {*titles(inference).values()}
