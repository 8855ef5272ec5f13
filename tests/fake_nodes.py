"""Nodes without processes, for tests of what is decided about nodes."""

from __future__ import annotations

import asyncio


class FakeNode:
    """A node without a process. ``may_end`` holds back its end while it is cleared."""

    preempted = is_lost = False
    edge = None

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def stop(self) -> None:
        await self.may_end.wait()
        self.is_lost = True
        if not self.ended.done():
            self.ended.set_result(0)


class FakeNodes:
    """Starts nodes without processes."""

    is_elsewhere = False
    why_not_more = ""

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def start_node(self, _: str) -> FakeNode:
        return FakeNode()
