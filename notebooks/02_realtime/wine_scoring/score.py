"""Scoring script: wines in, vineyards out; it describes both in an OpenAPI document."""

import os
import time
from pathlib import Path

import joblib
import pandas as pd
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import (
    StandardPythonParameterType,
)
from inference_schema.schema_decorators import input_schema, output_schema

# One example of each is all that the document is made from.
WINE = {"alcohol": 13.2, "flavanoids": 2.8, "color_intensity": 4.4, "proline": 1050.0}
ANSWER = {"vineyard": "A", "sure": 0.93}


def init():
    """Load the model, and read how long it is to take for each wine, as a larger one would."""
    global model, seconds_per_wine
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "wine.joblib")
    seconds_per_wine = float(os.environ["SECONDS_PER_WINE"])


@input_schema("wines", PandasParameterType(pd.DataFrame([WINE])))
@output_schema(StandardPythonParameterType([ANSWER]))
def run(wines):
    """Return the vineyard of each wine, and how sure the model is.

    The request's body is {"wines": [{measurement name: value, ...}, ...]}; inference-schema
    makes a data frame of it.
    """
    time.sleep(seconds_per_wine * len(wines))
    answers = []
    for row in model.predict_proba(wines[list(model.feature_names_in_)]):
        answers.append({"vineyard": "ABC"[row.argmax()], "sure": round(float(row.max()), 2)})
    return answers
