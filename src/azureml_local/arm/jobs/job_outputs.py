"""Registers what a job wrote as assets, once it has completed.

An output with a name is registered under it, any other under a name made of the job's and the output's, as Azure does:
https://learn.microsoft.com/azure/machine-learning/how-to-read-write-data-v2
"""

from __future__ import annotations

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_places
from azureml_local.arm.jobs.job_specs import MODELS, URI_OF, plural_of
from azureml_local.arm.storage.storage_locations import in_full
from azureml_local.engines.jobs.runner import JobError
from azureml_local.store import Resource


def register(context: Context, job: Resource) -> None:
    """Make a version of data or of a model of each output, and note in the job's run which one.

    To be called in the transaction that writes the job's end: neither happens without the other, nor twice.

    Raises:
        JobError: a version that the job names was made meanwhile, of other files.
    """
    workspace_id = ids.workspace_of(job.id)
    run = {**job.body["run"], "outputs": {}}
    for name, given in job.properties["outputs"].items():
        if name == job_places.DEFAULT:
            continue
        plural = plural_of(given["jobOutputType"])
        asset = given["assetName"] or _own_name(job.name, name, given["jobOutputType"])
        version = given["assetVersion"] or assets.following(context, workspace_id, plural, asset)
        uri = in_full(workspace_id, job_places.output_uri(job, name) or "")
        of_kind = (
            {"modelUri": uri, "modelType": given["jobOutputType"], "jobName": job.name}
            if plural == "models"
            else {"dataUri": uri, "dataType": given["jobOutputType"]}
        )
        properties = {"description": given["description"], **of_kind}
        registered = assets.ensure_version(
            context, workspace_id, plural, asset, version, properties, principal=job.created_by
        )
        if registered.properties[URI_OF[plural]] != uri:
            raise JobError(
                "UserError",
                f"The output {name} cannot be registered as version {version} of {asset}: that was made while the job "
                "ran, of other files. Use another version, or none: the next one is given to it.",
            )
        run["outputs"][name] = registered.id
    job.body["run"] = run
    context.store.save(job)


def _own_name(job: str, output: str, kind: str) -> str:
    return f"azureml_{job}_output_{output}" if kind in MODELS else f"azureml_{job}_output_data_{output}"
