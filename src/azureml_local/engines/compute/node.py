"""The program of a node: one Dask worker that runs what the service gives it.

``python -m azureml_local.engines.compute.node SETTINGS.json``. It prints its address once it is registered.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.security import Security

RARELY = "10m"


@dataclass(frozen=True)
class NodeSettings:
    """Where the scheduler is, what the node is called, and the folder with the certificate."""

    scheduler: str
    name: str
    folder: str


def configure_dask() -> None:
    """Leave out what nodes do not need: pages over HTTP, limits of memory, and measuring themselves all the time.

    Without that an idle scheduler takes 2 % of a core, and an idle node 4 %.
    """
    import dask

    dask.config.set(
        {
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
            "distributed.worker.profile.enabled": False,
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.scheduler.work-stealing": False,
            "distributed.client.scheduler-info-interval": RARELY,
            "distributed.admin.tick": {"interval": RARELY, "limit": RARELY, "cycle": RARELY},
            "distributed.admin.system-monitor.interval": RARELY,
            "distributed.admin.system-monitor.gil.enabled": False,
        }
    )
    logging.getLogger("distributed").setLevel(logging.WARNING)  # Dask sets it to INFO as it is imported


def security(folder: Path, *, create: bool = False) -> Security:
    """Return Dask's security with the certificate in ``folder``; ``create`` makes a new one."""
    from distributed.security import Security

    certificate, key = folder / "dask.pem", folder / "dask.key"
    if create:
        from azureml_local.edge.tls import self_signed

        self_signed(certificate, key, "azureml-local nodes")
    files = {
        f"tls_{role}_{what}": str(path)
        for role in ("scheduler", "worker", "client")
        for what, path in (("cert", certificate), ("key", key))
    }
    return Security(tls_ca_file=str(certificate), require_encryption=True, **files)


async def serve(settings: NodeSettings) -> None:
    """Work until the service ends this process, or the scheduler is gone."""
    from azureml_local.engines.compute import lean_dask
    from azureml_local.engines.jobs import execution

    configure_dask()
    folder = Path(settings.folder)
    worker = await lean_dask.distributed.Worker(
        settings.scheduler,
        name=settings.name,
        nthreads=1,
        security=security(folder),
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        protocol="tls",
        local_directory=str(folder),
    )
    worker.http_server.stop()
    print(worker.address, flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    finished = asyncio.ensure_future(worker.finished())
    await asyncio.wait((finished, asyncio.ensure_future(ended.wait())), return_when=asyncio.FIRST_COMPLETED)
    await execution.stop_all()


def main() -> int:
    """Run the node that a file describes."""
    asyncio.run(serve(NodeSettings(**json.loads(Path(sys.argv[1]).read_text()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
