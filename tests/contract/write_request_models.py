"""Write ``src/azureml_local/arm/request_models.json``: what Azure knows of each request body.

    python tests/contract/write_request_models.py

The data are the union of azure-ai-ml's and azure-mgmt-machinelearningservices' models, azure-mgmt-resource's for
template deployments, azure-mgmt-authorization's for role assignments, azure-mgmt-monitor's for diagnostic settings and
(each name after :data:`MONITOR`) for autoscale settings, azure-mgmt-loganalytics' for Log Analytics workspaces (after
:data:`LOG_ANALYTICS`), azure-mgmt-msi's for managed identities (after :data:`MSI`), azure-mgmt-keyvault's for vaults
(after :data:`KEY_VAULT`), azure-mgmt-storage's for storage accounts (after :data:`STORAGE`), of :data:`EARLIER` and of
:data:`BATCH_JOBS`.
Run it after an update of one of these packages; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from azure.ai.ml._restclient.arm_ml_service import models as azure_ai_ml
from azure.ai.ml._vendor.azure_resources import models as azure_mgmt_resource
from azure.mgmt.authorization.v2022_04_01 import models as azure_mgmt_authorization
from azure.mgmt.keyvault import models as azure_mgmt_keyvault
from azure.mgmt.loganalytics import models as azure_mgmt_loganalytics
from azure.mgmt.machinelearningservices import models as azure_mgmt_machinelearningservices
from azure.mgmt.monitor.v2021_05_01_preview import models as azure_mgmt_monitor
from azure.mgmt.monitor.v2022_10_01 import models as azure_mgmt_monitor_autoscale
from azure.mgmt.msi.v2024_11_30 import models as azure_mgmt_msi
from azure.mgmt.storage import models as azure_mgmt_storage
from client_models import Member, Models, ObjectType, of_attribute_maps, of_rest_fields, only

TARGET = Path(__file__).parents[2] / "src/azureml_local/arm/request_models.json"
LOG_ANALYTICS = "LogAnalytics"
MONITOR = "Monitor"
MSI = "Msi"
KEY_VAULT = "KeyVault"
STORAGE = "Storage"
STORAGE_PARAMETERS = (
    *(f"StorageAccount{kind}Parameters" for kind in ("Create", "Update", "RegenerateKey", "CheckNameAvailability")),
    "BlobContainer",
)
VAULT_PARAMETERS = tuple(
    f"Vault{kind}Parameters" for kind in ("CreateOrUpdate", "Patch", "AccessPolicy", "CheckNameAvailability")
)
ROOTS = (
    "BatchDeployment",
    "BatchEndpoint",
    "BatchJobResource",
    "ClusterUpdateParameters",
    "CodeVersion",
    "ComponentContainer",
    "ComponentVersion",
    "ComputeResource",
    "DataContainer",
    "DataVersionBase",
    "Datastore",
    "Deployment",
    "DeploymentLogsRequest",
    "DiagnosticSettingsResource",
    "EnvironmentContainer",
    "EnvironmentVersion",
    "IdleShutdownSetting",
    "JobBase",
    f"{LOG_ANALYTICS}Workspace",
    f"{LOG_ANALYTICS}WorkspacePatch",
    f"{MONITOR}AutoscaleSettingResource",
    f"{MONITOR}AutoscaleSettingResourcePatch",
    f"{MSI}Identity",
    f"{MSI}IdentityUpdate",
    "ModelContainer",
    "ModelVersion",
    "OnlineDeployment",
    "OnlineEndpoint",
    "PartialBatchDeploymentPartialMinimalTrackedResourceWithProperties",
    "PartialMinimalTrackedResourceWithIdentity",
    "PartialMinimalTrackedResourceWithSku",
    "PendingUploadRequestDto",
    "PartialRegistryPartialTrackedResource",
    "QuotaUpdateParameters",
    "RegenerateEndpointKeysRequest",
    "Registry",
    "RoleAssignmentCreateParameters",
    "Schedule",
    "SecretExpiry",
    "TriggerOnceRequest",
    *(KEY_VAULT + name for name in VAULT_PARAMETERS),
    *(STORAGE + name for name in STORAGE_PARAMETERS),
    "Workspace",
    "WorkspaceUpdateParameters",
)

ASSET = {"autoDeleteSetting": "AutoDeleteSetting", "intellectualProperty": "IntellectualProperty"}
DATA = {**ASSET, "stage": "str"}
DATASTORE = {"intellectualProperty": "IntellectualProperty"}
JOB_INPUT = {"pathOnCompute": "str"}
JOB_OUTPUT = {"assetVersion": "str", "autoDeleteSetting": "AutoDeleteSetting", "pathOnCompute": "str"}
# The types of data and models, as the names of the types of a job's inputs and outputs begin.
FILES = ("CustomModel", "MLFlowModel", "MLTable", "TritonModel", "UriFile", "UriFolder")
# What API versions between 2022-02-01-preview and 2025-01-01-preview have, and the installed clients' do not. From the
# models azure.ai.ml._restclient.v2022_02_01_preview ... v2025_01_01_preview of azure-ai-ml 1.28.1, the last release
# but some that held one package for each version. Written as in the file.
EARLIER: dict[str, dict[str, str]] = {
    "AutoDeleteSetting": {"condition": "AutoDeleteCondition", "value": "str"},
    "IntellectualProperty": {"protectionLevel": "ProtectionLevel", "publisher": "str!"},
    "CodeVersionProperties": {"autoDeleteSetting": "AutoDeleteSetting"},
    "ComponentVersionProperties": {"autoDeleteSetting": "AutoDeleteSetting", "stage": "str"},
    "DataVersionBaseProperties": DATA,
    "MLTableData": DATA,
    "UriFileDataVersion": DATA,
    "UriFolderDataVersion": DATA,
    "EnvironmentVersionProperties": ASSET,
    # In a registry, under this name: azure-ai-ml, _restclient/model_dataplane/operations/_patch.py.
    "ModelVersionProperties": {**ASSET, "system_metadata": "any"},
    "DatastoreProperties": DATASTORE,
    "AzureBlobDatastore": DATASTORE,
    "AzureDataLakeGen1Datastore": DATASTORE,
    "AzureDataLakeGen2Datastore": DATASTORE,
    "AzureFileDatastore": DATASTORE,
    "OneLakeDatastore": DATASTORE,
    "KubernetesOnlineDeployment": {"privateNetworkConnection": "bool"},
    "ManagedOnlineDeployment": {"privateNetworkConnection": "bool"},
    "OnlineDeploymentProperties": {"privateNetworkConnection": "bool"},
    "AutologgerSettings": {"mlflowAutologger": "MLFlowAutologgerState!"},
    "CommandJob": {
        "autologgerSettings": "AutologgerSettings",
        "parentJobName": "str",
        "secretsConfiguration": "{SecretConfiguration}",
    },
    "JobResourceConfiguration": {"locations": "[str]", "maxInstanceCount": "int"},
    "QueueSettings": {"priority": "int"},
    # azure-ai-ml says of itself that it belongs to the contract of 2022-10-01-preview (entities/_registry/registry.py).
    "RegistryProperties": {"managedResourceGroupTags": "{str}"},
    "TriggerOnceRequest": {"scheduleTime": "str!"},
    "SecretConfiguration": {"uri": "str", "workspaceSecretName": "str"},
    **{f"{kind}JobInput": JOB_INPUT for kind in FILES},
    **{f"{kind}JobOutput": JOB_OUTPUT for kind in FILES},
    "ComputeInstanceProperties": {
        "enableOSPatching": "bool",
        "enableRootAccess": "bool",
        "releaseQuotaOnStop": "bool",
    },
    # azure-ai-ml sends it here, too: it takes the triggers of schedules of jobs for these.
    "Cron": {"triggerType": "ComputeTriggerType"},
    "Recurrence": {"triggerType": "ComputeTriggerType"},
    "FeatureStoreSettings": {"allowRoleAssignmentsOnResourceGroupLevel": "bool"},
    "ManagedNetworkSettings": {"changeableIsolationModes": "[IsolationMode]"},
    "NetworkAcls": {"defaultAction": "DefaultActionType", "ipRules": "[IPRule]"},
    "IPRule": {"value": "str"},
    "WorkspaceProperties": {
        "agentsEndpointUri": "-",
        "allowRoleAssignmentOnRG": "bool",
        "containerRegistries": "[str]",
        "enableSimplifiedCmk": "bool",
        "enableSoftwareBillOfMaterials": "bool",
        "existingWorkspaces": "[str]",
        "ipAllowlist": "[str]",
        "keyVaults": "[str]",
        "networkAcls": "NetworkAcls",
        "scheduledPurgeDate": "-",
        "softDeleteRetentionInDays": "int",
        "softDeletedAt": "-",
        "storageAccounts": "[str]",
    },
    "WorkspacePropertiesUpdateParameters": {
        "allowRoleAssignmentOnRG": "bool",
        "enableSoftwareBillOfMaterials": "bool",
        "ipAllowlist": "[str]",
        "networkAcls": "NetworkAcls",
        "softDeleteRetentionInDays": "int",
    },
}
# What the clients take as anything, and the OpenAPI as an object (mfe.json of stable/2025-12-01; resources.json of
# Microsoft.Resources 2020-06-01, which says of a template's parameters that each holds its value or a reference), or
# as text, and the OpenAPI as an enumeration (Microsoft.Authorization 2022-04-01).
OBJECTS = {
    "RoleAssignmentCreateParametersProperties": {"principalType": "PrincipalType"},
    "ComponentVersionProperties": {"componentSpec": "{any}"},
    "DeploymentProperties": {"template": "{any}", "parameters": "{{any}}"},
}
# What batch endpoints are invoked with: API 2020-09-01-dataplanepreview, of which azure-ai-ml has the OpenAPI (mfe.json
# in the folder "swagger" of its repository) and no models any more. Literals, and models as inputs, it sends besides
# (_schema/_deployment/batch/batch_job.py).
BATCH_JOBS: dict[str, dict[str, str]] = {
    "BatchJobResource": {"id": "-", "name": "-", "properties": "BatchJob!", "systemData": "-", "type": "-"},
    "BatchJob": {
        "compute": "BatchJobCompute",
        "dataset": "BatchJobDataset",
        "description": "str",
        "errorThreshold": "intOrText",
        "inputData": "{BatchJobInput}",
        "interactionEndpoints": "-",
        "loggingLevel": "BatchLoggingLevel",
        "maxConcurrencyPerInstance": "intOrText",
        "miniBatchSize": "intOrText",
        "name": "str",
        "output": "-",
        "outputData": "{BatchJobOutput}",
        "outputDataset": "BatchJobOutputDataset",
        "outputFileName": "str",
        "partitionKeys": "[str]",
        "properties": "{str}",
        "provisioningState": "-",
        "retrySettings": "BatchRetrySettings",
        "status": "-",
        "tags": "{str}",
    },
    "BatchJobCompute": {
        "instanceCount": "intOrText",
        "instanceType": "str",
        "isLocal": "bool",
        "location": "str",
        "properties": "{str}",
        "target": "str",
    },
    "BatchJobDataset": {"dataInputType": "str!"},
    "BatchJobDatasetId": {"dataInputType": "str!", "datasetId": "str"},
    "BatchJobDatasetVersion": {"dataInputType": "str!", "datasetName": "str", "datasetVersion": "str"},
    "BatchJobDataUrl": {"dataInputType": "str!", "path": "str!"},
    "BatchJobInput": {"jobInputType": "str!"},
    "BatchJobAssetInput": {
        "description": "str",
        "jobInputType": "str!",
        "mode": "InputDeliveryMode",
        "uri": "str!",
    },
    "BatchJobLiteralInput": {"description": "str", "jobInputType": "str!", "value": "any!"},
    "BatchJobOutput": {"jobOutputType": "str!"},
    "BatchJobAssetOutput": {
        "description": "str",
        "jobOutputType": "str!",
        "mode": "OutputDeliveryMode",
        "uri": "str",
    },
    "BatchJobOutputDataset": {
        "datasetType": "str",
        "datastoreId": "str",
        "description": "str",
        "isAnonymous": "bool",
        "path": "str!",
        "properties": "{str}",
        "tags": "{str}",
    },
}
# For each object of theirs that a member decides on: the member, and the types by its values.
BATCH_JOB_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "BatchJobDataset": (
        "dataInputType",
        {"DataUrl": "BatchJobDataUrl", "DatasetId": "BatchJobDatasetId", "DatasetVersion": "BatchJobDatasetVersion"},
    ),
    "BatchJobInput": (
        "jobInputType",
        {"Literal": "BatchJobLiteralInput", **dict.fromkeys(FILES, "BatchJobAssetInput")},
    ),
    "BatchJobOutput": ("jobOutputType", dict.fromkeys(FILES, "BatchJobAssetOutput")),
}
EARLIER_ENUMS = {
    "AutoDeleteCondition": ("CreatedGreaterThan", "LastAccessedGreaterThan"),
    "DefaultActionType": ("Allow", "Deny"),
    "MLFlowAutologgerState": ("Enabled", "Disabled"),
    "ProtectionLevel": ("All", "None"),
}


def known_to_azure() -> Models:
    """Return the union of what the clients know."""
    models = of_rest_fields(azure_ai_ml)
    log_analytics = of_rest_fields(azure_mgmt_loganalytics)
    autoscale = of_attribute_maps(azure_mgmt_monitor_autoscale)
    managed_identity, key_vault = of_attribute_maps(azure_mgmt_msi), of_rest_fields(azure_mgmt_keyvault)
    earlier = Models(_read(EARLIER), EARLIER_ENUMS)
    objects = Models(_read(OBJECTS), {})
    batch_jobs = Models(_read(BATCH_JOBS), {})
    for name, (discriminator, subtypes) in BATCH_JOB_TYPES.items():
        batch_jobs.objects[name] = replace(batch_jobs.objects[name], discriminator=discriminator, subtypes=subtypes)
    for other in (
        of_attribute_maps(azure_mgmt_machinelearningservices),
        only("Deployment", of_attribute_maps(azure_mgmt_resource)),
        only("RoleAssignmentCreateParameters", of_attribute_maps(azure_mgmt_authorization)),
        only("DiagnosticSettingsResource", of_attribute_maps(azure_mgmt_monitor)),
        only("AutoscaleSettingResource", autoscale, MONITOR),
        only("AutoscaleSettingResourcePatch", autoscale, MONITOR),
        only("Workspace", log_analytics, LOG_ANALYTICS),
        only("WorkspacePatch", log_analytics, LOG_ANALYTICS),
        only("Identity", managed_identity, MSI),
        only("IdentityUpdate", managed_identity, MSI),
        *(only(name, key_vault, KEY_VAULT) for name in VAULT_PARAMETERS),
        *(only(name, of_rest_fields(azure_mgmt_storage), STORAGE) for name in STORAGE_PARAMETERS),
        earlier,
        objects,
        batch_jobs,
    ):
        for name, kind in other.objects.items():
            _unite(models.objects.setdefault(name, ObjectType({})), kind)
        models.enums = {**other.enums, **models.enums}
    return models


def request_models() -> dict[str, Any]:
    """Return the file's content.

    ``objects``: for each type its ``members`` (a type's name; ``!``: required, ``-``: Azure's alone to set) and, where
    a member decides among subtypes, ``discriminator`` and ``subtypes``. ``enums``: the words of each.
    """
    known = known_to_azure()
    names = sorted({name for root in ROOTS for name in known.reachable(root, read_only=False)})
    return {
        "objects": {name: _written(known.objects[name]) for name in names if name in known.objects},
        "enums": {name: list(known.enums[name]) for name in names if name in known.enums},
    }


def text() -> str:
    """Return the file as it is stored: one line a type."""
    sections = []
    for section, entries in request_models().items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        sections.append(f" {json.dumps(section)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _unite(into: ObjectType, other: ObjectType) -> None:
    """Add what ``other`` knows. What one client may leave out need not be there; what one may set is not Azure's."""
    for name, member in other.members.items():
        known = into.members.get(name, member)
        into.members[name] = Member(
            max(known.type, member.type, key=_precision),
            known.required and member.required,
            known.read_only and member.read_only,
            known.write_only or member.write_only,
        )
    into.discriminator = into.discriminator or other.discriminator
    into.subtypes = {**other.subtypes, **into.subtypes}


def _precision(kind: str) -> int:
    """Say how much a type tells: the earlier clients know of enumerations only that they are text."""
    return {"any": 0, "str": 1}.get(kind, 2)


def _read(objects: dict[str, dict[str, str]]) -> dict[str, ObjectType]:
    return {
        name: ObjectType(
            {key: Member(kind.strip("!-") or "any", "!" in kind, kind == "-") for key, kind in members.items()}
        )
        for name, members in objects.items()
    }


def _written(kind: ObjectType) -> dict[str, Any]:
    written: dict[str, Any] = {"members": dict(_marked(kind.members.items()))}
    if kind.discriminator:
        written |= {"discriminator": kind.discriminator, "subtypes": kind.subtypes}
    return written


def _marked(members: Iterable[tuple[str, Member]]) -> Iterable[tuple[str, str]]:
    for name, member in sorted(members):
        yield name, "-" if member.read_only else member.type + "!" * member.required


if __name__ == "__main__":
    TARGET.write_text(text())
