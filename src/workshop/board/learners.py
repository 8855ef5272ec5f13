"""What learners' servers call: each with its own token at the hub, and only about its own learner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError, RequestHandler

from workshop import streams
from workshop.board import reports
from workshop.board.actions import answer
from workshop.board.allowance import Allowance
from workshop.board.hub import HubError
from workshop.board.records import Note
from workshop.board.reports import ReportError, written
from workshop.board.room import Room, now
from workshop.board.stuck import Asked
from workshop.board.watch import Watch

MOST_STREAMS = 4  # of one learner, whose server needs one


@dataclass(frozen=True)
class LearnersApi:
    """What the handlers below work with."""

    auth: HubOAuth
    room: Room
    watch: Watch
    allowance: Allowance


class LearnerHandler(RequestHandler):
    """A request with a learner's token in its header. ``user`` is whose token it is, by the hub."""

    def initialize(self, api: LearnersApi) -> None:
        """Take what the handler works with."""
        self.api = api
        self.user = ""
        self.wait = 0.0  # seconds before the next call

    def check_xsrf_cookie(self) -> None:
        """Pass: what counts here is a token that no browser sends by itself, and no cookie."""

    async def prepare(self) -> None:
        """Find out whose token it is, and whether they have called too often.

        Raises:
            HTTPError: 401 without a valid token, 403 for a service's, 429 for too many calls, 503 without a hub.
        """
        if not (token := self.api.auth.get_token(self, in_cookie=False)):
            raise HTTPError(HTTPStatus.UNAUTHORIZED, "no token", reason="A token of the hub is needed")
        try:
            model = await self.api.auth.user_for_token(token, sync=False)
        except HTTPError as error:
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), reason="The hub is away") from error
        if model is None:
            raise HTTPError(HTTPStatus.UNAUTHORIZED, "unknown token", reason="The hub does not know this token")
        if model.get("kind") != "user":
            raise HTTPError(HTTPStatus.FORBIDDEN, "no user's token", reason="Only learners report")
        self.user = model["name"]
        if (wait := self.api.allowance.take(self.user)) > 0:
            self.wait = wait
            raise HTTPError(HTTPStatus.TOO_MANY_REQUESTS, f"{self.user} calls too often")

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer an error as JSON."""
        if self.wait:
            self.set_header("Retry-After", str(ceil(self.wait)))
        self.finish({"error": {"code": status_code, "message": self._reason}})

    def refuse(self, error: Exception) -> None:
        """Answer 400 with what is wrong."""
        self.set_status(HTTPStatus.BAD_REQUEST)
        self.finish({"error": {"code": int(HTTPStatus.BAD_REQUEST), "message": str(error)}})


class ReportHandler(LearnerHandler):
    """``POST api/report``: see ``reports``."""

    def post(self) -> None:
        """Keep the report."""
        try:
            report = reports.parse(self.request.body, now())
        except ReportError as error:
            self.refuse(error)
            return
        self.api.room.records.hear(self.user, report, now())
        self.api.room.changes.notify()
        self.set_status(HTTPStatus.NO_CONTENT)


class AskedHandler(LearnerHandler):
    """``api/asked``: POST asks for the trainer, DELETE no longer."""

    async def post(self) -> None:
        """Keep that the learner asks: ``{"text": "about what", "may_open": true}``."""
        try:
            asked = _asked(self.request.body)
        except ReportError as error:
            self.refuse(error)
            return
        if asked.may_open:
            asked = await self._shared(asked)
        before = self.api.room.records.asked.get(self.user)
        if before and before.may_open and not asked.may_open:
            self.api.watch.close_share(self.user)
        self.api.room.records.ask(self.user, asked)
        self.api.room.changes.notify()
        self.set_status(HTTPStatus.NO_CONTENT)

    async def _shared(self, asked: Asked) -> Asked:
        try:
            self.api.watch.closing.discard(self.user)
            await self.api.watch.hub.share(self.user)
        except HubError:
            return Asked(asked.text, asked.since)  # the trainer comes, rather than opens it
        return asked

    def delete(self) -> None:
        """Forget that they asked."""
        answer(self.api.room, self.api.watch, self.user)
        self.api.room.changes.notify()
        self.set_status(HTTPStatus.NO_CONTENT)


class LearnerEventsHandler(LearnerHandler):
    """``GET api/events``: notes from the trainer, and what has become of asking. Being connected means to be there."""

    async def get(self) -> None:
        """Send events until the server goes."""
        room = self.api.room
        if room.streams[self.user] >= MOST_STREAMS:
            raise HTTPError(HTTPStatus.TOO_MANY_REQUESTS, "streams", reason="Too many connections of one learner")
        room.streams[self.user] += 1
        room.changes.notify()
        try:
            await streams.send(self, room.changes, self._news(_number(self.request.headers.get("Last-Event-ID"))))
        finally:
            room.streams[self.user] -= 1
            room.changes.notify()

    def _news(self, last: int) -> Callable[[], Iterable[streams.Event]]:
        told: list[Any] = [last, None]  # the last note's id, what was said of asking

        def events() -> Iterable[streams.Event]:
            for note in self.api.room.records.notes(self.user, after=told[0]):
                told[0] = note.id
                yield str(note.id), "note", _note(note)
            if (asked := self._standing()) != told[1]:
                told[1] = asked
                yield str(told[0]), "asked", asked

        return events

    def _standing(self) -> dict[str, Any]:
        """What has become of asking. The trainer may open the server until the hub has taken that back."""
        asked = self.api.room.records.asked.get(self.user)
        if asked is None:
            return {"asked": False, "may_open": self.user in self.api.watch.closing}
        return {"asked": True, "since": written(asked.since), "coming": asked.coming, "may_open": asked.may_open}


def _note(note: Note) -> dict[str, Any]:
    return {"id": note.id, "text": note.text, "at": written(note.at), "to_all": note.user is None}


def _asked(body: bytes) -> Asked:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ReportError(f"What was sent is not JSON: {error}.") from error
    text, may_open = (
        (document.get("text", ""), document.get("may_open", False)) if isinstance(document, dict) else (0, 0)
    )
    if not isinstance(text, str) or len(text) > reports.LONGEST_TEXT or not isinstance(may_open, bool):
        raise ReportError(
            f"Right is an object with a text of at most {reports.LONGEST_TEXT} characters, and may_open, true or false."
        )
    return Asked(" ".join(text.split()), now(), may_open)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 16 else 0
