"""Schedules: created, changed, listed, triggered and deleted. When they are due is in :mod:`.firing`.

https://learn.microsoft.com/rest/api/azureml/schedules
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing, triggers
from azureml_local.arm.context import Context
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.schedules import firing, scheduled_jobs
from azureml_local.arm.schedules.firing import TYPE
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Condition, Resource

SCHEDULES = ids.WORKSPACE + "/schedules"
SCHEDULE = SCHEDULES + "/{schedule}"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")  # the path parameter name in the OpenAPI (mfe.json)
CREATE_JOB = "CreateJob"
# Those that Azure has, in any of its API versions, and azureml-local lacks.
LACKING_ACTIONS = ("CreateMonitor", "ImportData", "InvokeBatchEndpoint")
IS_ENABLED = Condition("json_extract(body, '$.properties.isEnabled')")
VIEWS = {
    "EnabledOnly": [IS_ENABLED],
    "DisabledOnly": [Condition(f"NOT {IS_ENABLED.sql}")],
    "All": [],
}
STATUS = "NotStarted"  # what Azure shows of a definition, which is no job yet

routes = ArmRoutes()


def register_operations(context: Context) -> None:
    """Say what this module's long-running operations do."""

    async def provision(schedule: Resource) -> None:
        firing.arm(context, schedule.id)

    context.operations.register("schedules/provision", provision)


@routes.route("GET", SCHEDULES)
async def list_schedules(request: ArmRequest) -> Response:
    """List a workspace's schedules, by default those that are enabled."""
    view = listing.choice(request, "listViewType", VIEWS, VIEWS["EnabledOnly"])
    return listing.page(request, TYPE, request.workspace_id, view, shown=_shown)


@routes.route("GET", SCHEDULE)
async def get(request: ArmRequest) -> Response:
    """Return a schedule."""
    return JSONResponse(_shown(_require(request)).to_json())


@routes.route("PUT", SCHEDULE)
async def create_or_update(request: ArmRequest) -> Response:
    """Begin to create or replace a schedule; the answer holds its properties only, as recorded from Azure."""
    _require_served_action(request.body)
    request.read("Schedule")
    _require_name(request.params["schedule"])
    context = request.context
    known = context.store.get(SCHEDULE.format(**request.params))
    given = request.properties["action"]["jobDefinition"]
    body = {
        "properties": _stored(request, known),
        "definition": scheduled_jobs.definition(request, given),
        "calendar": firing.calendar(known),
    }
    with context.store.transaction():
        schedule = request.put(SCHEDULE.format(**request.params), TYPE, request.workspace_id, body)
        context.store.after_commit(lambda: firing.disarm(context, schedule.id))
        return request.begun(
            201, "schedules/provision", schedule, "schedules", lambda begun: {"properties": begun.properties}
        )


@routes.route("DELETE", SCHEDULE)
async def delete(request: ArmRequest) -> Response:
    """Delete a schedule that is disabled; its jobs stay. 204 where there is none."""
    schedule = request.context.store.get(SCHEDULE.format(**request.params))
    if schedule is None:
        return Response(status_code=204)
    if schedule.properties["isEnabled"]:
        # Azure's words are in azure-ai-ml's test_schedule_lifetime.
        raise _user_error("Cannot delete an active trigger. Disable the schedule first.")
    request.context.store.delete(schedule.id)
    return Response(status_code=200)


@routes.route("POST", SCHEDULE + "/trigger")
async def trigger(request: ArmRequest) -> Response:
    """Make a job of an enabled schedule for the time that the caller gives."""
    request.read("TriggerOnceRequest")
    schedule = _require(request)
    if not schedule.properties["isEnabled"]:
        raise _user_error(f"Schedule {schedule.name} is disabled, and makes no jobs. Enable it first.")
    with request.context.store.transaction():
        job = scheduled_jobs.submit(request.context, schedule, _time(request.body["scheduleTime"]))
    return JSONResponse({"scheduleActionType": schedule.properties["action"]["actionType"], "submissionId": job.name})


def _require(request: ArmRequest) -> Resource:
    schedule = request.context.store.get(SCHEDULE.format(**request.params))
    if schedule is None:
        message = f"Schedule with name: {request.params['schedule']} not found."
        detail = ("ScheduleNotFound", message)
        raise FrontendError(404, "UserError", "The specified resource was not found.", detail=detail)
    return schedule


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise _user_error(
            f"The schedule name '{name}' is invalid. It must have 1 to 255 characters, start with a letter or digit "
            "and hold only letters, digits, '-' and '_'."
        )


def _require_served_action(body: Mapping[str, Any]) -> None:
    """Raise 501 for the actions that are not served, before their bodies are judged."""
    properties = body.get("properties")
    action = properties.get("action") if isinstance(properties, dict) else None
    asked = action.get("actionType") if isinstance(action, dict) else None
    for name in LACKING_ACTIONS:
        if isinstance(asked, str) and asked.lower() == name.lower():
            message = f"azureml-local lacks schedules with the action {name}: its schedules make jobs ({CREATE_JOB})."
            raise AzureError(501, "NotImplemented", message, target="properties.action.actionType")


def _stored(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return a schedule's ``properties`` with what Azure fills in."""
    sent = request.properties
    action = sent["action"]
    job = {"services": {}, "isArchived": False, **_given(action["jobDefinition"]), "status": STATUS}
    return {
        "description": sent.get("description"),
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "displayName": sent.get("displayName"),
        "isEnabled": sent.get("isEnabled") is not False,
        "trigger": _trigger(sent["trigger"]),
        "action": {**action, "jobDefinition": job},
        "provisioningState": "Updating" if known else "Creating",
    }


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _trigger(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trigger with its time zone and start, by default UTC and now; raise 400 where it is none."""
    found = {"endTime": None, **sent, "timeZone": sent.get("timeZone") or "UTC"}
    now = datetime.datetime.now(datetime.UTC)
    try:
        firing.next_time(found, now)
    except ValueError as error:
        raise _user_error(f"The schedule's trigger is not valid: {error}.") from error
    return {**found, "startTime": sent.get("startTime") or triggers.local_time(found["timeZone"], now)}


def _time(text: str) -> datetime.datetime:
    """Return the time of a request to trigger, in UTC, which it is in where it says no offset; raise 400."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return time.astimezone(datetime.UTC) if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError) as error:  # the latter in the years 1 and 9999
        raise _user_error(f"scheduleTime is '{text}'; it must look like 2026-01-31T18:00:00Z.") from error


def _shown(schedule: Resource) -> Resource:
    """Return a schedule as it is seen."""
    return replace(schedule, body={"properties": schedule.properties})


def _user_error(message: str) -> FrontendError:
    return FrontendError(400, "UserError", message)
