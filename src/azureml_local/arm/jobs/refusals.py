"""How a job is refused for what it asks for, where Azure's words are not known."""

from __future__ import annotations

from azureml_local.http.errors import AzureError, FrontendError


def user_error(message: str) -> FrontendError:
    """Return the frontend's 400."""
    return FrontendError(400, "UserError", message)


def lacking(where: str) -> AzureError:
    """Return the 501 of a member that asks for what azureml-local does not do."""
    return AzureError(501, "NotImplemented", f"azureml-local lacks {where}.", target=where)
