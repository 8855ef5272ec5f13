"""Where clients ask how a long-running operation stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError
from azureml_local.store import StoredOperation

routes = ArmRoutes(ids.LOCATION)

POLL = {"x-ms-retry-after-ms": str(POLL_AFTER_MS)}
MEANWHILE = {"schedules/provision": "Creating"}  # the word of an operation that has not ended, where it is not Updating
# The body of the result that is not there yet, and the status of the one that is; where they are not the usual ones.
RESULTS: Mapping[str, tuple[Any, int]] = {"jobs/cancel": ({}, 200)}


@routes.route("GET", "/mfeOperationsStatus/{operation}")
async def status(request: ArmRequest) -> Response:
    """Answer 200 with the operation's state, whatever it is."""
    operation = await _operation(request)
    answer: dict[str, Any] = {
        "id": f"{ids.LOCATION.format(**request.params)}/mfeOperationsStatus/{operation.id}",
        "name": operation.id,
        "startTime": operation.started_at,
    }
    if operation.status == "InProgress":
        word = MEANWHILE.get(operation.kind, "Updating")
        return JSONResponse({**answer, "percentComplete": 0.0, "status": word}, headers=POLL)
    answer |= {"endTime": operation.ended_at, "percentComplete": 100.0, "status": operation.status}
    if operation.error:
        answer["error"] = operation.error
    return JSONResponse(answer)


@routes.route("GET", "/computeOperationsStatus/{operation}")
async def compute_status(request: ArmRequest) -> Response:
    """Answer 200 with the state of a compute's operation, and with nothing else."""
    operation = await _operation(request)
    if operation.status == "InProgress":
        return JSONResponse({"status": "InProgress"}, headers=POLL)
    answer: dict[str, Any] = {"status": operation.status, "percentComplete": 100.0}
    if operation.error:
        answer["error"] = operation.error
    return JSONResponse(answer)


@routes.route("GET", "/mfeOperationResults/{operation}")
async def result(request: ArmRequest) -> Response:
    """Answer 202 until the operation has ended, then 204 (200 for a cancelled job); an error where it failed."""
    operation = await _operation(request)
    body, status = RESULTS.get(operation.kind, (None, 204))
    if operation.status == "InProgress":
        return JSONResponse(body, 202, headers={**POLL, "Location": request.url({})})
    if operation.error:
        raise AzureError(400, operation.error["code"], operation.error["message"])
    return Response(status_code=status)


async def _operation(request: ArmRequest) -> StoredOperation:
    operation_id = request.params["operation"]
    operation = await request.context.operations.status(operation_id)
    if operation is None:
        raise AzureError(404, "NotFound", f"There is no operation '{operation_id}'.")
    return operation
