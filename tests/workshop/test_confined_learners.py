"""A learner as an attacker: what a process that runs as the spawner runs it may see, use up and leave behind.

The truth is the kernel's: each test does the deed as a second OS user of this machine. See unshare(1), namespaces(7),
credentials(7), prctl(2) and cgroups(7).
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from room_of_two import DISK, PATIENCE, Room, needs_root, processes_of, room

from workshop import disks, limits, relay
from workshop.account import LOG, SHARED

pytestmark = [needs_root, pytest.mark.slow]


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


def test_shares_no_folder_with_other_users(two: Room) -> None:
    shared = [Path(folder) for folder in SHARED if Path(folder).is_dir()]
    mine = [folder / f"{two.one}-of-the-machine" for folder in shared]
    for file in mine:
        file.touch()
    try:
        ran = two.run(
            two.one,
            "import os, sys\n"
            "for folder in sys.argv[1:]:\n"
            "    print(os.listdir(folder))\n"
            "    open(f'{folder}/left-by-a-learner', 'w').close()",
            *map(str, shared),
        )
    finally:
        for file in mine:
            file.unlink()

    assert {"/tmp", "/var/tmp", "/dev/shm"} <= set(map(str, shared))
    assert ran.status == 0, ran.said
    assert two.one not in ran.said.replace(str(two.folder.root), "")
    assert not [folder for folder in shared if (folder / "left-by-a-learner").exists()]


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

    # Process 1, which is root's, the relay, which is nobody's, and itself.
    assert ran.said.splitlines() == ["[1, 2, 3] 3", "ProcessLookupError"]


def test_signals_neither_the_first_process_nor_the_relay(two: Room) -> None:
    ran = two.run(
        two.one,
        "import os\n"
        "for process in (1, 2):\n"
        "    for deed in (lambda: os.kill(process, 9), lambda: os.readlink(f'/proc/{process}/ns/net')):\n"
        "        try: print(deed())\n"
        "        except OSError as error: print(type(error).__name__)",
    )

    assert ran.said.split() == ["PermissionError"] * 4


def test_anothers_ports_are_out_of_reach(two: Room) -> None:
    knock = (
        "import socket, sys\n"
        "try: print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5).recv(9))\n"
        "except OSError as error: print(type(error).__name__)"
    )
    with socket.create_server(("127.0.0.1", 0)) as machines, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{two.one}")
        abstract.listen()
        ran = two.run(two.one, knock, str(machines.getsockname()[1]))
        unseen = two.run(two.one, "import socket, sys\n"
                         "try: socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])\n"
                         "except OSError as error: print(type(error).__name__)", two.one)  # fmt: skip

    assert ran.said.split() == ["ConnectionRefusedError"]
    assert unseen.said.split() == ["ConnectionRefusedError"]


def test_the_hub_and_the_board_are_within_reach_at_their_own_ports(two: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub, socket.create_server(("127.0.0.1", 0)) as board:
        settings = two.folder.settings()
        assert settings is not None
        two.folder.write(replace(settings, hub_port=hub.getsockname()[1], board_port=board.getsockname()[1]))
        answering = [
            threading.Thread(target=_answer, args=(one, name)) for one, name in ((hub, b"hub"), (board, b"board"))
        ]
        for thread in answering:
            thread.start()
        ran = two.run(
            two.one,
            "import socket, sys\n"
            "for port in map(int, sys.argv[1:]):\n"
            "    connection = socket.create_connection(('127.0.0.1', port), 5)\n"
            "    connection.sendall(b'who is there?')\n"
            "    connection.shutdown(socket.SHUT_WR)\n"
            "    print(connection.makefile().read())",
            str(hub.getsockname()[1]),
            str(board.getsockname()[1]),
        )
        two.folder.write(settings)
        for thread in answering:
            thread.join(PATIENCE)

    assert ran.said.split("\n")[:2] == ["hub: who is there?", "board: who is there?"]


def _answer(listener: socket.socket, name: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(name + b": " + connection.makefile("rb").read())


def own_address() -> str:
    """Return an address of this machine's that is not a loopback one, where it has any."""
    found = [one.address for ones in psutil.net_if_addrs().values() for one in ones if one.family == socket.AF_INET]
    return next((address for address in found if not address.startswith("127.")), "127.0.0.2")


ANSWERS = {
    "CONNECT 127.0.0.1:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT localhost:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT [::1]:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT [::ffff:127.0.0.1]:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT 0.0.0.0:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT 2130706433:22 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT 169.254.169.254:80 HTTP/1.1": "403 No Way To This Machine",
    "CONNECT nobody.invalid:443 HTTP/1.1": "502 Unknown Host",
    "CONNECT 192.0.2.1:99999 HTTP/1.1": "403 This Is A Proxy For HTTPS",
    "GET http://127.0.0.1/ HTTP/1.1": "403 This Is A Proxy For HTTPS",
    "CONNECT ../../etc:1 HTTP/1.1": "403 This Is A Proxy For HTTPS",
}


def test_the_proxy_leads_to_no_address_of_the_machine(two: Room) -> None:
    answers = {**ANSWERS, f"CONNECT {own_address()}:22 HTTP/1.1": "403 No Way To This Machine"}

    ran = two.run(
        two.one,
        "import socket, sys\n"
        "for line in sys.argv[2:]:\n"
        "    connection = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20)\n"
        "    connection.sendall(line.encode() + b'\\r\\nHost: any\\r\\n\\r\\n')\n"
        "    print(connection.makefile().readline().strip())",
        str(relay.PROXY_PORT),
        *answers,
    )

    assert ran.said.splitlines() == [f"HTTP/1.1 {answer}" for answer in answers.values()]


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

    done = subprocess.run(account.command("echo", "said"), env=account.environment(), check=False)

    assert done.returncode == 0, "the learner gets in, and can mend it"
    assert target.read_text() == "root's"
