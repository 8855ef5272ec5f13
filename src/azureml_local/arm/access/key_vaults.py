"""Key vaults, live and soft-deleted. What is in them is the data plane's.

https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults, https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
and common-error-codes; azure-mgmt-keyvault has the models. A vault that is deleted keeps its name and its secrets until
it is recovered or purged, by somebody or by time.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local import clock
from azureml_local.arm import ids
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError
from azureml_local.identity import authorizer
from azureml_local.store import Resource, Store

TYPE = f"{ids.KEY_VAULT}/vaults"
SECRET_TYPE = f"{TYPE}/secrets"
READ = f"{TYPE}/read"
DELETED_TYPE = f"{ids.KEY_VAULT}/deletedVaults"
DELETED_VAULT = f"{ids.SUBSCRIPTION}/providers/{ids.KEY_VAULT}/locations/{{location}}/deletedVaults/{{vault}}"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
NAME = re.compile(r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]")
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
RETENTION = range(7, 91)  # days
MOST_POLICIES = 1024
# From here on, a new vault that does not say otherwise uses roles rather than access policies:
# https://learn.microsoft.com/azure/key-vault/general/access-control-default
ROLES_BY_DEFAULT = "2026-02-01"
DAY = 24 * 3600
DEFAULTS: Mapping[str, Any] = {
    "accessPolicies": [],
    "enabledForDeployment": False,
    "enableRbacAuthorization": False,
    "enableSoftDelete": True,
    "publicNetworkAccess": "Enabled",
    "softDeleteRetentionInDays": RETENTION[-1],
}
# What stays as it is in a vault that is replaced by one that says nothing of it. Nobody can end purge protection:
# https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview#purge-protection
KEPT = ("enablePurgeProtection", "enableRbacAuthorization", "softDeleteRetentionInDays")
LACKING: Mapping[str, Callable[[Any], bool]] = {
    "networkAcls": lambda rules: rules.get("defaultAction") == "Deny",
    "publicNetworkAccess": lambda access: access.lower() != "enabled",
}

routes = ArmRoutes()


def provision(
    store: Store, vault_id: str, *, location: str, properties: Mapping[str, Any], tags: Mapping[str, str], by: str
) -> Resource:
    """Create a vault, or replace what a live one has. ``properties`` are checked by :func:`create_or_update`."""
    known = live(store, vault_id)
    kept = {name: value for name, value in properties.items() if value is not None and name != "createMode"}
    former = known.properties if known else DEFAULTS
    body = {
        "location": location,
        "tags": dict(tags),
        "properties": {
            **DEFAULTS,
            **{name: former[name] for name in KEPT if name in former},
            **kept,
            "vaultUri": f"https://{vault_id.rpartition('/')[2].lower()}.vault.azure.net/",
            "provisioningState": "Succeeded",
        },
    }
    return store.put(vault_id, TYPE, vault_id.partition("/providers/")[0], body, by)


def live(store: Store, vault_id: str) -> Resource | None:
    """Return a vault that is not deleted."""
    vault = _unpurged(store, vault_id)
    return vault if vault and "deleted" not in vault.body else None


def _deleted(store: Store, vault_id: str) -> Resource | None:
    vault = _unpurged(store, vault_id)
    return vault if vault and "deleted" in vault.body else None


def _unpurged(store: Store, vault_id: str) -> Resource | None:
    """Return a vault, deleted or not; one whose time is over goes now, with its secrets."""
    vault = store.get(vault_id)
    if vault and is_over(vault):
        store.delete(vault_id)
        return None
    return vault


def deletion(days: int) -> dict[str, float]:
    """Return when something is deleted now that is purged after some days of the service's clock, and when that is."""
    now = time.time()
    return {"at": now, "purgeAt": now + clock.real_seconds(days * DAY)}


def is_over(resource: Resource) -> bool:
    """Say whether a vault or a secret was deleted so long ago that it is purged."""
    deleted = resource.body.get("deleted")
    return deleted is not None and deleted["purgeAt"] <= time.time()


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{TYPE}")
@routes.route("GET", ids.VAULTS)
async def list_all(request: ArmRequest) -> Response:
    """List the vaults that the caller may read: the subscription has one resource group."""
    vaults = [vault for vault in _all(request.context.store) if "deleted" not in vault.body]
    return JSONResponse({"value": [_json(one) for one in vaults if request.permits(READ, one.id)]})


@routes.route("GET", ids.VAULT)
async def get(request: ArmRequest) -> Response:
    """Return a vault."""
    return JSONResponse(_json(_require(request)))


@routes.route("PUT", ids.VAULT)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a vault, 201; replace one, or recover one that was deleted, 200."""
    request.read("KeyVaultVaultCreateOrUpdateParameters", _unreadable)
    request.refuse_lacking(LACKING)
    name = request.params["vault"]
    if not NAME.fullmatch(name):
        raise _invalid_name(name)
    store, vault_id = request.context.store, _id(request)
    deleted = _deleted(store, vault_id)
    if request.properties.get("createMode") == "recover":
        return JSONResponse(_json(_recovered(request, deleted)))
    if deleted:
        # The words: https://github.com/Azure/azure-dev/issues/1431
        raise AzureError(
            409,
            "ConflictError",
            "A vault with the same name already exists in deleted state. You need to either recover or purge existing "
            "key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft "
            "delete.",
        )
    known = live(store, vault_id)
    _require_properties(request, known)
    if known is None and request.properties.get("enableRbacAuthorization") is None:
        request.properties["enableRbacAuthorization"] = request.query["api-version"] >= ROLES_BY_DEFAULT
    if request.properties.get("enableRbacAuthorization") is False and request.properties.get("accessPolicies") is None:
        raise _bad_request("The parameter accessPolicies is not specified.")
    vault = provision(
        store,
        vault_id,
        location=require_location(request.body["location"]),
        properties=request.properties,
        tags=request.body.get("tags") or {},
        by=request.principal.object_id,
    )
    return JSONResponse(_json(vault), 200 if known else 201)


@routes.route("PATCH", ids.VAULT)
async def update(request: ArmRequest) -> Response:
    """Change a vault's tags and properties."""
    request.read("KeyVaultVaultPatchParameters", _unreadable)
    request.refuse_lacking(LACKING)
    vault = _require(request)
    request.body["properties"] = request.body.get("properties") or {}
    _require_properties(request, vault)
    tags = request.body.get("tags")
    vault = provision(
        request.context.store,
        vault.id,
        location=vault.body["location"],
        properties={**vault.properties, **{k: v for k, v in request.properties.items() if v is not None}},
        tags=vault.body["tags"] if tags is None else tags,
        by=request.principal.object_id,
    )
    return JSONResponse(_json(vault))


@routes.route("DELETE", ids.VAULT)
async def delete(request: ArmRequest) -> Response:
    """Delete a vault so that it can be recovered, without its role assignments. 204 where there is none."""
    store = request.context.store
    vault = live(store, _id(request))
    if vault is None:
        return Response(status_code=204)
    with store.transaction():
        days = vault.properties["softDeleteRetentionInDays"]
        request.put(vault.id, TYPE, _group(request), {**vault.body, "deleted": deletion(days)})
        for assignment in store.all_of(authorizer.TYPE):
            if f"{assignment.properties['scope'].lower()}/".startswith(f"{vault.key}/"):
                store.delete(assignment.id)
    return Response(status_code=200)


@routes.route("PUT", ids.VAULT + "/accessPolicies/{operation}")
async def update_access_policies(request: ArmRequest) -> Response:
    """Add permissions to a vault's access policies, replace those of some identities, or remove permissions."""
    request.read("KeyVaultVaultAccessPolicyParameters", _unreadable)
    vault = _require(request)
    change = POLICY_CHANGES.get(request.params["operation"].lower())
    if change is None:
        known = ", ".join(POLICY_CHANGES)
        raise _bad_request(f"The operation '{request.params['operation']}' is invalid; it must be one of {known}.")
    _require_policies(request)
    policies = {_owner(policy): policy for policy in vault.properties["accessPolicies"]}
    for sent in request.properties["accessPolicies"]:
        known_policy = policies.pop(_owner(sent), {**sent, "permissions": {}})
        permissions = change(known_policy["permissions"], sent["permissions"])
        if any(permissions.values()):
            policies[_owner(sent)] = {**known_policy, "permissions": permissions}
    properties = {**vault.properties, "accessPolicies": list(policies.values())}
    request.put(vault.id, TYPE, _group(request), {**vault.body, "properties": properties})
    return JSONResponse(
        {
            "id": f"{vault.id}/accessPolicies/",
            "type": f"{TYPE}/accessPolicies",
            "properties": {"accessPolicies": properties["accessPolicies"]},
        }
    )


Permissions = Mapping[str, list[str] | None]


def _added(known: Permissions, sent: Permissions) -> Permissions:
    return {kind: list(dict.fromkeys((known.get(kind) or []) + (sent.get(kind) or []))) for kind in {**known, **sent}}


def _removed(known: Permissions, sent: Permissions) -> Permissions:
    return {kind: [one for one in words or [] if one not in (sent.get(kind) or [])] for kind, words in known.items()}


POLICY_CHANGES: Mapping[str, Callable[[Permissions, Permissions], Permissions]] = {
    "add": _added,
    "replace": lambda _, sent: sent,
    "remove": _removed,
}


@routes.route("POST", f"{ids.SUBSCRIPTION}/providers/{ids.KEY_VAULT}/checkNameAvailability")
async def check_name(request: ArmRequest) -> Response:
    """Say whether a vault can have a name."""
    request.read("KeyVaultVaultCheckNameAvailabilityParameters", _unreadable)
    name = request.body["name"]
    problem = None
    if not NAME.fullmatch(name):
        problem = ("AccountNameInvalid", _invalid_name(name).message)
    elif _unpurged(request.context.store, _named(request, name)):
        problem = ("AlreadyExists", f"The vault name '{name}' is already in use.")
    if problem is None:
        return JSONResponse({"nameAvailable": True})
    return JSONResponse({"nameAvailable": False, "reason": problem[0], "message": problem[1]})


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{DELETED_TYPE}")
async def list_deleted(request: ArmRequest) -> Response:
    """List the deleted vaults."""
    store = request.context.store
    return JSONResponse({"value": [_deleted_json(vault) for vault in _all(store) if "deleted" in vault.body]})


@routes.route("GET", DELETED_VAULT)
async def get_deleted(request: ArmRequest) -> Response:
    """Return a deleted vault."""
    return JSONResponse(_deleted_json(_require_deleted(request)))


@routes.route("POST", DELETED_VAULT + "/purge")
async def purge(request: ArmRequest) -> Response:
    """Delete a deleted vault for good, with all that is in it."""
    vault = _require_deleted(request)
    if vault.properties.get("enablePurgeProtection"):
        raise AzureError(405, "MethodNotAllowed", "Operation 'DeletedVaultPurge' is not allowed.")
    request.context.store.delete(vault.id)
    return Response(status_code=200)


def _recovered(request: ArmRequest, deleted: Resource | None) -> Resource:
    if deleted is None:
        message = f"The vault '{request.params['vault']}' is not in deleted state: there is nothing to recover."
        raise AzureError(404, "DeletedVaultNotFound", message)
    body = {name: value for name, value in deleted.body.items() if name != "deleted"}
    return request.put(deleted.id, TYPE, _group(request), body)


def _require_properties(request: ArmRequest, known: Resource | None) -> None:
    """Raise 400 where a property's value is none that a vault takes."""
    sent = request.properties
    if sent.get("tenantId", request.context.settings.tenant_id).lower() != request.context.settings.tenant_id:
        raise _bad_request(f"properties.tenantId is '{sent['tenantId']}', which is not the subscription's tenant.")
    for name in ("enablePurgeProtection", "enableSoftDelete"):
        if sent.get(name) is False:
            raise _bad_request(f'The property "{name}" cannot be set to false.')
    days = sent.get("softDeleteRetentionInDays")
    if days is not None and days not in RETENTION:
        limits = f"{RETENTION[0]} to {RETENTION[-1]}"
        raise _bad_request(f"properties.softDeleteRetentionInDays is {days}; it must be {limits} days.")
    if days is not None and known and days != known.properties["softDeleteRetentionInDays"]:
        raise _bad_request('The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.')
    _require_policies(request)


def _require_policies(request: ArmRequest) -> None:
    policies = request.properties.get("accessPolicies") or []
    if len(policies) > MOST_POLICIES:
        raise _bad_request(f"A vault has at most {MOST_POLICIES} access policies, not {len(policies)}.")
    tenant = request.context.settings.tenant_id
    for policy in policies:
        if policy["tenantId"].lower() != tenant or not GUID.fullmatch(policy["objectId"]):
            raise _bad_request(
                "An invalid value was provided for 'accessPolicies': objectId must be the object id of an identity, "
                f"and tenantId the subscription's tenant; sent were '{policy['objectId']}' and '{policy['tenantId']}'."
            )
        if policy.get("applicationId"):
            raise AzureError(501, "NotImplemented", "azureml-local lacks access policies of compound identities.")


def _owner(policy: Mapping[str, Any]) -> str:
    object_id: str = policy["objectId"]
    return object_id.lower()


def _bad_request(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message)


def _invalid_name(name: str) -> AzureError:
    return AzureError(
        400,
        "VaultNameNotValid",
        f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name "
        "must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link "
        "for more information: https://go.microsoft.com/fwlink/?linkid=2147742",
    )


def _unreadable(misfit: MisfitError) -> AzureError:
    return AzureError(400, "BadRequest", f"Invalid value provided. {misfit}", target=misfit.path)


def _id(request: ArmRequest) -> str:
    return ids.VAULT.format(**request.params)


def _named(request: ArmRequest, name: str) -> str:
    group = request.context.settings.resource_group
    return ids.VAULT.format(subscription=request.params["subscription"], resource_group=group, vault=name)


def _group(request: ArmRequest) -> str:
    return ids.RESOURCE_GROUP.format(**request.params)


def _require(request: ArmRequest) -> Resource:
    vault = live(request.context.store, _id(request))
    if vault is None:
        raise missing(request.params, TYPE, request.params["vault"])
    return vault


def _require_deleted(request: ArmRequest) -> Resource:
    name, location = request.params["vault"], request.params["location"]
    vault = _deleted(request.context.store, _named(request, name))
    if vault is None or vault.body["location"] != location.replace(" ", "").lower():
        raise AzureError(404, "DeletedVaultNotFound", f"The vault '{name}' in the location '{location}' is not found.")
    return vault


def _all(store: Store) -> list[Resource]:
    return [found for vault in store.all_of(TYPE) if (found := _unpurged(store, vault.id))]


def _json(vault: Resource) -> dict[str, Any]:
    shown = {"id": vault.id, "name": vault.name, "type": TYPE, **vault.body}
    return {**shown, "systemData": vault.to_json()["systemData"]}


def _deleted_json(vault: Resource) -> dict[str, Any]:
    deleted, location = vault.body["deleted"], vault.body["location"]
    subscription = vault.id.split("/")[2]
    return {
        "id": DELETED_VAULT.format(subscription=subscription, location=location, vault=vault.name),
        "name": vault.name,
        "type": DELETED_TYPE,
        "properties": {
            "vaultId": vault.id,
            "location": location,
            "tags": vault.body["tags"],
            "deletionDate": _date(deleted["at"]),
            "scheduledPurgeDate": _date(deleted["purgeAt"]),
            "purgeProtectionEnabled": vault.properties.get("enablePurgeProtection"),
        },
    }


def _date(since_1970: float) -> str:
    return datetime.datetime.fromtimestamp(since_1970, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
