"""Schedules through azure-ai-ml and azure-mgmt-machinelearningservices: made, changed, listed, triggered, fired.

What is right: https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job (names of the jobs,
expressions, what is ignored in a cron expression, that only disabled schedules can be deleted), the client's own
documentation, and its test test_schedule_lifetime, which is played against recordings of the service.

These services run with a fast clock: a minute of a schedule's calendar is a second.
"""

from __future__ import annotations

import datetime
import itertools
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient, command, dsl
from azure.ai.ml.entities import (
    CronTrigger,
    Environment,
    JobSchedule,
    RecurrencePattern,
    RecurrenceTrigger,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from support import Arm, finish, quick_session

from azureml_local import admin
from running_service import command_line, start_service, wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
FAR = "0 7 * * 1"  # more than an hour of the fast clock away, on most days
EVERY_MINUTE = "* * * * *"


@pytest.fixture(scope="module", autouse=True)
def private_features() -> Iterator[None]:
    """Let azure-ai-ml schedule command jobs, which it does with this variable only (is_private_preview_enabled)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_ML_CLI_PRIVATE_FEATURES_ENABLED", "true")
        yield


@pytest.fixture(scope="module")
def environment(ml: MLClient) -> Environment:
    return ml.environments.create_or_update(Environment(name="scheduled", image=IMAGE))


@pytest.fixture
def hello(environment: Environment, cluster: str) -> Any:
    return command(
        command="echo ${{inputs.greeting}} ${{inputs.at}}",
        environment=f"{environment.name}:{environment.version}",
        compute=cluster,
        inputs={"greeting": "hello", "at": "${{creation_context.trigger_time}}"},
        experiment_name="nightly",
        tags={"team": "ops"},
    )


def test_life_of_a_schedule(ml: MLClient, hello: Any, name: str) -> None:
    trigger = CronTrigger(expression=FAR, time_zone="Eastern Standard Time")
    made = finish(
        ml.schedules.begin_create_or_update(
            JobSchedule(name=name, trigger=trigger, create_job=hello, description="first", tags={"a": "b"})
        )
    )
    assert (made.name, made.is_enabled, made.provisioning_state) == (name, True, "Succeeded")
    assert (made.description, made.tags) == ("first", {"a": "b"})
    assert (made.trigger.expression, made.trigger.time_zone) == (FAR, "Eastern Standard Time")
    assert made.trigger.start_time  # which the service fills in
    assert made.create_job.experiment_name == "nightly"
    assert made.create_job._to_dict()["inputs"]["at"] == {"path": "${{creation_context.trigger_time}}"}

    assert name in [one.name for one in ml.schedules.list()]
    assert finish(ml.schedules.begin_disable(name)).is_enabled is False
    assert ml.schedules.get(name).is_enabled is False
    assert name not in [one.name for one in ml.schedules.list()]
    assert name in [one.name for one in ml.schedules.list(list_view_type="DisabledOnly")]
    assert name in [one.name for one in ml.schedules.list(list_view_type="All")]
    enabled = finish(ml.schedules.begin_enable(name))
    assert enabled.is_enabled is True

    enabled.trigger.expression = "10 10 * * 1"
    assert finish(ml.schedules.begin_create_or_update(enabled)).trigger.expression == "10 10 * * 1"

    with pytest.raises(HttpResponseError, match="Cannot delete an active trigger"):
        finish(ml.schedules.begin_delete(name))
    finish(ml.schedules.begin_disable(name))
    finish(ml.schedules.begin_delete(name))
    with pytest.raises(ResourceNotFoundError, match="not found"):
        ml.schedules.get(name)


def test_recurrence(ml: MLClient, hello: Any, name: str) -> None:
    trigger = RecurrenceTrigger(
        frequency="week",
        interval=1,
        schedule=RecurrencePattern(hours=10, minutes=[0, 1], week_days="monday"),
        start_time="2030-05-10T10:15:00",
        end_time="2031-05-10T10:15:00",
        time_zone="Pacific Standard Time",
    )
    made = finish(ml.schedules.begin_create_or_update(JobSchedule(name=name, trigger=trigger, create_job=hello)))
    assert (made.trigger.frequency, made.trigger.interval) == ("week", 1)
    assert (made.trigger.start_time, made.trigger.end_time) == ("2030-05-10T10:15:00", "2031-05-10T10:15:00")
    pattern = made.trigger.schedule
    assert (pattern.hours, pattern.minutes, pattern.week_days) == ([10], [0, 1], ["Monday"])


def test_trigger_once(ml: MLClient, arm: Arm, hello: Any, name: str) -> None:
    finish(
        ml.schedules.begin_create_or_update(
            JobSchedule(name=name, trigger=CronTrigger(expression=FAR), create_job=hello)
        )
    )
    result = ml.schedules.trigger(name, schedule_time="2026-03-01T06:00:00+02:00")
    assert result.schedule_action_type == "CreateJob"
    job = ml.jobs.get(result.job_name)
    assert job.display_name == f"{name}-20260301T040000Z"
    assert (job.experiment_name, job.tags["team"]) == ("nightly", "ops")
    assert job._to_dict()["inputs"]["at"] == "2026-03-01T04:00:00Z"
    again = ml.schedules.trigger(name, schedule_time="2026-03-01T06:00:00+02:00")
    assert again.job_name != result.job_name

    made = {result.job_name, again.job_name}
    assert {one.name for one in ml.jobs.list(scheduled_job_name=name)} == made
    assert made <= {one.name for one in ml.jobs.list(schedule_defined=True)}
    assert not made & {one.name for one in ml.jobs.list(schedule_defined=False)}
    by_id = arm.get("/jobs", scheduleId=f"{arm.workspace}/schedules/{name}").json()["value"]
    assert {one["name"] for one in by_id} == made

    finish(ml.schedules.begin_disable(name))
    with pytest.raises(HttpResponseError, match="is disabled"):
        ml.schedules.trigger(name)


def test_pipeline(ml: MLClient, hello: Any, cluster: str, name: str) -> None:
    @dsl.pipeline(experiment_name="nightly")
    def nightly(at, greeting="good night"):  # type: ignore[no-untyped-def] # the SDK reads annotations as types
        hello(at=at, greeting=greeting)

    job = nightly(at="${{creation_context.trigger_time}}")
    job.settings.default_compute = cluster
    made = finish(
        ml.schedules.begin_create_or_update(JobSchedule(name=name, trigger=CronTrigger(expression=FAR), create_job=job))
    )
    assert made.create_job.settings.default_compute.endswith(f"/computes/{cluster}")
    assert finish(ml.schedules.begin_disable(name)).is_enabled is False  # its definition can be sent back
    finish(ml.schedules.begin_enable(name))
    pipeline = ml.jobs.get(ml.schedules.trigger(name, schedule_time="2026-03-01T00:00:00Z").job_name)
    assert (pipeline.type, pipeline.display_name) == ("pipeline", f"{name}-20260301T000000Z")
    wait_for(lambda: ml.jobs.get(pipeline.name).status in ("Completed", "Failed"), "the pipeline has ended")
    assert [one.name for one in ml.jobs.list(scheduled_job_name=name)] == [pipeline.name]
    assert pipeline._to_dict()["inputs"]["at"] == "2026-03-01T00:00:00Z"

    # The same pipeline from a job that there is, with other settings and another input.
    like_it = ml.jobs.get(pipeline.name)
    like_it.inputs.greeting = "good morning"
    like_it.settings.continue_on_step_failure = False
    made = JobSchedule(name=name + "2", trigger=CronTrigger(expression=FAR), create_job=like_it)
    finish(ml.schedules.begin_create_or_update(made))
    pipeline = ml.jobs.get(ml.schedules.trigger(name + "2").job_name)
    assert pipeline._to_dict()["inputs"] == {"at": "2026-03-01T00:00:00Z", "greeting": "good morning"}
    assert pipeline.settings.continue_on_step_failure is False
    assert len(pipeline.jobs) == 1


def test_name_of_the_job_in_outputs(arm: Arm, job: dict[str, Any], name: str) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/nightly/${{name}}"
    body = schedule(job | {"outputs": {"scores": {"jobOutputType": "uri_folder", "uri": uri}}})
    assert arm.ended(arm.put(f"/schedules/{name}", body))["status"] == "Succeeded"
    made = arm.request("POST", f"/schedules/{name}/trigger", json={"scheduleTime": "2026-03-01T00:00:00Z"}).json()
    outputs = arm.get(f"/jobs/{made['submissionId']}").json()["properties"]["outputs"]
    assert outputs["scores"]["uri"].endswith(f"/nightly/{made['submissionId']}")


def test_like_a_job_that_there_is(ml: MLClient, arm: Arm, hello: Any, cluster: str, name: str) -> None:
    @dsl.pipeline(experiment_name="nightly")
    def nightly(at, greeting="good night"):  # type: ignore[no-untyped-def] # the SDK reads annotations as types
        hello(at=at, greeting=greeting)

    job = nightly(at="noon")
    job.settings.default_compute = cluster
    source = ml.jobs.create_or_update(job)
    trigger = CronTrigger(expression=FAR)
    finish(ml.schedules.begin_create_or_update(JobSchedule(name=name, trigger=trigger, create_job=source.id)))
    changed = {"greeting": {"jobInputType": "literal", "value": "good morning"}}
    definition = {"jobType": "Pipeline", "sourceJobId": source.id, "inputs": changed}
    assert arm.ended(arm.put(f"/schedules/{name}2", schedule(definition)))["status"] == "Succeeded"
    wait_for(lambda: ml.jobs.get(source.name).status == "Completed", "the job is over")
    assert arm.request("DELETE", f"/jobs/{source.name}").status_code == 202
    wait_for(lambda: arm.get(f"/jobs/{source.name}").status_code == 404, "the job is deleted")
    for one, greeting in ((name, "good night"), (name + "2", "good morning")):
        job = ml.jobs.get(ml.schedules.trigger(one).job_name)
        assert (job.type, job.experiment_name) == ("pipeline", "nightly")
        assert job._to_dict()["inputs"] == {"at": "noon", "greeting": greeting}


def test_answer_to_a_put_holds_properties_only(arm: Arm, job: dict[str, Any], name: str) -> None:
    answer = arm.put(f"/schedules/{name}", schedule(job))
    assert answer.status_code == 201
    assert list(answer.json()) == ["properties"]
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert arm.ended(answer)["status"] == "Succeeded"
    answer = arm.put(f"/schedules/{name}", schedule(job))
    assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (201, "Updating")
    assert arm.ended(answer)["status"] == "Succeeded"
    assert arm.request("DELETE", "/schedules/unknown").status_code == 204


def schedule(job: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The body of a schedule that is not due during the tests."""
    trigger = {"triggerType": "Cron", "expression": FAR}
    action = {"actionType": "CreateJob", "jobDefinition": job}
    return {"properties": {"trigger": trigger, "action": action, **changes}}


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"trigger": {"triggerType": "Cron", "expression": "* * *"}}, 400, "expression is '* * *'"),
        ({"trigger": {"triggerType": "Cron", "expression": "61 * * * *"}}, 400, "'61'"),
        ({"trigger": {"triggerType": "Cron", "expression": FAR, "timeZone": "Mars"}}, 400, "timeZone is 'Mars'"),
        ({"trigger": {"triggerType": "Cron", "expression": FAR, "startTime": "soon"}}, 400, "startTime is 'soon'"),
        ({"trigger": {"triggerType": "Cron", "expression": FAR, "endTime": "late"}}, 400, "endTime is 'late'"),
        ({"trigger": {"triggerType": "Recurrence", "frequency": "Century", "interval": 1}}, 400, "Century"),
        ({"trigger": {"triggerType": "Moon"}}, 400, "Moon"),
        ({"trigger": None}, 400, "trigger"),
        ({"action": {"actionType": "CreateMonitor", "monitorDefinition": {}}}, 501, "CreateMonitor"),
        ({"action": {"actionType": "InvokeBatchEndpoint", "endpointInvocationDefinition": {}}}, 501, "InvokeBatch"),
        ({"action": {"actionType": "ImportData", "dataImportDefinition": {}}}, 501, "ImportData"),
        ({"action": {"actionType": "CreateJob"}}, 400, "jobDefinition"),
        ({"weather": "fine"}, 400, "weather"),
    ],
    ids=str,
)
def test_bad_schedules(
    arm: Arm, job: dict[str, Any], name: str, changes: dict[str, Any], status: int, said: str
) -> None:
    answer = arm.put(f"/schedules/{name}", schedule(job, **changes))
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["message"]
    assert arm.get(f"/schedules/{name}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environmentId": "azureml:nowhere:1"}, "nowhere"),
        ({"computeId": "nowhere"}, "nowhere"),
        ({"inputs": {"a b": {"jobInputType": "literal", "value": "1"}}}, "a b"),
        ({"command": None}, "command"),
        ({"inputs": {"a": None}}, "properties.inputs.a is null"),
        ({"outputs": {"a": None}}, "properties.outputs.a is null"),
    ],
    ids=str,
)
def test_definitions_of_no_job(arm: Arm, job: dict[str, Any], name: str, changes: dict[str, Any], said: str) -> None:
    answer = arm.put(f"/schedules/{name}", schedule(job | changes))
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("member", ["inputs", "outputs"])
def test_definition_of_a_pipeline_with_null(arm: Arm, name: str, member: str) -> None:
    answer = arm.put(f"/schedules/{name}", schedule({"jobType": "Pipeline", "jobs": {}, member: {"a": None}}))
    assert (answer.status_code, f"properties.{member}.a is null" in answer.text) == (400, True), answer.text


def test_bad_names_and_times(arm: Arm, job: dict[str, Any], name: str) -> None:
    assert "invalid" in arm.put("/schedules/-x", schedule(job)).json()["error"]["message"]
    arm.put(f"/jobs/{name}", {"properties": job})
    for source in ("no-such-job", name):  # which is none of a pipeline
        answer = arm.put(f"/schedules/{name}", schedule({"jobType": "Pipeline", "sourceJobId": f"azureml:{source}"}))
        assert (answer.status_code, f"no pipeline job {source}" in answer.text) == (400, True)
    arm.ended(arm.put(f"/schedules/{name}", schedule(job)))
    for time in ("noon", "0001-01-01T00:00:00+14:00"):
        answer = arm.request("POST", f"/schedules/{name}/trigger", json={"scheduleTime": time})
        assert (answer.status_code, f"scheduleTime is '{time}'" in answer.text) == (400, True)
    assert arm.request("POST", f"/schedules/{name}/trigger", json={}).status_code == 400
    assert arm.request("POST", "/schedules/none/trigger", json={"scheduleTime": "2026-01-01"}).status_code == 404


# --- a service of its own, whose clock is fast ---


class Fast:
    """A service whose schedules are due each second, and what a test asks of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.start()
        scale = aml.ScaleSettings(max_node_count=1)
        cluster = aml.AmlCompute(properties=aml.AmlComputeProperties(vm_size="STANDARD_DS3_V2", scale_settings=scale))
        body = aml.ComputeResource(location="eastus", properties=cluster)
        self.client.compute.begin_create_or_update(*self.scope, "cpu", body).result(60)
        properties = aml.EnvironmentVersionProperties(image=IMAGE)
        version = aml.EnvironmentVersion(properties=properties)
        self.environment = self.client.environment_versions.create_or_update(*self.scope, "tiny", "1", version).id

    def start(self) -> None:
        self.service = start_service(self.root, {"AZUREML_LOCAL_CLOCK_FACTOR": "60"})
        settings = self.service.settings
        self.scope = (settings.resource_group, settings.workspace)
        certificates = self.service.environment["REQUESTS_CA_BUNDLE"]
        transport: dict[str, Any] = {
            "proxies": {"https": f"http://127.0.0.1:{self.service.port}"},
            "connection_verify": certificates,
        }
        self.credential = ClientSecretCredential(
            settings.tenant_id, settings.client_id, settings.client_secret, **transport
        )
        self.transport = transport
        self.client = self.client_of(self.credential)

    def client_of(self, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
        return MachineLearningServicesMgmtClient(
            credential, self.service.settings.subscription_id, polling_interval=1, **self.transport
        )

    def stop(self) -> None:
        stopped = command_line(self.root, "stop")
        assert stopped.returncode == 0, stopped.stderr

    def schedule(self, name: str, client: MachineLearningServicesMgmtClient | None = None, **changes: Any) -> None:
        job = aml.CommandJob(command="true", compute_id="cpu", environment_id=self.environment)
        options = {
            "trigger": aml.CronTrigger(expression=EVERY_MINUTE),
            "action": aml.JobScheduleAction(job_definition=job),
            "is_enabled": True,
        }
        body = aml.Schedule(properties=aml.ScheduleProperties(**{**options, **changes}))
        (client or self.client).schedules.begin_create_or_update(*self.scope, name, body).result(60)

    def jobs(self, schedule: str) -> list[aml.JobBase]:
        """The jobs of a schedule, oldest first."""
        listed = self.client.jobs.list(*self.scope)
        return [one for one in reversed(list(listed)) if one.properties.display_name.startswith(schedule + "-")]

    def times(self, schedule: str) -> list[datetime.datetime]:
        """For which times a schedule has made jobs."""
        names = [one.properties.display_name for one in self.jobs(schedule)]
        return [datetime.datetime.strptime(one.removeprefix(schedule), "-%Y%m%dT%H%M%SZ") for one in names]

    def error(self, job: str) -> dict[str, Any]:
        """What run history says of how a job failed."""
        settings = self.service.settings
        workspace = (
            f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
        )
        token = self.credential.get_token("https://management.azure.com/.default").token
        with quick_session() as session:
            answer = session.get(
                f"https://{settings.location}.api.azureml.ms/history/v1.0{workspace}/runs/{job}/details",
                headers={"Authorization": f"Bearer {token}"},
                proxies=self.transport["proxies"],
                verify=self.transport["connection_verify"],
                timeout=60,
            )
        return dict(answer.json()["error"]["error"])


@pytest.fixture(scope="module")
def fast_service() -> Iterator[Fast]:
    with tempfile.TemporaryDirectory(prefix="azl-") as folder:
        started = Fast(Path(folder) / "home")
        yield started
        started.stop()


@pytest.fixture
def fast(fast_service: Fast) -> Iterator[Fast]:
    """Leaves nothing due: a schedule that went on would make a job each second of all tests after it."""
    yield fast_service
    for one in fast_service.client.schedules.list(*fast_service.scope):
        if one.properties.is_enabled:
            fast_service.schedule(one.name, is_enabled=False)


def minutes_apart(times: list[datetime.datetime]) -> set[float]:
    return {(later - earlier) / datetime.timedelta(minutes=1) for earlier, later in itertools.pairwise(times)}


@pytest.mark.slow
def test_each_due_time_makes_one_job(fast: Fast, name: str) -> None:
    fast.schedule(name)
    wait_for(lambda: len(fast.jobs(name)) >= 4, "four jobs")
    assert minutes_apart(fast.times(name)) == {1.0}
    fast.schedule(name, is_enabled=False)
    made = len(fast.jobs(name))
    fast.schedule(name + "2")
    wait_for(lambda: len(fast.jobs(name + "2")) >= 3, "three jobs of another schedule")
    assert len(fast.jobs(name)) == made
    fast.schedule(name, is_enabled=True)
    wait_for(lambda: len(fast.jobs(name)) > made, "a job after it is enabled again")
    times = fast.times(name)
    assert len(set(times)) == len(times)
    assert times[made] - times[made - 1] > datetime.timedelta(minutes=1)  # what was due meanwhile is not made up


@pytest.mark.slow
def test_start_and_end(fast: Fast, name: str) -> None:
    start = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(minutes=3)
    end = start + datetime.timedelta(minutes=4)
    trigger = aml.RecurrenceTrigger(
        frequency="Minute", interval=2, start_time=start.isoformat(), end_time=end.isoformat(), time_zone="UTC"
    )
    fast.schedule(name, trigger=trigger)
    fast.schedule(name + "2")
    wait_for(lambda: len(fast.jobs(name + "2")) >= 10, "ten minutes of the calendar are over")
    assert fast.times(name) == [start, start + datetime.timedelta(minutes=2), end]


@pytest.mark.slow
def test_due_times_over_restarts(fast: Fast, name: str) -> None:
    fast.schedule(name)
    wait_for(lambda: len(fast.jobs(name)) >= 2, "two jobs")
    made = len(fast.jobs(name))
    fast.stop()
    fast.start()
    wait_for(lambda: len(fast.jobs(name)) >= made + 2, "two jobs after the restart")
    assert minutes_apart(fast.times(name)) == {1.0}


def test_author_without_a_role_any_more(fast: Fast, name: str) -> None:
    identity = "i" + uuid.uuid4().hex[:8]
    made = admin.call(
        fast.service.home, "POST", "/identities", {"name": identity, "role": "Contributor", "scope": None}
    )
    author = ClientSecretCredential(
        made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"], **fast.transport
    )
    fast.schedule(name, fast.client_of(author))
    first = wait_for(lambda: fast.jobs(name), "a job of the author")[0]
    object_id = next(one["object_id"] for one in admin.call(fast.service.home, "GET", "/identities"))
    assert first.system_data.created_by == object_id
    admin.call(fast.service.home, "DELETE", f"/identities/{identity}")
    failed = wait_for(
        lambda: [one for one in fast.jobs(name) if fast_status(one) == "Failed"], "a job that may not be submitted"
    )[0]
    error = fast.error(failed.name)
    assert error["code"] == "AuthorizationFailed"
    assert "workspaces/jobs/write" in error["message"]
    fast.schedule(name, is_enabled=False)


def test_jobs_are_of_whoever_wrote_the_schedule_last(fast: Fast, name: str) -> None:
    """Another's schedule is no way to have a job done in the other's name."""
    identity = {"name": "i" + uuid.uuid4().hex[:8], "role": "Contributor", "scope": None}
    made = admin.call(fast.service.home, "POST", "/identities", identity)
    other = ClientSecretCredential(
        made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"], **fast.transport
    )
    fast.schedule(name, is_enabled=False)
    fast.schedule(name, fast.client_of(other))
    job = wait_for(lambda: fast.jobs(name), "a job")[0]
    object_id = next(
        one["object_id"]
        for one in admin.call(fast.service.home, "GET", "/identities")
        if one["name"] == identity["name"]
    )
    assert job.system_data.created_by == object_id
    fast.schedule(name, is_enabled=False)
    admin.call(fast.service.home, "DELETE", f"/identities/{identity['name']}")


def fast_status(job: aml.JobBase) -> str:
    return str(job.properties.status)


def test_submission_that_fails_is_a_failed_job(fast: Fast, name: str) -> None:
    version = aml.EnvironmentVersion(properties=aml.EnvironmentVersionProperties(image=IMAGE))
    environment = fast.client.environment_versions.create_or_update(*fast.scope, name, "1", version)
    job = aml.CommandJob(command="true", compute_id="cpu", environment_id=environment.id)
    fast.schedule(name, action=aml.JobScheduleAction(job_definition=job))
    fast.client.environment_versions.delete(*fast.scope, name, "1")
    failed = wait_for(lambda: [one for one in fast.jobs(name) if fast_status(one) == "Failed"], "a failed job")[0]
    assert name in fast.error(failed.name)["message"]
    fast.schedule(name, is_enabled=False)


def test_definition_that_cannot_be_read_any_more(fast: Fast, name: str) -> None:
    spec = {"name": name, "type": "command", "command": "true", "environment": fast.environment}
    component = fast.client.component_versions.create_or_update(
        *fast.scope,
        name,
        "1",
        aml.ComponentVersion(properties=aml.ComponentVersionProperties(component_spec=spec)),
    )
    job = aml.CommandJob(command="true", compute_id="cpu", environment_id=fast.environment, component_id=component.id)
    fast.schedule(name, action=aml.JobScheduleAction(job_definition=job))
    fast.client.component_versions.delete(*fast.scope, name, "1")
    failed = wait_for(lambda: [one for one in fast.jobs(name) if fast_status(one) == "Failed"], "a failed job")[0]
    assert name in fast.error(failed.name)["message"]
    made = len(fast.jobs(name))
    wait_for(lambda: len(fast.jobs(name)) > made, "the next one")
    fast.schedule(name + "2")  # the service goes on
    wait_for(lambda: fast.jobs(name + "2"), "a job of another schedule")
