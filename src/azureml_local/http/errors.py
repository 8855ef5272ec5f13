"""Errors in the formats of Azure Resource Manager and of Azure ML's frontend behind it.

Resource Manager: ``{"error": {"code", "message"}}``
(https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/common-api-details.md#error-response-content).
The frontend adds ``details`` and an ordered ``additionalInfo``, as the recordings in azure-sdk-for-python show.
"""

from __future__ import annotations

import datetime
import errno
import json
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

NO_SPACE = (
    "The disk that azureml-local keeps its state on is full, so this was refused. Make room on it, then try again."
)


class AzureError(Exception):
    """An answer other than success, as Azure Resource Manager itself gives it.

    Args:
        status: the HTTP status.
        code: Azure's error code, e.g. ``ResourceNotFound``.
        message: what is wrong, with the field's name and value, and what would be right.
        target: the field or resource that the error is about.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the error as JSON: ``{"code", "message"[, "target"]}``."""
        error = {"code": self.code, "message": self.message}
        return {**error, "target": self.target} if self.target else error

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        return JSONResponse({"error": self.body()}, self.status, headers=self.headers)


class MonitorError(AzureError):
    """An answer other than success of Azure Monitor (Microsoft.Insights): code and message, in no frame.

    So azure-mgmt-monitor's ``ErrorResponse`` has it, and so it is in public reports, e.g.
    https://github.com/hashicorp/terraform-provider-azurerm/pull/27801.
    """

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        return JSONResponse(self.body(), self.status, headers=self.headers)


class FrontendError(AzureError):
    """An answer other than success of Azure ML's frontend.

    Args:
        detail: code and message of the one entry in ``details``.
        inner: the inner codes, in ``additionalInfo``, the innermost last.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: tuple[str, str] | None = None,
        inner: tuple[str, ...] = (),
        target: str | None = None,
    ) -> None:
        super().__init__(status, code, message, target=target, headers={"x-ms-response-type": "error"})
        self.detail = detail
        self.inner = inner

    def body(self) -> dict[str, Any]:
        """Return the error as JSON, its ``additionalInfo`` in the order that Azure keeps."""
        details = []
        if self.detail:
            code, message = self.detail
            details.append({"code": code, "message": message, "details": [], "additionalInfo": []})
        correlation = {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)}
        info: dict[str, Any] = {
            "ComponentName": "managementfrontend",
            "Correlation": correlation,
            "Environment": "local",
            "Location": "local",
            "Time": datetime.datetime.now(datetime.UTC).isoformat(),
        }
        if self.inner:
            info["InnerError"] = inner_error(self.inner)
        return {
            **super().body(),
            "details": details,
            "additionalInfo": [{"type": name, "info": {"value": value}} for name, value in info.items()],
        }


def authorization_failed(object_id: str, action: str, scope: str) -> AzureError:
    """Return Resource Manager's 403: whoever has the object id may not do ``action`` over ``scope``."""
    return AzureError(
        403,
        "AuthorizationFailed",
        f"The client '{object_id}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
        headers={"x-ms-failure-cause": "gateway"},
    )


def lacks_permission(object_id: str, action: str, scope: str) -> str:
    """Return what Azure ML's data plane says in its 403s: whoever has the object id may not do ``action`` there."""
    return (
        f"The client '{object_id}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}'."
    )


def inner_error(codes: tuple[str, ...]) -> dict[str, Any] | None:
    """Return codes as Azure ML nests them, the first outermost."""
    return {"code": codes[0], "innerError": inner_error(codes[1:])} if codes else None


def is_out_of_space(error: BaseException) -> bool:
    """Say whether something could not be written because the disk, or what the user may take of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        # An extended code's lowest byte is its kind; where there is no room for its shared memory, SQLite says IOERR.
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def said(error: AzureError) -> str:
    """Return what an error says: the frontend says what is not found in the error's only detail."""
    detail = getattr(error, "detail", None)
    return str(detail[1]) if detail else error.message


def insufficient_storage() -> AzureError:
    """Return what a change is answered while the disk is full (RFC 4918, 11.5).

    azure-core repeats a 507 ten times, for minutes: it is asked to do so quickly, so that the user hears of it.
    """
    return AzureError(507, "InsufficientStorage", NO_SPACE, headers={"x-ms-retry-after-ms": "50"})


def invalid_inference_request(message: str, status: int = 400) -> FrontendError:
    """Return the error of the service behind online endpoints: ASP.NET's problem details in the frontend's error."""
    problem = {"errors": {"": [message]}, "title": "One or more validation errors occurred."}
    return FrontendError(
        status, "BadRequest", "The request is invalid.", detail=("InferencingClientCallFailed", json.dumps(problem))
    )


def endpoint_not_found() -> FrontendError:
    """Return the 404 of an endpoint or deployment, online or batch, that does not exist."""
    return FrontendError(
        404,
        "NotFound",
        "The specified resource was not found.",
        detail=("InferencingClientCallFailed", '{"title":"Not Found"}'),
    )


def missing_driver_program() -> FrontendError:
    """Return the 400 of a deployment, online or batch, that has no scoring script and needs one."""
    return FrontendError(
        400,
        "BadRequest",
        "The request is invalid.",
        detail=("MissingDriverProgram", "Could not find driver program in the request."),
    )


def invalid_batch_request(kind: str, member: str, message: str, value: Any) -> FrontendError:
    """Return the frontend's error about one member of a batch endpoint or deployment.

    Its frame is that in https://github.com/Azure/azure-sdk-for-python/issues/41586.

    Args:
        kind: ``Endpoint`` or ``Deployment``.
        member: e.g. ``Defaults.DeploymentName``.
        message: what is wrong, and what would be right.
        value: that was sent.
    """
    error = {"PropertyName": member, "ErrorMessage": message, "AttemptedValue": value}
    errors = json.dumps([{**error, "ErrorCode": "PredicateValidator"}], indent=1)
    return FrontendError(
        400,
        "UserError",
        f"The {kind} request provided has the following validation errors. Please resolve them and try again. Errors: "
        f"{errors}",
        target=member,
    )


def invalid_deployment(member: str, message: str) -> FrontendError:
    """Return that service's error about one member of a deployment that is to be created.

    Its words are those in https://github.com/MicrosoftLearning/mslearn-azure-ml/issues/30.
    """
    problem = {
        "errors": {member: [message]},
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "traceId": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
    }
    detail = f"InferencingClient HttpRequest error, error detail: {json.dumps(problem)}"
    return FrontendError(
        400, "BadRequest", "The request is invalid.", detail=("InferencingClientCreateDeploymentFailed", detail)
    )
