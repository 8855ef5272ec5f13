"""Right and wrong answers to the exercises on the Designer's training and inference pipelines."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from azure.ai.ml import Input, dsl
from azure.ai.ml.entities import PipelineJob
from designer_modules import Dataset

import designer
from designer.rewriting import batch_inference, realtime_inference, with_paths

sys.path.append(str(Path(__file__).parents[2] / "notebooks" / "04_designer" / "flight_delays"))
from friday import broken
from training import flight_delays

COMPONENTS, LIBRARY = designer.load_components(), designer.Library()
DATA = Input(type="uri_folder", path="azureml:flights:1")
BECOMES = {
    "import_orders": "input",
    "import_regions": "saved",
    "join": "stays",
    "script": "stays",
    "clip": "applied",
    "normalize": "applied",
    "split": "goes",
    "k_means": "goes",
    "train": "saved",
    "assign": "stays",
    "evaluate": "goes",
}


# --- split before you normalise ---


def _halves(data: Any) -> tuple[Any, Any]:
    imported = COMPONENTS.import_data(data=data)
    split = COMPONENTS.split_data(dataset=imported.outputs.dataset)
    return split.outputs.results_dataset1, split.outputs.results_dataset2


def _normalized(rows: Any) -> Any:
    return COMPONENTS.normalize_data(dataset=rows).outputs


def _applied(transformation: Any, rows: Any) -> Any:
    return COMPONENTS.apply_transformation(transformation=transformation, dataset=rows).outputs.transformed_dataset


def _judged(learned_from: Any, scored: Any) -> None:
    learner = COMPONENTS.two_class_logistic_regression()
    train = COMPONENTS.train_model(
        untrained_model=learner.outputs.untrained_model, dataset=learned_from, label_column="late"
    )
    score = COMPONENTS.score_model(trained_model=train.outputs.trained_model, dataset=scored)
    COMPONENTS.evaluate_model(scored_dataset=score.outputs.scored_dataset)


# Arguments of a function under dsl.pipeline have no annotations: each would be read as a type of input.
@dsl.pipeline
def splits_first(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    normalized = _normalized(learned_from)
    _judged(normalized.transformed_dataset, _applied(normalized.transformation_function, kept_back))


@dsl.pipeline
def applied_to_both_halves(data):  # type: ignore[no-untyped-def]
    kept_back, learned_from = _halves(data)
    fitted = _normalized(learned_from)
    narrower = COMPONENTS.select_columns_in_dataset(dataset=kept_back, select_columns="all")
    _judged(fitted.transformed_dataset, _applied(fitted.transformation_function, narrower.outputs.results_dataset))


@dsl.pipeline
def normalized_first(data):  # type: ignore[no-untyped-def]
    imported = COMPONENTS.import_data(data=data)
    normalized = _normalized(imported.outputs.dataset)
    split = COMPONENTS.split_data(dataset=normalized.transformed_dataset)
    again = _applied(normalized.transformation_function, split.outputs.results_dataset2)
    _judged(split.outputs.results_dataset1, again)


@dsl.pipeline
def normalized_twice(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    normalized = _normalized(learned_from)
    _judged(
        normalized.transformed_dataset,
        _applied(normalized.transformation_function, _normalized(kept_back).transformed_dataset),
    )


@dsl.pipeline
def not_applied(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    normalized = _normalized(learned_from)
    _applied(normalized.transformation_function, kept_back)
    _judged(normalized.transformed_dataset, kept_back)


@dsl.pipeline
def fitted_to_the_test(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    normalized = _normalized(kept_back)
    _judged(_applied(normalized.transformation_function, learned_from), normalized.transformed_dataset)


@dsl.pipeline
def scored_what_it_knows(data):  # type: ignore[no-untyped-def]
    learned_from, _ = _halves(data)
    normalized = _normalized(learned_from)
    _judged(normalized.transformed_dataset, _applied(normalized.transformation_function, learned_from))


@dsl.pipeline
def learned_from_raw_rows(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    _judged(learned_from, _applied(_normalized(learned_from).transformation_function, kept_back))


@dsl.pipeline
def no_apply(data):  # type: ignore[no-untyped-def]
    learned_from, kept_back = _halves(data)
    _judged(_normalized(learned_from).transformed_dataset, kept_back)


def _job(pipeline: Any) -> PipelineJob:
    job: PipelineJob = pipeline(data=DATA)
    return job


# --- a component for the weekend ---


def _weekend(dataset: Dataset) -> Dataset:
    return dataset.with_frame(dataset.frame.assign(weekend=dataset.frame["weekday"].isin([5, 6])))


def _in_numbers(dataset: Dataset, weekday_column: str = "weekday") -> Dataset:
    frame = dataset.frame.copy()
    frame["weekend"] = (frame[weekday_column] > 4).astype(int)
    return Dataset(frame, dataset.roles, dataset.properties)


def _in_place(dataset: Dataset) -> Dataset:
    dataset.frame["weekend"] = dataset.frame["weekday"] >= 5
    return dataset


def _friday_too(dataset: Dataset) -> Dataset:
    return dataset.with_frame(dataset.frame.assign(weekend=dataset.frame["weekday"] >= 4))


def _gaps(dataset: Dataset) -> Dataset:
    return dataset.with_frame(dataset.frame.assign(weekend=dataset.frame["weekday"].map({5: True, 6: True})))


def _without_role(dataset: Dataset) -> Dataset:
    return Dataset(_weekend(dataset).frame)


def _without_rows(dataset: Dataset) -> Dataset:
    return dataset.with_frame(_weekend(dataset).frame.query("weekend"))


def _other_name(dataset: Dataset) -> Dataset:
    return dataset.with_frame(dataset.frame.assign(is_weekend=dataset.frame["weekday"] >= 5))


def _a_table(dataset: Dataset) -> pd.DataFrame:
    return _weekend(dataset).frame


def _without_annotation(dataset):  # type: ignore[no-untyped-def]
    return _weekend(dataset)


# --- what a mistake costs ---


def _costs(scored: pd.DataFrame, threshold: float, missed: int = 4) -> int:
    announced, late = scored["Scored Probabilities"] >= threshold, scored["late"] == 1
    return int((announced & ~late).sum() + missed * (~announced & late).sum())


def _by_hundredths(scored: pd.DataFrame) -> float:
    return min((step / 100 for step in range(101)), key=lambda threshold: _costs(scored, threshold))


def _by_the_rows(scored: pd.DataFrame) -> Any:
    candidates = np.append(scored["Scored Probabilities"].unique(), 1.0)
    return candidates[np.argmin([_costs(scored, one) for one in candidates])]


# --- the inference pipeline ---

TRAINING = designer.read_graph(flight_delays(flights=DATA, weather=DATA, planes=DATA))


def _saved(graph: designer.Graph) -> designer.Graph:
    return with_paths(graph, {name: "azureml:saved:1" for name, one in graph.inputs.items() if one.path is None})


def _edited(*inputs: str) -> designer.Graph:
    graph = _saved(realtime_inference(TRAINING, inputs=inputs)).insert(
        "select_answer",
        LIBRARY["select_columns_in_dataset"],
        after="score_linear",
        before="web_service_output",
        select_columns="tailnum,Scored Labels,Scored Probabilities",
    )
    return graph.expose("select_answer", "select_columns", "columns")


EDITED = _edited("select_columns")
FRIDAY = broken(EDITED)
WITHOUT_TABLES = _saved(realtime_inference(TRAINING, inputs=["join_planes"]))


def _mended(graph: designer.Graph, join_type: str = "Left Outer Join") -> designer.Graph:
    graph = graph.set("join_planes", join_type=join_type)
    graph = graph.connect("normalize_data_transformation_function", "normalize_data.transformation")
    return graph.connect("train_linear_trained_model", "score_linear.trained_model")


MENDED = _mended(FRIDAY).connect("select_answer", "web_service_output")


def _monthly(*inputs: str) -> designer.Graph:
    return _saved(batch_inference(TRAINING, inputs=inputs))


def _chosen(graph: designer.Graph) -> designer.Graph:
    return graph.expose("score_linear", "append_score_columns_to_output", "with_rows")


MONTHLY = _chosen(_monthly("import_flights", "import_weather"))
UNUSED = _monthly("import_flights", "import_weather")
UNUSED = replace(UNUSED, inputs={**UNUSED.inputs, "with_rows": designer.GraphInput("boolean", default=True)})

RIGHT: dict[str, list[object]] = {
    "build_a_training_pipeline/refused": [{"b", "c", "g"}, "bcg", ["G", "b", "c"], "b, c, g"],
    "build_a_training_pipeline/split_first": [_job(splits_first), _job(applied_to_both_halves)],
    "build_a_training_pipeline/weekend": [_weekend, _in_numbers],
    "build_a_training_pipeline/cheapest": [_by_hundredths, _by_the_rows],
    "create_an_inference_pipeline/becomes": [BECOMES, {key: value.title() for key, value in BECOMES.items()}],
    "create_an_inference_pipeline/without_tables": [
        WITHOUT_TABLES,
        WITHOUT_TABLES.insert(
            "answer", LIBRARY["select_columns_in_dataset"], after="score_linear", select_columns="all"
        ),
    ],
    "create_an_inference_pipeline/mended": [
        MENDED,
        _mended(FRIDAY.connect("select_answer.results_dataset", "web_service_output.dataset")),
    ],
    "create_an_inference_pipeline/monthly": [MONTHLY, MONTHLY.renamed("monthly")],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "build_a_training_pipeline/refused": [
        ({"b", "c"}, "connection g is refused, too"),
        ({"b", "c", "f", "g"}, "connection f is allowed: both are datasets"),
        ({"b", "c", "d", "g"}, "takes whatever a component has fitted"),
        ({"b", "h"}, "h is none of the connections"),
        (3, "of type int"),
    ],
    "build_a_training_pipeline/split_first": [
        (_job(normalized_first), "before they are split"),
        (_job(normalized_twice), "fits anew each time"),
        (_job(not_applied), "put Apply Transformation in their way"),
        (_job(no_apply), "there is no Apply Transformation"),
        (_job(fitted_to_the_test), "the same part of the rows"),
        (_job(scored_what_it_knows), "that the model has learned from"),
        (_job(learned_from_raw_rows), "rows that are not normalised"),
        (splits_first, "Call it with its inputs"),
        ("splits_first", "of type str"),
    ],
    "build_a_training_pipeline/weekend": [
        (_in_place, "it changes the table"),
        (_friday_too, "weekday 4 gets True"),
        (_gaps, "weekday 0 gets nan"),
        (_without_role, "the label has lost its role"),
        (_without_rows, "are no longer as they were"),
        (_other_name, "no column weekend"),
        (_a_table, "returns DataFrame"),
        (_without_annotation, "need annotations"),
        ("weekend", "a function is wanted"),
    ],
    "build_a_training_pipeline/cheapest": [
        (lambda scored: 0.5, "a late flight has only 0.22"),
        (lambda scored: 0.2, "costs"),
        (
            lambda scored: min(np.linspace(0, 1, 101), key=lambda one: _costs(scored, one, missed=1)),
            "missing it is dear",
        ),
        (lambda scored: "0.2", "a threshold between 0 and 1"),
        (lambda scored: 20, "a threshold between 0 and 1"),
        (0.3, "a function is wanted"),
    ],
    "create_an_inference_pipeline/becomes": [
        ({**BECOMES, "clip": "stays"}, "one row has no highest hundredth"),
        ({**BECOMES, "import_regions": "input"}, "No caller changes the regions"),
        ({**BECOMES, "split": "stays"}, "It only picks rows"),
        ({**BECOMES, "train": "goes"}, "comes in as an asset"),
        ({**BECOMES, "join": "kept"}, "'kept' is none of"),
        ({"join": "stays"}, "import_orders is missing"),
        ("stays", "a dictionary is wanted"),
    ],
    "create_an_inference_pipeline/without_tables": [
        (EDITED, "join_planes is still there"),
        (_edited(), "is still there"),
        (_monthly(), "no Web Service Input"),
        (_saved(realtime_inference(TRAINING, inputs=["normalize_data.transformed_dataset"])), "too far down"),
        (realtime_inference(TRAINING, inputs=["join_planes"]), "could not be run"),
        (WITHOUT_TABLES.remove("web_service_output"), "nothing would be answered"),
        ("join_planes", "of type str"),
    ],
    "create_an_inference_pipeline/mended": [
        (FRIDAY, "could not be run"),
        (_mended(FRIDAY), "what does Web Service Output get"),
        (_mended(FRIDAY, "Inner Join").connect("select_answer", "web_service_output"), "which flights get lost"),
        (
            MENDED.connect("clean_missing_data_cleaning_transformation", "normalize_data.transformation"),
            "fitted by another box",
        ),
        (EDITED, "not Friday's graph"),
        (None.__class__, "of type type"),
    ],
    "create_an_inference_pipeline/monthly": [
        (_chosen(_monthly()), "the caller cannot name weather"),
        (_chosen(_monthly("import_flights", "import_weather", "import_planes")), "the planes are read anew"),
        (_monthly("import_flights", "import_weather"), "no input with_rows"),
        (UNUSED, "Score Model does not get it"),
        (_chosen(EDITED), "that is the real-time inference pipeline"),
        ({}, "of type dict"),
    ],
}
