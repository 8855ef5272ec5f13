"""Batch scoring script: scanned pages in, a row for each out, collected in one file."""

import os
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image


def init():
    """Load the model, once in each worker process."""
    global model, pause
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "digits.joblib")
    # A larger model takes longer for a page: a deployment can pretend to have one.
    pause = float(os.environ.get("SECONDS_PER_PAGE", "0"))


def run(mini_batch):
    """Return a row for each page: its name, its digit, and how sure the model is.

    mini_batch is a list of paths of image files, 8 by 8 pixels each.
    """
    # A file that is no image raises an error here, and with it all of this mini-batch is lost.
    images = [np.asarray(Image.open(page).convert("L")) / 15 for page in mini_batch]
    time.sleep(pause * len(images))
    sure = model.predict_proba(np.reshape(images, (len(images), 64)))
    return pd.DataFrame(
        {
            "page": [Path(page).name for page in mini_batch],
            "digit": sure.argmax(axis=1),
            "sure": sure.max(axis=1).round(3),
        }
    )
