"""Where an asset's files lie: its URI, by way of its datastore, as a place in the installation's storage."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from azureml_local.arm import datastores, ids
from azureml_local.arm.context import Context
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import FrontendError


def locate(context: Context, workspace_id: str, uri: str) -> BlobPath:
    """Return the place of an ``azureml://`` URI or of a blob's URL.

    Raises:
        AzureError: its datastore does not exist, or it lies in storage that is not on this machine.
    """
    in_datastore = ids.parse_datastore_path(uri)
    if in_datastore:
        if in_datastore["workspace"]:  # it may be another one
            workspace_id = ids.WORKSPACE.format(**in_datastore.groupdict())
        datastore = datastores.get_in(context, workspace_id, in_datastore["datastore"])
        account, container = datastore.properties.get("accountName"), datastore.properties.get("containerName")
        path = in_datastore["path"]
    else:
        url = urlsplit(uri)
        account = (url.hostname or "").partition(".")[0]
        container, _, path = unquote(url.path).lstrip("/").partition("/")
    if account != context.settings.storage_account or not container:
        raise FrontendError(400, "UserError", f"{uri} is not in storage that azureml-local serves.")
    return BlobPath(container, path.strip("/"))
