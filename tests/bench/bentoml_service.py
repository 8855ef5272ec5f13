"""The BentoML service that the benchmark measures: what ``predict.py`` is for the inference server."""

import os
import pickle
from pathlib import Path

import bentoml
import numpy as np


@bentoml.service
class Predictor:
    """A scikit-learn model behind one API."""

    def __init__(self) -> None:
        self.model = pickle.loads(Path(os.environ["MODEL"]).read_bytes())

    @bentoml.api
    def predict(self, data: np.ndarray) -> list:
        return self.model.predict(data).tolist()
