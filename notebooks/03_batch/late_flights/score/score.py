"""Say for each flight of a mini-batch how probably it is more than 15 minutes late.

It runs as a step of a pipeline, which names the model's folder in an argument, and as a batch
deployment's scoring script, where an environment variable does.
"""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd

SHOWN = ["date", "carrier", "flight", "origin", "dest", "hour", "probability"]


def init():
    """Load the model: once in each worker process, before its first mini-batch."""
    global model
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", default=os.environ.get("AZUREML_MODEL_DIR"))
    arguments, _ = parser.parse_known_args()
    model = joblib.load(next(Path(arguments.model).rglob("*.joblib")))


def run(mini_batch):
    """Return a line for each flight in the files of a mini-batch."""
    flights = pd.concat(pd.read_csv(file) for file in mini_batch)
    probabilities = model.predict_proba(flights[model.feature_names_in_])[:, 1]
    flights["probability"] = probabilities.round(4)
    return flights[SHOWN].to_csv(index=False, header=False).splitlines()
