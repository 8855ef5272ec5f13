"""Where files lie: the URI of an asset, an input or an output, as a place in the installation's storage."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_places
from azureml_local.arm.storage import datastores
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import FrontendError


def locate(context: Context, workspace_id: str, uri: str) -> BlobPath:
    """Return the place of an ``azureml://`` URI or of a blob's URL.

    Raises:
        AzureError: its datastore or its job does not exist, it lies in storage that is not on this machine, or its path
            leads out of where it begins.
    """
    in_datastore = ids.parse_datastore_path(of_job(context, workspace_id, uri))
    if in_datastore:
        if in_datastore["workspace"]:  # it may be another one
            workspace_id = ids.WORKSPACE.format(**in_datastore.groupdict())
        datastore = datastores.get_in(context, workspace_id, in_datastore["datastore"])
        account, container = datastore.properties.get("accountName"), datastore.properties.get("containerName")
        path = in_datastore["path"]
    else:
        account, container, path = _of_url(uri)
    if account != context.settings.storage_account or not container:
        raise FrontendError(
            400,
            "UserError",
            f"{uri} is not in storage that azureml-local serves: it reaches no other accounts of Azure. Download the "
            "files, then name their folder, a data asset made of it, or azureml://datastores/<datastore>/paths/<path>.",
        )
    if ".." in path.split("/"):
        raise FrontendError(400, "UserError", f"{uri} has '..' in its path: say where it leads to without.")
    return BlobPath(container, path.strip("/"))


def _of_url(uri: str) -> tuple[str, str, str]:
    """Return the account, the container and the path of a blob's URL; empty ones where it is none."""
    try:
        url = urlsplit(uri)
    except ValueError:  # such as https://[
        return "", "", ""
    container, _, path = unquote(url.path).lstrip("/").partition("/")
    return (url.hostname or "").partition(".")[0], container, path


def of_job(context: Context, workspace_id: str, uri: str) -> str:
    """Return the datastore's URI of what a job wrote; any other URI as it is.

    https://learn.microsoft.com/azure/machine-learning/how-to-manage-models has the forms:
    ``azureml://jobs/<job>/outputs/<output>/paths/<path>``, where the output ``artifacts`` stands for what the job wrote
    to ``./outputs``, and MLflow's ``runs:/<run>/<path>``.

    Raises:
        FrontendError: there is no such job, or no such output.
    """
    found = ids.parse_job_path(uri)
    if found is None:
        return uri
    name, output = found["job"] or found["run"], found["output"] or job_places.ARTIFACTS
    job = context.store.get(f"{workspace_id}/jobs/{name}")
    if job is None:
        raise job_not_found(name)
    base = job_places.output_uri(job, output)
    if base is None:
        raise FrontendError(404, "UserError", f"Job {name} has no output {output}.", inner=("NotFoundError",))
    return in_full(workspace_id, f"{base.rstrip('/')}/{found['path'] or ''}")


def in_full(workspace_id: str, uri: str) -> str:
    """Return a datastore's URI with its workspace in it, as Azure gives it out."""
    _, _, subscription, _, group, _, _, _, workspace = workspace_id.split("/")
    return uri.replace(
        "azureml://datastores/",
        f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}/datastores/",
        1,
    )


def job_not_found(name: str) -> FrontendError:
    """Return Azure's 404 of a job."""
    detail = ("JobNotFound", f"Job {name} not found.")
    return FrontendError(404, "UserError", "The specified resource was not found.", detail=detail)
