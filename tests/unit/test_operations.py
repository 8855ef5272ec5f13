"""azureml_local.arm.operations: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations;
operations survive a restart (design.md, arm)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from azureml_local import store as store_module
from azureml_local.arm import operations as module
from azureml_local.arm.operations import Operations
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, Store

ID = "/subscriptions/S/things/A"
OPERATION = "oe:guid:1"


def run(tmp_path: Path, scenario: Callable[[Store, Operations], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(tmp_path / "state.db")
        started = Operations(store)
        try:
            await asyncio.wait_for(scenario(store, started), 20)
        finally:
            await started.close()
            store.close()

    asyncio.run(main())


def thing(store: Store) -> Resource:
    return store.put(ID, "things", "/", {"properties": {"provisioningState": "Creating"}}, "me")


def state(store: Store) -> str:
    found = store.get(ID)
    assert found is not None
    return str(found.properties["provisioningState"])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(None, "Succeeded", None), (AzureError(400, "Wrong", "so wrong"), "Failed", "Wrong"),
     (ZeroDivisionError("secret detail"), "Failed", "InternalServerError")],
    ids=str,
)  # fmt: skip
def test_end_is_written_of_operation_and_resource(
    tmp_path: Path, error: Exception | None, status: str, code: str | None
) -> None:
    async def work(_: Resource) -> None:
        if error:
            raise error

    async def scenario(store: Store, operations: Operations) -> None:
        operations.register("put", work)
        operations.begin("put", thing(store), OPERATION)
        ended = await operations.status(OPERATION)
        assert ended is not None
        assert (ended.status, state(store)) == (status, status)
        assert ended.ended_at is not None
        assert (ended.error or {}).get("code") == code
        assert "secret detail" not in str(ended.error)
        assert not operations.is_running_on(ID)

    run(tmp_path, scenario)


def test_status_waits_a_moment_and_then_says_in_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_HOLD", 0.05)
    released = asyncio.Event()

    async def work(_: Resource) -> None:
        await released.wait()

    async def scenario(store: Store, operations: Operations) -> None:
        operations.register("put", work)
        operations.begin("put", thing(store), OPERATION)
        assert (await operations.status(OPERATION)).status == "InProgress"  # type: ignore[union-attr]
        with pytest.raises(AzureError) as caught:
            operations.require_idle(ID.upper())
        assert caught.value.status == 409
        released.set()
        assert (await operations.status(OPERATION)).status == "Succeeded"  # type: ignore[union-attr]
        operations.require_idle(ID)

    run(tmp_path, scenario)


def test_unknown_operation(tmp_path: Path) -> None:
    async def scenario(_: Store, operations: Operations) -> None:
        assert await operations.status("oe:absent") is None

    run(tmp_path, scenario)


def test_what_was_cut_off_is_resumed_once(tmp_path: Path) -> None:
    runs: list[str] = []

    async def hangs(_: Resource) -> None:
        runs.append("first")
        await asyncio.Event().wait()

    async def ends(resource: Resource) -> None:
        runs.append(resource.id)

    async def first(store: Store, operations: Operations) -> None:
        operations.register("put", hangs)
        operations.begin("put", thing(store), OPERATION)
        await asyncio.sleep(0)

    async def second(store: Store, operations: Operations) -> None:
        assert store.get_operation(OPERATION).status == "InProgress"  # type: ignore[union-attr]
        assert state(store) == "Creating"
        operations.register("put", ends)
        operations.resume()
        assert operations.is_running_on(ID)
        assert (await operations.status(OPERATION)).status == "Succeeded"  # type: ignore[union-attr]
        assert state(store) == "Succeeded"

    async def third(_: Store, operations: Operations) -> None:
        operations.resume()
        assert not operations.is_running_on(ID)

    run(tmp_path, first)
    run(tmp_path, second)
    run(tmp_path, third)
    assert runs == ["first", ID]


def test_deletion_that_was_done_but_not_noted_has_succeeded(tmp_path: Path) -> None:
    async def first(store: Store, operations: Operations) -> None:

        async def work(_: Resource) -> None:
            await asyncio.Event().wait()

        operations.register("delete", work)
        operations.begin("delete", thing(store), OPERATION)
        await asyncio.sleep(0)
        store.delete(ID)

    async def second(store: Store, operations: Operations) -> None:
        operations.resume()
        assert (await operations.status(OPERATION)).status == "Succeeded"  # type: ignore[union-attr]
        assert store.unfinished_operations() == []

    run(tmp_path, first)
    run(tmp_path, second)


def test_end_that_finds_no_room_is_written_when_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation on a full disk must not stay "InProgress" once there is room (https://www.sqlite.org/rescode.html#full)."""
    monkeypatch.setattr(store_module, "WRITE_AGAIN_AFTER", 0.01)

    async def work(_: Resource) -> None:
        return

    async def scenario(store: Store, operations: Operations) -> None:
        operations.register("put", work)
        operations.begin("put", thing(store), OPERATION)
        store._db.execute("PRAGMA query_only = ON")  # every write fails, as on a disk that is full or read-only
        assert (await operations.status(OPERATION)).status == "InProgress"  # type: ignore[union-attr]
        assert operations.is_running_on(ID)
        store._db.execute("PRAGMA query_only = OFF")
        assert (await operations.status(OPERATION)).status == "Succeeded"  # type: ignore[union-attr]
        assert state(store) == "Succeeded"

    run(tmp_path, scenario)


def test_operation_begins_with_its_transaction_or_not_at_all(tmp_path: Path) -> None:
    """A resource that is "Creating" without an operation would stay so for ever."""
    runs: list[str] = []

    async def work(resource: Resource) -> None:
        runs.append(resource.id)

    async def scenario(store: Store, operations: Operations) -> None:
        operations.register("put", work)
        with pytest.raises(ZeroDivisionError), store.transaction():
            operations.begin("put", thing(store), OPERATION)
            raise ZeroDivisionError
        assert not operations.is_running_on(ID)
        assert store.get(ID) is None
        assert store.get_operation(OPERATION) is None
        with store.transaction():
            operations.begin("put", thing(store), OPERATION)
            assert not operations.is_running_on(ID)
        assert operations.is_running_on(ID)
        assert (await operations.status(OPERATION)).status == "Succeeded"  # type: ignore[union-attr]
        assert runs == [ID]

    run(tmp_path, scenario)
