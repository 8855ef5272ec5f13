"""Azure's rules for names, each with the sentence that Azure's documentation gives for it."""

from __future__ import annotations

import re

from azureml_local.http.errors import AzureError, invalid_inference_request

# The pattern of these path parameters in the public OpenAPI (mfe.json): name, version.
ASSET = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}$")
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
ENDPOINT = re.compile(r"^[a-zA-Z]([-a-zA-Z0-9]{1,30})[a-zA-Z0-9]$")


def require_asset_name(name: str, what: str) -> None:
    """Raise 400 where ``name`` is none for an asset, or for an asset's version."""
    if not ASSET.fullmatch(name):
        raise AzureError(
            400,
            "InvalidResourceName",
            f"{what} name '{name}' is invalid. It must have 1 to 255 characters, start with a letter or digit and hold "
            "only letters, digits, '-', '_' and '.'.",
            target="name",
        )


def require_endpoint_name(name: str, what: str) -> None:
    """Raise 400 where ``name`` is none for an endpoint, or for a deployment."""
    if not ENDPOINT.fullmatch(name):
        raise invalid_inference_request(
            f"{what} name '{name}' is invalid. It must have 3 to 32 characters, start with a letter, end with a letter "
            "or digit and hold only letters, digits and '-'."
        )
