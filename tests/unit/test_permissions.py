"""Which role grants what, as Microsoft describes the roles, and how actions are named and inherited.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles,
https://learn.microsoft.com/azure/role-based-access-control/role-definitions and
https://learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local.arm import actions, control_plane, ids
from azureml_local.arm.access.assigned_roles import assign, unassign_all
from azureml_local.dataplane.blob_permissions import needed
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.roles import BLOBS, BUILT_IN, BY_NAME, Role
from azureml_local.identity.tokens import Principal
from azureml_local.store import Store

REGISTRY_ASSETS = "Microsoft.MachineLearningServices/registries/assets"
ML = "Microsoft.MachineLearningServices/workspaces"
SUBSCRIPTION = "/subscriptions/s"
GROUP = f"{SUBSCRIPTION}/resourceGroups/g"
WORKSPACE = f"{GROUP}/providers/{ML}/w"
CALLER = Principal("client", "object")


def role(name: str) -> Role:
    return BY_NAME[name.lower()]


@pytest.mark.parametrize(
    ("name", "granted", "withheld"),
    [
        ("Owner", ("Microsoft.Authorization/roleAssignments/write", f"{ML}/delete"), ()),
        (
            "Contributor",
            (f"{ML}/write", f"{ML}/listKeys/action", "Microsoft.Authorization/roleAssignments/read"),
            ("Microsoft.Authorization/roleAssignments/write", "microsoft.authorization/roleassignments/DELETE"),
        ),
        (
            "Reader",
            (f"{ML}/read", f"{ML}/onlineEndpoints/deployments/read", "Microsoft.Authorization/roleAssignments/read"),
            (f"{ML}/write", f"{ML}/onlineEndpoints/listKeys/action", f"{ML}/onlineEndpoints/score/action"),
        ),
        (
            "AzureML Data Scientist",
            # how-to-authenticate-online-endpoint names these; that it may read the workspace, how-to-assign-roles.
            (
                f"{ML}/read",
                f"{ML}/onlineEndpoints/write",
                f"{ML}/onlineEndpoints/delete",
                f"{ML}/onlineEndpoints/listKeys/action",
                f"{ML}/onlineEndpoints/score/action",
                f"{ML}/datastores/listSecrets/action",
            ),
            (
                f"{ML}/write",
                f"{ML}/delete",
                f"{ML}/listKeys/action",
                f"{ML}/computes/write",
                f"{ML}/computes/delete",
                "Microsoft.Authorization/roleAssignments/read",
            ),
        ),
        (
            "AzureML Compute Operator",
            (f"{ML}/computes/write", f"{ML}/computes/start/action"),
            (f"{ML}/read", f"{ML}/computesX/read", f"{ML}/jobs/read"),
        ),
        (
            "Azure Kubernetes Service Cluster Admin Role",
            ("Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",),
            (f"{ML}/computes/write", "Microsoft.ContainerService/managedClusters/write"),
        ),
        (
            "User Access Administrator",
            ("Microsoft.Authorization/roleAssignments/write", f"{ML}/read"),
            (f"{ML}/onlineEndpoints/write",),
        ),
    ],
    ids=str,
)
def test_role_grants_what_it_is_described_to(name: str, granted: tuple[str, ...], withheld: tuple[str, ...]) -> None:
    assert [action for action in granted if not role(name).grants(action)] == []
    assert [action for action in withheld if role(name).grants(action)] == []


def test_control_of_an_account_is_no_access_to_its_data() -> None:
    """https://learn.microsoft.com/azure/role-based-access-control/role-definitions#data-operations-example"""
    read = f"{BLOBS}/containers/blobs/read"
    assert [one.name for one in BUILT_IN if one.grants(read, data=True)] == [
        "Storage Blob Data Owner",
        "Storage Blob Data Contributor",
        "Storage Blob Data Reader",
    ]
    assert not role("Storage Blob Data Reader").grants(f"{BLOBS}/containers/blobs/write", data=True)


def test_roles_have_guids_and_names_of_their_own() -> None:
    assert len({one.guid for one in BUILT_IN}) == len({one.name for one in BUILT_IN}) == len(BUILT_IN)
    assert all(str(uuid.UUID(one.guid)) == one.guid for one in BUILT_IN)


@pytest.mark.parametrize(
    ("method", "template", "action", "scope"),
    [
        ("GET", ids.WORKSPACE, f"{ML}/read", ids.WORKSPACE),
        ("PATCH", ids.WORKSPACE, f"{ML}/write", ids.WORKSPACE),
        ("POST", f"{ids.WORKSPACE}/listKeys", f"{ML}/listKeys/action", ids.WORKSPACE),
        ("GET", f"{ids.WORKSPACE}/models", f"{ML}/models/read", ids.WORKSPACE),
        (
            "DELETE",
            f"{ids.WORKSPACE}/models/{{name}}/versions/{{version}}",
            f"{ML}/models/versions/delete",
            f"{ids.WORKSPACE}/models/{{name}}/versions/{{version}}",
        ),
        (
            "POST",
            f"{ids.WORKSPACE}/onlineEndpoints/{{endpoint}}/deployments/{{deployment}}/getLogs",
            f"{ML}/onlineEndpoints/deployments/getLogs/action",
            f"{ids.WORKSPACE}/onlineEndpoints/{{endpoint}}/deployments/{{deployment}}",
        ),
        ("GET", ids.RESOURCE_GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", ids.RESOURCE_GROUP),
        (
            "PUT",
            f"{ids.WORKSPACE}/providers/Microsoft.Authorization/roleAssignments/{{assignment}}",
            "Microsoft.Authorization/roleAssignments/write",
            f"{ids.WORKSPACE}/providers/Microsoft.Authorization/roleAssignments/{{assignment}}",
        ),
        ("GET", ids.ML_REGISTRY, "Microsoft.MachineLearningServices/registries/read", ids.ML_REGISTRY),
        # What AzureML Registry User grants of assets is the same for all kinds of them.
        *(
            (method, f"{ids.ML_REGISTRY}/{path}", f"{REGISTRY_ASSETS}/{verb}", ids.ML_REGISTRY)
            for method, path, verb in (
                ("GET", "models/{name}/versions/{version}", "read"),
                ("PUT", "components/{name}/versions/{version}", "write"),
                ("DELETE", "data/{name}/versions/{version}", "delete"),
                ("POST", "codes/{name}/versions/{version}/startPendingUpload", "write"),
                ("PUT", "tempdatarefs/{name}/versions/{version}", "write"),
                ("POST", "datarefs/{name}/versions/{version}", "read"),
                ("POST", "import", "write"),
            )
        ),
        (
            "POST",
            f"{ids.WORKSPACE}/schedules/{{schedule}}/trigger",
            f"{ML}/schedules/trigger/action",
            f"{ids.WORKSPACE}/schedules/{{schedule}}",
        ),
        (
            "GET",
            f"{ids.SUBSCRIPTION}/providers/{{namespace}}",
            "Microsoft.Resources/subscriptions/providers/read",
            ids.SUBSCRIPTION,
        ),
        ("GET", f"{ids.SUBSCRIPTION}/providers", "Microsoft.Resources/subscriptions/providers/read", ids.SUBSCRIPTION),
        # Of the one blob service of an account, "default" is the name. Storage Blob Data Contributor has the action.
        ("PUT", ids.CONTAINER, f"{BLOBS}/containers/write", ids.CONTAINER),
        (
            "POST",
            f"{ids.SUBSCRIPTION}/providers/{ids.KEY_VAULT}/checkNameAvailability",
            "Microsoft.KeyVault/checkNameAvailability/read",  # as the roles of key vaults have it
            f"{ids.SUBSCRIPTION}/providers/{ids.KEY_VAULT}",
        ),
    ],
)
def test_actions_are_named_by_rule(method: str, template: str, action: str, scope: str) -> None:
    assert actions.of(method, template) == actions.Operation(action, scope)


def test_only_the_state_of_operations_and_what_there_is_needs_no_permission() -> None:
    free = [template for method, template, _ in control_plane.routes() if actions.of(method, template) is None]
    assert free == [
        f"{ids.LOCATION}/mfeOperationsStatus/{{operation}}",
        f"{ids.LOCATION}/computeOperationsStatus/{{operation}}",
        f"{ids.LOCATION}/mfeOperationResults/{{operation}}",
        "/subscriptions",
        "/tenants",
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


def test_a_role_holds_at_its_scope_and_below(store: Store) -> None:
    authorizer = Authorizer(store)
    assign(store, WORKSPACE, role("Reader"), CALLER, by="test")
    read = f"{ML}/read"
    assert authorizer.permits(CALLER, read, WORKSPACE)
    assert authorizer.permits(CALLER, read, WORKSPACE.upper() + "/models/m")
    assert not authorizer.permits(CALLER, read, WORKSPACE + "2")
    assert not authorizer.permits(CALLER, read, GROUP)
    assert not authorizer.permits(Principal("client", "another"), read, WORKSPACE)
    assert authorizer.has_role_in(CALLER, SUBSCRIPTION.upper())
    assert not authorizer.has_role_in(CALLER, "/subscriptions/t")


def test_what_changes_is_known_at_once(store: Store) -> None:
    authorizer = Authorizer(store)
    action = f"{ML}/write"
    assert not authorizer.permits(CALLER, action, WORKSPACE)
    assign(store, GROUP, role("Reader"), CALLER, by="test")
    assign(store, GROUP, role("Contributor"), CALLER, by="test")
    assert authorizer.permits(CALLER, action, WORKSPACE)
    unassign_all(store, CALLER)
    assert not authorizer.permits(CALLER, action, WORKSPACE)


def test_roles_add_up_and_one_takes_nothing_from_another(store: Store) -> None:
    """https://learn.microsoft.com/azure/role-based-access-control/role-definitions#notactions: no denial."""
    authorizer = Authorizer(store)
    assign(store, GROUP, role("AzureML Data Scientist"), CALLER, by="test")
    assert not authorizer.permits(CALLER, f"{ML}/write", WORKSPACE)
    assign(store, GROUP, role("Contributor"), CALLER, by="test")
    assert authorizer.permits(CALLER, f"{ML}/write", WORKSPACE)


@pytest.mark.parametrize(
    ("method", "target", "verb", "container"),
    [
        ("GET", "/?comp=list", "containers/read", ""),
        ("POST", "/?restype=service&comp=userdelegationkey", "generateUserDelegationKey/action", ""),
        ("GET", "/c?restype=container", "containers/read", "c"),
        ("PUT", "/c?restype=container", "containers/write", "c"),
        ("DELETE", "/%63?restype=container", "containers/delete", "c"),
        ("GET", "/c?restype=container&comp=list&prefix=a%2F", "containers/blobs/read", "c"),
        ("HEAD", "/c/a/b", "containers/blobs/read", "c"),
        ("PUT", "/c/a?comp=block&blockid=x", "containers/blobs/write", "c"),
        ("PUT", "/c/a?comp=tags", "containers/blobs/tags/write", "c"),
        ("GET", "/c/a?comp=tags", "containers/blobs/tags/read", "c"),
        ("DELETE", "/c/a?snapshot=x", "containers/blobs/delete", "c"),
        ("GET", "/in-root", "containers/blobs/read", "$root"),
        ("GET", "//c/a", "containers/blobs/read", ""),
        ("GET", "/%2Fc/a", "containers/blobs/read", ""),
    ],
)
def test_blob_operations_need_what_is_documented(method: str, target: str, verb: str, container: str) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory"""
    (permission,) = needed(method, target, [])
    assert permission.action == f"{BLOBS}/{verb}"
    assert permission.data == verb.startswith("containers/blobs/")
    assert permission.scope == (f"/blobServices/default/containers/{container}" if container else "")


@pytest.mark.parametrize(
    "address",
    [
        "https://a.blob.core.windows.net/own/../from/b",
        "https://a.blob.core.windows.net/own/%2e%2e/from/b",
        "https://a.blob.core.windows.net\\from/own/b",
        "https:\\\\a.blob.core.windows.net/own/b",
        "https://[",
        "",
    ],
)
def test_source_that_can_be_read_in_two_ways_needs_permission_for_all(address: str) -> None:
    """https://url.spec.whatwg.org/#special-scheme: Node takes backslashes for slashes, and resolves dots."""
    assert needed("PUT", "/to/a", [address])[1].scope == ""


@pytest.mark.parametrize(
    ("method", "target", "verb"),
    [
        ("DELETE", "/c?restype=container&comp=list", "containers/delete"),
        ("PUT", "/c?restype=container&comp=list", "containers/write"),
        ("PUT", "/c/a?comp=query", "containers/blobs/write"),
        ("DELETE", "/c/a?comp=tags", "containers/blobs/delete"),
    ],
)
def test_a_parameter_of_another_method_takes_nothing_away(method: str, target: str, verb: str) -> None:
    assert [one.action for one in needed(method, target, [])] == [f"{BLOBS}/{verb}"]


@pytest.mark.parametrize("query", ["restype=container&restype=x", "restype=x&RESTYPE=container", "comp=list&comp=acl"])
def test_parameter_that_is_given_twice_needs_permission_for_all(query: str) -> None:
    (permission,) = needed("DELETE", f"/c?{query}", [])
    assert permission.scope == ""


def test_a_copy_needs_to_read_its_source() -> None:
    target, source = needed("PUT", "/to/a", ["https://a.blob.core.windows.net/from/b%20c?sig=x"])
    assert (target.action, source.action) == (f"{BLOBS}/containers/blobs/write", f"{BLOBS}/containers/blobs/read")
    assert source.scope == "/blobServices/default/containers/from"
