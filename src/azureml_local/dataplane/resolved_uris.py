"""Where the files of assets lie, by the ids that run history gives.

``dataversion/batchGetResolvedUris`` and ``models/batchGetResolvedUris`` of the public OpenAPIs of the same services
(Microsoft.MachineLearningServices.DatasetDataplane, stable/1.5.0; ModelDataplane, stable/1.0.0).
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_specs
from azureml_local.dataplane.workspace_api import Service, WorkspaceRequest
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource


def routes(context: Context) -> list[Route]:
    """Return the routes."""
    data = Service(context, "/data/v1.0", "dataset")
    data.add("POST", "/dataversion/batchGetResolvedUris", "data/versions/read", _data)
    models = Service(context, "/modelregistry/v1.0", "model-registry")
    models.add("POST", "/models/batchGetResolvedUris", "models/versions/read", _models)
    return [*data.routes, *models.routes]


async def _data(request: WorkspaceRequest) -> Response:
    """Say where the files of versions of data are."""
    versions = _versions(request, "data")
    values = {
        asset_id: {"uri": version.properties["dataUri"], "type": version.properties["dataType"]}
        for asset_id, version in versions.items()
    }
    return JSONResponse({"values": values})


async def _models(request: WorkspaceRequest) -> Response:
    """Say where the files of versions of models are."""
    versions = _versions(request, "models")
    values = {
        asset_id: {"path": version.properties["modelUri"], "type": version.properties["modelType"]}
        for asset_id, version in versions.items()
    }
    return JSONResponse({"values": values})


def _versions(request: WorkspaceRequest, plural: str) -> dict[str, Resource]:
    """Return the versions of a kind that the body names, by their ids there."""
    asked = request.body.get("values")
    if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
        raise AzureError(400, "UserError", "values must be a list of the ids of assets.", target="values")
    return {
        asset_id: job_specs.resolve_internal(request.context, request.workspace.id, asset_id, plural)
        for asset_id in asked
    }
