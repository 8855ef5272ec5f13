"""Azure's built-in roles, as far as they concern what is served here, and whether one grants an action.

From Microsoft's lists of built-in roles, by category privileged, general, ai-machine-learning, storage, containers,
security, identity and monitor:
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles. Actions of services that are not served
are left in: clients list them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

ML = "Microsoft.MachineLearningServices"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
LOGS = "Microsoft.OperationalInsights"
VAULTS = "Microsoft.KeyVault/vaults"
USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True)
class Role:
    """A role definition: what it grants on the control plane (less ``not_actions``), and on data."""

    guid: str
    name: str
    description: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()

    def grants(self, action: str, *, data: bool = False) -> bool:
        """Say whether the role grants an action, or (``data``) an action on data."""
        if data:
            return _matches(self.data_actions, action)
        return _matches(self.actions, action) and not _matches(self.not_actions, action)


def _matches(patterns: tuple[str, ...], action: str) -> bool:
    return _compiled(patterns).fullmatch(action) is not None


@functools.cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for a role's actions, in any case; ``*`` stands for any characters.

    Between slashes it also stands for nothing: ``workspaces/*/write`` covers ``workspaces/write``, which is why
    AzureML Data Scientist takes ``workspaces/write`` away again, and ``computes/*/write`` is what creates a compute.
    """
    alternatives = (re.escape(pattern).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*") for pattern in patterns)
    return re.compile("|".join(alternatives) or r"(?!)", re.IGNORECASE)


_ALL_IN_WORKSPACE = tuple(f"{ML}/workspaces/*/{verb}" for verb in ("read", "action", "delete", "write"))
_ON_WORKSPACE_ITSELF = (f"{ML}/workspaces/delete", f"{ML}/workspaces/write")
_COMPUTES = tuple(f"{ML}/workspaces/computes/{rest}" for rest in ("*/write", "*/delete", "listKeys/action"))
_OTHER_KINDS_OF_WORKSPACE = tuple(
    f"{ML}/workspaces/{kind}/{verb}" for kind in ("hubs", "featurestores") for verb in ("write", "delete")
)
_KEYS = (f"{ML}/workspaces/listKeys/action",)
_MONITORING = (
    *(f"Microsoft.AlertsManagement/{kind}/*" for kind in ("alerts", "alertsSummary", "issues")),
    *(
        f"Microsoft.Insights/{kind}/*"
        for kind in (
            "actiongroups",
            "activityLogAlerts",
            "AlertRules",
            "components",
            "createNotifications",
            "dataCollectionEndpoints",
            "dataCollectionRules",
            "dataCollectionRuleAssociations",
            "DiagnosticSettings",
            "eventtypes",
            "LogDefinitions",
            "metricalerts",
            "MetricDefinitions",
            "Metrics",
            "notificationStatus",
        )
    ),
    "Microsoft.Insights/Register/Action",
    *(
        f"Microsoft.Insights/{kind}/*"
        for kind in (
            "scheduledqueryrules",
            "webtests",
            "workbooks",
            "workbooktemplates",
            "privateLinkScopes",
            "privateLinkScopeOperationStatuses",
        )
    ),
    "Microsoft.Monitor/accounts/*",
    "Microsoft.Monitor/settings/*",
    *(
        f"{LOGS}/workspaces/{rest}"
        for rest in (
            "write",
            "intelligencepacks/*",
            "savedSearches/*",
            "search/action",
            "sharedKeys/action",
            "sharedKeys/read",
            "storageinsightconfigs/*",
        )
    ),
    f"{LOGS}/locations/workspaces/failover/action",
    f"{LOGS}/workspaces/failback/action",
    "Microsoft.Support/*",
    *(
        f"Microsoft.AlertsManagement/{kind}/*"
        for kind in (
            "smartDetectorAlertRules",
            "actionRules",
            "smartGroups",
            "migrateFromSmartDetection",
            "investigations",
        )
    ),
    "Microsoft.Monitor/investigations/*",
    "Microsoft.Resources/deployments/*",
)

_OF_A_SERVICE = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
)
_VAULT_METADATA = (
    *_OF_A_SERVICE,
    *(
        f"Microsoft.KeyVault/{kind}/read"
        for kind in ("checkNameAvailability", "deletedVaults", "locations/*", "vaults/*", "operations")
    ),
)
_ONLY_RBAC = "Only works for key vaults that use the 'Azure role-based access control' permission model."

BUILT_IN = (
    Role(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        ("*",),
    ),
    Role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage "
        "assignments in Azure Blueprints, or share image galleries.",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
            "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write",
            "Microsoft.Purview/consents/delete",
            "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
            "Microsoft.Subscription/cancel/action",
            "Microsoft.Subscription/enable/action",
        ),
    ),
    Role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, but does not allow you to make any changes.",
        ("*/read",),
    ),
    Role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        ("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
    ),
    Role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC. This role does not allow you to manage "
        "access using other ways, such as Azure Policy.",
        (
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        "f6c7c914-8db3-469d-8ca1-694a8f32e121",
        "AzureML Data Scientist",
        "Can perform all actions within an Azure Machine Learning workspace, except for creating or deleting compute "
        "resources and modifying the workspace itself.",
        _ALL_IN_WORKSPACE,
        (*_ON_WORKSPACE_ITSELF, *_COMPUTES, *_KEYS, *_OTHER_KINDS_OF_WORKSPACE),
    ),
    Role(
        "64702f94-c441-49e6-a78b-ef80e0188fee",
        "Azure AI Developer",
        "Can perform all actions within an Azure AI resource besides managing the resource itself.",
        (
            *_ALL_IN_WORKSPACE,
            f"{ML}/locations/*/read",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/deployments/*",
        ),
        (*_ON_WORKSPACE_ITSELF, *_KEYS, *_OTHER_KINDS_OF_WORKSPACE),
        tuple(
            f"Microsoft.CognitiveServices/accounts/{kind}/*" for kind in ("OpenAI", "SpeechServices", "ContentSafety")
        ),
    ),
    Role(
        "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815",
        "AzureML Compute Operator",
        "Can access and perform CRUD operations on Machine Learning Services managed compute resources (including "
        "Notebook VMs).",
        (f"{ML}/workspaces/computes/*", f"{ML}/workspaces/notebooks/vm/*"),
    ),
    Role(
        "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8",
        "Azure Kubernetes Service Cluster Admin Role",
        "List cluster admin credential action.",
        tuple(
            f"Microsoft.ContainerService/managedClusters/{rest}"
            for rest in (
                "listClusterAdminCredential/action",
                "accessProfiles/listCredential/action",
                "read",
                "runcommand/action",
            )
        ),
    ),
    Role(
        "635dd51f-9968-44d3-b7fb-6d9a6bd613ae",
        "AzureML Metrics Writer (preview)",
        "Lets you write metrics to AzureML workspace",
        (f"{ML}/workspaces/metrics/*/write",),
    ),
    Role(
        "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
        "AzureML Registry User",
        "Can perform all actions on Machine Learning Services Registry assets as well as get Registry resources.",
        (f"{ML}/registries/read", f"{ML}/registries/assets/*"),
    ),
    Role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        "Allows for full access to Azure Storage blob containers and data, including assigning POSIX access control.",
        (f"{BLOBS}/containers/*", f"{BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{BLOBS}/containers/blobs/*",),
    ),
    Role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        "Allows for read, write and delete access to Azure Storage blob containers and data",
        (
            *(f"{BLOBS}/containers/{verb}" for verb in ("delete", "read", "write")),
            f"{BLOBS}/generateUserDelegationKey/action",
        ),
        data_actions=tuple(
            f"{BLOBS}/containers/blobs/{verb}" for verb in ("delete", "read", "write", "move/action", "add/action")
        ),
    ),
    Role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data",
        (f"{BLOBS}/containers/read", f"{BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{BLOBS}/containers/blobs/read",),
    ),
    Role(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab",
        "Storage Account Contributor",
        "Lets you manage storage accounts, including accessing storage account keys which provide full access to "
        "storage account data.",
        (
            "Microsoft.Authorization/*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/diagnosticSettings/*",
            "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
            "Microsoft.ResourceHealth/availabilityStatuses/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Storage/storageAccounts/*",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        "acr pull",
        ("Microsoft.ContainerRegistry/registries/pull/read",),
    ),
    Role(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        "Perform all data plane operations on a key vault and all objects in it, including certificates, keys, and "
        f"secrets. Cannot manage key vault resources or manage role assignments. {_ONLY_RBAC}",
        _VAULT_METADATA,
        data_actions=(f"{VAULTS}/*",),
    ),
    Role(
        "f25e0fa2-a7c8-4377-a976-54943a77a395",
        "Key Vault Contributor",
        "Lets you manage key vaults, but not access to them.",
        (*_OF_A_SERVICE, "Microsoft.KeyVault/*"),
        (
            "Microsoft.KeyVault/locations/deletedVaults/purge/action",
            "Microsoft.KeyVault/hsmPools/*",
            "Microsoft.KeyVault/managedHsms/*",
        ),
    ),
    Role(
        "21090545-7ca7-4776-b22c-e363652d74d2",
        "Key Vault Reader",
        "Read metadata of key vaults and its certificates, keys, and secrets. Cannot read sensitive values such as "
        f"secret contents or key material. {_ONLY_RBAC}",
        _VAULT_METADATA,
        data_actions=(f"{VAULTS}/*/read", f"{VAULTS}/secrets/readMetadata/action"),
    ),
    Role(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        f"Perform any action on the secrets of a key vault, except manage permissions. {_ONLY_RBAC}",
        _VAULT_METADATA,
        data_actions=(f"{VAULTS}/secrets/*",),
    ),
    Role(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        f"Read secret contents. {_ONLY_RBAC}",
        data_actions=(f"{VAULTS}/secrets/getSecret/action", f"{VAULTS}/secrets/readMetadata/action"),
    ),
    Role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        "Create, Read, Update, and Delete User Assigned Identity",
        (
            *_OF_A_SERVICE,
            *(f"{USER_ASSIGNED}/{verb}" for verb in ("read", "write", "delete", "revokeTokens/action")),
            *(f"{USER_ASSIGNED}/federatedIdentityCredentials/{verb}" for verb in ("read", "write", "delete")),
        ),
    ),
    Role(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        "Read and Assign User Assigned Identity",
        (*_OF_A_SERVICE, f"{USER_ASSIGNED}/*/read", f"{USER_ASSIGNED}/*/assign/action"),
    ),
    Role(
        "749f88d5-cbae-40b8-bcfc-e573ddc772fa",
        "Monitoring Contributor",
        "Can read all monitoring data and update monitoring settings.",
        ("*/read", *_MONITORING),
    ),
    Role(
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        "Monitoring Reader",
        "Can read all monitoring data.",
        ("*/read", f"{LOGS}/workspaces/search/action", "Microsoft.Support/*"),
    ),
    Role(
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        "Log Analytics Contributor",
        "Log Analytics Contributor can read all monitoring data and edit monitoring settings. Editing monitoring "
        "settings includes adding the VM extension to VMs; reading storage account keys to be able to configure "
        "collection of logs from Azure Storage; adding solutions; and configuring Azure diagnostics on all Azure "
        "resources.",
        (
            "*/read",
            "Microsoft.ClassicCompute/virtualMachines/extensions/*",
            "Microsoft.ClassicStorage/storageAccounts/listKeys/action",
            "Microsoft.Compute/virtualMachines/extensions/*",
            "Microsoft.HybridCompute/machines/extensions/write",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/diagnosticSettings/*",
            f"{LOGS}/*",
            "Microsoft.OperationsManagement/*",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourcegroups/deployments/*",
            "Microsoft.Storage/storageAccounts/listKeys/action",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        "73c42c96-874c-492b-b04d-ab87d138a893",
        "Log Analytics Reader",
        "Log Analytics Reader can view and search all monitoring data as well as and view monitoring settings, "
        "including viewing the configuration of Azure diagnostics on all Azure resources.",
        (
            "*/read",
            f"{LOGS}/workspaces/analytics/query/action",
            f"{LOGS}/workspaces/search/action",
            "Microsoft.Support/*",
        ),
        (f"{LOGS}/workspaces/sharedKeys/read",),
    ),
)
BY_GUID: Mapping[str, Role] = {role.guid: role for role in BUILT_IN}
BY_NAME: Mapping[str, Role] = {role.name.lower(): role for role in BUILT_IN}
