"""Scoring script: measurements of irises in, their species out."""

import json
import os
from pathlib import Path

import joblib

SPECIES = ("setosa", "versicolor", "virginica")


def init():
    """Load the model from where Azure ML has put it."""
    global model
    file = Path(os.environ["AZUREML_MODEL_DIR"]) / "iris.joblib"
    model = joblib.load(file)
    print("loaded", file.name)


def run(raw_data):
    """Return a species for each flower.

    raw_data is the request's body, {"flowers": [[5.1, 3.5, 1.4, 0.2], ...]}: length and width
    of the sepal, length and width of the petal, in cm.
    """
    flowers = json.loads(raw_data)["flowers"]
    return [SPECIES[number] for number in model.predict(flowers).tolist()]
