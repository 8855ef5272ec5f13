"""A fork server, as multiprocessing has one: it forks guarded processes, which need not import what it has imported.

Run as a script, on Linux: ``python fork_server.py CONNECTION``. It imports the modules that a variable names, then
forks a process for each socket that comes over CONNECTION, a file descriptor. The fork reads from its socket what it is
to run (:mod:`azureml_local.engines.forking` writes it), becomes a guard, and forks the command. The fork server ends
with its connection, and where nothing has come for a while: it has memory that nobody uses then.

What is forked is as a process that was started: in a session of its own, with the environment, folder and file
descriptors that it is given and no other, and with the command line that it would have. Where it could tell, because
its environment or its files would have led the imports elsewhere, it is started by ``exec`` after all.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING or __package__:
    from azureml_local.engines import guard
else:
    import guard  # its neighbour, for a script

MOST_DESCRIPTORS = 16
PIECE = 64 * 1024
# Read before any code of ours runs: by the loader, the C library, OpenSSL and the interpreter.
READ_AT_START = ("LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "PYTHON", "HOME")
IMPORTS = "AZUREML_LOCAL_IMPORTS"  # the variable; where it lies in memory, there is room for longer command lines
ARGUMENTS_BEGIN, ARGUMENTS_END, VARIABLES_END = 45, 46, 48  # of the fields in /proc/self/stat after the name
PATH = "PYTHONPATH"


class NotedEnvironment(type(os.environ)):  # type: ignore[misc]
    """``os.environ`` while modules are imported: it notes which variables are read."""

    noted: set[str] = set()  # noqa: RUF012 - there is one environment

    def __getitem__(self, name: str) -> str:
        """Note the name, also of a variable that is not there."""
        self.noted.add(name)
        value: str = super().__getitem__(name)
        return value


class Imported:
    """What the modules were imported with."""

    def __init__(self) -> None:
        added = [sys.path.pop(0), *_split(os.environ.get(PATH))]  # the first is this script's own folder
        del sys.modules[guard.__name__]
        asked = json.loads(os.environ.pop(IMPORTS))
        given = set(asked["variables"])
        self.idle: float = asked["idle"]
        self.environment = {name: value for name, value in os.environ.items() if name in given}
        # LC_CTYPE, where no locale is asked for: https://peps.python.org/pep-0538/
        self._set_by_interpreters = {name: value for name, value in os.environ.items() if name not in given}
        self._path = [entry for entry in sys.path if entry not in added]
        self._import(asked["modules"])
        self._names = {name for name in sys.modules if "." not in name} - {"__main__"}

    def _import(self, modules: list[str]) -> None:
        usual = type(os.environ)
        os.environ.__class__ = NotedEnvironment
        for module in modules:
            importlib.import_module(module)
        os.environ.__class__ = usual

    def complete_environment(self) -> None:
        """Set what the guard's interpreter, or this one, would have set by itself."""
        os.environ.update(self._set_by_interpreters)

    def path(self, own: str) -> list[str]:
        """Return ``sys.path`` of a program in this process's environment; ``own`` is its first entry."""
        return [own, *dict.fromkeys([*_split(os.environ.get(PATH)), *self._path])]

    def would_differ(self, own: str) -> bool:
        """Say whether the imports would have gone elsewhere with this process's environment and files."""
        either = {*self.environment, *os.environ, *NotedEnvironment.noted} - {PATH}
        counts = (name for name in either if name in NotedEnvironment.noted or name.startswith(READ_AT_START))
        if any(self.environment.get(name) != os.environ.get(name) for name in counts):
            return True
        others = set(self.path(own)) - {*self._path, *_split(self.environment.get(PATH))}
        return any(name.partition(".")[0] in self._names for entry in others for name in _listed(entry))


class Child:
    """A forked command, as its guard sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, less than zero where a signal ended it; None where it runs still."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int:
        """Return its exit status once it has ended."""
        status = self._wait(0)
        assert status is not None  # noqa: S101 - it was waited for
        return status

    def _wait(self, options: int) -> int | None:
        if self._status is None:
            ended, status = os.waitpid(self.pid, options)
            self._status = os.waitstatus_to_exitcode(status) if ended else None
        return self._status


class Program:
    """A command that this process is to become.

    Args:
        command: the interpreter, ``-m`` and a module, and its arguments.
        imported: what there is.
    """

    def __init__(self, command: list[str], imported: Imported) -> None:
        self._command = command
        self._imported = imported

    def become(self) -> None:
        """Return where the rest of this process is to be the program; else execute it."""
        own = os.getcwd()  # noqa: PTH109 - as python -m has it on the path
        if self._command[:2] != [sys.executable, "-m"] or self._imported.would_differ(own):
            self._execute()
        self._imported.complete_environment()
        sys.path[:] = self._imported.path(own)
        sys.argv[:] = self._command[2:]
        sys.orig_argv[:] = self._command
        signal.signal(signal.SIGINT, signal.default_int_handler)
        processes = sys.modules.get("multiprocessing.process")
        if processes:  # by this key the processes of one program know each other
            processes.current_process().authkey = os.urandom(32)
        _take_command_line(self._command)

    def run(self) -> None:
        """Run it to its end; its exceptions are the interpreter's to show."""
        runpy.run_module(self._command[2], run_name="__main__", alter_sys=True)

    def _execute(self) -> NoReturn:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which the interpreter ignores
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execve(self._command[0], self._command, os.environ)  # noqa: S606 - as a guard does
        except OSError as error:
            print(f"{self._command[0]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)


def main() -> Program | None:
    """Serve the connection to its end. In a fork, return the program that it is to run."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    imported = Imported()
    threads = len(os.listdir("/proc/self/task")) - 1  # noqa: PTH208 - only their number counts
    if threads:  # a lock that one of them holds would never be free in a fork
        print(f"The imports have started {threads} threads: nothing is forked.", file=sys.stderr)
        return None
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    gc.collect()
    gc.freeze()  # the collector would write to memory that forks share
    connection.settimeout(imported.idle)
    with contextlib.suppress(TimeoutError):
        while received := socket.recv_fds(connection, 1, 1)[1]:
            if os.fork() == 0:
                connection.close()
                return _forked(received[0], imported)
            os.close(received[0])
    return None


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _forked(lifeline: int, imported: Imported) -> Program:
    """Be the guard of what is asked for; return in the process of its command."""
    asked, descriptors = _receive(lifeline)
    os.setsid()
    _place([lifeline, *descriptors], [0, *asked["descriptors"]])
    try:
        os.chdir(asked["cwd"])
        _replace_environment(asked["environment"])
    except (OSError, ValueError) as error:  # a value may hold what no variable can
        _answer({"error": [getattr(error, "errno", errno.EINVAL), str(error)]})
        os._exit(1)
    grace, memory = asked["grace"], asked["memory"]
    wakeup, writing = guard.wake_at_its_end()
    _take_command_line([sys.executable, "-I", "-S", guard.__file__, str(grace), str(memory), *asked["command"]])
    pid = os.fork()
    if pid:
        _watch(Child(pid), wakeup, grace, memory)
    signal.set_wakeup_fd(-1)  # asyncio has done so where it was imported, since Python 3.12
    os.close(wakeup)
    os.close(writing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _place([os.open(os.devnull, os.O_RDONLY)], [0])
    guard.begin(grace)
    program = Program(asked["command"], imported)
    program.become()
    return program


def _watch(child: Child, wakeup: int, grace: float, memory: int) -> NoReturn:
    status = 1
    try:
        _answer({"pid": os.getpid()})
        status = guard.watch(child, wakeup, grace, memory)
        _answer({"status": status})
    finally:
        sys.stderr.flush()
        os._exit(status)  # what the modules want done at the end of a program is not this process's


def _receive(lifeline: int) -> tuple[dict[str, Any], list[int]]:
    """Return what is asked for, and the file descriptors that come with it."""
    sender = socket.socket(fileno=lifeline)
    text, descriptors, _, _ = socket.recv_fds(sender, PIECE, MOST_DESCRIPTORS)
    while not text.endswith(b"\n"):
        piece = sender.recv(PIECE)
        if not piece:  # the service is gone
            os._exit(1)
        text += piece
    sender.detach()
    return json.loads(text), descriptors


def _answer(message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the service is gone
        os.write(0, json.dumps(message).encode() + b"\n")


def _place(descriptors: list[int], numbers: list[int]) -> None:
    """Give file descriptors other numbers, at which a command inherits them."""
    free = max(numbers) + 1
    moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, free) for one in descriptors]
    for one in descriptors:
        os.close(one)
    for one, number in zip(moved, numbers, strict=True):
        os.dup2(one, number)
        os.close(one)


def _replace_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _take_command_line(arguments: list[str]) -> None:
    """Show ``arguments`` to ps and the like, where this process's own were and, behind them, its variables.

    Linux shows such a text to its end, if the byte where the arguments ended is no zero (setproctitle(3)'s way).
    """
    with open("/proc/self/stat") as file:  # noqa: PTH123 - pathlib is not needed here
        fields = file.read().rpartition(")")[2].split()
    begin, end, last = (int(fields[number]) for number in (ARGUMENTS_BEGIN, ARGUMENTS_END, VARIABLES_END))
    text = " ".join(arguments).encode(errors="surrogateescape")[: last - begin - 1]
    ctypes.memset(begin, 0, last - begin)
    ctypes.memset(end - 1, 1, 1)
    ctypes.memmove(begin, text, len(text))


def _split(path: str | None) -> list[str]:
    return [os.path.abspath(entry) for entry in (path or "").split(os.pathsep) if entry]  # noqa: PTH100


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - of names only
    except OSError:  # an archive, or nothing
        return []


if __name__ == "__main__":
    program = main()
    if program:
        program.run()
