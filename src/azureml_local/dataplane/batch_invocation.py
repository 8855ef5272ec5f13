"""The address of a batch endpoint: an invocation makes a job, which can be asked for here, too.

https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs. Who may:
https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from azureml_local.arm import ids
from azureml_local.arm.batch import batch_endpoints, batch_jobs
from azureml_local.arm.context import Context
from azureml_local.dataplane.scoring import ScoringRouter
from azureml_local.dataplane.workspace_api import guarded
from azureml_local.http.errors import AzureError, FrontendError, lacks_permission
from azureml_local.http.json_body import json_object
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal
from azureml_local.store import Resource

COMPONENT = "managementfrontend"
DEPLOYMENT = "azureml-model-deployment"
# azure-ai-ml writes the first, Azure's REST guidelines the second.
REQUEST_IDS = ("repeatability_request-id", "repeatability-request-id")
LONGEST_REQUEST_ID = 256
JOBS = f"{ids.PROVIDER}/workspaces/batchEndpoints/jobs"
WRITE = (f"{JOBS}/write", f"{ids.PROVIDER}/workspaces/batchEndpoints/deployments/jobs/write")
READ = (f"{JOBS}/read",)
# What Azure's gateway answers to a token for something else than https://ml.azure.com, as text:
# https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-batch-endpoints
WRONG_AUDIENCE = "Audiences in Jwt are not allowed"
API_VERSION = "2020-09-01-dataplanepreview"


class EndpointHosts:
    """Answers for ``<endpoint>.<region>.inference.ml.azure.com``, whichever kind the endpoint is of."""

    def __init__(self, context: Context, online: ScoringRouter) -> None:
        self._context = context
        self.online = online
        self.batch = BatchInvocation(context).app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = _host(scope)
        is_batch = not self.online.serves(name) and batch_endpoints.at_host(self._context, name) is not None
        await (self.batch if is_batch else self.online)(scope, receive, send)


class BatchInvocation:
    """Answers at the hosts of batch endpoints."""

    def __init__(self, context: Context) -> None:
        self._context = context
        handlers = (("POST", "/jobs", self._invoke), ("GET", "/jobs/{job}", self._get))
        self.app = Starlette(
            routes=[
                Route(path, guarded(handler, context, COMPONENT), methods=[method])
                for method, path, handler in handlers
            ],
            exception_handlers={404: _no_such_path, 405: _no_such_path},
        )
        self.app.router.redirect_slashes = False

    async def _invoke(self, request: Request) -> Response:
        """Make a job."""
        begun = time.perf_counter()
        endpoint = self._endpoint(request)
        principal = self._admit(request, endpoint, WRITE)
        request_id = _request_id(request)
        # Microsoft's own example has them: azureml-examples, cli/batch-score-rest.sh.
        body = await json_object(request, allows_trailing_commas=True)
        endpoint = self._endpoint(request)  # it may have been deleted while the body was on its way
        deployment = request.headers.get(DEPLOYMENT)
        try:
            record = batch_jobs.invoke(self._context, endpoint, deployment, body, principal, request_id)
        except AzureError as error:
            if request_id:
                error.headers["Repeatability-Result"] = "rejected"
            raise
        headers = {"Repeatability-Result": "accepted"} if request_id else {}
        return self._answer(request, record, 201, begun, headers)

    async def _get(self, request: Request) -> Response:
        """Return a job."""
        begun = time.perf_counter()
        endpoint = self._endpoint(request)
        self._admit(request, endpoint, READ)
        name = request.path_params["job"]
        record = batch_jobs.find(self._context, endpoint, name)
        if record is None:
            raise FrontendError(404, "UserError", f"Job {name} was not found in batch endpoint {endpoint.name}.")
        return self._answer(request, record, 200, begun, {})

    def _endpoint(self, request: Request) -> Resource:
        endpoint = batch_endpoints.at_host(self._context, _host(request.scope))
        if endpoint is None or endpoint.properties["provisioningState"] == "Deleting":
            raise FrontendError(404, "UserError", f"There is no endpoint at {request.url.hostname}.")
        return endpoint

    def _admit(self, request: Request, endpoint: Resource, actions: Iterable[str]) -> Principal:
        """Return the caller, who must be allowed all of some actions at the endpoint."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        challenge = {"WWW-Authenticate": "Bearer"}
        if scheme.lower() != "bearer" or not token.strip():
            message = (
                "Authentication failed. A batch endpoint takes 'Authorization: Bearer' with a Microsoft Entra token."
            )
            raise AzureError(401, "UserError", message, headers=challenge)
        try:
            principal = self._context.tokens.verify(token.strip(), audiences.MACHINE_LEARNING)
        except InvalidTokenError as error:
            if error.code == "InvalidAuthenticationTokenAudience":
                raise HTTPException(403, WRONG_AUDIENCE) from error
            raise AzureError(401, "UserError", str(error), headers=challenge) from error
        for action in actions:
            if not self._context.authorizer.permits(principal, action, endpoint.id):
                raise AzureError(403, "UserError", lacks_permission(principal.object_id, action, endpoint.id))
        return principal

    def _answer(
        self, request: Request, record: Resource, status: int, begun: float, headers: dict[str, str]
    ) -> Response:
        """Return a job, with the headers that Azure sends; ``begun`` is when the request came, by the counter."""
        job = batch_jobs.to_json(self._context, record)
        workspace_id, _, path = job["id"].partition("/batchEndpoints/")
        region = (request.url.hostname or "").split(".")[1]
        location = f"https://{region}.api.azureml.ms/mferp/managementfrontend{workspace_id}/batchEndpoints/{path}"
        return JSONResponse(
            job,
            status,
            headers={
                DEPLOYMENT: record.body["deployment"],
                "Location": f"{location}?api-version={API_VERSION}",
                "x-ms-response-type": "standard",
                "X-Request-ID": str(uuid.uuid4()),
                "x-request-time": f"{time.perf_counter() - begun:.3f}",
                **headers,
            },
        )


def _host(scope: Scope) -> str:
    """Return the host that a request is for, without its port."""
    value: bytes = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return value.decode("latin-1").partition(":")[0].lower()


def _request_id(request: Request) -> str | None:
    """Return the id of a repeatable request; None of any other. Raises 400 where it is too long."""
    given = next((request.headers[name] for name in REQUEST_IDS if request.headers.get(name)), None)
    if given and len(given) > LONGEST_REQUEST_ID:
        raise FrontendError(
            400, "UserError", f"The Repeatability-Request-ID has {len(given)} characters; it must have at most 256."
        )
    return given


async def _no_such_path(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    message = f"A batch endpoint does not serve {request.method} {request.url.path}; its jobs are at /jobs."
    return JSONResponse({"error": {"code": "UserError", "message": message}}, status)
