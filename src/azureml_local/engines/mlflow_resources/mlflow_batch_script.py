"""Scores files with an MLflow model, in a batch deployment or a parallel job that has no script.

Runs in an interpreter that the model's conda file may have made an old one: only what MLflow 1.24 and Python 3.8 know.
Which files, and what is made of them: https://learn.microsoft.com/azure/machine-learning/how-to-mlflow-batch
"""

import csv
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.pyfunc import load_model

TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pqt": pd.read_parquet}
IMAGES = (".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif")

model = None


def init():
    """Load the model: the one folder in the model's place, or that place itself."""
    global model
    place = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(path.parent for path in place.rglob("MLmodel"))
    if not found:
        raise FileNotFoundError("There is no MLmodel in the model's folder: it is no model of MLflow's.")
    model = load_model(str(found[0]))


def run(mini_batch):
    """Return ``row,prediction,file`` of each row of a table, and ``prediction,file`` of each image.

    A file that cannot be scored is said so, and left out. Where none can, this fails, as it does on Azure
    (how-to-troubleshoot-batch-endpoints, "No objects to concatenate").
    """
    lines, scored = [], 0
    for path in map(Path, mini_batch):
        try:
            lines += _score(path)
            scored += 1
        except Exception as error:
            print(f"ERROR:azureml:Error processing input file: '{path}'. {error}", flush=True)
    if not scored:
        raise ValueError("No objects to concatenate")
    return lines


def _score(path):
    kind = path.suffix.lower()
    if kind in TABLES:
        predictions = _rows(model.predict(_typed(TABLES[kind](path))))
        return [_line([number, *row, path.name]) for number, row in enumerate(predictions)]
    if kind in IMAGES:
        predictions = _rows(model.predict(_image(path)))
        values = predictions[0] if len(predictions) == 1 else [[value for row in predictions for value in row]]
        return [_line([*values, path.name])]
    raise TypeError(f"File type '{kind.lstrip('.')}' is not supported.")


def _inputs():
    """Return the schema of the model's inputs; None where its author gave none."""
    return model.metadata.get_input_schema() if model.metadata else None


def _typed(table):
    """Return a table whose columns have the types that the model's signature names."""
    schema = _inputs()
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return table
    try:
        types = dict(zip(schema.input_names(), schema.pandas_types()))
        return table.astype({name: kind for name, kind in types.items() if name in table.columns})
    except (TypeError, ValueError) as error:
        raise ValueError(f"Exception: {error}") from error


def _image(path):
    """Return an image as an array, in the form that the model's signature names."""
    from PIL import Image  # which the environment of a model for images has

    with Image.open(path) as image:
        pixels = np.array(image)
    schema = _inputs()
    if schema is None or not schema.is_tensor_spec():
        return pixels
    spec = schema.inputs[0]
    pixels = pixels.astype(spec.type)
    if list(spec.shape).count(-1) <= 1:
        return pixels.reshape(spec.shape)
    return pixels[np.newaxis] if pixels.ndim < len(spec.shape) else pixels


def _rows(result):
    """Return predictions as rows of values."""
    if isinstance(result, pd.DataFrame):
        return result.to_numpy().tolist()
    if isinstance(result, dict):
        return pd.DataFrame(result).to_numpy().tolist()
    values = result.tolist() if hasattr(result, "tolist") else list(result)
    return [[value] for value in (values if isinstance(values, list) else [values])]


def _line(values):
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()
