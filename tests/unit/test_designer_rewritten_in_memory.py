"""The rewrite with the components of the library, run in memory: what is scored is what the training graph scored.

Truth: the training graph's own scored data, on the rows that it did not train with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset

import designer
from designer.declarations import ANY, DATASET, TRANSFORMATION
from designer.graph import Graph, GraphInput
from designer.rewriting import batch_inference, realtime_inference, saved_ports

LIBRARY = designer.Library()
FITTING = [
    name
    for name, one in LIBRARY.items()
    if {port.data_type for port in one.outputs.values()} == {DATASET, TRANSFORMATION}
]
CARRIERS = Dataset(pd.DataFrame({"carrier": ["AA", "B6", "UA"], "seats": [150.0, 100.0, 180.0]}))


def flights(rows: int = 300) -> Dataset:
    """Rows that are told apart by ``number``."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "number": np.arange(rows, dtype=float),
            "distance": random.uniform(0, 150, rows),
            "wind": random.uniform(0, 30, rows),
            "carrier": random.choice(["AA", "B6", "UA"], rows),
        }
    )
    frame["late"] = (frame["wind"] + (frame["carrier"] == "UA") * 9 + random.normal(0, 3, rows) > 17).astype(int)
    frame.loc[::9, "wind"] = np.nan
    return Dataset(frame)


def training(fitting: str) -> Graph:
    """Return a training graph with a join, and a component that fits a transformation before the split and after it."""
    fits = LIBRARY[fitting]
    rows, transformation = (
        next(port.name for port in fits.outputs.values() if port.data_type == kind)
        for kind in (DATASET, TRANSFORMATION)
    )
    selection = next(name for name in fits.parameters if "column" in name and fits.parameters[name].type == "string")
    columns = "carrier" if fitting == "convert_to_indicator_values" else "wind"
    read = LIBRARY["import_data"]
    data = {name: GraphInput("uri_folder", f"azureml:{name}:1", data_type=ANY) for name in ("flights", "carriers")}
    return (
        Graph("flights", {}, data)
        .add("read", read, data="flights")
        .add("read_carriers", read, data="carriers")
        .add(
            "join",
            LIBRARY["join_data"],
            dataset1="read",
            dataset2="read_carriers",
            join_key_columns_for_l="carrier",
            join_key_columns_for_r="carrier",
            join_type="Left Outer Join",
        )
        .add("category", LIBRARY["edit_metadata"], dataset="join", column="carrier", categorical="Categorical")
        .add("clean", LIBRARY["clean_missing_data"], dataset="category", columns_to_be_cleaned="wind")
        .add("fit", fits, dataset="clean", **{selection: columns})
        .add("split", LIBRARY["split_data"], dataset=f"fit.{rows}", random_seed=3)
        .add("normalize", LIBRARY["normalize_data"], dataset="split.results_dataset1", columns_to_transform="distance")
        .add("learner", LIBRARY["two_class_logistic_regression"], random_number_seed=1)
        .add("train", LIBRARY["train_model"], untrained_model="learner", dataset="normalize", label_column="late")
        .add(
            "apply",
            LIBRARY["apply_transformation"],
            transformation="normalize.transformation_function",
            dataset="split.results_dataset2",
        )
        .add("score", LIBRARY["score_model"], trained_model="train", dataset="apply")
        .connect(f"fit.{transformation}", "fitted")
    )


def scored(dataset: Dataset) -> pd.DataFrame:
    return dataset.frame.set_index("number")[["Scored Labels", "Scored Probabilities"]]


@pytest.mark.parametrize("rewrite", [realtime_inference, batch_inference])
@pytest.mark.parametrize("fitting", FITTING)
def test_an_inference_graph_scores_what_the_training_graph_scored(fitting: str, rewrite: Any, tmp_path: Path) -> None:
    before = training(fitting)
    flights().save(tmp_path / "flights")
    CARRIERS.save(tmp_path / "carriers")
    ran = designer.run_in_process(before, {name: tmp_path / name for name in ("flights", "carriers")})
    inference = rewrite(before)
    saved = {name: ran[str(port)] for name, port in saved_ports(before, inference).items()}
    given = {"flights": tmp_path / "flights"} if "flights" in inference.inputs else {}
    (output,) = inference.outputs.values()
    found = scored(designer.run_in_process(inference, {**saved, **given})[str(output)])
    truth = scored(ran["score.scored_dataset"])
    pd.testing.assert_frame_equal(found.loc[truth.index], truth, rtol=1e-12)
