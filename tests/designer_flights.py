"""Training graphs as people draw them: rows of flights, cleaned, normalized, converted, split, learned and scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from designer_modules import Dataset

from designer.declarations import Library
from designer.graph import Graph, GraphInput
from designer.rewriting import realtime_inference, saved_ports

LIBRARY = Library()
CATEGORICAL, NUMERIC = ("origin", "month"), ("distance", "wind", "visibility", "hour")


def flights(rows: int = 240) -> Dataset:
    """Flights with what people predict of them: whether they are late (two classes), by how much, whose they are."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "number": np.arange(rows),
            "distance": random.integers(80, 2600, rows),
            "wind": np.where(random.random(rows) < 0.1, np.nan, random.gamma(4, 3, rows).round(1)),
            "visibility": random.choice([2.0, 5.0, 10.0], rows),
            "hour": random.integers(5, 23, rows),
            "origin": pd.Categorical(random.choice(["EWR", "JFK", "LGA"], rows)),
            "month": pd.Categorical(random.integers(1, 13, rows).astype(str)),
        }
    )
    delay = frame["wind"].fillna(12) * 2 - frame["visibility"] + frame["hour"] + random.normal(0, 4, rows)
    frame["delay"] = delay.round(1)
    frame["late"] = pd.Categorical(np.where(delay > delay.median(), "yes", "no"))
    frame["carrier"] = pd.Categorical(np.array(["AA", "DL", "UA"])[(frame["distance"] // 900).clip(0, 2)])
    return Dataset(frame)


def training(learner: str, label: str, **parameters: Any) -> Graph:
    """Return a training graph with a learner, which predicts ``label``."""
    features = ",".join(("number", *NUMERIC, *CATEGORICAL, label))
    graph = Graph("flights", {}, {"flights": GraphInput("uri_folder", "azureml:flights:1")})
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("select", "select_columns_in_dataset", {"dataset": "flights", "select_columns": features}),
        (
            "clean",
            "clean_missing_data",
            {"dataset": "select", "columns_to_be_cleaned": "wind", "cleaning_mode": "Replace with mean"},
        ),
        (
            "normalize",
            "normalize_data",
            {"dataset": "clean.cleaned_dataset", "columns_to_transform": ",".join(NUMERIC)},
        ),
        (
            "indicators",
            "convert_to_indicator_values",
            {
                "dataset": "normalize.transformed_dataset",
                "categorical_columns_to_convert": ",".join(CATEGORICAL),
                "overwrite_categorical_columns": True,
            },
        ),
        ("split", "split_data", {"dataset": "indicators.results_dataset"}),
        ("learner", learner, parameters),
        (
            "train",
            "train_model",
            {"untrained_model": "learner", "dataset": "split.results_dataset1", "label_column": label},
        ),
        ("score", "score_model", {"trained_model": "train", "dataset": "split.results_dataset2"}),
        ("evaluate", "evaluate_model", {"scored_dataset": "score"}),
    ]
    for name, component, bindings in steps:
        graph = graph.add(name, LIBRARY[component], **bindings)
    return graph


def inference(graph: Graph, outputs: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    """Return the real-time inference graph, and what its inputs hold after a run of the training graph."""
    rewritten = realtime_inference(graph)
    saved = {name: outputs[str(port)] for name, port in saved_ports(graph, rewritten).items()}
    return rewritten, saved
