"""Workers of an existing Dask scheduler: which are nodes, which are not and why, and what becomes of them.

Dask's side is a stand-in here: what it tells is as its documentation has it (https://distributed.dask.org, Resources);
two real hosts are in tests/heavy/test_many_hosts.py.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local import attached_hosts
from azureml_local.arm.context import Context
from azureml_local.engines.compute import hosts
from azureml_local.engines.compute.hosts import PACKAGE, Hosts, HostsError, SchedulerSettings, Workers
from azureml_local.engines.compute.nodes import NodeError, Nodes
from azureml_local.engines.compute.pools import Pools
from azureml_local.store import Store
from fake_nodes import FakeNodes

OWN = importlib.metadata.version(PACKAGE)
SETTINGS = SchedulerSettings("tls://10.0.0.1:8786", ("Big",), "ca", "cert", "key")


class Client:
    """Stands for a client of the scheduler; ``versions`` are what the workers answer, by their addresses."""

    def __init__(self, versions: Mapping[str, Any]) -> None:
        self.versions = versions
        self.ran: list[str] = []

    async def run(self, function: Callable[..., Any], *_: Any, workers: list[str], **__: Any) -> Mapping[str, Any]:
        self.ran.append(function.__name__)
        return {address: self.versions[address] for address in workers if address in self.versions}


def worker(name: str, *tags: str) -> dict[str, Any]:
    return {"name": name, "resources": dict.fromkeys(tags, 1.0)}


async def workers_of(
    client: Client, found: Mapping[str, Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch, edge: str | None = "e:1"
) -> Workers:
    """Return what is known of a scheduler's workers once each was looked at."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Workers, "_keep", never)
    made = Workers(SETTINGS, lambda is_here: "127.0.0.1:1" if is_here else edge, lambda: None)
    made._client = cast(Any, client)
    for address, one in found.items():
        made._add(address, one)
    await asyncio.gather(*made._looks)
    return made


A, B, C = "tls://10.0.0.2:1", "tls://10.0.0.3:1", "tls://10.0.0.4:1"


def test_tagged_workers_are_nodes_in_any_case_and_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        found = {A: worker("a", "node:big"), B: worker("b", "node:BIG", "GPU"), C: worker("c", "GPU")}
        workers = await workers_of(Client({A: OWN, B: OWN}), found, monkeypatch)
        assert [one.name for one in workers] == ["a", "b"]
        starter = workers.starter("big")
        assert starter.is_elsewhere
        assert starter.count == 2
        first, second = await starter.start_node("n1"), await starter.start_node("n2")
        assert {first.address, second.address} == {A, B}
        assert (first.edge, starter.count) == ("e:1", 2)
        with pytest.raises(NodeError, match="No worker is free that has the resource node:big"):
            await starter.start_node("n3")
        await workers.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("version", "edge", "problem"),
    [
        (OWN, "e:1", ""),
        ("0.0.1", "e:1", f"It has {PACKAGE} 0.0.1, and this service {OWN}: install the same there"),
        (importlib.metadata.PackageNotFoundError(PACKAGE), "e:1", f"Its Python lacks {PACKAGE}: install version {OWN}"),
        (OSError("gone"), "e:1", "It does not say which version"),
        (OWN, None, "Its machine does not reach this service: start that with --listen ADDR."),
    ],
)
def test_why_a_worker_cannot_be_a_node(
    monkeypatch: pytest.MonkeyPatch, version: object, edge: str | None, problem: str
) -> None:
    async def main() -> None:
        workers = await workers_of(Client({A: version}), {A: worker("a", "node:big")}, monkeypatch, edge)
        (one,) = workers
        assert one.problem.startswith(problem)
        assert bool(one.problem) == bool(problem)
        assert workers.starter("big").count == (not problem)
        assert "1 usable" in workers.starter("big").why_not_more or problem
        await workers.close()

    asyncio.run(main())


def test_a_node_that_is_given_back_is_not_ended_and_can_be_had_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        client = Client({A: OWN})
        workers = await workers_of(client, {A: worker("a", "node:big")}, monkeypatch)
        node = await workers.starter("big").start_node("n1")
        await node.stop()
        assert node.is_lost
        assert client.ran[-1] == "stop_all"  # what it did for this service, and nothing else
        await asyncio.sleep(0)
        assert (await workers.starter("big").start_node("n2")).address == A
        await workers.close()

    asyncio.run(main())


def test_a_lost_worker_is_used_again_only_when_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        workers = await workers_of(Client({A: OWN}), {A: worker("a", "node:big")}, monkeypatch)
        node = await workers.starter("big").start_node("n1")
        node.lose()
        assert node.ended.done()
        assert workers.starter("big").count == 0
        await asyncio.gather(*workers._looks)
        assert workers.starter("big").count == 1
        await workers.close()

    asyncio.run(main())


def test_nodes_end_with_their_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        workers = await workers_of(Client({A: OWN}), {A: worker("a", "node:big")}, monkeypatch)
        node = await workers.starter("big").start_node("n1")
        workers._on_event((0.0, {"action": "remove-worker", "worker": A}))
        assert node.ended.done()
        assert list(workers) == []
        await workers.close()

    asyncio.run(main())


class Scheduler:
    """Stands for a client of a scheduler that is reached once this is told so."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def client(self, _: SchedulerSettings) -> Scheduler:
        self.asked.set()
        await self.answers.wait()
        return self

    async def close(self) -> None:
        """There is no connection."""


def with_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Context, Scheduler], Awaitable[None]]
) -> None:
    """Run a scenario with a service's schedulers, whose connections last as long as they are used."""

    async def keep(workers: Workers, _: object) -> None:
        connected.add(workers)
        try:
            await asyncio.Event().wait()
        finally:
            connected.remove(workers)

    async def main() -> None:
        scheduler, store = Scheduler(), Store(tmp_path / "state.db")
        monkeypatch.setattr(hosts, "_client", scheduler.client)
        used = Hosts(lambda _: None, lambda: None)
        pools = Pools(cast(Nodes, FakeNodes()), 8, used)
        try:
            await scenario(cast(Context, SimpleNamespace(store=store, pools=pools, hosts=used)), scheduler)
            await asyncio.sleep(0)  # connections begin
            assert connected == set(used)
        finally:
            await pools.close()
            await used.close()
            store.close()
        assert connected == set()

    connected: set[Workers] = set()
    monkeypatch.setattr(Workers, "_keep", keep)
    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (SETTINGS, "is attached"),
        (replace(SETTINGS, address="tls://10.0.0.9:8786"), "The nodes of Big come from tls://10.0.0.1:8786"),
    ],
)
def test_of_two_that_are_attached_at_once_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: SchedulerSettings, words: str
) -> None:
    async def scenario(context: Context, scheduler: Scheduler) -> None:
        both = asyncio.gather(
            attached_hosts.attach(context, SETTINGS), attached_hosts.attach(context, second), return_exceptions=True
        )
        await scheduler.asked.wait()
        scheduler.answers.set()
        first, refused = await both
        assert first is None
        assert isinstance(refused, HostsError)
        assert words in str(refused)
        assert [one["scheduler"] for one in attached_hosts.listed(context)] == [SETTINGS.address]
        assert len(context.store.all_of(attached_hosts.TYPE)) == 1

    with_hosts(tmp_path, monkeypatch, scenario)


def test_one_that_is_detached_while_it_is_attached_is_detached_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(context: Context, scheduler: Scheduler) -> None:
        attaching = asyncio.ensure_future(attached_hosts.attach(context, SETTINGS))
        await scheduler.asked.wait()
        detaching = asyncio.ensure_future(attached_hosts.detach(context, SETTINGS.address))
        scheduler.answers.set()
        await asyncio.gather(attaching, detaching)
        assert attached_hosts.listed(context) == []
        assert context.store.all_of(attached_hosts.TYPE) == []

    with_hosts(tmp_path, monkeypatch, scenario)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SchedulerSettings("tcp://10.0.0.1:8786", ("big",)), "beyond loopback without TLS"),
        (SchedulerSettings("tls://10.0.0.1:8786", ("big",)), "needs --tls-ca, --tls-cert and --tls-key"),
        (SchedulerSettings("10.0.0.1:8786", ("big",)), "must be tls://HOST:PORT"),
        (SchedulerSettings("http://10.0.0.1", ("big",)), "must be tls://HOST:PORT"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: SchedulerSettings, words: str) -> None:
    with pytest.raises(HostsError, match=words):
        settings.check()


def test_loopback_needs_no_tls_and_a_missing_file_is_named(tmp_path: Path) -> None:
    SchedulerSettings("tcp://127.0.0.1:8786", ("big",)).check()
    missing = str(tmp_path / "ca.pem")
    with pytest.raises(HostsError, match=r"ca\.pem cannot be read: No such file"):
        SchedulerSettings("tls://127.0.0.1:1", ("big",), missing, missing, missing).security()


@pytest.mark.parametrize(("host", "is_here"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("a", False)])
def test_which_host_is_this_machines_loopback(host: str, is_here: bool) -> None:
    assert hosts.is_loopback(host) is is_here
