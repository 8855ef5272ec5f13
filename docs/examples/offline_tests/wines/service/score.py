"""Answer a request: what the deployment runs."""

import json
import os
from pathlib import Path

import joblib

loaded = {}


def init():
    """Load the model."""
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("wines.joblib")
    loaded.update(joblib.load(file))


def run(body):
    """Return the name of the wine of each row of thirteen measurements."""
    return [loaded["names"][number] for number in loaded["model"].predict(json.loads(body)["data"])]
