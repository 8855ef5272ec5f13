"""One row through a Designer's web service, against the same pipeline of scikit-learn pickled whole, behind one server.

The graph is what people draw: rows are selected, cleaned, normalized, converted to indicators and scored; the service
judges the request first, and answers with what the model was given, too. The peer is a scoring script as most people
write one: a frame of the JSON, the pipeline, a list.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

from comparing import OURS, compare
from endpoints import around_endpoint, serve
from installation import Client, Installation
from results import Row
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import designer_flights  # the tests' own graph and data
from designer import Package, package, run_in_process

PICKLED = "the pipeline, pickled"
LABEL = "late"
FEATURES = ("number", *designer_flights.NUMERIC, *designer_flights.CATEGORICAL)
# 1.5 times as long for a row is two thirds of the rows.
GOAL = "ratio >= 0.667"


def designer_service(installation: Installation, client: Client) -> Iterator[Row]:
    """Score one row at a time, with one connection, at the instances' own sockets."""
    data = designer_flights.flights()
    rows = json.loads(data.frame.head(1).drop(columns=LABEL).to_json(orient="records"))
    with tempfile.TemporaryDirectory(prefix="azl-", dir="/tmp") as folder:
        made = _packaged(Path(folder))
        model = client.register_model("designer", _files(Path(made.model)), "custom_model")
        code = client.register_code(_files(Path(made.code)))
    ours = {**client.scripted("score.py", model), "codeConfiguration": {"codeId": code, "scoringScript": "score.py"}}
    theirs = client.scripted("predict_rows.py", client.register_model("pipeline", _pickled(), "custom_model"))
    bodies = {
        OURS: json.dumps({"Inputs": {"WebServiceInput0": rows}, "GlobalParameters": {}}),
        PICKLED: json.dumps({"data": [{name: rows[0][name] for name in FEATURES}]}),
    }
    specs = {
        OURS: around_endpoint(serve(installation, client, "bench-designer", ours, bodies[OURS]), bodies[OURS]),
        PICKLED: around_endpoint(
            serve(installation, client, "bench-pipeline", theirs, bodies[PICKLED]), bodies[PICKLED]
        ),
    }
    yield from compare("a row through a Designer's service", specs, 1, {PICKLED: GOAL})


def _packaged(folder: Path) -> Package:
    """Train the graph in memory, and package its inference graph."""
    data = designer_flights.flights()
    graph = designer_flights.training("two_class_logistic_regression", LABEL)
    inference, saved = designer_flights.inference(graph, run_in_process(graph, {"flights": data}))
    for name, one in {**saved, "flights": data}.items():
        one.save(folder / "data" / name)
    return package(inference, folder / "service", data={name: folder / "data" / name for name in inference.inputs})


def _pickled() -> dict[str, bytes]:
    frame = designer_flights.flights().frame
    numbers = Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler())])
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["number", *designer_flights.NUMERIC]),
            ("categories", OneHotEncoder(), list(designer_flights.CATEGORICAL)),
        ]
    )
    pipeline = Pipeline([("columns", columns), ("model", LogisticRegression())])
    return {"model.pkl": pickle.dumps(pipeline.fit(frame[list(FEATURES)], frame[LABEL]))}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
