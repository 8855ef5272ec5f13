"""The connection to the board: reports go there, notes come from there. While it is away, all else goes on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from workshop.streams import Changes, Event, Reader

SECONDS = 20.0  # for an answer
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds before another try
BETWEEN_REPORTS = 2.0  # seconds
REPORT_ANYWAY = 60.0  # seconds: progress may be made outside of a notebook
LAST_NOTES = 50

log = logging.getLogger(__name__)


class BoardError(Exception):
    """The board is away or refused; the message is for the learner."""


@dataclass
class Board:
    """The board, as one learner's server knows it.

    Attributes:
        address: ends with a slash.
        token: the server's own at the hub.
        news: sentences on what has changed in the learner's notebooks.
        notes: the last notes from the trainer, the oldest first.
        asked: what has become of asking: see ``workshop.board.learners``.
        changes: of the two.
        on_share_ended: called when the trainer may open this server no longer.
    """

    address: str
    token: str = field(repr=False)
    news: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=lambda: {"asked": False})
    changes: Changes = field(default_factory=Changes)
    on_share_ended: Callable[[], None] = lambda: None

    async def ask(self, text: str, may_open: bool) -> None:
        """Ask for the trainer; raises BoardError."""
        await self._call("POST", "api/asked", {"text": text, "may_open": may_open})

    async def ask_no_longer(self) -> None:
        """Ask for the trainer no longer; raises BoardError."""
        await self._call("DELETE", "api/asked")

    async def report_for_ever(self, report: Callable[[], Awaitable[dict[str, Any]]], changes: Changes) -> None:
        """Report at each change, though not too often."""
        while True:
            seen = changes.count
            await self._until_it_works(lambda: self._report(report))
            await asyncio.sleep(BETWEEN_REPORTS)
            await changes.wait(seen, REPORT_ANYWAY)

    async def _report(self, report: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        await self._call("POST", "api/report", await report())

    async def listen_for_ever(self) -> None:
        """Hear what the trainer says."""
        while True:
            await self._until_it_works(self._listen)

    async def _listen(self) -> None:
        reader = Reader()

        def on_piece(piece: bytes) -> None:
            for event in reader.read(piece):
                self._on_event(event)

        last = str(self.notes[-1]["id"]) if self.notes else ""
        await self._call("GET", "api/events", headers={"Last-Event-ID": last}, on_piece=on_piece, seconds=0)

    def _on_event(self, event: Event) -> None:
        _, name, data = event
        if name == "note":
            self.notes = [*self.notes, data][-LAST_NOTES:]
        if name == "asked":
            ended = self.asked.get("may_open") and not data.get("may_open")
            self.asked = data
            if ended:
                self.on_share_ended()
        self.changes.notify()

    async def _until_it_works(self, call: Callable[[], Awaitable[None]]) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                return await call()
            except (BoardError, ValueError) as error:
                log.info("The board: %s", error)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        on_piece: Callable[[bytes], None] | None = None,
        seconds: float = SECONDS,
    ) -> HTTPResponse:
        request = HTTPRequest(
            f"{self.address}{path}",
            method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json", **(headers or {})},
            body=None if body is None else json.dumps(body),
            request_timeout=seconds,
            streaming_callback=on_piece,
            follow_redirects=False,
        )
        try:
            return await AsyncHTTPClient().fetch(request)
        except HTTPClientError as error:
            raise BoardError(_message(error)) from error
        except OSError as error:
            raise BoardError(
                "The trainer's board cannot be reached just now. Raise your hand, or try again."
            ) from error


def _message(error: HTTPClientError) -> str:
    try:
        assert error.response is not None  # noqa: S101 - AssertionError is one of those below
        return str(json.loads(error.response.body)["error"]["message"])
    except (AssertionError, ValueError, KeyError, TypeError):
        return f"The trainer's board answers {error.code} just now. Raise your hand, or try again."
