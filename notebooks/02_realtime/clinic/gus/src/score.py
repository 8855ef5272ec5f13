"""Scoring script: measurements of wines in, the number of their cultivar out."""

import json
import os
import time
from pathlib import Path

import numpy as np


def init():
    """Load the mean measurements of each cultivar."""
    global means, scales
    model = np.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "wine.npz")
    means, scales = model["means"], model["scales"]


def run(raw_data):
    """Return the nearest cultivar of each wine of {"wines": [[measurement, ...], ...]}."""
    time.sleep(3)  # as long as the laboratory takes for a second opinion
    wines = np.array(json.loads(raw_data)["wines"])
    distances = np.linalg.norm((wines[:, None] - means) / scales, axis=2)
    return distances.argmin(axis=1).tolist()
