"""A Docker engine, a registry and an image with Python, all of the test's own: on a socket, a port and in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi
import docker
import requests
from machine import free_port, program

from local_deployments import INFERENCE_IMAGE
from running_service import wait_for

DEBIAN = "bookworm"  # whose Python is 3.11, which the inference server supports
BASE = ("python3", "python3-pip", "ca-certificates")
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
# Debian's pip installs beside Debian's packages only if told to; it trusts what this machine trusts.
VARIABLES = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_CERT": f"/{AUTHORITIES}"}
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
NETWORK_PROGRAMS = (("iptables-save", "iptables"), ("iptables-restore", "iptables"), ("ip", "iproute2"))
# A table that was never used is not saved, and what is not restored stays.
NO_RULES = {"filter": "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", "nat": "*nat\nCOMMIT\n"}
BRIDGE = Path("/sys/class/net/docker0")
MINUTES = 15


@dataclass
class Engine:
    """A running engine; ``image`` is environments/inference on ``base``, both in a registry of ours."""

    folder: Path
    process: subprocess.Popen[bytes]
    base: str = ""
    image: str = ""

    @property
    def host(self) -> str:
        """What ``DOCKER_HOST`` has to be."""
        return f"unix://{self.folder / 'docker.sock'}"

    def client(self) -> docker.DockerClient:
        """Return docker-py's client."""
        return docker.DockerClient(self.host, timeout=600)

    @classmethod
    def start(cls, folder: Path) -> Engine:
        """Start an engine, with what an earlier one has left in ``folder``."""
        command = [program("dockerd", "docker.io"), "--host", f"unix://{folder / 'docker.sock'}"]
        for option in ("data-root", "exec-root"):
            command += [f"--{option}", str(folder / option)]
        engine = cls(folder, launch([*command, "--pidfile", str(folder / "docker.pid")], folder / "dockerd.log"))
        wait_for(engine.answers, f"the engine, see {folder / 'dockerd.log'}")
        return engine

    def answers(self) -> bool:
        """Say whether the engine answers. Raises AssertionError where it has ended."""
        assert self.process.poll() is None, (self.folder / "dockerd.log").read_text()[-2000:]
        with contextlib.suppress(docker.errors.DockerException):
            return bool(self.client().ping())
        return False

    def stop(self) -> None:
        """End it; an engine ends its containers first, but leaves a mount of its own network namespace behind."""
        end(self.process)
        mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for path in mounted:
            if Path(path).is_relative_to(self.folder):
                subprocess.run(["umount", path], check=True)


@contextlib.contextmanager
def running_engine(folder: Path, archive: Path) -> Iterator[Engine]:
    """Start an engine and a registry, and build the image on what is in ``archive``. It all ends with the context."""
    address = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as running:
        running.enter_context(network_as_before())
        engine = Engine.start(folder)
        running.callback(lambda: engine.stop())
        registry = launch(
            [program("docker-registry", "docker-registry"), "serve", str(registry_settings(folder, address))],
            folder / "registry.log",
        )
        running.callback(end, registry)
        wait_for(lambda: is_served(address), "the registry")
        client = engine.client()
        engine.base, engine.image = f"{address}/python:debian", f"{address}/inference:1"
        variables = [f"ENV {name}={value}" for name, value in {**VARIABLES, **pip_settings()}.items()]
        client.api.import_image(src=str(archive), repository=engine.base, changes=variables)
        client.images.build(path=str(INFERENCE_IMAGE), tag=engine.image, buildargs={"BASE": engine.base})
        pushed = client.images.push(engine.image)
        assert "error" not in pushed, pushed
        yield engine
        for container in client.containers.list(all=True):
            container.remove(force=True)


@contextlib.contextmanager
def network_as_before() -> Iterator[None]:
    """Take away what an engine leaves behind: its bridge, and rules that drop what others have forwarded."""
    save, restore, ip = (program(*one) for one in NETWORK_PROGRAMS)
    saved = subprocess.run([save], capture_output=True, text=True, check=True).stdout
    rules = saved + "".join(empty for table, empty in NO_RULES.items() if f"*{table}\n" not in saved)
    has_bridge = BRIDGE.exists()  # another engine's, to which those rules belong, too
    yield
    if not has_bridge:
        subprocess.run([restore], input=rules, text=True, check=True)
        subprocess.run([ip, "link", "delete", BRIDGE.name], check=True)


def registry_settings(folder: Path, address: str) -> Path:
    """Write what docker-registry reads. An engine takes a registry on loopback without TLS."""
    settings = folder / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\nhttp: {{addr: {address}}}\n"
    )
    return settings


def is_served(address: str) -> bool:
    """Say whether a registry answers."""
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"http://{address}/v2/", timeout=10).ok
    return False


def base_archive(folder: Path, packages: Sequence[str] = BASE) -> Path:
    """Return a small Debian with Python, which trusts whom this machine trusts. It is made once for a folder.

    Args:
        folder: where it is made.
        packages: what Debian's it has; Python and ca-certificates among them.
    """
    root, archive = folder / "base", folder / f"{DEBIAN}.tar"
    if archive.exists():
        return archive
    shutil.rmtree(root, ignore_errors=True)
    make = [
        program("debootstrap", "debootstrap"),
        "--variant=minbase",
        f"--include={','.join(packages)}",
        DEBIAN,
        str(root),
    ]
    made = subprocess.run(make, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    assert made.returncode == 0, made.stdout[-2000:]
    shutil.copy(os.environ.get("PIP_CERT") or certifi.where(), root / AUTHORITIES)
    draft = archive.with_suffix(".draft")
    with tarfile.open(draft, "w") as tar:
        tar.add(root, ".")
    draft.rename(archive)
    shutil.rmtree(root)
    return archive


def pip_settings() -> Mapping[str, str]:
    """Return the machine's own settings of pip, as far as they mean something inside a container."""
    found = {name: os.environ.get(name, "") for name in PIP_SETTINGS}
    for name in PIP_SETTINGS:
        option = f"global.{name.removeprefix('PIP_').lower().replace('_', '-')}"
        asked = subprocess.run(
            ["python3", "-m", "pip", "config", "get", option], capture_output=True, text=True, check=False
        )
        found[name] = found[name] or asked.stdout.strip()
    return {name: value for name, value in found.items() if value and "file:" not in value}


def launch(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own."""
    with log.open("ab") as said:
        return subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program, and wait for its end."""
    process.send_signal(signal.SIGTERM)
    process.wait(60)
