"""Scoring script: patients in, the likely progress of their diabetes out, and who says so."""

import json
import os
import socket
import time
from pathlib import Path


def init():
    """Load the model's weights from where Azure ML has put them."""
    global weights
    time.sleep(1)  # as long as a larger model would take
    weights = json.loads((Path(os.environ["AZUREML_MODEL_DIR"]) / "weights.json").read_text())


def run(raw_data):
    """Return how far the diabetes of each patient will have progressed in a year, in points.

    raw_data is the request's body: {"patients": [{measurement name: value, ...}, ...]}. With
    "records_seconds" it says how long earlier findings are read from the hospital's records.
    """
    request = json.loads(raw_data)
    time.sleep(request.get("records_seconds", 0))
    points = [
        weights["intercept"]
        + sum(weight * patient[name] for name, weight in weights["of"].items())
        for patient in request["patients"]
    ]
    return {
        "progress": [round(point) for point in points],
        "replica": f"{socket.gethostname()}-{os.getpid()}",
    }
