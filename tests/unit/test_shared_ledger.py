"""A parallel job's ledger as a node on another machine uses it, in JSON, without an edge between.

That the same job comes of it over a network is shown by tests/heavy/test_many_hosts.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from azureml_local.dataplane import node_requests
from azureml_local.engines.jobs.distant_part import LEDGER, DistantPart
from azureml_local.engines.jobs.parallel.ledger import Ledger, MiniBatch, Tally, Try
from azureml_local.engines.jobs.parallel.shared_ledger import DistantLedger

BATCH = {"$type": "MiniBatch", "id": 0, "detail": {}, "items": 2, "tries": 0}
TRIED = {"$type": "Try", "node": 1, "process": "p", "started_at": 1.0, "elapsed": 1.0, "status": "RUN_DONE"}

Ask = Callable[[bytes], Awaitable[tuple[int, Any]]]


def with_part(folder: Path, work: Callable[[DistantPart, Ask], Awaitable[None]]) -> None:
    """Do something with a part, and with what its node asks: a body, for a status and what is answered."""

    async def main() -> None:
        part = DistantPart(folder, lambda _: None, dict)
        context = cast(Any, SimpleNamespace(runner=SimpleNamespace(distant={("job", 1, 0): part})))
        (answer,) = (
            cast(Any, route).endpoint
            for route in node_requests.routes(context)
            if (cast(Any, route).path, cast(Any, route).methods) == (LEDGER, {"POST"})
        )

        async def ask(body: bytes) -> tuple[int, Any]:
            scope = {
                "type": "http",
                "headers": [(b"authorization", f"Bearer {part.token}".encode())],
                "path_params": {"job": "job", "number": 1, "rank": 0},
            }

            async def receive() -> Mapping[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            response = await answer(Request(scope, receive))
            return response.status_code, json.loads(response.body)

        try:
            await work(part, ask)
        finally:
            part.close()

    asyncio.run(main())


def request(operation: str, *given: Any, **named: Any) -> dict[str, Any]:
    return {"id": "1", "operation": operation, "given": given, "named": named}


def test_node_elsewhere_does_with_the_ledger_what_one_here_does(tmp_path: Path) -> None:
    async def work(_: DistantPart, ask: Ask) -> None:
        numbers = iter(range(100))

        async def carried(asked: Mapping[str, Any]) -> Any:
            status, answer = await ask(json.dumps({"id": str(next(numbers)), **asked}).encode())
            assert status == 200
            return answer

        async def fetch(_: Path) -> None:
            raise AssertionError

        ledger = DistantLedger(carried, fetch, tmp_path)
        await ledger.plan(lambda: [({"files": ["a", "b"]}, 2), ({"files": ["c"]}, 1)])
        assert await ledger.do(Ledger.items) == 3
        picked = await ledger.do(Ledger.pick)
        assert picked == MiniBatch(0, {"files": ["a", "b"]}, 2, 0)
        tried = Try(1, "p", 1.0, 1.0, "RUN_DONE", 2, 2, bytes(range(256)))
        tally, following = await ledger.do(Ledger.settle, picked, tried, again=False)
        assert tally == Tally(2, 0, 1, 0, 2, 2, 0)
        assert following == MiniBatch(1, {"files": ["c"]}, 1, 0)
        assert list(Ledger(tmp_path).rows()) == [bytes(range(256))]

    with_part(tmp_path, work)


def test_what_is_asked_again_is_not_done_again(tmp_path: Path) -> None:
    async def work(_: DistantPart, ask: Ask) -> None:
        first = await ask(json.dumps(request("new_process", 3)).encode())
        assert first == (200, 0)
        assert await ask(json.dumps(request("new_process", 3)).encode()) == first
        assert await ask(json.dumps({**request("new_process", 3), "id": "2"}).encode()) == (200, 1)

    with_part(tmp_path, work)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b"[]",
        b"{}",
        json.dumps({**request("pick"), "id": []}).encode(),
        *(
            json.dumps(asked).encode()
            for asked in (
                request("close"),
                request("new_process", {}),
                request("new_process", "x"),
                request("new_process", 2**70),
                request("new_process", 1, 2),
                request("pick", **{"again": 1}),
                request("plan", [1]),
                request("plan", [[{}, {}]]),
                request("release", 1),
                request("release", {"$type": "Ledger"}),
                request("release", {"$type": "MiniBatch", "id": 1}),
                request("settle", {**BATCH, "tries": "a"}, TRIED, again=False),
                request("settle", BATCH, {**TRIED, "process": {}}, again=False),
                request("settle", BATCH, {**TRIED, "rows": {"$type": "bytes", "base64": "x"}}, again=False),
            )
        ),
    ],
)
def test_ledger_refuses_what_it_cannot_do_and_stays_as_it_is(tmp_path: Path, body: bytes) -> None:
    async def work(_: DistantPart, ask: Ask) -> None:
        await ask(json.dumps({**request("plan", [[{}, 2]]), "id": "0"}).encode())
        status, answer = await ask(body)
        assert (status, answer["error"]["code"]) == (400, "BadRequest")
        assert Ledger(tmp_path).tally() == Tally(1, 1, 0, 0, 0, 0, 0)

    with_part(tmp_path, work)


def test_part_that_ends_while_it_is_asked_does_nothing_more(tmp_path: Path) -> None:
    async def work(part: DistantPart, ask: Ask) -> None:
        loads = json.dumps(request("new_process", 3)).encode()
        stream = Request.stream

        async def ends_meanwhile(asked: Request) -> AsyncIterator[bytes]:
            async for piece in stream(asked):
                part.close()
                yield piece

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Request, "stream", ends_meanwhile)
            assert (await ask(loads))[0] == 410

    with_part(tmp_path, work)
    assert not list(tmp_path.iterdir())
