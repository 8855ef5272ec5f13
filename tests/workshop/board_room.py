"""A board with a room to look at, and a stand-in for the hub that answers what JupyterHub's REST API documents.

python tests/workshop/board_room.py 30     # serves it, and prints where
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from jupyterhub.services.auth import HubOAuth
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from workshop.board import reports
from workshop.board.__main__ import make
from workshop.board.hub import Server
from workshop.board.lessons import Course
from workshop.board.room import Room, now
from workshop.board.watch import Watch
from workshop.folder import Folder, Settings
from workshop.seats import Seats

NAMES = (
    *(
        "Ada Lovelace",
        "<script>alert(1)</script>",
        "Grace Hopper",
        "Katherine Johnson",
        "Alan Turing",
        "Barbara Liskov",
    ),
    *("Edsger Dijkstra", "Radia Perlman", "Donald Knuth", "Margaret Hamilton", "Tim Berners-Lee", "Frances Allen"),
    *("Niklaus Wirth", "Hedy Lamarr", "John von Neumann", "Annie Easley", "Dennis Ritchie", "Karen Spärck Jones"),
    *(
        "Ken Thompson",
        "Sophie Wilson",
        "Leslie Lamport",
        "Anita Borg",
        "Tony Hoare",
        "Lynn Conway",
        "Bjarne Stroustrup",
    ),
    *("Mary Jackson", "Guido van Rossum", "Jean Bartik", "Wolfeschlegelsteinhausenbergerdorff J.", "李小龍"),
)
ROOT = Path(__file__).parents[2]


@dataclass
class StandInHub:
    """What a hub knows: its users' tokens are their names with "-token" after it."""

    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    away: bool = False
    refuse_stop: bool = False

    def model(self, token: str) -> dict[str, Any] | None:
        name, _, rest = token.rpartition("-")
        if rest != "token":
            return None
        scopes = ["access:services!service=board"] if name == "trainer" else [f"access:servers!server={name}/"]
        return {"name": name, "kind": "service" if name == "board" else "user", "scopes": scopes, "groups": []}

    def users(self) -> list[dict[str, Any]]:
        return [{"name": name, "servers": {"": server} if server else {}} for name, server in self.servers.items()]


class HubHandler(RequestHandler):
    def initialize(self, hub: StandInHub) -> None:
        self.hub = hub

    def prepare(self) -> None:
        if self.hub.away:
            self.set_status(503)
            self.finish({"message": "away"})

    @property
    def token(self) -> str:
        return self.request.headers.get("Authorization", "").removeprefix("token ")

    def note(self, path: str) -> None:
        self.hub.calls.append((self.request.method or "", path, json.loads(self.request.body or b"null")))


class UserHandler(HubHandler):
    def get(self) -> None:
        if (model := self.hub.model(self.token)) is None:
            self.set_status(403)
            self.finish({"message": "Missing or invalid credentials."})
        else:
            self.finish(model)


class UsersHandler(HubHandler):
    def get(self) -> None:
        offset, limit = int(self.get_argument("offset")), int(self.get_argument("limit"))
        self.finish(json.dumps(self.hub.users()[offset : offset + limit]))


class OneUserHandler(HubHandler):
    def get(self, name: str) -> None:
        self.finish(next(user for user in self.hub.users() if user["name"] == name))


class ServerHandler(HubHandler):
    def post(self, name: str) -> None:
        self.note(f"/users/{name}/server")
        if self.hub.servers.get(name):
            self.set_status(400)
            self.finish({"message": f"{name} is already running"})
            return
        self.hub.servers[name] = {"ready": True, "pending": None}
        self.set_status(201)

    def delete(self, name: str) -> None:
        self.note(f"/users/{name}/server")
        if self.hub.refuse_stop:
            self.set_status(500)
            self.finish({"message": "it hangs"})
            return
        self.hub.servers[name] = {}
        self.set_status(204)


class ShareHandler(HubHandler):
    def post(self, name: str) -> None:
        self.note(f"/shares/{name}/")
        self.finish({})

    patch = post


class AuthorizeHandler(RequestHandler):
    """Whoever comes is the trainer: there is no login page here. ``?as=`` in the redirect's address is another."""

    def get(self) -> None:
        who = self.get_cookie("who") or "trainer"
        back = self.get_argument("redirect_uri")
        self.redirect(f"{back}?code={who}&state={self.get_argument('state')}")


class TokenHandler(RequestHandler):
    def post(self) -> None:
        self.finish({"access_token": f"{self.get_argument('code')}-token"})


def hub_application(hub: StandInHub) -> Application:
    own = {"hub": hub}
    return Application(
        [
            ("/hub/api/user", UserHandler, own),
            ("/hub/api/users", UsersHandler, own),
            ("/hub/api/users/([^/]+)", OneUserHandler, own),
            ("/hub/api/users/([^/]+)/server", ServerHandler, own),
            ("/hub/api/shares/([^/]+)/", ShareHandler, own),
            ("/hub/api/oauth2/authorize", AuthorizeHandler),
            ("/hub/api/oauth2/token", TokenHandler),
        ]
    )


@dataclass
class BoardRoom:
    """A running board: where it is, the room it shows, and the hub that it asks."""

    address: str
    room: Room
    hub: StandInHub
    watch: Watch
    loop: asyncio.AbstractEventLoop

    def client(self, user: str = "") -> httpx.Client:
        """Return a client with a user's token, or without one."""
        headers = {"Authorization": f"token {user}-token"} if user else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)

    def calls_about_servers(self) -> list[tuple[str, str, Any]]:
        """Return what the hub was asked to do with servers; ends of shares that an earlier board left come apart."""
        return [call for call in self.hub.calls if call[1].startswith("/users/")]

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in the board's thread, and return what it returns."""

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result()


def workshop_folder(root: Path, learners: int) -> Folder:
    """Make a workshop's folder, in which so many have joined."""
    folder = Folder(root)
    folder.create()
    settings = Settings(30, workbook=str(ROOT))
    folder.write(settings)
    seats = Seats(folder.seats)
    for name in NAMES[:learners]:
        seats.join(name, "1234", {number: settings.os_user(number) for number in range(1, 31)})
    return folder


@contextmanager
def running(folder: Folder, hub: StandInHub | None = None, port: int = 0) -> Iterator[BoardRoom]:
    """Run the board of a workshop's folder, in a thread of its own."""
    ready, ended = threading.Event(), threading.Event()
    made: list[BoardRoom] = []
    failed: list[BaseException] = []
    hub = hub or StandInHub()

    async def serve() -> None:
        stop = asyncio.Event()
        hub_sockets, sockets = bind_sockets(0, "127.0.0.1"), bind_sockets(port, "127.0.0.1")
        hub_server = HTTPServer(hub_application(hub))
        hub_server.add_sockets(hub_sockets)
        hub_at = f"http://127.0.0.1:{hub_sockets[0].getsockname()[1]}"
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/services/board/"
        auth = HubOAuth(
            api_url=f"{hub_at}/hub/api",
            api_token="board-token",
            base_url="/services/board/",
            oauth_client_id="service-board",
            oauth_authorization_url=f"{hub_at}/hub/api/oauth2/authorize",
            oauth_redirect_uri=f"{address}oauth_callback",
            access_scopes={"access:services!service=board"},
            cache_max_age=1,
        )
        settings = folder.settings()
        assert settings is not None
        application, watch = make(folder, settings, auth)
        watch.room.course = Course.read(ROOT / "notebooks")
        server = HTTPServer(application, max_body_size=reports.LARGEST)
        server.add_sockets(sockets)
        looking = asyncio.get_running_loop().create_task(watch.run())
        made.append(BoardRoom(address, watch.room, hub, watch, asyncio.get_running_loop()))
        made[0].end = lambda: made[0].loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
        ready.set()
        await stop.wait()
        looking.cancel()
        server.stop()
        hub_server.stop()
        await server.close_all_connections()
        await hub_server.close_all_connections()
        watch.room.records.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    if failed:
        raise failed[0]
    try:
        yield made[0]
    finally:
        made[0].end()  # type: ignore[attr-defined]
        ended.wait()


def furnish(board: BoardRoom) -> None:
    """Let the room be as in the middle of a day: most work, one asks, some are stuck, some servers are stopped."""
    room, at = board.room, now()
    lessons = room.course.lessons

    def ago(minutes: float) -> str:
        return reports.written(at - timedelta(minutes=minutes))

    for place, seat in enumerate(room.seats()):
        lesson = lessons[7 + place % 3]
        items = sorted(lesson.items)
        done = [[each.id, item] for each in lessons[: 5 + place % 3] for item in each.items]
        done += [[lesson.id, item] for item in items[: place % 6]]
        report: dict[str, Any] = {
            "notebook": f"workbook/notebooks/{lesson.path}",
            "done": done,
            "cell": {"state": "done", "at": ago(place % 9)},
        }
        if place in (1, 13):
            report["refused"] = [
                {"lesson": lesson.id, "item": items[-1], "tries": 3 + place, "since": ago(25), "at": ago(2)}
            ]
        if place in (2, 9):
            report["cell"] = {"state": "failed", "at": ago(12 + place), "error": "HttpResponseError"}
        if place == 5:
            report["cell"] = {"state": "running", "at": ago(14)}
        if place == 6:
            report["done"] += [[lesson.id, item] for item in items]
        if place == 11:
            report["cell"] = {"state": "done", "at": ago(17)}
        if place == 8:
            report = {}
        room.records.hear(seat.user, reports.from_document(report, at), at)
        board.hub.servers[seat.user] = {} if place in (7, 21) else {"ready": True, "pending": None}
        room.streams[seat.user] = 0 if place in (7, 21, 15) else 1
        room.memory[seat.user] = (420 + 17 * place) * 2**20
    room.servers = {name: Server(bool(server), "") for name, server in board.hub.servers.items()}


def main(learners: int) -> None:
    with (
        tempfile.TemporaryDirectory() as root,
        running(workshop_folder(Path(root) / "room", learners), port=23790) as board,
    ):
        board.call(lambda: furnish(board))
        with board.client("learner01") as client:
            client.post("api/asked", json={"text": "What is a traffic split?", "may_open": True})
        print(board.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
