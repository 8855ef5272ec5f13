"""Scoring script: orders in, minutes until delivery out, and which model says so."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd


def init():
    """Load the model from where Azure ML has put it."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "delivery.joblib")


def run(raw_data):
    """Return the minutes for each order.

    raw_data is the request's body: {"orders": [{"order": id, "km": number, "hour": number,
    "vehicle": "bike", "car" or "van"}, ...]}.
    """
    orders = pd.DataFrame(json.loads(raw_data)["orders"])
    print("orders:", *orders["order"])  # into the log, so that copies can be counted there
    minutes = model.predict(orders).round(1)
    return {"model": os.environ["MODEL_VERSION"], "minutes": minutes.tolist()}
