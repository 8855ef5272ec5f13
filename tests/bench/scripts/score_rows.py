"""Scores the rows of CSV files, as most scripts for batch scoring do."""

import os
import pickle
from pathlib import Path

import noted
import pandas as pd

MODEL = None


def init():
    global MODEL
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")
    MODEL = pickle.loads(file.read_bytes())


def run(mini_batch):
    noted.begun()
    rows = pd.concat([pd.read_csv(file) for file in mini_batch])
    return pd.DataFrame({"row": rows.row, "prediction": MODEL.predict(rows.drop(columns="row").to_numpy())})
