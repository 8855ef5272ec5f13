"""Classifies images of digits."""

import os
import pickle
from pathlib import Path

import noted
import numpy as np
import pandas as pd
from PIL import Image

MODEL = None


def init():
    global MODEL
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")
    MODEL = pickle.loads(file.read_bytes())


def run(mini_batch):
    noted.begun()
    pixels = np.stack([np.asarray(Image.open(file), dtype=float).ravel() for file in mini_batch])
    return pd.DataFrame({"file": [Path(file).name for file in mini_batch], "digit": MODEL.predict(pixels)})
