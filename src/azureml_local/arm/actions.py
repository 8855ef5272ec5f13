"""The Azure action that a route performs, and the scope that it is performed over.

Actions are named by rule, ``{namespace}/{types}/{verb}``:
https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from azureml_local.arm import ids

VERBS = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
# What is done to assets of a registry is an action on its assets, of whatever kind:
# https://learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning
IN_REGISTRY = ids.ML_REGISTRY + "/"
REGISTRY_VERBS = {**VERBS, "POST": "write"}
QUESTIONS = frozenset(("checkNameAvailability",))  # asked by POST
PROVIDER = f"{ids.SUBSCRIPTION}/providers/{{namespace}}"  # itself, by its namespace
DEFAULT = "default"  # the name of an account's only blob service
RESOURCES = "Microsoft.Resources"  # subscriptions, resource groups and template deployments
# Lists of what lies in several scopes: they hold what the caller may read.
FILTERED = (
    f"{ids.SUBSCRIPTION}/providers/{ids.PROVIDER}/workspaces",
    ids.WORKSPACES,
    f"{ids.SUBSCRIPTION}/providers/{ids.PROVIDER}/registries",
    ids.ML_REGISTRIES,
    f"{ids.SUBSCRIPTION}/providers/{ids.OPERATIONAL_INSIGHTS}/workspaces",
    ids.LOG_WORKSPACES,
    f"{ids.SUBSCRIPTION}/providers/{ids.KEY_VAULT}/vaults",
    ids.VAULTS,
    f"{ids.SUBSCRIPTION}/providers/{ids.MANAGED_IDENTITY}/userAssignedIdentities",
    ids.USER_ASSIGNED_IDENTITIES,
    f"{ids.SUBSCRIPTION}/providers/{ids.STORAGE}/storageAccounts",
    ids.STORAGE_ACCOUNTS,
    f"{ids.SUBSCRIPTION}/providers/{ids.INSIGHTS}/autoscalesettings",
    f"{ids.RESOURCE_GROUP}/providers/{ids.INSIGHTS}/autoscalesettings",
    f"{ids.SUBSCRIPTION}/providers/{ids.DATABRICKS}/workspaces",
    ids.DATABRICKS_WORKSPACES,
)


@dataclass(frozen=True)
class Operation:
    """An action, and the template of the id of what it is performed over."""

    action: str
    scope: str


@functools.cache
def of(method: str, template: str) -> Operation | None:
    """Return what a route does; None where no permission is needed.

    That is so for the state of an operation: who began it need not have a role in the subscription, in whose locations
    operations lie. Its id is known to nobody else. Nor is it needed to ask which subscriptions and tenants there are.
    """
    if template in ("/subscriptions", "/tenants"):
        return None
    if template == PROVIDER:
        return Operation(f"{RESOURCES}/subscriptions/providers/read", ids.SUBSCRIPTION)
    if template.startswith((f"{ids.LOCATION}/mfeOperation", f"{ids.LOCATION}/computeOperation")):
        return None
    before, _, resource = template.rpartition("/providers/")
    namespace, *segments = resource.split("/") if before else (RESOURCES, *template.strip("/").split("/"))
    types = [segment for segment in segments if not segment.startswith("{") and segment != DEFAULT]
    if template.startswith(IN_REGISTRY):
        verb = "read" if "datarefs" in types else REGISTRY_VERBS[method]
        return Operation(f"{namespace}/registries/assets/{verb}", ids.ML_REGISTRY)
    # What a list or an action is of: the last segment is no resource of its own.
    scope = template if template.endswith("}") else template.rpartition("/")[0]
    verb = "read" if types[-1] in QUESTIONS else VERBS[method]
    return Operation("/".join((namespace, *types, verb)), scope)
