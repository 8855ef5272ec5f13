"""azureml_local.engines.inference_server: what is left of instances that do not come to serve."""

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from azureml_local.engines.guard import OUT_OF_MEMORY
from azureml_local.engines.inference_server import Instance, InstanceMemoryError, LaunchPlan
from azureml_local.engines.process import GuardedProcess
from azureml_local.engines.replicas import ReplicaSet
from azureml_local.http.upstream import UpstreamError

MIB = 1024 * 1024


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


HOARDS = """
hoard = []

def init():
    hoard.append(b"x" * {at_start})
    while hoard[0]:  # goes on to work with what it holds: the guard looks every quarter of a second
        pass

def run(raw):
    hoard.append(b"x" * int(raw))
    return "fine"
"""


def instance(folder: Path, script: str, memory: float) -> Instance:
    """Return an instance of the real inference server, not yet started."""
    (folder / "score.py").write_text(script)
    plan = LaunchPlan(
        sys.executable, str(folder), str(folder / "score.py"), None, {}, 1, 1, 5, str(folder / "log"), memory=memory
    )
    return Instance(plan, Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")) / "s", {})


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_instance_that_needs_more_memory_than_its_size_has_never_serves(tmp_path: Path) -> None:
    """how-to-troubleshoot-online-endpoints, OutOfQuota: "Memory"."""
    starting = instance(tmp_path, HOARDS.format(at_start=700 * MIB), memory=0.5)
    with pytest.raises(InstanceMemoryError, match=r"OOMKilled: it used more memory than the 0\.5 GiB"):
        asyncio.run(starting.start())
    assert "OOMKilled" in (tmp_path / "log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_instance_that_grows_over_its_memory_is_ended(tmp_path: Path) -> None:
    async def run() -> None:
        started = instance(tmp_path, HOARDS.format(at_start=0), memory=0.5)
        await started.start()
        try:
            assert await started.ask() is None
            with pytest.raises(UpstreamError):
                while True:  # the guard looks every quarter of a second
                    await started.upstream.exchange("POST", "/score", [], b"%d" % (700 * MIB), seconds=20, largest=MIB)
            async with asyncio.timeout(20):
                assert await started.process.ended == OUT_OF_MEMORY
        finally:
            await started.stop()

    asyncio.run(run())
