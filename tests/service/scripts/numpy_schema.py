"""A scoring script that describes what it takes and gives, with inference-schema."""

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("data", NumpyParameterType(np.array([[1.5, 2.5]])))
@output_schema(StandardPythonParameterType({"sums": [4.0]}))
def run(data):
    return {"sums": data.sum(axis=1).tolist(), "type": type(data).__name__}
