"""Server-sent events: what a page or a learner's server is told as it happens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from workshop.board.changes import Changes

LONGEST = 600.0  # seconds; then the other side connects anew, and shows anew who it is
REPEAT = 15.0  # seconds: time alone changes what is shown, and proxies close what is silent
GATHER = 0.2  # seconds in which further changes go into the same event

Event = tuple[str, str, Any]  # its id, its name, its data


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
