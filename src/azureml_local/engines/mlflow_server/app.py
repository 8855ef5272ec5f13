"""MLflow's tracking server as a WSGI application on the workspaces' stores; what gunicorn runs in the child."""

from __future__ import annotations

import os
from pathlib import Path

import flask
from mlflow.server import BACKEND_STORE_URI_ENV_VAR, app, handlers

from azureml_local.engines.mlflow_server import JOBS
from azureml_local.engines.mlflow_server.stores import Stores

SCHEME = "azureml-local"

stores = Stores(Path(os.environ["AZUREML_LOCAL_MLFLOW"]))
# What a plugin's entry point would do, without every client of MLflow in this environment loading it, too.
handlers._tracking_store_registry.register(SCHEME, lambda *_, **__: stores)
os.environ[BACKEND_STORE_URI_ENV_VAR] = f"{SCHEME}://"


@app.post(JOBS)
@handlers.catch_mlflow_exception
def write_jobs() -> tuple[dict[str, str], int]:
    """Take over the state of jobs."""
    stores.current().write_jobs(flask.request.get_json())
    return {}, 200
