"""Predicts rows with a scikit-learn pipeline that was pickled whole, as most scoring scripts do."""

import json
import os
import pickle
from pathlib import Path

import pandas as pd

PIPELINE = None


def init():
    global PIPELINE
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")
    PIPELINE = pickle.loads(file.read_bytes())


def run(body):
    probabilities = PIPELINE.predict_proba(pd.DataFrame(json.loads(body)["data"]))
    labels = PIPELINE.classes_[probabilities.argmax(axis=1)]
    return [
        {"label": label, "probability": probability}
        for label, probability in zip(labels.tolist(), probabilities[:, 1].tolist(), strict=True)
    ]
