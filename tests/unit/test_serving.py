"""azureml_local.engines.serving right after a start, while what served before is being started again.

A deployment that is removed or replaced meanwhile is not brought back, and no instance is left that nobody knows
(design.md, "nothing is orphaned"). Operations that a crash cut off are resumed at the same moment (Service.start).
"""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from azureml_local.engines import serving as module
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.serving import Serving, ServingSpec
from azureml_local.home import Home

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
    started = Serving(home, cast(BlobStorage, None), dict)
    record = DeploymentRecord.new(started._folder(ID))
    record.plan.write_text("{}")
    started._switch(ID, record)
    monkeypatch.setattr(module, "ReplicaSet", FakeReplicas)
    monkeypatch.setattr(module.LaunchPlan, "load", lambda _: "former plan")

    async def prepare(spec: Any, record: DeploymentRecord) -> str:
        return "new plan"

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
        assert running() == ["former plan"]

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
        deploying = asyncio.ensure_future(serving.deploy(ID, cast(ServingSpec, None)))
        restoring = asyncio.ensure_future(serving.restore([ID]))
        for turn in (first, 1 - first):
            await settle()
            for replicas in FakeReplicas.made:
                if (replicas.plan == "former plan") == (turn == 0):
                    replicas.may_start.set()
        FakeReplicas.all_may_start = True  # one may have waited for the other
        async with asyncio.timeout(5):
            await asyncio.gather(deploying, restoring, return_exceptions=True)
        await settle()
        found = serving.replicas(ID)
        assert found is not None
        assert cast(Any, found).plan == "new plan"
        assert running() == ["new plan"]

    asyncio.run(main())
