"""The worker that an operator starts on another machine: where it listens. Dask's scheduler is a real one here."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil
import pytest

from azureml_local.engines.compute import host_worker
from azureml_local.engines.compute.hosts import SchedulerSettings, is_loopback


def listening() -> set[tuple[str, int]]:
    return {
        (one.laddr.ip, one.laddr.port)
        for one in psutil.Process().net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("named", ["127.0.0.1", "localhost"])
def test_without_tls_a_worker_is_reached_from_its_own_machine_only(named: str) -> None:
    """Who reaches a worker runs code on it."""
    from distributed import Scheduler

    async def main() -> set[tuple[str, int]]:
        ending: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            before = listening()
            settings = SchedulerSettings(f"tcp://{named}:{scheduler.port}", ("big",))
            working = asyncio.ensure_future(host_worker._work(settings, "a", ending))
            while not scheduler.workers:  # noqa: ASYNC110 - what is waited for is the other side's
                await asyncio.sleep(0.001)
            found = listening() - before
            ending.set_result(None)
            await working
        return found

    found = asyncio.run(asyncio.wait_for(main(), 60))
    assert found
    assert [ip for ip, _ in found if not is_loopback(ip)] == []
