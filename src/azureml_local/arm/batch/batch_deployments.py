"""Deployments of a batch endpoint: what a job that is made of an invocation runs.

A model deployment runs a script, or an MLflow model by itself, over files in mini-batches; a pipeline component
deployment runs the component's graph.
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.assets import assets
from azureml_local.arm.batch import batch_endpoints, deployment_requests
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_endpoint_name
from azureml_local.arm.online import no_code_deployments
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage.storage_locations import locate
from azureml_local.engines.serving import ServingError
from azureml_local.http.errors import AzureError, endpoint_not_found, invalid_inference_request
from azureml_local.store import Resource

DEPLOYMENTS = batch_endpoints.ENDPOINT + "/deployments"
DEPLOYMENT = DEPLOYMENTS + "/{deployment}"
TYPE = batch_endpoints.DEPLOYMENT_TYPE
PREFIX = "bd"

routes = ArmRoutes()


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def put(begun: Resource) -> None:
        """Make what an MLflow model needs; there is nothing to be brought up: a job brings up what it needs."""
        if component_id(begun) or begun.properties["environmentId"]:
            return
        try:
            environment_id = await _mlflow_environment(context, begun)
        except ServingError as error:
            raise AzureError(400, error.code, str(error)) from error
        deployment = context.store.get(begun.id) or begun  # a PATCH may have changed it since
        context.store.save(deployment.with_properties(environmentId=environment_id))

    async def delete(deployment: Resource) -> None:
        context.store.delete(deployment.id)

    context.operations.register("batchDeployments/put", put)
    context.operations.register("batchDeployments/delete", delete)


def component_id(deployment: Resource) -> str | None:
    """Return the id of the component that a pipeline component deployment runs; None of a model deployment."""
    configuration = deployment.properties.get("deploymentConfiguration")
    return configuration["componentId"]["assetId"] if configuration else None


@routes.route("GET", DEPLOYMENTS)
async def list_deployments(request: ArmRequest) -> Response:
    """List an endpoint's deployments."""
    return listing.ordered_page(request, TYPE, batch_endpoints.require(request).id)


@routes.route("GET", DEPLOYMENT)
async def get(request: ArmRequest) -> Response:
    """Return a deployment."""
    return JSONResponse(_require(request).to_json())


@routes.route("PUT", DEPLOYMENT)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create a deployment, or to replace it: jobs under way go on as they began."""
    request.read("BatchDeployment")
    context, name = request.context, request.params["deployment"]
    endpoint = batch_endpoints.require(request)
    require_endpoint_name(name, "Deployment")
    context.operations.require_idle(endpoint.id)
    if endpoint.properties["provisioningState"] != "Succeeded":
        raise invalid_inference_request(
            "This endpoint has not been created successfully or is in deleting provisioning state. Please recreate "
            "endpoint and then try again to create deployment."
        )
    deployment_id = DEPLOYMENT.format(**request.params)
    context.operations.require_idle(deployment_id)
    body = {
        "tags": request.body.get("tags") or {},
        "location": request.body["location"],
        "properties": deployment_requests.properties(request),
    }
    with context.store.transaction():
        deployment = request.put(deployment_id, TYPE, endpoint.id, body)
        return request.begun(201, "batchDeployments/put", deployment, PREFIX)


@routes.route("PATCH", DEPLOYMENT)
async def update(request: ArmRequest) -> Response:
    """Change a deployment's description or tags."""
    request.read("PartialBatchDeploymentPartialMinimalTrackedResourceWithProperties")
    deployment = _require(request)
    request.context.operations.require_idle(deployment.id)
    body = dict(deployment.body)
    if request.body.get("tags") is not None:
        body["tags"] = request.body["tags"]
    description = (request.body.get("properties") or {}).get("description")
    if description is not None:
        body["properties"] = {**body["properties"], "description": description}
    endpoint_id = deployment.id.rpartition("/deployments/")[0]
    return JSONResponse(request.put(deployment.id, TYPE, endpoint_id, body).to_json())


@routes.route("DELETE", DEPLOYMENT)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete a deployment that is not the endpoint's default one; 204 where there is none.

    The default deployment has all of the endpoint's traffic (``BatchEndpointDefaults`` of the OpenAPI), and what has
    traffic is not deleted.
    """
    endpoint = batch_endpoints.require(request)
    deployment = request.context.store.get(DEPLOYMENT.format(**request.params))
    if deployment is None:
        return Response(status_code=204)
    request.context.operations.require_idle(deployment.id)
    if endpoint.properties["defaults"]["deploymentName"] == deployment.name:
        raise invalid_inference_request(
            f"Deployment '{deployment.name}' is the default deployment of endpoint '{endpoint.name}'. Set "
            "defaults.deployment_name to another deployment before you delete this one, or delete the endpoint."
        )
    deleting = deployment.with_properties(provisioningState="Deleting")
    return request.begun(202, "batchDeployments/delete", deleting, PREFIX, lambda _: None, at_results=True)


async def _mlflow_environment(context: Context, deployment: Resource) -> str:
    """Return the id of the environment that Azure ML makes of an MLflow model's own files."""
    workspace_id = ids.workspace_of(deployment.id)
    model = assets.resolve(context, deployment.properties["model"]["assetId"], "models")
    files = locate(context, workspace_id, model.properties["modelUri"])
    environment = await no_code_deployments.make_environment(context, workspace_id, files, deployment.modified_by)
    return environment.id


def _require(request: ArmRequest) -> Resource:
    batch_endpoints.require(request)
    deployment = request.context.store.get(DEPLOYMENT.format(**request.params))
    if deployment is None:
        raise endpoint_not_found()
    return deployment
