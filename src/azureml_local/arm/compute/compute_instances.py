"""Compute instances: machines of one user that are started and stopped, by hand, by schedule or when idle.

Here an instance is one node, whose process starts with the first job and ends some time after the last.
https://learn.microsoft.com/azure/machine-learning/concept-compute-instance
"""

from __future__ import annotations

import datetime
import logging
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.responses import Response

from azureml_local.arm import ids, triggers
from azureml_local.arm.compute import compute_nodes, computes, quotas, vm_sizes
from azureml_local.arm.compute.computes import ProvisioningError
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.engines.compute.pool import Pool, Scale
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, timestamp

logger = logging.getLogger(__name__)

COMPUTE_TYPE = "ComputeInstance"
NODE_IDLE = 120.0  # seconds that its node's process stays without a job
# Words (sic) of https://github.com/microsoft/pipelines-azureml/issues/19.
NAME_RULE = (
    re.compile(r"[a-zA-Z](?=.{2,23}\Z)(?!.*-[0-9]+\Z)[-a-zA-Z0-9]*[a-zA-Z0-9]"),
    "Compute name '{name}' is not available. Reason: Invalid. Message: A name for an Azure ML Compute Instance must be "
    "between 3 and 24 characters in length and must use only numbers, letters and minus symbol (-)，must start with "  # noqa: RUF001 - sic
    "letters. Numbers cannot be the ending of the name if the previous character is a minus symbol (-). Please specify "
    "a different Azure ML Instance name",
)
FOR_EVER = ("vmSize",)
LACKING = {
    "subnet": bool,
    "setupScripts": bool,
    "customServices": bool,
    "sshSettings": lambda value: value.get("sshPublicAccess") == "Enabled",
}
# https://learn.microsoft.com/azure/machine-learning/how-to-create-compute-instance#configure-idle-shutdown
LEAST_IDLE, MOST_IDLE = "PT15M", "P3D"
FLAGS = {"enableSSO": True, "enableRootAccess": True, "enableOSPatching": False, "releaseQuotaOnStop": False}

routes = ArmRoutes()


@dataclass(frozen=True)
class Power:
    """An operation that starts or stops an instance: Azure's name of it, and the states meanwhile and afterwards.

    ``allowed`` are the states in which it can begin.
    """

    name: str
    meanwhile: str
    afterwards: str
    allowed: tuple[str, ...]


POWER = {
    "start": Power("Start", "Starting", "Running", ("Stopped",)),
    "stop": Power("Stop", "Stopping", "Stopped", ("Running", "Stopped")),
    "restart": Power("Restart", "Restarting", "Running", ("Running",)),
}


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def work(power: Power, begun: Resource) -> None:
        instance = context.store.get(begun.id)
        if instance is None:
            return
        if _inner(instance)["state"] != power.meanwhile:
            # The words for a start are those of https://github.com/microsoft/vscode-tools-for-ai/issues/2096.
            allowed = power.allowed[0]
            raise AzureError(
                400,
                f"{power.name}ComputeInstanceOnlyAllowedIn{allowed}State",
                f"{power.name} Azure ML Compute Instance is only allowed when the instance {instance.name} is in "
                f"'{allowed.lower()}' state",
            )
        if power.name == "Start":
            _require_room_to_start(context, instance)
        else:
            await open_pool(context, instance).end_nodes()
        _set(context, instance, state=power.afterwards, lastOperation=_operation(power.name, _trigger(instance)))
        open_pool(context, instance).reconcile()
        context.pools.retry()

    for verb, power in POWER.items():
        context.operations.register(f"computes/{verb}", partial(work, power), keeps_state=True)


@routes.route("POST", computes.COMPUTE + "/start")
async def start(request: ArmRequest) -> Response:
    """Begin to start an instance; the operation fails unless it is stopped."""
    return _begin_power(request, "start")


@routes.route("POST", computes.COMPUTE + "/stop")
async def stop(request: ArmRequest) -> Response:
    """Begin to stop an instance. A job that it runs is lost, and waits for the next start."""
    return _begin_power(request, "stop")


@routes.route("POST", computes.COMPUTE + "/restart")
async def restart(request: ArmRequest) -> Response:
    """Begin to restart an instance."""
    return _begin_power(request, "restart")


@routes.route("POST", computes.COMPUTE + "/updateIdleShutdownSetting")
async def update_idle_shutdown(request: ArmRequest) -> Response:
    """Set after which time without a job an instance stops by itself; null for never."""
    request.read("IdleShutdownSetting")
    instance = computes.require(request, COMPUTE_TYPE)
    idle = _idle_time(request.body.get("idleTimeBeforeShutdown"), "idleTimeBeforeShutdown")
    _set_idle_time(request.context, instance, idle)
    return Response(status_code=200)


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what is stored of a request for an instance, with Azure's defaults."""
    path = "properties.properties"
    request.refuse_lacking(LACKING, path)
    sent = request.properties.get("properties") or {}
    if not sent.get("vmSize"):
        raise computes.bad_request("vmSize is missing; it must be a VM size.", f"{path}.vmSize")
    if known is None:
        _require_free_name(request)
    former = _inner(known) if known else {"state": "Creating", "lastOperation": None}
    found = {
        "vmSize": sent["vmSize"].upper(),
        "applicationSharingPolicy": sent.get("applicationSharingPolicy") or "Shared",
        "computeInstanceAuthorizationType": sent.get("computeInstanceAuthorizationType") or "personal",
        "personalComputeInstanceSettings": sent.get("personalComputeInstanceSettings"),
        "adminPublicKey": (sent.get("sshSettings") or {}).get("adminPublicKey"),
        "enableNodePublicIp": sent.get("enableNodePublicIp") is not False,
        "idleTimeBeforeShutdown": _idle_time(sent.get("idleTimeBeforeShutdown"), f"{path}.idleTimeBeforeShutdown"),
        "schedules": _schedules(sent.get("schedules"), f"{path}.schedules.computeStartStop"),
        **{name: default if sent.get(name) is None else sent[name] for name, default in FLAGS.items()},
        "state": former["state"],
        "lastOperation": former["lastOperation"],
    }
    computes.unchanged(known, found, FOR_EVER)
    return found


def provision(context: Context, instance: Resource) -> None:
    """Make a new instance run; begin what its schedules and its idle time ask for."""
    if _inner(instance)["state"] not in ("Creating", "CreateFailed"):  # only its settings were changed
        _watch(context, instance.id)
        return
    try:
        size = compute_nodes.supported_size(_inner(instance)["vmSize"], COMPUTE_TYPE)
        kind = quotas.Use(instance.id, ids.workspace_of(instance.id), size, size.vcpus)
        compute_nodes.require_quota(context, kind, 1)
        _require_room(context, kind)
    except ProvisioningError:
        _set(context, instance, state="CreateFailed", lastOperation=_operation("Create", "User", "CreateFailed"))
        raise
    _set(context, instance, state="Running", lastOperation=_operation("Create", "User"))
    open_pool(context, instance).reconcile()


def _require_room_to_start(context: Context, instance: Resource) -> None:
    """Raise ProvisioningError, and note that the start has failed, where others have the quota of an instance now."""
    size = vm_sizes.find(_inner(instance)["vmSize"])
    assert size is not None  # noqa: S101 - found as it was made
    try:
        _require_room(context, quotas.Use(instance.id, ids.workspace_of(instance.id), size, size.vcpus))
    except ProvisioningError:
        failed = _operation("Start", _trigger(instance), "StartFailed")
        _set(context, instance, state="Stopped", lastOperation=failed)
        raise


def _require_room(context: Context, kind: quotas.Use) -> None:
    shortage = quotas.shortage(context, kind)
    if shortage:
        raise ProvisioningError(
            "ClusterCoreQuotaReached",
            f"The specified subscription has a {compute_nodes.family_name(kind.size)} family vCPU quota of "
            f"{shortage.limit}, of which {shortage.used} are in use; the instance takes {kind.vcpus}.",
        )


def open_pool(context: Context, instance: Resource) -> Pool:
    """Return the pool of an instance's one node, which has no room while the instance does not run."""
    pool = context.pools.get(instance.id)
    if pool is None:
        events = _InstanceEvents(context, instance.id)
        pool = context.pools.set(instance.id, Scale(0, 1, NODE_IDLE), partial(_room, context, instance.id), events)
        _watch(context, instance.id)
    return pool


def shown(context: Context, instance: Resource) -> dict[str, Any]:
    """Return an instance's inner properties as Azure shows them."""
    stored = dict(_inner(instance))
    public_key = stored.pop("adminPublicKey")
    is_made = instance.properties["provisioningState"] != "Creating"
    pool = context.pools.get(instance.id)
    if stored["state"] == "Running" and pool and any(member.job for member in pool.members):
        stored["state"] = "JobRunning"
    ssh = {"sshPublicAccess": "Disabled", "adminUserName": "azureuser", "sshPort": None, "adminPublicKey": public_key}
    return {
        **stored,
        "subnet": None,
        "sshSettings": ssh if is_made else None,
        "errors": [] if is_made else None,
        "connectivityEndpoints": {"publicIpAddress": None, "privateIpAddress": "127.0.0.1"} if is_made else None,
        "applications": [] if is_made else None,
        "createdBy": {"userOrgId": context.settings.tenant_id, "userId": instance.created_by},
        "setupScripts": None,
        "customServices": [] if is_made else None,
        "schedules": {"computeStartStop": stored["schedules"]},
        "dataMounts": None,
        "dataDisks": None,
        "containers": None,
        "versions": None,
        "osImageMetadata": None,
    }


@quotas.consumer
def _uses(context: Context) -> Iterable[quotas.Use]:
    """Tell what instances take of the quotas: also stopped ones, but for those that give it back.

    https://learn.microsoft.com/azure/machine-learning/how-to-manage-compute-instance
    """
    for instance in context.store.all_of(computes.TYPE):
        if instance.properties["computeType"] != COMPUTE_TYPE:
            continue
        stored = _inner(instance)
        size = vm_sizes.find(stored["vmSize"])
        is_free = stored["state"] in ("Creating", "CreateFailed") or (
            stored["state"] in ("Stopped", "Starting") and stored["releaseQuotaOnStop"]
        )
        if size and not is_free:
            yield quotas.Use(instance.id, ids.workspace_of(instance.id), size, size.vcpus)


class _InstanceEvents(compute_nodes.NodeEvents):
    """Is told of each change of an instance's node; jobs keep an instance from stopping by itself."""

    def busy_changed(self, pool: Pool) -> None:
        """Learn that the first job came, or the last one is done."""
        super().busy_changed(pool)
        _watch_idle(self._context, self._compute_id)


def _begin_power(request: ArmRequest, verb: str) -> Response:
    instance = computes.require(request, COMPUTE_TYPE)
    request.context.operations.require_idle(instance.id)
    with request.context.store.transaction():
        _note_begun(request.context, instance, verb, "User")
        return computes.begun(request, 202, f"computes/{verb}", instance)


def _note_begun(context: Context, instance: Resource, verb: str, trigger: str) -> None:
    """Note that an operation has begun; one that is not allowed is not noted, and fails."""
    power = POWER[verb]
    if _inner(instance)["state"] in power.allowed:
        _set(context, instance, state=power.meanwhile, lastOperation=_operation(power.name, trigger, "InProgress"))


def _begin_by_itself(context: Context, instance_id: str, verb: str, trigger: str) -> None:
    """Start or stop an instance without a user, where it is not so already and nothing else is done to it."""
    instance = context.store.get(instance_id)
    if instance is None:
        return
    if context.operations.is_running_on(instance_id):
        _watch_idle(context, instance_id)
    elif _inner(instance)["state"] == ("Stopped" if verb == "start" else "Running"):
        logger.info("%s %s of %s", trigger, verb, instance_id)
        with context.store.transaction():
            _note_begun(context, instance, verb, trigger)
            context.operations.begin(f"computes/{verb}", instance, str(uuid.uuid4()))


def _set(context: Context, instance: Resource, **changes: Any) -> None:
    """Change an instance's stored inner properties, and what waits on them."""
    with context.store.transaction():
        current = context.store.get(instance.id) or instance
        changed = current.with_properties(properties={**_inner(current), **changes}, modifiedOn=timestamp())
        context.store.save(changed)
        context.store.after_commit(partial(_watch_idle, context, changed.id))


def _set_idle_time(context: Context, instance: Resource, idle: str | None) -> None:
    """Store another idle time; where the instance is idle now, it counts from now."""
    with context.store.transaction():
        context.store.after_commit(lambda: context.timers.cancel(f"{instance.key}/idle"))
        _set(context, instance, idleTimeBeforeShutdown=idle)


def _watch(context: Context, instance_id: str) -> None:
    """Begin what an instance's settings ask for: that it stops when idle, and is started and stopped by schedule."""
    context.timers.cancel(f"{instance_id.lower()}/")
    _watch_idle(context, instance_id)
    instance = context.store.get(instance_id)
    for at in range(len(_inner(instance)["schedules"]) if instance else 0):
        _arm_schedule(context, instance_id, at, datetime.datetime.now(datetime.UTC))


def _watch_idle(context: Context, instance_id: str) -> None:
    """Stop an instance in due time after its last job, or after it was started."""
    instance = context.store.get(instance_id)
    if instance is None:
        return
    stored, name = _inner(instance), f"{instance.key}/idle"
    pool = context.pools.get(instance.id)
    idle = stored["idleTimeBeforeShutdown"]
    if not idle or stored["state"] != "Running" or (pool and pool.is_busy):
        context.timers.cancel(name)
    elif name not in context.timers:
        context.timers.set(name, seconds(idle), partial(_begin_by_itself, context, instance.id, "stop", "IdleShutdown"))


def _arm_schedule(context: Context, instance_id: str, at: int, after: datetime.datetime) -> None:
    """Set the timer of an instance's schedule: for the first time that it is due later than ``after``.

    Where the service's clock is fast, times come early: each is as long after the one before as it is by the calendar.
    """
    instance = context.store.get(instance_id)
    schedules = _inner(instance)["schedules"] if instance else []
    if at >= len(schedules) or schedules[at]["status"] != "Enabled":
        return
    schedule = schedules[at]
    due = triggers.next_time(schedule.get("cron") or schedule.get("recurrence"), after)
    if due is None:
        return

    def fire() -> None:
        _begin_by_itself(context, instance_id, schedule["action"].lower(), "Schedule")
        _arm_schedule(context, instance_id, at, due)

    context.timers.set(f"{instance_id.lower()}/schedule/{at}", (due - after).total_seconds(), fire)


def _schedules(sent: dict[str, Any] | None, path: str) -> list[dict[str, Any]]:
    """Return the schedules as Azure answers them, or raise 400."""
    found = []
    for at, schedule in enumerate((sent or {}).get("computeStartStop") or ()):
        kind = (schedule.get("triggerType") or "").lower()
        trigger = schedule.get(kind) if kind else None
        if not trigger or not schedule.get("action"):
            message = "A schedule needs an action, a triggerType, and the cron or recurrence that this names."
            raise computes.bad_request(message, f"{path}[{at}]")
        try:
            triggers.next_time(trigger, datetime.datetime.now(datetime.UTC))
        except ValueError as error:
            raise computes.bad_request(f"The schedule is not valid: {error}.", f"{path}[{at}].{kind}") from error
        schedule_id = (schedule.get("schedule") or {}).get("id") or str(uuid.uuid4())
        status = schedule.get("status") or (schedule.get("schedule") or {}).get("status") or "Enabled"
        found.append(
            {
                "id": schedule_id,
                "provisioningStatus": "Completed",
                "status": status,
                "action": schedule["action"],
                "triggerType": schedule["triggerType"],
                kind: {name: value for name, value in trigger.items() if name != "triggerType"},
                "schedule": {"id": schedule_id, "provisioningStatus": "Completed", "status": status},
            }
        )
    return found


def _idle_time(text: str | None, path: str) -> str | None:
    if not text:
        return None
    try:
        is_right = seconds(LEAST_IDLE) <= seconds(text) <= seconds(MOST_IDLE)
    except ValueError:
        is_right = False
    if not is_right:
        raise computes.bad_request(
            f"idleTimeBeforeShutdown is '{text}'; it must be an ISO 8601 duration from {LEAST_IDLE} to {MOST_IDLE}.",
            path,
        )
    return text


def _require_free_name(request: ArmRequest) -> None:
    """Raise 400, in Azure's words, where another workspace has an instance of this name: a region's share a domain."""
    name = request.params["compute"].lower()
    for other in request.context.store.all_of(computes.TYPE):
        if other.name.lower() == name and other.properties["computeType"] == COMPUTE_TYPE:
            raise computes.bad_request(
                f"Compute name '{name}' is not available. Reason: AlreadyExists. Message: The specified name {name} is "
                "already in use and is therefore unavailable",
                "name",
            )


def _room(context: Context, instance_id: str) -> int:
    instance = context.store.get(instance_id)
    return 1 if instance and _inner(instance)["state"] == "Running" else 0


def _inner(instance: Resource) -> dict[str, Any]:
    inner: dict[str, Any] = instance.properties["properties"]
    return inner


def _trigger(instance: Resource) -> str:
    trigger: str = _inner(instance)["lastOperation"]["operationTrigger"]
    return trigger


def _operation(name: str, trigger: str, status: str = "Succeeded") -> dict[str, str]:
    """Return Azure's ``lastOperation``."""
    return {
        "operationName": name,
        "operationTime": computes.with_offset(timestamp()),
        "operationStatus": status,
        "operationTrigger": trigger,
    }


computes.KINDS[COMPUTE_TYPE] = computes.Kind(NAME_RULE, settings, provision, shown, open_pool)
