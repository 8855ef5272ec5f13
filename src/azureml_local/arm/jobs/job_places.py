"""Where a job's files lie.

What it writes to ``./outputs`` and its logs are its artifacts:
https://learn.microsoft.com/azure/machine-learning/how-to-save-write-experiment-files. An output lies where it says, or
in a folder of the workspace's default datastore that is named after the job and the output.
"""

from __future__ import annotations

from azureml_local.arm.storage.datastores import ARTIFACT_CONTAINER
from azureml_local.engines.staging import BlobPath
from azureml_local.store import Resource

JOB_TYPE = "workspaces/jobs"
ARTIFACT_STORE = "workspaceartifactstore"
DEFAULT = "default"  # the output that stands for the artifacts; in URIs also
ARTIFACTS = "artifacts"


def artifacts(job_name: str) -> BlobPath:
    """Return the folder of a job's artifacts, and of those of any other run of MLflow's.

    The SDK looks for a job's files there (azure-ai-ml, operations/_job_ops_helper.py).
    """
    return BlobPath(ARTIFACT_CONTAINER, f"ExperimentRun/dcid.{job_name}")


def artifacts_uri(job_name: str) -> str:
    """Return the URI of a job's artifacts."""
    return f"azureml://datastores/{ARTIFACT_STORE}/paths/{artifacts(job_name).path}"


def output_uri(job: Resource, output: str) -> str | None:
    """Return the URI of one of a job's outputs, None where it has no such output."""
    place: str | None = job.body["run"].get("places", {}).get(output)
    if place:  # that another job has filled: a pipeline's step, or an earlier run of the same
        return place
    own = job.properties["outputs"].get(output)
    if own and output != DEFAULT:
        return own.get("uri") or _default_uri(job, output, is_file=own["jobOutputType"] == "uri_file")
    return artifacts_uri(job.name) if output in (DEFAULT, ARTIFACTS) else None


def _default_uri(job: Resource, output: str, *, is_file: bool) -> str:
    uri = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/{output}"
    return uri if is_file else f"{uri}/"
