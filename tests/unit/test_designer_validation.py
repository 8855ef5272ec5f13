"""What is wrong with a graph is found before anything runs, with the node, the port, and what would be right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_components import COMPONENTS, component, graph, training

import designer
from designer.declarations import DATASET, Library
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node


def bound(node: str, **bindings: Binding | None) -> Graph:
    """Return the training graph with other bindings of a node, whatever they are."""
    usual = training()
    return replace(usual, nodes={**usual.nodes, node: usual.nodes[node].bound(**bindings)})


def without(*names: str) -> Graph:
    usual = training()
    return replace(usual, nodes={name: node for name, node in usual.nodes.items() if name not in names})


def cycle() -> Graph:
    return bound("select", dataset=FromNode("apply", "transformed_dataset"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (graph(), "There is no component in the graph."),
        (
            cycle(),
            "select: The nodes go in a circle: select -> clean -> split -> normalize -> apply -> select; "
            "a graph has none. Take one connection away.",
        ),
        (
            bound("score", trained_model=None),
            "score.trained_model: The port is not connected; it needs a trained model (ModelDirectory), "
            "e.g. train.trained_model.",
        ),
        (
            bound("score", trained_model=FromNode("learner", "untrained_model")),
            "score.trained_model: learner.untrained_model is an untrained model (UntrainedModelDirectory); "
            "it needs a trained model (ModelDirectory), e.g. train.trained_model.",
        ),
        (
            bound("split", dataset=FromNode("cleen", "cleaned_dataset")),
            "split.dataset: The node 'cleen' is not there. Is 'clean' meant?",
        ),
        (
            bound("split", dataset=FromNode("clean", "dataset")),
            "split.dataset: clean has no output port 'dataset'; it has cleaned_dataset and cleaning_transformation. "
            "Is 'cleaned_dataset' meant?",
        ),
        (
            bound("split", dataset="rows"),
            "split.dataset: 'rows' is a value; it needs a dataset (DataFrameDirectory) from another node or an input, "
            "e.g. import_flights.dataset, select.results_dataset or clean.cleaned_dataset.",
        ),
        (
            bound("import_flights", data=FromInput("flight")),
            "import_flights.data: The graph has no input 'flight'; it has flights. Is 'flights' meant?",
        ),
        (
            bound("split", datset=FromNode("clean", "cleaned_dataset")),
            "split.datset: Split Data has no port or parameter 'datset'; it has dataset, fraction, seed and stratified."
            " Is 'dataset' meant?",
        ),
        (
            bound("split", fraction=1.5),
            "split.fraction: 1.5 is out of bounds; it needs a number of at least 0.0 and at most 1.0.",
        ),
        (
            bound("split", fraction=float("nan")),
            "split.fraction: nan is out of bounds; it needs a number of at least 0.0 and at most 1.0.",
        ),
        (bound("split", seed=0.5), "split.seed: 0.5 is not a whole number; it needs a whole number."),
        (bound("split", seed=True), "split.seed: True is not a whole number; it needs a whole number."),
        (bound("split", stratified="yes"), "split.stratified: 'yes' is not True or False; it needs True or False."),
        (bound("train", label_column=None), "train.label_column: The parameter has no value; it needs text."),
        (bound("train", label_column=3), "train.label_column: 3 is not text; it needs text."),
        (
            bound("split", fraction=FromNode("clean", "cleaned_dataset")),
            "split.fraction: A parameter takes a number, not what clean.cleaned_dataset carries.",
        ),
        (
            bound("split", fraction=FromInput("flights")),
            "split.fraction: The input 'flights' is data; the parameter takes a number.",
        ),
        (
            bound("split", fraction=FromInput("share")),
            "split.fraction: The graph has no input 'share'; it has flights.",
        ),
        (
            replace(training(), outputs={"scores": FromNode("scorer", "scored_dataset")}),
            "scores: The node 'scorer' is not there. Is 'score' meant?",
        ),
        (
            replace(training(), outputs={"scores": FromNode("score", "scores")}),
            "scores: score has no output port 'scores'; it has scored_dataset. Is 'scored_dataset' meant?",
        ),
        (
            replace(training(), inputs={"flights": GraphInput("uri_folder")}),
            "flights: The input has no value; it needs the path of data (AnyDirectory).",
        ),
        (
            replace(training(), inputs={"flights": GraphInput("string", default="azureml:flights:1")}),
            "import_flights.data: The input 'flights' is a parameter; the port needs data (AnyDirectory).",
        ),
        (
            replace(training(), inputs={"flights": GraphInput("custom_model", "azureml:model:1")}),
            "import_flights.data: The input 'flights' is of type custom_model; the port needs one of type uri_folder.",
        ),
        (
            training().set("split", fraction=2).expose("split", "fraction", "share"),
            "split.fraction: The input 'share': 2 is out of bounds; it needs a number of at least 0.0 and at most 1.0.",
        ),
    ],
)
def test_each_problem_is_named(wrong: Graph, said: str) -> None:
    assert [str(one) for one in designer.problems(wrong)][:1] == [said]
    with pytest.raises(designer.GraphError):
        designer.validate(wrong)


def test_an_enumeration_names_its_values() -> None:
    joined = training().add(
        "join", COMPONENTS["join_data"], left_dataset="clean", right_dataset="select", join_type="Inners"
    )
    (found,) = designer.problems(joined)
    assert str(found) == (
        "join.join_type: 'Inners' is not possible; it needs one of 'Inner' or 'Left Outer'. Is 'Inner' meant?"
    )


def test_all_problems_are_named_at_once() -> None:
    found = designer.problems(without("learner", "clean"))
    assert [(one.node, one.place) for one in found] == [("split", "dataset"), ("train", "untrained_model")]
    with pytest.raises(designer.GraphError) as raised:
        designer.validate(without("learner", "clean"))
    assert str(raised.value).splitlines() == [str(one) for one in found]


def test_an_optional_port_may_stay_unconnected() -> None:
    assert "scored_dataset_to_compare" not in training().nodes["evaluate"].bindings
    assert designer.problems(training()) == []


def test_any_data_goes_through_a_port_of_any_type_but_keeps_its_own() -> None:
    """Web Service Input passes on what it is given; of which type that is, counts for what comes after it."""
    crossed = training().add("untagged", COMPONENTS["untagged"], given="learner").connect("untagged", "split.dataset")
    (found,) = designer.problems(crossed)
    assert str(found).startswith("split.dataset: untagged.made is an untrained model (UntrainedModelDirectory); it")


def test_a_caller_may_name_data_later() -> None:
    later = replace(training(), inputs={"flights": GraphInput("uri_folder")})
    assert designer.problems(later, data_may_be_missing=True) == []


@given(st.permutations(list(training().nodes)), st.sets(st.sampled_from(list(training().nodes))))
def test_the_order_of_nodes_does_not_matter(order: list[str], gone: set[str]) -> None:
    """Whatever is missing, the same is found, and whatever a graph is like, it is judged."""
    usual = without(*gone)
    shuffled = replace(usual, nodes={name: usual.nodes[name] for name in order if name not in gone})
    assert {str(one) for one in designer.problems(shuffled)} >= {
        str(one) for one in designer.problems(usual) if "e.g." not in str(one)
    }
    assert len(designer.problems(shuffled)) == len(designer.problems(usual))


def test_a_circle_of_one_is_found() -> None:
    itself = component("Itself", {"dataset": DATASET}, {"made": DATASET})
    made = graph().add("loop", itself).connect("loop", "loop")
    assert [str(one) for one in designer.problems(made)] == [
        "loop: The nodes go in a circle: loop -> loop; a graph has none. Take one connection away."
    ]


@pytest.mark.parametrize(
    ("name", "parameter", "text", "said"),
    [
        ("edit_metadata", "column", "it's", "holds an apostrophe"),
        ("edit_metadata", "column", "'; touch /tmp/x; '", "holds an apostrophe"),
        ("execute_sql_transformation", "sql_query_script", "select 1\nEND_OF_TEXT\nid", "holds the line END_OF_TEXT"),
        ("split_data", "relational_expression", "END_OF_TEXT", "holds the line END_OF_TEXT"),
    ],
)
def test_a_text_that_would_end_in_the_components_command_is_refused(
    name: str, parameter: str, text: str, said: str
) -> None:
    """Azure puts texts into commands as they are: what follows an apostrophe there is the shell's to run."""
    library = Library()
    node = Node(library[name], {parameter: text})
    found = [one for one in designer.problems(Graph("g", {"step": node})) if one.place == parameter]
    assert [said in one.reason for one in found] == [True]
    allowed = Node(library[name], {parameter: '["it\\u0027s"]'})
    assert not [one for one in designer.problems(Graph("g", {"step": allowed})) if one.place == parameter]
