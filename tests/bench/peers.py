"""What the service is measured against: moto's server, HAProxy, and the bare inference server."""

from __future__ import annotations

import asyncio
import datetime
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from azureml_local.engines.inference_server import Instance, LaunchPlan

MOTO_ADDRESS = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")
# moto finds the service that is meant by the credential's scope; it does not check the signature.
MOTO_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
)
HAPROXY_CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend endpoint
    bind fd@{listener} ssl crt {certificate} alpn http/1.1
    acl key req.hdr(authorization) -m str "Bearer {key}"
    http-request deny deny_status 401 unless key
    use_backend model if {{ req.hdr(host) -i {host} }}
backend model
    server instance unix@{socket}
"""


class PeerMissingError(Exception):
    """The peer is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Peer:
    """A running peer: where it listens on loopback, and its process."""

    port: int
    pid: int


@contextmanager
def moto(content: bytes) -> Iterator[Peer]:
    """Run moto's server, with ``content`` in the object ``/bench/model`` of its S3. Raises PeerMissingError.

    Of moto's small reads S3's GetObject is the fastest (SSM's GetParameter takes a fifth longer), and a plain GET.
    """
    program = shutil.which("moto_server", path=str(Path(sys.prefix) / "moto" / "bin"))
    if program is None:
        raise PeerMissingError("moto's server is not installed: make bench installs it")
    process = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with _ended(process):
        output = process.stdout
        found = next((match for line in output if (match := MOTO_ADDRESS.search(line))), None)
        if found is None:
            raise RuntimeError(f"moto's server ended with exit status {process.wait()}")
        # It logs every request; what nobody reads would fill the pipe and stop it.
        threading.Thread(target=lambda: [None for _ in output], daemon=True).start()
        session = requests.Session()
        session.trust_env = False
        for path, data in (("", b""), ("/model", content)):
            address = f"http://127.0.0.1:{found[1]}/bench{path}"
            session.put(address, data=data, headers={"Authorization": MOTO_AUTHORIZATION}).raise_for_status()
        yield Peer(int(found[1]), process.pid)


@contextmanager
def haproxy(host: str, key: str, instance: Path, folder: Path) -> Iterator[Peer]:
    """Run HAProxy as an endpoint: TLS, the key, routing by host, and the instance behind it. Raises PeerMissingError.

    Everything but this stays as HAProxy has it, so it uses every core. Its certificate, for ``host``, is written to
    ``folder`` and signs itself: ``haproxy.pem``, of the kind that the service uses (ECDSA, P-256).
    """
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/opt/homebrew/sbin")
    if program is None:
        raise PeerMissingError("HAProxy is not installed: apt-get install haproxy, or brew install haproxy")
    certificate = folder / "haproxy.pem"
    certificate.write_bytes(_self_signed(host))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        config = folder / "haproxy.cfg"
        config.write_text(
            HAPROXY_CONFIG.format(
                listener=listener.fileno(), certificate=certificate, key=key, host=host, socket=instance
            )
        )
        process = subprocess.Popen([program, "-db", "-q", "-f", str(config)], pass_fds=[listener.fileno()])
        with _ended(process):
            yield Peer(listener.getsockname()[1], process.pid)


def bare_start(plan_file: Path) -> float:
    """Start an instance of a deployment once more, by itself, and return how many seconds it took to serve."""

    async def start() -> float:
        with tempfile.TemporaryDirectory(prefix="azl-", dir="/tmp") as folder:
            plan = replace(LaunchPlan.load(plan_file), log=f"{folder}/log")
            instance = Instance(plan, Path(folder) / "bare.sock", {})
            began = time.perf_counter()
            await instance.start()
            elapsed = time.perf_counter() - began
            await instance.stop()
        return elapsed

    return asyncio.run(start())


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End ``process`` when the block is left."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _self_signed(host: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
