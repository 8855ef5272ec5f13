"""The extension of a learner's Jupyter server; see https://jupyter-server.readthedocs.io/en/latest/developers/extensions.html."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from helpers import progress_file
from workshop import streams
from workshop.board import reports
from workshop.learner import BOARD, NEWS
from workshop.learner.board import Board, BoardError
from workshop.learner.cells import Cells

TOKEN, USER = "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER"  # variables' names


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: ServerApp) -> None:
    """Connect this server to the board that the spawner has named; without one there is nothing to do."""
    if not (address := os.environ.get(BOARD)) or not (token := os.environ.get(TOKEN)):
        app.log.info("No board: %s names none.", BOARD)
        return
    news = json.loads(os.environ.get(NEWS, "[]"))
    board = Board(address, token, news, on_share_ended=lambda: forget_visitors(app))
    base = app.web_app.settings["base_url"]
    app.web_app.add_handlers(  # type: ignore[no-untyped-call]
        ".*$",
        [
            (url_path_join(base, "workshop/events"), EventsHandler, {"board": board}),
            (url_path_join(base, "workshop/asked"), AskedHandler, {"board": board}),
        ],
    )
    changes = streams.Changes()
    cells = Cells(app, changes.notify)
    app.io_loop.add_callback(board.listen_for_ever)
    app.io_loop.add_callback(board.report_for_ever, lambda: report(app, cells), changes)


async def report(app: ServerApp, cells: Cells) -> dict[str, Any]:
    """Return what the board is told: the notebook in which something happened last, what is done, what was refused."""
    sessions = await app.session_manager.list_sessions()
    kept = await asyncio.to_thread(progress_file.kept)
    refused = [
        {"lesson": lesson, "item": item, "tries": tries.refused, "since": tries.since, "at": tries.at}
        for (lesson, item), tries in kept.tries.items()
    ]
    return {
        "notebook": _notebook(sessions, cells.kernel),
        "done": sorted(map(list, kept.done)),
        "refused": refused,
        "cell": reports.cell_document(cells.last),
    }


def _notebook(sessions: list[dict[str, Any]], kernel: str) -> str:
    """The path of the notebook whose kernel was busy last; before any was, of the one that was opened last."""
    notebooks = [session for session in sessions if session["type"] == "notebook"]
    of_kernel = [session["path"] for session in notebooks if session["kernel"]["id"] == kernel]
    return next(iter(of_kernel or [session["path"] for session in notebooks[-1:]]), "")


def forget_visitors(app: ServerApp) -> None:
    """Ask the hub anew about everybody but the learner: who could open this server may no longer."""
    if auth := app.web_app.settings.get("hub_auth"):
        cache = auth.cache
        known = cache.values  # JupyterHub has no method for it
        for key in [key for key, model in known.items() if (model or {}).get("name") != os.environ.get(USER)]:
            del known[key], cache.timestamps[key]


class LearnerHandler(APIHandler):
    """A request of the learner's own JupyterLab."""

    def initialize(self, board: Board) -> None:
        """Take what the handler works with."""
        self.board = board


class EventsHandler(LearnerHandler):
    """``GET workshop/events``: the trainer's notes, what has become of asking, and news of the notebooks."""

    @authenticated
    async def get(self) -> None:
        """Send all of it at each change."""
        board = self.board

        def events() -> list[streams.Event]:
            return [("", "trainer", {"notes": board.notes, "asked": board.asked, "news": board.news})]

        await streams.send(self, board.changes, events)


class AskedHandler(LearnerHandler):
    """``workshop/asked``: POST asks for the trainer, DELETE no longer."""

    @authenticated
    async def post(self) -> None:
        """Ask: ``{"text": "about what", "may_open": true}``."""
        document = self.get_json_body() or {}
        await self._try(self.board.ask(str(document.get("text", "")), document.get("may_open") is True))

    @authenticated
    async def delete(self) -> None:
        """Ask no longer."""
        await self._try(self.board.ask_no_longer())

    async def _try(self, call: Any) -> None:
        try:
            await call
            self.set_status(204)
        except BoardError as error:
            self.set_status(503)
            self.finish(json.dumps({"message": str(error)}))
