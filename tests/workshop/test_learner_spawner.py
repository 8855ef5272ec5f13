"""The spawner: its servers outlive a hub, are found by the next one, and end with all that they started.

JupyterHub's documentation says what a hub asks of a spawner: start, stop, poll, get_state and load_state
(https://jupyterhub.readthedocs.io/en/stable/reference/spawners.html).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from room_of_two import PATIENCE, Room, needs_root, processes_of, room

from workshop import copies, processes, relay
from workshop.copies import CopyError
from workshop.spawner import FIRST_PORT, LAST_PORT, LearnerSpawner, SpawnError

pytestmark = [needs_root, pytest.mark.slow]

# Listens on the socket that it was given, and has a daemon, as a learner's local service is one, that writes down how
# it ended.
SERVER = """
import os, signal, socket, sys, time
listener = socket.socket(fileno=int(os.environ["AZUREML_WORKSHOP_SOCKET"]))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        def end(*_):
            open("ended", "w").write("gently")
            os._exit(0)
        signal.signal(signal.SIGTERM, end)
        open("daemon", "w").write("runs")
        time.sleep(600)
    os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"here")
    connection.close()
"""

KNOCKS_WHEN_ASKED = f"""
import os, socket, time
open("ready", "w")
while not os.path.exists("ask"): time.sleep(0.02)
connection = socket.create_connection(("127.0.0.1", {relay.PROXY_PORT}))
connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
with open("draft", "w") as file: file.write(connection.makefile().readline())
os.rename("draft", "answer")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def two() -> Iterator[Room]:
    with room() as made:
        yield made


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was asked of the module that brings notebooks, whose own tests are elsewhere."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(copies, "bring", lambda source, home: asked.append(("bring",)) or ["A lesson is new."])
    monkeypatch.setattr(copies, "reset", lambda source, home, what: asked.append(("reset", what)) or [])
    return asked


def server(two: Room, learner: str) -> LearnerSpawner:
    return two.spawner(learner, sys.executable, "-c", SERVER)


async def answer(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer_closed = await reader.read()
    writer.close()
    return writer_closed


def wait_for(file: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < until, f"{file} never came"
        time.sleep(0.02)


@pytest.mark.usefixtures("brought")
def test_a_new_hub_finds_a_server_and_ends_it_with_its_daemons(two: Room) -> None:
    async def scenario() -> None:
        first = server(two, two.one)
        _, port = await first.start()
        assert await answer(port) == b"here"
        wait_for(two.folder.home(two.one) / "daemon")

        second = server(two, two.one)
        second.load_state(first.get_state())
        second.orm_spawner.server = None
        assert await second.poll() is None
        await second.stop()

        assert await second.poll() == 0
        assert await first.poll() == 0

    asyncio.run(scenario())

    assert processes_of(two.one) == []
    two.account(two.one).open()  # mounts the disk again
    assert (two.folder.home(two.one) / "ended").read_text() == "gently"


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("victim", ["outside", "inside", "server"])
def test_nothing_outlives_a_killed_process(two: Room, victim: str) -> None:
    async def scenario() -> None:
        spawner = server(two, two.one)
        _, port = await spawner.start()
        assert await answer(port) == b"here"
        wait_for(two.folder.home(two.one) / "daemon")
        (inside,) = processes.children(spawner.pid)
        target = {"outside": spawner.pid, "inside": inside, "server": processes.children(inside)[1]}[victim]
        os.kill(target, signal.SIGKILL)
        assert await processes.has_ended(inside, PATIENCE)
        assert await processes.has_ended(spawner.pid or 0, PATIENCE)
        assert await spawner.poll() is not None

    (two.account(two.one)).open()
    (two.folder.home(two.one) / "daemon").unlink(missing_ok=True)
    asyncio.run(scenario())

    assert processes_of(two.one) == []
    assert not two.folder.home(two.one).is_mount()


@pytest.mark.usefixtures("brought")
def test_a_relay_that_was_killed_is_started_again(two: Room) -> None:
    async def scenario() -> None:
        spawner = two.spawner(two.one, sys.executable, "-c", KNOCKS_WHEN_ASKED)
        await spawner.start()
        home = two.folder.home(two.one)
        wait_for(home / "ready")
        (inside,) = processes.children(spawner.pid)
        killed = processes.children(inside)[0]
        os.kill(killed, signal.SIGKILL)
        assert await processes.has_ended(killed, PATIENCE)
        (home / "ask").touch()
        wait_for(home / "answer")
        assert (home / "answer").read_text() == "HTTP/1.1 403 This Is A Proxy For HTTPS\n"
        await spawner.stop(now=True)

    asyncio.run(scenario())


@pytest.mark.usefixtures("brought")
def test_another_process_with_the_number_of_one_that_ended_is_not_taken_for_it(two: Room) -> None:
    spawner = server(two, two.one)
    spawner.load_state({"pid": os.getpid(), "born": processes.born(os.getpid()) - 1})

    assert asyncio.run(spawner.poll()) == 0
    assert spawner.pid == 0


@pytest.mark.usefixtures("brought")
def test_a_start_ends_a_server_that_no_hub_knows_of(two: Room) -> None:
    async def scenario() -> None:
        lost = server(two, two.one)  # its hub was killed before it had written the state
        await lost.start()
        found = server(two, two.one)
        _, port = await found.start()
        assert await processes.has_ended(lost.pid, PATIENCE)
        assert await answer(port) == b"here"
        assert two.folder.home(two.one).is_mount()
        await found.stop(now=True)
        await lost.poll()

    asyncio.run(scenario())

    assert processes_of(two.one) == []


@pytest.mark.usefixtures("brought")
def test_no_learner_can_listen_in_anothers_place(two: Room) -> None:
    async def scenario() -> None:
        spawner = server(two, two.other)
        _, port = await spawner.start()
        try:
            assert FIRST_PORT <= port <= LAST_PORT
            taken = two.run(
                two.one,
                "import socket, sys\n"
                "for port in map(int, sys.argv[1:]):\n"
                "    for option in (0, socket.SO_REUSEADDR, socket.SO_REUSEPORT):\n"
                "        try:\n"
                "            s = socket.socket()\n"
                "            if option: s.setsockopt(socket.SOL_SOCKET, option, 1)\n"
                "            s.bind(('127.0.0.1', port)); s.listen(); print('listens')\n"
                "        except OSError as error: print(type(error).__name__)",
                str(port),
                str(LAST_PORT - 100),
            )
            assert set(taken.said.split()) == {"PermissionError"}
        finally:
            await spawner.stop(now=True)

    asyncio.run(scenario())


def test_a_reset_is_done_once_and_not_again_at_the_next_start(two: Room, brought: list[tuple[str, ...]]) -> None:
    async def scenario() -> None:
        spawner = server(two, two.one)
        spawner.orm_spawner.user_options = {"reset": "service"}  # as JupyterHub keeps them
        spawner.user_options = {"reset": "service"}
        await spawner.start()
        await spawner.stop(now=True)
        assert spawner.orm_spawner.user_options == {}
        await spawner.start()
        await spawner.stop(now=True)
        assert spawner.get_env()["AZUREML_WORKSHOP_NEWS"] == '["A lesson is new."]'

    asyncio.run(scenario())

    assert brought == [("reset", "service"), ("bring",)]


def test_a_copy_that_fails_keeps_no_learner_out(two: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, home: Path) -> list[str]:
        raise CopyError("Your disk is full.")

    monkeypatch.setattr(copies, "bring", full)

    async def scenario() -> None:
        spawner = server(two, two.one)
        _, port = await spawner.start()
        assert await answer(port) == b"here"
        assert "Your disk is full." in spawner.get_env()["AZUREML_WORKSHOP_NEWS"]
        await spawner.stop(now=True)

    asyncio.run(scenario())


def test_a_machine_without_room_for_a_disk_says_so_to_the_learner(two: Room) -> None:
    spawner = server(two, two.other)
    two.account(two.other).close()
    two.folder.disk(two.other).unlink(missing_ok=True)
    spawner.disk_size = 2**60

    with pytest.raises(SpawnError, match="no room for a learner's disk") as refused:
        asyncio.run(spawner.start())

    assert refused.value.jupyterhub_message == str(refused.value)
    assert [entry.name for entry in two.folder.disks.iterdir()] in ([], [two.folder.disk(two.one).name])


def test_sockets_of_servers_are_roots(two: Room) -> None:
    from workshop.spawner import listening

    with listening() as first, listening() as second:
        assert first.getsockname() != second.getsockname()
        assert isinstance(first, socket.socket)
