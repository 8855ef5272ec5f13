"""From a finished training run to an inference pipeline: what it needs of the run becomes assets of the workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from designer.declarations import Declaration
from designer.errors import GraphError, Problem
from designer.graph import Graph, GraphInput
from designer.reading import graph_of_job
from designer.rewriting import batch_inference, realtime_inference
from designer.rewriting.paths import ROWS
from designer.rewriting.saved import asset_name, saved_ports, with_paths

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job

REUSED = "azureml.reusedrunid"  # the property of a step that was not run again: whose outputs it has
MADE_BY = "made_by"  # the tag of an asset: the job and output it was saved from


def create_realtime_inference_pipeline(
    ml_client: MLClient,
    job: Job | str,
    *,
    scorer: str | None = None,
    inputs: Sequence[str] = (),
    name: str | None = None,
    saved_as: str | None = None,
    library: Mapping[str, Declaration] | None = None,
) -> Graph:
    """Make the real-time inference pipeline of a training run, as *Create inference pipeline* in the studio does.

    Trained models become models ``MD-...`` of the workspace, transformations ``TD-...``, data ``DS-...``.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job that has completed, or its name.
        scorer: the node that scores, where there are several that do.
        inputs: the data sources whose place a request's rows take; by default the one that the scored rows come from.
        name: what the pipeline is called.
        saved_as: what the assets are named after: ``MD-<saved_as>-...``; the training pipeline where None.
        library: has the components that come in; the library of the Designer where None.

    Raises:
        GraphError: the job has not completed; or its graph cannot be rewritten.
    """
    training = graph_of_job(ml_client, job)
    inference = realtime_inference(training, scorer=scorer, inputs=inputs, name=name, library=library)
    return _saved(ml_client, job, training.renamed(saved_as or training.name), inference)


def create_batch_inference_pipeline(
    ml_client: MLClient,
    job: Job | str,
    *,
    scorer: str | None = None,
    inputs: Sequence[str] = (),
    name: str | None = None,
    saved_as: str | None = None,
    library: Mapping[str, Declaration] | None = None,
) -> Graph:
    """Make the batch inference pipeline of a training run.

    The arguments are those of ``create_realtime_inference_pipeline``.

    Raises:
        GraphError: the job has not completed; or its graph cannot be rewritten.
    """
    training = graph_of_job(ml_client, job)
    inference = batch_inference(training, scorer=scorer, inputs=inputs, name=name, library=library)
    return _saved(ml_client, job, training.renamed(saved_as or training.name), inference)


def _saved(ml_client: MLClient, job: Job | str, training: Graph, inference: Graph) -> Graph:
    """Save what an inference graph needs of a training run, and return the graph with it."""
    steps = _steps(ml_client, job)
    paths = {}
    for name, source in saved_ports(training, inference).items():
        step = str(training.nodes[source.node].settings.get("display_name", source.node))
        paths[name] = _save(ml_client, asset_name(training, source), steps[step], source.port, inference.inputs[name])
    return with_paths(inference, paths)


def _steps(ml_client: MLClient, job: Job | str) -> dict[str, str]:
    """Return the jobs that made the outputs of a pipeline's steps, by the names of the steps."""
    name = job if isinstance(job, str) else str(job.name)
    found = ml_client.jobs.get(name).status
    status = getattr(found, "value", found)  # the SDK has it as a member of an enumeration, or as text
    if status != "Completed":
        raise GraphError(
            Problem(
                f"The job {name} is {status}; an inference pipeline is made of one that has completed. Run it first."
            )
        )
    children = ml_client.jobs.list(parent_job_name=name)
    return {str(child.display_name): (child.properties or {}).get(REUSED) or str(child.name) for child in children}


def _save(ml_client: MLClient, name: str, job: str, port: str, saved: GraphInput) -> str:
    """Make an asset of an output of a job, unless it is one already, and return what a pipeline calls it."""
    from azure.ai.ml.entities import Data, Model

    is_data = saved.data_type in ROWS
    operations: Any = ml_client.data if is_data else ml_client.models
    made_by = f"{job}.{port}"
    found = next((one for one in _versions(operations, name) if (one.tags or {}).get(MADE_BY) == made_by), None)
    if found is None:
        kind, path = (
            (Data, _place(ml_client, job, port)) if is_data else (Model, f"azureml://jobs/{job}/outputs/{port}")
        )
        found = operations.create_or_update(kind(name=name, path=path, type=saved.type, tags={MADE_BY: made_by}))
    return f"azureml:{found.name}:{found.version}"


def _place(ml_client: MLClient, job: str, port: str) -> str:
    """Return where an output of a job lies that is data: unlike a model, data cannot be made of a job's output by name.

    But Azure keeps each output as data of its own: https://github.com/Azure/azure-sdk-for-python/issues/38205
    """
    return str(ml_client.data.get(f"azureml_{job}_output_data_{port}", version="1").path)


def _versions(operations: Any, name: str) -> list[Any]:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return list(operations.list(name=name))
    except ResourceNotFoundError:
        return []  # there is no asset of this name yet
