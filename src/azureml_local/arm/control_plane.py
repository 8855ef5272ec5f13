"""The control plane as one ASGI application: a request passes the steps in :meth:`ControlPlane.answer`, in order."""

from __future__ import annotations

import logging
import re
import uuid
from urllib.parse import parse_qsl, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azureml_local.arm import (
    actions,
    databricks,
    ids,
    operation_routes,
    providers,
    resource_groups,
    subscriptions,
    workspaces,
)
from azureml_local.arm.access import key_vaults, managed_identities, permissions, role_assignments
from azureml_local.arm.assets import assets, codes
from azureml_local.arm.autoscale import autoscale_settings
from azureml_local.arm.batch import batch_deployments, batch_endpoints
from azureml_local.arm.compute import (
    compute_clusters,
    compute_instances,
    computes,
    databricks_workspaces,  # noqa: F401 - these kinds of computes register themselves
    quotas,
    synapse_spark_pools,  # noqa: F401
    vm_sizes,
)
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import jobs
from azureml_local.arm.metrics import metrics
from azureml_local.arm.monitor import diagnostic_settings, log_analytics
from azureml_local.arm.online import online_deployments, online_endpoint_credentials, online_endpoints
from azureml_local.arm.registries import registries
from azureml_local.arm.request import (
    ArmRequest,
    ArmRoutes,
    Handler,
    missing_parent,
    missing_registry,
    missing_workspace,
)
from azureml_local.arm.schedules import schedules
from azureml_local.arm.storage import container_registries, datastores, storage_accounts
from azureml_local.http.errors import AzureError, authorization_failed, insufficient_storage, is_out_of_space
from azureml_local.http.json_body import json_object
from azureml_local.http.routing import Match
from azureml_local.http.upstream import UpstreamError
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal

logger = logging.getLogger(__name__)

# A day, and perhaps that it is a preview. Which day makes no difference here, but it comes back in addresses.
API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.ASCII | re.IGNORECASE)

# Kinds of resources that Azure ML has and azureml-local lacks: these are answered 501, a name that Azure does not
# know either 404. From the operations of Microsoft.MachineLearningServices, API 2025-12-01.
LACKING = frozenset(
    (
        "capabilityhosts",
        "connections",
        "datareferences",
        "endpoints",
        "eventgridfilters",
        "features",
        "featuresets",
        "featurestoreentities",
        "inferencepools",
        "labels",
        "labelingjobs",
        "linkedservices",
        "managednetworks",
        "marketplacesubscriptions",
        "operations",
        "outboundnetworkdependenciesendpoints",
        "outboundrules",
        "privateendpointconnections",
        "privatelinkresources",
        "raipolicies",
        "serverlessendpoints",
        "skus",
    )
)


# What holds other resources, by its parameter in their paths, and what is answered where it does not exist.
PARENTS = {
    "workspace": (ids.WORKSPACE, missing_workspace),
    "asset_registry": (ids.ML_REGISTRY, missing_registry),
}


def routes() -> ArmRoutes:
    """Return every route of the control plane."""
    table = ArmRoutes()
    for module in (
        operation_routes,
        vm_sizes,
        quotas,
        resource_groups,
        workspaces,
        datastores,
        codes,
        assets,
        registries,
        computes,
        compute_clusters,
        compute_instances,
        jobs,
        schedules,
        online_endpoints,
        online_endpoint_credentials,
        online_deployments,
        batch_endpoints,
        batch_deployments,
        role_assignments,
        log_analytics,
        diagnostic_settings,
        metrics,
        autoscale_settings,
        managed_identities,
        key_vaults,
        container_registries,
        storage_accounts,
        databricks,
        subscriptions,
        providers,
        permissions,
    ):
        table.include(module.routes)
    return table


class ControlPlane:
    """Answers for ``management.azure.com``, or for another host where a part of it is found, too.

    Args:
        context: what it works with.
        table: its routes; by default all.
        prefix: of its paths on another host.
        audience: for what a caller's token must be.
    """

    def __init__(
        self,
        context: Context,
        table: ArmRoutes | None = None,
        prefix: str = "",
        audience: tuple[str, ...] = audiences.ARM,
    ) -> None:
        self.context = context
        self.routes = table or routes()
        self._prefix = prefix
        self._audience = audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an unforeseen failure is logged, and answered 500 without its details."""
        request = Request(scope, receive)
        request_id = str(uuid.uuid4())
        try:
            response = await self.answer(request)
        except AzureError as error:
            response = error.response()
        except ClientDisconnect:  # nobody is there to be answered
            return
        except Exception as error:
            logger.exception("%s %s failed (request %s)", request.method, request.url.path, request_id)
            response = _failure(error, request_id).response()
        response.headers["x-ms-request-id"] = request_id
        response.headers["x-ms-correlation-request-id"] = request.headers.get("x-ms-correlation-request-id", request_id)
        response.headers["cache-control"] = "no-cache"
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Authenticate, find the handler, authorize, read the body, require the workspace, handle."""
        principal = self.authenticate(request)
        query = {name.lower(): value for name, value in parse_qsl(request.url.query, keep_blank_values=True)}
        path = request.scope["raw_path"].decode("ascii").removeprefix(self._prefix)
        match = self.find(request.method, path, query)
        self.require_subscription(match.params)
        self.authorize(principal, request.method, match)
        body = await json_object(request)
        assert match.handler is not None  # noqa: S101 - find() raises otherwise
        arm_request = ArmRequest(
            self.context,
            request.url.path.removeprefix(self._prefix),
            match.template,
            match.params,
            query,
            body,
            principal,
            f"https://{request.url.hostname}{self._prefix}",
        )
        self.require_scope(request.method, match.params, path)
        return await match.handler(arm_request)

    def authenticate(self, request: Request) -> Principal:
        """Return who is calling. Raises 401 without a valid token for Resource Manager."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        challenge = f'Bearer authorization_uri="https://login.windows.net/{self.context.settings.tenant_id}"'
        if scheme.lower() != "bearer" or not token:
            raise AzureError(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                headers={
                    "WWW-Authenticate": f'{challenge}, error="invalid_token", error_description="The authentication '
                    "failed because of missing 'Authorization' header.\""
                },
            )
        try:
            return self.context.tokens.verify(token.strip(), self._audience)
        except InvalidTokenError as error:
            raise AzureError(
                401, error.code, str(error), headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'}
            ) from error

    def find(self, method: str, path: str, query: dict[str, str]) -> Match[Handler]:
        """Return the route. Raises 404 for what Azure lacks, 501 for what only azureml-local lacks, 405, 400."""
        match = self.routes.match(method, path)
        if match is None:
            raise _no_route(method, path, query)
        if match.handler is None:
            raise AzureError(
                405,
                "MethodNotAllowed",
                f"The requested resource does not support http method '{method}'; it supports "
                f"{', '.join(match.allowed)}.",
                headers={"Allow": ", ".join(match.allowed)},
            )
        if any("/" in value for value in match.params.values()):
            raise AzureError(400, "InvalidResourceName", "A name in the path must not hold '/', encoded or not.")
        version = query.get("api-version")
        if not version:
            message = "The api-version query parameter (?api-version=) is required for all requests."
            raise AzureError(400, "MissingApiVersionParameter", message)
        if not API_VERSION.fullmatch(version):
            message = f"The api-version '{version}' is invalid. It must be a date, such as 2024-10-01 or "
            raise AzureError(400, "InvalidApiVersionParameter", message + "2024-10-01-preview.")
        return match

    def require_subscription(self, params: dict[str, str]) -> None:
        """Raise 404 where the subscription in the path is not the installation's."""
        subscription = params.get("subscription")
        if subscription and subscription.lower() != self.context.settings.subscription_id:
            raise AzureError(
                404,
                "SubscriptionNotFound",
                f"The subscription '{subscription}' could not be found. azureml-local config prints the right one.",
            )

    def authorize(self, principal: Principal, method: str, match: Match[Handler]) -> None:
        """Raise 403 where none of the caller's roles grants what the route does over the resource in the path."""
        operation = actions.of(method, match.template)
        if operation is None:
            return
        authorizer = self.context.authorizer
        scope = operation.scope.format(**match.params)
        if authorizer.permits(principal, operation.action, scope):
            return
        if match.template in actions.FILTERED and authorizer.has_role_in(principal, scope.partition("/providers/")[0]):
            return
        raise authorization_failed(principal.object_id, operation.action, scope)

    def require_scope(self, method: str, params: dict[str, str], path: str) -> None:
        """Raise 404 where the resource group does not exist, or the workspace or registry that a resource is in."""
        group = params.get("resource_group")
        if group and group.lower() != self.context.settings.resource_group:
            raise AzureError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        for parameter, (template, missing) in PARENTS.items():
            parent_id = template.format(**params) if parameter in params else ""
            is_below = unquote(path).strip("/").lower() != parent_id.strip("/").lower()
            if parent_id and is_below and self.context.store.get(parent_id) is None:
                raise missing_parent(params) if method == "PUT" else missing(params)


def _failure(error: Exception, request_id: str) -> AzureError:
    """Return what the caller is told of an unforeseen failure."""
    if is_out_of_space(error):
        return insufficient_storage()
    if isinstance(error, UpstreamError):
        return AzureError(503, "ServiceUnavailable", "The storage is not available, it is started again. Try again.")
    message = f"azureml-local failed on this request; its log has the details under {request_id}."
    return AzureError(500, "InternalServerError", message)


def _no_route(method: str, path: str, query: dict[str, str]) -> AzureError:
    segments = path.strip("/").split("/")
    lowered = [segment.lower() for segment in segments]
    if ids.PROVIDER.lower() not in lowered or any(one.lower() in lowered for one in ids.EXTENSIONS):
        message = f"azureml-local does not serve {method} {path}: it answers for {ids.PROVIDER} only, for roles in a "
        message += "subscription, a resource group and the resources it knows, for diagnostic settings of a workspace, "
        message += "an online endpoint or an autoscale setting, for metrics of endpoints and deployments, for "
        message += "autoscale settings, Log Analytics and Databricks workspaces, key vaults, managed identities and "
        message += "storage accounts."
        return AzureError(501, "NotImplemented", message)
    after_provider = lowered[lowered.index(ids.PROVIDER.lower()) + 1 :]
    kinds = after_provider[0::2]
    if method == "POST" and len(kinds) * 2 > len(after_provider):
        kinds.pop()  # an action, such as listKeys
    unknown = next((kind for kind in kinds if kind not in LACKING and kind not in SERVED_KINDS), None)
    if unknown:
        version = query.get("api-version", "")
        return AzureError(
            404,
            "InvalidResourceType",
            f"The resource type '{unknown}' could not be found in the namespace '{ids.PROVIDER}' for api version "
            f"'{version}'.",
            headers={"x-ms-failure-cause": "gateway"},
        )
    return AzureError(501, "NotImplemented", f"azureml-local lacks the operation {method} {path}.")


SERVED_KINDS = frozenset(
    segment.lower()
    for _, template, _ in routes()
    if ids.PROVIDER in template and not any(one in template for one in ids.EXTENSIONS)
    for segment in template.split(ids.PROVIDER, 1)[1].split("/")
    if segment and not segment.startswith("{")
)
