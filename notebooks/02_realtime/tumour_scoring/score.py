"""Scoring script: named measurements of tumours in, diagnoses with probabilities out."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd


def init():
    """Load the model from where Azure ML has put it."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "tumour.joblib")


def run(raw_data):
    """Return a diagnosis for each patient.

    raw_data is the request's body: {"patients": [{measurement name: value, ...}, ...]}.
    """
    patients = pd.DataFrame(json.loads(raw_data)["patients"])[list(model.feature_names_in_)]
    probabilities = model.predict_proba(patients)[:, 1]
    return [
        {
            "diagnosis": "benign" if probability >= 0.5 else "malignant",
            "probability_benign": round(probability, 3),
        }
        for probability in probabilities.tolist()
    ]
