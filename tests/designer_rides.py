"""A small inference graph of components of a learner's own, and what it was trained with: what a ride costs."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from designer_modules import LABEL, Dataset

from designer.declarations import Library
from designer.graph import FromInput, FromNode, Graph, GraphInput, Node

FOLDER = Path(__file__).parent / "rides"
LIBRARY = Library(FOLDER)
GRAPH = Graph(
    "rides",
    {
        "enter": Node(LIBRARY["web_service_input"], {"dataset": FromInput("rides"), "label_column": "price"}),
        "score": Node(
            LIBRARY["score_prices"],
            {
                "trained_model": FromInput("MD_prices"),
                "dataset": FromNode("enter", "results_dataset"),
                "surcharge": FromInput("surcharge"),
            },
        ),
        "leave": Node(LIBRARY["web_service_output"], {"dataset": FromNode("score", "scored_dataset")}),
    },
    {
        "rides": GraphInput("uri_folder", "azureml:rides:1"),
        "MD_prices": GraphInput("custom_model", "azureml:MD-prices:1"),
        "surcharge": GraphInput("number", default=1.5),
    },
)


def rides() -> Dataset:
    """Return the rides that the model was trained with: a taxi costs 2 a kilometre, a limousine 4."""
    kinds = pd.Categorical(["taxi", "limousine"] * 10)
    frame = pd.DataFrame({"km": [1.0 + number for number in range(20)], "kind": kinds})
    frame["price"] = frame["km"] * ([2.0, 4.0] * 10)
    return Dataset(frame, {"price": LABEL})


def data(folder: Path) -> dict[str, Path]:
    """Write what the graph's inputs name, and return where each lies."""
    sys.path.insert(0, str(FOLDER))
    try:
        from prices import train_prices
    finally:
        sys.path.remove(str(FOLDER))
    rides().save(folder / "rides")
    train_prices(rides()).save(folder / "model")
    return {"rides": folder / "rides", "MD_prices": folder / "model"}
