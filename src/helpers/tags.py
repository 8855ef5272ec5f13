"""Tags on what a lesson makes: by which run, in which lesson, since when. ``python -m course.sweep`` goes by them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

RUN, LESSON, STARTED = "azureml-workbook-run", "azureml-workbook-lesson", "azureml-workbook-started"
# Set by who runs lessons unattended.
RUN_VARIABLE, LESSON_VARIABLE = "AZUREML_WORKBOOK_RUN", "AZUREML_WORKBOOK_LESSON"
BY_HAND = "by-hand"  # the run of a lesson that somebody works through
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"  # Jupyter's own: the notebook's path
LONGEST_VALUE = 256  # characters; Azure's limit for a tag's value
# Where a resource keeps its tags, by the end of its address: whole resources beside their properties, the others in
# them. https://learn.microsoft.com/azure/templates/microsoft.machinelearningservices/allversions
_IN_WORKSPACE = r"/microsoft\.machinelearningservices/workspaces/[^/]+"
_BESIDE_PROPERTIES = re.compile(
    rf"(?:{_IN_WORKSPACE}/(?:computes|(?:online|batch)endpoints(?:/[^/]+/deployments)?)"
    r"|/microsoft\.machinelearningservices/registries)/[^/]+$",
    re.IGNORECASE,
)
_IN_PROPERTIES = re.compile(
    rf"{_IN_WORKSPACE}/(?:(?:jobs|schedules)/[^/]+|(?:models|data|components|environments)/[^/]+/versions/[^/]+)$",
    re.IGNORECASE,
)
_started = datetime.now(UTC).isoformat(timespec="seconds")


def tags(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the tags of what this process makes."""
    notebook = PurePosixPath(environment.get(NOTEBOOK_VARIABLE, "unknown")).stem
    values = {
        RUN: environment.get(RUN_VARIABLE, BY_HAND),
        LESSON: environment.get(LESSON_VARIABLE, notebook),
        STARTED: _started,
    }
    return {name: value[:LONGEST_VALUE] for name, value in values.items()}


def tag(request: Any) -> None:
    """Add the tags to what a request makes or changes; leave every other request as it is.

    Args:
        request: an ``azure.core.pipeline.PipelineRequest``, as it comes to a client's ``raw_request_hook``.
    """
    http = request.http_request
    path = urlsplit(http.url).path
    if http.method != "PUT" or not (_BESIDE_PROPERTIES.search(path) or _IN_PROPERTIES.search(path)):
        return
    body = json.loads(http.body)
    for holder in [body] if _BESIDE_PROPERTIES.search(path) else _with_tags(body["properties"]):
        holder["tags"] = {**(holder.get("tags") or {}), **tags()}
    http.set_json_body(body)


def _with_tags(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what keeps tags of its own: an asset, a job; with a schedule the jobs, too, that it will make."""
    if properties.get("isAnonymous"):
        return []  # named by its content, and so another run's as well
    made = properties.get("action", {}).get("jobDefinition")
    return [properties, made] if made else [properties]
