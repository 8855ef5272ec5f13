"""What a job has logged with MLflow, as a table.

Azure ML's own SDK logs nothing and reads no metrics: "use MLflow logging" is Microsoft's word on both
(https://learn.microsoft.com/azure/machine-learning/concept-mlflow).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from helpers.credentials import resource_manager_token

if TYPE_CHECKING:
    import pandas as pd
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job


def track(ml_client: MLClient) -> str:
    """Point this process's ``mlflow`` at the workspace, for the hour that a token lasts; return the tracking URI.

    MLflow needs no plugin for that: it takes the workspace's tracking URI with ``https`` in place of ``azureml``, and
    a token for Azure Resource Manager
    (https://github.com/Azure/azureml-examples/blob/main/sdk/python/using-mlflow/using-rest-api/using_mlflow_rest_api.ipynb).
    """
    uri: str | None = ml_client.workspaces.get(ml_client.workspace_name).mlflow_tracking_uri
    if uri is None:
        raise RuntimeError(f"The workspace {ml_client.workspace_name} has no tracking URI for MLflow.")
    uri = uri.replace("azureml://", "https://", 1)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    os.environ["MLFLOW_TRACKING_TOKEN"] = resource_manager_token()
    return uri


def metrics(ml_client: MLClient, job: Job | str, by: str = "step") -> pd.DataFrame:
    """Return what a job has logged so far: one row a step, one column a metric, empty where it logged none.

    Args:
        ml_client: a client for the job's workspace.
        job: the job, or its name.
        by: what the rows are: ``"step"``, or ``"time"``, in seconds since the job's run began.

    Raises:
        ValueError: ``by`` is neither.
        mlflow.exceptions.MlflowException: there is no such job.
    """
    if by not in ("step", "time"):
        raise ValueError(f'by is {by!r}; it must be "step" or "time".')
    import pandas as pd
    from mlflow import MlflowClient

    client = MlflowClient(track(ml_client))
    run = client.get_run(job if isinstance(job, str) else str(job.name))
    columns = {}
    for name in sorted(run.data.metrics):
        history = client.get_metric_history(run.info.run_id, name)
        rows = [one.step if by == "step" else (one.timestamp - run.info.start_time) / 1000 for one in history]
        column = pd.Series([one.value for one in history], index=rows)
        columns[name] = column[~column.index.duplicated(keep="last")]  # what was logged again for the same step counts
    return pd.DataFrame(columns).rename_axis(by).sort_index()
