"""Which pipeline a job is a step of. A job that is none is its own root.

A step's run has its pipeline's as its parent:
https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow
"""

from __future__ import annotations

import uuid
from typing import Any

from azureml_local.store import Resource


def of_step(pipeline: Resource, step: str, module: str) -> dict[str, Any]:
    """Return what the run of a new job says where the job is a step of a pipeline, and of which component."""
    return {"parent": pipeline.name, "root": root(pipeline), "step": step, "module": module}


def parent(job: Resource) -> str | None:
    """Return the name of the pipeline job that a job is a step of."""
    name: str | None = job.body["run"].get("parent")
    return name


def root(job: Resource) -> str:
    """Return the name of the outermost pipeline job that a job is part of, its own where there is none."""
    name: str = job.body["run"].get("root", job.name)
    return name


def step(job: Resource) -> str | None:
    """Return the name of the step that a job is."""
    name: str | None = job.body["run"].get("step")
    return name


def module(job: Resource) -> str | None:
    """Return the name of the component that a step is made of, by which samples find the run of a step."""
    name: str | None = job.body["run"].get("module")
    return name


def node_id(job: Resource) -> str:
    """Return the id of the node of a pipeline's graph that a step's job is."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{job.body['run'].get('parent')}/{step(job)}").hex[:8]


def is_reused(job: Resource) -> bool:
    """Say whether a step has taken over what an earlier run of it had left, and never ran itself."""
    return "reused" in job.body["run"]


def tags(job: Resource) -> dict[str, str]:
    """Return the tags by which MLflow knows a run's parent."""
    above = parent(job)
    return {"mlflow.parentRunId": above, "mlflow.rootRunId": root(job)} if above else {}
