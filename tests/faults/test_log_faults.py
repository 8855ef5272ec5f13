"""The log store under faults: what was acknowledged is in its table once, and nothing else fails with it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import duckdb
import pytest
from small_disk import fill, on_a_small_disk

from azureml_local.arm import ids
from azureml_local.engines.log_store import client
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.home import Home
from azureml_local.store import Store
from log_store import JOB, SECONDS, Logs, running, state_folder, until
from running_service import command_line, command_of, family, start_service, survivors, users_of, wait_for

WRITER = Path(__file__).with_name("log_writer.py")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY_AFTER", (0.0, 0.05))


@pytest.fixture
def home() -> Iterator[Home]:
    with state_folder() as folder:
        yield folder


@asynccontextmanager
async def collecting(home: Home) -> AsyncIterator[Logs]:
    """Ship events, all categories, to one workspace."""
    async with asyncio.timeout(SECONDS), running(home) as logs:
        logs.send([], to=logs.log_workspace("logs"))
        yield logs


def test_killed_process_loses_nothing_and_writes_nothing_twice(home: Home) -> None:
    async def scenario() -> None:
        async with collecting(home) as logs:
            wanted, killed = [], set()
            for number in range(400):
                logs.submit(f"j{number}")
                wanted.append(f"j{number}")
                process = logs.process() if number % 20 == 0 else None
                if process and process.pid not in killed:
                    os.kill(process.pid, signal.SIGKILL)
                    killed.add(process.pid)
                await asyncio.sleep(0.005)
            assert sorted(await logs.jobs()) == sorted(wanted)
            assert len(killed) > 1

    asyncio.run(scenario())


def test_killed_service_loses_nothing_and_writes_nothing_twice(home: Home) -> None:
    """Each run is killed in the middle of writing; the next one goes on, while the last one's process may still end."""

    async def prepare() -> None:
        async with collecting(home):
            pass

    asyncio.run(prepare())
    acknowledged: list[str] = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])}
    for run in range(3):
        command = [sys.executable, str(WRITER), str(home.root), f"r{run}-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                acknowledged.append(line.strip())
                if len(acknowledged) >= 150 * (run + 1):
                    break
            writer.kill()
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]

    async def read() -> list[str]:
        async with collecting(home) as logs:
            return await logs.jobs()

    written = asyncio.run(read())
    assert len(written) == len(set(written))
    assert set(acknowledged) <= set(written)
    assert len(written) - len(acknowledged) <= 3, "at most the one that each run did not get to acknowledge"


def test_acknowledgement_that_is_lost_makes_no_second_row(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are on disk, but the outbox cannot be cleared: they are sent again."""
    delete = Store.delete_events
    failures = iter((True, True))

    def fail_at_first(store: Store, last: int) -> None:
        if next(failures, False):
            raise sqlite3.OperationalError("disk I/O error")
        delete(store, last)

    monkeypatch.setattr(Store, "delete_events", fail_at_first)

    async def scenario() -> None:
        async with collecting(home) as logs:
            for number in range(10):
                logs.submit(f"j{number}")
            assert await logs.jobs() == [f"j{number}" for number in range(10)]
        assert next(failures, None) is None

    asyncio.run(scenario())


def test_database_that_is_put_back_from_a_copy_loses_no_new_event(home: Home) -> None:
    """It gives sequence numbers again that the log store has seen."""

    async def write(job: str) -> list[str]:
        async with collecting(home) as logs:
            logs.submit(job)
            return await logs.jobs()

    assert asyncio.run(write("first")) == ["first"]
    copy = home.database.read_bytes()
    assert asyncio.run(write("second")) == ["first", "second"]
    for left in home.root.glob("state.db-*"):
        left.unlink()
    home.database.write_bytes(copy)
    assert asyncio.run(write("third")) == ["first", "second", "third"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"no database" * 1000,
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:4096] + b"?" * 4096 + whole[8192:],
    ],
    ids=["another file", "cut off", "overwritten"],
)
def test_events_wait_while_the_file_is_damaged(
    damage: Callable[[bytes], bytes], home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async def write(*jobs: str) -> list[str]:
        async with collecting(home) as logs:
            for job in jobs:
                logs.submit(job)
            return await logs.jobs()

    async def while_it_is_damaged() -> None:
        async with collecting(home) as logs:
            with caplog.at_level(logging.ERROR):
                logs.submit("meanwhile")
                await until(lambda: "put a copy of it back" in caplog.text)
            with pytest.raises(LogStoreError, match=r"logs\.duckdb|computed checksum"):
                await logs.rows(JOB)
            assert len(logs.store.waiting_events(9)) == 1

    asyncio.run(write("before"))
    file = home.log_store / "logs.duckdb"
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    asyncio.run(while_it_is_damaged())
    file.write_bytes(whole)
    assert asyncio.run(write("after")) == ["before", "meanwhile", "after"]


def test_file_that_another_process_has_is_waited_for(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """As that of a service that was killed may have it for a moment."""
    file = home.log_store / "logs.duckdb"
    code = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"

    async def scenario() -> None:
        file.parent.mkdir()
        async with collecting(home) as logs:
            command = [sys.executable, "-c", code, str(file)]
            holder = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
            assert holder.stdout is not None
            assert await holder.stdout.readline() == b"held\n"
            logs.submit("j")
            await until(lambda: "lock" in caplog.text)
            holder.kill()
            await holder.wait()
            assert await logs.jobs() == ["j"]

    asyncio.run(scenario())


def test_full_disk(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """A change of state is refused as a whole; what was acknowledged before it is written once there is room."""
    try:
        on_a_small_disk(home.root, 24, lambda: asyncio.run(on_full_disk(home, caplog)))
    except PermissionError as error:
        pytest.skip(f"needs the right to mount: {error}")


async def on_full_disk(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.create()
    async with collecting(home) as logs:
        logs.submit("before")
        assert await logs.jobs() == ["before"]
    logs = Logs(home)
    for number in range(50):
        logs.submit(f"waits-{number}")
    fill(home.storage / "filler")
    with pytest.raises(sqlite3.OperationalError):
        for number in range(1000):  # the journal may have room for some
            logs.submit(f"last-{number}")
    waiting = len(logs.store.waiting_events(2000))
    logs.log_store.start()
    await until(lambda: "wait in the outbox" in caplog.text)
    assert len(logs.store.waiting_events(2000)) == waiting
    (home.storage / "filler").unlink()
    written = await logs.jobs()
    await logs.log_store.close()
    logs.store.close()
    assert len(written) == len(set(written)) == waiting + 1


def test_service_ships_what_an_earlier_one_left(home: Home) -> None:
    """Through the command line: it is started with an event in its outbox, and stopped once that is shipped."""
    root = home.root
    started = start_service(root)
    sink = ids.LOG_WORKSPACE.format(
        subscription=started.settings.subscription_id,
        resource_group=started.settings.resource_group,
        log_workspace=started.settings.log_workspace,
    )
    assert command_line(root, "stop").returncode == 0
    logs = Logs(home)
    workspace = logs.store.get(sink)
    assert workspace is not None
    logs.send([], to=workspace)
    logs.submit("left")
    logs.store.close()
    assert not home.log_store.exists()
    again = start_service(root)
    wait_for(lambda: waiting(home) == 0)
    processes = family(again.pid)
    assert any("azureml_local.engines.log_store.server" in command_of(process) for process in processes)
    assert command_line(root, "stop").returncode == 0
    assert survivors(processes) + users_of(root) == []
    with duckdb.connect(str(home.log_store / "logs.duckdb"), read_only=True) as db:
        assert db.execute(f"SELECT JobId, TenantId FROM {JOB}").fetchall() == [
            ("left", workspace.properties["customerId"])
        ]
    assert command_line(root, "reset", "--yes").returncode == 0
    assert not root.exists()
    root.mkdir()  # for the fixture to delete


def waiting(home: Home) -> int:
    """Return how many events are in the outbox of a running service."""
    db = sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)
    (number,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    db.close()
    return int(number)
