"""Command jobs that name a component by ``componentId``: what they leave out is the component's.

https://learn.microsoft.com/rest/api/azureml/jobs/create-or-update (CommandJob)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azureml_local.arm.jobs import job_requests
from azureml_local.arm.pipelines import components, requests, settings
from azureml_local.arm.pipelines.nodes import COMMAND, of_command
from azureml_local.arm.request import ArmRequest

# Of whose members each is given by the job, or else by the component.
MERGED = ("environmentVariables", "resources", "limits", "queueSettings", "outputs")


def complete(request: ArmRequest) -> None:
    """Give the body of a command job, as it was sent, what it has of its component.

    Raises:
        AzureError: 400 where there is no such component of commands, or an input does not fit it.
    """
    sent = request.body.get("properties")
    if not isinstance(sent, dict) or str(sent.get("jobType")).lower() != COMMAND or not sent.get("componentId"):
        return
    spec = components.resolve(request.context, request.workspace_id, sent)
    requests.require_specification(spec, COMMAND)
    request.body["properties"] = _merged({**_of_component(spec), "componentId": spec["id"]}, sent)
    job_requests.read(request)
    given = requests.given_to(spec, request.properties.get("inputs") or {})
    inputs = requests.defaults(given, request.properties.get("inputs") or {})
    request.properties["inputs"] = inputs | (request.properties.get("inputs") or {})


def _of_component(spec: Mapping[str, Any]) -> dict[str, Any]:
    found = {**settings.of_step({}, spec), **of_command(spec), "outputs": requests.declared_outputs(spec)}
    return {name: value for name, value in found.items() if value}


def _merged(component: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in sent.items() if value is not None}
    both = [name for name in MERGED if isinstance(given.get(name), dict) and name in component]
    return {
        **component,
        **given,
        **{name: {**component[name], **given[name]} for name in both},
        "componentId": component["componentId"],
    }
