"""Containers, each a process of Azure's inference server behind a port of this machine's loopback."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from azureml_local.docker_stand_in import NOTICE, unsupported
from azureml_local.engines.images.image import SERVES, Image
from azureml_local.engines.images.paths import PathsHere
from azureml_local.engines.inference_server import GIB, LaunchPlan, serve, whole_environment
from azureml_local.engines.process import GuardedProcess


class Container:
    """A container of an image, as ``config``, the body of the request for it, has it.

    What is done to it is done one after the other: two starts at once are one.
    """

    def __init__(self, name: str, image: Image, config: dict[str, Any], log: Path) -> None:
        self.id, self.name, self.image, self.config, self.log = secrets.token_hex(32), name, image, config, log
        self.host: dict[str, Any] = config.get("HostConfig") or {}
        self.labels: dict[str, str] = dict(config.get("Labels") or {})
        self.command: list[str] = config.get("Cmd") or [*image.command]
        self._given = _variables(config.get("Env") or [])
        self._here = PathsHere(self.host.get("Binds") or (), image.root)
        self._memory = self.host.get("Memory", 0) / GIB
        self._ports = {
            port: _port(bound[0].get("HostPort") or "0") if bound else 0
            for port, bound in (self.host.get("PortBindings") or {}).items()
        }
        if tuple(self.command[-2:]) != SERVES:
            raise unsupported(f"the command {self.command}, but {[*SERVES]}, Azure's inference server")
        self.created = datetime.datetime.now(datetime.UTC)
        self._published: dict[str, int] = {}
        self.process: GuardedProcess | None = None
        self._turn = asyncio.Lock()
        self._is_removed = False

    @property
    def exit_code(self) -> int | None:
        """The program's exit code; None where it runs, or has not been started."""
        return self.process.ended.result() if self.process and self.process.ended.done() else None

    @property
    def status(self) -> str:
        """Docker's word for its state."""
        return "created" if self.process is None else "running" if self.exit_code is None else "exited"

    @property
    def published(self) -> dict[str, int]:
        """The port of this machine for one inside, such as ``5001/tcp``, while it runs."""
        return self._published if self.status == "running" else {}

    async def start(self) -> bool:
        """Publish the port and start the program; say whether that was still to be done. Raises HTTPException."""
        async with self._turn:
            if self._is_removed:
                raise HTTPException(404, f"No such container: {self.name}")
            if self.status == "running":
                return False
            await self._start()
        return True

    async def stop(self) -> bool:
        """End the program and all that it started; say whether that was still to be done."""
        async with self._turn:
            return await self._stop()

    async def kill(self) -> bool:
        """End the program as ``stop`` does. Raises HTTPException where it does not run."""
        if not await self.stop():
            raise HTTPException(409, f"Cannot kill container: {self.name}: it is not running")
        return True

    async def restart(self) -> bool:
        """End the program, and start it again. Raises HTTPException."""
        await self.stop()
        return await self.start()

    async def remove(self) -> None:
        """End the program, and start it never again."""
        async with self._turn:
            self._is_removed = True
            await self._stop()
            self.log.unlink(missing_ok=True)

    async def _stop(self) -> bool:
        was_running = self.status == "running"
        if self.process:
            await self.process.stop()
        return was_running

    async def _start(self) -> None:
        variables = {name: self._here(value) for name, value in {**self.image.environment, **self._given}.items()}
        plan = LaunchPlan(
            python=self.image.python,
            app_root=(root := variables.get("AML_APP_ROOT") or self._here(self.image.folder)),
            entry_script=str(Path(root, variables.get("AZUREML_ENTRY_SCRIPT", ""))),
            model_dir=variables.get("AZUREML_MODEL_DIR"),
            environment=variables,
            instance_count=1,
            max_concurrent=1,
            request_timeout=0,
            log=str(self.log),
            memory=self._memory,
        )
        with self.log.open("a") as log:
            log.write(f"{NOTICE}\n")
        port = f"{variables.get('SERVER_PORT') or 5001}/tcp"
        number = self._ports.get(port, 0)
        try:
            with socket.create_server(("127.0.0.1", number)) as listener:
                if port in self._ports or (self.host.get("PublishAllPorts") and port in self.image.ports):
                    self._published = {port: listener.getsockname()[1]}
                self.process = await serve(plan, listener, whole_environment(plan, {}))
        except OSError as error:
            where = f"port {number or 'any'} of 127.0.0.1"
            raise HTTPException(500, f"{self.name} cannot start on {where}: {error}") from error

    def is_labelled(self, wanted: list[str]) -> bool:
        """Say whether it has all these labels, each as ``name`` or ``name=value``."""
        return {*self.labels, *(f"{name}={value}" for name, value in self.labels.items())}.issuperset(wanted)

    def described(self) -> dict[str, Any]:
        """Return what ``inspect`` shows."""
        published = {port: [{"HostIp": "127.0.0.1", "HostPort": str(n)}] for port, n in self.published.items()}
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Image": self.image.id,
            "Created": self.created.isoformat(),
            "State": {"Status": self.status, "Running": self.status == "running", "ExitCode": self.exit_code or 0},
            "Config": {**self.config, "Cmd": self.command, "Labels": self.labels},
            "HostConfig": self.host,
            "NetworkSettings": {"Ports": {**dict.fromkeys(self.image.ports), **published}},
            "Driver": NOTICE,
        }

    def listed(self) -> dict[str, Any]:
        """Return what a list of containers shows."""
        (inside, outside) = next(iter(self.published.items()), ("0/tcp", 0))
        ports = [{"IP": "127.0.0.1", "PrivatePort": int(inside[:-4]), "PublicPort": outside, "Type": "tcp"}]
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.config["Image"],
            "Created": int(self.created.timestamp()),
            "State": self.status,
            "Status": f"{self.status}, no container",
            "Ports": ports if outside else [],
            "Labels": self.labels,
        }


def _variables(sent: Any) -> dict[str, str]:
    """Return the variables of ``Env``. Raises ValueError where a process cannot have one of them."""
    if not isinstance(sent, list) or not all(isinstance(pair, str) for pair in sent):
        raise ValueError(f"Env is {json.dumps(sent)[:60]}; it must be a list of texts NAME=VALUE")
    for pair in sent:
        if not _can_be(pair):
            raise ValueError(f"invalid environment variable: Env has {json.dumps(pair)[:60]}")
    return dict(pair.partition("=")[::2] for pair in sent)


def _can_be(pair: str) -> bool:
    try:
        return not pair.startswith("=") and pair != "" and b"\0" not in os.fsencode(pair)
    except UnicodeEncodeError:
        return False


def _port(text: str) -> int:
    if not 0 <= (number := int(text)) < 2**16:
        raise ValueError(f"invalid port specification: {text}")
    return number
