"""Graphs of small components, for the tests of what is done with graphs: their ports and tags are the Designer's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from designer.declarations import (
    ANY,
    DATASET,
    IMAGES,
    MODEL,
    TRANSFORMATION,
    UNTRAINED,
    Declaration,
    Library,
    declaration,
)
from designer.graph import Graph, GraphInput

AZURE_TYPES = {MODEL: "custom_model", TRANSFORMATION: "custom_model"}
NUMBER = {"type": "number", "min": 0.0, "max": 1.0, "default": 0.7}
TEXT, TEXT_OR_NOTHING = {"type": "string"}, {"type": "string", "optional": True}


def component(
    display_name: str,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    at_inference: str = "",
    optional: tuple[str, ...] = (),
    **parameters: Mapping[str, Any],
) -> Declaration:
    """Declare a component that copies nothing: types of its ports by their names, and its parameters' declarations."""
    name = display_name.lower().replace(" ", "_")
    types = {**inputs, **outputs}
    ports = {port: {"type": AZURE_TYPES.get(kind, "uri_folder")} for port, kind in types.items()}
    taken = {port: ports[port] | ({"optional": True} if port in optional else {}) for port in inputs}
    return declaration(
        {
            "type": "command",
            "name": name,
            "version": "1",
            "display_name": display_name,
            "tags": {
                "category": "Tests",
                "module": f"tests.{name}",
                **({"at_inference": at_inference} if at_inference else {}),
                **{f"port.{port}": kind for port, kind in types.items()},
            },
            "inputs": {**taken, **{key: dict(one) for key, one in parameters.items()}},
            "outputs": {port: ports[port] for port in outputs},
            "environment": {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"},
            "command": "true " + " ".join(f"${{{{outputs.{port}}}}}" for port in outputs),
        }
    )


ONE, RESULT = {"dataset": DATASET}, {"results_dataset": DATASET}
COMPONENTS = {
    one.name: one
    for one in (
        component("Import Data", {"data": ANY}, {"dataset": DATASET}, label_column=TEXT_OR_NOTHING),
        component("Enter Data Manually", {}, {"dataset": DATASET}, data=TEXT),
        component("Select Columns in Dataset", ONE, RESULT, select_columns=TEXT),
        component(
            "Join Data",
            {"left_dataset": DATASET, "right_dataset": DATASET},
            RESULT,
            join_type={"type": "string", "enum": ["Inner", "Left Outer"], "default": "Inner"},
        ),
        component("Clean Missing Data", ONE, {"cleaned_dataset": DATASET, "cleaning_transformation": TRANSFORMATION}),
        component("Normalize Data", ONE, {"transformed_dataset": DATASET, "transformation_function": TRANSFORMATION}),
        component(
            "Apply Transformation",
            {"transformation": TRANSFORMATION, "dataset": DATASET},
            {"transformed_dataset": DATASET},
        ),
        component(
            "Select Columns Transform",
            {"dataset_with_desired_columns": DATASET},
            {"columns_selection_transformation": TRANSFORMATION},
        ),
        component(
            "Split Data",
            ONE,
            {"results_dataset1": DATASET, "results_dataset2": DATASET},
            "passes_data_on",
            fraction=NUMBER,
            seed={"type": "integer", "default": 0},
            stratified={"type": "boolean", "default": False},
        ),
        component("Two-Class Logistic Regression".replace("-", " "), {}, {"untrained_model": UNTRAINED}),
        component(
            "Train Model",
            {"untrained_model": UNTRAINED, "dataset": DATASET},
            {"trained_model": MODEL},
            label_column=TEXT,
        ),
        component(
            "Tune Model Hyperparameters",
            {"untrained_model": UNTRAINED, "training_dataset": DATASET, "validation_dataset": DATASET},
            {"sweep_results": DATASET, "trained_best_model": MODEL},
            optional=("validation_dataset",),
            label_column=TEXT,
        ),
        component(
            "Train Clustering Model",
            {"untrained_model": UNTRAINED, "dataset": DATASET},
            {"trained_model": MODEL, "results_dataset": DATASET},
        ),
        component("Score Model", {"trained_model": MODEL, "dataset": DATASET}, {"scored_dataset": DATASET}, "scores"),
        component(
            "Evaluate Model",
            {"scored_dataset": DATASET, "scored_dataset_to_compare": DATASET},
            {"evaluation_results": DATASET},
            optional=("scored_dataset_to_compare",),
        ),
        component("Convert to Image Directory", {"input_dataset": ANY}, {"output_image_directory": IMAGES}),
        component("Init Image Transformation", {}, {"output_image_transformation": TRANSFORMATION}),
        component(
            "Apply Image Transformation",
            {"input_image_transformation": TRANSFORMATION, "input_image_directory": IMAGES},
            {"output_image_directory": IMAGES},
        ),
        component(
            "Split Image Directory",
            {"input_image_directory": IMAGES},
            {"output_image_directory1": IMAGES, "output_image_directory2": IMAGES},
            "passes_data_on",
        ),
        component("ResNet", {}, {"untrained_model": UNTRAINED}),
        component(
            "Train PyTorch Model",
            {"untrained_model": UNTRAINED, "training_dataset": IMAGES, "validation_dataset": IMAGES},
            {"trained_model": MODEL},
        ),
        component(
            "Score Image Model", {"trained_model": MODEL, "dataset": IMAGES}, {"scored_dataset": DATASET}, "scores"
        ),
        # A learner's own, of which nothing is known but its ports.
        component("Guess", {"rules": MODEL, "rows": DATASET}, {"guesses": DATASET}),
        component("Make Rules", {"rows": DATASET}, {"rules": MODEL}),
        component("Untagged", {"given": ANY}, {"made": ANY}),
    )
} | {name: Library()[name] for name in ("web_service_input", "web_service_output")}
FLIGHTS = GraphInput("uri_folder", "azureml:flights:1")


def graph(name: str = "flights", **inputs: GraphInput) -> Graph:
    """Return a graph without nodes."""
    return Graph(name, {}, inputs)


def training() -> Graph:
    """Return the training graph of most of the Designer's samples."""
    return (
        graph(flights=FLIGHTS)
        .add("import_flights", COMPONENTS["import_data"], data="flights")
        .add("select", COMPONENTS["select_columns_in_dataset"], dataset="import_flights", select_columns="all")
        .add("clean", COMPONENTS["clean_missing_data"], dataset="select")
        .add("split", COMPONENTS["split_data"], dataset="clean.cleaned_dataset")
        .add("normalize", COMPONENTS["normalize_data"], dataset="split.results_dataset1")
        .add("learner", COMPONENTS["two_class_logistic_regression"])
        .add("train", COMPONENTS["train_model"], untrained_model="learner", dataset="normalize", label_column="late")
        .add(
            "apply",
            COMPONENTS["apply_transformation"],
            transformation="normalize.transformation_function",
            dataset="split.results_dataset2",
        )
        .add("score", COMPONENTS["score_model"], trained_model="train", dataset="apply")
        .add("evaluate", COMPONENTS["evaluate_model"], scored_dataset="score")
    )
