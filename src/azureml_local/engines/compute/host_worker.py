"""The program of a worker that an operator starts on another machine: ``azureml-local worker``.

``dask worker`` would do. This one has the service's own version of this package, and comes back by itself when its
machine was cut off: Dask's ends for good once the scheduler has given it up.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

from azureml_local.engines.compute.hosts import TAG, SchedulerSettings, reason
from azureml_local.engines.compute.node import configure_dask
from azureml_local.engines.jobs import elsewhere, execution

TRY_AGAIN_AFTER = 2.0  # seconds


def run(settings: SchedulerSettings, name: str | None) -> None:
    """Be a node of computes until SIGTERM or SIGINT.

    Args:
        settings: the scheduler, and the computes.
        name: what the operator calls the worker; None for this machine's name.

    Raises:
        HostsError: the settings cannot be right.
    """
    settings.check()
    settings.security()
    asyncio.run(_serve(settings, name or socket.gethostname()))


async def _serve(settings: SchedulerSettings, name: str) -> None:
    configure_dask()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    ending = asyncio.ensure_future(ended.wait())
    said = ""
    while not ended.is_set():
        try:
            await _work(settings, name, ending)
            said = ""
        except (OSError, ValueError) as error:
            if said != (said := f"{settings.address} is not reached: {reason(error)} It is tried again."):
                print(said, flush=True)
        await asyncio.wait([ending], timeout=TRY_AGAIN_AFTER)


async def _work(settings: SchedulerSettings, name: str, ending: asyncio.Future[Any]) -> None:
    """Be a worker until the scheduler, or the way there, is gone, or the operator ends this."""
    from distributed import Worker

    protocol = settings.address.partition(":")[0]
    worker = await Worker(
        settings.address,
        # Dask listens on every address by itself, and who reaches a worker runs code on it.
        host=None if protocol == "tls" else "127.0.0.1",
        name=name,
        nthreads=1,
        resources={f"{TAG}{compute.lower()}": 1 for compute in settings.computes},
        security=settings.security(),
        protocol=protocol,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        local_directory=str(elsewhere.node_folder() / "dask"),
    )
    worker.http_server.stop()
    print(f"{name} is a node of {', '.join(settings.computes)} by {settings.address}.", flush=True)
    finished = asyncio.ensure_future(worker.finished())
    await asyncio.wait((finished, ending), return_when=asyncio.FIRST_COMPLETED)
    await execution.stop_all()
    await worker.close()
