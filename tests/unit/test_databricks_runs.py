"""How clusters and runs of Databricks live, on drivers that start nothing.

States, results and codes: https://docs.databricks.com/api/azure/workspace/jobs/getrun; what run_if means:
https://docs.databricks.com/azure/en/jobs/run-if.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_drivers import FakeDrivers, until

from azureml_local.arm import databricks
from azureml_local.arm.timers import Timers
from azureml_local.dataplane.databricks import run_states
from azureml_local.dataplane.databricks.call import Fields
from azureml_local.dataplane.databricks.cluster_life import TYPE as CLUSTER_TYPE
from azureml_local.dataplane.databricks.cluster_life import Clusters
from azureml_local.dataplane.databricks.job_settings import read_settings
from azureml_local.dataplane.databricks.run_life import TYPE, Runs
from azureml_local.dataplane.databricks.run_states import CANCELED, FAILED, SUCCESS, TIMED_OUT
from azureml_local.dataplane.databricks.workspaces import Workspaces
from azureml_local.engines.spark.driver import Outcome
from azureml_local.store import Resource, Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w"
SPEC = {"spark_version": "15.4.x-scala2.12", "node_type_id": "Standard_DS3_v2", "num_workers": 0}


@dataclass
class World:
    """A workspace with clusters and runs on drivers that start nothing."""

    store: Store
    drivers: FakeDrivers
    timers: Timers
    clusters: Clusters
    runs: Runs
    folder: Path

    def cluster(self, **spec: Any) -> Resource:
        return self.clusters.create(WORKSPACE, {**SPEC, **spec}, "me", "API")

    def submit(self, *tasks: dict[str, Any], **body: Any) -> Resource:
        settings = {"tasks": list(tasks), **body.pop("settings", {})}
        stored = {"run_name": "r", "run_type": "SUBMIT_RUN", "job_parameters": [], "settings": settings, **body}
        return self.runs.submit(WORKSPACE, stored, "me")

    def now(self, resource: Resource) -> Resource:
        found = self.store.get(resource.id)
        assert found is not None
        return found

    def body(self, resource: Resource) -> dict[str, Any]:
        return self.now(resource).body

    def libraries(self, cluster: Resource) -> dict[str, str]:
        return {one["library"]["pypi"]["package"]: one["status"] for one in self.body(cluster)["libraries"]}

    async def ended(self, run: Resource) -> dict[str, Any]:
        """Wait for a run's end and return the state of each task by its key, and of the run under ''."""
        await until(lambda: self.body(run)["state"]["life_cycle_state"] not in run_states.ACTIVE)
        states = {task.body["spec"]["task_key"]: task.body["state"] for task in self.runs.tasks(run)}
        return {**states, "": self.body(run)["state"]}

    async def started(self, *keys: str) -> None:
        await until(lambda: set(keys) <= set(self.drivers.started))


@asynccontextmanager
async def new_world(folder: Path) -> AsyncIterator[World]:
    store, drivers, timers = Store(folder / "state.db"), FakeDrivers(), Timers()
    if store.get(WORKSPACE) is None:
        store.put(WORKSPACE, databricks.TYPE, "", {"properties": {}}, "me")
    clusters = Clusters(store, timers, drivers, lambda _: folder)  # type: ignore[arg-type]
    runs = Runs(store, clusters, drivers, lambda _: folder)  # type: ignore[arg-type]
    (folder / "workspace").mkdir(exist_ok=True)
    (folder / "workspace" / "main.py").write_text("")
    (folder / "workspace" / "nb").write_text("")
    yield World(store, drivers, timers, clusters, runs, folder)
    await runs.close()
    await clusters.close()
    timers.cancel("")
    store.close()


def in_world(test: Callable[[World], Awaitable[None]], folder: Path) -> None:
    async def run() -> None:
        async with new_world(folder) as world:
            await test(world)

    asyncio.run(run())


def on(cluster: Resource, key: str = "main", *after: str, **more: Any) -> dict[str, Any]:
    """Return a Python task on a cluster."""
    script = {"python_file": "/main.py", **more.pop("script", {})}
    found = {"task_key": key, "existing_cluster_id": cluster.name, "spark_python_task": script, **more}
    return {**found, "depends_on": [{"task_key": one} for one in after]} if after else found


BAD = Outcome(error="ValueError: x", trace="Traceback")


@pytest.mark.parametrize(
    ("failing", "run_if", "result", "of_run"),
    [
        ((), "ALL_SUCCESS", "SUCCESS", "SUCCESS"),
        (("a",), "ALL_SUCCESS", "UPSTREAM_FAILED", "FAILED"),
        (("a",), "AT_LEAST_ONE_SUCCESS", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        (("a", "b"), "AT_LEAST_ONE_SUCCESS", "UPSTREAM_FAILED", "FAILED"),
        (("a",), "ALL_DONE", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        (("a",), "NONE_FAILED", "UPSTREAM_FAILED", "FAILED"),
        ((), "AT_LEAST_ONE_FAILED", "EXCLUDED", "SUCCESS"),
        (("a",), "AT_LEAST_ONE_FAILED", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        (("a",), "ALL_FAILED", "EXCLUDED", "SUCCESS_WITH_FAILURES"),
        (("a", "b"), "ALL_FAILED", "SUCCESS", "SUCCESS_WITH_FAILURES"),
    ],
)
def test_a_task_runs_if_those_before_it_ended_so(
    tmp_path: Path, failing: tuple[str, ...], run_if: str, result: str, of_run: str
) -> None:
    async def test(world: World) -> None:
        world.drivers.outcomes = dict.fromkeys(failing, BAD)
        cluster = world.cluster()
        run = world.submit(on(cluster, "a"), on(cluster, "b"), on(cluster, "c", "a", "b", run_if=run_if))
        states = await world.ended(run)
        assert (states["c"]["result_state"], states[""]["result_state"]) == (result, of_run)
        assert ("c" in world.drivers.started) == (result == "SUCCESS")

    in_world(test, tmp_path)


def test_a_failed_task_has_its_error_and_the_run_its_message(tmp_path: Path) -> None:
    """As recorded in https://github.com/databricks/databricks-sdk-py/issues/375 and dagster-io/dagster#19715."""

    async def test(world: World) -> None:
        world.drivers.outcomes["main"] = BAD
        run = world.submit(on(world.cluster()))
        states = await world.ended(run)
        assert states["main"] == FAILED.to_state()["state"]
        assert states[""]["life_cycle_state"] == "INTERNAL_ERROR"
        assert states[""]["state_message"] == (
            "Task main failed with message: Workload failed, see run output for details."
        )
        task = world.runs.tasks(run)[0].body
        assert (task["error"], task["error_trace"]) == ("ValueError: x", "Traceback")
        assert task["start_time"] <= task["end_time"]

    in_world(test, tmp_path)


def test_cancelled_in_the_middle_nothing_goes_on(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        world.drivers.held = {"a"}
        run = world.submit(on(cluster, "a"), on(cluster, "b", "a"))
        await world.started("a")
        await world.runs.cancel(run)
        states = await world.ended(run)
        assert all(states[key] == CANCELED.to_state()["state"] for key in ("a", "b", ""))
        assert "a" in world.drivers.ended
        await world.runs.cancel(run)  # once more does nothing
        assert "b" not in world.drivers.started

    in_world(test, tmp_path)


def test_cancelled_twice_a_run_ends_once_its_driver_has(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.drivers.held, world.drivers.lingering = {"main"}, {"main": asyncio.Event()}
        run = world.submit(on(world.cluster()))
        await world.started("main")
        first = asyncio.create_task(world.runs.cancel(run))
        await until(lambda: "main" in world.drivers.stopping)
        second = asyncio.create_task(world.runs.cancel(run))
        await asyncio.sleep(0)  # until it waits
        world.drivers.lingering["main"].set()
        await asyncio.gather(first, second)
        assert "main" in world.drivers.ended
        assert (await world.ended(run))["main"] == CANCELED.to_state()["state"]

    in_world(test, tmp_path)


@pytest.mark.parametrize("where", ["task", "run"])
def test_what_takes_too_long_times_out(tmp_path: Path, where: str) -> None:
    async def test(world: World) -> None:
        world.drivers.held = {"main"}
        limit = {"timeout_seconds": 0.01}
        of_task, of_run = (limit, {}) if where == "task" else ({}, limit)
        run = world.submit(on(world.cluster(), **of_task), settings=of_run)
        states = await world.ended(run)
        assert states["main"] == TIMED_OUT.to_state()["state"]
        assert states[""]["result_state"] == ("FAILED" if where == "task" else "TIMEDOUT")
        assert world.drivers.ended.count("main") == world.drivers.started.count("main")

    in_world(test, tmp_path)


def test_numbers_that_are_sent_as_texts_are_kept_as_numbers() -> None:
    task = {"task_key": "main", "existing_cluster_id": "c", "spark_python_task": {"python_file": "/main.py"}}
    sent = {"timeout_seconds": "60", "max_concurrent_runs": "2", "tasks": [{**task, "timeout_seconds": "30"}]}
    settings = read_settings(Fields(sent))
    assert (settings["timeout_seconds"], settings["max_concurrent_runs"]) == (60, 2)
    assert settings["tasks"][0]["timeout_seconds"] == 30
    settings = read_settings(Fields({"tasks": [task]}))
    assert not {"timeout_seconds", "max_concurrent_runs"} & {*settings, *settings["tasks"][0]}


def test_a_run_whose_settings_the_service_fails_on_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        run = world.submit(on(cluster), on(cluster, "next", "main"), settings={"timeout_seconds": "60"})
        states = await world.ended(run)
        assert (states[""]["life_cycle_state"], states[""]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
        assert "its log has the details" in states[""]["state_message"]
        assert states["main"] == states["next"] == states[""]
        assert "TypeError" in caplog.text

    in_world(test, tmp_path)


def test_a_run_that_the_service_fails_on_leaves_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World) -> None:
        terminate = world.clusters.terminate

        async def fail_once(*_: object) -> None:
            monkeypatch.setattr(world.clusters, "terminate", terminate)
            raise ValueError

        monkeypatch.setattr(world.clusters, "terminate", fail_once)
        run = world.submit({**on(world.cluster()), "existing_cluster_id": None, "new_cluster": SPEC})
        states = await world.ended(run)
        assert (states["main"]["result_state"], states[""]["life_cycle_state"]) == ("SUCCESS", "INTERNAL_ERROR")
        own = world.clusters.get(WORKSPACE, world.runs.tasks(run)[0].body["cluster_id"])
        assert own is not None
        await until(lambda: world.body(own)["state"] == "TERMINATED")

    in_world(test, tmp_path)


def test_a_cluster_that_is_terminated_takes_its_tasks_along(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster, other = world.cluster(), world.cluster()
        world.drivers.held = {"a", "b"}
        run, spared = world.submit(on(cluster, "a")), world.submit(on(other, "b"))
        await world.started("a", "b")
        await world.runs.end_on(WORKSPACE, cluster.name)
        await world.clusters.terminate(cluster, "USER_REQUEST", "me")
        states = await world.ended(run)
        assert (states["a"]["life_cycle_state"], states["a"]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
        assert "terminated while" in states["a"]["state_message"]
        assert world.body(cluster)["termination_reason"]["code"] == "USER_REQUEST"
        assert world.body(spared)["state"]["life_cycle_state"] == "RUNNING"

    in_world(test, tmp_path)


def test_a_service_that_ended_in_the_middle_says_so(tmp_path: Path) -> None:
    """Whether it was stopped or killed: what the store says is the same."""

    async def begin(world: World) -> None:
        world.drivers.held = {"main"}
        world.submit(on(world.cluster()))
        world.submit({**on(world.cluster()), "existing_cluster_id": None, "new_cluster": SPEC, "task_key": "own"})
        await world.started("main", "own")

    async def go_on(world: World) -> None:
        world.runs.resume()
        world.clusters.resume()
        first, *_ = world.store.all_of(TYPE)
        state = world.body(first)["state"]
        assert (state["life_cycle_state"], state["result_state"]) == ("INTERNAL_ERROR", "FAILED")
        assert "in the middle of the run" in state["state_message"]
        of_jobs = [one for one in world.store.all_of(CLUSTER_TYPE) if one.body["cluster_source"] == "JOB"]
        assert [one.body["state"] for one in of_jobs] == ["TERMINATED"]

    in_world(begin, tmp_path)
    in_world(go_on, tmp_path)


def test_a_runs_own_cluster_that_does_not_start_keeps_its_reason(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.drivers.outcomes["probe"] = BAD
        run = world.submit({**on(world.cluster()), "existing_cluster_id": None, "new_cluster": SPEC})
        assert "SPARK_STARTUP_FAILURE" in (await world.ended(run))["main"]["state_message"]
        (own,) = (one for one in world.store.all_of(CLUSTER_TYPE) if one.body["cluster_source"] == "JOB")
        assert (own.body["state"], own.body["termination_reason"]["code"]) == ("TERMINATED", "SPARK_STARTUP_FAILURE")

    in_world(test, tmp_path)


def test_a_workspace_that_is_deleted_twice_at_once_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        store, drivers = Store(tmp_path / "state.db"), FakeDrivers()
        context = SimpleNamespace(store=store, timers=Timers())
        workspaces = Workspaces(context, tmp_path, drivers)  # type: ignore[arg-type]
        workspace = store.put(WORKSPACE, databricks.TYPE, "", {"properties": {"workspaceId": "1"}}, "me")
        workspaces.files(workspace).write("/main.py", b"")
        drivers.held = {"main"}
        cluster = workspaces.clusters.create(WORKSPACE, SPEC, "me", "API")
        body = {"run_name": "r", "run_type": "SUBMIT_RUN", "job_parameters": [], "settings": {"tasks": [on(cluster)]}}
        workspaces.runs.submit(WORKSPACE, body, "me")
        await until(lambda: drivers.started.count("main"))
        await asyncio.gather(*(workspaces.delete_workspace(workspace) for _ in range(2)))
        assert (drivers.ended, store.get(WORKSPACE), (tmp_path / "1").exists()) == (["probe", "main"], None, False)
        await workspaces.close()
        store.close()

    asyncio.run(test())


def test_a_cluster_that_ended_is_started_for_a_run(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await world.clusters.terminate(cluster, "USER_REQUEST")
        run = world.submit(on(cluster))
        assert (await world.ended(run))[""] == SUCCESS.to_state()["state"]
        assert world.body(cluster)["state"] == "RUNNING"

    in_world(test, tmp_path)


def test_an_idle_cluster_ends_and_a_used_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_LOCAL_CLOCK_FACTOR", "60000")  # ten minutes are 10 ms

    async def test(world: World) -> None:
        cluster = world.cluster(autotermination_minutes=10)
        world.drivers.held = {"main"}
        run = world.submit(on(cluster))
        await world.started("main")
        await asyncio.sleep(0.03)
        assert world.body(cluster)["state"] == "RUNNING"
        await world.runs.cancel(run)
        await until(lambda: world.body(cluster)["state"] != "RUNNING")
        assert world.body(cluster)["termination_reason"]["code"] == "INACTIVITY"

    in_world(test, tmp_path)


def test_libraries_are_installed_before_the_task_or_it_fails(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.drivers.unavailable = {"nosuch"}
        cluster = world.cluster()
        good, bad = ({"libraries": [{"pypi": {"package": name}}]} for name in ("numpy", "nosuch"))
        assert (await world.ended(world.submit(on(cluster, **good))))[""]["result_state"] == "SUCCESS"
        assert world.drivers.interpreters[-1] == ("numpy",)
        states = await world.ended(world.submit(on(cluster, **bad)))
        assert "Library installation failed" in states["main"]["state_message"]
        assert "there is no nosuch" in states["main"]["state_message"]
        assert world.libraries(cluster) == {"numpy": "INSTALLED", "nosuch": "FAILED"}

    in_world(test, tmp_path)


def test_an_installed_package_is_there_until_the_cluster_starts_again(tmp_path: Path) -> None:
    """ "When you uninstall a library from a cluster, the library is removed only when you restart the cluster."

    databricks-sdk, databricks/sdk/service/compute.py
    """

    async def test(world: World) -> None:
        cluster = world.cluster()
        world.drivers.unavailable = {"nosuch"}
        with_it = on(cluster, libraries=[{"pypi": {"package": "rich"}}])
        await world.ended(world.submit(with_it))
        world.clusters.install(world.now(cluster), ["numpy", "nosuch"])
        await until(lambda: world.libraries(cluster)["nosuch"] == "FAILED")
        world.clusters.uninstall(world.now(cluster), ["numpy", "nosuch", "rich"])
        assert world.libraries(cluster) == dict.fromkeys(("rich", "numpy"), "UNINSTALL_ON_RESTART")
        await world.ended(world.submit(on(cluster)))
        assert world.drivers.interpreters[-1] == ("rich", "numpy")
        await world.ended(world.submit(with_it))  # asked for again, it stays
        assert world.libraries(cluster) == {"rich": "INSTALLED", "numpy": "UNINSTALL_ON_RESTART"}
        world.clusters.start(world.now(cluster), "me")
        await world.ended(world.submit(on(cluster)))
        assert (world.libraries(cluster), world.drivers.interpreters[-1]) == ({"rich": "INSTALLED"}, ("rich",))
        await world.clusters.terminate(cluster, "USER_REQUEST")
        world.clusters.uninstall(world.now(cluster), ["rich"])
        assert world.libraries(cluster) == {}

    in_world(test, tmp_path)


def test_an_installation_that_the_service_ended_in_goes_on_with_the_next(tmp_path: Path) -> None:
    async def begin(world: World) -> None:
        cluster = world.cluster()
        await until(lambda: world.body(cluster)["state"] == "RUNNING")
        world.drivers.slow["tqdm"] = asyncio.Event()
        world.clusters.install(cluster, ["tqdm"])
        await until(lambda: world.libraries(cluster) == {"tqdm": "INSTALLING"})

    async def go_on(world: World) -> None:
        world.clusters.resume()
        (cluster,) = world.store.all_of(CLUSTER_TYPE)
        await until(lambda: world.libraries(cluster) == {"tqdm": "INSTALLED"})

    in_world(begin, tmp_path)
    in_world(go_on, tmp_path)


@pytest.mark.parametrize("how", ["asked", "restarted"])
def test_what_could_not_be_installed_is_tried_again(tmp_path: Path, how: str) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await until(lambda: world.body(cluster)["state"] == "RUNNING")
        world.drivers.unavailable = {"a", "b"}
        world.clusters.install(cluster, ["a", "b"])
        await until(lambda: set(world.libraries(cluster).values()) == {"FAILED"})
        world.drivers.unavailable = set()
        if how == "asked":
            world.clusters.install(world.now(cluster), ["a", "b"])
        else:
            world.clusters.start(world.now(cluster), "me")
        await until(lambda: set(world.libraries(cluster).values()) == {"INSTALLED"})

    in_world(test, tmp_path)


def test_a_package_that_the_service_fails_on_has_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await world.ended(world.submit(on(cluster)))
        world.drivers.slow = {"tqdm": None}  # type: ignore[dict-item] # nothing that could be waited for
        states = await world.ended(world.submit(on(cluster, libraries=[{"pypi": {"package": "tqdm"}}])))
        assert "its log has the details" in states["main"]["state_message"]
        assert world.libraries(cluster) == {"tqdm": "FAILED"}
        assert "AttributeError" in caplog.text

    in_world(test, tmp_path)


def test_every_task_waits_for_its_own_packages(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await world.ended(world.submit(on(cluster)))
        world.drivers.slow = {"tqdm": asyncio.Event(), "rich": asyncio.Event()}
        wanted = {"a": "tqdm", "b": "rich", "c": "tqdm"}
        runs = {}
        for key, package in wanted.items():
            runs[key] = world.submit(on(cluster, key, libraries=[{"pypi": {"package": package}}]))
            await until(lambda key=key: "cluster_id" in world.runs.tasks(runs[key])[0].body)
            for _ in range(10):  # until it waits for its package
                await asyncio.sleep(0)
        world.drivers.slow["tqdm"].set()
        for key in ("a", "c"):
            assert (await world.ended(runs[key]))[""]["result_state"] == "SUCCESS"
            assert "tqdm" in world.drivers.interpreters[-1]
        assert (world.libraries(cluster)["rich"], "b" in world.drivers.started) == ("INSTALLING", False)
        world.drivers.slow["rich"].set()
        assert (await world.ended(runs["b"]))[""]["result_state"] == "SUCCESS"
        assert world.drivers.interpreters[-1] == ("tqdm", "rich")

    in_world(test, tmp_path)


def test_a_cluster_that_is_terminated_installs_nothing_any_more(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await until(lambda: world.body(cluster)["state"] == "RUNNING")
        slow = world.drivers.slow["tqdm"] = asyncio.Event()
        world.clusters.install(cluster, ["tqdm"])
        await until(lambda: world.libraries(cluster) == {"tqdm": "INSTALLING"})
        await world.clusters.terminate(cluster, "USER_REQUEST")
        slow.set()
        world.clusters.install(cluster, ["rich"])
        assert world.libraries(cluster) == {"tqdm": "PENDING", "rich": "PENDING"}
        assert world.drivers.interpreters == [()]
        world.clusters.start(cluster, "me")
        await until(lambda: set(world.libraries(cluster).values()) == {"INSTALLED"})

    in_world(test, tmp_path)


def test_a_package_that_is_taken_away_while_a_task_waits_for_it_fails_the_task(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cluster = world.cluster()
        await world.ended(world.submit(on(cluster)))
        world.drivers.slow["tqdm"] = asyncio.Event()
        run = world.submit(on(cluster, libraries=[{"pypi": {"package": "tqdm"}}]))
        await until(lambda: world.libraries(cluster) == {"tqdm": "INSTALLING"})
        world.clusters.uninstall(cluster, ["tqdm"])
        world.drivers.slow["tqdm"].set()
        assert "tqdm was uninstalled" in (await world.ended(run))["main"]["state_message"]

    in_world(test, tmp_path)


def test_parameters_refer_to_the_run_and_name_files_where_they_are_here(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        sent = ["{{job.parameters.p}}/{{task.name}}", "{{no.such}}", "/dbfs/a/b.csv", "/Workspace/x", "/dbfs/../etc"]
        task = on(world.cluster(), script={"parameters": sent})
        run = world.submit(task, job_parameters=[{"name": "p", "default": "", "value": "7"}])
        await world.ended(run)
        begun = world.drivers.tasks["main"]
        assert list(begun.parameters) == [
            "7/main",
            "{{no.such}}",
            str(world.folder / "dbfs/a/b.csv"),
            str(world.folder / "workspace/x"),
            "/dbfs/../etc",
        ]
        assert begun.folder == world.folder / "workspace"
        overridden = world.submit(task, overriding_parameters={"python_params": ["1"]})
        await world.ended(overridden)
        assert list(world.drivers.tasks["main"].parameters) == ["1"]

    in_world(test, tmp_path)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ({"notebook_task": {"notebook_path": "/../nb"}}, "Notebook not found: /../nb. Path (/../nb) is no path"),
        ({"spark_python_task": {"python_file": "/../main.py"}}, "Cannot read the python file /../main.py"),
    ],
)
def test_a_path_that_leaves_the_workspace_leads_to_nothing(tmp_path: Path, work: dict[str, Any], said: str) -> None:
    async def test(world: World) -> None:
        run = world.submit({"task_key": "main", "existing_cluster_id": world.cluster().name, **work})
        await world.ended(run)
        (task,) = world.runs.tasks(run)
        assert task.body["status"]["termination_details"]["code"] == "RESOURCE_NOT_FOUND"
        assert said in task.body["state"]["state_message"]

    in_world(test, tmp_path)


def test_a_notebook_gets_widgets_and_gives_its_result(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.drivers.outcomes["main"] = Outcome(result="done")
        notebook = {"notebook_path": "/nb", "base_parameters": {"a": "1", "b": "{{job.name}}"}}
        task = {"task_key": "main", "existing_cluster_id": world.cluster().name, "notebook_task": notebook}
        run = world.submit(task, overriding_parameters={"notebook_params": {"a": "2"}})
        await world.ended(run)
        assert dict(world.drivers.tasks["main"].widgets) == {"a": "2", "b": "r"}
        assert world.runs.tasks(run)[0].body["result"] == "done"

    in_world(test, tmp_path)
