"""A learner as an attacker: what a process that runs as the spawner runs it may see, use up and leave behind.

The truth is the kernel's: each test does the deed as a second OS user of this machine. See unshare(1), namespaces(7),
credentials(7), prctl(2) and cgroups(7).
"""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from room_of_two import DISK, Room, needs_root, processes_of, room

from workshop import disks, limits
from workshop.account import LOG, environment

pytestmark = needs_root


def uid_of(learner: str) -> int:
    return pwd.getpwnam(learner).pw_uid


@pytest.fixture(scope="module")
def two() -> Iterator[Room]:
    with room() as made:
        yield made


def test_runs_as_the_learner_without_any_right_of_roots(two: Room) -> None:
    ran = two.run(two.one, "import os; print(os.getresuid(), os.getgroups()); print(open('/proc/self/status').read())")

    uid = uid_of(two.one)
    assert uid != 0
    assert f"({uid}, {uid}, {uid}) []" in ran.said or f"({uid}, {uid}, {uid}) [{uid}]" in ran.said
    assert "CapEff:\t0000000000000000" in ran.said
    assert "CapPrm:\t0000000000000000" in ran.said
    assert "NoNewPrivs:\t1" in ran.said


def test_a_setuid_program_gives_nothing(two: Room) -> None:
    program = next(path for path in map(Path, ("/usr/bin/passwd", "/usr/bin/su", "/bin/su")) if path.exists())
    assert program.stat().st_mode & stat.S_ISUID, "this machine's own program is to be one that could give rights"

    ran = two.run(
        two.one,
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE)\n"
        "print(open(f'/proc/{child.pid}/status').read())\n"
        "child.kill()",
        str(program),
    )

    assert f"Uid:\t{(uid := uid_of(two.one))}\t{uid}\t{uid}\t{uid}" in ran.said


def test_sees_neither_the_homes_of_others_nor_the_hubs_files(two: Room) -> None:
    two.run(two.other, "open('answer', 'w').write('42')")

    ran = two.run(
        two.one,
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(os.listdir(path))\n"
        "    except OSError as error: print(type(error).__name__)",
        str(two.folder.home(two.other)),
        str(two.folder.hub),
        str(two.folder.disks),
        str(two.folder.homes),
    )

    assert ran.said.splitlines() == ["FileNotFoundError"] * 3 + [str([two.one])]


def test_a_home_is_its_owners_alone_even_outside_the_namespaces(two: Room) -> None:
    two.run(two.other, "import os; os.chmod('.', 0o777); open('answer', 'w').write('42')")
    two.account(two.one).open()
    two.account(two.other).open()  # for the next start

    uid = uid_of(two.one)
    found = subprocess.run(
        ["cat", two.folder.home(two.other) / "answer"], user=uid, group=uid, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "Permission denied" in found.stderr


@pytest.mark.parametrize("shared", ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"])
def test_shares_no_folder_with_other_users(two: Room, shared: str) -> None:
    mine = Path(shared, f"{two.one}-seen-by-all")
    mine.write_text("of the machine")
    try:
        ran = two.run(two.one, "import os, sys; print(os.listdir(sys.argv[1])); open(sys.argv[2], 'w')", shared,
                      f"{shared}/left-by-{two.one}")  # fmt: skip
    finally:
        mine.unlink()

    assert mine.name not in ran.said
    assert ran.status == 0
    assert not Path(shared, f"left-by-{two.one}").exists()


def test_no_other_folder_can_be_written_to(two: Room) -> None:
    searched = [
        path for path in ("/etc", "/opt", "/srv", "/usr", "/var", "/run", "/dev", "/mnt") if Path(path).is_dir()
    ]

    ran = two.run(
        two.one,
        "import os, sys\n"
        "for top in sys.argv[1:]:\n"
        "    for folder, below, _ in os.walk(top):\n"
        "        if os.access(folder, os.W_OK): print(folder)\n"
        "        if folder.count('/') > 3: below.clear()",
        *searched,
        str(Path(sys.prefix).resolve() / "bin"),
        str(Path(__file__).parents[2] / "src"),
    )

    assert set(ran.said.split()) <= {"/var/tmp", "/run/lock", "/dev/shm"}


def test_sees_and_signals_no_process_but_its_own(two: Room) -> None:
    ran = two.run(
        two.one,
        "import os, sys\n"
        "print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()), os.getpid())\n"
        "try: os.kill(int(sys.argv[1]), 0)\n"
        "except OSError as error: print(type(error).__name__)",
        str(os.getpid()),
    )

    assert ran.said.splitlines() == ["[1, 2] 2", "ProcessLookupError"]


def test_gets_none_of_the_hubs_variables_and_descriptors(two: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "the-proxys-secret")
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "the-hubs-secret")
    two.account(two.one).open()

    given = two.spawner(two.one, "true").get_env()

    assert "the-proxys-secret" not in given.values()
    assert "the-hubs-secret" not in given.values()
    ran = two.run(two.one, "import os; print(os.listdir('/proc/1/fd') if os.access('/proc/1/fd', os.R_OK) else 'no')")
    assert ran.said.strip() == "no"


def test_leaves_no_core_dump(two: Room) -> None:
    ran = two.run(two.one, "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")

    assert ran.said.strip() == "(0, 0)"


def test_a_fork_bomb_ends_at_the_limit(two: Room) -> None:
    assert "pids" not in limits.lacking(), "no process may be forked without a limit on a machine that others use"
    bomb = """
import os, time
made = 0
try:
    while made < 200:  # bounded, should the limit fail
        if os.fork() == 0: time.sleep(60); os._exit(0)
        made += 1
except BlockingIOError:
    print("refused after", made)
"""
    ran = two.run(two.one, bomb)

    said, _, made = ran.said.strip().rpartition(" ")
    assert said == "refused after"
    assert int(made) < 40
    assert processes_of(two.one) == []


def test_memory_ends_at_the_limit_and_the_machine_lives_on(two: Room) -> None:
    assert "memory" not in limits.lacking()

    ran = two.run(two.one, "b = bytearray(64 * 2**20)\nfor _ in range(7): b += bytes(64 * 2**20)\nprint('got it')")

    assert "got it" not in ran.said
    assert ran.status == 256 - signal.SIGKILL


def test_a_full_disk_is_the_learners_own(two: Room) -> None:
    assert disks.are_possible()
    fill = """
import errno
try:
    with open("filler", "wb") as file:
        for _ in range(64): file.write(bytes(2**20))
        file.flush()
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    filled = two.run(two.one, fill)
    after = two.run(two.one, "import os; os.remove('filler'); open('more', 'w').write('more'); print('room again')")
    other = two.run(two.other, "open('more', 'wb').write(bytes(2**20)); print('written')")

    assert "ENOSPC" in filled.said
    assert "room again" in after.said
    assert "written" in other.said
    assert two.folder.disk(two.one).stat().st_blocks * 512 >= DISK, "its room is taken from the start"


def test_a_link_in_place_of_the_log_leads_root_nowhere(two: Room) -> None:
    target = two.folder.root / "roots-own"
    target.write_text("root's")
    two.run(
        two.one, "import os, sys; os.symlink(sys.argv[1], 'link'); os.replace('link', sys.argv[2])", str(target), LOG
    )
    account = two.account(two.one)
    account.open()

    done = subprocess.run(account.command("echo", "said"), env=environment(account.name, account.home), check=False)

    assert done.returncode == 0, "the learner gets in, and can mend it"
    assert target.read_text() == "root's"
