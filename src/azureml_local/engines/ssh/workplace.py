"""Where the processes of a job on an attached machine run: a folder there that is laid out like the job's own here.

A node of the service's own has brought code and inputs to the job's folder on this machine; they are copied there, and
what the job writes is copied back before the node brings it into storage. So the machine needs no way to the storage.
MLflow's server is reached through the same SSH connection.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from azureml_local import client_environment
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, InputMode, OutputMode
from azureml_local.engines.ssh.machine import Machine, MachineError
from azureml_local.engines.ssh.session import RemoteProcess, Session

NAME = "machine"  # the file in a job's folder with the name that the job has on machines: nobody else's has it
TRUST = "trust"  # the folder, in an attempt's, of the authorities' certificates


class Workplace:
    """A job's folder on a machine, and what runs in it. It is gone when the connection is.

    Args:
        session: the connection.
        here: the job's folder on this machine.
        there: and on the other.
    """

    def __init__(self, session: Session, here: Path, there: str) -> None:
        self._session = session
        self._here = here
        self._there = there
        self.variables: Mapping[str, str] = {}
        self.notes: list[str] = []

    @classmethod
    async def open(cls, machine: Machine, attempt: Attempt, own: Path) -> Self:
        """Connect to a machine and make a job's folder there.

        Args:
            machine: which.
            attempt: what is to run there.
            own: the folder of this node's part of the attempt, in the job's.

        Raises:
            MachineError: the machine cannot be reached or refuses; MachineLostError where it is lost meanwhile.
        """
        here = Path(attempt.folder)
        session = await Session.open(machine)
        try:
            workplace = cls(session, here, await session.hold(_name(here), attempt.number))
            await workplace._find_way_back(attempt, own)
        except BaseException:
            await session.close()
            raise
        return workplace

    async def _find_way_back(self, attempt: Attempt, own: Path) -> None:
        """Let a job's code reach the service from there; without MLflow where the machine does not permit it."""
        proxy = attempt.variables[client_environment.MARK]
        port = int(proxy.rpartition(":")[2])
        try:
            forwarded = await self._session.forward(port, has_upstream="https" in attempt.proxies)
        except MachineError as error:
            self.notes.append(f"WARNING: the job cannot reach MLflow and Azure's hosts from there. {error}")
            return
        passed_on = {name: value for name, value in attempt.variables.items() if name != client_environment.UPSTREAM}
        self.variables = {
            name: forwarded if value == proxy else self._trusted(value, own) for name, value in passed_on.items()
        }

    def _trusted(self, value: str, own: Path) -> str:
        """Return a variable's value there: a file with certificates is copied along."""
        if not value.endswith(".pem"):
            return value
        copy = own / TRUST / Path(value).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(value, copy)
        return self.place(copy)

    def place(self, path: Path) -> str:
        """Return where a path in the job's folder lies on the machine."""
        return f"{self._there}/{path.relative_to(self._here).as_posix()}"

    async def send(self, places: Sequence[Path]) -> None:
        """Copy what is at some places in the job's folder there."""
        await self._session.send(self._here, [str(place.relative_to(self._here)) for place in places], self._there)

    async def start(self, command: str, *, work: Path, environment: Mapping[str, str], programs: str) -> RemoteProcess:
        """Begin to run a command line there; see :meth:`Session.run`."""
        return await self._session.run(command, folder=self.place(work), environment=environment, programs=programs)

    async def fetch(self, places: Sequence[Path]) -> None:
        """Copy what is at some places of the job's folder back."""
        names = [str(place.relative_to(self._here)) for place in places]
        await self._session.fetch(self._there, names, self._here)

    async def close(self) -> None:
        """End what runs there, and delete the folder."""
        await self._session.close()


def values_there(spec: CommandSpec, values: Mapping[str, str], workplace: Workplace) -> Mapping[str, str]:
    """Return what stands for each input and output in the command, where it runs on a machine.

    Args:
        spec: the job.
        values: what stands for them here.
        workplace: where it runs.
    """
    files = {f"inputs.{name}" for name, given in spec.inputs.items() if given.literal is None}
    files -= {f"inputs.{name}" for name, given in spec.inputs.items() if given.mode == InputMode.DIRECT}
    files |= {f"outputs.{name}" for name, output in spec.outputs.items() if output.mode != OutputMode.DIRECT}
    return {name: workplace.place(Path(value)) if name in files else value for name, value in values.items()}


def _name(folder: Path) -> str:
    """Return the name that a job has on machines, the same for all of its attempts."""
    file = folder / NAME
    if not file.exists():
        file.write_text(secrets.token_hex(16))
    return file.read_text()
