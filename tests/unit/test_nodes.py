"""azureml_local.engines.compute.nodes: what is said of a node that ends while it is at work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from azureml_local.engines.compute.nodes import Node, NodeError, Nodes

SECONDS = 20


class FakeProcess:
    """A node's process; ``stop`` ends it as SIGTERM does."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.ended.set_result(-15)


class FakeClient:
    """Takes work that never ends."""

    def submit(self, *_: Any, **__: Any) -> FakeClient:
        return self

    async def result(self) -> None:
        await asyncio.Event().wait()

    async def cancel(self, *_: Any, **__: Any) -> None:
        pass


async def end_by_itself(node: Node) -> None:
    cast(FakeProcess, node.process).ended.set_result(-9)


async def preempt(node: Node) -> None:
    node.preempted = True
    await node.stop()


@pytest.mark.parametrize(
    ("end", "said", "preempted", "on_purpose"),
    [
        (end_by_itself, "Node a ended.", False, False),
        (Node.stop, "Node a was stopped.", False, True),
        (preempt, "Node a was preempted.", True, True),
    ],
    ids=["lost", "stopped", "preempted"],
)
def test_a_node_that_was_ended_is_told_from_one_that_was_lost(
    tmp_path: Path, end: Any, said: str, preempted: bool, on_purpose: bool
) -> None:
    async def main() -> NodeError:
        nodes = Nodes(tmp_path, tmp_path / "log", lambda _: None)
        nodes._client = cast(Any, FakeClient())
        node = Node("a", cast(Any, FakeProcess()), "tls://127.0.0.1:1")
        work = asyncio.ensure_future(nodes.run(node, asyncio.sleep, 0))
        await asyncio.sleep(0)
        await end(node)
        async with asyncio.timeout(SECONDS):
            with pytest.raises(NodeError) as caught:
                await work
        return caught.value

    error = asyncio.run(main())
    assert (str(error), error.preempted, error.on_purpose) == (said, preempted, on_purpose)
