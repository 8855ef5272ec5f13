"""The inputs and outputs of jobs: from the form in which they are sent into the one in which they are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azureml_local.arm.jobs import job_places
from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.jobs.parallel_specs import TABLES
from azureml_local.arm.jobs.refusals import lacking, user_error
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.process_texts import require_text
from azureml_local.engines.jobs.spec import InputMode, OutputMode, TableMode
from azureml_local.http.errors import AzureError

# What azure-ai-ml lets through (entities/_job/_input_output_helpers.py, validate_key_contains_allowed_characters), also
# with dots, as it names the members of groups (validate_pipeline_input_key_characters).
IO_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def job_input(name: str, given: Mapping[str, Any], may_be_table: bool = False) -> dict[str, Any]:
    """Return an input as it is stored. Raises AzureError where it is none, or none that is served.

    Args:
        name: the input's.
        given: as it was sent.
        may_be_table: it may be an MLTable in a mode that only parallel jobs know.
    """
    _require_io_name("input", name)
    kind, where = given["jobInputType"], f"properties.inputs.{name}"
    if kind == LITERAL:
        value = require_text(given["value"], f"{where}.value")
        return {"description": given.get("description"), "value": value, "jobInputType": kind}
    _refuse(given, "pathOnCompute", where)
    mode = given.get("mode") or InputMode.MOUNT
    if mode not in (*InputMode, *(TableMode if may_be_table and kind == TABLES else ())):
        raise AzureError(501, "NotImplemented", f"azureml-local lacks {where}.mode = {mode}.", target=f"{where}.mode")
    return {
        "description": given.get("description"),
        "uri": require_text(given["uri"], f"{where}.uri"),
        "mode": mode,
        "jobInputType": kind,
    }


def outputs(sent: Mapping[str, Any], job: str) -> dict[str, Any]:
    """Return a job's outputs as they are stored, with the one that stands for its artifacts. Raises AzureError."""
    found = {name: job_output(name, given) for name, given in sent.items() if name != job_places.DEFAULT}
    # azure-ai-ml reads where the logs are from this address, and wants it without "paths" (_job_ops_helper.py).
    uri = job_places.artifacts_uri(job).replace("/paths/", "/", 1)
    found[job_places.DEFAULT] = {
        "description": None,
        "uri": uri,
        "assetName": None,
        "assetVersion": None,
        "mode": "ReadWriteMount",
        "jobOutputType": "uri_folder",
    }
    return found


def job_output(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an output as it is stored. Raises AzureError where it is none, or none that is served."""
    _require_io_name("output", name)
    where = f"properties.outputs.{name}"
    _refuse(given, "pathOnCompute", where)
    _refuse(given, "autoDeleteSetting", where)
    for member, what in (("assetName", "Asset"), ("assetVersion", "Version")):
        if given.get(member):
            require_asset_name(given[member], what)
    if given.get("assetVersion") and not given.get("assetName"):
        raise user_error(f"{where}.assetVersion is '{given['assetVersion']}', and {where}.assetName is missing.")
    return {
        "description": given.get("description"),
        "uri": require_text(given["uri"], f"{where}.uri") if given.get("uri") else None,
        "assetName": given.get("assetName"),
        "assetVersion": given.get("assetVersion"),
        "mode": given.get("mode") or OutputMode.MOUNT,
        "jobOutputType": given["jobOutputType"],
    }


def _refuse(given: Mapping[str, Any], member: str, where: str) -> None:
    if given.get(member):
        raise lacking(f"{where}.{member}")


def _require_io_name(what: str, name: str) -> None:
    if not IO_NAME.fullmatch(name):
        raise user_error(
            f"The {what} name '{name[:255]}' is invalid. It must have 1 to 255 characters, start with a letter or '_' "
            "and hold only letters, digits and '_'; there may be dots between such names."
        )
