"""The lists of the jobs that invocations of batch endpoints have made, at the workspace API's host.

The routes are those that azure-ai-ml asks (operations/_batch_endpoint_operations.py and the like of deployments) of the
API 2020-09-01-dataplanepreview.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm.batch import batch_jobs
from azureml_local.arm.context import Context
from azureml_local.arm.listing import NEWEST_FIRST, PAGE_SIZE
from azureml_local.dataplane.workspace_api import Service, WorkspaceRequest
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Condition, Resource

READ = "batchEndpoints/jobs/read"
SKIP = "$skip"


def routes(context: Context) -> list[Route]:
    """Return the routes."""
    service = Service(context, "/mferp/managementfrontend", "managementfrontend")
    endpoint = "/batchEndpoints/{endpoint}"
    for path, handler in (
        ("/jobs", _of_endpoint),
        ("/deployments/{deployment}/jobs", _of_deployment),
        ("/deployments/{deployment}/jobs/{job}", _job),
    ):
        service.add("GET", endpoint + path, READ, handler, scope=endpoint)
    return service.routes


async def _of_endpoint(request: WorkspaceRequest) -> Response:
    """List an endpoint's jobs."""
    return _page(request, _endpoint(request), [])


async def _of_deployment(request: WorkspaceRequest) -> Response:
    """List a deployment's jobs."""
    endpoint = _endpoint(request)
    return _page(request, endpoint, [batch_jobs.of_deployment(_deployment(request, endpoint).name)])


async def _job(request: WorkspaceRequest) -> Response:
    """Return a job."""
    record = batch_jobs.find(request.context, _endpoint(request), request.params["job"])
    if record is None or record.body["deployment"].lower() != request.params["deployment"].lower():
        raise _not_found(f"Job {request.params['job']}")
    return JSONResponse(batch_jobs.to_json(request.context, record))


def _endpoint(request: WorkspaceRequest) -> Resource:
    name = request.params["endpoint"]
    endpoint = request.context.store.get(f"{request.workspace.id}/batchEndpoints/{name}")
    if endpoint is None:
        raise _not_found(f"Batch endpoint {name}")
    return endpoint


def _deployment(request: WorkspaceRequest, endpoint: Resource) -> Resource:
    name = request.params["deployment"]
    deployment = request.context.store.get(f"{endpoint.id}/deployments/{name}")
    if deployment is None:
        raise _not_found(f"Deployment {name} of batch endpoint {endpoint.name}")
    return deployment


def _page(request: WorkspaceRequest, endpoint: Resource, conditions: Sequence[Condition]) -> Response:
    """Return one page of an endpoint's jobs, the newest first, with ``nextLink`` where more follow."""
    after = _after(request)
    found = request.context.store.select(
        batch_jobs.TYPE, endpoint.id, conditions, NEWEST_FIRST, after, limit=PAGE_SIZE + 1
    )
    shown = found[:PAGE_SIZE]
    link = None
    if len(found) > PAGE_SIZE:
        link = str(request.url.replace(scheme="https").include_query_params(**{SKIP: shown[-1].sequence}))
    return JSONResponse({"value": [batch_jobs.to_json(request.context, one) for one in shown], "nextLink": link})


def _after(request: WorkspaceRequest) -> tuple[int, int] | None:
    """Return which job a page comes after. Raises 400 where that is nothing that a nextLink has said."""
    text = dict(parse_qsl(request.url.query)).get(SKIP)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(2**63))):
        raise AzureError(400, "UserError", f"{SKIP} is '{text[:60]}'; it must be that of a nextLink.", target=SKIP)
    return int(text), int(text)


def _not_found(what: str) -> FrontendError:
    return FrontendError(404, "UserError", f"{what} was not found.", inner=("NotFoundError",))
