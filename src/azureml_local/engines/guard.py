"""Runs one command and ends it, with all that it started, when the service lets go of it or dies.

Run as a script, with nothing but the standard library: ``python -I -S guard.py GRACE MEMORY COMMAND ARG...``. Standard
input is a pipe whose other end only the service holds. When that end closes, by intention or because the service was
killed, the command's process group gets SIGTERM, and after GRACE seconds SIGKILL (never, where GRACE is negative). A
pipe works on macOS too, which has no parent-death signal; where Linux has it, it covers the death of this process.
On an attached virtual machine :mod:`azureml_local.engines.ssh.agent` calls :func:`run`, with the Python that is there.

Where MEMORY, in bytes, is not 0, the command and its descendants are ended with SIGKILL once they have more of their
own (on Linux only: it is read from /proc). Files that they map, and libraries, are not counted.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY = 247  # exit status; 137, which a container has then, is that of any SIGKILL
SECONDS_BETWEEN_LOOKS = 0.25  # at the memory: a process fills about a gigabyte meanwhile
FIRST_LOOK = 0.01  # seconds; what is forked may be ready a tenth of a second later
GIB = 1024**3

TYPE_CHECKING = False  # typing is not imported: a guard's start costs as much as what it imports
if TYPE_CHECKING:
    from typing import Protocol

    class Child(Protocol):
        """A command that runs: ``subprocess.Popen`` is one."""

        pid: int

        def poll(self) -> int | None:
            """Return its exit status, less than zero where a signal ended it; None where it runs still."""

        def wait(self) -> int:
            """Return its exit status once it has ended."""


def main() -> int:
    """Run the command that the arguments name."""
    return run(sys.argv[3:], float(sys.argv[1]), int(sys.argv[2]))


def run(command: list[str], grace: float, memory: int) -> int:
    """Run a command, and return its exit status (128 + the signal's number where one ended it)."""
    wakeup, _ = wake_at_its_end()
    try:
        child = subprocess.Popen(  # noqa: S603 - running the given command is this script's purpose
            command,
            stdin=subprocess.DEVNULL,
            close_fds=False,  # hands on a listening socket; everything else here is not inheritable
            preexec_fn=lambda: begin(grace),
        )
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    return watch(child, wakeup, grace, memory)


def wake_at_its_end() -> tuple[int, int]:
    """Return the ends of a pipe: what can be read from once a child of this process has ended, and what writes then."""
    wakeup, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A Ctrl-C in the terminal that started the service reaches this process; the service decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return wakeup, writing


def begin(grace: float) -> None:
    """Make this process, which is to become the command, one that its guard can end."""
    os.setpgid(0, 0)  # in the guard's session, by which the service finds what outlives a killed guard
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        last_word = signal.SIGTERM if grace < 0 else signal.SIGKILL
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, last_word)


def watch(child: Child, wakeup: int, grace: float, memory: int) -> int:
    """Return a running command's exit status once it has ended; end it where it is to be ended."""
    look = FIRST_LOOK if memory and sys.platform == "linux" else None
    while (status := child.poll()) is None:
        ready, _, _ = select.select([0, wakeup], [], [], look)
        if wakeup in ready:
            os.read(wakeup, 512)
        if 0 in ready and not os.read(0, 512):
            _end(child, grace, wakeup)
        if look and _used(child.pid) > memory:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()
            print(f"OOMKilled: more than {memory / GIB:.3g} GiB of memory were used", file=sys.stderr)
            return OUT_OF_MEMORY
        look = look and min(2 * look, SECONDS_BETWEEN_LOOKS)
    _signal_group(child.pid, signal.SIGKILL)  # what the command left behind
    return status if status >= 0 else 128 - status


def _end(child: Child, grace: float, wakeup: int) -> None:
    _signal_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while child.poll() is None:
        left = None if grace < 0 else deadline - time.monotonic()
        if left is not None and left <= 0:
            _signal_group(child.pid, signal.SIGKILL)
            left = None
        ready, _, _ = select.select([wakeup], [], [], left)
        if ready:
            os.read(wakeup, 512)


def _used(pid: int) -> int:
    """Return how many bytes of memory a process and its descendants have for themselves; what has ended has none."""
    process = Path("/proc") / str(pid)
    try:
        _, resident, shared, *_ = (process / "statm").read_text().split()
        children = (process / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") + sum(_used(int(child)) for child in children)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # the group has ended; macOS says so of one that nobody has waited for yet with EPERM


if __name__ == "__main__":
    sys.exit(main())
