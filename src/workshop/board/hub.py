"""The hub, through its REST API: whose servers run, starting and stopping them, who may open which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

PAGE = 200  # users, which the hub lists at most at once
SECONDS = 20.0  # for an answer
STOPPING_SECONDS = 120.0
ASK_AGAIN_SECONDS = 0.5
TRAINER = "trainer"


class HubError(Exception):
    """The hub is away or refused; the message is for the trainer."""


@dataclass(frozen=True)
class Server:
    """A user's server: whether it runs, and what it is about to do: "spawn", "stop" or ""."""

    running: bool = False
    pending: str = ""


@dataclass(frozen=True)
class Hub:
    """The hub at ``api``, such as ``http://127.0.0.1:8081/hub/api``, and the board's token there."""

    api: str
    token: str = field(repr=False)

    async def servers(self) -> dict[str, Server]:
        """Return each user's server; raises HubError, as all here does."""
        found: dict[str, Server] = {}
        while True:
            page = json.loads((await self._call("GET", f"/users?offset={len(found)}&limit={PAGE}")).body)
            found |= {user["name"]: _server(user) for user in page}
            if len(page) < PAGE:
                return found

    async def start(self, user: str, options: Mapping[str, str] | None = None) -> None:
        """Begin to start a user's server, unless it runs; ``options`` go to its spawner."""
        answer = await self._call(
            "POST", f"/users/{quote(user)}/server", options or {}, allowed=(HTTPStatus.BAD_REQUEST,)
        )
        if answer.code == HTTPStatus.BAD_REQUEST and b"already running" not in answer.body:
            raise HubError(f"The hub did not start the server of {user}: {_message(answer)}")

    async def stop(self, user: str) -> None:
        """Stop a user's server, if it runs, and wait until it has stopped."""
        path = f"/users/{quote(user)}/server"
        answer = await self._call("DELETE", path, allowed=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND))
        if answer.code == HTTPStatus.BAD_REQUEST and b"pending" in answer.body:
            raise HubError(f"The server of {user} is just starting or stopping: try again in a moment.")
        try:
            async with asyncio.timeout(STOPPING_SECONDS):
                while await self._is_there(user):  # noqa: ASYNC110 - the hub has no event for it
                    await asyncio.sleep(ASK_AGAIN_SECONDS)
        except TimeoutError:
            raise HubError(f"The server of {user} has not stopped for {STOPPING_SECONDS:.0f} seconds.") from None

    async def _is_there(self, user: str) -> bool:
        server = _server(json.loads((await self._call("GET", f"/users/{quote(user)}")).body))
        return server.running or bool(server.pending)

    async def share(self, owner: str) -> None:
        """Let the trainer open a learner's server."""
        scopes = [f"access:servers!server={owner}/"]
        await self._call("POST", f"/shares/{quote(owner)}/", {"user": TRAINER, "scopes": scopes})

    async def end_share(self, owner: str) -> None:
        """Let the trainer open it no longer."""
        await self._call("PATCH", f"/shares/{quote(owner)}/", {"user": TRAINER}, allowed=(HTTPStatus.NOT_FOUND,))

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, allowed: tuple[int, ...] = ()
    ) -> HTTPResponse:
        request = HTTPRequest(
            f"{self.api}{path}",
            method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body),
            request_timeout=SECONDS,
            allow_nonstandard_methods=True,
        )
        try:
            answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise HubError("The hub is away. Learners work on; start it again with `make workshop`.") from error
        if answer.code >= HTTPStatus.BAD_REQUEST and answer.code not in allowed:
            raise HubError(f"The hub refused {method} {path}: {_message(answer)}")
        return answer


def _server(user: Mapping[str, Any]) -> Server:
    default = (user.get("servers") or {}).get("", {})
    return Server(bool(default.get("ready")), default.get("pending") or user.get("pending") or "")


def _message(answer: HTTPResponse) -> str:
    try:
        return str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.code} {answer.reason}"
