"""Heartbeats of nodes on other machines, between a node's end of them and the service's, without an edge between.

Each side is given the other's answers by hand: what matters is who ends what, and when.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from azureml_local.engines.jobs import distant_part, elsewhere, execution
from azureml_local.engines.jobs.distant_part import DistantPart
from azureml_local.engines.jobs.elsewhere import Heart
from azureml_local.engines.jobs.fence import StaleAttemptError
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Gateway
from azureml_local.engines.staging import BlobPath
from azureml_local.http.upstream import Upstream, UpstreamError

SPEC = CommandSpec("/jobs/j", "j", "true", None, {}, {}, {}, {}, BlobPath("azureml", "ExperimentRun/dcid.j"))
QUICK = {"SECONDS_BETWEEN": 0.02, "ANSWERED_WITHIN": 0.05, "GIVES_UP_AFTER": 0.2}


class Line:
    """Stands for the way through the edge: to ``heard``, while it is not cut."""

    def __init__(self, heard: DistantPart) -> None:
        self.heard = heard
        self.is_cut = False
        self.requests = 0

    async def exchange(self, _: str, __: str, headers: Any, body: bytes, **___: Any) -> tuple[int, Any, bytes]:
        self.requests += 1
        if self.is_cut:
            raise UpstreamError("no route to host")
        token = dict(headers)[b"authorization"].decode().removeprefix("Bearer ")
        if not self.heard.is_from(token):
            return 410, [], b""
        said = json.loads(body)
        goes_on = self.heard.hear(said["reports"], is_last=said["is_last"])
        return (200 if goes_on else 410), [], json.dumps({"signatures": self.heard.sign()}).encode()

    def close(self) -> None:
        """There is no connection."""


def heart(line: Line, token: str | None = None, signatures: dict[str, str] | None = None) -> Heart:
    gateway = Gateway("192.0.2.1:1", "", "eastus.api.azureml.ms", token or line.heard.token, "account")
    attempt = Attempt(SPEC, 1, 0, "", "", (), {}, None, gateway=gateway)
    made = Heart(attempt, gateway, {} if signatures is None else signatures)
    made._service = cast(Upstream, line)
    return made


class Leaps(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Where there is nothing to do until a time, that time is there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.now += timeout
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for no time, so that a busy machine changes nothing of who is first."""

    def __init__(self) -> None:
        self._leaps = Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now


def run_leaping(main: Coroutine[Any, Any, None]) -> None:
    """Run what waits for times only, and for no thread."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(main)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in QUICK.items():
        monkeypatch.setattr(elsewhere, name, seconds)
    monkeypatch.setattr(distant_part, "LOST_AFTER", 0.4)


def test_node_gives_up_before_the_service_takes_it_for_lost() -> None:
    async def main() -> None:
        line = Line(DistantPart(Path(), lambda _: None, dict))
        given_up = asyncio.Event()

        async def give_up() -> None:
            given_up.set()

        beating = heart(line)
        await beating.start(give_up)
        loss = asyncio.ensure_future(line.heard.lost())
        await asyncio.sleep(0.5)  # longer than either would wait: answered heartbeats keep both
        assert not given_up.is_set()
        assert not loss.done()
        line.is_cut = True
        await asyncio.wait((asyncio.ensure_future(given_up.wait()), loss), return_when=asyncio.FIRST_COMPLETED)
        assert given_up.is_set()
        assert not loss.done()
        await loss
        line.is_cut = False  # what comes late finds that the attempt is over
        with pytest.raises(StaleAttemptError):
            await heart(line).start(give_up)
        await beating.stop()

    run_leaping(main())


def test_reports_come_in_order_and_those_of_a_moment_without_connection_too() -> None:
    reports: list[Mapping[str, Any]] = []

    async def main() -> None:
        line = Line(DistantPart(Path(), reports.append, dict))

        async def give_up() -> None:
            raise AssertionError

        beating = heart(line)
        await beating.start(give_up)
        beating.send({"status": "Staged"})
        while not reports:  # noqa: ASYNC110 - what is waited for is the other side's
            await asyncio.sleep(0.001)
        line.is_cut = True
        beating.send({"status": "Running"})
        beating.send({"metrics": {"Failed Items": 0}})
        before = line.requests
        while line.requests == before:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        line.is_cut = False
        while len(reports) < 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        await beating.stop()
        line.heard.close()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert reports == [{"status": "Staged"}, {"status": "Running"}, {"metrics": {"Failed Items": 0}}]


def test_signatures_are_there_at_once_and_are_renewed() -> None:
    async def main() -> None:
        numbers = itertools.count(1)
        line = Line(DistantPart(Path(), lambda _: None, lambda: {"azureml": f"sig={next(numbers)}"}))
        signatures: dict[str, str] = {}

        async def give_up() -> None:
            raise AssertionError

        beating = heart(line, signatures=signatures)
        await beating.start(give_up)
        assert signatures == {"azureml": "sig=1"}
        while signatures["azureml"] in ("sig=1", "sig=2"):  # noqa: ASYNC110 - what is waited for is the other side's
            await asyncio.sleep(0.001)
        await beating.stop()
        line.heard.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_another_parts_token_is_refused_and_a_service_that_does_not_answer_is_named() -> None:
    async def main() -> str:
        line = Line(DistantPart(Path(), lambda _: None, dict))

        async def give_up() -> None:
            raise AssertionError

        with pytest.raises(StaleAttemptError):
            await heart(line, token="another's").start(give_up)
        line.is_cut = True
        with pytest.raises(UpstreamError) as caught:
            await heart(line).start(give_up)
        line.heard.close()
        return str(caught.value)

    assert "does not reach the service at 192.0.2.1:1: no route to host." in asyncio.run(main())


async def answered(status: int) -> tuple[int, Any, bytes]:
    return status, [], b""


async def no_route() -> tuple[int, Any, bytes]:
    raise UpstreamError("no route to host")


async def cut_off() -> tuple[int, Any, bytes]:
    raise asyncio.CancelledError


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """An attempt whose node works in a folder of ``tmp_path``."""
    monkeypatch.setenv(elsewhere.FOLDER, str(tmp_path))
    gateway = Gateway("192.0.2.1:1", "", "eastus.api.azureml.ms", "token", "account")
    return Attempt(SPEC, 1, 0, "", "", (), {}, None, gateway=gateway)


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (partial(answered, 410), StaleAttemptError),
        (partial(answered, 400), None),
        (no_route, None),
        (cut_off, asyncio.CancelledError),
    ],
)
def test_part_that_does_not_begin_leaves_nothing(
    tmp_path: Path,
    attempt: Attempt,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], Awaitable[tuple[int, Any, bytes]]],
    raised: type[BaseException] | None,
) -> None:
    async def exchange(*_: object, **__: object) -> tuple[int, Any, bytes]:
        return await answer()

    monkeypatch.setattr(Upstream, "exchange", exchange)
    if raised:
        with pytest.raises(raised):
            asyncio.run(execution.run(attempt))
    else:
        assert asyncio.run(execution.run(attempt)).code == "ServiceError"
    assert list((tmp_path / "jobs").iterdir()) == []
    assert execution._parts == {}


def test_part_that_another_process_has_is_left_to_it(tmp_path: Path, attempt: Attempt) -> None:
    its = tmp_path / "jobs" / f"{SPEC.key}-1-0"
    its.mkdir(parents=True)
    with its.with_name(f"{its.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert asyncio.run(execution.run(attempt)).code == "ServiceError"
        assert its.is_dir()
        assert its.with_name(f"{its.name}.lock").exists()
    assert execution._parts == {}


def test_gateway_shows_no_secret() -> None:
    """Dask logs what a function that raises was called with."""
    gateway = Gateway("192.0.2.1:1", "PEM", "eastus.api.azureml.ms", "the-token", "account")
    shown = repr(Attempt(SPEC, 1, 0, "", "", (), {}, None, gateway=gateway))
    assert "the-token" not in shown
    assert "192.0.2.1:1" in shown
