"""Scoring script of the second opinion: measured samples in, an opinion on each out."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd


def init():
    """Load the model from where Azure ML has put it."""
    global model
    model = joblib.load(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("*.joblib")))


def run(raw_data):
    """Return for each sample how probable it is that it is benign.

    raw_data is the request's body: {"samples": [{measurement name: value, ...}, ...]}.
    """
    samples = pd.DataFrame(json.loads(raw_data)["samples"])[list(model.feature_names_in_)]
    benign = model.predict_proba(samples)[:, 1].round(3)
    return [{"benign": value} for value in benign.tolist()]
