"""azureml_local.arm.compute.compute_instances: instances that stop when idle, and are started and stopped by schedule.

https://learn.microsoft.com/azure/machine-learning/how-to-create-compute-instance (idle shutdown, schedules); the words
for who began an operation are those of the OpenAPI (OperationTrigger).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local.arm import ids
from azureml_local.arm import timers as timers_module
from azureml_local.arm.compute import compute_instances, computes
from azureml_local.arm.context import Context
from azureml_local.arm.operations import Operations
from azureml_local.arm.timers import Timers
from azureml_local.clock import VARIABLE
from azureml_local.engines.compute.hosts import Hosts
from azureml_local.engines.compute.nodes import Nodes
from azureml_local.engines.compute.pools import Pools
from azureml_local.store import Store, StoredOperation
from fake_nodes import FakeNodes

WORKSPACE = ids.WORKSPACE.format(subscription="s", resource_group="g", workspace="w")
SECONDS = 20


class Case:
    """An instance in a store, and the part of the service that it needs."""

    def __init__(self, context: Context, **inner: Any) -> None:
        self.context = context
        schedules = compute_instances._schedules({"computeStartStop": inner.pop("schedules", [])}, "schedules")
        stored = {
            "vmSize": "STANDARD_DS1_V2",
            "state": "Creating",
            "lastOperation": None,
            "idleTimeBeforeShutdown": None,
            "releaseQuotaOnStop": False,
            "schedules": schedules,
            **inner,
        }
        properties = {"computeType": "ComputeInstance", "provisioningState": "Succeeded", "properties": stored}
        self.instance = context.store.put(
            f"{WORKSPACE}/computes/ci", computes.TYPE, WORKSPACE, {"properties": properties}, "p"
        )

    def provision(self) -> None:
        compute_instances.provision(self.context, self.instance)

    @property
    def inner(self) -> dict[str, Any]:
        found = self.context.store.get(self.instance.id)
        assert found is not None
        inner: dict[str, Any] = found.properties["properties"]
        return inner

    async def ended(self, operation: str) -> StoredOperation:
        """Return an operation once it has ended."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.context.operations.status(operation)
                assert found is not None
                if found.status != "InProgress":
                    return found

    async def power(self, verb: str) -> StoredOperation:
        """Begin to start, stop or restart it as a user does; return the operation once it has ended."""
        instance = self.context.store.get(self.instance.id)
        assert instance is not None
        with self.context.store.transaction():
            compute_instances._note_begun(self.context, instance, verb, "User")
            self.context.operations.begin(f"computes/{verb}", instance, verb)
        return await self.ended(verb)

    async def until(self, state: str, trigger: str) -> None:
        """Wait for a state that was brought about by ``trigger``."""
        async with asyncio.timeout(SECONDS):
            while (self.inner["state"], self.inner["lastOperation"]["operationTrigger"]) != (state, trigger):  # noqa: ASYNC110
                await asyncio.sleep(0.001)


def run(tmp_path: Path, scenario: Callable[[Context], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(tmp_path / "state.db")
        store.put(WORKSPACE, "workspaces", "", {"location": "eastus"}, "p")
        operations, timers = Operations(store), Timers()
        pools = Pools(cast(Nodes, FakeNodes()), 8, Hosts(lambda _: None, lambda: None))
        context = cast(Context, SimpleNamespace(store=store, operations=operations, timers=timers, pools=pools))
        computes.register_operations(context)
        compute_instances.register_operations(context)
        try:
            async with asyncio.timeout(SECONDS):
                await scenario(context)
        finally:
            timers.cancel("")
            await operations.close()
            await pools.close()
            store.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour takes 4 ms."""
    monkeypatch.setenv(VARIABLE, "1000000")


def test_an_idle_instance_stops(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, idleTimeBeforeShutdown="PT15M")
        case.provision()
        assert case.inner["state"] == "Running"
        await case.until("Stopped", "IdleShutdown")

    run(tmp_path, scenario)


def test_an_instance_with_a_job_is_not_idle(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, idleTimeBeforeShutdown="PT15M")
        case.provision()
        pool = compute_instances.open_pool(context, case.instance)
        lease = await pool.acquire("job", 1)
        await asyncio.sleep(0.05)  # many times 15 minutes
        assert case.inner["state"] == "Running"
        pool.release(lease)
        await case.until("Stopped", "IdleShutdown")
        waiting = asyncio.ensure_future(pool.acquire("another", 1))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()

    run(tmp_path, scenario)


def test_an_instance_without_idle_time_goes_on(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context)
        case.provision()
        await asyncio.sleep(0.05)
        assert case.inner["state"] == "Running"

    run(tmp_path, scenario)


def test_schedules_stop_and_start_it_again_and_again(tmp_path: Path) -> None:
    def schedule(action: str, hours: str) -> dict[str, Any]:
        return {"action": action, "triggerType": "Cron", "cron": {"expression": f"0 {hours} * * *"}}

    async def scenario(context: Context) -> None:
        case = Case(context, schedules=[schedule("Stop", "*/2"), schedule("Start", "1-23/2")])
        case.provision()
        for _ in range(3):
            await case.until("Stopped", "Schedule")
            await case.until("Running", "Schedule")

    run(tmp_path, scenario)


def test_a_disabled_schedule_does_nothing(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        minutely = {"expression": "* * * * *"}
        disabled = {"action": "Stop", "triggerType": "Cron", "cron": minutely, "status": "Disabled"}
        case = Case(context, schedules=[disabled])
        case.provision()
        await asyncio.sleep(0.05)
        assert case.inner["state"] == "Running"

    run(tmp_path, scenario)


def test_schedules_and_idle_time_are_taken_up_after_a_restart_of_the_service(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, state="Running", lastOperation={"operationTrigger": "User"}, idleTimeBeforeShutdown="PT1H")
        computes.open_all(context)
        await case.until("Stopped", "IdleShutdown")

    run(tmp_path, scenario)


def test_a_deleted_instance_has_no_timers(tmp_path: Path) -> None:
    """A timer that its node's end sets would stop the next instance of the name."""

    async def scenario(context: Context) -> None:
        hourly = {"action": "Stop", "triggerType": "Cron", "cron": {"expression": "0 0 1 1 *"}}
        case = Case(context, schedules=[hourly], idleTimeBeforeShutdown="P3D")
        case.provision()
        await compute_instances.open_pool(context, case.instance).acquire("job", 1)
        context.operations.begin("computes/delete", case.instance, "deletion")
        await case.ended("deletion")
        assert context.store.get(case.instance.id) is None
        assert context.timers._timers == {}

    run(tmp_path, scenario)


def test_a_stopped_instance_keeps_its_quota_unless_it_releases_it(tmp_path: Path) -> None:

    async def scenario(context: Context) -> None:
        def uses() -> list[int]:
            return [use.vcpus for use in compute_instances._uses(context)]

        case = Case(context)
        assert uses() == []
        case.provision()
        assert uses() == [1]
        compute_instances._set(context, case.instance, state="Stopped")
        assert uses() == [1]
        compute_instances._set(context, case.instance, releaseQuotaOnStop=True)
        assert uses() == []

    run(tmp_path, scenario)


@pytest.mark.parametrize("idle", ["PT15M", None], ids=["shorter", "never"])
def test_another_idle_time_holds_at_once(tmp_path: Path, idle: str | None) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, idleTimeBeforeShutdown="P3D")
        case.provision()
        name = f"{case.instance.key}/idle"
        for change in (
            lambda: compute_instances._set_idle_time(context, case.instance, idle),
            lambda: compute_instances.provision(context, context.store.get(case.instance.id) or case.instance),
        ):
            former = context.timers._timers[name]
            change()
            assert former.cancelled()
            assert (name in context.timers) == (idle is not None)
            if idle is None:
                return
        await case.until("Stopped", "IdleShutdown")

    run(tmp_path, scenario)


def test_an_instance_whose_node_died_under_a_job_is_idle_after_it(tmp_path: Path) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, idleTimeBeforeShutdown="PT15M")
        case.provision()
        pool = compute_instances.open_pool(context, case.instance)
        lease = await pool.acquire("job", 1)
        lease.nodes[0].ended.set_result(137)
        async with asyncio.timeout(SECONDS):
            while pool.members:  # noqa: ASYNC110
                await asyncio.sleep(0)
        pool.release(lease)
        await case.until("Stopped", "IdleShutdown")

    run(tmp_path, scenario)


def test_a_start_needs_the_quota_that_was_given_back(tmp_path: Path) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-manage-compute-instance: quota is released on stop."""

    async def scenario(context: Context) -> None:
        case = Case(context, releaseQuotaOnStop=True)
        case.provision()
        assert (await case.power("stop")).status == "Succeeded"
        quota = f"{WORKSPACE}/quotas/Standard_DSv2_Family_Cluster_Dedicated_vCPUs"
        context.store.put(quota, "workspaces/quotas", WORKSPACE, {"limit": 0}, "p")
        refused = await case.power("start")
        assert refused.error is not None
        assert (refused.status, refused.error["code"]) == ("Failed", "ClusterCoreQuotaReached")
        assert (case.inner["state"], case.inner["lastOperation"]["operationStatus"]) == ("Stopped", "StartFailed")
        context.store.put(quota, "workspaces/quotas", WORKSPACE, {"limit": 1}, "p")
        assert (await case.power("start")).status == "Succeeded"
        assert case.inner["state"] == "Running"

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("verb", "state"),
    [("start", "Running"), ("start", "CreateFailed"), ("stop", "CreateFailed"), ("restart", "CreateFailed")],
)
def test_only_what_the_state_admits_is_done(tmp_path: Path, verb: str, state: str) -> None:
    async def scenario(context: Context) -> None:
        case = Case(context, state=state, lastOperation={"operationTrigger": "User"})
        refused = await case.power(verb)
        assert refused.error is not None
        assert refused.error["code"].startswith(f"{verb.title()}ComputeInstanceOnlyAllowedIn")
        assert case.inner["state"] == state

    run(tmp_path, scenario)


def test_idle_time_and_schedules_outlast_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers_module, "TRY_AGAIN_AFTER", 0.001)

    async def scenario(context: Context) -> None:
        start = {"action": "Start", "triggerType": "Cron", "cron": {"expression": "0 0 * * *"}}
        case = Case(context, idleTimeBeforeShutdown="PT15M", schedules=[start])
        case.provision()
        failures = 0

        def full(*_: object) -> None:
            nonlocal failures
            failures += 1
            raise sqlite3.OperationalError("database or disk is full")

        for state, trigger in (("Stopped", "IdleShutdown"), ("Running", "Schedule"), ("Stopped", "IdleShutdown")):
            with monkeypatch.context() as patch:
                patch.setattr(context.store, "save", full)
                before = failures
                async with asyncio.timeout(SECONDS):
                    while failures < before + 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            await case.until(state, trigger)

    run(tmp_path, scenario)
