"""MLflow's API below a workspace's tracking URI: experiments and runs by MLflow's own server, the rest by ours.

Who may do what is Azure's own table:
https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles#mlflow-operations
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azureml_local.arm import ids, workspaces
from azureml_local.arm.context import Context
from azureml_local.dataplane import mlflow_artifacts, mlflow_models
from azureml_local.dataplane.mlflow_request import MlflowError, TrackingRequest, TrackingRoutes, texts
from azureml_local.engines.blobs import BlobError
from azureml_local.engines.mlflow_server import MlflowServerError
from azureml_local.http.errors import NO_SPACE, AzureError, is_out_of_space, lacks_permission
from azureml_local.http.upstream import UpstreamError
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

PATH = re.compile(
    rf"/mlflow/v[12]\.0/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)"
    rf"/providers/{re.escape(ids.PROVIDER)}/workspaces/(?P<workspace>[^/]+)(?P<api>/api/.+)",
    re.IGNORECASE,
)
AUDIENCES = (*audiences.ARM, *audiences.MACHINE_LEARNING)
PASSED_ON = frozenset((b"content-type", b"accept", b"user-agent"))
READ_EXPERIMENTS = "experiments/read"
WRITE_EXPERIMENTS = "experiments/write"
DELETE_EXPERIMENTS = "experiments/delete"
READ_RUNS = "experiments/runs/read"
WRITE_RUNS = "experiments/runs/write"
# What MLflow's own server answers, and the action of Azure's that it takes.
FORWARDED = (
    ("GET", "experiments/get", READ_EXPERIMENTS),
    ("GET", "experiments/get-by-name", READ_EXPERIMENTS),
    ("GET", "experiments/search", READ_EXPERIMENTS),
    ("POST", "experiments/search", READ_EXPERIMENTS),
    ("POST", "experiments/create", WRITE_EXPERIMENTS),
    ("POST", "experiments/update", WRITE_EXPERIMENTS),
    ("POST", "experiments/restore", WRITE_EXPERIMENTS),
    ("POST", "experiments/set-experiment-tag", WRITE_EXPERIMENTS),
    ("POST", "experiments/delete-experiment-tag", WRITE_EXPERIMENTS),
    ("POST", "experiments/delete", DELETE_EXPERIMENTS),
    ("GET", "runs/get", READ_RUNS),
    ("GET", "metrics/get-history", READ_RUNS),
    ("GET", "metrics/get-history-bulk-interval", READ_RUNS),
    ("POST", "runs/create", WRITE_RUNS),
    ("POST", "runs/update", WRITE_RUNS),
    ("POST", "runs/delete", WRITE_RUNS),
    ("POST", "runs/restore", WRITE_RUNS),
    ("POST", "runs/log-metric", WRITE_RUNS),
    ("POST", "runs/log-parameter", WRITE_RUNS),
    ("POST", "runs/log-batch", WRITE_RUNS),
    ("POST", "runs/log-model", WRITE_RUNS),
    ("POST", "runs/log-inputs", WRITE_RUNS),
    ("POST", "runs/outputs", WRITE_RUNS),
    ("POST", "runs/set-tag", WRITE_RUNS),
    ("POST", "runs/delete-tag", WRITE_RUNS),
    # MLflow 3's; a model that is logged belongs to a run, and is none of the registry.
    ("POST", "logged-models", WRITE_RUNS),
    ("POST", "logged-models/search", READ_RUNS),
    ("GET", "logged-models/{model}", READ_RUNS),
    ("PATCH", "logged-models/{model}", WRITE_RUNS),
    ("DELETE", "logged-models/{model}", WRITE_RUNS),
    ("PATCH", "logged-models/{model}/tags", WRITE_RUNS),
    ("DELETE", "logged-models/{model}/tags/{tag}", WRITE_RUNS),
    ("POST", "logged-models/{model}/params", WRITE_RUNS),
)
# "Using order_by with expressions containing metrics.*, params.*, or tags.* … isn't currently supported":
# https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow#order-runs
UNORDERED = re.compile(r"\s*[`\"]?(metric|metrics|param|params|parameter|parameters|tag|tags)\.", re.IGNORECASE)

routes = TrackingRoutes("/2.0/mlflow/")


async def _forward(request: TrackingRequest) -> Response:
    """Answer as MLflow's own server does."""
    return await _answer(request, await request.body())


for _method, _path, _action in FORWARDED:
    routes.operation(_method, routes.prefix + _path, _action)(_forward)


@routes.operation("POST", routes.prefix + "runs/search", READ_RUNS)
async def search_runs(request: TrackingRequest) -> Response:
    """Search runs; what Azure ML cannot order by is refused."""
    sent = await request.fields()
    for column in texts(sent, "order_by"):
        if UNORDERED.match(column):
            raise MlflowError(
                400,
                f"order_by '{column}': Azure Machine Learning orders runs by attributes only. Sort the table that "
                "search_runs() returns.",
            )
    return await _answer(request, json.dumps(sent).encode())


async def _answer(request: TrackingRequest, body: bytes) -> Response:
    """Return what MLflow's own server answers; on a full disk that is for it a database that is locked for a while."""
    headers = [pair for pair in request.http.headers.raw if pair[0] in PASSED_ON]
    status, content = await request.ask(request.http.method, request.target, headers, body)
    if status == 503 and request.context.mlflow.is_out_of_space():
        raise MlflowError(507, NO_SPACE)  # which the client, unlike 503, does not repeat for minutes
    return Response(content, status, media_type="application/json")


def _all_routes() -> TrackingRoutes:
    table = TrackingRoutes()
    for module_routes in (routes, mlflow_artifacts.routes, mlflow_models.routes):
        table.include(module_routes)
    return table


class TrackingApi:
    """Answers for ``<region>.api.azureml.ms/mlflow``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.routes = _all_routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an unforeseen failure is logged, and answered 500 without its details."""
        request = Request(scope, receive)
        try:
            response = await self._handle(request)
        except MlflowError as error:
            response = error.response()
        except AzureError as error:
            response = MlflowError.of(error).response()
        except (MlflowServerError, UpstreamError, BlobError) as error:
            is_full = self._context.mlflow.is_out_of_space()
            response = (MlflowError(507, NO_SPACE) if is_full else MlflowError(503, str(error))).response()
        except ClientDisconnect:  # nobody is there to be answered
            return
        except Exception as error:
            response = _failure(error, request).response()
        await response(scope, receive, send)

    async def _handle(self, request: Request) -> Response:
        """Authenticate, find the operation, authorize, require the workspace, handle."""
        path = request.scope["raw_path"].decode("ascii")
        found = PATH.fullmatch(path)
        names = {name: unquote(value) for name, value in found.groupdict().items() if name != "api"} if found else {}
        workspace = self._find(names)
        principal = self._authenticate(request, workspace)
        match = self.routes.match(request.method, mlflow_artifacts.as_one_segment(found["api"][4:])) if found else None
        if found is None or match is None or match.handler is None:
            raise MlflowError(501, f"azureml-local lacks {request.method} {path} of MLflow's API.")
        parts = [*names.values(), *(value for name, value in match.params.items() if name != "place")]
        if any("/" in part for part in parts):
            raise MlflowError(400, "A name in the path must not hold '/', encoded or not.")
        workspace_id = ids.WORKSPACE.format(**names)
        if not self._context.authorizer.permits(principal, match.handler.action, workspace_id):
            raise MlflowError(403, lacks_permission(principal.object_id, match.handler.action, workspace_id))
        if workspace is None:
            raise MlflowError(404, f"The workspace '{names['workspace']}' was not found.")
        target = found["api"] + (f"?{request.url.query}" if request.url.query else "")
        return await match.handler.handle(
            TrackingRequest(self._context, workspace, principal, match.params, target, request)
        )

    def _find(self, names: Mapping[str, str]) -> Resource | None:
        """Return the workspace that a path names; None where it names none of this subscription."""
        if names.get("subscription", "").lower() != self._context.settings.subscription_id:
            return None
        workspace = self._context.store.get(ids.WORKSPACE.format(**names))
        return workspace if workspace and workspace.type == workspaces.TYPE else None

    def _authenticate(self, request: Request, workspace: Resource | None) -> Principal:
        """Return who calls. Raises 401 where the token proves nothing, or is that of another workspace's jobs."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise MlflowError(
                401, "The 'Authorization' header is missing; MLflow's clients send MLFLOW_TRACKING_TOKEN in it."
            )
        of_jobs = (audiences.of_jobs(workspace.properties["workspaceId"]),) if workspace else ()
        try:
            return self._context.tokens.verify(token.strip(), (*AUDIENCES, *of_jobs))
        except InvalidTokenError as error:
            raise MlflowError(401, str(error)) from error


def _failure(error: Exception, request: Request) -> MlflowError:
    """Return what the caller is told of an unforeseen failure."""
    if is_out_of_space(error):
        return MlflowError(507, NO_SPACE)
    request_id = str(uuid.uuid4())
    logger.exception("%s %s failed (request %s)", request.method, request.url.path, request_id)
    return MlflowError(500, f"azureml-local failed on this request; its log has the details under {request_id}.")
