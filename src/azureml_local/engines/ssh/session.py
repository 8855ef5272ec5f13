"""What the service asks of an attached machine, over one SSH connection: each request is a channel of its own."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import secrets
import shlex
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from azureml_local.engines.jobs import fence
from azureml_local.engines.process import GUARD
from azureml_local.engines.ssh import agent, way_back
from azureml_local.engines.ssh.machine import Machine, MachineError, MachineLostError, connect

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess, SSHReader, SSHWriter

logger = logging.getLogger(__name__)

# Reads the agent's text and the request, a line of JSON, byte by byte: what follows is the request's own.
BOOT = (
    "import sys; sys.path = [path for path in sys.path if path]; import json, os; "
    'sent = json.loads(b"".join(iter(lambda: os.read(0, 1) or b"\\n", b"\\n"))); '
    'names = {"__name__": "agent"}; exec(compile(sent["agent"], "agent", "exec"), names); '
    'sys.exit(names["main"](sent))'
)
COMMAND = f"python3 -c {shlex.quote(BOOT)}"
TEXTS = {"agent": Path(agent.__file__).read_text(), "guard": GUARD.read_text()}
HEARTBEAT = agent.SILENCE / 6
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
ENDS_WITHIN = GRACE + 10.0  # seconds that a process there may take for its end
SENDS_WITHIN = 300.0  # seconds in which some byte of an archive comes: reading a disk or a mount may take a while
PIECE = 512 * 512  # bytes of an archive that are sent at once
NOT_FOUND = 127  # a shell's status of a program that is not there


@dataclass(frozen=True)
class Facts:
    """What is on a machine.

    Args:
        python: the path of its ``python3``.
        home: the user's.
        markers: the values of the markers of requirements, by PEP 508.
        packages: the versions of the packages that this Python has, by their names.
    """

    python: str
    home: str
    markers: Mapping[str, str]
    packages: Mapping[str, str]


class RemoteProcess:
    """A program that runs on the machine, with the interface of a GuardedProcess.

    ``ended`` raises MachineLostError where the connection was lost before it had ended.
    """

    def __init__(self, machine: Machine, process: SSHClientProcess[bytes]) -> None:
        self._machine = machine
        self._process = process
        self.ended = asyncio.get_running_loop().create_task(self._end())
        self.ended.add_done_callback(lambda done: done.cancelled() or done.exception())  # also where nobody asks for it

    async def _end(self) -> int:
        await self._process.wait_closed()
        status = self._process.exit_status
        if status is None or status < 0:
            raise _lost(self._machine)
        return status

    async def read(self, most: int) -> bytes:
        """Return what it says as it comes, up to ``most`` bytes; nothing at its end."""
        import asyncssh

        try:
            return await self._process.stdout.read(most)
        except asyncssh.Error:  # the connection was lost, as ``ended`` says
            return b""

    async def stop(self) -> int:
        """End the program and all that it started, and return its exit status; nothing more where it is lost."""
        if not self._process.is_closing():
            self._process.stdin.write_eof()
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                return await asyncio.shield(self.ended)
        except (TimeoutError, MachineLostError):
            self._process.close()
            return NOT_FOUND


class Session:
    """A connection to a machine, and what can be asked there.

    Args:
        machine: which.
        connection: to it.
    """

    def __init__(self, machine: Machine, connection: SSHClientConnection) -> None:
        self.machine = machine
        self.connection = connection
        self._holder: SSHClientProcess[bytes] | None = None
        self._beating: asyncio.Task[None]

    @classmethod
    async def open(cls, machine: Machine) -> Self:
        """Connect. Raises MachineError where that is not possible."""
        return cls(machine, await connect(machine))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection: what was asked for and runs there ends, and the folder that was held is deleted."""
        if self._holder:
            self._beating.cancel()
            await RemoteProcess(self.machine, self._holder).stop()
        self.connection.close()
        await self.connection.wait_closed()

    # --- what can be asked ---

    async def facts(self) -> Facts:
        """Return what is there. Raises MachineError where what the machine says cannot be told from others' words."""
        said = await self._ask("facts")
        try:
            return Facts(**json.loads(said))
        except ValueError as error:
            raise MachineError(
                "UnexpectedOutput",
                f"{self.machine} says something of its own to who logs on: {said[:80].decode(errors='replace')!r}. Let "
                "its shell be silent unless somebody types, for files are copied through it (look into ~/.bashrc).",
            ) from error

    async def hold(self, job: str, attempt: int) -> str:
        """Make a folder for an attempt at a job, and return its path.

        It is there for as long as the connection is. What earlier attempts have left is ended and deleted.
        """
        process = await self._begin("hold", job=job, attempt=attempt)
        folder = (await process.stdout.readline()).decode().rstrip("\n")
        if not folder:
            await self._checked(process)
        self._holder, self._beating = process, asyncio.get_running_loop().create_task(_beat(process))
        return folder

    async def send(self, root: Path, names: Sequence[str], folder: str) -> None:
        """Copy what is at and below some paths of ``root`` into a folder there."""
        await self._ask("receive", pack=(root, names), folder=folder)

    async def fetch(self, folder: str, names: Sequence[str], root: Path) -> None:
        """Copy the files at and below some paths of a folder there into ``root``."""
        await self._ask("send", unpack=(root, names), folder=folder, names=list(names))

    async def run(self, command: str, *, folder: str, environment: Mapping[str, str], programs: str) -> RemoteProcess:
        """Begin to run a shell's command line.

        Args:
            command: the line.
            folder: the working directory.
            environment: is added to that of the user there.
            programs: a folder that is searched for programs first.
        """
        given = {"command": command, "folder": folder, "environment": dict(environment), "programs": programs}
        return RemoteProcess(self.machine, await self._begin("run", **given))

    async def build(self, key: str, lines: Sequence[str], log: Path) -> int:
        """Make an environment there unless it is there, and return the exit status of what makes it.

        Args:
            key: names it.
            lines: of pip's requirements format.
            log: what is said is appended to it.
        """
        process = RemoteProcess(self.machine, await self._begin("build", key=key, lines=list(lines)))
        try:
            with log.open("ab") as file:
                while piece := await process.read(64 * 1024):
                    file.write(piece)
            return await asyncio.shield(process.ended)
        finally:
            await process.stop()

    async def forward(self, port: int, *, has_upstream: bool) -> str:
        """Let programs there use a proxy that listens on this machine; return the proxy's URL.

        The URL has a password, without which nobody on the machine can use the way here. The way leads to Azure's hosts
        and to the Internet; see :mod:`azureml_local.engines.ssh.way_back`.

        Args:
            port: the proxy's.
            has_upstream: it hands on to the user's own.

        Raises:
            MachineError: the machine's SSH server does not permit it.
        """
        import asyncssh

        token = secrets.token_urlsafe(32)

        def accept(_host: str, _port: int) -> Callable[[SSHReader[bytes], SSHWriter[bytes]], Any]:
            return lambda reader, writer: way_back.relay(reader, writer, port, token, has_upstream=has_upstream)

        try:
            listener = await self.connection.start_server(accept, way_back.LOOPBACK, 0)
        except asyncssh.ChannelListenError as error:
            raise MachineError(
                "ForwardingRefused", f"The SSH server of {self.machine} does not permit remote port forwarding."
            ) from error
        return f"http://job:{token}@{way_back.LOOPBACK}:{listener.get_port()}"

    # --- how ---

    async def _begin(self, request: str, **given: Any) -> SSHClientProcess[bytes]:
        """Begin a request. What follows its line on standard input, and comes on standard output, is its own."""
        import asyncssh

        try:
            process: SSHClientProcess[bytes] = await self.connection.create_process(COMMAND, encoding=None)
        except (asyncssh.ChannelOpenError, asyncssh.ConnectionLost, BrokenPipeError) as error:
            raise _lost(self.machine) from error
        line = {**TEXTS, "request": request, "mark": fence.MARK, "grace": GRACE, **given}
        process.stdin.write(json.dumps(line).encode() + b"\n")
        return process

    async def _ask(
        self,
        request: str,
        *,
        pack: tuple[Path, Sequence[str]] | None = None,
        unpack: tuple[Path, Sequence[str]] | None = None,
        **given: Any,
    ) -> bytes:
        """Make a request, and return what comes on standard output.

        Args:
            request: its name.
            pack: a folder and paths in it: what is there follows on standard input, as a tar archive.
            unpack: the same: what is to be there comes on standard output, as a tar archive.
            given: what it is about.
        """
        import asyncssh

        process = await self._begin(request, **given)
        said, failure = b"", None
        try:
            if pack:
                failure = await _in_thread(_pack, *pack, _Stream(process))
                process.stdin.write_eof()
            if unpack:
                failure = await _in_thread(_unpack, *unpack, _Stream(process))
                if failure and not process.stdout.at_eof():
                    raise failure  # what is left is not read, so that the request would not end
            else:
                said = await process.stdout.read()
            await self._checked(process)
        except asyncssh.Error as error:
            raise _lost(self.machine) from error
        finally:
            process.close()
        if failure:
            raise failure
        return said

    async def _checked(self, process: SSHClientProcess[bytes]) -> None:
        """Wait for the end of a request that is through. Raises MachineError where it failed, or does not end."""
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                said = (await process.stderr.read()).decode(errors="replace").strip()
                await process.wait_closed()
        except TimeoutError as error:
            raise MachineError("NoAnswer", f"{self.machine} does not end what it was asked for.") from error
        status = process.exit_status
        if status is None or status < 0:
            raise _lost(self.machine)
        if status:
            raise _failure(self.machine, status, said)


def _lost(machine: Machine) -> MachineLostError:
    return MachineLostError("ConnectionLost", f"The connection to {machine} was lost.")


def _failure(machine: Machine, status: int, said: str) -> MachineError:
    """Return why a request failed, by its exit status and what it has said."""
    last = said.rpartition("\n")[2]
    if status == NOT_FOUND:
        return MachineError(
            "PythonMissing", f"{machine} has no python3 that can be started, which a job on it needs: {last}"
        )
    if status != agent.FAILED or not last.startswith("{"):
        return MachineError("RequestFailed", f"{machine}: python3 there ended with status {status}: {last}")
    reason = json.loads(last)
    if reason["errno"] in (errno.ENOSPC, errno.EDQUOT):
        return MachineError("DiskSpaceFull", f"The disk of {machine} is full. Make room on it, then submit again.")
    if reason["errno"] in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError("PermissionDenied", f"{machine.user} may not write on {machine}: {reason['text']}.")
    return MachineError("RequestFailed", f"{machine}: {reason['text']}.")


async def _beat(process: SSHClientProcess[bytes]) -> None:
    """Let the agent know that this end is still there."""
    while not process.is_closing():
        process.stdin.write(b".")
        await asyncio.sleep(HEARTBEAT)


# --- archives ---


class _Stream:
    """A request's streams for a thread, which waits for the event loop with each call."""

    def __init__(self, process: SSHClientProcess[bytes]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()

    def read(self, size: int) -> bytes:
        """Return what has come on standard output; nothing at its end. Raises MachineError where nothing comes."""

        async def read() -> bytes:
            try:
                async with asyncio.timeout(SENDS_WITHIN):
                    return await self._process.stdout.read(size)
            except TimeoutError as error:
                raise MachineError("NoAnswer", f"The machine has sent nothing for {SENDS_WITHIN:g} s.") from error

        return asyncio.run_coroutine_threadsafe(read(), self._loop).result()

    def write(self, data: bytes) -> None:
        """Write to standard input."""

        async def write() -> None:
            self._process.stdin.write(bytes(data))
            await self._process.stdin.drain()

        asyncio.run_coroutine_threadsafe(write(), self._loop).result()


async def _in_thread(work: Callable[..., None], *arguments: Any) -> Exception | None:
    """Work in a thread, and return why that failed: what the machine says of it may be the better reason."""
    (failure,) = await asyncio.gather(asyncio.to_thread(work, *arguments), return_exceptions=True)
    return failure if isinstance(failure, Exception) else None


def _pack(root: Path, names: Sequence[str], stream: Any) -> None:
    with tarfile.open(fileobj=stream, mode="w|", bufsize=PIECE) as archive:
        for name in names:
            archive.add(root / name, name, filter=_without_owner)


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let who unpacks a file have it: another machine has other users."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _unpack(root: Path, names: Sequence[str], stream: Any) -> None:
    """Unpack what a machine has sent: files at and below some paths of the folder. Anything else is refused."""

    def checked(info: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        """Refuse what was not asked for: beside it lies what the service keeps of the job."""
        found = tarfile.data_filter(info, folder)
        place = PurePosixPath(os.path.normpath(found.name))
        if not (found.isreg() and any(place.is_relative_to(name) for name in names)):
            raise tarfile.FilterError(f"{info.name!r} was not asked for")
        return found

    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=PIECE) as archive:
            archive.extractall(root, filter=checked)  # noqa: S202 - with the filter "data", and more
    except tarfile.TarError as error:
        raise MachineError("BadArchive", f"What the machine has sent cannot be unpacked: {error}.") from error
