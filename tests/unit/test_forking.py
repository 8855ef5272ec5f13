"""azureml_local.engines.forking: what is forked is as what is started, and ends as surely (see test_guard.py).

What a start looks like is not written down here: the same command is started without a fork server, and compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from azureml_local.engines.forking import IS_POSSIBLE, PROGRAM, ForkServer
from azureml_local.engines.guard import OUT_OF_MEMORY
from azureml_local.engines.process import GuardedProcess
from running_service import wait_for

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="nothing is forked on macOS")

WITHIN = 60  # seconds
LIBRARY = "big_library"  # the module that fork servers import here
SAYS_ALL = """
import json, multiprocessing, os, random, signal, sys
LIBRARY_WAS_THERE = "big_library" in sys.modules
import big_library
print(json.dumps({
    "forked": LIBRARY_WAS_THERE,
    "library": big_library.__file__,
    "arguments": sys.argv,
    "all arguments": sys.orig_argv,
    "path": sys.path,
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "files": [os.readlink(f"/proc/self/fd/{fd}") for fd in sorted(map(int, os.listdir("/proc/self/fd")))[:-1] if fd],
    "input": sys.stdin.read(),
    "leads its group": os.getpgid(0) == os.getpid(),
    "session of its guard": os.getsid(0) == os.getppid(),
    "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGCHLD")},
    "umask": os.umask(0o022),
    "main": sys.modules["__main__"].__spec__.name,
    "unbuffered": sys.stdout.write_through,
}))
"""
ITS_OWN = """
import multiprocessing, random
print(random.random(), multiprocessing.current_process().authkey.hex())
"""
WAITS = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
HOARDS = "import time\nhoard = b'x' * (90 * 1024 * 1024)\ntime.sleep(600)\n"


class Installation:
    """A library, and programs that use it."""

    def __init__(self, root: Path) -> None:
        self.libraries, self.work, self.log = root / "libraries", root / "work", root / "log"
        self.libraries.mkdir()
        self.work.mkdir()
        self.write_library("import multiprocessing, os, random\n")
        self.environment = {"PYTHONPATH": str(self.libraries), "PATH": os.environ["PATH"]}

    def write_library(self, text: str) -> None:
        (self.libraries / f"{LIBRARY}.py").write_text(text)

    def command(self, text: str, *arguments: str) -> list[str]:
        """Return the command that runs a module of this text."""
        (self.work / "program.py").write_text(text)
        return [sys.executable, "-m", "program", *arguments]

    @contextlib.asynccontextmanager
    async def forks(self, **variables: str) -> AsyncIterator[ForkServer]:
        """A fork server that imports the library with these variables besides."""
        server = ForkServer([LIBRARY], self.environment | variables, self.log)
        try:
            yield server
        finally:
            await server.close()

    async def start(self, command: list[str], forks: ForkServer | None, **options: Any) -> GuardedProcess:
        given: dict[str, Any] = {"environment": self.environment, "cwd": self.work, "capture": True} | options
        return await GuardedProcess.start(command, log=self.log, forks=forks, **given)

    async def says(self, command: list[str], forks: ForkServer | None, **options: Any) -> str:
        """Return what a program says to its end, which is a good one."""
        process = await self.start(command, forks, **options)
        said = "".join([line async for line in process.lines()])
        assert await asyncio.wait_for(asyncio.shield(process.ended), WITHIN) == 0, self.log.read_text()
        return said

    async def tells(self, forks: ForkServer | None, *arguments: str, **options: Any) -> dict[str, Any]:
        """Return what a program says of itself."""
        told: dict[str, Any] = json.loads(await self.says(self.command(SAYS_ALL, *arguments), forks, **options))
        return told


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def ends(pid: int) -> None:
    """Wait until a process has ended."""

    def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    wait_for(gone, f"{pid} ends", 30)


def fork_servers(parent: int) -> list[psutil.Process]:
    """Return the fork servers below a process, without their guards."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if process.cmdline()[1:2] == [str(PROGRAM)]:
                found.append(process)
    return found


def test_forked_program_is_as_a_started_one(installation: Installation) -> None:
    """But for what tells it that it was forked. The second fork has nothing of the first."""

    async def main() -> list[dict[str, Any]]:
        told = [await installation.tells(None, "--port", "8 0", environment=installation.environment | {"MINE": "1"})]
        async with installation.forks() as forks:
            for mine in ("0", "1"):
                environment = installation.environment | {"MINE": mine}
                told.append(await installation.tells(forks, "--port", "8 0", environment=environment))
        return told

    started, first, second = asyncio.run(main())
    assert [one.pop("forked") for one in (started, first, second)] == [False, True, True]
    assert first["environment"]["MINE"] == "0"
    files = [[name.partition(":[")[0] for name in one.pop("files")] for one in (started, first, second)]
    assert files[1] == files[0] == files[2]
    assert second == started
    assert started["leads its group"]
    assert started["session of its guard"]


def test_library_that_resets_signals_in_forks(installation: Installation) -> None:
    """asyncio does so since Python 3.12: https://github.com/python/cpython/pull/99539."""
    resets = "import os, signal\nos.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))\n"
    installation.write_library(resets)

    async def main() -> list[dict[str, Any]]:
        async with installation.forks() as forks:
            return [await installation.tells(one) for one in (None, forks)]

    started, forked = asyncio.run(main())
    assert forked["forked"]
    assert len(forked["files"]) == len(started["files"])


def test_unbuffered_programs_are_forked_where_the_fork_server_is_unbuffered(installation: Installation) -> None:
    async def main() -> list[dict[str, Any]]:
        unbuffered = installation.environment | {"PYTHONUNBUFFERED": "1"}
        async with installation.forks(PYTHONUNBUFFERED="1") as forks:
            return [await installation.tells(forks, environment=one) for one in (unbuffered, installation.environment)]

    unbuffered, buffered = asyncio.run(main())
    assert (unbuffered["forked"], unbuffered["unbuffered"]) == (True, True)
    assert (buffered["forked"], buffered["unbuffered"]) == (False, False)


def test_variables_of_the_imports_do_not_leak(installation: Installation) -> None:
    async def main() -> dict[str, Any]:
        async with installation.forks(SECRET="hush") as forks:
            return await installation.tells(forks)

    told = asyncio.run(main())
    assert told["forked"]
    assert "SECRET" not in told["environment"]


@pytest.mark.parametrize("variables", [{"MODE": "fast"}, {"LC_ALL": "C.UTF-8"}, {"PYTHONHASHSEED": "1"}])
def test_variable_that_the_imports_depend_on_is_heeded(
    installation: Installation, variables: Mapping[str, str]
) -> None:
    """The library reads MODE as it is imported; the others the interpreter as it starts."""
    installation.write_library("import os\nos.environ.get('MODE')\n")

    async def main() -> list[dict[str, Any]]:
        others = installation.environment | {"OTHER": "1"}
        async with installation.forks() as forks:
            changed = await installation.tells(forks, environment=installation.environment | variables)
            return [changed, await installation.tells(forks, environment=others)]

    changed, unchanged = asyncio.run(main())
    assert (changed["forked"], unchanged["forked"]) == (False, True)
    assert variables.items() <= changed["environment"].items()


def test_own_module_of_a_programs_counts(installation: Installation) -> None:
    """Of two modules of one name, a program gets that which comes first on its path."""
    own = installation.work / f"{LIBRARY}.py"
    own.write_text("")

    async def main() -> dict[str, Any]:
        async with installation.forks() as forks:
            return await installation.tells(forks)

    told = asyncio.run(main())
    assert (told["forked"], told["library"]) == (False, str(own))


def test_forks_share_no_secret_and_no_randomness(installation: Installation) -> None:
    """As processes of multiprocessing know each other by a key that is drawn as it is imported."""

    async def main() -> list[str]:
        async with installation.forks() as forks:
            command = installation.command(ITS_OWN)
            return [await installation.says(command, forks) for _ in range(3)]

    drawn = [said.split() for said in asyncio.run(main())]
    assert len({number for number, _ in drawn}) == len({key for _, key in drawn}) == 3


@pytest.mark.parametrize(
    ("script", "status"),
    [("pass", 0), ("raise SystemExit(7)", 7), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", 137),
     ("import os; os._exit(3)", 3), ("import atexit, os; atexit.register(os._exit, 5)", 5)],
)  # fmt: skip
def test_exit_status_of_a_fork(installation: Installation, script: str, status: int) -> None:
    async def main() -> int:
        async with installation.forks() as forks:
            process = await installation.start(installation.command(script), forks)
            return await asyncio.wait_for(asyncio.shield(process.ended), WITHIN)

    assert asyncio.run(main()) == status
    assert ("ZeroDivisionError: division by zero" in installation.log.read_text()) == (script == "1 / 0")


def test_other_programs_are_executed(installation: Installation) -> None:
    async def main() -> list[Any]:
        async with installation.forks() as forks:
            said = await installation.says(["/bin/sh", "-c", "echo $0 $MINE", "a  b"], forks)
            absent = await installation.start(["/absent"], forks)
            return [said, await asyncio.wait_for(asyncio.shield(absent.ended), WITHIN)]

    assert asyncio.run(main()) == ["a b\n", 127]
    assert "/absent cannot be started" in installation.log.read_text()


def test_descriptors_come_under_the_same_numbers(installation: Installation) -> None:
    """Also where they are those of the fork server's own files, and of each other's places on the way."""

    async def main(count: int) -> list[str]:
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context((installation.work / f"file{n}").open("w")) for n in range(count)]
            numbers = [file.fileno() for file in files]
            program = f"import os\nprint([os.path.basename(os.readlink(f'/proc/self/fd/{{n}}')) for n in {numbers}])"
            command = installation.command(program)
            async with installation.forks() as forks:
                return [await installation.says(command, one, pass_fds=numbers) for one in (None, forks)]

    started, forked = asyncio.run(main(9))
    assert started == forked == f"{[f'file{n}' for n in range(9)]}\n"


def test_folder_that_is_gone_is_an_error_of_the_start(installation: Installation) -> None:
    async def main() -> None:
        async with installation.forks() as forks:
            with pytest.raises(FileNotFoundError):
                await installation.start(installation.command("pass"), forks, cwd=installation.work / "absent")
            with pytest.raises(OSError, match="null"):
                variables = installation.environment | {"BAD": "\0"}
                await installation.start(installation.command("pass"), forks, environment=variables)
            assert await installation.says(installation.command("print(1)"), forks) == "1\n"

    asyncio.run(main())


def test_process_list_shows_the_program(installation: Installation) -> None:
    async def main() -> list[list[str]]:
        async with installation.forks() as forks:
            process = await installation.start(installation.command(WAITS, "--name", "x" * 500), forks)
            program = psutil.Process(int(await process.read_line()))
            lines = [program.cmdline(), program.parent().cmdline()]  # type: ignore[union-attr]
            await process.stop()
            return lines

    program, guard = asyncio.run(main())
    assert program == [sys.executable, "-m", "program", "--name", "x" * 500]
    assert guard[:3] == [sys.executable, "-I", "-S"]
    assert guard[3].endswith("guard.py")
    assert guard[6:] == program


def test_stop_ends_a_fork_and_the_end_of_the_fork_server_does_not(installation: Installation) -> None:
    async def main() -> tuple[int, int]:
        async with installation.forks() as forks:
            process = await installation.start(installation.command(WAITS), forks)
            pid = int(await process.read_line())
        assert not process.ended.done()  # its fork server is closed
        assert psutil.pid_exists(pid)
        return pid, await asyncio.wait_for(process.stop(), WITHIN)

    pid, status = asyncio.run(main())
    assert status == 128 + signal.SIGTERM
    ends(pid)


def test_fork_over_its_memory_is_ended(installation: Installation) -> None:
    async def main() -> int:
        async with installation.forks() as forks:
            process = await installation.start(installation.command(HOARDS), forks, memory=64 * 1024 * 1024)
            return await asyncio.wait_for(asyncio.shield(process.ended), WITHIN)

    assert asyncio.run(main()) == OUT_OF_MEMORY
    assert "OOMKilled" in installation.log.read_text()


def test_killed_guard_of_a_fork(installation: Installation) -> None:
    async def main() -> tuple[int, int]:
        async with installation.forks() as forks:
            process = await installation.start(installation.command(WAITS), forks)
            pid = int(await process.read_line())
            psutil.Process(pid).parent().kill()  # type: ignore[union-attr]
            return pid, await asyncio.wait_for(asyncio.shield(process.ended), WITHIN)

    pid, status = asyncio.run(main())
    assert status < 0
    ends(pid)


def test_killed_fork_server_is_started_again(installation: Installation) -> None:
    """What it has forked goes on, and its end is known."""

    async def main() -> None:
        async with installation.forks() as forks:
            running = await installation.start(installation.command(WAITS), forks)
            pid = int(await running.read_line())
            (server,) = fork_servers(os.getpid())
            server.kill()
            assert (await installation.tells(forks))["forked"]
            (another,) = fork_servers(os.getpid())
            assert another.pid != server.pid
            assert psutil.pid_exists(pid)
            assert not running.ended.done()
            assert await asyncio.wait_for(running.stop(), WITHIN) == 128 + signal.SIGTERM
        ends(another.pid)

    asyncio.run(main())


def test_idle_fork_server_ends_and_is_started_again(installation: Installation) -> None:
    async def main() -> None:
        forks = ForkServer([LIBRARY], installation.environment, installation.log, idle=0.2)
        running = await installation.start(installation.command(WAITS), forks)
        await running.read_line()
        wait_for(lambda: not fork_servers(os.getpid()), "it ends", 30)
        assert (await installation.tells(forks))["forked"]
        assert not running.ended.done()
        assert await asyncio.wait_for(running.stop(), WITHIN) == 128 + signal.SIGTERM
        await forks.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("library", "why"),
    [("raise ImportError('no such thing')", "no such thing"),
     ("import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "1 threads"),
     ("import os; os.kill(os.getpid(), 9)", "")],
    ids=["fails", "starts a thread", "ends"],
)  # fmt: skip
def test_where_nothing_can_be_forked_it_is_started(
    installation: Installation, library: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    installation.write_library(f"import sys\nif 'fork_server.py' in sys.argv[0]:\n    {library}\n")

    async def main() -> list[dict[str, Any]]:
        async with installation.forks() as forks:
            return [await installation.tells(forks) for _ in range(2)]

    assert [one["forked"] for one in asyncio.run(main())] == [False, False]
    assert why in installation.log.read_text()
    assert len([one for one in caplog.records if "started, not forked" in one.message]) == 1


# Starts a fork server and a fork, says the process ids of both, and waits.
SERVICE = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = {path!r}
import test_forking
async def main():
    installation = test_forking.Installation(Path({root!r}))
    async with installation.forks() as forks:
        process = await installation.start(installation.command(test_forking.WAITS), forks)
        print(await process.read_line(), test_forking.fork_servers(os.getpid())[0].pid, flush=True)
        await process.ended
asyncio.run(main())
"""


@pytest.mark.parametrize("kills_fork_server", [False, True], ids=["service", "fork server, then service"])
def test_nothing_is_left_of_a_killed_service(tmp_path: Path, kills_fork_server: bool) -> None:
    """Also where nobody is left between a fork's guard and the service."""
    script = SERVICE.format(path=[path for path in sys.path if path], root=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        program, server = map(int, f"{service.stdout.readline()}{service.stdout.readline()}".split())
        guard = psutil.Process(program).ppid()
        if kills_fork_server:
            os.kill(server, signal.SIGKILL)
            ends(server)
            assert psutil.pid_exists(program)
        service.kill()
        for one in (program, guard, server):
            ends(one)
