"""The resource providers of the subscription: which it is registered for.

https://learn.microsoft.com/rest/api/resources/providers; the states of a registration are in
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError

# The subscription is registered for what is served here, and for nothing else.
SERVED = (
    ids.AUTHORIZATION,
    "Microsoft.ContainerRegistry",
    ids.DATABRICKS,
    ids.INSIGHTS,
    ids.KEY_VAULT,
    ids.PROVIDER,
    ids.MANAGED_IDENTITY,
    ids.OPERATIONAL_INSIGHTS,
    "Microsoft.Resources",
    ids.STORAGE,
)
# Of Azure's others, those that Azure ML works with.
OTHERS = (
    "Microsoft.Cdn",
    "Microsoft.Compute",
    "Microsoft.ContainerService",
    "Microsoft.Kubernetes",
    "Microsoft.KubernetesConfiguration",
    "Microsoft.Network",
    "Microsoft.Notebooks",
    "Microsoft.PolicyInsights",
)
STATES = {**dict.fromkeys(SERVED, "Registered"), **dict.fromkeys(OTHERS, "NotRegistered")}
# Azure has these for everybody.
FREE = (ids.AUTHORIZATION, "Microsoft.Resources")

routes = ArmRoutes(ids.SUBSCRIPTION)


@routes.route("GET", "/providers")
async def list_providers(request: ArmRequest) -> Response:
    """List the providers."""
    return JSONResponse({"value": [_json(request, namespace) for namespace in sorted(STATES)]})


@routes.route("GET", "/providers/{namespace}")
async def get(request: ArmRequest) -> Response:
    """Return a provider, by its namespace in any case."""
    asked = request.params["namespace"]
    for namespace in STATES:
        if namespace.lower() == asked.lower():
            return JSONResponse(_json(request, namespace))
    raise AzureError(404, "InvalidResourceNamespace", f"The resource namespace '{asked}' is invalid.")


def _json(request: ArmRequest, namespace: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{request.params['subscription']}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": STATES[namespace],
        "registrationPolicy": "RegistrationFree" if namespace in FREE else "RegistrationRequired",
        "resourceTypes": [],  # which types a provider has is not said here: _no_route names what is served
    }
