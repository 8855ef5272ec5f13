"""Compute instances through azure-ai-ml: made, stopped, started, and what jobs on them do.

What is right: a recording of the service in azure-sdk-for-python (test_compute_instance_stop_start_restart), the
OpenAPI's examples, https://learn.microsoft.com/azure/machine-learning/how-to-manage-compute-instance, and the reports
that the tests name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient, command
from azure.ai.ml.constants import TimeZone
from azure.ai.ml.entities import (
    ComputeInstance,
    ComputeSchedules,
    ComputeStartStopSchedule,
    CronTrigger,
    Environment,
    RecurrencePattern,
    RecurrenceTrigger,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from support import SECONDS, Arm, finish

from running_service import wait_for

SIZE = "Standard_E2_v3"  # no other test uses its family
NEVER = CronTrigger(expression="0 0 1 1 *", time_zone=TimeZone.UTC)


@pytest.fixture
def instance(ml: MLClient, name: str) -> Iterator[str]:
    """A running instance."""
    finish(ml.compute.begin_create_or_update(ComputeInstance(name=name, size=SIZE)))
    yield name
    finish(ml.compute.begin_delete(name))


def inner(arm: Arm, name: str) -> dict[str, Any]:
    found: dict[str, Any] = arm.get(f"/computes/{name}").json()["properties"]["properties"]
    return found


def last(arm: Arm, name: str) -> tuple[str, str, str]:
    operation = inner(arm, name)["lastOperation"]
    return operation["operationName"], operation["operationStatus"], operation["operationTrigger"]


def used(arm: Arm) -> int:
    (value,) = (
        usage["currentValue"]
        for usage in arm.get(f"{arm.region}/usages").json()["value"]
        if usage["type"].endswith("/vmFamily/usages")
        and usage["name"]["value"] == "Standard Ev3 Family Cluster Dedicated vCPUs"
    )
    return int(value)


def test_an_instance_is_stopped_started_and_restarted(ml: MLClient, arm: Arm, instance: str) -> None:
    made = ml.compute.get(instance)
    assert (made.type, made.size, made.state, made.provisioning_state) == (
        "computeinstance",
        SIZE.upper(),
        "Running",
        "Succeeded",
    )
    assert last(arm, instance) == ("Create", "Succeeded", "User")
    assert used(arm) == 2
    begun = arm.request("POST", f"/computes/{instance}/stop")
    assert (begun.status_code, begun.content) == (202, b"")
    assert "Location" not in begun.headers
    arm.ended(begun)
    assert (inner(arm, instance)["state"], last(arm, instance)) == ("Stopped", ("Stop", "Succeeded", "User"))
    assert ml.compute.get(instance).provisioning_state == "Succeeded"
    assert used(arm) == 2  # a stopped instance keeps its quota
    finish(ml.compute.begin_start(instance))
    assert (inner(arm, instance)["state"], last(arm, instance)) == ("Running", ("Start", "Succeeded", "User"))
    finish(ml.compute.begin_restart(instance))
    assert (inner(arm, instance)["state"], last(arm, instance)) == ("Running", ("Restart", "Succeeded", "User"))


def test_quota_is_released_on_stop_where_that_is_asked(ml: MLClient, arm: Arm, name: str) -> None:
    settings = ComputeInstance(name=name, size=SIZE, release_quota_on_stop=True, tags={"a": "b"}, description="d")
    made = finish(ml.compute.begin_create_or_update(settings))
    assert (made.release_quota_on_stop, made.tags, made.description) == (True, {"a": "b"}, "d")
    finish(ml.compute.begin_stop(name))
    assert used(arm) == 0
    finish(ml.compute.begin_start(name))
    assert used(arm) == 2
    finish(ml.compute.begin_delete(name))
    assert used(arm) == 0
    with pytest.raises(ResourceNotFoundError):
        ml.compute.get(name)


def test_start_is_only_allowed_when_stopped(ml: MLClient, arm: Arm, instance: str) -> None:
    """https://github.com/microsoft/vscode-tools-for-ai/issues/2096"""
    with pytest.raises(HttpResponseError, match="StartComputeInstanceOnlyAllowedInStoppedState"):
        finish(ml.compute.begin_start(instance))
    assert (inner(arm, instance)["state"], ml.compute.get(instance).provisioning_state) == ("Running", "Succeeded")


def test_clusters_are_not_started_and_instances_have_no_list_of_nodes(ml: MLClient, arm: Arm, instance: str) -> None:
    """https://github.com/MicrosoftDocs/azure-docs/issues/85756"""
    with pytest.raises(HttpResponseError, match=r"ComputeListNodes with computeType ComputeInstance is not supported."):
        list(ml.compute.list_nodes(instance))
    scale = {"properties": {"properties": {"scaleSettings": {"maxNodeCount": 2}}}}
    assert arm.request("PATCH", f"/computes/{instance}", json=scale).status_code == 400


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"idle_time_before_shutdown_minutes": 5}, "idleTimeBeforeShutdown is 'PT5M'"),
        ({"idle_time_before_shutdown": "P4D"}, "idleTimeBeforeShutdown is 'P4D'"),
        ({"ssh_public_access_enabled": True}, "lacks what properties.properties.sshSettings"),
        (
            {
                "schedules": ComputeSchedules(
                    compute_start_stop=[
                        ComputeStartStopSchedule(action="Stop", trigger=CronTrigger(expression="61 * * * *"))
                    ]
                )
            },
            "the minute of expression is '61'",
        ),
    ],
    ids=["shutdown within minutes", "shutdown within days", "ssh", "schedule"],
)
def test_bad_settings_are_refused(ml: MLClient, name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        ml.compute.begin_create_or_update(ComputeInstance(name=name, size=SIZE, **settings))
    assert said in str(refusal.value)


@pytest.mark.parametrize("name", ["ab", "cpu-cluster-1", "1abc", "a" * 25, "abc-"])
def test_bad_names_are_refused(ml: MLClient, name: str) -> None:
    """https://github.com/microsoft/pipelines-azureml/issues/19 and the like."""
    with pytest.raises(HttpResponseError, match=f"Compute name '{name}' is not available. Reason: Invalid."):
        ml.compute.begin_create_or_update(ComputeInstance(name=name, size=SIZE))


def test_the_idle_time_is_changed(arm: Arm, ml: MLClient, instance: str) -> None:
    setting = {"idleTimeBeforeShutdown": "PT2H"}
    answer = arm.request("POST", f"/computes/{instance}/updateIdleShutdownSetting", json=setting)
    assert (answer.status_code, answer.content) == (200, b"")
    assert inner(arm, instance)["idleTimeBeforeShutdown"] == "PT2H"
    refused = arm.request(
        "POST", f"/computes/{instance}/updateIdleShutdownSetting", json={"idleTimeBeforeShutdown": "soon"}
    )
    assert refused.status_code == 400


def test_schedules_come_back_with_their_state(ml: MLClient, name: str) -> None:
    weekly = RecurrenceTrigger(
        frequency="week",
        interval=1,
        schedule=RecurrencePattern(hours=8, minutes=0, week_days=["monday"]),
        time_zone=TimeZone.W_EUROPE_STANDARD_TIME,
    )
    schedules = ComputeSchedules(
        compute_start_stop=[
            ComputeStartStopSchedule(action="Start", trigger=weekly),
            ComputeStartStopSchedule(action="Stop", trigger=NEVER, state="Disabled"),
        ]
    )
    made = finish(ml.compute.begin_create_or_update(ComputeInstance(name=name, size=SIZE, schedules=schedules)))
    first, second = made.schedules.compute_start_stop
    assert (first.action, first.state, first.provisioning_state) == ("Start", "Enabled", "Completed")
    assert (first.trigger.frequency, first.trigger.schedule.week_days) == ("Week", ["Monday"])
    assert (second.action, second.state, second.trigger.expression) == ("Stop", "Disabled", "0 0 1 1 *")
    assert first.schedule_id != second.schedule_id
    finish(ml.compute.begin_delete(name))


def test_jobs_run_on_an_instance_and_wait_while_it_is_stopped(
    ml: MLClient, arm: Arm, instance: str, tmp_path: Path
) -> None:
    image = "mcr.microsoft.com/azureml/minimal-py311-inference"
    environment = ml.environments.create_or_update(Environment(name="nodes", image=image))
    gate = tmp_path / "gate"
    job = command(command=f"while [ ! -e {gate} ]; do sleep 0.05; done", environment=environment, compute=instance)
    running = ml.jobs.create_or_update(job).name
    wait_for(lambda: inner(arm, instance)["state"] == "JobRunning", "an instance that runs a job", SECONDS)
    finish(ml.compute.begin_stop(instance))
    wait_for(lambda: ml.jobs.get(running).status == "Queued", "a job that waits", SECONDS)
    assert inner(arm, instance)["state"] == "Stopped"
    gate.touch()
    finish(ml.compute.begin_start(instance))
    wait_for(lambda: ml.jobs.get(running).status == "Completed", "the job's end", SECONDS)
