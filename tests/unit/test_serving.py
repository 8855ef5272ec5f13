"""azureml_local.engines.serving right after a start, while what served before is being started again.

A deployment that is removed or replaced meanwhile is not brought back, and no instance is left that nobody knows
(design.md, "nothing is orphaned"). Operations that a crash cut off are resumed at the same moment (Service.start).
"""

import asyncio
import datetime
import errno
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from azureml_local.engines import serving as module
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.data_collection.collector import DataCollectors
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.environments import Environments
from azureml_local.engines.inference_server import InstanceError, LaunchPlan
from azureml_local.engines.kubernetes.cluster import Cluster
from azureml_local.engines.kubernetes.scheduling import Scheduler
from azureml_local.engines.probes import Probe
from azureml_local.engines.serving import CodeSource, ModelSource, Serving, ServingError, ServingSpec
from azureml_local.engines.staging import BlobPath, StagingError
from azureml_local.home import Home

SPEC = ServingSpec({"image": "i"}, None, None, {"A": "b"}, 1, 1, 5.0, Probe(), Probe(), 7.0)
NEW = LaunchPlan("python", "/app", "/app/score.py", None, {}, 1, 1, 5.0, "/log", fingerprint=SPEC.fingerprint())
FORMER = replace(NEW, fingerprint="another")
ID = "/subscriptions/s/onlineEndpoints/e/deployments/blue"


class FakeReplicas:
    """Stands for a deployment's instances: started when told to."""

    made: list["FakeReplicas"]
    all_may_start: bool

    def __init__(self, plan: object, *_: object) -> None:
        self.plan = plan
        self.starting: asyncio.Future[None] | None = None
        self.may_start = asyncio.Event()
        self.runs = False
        self.sizes: list[int] = []
        self.may_grow = True
        if FakeReplicas.all_may_start:
            self.may_start.set()
        FakeReplicas.made.append(self)

    async def start(self) -> None:
        await self.may_start.wait()
        self.runs = True

    async def drain(self) -> None:
        await self.stop()

    async def grow(self, count: int) -> None:
        self.sizes.append(count)
        if not self.may_grow:
            raise InstanceError("it ended with exit code 3")

    async def shrink(self, count: int) -> None:
        self.sizes.append(count)

    def apply(self, plan: object) -> None:
        self.plan = plan

    def start_in_background(self) -> None:
        self.starting = asyncio.ensure_future(self.start())

    async def stop(self) -> None:
        if self.starting:
            self.starting.cancel()
        self.runs = False


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """A service whose deployment served when it ended."""
    FakeReplicas.made = []
    FakeReplicas.all_may_start = False
    home = Home(tmp_path)
    started = Serving(
        home,
        cast(BlobStorage, None),
        Environments(home.environments),
        lambda _: {},
        DataCollectors(cast(BlobStorage, None)),
        lambda *_: "",
        Scheduler(lambda _: Cluster.read(())),
    )
    home.create()
    record = DeploymentRecord.new(started._folder(ID))
    record.plan.write_text("{}")
    started._switch(ID, record)
    monkeypatch.setattr(module, "ReplicaSet", FakeReplicas)
    monkeypatch.setattr(module.LaunchPlan, "load", lambda _: FORMER)

    async def prepare(spec: Any, record: DeploymentRecord) -> LaunchPlan:
        return NEW

    monkeypatch.setattr(started, "_prepare", prepare)
    return started


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def running() -> list[object]:
    return [replicas.plan for replicas in FakeReplicas.made if replicas.runs]


def test_what_served_serves_again(serving: Serving) -> None:
    async def main() -> None:
        restoring = asyncio.ensure_future(serving.restore([ID]))
        await settle()
        FakeReplicas.made[0].may_start.set()
        await restoring
        await settle()
        assert serving.replicas(ID.upper()) is cast(Any, FakeReplicas.made[0])
        assert running() == [FORMER]

    asyncio.run(main())


def test_deployment_that_is_removed_meanwhile_is_not_brought_back(serving: Serving) -> None:
    async def main() -> None:
        restoring = asyncio.ensure_future(serving.restore([ID]))
        await settle()
        removing = asyncio.ensure_future(serving.remove(ID))
        await settle()
        FakeReplicas.made[0].may_start.set()
        async with asyncio.timeout(5):
            await asyncio.gather(restoring, removing, return_exceptions=True)
        await settle()
        assert serving.replicas(ID) is None
        assert running() == []

    asyncio.run(main())


@pytest.mark.parametrize("first", [0, 1], ids=["former ready first", "new ready first"])
def test_deployment_that_is_replaced_meanwhile_serves_its_new_version_only(first: int, serving: Serving) -> None:
    async def main() -> None:
        deploying = asyncio.ensure_future(serving.deploy(ID, SPEC))
        restoring = asyncio.ensure_future(serving.restore([ID]))
        for turn in (first, 1 - first):
            await settle()
            for replicas in FakeReplicas.made:
                if (replicas.plan == FORMER) == (turn == 0):
                    replicas.may_start.set()
        FakeReplicas.all_may_start = True  # one may have waited for the other
        async with asyncio.timeout(5):
            await asyncio.gather(deploying, restoring, return_exceptions=True)
        await settle()
        found = serving.replicas(ID)
        assert found is not None
        assert cast(Any, found).plan == NEW
        assert running() == [NEW]

    asyncio.run(main())


def test_folders_that_belong_to_no_deployment_are_removed(serving: Serving) -> None:
    """A SIGKILL in the middle of a deletion leaves them."""

    async def main() -> None:
        orphan = serving._folder("/another")
        DeploymentRecord.new(orphan)
        await serving.restore([ID])
        assert not orphan.exists()
        assert serving._folder(ID).exists()

    asyncio.run(main())


def test_attempts_stay_in_order_although_the_clock_is_set_back(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(2001, 1, 1, tzinfo=tz)

    folder = serving._folder("/other")
    first = DeploymentRecord.new(folder)
    monkeypatch.setattr("azureml_local.engines.deployment_record.datetime.datetime", Earlier)
    second, third = DeploymentRecord.new(folder), DeploymentRecord.new(folder)
    assert [record.folder for record in DeploymentRecord.all(folder)] == [first.folder, second.folder, third.folder]


def attempts(serving: Serving) -> list[tuple[bool, bool]]:
    """Say of each attempt whether its files and its log are there, oldest first."""
    found = DeploymentRecord.all(serving._folder(ID))
    return [(record.app.exists(), record.log("inferenceserver").exists()) for record in found]


def test_of_attempts_that_failed_only_the_last_ones_log_is_kept(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(spec: Any, record: DeploymentRecord) -> str:
        (record.app / "large").write_text("staged")
        raise StagingError("nothing there")

    monkeypatch.setattr(serving, "_prepare", fails)

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(ServingError):
                await serving.deploy(ID, SPEC)
            assert attempts(serving) == [(True, True), (False, True)]

    asyncio.run(main())


def test_no_room_for_what_is_staged(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """how-to-troubleshoot-online-endpoints, OutOfQuota: "Disk"."""

    async def full(spec: Any, record: DeploymentRecord) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(serving, "_prepare", full)
    with pytest.raises(ServingError, match="No space left") as caught:
        asyncio.run(serving.deploy(ID, SPEC))
    assert caught.value.code == "OutOfQuota"


def test_instances_end_where_the_switch_to_them_fails(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    FakeReplicas.all_may_start = True
    monkeypatch.setattr(serving, "_switch", full)
    with pytest.raises(ServingError):
        asyncio.run(serving.deploy(ID, SPEC))
    assert running() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": {"image": "j"}},
        {"environment_variables": {"A": "c"}},
        {"memory": 14.0},
        {"liveness": Probe(period=1)},
        {"readiness": Probe(period=2)},
        {"model": ModelSource("m", "1", BlobPath("container", "models/m"))},
        {"code": CodeSource(BlobPath("container", "code"), "score.py")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_instances_cannot_follow_needs_others(changed: dict[str, Any]) -> None:
    assert replace(SPEC, **changed).fingerprint() != SPEC.fingerprint()


SETTINGS = {
    "instance_count": 3,
    "max_concurrent": 4,
    "request_timeout": 9.0,
}


def update(serving: Serving, spec: ServingSpec) -> FakeReplicas:
    """Serve SPEC, then what is given instead; return what served at first."""

    async def main() -> FakeReplicas:
        FakeReplicas.all_may_start = True
        await serving.deploy(ID, SPEC)
        running = cast(FakeReplicas, serving.replicas(ID))
        await serving.deploy(ID, spec)
        return running

    return asyncio.run(main())


def plan_on_disk(serving: Serving) -> LaunchPlan:
    return LaunchPlan.load(DeploymentRecord(serving._folder(ID) / "current").plan)


def test_other_settings_are_followed_by_what_runs(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "ReplicaSet", FakeReplicas)

    async def prepare(spec: Any, record: DeploymentRecord) -> LaunchPlan:
        return NEW

    monkeypatch.setattr(serving, "_prepare", prepare)
    running = update(serving, replace(SPEC, **SETTINGS))
    assert serving.replicas(ID) is cast(Any, running)
    assert running.runs
    assert running.sizes == [3, 3]
    assert running.plan == replace(NEW, **SETTINGS)
    assert plan_on_disk(serving) == running.plan


def test_update_that_fails_changes_nothing(serving: Serving) -> None:
    async def main() -> None:
        FakeReplicas.all_may_start = True
        await serving.deploy(ID, SPEC)
        running = cast(FakeReplicas, serving.replicas(ID))
        running.may_grow = False
        with pytest.raises(ServingError, match="exit code 3") as caught:
            await serving.deploy(ID, replace(SPEC, instance_count=3))
        assert caught.value.code == "ResourceNotReady"
        assert running.plan is NEW
        assert running.runs

    asyncio.run(main())


def test_update_that_cannot_be_written_down_is_taken_back(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LaunchPlan, "save", full)
    with pytest.raises(ServingError, match="No space left") as caught:
        update(serving, replace(SPEC, instance_count=3))
    assert caught.value.code == "OutOfQuota"
    assert FakeReplicas.made[-1].sizes == [3, 1]
    assert FakeReplicas.made[-1].plan is NEW


def test_back_to_what_serves_the_failed_attempt_is_forgotten(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(spec: Any, record: DeploymentRecord) -> LaunchPlan:
        raise StagingError("nothing there")

    async def main() -> None:
        FakeReplicas.all_may_start = True
        await serving.deploy(ID, SPEC)
        monkeypatch.setattr(serving, "_prepare", fails)
        with pytest.raises(ServingError):
            await serving.deploy(ID, replace(SPEC, environment_variables={}))
        assert len(attempts(serving)) == 2
        await serving.deploy(ID, SPEC)
        assert attempts(serving) == [(True, True)]

    asyncio.run(main())


def test_plan_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    stored = asdict(NEW) | {"ready_within": 310.0}
    for name in ("liveness", "readiness", "memory", "fingerprint"):
        del stored[name]
    (tmp_path / "launch.json").write_text(json.dumps(stored))
    assert LaunchPlan.load(tmp_path / "launch.json") == replace(NEW, fingerprint="")
