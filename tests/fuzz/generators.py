"""Strategies for requests that are nearly right: valid ones of the service's own routes, with something changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode

from hypothesis import strategies as st

WORKSPACE = "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.MachineLearningServices/workspaces/{w}"
QUOTA = "Standard_DSv2_Family_Cluster_Dedicated_vCPUs"
EXISTING = "known"  # the name of what the test has created, and may lose again
KEPT = "kept"  # the same for what no generated request names
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"  # the role
ASSIGNMENT = "00000000-0000-4000-8000-000000000000"  # the name of a role assignment, and its principal
MLFLOW = "mlflow"  # an MLflow model, and
UNBUILT = "unbuilt"  # an environment of an image that nobody has: a job in it fails at once
RUN = "run"  # what the services behind the workspace API take, in one
WITHOUT_SCRIPT = "without a script"  # a deployment of it, among the bodies
CLUSTER = "kept-cluster"  # an attached Kubernetes cluster, and an endpoint on it of the same name
ON_CLUSTER = "a deployment on it"  # among the bodies
BATCH = "kept-batch"  # a batch endpoint with a deployment "kept", and
INVOCATION = "invocation"  # what it takes

NASTY_TEXT = (
    "", " ", "\0", "a\0b", "\r\nX: y", "..", "../../etc/passwd", "..%2f", "%", "%00", "%ff", "/", "//", "\\", "'", '"',
    "{0}", "{__class__}", "${HOME}", "$(id)", "`id`", "%s%n", "\ud800", "\u202e", "\ufeff", "é", "日本", "a" * 5000,
    "None", "null", "true", "NaN", "1e999", "-1", "0", "PT1S", "PT0S", "P99999999999999999999D", "PT1E9S", "P", "PT-1S",
    "azureml:", "azureml:known:1", "azureml://", "azureml://datastores/workspaceblobstore/paths/x",
    "azureml://datastores/known/paths/../../x",
    "azureml://jobs/known/outputs/default/paths/../x", "runs:/known/x", "https://", "https://[", "https://x.blob.core.windows.net/a%0d%0ab/c",
    "file:///etc/passwd", "Enabled", "disabled", "Standard_DS3_v2", "System.Object", "<x/>", "a\nb", "known", "latest",
)  # fmt: skip
NASTY_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"))

texts = st.sampled_from(NASTY_TEXT) | st.text(max_size=20)
scalars = st.none() | st.booleans() | st.sampled_from(NASTY_NUMBERS) | st.integers() | st.floats() | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    """Yield the way to every member of a JSON value."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, item in entries:
        yield (*path, key)
        yield from _paths(item, (*path, key))


header_words = st.sampled_from(("", "text/plain", "application/json; charset=utf-8", "application/x", "a b", "*/*"))
# JSON nearly always, or hardly any body would be read.
media_types = st.integers(0, 19).flatmap(
    lambda kind: st.just({}) if kind else st.fixed_dictionaries({"Content-Type": header_words})
)


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> Any:
    """A valid JSON value with up to three members replaced, removed or added."""
    changed = json.loads(json.dumps(body))
    for _ in range(draw(st.integers(0, 3))):
        paths = list(_paths(changed))
        if not paths:
            return draw(values)
        *way, last = draw(st.sampled_from(paths))
        holder = changed
        for key in way:
            holder = holder[key]
        kind = draw(st.integers(0, 3))
        if kind == 0 and isinstance(holder, dict):
            del holder[last]
        elif kind == 1 and isinstance(holder, dict):
            holder[draw(texts)] = draw(values)
        else:
            holder[last] = draw(values)
    return changed


@st.composite
def documents(draw: st.DrawFn, body: Any) -> bytes:
    """A request's body: JSON, now and then with what only its text can have, or none at all."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        depth = draw(st.sampled_from((50, 900, 5000, 200_000)))
        opening, closing = draw(st.sampled_from((("[", "]"), ('{"a":', "}"), ('{"properties":{"tags":', "}}"))))
        return (opening * depth + "1" + closing * depth).encode()
    text = json.dumps(draw(mutated(body))).encode()
    if kind == 2:
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.binary(min_size=1, max_size=4)) + text[at + draw(st.integers(0, 3)) :]
    if kind == 3:
        return text.replace(b'{"', b'{"location":1,"properties":[],"' if draw(st.booleans()) else b'{"tags":{},"', 1)
    if kind == 4:
        return text.decode().encode(draw(st.sampled_from(("utf-16", "utf-8-sig", "utf-32"))))
    if kind == 5:
        return text.replace(b"1", b"9" * draw(st.sampled_from((30, 4000, 5000))))
    return text


STEP, PIPELINE = "a-step", "a-pipeline"
STEP_SPEC: dict[str, Any] = {
    "name": STEP,
    "type": "command",
    "command": "true ${{inputs.n}} $[[${{inputs.d}}]]",
    "is_deterministic": "True",
    "inputs": {
        "n": {"type": "integer", "default": "3", "min": "1", "max": "9"},
        "d": {"type": "uri_folder", "optional": "True", "mode": "ro_mount"},
        "g": {"type": "group", "values": {"x": {"type": "string", "default": "y", "enum": ["y", "z"]}}},
    },
    "outputs": {"o": {"type": "uri_folder", "mode": "rw_mount"}},
    "resources": {"instance_count": "1"},
    "distribution": {"type": "mpi", "process_count_per_instance": "1"},
}


def bodies(account: str, workspace: str, log_workspace: str) -> dict[str, Any]:
    """Return a valid body for each kind of resource and action, by the last fixed segments of its route."""
    code = f"https://{account}.blob.core.windows.net/code/files"
    asset = {
        "description": "d",
        "tags": {"a": "b"},
        "properties": {"c": "d"},
        "isAnonymous": False,
        "isArchived": False,
    }
    asset_of_job = {name: value for name, value in asset.items() if name != "isAnonymous"}
    deployment = {
        "endpointComputeType": "Managed",
        "instanceType": "Standard_DS3_v2",
        "environmentVariables": {"A": "b"},
    }
    probe = {
        "initialDelay": "PT10S",
        "period": "PT10S",
        "timeout": "PT2S",
        "failureThreshold": 3,
        "successThreshold": 1,
    }
    resources = {"cpu": "1", "memory": "1Gi", "gpu": None}
    amounts = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "0"}
    group = workspace.partition("/providers/")[0]
    job = {
        **asset_of_job,
        "jobType": "Command",
        "command": "true",
        "computeId": f"{workspace}/computes/{KEPT}",
        "environmentId": f"{workspace}/environments/{UNBUILT}/versions/1",
        "codeId": f"{workspace}/codes/{KEPT}/versions/1",
        "inputs": {
            "a": {"jobInputType": "uri_folder", "uri": f"{workspace}/data/{KEPT}/versions/1"},
            "b": {"jobInputType": "uri_file", "uri": code},
            "c": {"jobInputType": "literal", "value": "1"},
        },
        "outputs": {"o": {"jobOutputType": "uri_folder", "assetName": "known", "mode": "Upload"}},
        "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1},
        "resources": {"instanceCount": 1, "shmSize": "2g"},
        "limits": {"jobLimitsType": "Command", "timeout": "PT5M"},
        "identity": {"identityType": "AMLToken"},
        "queueSettings": {"jobTier": "Standard"},
    }
    return {
        "workspaces": {
            "location": "eastus",
            "tags": {"a": "b"},
            "kind": "Default",
            "properties": {"friendlyName": "f"},
        },
        "Microsoft.Resources/deployments": {
            "properties": {"parameters": {"workspaceName": {"value": "known"}, "tagValues": {"value": {"a": "b"}}}}
        },
        "updateQuotas": {
            "value": [
                {
                    "id": f"{workspace}/quotas/Standard_DSv2_Family_Cluster_Dedicated_vCPUs",
                    "limit": 300,
                    "unit": "Count",
                }
            ],
            "location": "eastus",
        },
        "datastores": {
            "properties": {
                "datastoreType": "AzureBlob",
                "accountName": account,
                "containerName": "code",
                "isDefault": False,
                "credentials": {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "k"}},
            }
        },
        "listSecrets": {"expirableSecret": True, "expireAfterHours": 5},
        "startPendingUpload": {"pendingUploadType": "TemporaryBlobReference"},
        "codes/versions": {"properties": {**asset, "codeUri": code}},
        "models": {"properties": asset},
        "models/versions": {
            "properties": {
                **asset,
                "modelUri": "azureml://datastores/workspaceblobstore/paths/known",
                "modelType": "custom_model",
            }
        },
        "environments": {"properties": asset},
        "environments/versions": {
            "properties": {
                **asset,
                "image": "mcr.microsoft.com/azureml/minimal-py311-inference",
                "condaFile": "name: x\ndependencies: [python=3.11]\n",
                "osType": "Linux",
            }
        },
        UNBUILT: {"properties": {**asset, "image": "example.azurecr.io/unknown:1", "osType": "Linux"}},
        "data": {"properties": {**asset, "dataType": "uri_folder"}},
        "data/versions": {"properties": {**asset, "dataUri": code, "dataType": "uri_folder"}},
        "components": {"properties": asset},
        "components/versions": {
            "properties": {**asset, "componentSpec": {"name": "c", "inputs": {"a": {"default": 1}}}}
        },
        "computes": {
            "location": "eastus",
            "tags": {"a": "b"},
            "properties": {
                "computeType": "Kubernetes",
                "description": "d",
                "resourceId": f"{group}/providers/Microsoft.ContainerService/managedClusters/{CLUSTER}",
                "properties": {
                    "namespace": "default",
                    "defaultInstanceType": "small",
                    "instanceTypes": {
                        "small": {
                            "nodeSelector": {"a": "b"},
                            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": amounts},
                        }
                    },
                },
            },
        },
        CLUSTER: {
            "location": "eastus",
            "properties": {"authMode": "Key", "compute": f"{workspace}/computes/{CLUSTER}"},
        },
        ON_CLUSTER: {
            "location": "eastus",
            "sku": {"name": "Default", "capacity": 1},
            "properties": {
                "endpointComputeType": "Kubernetes",
                "instanceType": "small",
                "environmentId": f"{workspace}/environments/{KEPT}/versions/1",
                "codeConfiguration": {"codeId": f"{workspace}/codes/{KEPT}/versions/1", "scoringScript": "score.py"},
                "containerResourceRequirements": {
                    "containerResourceRequests": resources,
                    "containerResourceLimits": resources,
                },
                "requestSettings": {"requestTimeout": "PT5S", "maxQueueWait": "PT0.5S"},
                "scaleSettings": {
                    "scaleType": "TargetUtilization",
                    "minInstances": 1,
                    "maxInstances": 2,
                    "targetUtilizationPercentage": 70,
                    "pollingInterval": "PT10S",
                },
            },
        },
        "onlineEndpoints": {
            "location": "eastus",
            "tags": {"a": "b"},
            "identity": {"type": "SystemAssigned"},
            "properties": {"authMode": "Key", "traffic": {}, "mirrorTraffic": {}, "keys": {"primaryKey": "a" * 20}},
        },
        "regenerateKeys": {"keyType": "Primary", "keyValue": "b" * 20},
        "onlineEndpoints/deployments": {
            "location": "eastus",
            "tags": {"a": "b"},
            "sku": {"name": "Default", "capacity": 1},
            "properties": {
                **deployment,
                "environmentId": f"{workspace}/environments/{KEPT}/versions/1",
                "model": f"{workspace}/models/{KEPT}/versions/1",
                "codeConfiguration": {"codeId": f"{workspace}/codes/{KEPT}/versions/1", "scoringScript": "score.py"},
                "requestSettings": {"requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1},
                "scaleSettings": {"scaleType": "Default"},
                "livenessProbe": probe,
                "readinessProbe": probe,
            },
        },
        "batchEndpoints": {
            "location": "eastus",
            "tags": {"a": "b"},
            "properties": {
                "authMode": "AADToken",
                "description": "d",
                "properties": {"c": "d"},
                "defaults": {"deploymentName": None},
            },
        },
        "batchEndpoints/deployments": {
            "location": "eastus",
            "tags": {"a": "b"},
            "properties": {
                "model": {"referenceType": "Id", "assetId": f"{workspace}/models/{KEPT}/versions/1"},
                "codeConfiguration": {"codeId": f"{workspace}/codes/{KEPT}/versions/1", "scoringScript": "score.py"},
                "environmentId": f"{workspace}/environments/{UNBUILT}/versions/1",
                "environmentVariables": {"A": "b"},
                "compute": f"{workspace}/computes/{KEPT}",
                "errorThreshold": -1,
                "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
                "miniBatchSize": 10,
                "maxConcurrencyPerInstance": 1,
                "loggingLevel": "Info",
                "outputAction": "AppendRow",
                "outputFileName": "predictions.csv",
                "resources": {"instanceCount": 1, "properties": {}},
            },
        },
        INVOCATION: {
            "properties": {
                "name": "n",
                "description": "d",
                "tags": {"a": "b"},
                "properties": {"c": "d"},
                "inputData": {"data": {"jobInputType": "UriFolder", "uri": f"{workspace}/data/{KEPT}/versions/1"}},
                "outputData": {
                    "score": {"jobOutputType": "UriFile", "uri": "azureml://datastores/workspaceblobstore/paths/o.csv"}
                },
                "miniBatchSize": "5",
                "errorThreshold": -1,
                "maxConcurrencyPerInstance": 1,
                "loggingLevel": "Info",
                "outputFileName": "rows.csv",
                "retrySettings": {"maxRetries": 0, "timeout": "PT30S"},
                "compute": {"instanceCount": 1},
            }
        },
        "jobs": {"properties": job},
        "schedules": {
            "properties": {
                "description": "d",
                "tags": {"a": "b"},
                "properties": {"c": "d"},
                "displayName": "d",
                "isEnabled": False,
                "trigger": {
                    "triggerType": "Recurrence",
                    "frequency": "Day",
                    "interval": 1,
                    "schedule": {"hours": [7], "minutes": [0], "weekDays": ["Monday"], "monthDays": [1]},
                    "startTime": "2026-01-01T00:00:00",
                    "endTime": "2999-01-01T00:00:00Z",
                    "timeZone": "W. Europe Standard Time",
                },
                "action": {"actionType": "CreateJob", "jobDefinition": job},
            }
        },
        STEP: {
            "properties": {
                **asset,
                "componentSpec": {**STEP_SPEC, "environment": f"azureml:{workspace}/environments/{UNBUILT}/versions/1"},
            }
        },
        PIPELINE: {
            "properties": {
                **asset_of_job,
                "jobType": "Pipeline",
                "computeId": f"{workspace}/computes/{KEPT}",
                "inputs": {
                    "n": {"jobInputType": "literal", "value": "1"},
                    "d": {"jobInputType": "uri_folder", "uri": f"{workspace}/data/{KEPT}/versions/1"},
                },
                "outputs": {"o": {"jobOutputType": "uri_folder"}},
                "settings": {"default_compute": KEPT, "continue_on_step_failure": False, "force_rerun": True},
                "jobs": {
                    "a": {
                        "type": "command",
                        "componentId": f"{workspace}/components/{STEP}/versions/1",
                        "inputs": {"n": {"job_input_type": "literal", "value": "${{parent.inputs.n}}"}},
                        "outputs": {"o": {"mode": "Upload", "name": "known", "version": "7"}},
                        "resources": {"instance_count": 1, "properties": {"a": {}}},
                        "environment_variables": {"A": "${{parent.inputs.n}}"},
                        "limits": {"timeout": "PT5M"},
                    },
                    "b": {
                        "type": "command",
                        "componentId": f"{workspace}/components/{STEP}/versions/1",
                        "inputs": {
                            "n": {"job_input_type": "literal", "value": "2"},
                            "d": {"job_input_type": "literal", "value": "${{parent.jobs.a.outputs.o}}"},
                        },
                        "outputs": {"o": {"type": "literal", "value": "${{parent.outputs.o}}"}},
                    },
                },
            }
        },
        "trigger": {"scheduleTime": "2026-01-01T00:00:00Z"},
        "registries": {
            "location": "eastus",
            "tags": {"a": "b"},
            "identity": {"type": "SystemAssigned"},
            "properties": {"publicNetworkAccess": "Enabled", "regionDetails": [{"location": "eastus"}]},
        },
        RUN: {
            "runId": KEPT,
            "displayName": "d",
            "hidden": False,
            "tags": {"a": "b"},
            "properties": {"c": "d"},
            "selectRunMetadata": True,
            "values": [f"azureml://locations/eastus/workspaces/guid/data/{KEPT}/versions/1"],
        },
        MLFLOW: {
            "properties": {
                **asset,
                "modelUri": "azureml://datastores/workspaceblobstore/paths/known",
                "modelType": "mlflow_model",
            }
        },
        WITHOUT_SCRIPT: {
            "location": "eastus",
            "properties": {**deployment, "model": f"{workspace}/models/{MLFLOW}/versions/1"},
        },
        "getLogs": {"containerType": "InferenceServer", "tail": 10},
        "roleAssignments": {
            "properties": {
                "roleDefinitionId": f"{workspace}/providers/Microsoft.Authorization/roleDefinitions/{READER}",
                "principalId": ASSIGNMENT,
                "principalType": "User",
                "description": "d",
            }
        },
        "diagnosticSettings": {
            "properties": {
                "workspaceId": log_workspace,
                "logs": [
                    {
                        "category": "AmlComputeJobEvent",
                        "enabled": True,
                        "retentionPolicy": {"enabled": False, "days": 0},
                    },
                    {"category": "RunEvent", "enabled": False},
                ],
                "metrics": [{"category": "AllMetrics", "enabled": False, "timeGrain": "PT1M"}],
                "logAnalyticsDestinationType": "Dedicated",
            }
        },
        "autoscalesettings": {
            "location": "eastus",
            "tags": {"a": "b"},
            "properties": {
                "enabled": True,
                "targetResourceUri": f"{workspace}/onlineEndpoints/{EXISTING}/deployments/{EXISTING}",
                "notifications": [{"operation": "Scale", "email": {"customEmails": []}, "webhooks": []}],
                "predictiveAutoscalePolicy": {"scaleMode": "Disabled"},
                "profiles": [
                    {
                        "name": "p",
                        "capacity": {"minimum": "1", "maximum": "2", "default": "1"},
                        "fixedDate": {"timeZone": "UTC", "start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"},
                        "rules": [
                            {
                                "metricTrigger": {
                                    "metricName": "RequestsPerMinute",
                                    "metricResourceUri": f"{workspace}/onlineEndpoints/{EXISTING}",
                                    "timeGrain": "PT1M",
                                    "statistic": "Average",
                                    "timeWindow": "PT5M",
                                    "timeAggregation": "Average",
                                    "operator": "GreaterThan",
                                    "threshold": 1.5,
                                    "dimensions": [
                                        {"DimensionName": "deployment", "Operator": "Equals", "Values": [EXISTING]}
                                    ],
                                },
                                "scaleAction": {
                                    "direction": "Increase",
                                    "type": "ChangeCount",
                                    "value": "1",
                                    "cooldown": "PT1M",
                                },
                            }
                        ],
                    }
                ],
            },
        },
        "Microsoft.OperationalInsights/workspaces": {
            "location": "eastus",
            "tags": {"a": "b"},
            "properties": {
                "sku": {"name": "PerGB2018"},
                "retentionInDays": 60,
                "workspaceCapping": {"dailyQuotaGb": -1},
                "features": {"disableLocalAuth": True},
            },
        },
    }


def _body_of(template: str, known: dict[str, Any]) -> Any:
    fixed = [segment for segment in template.split("/") if segment and not segment.startswith("{")]
    return known.get("/".join(fixed[-2:]), known.get(fixed[-1], {}))


@st.composite
def control_plane_requests(
    draw: st.DrawFn, routes: list[tuple[str, str]], fixed: dict[str, str], known: dict[str, Any]
) -> tuple[str, str, bytes]:
    """A method, a target and a body: a route's own, with some of it changed."""
    method, template = draw(st.sampled_from(routes))
    others = st.sampled_from(("1", "workspacefilestore", "new", "latest"))
    own = others if method == "DELETE" else st.just(EXISTING) | others

    def value(found: re.Match[str]) -> str:
        name = found[1]
        usual = st.just(fixed[name]) if name in fixed else own
        chosen = draw(usual if draw(st.integers(0, 24 if name in fixed else 4)) else texts)
        return quote(chosen.encode("utf-8", "surrogatepass"), safe=draw(st.sampled_from(("", "/"))))

    path = re.sub(r"{(\w+)}", value, template)
    if draw(st.integers(0, 19)) == 0:
        at = draw(st.integers(0, len(path)))
        path = "/" + path[:at].lstrip("/") + quote_from_bytes(draw(st.binary(min_size=1, max_size=3))) + path[at:]
    query = {"api-version": "2024-10-01"} if draw(st.integers(0, 9)) else {}
    names = (
        "$top",
        "$skip",
        "$orderBy",
        "$filter",
        "listViewType",
        "hash",
        "isDefault",
        "kind",
        "api-version",
        "count",
        "timespan",
        "interval",
        "metricnames",
        "aggregation",
        "x",
    )
    query |= draw(st.dictionaries(st.sampled_from(names), texts | st.integers().map(str), max_size=2))
    if draw(st.integers(0, 14)) == 0:
        method = draw(st.sampled_from(("GET", "PUT", "POST", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND")))
    body = draw(documents(_body_of(template, known))) if method not in ("GET", "HEAD", "DELETE") else b""
    return method, f"{path}?{urlencode(query, errors='surrogatepass')}", body


@st.composite
def mutated_bytes(draw: st.DrawFn, seeds: tuple[bytes, ...], pieces: tuple[bytes, ...]) -> bytes:
    """A message with up to four places where something is inserted, removed, repeated or replaced."""
    text = draw(st.sampled_from(seeds))
    inserted = st.sampled_from(pieces) | st.binary(min_size=1, max_size=8)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        kind = draw(st.integers(0, 3))
        middle = {0: b"", 1: draw(inserted) if kind == 1 else b"", 2: text[start:end] * 3}.get(kind)
        text = text[:start] + (draw(inserted) if middle is None else middle) + text[end:]
    return text
