"""What a stored job is to run: every id in it resolved to a place in storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from azureml_local.arm import ids
from azureml_local.arm.assets import assets, codes
from azureml_local.arm.compute import virtual_machines
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.jobs import job_places, lineage, parallel_specs
from azureml_local.arm.jobs.job_computes import DEFAULT_SIZE
from azureml_local.arm.storage.storage_locations import locate
from azureml_local.edge import hosts
from azureml_local.engines.jobs.spec import CommandSpec, Distribution, Input, InputMode, Output, OutputMode
from azureml_local.engines.ssh.machine import Machine
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Resource

LITERAL = "literal"
MODELS = ("custom_model", "mlflow_model", "triton_model")  # others are data
URI_OF = {"models": "modelUri", "data": "dataUri"}  # the member of an asset that says where its files lie


def command_spec(context: Context, job: Resource) -> CommandSpec:
    """Return what a command job, or a parallel one, is to run.

    Raises:
        AzureError: what it names does not exist, or the settings of a parallel job are wrong.
    """
    properties = job.properties
    workspace_id = ids.workspace_of(job.id)
    vm_size = _vm_size(context, job)
    parallel = parallel_specs.task(job, vm_size)
    limits = properties["limits"] or {}
    machine = _machine(context, job)
    if machine and (parallel or (properties["distribution"] or {}).get("distributionType")):
        kind = "parallel" if parallel else "distributed"
        raise AzureError(
            501, "NotImplemented", f"azureml-local runs no {kind} jobs on an attached virtual machine, {machine}."
        )
    return CommandSpec(
        id=job.id,
        job=job.name,
        command="" if parallel else properties["command"],
        code=_code(context, workspace_id, properties["codeId"]),
        environment=assets.environment(context, properties["environmentId"]),
        environment_variables=properties["environmentVariables"],
        inputs={
            name: replace(
                _input(context, workspace_id, given), keeps_name=parallel is not None and name == parallel.model
            )
            for name, given in parallel_specs.inputs(job).items()
        },
        outputs=outputs(context, job),
        artifacts=job_places.artifacts(job.name),
        variables=_variables(workspace_id, job),
        vm_size=vm_size,
        distribution=_distribution(properties),
        timeout=seconds(limits["timeout"]) if limits.get("timeout") else None,
        parallel=parallel,
        machine=machine,
    )


def outputs(context: Context, job: Resource) -> dict[str, Output]:
    """Return where in storage a job's outputs go, by name.

    Raises:
        AzureError: a datastore does not exist.
    """
    return {
        name: _output(context, ids.workspace_of(job.id), job, name, given)
        for name, given in job.properties["outputs"].items()
        if name != job_places.DEFAULT
    }


def plural_of(kind: str) -> str:
    """Return where assets of a type are kept, e.g. ``data`` for ``uri_folder``."""
    return "models" if kind in MODELS else "data"


def resolve_input(context: Context, workspace_id: str, given: Mapping[str, Any]) -> str:
    """Return the URI of an input's files, which may be given as an asset's id, whole or short.

    Raises:
        AzureError: there is no such asset.
    """
    uri: str = given["uri"]
    plural = plural_of(given["jobInputType"])
    short = ids.parse_short_asset(uri)
    if short:
        by = f"versions/{short['version']}" if short["version"] else f"labels/{short['label']}"
        uri = f"{workspace_id}/{plural}/{short['name']}/{by}"
    if ids.parse_internal_asset(uri):
        return str(resolve_internal(context, workspace_id, uri, plural).properties[URI_OF[plural]])
    if ids.parse_asset(uri):
        return str(assets.resolve(context, uri, plural).properties[URI_OF[plural]])
    return uri


def resolve_internal(context: Context, workspace_id: str, asset_id: str, plural: str) -> Resource:
    """Return the asset of a workspace that an id of run history's names.

    Raises:
        FrontendError: there is no such asset in this workspace.
    """
    found = ids.parse_internal_asset(asset_id)
    workspace = context.store.get(workspace_id)
    guid = workspace.properties["workspaceId"] if workspace else None
    if found is None or (found["guid"].lower(), found["kind"].lower()) != (guid, plural):
        raise FrontendError(404, "UserError", f"There is no asset {asset_id}.", inner=("NotFoundError",))
    return assets.resolve(context, f"{workspace_id}/{plural}/{found['name']}/versions/{found['version']}", plural)


def _code(context: Context, workspace_id: str, code_id: str | None) -> Any:
    if code_id is None:
        return None
    return locate(context, workspace_id, codes.resolve(context, code_id).properties["codeUri"])


def _variables(workspace_id: str, job: Resource) -> Mapping[str, str]:
    """Return what Azure ML tells every job of itself in its environment."""
    experiment = job.properties["experimentName"]
    _, _, subscription, _, group, *_ = workspace_id.split("/")
    return {
        "AZUREML_ARM_SUBSCRIPTION": subscription,
        "AZUREML_ARM_RESOURCEGROUP": group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace_id.rpartition("/")[2],
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_EXPERIMENT_SCOPE": f"{workspace_id}/experiments/{experiment}",
        "AZUREML_WORKSPACE_SCOPE": workspace_id,
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": lineage.root(job),
    }


def _machine(context: Context, job: Resource) -> Machine | None:
    """Return the attached machine that a job's processes run on, if it is to run on one."""
    compute = context.store.get(job.properties["computeId"]) if job.properties["computeId"] else None
    if compute is None or compute.properties["computeType"] != virtual_machines.COMPUTE_TYPE:
        return None
    return virtual_machines.machine(context, compute)


def _vm_size(context: Context, job: Resource) -> str:
    """Return the size of the job's nodes."""
    compute = context.store.get(job.properties["computeId"]) if job.properties["computeId"] else None
    if compute is None:
        return job.properties["resources"]["instanceType"] or DEFAULT_SIZE
    return compute.properties["properties"].get("vmSize") or ""


def _distribution(properties: Mapping[str, Any]) -> Distribution:
    given = properties["distribution"] or {}
    return Distribution(
        kind=given.get("distributionType"),
        instances=properties["resources"]["instanceCount"],
        processes=given.get("processCountPerInstance") or 1,
        workers=given.get("workerCount") or 0,
        parameter_servers=given.get("parameterServerCount") or 0,
    )


def _input(context: Context, workspace_id: str, given: Mapping[str, Any]) -> Input:
    if given["jobInputType"] == LITERAL:
        return Input(literal=given["value"])
    uri, mode = resolve_input(context, workspace_id, given), InputMode(given["mode"])
    if is_public(uri):
        return Input(uri=uri, mode=mode)
    return Input(source=locate(context, workspace_id, uri), uri=uri, mode=mode)


def is_public(uri: str) -> bool:
    """Say whether a URI is an address on the Internet that is not Azure's."""
    try:
        address = urlsplit(uri)
    except ValueError:  # such as https://[
        return False
    return address.scheme in ("http", "https") and not hosts.is_azure(address.hostname or "")


def _output(context: Context, workspace_id: str, job: Resource, name: str, given: Mapping[str, Any]) -> Output:
    uri = job_places.output_uri(job, name) or ""
    return Output(
        target=locate(context, workspace_id, uri),
        uri=uri,
        is_file=given["jobOutputType"] == "uri_file",
        mode=OutputMode(given["mode"]),
    )
