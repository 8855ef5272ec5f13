"""What drives a pipeline: long chains, and a cancellation that comes while steps begin.

Truth: of a pipeline that is cancelled no further step begins (Azure ML's ``cancel`` of a pipeline job); the store is a
real one, and what begins a step's job is a stand-in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm.jobs import lineage
from azureml_local.arm.pipelines import orchestration
from azureml_local.arm.pipelines.orchestration import _Orchestration
from azureml_local.store import Resource, Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w"
PIPELINE = f"{WORKSPACE}/jobs/p"
LONG = 1050  # steps, each of which waits for the one before it
Begin = Callable[[Resource, str], None]


class Log:
    def write(self, _: str) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state.db")
    yield store
    store.close()


def pipeline(store: Store, needs: dict[str, list[str]]) -> Resource:
    settings = {
        "continue_on_step_failure": True,
        "continue_run_on_failed_optional_input": True,
        "force_rerun": False,
    }
    steps = {name: {"needs": needed, "spares": [], "promised": {}} for name, needed in needs.items()}
    properties = {"status": "Running", "settings": settings, "properties": {}}
    body = {"properties": properties, "run": {}, "plan": {"steps": steps}}
    return store.put(PIPELINE, "workspaces/jobs", WORKSPACE, body, "me")


def steps_of(store: Store) -> list[str | None]:
    return [lineage.step(child) for child in store.children("workspaces/jobs", PIPELINE)]


def orchestrated(store: Store, job: Resource, monkeypatch: pytest.MonkeyPatch, begun: Begin = lambda *_: None) -> None:
    """Go on with a pipeline whose steps have all completed at once."""

    def begin(self: _Orchestration, name: str, children: Any) -> Resource:
        body = {"properties": {"status": "Completed"}, "run": lineage.of_step(job, name, name)}
        child = store.put(f"{WORKSPACE}/jobs/{name}", "workspaces/jobs", PIPELINE, body, "me")
        begun(job, name)
        return child

    monkeypatch.setattr(_Orchestration, "_begin", begin)
    monkeypatch.setattr(orchestration, "text", lambda children: "")
    context: Any = SimpleNamespace(store=store)
    log: Any = Log()

    async def run() -> None:
        await _Orchestration(context, job, log)._run_steps()

    with store.transaction():  # which spares the disk a write for each step
        asyncio.run(run())


def test_a_long_chain_of_steps_that_end_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {f"s{number}": [f"s{number - 1}"] if number else [] for number in range(LONG)}
    orchestrated(store, pipeline(store, needs), monkeypatch)
    assert steps_of(store) == list(needs)


@pytest.mark.parametrize("status", ["CancelRequested", "Canceled"])
def test_no_step_begins_once_the_pipeline_is_to_be_cancelled(
    store: Store, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    def cancel(job: Resource, name: str) -> None:
        if name == "b":
            store.save(job.with_properties(status=status))

    orchestrated(store, pipeline(store, {"a": [], "b": [], "c": [], "d": ["a"]}), monkeypatch, cancel)
    assert steps_of(store) == ["a", "b"]


def test_no_step_begins_of_a_pipeline_that_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = pipeline(store, {"a": []})
    store.delete(job.id)
    orchestrated(store, job, monkeypatch)
    assert steps_of(store) == []
