"""A host with an SSH server on this machine, for lessons that need a virtual machine and have none.

It listens on loopback only, lets in who has its private key, and runs what it is told to as you, in a home folder of
its own: the same things as an `sshd` of yours would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncssh import SSHAcceptor, SSHKey, SSHServerConnection, SSHServerProcess

LOOPBACK = "127.0.0.1"
USER = "azureuser"
ENDS_WITHIN = 20.0  # seconds


class SshHost:
    """A running host; see :func:`start_ssh_host`.

    ``variables`` are the environment of what runs there; ``forwards`` says whether a client may have ports there
    forwarded to itself.
    """

    def __init__(self) -> None:
        import asyncssh

        self.user = USER
        self.folder = Path(tempfile.mkdtemp(prefix="ssh-host-"))
        self.home = self.folder / "home"
        self.home.mkdir()
        self.private_key_file = self.folder / "id_ed25519"
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.forwards = True
        # What a user has who logs on there: the Python that runs this notebook is the host's ``python3``.
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
        self.variables = {"HOME": str(self.home), "USER": self.user, "PATH": programs, "LANG": "C.UTF-8"}
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.private_key_file.touch(mode=0o600)
        self._key.write_private_key(str(self.private_key_file))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="ssh-host", daemon=True).start()
        self._connections: set[SSHServerConnection] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._acceptor: SSHAcceptor | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, on the port of before where there was one."""
        self._acceptor = self._run(self._listen())
        self.port = self._acceptor.get_port()

    def stop(self) -> None:
        """Listen no more, and end every connection. What runs there goes on, as with an ``sshd``."""
        if self._acceptor:
            self._run(self._close(self._acceptor))
            self._acceptor = None

    def remove(self) -> None:
        """Stop, wait for what runs there, which ends when it is no longer listened to, and delete the home folder."""
        self.stop()
        self._run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def lets_in(self, user: str, key: SSHKey) -> bool:
        """Say whether a user with this public key may log on."""
        return user == self.user and key == self._key.convert_to_public()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> SSHAcceptor:
        import asyncssh

        host = self

        class Server(asyncssh.SSHServer):
            """Lets in who has the key, and forwards ports of loopback back to who asks for it."""

            def connection_made(self, conn: SSHServerConnection) -> None:
                host._connections.add(conn)
                self._connection = conn

            def connection_lost(self, exc: Exception | None) -> None:
                host._connections.discard(self._connection)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: SSHKey) -> bool:
                return host.lets_in(username, key)

            def server_requested(self, listen_host: str, listen_port: int) -> bool:
                return host.forwards and listen_host == LOOPBACK

        return await asyncssh.create_server(
            Server,
            LOOPBACK,
            self.port,
            server_host_keys=[self.host_key],
            process_factory=self._serve,
            encoding=None,
            reuse_address=True,
        )

    async def _ended(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=ENDS_WITHIN)

    async def _close(self, acceptor: SSHAcceptor) -> None:
        acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        await acceptor.wait_closed()

    async def _serve(self, process: SSHServerProcess[bytes]) -> None:
        """Run a command line, with the channel's streams as its own; at the channel's end its input ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this runs in one
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        started = await asyncio.create_subprocess_shell(
            process.command or "exit 1",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            env=self.variables,
            start_new_session=True,
        )
        listening = asyncio.ensure_future(_copy(process.stdin, started.stdin))
        await asyncio.gather(_copy(started.stdout, process.stdout), _copy(started.stderr, process.stderr))
        process.exit(await started.wait())
        await listening


async def _copy(source: Any, sink: Any) -> None:
    """Carry what comes from one stream to another, and its end; where that one is gone, nothing waits for it."""
    with contextlib.suppress(OSError):
        while piece := await source.read(64 * 1024):
            sink.write(piece)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()
    while await source.read(64 * 1024):
        continue


def start_ssh_host() -> SshHost:
    """Start a host with an SSH server on this machine, and return it; it ends with this process, or by ``remove()``."""
    return SshHost()
