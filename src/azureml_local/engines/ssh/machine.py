"""An attached machine, and the SSH connection to it.

Its host key is trusted when it is attached, and then for as long as it is attached: with another key nobody connects.
Nothing of the user's own SSH settings is used, neither keys nor the agent.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHKey

# "Connection failed to establish within 30000 milliseconds": https://github.com/Azure/MachineLearningNotebooks/issues/251
CONNECTS_WITHIN = 30.0
KEEPALIVE = 5.0  # seconds between two looks whether the machine is still there
MOST_MISSED = 3  # of them without an answer: then it is not


class MachineError(Exception):
    """An attached machine cannot do what was asked of it.

    Args:
        code: what kind of reason it is, in one word.
        message: the reason.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MachineLostError(MachineError):
    """The connection to the machine was lost: whatever ran there ends, and can be run again."""


@dataclass(frozen=True)
class Machine:
    """An attached machine.

    Args:
        name: the compute's.
        host: its host name or address.
        port: of its SSH server.
        user: who logs on.
        password: the user's; secret.
        private_key: the user's, in any of OpenSSH's formats, without a pass phrase; secret.
        host_key: the machine's public key, in OpenSSH's format; None for one that is not known yet.
    """

    name: str
    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    private_key: str | None = field(repr=False)
    host_key: str | None = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.user}@{self.host}, port {self.port})"


def readable_key(private_key: str) -> SSHKey:
    """Return a private key. Raises MachineError where it is none that can be used."""
    import asyncssh

    try:
        return asyncssh.import_private_key(private_key)
    except asyncssh.KeyImportError as error:
        what = "it is no private key in OpenSSH's or PEM format"
        if "Passphrase" in str(error):
            what = "it is protected by a pass phrase, which nobody could enter"
        raise MachineError("BadPrivateKey", what) from error


async def connect(machine: Machine) -> SSHClientConnection:
    """Return a connection to a machine.

    Raises:
        MachineError: there is none; the message says why and what to do.
    """
    asyncssh = await asyncio.to_thread(_loaded)
    connection: SSHClientConnection
    keys = [readable_key(machine.private_key)] if machine.private_key else None
    try:
        connection = await asyncssh.connect(
            machine.host,
            machine.port,
            username=machine.user,
            password=machine.password,
            client_keys=keys,
            known_hosts=_known(machine),
            config=None,
            agent_path=None,
            connect_timeout=CONNECTS_WITHIN,
            login_timeout=CONNECTS_WITHIN,
            keepalive_interval=KEEPALIVE,
            keepalive_count_max=MOST_MISSED,
        )
        return connection
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise await _changed(machine, str(error)) from error
    except asyncssh.PermissionDenied as error:
        what = "private key" if machine.private_key else "password"
        raise MachineError(
            "AuthenticationFailed",
            f"{machine} does not let {machine.user} in: it refuses the {what}. Attach the machine again with one that "
            f"`ssh -p {machine.port} {machine.user}@{machine.host}` accepts.",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise MachineError("ConnectionFailed", f"{machine} cannot be reached by SSH: {_why(machine, error)}") from error


def _loaded() -> Any:
    """Return asyncssh, which takes a while to load."""
    import asyncssh

    asyncssh.set_log_level(logging.WARNING)
    return asyncssh


def _known(machine: Machine) -> Any:
    """Return the one trusted host key in asyncssh's form; None to trust any."""
    import asyncssh

    return ([asyncssh.import_public_key(machine.host_key)], [], []) if machine.host_key else None


def host_key(connection: SSHClientConnection) -> str:
    """Return the public key by which the machine at the other end has shown who it is."""
    key = connection.get_server_host_key()
    assert key is not None  # noqa: S101 - without one there is no connection
    return key.export_public_key().decode().strip()


async def _changed(machine: Machine, failure: str) -> MachineError:
    """Return why a machine's host key is refused."""
    import asyncssh

    if machine.host_key is None:
        return MachineError("ConnectionFailed", f"{machine} cannot be reached by SSH: {failure}.")
    before = asyncssh.import_public_key(machine.host_key).get_fingerprint()
    try:
        now = await asyncssh.get_server_host_key(machine.host, machine.port, config=None)
    except (asyncssh.Error, OSError):
        now = None
    return MachineError(
        "HostKeyChanged",
        f"The host key of {machine} has changed: it was {before} when the machine was attached, now it is "
        f"{now.get_fingerprint() if now else 'one that cannot be read'}. Either the machine was set up anew, or "
        "another one answers in its place; nothing was sent to it. If you know that it was set up anew, detach the "
        "compute and attach it again.",
    )


def _why(machine: Machine, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it does not answer within {CONNECTS_WITHIN:g} s."
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {machine.port}. Is it running, with an SSH server on that port?"
    if isinstance(error, socket.gaierror):
        return f"the host name {machine.host} is not known here."
    return f"{error}."
