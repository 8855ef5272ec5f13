"""The sweeper, on a lesson that was killed in the middle: what it leaves is found by its tags, and taken away.

The order in which things go is Azure's own: a compute that a job holds is not free, and an enabled schedule cannot be
deleted. https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute, ManagedOnlineEndpoint
from support import Arm, finish

from running_service import RunningService, clean_environment
from written_course import list_lessons, write_lesson

pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[2] / "src"
MAKE = """
import helpers
from azure.ai.ml import command, dsl
from azure.ai.ml.entities import (AmlCompute, BatchEndpoint, CronTrigger, Data, Environment, JobSchedule,
    ManagedOnlineEndpoint)
ml_client = helpers.connect(backend)
ml_client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="NAME")).result()
ml_client.batch_endpoints.begin_create_or_update(BatchEndpoint(name="NAME-b")).result()
cluster = AmlCompute(name="NAME", size="Standard_DS3_v2", min_instances=1, max_instances=1)
ml_client.compute.begin_create_or_update(cluster).result()
environment = Environment(name="NAME", image="mcr.microsoft.com/azureml/minimal-py311-inference")
ml_client.environments.create_or_update(environment)
sleep = command(command="sleep 600", environment="NAME@latest", compute="NAME")
ml_client.jobs.create_or_update(sleep)
@dsl.pipeline(default_compute="NAME")
def night():
    sleep()
trigger = CronTrigger(expression="0 0 1 1 *")
ml_client.schedules.begin_create_or_update(JobSchedule(name="NAME", trigger=trigger, create_job=night())).result()
plan = Data(name="NAME", path="azureml://datastores/workspaceblobstore/paths/x", type="uri_file")
ml_client.data.create_or_update(plan)
"""
HANG = "import threading; threading.Event().wait()"


def run(service: RunningService, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**clean_environment(), "AZUREML_LOCAL_HOME": str(service.home.root), "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(service: RunningService, folder: Path, *arguments: str) -> tuple[int, str]:
    process = run(service, folder, "course.sweep", *arguments)
    said, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors and "could not be looked through" not in errors, errors
    return process.returncode, said


@pytest.fixture
def killed(service: RunningService, tmp_path: Path) -> tuple[str, str]:
    """The run's name, and that of most of what its lesson has left."""
    name = "s" + uuid.uuid4().hex[:10]
    write_lesson(tmp_path, "00_start/01_hangs", MAKE.replace("NAME", name), HANG)
    list_lessons(tmp_path)
    process = run(service, tmp_path, "course.run", "--run", f"run-{name}")
    assert process.stdout is not None
    line = next(line for line in process.stdout if re.search("cell 3 of 4|failed", line))
    assert "cell 3 of 4" in line, line  # the parameters are cell 2, what is made cell 3
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return f"run-{name}", name


@pytest.fixture
def another(ml: MLClient, arm: Arm) -> Iterator[str]:
    """The name of an endpoint, a cluster, and a component that the SDK cannot read, of somebody else."""
    name = "o" + uuid.uuid4().hex[:10]
    unreadable = {"componentSpec": {"name": name, "type": "command", "command": "true"}}  # without an environment
    arm.put(f"/components/{name}/versions/1", {"properties": unreadable}).raise_for_status()
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, tags={"team": "payments"})))
    finish(ml.compute.begin_create_or_update(AmlCompute(name=name, size="Standard_DS3_v2", max_instances=1)))
    yield name
    finish(ml.online_endpoints.begin_delete(name=name))
    finish(ml.compute.begin_delete(name))


def test_what_a_killed_lesson_left_is_found_and_taken_away(
    service: RunningService, ml: MLClient, tmp_path: Path, killed: tuple[str, str], another: str
) -> None:
    run_name, name = killed
    code, listed = sweep(service, tmp_path, "--run", run_name)
    assert code == 1
    rows = [line.split() for line in listed.splitlines() if run_name in line]
    assert [row[0] for row in rows] == ["schedule", "job", "online", "batch", "compute", "data", "environment"]
    assert all("lesson_00_start_01_hangs" in row for row in rows)
    assert another not in listed
    assert "together 0.29 USD an hour" in listed  # one node of Standard_DS3_v2, as list_sizes has it
    assert "Nothing was touched" in listed
    assert ml.compute.get(name).provisioning_state == "Succeeded"

    code, nothing = sweep(service, tmp_path)  # it is not six hours old
    assert run_name not in nothing

    code, said = sweep(service, tmp_path, "--run", run_name, "--yes")
    assert code == 0
    assert said.rstrip().endswith("Nothing is left.")
    assert said.count("✓") == 7
    assert name not in {one.name for one in ml.compute.list()} | {one.name for one in ml.online_endpoints.list()}
    assert name not in {one.name for one in ml.schedules.list(list_view_type="All")}
    assert {one.name for one in ml.compute.list()} & {one.name for one in ml.online_endpoints.list()} >= {another}


def test_workspace_that_cannot_be_reached(service: RunningService, tmp_path: Path) -> None:
    """As on Azure without ``config.json``."""
    process = run(service, tmp_path, "course.sweep", "--backend", "azure", "--run", "latest")
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, said) == (2, "")
    assert "names no run" in errors
    process = run(service, tmp_path, "course.sweep", "--backend", "azure")
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, said) == (3, "")
    assert "could not be looked through" in errors
