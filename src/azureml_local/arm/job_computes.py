"""The nodes that a job runs on."""

from __future__ import annotations

from azureml_local.arm.computes import open_pool
from azureml_local.arm.context import Context
from azureml_local.arm.store import Resource
from azureml_local.engines.compute.pool import Pool
from azureml_local.engines.jobs.runner import JobError


def pool_for(context: Context, job: Resource) -> Pool:
    """Return the pool that a command job's nodes come from.

    Raises:
        JobError: there is no such compute.
    """
    compute_id = job.properties["computeId"]
    compute = context.store.get(compute_id) if compute_id else None
    if compute is None:
        raise without_compute(job)
    return context.pools.get(compute.id) or open_pool(context, compute)


def without_compute(job: Resource) -> JobError:
    """Return why a job fails whose compute is gone, in Azure's words."""
    name = (job.properties["computeId"] or "").rpartition("/")[2]
    return JobError("UserError", f"AzureMLCompute cluster {name} does not exist")
