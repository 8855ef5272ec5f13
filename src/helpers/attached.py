"""What a lesson attaches to a workspace, and what has to be there first: a virtual machine, a Databricks workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.credentials import RESOURCE_MANAGER, resource_manager_token
from helpers.ssh_host import SshHost, start_ssh_host
from helpers.waiting import wait_until

if TYPE_CHECKING:
    import requests
    from azure.ai.ml import MLClient

API = {"api-version": "2024-05-01"}  # of Microsoft.Databricks
SECONDS = 60


@dataclass(frozen=True)
class VirtualMachine:
    """A Linux machine, by what attaching it asks for. ``host`` is the notebook's own, where it is one."""

    resource_id: str
    user: str
    port: int
    private_key_file: str
    host: SshHost | None = None

    def remove(self) -> None:
        """End the machine where it is the notebook's own; somebody else's stays as it is."""
        if self.host:
            self.host.remove()


def virtual_machine(
    backend: str, ml_client: MLClient, resource_id: str = "", user: str = "", private_key_file: str = "", port: int = 22
) -> VirtualMachine:
    """Return a machine to attach: yours, or on this machine a small SSH server of this notebook's own in its place.

    Args:
        backend: ``"local"``, or ``"azure"``, where the machine has to be yours.
        ml_client: the connected workspace.
        resource_id: the id of your virtual machine; empty for none.
        user: who logs on to it.
        private_key_file: with this key.
        port: of its SSH server.

    Raises:
        ValueError: on Azure, or where an id is given, one of the three is missing.
    """
    given = (resource_id, user, private_key_file)
    if all(given):
        return VirtualMachine(resource_id, user, port, private_key_file)
    if backend == "azure" or any(given):
        raise ValueError(
            "This needs a virtual machine of yours: set vm_resource_id, vm_user and vm_private_key_file in the "
            "parameters cell. Its SSH port has to be open for Azure ML."
        )
    print("An SSH server of this notebook's own, on this machine, stands in for a virtual machine.")
    host = start_ssh_host()
    group = f"/subscriptions/{ml_client.subscription_id}/resourceGroups/{ml_client.resource_group_name}"
    here = f"{group}/providers/Microsoft.Compute/virtualMachines/localhost"
    return VirtualMachine(here, host.user, host.port, str(host.private_key_file), host)


@dataclass(frozen=True)
class DatabricksWorkspace:
    """A Databricks workspace: its resource id, and where it is reached."""

    resource_id: str
    url: str

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        _call("DELETE", self.resource_id)
        wait_until(lambda: _call("GET", self.resource_id).status_code == 404, "delete Databricks", on_azure="2 minutes")


def databricks_workspace(ml_client: MLClient, name: str) -> DatabricksWorkspace:
    """Make a Databricks workspace beside that of Azure ML. It costs nothing for as long as no cluster runs in it.

    Args:
        ml_client: the connected workspace.
        name: what it is to be called.
    """
    group = f"/subscriptions/{ml_client.subscription_id}/resourceGroups/{ml_client.resource_group_name}"
    resource_id = f"{group}/providers/Microsoft.Databricks/workspaces/{name}"
    location = ml_client.workspaces.get(ml_client.workspace_name).location
    managed = f"/subscriptions/{ml_client.subscription_id}/resourceGroups/{name}-managed"
    body = {"location": location, "sku": {"name": "premium"}, "properties": {"managedResourceGroupId": managed}}
    _call("PUT", resource_id, body).raise_for_status()

    def properties() -> dict[str, Any]:
        found: dict[str, Any] = _call("GET", resource_id).json()["properties"]
        return found

    wait_until(lambda: properties()["provisioningState"] == "Succeeded", "make Databricks", on_azure="3 minutes")
    return DatabricksWorkspace(resource_id, f"https://{properties()['workspaceUrl']}")


def _call(method: str, resource_id: str, body: Any = None) -> requests.Response:
    """Call Resource Manager: no SDK of this workbook has the resource."""
    import requests

    headers = {"Authorization": f"Bearer {resource_manager_token()}"}
    url = RESOURCE_MANAGER + resource_id
    return requests.request(method, url, json=body, params=API, headers=headers, timeout=SECONDS)
