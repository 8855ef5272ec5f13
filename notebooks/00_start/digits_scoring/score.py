"""Scoring script: Azure ML calls init() once an instance, and run() for each request."""

import json
import os
from pathlib import Path

import joblib


def init():
    """Load the model from where Azure ML has put it."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "digits.joblib")


def run(raw_data):
    """Return a digit for each image.

    raw_data is the request's body: {"images": [[64 brightness values from 0 to 16], ...]}.
    """
    images = json.loads(raw_data)["images"]
    return model.predict(images).tolist()
