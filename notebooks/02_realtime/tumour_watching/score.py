"""Scoring script that can be watched.

It collects what it is asked and what it answers, and its log names the request.
"""

import os
from pathlib import Path

import joblib
import pandas as pd
from azureml.ai.monitoring import Collector
from azureml.ai.monitoring.context import BasicCorrelationContext
from azureml_inference_server_http.api.aml_request import rawhttp


def init():
    """Load the model, and open the two collections that the deployment has enabled."""
    global model, inputs, outputs
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "tumour.joblib")
    inputs = Collector(name="model_inputs")
    outputs = Collector(name="model_outputs")


@rawhttp
def run(request):
    """Return for each patient how probable it is that the tumour is benign.

    The request's body is {"patients": [{measurement name: value, ...}, ...]}. Its header
    x-request-id is the one that the caller gets back.
    """
    request_id = request.headers["x-request-id"]
    try:
        patients = pd.DataFrame(request.get_json()["patients"])[list(model.feature_names_in_)]
    except KeyError as error:
        print(f"{request_id} KeyError: {error}", flush=True)
        raise
    context = inputs.collect(patients, BasicCorrelationContext(id=request_id))
    benign = pd.DataFrame({"benign": model.predict_proba(patients)[:, 1].round(3)})
    outputs.collect(benign, context)
    return benign["benign"].tolist()
