"""azureml_local.engines.instance_log: a log that its writer never closes stays small, and is read as one."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azureml_local.engines import instance_log


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(instance_log, "LARGEST", 100)
    path = tmp_path / "log"
    path.touch()
    return path


def test_writer_goes_on_in_the_log_that_was_begun_anew(log: Path) -> None:
    sizes = []
    with log.open("a") as file:  # to the end, wherever that is, as an instance's standard output
        for number in range(60):
            file.write(f"line {number}\n")
            file.flush()
            asyncio.run(instance_log.bound(log))
            sizes.append(log.stat().st_size)
    assert max(sizes) <= 100
    assert sorted(path.name for path in log.parent.iterdir()) == ["log", "log.1"]
    assert instance_log.last_lines(log, 15) == [f"line {number}\n" for number in range(45, 60)]


def test_small_log_is_left_alone(log: Path) -> None:
    log.write_text("a line\n")
    asyncio.run(instance_log.bound(log))
    assert [path.name for path in log.parent.iterdir()] == ["log"]
    assert instance_log.last_lines(log, 5) == ["a line\n"]


def test_log_that_is_gone_is_no_reason_to_fail(log: Path) -> None:
    log.unlink()
    asyncio.run(instance_log.bound(log))
    assert instance_log.last_lines(log, 5) == []


def test_instances_that_look_at_once_begin_it_anew_once(log: Path) -> None:
    """Those of a deployment are started together, and share the log: what it held must not be written over."""
    log.write_text("x" * 101)

    async def main() -> None:
        looked = threading.Event()
        with ThreadPoolExecutor(1) as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            asyncio.get_running_loop().run_in_executor(None, looked.wait)
            both = [asyncio.ensure_future(instance_log.bound(log)) for _ in range(2)]
            await asyncio.sleep(0)
            looked.set()
            await asyncio.gather(*both)

    asyncio.run(main())
    assert instance_log.former(log).read_text() == "x" * 101
