"""Outputs of steps that are values, not data: a step's run says them, and other steps are given them as literals.

mldesigner writes what a function returns into the property ``azureml.pipeline.control`` of its run, in JSON by its
outputs' names (mldesigner/_component_executor.py, ``CONTROL_OUTPUTS_KEY``), beside a file with the value as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.store import Resource

PROPERTY = "azureml.pipeline.control"
KINDS = ("boolean", "integer", "number", "string")
# Any value can stand for a text; an integer is a number.
FITTING = {"integer": ("integer",), "number": ("integer", "number"), "boolean": ("boolean",)}


def job_output_type(kind: str) -> str:
    """Return of what type a job's output is whose component says ``kind``: a value lies in a file."""
    return "uri_file" if kind in KINDS else kind


def require_fitting(declared: str, kind: str) -> None:
    """Raise where values of a kind cannot stand for a declared one. Their names are of ``KINDS``."""
    if kind not in FITTING.get(declared, KINDS):
        raise InterfaceError(f"its type is {declared}, and it was given a value of the type {kind}")


def values(job: Resource) -> dict[str, str]:
    """Return the values that a job's run says, as texts by the names of its outputs."""
    try:
        said: Any = json.loads(job.properties["properties"].get(PROPERTY) or "{}")
    except ValueError:
        return {}
    return {name: str(value) for name, value in said.items()} if isinstance(said, dict) else {}


def promised(steps: Iterable[tuple[Resource, dict[str, str]]]) -> dict[str, str]:
    """Return the property of a pipeline's job that says the values that its steps have promised; none where none has.

    Args:
        steps: the jobs, and which of their outputs are which of the pipeline's.
    """
    found = {
        theirs: value
        for job, names in steps
        for name, value in values(job).items()
        if (theirs := names.get(name)) is not None
    }
    return {PROPERTY: json.dumps(found)} if found else {}
