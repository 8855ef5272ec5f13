"""The number of instances by their load.

What is right: https://learn.microsoft.com/azure/machine-learning/how-to-kubernetes-inference-routing-azureml-fe
#autoscaling: utilization = (busy replicas + queued requests) / replicas, eager up, a minute before down.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import ceil
from typing import Any, cast

import pytest

from azureml_local import clock
from azureml_local.engines import target_utilization as module
from azureml_local.engines.replicas import ReplicaSet
from azureml_local.engines.target_utilization import Scaler, TargetUtilization

SETTINGS = TargetUtilization(1, 10, 70, 1.0)


@pytest.mark.parametrize(("rps", "seconds", "target"), [(20, 10, 70), (1, 1, 70), (7, 0.1, 70), (3, 1, 100)])
def test_formula_of_the_documentation(rps: float, seconds: float, target: int) -> None:
    concurrent = rps * seconds
    documented = ceil(round(concurrent / (target / 100), 6))
    assert TargetUtilization(1, 1000, target, 1.0).wanted(concurrent, 0) == documented


@pytest.mark.parametrize(
    ("busy", "waiting", "wanted"), [(0, 0, 1), (0.7, 0, 1), (1, 0, 2), (1, 2, 5), (7, 0, 10), (9, 90, 10)]
)
def test_what_waits_counts_and_limits_hold(busy: float, waiting: int, wanted: int) -> None:
    assert SETTINGS.wanted(busy, waiting) == wanted


@dataclass
class FakePlan:
    scaling: TargetUtilization | None = SETTINGS
    instance_count: int = 1
    app_root: str = "/app"


@dataclass
class FakeReplicas:
    load: tuple[float, int] = (0, 0)
    plan: FakePlan = field(default_factory=FakePlan)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_busy(self) -> None:
        self.asked.clear()
        await self.asked.wait()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, "1000")  # a minute takes 60 ms
    monkeypatch.setattr(module, "SHORTEST_INTERVAL", 0.0)


class Asked(list[int]):
    """What a scaler has asked for."""

    changed: asyncio.Condition
    fails = False  # for the first time

    async def of(self, count: int) -> None:
        """Wait until it has asked so often."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self) >= count)


def run(story: Any) -> list[int]:
    """Let a scaler run while ``story`` changes the load, and return what it asked for."""
    asked = Asked()

    async def main() -> None:
        replicas = FakeReplicas()
        asked.changed = asyncio.Condition()

        async def scale(count: int) -> None:
            async with asked.changed:
                asked.append(count)
                asked.changed.notify_all()
            if asked.fails:
                asked.fails = False
                raise OSError("no space")
            replicas.plan.instance_count = count

        task = asyncio.ensure_future(Scaler(cast(ReplicaSet, replicas), scale).run())
        async with asyncio.timeout(20):
            await story(replicas, asked, task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return asked


def test_up_at_once_and_down_after_a_minute() -> None:
    async def story(replicas: FakeReplicas, asked: Asked, _: object) -> None:
        replicas.load = (1, 3)
        replicas.asked.set()
        await asked.of(1)
        begun = asyncio.get_running_loop().time()
        replicas.load = (0, 0)
        await asked.of(2)
        assert asyncio.get_running_loop().time() - begun >= 0.06

    assert run(story) == [6, 1]


def test_down_only_as_far_as_the_minute_needed() -> None:
    async def story(replicas: FakeReplicas, asked: Asked, _: object) -> None:
        replicas.load = (5, 0)
        replicas.asked.set()
        await asked.of(1)
        replicas.load = (2, 0)
        await asked.of(2)

    assert run(story) == [8, 3]


def test_nothing_is_looked_at_while_nothing_is_asked() -> None:
    async def story(replicas: FakeReplicas, asked: Asked, task: asyncio.Task[None]) -> None:
        await asyncio.sleep(0.02)
        replicas.load = (9, 9)  # that comes with a request, of which it was not told
        await asyncio.sleep(0.05)
        assert not asked and not task.done()

    assert run(story) == []


def test_what_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story(replicas: FakeReplicas, asked: Asked, _: object) -> None:
        asked.fails = True
        replicas.load = (2, 0)
        replicas.asked.set()
        await asked.of(2)

    assert run(story) == [3, 3]
    assert "stays as it is" in caplog.text


def test_ends_with_the_setting() -> None:
    async def story(replicas: FakeReplicas, asked: Asked, task: asyncio.Task[None]) -> None:
        replicas.plan.scaling = None
        replicas.asked.set()
        await task

    assert run(story) == []
