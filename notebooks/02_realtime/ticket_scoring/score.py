"""Scoring script: seats in, prices out."""

import json
import os
from pathlib import Path

import joblib


def init():
    """Load the model from where Azure ML has put it."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "tickets.joblib")


def run(raw_data):
    """Return a price for each seat.

    raw_data is the request's body: {"seats": [[row, seat, days before the play], ...]}.
    """
    return model.predict(json.loads(raw_data)["seats"]).round(2).tolist()
