"""Spark pools of Azure Synapse that are attached: their address, and nothing that runs on them.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-synapse-spark-pool. azureml-local has no Synapse: a
pool is taken at its id's word, what it consists of is not known, and jobs of the type spark answer 501.
"""

from __future__ import annotations

import re
from typing import Any

from azureml_local.arm.compute import compute_clusters, computes
from azureml_local.arm.context import Context
from azureml_local.arm.request import ArmRequest
from azureml_local.store import Resource

COMPUTE_TYPE = "SynapseSpark"
RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscriptionId>[^/\s]+)/resourceGroups/(?P<resourceGroup>[^/\s]+)/providers/Microsoft\.Synapse"
    r"/workspaces/(?P<workspaceName>[^/\s]+)/bigDataPools/(?P<poolName>[^/\s]+)",
    re.IGNORECASE,
)
# What Synapse says of a pool.
UNKNOWN = ("sparkVersion", "nodeCount", "nodeSize", "nodeSizeFamily", "autoScaleProperties", "autoPauseProperties")


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what a pool's id says of it. Raises 400 for another id."""
    resource_id = request.properties.get("resourceId") or (known and known.properties["resourceId"]) or ""
    parts = RESOURCE_ID.fullmatch(resource_id)
    if parts is None:
        raise computes.bad_request(
            f"properties.resourceId is '{resource_id}'; it must be the id of a Spark pool of Azure Synapse: "
            "/subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Synapse/workspaces/<name>/bigDataPools/<pool>.",
            "properties.resourceId",
        )
    return parts.groupdict()


def shown(_: Context, compute: Resource) -> dict[str, Any]:
    """Return a pool's inner properties."""
    return {**compute.properties["properties"], **dict.fromkeys(UNKNOWN)}


computes.KINDS[COMPUTE_TYPE] = computes.Kind(
    compute_clusters.NAME_RULE, settings, lambda _context, _compute: None, shown, is_attached=True
)
