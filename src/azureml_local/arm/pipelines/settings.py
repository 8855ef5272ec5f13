"""A step's settings, from the words of components and of azure-ai-ml's nodes into those of a job's REST form.

A node's settings stand before its component's. Where both say something of ``resources`` and the like, the node's
members stand before the component's, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

# Members that are numbers; a stored component has them as text.
COUNTS = ("instanceCount", "maxInstanceCount", "processCountPerInstance", "workerCount", "parameterServerCount")
MODES = {
    "mount": "ReadOnlyMount",
    "ro_mount": "ReadOnlyMount",
    "rw_mount": "ReadWriteMount",
    "download": "Download",
    "upload": "Upload",
    "direct": "Direct",
    "eval_mount": "EvalMount",
    "eval_download": "EvalDownload",
}
IDENTITIES = {
    "user_identity": "UserIdentity",
    "managed": "Managed",
    "managed_identity": "Managed",
    "aml_token": "AMLToken",
}


def of_step(node: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a job's ``properties`` that a node, or else its component, sets.

    Args:
        node: the step as azure-ai-ml sends it.
        spec: its component's specification.
    """
    found: dict[str, Any] = {
        "environmentVariables": {
            **(spec.get("environment_variables") or {}),
            **(node.get("environment_variables") or {}),
        }
    }
    for member, (name, read) in MEMBERS.items():
        given = {**read(spec.get(member) or {}), **read(node.get(member) or {})}
        if given:
            found[name] = given
    return found


def input_mode(word: str | None) -> str | None:
    """Return an input's mode in the words of REST; None where none is given."""
    return MODES.get(word.lower(), word) if word else None


def output_mode(word: str | None) -> str | None:
    """Return an output's mode in the words of REST; None where none is given."""
    return "ReadWriteMount" if word and word.lower() == "mount" else input_mode(word)


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return members by their names in REST, without those that have no value."""
    members = {_camel(name): value for name, value in given.items() if value not in (None, {})}
    return {name: _count(value) if name in COUNTS else value for name, value in members.items()}


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    members = _plain(given)
    if "properties" in members:
        members["properties"] = dict(members["properties"])
    return members


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return limits; a component's timeout is a number of seconds."""
    members = {"jobLimitsType": "Command", **_plain(given)} if given else {}
    timeout = members.get("timeout")
    if timeout is not None and re.fullmatch(r"\d+", str(timeout)):
        members["timeout"] = f"PT{timeout}S"
    return members


def _distribution(given: Mapping[str, Any]) -> dict[str, Any]:
    members = _plain(given)
    if "type" in members:
        members["distributionType"] = members.pop("type")
    return members


def _identity(given: Mapping[str, Any]) -> dict[str, Any]:
    members = _plain(given)
    kind = members.pop("type", None) or members.get("identityType")
    if kind:
        members["identityType"] = IDENTITIES.get(kind, kind)
    return members


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _count(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value


MEMBERS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "resources": ("resources", _resources),
    "limits": ("limits", _limits),
    "distribution": ("distribution", _distribution),
    "identity": ("identity", _identity),
    "queue_settings": ("queueSettings", _plain),
}
