"""Server-sent events: what a page or a learner's server is told as it happens, written and read.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

LONGEST = 600.0  # seconds; then the other side connects anew, and shows anew who it is
REPEAT = 15.0  # seconds: time alone changes what is shown, and proxies close what is silent
GATHER = 0.2  # seconds in which further changes go into the same event
LARGEST = 2**20  # bytes of an event that is read

Event = tuple[str, str, Any]  # its id, its name, its data


class Changes:
    """A count of changes that can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seen: int, seconds: float) -> int:
        """Return the count as soon as it is no longer ``seen``, or after so many seconds."""
        if self.count == seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._next.wait(), seconds)
        return self.count


async def send(handler: RequestHandler, changes: Changes, events: Callable[[], Iterable[Event]]) -> None:
    """Send what ``events`` returns, now and at each change, until the other side goes or has to connect anew."""
    handler.set_header("Content-Type", "text/event-stream")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Accel-Buffering", "no")
    end = time.monotonic() + LONGEST
    try:
        while time.monotonic() < end:
            seen = changes.count
            handler.write("".join(map(_written, events())) or ": still here\n\n")
            await handler.flush()
            await changes.wait(seen, REPEAT)
            await asyncio.sleep(GATHER)
    except StreamClosedError:
        return


def _written(event: Event) -> str:
    number, name, data = event
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


class Reader:
    """Reads events, as ``send`` writes them, from pieces of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, piece: bytes) -> Iterator[Event]:
        """Return the events that are whole with this piece.

        Raises:
            ValueError: the stream is none of events.
        """
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        if len(self._rest) > LARGEST:
            raise ValueError(f"an event has more than {LARGEST} bytes")
        for event in whole:
            lines = [line.partition(": ") for line in event.decode("utf-8").splitlines()]
            fields = {name: value for name, _, value in lines if name}
            if "data" in fields:
                yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
