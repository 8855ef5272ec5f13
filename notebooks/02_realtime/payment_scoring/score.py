"""Scoring script: a card payment in, a verdict out, with who gave it: version and worker."""

import json
import math
import os
import socket
import time
from pathlib import Path

VERSION = 1


def init():
    """Load the model's weights, and read what the deployment's environment variables say."""
    global weights, threshold
    # As long as a large model would take to load.
    time.sleep(float(os.environ.get("START_SECONDS", "0")))
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    print("the model's files:", *(path.relative_to(folder) for path in folder.rglob("*.json")))
    weights = json.loads((folder / "fraud_model" / "weights.json").read_text())
    threshold = float(os.environ.get("THRESHOLD", "0.5"))


def run(raw_data):
    """Return whether a payment is suspicious, and how much.

    raw_data is the request's body: {"amount": EUR, "distance": km from home, "night": 0 or 1}.
    With "lookup_seconds" it says how long the card's history is looked up elsewhere; otherwise
    that takes a tenth of a second.
    """
    payment = json.loads(raw_data)
    time.sleep(payment.get("lookup_seconds", 0.1))
    score = weights["bias"] + sum(
        weight * payment[name] for name, weight in weights["of"].items()
    )
    risk = 1 / (1 + math.exp(-score))
    return {
        "suspicious": risk >= threshold,
        "risk": round(risk, 2),
        "version": VERSION,
        "worker": f"{socket.gethostname()}-{os.getpid()}",
    }
