"""The trainer's pages, and what they call. Whoever the hub gives no right to this service is refused."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado.web import HTTPError, RequestHandler, authenticated

from workshop import streams
from workshop.board.actions import ActionError, Actions
from workshop.board.room import Room, now
from workshop.board.watch import Watch
from workshop.folder import Folder, Settings

PAGES = Path(__file__).parent / "pages"
# noopener-allow-popups: learners' servers are at the same origin, and a page of theirs must not get hold of this one.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "noopener-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Scripts and styles by nonce, not 'self': learners' files are at the same origin, too.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class TrainersApi:
    """What the handlers below work with; ``base`` is the board's path, and ends with a slash."""

    auth: HubOAuth
    room: Room
    watch: Watch
    actions: Actions
    base: str
    folder: Folder
    settings: Settings


class TrainerHandler(HubOAuthenticated, RequestHandler):  # type: ignore[misc]
    """A request of somebody whom the hub lets use this service."""

    def initialize(self, api: TrainersApi) -> None:
        """Take what the handler works with."""
        self.api = api
        self.hub_auth = api.auth

    def set_default_headers(self) -> None:
        """Set what keeps pages apart from others'."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Ask the hub who it is without holding up others; ``current_user`` would."""
        await self.hub_auth.get_user(self, sync=False)

    def require_trainer(self) -> None:
        """Refuse what is no page, where there is nowhere to go to and log in.

        Raises:
            HTTPError: 403, to whom the hub gives no right to this service.
        """
        if self.current_user is None:
            raise HTTPError(HTTPStatus.FORBIDDEN, "not the trainer")

    def show(self, name: str, **values: Any) -> None:
        """Answer a page."""
        nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Security-Policy", POLICY.format(nonce=nonce))
        self.render(str(PAGES / name), nonce=nonce, base=self.api.base, xsrf=self.xsrf_token.decode(), **values)


class BoardHandler(TrainerHandler):
    """``/services/board/``."""

    @authenticated
    def get(self) -> None:
        """Show the board."""
        self.show("board.html")


class JoinHandler(TrainerHandler):
    """``/services/board/join``: the link to join, and its QR code, for the projector."""

    @authenticated
    def get(self) -> None:
        """Show it."""
        from workshop import links  # brings all of JupyterHub along, which takes a second

        link = links.join_link(self.api.folder, self.api.settings)
        self.show("join.html", link=link, code=links.qr_as_svg(link))


class EventsHandler(TrainerHandler):
    """``GET events``: the whole of what the board shows, at each change."""

    def head(self) -> None:
        """Say only whether the page is still let in."""
        self.require_trainer()

    async def get(self) -> None:
        """Send events until the page goes."""
        self.require_trainer()
        self.api.watch.begin_view()
        try:
            await streams.send(self, self.api.room.changes, lambda: [("", "room", self.api.room.snapshot(now()))])
        finally:
            self.api.watch.end_view()


class ActionsHandler(TrainerHandler):
    """``POST actions``: see ``Actions.act``."""

    async def post(self) -> None:
        """Do it, or say why not."""
        self.require_trainer()
        try:
            self.api.actions.act(json.loads(self.request.body))
        except (ActionError, ValueError) as error:
            self.set_status(HTTPStatus.BAD_REQUEST)
            self.finish({"error": {"message": str(error)}})
            return
        self.set_status(HTTPStatus.NO_CONTENT)


class CallbackHandler(HubOAuthCallbackHandler):  # type: ignore[misc]
    """Where the hub sends the trainer's browser back to."""

    def initialize(self, auth: HubOAuth) -> None:
        """Take what the handler works with."""
        self.hub_auth = auth
