"""What the trainer can do with one seat or all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from workshop.board.hub import Hub, HubError
from workshop.board.room import Room, now
from workshop.board.watch import Watch

AT_ONCE = 4  # servers that are started at the same time: each takes a processor for some seconds
LONGEST_NOTE = 1000  # characters
RESETS = {
    "notebooks": "all notebooks",
    "service": "the local service",
    "everything": "everything",
}


class ActionError(ValueError):
    """What cannot be done; the message says why, and what would be right."""


@dataclass
class Actions:
    """The actions, by the names that the page calls them by."""

    room: Room
    hub: Hub
    watch: Watch
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def act(self, document: object) -> None:
        """Do what a request asks for: ``{"do": "reset", "to": ["learner01"], "what": "notebooks"}``.

        ``to`` may be ``"all"``. What takes long goes on after this has returned; the board shows it.

        Raises:
            ActionError: it cannot be done.
        """
        if not isinstance(document, dict):
            raise ActionError("An action is an object such as {'do': 'stop', 'to': 'all'}.")
        actions: dict[str, Callable[[list[str], dict[str, Any]], None]] = {
            "start": self._start,
            "stop": self._stop,
            "reset": self._reset,
            "coming": self._coming,
            "answered": self._answered,
            "note": self._note,
        }
        name = document.get("do")
        if not isinstance(name, str) or name not in actions:
            raise ActionError(f"There is no action {name!r}: one of {', '.join(actions)} is right.")
        actions[name](self._users(document.get("to")), document)
        self.room.changes.notify()

    def _users(self, to: object) -> list[str]:
        users = self.room.users()
        if to == "all":
            return users
        if not isinstance(to, list) or not to or not all(user in users for user in to):
            raise ActionError(f"There is no seat {to!r}: a list of {', '.join(users) or 'seats'}, or 'all', is right.")
        return to

    def _start(self, users: list[str], document: dict[str, Any]) -> None:
        self._each(users, "starting", self.hub.start)

    def _stop(self, users: list[str], document: dict[str, Any]) -> None:
        self._each(users, "stopping", self.hub.stop)

    def _reset(self, users: list[str], document: dict[str, Any]) -> None:
        what = document.get("what")
        lessons = {f"lesson:{lesson.path}": f"“{lesson.title}”" for lesson in self.room.course.lessons}
        names = RESETS | lessons
        if not isinstance(what, str) or what not in names:
            raise ActionError(f"{what!r} cannot be reset: one of {', '.join(RESETS)}, lesson:<path> is right.")

        async def reset(user: str) -> None:
            await self.hub.stop(user)
            await self.hub.start(user, {"reset": what})

        self._each(users, f"resetting {names[what]}", reset)

    def _coming(self, users: list[str], document: dict[str, Any]) -> None:
        for user in users:
            if asked := self.room.records.asked.get(user):
                self.room.records.ask(user, replace(asked, coming=True))

    def _answered(self, users: list[str], document: dict[str, Any]) -> None:
        for user in users:
            self.room.failed.pop(user, None)
            answer(self.room, self.watch, user)

    def _note(self, users: list[str], document: dict[str, Any]) -> None:
        text = document.get("text")
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_NOTE:
            raise ActionError(f"A note has between 1 and {LONGEST_NOTE} characters.")
        for user in [None] if document["to"] == "all" else users:
            self.room.records.note(text.strip(), user, now())

    def _each(self, users: list[str], words: str, action: Callable[[str], Awaitable[None]]) -> None:
        if busy := [user for user in users if user in self.room.doing]:
            raise ActionError(f"Wait until what is being done for {', '.join(busy)} is done.")
        for user in users:
            self.room.doing[user] = words
            self.room.failed.pop(user, None)
            task = asyncio.get_running_loop().create_task(self._one(user, action))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, user: str, action: Callable[[str], Awaitable[None]]) -> None:
        try:
            async with self._slots:
                await action(user)
        except HubError as error:
            self.room.failed[user] = str(error)
        finally:
            del self.room.doing[user]
            self.room.changes.notify()


def answer(room: Room, watch: Watch, user: str) -> None:
    """What a learner asked for is answered, or asked for no longer; the trainer may open their server no longer."""
    asked = room.records.answer(user)
    if asked and asked.may_open:
        watch.close_share(user)
