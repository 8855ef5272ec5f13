"""Looking, while somebody looks at the board, at what tells nobody of its changes: the hub's servers, the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from workshop.board import machine
from workshop.board.hub import Hub, HubError
from workshop.board.room import Room

SECONDS = 5.0  # between two looks; the memory of one seat is measured in each


@dataclass
class Watch:
    """What looks.

    Attributes:
        home: returns a user's home.
        closing: whose servers the trainer may open no longer, which the hub has not been told yet.
    """

    room: Room
    hub: Hub
    folder: Path
    home: Callable[[str], Path]
    closing: set[str] = field(default_factory=set)
    _viewers: int = 0
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def begin_view(self) -> None:
        """Somebody looks at the board."""
        self._viewers += 1
        self._wanted.set()

    def end_view(self) -> None:
        """Somebody looks no longer."""
        self._viewers -= 1

    def close_share(self, user: str) -> None:
        """The trainer may open this user's server no longer, as soon as the hub can be told."""
        self.closing.add(user)
        self._wanted.set()

    async def run(self) -> None:
        """Look, for ever."""
        for turn in count():
            if not self._viewers and not self.closing:
                self._wanted.clear()
                await self._wanted.wait()
            await self._look(turn)
            self.room.changes.notify()
            await asyncio.sleep(SECONDS)

    async def _look(self, turn: int) -> None:
        users = self.room.users()
        await asyncio.gather(self._ask_hub(), asyncio.to_thread(self._look_at_machine, users, turn))

    async def _ask_hub(self) -> None:
        try:
            for user in list(self.closing):
                await self.hub.end_share(user)
                self.closing.discard(user)
            self.room.servers = await self.hub.servers()
        except HubError:
            self.room.servers = None  # the board says so

    def _look_at_machine(self, users: list[str], turn: int) -> None:
        self.room.load = machine.load(self.folder)
        self.room.disks = {user: machine.disk_percent(self.home(user)) for user in users}
        if users:
            user = users[turn % len(users)]
            self.room.memory[user] = machine.memory(machine.processes_by_user().get(user, []))
