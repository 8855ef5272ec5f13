"""Who comes into the room: a learner by the workshop's code, a name and a PIN; the trainer by a password."""

from __future__ import annotations

import asyncio
import hmac
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from tornado.web import HTTPError
from traitlets import Unicode, default

from workshop.folder import DEFAULT, TRAINER, VARIABLE, Folder, read_secret
from workshop.seats import Seat, SeatError, Seats, WrongPinError, key_of
from workshop.throttle import Throttle

# Of one name, wherever they come from: the room may share one address. A PIN of four digits lasts two days and more.
PINS_AT_ONCE, SECONDS_A_PIN = 5, 20.0
WRONG_CODE = "That is not this workshop's code. The trainer shows it; it is part of the link behind the QR code, too."
WRONG_PASSWORD = "That is not the trainer's password. `python -m workshop status` says which file has it."  # noqa: S105
NOT_ASKED_BEFORE = ("code", "username")  # arguments of the join link that lead nowhere else


class JoinHandler(LoginHandler):  # type: ignore[misc]
    """The page that asks for code, name and PIN; JupyterHub's own form, with one field more."""

    def _render(self, login_error: str | None = None, username: str | None = None, **namespace: Any) -> Any:
        self.set_header("Cache-Control", "no-store")
        code = self.get_argument("code", default="")
        return super()._render(login_error, username, code=code, **namespace)

    def append_query_parameters(self, url: str, exclude: list[str] | None = None) -> str:
        """Lead on without the join link's arguments: a spawner would take them for a learner's wishes."""
        return str(super().append_query_parameters(url, [*(exclude or ["next"]), *NOT_ASKED_BEFORE]))


class RoomAuthenticator(Authenticator):  # type: ignore[misc]
    """Lets learners who know the workshop's code take a seat, and the trainer in. What each may do, ``hub`` says."""

    folder = Unicode(help="The workshop's folder.", config=True)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.allow_all = True  # whom ``authenticate`` lets in
        self._folder = Folder(Path(self.folder))
        self._seats = Seats(self._folder.seats)
        self._pins = Throttle(PINS_AT_ONCE, SECONDS_A_PIN)

    @default("folder")
    def _default_folder(self) -> str:
        return os.environ.get(VARIABLE, str(DEFAULT))

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return the join page in place of the login page."""
        return [("/login", JoinHandler)]

    async def authenticate(self, handler: Any, data: Mapping[str, str]) -> dict[str, Any]:
        """Return the user at the hub of whoever has sent the form.

        Raises:
            HTTPError: 403 with words for the sender; 429 where one name has had too many wrong PINs.
        """
        name, pin, code = (data.get(field, "") for field in ("username", "pin", "code"))
        if key_of(name) == TRAINER:
            require_same(pin, read_secret(self._folder.trainer_password), WRONG_PASSWORD)
            return {"name": TRAINER, "admin": False}
        require_same(typed(code), read_secret(self._folder.join_code), WRONG_CODE)
        seat = await self._join(name, pin)
        return {"name": seat.user, "admin": False}

    async def _join(self, name: str, pin: str) -> Seat:
        key = key_of(name)
        if wait := self._pins.wait(key):
            raise HTTPError(429, f"Too many wrong PINs for this name. Try again in {math.ceil(wait)} seconds.")
        self._pins.failed(key)  # before the PIN is looked at, which takes a while: many may be sent at once
        try:
            seat = await asyncio.to_thread(self._seats.join, name, pin, self._users())
        except SeatError as error:
            if not isinstance(error, WrongPinError):
                self._pins.succeeded(key)
            raise HTTPError(403, str(error)) from error
        self._pins.succeeded(key)
        return seat

    def _users(self) -> dict[int, str]:
        """Return the seats that there are now: a trainer may add some while the hub runs."""
        settings = self._folder.settings()
        numbers = range(1, settings.learners + 1) if settings else ()
        return {number: settings.os_user(number) for number in numbers} if settings else {}


def typed(code: str) -> str:
    """Return a code as it was meant: what people add when they type from a projector is left out."""
    return "".join(code.split()).replace("-", "").casefold()


def require_same(given: str, right: str, otherwise: str) -> None:
    """Compare two secrets in constant time.

    Raises:
        HTTPError: they differ.
    """
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode()):
        raise HTTPError(403, otherwise)
