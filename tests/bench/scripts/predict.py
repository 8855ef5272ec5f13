"""Predicts with a scikit-learn model, as most scoring scripts do."""

import json
import os
import pickle
from pathlib import Path

MODEL = None


def init():
    global MODEL
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")
    MODEL = pickle.loads(file.read_bytes())


def run(body):
    return MODEL.predict(json.loads(body)["data"]).tolist()
