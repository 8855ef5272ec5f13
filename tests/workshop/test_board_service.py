"""The board over HTTP: who may do what, what a learner can and cannot say, what outlives the board.

The hub is a stand-in that answers as JupyterHub's REST API is documented to:
https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from board_room import BoardRoom, StandInHub, furnish, running, workshop_folder

from running_service import wait_for
from workshop.board import reports
from workshop.board.room import now
from workshop.folder import Folder
from workshop.streams import Event, Reader

pytestmark = pytest.mark.slow

ADA, EVIL = "learner01", "learner02"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return workshop_folder(tmp_path_factory.mktemp("workshop") / "room", 3)


@pytest.fixture
def board(folder: Folder) -> Iterator[BoardRoom]:
    (folder.hub / "board.db").unlink(missing_ok=True)
    with running(folder) as board:
        board.hub.servers = {name: {"ready": True, "pending": None} for name in (ADA, EVIL, "learner03")}
        yield board


@pytest.fixture
def trainer(board: BoardRoom) -> Iterator[httpx.Client]:
    """The trainer's browser, logged in through the hub as browsers are."""
    with httpx.Client(base_url=board.address, follow_redirects=True, timeout=60) as client:
        page = client.get("")
        assert page.status_code == 200, page.text
        found = re.search(r'data-xsrf="([^"]+)"', page.text)
        assert found
        client.headers["X-XSRFToken"] = found[1]
        client.headers["Sec-Fetch-Mode"] = "cors"
        yield client


def seat_of(board: BoardRoom, user: str) -> dict[str, Any]:
    snapshot = board.call(lambda: board.room.snapshot(now()))
    return next(seat for seat in snapshot["seats"] if seat["user"] == user)


def first_events(client: httpx.Client, path: str, count: int, **options: Any) -> list[Event]:
    reader, found = Reader(), []
    with client.stream("GET", path, **options) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            found += reader.read(piece)
            if len(found) >= count:
                return found
    raise AssertionError(found)


@pytest.mark.parametrize(("method", "path"), [("GET", "events"), ("HEAD", "events"), ("POST", "actions")])
@pytest.mark.parametrize("user", ["", ADA, "board", "nobody's"])
def test_only_the_trainer_sees_and_does(board: BoardRoom, method: str, path: str, user: str) -> None:
    with board.client(user) as client:
        answer = client.request(method, path, json={"do": "stop", "to": "all"} if method == "POST" else None)
    assert answer.status_code == 403
    assert board.calls_about_servers() == []


@pytest.mark.parametrize("path", ["", "join"])
def test_pages_are_refused_to_a_learner_and_ask_others_to_log_in(board: BoardRoom, path: str) -> None:
    with board.client(ADA) as client:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "Lovelace" not in answer.text and "code=" not in answer.text
    with board.client() as client:
        assert "/hub/api/oauth2/authorize?client_id=service-board" in client.get(path).headers["Location"]


def test_a_learner_who_logs_in_through_the_hub_is_refused_all_the_same(board: BoardRoom) -> None:
    """The hub refuses them already; this is what happens where it would not."""
    with httpx.Client(follow_redirects=True, cookies={"who": ADA}) as client:
        assert client.get(board.address).status_code == 403


def test_pages_let_nothing_else_in(trainer: httpx.Client) -> None:
    for path in ("", "join"):
        answer = trainer.get(path, headers={"Sec-Fetch-Mode": "navigate"})
        policy = answer.headers["Content-Security-Policy"]
        nonces = re.findall(r'nonce="([^"]+)"', answer.text)
        assert set(re.findall(r"'nonce-([^']+)'", policy)) == set(nonces)
        assert policy.startswith("default-src 'none'; script-src 'nonce-")
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["Cross-Origin-Opener-Policy"] == "noopener-allow-popups"
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", answer.text)  # nothing from elsewhere


def test_the_join_page_shows_the_link_and_its_code(trainer: httpx.Client, folder: Folder) -> None:
    page = trainer.get("join", headers={"Sec-Fetch-Mode": "navigate"}).text
    assert f"/hub/login?code={folder.join_code.read_text().strip()}" in page
    assert "<svg" in page


def test_another_page_of_the_same_origin_can_do_nothing_without_the_token(trainer: httpx.Client) -> None:
    """A learner's JupyterLab is at the same origin; the cookie alone does not count."""
    del trainer.headers["X-XSRFToken"]
    assert trainer.post("actions", json={"do": "stop", "to": "all"}).status_code == 403
    assert trainer.get("events").status_code == 403
    assert trainer.get("", follow_redirects=False).status_code == 302  # fetched, not navigated to


def test_a_learner_reports_about_themselves_only(board: BoardRoom) -> None:
    with board.client(ADA) as client:
        report = {"user": EVIL, "name": EVIL, "done": [["first_model", "to_request"]]}
        assert client.post("api/report", json=report).status_code == 204
    assert set(board.room.records.heard) == {ADA}
    seat = seat_of(board, ADA)
    assert (seat["name"], seat["refused"], seat["state"]) == ("Ada Lovelace", 0, "silent")


@pytest.mark.parametrize(("user", "status"), [("", 401), ("nobody's", 401), ("board", 403)])
def test_who_is_no_learner_reports_nothing(board: BoardRoom, user: str, status: int) -> None:
    headers = {"Authorization": "token wrong"} if user == "nobody's" else {}
    with board.client(user) as client:
        answers = [
            client.post("api/report", json={}, headers=headers),
            client.post("api/asked", json={}, headers=headers),
            client.get("api/events", headers=headers),
        ]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert board.room.records.heard == {}


def test_what_is_not_right_is_refused_in_words(board: BoardRoom) -> None:
    with board.client(ADA) as client:
        answer = client.post("api/report", content=b'{"cell": {"state": "asleep"}}')
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "cell.state is 'asleep': one of running, done, failed is right."
        for wrong in ({"text": 7}, {"text": "x" * 301}, {"may_open": 1}, []):
            assert client.post("api/asked", json=wrong).status_code == 400
        with contextlib.suppress(httpx.NetworkError):  # the board hangs up as soon as it sees how much is coming
            assert client.post("api/report", content=b"x" * (reports.LARGEST + 1)).status_code in (400, 413)
    assert board.room.records.heard == {}
    assert board.room.records.asked == {}


def test_who_calls_too_often_waits_and_others_do_not(board: BoardRoom) -> None:
    with board.client(ADA) as client:
        answers = [client.post("api/report", json={}) for _ in range(60)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) > 10
        assert int(refused[0].headers["Retry-After"]) >= 1
    with board.client(EVIL) as client:
        assert client.post("api/report", json={}).status_code == 204


def test_no_learner_takes_all_connections(board: BoardRoom) -> None:
    with board.client(ADA) as client:
        held = [client.stream("GET", "api/events") for _ in range(4)]
        assert [stream.__enter__().status_code for stream in held] == [200] * 4
        assert client.get("api/events").status_code == 429
        for stream in held:
            stream.__exit__(None, None, None)
    wait_for(lambda: board.room.streams[ADA] == 0 or None, "the board notices that they have gone")


def test_what_a_learner_asks_reaches_the_trainer_and_the_answer_the_learner(
    board: BoardRoom, trainer: httpx.Client
) -> None:
    with board.client(ADA) as client:
        assert client.post("api/asked", json={"text": "What is\na <i>key?", "may_open": True}).status_code == 204
        share = ("POST", f"/shares/{ADA}/", {"user": "trainer", "scopes": [f"access:servers!server={ADA}/"]})
        assert share in board.hub.calls
        board.hub.calls.clear()
        seat = seat_of(board, ADA)
        assert (seat["state"], seat["may_open"]) == ("asked", True)
        assert seat["reasons"][0]["text"] == "asked for you: What is a <i>key?"
        assert trainer.post("actions", json={"do": "coming", "to": [ADA]}).status_code == 204
        (event,) = first_events(client, "api/events", 1)
        assert event[1] == "asked" and event[2]["coming"] is True
        assert trainer.post("actions", json={"do": "answered", "to": [ADA]}).status_code == 204
        told = first_events(client, "api/events", 2)
    # Only when the hub has been told: a server that forgot its visitors before would ask the hub too early.
    assert [data for _, _, data in told] == [{"asked": False, "may_open": may} for may in (True, False)]
    assert ("PATCH", f"/shares/{ADA}/", {"user": "trainer"}) in board.hub.calls


def test_who_needs_nobody_any_more_says_so(board: BoardRoom) -> None:
    with board.client(ADA) as client:
        client.post("api/asked", json={})
        assert seat_of(board, ADA)["asked"]
        assert client.delete("api/asked").status_code == 204
    assert not seat_of(board, ADA)["asked"]
    assert all(method != "POST" for method, path, _ in board.hub.calls if path.startswith("/shares"))


def test_notes_reach_whom_they_are_for_also_those_who_come_late(board: BoardRoom, trainer: httpx.Client) -> None:
    assert trainer.post("actions", json={"do": "note", "to": "all", "text": " <b>Coffee</b> "}).status_code == 204
    assert trainer.post("actions", json={"do": "note", "to": [ADA], "text": "Well done"}).status_code == 204
    with board.client(ADA) as client:
        notes = [data for _, name, data in first_events(client, "api/events", 3) if name == "note"]
        assert [(note["text"], note["to_all"]) for note in notes] == [("<b>Coffee</b>", True), ("Well done", False)]
        later = first_events(client, "api/events", 1, headers={"Last-Event-ID": str(notes[1]["id"])})
        assert [name for _, name, _ in later] == ["asked"]
    with board.client(EVIL) as client:
        assert [data["text"] for _, name, data in first_events(client, "api/events", 2) if name == "note"] == [
            "<b>Coffee</b>"
        ]


def test_servers_are_started_stopped_and_reset_through_the_hub(board: BoardRoom, trainer: httpx.Client) -> None:
    path = f"/users/{ADA}/server"

    def done(action: dict[str, Any]) -> list[tuple[str, str, Any]]:
        board.hub.calls.clear()
        assert trainer.post("actions", json={"to": [ADA], **action}).status_code == 204
        wait_for(lambda: ADA not in board.room.doing or None, "it is done")
        assert ADA not in board.room.failed
        return board.calls_about_servers()

    assert done({"do": "stop"}) == [("DELETE", path, None)]
    assert done({"do": "start"}) == [("POST", path, {})]
    for what in ("notebooks", "service", "everything", "lesson:02_realtime/01_deploy_with_keys.ipynb"):
        assert done({"do": "reset", "what": what}) == [("DELETE", path, None), ("POST", path, {"reset": what})]


def test_all_at_once(board: BoardRoom, trainer: httpx.Client) -> None:
    assert trainer.post("actions", json={"do": "stop", "to": "all"}).status_code == 204
    wait_for(lambda: not board.room.doing or None, "all are stopped")
    assert sorted(path for method, path, _ in board.hub.calls if method == "DELETE") == [
        f"/users/learner0{number}/server" for number in (1, 2, 3)
    ]


def test_what_the_hub_refuses_is_said_at_the_seat(board: BoardRoom, trainer: httpx.Client) -> None:
    board.hub.refuse_stop = True
    trainer.post("actions", json={"do": "reset", "to": [ADA], "what": "service"})
    wait_for(lambda: board.room.failed.get(ADA), "it fails")
    assert seat_of(board, ADA)["reasons"] == [
        {"rule": "failed", "text": f"The hub refused DELETE /users/{ADA}/server: it hangs", "since": None}
    ]
    assert [method for method, _, _ in board.calls_about_servers()] == ["DELETE"]  # and no start after it


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("x", "An action is an object"),
        ({"do": "dance", "to": "all"}, "There is no action 'dance'"),
        ({"do": {}, "to": "all"}, "There is no action {}"),
        ({"do": "stop", "to": ["root"]}, "There is no seat ['root']"),
        ({"do": "stop", "to": [ADA, {}]}, "There is no seat"),
        ({"do": "stop", "to": []}, "There is no seat []"),
        ({"do": "stop"}, "There is no seat None"),
        ({"do": "reset", "to": "all", "what": "lesson:../../etc"}, "'lesson:../../etc' cannot be reset"),
        ({"do": "reset", "to": "all"}, "None cannot be reset"),
        ({"do": "note", "to": "all", "text": " "}, "A note has between 1 and 1000 characters"),
        ({"do": "note", "to": "all", "text": "x" * 1001}, "A note has between 1 and 1000 characters"),
    ],
)
def test_what_cannot_be_done_is_said(board: BoardRoom, trainer: httpx.Client, action: object, words: str) -> None:
    answer = trainer.post("actions", json=action)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert not board.room.doing


def test_the_hub_is_away(board: BoardRoom, trainer: httpx.Client) -> None:
    board.hub.away = True
    with board.client("learner03") as client:
        assert client.post("api/report", json={}).status_code == 503  # and tries again later
    first = first_events(trainer, "events", 2)[-1][2]
    assert first["hub"] is False
    assert [seat["name"] for seat in first["seats"]][:1] == ["Ada Lovelace"]


def test_a_board_that_starts_again_knows_what_the_one_before_it_knew(folder: Folder) -> None:
    (folder.hub / "board.db").unlink(missing_ok=True)
    hub = StandInHub()
    with running(folder, hub) as board:
        board.call(lambda: furnish(board))
        with board.client(ADA) as client:
            client.post("api/asked", json={"text": "Why?", "may_open": True})
        before = {user: (heard.report, heard.advanced) for user, heard in board.room.records.heard.items()}
        assert len(before) == 3
    with running(folder, hub) as board:
        assert {user: (heard.report, heard.advanced) for user, heard in board.room.records.heard.items()} == before
        assert board.room.records.asked[ADA].text == "Why?"


def test_the_whole_room_is_told_to_the_page(board: BoardRoom, trainer: httpx.Client) -> None:
    board.call(lambda: furnish(board))
    _, name, room = first_events(trainer, "events", 1)[0]
    assert name == "room"
    evil = room["seats"][1]
    assert evil["name"] == "<script>alert(1)</script>"  # as it is: the page puts it in as text
    assert evil["state"] == "stuck" and evil["reasons"][0]["rule"] == "refused"
    assert evil["lesson"]["of"] == 8
    load = wait_for(lambda: board.room.load, "the machine is looked at")
    assert 0 < load.memory_used < load.memory


def test_the_database_is_the_boards_alone(board: BoardRoom, folder: Folder) -> None:
    for name in ("board.db", "board-cookie-secret"):
        assert Path(folder.hub, name).stat().st_mode & 0o077 == 0
