"""What an operator of many hosts does: a Dask scheduler with certificates, and on each host a worker that is tagged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from network_hosts import Host, Network

from azureml_local.edge.tls import self_signed
from running_service import clean_environment, command_line

PORT = 18786


@dataclass(frozen=True)
class Operator:
    """A scheduler that runs, and what its workers and the service need to reach it."""

    scheduler: str
    compute: str
    folder: Path
    files: Sequence[str]

    def start_worker(self, host: Host, *under: str) -> None:
        """Start a worker, ``under`` another program such as ``taskset``."""
        variables = {**clean_environment(), "AZUREML_LOCAL_NODE": str(self.folder / host.address)}
        command = [*under, sys.executable, "-m", "azureml_local", "worker", self.scheduler, "--compute", self.compute]
        host.start([*command, "--name", host.address, *self.files], variables, self.folder / f"{host.address}.log")

    def attach(self, root: Path) -> bool:
        """Attach the scheduler to the service of a state folder, and say whether that was possible."""
        command = ("hosts", "attach", self.scheduler, "--compute", self.compute, *self.files)
        return command_line(root, *command).returncode == 0


@contextmanager
def operator(net: Network, compute: str, folder: Path) -> Iterator[Operator]:
    """Run a scheduler on a network, whose workers are to be nodes of ``compute``; ``folder`` keeps all their files."""
    certificate, key = folder / "dask.pem", folder / "dask.key"
    self_signed(certificate, key, "operator")
    options = ("--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key))
    with (folder / "scheduler.log").open("wb") as log:
        scheduler = psutil.Popen(
            [
                sys.executable, "-m", "dask", "scheduler", "--host", net.address, "--port", str(PORT),
                "--protocol", "tls", "--no-dashboard", *options,
            ],
            env=clean_environment(), stdout=log, stderr=log,
        )  # fmt: skip
    files = ("--tls-ca", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key))
    try:
        yield Operator(f"tls://{net.address}:{PORT}", compute, folder, files)
    finally:
        scheduler.kill()
        scheduler.wait()
