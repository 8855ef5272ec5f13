"""SIGKILL under a schedule, many times, as close to a due time as it comes: each due time has made one job.

Truth: design.md, "state is written before it is acknowledged"; what is due while the service is started again is made
up (:mod:`azureml_local.arm.schedules.firing`). The clock is fast: a minute of the schedule's calendar is a second.
"""

from __future__ import annotations

import datetime
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.mgmt.machinelearningservices import models as aml
from clients import IMAGE, Clients

from running_service import command_line, start_service, wait_for

KILLS = 8
FAST = {"AZUREML_LOCAL_CLOCK_FACTOR": "60"}
NAME = "each-minute"


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    yield root
    command_line(root, "stop")
    shutil.rmtree(root, ignore_errors=True)


def due_times(clients: Clients) -> list[datetime.datetime]:
    """For which times the schedule has made jobs, oldest first."""
    jobs = [one.properties.display_name for one in clients.management.jobs.list(*clients.scope)]
    return [datetime.datetime.strptime(one.removeprefix(NAME), "-%Y%m%dT%H%M%SZ") for one in reversed(jobs)]


def wait_for_another(clients: Clients) -> None:
    made = len(due_times(clients))
    wait_for(lambda: len(due_times(clients)) > made, "another job")


def test_killed_at_any_moment(root: Path) -> None:
    service = start_service(root, FAST)
    clients = Clients(service)
    image = aml.EnvironmentVersion(properties=aml.EnvironmentVersionProperties(image=IMAGE))
    environment = clients.management.environment_versions.create_or_update(*clients.scope, "tiny", "1", image)
    cluster = aml.AmlCompute(
        properties=aml.AmlComputeProperties(
            vm_size="STANDARD_DS3_V2", scale_settings=aml.ScaleSettings(max_node_count=1)
        )
    )
    compute = aml.ComputeResource(location="eastus", properties=cluster)
    clients.management.compute.begin_create_or_update(*clients.scope, "cpu", compute).result(60)
    job = aml.CommandJob(command="true", compute_id="cpu", environment_id=environment.id)
    schedule = aml.Schedule(
        properties=aml.ScheduleProperties(
            trigger=aml.CronTrigger(expression="* * * * *"), action=aml.JobScheduleAction(job_definition=job)
        )
    )
    clients.management.schedules.begin_create_or_update(*clients.scope, NAME, schedule).result(60)
    for _ in range(KILLS):
        wait_for_another(clients)
        process = psutil.Process(service.pid)
        wait_for(lambda: random.random() < 0.1)  # any moment of the next due times
        process.kill()
        process.wait()
        service = start_service(root, FAST)
        clients = Clients(service)
    wait_for_another(clients)
    times = due_times(clients)
    first = times[0]
    assert times == [first + datetime.timedelta(minutes=at) for at in range(len(times))]
