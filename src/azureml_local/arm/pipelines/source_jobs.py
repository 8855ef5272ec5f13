"""Pipeline jobs that name another one by ``sourceJobId``: what they leave out is that one's.

So azure-ai-ml writes the job of a schedule that was given as the name of a job (entities/_schedule/schedule.py).
"""

from __future__ import annotations

from azureml_local.arm.jobs import job_places
from azureml_local.arm.jobs.refusals import user_error
from azureml_local.arm.pipelines.nodes import PIPELINE
from azureml_local.arm.request import ArmRequest

TAKEN = (
    "componentId",
    "computeId",
    "displayName",
    "experimentName",
    "identity",
    "inputs",
    "jobs",
    "outputs",
    "settings",
)


MERGED = ("inputs", "outputs", "settings")  # of which what is not given is the other job's


def complete(request: ArmRequest) -> None:
    """Give the body of a pipeline job, as it was sent, what it has of the job that it names.

    Raises:
        FrontendError: 400, there is no such job, or it is none of a pipeline.
    """
    sent = request.body.get("properties")
    if not isinstance(sent, dict) or str(sent.get("jobType")).lower() != PIPELINE or not sent.get("sourceJobId"):
        return
    name = str(sent["sourceJobId"]).removeprefix("azureml:").rpartition("/")[2]
    source = request.context.store.get(f"{request.workspace_id}/jobs/{name}")
    if source is None or source.type != job_places.JOB_TYPE or source.properties["jobType"].lower() != PIPELINE:
        raise user_error(f"sourceJobId: there is no pipeline job {name}.")
    taken = {member: source.properties[member] for member in TAKEN}
    taken["outputs"] = {key: one for key, one in taken["outputs"].items() if key != job_places.DEFAULT}
    given = {member: value for member, value in sent.items() if value not in (None, "", {})}
    merged = {member: {**taken[member], **given[member]} for member in MERGED if isinstance(given.get(member), dict)}
    request.body["properties"] = {**taken, **given, **merged}
