"""``python -m workshop.board``: JupyterHub starts it, and says by environment variables where, and as whom."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth
from tornado.httpserver import HTTPServer
from tornado.web import Application, StaticFileHandler

from azureml_local.home import write_private
from workshop.board import reports
from workshop.board.actions import Actions
from workshop.board.allowance import Allowance
from workshop.board.hub import Hub
from workshop.board.learners import AskedHandler, LearnerEventsHandler, LearnersApi, ReportHandler
from workshop.board.lessons import Course
from workshop.board.records import Records
from workshop.board.room import Room
from workshop.board.trainers import (
    PAGES,
    ActionsHandler,
    BoardHandler,
    CallbackHandler,
    EventsHandler,
    JoinHandler,
    TrainersApi,
)
from workshop.board.watch import Watch
from workshop.folder import HUB_PROCESS, VARIABLE, Folder, FolderError, Settings, read_secret
from workshop.seats import Seats

DEFAULT_LISTEN = "http://127.0.0.1:0"
PR_SET_PDEATHSIG = 1  # Linux, sys/prctl.h


def main() -> None:
    """Run the board until it is told to end, or the hub has gone."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    end_with_parent()
    with contextlib.suppress(KeyboardInterrupt):  # how the hub ends it
        asyncio.run(serve(Folder(Path(os.environ[VARIABLE])), HubOAuth.instance()))


def end_with_parent() -> None:
    """Let the kernel end this process with the hub, however that ends: the next hub starts a board at the same port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.environ.get(HUB_PROCESS, str(os.getppid())) != str(os.getppid()):
        sys.exit("The hub has ended while the board began.")  # before the kernel was asked


async def serve(folder: Folder, auth: HubOAuth) -> None:
    """Serve the board of the workshop in this folder."""
    settings = folder.settings()
    if settings is None:
        raise FolderError(f"No workshop was started in {folder.root}.")
    application, watch = make(folder, settings, auth)
    place = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", DEFAULT_LISTEN))
    server = HTTPServer(application, max_body_size=reports.LARGEST, max_header_size=16 * 1024, xheaders=True)
    server.listen(place.port or 0, place.hostname or "127.0.0.1")
    # Only now: the hub waits for an answer no longer than ten seconds, in which a busy machine does not get so far.
    watch.room.course = await asyncio.to_thread(Course.read, Path(settings.workbook) / "notebooks")
    await watch.run()


def make(folder: Folder, settings: Settings, auth: HubOAuth) -> tuple[Application, Watch]:
    """Return the board's web application, and what looks at the hub and the machine, which has to be run."""
    hub = Hub(auth.api_url, auth.api_token)
    room = Room(
        Records(folder.hub / "board.db"), Seats(folder.seats).all, lambda: (folder.settings() or settings).learners
    )
    watch = Watch(room, hub, folder.root, lambda user: folder.home(settings.os_user_of(user)))
    watch.closing.update(user for user in room.users() if user not in room.records.asked)
    actions = Actions(room, hub, watch)
    trainers = TrainersApi(auth, room, watch, actions, auth.base_url, folder, settings)
    learners = LearnersApi(auth, room, watch, Allowance(time.monotonic))
    base = auth.base_url.rstrip("/")
    return (
        Application(
            [
                (f"{base}/", BoardHandler, {"api": trainers}),
                (f"{base}/join", JoinHandler, {"api": trainers}),
                (f"{base}/events", EventsHandler, {"api": trainers}),
                (f"{base}/actions", ActionsHandler, {"api": trainers}),
                (f"{base}/static/(board[.](?:css|js))", StaticFileHandler, {"path": str(PAGES)}),
                (f"{base}/oauth_callback", CallbackHandler, {"auth": auth}),
                (f"{base}/api/report", ReportHandler, {"api": learners}),
                (f"{base}/api/asked", AskedHandler, {"api": learners}),
                (f"{base}/api/events", LearnerEventsHandler, {"api": learners}),
            ],
            cookie_secret=_secret(folder.hub / "board-cookie-secret"),
            xsrf_cookies=True,
        ),
        watch,
    )


def _secret(path: Path) -> str:
    """Return the secret that cookies are signed with, which outlives the board: the trainer's page stays logged in."""
    if not path.exists():
        write_private(path, secrets.token_hex(32) + "\n")
    return read_secret(path)


if __name__ == "__main__":
    main()
