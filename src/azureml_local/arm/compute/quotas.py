"""How many vCPUs computes may take: of a family in a region, of all families together, of a family by one workspace.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas; the answers look like the examples in Azure's
OpenAPI (specification/machinelearningservices: Usage/list, Quota/list and Quota/update).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.compute import vm_sizes
from azureml_local.arm.compute.vm_sizes import Family, Size
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.store import Store

TYPE = "workspaces/quotas"
WORKSPACE_TYPE = f"{ids.PROVIDER}/{TYPE}"
UNLIMITED = -1  # a family's vCPUs of low priority: only their sum over all families is limited
WORKSPACE_QUOTA = re.compile(
    rf"(?P<workspace>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(ids.PROVIDER)}/workspaces/[^/]+)"
    r"/quotas/(?P<quota>[^/]+)",
    re.IGNORECASE,
)

routes = ArmRoutes(ids.LOCATION)


@dataclass(frozen=True)
class Use:
    """What a compute takes of the quotas.

    Args:
        compute: the id of a cluster, a compute instance or a deployment.
        workspace: the id of its workspace.
        size: the size of its machines.
        vcpus: of all its machines together.
        low_priority: they can be preempted; otherwise they are dedicated.
    """

    compute: str
    workspace: str
    size: Size
    vcpus: int
    low_priority: bool = False


@dataclass(frozen=True)
class Shortage:
    """A limit that a compute would exceed, and by what it would: all in vCPUs."""

    used: int
    limit: int
    needed: int


Consumer = Callable[[Context], Iterable[Use]]
_consumers: list[Consumer] = []


def consumer(uses: Consumer) -> Consumer:
    """Declare a function that tells what all computes of one kind take; for each kind there is one."""
    _consumers.append(uses)
    return uses


def shortage(context: Context, wanted: Use) -> Shortage | None:
    """Return the first limit that is too low for a compute that is to begin, or to grow; None where there is room.

    A compute that shrinks, or stays as it is, always may: limits can be lowered below what is in use.
    """
    for limit, counted in _standing(context, wanted):
        used = _vcpus(counted)
        needed = wanted.vcpus - _vcpus(use for use in counted if use.compute.lower() == wanted.compute.lower())
        if needed > 0 and used + needed > limit:
            return Shortage(used, limit, needed)
    return None


def room(context: Context, kind: Use) -> int:
    """Return how many vCPUs more a compute of this kind may take now; less than 0 where a limit was lowered."""
    return min(limit - _vcpus(counted) for limit, counted in _standing(context, kind))


def ceiling(context: Context, kind: Use) -> int:
    """Return how many vCPUs a compute of this kind may take where nothing else takes any."""
    return min(limit for limit, _ in _limits(context.store, kind))


def _standing(context: Context, kind: Use) -> Iterator[tuple[int, list[Use]]]:
    """Yield each limit that holds for a compute, and what counts towards it now."""
    location = _location(context.store, kind.workspace)
    if location is None:  # deleted meanwhile: nothing begins there any more
        yield 0, []
        return
    uses = _uses(context, location)
    for limit, counts in _limits(context.store, kind):
        yield limit, [use for use in uses if counts(use)]


@routes.route("GET", "/usages")
async def list_usages(request: ArmRequest) -> Response:
    """List what is used of each limit: in all, by family, and by each workspace that uses some of a family."""
    location = require_location(request.params["location"])
    context = request.context
    uses = _uses(context, location)
    return JSONResponse({"value": list(_usages(context.store, uses, request.params["subscription"]))})


@routes.route("GET", "/quotas")
async def list_quotas(request: ArmRequest) -> Response:
    """List the quota of each family, and what was set for single workspaces; without that, they share the family's."""
    location = require_location(request.params["location"])
    store = request.context.store
    of_workspaces = [quota for quota in store.all_of(TYPE) if _location(store, ids.workspace_of(quota.id)) == location]
    subscription = f"/subscriptions/{request.params['subscription']}"
    value = []
    for family in vm_sizes.families().values():
        quota_id = _id_of(family)
        value.append(_quota(f"{subscription}/quotas/{quota_id}", "vmFamily/quotas", family, family.quota))
        value += [_quota(own.id, TYPE, family, own.body["limit"]) for own in of_workspaces if own.name == quota_id]
    return JSONResponse({"value": value})


@routes.route("POST", "/updateQuotas")
async def update_quotas(request: ArmRequest) -> Response:
    """Set quotas of workspaces; the answer says for each whether it was set."""
    request.read("QuotaUpdateParameters")
    location = require_location(request.params["location"])
    with request.context.store.transaction():
        value = [_update(request, location, wanted) for wanted in request.body.get("value") or ()]
    request.context.pools.retry()
    return JSONResponse({"value": value})


def _update(request: ArmRequest, location: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Set one workspace's quota of one family; return Azure's ``UpdateWorkspaceQuotas``."""
    quota_id, limit = wanted.get("id") or "", wanted.get("limit")
    answer = {"id": quota_id, "type": WORKSPACE_TYPE, "limit": limit, "unit": "Count"}
    store = request.context.store
    found = WORKSPACE_QUOTA.fullmatch(quota_id)
    workspace = store.get(found["workspace"]) if found else None
    if found is None or workspace is None or workspace.body["location"] != location or limit is None or limit < 0:
        return {**answer, "status": "Failure"}
    family = next((one for one in vm_sizes.families().values() if _id_of(one).lower() == found["quota"].lower()), None)
    if family is None:
        return {**answer, "status": "InvalidVMFamilyName"}
    if limit > family.quota:
        return {**answer, "status": "InvalidQuotaExceedsSubscriptionLimit"}
    request.put(_quota_id(workspace.id, family), TYPE, workspace.id, {"limit": limit})
    return {**answer, "status": "Success"}


def _limits(store: Store, wanted: Use) -> Iterator[tuple[int, Callable[[Use], bool]]]:
    """Yield each limit that holds for a compute, and which uses count towards it."""
    if wanted.low_priority:
        yield vm_sizes.limits().low_priority, lambda use: use.low_priority
        return

    def of_family(use: Use) -> bool:
        return not use.low_priority and use.size.family == wanted.size.family

    family = vm_sizes.families()[wanted.size.family]
    yield family.quota, of_family
    yield vm_sizes.limits().dedicated, lambda use: not use.low_priority
    own = store.get(_quota_id(wanted.workspace, family))
    if own:
        yield own.body["limit"], lambda use: of_family(use) and use.workspace.lower() == wanted.workspace.lower()


def _usages(store: Store, uses: list[Use], subscription: str) -> Iterator[dict[str, Any]]:
    base, limits = f"/subscriptions/{subscription}/usages", vm_sizes.limits()
    yield _usage(base, "totalCores/usages", "Clusters", len(uses), limits.clusters)
    for low_priority, kind, total, limit in (
        (False, "Dedicated", "dedicatedCores/usages", limits.dedicated),
        (True, "LowPriority", "lowPriorityCores/usages", limits.low_priority),
    ):
        of_kind = [use for use in uses if use.low_priority == low_priority]
        yield _usage(base, total, f"Total Cluster {kind} Regional vCPUs", _vcpus(of_kind), limit)
        for family in vm_sizes.families().values():
            of_family = [use for use in of_kind if use.size.family == family.name]
            quota, name = (UNLIMITED if low_priority else family.quota), name_of(family, kind)
            segment = name.replace(" ", "_")
            yield _usage(f"{base}/{segment}", "vmFamily/usages", name, _vcpus(of_family), quota)
            for key in dict.fromkeys(use.workspace.lower() for use in of_family):
                workspace = store.get(key)
                assert workspace is not None  # noqa: S101 - it has a location: see _uses
                own = None if low_priority else store.get(_quota_id(workspace.id, family))
                yield _usage(
                    f"{workspace.id}/usages/{segment}",
                    "workspaces/usages",
                    name,
                    _vcpus(use for use in of_family if use.workspace.lower() == key),
                    own.body["limit"] if own else quota,
                )


def _usage(usage_id: str, kind: str, name: str, used: int, limit: int) -> dict[str, Any]:
    return {
        "id": usage_id,
        "type": f"{ids.PROVIDER}/{kind}",
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
        "name": {"value": name, "localizedValue": name},
    }


def _quota(quota_id: str, kind: str, family: Family, limit: int) -> dict[str, Any]:
    name = name_of(family)
    return {
        "id": quota_id,
        "type": f"{ids.PROVIDER}/{kind}",
        "limit": limit,
        "name": {"value": name, "localizedValue": name},
        "unit": "Count",
    }


def name_of(family: Family, kind: str = "Dedicated") -> str:
    """Return a quota's name: that of ``standardDSv2Family`` is ``Standard DSv2 Family Cluster Dedicated vCPUs``."""
    own = family.name.removeprefix("standard").removesuffix("Family").strip()
    return f"Standard {own} Family Cluster {kind} vCPUs"


def _id_of(family: Family) -> str:
    return name_of(family).replace(" ", "_")


def _quota_id(workspace_id: str, family: Family) -> str:
    return f"{workspace_id}/quotas/{_id_of(family)}"


def _location(store: Store, workspace_id: str) -> str | None:
    """Return a workspace's region; None where the workspace is deleted, and its nodes are perhaps still leaving."""
    workspace = store.get(workspace_id)
    return workspace.body["location"] if workspace else None


def _uses(context: Context, location: str) -> list[Use]:
    uses = [use for consumer_uses in _consumers for use in consumer_uses(context)]
    return [use for use in uses if _location(context.store, use.workspace) == location]


def _vcpus(uses: Iterable[Use]) -> int:
    return sum(use.vcpus for use in uses)
