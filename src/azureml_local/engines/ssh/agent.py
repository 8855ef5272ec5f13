"""What runs on an attached virtual machine: one request of the service, with nothing but Python's standard library.

:mod:`azureml_local.engines.ssh.session` sends this text anew with each request, so that nothing of it is installed
there. It takes Python 3.8 or newer, and Linux: processes are found by /proc.

Nothing outlives the connection. A job's command runs under the guard of this service's own processes, which ends it
when the channel's standard input does; :func:`hold` ends what has left the command's process group, and deletes the
job's folder. As no network tells that it was cut, it also does so when the service's heartbeat is missing.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import select
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OLDEST_PYTHON = (3, 8)
FAILED = 71  # exit status; what went wrong is JSON on standard error
OWN = ".azureml-local"  # in the user's home: what the service keeps there
SILENCE = 30.0  # seconds without a heartbeat after which the connection counts as lost
COMPLETE = "complete"  # in an environment's folder, written last
LOOK_AGAIN_AFTER = 0.01  # seconds: a killed process takes a moment to end


def main(sent: dict[str, Any]) -> int:
    """Do what is asked for, and return the exit status."""
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(str(part) for part in OLDEST_PYTHON)
        return _fail(f"its python3 is {platform.python_version()}; {oldest} or newer is needed")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the end of a connection is seen on standard input
    try:
        return REQUESTS[sent["request"]](sent)
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", error.errno)


def _fail(text: str, number: int | None = None) -> int:
    sys.stderr.write(json.dumps({"text": text, "errno": number}))
    return FAILED


def facts(_: dict[str, Any]) -> int:
    """Print what is there: Python, its packages, and the values of the markers of requirements (PEP 508)."""
    from importlib import metadata

    release = platform.python_version_tuple()
    markers = {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(release[:2]),
        "sys_platform": sys.platform,
    }
    packages = {found.metadata["Name"]: found.version for found in metadata.distributions()}
    print(
        json.dumps({"python": sys.executable, "home": str(Path.home()), "markers": markers, "packages": packages}),
        flush=True,
    )
    return 0


def hold(sent: dict[str, Any]) -> int:
    """Make a folder for an attempt at a job, print its path, and keep it for as long as the connection holds."""
    jobs = Path.home() / OWN / "jobs"
    jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    for former in jobs.glob(f"{sent['job']}-*"):  # whose connection was lost
        _clear(former, sent["mark"])
    folder = jobs / f"{sent['job']}-{sent['attempt']}"
    folder.mkdir(mode=0o700)
    try:
        print(folder, flush=True)
        while select.select([0], [], [], SILENCE)[0] and os.read(0, 512):
            continue
    finally:
        _clear(folder, sent["mark"])
    return 0


def _clear(folder: Path, mark: str) -> None:
    _end(folder, mark)
    shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path, mark: str) -> None:
    """Kill every process whose variable ``mark`` names ``folder`` or one in it, and what they start meanwhile."""
    wanted = os.fsencode(f"{mark}={folder}")
    while sum(_kill(process, wanted) for process in Path("/proc").glob("[0-9]*")):
        time.sleep(LOOK_AGAIN_AFTER)


def _kill(process: Path, wanted: bytes) -> bool:
    """Kill a process that has the variable, and say whether it had."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
        if not any((variable + b"/").startswith(wanted + b"/") for variable in variables):
            return False
        os.kill(int(process.name), signal.SIGKILL)
    except OSError:  # it has ended, or is another user's
        return False
    return True


def receive(sent: dict[str, Any]) -> int:
    """Unpack what comes on standard input, a tar archive of the service's own, into a folder."""
    trusting = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall(sent["folder"], **trusting)  # type: ignore[arg-type] # noqa: S202 - the service's own
    return 0


def send(sent: dict[str, Any]) -> int:
    """Write the files below some paths of a folder to standard output, as a tar archive. A link is what it leads to."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", dereference=True) as archive:
        for name in sent["names"]:
            for path in _files(Path(sent["folder"], name)):
                archive.add(path, path.relative_to(sent["folder"]), recursive=False)
    return 0


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, _, names in os.walk(place):
        yield from (path for name in names if (path := Path(folder, name)).is_file())


def run(sent: dict[str, Any]) -> int:
    """Run a job's command, and return its exit status. Its standard error goes where its standard output goes."""
    os.dup2(1, 2)
    os.environ.update({**sent["environment"], sent["mark"]: sent["folder"]})
    os.environ["PATH"] = os.pathsep.join((sent["programs"], os.environ.get("PATH", os.defpath)))
    os.chdir(sent["folder"])
    status = _guarded(sent, [shutil.which("bash") or "/bin/sh", "-c", sent["command"]])
    _end(Path(sent["folder"]), sent["mark"])  # what has left the command's process group
    return status


def _guarded(sent: dict[str, Any], command: list[str]) -> int:
    """Run a command under the service's guard, whose text was sent along."""
    guard: dict[str, Any] = {"__name__": "guard"}
    exec(compile(sent["guard"], "guard", "exec"), guard)  # noqa: S102 - as this text itself
    status: int = guard["run"](command, sent["grace"], 0)
    return status


def build(sent: dict[str, Any]) -> int:
    """Make an environment with this Python's own venv and pip, unless it is there; print what they say."""
    os.dup2(1, 2)
    folder = Path.home() / OWN / "environments" / sent["key"]
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    requirements = folder.with_suffix(".txt")
    with open(folder.with_suffix(".lock"), "w") as lock:  # noqa: PTH123 - as short as it can be
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / COMPLETE).exists():
            return 0
        shutil.rmtree(folder, ignore_errors=True)
        requirements.write_text("\n".join(sent["lines"]) + "\n")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", str(requirements)]):
            status = _guarded(sent, command)
            if status:
                shutil.rmtree(folder, ignore_errors=True)
                return status
        (folder / COMPLETE).touch()
    return 0


REQUESTS = {
    "build": build,
    "facts": facts,
    "hold": hold,
    "receive": receive,
    "run": run,
    "send": send,
}
