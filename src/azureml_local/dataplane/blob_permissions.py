"""What a request to blob storage needs permission for.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-calling-data-operations
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from azureml_local.identity.roles import BLOBS

WRITES = frozenset(("PUT", "POST", "PATCH"))
# What is asked of the account, a container or a blob by ``comp``, where the verb is not what the method says:
# for requests that read, and for those that change something.
VERBS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("", "list"): ("containers/read", "containers/read"),
    ("", "userdelegationkey"): ("generateUserDelegationKey/action",) * 2,
    ("", "batch"): ("containers/blobs/delete",) * 2,
    ("", "blobs"): ("containers/blobs/filter/action",) * 2,
    ("containers", "list"): ("containers/blobs/read", "containers/blobs/read"),
    ("containers", "blobs"): ("containers/blobs/filter/action",) * 2,
    ("containers", "batch"): ("containers/blobs/delete",) * 2,
    ("containers", "acl"): ("containers/getAcl/action", "containers/setAcl/action"),
    ("containers/blobs", "tags"): ("containers/blobs/tags/read", "containers/blobs/tags/write"),
    ("containers/blobs", "query"): ("containers/blobs/read", "containers/blobs/read"),
}


@dataclass(frozen=True)
class Permission:
    """An action, whether it is one on data, and the end of the id of its scope ('' for the account itself)."""

    action: str
    data: bool
    scope: str


def needed(method: str, target: str, copy_source: str | None) -> list[Permission]:
    """Return what a request needs.

    Args:
        method: its method.
        target: its path and query, percent-encoded.
        copy_source: where it copies from, if that is on the same account and without a signature of its own.
    """
    parts = urlsplit(target)
    query = {name.lower(): value.lower() for name, value in parse_qsl(parts.query)}
    container, _, blob = unquote(parts.path).lstrip("/").partition("/")
    if query.get("restype") == "container" and not blob:
        level = "containers"
    elif not container:
        level = ""
    else:
        level = "containers/blobs"
    changes = method in WRITES
    by_method = "delete" if method == "DELETE" else "write" if changes else "read"
    reading, writing = VERBS.get((level, query.get("comp", "")), ("", ""))
    verb = (writing if changes else reading) or f"{level}/{by_method}".lstrip("/")
    # A path of one segment is a blob of the root container, or a container.
    asked = [_permission(verb, container if blob or level != "containers/blobs" else "$root")]
    if copy_source is not None:
        source = unquote(urlsplit(copy_source).path).lstrip("/").partition("/")[0]
        asked.append(_permission("containers/blobs/read", source))
    return asked


def _permission(verb: str, container: str) -> Permission:
    scope = f"/blobServices/default/containers/{container}" if container else ""
    return Permission(f"{BLOBS}/{verb}", verb.startswith("containers/blobs/"), scope)
