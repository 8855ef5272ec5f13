"""azureml_local.engines.serving right after a start, while what served before is being started again.

A deployment that is removed or replaced meanwhile is not brought back, and no instance is left that nobody knows
(design.md, "nothing is orphaned"). Operations that a crash cut off are resumed at the same moment (Service.start).
"""

import asyncio
import datetime
import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from azureml_local.engines import serving as module
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.data_collection.collector import DataCollectors
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.environments import Environments
from azureml_local.engines.probes import Probe
from azureml_local.engines.serving import Serving, ServingError, ServingSpec
from azureml_local.engines.staging import StagingError
from azureml_local.home import Home


@dataclass
class Plan:
    """Stands for a launch plan."""

    fingerprint: str
    data_collection: None = None


FORMER, NEW = Plan("former"), Plan("new")
SPEC = ServingSpec({}, None, None, {}, 1, 1, 5.0, Probe(), Probe(), None)
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
        if FakeReplicas.all_may_start:
            self.may_start.set()
        FakeReplicas.made.append(self)

    async def start(self) -> None:
        await self.may_start.wait()
        self.runs = True

    async def drain(self) -> None:
        await self.stop()

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
    )
    home.create()
    record = DeploymentRecord.new(started._folder(ID))
    record.plan.write_text("{}")
    started._switch(ID, record)
    monkeypatch.setattr(module, "ReplicaSet", FakeReplicas)
    monkeypatch.setattr(module.LaunchPlan, "load", lambda _: FORMER)

    async def prepare(spec: Any, record: DeploymentRecord) -> Plan:
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
