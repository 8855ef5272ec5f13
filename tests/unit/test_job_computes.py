"""azureml_local.arm.jobs.job_computes: which nodes a job gets, and what of the quotas serverless ones take.

https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute: a job that names no compute has
serverless ones. Names of workspaces are free (resource-name-rules), also those that are segments of Azure's ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local.arm import ids, workspaces
from azureml_local.arm.compute import compute_clusters, computes, quotas
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_computes
from azureml_local.arm.operations import Operations
from azureml_local.arm.request import ArmRequest
from azureml_local.arm.timers import Timers
from azureml_local.engines.compute.hosts import Hosts
from azureml_local.engines.compute.nodes import Nodes
from azureml_local.engines.compute.pools import Pools
from azureml_local.store import Resource, Store
from fake_nodes import FakeNode, FakeNodes

SECONDS = 20
SIZE = "STANDARD_F2S_V2"


def workspace(name: str) -> str:
    return ids.WORKSPACE.format(subscription="s", resource_group="g", workspace=name)


def new_job(workspace_id: str, compute: str | None = None, nodes: int = 1) -> Resource:
    properties = {"computeId": compute, "resources": {"instanceCount": nodes, "instanceType": SIZE}}
    return Resource(f"{workspace_id}/jobs/job", "workspaces/jobs", {"properties": properties}, "", "", "", "", 1)


def new_cluster(context: Context, compute_id: str, most: int = 8) -> Resource:
    inner = {
        "vmSize": SIZE,
        "vmPriority": "Dedicated",
        "scaleSettings": {"minNodeCount": 0, "maxNodeCount": most, "nodeIdleTimeBeforeScaleDown": "PT1H"},
    }
    properties = {"computeType": "AmlCompute", "provisioningState": "Succeeded", "properties": inner}
    return context.store.put(
        compute_id, computes.TYPE, ids.workspace_of(compute_id), {"location": "eastus", "properties": properties}, "p"
    )


def run(tmp_path: Path, scenario: Callable[[Context], Awaitable[None]], capacity: int = 8) -> None:
    async def main() -> None:
        store = Store(tmp_path / "state.db")
        pools = Pools(cast(Nodes, FakeNodes()), capacity, Hosts(lambda _: None, lambda: None))
        events = SimpleNamespace(emit=lambda *_: None)
        context = cast(Context, SimpleNamespace(store=store, pools=pools, events=events))
        try:
            async with asyncio.timeout(SECONDS):
                await scenario(context)
        finally:
            await pools.close()
            store.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["workbook", "serverless", "jobs", "computes", "quotas"])
def test_workspaces_may_be_called_as_segments_of_ids_are(tmp_path: Path, name: str) -> None:
    async def scenario(context: Context) -> None:
        context.store.put(workspace(name), "workspaces", "", {"location": "eastus"}, "p")
        cluster = new_cluster(context, f"{workspace(name)}/computes/{name}")
        await job_computes.pool_for(context, new_job(workspace(name))).acquire("a", 1)
        await job_computes.pool_for(context, new_job(workspace(name), cluster.id)).acquire("b", 1)
        uses = quotas._uses(context, "eastus")
        assert sorted((use.workspace.lower(), use.compute.split("/")[9], use.vcpus) for use in uses) == [
            (workspace(name).lower(), "computes", 2),
            (workspace(name).lower(), "serverless", 2),
        ]

    run(tmp_path, scenario)


def test_a_cluster_may_be_called_serverless(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        context.store.put(workspace("w"), "workspaces", "", {"location": "eastus"}, "p")
        cluster = new_cluster(context, f"{workspace('w')}/computes/serverless")
        pool = job_computes.pool_for(context, new_job(workspace("w"), cluster.id))
        assert pool is compute_clusters.open_pool(context, cluster)

    run(tmp_path, scenario)


def test_serverless_nodes_follow_the_quota(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        context.store.put(workspace("w"), "workspaces", "", {"location": "eastus"}, "p")
        quota = f"{workspace('w')}/quotas/Standard_FSv2_Family_Cluster_Dedicated_vCPUs"
        context.store.put(quota, quotas.TYPE, workspace("w"), {"limit": 2}, "p")
        assert job_computes.pool_for(context, new_job(workspace("w"))).scale.most == 1
        context.store.put(quota, quotas.TYPE, workspace("w"), {"limit": 4}, "p")
        pool = job_computes.pool_for(context, new_job(workspace("w"), nodes=2))
        assert len((await pool.acquire("job", 2)).nodes) == 2

    run(tmp_path, scenario)


def deletion(context: Context, workspace_id: str) -> Awaitable[Any]:
    async def nothing(*_: Any) -> None:
        pass

    context.operations = Operations(context.store)
    context.timers = Timers()
    context.job_runs = cast(Any, SimpleNamespace(end_below=nothing))
    context.router = cast(Any, SimpleNamespace(refresh=nothing))
    context.serving = cast(Any, SimpleNamespace(remove=nothing))
    context.mlflow = cast(Any, SimpleNamespace(forget=lambda _: None))
    return workspaces.delete(cast(ArmRequest, SimpleNamespace(context=context, workspace_id=workspace_id)))


def test_a_workspace_is_deleted_while_its_nodes_leave(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        for name in ("w", "other"):
            context.store.put(workspace(name), "workspaces", "", {"location": "eastus"}, "p")
        cluster = new_cluster(context, f"{workspace('w')}/computes/cpu")
        serverless = job_computes.pool_for(context, new_job(workspace("w")))
        pools = [serverless, job_computes.pool_for(context, new_job(workspace("w"), cluster.id))]
        (slow,), (fast,) = [(await pool.acquire("job", 1)).members for pool in pools]
        other = new_cluster(context, f"{workspace('other')}/computes/cpu")
        waiting = asyncio.ensure_future(
            job_computes.pool_for(context, new_job(workspace("other"), other.id)).acquire("waits", 1)
        )
        cast(FakeNode, slow.node).may_end.clear()
        deleted = asyncio.ensure_future(deletion(context, workspace("w")))
        await cast(FakeNode, fast.node).ended
        assert context.store.get(workspace("w")) is None
        serverless.reconcile()
        assert {(use.workspace, use.vcpus) for use in quotas._uses(context, "eastus")} == {(workspace("other"), 0)}
        kind = quotas.Use("c", workspace("w"), compute_clusters.kind_of(other).size, 2)
        assert (quotas.room(context, kind), quotas.shortage(context, kind)) == (0, quotas.Shortage(0, 0, 2))
        cast(FakeNode, slow.node).may_end.set()
        assert (await deleted).status_code == 200
        assert [pool.members for pool in pools] == [[], []]
        assert len((await waiting).nodes) == 1

    run(tmp_path, scenario, capacity=2)
