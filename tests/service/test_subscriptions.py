"""What the Azure CLI asks for when somebody signs in (azure-cli-core, _profile.py): tenants and subscriptions.

The CLI itself is no part of the environment: docs/azure-cli.md says what was tried with it.
"""

from __future__ import annotations

from azure.identity import ClientSecretCredential
from support import Arm

from azureml_local import admin
from running_service import RunningService


def test_subscription_and_tenant(arm: Arm) -> None:
    listed = arm.get("/subscriptions").json()["value"]
    assert [(one["subscriptionId"], one["tenantId"], one["state"]) for one in listed] == [
        (arm.settings.subscription_id, arm.settings.tenant_id, "Enabled")
    ]
    assert arm.get(arm.subscription).json() == listed[0]
    assert [one["tenantId"] for one in arm.get("/tenants").json()["value"]] == [arm.settings.tenant_id]
    groups = arm.get(f"{arm.subscription}/resourceGroups").json()["value"]
    assert [one["name"] for one in groups] == [arm.settings.resource_group]


def test_only_who_has_a_role_in_it_sees_the_subscription(arm: Arm, service: RunningService, name: str) -> None:
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    nobody = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    theirs = Arm(arm.session, arm.settings, nobody.get_token("https://management.azure.com/.default").token)
    assert theirs.get("/subscriptions").json() == {"value": []}
    assert theirs.get(arm.subscription).status_code == 403
    admin.call(service.home, "DELETE", f"/identities/{name}")
