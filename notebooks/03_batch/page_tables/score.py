"""Batch scoring script that writes its own tables, and does not stop at an unreadable page."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image


def init():
    """Load the model, and note where this deployment's output is to be written."""
    global model, output
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "digits.joblib")
    output = Path(os.environ["AZUREML_BI_OUTPUT_PATH"])


def read(page):
    """Return the row of a page: a digit and how sure the model is, or why there is none."""
    try:
        image = np.asarray(Image.open(page).convert("L")) / 15
    except OSError as error:
        return {"page": Path(page).name, "problem": type(error).__name__}
    sure = model.predict_proba(image.reshape(1, 64))[0]
    return {"page": Path(page).name, "digit": sure.argmax(), "sure": sure.max().round(3)}


def run(mini_batch):
    """Write a Parquet file with a row for each page; return what has been dealt with.

    With `summary_only` what is returned goes nowhere: it is counted, for the error threshold.
    """
    columns = ["page", "digit", "sure", "problem"]
    table = pd.DataFrame([read(page) for page in mini_batch], columns=columns)
    types = {"digit": "Int64", "problem": "string"}
    table.astype(types).to_parquet(output / f"{Path(mini_batch[0]).stem}.parquet")
    return mini_batch
