"""Graphs of the Designer for tests: made of declarations that are written here, with the classic names and ports."""

from __future__ import annotations

from designer.declarations import Declaration, Parameter, Port
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node

TYPES = {
    "data": ("uri_folder", "DataFrameDirectory"),
    "untrained": ("uri_folder", "UntrainedModelDirectory"),
    "model": ("custom_model", "ModelDirectory"),
    "transformation": ("custom_model", "TransformationDirectory"),
}


def component(title: str, category: str, inputs: str = "", outputs: str = "", parameters: str = "") -> Declaration:
    """Make a declaration; ports are written ``name:data name?:model`` (optional), parameters ``name=default``."""
    name = title.lower().replace(" ", "_").replace("-", "_")
    return Declaration(
        module=f"module.{name}",
        name=name,
        version="1",
        display_name=title,
        category=category,
        inputs={port.name: port for port in map(_port, inputs.split())},
        parameters={one.name: one for one in map(_parameter, parameters.split())},
        outputs={port.name: port for port in map(_port, outputs.split())},
        description=f"What {title} does.",
    )


def _port(written: str) -> Port:
    name, _, kind = written.partition(":")
    return Port(name.removesuffix("?"), *TYPES[kind], optional=name.endswith("?"), description=f"the {name}")


def _parameter(written: str) -> Parameter:
    name, _, default = written.partition("=")
    return Parameter(name, "string", default or None)


TRANSFORM, TRAIN, SCORE = "Data Transformation", "Model Training", "Model Scoring and Evaluation"
SELECT = component("Select Columns in Dataset", TRANSFORM, "dataset:data", "results_dataset:data", "columns")
JOIN = component("Join Data", TRANSFORM, "left_dataset:data right_dataset:data", "results_dataset:data", "left_keys")
CLEAN = component(
    "Clean Missing Data",
    TRANSFORM,
    "dataset:data",
    "cleaned_dataset:data cleaning_transformation:transformation",
    "columns cleaning_mode=replace_with_mean",
)
INDICATORS = component(
    "Convert to Indicator Values",
    TRANSFORM,
    "dataset:data",
    "results_dataset:data indicator_values_transformation:transformation",
    "columns",
)
NORMALIZE = component(
    "Normalize Data",
    TRANSFORM,
    "dataset:data",
    "transformed_dataset:data transformation_function:transformation",
    "transformation_method=z_score",
)
SPLIT = component(
    "Split Data",
    TRANSFORM,
    "dataset:data",
    "results_dataset1:data results_dataset2:data",
    "fraction_of_rows_in_the_first_output_dataset=0.5",
)
LOGISTIC = component("Two-Class Logistic Regression", "Classification", "", "untrained_model:untrained", "seed=0")
FOREST = component("Two-Class Decision Forest", "Classification", "", "untrained_model:untrained", "seed=0")
TRAIN_MODEL = component(
    "Train Model", TRAIN, "untrained_model:untrained dataset:data", "trained_model:model", "label_column"
)
SCORE_MODEL = component("Score Model", SCORE, "trained_model:model dataset:data", "scored_dataset:data")
EVALUATE = component(
    "Evaluate Model", SCORE, "scored_dataset:data scored_dataset_to_compare?:data", "evaluation_results:data"
)
APPLY = component(
    "Apply Transformation", TRANSFORM, "transformation:transformation dataset:data", "transformed_dataset:data"
)
WEB_INPUT = component("Web Service Input", "Web Service", "dataset:data", "dataset:data", "name=WebServiceInput0")
WEB_OUTPUT = component("Web Service Output", "Web Service", "dataset:data", "dataset:data", "name=WebServiceOutput0")


def node(made_of: Declaration, **bindings: Binding | str) -> Node:
    """Bind ports and parameters; ``"select.results_dataset"`` is a node's port, ``"<flights"`` an input."""
    return Node(made_of, {name: _bound(made_of, name, value) for name, value in bindings.items()})


def _bound(made_of: Declaration, name: str, value: Binding | str) -> Binding:
    if not isinstance(value, str) or (name in made_of.parameters and not value.startswith("<")):
        return value
    if value.startswith("<"):
        return FromInput(value[1:])
    source, _, port = value.partition(".")
    return FromNode(source, port)


def data(path: str | None, data_type: str = "DataFrameDirectory") -> GraphInput:
    return GraphInput("uri_folder", path, data_type=data_type)


def late_flights() -> Graph:
    """The training graph of the lessons: a join, missing values, categories, two models compared. 15 components."""
    return Graph(
        "late flights",
        {
            "flight_columns": node(SELECT, dataset="<flights", columns="carrier, dep_delay"),
            "weather_columns": node(SELECT, dataset="<weather"),
            "join_weather": node(
                JOIN,
                left_dataset="flight_columns.results_dataset",
                right_dataset="weather_columns.results_dataset",
                left_keys="origin, hour",
            ),
            "join_planes": node(JOIN, left_dataset="join_weather.results_dataset", right_dataset="<planes"),
            "clean": node(CLEAN, dataset="join_planes.results_dataset", cleaning_mode="<cleaning"),
            "indicators": node(INDICATORS, dataset="clean.cleaned_dataset"),
            "normalize": node(NORMALIZE, dataset="indicators.results_dataset"),
            "split": node(
                SPLIT, dataset="normalize.transformed_dataset", fraction_of_rows_in_the_first_output_dataset=0.7
            ),
            "logistic_regression": node(LOGISTIC),
            "decision_forest": node(FOREST, seed=7),
            "train": node(
                TRAIN_MODEL,
                untrained_model="logistic_regression.untrained_model",
                dataset="split.results_dataset1",
                label_column="late",
            ),
            "train_forest": node(
                TRAIN_MODEL, untrained_model="decision_forest.untrained_model", dataset="split.results_dataset1"
            ),
            "score": node(SCORE_MODEL, trained_model="train.trained_model", dataset="split.results_dataset2"),
            "score_forest": node(
                SCORE_MODEL, trained_model="train_forest.trained_model", dataset="split.results_dataset2"
            ),
            "evaluate": node(
                EVALUATE, scored_dataset="score.scored_dataset", scored_dataset_to_compare="score_forest.scored_dataset"
            ),
        },
        {
            "flights": data("azureml:flights:1"),
            "weather": data("azureml:weather:1"),
            "planes": data(None),
            "cleaning": GraphInput("string", default="remove_row"),
        },
        {"evaluation": FromNode("evaluate", "evaluation_results")},
    )
