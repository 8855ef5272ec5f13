"""The shapes of what azure-ai-ml writes freely, and Azure's models leave open: nodes of pipelines, and components.

What is listed may be missing or ``null``; what is not listed may be anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from azureml_local.arm.pipelines.interfaces import InterfaceError

Shape = Any  # "text", "scalar", "list", {member: Shape}, or {EACH: Shape} for an object with members of any name
EACH = "*"
LONGEST_SHOWN = 60

_SETTINGS = {
    "distribution": {"type": "text"},
    "environment_variables": {EACH: "scalar"},
    "identity": dict.fromkeys(("type", "identity_type", "identityType"), "text"),
    "limits": {},
    "queue_settings": {},
    "resources": {"properties": {}},
    "retry_settings": {EACH: "scalar"},
    "task": {
        "code": "text",
        "entry_script": "text",
        "environment": "text",
        "program_arguments": "text",
        "append_row_to": "text",
        "model": "text",
    },
    "input_data": "text",
    "logging_level": "text",
    "error_threshold": "scalar",
    "mini_batch_error_threshold": "scalar",
    "mini_batch_size": "scalar",
    "max_concurrency_per_instance": "scalar",
}
_INPUT = {"job_input_type": "text", "mode": "text", "uri": "text", "value": "scalar"}
_OUTPUT = {"job_output_type": "text", "mode": "text", "uri": "text", "value": "text", "name": "text", "version": "text"}
NODE: Shape = {
    **_SETTINGS,
    "type": "text",
    "component": "text",
    "componentId": "text",
    "computeId": "text",
    "display_name": "text",
    "inputs": {EACH: _INPUT},
    "outputs": {EACH: _OUTPUT},
    "properties": {EACH: "scalar"},
    "tags": {EACH: "scalar"},
}
_DECLARED = {
    "type": "text",
    "mode": "text",
    "optional": "scalar",
    "default": "scalar",
    "min": "scalar",
    "max": "scalar",
    "enum": "list",
    "values": {},
}
SPECIFICATION: Shape = {
    **_SETTINGS,
    "type": "text",
    "command": "text",
    "code": "text",
    "description": "text",
    "environment": "text",
    "is_deterministic": "scalar",
    "inputs": {EACH: _DECLARED},
    "outputs": {EACH: {"type": "text", "mode": "text"}},
    "jobs": {EACH: {}},
}
_DECLARED["values"] = {EACH: _DECLARED}  # a group's members
_SCALARS = {"text": (str,), "scalar": (str, bool, int, float), "list": (list,)}
_NAMES = {"text": "text", "scalar": "text, a number, true or false", "list": "a list"}


def require(value: Any, shape: Shape, where: str) -> None:
    """Raise InterfaceError where a value, or something in it, is of another shape.

    Args:
        value: as sent.
        shape: its.
        where: what it is called.
    """
    if value is None:
        return
    if isinstance(shape, str):
        if not isinstance(value, _SCALARS[shape]):
            raise _wrong(value, _NAMES[shape], where)
        return
    if not isinstance(value, Mapping):
        raise _wrong(value, "an object", where)
    for name, item in value.items():
        of_member = shape.get(EACH, shape.get(name))
        if of_member is not None:
            require(item, of_member, f"{where}.{name}"[-200:])


def _wrong(value: Any, wanted: str, where: str) -> InterfaceError:
    shown = json.dumps(value)
    if len(shown) > LONGEST_SHOWN:
        shown = f"{shown[:LONGEST_SHOWN]}..."
    return InterfaceError(f"{where} is {shown}; it must be {wanted}")
