"""azureml_local.engines.guard, run as the service runs it. Nothing that it started outlives it (design.md, "killed with
its parent, so that nothing is orphaned"); exit statuses as of a shell (POSIX, 2.8.2: above 128 for a signal)."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from azureml_local.engines.guard import OUT_OF_MEMORY, SECONDS_BETWEEN_LOOKS
from azureml_local.engines.process import GUARD, GuardedProcess
from running_service import wait_for

# Starts a grandchild, says both process ids, and waits; SIGTERM ends it only where the word "polite" is given.
FAMILY = """
import os, signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
if "exit" in sys.argv:
    sys.exit(3)
time.sleep(600)
"""


def guarded(*command: str, grace: float = 5.0, memory: int = 0, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(grace), str(memory), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return what it has started, as far as that has not ended yet."""
    assert process.stdout
    found = []
    for pid in process.stdout.readline().split():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return found


def all_end(processes: list[psutil.Process], timeout: float = 15) -> None:
    def gone(process: psutil.Process) -> bool:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

    wait_for(lambda: all(gone(process) for process in processes), "all end", timeout)


@pytest.mark.parametrize(
    ("script", "status"),
    [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137),
     ("import os; os.kill(os.getpid(), 15)", 143)],
)  # fmt: skip
def test_exit_status_is_the_commands(script: str, status: int) -> None:
    with guarded(sys.executable, "-c", script) as process:
        assert process.wait(15) == status


def test_command_that_is_not_there(tmp_path: Path) -> None:
    with guarded(str(tmp_path / "absent")) as process:
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 127
    assert "absent cannot be started" in errors
    assert "Traceback" not in errors


def test_whole_group_ends_when_the_pipe_closes() -> None:
    with guarded(sys.executable, "-c", FAMILY) as process:
        members = family(process)
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(15) == 143
        all_end(members)


def test_stubborn_command_is_killed_after_its_grace() -> None:
    with guarded(sys.executable, "-c", FAMILY, "stubborn", grace=0.2) as process:
        members = family(process)
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(15) == 137
        all_end(members)


def test_what_a_command_leaves_behind_is_ended() -> None:
    with guarded(sys.executable, "-c", FAMILY, "exit") as process:
        members = family(process)
        assert process.wait(15) == 3
        all_end(members)


def test_command_ends_when_the_service_is_killed() -> None:
    """The service here is a process that starts a guard as the service does, and is killed with SIGKILL."""
    script = (
        "import subprocess, sys, time\n"
        f"guard = subprocess.Popen([sys.executable, '-I', '-S', {str(GUARD)!r}, '5', '0', sys.executable, '-c',\n"
        "    sys.argv[1]], stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, FAMILY], stdout=subprocess.PIPE, text=True) as service:
        members = family(service)
        members.append(members[0].parent())  # type: ignore[arg-type]
        service.kill()
        all_end(members)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has no parent-death signal")
def test_command_ends_when_the_guard_is_killed() -> None:
    with guarded(sys.executable, "-c", FAMILY) as process:
        members = family(process)
        process.kill()
        all_end(members[:1])
        for member in members[1:]:  # the test's own cleaning: nobody promises their end here
            if member.is_running():
                member.kill()


def test_ctrl_c_in_the_terminal_is_the_services_business() -> None:
    with guarded(sys.executable, "-c", FAMILY, start_new_session=True) as process:
        members = family(process)
        os.kill(process.pid, signal.SIGINT)
        process.stdin.write("x")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        assert members[0].is_running()
        assert process.poll() is None
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(15) == 143


def test_input_is_not_read_by_the_command() -> None:
    with guarded(sys.executable, "-c", "import sys; print(repr(sys.stdin.read()), flush=True)") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("secret")
        process.stdin.flush()
        assert process.stdout.readline() == "''\n"
        assert process.wait(15) == 0


def test_service_ends_what_a_killed_guard_can_no_longer_end(tmp_path: Path) -> None:
    """Also what has no parent-death signal: the command's own children, and everything on macOS."""

    async def main() -> list[psutil.Process]:
        log = tmp_path / "log"
        started = await GuardedProcess.start([sys.executable, "-c", FAMILY], log=log, environment={})
        while len(log.read_text().split()) < 2:  # noqa: ASYNC110 - the command says it in a file
            await asyncio.sleep(0.01)
        members = [psutil.Process(int(pid)) for pid in log.read_text().split()]
        members[0].parent().kill()  # type: ignore[union-attr]
        assert await asyncio.wait_for(started.ended, 15) < 0
        return members

    all_end(asyncio.run(main()))


# Takes as many bytes as its first argument says, lets a child do so with the others, and waits.
HOARDS = """
import subprocess, sys, time
hoard = b"x" * int(sys.argv[1])
if sys.argv[2:]:
    subprocess.run([sys.executable, "-c", f"import time; hoard = b'x' * {sys.argv[2]}; time.sleep(600)"])
time.sleep(600)
"""
MIB = 1024 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
@pytest.mark.parametrize("hoards", [(90 * MIB,), (30 * MIB, 60 * MIB)], ids=["itself", "with its child"])
def test_command_over_its_memory_is_ended_with_all_it_started(hoards: tuple[int, ...]) -> None:
    """As Linux ends a container over its limit: with SIGKILL, and without its consent."""
    with guarded(sys.executable, "-c", HOARDS, *map(str, hoards), memory=64 * MIB) as process:
        assert process.wait(15) == OUT_OF_MEMORY
        assert process.stderr
        assert "OOMKilled: more than 0.0625 GiB" in process.stderr.read()


def test_command_within_its_memory_ends_as_it_likes() -> None:
    """It lives longer than it takes to look at its memory."""
    command = f"import time; hoard = b'x' * {MIB}; time.sleep({4 * SECONDS_BETWEEN_LOOKS}); raise SystemExit(7)"
    with guarded(sys.executable, "-c", command, memory=512 * MIB) as process:
        assert process.wait(15) == 7
