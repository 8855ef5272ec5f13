"""A learner of a real workshop turns against it from a cell of their notebook, and loses; then the hub dies.

What a user may ask of the hub's API is JupyterHub's: https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rooms import NEEDS_ROOT, Browser, Kernel, Room, room

from workshop import users

pytestmark = NEEDS_ROOT

API = """
import os, urllib.error, urllib.request

def ask(method, path):
    request = urllib.request.Request(os.environ["JUPYTERHUB_API_URL"] + path, method=method)
    request.add_header("Authorization", "token " + os.environ["JUPYTERHUB_API_TOKEN"])
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
"""
ASKED = (
    ("GET", "/users"),
    ("GET", "/users/{other}"),
    ("POST", "/users/{other}/server"),
    ("DELETE", "/users/{other}/server"),
    ("POST", "/users/{other}/tokens"),
    ("POST", "/users/{other}/activity"),
    ("POST", "/users/intruder"),
    ("GET", "/services"),
    ("GET", "/proxy"),
    ("POST", "/shutdown"),
)
KNOCK = """
import socket
def knock(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return "open"
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture(scope="module")
def workshop() -> Iterator[Room]:
    with room(2) as made:
        yield made


@pytest.fixture(scope="module")
def labs(workshop: Room) -> dict[str, Kernel]:
    """A kernel of each learner, by their users."""
    link = workshop.status()["join_link"]
    found = {}
    for number, name in ((1, "Ada"), (2, "Eve")):
        browser = Browser(link)
        browser.join(name, "2718")
        user = f"{workshop.prefix}{number:02}"
        browser.open_lab(user)
        found[user] = browser.kernel(user)
    return found


def test_the_hubs_api_lets_a_learner_at_nobody_else(workshop: Room, labs: dict[str, Kernel]) -> None:
    victim, attacker = labs
    asked = [(method, path.format(other=victim)) for method, path in ASKED]

    answers = json.loads(labs[attacker].run(f"{API}\nprint([ask(*one) for one in {asked!r}])"))

    assert dict(zip(asked, answers, strict=True)) == dict.fromkeys(asked, 403) | {
        one: 404 for one, answer in zip(asked, answers, strict=True) if answer == 404
    }
    assert workshop.status()["hub"], "it was not shut down"


def test_no_port_of_the_workshop_or_of_another_answers_but_the_hubs_and_the_boards(
    workshop: Room, labs: dict[str, Kernel]
) -> None:
    victim, attacker = labs
    settings = json.loads((workshop.folder / "workshop.json").read_text())
    served = labs[victim].run("from helpers import connect; connect(); import os; print(os.environ['HTTPS_PROXY'])")
    ports = [settings["port"], settings["proxy_api_port"], int(served.strip().splitlines()[-1].rpartition(":")[2])]

    answers = labs[attacker].run(f"{KNOCK}\nprint([knock(port) for port in {ports}])")

    assert answers.strip() == str(["ConnectionRefusedError"] * 3)
    assert labs[attacker].run(f"{KNOCK}\nprint(knock({settings['hub_port']}))").strip() == "open"


def test_the_hubs_files_and_anothers_home_cannot_be_found(workshop: Room, labs: dict[str, Kernel]) -> None:
    victim, attacker = labs
    wanted = [str(workshop.folder / name) for name in ("hub", "seats.db", "workshop.json", "disks", f"homes/{victim}")]

    assert labs[attacker].run(f"import os; print([os.path.lexists(path) for path in {wanted}])").strip() == str(
        [False] * 5
    )


def test_a_killed_hub_leaves_learners_at_work_and_stop_ends_all(workshop: Room, labs: dict[str, Kernel]) -> None:
    os.kill(workshop.status()["hub"], signal.SIGKILL)

    assert all(kernel.run("print(6 * 7)").strip() == "42" for kernel in labs.values())
    workshop.command("stop")

    for user in labs:
        assert users.processes_of(pwd.getpwnam(user).pw_uid) == []
        assert not (workshop.folder / "homes" / user).is_mount()
        assert not list(Path("/sys/fs/cgroup").glob(f"**/{user}"))
