"""What a request to blob storage needs permission for.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-calling-data-operations
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from azureml_local.identity.roles import BLOBS

CONTAINER = re.compile(r"\$?[a-z0-9][a-z0-9-]*")
SOURCE = re.compile(r"https?://[A-Za-z0-9.:-]+(/[^\\?#\s]*)(\?.*)?")
METHODS: Mapping[str, str] = {"GET": "read", "HEAD": "read", "DELETE": "delete"}  # others write
# What is asked of the account, a container or a blob by ``comp``, where the verb is not what the method says.
VERBS: Mapping[tuple[str, str, str], str] = {
    ("GET", "", "list"): "containers/read",
    ("GET", "", "blobs"): "containers/blobs/filter/action",
    ("POST", "", "userdelegationkey"): "generateUserDelegationKey/action",
    ("GET", "containers", "list"): "containers/blobs/read",
    ("GET", "containers", "blobs"): "containers/blobs/filter/action",
    ("GET", "containers", "acl"): "containers/getAcl/action",
    ("HEAD", "containers", "acl"): "containers/getAcl/action",
    ("PUT", "containers", "acl"): "containers/setAcl/action",
    ("GET", "containers/blobs", "tags"): "containers/blobs/tags/read",
    ("PUT", "containers/blobs", "tags"): "containers/blobs/tags/write",
    ("POST", "containers/blobs", "query"): "containers/blobs/read",
}


@dataclass(frozen=True)
class Permission:
    """An action, whether it is one on data, and the end of the id of its scope ('' for the account itself)."""

    action: str
    data: bool
    scope: str


def needed(method: str, target: str, copy_sources: Sequence[str]) -> list[Permission]:
    """Return what a request needs.

    Args:
        method: its method.
        target: its path and query, percent-encoded.
        copy_sources: the addresses that it copies from.
    """
    path, _, query_string = target.partition("?")
    pairs = parse_qsl(query_string, keep_blank_values=True)
    query = {name.lower(): value.lower() for name, value in pairs}
    container, blob = _names(path)
    if query.get("restype") == "container" and not blob:
        level = "containers"
    elif path == "/":
        level = ""
    else:
        level = "containers/blobs"
        container = container if blob else "$root"  # a path of one segment is a blob of the root container
    if len(query) < len(pairs):
        container = ""  # of a parameter that is given twice, Azurite could mean the other value: all must be allowed
    verb = VERBS.get((method, level, query.get("comp", ""))) or f"{level}/{METHODS.get(method, 'write')}".lstrip("/")
    sources = [_permission("containers/blobs/read", _source(address)) for address in copy_sources]
    return [_permission(verb, container), *sources]


def _names(path: str) -> tuple[str, str]:
    """Return the container and the blob in a path; no container where it is not plain, so that all must be allowed."""
    container, _, blob = unquote(path).removeprefix("/").partition("/")
    return (container, blob) if CONTAINER.fullmatch(container) else ("", blob or container)


def _source(address: str) -> str:
    """Return the container that an address is in; none where it could also be read as another."""
    return _names((source_target(address) or "").partition("?")[0])[0]


def source_target(address: str) -> str | None:
    """Return the path and query of a copy's source; None where it could also be read as another."""
    found = SOURCE.fullmatch(address)
    if found is None or {".", ".."} & set(unquote(found[1]).split("/")):
        return None
    return found[1] + (found[2] or "")


def _permission(verb: str, container: str) -> Permission:
    scope = f"/blobServices/default/containers/{container}" if container else ""
    return Permission(f"{BLOBS}/{verb}", verb.startswith("containers/blobs/"), scope)
