"""The subscription and the tenant of the installation, as the Azure CLI asks for them when somebody signs in.

https://learn.microsoft.com/rest/api/resources/subscriptions
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.request import ArmRequest, ArmRoutes

NAME = "azureml-local"

routes = ArmRoutes()


@routes.route("GET", "/subscriptions")
async def list_subscriptions(request: ArmRequest) -> Response:
    """List the subscription, if the caller has a role somewhere in it."""
    subscription = request.context.settings.subscription_id
    scope = ids.SUBSCRIPTION.format(subscription=subscription)
    may_see = request.context.authorizer.has_role_in(request.principal, scope)
    return JSONResponse({"value": [_json(request)] if may_see else []})


@routes.route("GET", ids.SUBSCRIPTION)
async def get(request: ArmRequest) -> Response:
    """Return the subscription."""
    return JSONResponse(_json(request))


@routes.route("GET", "/tenants")
async def list_tenants(request: ArmRequest) -> Response:
    """List the tenant, which everybody who has a token of its is in."""
    tenant = request.context.settings.tenant_id
    shown = {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": NAME, "tenantCategory": "Home"}
    return JSONResponse({"value": [shown]})


def _json(request: ArmRequest) -> dict[str, Any]:
    settings = request.context.settings
    return {
        "id": ids.SUBSCRIPTION.format(subscription=settings.subscription_id),
        "subscriptionId": settings.subscription_id,
        "tenantId": settings.tenant_id,
        "displayName": NAME,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": {
            "locationPlacementId": "Internal_2014-09-01",
            "quotaId": "Internal_2014-09-01",
            "spendingLimit": "Off",
        },
        "managedByTenants": [],
    }
