"""Edits of graphs: each returns a new graph, and says what is wrong with what it is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_components import COMPONENTS, FLIGHTS, graph, training

import designer
from designer.declarations import Library
from designer.errors import GraphError
from designer.graph import FromInput, FromNode, Graph, GraphInput

SPLIT, CLEAN = COMPONENTS["split_data"], COMPONENTS["clean_missing_data"]


def test_a_component_is_inserted_between_two() -> None:
    before = training()
    after = before.insert("again", COMPONENTS["normalize_data"], after="clean.cleaned_dataset", before="split")
    assert after.nodes["again"].bindings == {"dataset": FromNode("clean", "cleaned_dataset")}
    assert after.nodes["split"].bindings["dataset"] == FromNode("again", "transformed_dataset")
    assert designer.problems(after) == []
    assert before == training()


def test_inserted_before_nothing_in_particular_it_is_between_all() -> None:
    after = training().insert("again", CLEAN, after="score")
    assert after.nodes["evaluate"].bindings["scored_dataset"] == FromNode("again", "cleaned_dataset")


def test_inserted_after_an_output_of_the_graph_it_makes_the_output() -> None:
    after = training().connect("score", "scores").insert("again", CLEAN, after="score")
    assert after.outputs == {"scores": FromNode("again", "cleaned_dataset")}


def test_a_component_is_inserted_after_an_input() -> None:
    start = graph(rows=GraphInput("uri_folder", "azureml:rows:1", data_type="DataFrameDirectory"))
    after = start.add("split", SPLIT, dataset="rows").insert("clean", CLEAN, after="rows", before="split.dataset")
    assert after.nodes["clean"].bindings == {"dataset": FromInput("rows")}
    assert after.nodes["split"].bindings == {"dataset": FromNode("clean", "cleaned_dataset")}


def test_its_other_ports_and_parameters_are_given_with_it() -> None:
    after = training().insert(
        "again", COMPONENTS["apply_transformation"], after="select", transformation="clean.cleaning_transformation"
    )
    assert after.nodes["again"].bindings["transformation"] == FromNode("clean", "cleaning_transformation")
    assert after.nodes["clean"].bindings["dataset"] == FromNode("again", "transformed_dataset")


def test_a_removed_component_is_bridged() -> None:
    after = training().remove("clean")
    assert after.nodes["split"].bindings["dataset"] == FromNode("select", "results_dataset")
    assert designer.problems(after) == []


def test_what_only_a_removed_component_made_is_missing_then() -> None:
    after = training().remove("train")
    assert [(one.node, one.place) for one in designer.problems(after)] == [("score", "trained_model")]


def test_inputs_go_with_the_last_node_that_uses_them() -> None:
    kept = GraphInput("string", default="a")
    after = graph(flights=FLIGHTS, unused=kept).add("read", COMPONENTS["import_data"], data="flights").remove("read")
    assert after.inputs == {"unused": kept}


def test_an_output_of_a_removed_component_is_that_of_the_one_before() -> None:
    ends = training().connect("apply", "applied").connect("evaluate", "evaluation")
    assert ends.remove("apply").outputs["applied"] == FromNode("split", "results_dataset2")
    assert "trained" not in ends.connect("train", "trained").remove("train").outputs


def test_ports_are_connected() -> None:
    after = training().connect("split.results_dataset1", "score.dataset").connect("score.scored_dataset", "scores")
    assert after.nodes["score"].bindings["dataset"] == FromNode("split", "results_dataset1")
    assert after.outputs == {"scores": FromNode("score", "scored_dataset")}


def test_the_port_that_fits_is_found() -> None:
    after = training().connect("normalize.transformation_function", "apply")
    assert after.nodes["apply"].bindings == training().nodes["apply"].bindings


def test_parameters_are_set_and_given_their_default_again() -> None:
    after = training().set("split", fraction=0.2, stratified=True)
    assert {key: after.nodes["split"].bindings[key] for key in ("fraction", "stratified")} == {
        "fraction": 0.2,
        "stratified": True,
    }
    assert after.set("split", fraction=None, stratified=None) == training()


def test_a_parameter_becomes_one_of_the_pipeline() -> None:
    after = training().set("split", fraction=0.2).expose("split", "fraction").expose("split", "seed", "chance")
    assert after.inputs["fraction"] == GraphInput("number", default=0.2)
    assert after.inputs["chance"] == GraphInput("integer", default=0)
    assert after.nodes["split"].bindings["fraction"] == FromInput("fraction")


def test_two_nodes_share_a_parameter() -> None:
    after = training().expose("train", "label_column").add("split2", SPLIT, dataset="clean").expose("split", "seed")
    after = after.expose("split2", "seed")
    assert after.nodes["split2"].bindings["seed"] == after.nodes["split"].bindings["seed"] == FromInput("seed")


def test_data_of_a_port_becomes_an_input() -> None:
    after = training().expose("import_flights", "data", "new_flights").expose("score", "dataset", "rows")
    assert after.inputs["new_flights"] == FLIGHTS
    assert "flights" not in after.inputs
    assert after.inputs["rows"] == GraphInput("uri_folder", data_type="DataFrameDirectory")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda g: g.add("split", SPLIT), "split: There is one of that name already; take another."),
        (lambda g: g.add("flights", SPLIT), "flights: There is one of that name already; take another."),
        (
            lambda g: g.add("new", SPLIT, fractions=1),
            "new.fractions: There is no port or parameter 'fractions'; there are: dataset, fraction, seed, stratified.",
        ),
        (
            lambda g: g.add("new", SPLIT, dataset="nobody"),
            "There is no node 'nobody'; there are: import_flights, select, clean, split, normalize, learner, train, "
            "apply, score, evaluate, new.",
        ),
        (
            lambda g: g.insert("new", SPLIT, after="clean.cleaned"),
            "clean.cleaned: There is no output port 'cleaned'; there are: cleaned_dataset, cleaning_transformation.",
        ),
        (
            lambda g: g.insert("new", SPLIT, after="clean", before="train"),
            "train: It does not get its data from clean.cleaned_dataset.",
        ),
        (
            lambda g: g.insert("new", SPLIT, after="train"),
            "new: It takes no trained model: dataset is dataset.",
        ),
        (
            lambda g: g.insert("new", COMPONENTS["train_clustering_model"], after="normalize.transformation_function"),
            "new: It takes no transformation: untrained_model is untrained model, dataset is dataset.",
        ),
        (lambda g: g.remove("nobody").nodes, "There is no node 'nobody'; there are: import_flights, select, clean"),
        (
            lambda g: g.connect("score", "split.data"),
            "split.data: There is no input port 'data'; there are: dataset.",
        ),
        (
            lambda g: g.connect("train", "split"),
            "split: It takes no trained model: dataset is dataset.",
        ),
        (lambda g: g.connect("flights", "result"), "result: An output of the graph comes from a node, not from an"),
        (
            lambda g: g.set("split", share=0.5),
            "split.share: There is no parameter 'share'; there are: fraction, seed, stratified.",
        ),
        (
            lambda g: g.expose("split", "share"),
            "split.share: There is no port or parameter 'share'; there are: dataset, fraction, seed, stratified.",
        ),
    ],
)
def test_what_is_not_there_is_said(edit: object, said: str) -> None:
    with pytest.raises(GraphError) as raised:
        edit(training())  # type: ignore[operator]
    assert str(raised.value).startswith(said)


@given(st.lists(st.sampled_from(["import_flights", "select", "clean", "split", "normalize", "apply", "score"])))
def test_what_was_inserted_can_be_removed_again(places: list[str]) -> None:
    """Whatever was put in between, and then taken away, the graph is as it was."""
    edited = training()
    for number, place in enumerate(places):
        edited = edited.insert(f"new{number}", COMPONENTS["select_columns_in_dataset"], after=place)
    for number in range(len(places)):
        edited = edited.remove(f"new{number}")
    assert edited == training()


def test_a_graph_reads_as_text() -> None:
    text = repr(graph(flights=FLIGHTS).add("read", COMPONENTS["import_data"], data="flights").connect("read", "rows"))
    assert text.splitlines() == [
        "flights",
        "  input flights: azureml:flights:1",
        "  read (Import Data): data = flights",
        "  output rows: read.dataset",
    ]


def test_what_is_inserted_after_web_service_input_gets_its_rows_by_its_first_port() -> None:
    """Web Service Input carries rows of any kind, and Execute Python Script has a port for any: its bundle."""
    library = Library()
    graph = Graph("rows", {}, {"rows": GraphInput("uri_folder", "azureml:rows:1")})
    graph = graph.add("enter", library["web_service_input"], dataset="rows")
    graph = graph.add("score", library["select_columns_in_dataset"], dataset="enter", select_columns="all")
    graph = graph.insert("own", library["execute_python_script"], after="enter")
    assert graph.nodes["own"].bindings == {"dataset1": FromNode("enter", "results_dataset")}
