"""A workshop through its day: labs that run, a hub or a proxy that is killed in the middle, and the end."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest
import rooms
from rooms import NEEDS_ROOT, Browser, Kernel, Room

from workshop import users
from workshop.folder import Folder

pytestmark = NEEDS_ROOT
# The lesson's cells up to the one that connects, as the learner's own copy has them.
FIRST_CELLS = """
import nbformat, os
os.chdir(os.path.expanduser("~/workbook/notebooks/02_realtime"))
cells = [cell.source for cell in nbformat.read("01_deploy_with_keys.ipynb", 4).cells if cell.cell_type == "code"]
for cell in cells[:3]:
    exec(cell)
"""
WHO = "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_name, os.environ['AZUREML_LOCAL_HOME'], client_id)"


@dataclass
class Learner:
    user: str
    browser: Browser
    kernel: Kernel


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with rooms.room(learners=2) as made:
        yield made


@pytest.fixture(scope="module")
def learners(room: Room) -> list[Learner]:
    made = []
    for number, name in enumerate(("Anna", "Béla"), start=1):
        browser = Browser(room.status()["join_link"])
        assert browser.join(name, "1234").status_code == 302
        user = f"{room.prefix}{number:02}"
        browser.open_lab(user)
        made.append(Learner(user, browser, browser.kernel(user)))
    return made


def test_each_runs_a_lesson_as_an_own_os_user_against_an_own_service(room: Room, learners: list[Learner]) -> None:
    said = []
    for learner in learners:
        assert "connected:" in learner.kernel.run(FIRST_CELLS)
        learner.kernel.run("client_id = os.environ['AZURE_CLIENT_ID']; mark = os.getpid()")
        said.append(learner.kernel.run(WHO).split())
    assert [user for user, _, _ in said] == [learner.user for learner in learners]
    assert [home for _, home, _ in said] == [
        str(Folder(room.folder).home(learner.user) / ".azureml-local") for learner in learners
    ]
    assert len({client for _, _, client in said}) == 2, "two services, with identities of their own"


def test_learners_work_on_while_the_hub_is_stopped_and_the_next_takes_them_over(
    room: Room, learners: list[Learner]
) -> None:
    assert "Learners work on" in room.command("stop", "--hub-only").stdout
    away = room.status()
    assert away["hub"] is None and away["proxy"] and not away["running"]
    assert learners[0].kernel.run("print(mark == os.getpid())") == "True\n"
    page = learners[0].browser.session.get(f"{learners[0].browser.base}/hub/home")
    assert page.status_code == 503 and "nothing is lost" in page.text
    room.start()
    assert_all_is_as_it_was(room, learners)


def test_a_hub_that_is_killed_is_started_again_by_start(room: Room, learners: list[Learner]) -> None:
    kill(room.status()["hub"])
    assert learners[1].kernel.run("print(mark == os.getpid())") == "True\n"
    room.start()
    assert_all_is_as_it_was(room, learners)


def test_a_proxy_that_is_killed_is_started_again_and_knows_every_lab(room: Room, learners: list[Learner]) -> None:
    kill(room.status()["proxy"])
    room.start()
    for learner in learners:
        lab = learner.browser.session.get(f"{learner.browser.base}/user/{learner.user}/api/status")
        assert lab.status_code == 200, lab.text
        learner.kernel = learner.browser.kernel(learner.user)
        assert learner.kernel.run("import os; mark = os.getpid(); print('here')") == "here\n"


def test_start_twice_changes_nothing(room: Room, learners: list[Learner]) -> None:
    before = room.status()
    room.start()
    assert room.status() == before
    assert_all_is_as_it_was(room, learners)


def test_seats_are_added_while_all_runs(room: Room, learners: list[Learner]) -> None:
    late = Browser(room.status()["join_link"])
    assert "All 2 seats are taken" in rooms.refusal(late.join("Carla", "1234"))
    room.start("--learners", "3")
    assert late.join("Carla", "1234").status_code == 302
    assert_all_is_as_it_was(room, learners)


def test_another_port_is_refused_while_it_runs(room: Room) -> None:
    done = room.command("start", "--port", "1", check=False)
    assert done.returncode == 1 and "stop it before" in done.stderr


def test_the_end_leaves_no_process_and_all_that_was_made(room: Room, learners: list[Learner]) -> None:
    learners[0].kernel.run("import pathlib; pathlib.Path('~/made.txt').expanduser().write_text('mine')")
    found = room.status()
    numbers = {user.pw_uid for user in map(users.find, (learner.user for learner in learners)) if user}
    assert "has ended" in room.command("stop").stdout
    # One that has ended may wait for its parent to take notice.
    running = [one for one in psutil.process_iter(["pid", "uids", "status"]) if one.info["status"] != "zombie"]
    assert not {found["hub"], found["proxy"]} & {process.info["pid"] for process in running}
    assert not [process for process in running if process.info["uids"].real in numbers]
    assert "did not run" in room.command("stop").stdout
    room.start()
    again = Browser(room.status()["join_link"])
    again.join("Anna", "1234")
    again.open_lab(learners[0].user)
    assert (
        again.kernel(learners[0].user).run(
            "print(open('/'.join([__import__('os').environ['HOME'], 'made.txt'])).read())"
        )
        == "mine\n"
    )


def test_beyond_loopback_it_speaks_tls_by_a_certificate_whose_fingerprint_is_printed(own_address: str) -> None:
    with rooms.room(learners=1, listen=own_address) as made:
        found = made.status()
        assert found["join_link"].startswith(f"https://{own_address}:")
        port = int(found["join_link"].split(":")[2].split("/")[0])
        shown = ssl.get_server_certificate((own_address, port), ca_certs=str(Folder(made.folder).tls / "authority.pem"))
        printed = made.command("start", "--no-qr").stdout
        assert rooms.sha256(shown) in printed
        browser = Browser(found["join_link"], trusting=Folder(made.folder).tls / "authority.pem")
        assert browser.join("Anna", "1234").status_code == 302
        assert all(cookie.secure for cookie in browser.session.cookies), "no cookie goes over plain HTTP"


@pytest.fixture
def own_address() -> str:
    found = rooms.own_address()
    if found is None:
        pytest.skip("this machine has no address but loopback's")
    return found


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    process.wait(30)


def assert_all_is_as_it_was(room: Room, learners: list[Learner]) -> None:
    assert room.status()["running"]
    for learner in learners:
        assert learner.kernel.run("print(mark == os.getpid())") == "True\n"
        lab = learner.browser.session.get(f"{learner.browser.base}/user/{learner.user}/api/status")
        assert lab.status_code == 200, lab.text
        user = learner.browser.session.get(
            f"{learner.browser.base}/hub/api/users/{learner.user}", headers=learner.browser.headers("/hub/")
        )
        assert user.json()["server"] == f"/user/{learner.user}/", "the hub knows it"
