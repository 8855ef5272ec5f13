"""A scoring script that collects tables, as the documentation's own sample does."""

import json
import os

import pandas as pd
from azureml.ai.monitoring import Collector
from azureml.ai.monitoring.context import BasicCorrelationContext


def init():
    global inputs, outputs
    inputs = Collector(name="model_inputs")
    outputs = Collector(name="model_outputs")


def run(raw):
    asked = json.loads(raw)
    context = BasicCorrelationContext(id=asked["id"], headers={"Shop-Id": "7"}) if "id" in asked else None
    table = pd.DataFrame(asked["table"])
    context = inputs.collect(table, context)
    outputs.collect(pd.DataFrame({"sum": table.sum(axis=1)}), context)
    return [os.environ[name] for name in asked.get("variables", [])]
