"""Scores an MLflow model that was deployed without a script.

Runs in the deployment's interpreter, which the model's conda file may have made an old one: only what MLflow 1.24
and Python 3.8 know. Input formats: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models#input-formats
"""

import inspect
import json
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema
from mlflow.models import Model
from mlflow.pyfunc import load_model

logger = logging.getLogger("azmlinfsrv.user_script")

# Models of these flavors take text and dictionaries as they come.
TAKE_JSON = frozenset(("langchain", "openai", "transformers"))
PARAMETER_EXAMPLES = {"boolean": True, "string": "text", "integer": 1, "long": 1, "float": 0.5, "double": 0.5}

model = None
# What gets the tables that come in and go out, where the deployment collects them.
# https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data#collect-data-for-mlflow-models
inputs_collector = None
outputs_collector = None


class AnyJson(AbstractParameterType):
    """What nothing is known of: passed on as it comes."""

    def __init__(self):
        super().__init__(None)

    def deserialize_input(self, input_data):
        """Return the input."""
        return input_data

    def input_to_swagger(self):
        """Return the OpenAPI schema of an object of any kind."""
        return {"type": "object", "example": {}}


def _example(schema):
    """Return an input or output that has a signature's schema, or None."""
    if not schema:
        return None
    if schema.is_tensor_spec():
        tensors = {
            spec.name: np.zeros([1 if size == -1 else size for size in spec.shape], spec.type) for spec in schema.inputs
        }
        return tensors if schema.has_input_names() else next(iter(tensors.values()))
    if not schema.has_input_names() and len(schema.inputs) != 1:
        return None
    names = schema.input_names() if schema.has_input_names() else [0]
    types = schema.pandas_types()
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in zip(names, types)})


def _input_example(description, path):
    """Return the input that the model's author kept with it, or else one that its signature describes."""
    if getattr(description, "saved_input_example_info", None) and hasattr(description, "load_input_example"):
        return description.load_input_example(path)
    return _example(description.signature.inputs) if description.signature else None


def _parameters_example(signature):
    parameters = getattr(signature, "params", None)
    if not parameters:
        return None
    return {
        parameter.name: PARAMETER_EXAMPLES.get(parameter.dtype.name) if parameter.default is None else parameter.default
        for parameter in parameters.params
    }


def _parameter_type(example, orient):
    """Return what turns JSON into data like ``example``, and describes it in the OpenAPI document."""
    if isinstance(example, pd.DataFrame):
        return PandasParameterType(example, enforce_shape=False, orient=orient)
    if isinstance(example, np.ndarray):
        return NumpyParameterType(example, enforce_shape=False)
    if isinstance(example, dict) and all(isinstance(value, np.ndarray) for value in example.values()):
        return StandardPythonParameterType(
            {name: NumpyParameterType(value, enforce_shape=False) for name, value in example.items()}
        )
    return AnyJson()


def _from_json(data):
    """Return JSON of which no schema is known in the form that models take."""
    if isinstance(data, list):
        return np.asarray(data)
    if isinstance(data, dict) and {"columns", "data"} <= data.keys():
        return pd.DataFrame(data["data"], columns=data["columns"], index=data.get("index"))
    if isinstance(data, dict):
        return {name: np.asarray(value) for name, value in data.items()}
    return data


def _to_json(result):
    """Return a prediction as JSON: a table becomes a list of records."""
    if isinstance(result, pd.Series):
        result = result.to_frame()
    if isinstance(result, pd.DataFrame):
        return result.to_dict(orient="records")
    return result.tolist() if isinstance(result, np.ndarray) else result


model_path = str(Path(os.environ["AZUREML_MODEL_DIR"], os.environ["MLFLOW_MODEL_FOLDER"]))
description = Model.load(model_path)
takes_json = not TAKE_JSON.isdisjoint(description.flavors)
input_type = AnyJson() if takes_json else _parameter_type(_input_example(description, model_path), "split")
output_type = _parameter_type(_example(description.signature.outputs) if description.signature else None, "records")
parameters_example = _parameters_example(description.signature)
parameters_type = StandardPythonParameterType(parameters_example) if parameters_example else AnyJson()
if not description.signature:
    logger.warning("The model has no signature: inputs are not checked, and the OpenAPI document says nothing of them.")


def _collector(name):
    """Return a collector, or None where the deployment has no such collection."""
    config = os.environ.get("AZUREML_MDC_CONFIG_PATH")
    if not config or name not in json.loads(Path(config).read_text())["collections"]:
        return None
    from azureml.ai.monitoring import Collector  # which only an environment for it has

    return Collector(name=name, on_error=lambda error: logger.warning("%s: %s", name, error))


def _collect(collector, data, context=None):
    """Hand over a table, or predictions as one; return what leads from inputs to outputs."""
    if collector is None or not isinstance(data, (pd.DataFrame, pd.Series, np.ndarray)) or np.ndim(data) > 2:
        return context
    return collector.collect(pd.DataFrame(data), context)


def init():
    """Load the model."""
    global model, inputs_collector, outputs_collector
    model = load_model(model_path)
    inputs_collector = _collector("model_inputs")
    outputs_collector = _collector("model_outputs")


@input_schema("input_data", input_type)
@input_schema("params", parameters_type, optional=True)
@output_schema(output_type)
def run(input_data, params=None):
    """Return the model's predictions for ``input_data``."""
    if isinstance(input_type, AnyJson) and not takes_json:
        input_data = _from_json(input_data)
    context = _collect(inputs_collector, input_data)
    takes_params = "params" in inspect.signature(model.predict).parameters
    result = model.predict(input_data, params=params) if takes_params else model.predict(input_data)
    _collect(outputs_collector, result, context)
    return _to_json(result)
