"""The machines of a cluster that has outgrown this one: those of its operator, or workers here in their place."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("host-a", "host-b")
STOP_SECONDS = 60


class Hosts:
    """Two machines of a cluster; see :func:`lend_hosts`. ``names`` is empty where they are not this notebook's own."""

    def __init__(self, cluster: str, stand_ins: subprocess.Popen[str] | None, folder: Path | None) -> None:
        self.cluster = cluster
        self.names = NAMES if stand_ins else ()
        self._stand_ins = stand_ins
        self._folder = folder
        self._scheduler = ""

    def _begin(self) -> None:
        """Attach the stand-ins' scheduler by the command that an operator uses; where that fails, nothing is left."""
        assert self._folder is not None  # noqa: S101 - the one caller has just made it
        files = {"--tls-ca": "ca", "--tls-cert": "cert", "--tls-key": "key"}
        tls = [word for option, file in files.items() for word in (option, str(self._folder / f"{file}.pem"))]
        try:
            self._scheduler = self._answer()
            _command("attach", self._scheduler, "--compute", self.cluster, *tls)
        except BaseException:
            self._end()
            raise

    def take_away(self, name: str) -> None:
        """Have a machine shut down, whatever it is at; of machines that are not this notebook's own, none is."""
        self._do("end", name, f"{name} is gone.")

    def bring_back(self, name: str) -> None:
        """Have a machine start again."""
        self._do("start", name, f"{name} is there again.")

    def give_back(self) -> None:
        """End what this notebook has started. The cluster has to be deleted before."""
        if self._stand_ins is None:
            return
        try:
            _command("detach", self._scheduler)
        finally:
            self._end()

    def _end(self) -> None:
        """End the stand-ins: they do so when their input ends."""
        assert self._stand_ins is not None  # noqa: S101 - the callers have looked
        assert self._folder is not None  # noqa: S101 - as above
        try:
            self._stand_ins.communicate(timeout=STOP_SECONDS)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._stand_ins = None

    def _do(self, action: str, name: str, done: str) -> None:
        if self._stand_ins is None:
            print("Nothing was done: these machines are not this notebook's own.")
            return
        assert self._stand_ins.stdin is not None  # noqa: S101 - a pipe
        self._stand_ins.stdin.write(f"{action} {name}\n")
        self._stand_ins.stdin.flush()
        self._answer()
        print(done)

    def _answer(self) -> str:
        assert self._stand_ins is not None  # noqa: S101 - the callers have looked
        assert self._stand_ins.stdout is not None  # noqa: S101 - a pipe
        line = self._stand_ins.stdout.readline().strip()
        if not line:
            raise RuntimeError("The workers that stand in for other machines have ended.")
        return line


def lend_hosts(backend: str, cluster: str, *, are_attached: bool = False) -> Hosts:
    """Return the two machines from which a cluster will have its nodes; call it before the cluster is made.

    Args:
        backend: ``"azure"``, where there is nothing to set up; or ``"local"``.
        cluster: its name.
        are_attached: machines whose workers are tagged with that name are attached already; otherwise workers on this
            machine stand in for two, until :meth:`Hosts.give_back`.
    """
    if backend == "azure":
        print("Azure brings the machines.")
        return Hosts(cluster, None, None)
    if are_attached:
        print("The machines that you have attached are used.")
        return Hosts(cluster, None, None)
    print("Two workers on this machine, in folders of their own, stand in for two other machines.")
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    stand_ins = subprocess.Popen(  # noqa: S603 - a module of this package
        [sys.executable, "-m", "helpers.stand_in_hosts", str(folder), cluster, *NAMES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    hosts = Hosts(cluster, stand_ins, folder)
    hosts._begin()
    return hosts


def _command(action: str, *words: str) -> None:
    """Run ``azureml-local hosts``. Raises RuntimeError with its words where it fails."""
    done = subprocess.run(  # noqa: S603 - the command of this installation
        [sys.executable, "-m", "azureml_local", "hosts", action, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
