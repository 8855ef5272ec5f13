"""Azure's rules for names, each with the sentence that Azure's documentation gives for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from azureml_local.http.errors import AzureError, invalid_inference_request

# The pattern of these path parameters in the public OpenAPI (mfe.json): name, version.
ASSET = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}$")
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
ENDPOINT = re.compile(r"^[a-zA-Z]([-a-zA-Z0-9]{1,30})[a-zA-Z0-9]$")
LOCATION = re.compile(r"[a-z][a-z0-9]{2,30}")

# https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
MOST_TAGS = 50
LONGEST_TAG_NAME = 512
LONGEST_TAG_VALUE = 256
RESERVED_IN_TAGS = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")


def require_tags(tags: Mapping[str, str] | None) -> None:
    """Raise 400 where Resource Manager does not take the tags of a workspace, an endpoint or a deployment.

    The tags of assets are Azure ML's own: no limit is documented for them.
    """
    tags = tags or {}
    if len(tags) > MOST_TAGS:
        raise _bad_tags("InvalidTags", f"A resource has at most {MOST_TAGS} tags, not {len(tags)}.")
    reserved = [name for name in tags if RESERVED_IN_TAGS.search(name)]
    if reserved:
        names = f"The tag names '{', '.join(reserved)[:LONGEST_TAG_NAME]}'"
        message = f"{names} have reserved characters '<,>,%,&,\\,?,/' or control characters."
        raise _bad_tags("InvalidTagNameCharacters", message)
    for name, value in tags.items():
        if not 0 < len(name) <= LONGEST_TAG_NAME:
            message = f"The tag name '{name[:64]}' has {len(name)} characters; it must have 1 to {LONGEST_TAG_NAME}."
            raise _bad_tags("InvalidTagName", message)
        if len(value or "") > LONGEST_TAG_VALUE:
            message = f"The value of the tag '{name}' has {len(value)} characters; it must have at most "
            raise _bad_tags("InvalidTagValue", f"{message}{LONGEST_TAG_VALUE}.")


def _bad_tags(code: str, message: str) -> AzureError:
    return AzureError(400, code, message, target="tags")


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


def require_location(name: str) -> str:
    """Return a region's name as Azure writes it (``East US`` is ``eastus``); raise 400 where it cannot be one."""
    location = name.replace(" ", "").lower()
    if not LOCATION.fullmatch(location):
        raise AzureError(400, "LocationNotAvailableForResourceType", f"'{location}' is no location of Azure's.")
    return location
