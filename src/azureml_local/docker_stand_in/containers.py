"""Containers, each a process of Azure's inference server behind a port of this machine's loopback."""

from __future__ import annotations

import argparse
import datetime
import secrets
import socket
from pathlib import Path, PurePosixPath
from typing import Any

from azureml_local.docker_stand_in import NOTICE, DockerError, unsupported
from azureml_local.docker_stand_in.images import SERVES, Image
from azureml_local.engines.inference_server import GIB, LaunchPlan, serve, whole_environment
from azureml_local.engines.process import GuardedProcess

SERVER = argparse.ArgumentParser("azmlinfsrv", exit_on_error=False)
for option in ("--entry_script", "--model_dir", "--port"):
    SERVER.add_argument(option)


class Container:
    """A container of an image, as ``config``, the body of the request for it, has it."""

    def __init__(self, name: str, image: Image, config: dict[str, Any], log: Path) -> None:
        self.id, self.name, self.image, self.config, self.log = secrets.token_hex(32), name, image, config, log
        self.host: dict[str, Any] = config.get("HostConfig") or {}
        self.labels: dict[str, str] = {**image.labels, **(config.get("Labels") or {})}
        self.command: list[str] = config.get("Cmd") or [*image.command]
        if self.command[-2:] != [*SERVES] and self.command[:1] != ["azmlinfsrv"]:
            raise unsupported(f"the command {self.command}; it starts Azure's inference server: {SERVES} or azmlinfsrv")
        self.created = self.started = datetime.datetime.now(datetime.UTC)
        self.published: dict[str, int] = {}
        self.process: GuardedProcess | None = None

    @property
    def exit_code(self) -> int | None:
        """The program's exit code; None where it runs, or has not been started."""
        return self.process.ended.result() if self.process and self.process.ended.done() else None

    @property
    def status(self) -> str:
        """Docker's word for its state."""
        return "created" if self.process is None else "running" if self.exit_code is None else "exited"

    async def start(self) -> None:
        """Publish the port and start the program. Raises DockerError."""
        if self.status == "running":
            return
        options, _ = SERVER.parse_known_args(self.command[1:])
        given = dict(pair.partition("=")[::2] for pair in self.config.get("Env") or ())
        variables = {name: self._here(value) for name, value in {**self.image.environment, **given}.items()}
        root = variables.get("AML_APP_ROOT") or self._here(self.image.folder)
        plan = LaunchPlan(
            python=self.image.python,
            app_root=root,
            entry_script=str(
                Path(root, self._here(options.entry_script or variables.get("AZUREML_ENTRY_SCRIPT") or ""))
            ),
            model_dir=self._here(options.model_dir) if options.model_dir else variables.get("AZUREML_MODEL_DIR"),
            environment=variables,
            instance_count=1,
            max_concurrent=1,
            request_timeout=0,
            log=str(self.log),
            memory=(self.host.get("Memory") or 0) / GIB,
        )
        with self.log.open("a") as log:
            log.write(f"{NOTICE}\n")
        port = f"{options.port or variables.get('SERVER_PORT') or 5001}/tcp"
        bound = (self.host.get("PortBindings") or {}).get(port)
        number = int(bound[0].get("HostPort") or 0) if bound else 0
        try:
            with socket.create_server(("127.0.0.1", number)) as listener:
                if bound or (self.host.get("PublishAllPorts") and port in self.image.ports):
                    self.published = {port: listener.getsockname()[1]}
                self.process = await serve(plan, listener, whole_environment(plan, {}))
        except OSError as error:
            what = f"port {number} is already allocated" if number else "cannot start"
            raise DockerError(500, f"container {self.name}: {what}: {error}") from error
        self.started = datetime.datetime.now(datetime.UTC)

    async def stop(self) -> None:
        """End the program and all that it started."""
        if self.process:
            await self.process.stop()
        self.published = {}

    def has(self, label: str, equals: str, value: str) -> bool:
        """Say whether it has a label, and where ``equals`` is given, with that value."""
        return label in self.labels and (not equals or self.labels[label] == value)

    def listed(self) -> dict[str, Any]:
        """Return it as in a list of containers."""
        ports = [
            {"IP": "127.0.0.1", "PrivatePort": int(port.partition("/")[0]), "PublicPort": number, "Type": "tcp"}
            for port, number in self.published.items()
        ]
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.config["Image"],
            "ImageID": self.image.id,
            "Command": " ".join(self.command),
            "Created": int(self.created.timestamp()),
            "Ports": ports,
            "Labels": self.labels,
            "State": self.status,
            "Status": f"{self.status} (stand-in)",
        }

    def inspected(self) -> dict[str, Any]:
        """Return all that is known of it."""
        published = {
            port: [{"HostIp": "127.0.0.1", "HostPort": str(number)}] for port, number in self.published.items()
        }
        state = {"Status": self.status, "Running": self.status == "running", "ExitCode": self.exit_code or 0}
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Image": self.image.id,
            "Created": self.created.isoformat(),
            "State": {**state, "StartedAt": self.started.isoformat()},
            "Config": {**self.image.config(), **self.config, "Cmd": self.command, "Labels": self.labels},
            "HostConfig": self.host,
            "NetworkSettings": {"Ports": {**dict.fromkeys(self.image.ports), **published}},
            "Driver": NOTICE,
        }

    def _here(self, path: str) -> str:
        """Return where a path of the container lies on this machine; any other text as it is."""
        binds = [(source, target) for source, target, *_ in (one.split(":") for one in self.host.get("Binds") or ())]
        for source, target in sorted(binds, key=lambda bind: len(bind[1]), reverse=True):
            if PurePosixPath(path).is_relative_to(target):
                return str(Path(source, PurePosixPath(path).relative_to(target)))
        copied = self.image.root / path.lstrip("/")
        return str(copied) if path.startswith("/") and copied.exists() else path
