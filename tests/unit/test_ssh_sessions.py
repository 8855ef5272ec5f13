"""azureml_local.engines.ssh against a small SSH server whose machine is this one: nothing of what is asked for there
outlives the connection (design.md, "nothing is orphaned"), and a machine is not trusted with more than its own files.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import resource
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from azureml_local import client_environment
from azureml_local.engines.jobs import data
from azureml_local.engines.jobs.fence import MARK
from azureml_local.engines.jobs.spec import Attempt, CommandSpec
from azureml_local.engines.requirements import Requirements
from azureml_local.engines.ssh import session as sessions
from azureml_local.engines.ssh.agent import FAILED
from azureml_local.engines.ssh.machine import Machine, MachineError, MachineLostError
from azureml_local.engines.ssh.session import Session
from azureml_local.engines.ssh.workplace import Workplace
from azureml_local.engines.staging import BlobPath
from azureml_local.home import Home
from helpers.ssh_host import SshHost, start_ssh_host
from running_service import wait_for

JOB = "0" * 32
MANY = 40 * 1024 * 1024  # bytes: more than are under way where nobody takes them
HANGS_AFTER = 60.0  # seconds: a test fails then, instead of never


@pytest.fixture
def host() -> Iterator[SshHost]:
    host = start_ssh_host()
    yield host
    host.remove()


def machine(host: SshHost) -> Machine:
    return Machine("vm", "127.0.0.1", host.port, host.user, None, host.private_key_file.read_text(), None)


def on(host: SshHost, work: Callable[[Session], Awaitable[None]]) -> None:
    """Do something in a session with a host."""

    async def run() -> None:
        async with await Session.open(machine(host)) as session:
            await work(session)

    asyncio.run(run())


async def said_by(session: Session, command: str, folder: str) -> tuple[int, bytes]:
    """Return a command's exit status, and what it said."""
    process = await session.run(command, folder=folder, environment={"WORD": "a b"}, programs="/nowhere")
    said = b""
    while piece := await process.read(1024):
        said += piece
    return await process.ended, said


def processes_of(folder: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(f"{MARK}={folder}") in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


class ProxyHere:
    """Stands in for the service's proxy: grants what it is asked for, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()


async def answer_of(proxy: str, request_line: str) -> int:
    """Return the status with which a proxy answers who has its URL."""
    url = urlsplit(proxy)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    credentials = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    writer.write(f"{request_line}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Stand in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def change_agent(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    """Have the machine do something else than it is asked for."""
    text = sessions.TEXTS["agent"].replace(before, after)
    assert text != sessions.TEXTS["agent"]
    monkeypatch.setitem(sessions.TEXTS, "agent", text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_go_there_and_back(host: SshHost, tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    (here / "in" / "deep").mkdir(parents=True)
    (here / "in" / "empty").mkdir()
    (here / "in" / "deep" / "grüße 100%.txt").write_bytes(os.urandom(3_000_000))
    (here / "in" / "read-only").write_text("a")
    (here / "in" / "read-only").chmod(0o444)
    (here / "left").write_text("not sent")
    back.mkdir()

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        await session.send(here, ["in"], str(folder))
        assert names(folder) == ["deep", "empty", "grüße 100%.txt", "in", "read-only"]
        assert (mode(folder / "in" / "read-only"), mode(folder)) == (0o444, 0o700)
        (folder / "in" / "link").symlink_to("deep/grüße 100%.txt")
        (folder / "in" / "deep" / "round").symlink_to("..")
        os.mkfifo(folder / "in" / "pipe")
        await session.fetch(str(folder), ["in", "never-written"], back)

    on(host, work)
    files = {path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file()}
    assert files == {"in/deep/grüße 100%.txt", "in/read-only", "in/link"}
    sent = (here / "in" / "deep" / "grüße 100%.txt").read_bytes()
    assert (back / "in" / "link").read_bytes() == sent
    assert not (back / "in" / "link").is_symlink()


def test_command_has_its_environment_and_says_how_it_ended(host: SshHost) -> None:
    async def work(session: Session) -> None:
        folder = await session.hold(JOB, 1)
        status, said = await said_by(session, 'echo "$WORD"; echo oops >&2; pwd; echo $PATH; exit 3', folder)
        assert status == 3
        assert said.decode().splitlines()[:3] == ["a b", "oops", folder]
        assert said.decode().splitlines()[3].startswith("/nowhere:")
        assert (await said_by(session, "kill -9 $$", folder))[0] == 137

    on(host, work)


@pytest.mark.slow
def test_nothing_of_it_outlives_the_session(host: SshHost) -> None:
    """Also what has left the command's process group, and what ignores SIGTERM."""

    async def work(session: Session) -> None:
        folders.append(await session.hold(JOB, 1))
        await session.run(
            "trap '' TERM; setsid sleep 607 & while :; do sleep 608; done",
            folder=folders[0],
            environment={},
            programs="/usr/bin",
        )
        while len(processes_of(folders[0])) < 3:  # noqa: ASYNC110 - nobody says when another's child has begun
            await asyncio.sleep(0.05)
        session.connection.abort()

    folders: list[str] = []
    on(host, work)
    wait_for(lambda: processes_of(folders[0]) == [] and not Path(folders[0]).exists(), "nothing is left", 30)


def test_what_an_earlier_attempt_has_left_is_cleared(host: SshHost) -> None:
    former = host.home / ".azureml-local" / "jobs" / f"{JOB}-1"
    other = host.home / ".azureml-local" / "jobs" / f"{'1' * 32}-1"
    former.mkdir(parents=True)
    other.mkdir()

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 2))
        assert sorted(path.name for path in folder.parent.iterdir()) == [f"{JOB}-2", other.name]

    on(host, work)
    assert [path.name for path in other.parent.iterdir()] == [other.name]


def test_machine_that_hears_nothing_lets_go(host: SshHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the network is cut, of which no process there is told."""
    text = sessions.TEXTS["agent"]
    monkeypatch.setitem(sessions.TEXTS, "agent", text.replace("SILENCE = 30.0", "SILENCE = 0.3"))

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        session._beating.cancel()
        await asyncio.to_thread(wait_for, lambda: not folder.exists(), "the folder is gone", 30)

    on(host, work)


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/azureml-local-outside", "outcome.json", "file/../outcome.json", "file2"]
)
def test_machine_cannot_write_beside_what_it_is_asked_for(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a machine sends is somebody else's: outside the job's folder, and in it beside the job's outputs, too."""
    text = sessions.TEXTS["agent"].replace('path.relative_to(sent["folder"])', repr(name))
    assert text != sessions.TEXTS["agent"]
    monkeypatch.setitem(sessions.TEXTS, "agent", text)
    into = tmp_path / "a" / "b"
    into.mkdir(parents=True)

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        (folder / "file").write_text("evil")
        with pytest.raises(MachineError, match="cannot be unpacked"):
            await session.fetch(str(folder), ["file"], into)

    on(host, work)
    assert not Path("/tmp/azureml-local-outside").exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_machine_cannot_make_links(host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a link among the outputs, what is asked for next would lie elsewhere; the agent sends what links lead to."""
    text = sessions.TEXTS["agent"].replace("dereference=True", "dereference=False")
    assert text != sessions.TEXTS["agent"]
    monkeypatch.setitem(sessions.TEXTS, "agent", text)

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        (folder / "outcome.json").write_text("{}")
        (folder / "out").mkdir()
        (folder / "out" / "link").symlink_to("../outcome.json")
        with pytest.raises(MachineError, match="'out/link' was not asked for"):
            await session.fetch(str(folder), ["out"], tmp_path)

    on(host, work)
    assert not (tmp_path / "out" / "link").is_symlink()


def test_full_disk_here_ends_what_a_machine_sends(host: SshHost, tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        (folder / "file").touch()
        os.truncate(folder / "file", MANY)
        with files_no_larger_than(1024 * 1024), pytest.raises(OSError, match="File too large"):
            async with asyncio.timeout(HANGS_AFTER):
                await session.fetch(str(folder), ["file"], tmp_path)

    on(host, work)


def test_machine_that_sends_on_after_what_is_refused(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_agent(monkeypatch, 'path.relative_to(sent["folder"])', '"../outside"')

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        (folder / "file").touch()
        os.truncate(folder / "file", MANY)
        with pytest.raises(MachineError, match="cannot be unpacked"):
            async with asyncio.timeout(HANGS_AFTER):
                await session.fetch(str(folder), ["file"], tmp_path)

    on(host, work)


@pytest.mark.parametrize(
    ("limit", "before", "after", "words"),
    [
        ("SENDS_WITHIN", 'for name in sent["names"]:', 'for name in os.read(0, 1) and sent["names"]:', "sent nothing"),
        ("ENDS_WITHIN", "recursive=False)\n    return 0", "recursive=False)\n    return len(os.read(0, 1))", "not end"),
    ],
)
def test_machine_that_keeps_who_fetches_waiting(
    host: SshHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    before: str,
    after: str,
    words: str,
) -> None:
    """It is there, as its SSH server says, and does nothing: neither a job nor its cancellation waits for it."""
    change_agent(monkeypatch, before, after)
    monkeypatch.setattr(sessions, limit, 0.1)

    async def work(session: Session) -> None:
        folder = Path(await session.hold(JOB, 1))
        (folder / "file").touch()
        with pytest.raises(MachineError, match=words):
            async with asyncio.timeout(HANGS_AFTER):
                await session.fetch(str(folder), ["file"], tmp_path)

    on(host, work)


def test_machine_that_talks_is_told_to_be_silent(host: SshHost) -> None:
    programs = host.home / "bin"
    programs.mkdir()
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\necho Welcome!\nPATH={host.variables["PATH"]} exec python3 "$@"\n')
    python.chmod(0o755)
    host.variables["PATH"] = f"{programs}:{host.variables['PATH']}"

    async def work(session: Session) -> None:
        with pytest.raises(MachineError, match=r"Welcome!.*silent"):
            await session.facts()

    on(host, work)


def test_connection_that_is_lost_is_told_from_a_failure(host: SshHost) -> None:
    async def work(session: Session) -> None:
        folder = await session.hold(JOB, 1)
        process = await session.run("sleep 609", folder=folder, environment={}, programs="")
        await asyncio.to_thread(host.stop)
        with pytest.raises(MachineLostError, match="was lost"):
            await process.ended
        assert await process.read(1) == b""
        with pytest.raises(MachineLostError):
            await session.facts()

    on(host, work)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("CONNECT 127.0.0.1:{port} HTTP/1.1", 403),
        ("CONNECT localhost:{port} HTTP/1.1", 403),
        ("CONNECT 2130706433:{port} HTTP/1.1", 403),  # an address as a number, as getaddrinfo reads it
        ("CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1", 403),
        ("CONNECT 0.0.0.0:{port} HTTP/1.1", 403),
        ("CONNECT 169.254.169.254:80 HTTP/1.1", 403),
        ("CONNECT 10.0.0.1:443 HTTP/1.1", 403),
        ("GET http://127.0.0.1:{port}/msi/token HTTP/1.1", 403),
        ("CONNECT management.azure.com:443 HTTP/1.1", 200),
        ("CONNECT 1.1.1.1:443 HTTP/1.1", 200),
    ],
)
def test_way_back_leads_to_nothing_of_this_machine_or_its_network(
    host: SshHost, request_line: str, status: int
) -> None:
    """What a machine asks for by the way that its job has is not asked for in the name of this one."""
    proxy = ProxyHere()

    async def work(session: Session) -> None:
        async with proxy:
            url = await session.forward(proxy.port, has_upstream=False)
            assert await answer_of(url, request_line.format(port=proxy.port)) == status

    on(host, work)
    assert proxy.asked == ([request_line] if status == 200 else [])


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("pypi-mirror.invalid", 200),  # which nobody knows here
        ("xn--bcher-kva.invalid", 200),
        ("localhost", 403),
        ("LOCALHOST.", 403),
        ("a.localhost", 403),
        ("localhost.localdomain", 403),
        ("127.0.0.1", 403),
        ("127.1", 403),
        ("0x7f.1", 403),
        ("0177.0.0.0x1", 403),
        ("2130706433", 403),
        ("[::1]", 403),
        ("1.2.3.4.6425673729", 502),  # some take it for an address, and others not
        ("a\0.invalid", 502),
    ],
)
def test_way_back_leaves_names_to_the_users_proxy(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    """The node that the way leads through knows of that proxy what the service has told it of the attempt."""
    home = Home(tmp_path / "home")
    home.tls.mkdir(parents=True)
    (home.tls / "ca.pem").write_text("ours")
    folder = tmp_path / "job"
    folder.mkdir()
    proxy = ProxyHere()

    def told() -> Attempt:
        with monkeypatch.context() as service:
            service.setenv("HTTPS_PROXY", "http://proxy.corp:3128")
            variables = client_environment.network(proxy.port, home, os.environ)
            spec = CommandSpec("/jobs/j", "j", "true", None, {}, {}, {}, {}, BlobPath("azureml", "j"))
            return Attempt(spec, 1, 0, str(folder), "", (), variables, None, proxies=data.users_proxies())

    async def run() -> None:
        async with proxy:
            workplace = await Workplace.open(machine(host), told(), folder / "1-0")
            try:
                url = workplace.variables["HTTPS_PROXY"]
                assert await answer_of(url, f"CONNECT {name}:443 HTTP/1.1") == status
            finally:
                await workplace.close()

    for variable in ("HTTPS_PROXY", "https_proxy", client_environment.UPSTREAM):
        monkeypatch.delenv(variable, raising=False)
    asyncio.run(run())
    assert proxy.asked == ([f"CONNECT {name}:443 HTTP/1.1"] if status == 200 else [])


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (127, "sh: 1: python3: not found", "has no python3"),
        (FAILED, json.dumps({"text": "No space left on device", "errno": errno.ENOSPC}), "is full"),
        (FAILED, json.dumps({"text": "Permission denied: /x", "errno": errno.EACCES}), "may not write.*/x"),
        (FAILED, json.dumps({"text": "its python3 is 3.6.1", "errno": None}), "its python3 is 3.6.1"),
        (1, "Traceback\nSyntaxError: invalid syntax", "SyntaxError"),
        (FAILED, "not JSON", "not JSON"),
    ],
)
def test_failures_are_named(status: int, said: str, words: str) -> None:
    nobody = Machine("vm", "h", 22, "u", None, None, None)
    with pytest.raises(MachineError, match=words):
        raise sessions._failure(nobody, status, said)


def test_secrets_are_in_no_repr() -> None:
    known = Machine("vm", "h", 22, "u", "the password", "the key", "the host key")
    assert "the" not in repr(known)


def test_requirements_are_held_against_another_python() -> None:
    lines = ("Scikit_Learn>=1.5", 'tomli; python_version < "3.11"', "numpy>=2")
    asked = Requirements(SpecifierSet(), tuple(Requirement(line) for line in lines), ())
    packages = {"scikit-learn": "1.5.2", "numpy": "1.26.4"}
    assert asked.unmet_among(packages, {"python_version": "3.12"}) == ["numpy>=2 (found 1.26.4)"]
    assert asked.unmet_among(packages, {"python_version": "3.10"})[0].startswith("tomli")
