"""Uploads: containers of the installation's storage, one for the files of one asset, and signatures for them.

A container's name begins as the id of the workspace or registry that it is of, so that its files are nobody else's.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote, urlsplit

from azureml_local.arm.context import Context
from azureml_local.http.errors import FrontendError
from azureml_local.store import Resource

UPLOAD_HOURS = 8


def owner_mark(owner: Resource) -> str:
    """Return what the names of the containers of a workspace or a registry begin with."""
    guid: str = owner.properties.get("workspaceId") or owner.body["identity"]["principalId"]
    return f"{guid[:8]}-"


async def begin(context: Context, owner: Resource) -> dict[str, Any]:
    """Make a container for an upload, and return Azure's reference to it with a signature to write and to read.

    Args:
        context: the service's.
        owner: the workspace or registry whose asset is uploaded.
    """
    container = owner_mark(owner) + str(uuid.uuid4())
    await context.blobs.create_container(container)
    return reference(context, f"https://{context.blobs.host}/{container}", container, "rcwl")


def reference(context: Context, uri: str, container: str, permissions: str) -> dict[str, Any]:
    """Return Azure's reference to blobs, with a signature for their container.

    Args:
        context: the service's.
        uri: of the blobs.
        container: in which they lie.
        permissions: of the signature, e.g. ``rl`` to read and list.
    """
    signature = context.blobs.container_sas(container, UPLOAD_HOURS, permissions)
    sas_uri = f"https://{context.blobs.host}/{container}?{signature}"
    return {
        "blobUri": uri,
        "storageAccountArmId": context.accounts.own.id,
        "credential": {"credentialType": "SAS", "sasUri": sas_uri},
    }


def container_of(context: Context, uri: str) -> str | None:
    """Return the container of a blob in the installation's storage; None for what lies elsewhere."""
    try:
        url = urlsplit(uri)
    except ValueError:  # such as https://[
        return None
    return url.path.split("/")[1] if url.hostname == context.blobs.host and url.path.strip("/") else None


def is_within(context: Context, owner: Resource | None, uri: str) -> bool:
    """Say whether blobs lie in a container of a workspace or a registry."""
    container = container_of(context, uri)
    return owner is not None and container is not None and container.startswith(owner_mark(owner))


def require_within(context: Context, owner: Resource | None, member: str, uri: str) -> None:
    """Raise 400 where an asset of a registry would be made of files that do not lie in the registry's storage.

    Args:
        context: the service's.
        owner: the registry.
        member: of the asset's ``properties`` that says where its files lie.
        uri: what it says.
    """
    if not is_within(context, owner, uri) or ".." in unquote(uri).split("/"):
        message = f"properties.{member} is '{uri}'; the files of a registry's asset must be uploaded to its storage, "
        raise FrontendError(400, "UserError", message + "or shared from a workspace.", target=member)
