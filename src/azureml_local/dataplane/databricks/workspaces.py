"""The hosts of Databricks workspaces: a request is authenticated, matched to an API, and handled.

Signing in: https://learn.microsoft.com/azure/databricks/dev-tools/auth/, by a personal access token of the workspace,
or by a token of Entra's for Azure Databricks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from azureml_local.arm import databricks
from azureml_local.arm.context import Context
from azureml_local.dataplane.databricks import (
    clusters,
    current_user,
    dbfs,
    jobs,
    libraries,
    runs,
    tokens,
    workspace_files,
)
from azureml_local.dataplane.databricks.call import ApiRoutes, Call, Fields
from azureml_local.dataplane.databricks.cluster_life import Clusters
from azureml_local.dataplane.databricks.dbfs import Upload
from azureml_local.dataplane.databricks.errors import DatabricksError, not_a_user, not_signed_in, wrong_token
from azureml_local.dataplane.databricks.run_life import Runs
from azureml_local.engines.spark.driver import Drivers
from azureml_local.engines.spark.file_tree import FileTree
from azureml_local.http.errors import AzureError, is_out_of_space
from azureml_local.http.json_body import json_object
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

# What an identity must be allowed to do to a workspace, to be its administrator without having been invited:
# https://learn.microsoft.com/azure/databricks/dev-tools/service-prin-aad-token ("Owner or Contributor").
ADMINISTER = f"{databricks.TYPE}/write"
VERSIONS = ("2.0", "2.1", "2.2")  # of the APIs that have changed
MODULES = (tokens, current_user, workspace_files, dbfs, clusters, libraries, jobs, runs)


class Workspaces:
    """Answers for every Databricks workspace, and keeps what is in them.

    Args:
        context: the control plane's.
        home: where their files lie.
        drivers: start Spark.
    """

    def __init__(self, context: Context, home: Path, drivers: Drivers) -> None:
        self.store = context.store
        self._context = context
        self._home = home
        self.clusters = Clusters(context.store, context.timers, drivers, self.folder_of)
        self.runs = Runs(context.store, self.clusters, drivers, self.folder_of)
        self.handles: dict[int, Upload] = {}  # files in DBFS that are being written
        self._background: set[asyncio.Task[None]] = set()
        self.routes = ApiRoutes()
        for module in MODULES:
            self.routes.include(module.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an unforeseen failure is logged, and answered 500 without its details."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except AzureError as error:
            response = error.response()
        except ClientDisconnect:
            return
        except Exception as error:
            logger.exception("%s %s failed", request.method, request.url.path)
            response = _failure(error).response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0]
        workspace = databricks.at_host(self.store, host)
        if workspace is None:
            message = f"There is no Databricks workspace at {host}. On Azure, such a host is not found."
            raise DatabricksError(404, "ENDPOINT_NOT_FOUND", message)
        public = self._public(request, workspace)
        if public:
            return public
        principal = self._authenticate(request, workspace)
        match = self.routes.match(request.method, request.scope["raw_path"].decode("ascii"))
        if match is None or match.handler is None or match.params.get("version", VERSIONS[0]) not in VERSIONS:
            what = f"{request.method} {request.url.path}"
            raise DatabricksError(501, "NOT_IMPLEMENTED", f"azureml-local lacks the operation {what} of Databricks.")
        sent = Fields(await _sent(request))
        return await match.handler(Call(self, request, workspace, principal, match.params, sent))

    def _public(self, request: Request, workspace: Resource) -> Response | None:
        """Return what anybody may know: where clients sign in."""
        if request.method != "GET":
            return None
        host = workspace.properties["workspaceUrl"]
        if request.url.path == "/.well-known/databricks-config":
            number = workspace.properties["workspaceId"]
            return JSONResponse({"oidc_endpoint": f"https://{host}/oidc", "workspace_id": number, "cloud": "AZURE"})
        if request.url.path == "/aad/auth":
            tenant = self._context.settings.tenant_id
            return RedirectResponse(f"https://login.microsoftonline.com/{tenant}/oauth2/authorize", 302)
        return None

    def _authenticate(self, request: Request, workspace: Resource) -> Principal:
        """Return who is calling. Raises 401 without a token, 403 with a wrong one, or of one who may not."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise not_signed_in()
        if token.count(".") != 2:  # no JSON Web Token
            owner = tokens.owner_of(self.store, workspace, token)
            if owner is None or self._context.directory.find(owner.client_id) is None:
                raise wrong_token()
            return owner
        try:
            principal = self._context.tokens.verify(token, audiences.DATABRICKS)
        except InvalidTokenError as error:
            raise DatabricksError(401, "401", str(error)) from error
        if not self._context.authorizer.permits(principal, ADMINISTER, workspace.id):
            raise not_a_user(principal.client_id)
        return principal

    # --- what is in a workspace ---

    def folder_of(self, workspace_id: str) -> Path:
        """Return the folder of a workspace."""
        workspace = self.store.get(workspace_id)
        assert workspace is not None  # noqa: S101 - what lies in it is asked for
        return self._home / str(workspace.properties["workspaceId"])

    def files(self, workspace: Resource) -> FileTree:
        """Return a workspace's notebooks and files."""
        return FileTree(self.folder_of(workspace.id) / "workspace")

    def dbfs(self, workspace: Resource) -> FileTree:
        """Return a workspace's DBFS."""
        return FileTree(self.folder_of(workspace.id) / "dbfs")

    # --- life ---

    def resume(self) -> None:
        """Go on with what a service that ended has left."""
        self.runs.resume()
        self.clusters.resume()

    async def close(self) -> None:
        """End what runs."""
        await self.runs.close()
        await self.clusters.close()
        for task in list(self._background):
            task.cancel()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def delete_workspace(self, workspace: Resource) -> None:
        """Delete a workspace with all that is in it."""
        folder = self.folder_of(workspace.id)  # as the first: another request may delete it meanwhile
        await self.runs.end_all(workspace.id)
        await self.clusters.forget(workspace.id)
        self.store.delete(workspace.id)
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, folder)


async def _sent(request: Request) -> Mapping[str, Any]:
    """Return what a request says: in its query, or in a body of JSON."""
    if request.method == "GET" or request.headers.get("content-type", "").startswith("multipart/"):
        return dict(request.query_params)
    try:
        return await json_object(request)
    except AzureError as error:
        raise DatabricksError(error.status, "MALFORMED_REQUEST", error.message) from error


def _failure(error: Exception) -> DatabricksError:
    """Return what the caller is told of an unforeseen failure."""
    if is_out_of_space(error):
        return DatabricksError(507, "INSUFFICIENT_STORAGE", "The disk of azureml-local is full: make room on it.")
    return DatabricksError(500, "INTERNAL_ERROR", "azureml-local failed on this request; its log has the details.")
