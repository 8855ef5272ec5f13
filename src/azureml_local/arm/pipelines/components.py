"""The components that the steps of pipelines are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.http.errors import FrontendError


def resolve(context: Context, workspace_id: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification of a node's component, and the component's id as its ``id``.

    Raises:
        AzureError: the node names no component, or none that there is.
    """
    named = node.get("componentId") or node.get("component")
    if not isinstance(named, str) or not named:
        raise FrontendError(400, "UserError", "componentId is missing; a step is made of a component.")
    try:
        component = assets.resolve(context, in_full(workspace_id, named), "components")
    except FrontendError as error:  # a 404, of what the request names: its own resource is another
        said = error.detail[1] if error.detail else error.message
        raise FrontendError(400, "UserError", f"componentId: {said}") from error
    return {**component.properties["componentSpec"], "id": assets.seen(component).id}


def in_full(workspace_id: str, named: str) -> str:
    """Return the id of a component that may be named in short, as ``azureml:name:version``."""
    short = ids.parse_short_asset(named)
    if short is None:
        return named
    by = f"versions/{short['version']}" if short["version"] else f"labels/{short['label']}"
    return f"{workspace_id}/components/{short['name']}/{by}"
