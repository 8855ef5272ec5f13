"""Errors in Databricks' own format, ``{"error_code", "message"}``.

https://docs.databricks.com/api/azure/workspace/introduction, and databricks-sdk's errors/platform.py, which makes
exceptions of the codes.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.http.errors import AzureError


class DatabricksError(AzureError):
    """An answer other than success. ``code`` is the ``error_code``; who is not known gets a number there."""

    def body(self) -> dict[str, Any]:
        """Return the error as JSON."""
        is_number = self.code.isdecimal()
        return {"error_code": int(self.code) if is_number else self.code, "message": self.message}

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        return JSONResponse(self.body(), self.status, headers=self.headers)


def invalid(message: str) -> DatabricksError:
    """Return the answer to a value that cannot be right."""
    return DatabricksError(400, "INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> DatabricksError:
    """Return the answer to a request for what does not exist."""
    return DatabricksError(404, "RESOURCE_DOES_NOT_EXIST", message)


def lacking(what: str) -> DatabricksError:
    """Return the answer to a request for what azureml-local does not do."""
    return DatabricksError(501, "NOT_IMPLEMENTED", f"azureml-local lacks {what} of Databricks.")


def not_signed_in() -> DatabricksError:
    """Return the answer to a request without a token that could be right."""
    # As in https://github.com/databricks/terraform-provider-databricks/issues/3383.
    message = "Credential was not sent or was of an unsupported type for this API."
    return DatabricksError(401, "401", message, headers={"X-Databricks-Reason-Phrase": message})


def wrong_token() -> DatabricksError:
    """Return the answer to a token that nobody has, or has no more."""
    # As recorded in https://github.com/databricks/databricks-sdk-go/issues/873.
    message = "Invalid access token."
    return DatabricksError(403, "403", message, headers={"X-Databricks-Reason-Phrase": message})


def not_a_user(caller: str) -> DatabricksError:
    """Return the answer to an identity that may not work in the workspace."""
    return DatabricksError(
        403,
        "PERMISSION_DENIED",
        f"User {caller} is not authorized: it must have the role Owner or Contributor on the workspace.",
    )
