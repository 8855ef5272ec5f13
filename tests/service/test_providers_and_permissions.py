"""What a pre-flight asks: which providers the subscription is registered for, and what the caller may do.

Truth comes from https://learn.microsoft.com/rest/api/resources/providers, from the table of what Azure ML needs
(https://github.com/MicrosoftDocs/azure-ai-docs, machine-learning/includes/machine-learning-resource-provider.md),
and from the official client for permissions.
"""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from support import Arm

from azureml_local import admin
from running_service import RunningService


def test_the_subscription_is_registered_for_what_is_served_and_no_more(arm: Arm) -> None:
    listed = {one["namespace"]: one for one in arm.get(f"{arm.subscription}/providers").json()["value"]}
    for needed in ("MachineLearningServices", "Storage", "ContainerRegistry", "KeyVault", "Databricks"):
        assert listed[f"Microsoft.{needed}"]["registrationState"] == "Registered"
    assert listed["Microsoft.ContainerService"]["registrationState"] == "NotRegistered"
    one = arm.get(f"{arm.subscription}/providers/microsoft.storage").json()
    assert one == listed["Microsoft.Storage"]
    assert (one["id"], one["registrationPolicy"]) == (
        f"{arm.subscription}/providers/Microsoft.Storage",
        "RegistrationRequired",
    )


def test_a_provider_that_azure_lacks_is_not_found(arm: Arm) -> None:
    answer = arm.get(f"{arm.subscription}/providers/Microsoft.Nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "InvalidResourceNamespace")


def test_the_owner_may_do_all(service: RunningService, credential: ClientSecretCredential) -> None:
    client = AuthorizationManagementClient(credential, service.settings.subscription_id)
    found = list(client.permissions.list_for_resource_group(service.settings.resource_group))
    assert any(one.actions == ["*"] and one.not_actions == [] for one in found)
    assert any("/blobs/write" in action for one in found for action in one.data_actions)


def test_permissions_are_those_of_the_roles_at_a_scope_and_above(arm: Arm, service: RunningService, name: str) -> None:
    """A role at the workspace says nothing of its group; who has none there may not even ask."""
    role = {"name": name, "role": "Reader", "scope": arm.workspace}
    made = admin.call(service.home, "POST", "/identities", role)
    theirs = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    client = AuthorizationManagementClient(theirs, service.settings.subscription_id)
    with pytest.raises(HttpResponseError) as refused:
        list(client.permissions.list_for_resource_group(service.settings.resource_group))
    assert refused.value.status_code == 403
    token = theirs.get_token("https://management.azure.com/.default").token
    answer = Arm(arm.session, arm.settings, token).get("/providers/Microsoft.Authorization/permissions").json()
    assert answer == {"value": [{"actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": []}]}
    admin.call(service.home, "DELETE", f"/identities/{name}")
