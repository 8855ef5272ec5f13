"""What a node says of work that fails: its log is read by whoever helps with a problem, so it holds no secrets.

Dask writes down what a function was called with when it raises; here that is the job, the storage's key and the tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from azureml_local.engines.compute.nodes import Node, Nodes
from azureml_local.engines.jobs import execution
from azureml_local.engines.jobs.fence import ATTEMPTS
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Input, Storage
from azureml_local.engines.staging import BlobPath

SECONDS = 180
SECRETS = ("c3RvcmFnZQ==", "tracking-token", "users-own", "given-input", "proxy-password")
SPEC = CommandSpec(
    "/jobs/j",
    "j",
    "true",
    None,
    {},
    {"API_KEY": "users-own"},
    {"key": Input(literal="given-input")},
    {},
    BlobPath("azureml", "ExperimentRun/dcid.j"),
)


def attempt(folder: Path) -> Attempt:
    return Attempt(
        SPEC,
        number=1,
        rank=0,
        folder=str(folder),
        python="/usr/bin/python3",
        notes=(),
        variables={"MLFLOW_TRACKING_TOKEN": "tracking-token"},
        storage=Storage("account", "c3RvcmFnZQ==", 1),
        proxies={"https": "http://user:proxy-password@proxy.example:3128"},
    )


def on_node(tmp_path: Path, test: Callable[[Node], Awaitable[None]]) -> str:
    """Run a test with a node, and return what the node has logged."""

    async def run() -> None:
        nodes = Nodes(tmp_path / "nodes", tmp_path / "nodes.log", lambda _: None)
        try:
            async with asyncio.timeout(SECONDS):
                node = await nodes.start_node("n")
                try:
                    await test(node)
                finally:
                    await node.stop()
        finally:
            await nodes.close()

    asyncio.run(run())
    return (tmp_path / "nodes.log").read_text()


def test_job_that_fails_in_the_service_leaves_no_secret_in_the_nodes_log(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        result = await node.run(execution.run, attempt(tmp_path / "missing"))
        assert result.code == "ServiceError"
        assert "its log has the details" in result.error
        (tmp_path / ATTEMPTS).write_text("2")  # so that the attempt is over, which is told by raising
        await node.call(execution.run, attempt(tmp_path))

    log = on_node(tmp_path, test)
    assert "FileNotFoundError" in log
    assert "StaleAttemptError" in log
    assert "Attempt(" in log  # so Dask did write down what the function was called with
    assert [secret for secret in SECRETS if secret in log] == []
