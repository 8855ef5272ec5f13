"""The first process of a learner's namespaces: hides what is not the learner's, drops root, and reaps what ends.

Run as a script, as root, by ``unshare --mount --pid --fork --kill-child --mount-proc --ipc``, with nothing but the
standard library: ``python -I -S sandbox.py PLAN COMMAND ARG...``; PLAN is a :class:`Plan` as JSON. It is the
namespace's process 1. When that ends, however it ends, the kernel kills all others there: nothing of a learner's stays.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # which -I keeps Python from doing

from workshop import relay

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 32, 4096
MNT_DETACH = 2
PR_SET_NO_NEW_PRIVS = 38
KILLED_FIRST = 500  # out of memory, the kernel takes a process of a learner's, and neither this one nor the hub
SECONDS_TO_END = 10.0  # for daemons, the local service among them, once the server has ended
AWAITED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Plan:
    """What one learner's processes may see and use.

    Attributes:
        uid, gid: the learner's.
        home: the working folder.
        log: a file that receives the command's output; opened with the learner's rights.
        empty: folders, and the options of the empty tmpfs that the learner sees in their place.
        kept: folders inside those that stay, and whether the learner may write there.
        groups: the folders of the control groups to join.
        ports: of the machine's loopback, which the learner's own one is to have, too.
        limits: the names of ``resource``'s limits without RLIMIT, and their values.
    """

    uid: int
    gid: int
    home: str
    log: str
    empty: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bool] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the plan as this script takes it."""
        return json.dumps(asdict(self))


def main() -> int:
    """Run the command that the arguments name, and return its exit status."""
    plan, command = Plan(**json.loads(sys.argv[1])), sys.argv[2:]
    for group in plan.groups:
        Path(group, "cgroup.procs").write_text("0")
    network = relay.OwnNetwork(plan.ports)
    hide(plan)
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    way_out = network.start_relay()
    server = os.fork()
    if server == 0:
        network.leave_to_root()
        become(plan)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    return reap(server, way_out, network)


def hide(plan: Plan) -> None:
    """Lay an empty folder over each of ``plan.empty``, then put back what is kept."""
    os.umask(0o022)  # the hub's own would bar the learner from folders that are made to hold what is kept
    kept = [(path, writable, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path, writable in plan.kept.items()]
    let_go_of_disks(plan)
    for path, options in plan.empty.items():
        if Path(path).is_dir():  # neither missing on this machine, nor hidden already by another that holds it
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options)
    for path, writable, descriptor in kept:
        if not os.path.lexists(path) or not os.path.samestat(Path(path).stat(), os.fstat(descriptor)):
            Path(path).mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{descriptor}", path, "", MS_BIND)
            rights = MS_NOSUID | MS_NODEV | (0 if writable else MS_RDONLY)
            mount("", path, "", MS_BIND | MS_REMOUNT | rights)
        os.close(descriptor)
    # Terminals of the learner's own; /dev/ptmx makes them in the host's folder otherwise.
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=0620")
    mount("/dev/pts/ptmx", "/dev/ptmx", "", MS_BIND)


def let_go_of_disks(plan: Plan) -> None:
    """Unmount what is mounted in the folders to be hidden, above all other learners' disks: else they stay in use."""
    for path in mounted_below(plan.empty):
        if not any(Path(folder).is_relative_to(path) or path.is_relative_to(folder) for folder in plan.kept):
            with suppress(OSError):  # one that another hides already, or that has just gone
                unmount(path)


def mounted_below(folders: Iterable[str]) -> list[Path]:
    """Return where something is mounted below these folders, the last mounted first."""
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    paths = [Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), path)) for path in mounts]
    return [path for path in reversed(paths) if any(Path(folder) in path.parents for folder in folders)]


def unmount(target: Path) -> None:
    """Call umount2(2), without waiting for who uses it. Raises OSError where it fails."""
    if libc.umount2(os.fsencode(target), MNT_DETACH):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Call mount(2). Raises OSError where it fails."""
    arguments = (os.fsencode(text) for text in (source, target, kind))
    if libc.mount(*arguments, flags, os.fsencode(options)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def become(plan: Plan) -> None:
    """Turn this process into the learner's, for good: no right of root's is left, and none can be won."""
    Path("/proc/self/oom_score_adj").write_text(str(KILLED_FIRST))
    for name, value in plan.limits.items():
        limit(getattr(resource, f"RLIMIT_{name}"), value)
    os.setsid()
    os.setgroups([])
    os.setresgid(plan.gid, plan.gid, plan.gid)
    os.setresuid(plan.uid, plan.uid, plan.uid)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    os.umask(0o077)
    os.chdir(plan.home)
    log = open_log(plan.log)
    for standard, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(descriptor, standard)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def open_log(path: str) -> int:
    """Open the log. Where that fails, as on a full disk, go without: only in their lab can the learner make room."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def limit(number: int, value: int) -> None:
    """Set a limit, unless a lower one holds already."""
    highest = resource.getrlimit(number)[1]
    lowest = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(number, (lowest, lowest))


def reap(server: int, way_out: int, network: relay.OwnNetwork) -> int:
    """Wait for the server, asking it to end when this process is asked; then end the daemons. Return its status."""
    status = None
    while status is None:
        if signal.sigwait(AWAITED) != signal.SIGCHLD:
            os.kill(server, signal.SIGTERM)
        found = dict(ended())
        status = found.get(server)
        if way_out in found:  # out of memory, say; without it, nobody could log in
            way_out = network.start_relay()
    end_daemons()
    return os.waitstatus_to_exitcode(status) % 256


def ended() -> Iterator[tuple[int, int]]:
    """Yield the process and the status of each child that has ended, orphans that came here among them."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        yield process, status


def end_daemons() -> None:
    """Ask each child to end, those too that come here when their parents end, and wait; time is limited."""
    asked: set[int] = set()
    until = time.monotonic() + SECONDS_TO_END
    while (left := until - time.monotonic()) > 0 and (alive := children()):
        for child in alive - asked:
            os.kill(child, signal.SIGTERM)
        asked |= alive
        signal.sigtimedwait((signal.SIGCHLD,), left)
        list(ended())


def children() -> set[int]:
    """Return this process's children."""
    return {int(entry.name) for entry in Path("/proc").glob("[1-9]*") if parent_of(entry) == os.getpid()}


def parent_of(process: Path) -> int | None:
    """Return a process's parent; None where it has ended meanwhile."""
    try:
        stat = (process / "stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def reachable(path: Path) -> bool:
    """Say whether any user may pass through all folders above a path."""
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def barred(paths: Sequence[Path]) -> set[Path]:
    """Return the folders, outermost first, through which a learner may not pass to these paths."""
    return {
        next(folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001)
        for path in paths
        if not reachable(path)
    }


if __name__ == "__main__":
    sys.exit(main())
