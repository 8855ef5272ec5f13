"""A Dask scheduler with workers on this machine, each in place of another machine; see :mod:`helpers.hosts`.

``python -m helpers.stand_in_hosts FOLDER COMPUTE NAME...``. It prints the scheduler's address once the workers are
there. Each line of its standard input, ``end NAME`` or ``start NAME``, ends a worker or starts it again, and is
answered by a line when that is done. When its input ends, everything does: so nothing outlives a notebook.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from distributed import Scheduler
from distributed.security import Security

ENDS_WITHIN = 15.0  # seconds that a worker has before it is killed


class StandIns:
    """The scheduler and its workers.

    Args:
        folder: exists, and is this user's alone: it gets the certificate.
        compute: the name that the workers are tagged with.
    """

    def __init__(self, folder: Path, compute: str) -> None:
        self._folder = folder
        self._compute = compute
        self._security = Security.temporary()
        self._workers: dict[str, asyncio.subprocess.Process] = {}
        self._files = {"ca": "tls_ca_file", "cert": "tls_worker_cert", "key": "tls_worker_key"}
        self.scheduler: Scheduler

    async def begin(self) -> None:
        """Write the certificate, and start the scheduler."""
        for name, attribute in self._files.items():
            file = self._folder / f"{name}.pem"
            file.touch(mode=0o600)
            file.write_text(str(getattr(self._security, attribute)))
        self.scheduler = await Scheduler(
            host="127.0.0.1", port=0, protocol="tls", dashboard=False, security=self._security
        )

    async def start(self, name: str) -> None:
        """Start a worker as its operator would, and return when the scheduler knows it."""
        files = {"--tls-ca-file": "ca", "--tls-cert": "cert", "--tls-key": "key"}
        tls = [word for option, file in files.items() for word in (option, str(self._folder / f"{file}.pem"))]
        # Dask's own worker ends when its scheduler has ended, whatever has become of this process.
        self._workers[name] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dask", "worker", self.scheduler.address, *tls),
            *("--protocol", "tls", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--name", name, "--resources", f"node:{self._compute}=1"),
            *("--local-directory", str(self._folder / f"dask-{name}")),
            env={**os.environ, "AZUREML_LOCAL_NODE": str(self._folder / name)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while name not in {worker.name for worker in self.scheduler.workers.values()}:
            if self._workers[name].returncode is not None:
                raise RuntimeError(f"The worker {name} ended as it started.")
            await asyncio.sleep(0.05)

    async def end(self, name: str) -> None:
        """End a worker, as when its machine is shut down."""
        worker = self._workers.pop(name)
        worker.terminate()
        try:
            await asyncio.wait_for(worker.wait(), ENDS_WITHIN)
        except TimeoutError:
            worker.kill()
            await worker.wait()

    async def end_all(self) -> None:
        """End the workers and the scheduler."""
        await asyncio.gather(*(self.end(name) for name in list(self._workers)))
        await self.scheduler.close()


async def main(folder: Path, compute: str, names: list[str]) -> None:
    """Serve until standard input ends."""
    logging.disable(logging.CRITICAL)  # a notebook shows what its processes say
    stand_ins = StandIns(folder, compute)
    await stand_ins.begin()
    try:
        await asyncio.gather(*(stand_ins.start(name) for name in names))
        print(stand_ins.scheduler.address, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            action, name = line.split()
            await (stand_ins.end(name) if action == "end" else stand_ins.start(name))
            print("done", flush=True)
    finally:
        await stand_ins.end_all()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
