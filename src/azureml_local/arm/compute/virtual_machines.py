"""Attached virtual machines: somebody's own machine, on which jobs run over SSH, one at a time.

https://learn.microsoft.com/azure/machine-learning/v1/how-to-attach-compute-targets#remote-virtual-machines

azure-ai-ml sends the virtual machine's resource id, an SSH port and who logs on, but no address: Azure finds that by
the id. As there is no virtual machine behind an id here, its last part, the machine's name, is the host name, as in
``ssh NAME``. Who sends the OpenAPI's ``address`` as well names the host by that.
"""

from __future__ import annotations

import re
from typing import Any

from azureml_local.arm.compute import compute_nodes, computes
from azureml_local.arm.compute.computes import ProvisioningError
from azureml_local.arm.context import Context
from azureml_local.arm.request import ArmRequest
from azureml_local.engines.compute.pool import Pool, Scale
from azureml_local.engines.ssh.machine import Machine, MachineError, host_key, readable_key
from azureml_local.engines.ssh.session import Session
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource

COMPUTE_TYPE = "VirtualMachine"
RESOURCE_ID = re.compile(
    r"/subscriptions/[^/\s]+/resourceGroups/[^/\s]+/providers/Microsoft\.Compute/virtualMachines/(?P<name>[^/\s]+)",
    re.IGNORECASE,
)
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
DEFAULT_PORT = 22  # VirtualMachineSshSettings of azure-ai-ml
# One node of the service's own drives the machine, and is kept for the next job a while, as a cluster's is by default.
DRIVER = Scale(0, 1, 120.0)
PATH = "properties.properties"
SECRETS = ("password", "privateKeyData")
LACKING = {"isNotebookInstanceCompute": bool, "notebookServerPort": lambda value: value is not None}


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what is stored of a request for a virtual machine; its secrets are kept apart."""
    request.refuse_lacking(LACKING, PATH)
    sent = request.properties.get("properties") or {}
    stored = known.properties["properties"] if known else {}
    account = sent.get("administratorAccount") or {}
    username = account.get("username") or stored.get("username")
    if not username:
        raise _bad("administratorAccount.username is missing; it must be the user who logs on.", "administratorAccount")
    port = sent.get("sshPort") or stored.get("sshPort") or DEFAULT_PORT
    if not 0 < port < 65536:
        raise _bad(f"sshPort is {port}; it must be from 1 to 65535.", "sshPort")
    address = _address(request, known, sent.get("address"))
    is_elsewhere = (address, port) != (stored.get("address"), stored.get("sshPort"))
    _require_secret(request, is_elsewhere=is_elsewhere)
    return {
        "virtualMachineSize": sent.get("virtualMachineSize"),
        "sshPort": port,
        "address": address,
        "username": username,
        "publicKeyData": account.get("publicKeyData"),
        # Trusted for a host and a port, as in OpenSSH's known_hosts: who names another place attaches anew.
        "hostKey": None if is_elsewhere else stored.get("hostKey"),
    }


def _require_secret(request: ArmRequest, *, is_elsewhere: bool) -> None:
    """Raise 400 where neither the request nor the store has a secret; a stored one is for the place it was sent for."""
    stored = request.context.store.get_secret(computes.COMPUTE.format(**request.params))
    if secrets(request) is None and (is_elsewhere or stored is None):
        raise _bad(
            "administratorAccount has neither a password nor privateKeyData; it must have one of them, also where the "
            "address or the port changes.",
            "administratorAccount",
        )


def _address(request: ArmRequest, known: Resource | None, sent: str | None) -> str:
    """Return the machine's host name or address: what was sent as such, or the name in its resource id."""
    resource_id = request.properties.get("resourceId") or (known and known.properties["resourceId"]) or ""
    named = RESOURCE_ID.fullmatch(resource_id)
    if named is None:
        raise computes.bad_request(
            f"properties.resourceId is {resource_id!r}; it must be the id of a virtual machine, /subscriptions/"
            "<subscription>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>.",
            "properties.resourceId",
        )
    address = sent or named["name"]
    if not HOST.fullmatch(address):
        raise _bad(f"address is {address!r}; it must be a host name or an IP address.", "address")
    return address


def secrets(request: ArmRequest) -> dict[str, Any] | None:
    """Return the password or the private key; None where neither was sent, as azure-ai-ml does of what it got."""
    account = (request.properties.get("properties") or {}).get("administratorAccount") or {}
    found = {name: account[name] for name in SECRETS if account.get(name)}
    if "privateKeyData" in found:
        try:
            readable_key(found["privateKeyData"])
        except MachineError as error:
            member = "administratorAccount.privateKeyData"
            raise _bad(f"{member} cannot be used: {error}.", member) from error
    return found or None


def _bad(message: str, member: str) -> AzureError:
    return computes.bad_request(f"{PATH}.{message}", f"{PATH}.{member}")


async def provision(context: Context, compute: Resource) -> None:
    """Log on to a machine, and trust its host key where none is trusted yet.

    So does Azure: "Connection failed to establish within 30000 milliseconds" is what an attachment fails with in
    https://github.com/Azure/MachineLearningNotebooks/issues/251.
    """
    try:
        async with await Session.open(machine(context, compute)) as session:
            key = host_key(session.connection)
    except MachineError as error:
        raise ProvisioningError(error.code, str(error)) from error
    now = context.store.get(compute.id) or compute
    context.store.save(now.with_properties(properties={**now.properties["properties"], "hostKey": key}))


def machine(context: Context, compute: Resource) -> Machine:
    """Return what the service connects to."""
    stored, secret = compute.properties["properties"], context.store.get_secret(compute.id) or {}
    return Machine(
        name=compute.name,
        host=stored["address"],
        port=stored["sshPort"],
        user=stored["username"],
        password=secret.get("password"),
        private_key=secret.get("privateKeyData"),
        host_key=stored["hostKey"],
    )


def open_pool(context: Context, compute: Resource) -> Pool:
    """Return the pool of the one node that drives a machine: a second job waits for the first."""
    return context.pools.set(compute.id, DRIVER, lambda: 1, compute_nodes.NodeEvents(context, compute.id))


def shown(_: Context, compute: Resource) -> dict[str, Any]:
    """Return a machine's inner properties, without its secrets."""
    stored = compute.properties["properties"]
    account = {"username": stored["username"], "publicKeyData": stored["publicKeyData"]}
    return {
        "virtualMachineSize": stored["virtualMachineSize"],
        "sshPort": stored["sshPort"],
        "address": stored["address"],
        "administratorAccount": account,
    }


def keys(context: Context, compute: Resource) -> dict[str, Any]:
    """Return who logs on to a machine, and with what: the OpenAPI's ``VirtualMachineSecrets``."""
    secret = context.store.get_secret(compute.id) or {}
    stored = compute.properties["properties"]
    return {
        "administratorAccount": {
            "username": stored["username"],
            "password": secret.get("password"),
            "publicKeyData": stored["publicKeyData"],
            "privateKeyData": secret.get("privateKeyData"),
        }
    }


computes.KINDS[COMPUTE_TYPE] = computes.Kind(
    computes.SHORT_NAME_RULE, settings, provision, shown, open_pool, secrets=secrets, keys=keys, is_attached=True
)
