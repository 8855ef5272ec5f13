"""azureml_local.engines.inference_server: what is left of instances that do not come to serve."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from azureml_local.engines.inference_server import LaunchPlan
from azureml_local.engines.process import GuardedProcess
from azureml_local.engines.replicas import ReplicaSet


def names(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def test_socket_goes_with_an_instance_that_is_stopped_while_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment that is deleted right after the service's start: its processes are just being started."""
    plan = LaunchPlan("python", str(tmp_path), str(tmp_path / "score.py"), None, {}, 2, 1, 5, str(tmp_path / "log"))

    async def run(sockets: str) -> None:
        is_starting, never = asyncio.Event(), asyncio.Event()

        async def start(*_: object, **__: object) -> GuardedProcess:
            is_starting.set()
            await never.wait()
            raise AssertionError("unreachable")

        monkeypatch.setattr(GuardedProcess, "start", start)
        replicas = ReplicaSet(plan, Path(sockets), {})
        replicas.start_in_background()
        await is_starting.wait()
        assert names(sockets)
        await replicas.stop()
        assert not names(sockets)

    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:  # a socket's path must be short
        asyncio.run(run(sockets))
